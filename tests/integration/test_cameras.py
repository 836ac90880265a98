# SPDX-License-Identifier: MIT
"""Cameras from a stand-in for Frigate, by a real secbox, through the tunnel, to a real gateway and those who look."""
import contextlib
import http.client
import http.server
import json
import os
import re
import socket
import subprocess
import time

import pytest

from tests.conftest import require_programs
from tests.integration.test_secbox import SecBox
from tests.lab.browser import Browser, available
from tests.lab.cut_proxy import CutCloud
from tests.lab.fleet import Fleet
from tests.lab.frigate_stand_in import FrigateStandIn, frame_number
from tests.lab.gateway import Gateway
from tests.lab.http_server import HttpServer, Served
from tests.lab.util import PATIENCE_SECONDS, program, read_text, wait_until

# all that may ever be asked of Frigate; its own port takes anybody for an administrator
ASKED = re.compile(r"/ws|/api/(config|stats|login|(entrada|garagem)(/latest\.jpg)?\?[a-z]+=\d+&[a-z]+=\d+"
                   r"|(events|review)\?after=[\d.]+&before=[\d.]+&limit=\d+&(include_thumbnails=0|reviewed=2)"
                   r"|events/[\d.]+-[a-z0-9]+/snapshot\.jpg\?height=\d+&quality=\d+)")
BOX = "caseta5"
# those that are noticed by their silence take long: make camera-faults
# so does a viewer who looks for five minutes
CUTS, CUT_EVERY_SECONDS = (10, 30) if "CAMERA_FAULTS" in os.environ else (2, 0)
BEHAVIOURS = ["truncate", "boundary", "garbage", "endless", "error"] + (["stall", "hang"] if "CAMERA_FAULTS" in os.environ else [])


class Box(SecBox):
    """A secbox without a database, whose tunnel can be cut."""

    def __init__(self, gateway, frigate):
        env = gateway.enroll(BOX)
        self.line = CutCloud(gateway)
        super().__init__(self.line)
        self.gateway, self.frigate = gateway, frigate
        self.env["BOOTSTRAP"] = env["BOOTSTRAP"]
        self.env["FRIGATE_URL"] = f"http://127.0.0.1:{frigate.port}"

    def alive(self):
        return None if self.process.poll() is None else read_text(self.log)

    def start_with(self, **change):
        """Again, with other settings."""
        self.kill()
        self.env = {k: v for k, v in {**self.env, **change}.items() if v is not None}
        self.start()

    def cameras(self):
        return self.gateway.request("GET", f"/v1/devices/{BOX}/cameras")

    def wait_frigate(self, state):
        def is_so():
            answer = self.cameras()
            return answer.status == 200 and answer.json["frigate"] == state

        wait_until(is_so, f"Frigate is {state}", self.alive)

    def close(self):
        super().close()
        self.line.close()


class Viewer:
    """Somebody with a browser, more or less: takes MJPEG apart by its lengths."""

    def __init__(self, gateway, camera="entrada", query="fps=10&height=90", token=None, buffer=None, path=None):
        """path: with a ticket in it, and no token beside it."""
        self.connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_SECONDS)
        if buffer:
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            s.settimeout(PATIENCE_SECONDS)
            s.connect(("127.0.0.1", gateway.port))
            self.connection.sock = s
        self.connection.request("GET", path or f"/v1/devices/{BOX}/cameras/{camera}/stream.mjpeg?{query}",
                                headers={} if path else {"Authorization": f"Bearer {token or gateway.token}"})
        self.answer = self.connection.getresponse()
        self.status = self.answer.status

    def next(self):
        """The number of the next picture; None at the end, which may be in the middle of one."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.answer.readline() if self.answer.fp else b""
            if not line:
                return None
            head += line
        match = re.fullmatch(rb"(?:\r\n)?--frame\r\nContent-Type: image/jpeg\r\nContent-Length: (\d+)\r\n\r\n", head)
        assert match, head
        picture = self.answer.read(int(match.group(1)))
        return frame_number(picture) if len(picture) == int(match.group(1)) else None

    def close(self):
        self.answer.close()
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture(name="gateway", scope="module")
def _gateway(tmp_path_factory):
    require_programs("secbox", "secbox-gateway")
    with Gateway(str(tmp_path_factory.mktemp("gateway"))) as it:
        yield it


@pytest.fixture(name="standing", scope="module")
def _standing(gateway):
    with FrigateStandIn() as frigate:
        box = Box(gateway, frigate)
        box.start()
        yield box
        box.close()


@pytest.fixture(name="box")
def _box(standing):
    """The box, whatever the test before did to it; Frigate never hears of anything else than pictures."""
    standing.frigate.behave()
    standing.frigate.offline.clear()
    standing.wait_frigate("up")
    wait_until(lambda: standing.frigate.open_streams == [], "nobody looks", standing.alive)
    yield standing
    assert not standing.frigate.forbidden() and not standing.frigate.orders
    assert [path for _, path, _ in standing.frigate.requests if not ASKED.fullmatch(path)] == []


def frame(gateway, camera="entrada", token=None, query=""):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_SECONDS)
    connection.request("GET", f"/v1/devices/{BOX}/cameras/{camera}/frame.jpg{query}",
                       headers={"Authorization": f"Bearer {token or gateway.token}"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def ticket(gateway, camera="entrada", token=None):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_SECONDS)
    connection.request("POST", f"/v1/devices/{BOX}/cameras/{camera}/tickets",
                       headers={"Authorization": f"Bearer {token or gateway.token}"})
    answer = connection.getresponse()
    body = json.load(answer)
    connection.close()
    return answer.status, body.get("ticket")


def anybody(gateway, path):
    """Who has no token at all."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_SECONDS)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def faults(gateway):
    health = gateway.request("GET", f"/v1/devices/{BOX}/health").json["health"]
    return health.get("secbox", {}).get("values", {}).get("faults", {})


def looks(gateway):
    entries = gateway.request("GET", "/v1/audit?limit=1000").json["entries"]
    return [(e["actor"], e["device"], e["detail"]["camera"], e["detail"]["as"]) for e in entries if e["action"] == "camera.look"]


def test_list_and_picture(gateway, box, folder):
    """Which cameras there are, and one picture, by the operators' command; it is in the audit log."""
    fleet = Fleet(gateway.url, gateway.token, folder)
    assert fleet.json("camera", BOX)["cameras"] == [{"name": "entrada", "state": "online"}, {"name": "garagem", "state": "online"}]
    assert "entrada  online" in fleet.run("camera", BOX, check=0).stdout
    path = os.path.join(folder, "frame.jpg")
    with open(path, "wb") as out:
        subprocess.run([program("secbox-fleet"), "camera", BOX, "garagem"], env=fleet.env, stdout=out, check=True)
    with open(path, "rb") as f:
        assert frame_number(f.read()) > 0
    assert looks(gateway)[0] == ("operator:lab", BOX, "garagem", "picture")
    status, headers, body = frame(gateway, query="?height=100")
    assert status == 200 and headers["Content-Type"] == "image/jpeg" and headers["Cache-Control"] == "no-store"
    assert frame_number(body) > 0 and headers["X-Content-Type-Options"] == "nosniff"
    assert box.frigate.asked("/api/entrada/latest.jpg")[-1].startswith("/api/entrada/latest.jpg?height=90&"), "one of a few sizes"


def test_who_may_and_what_is_refused(gateway, box, folder):
    """Reading takes less than looking; a name is a camera of Frigate's or nothing at all."""
    viewer = gateway.run("tokens", "add", "--role", "viewer", "vera").strip().split()[-1]
    before = len(looks(gateway))
    assert frame(gateway, token=viewer)[0] == 403
    with Viewer(gateway, token=viewer) as v:
        assert v.status == 403
    assert Fleet(gateway.url, viewer, folder).json("camera", BOX)["frigate"] == "up"
    for name in ("sala", "..%2fconfig", "entrada%2flatest.jpg", "config", "entrada%3fx=1", "%00"):
        status, _, body = frame(gateway, name)
        assert status in (400, 404), (name, status, body)
    with Viewer(gateway, "sala") as v:
        assert v.status == 404
    assert gateway.request("GET", f"/v1/devices/{BOX}/cameras/entrada/frame.jpg?height=x").status == 400
    assert gateway.request("GET", "/v1/devices/nobody/cameras").status == 404
    assert len(looks(gateway)) == before, "who saw nothing is not in the audit log"
    answer = Fleet(gateway.url, gateway.token, folder).run("camera", BOX, "sala", check=1)
    assert "camera.unknown" in answer.stderr and not answer.stdout
    assert box.frigate.streams_begun == 0


def test_viewers_share_one_stream(gateway, box):
    """Two who look in the same way cost Frigate and the tunnel what one costs; the last one ends it."""
    begun = box.frigate.streams_begun
    with Viewer(gateway) as one, Viewer(gateway) as two, Viewer(gateway, query="fps=5&height=90") as other:
        numbers = [one.next() for _ in range(5)]
        assert numbers == sorted(set(numbers)) and two.next() and other.next()
        assert box.frigate.streams_begun - begun == 2 and sorted(box.frigate.open_streams) == ["entrada", "entrada"]
        assert ("operator:lab", BOX, "entrada", "stream") in looks(gateway)
    wait_until(lambda: box.frigate.open_streams == [], "Frigate is left alone", box.alive)


def test_looking_leaves_room_for_people(gateway, box):
    """Each way of looking is a stream in the tunnel by which people log in, too: there are only so many. Who joins needs none."""
    with contextlib.ExitStack() as viewers:
        for fps in range(1, 7):
            assert viewers.enter_context(Viewer(gateway, query=f"fps={fps}&height=90")).next() is not None
        with Viewer(gateway, query="fps=7&height=90") as one_too_many:
            assert one_too_many.status == 429 and b"camera.busy" in one_too_many.answer.read()
        with Viewer(gateway, query="fps=6&height=90") as joining:
            assert joining.status == 200 and joining.next() is not None
    wait_until(lambda: box.frigate.open_streams == [], "Frigate is left alone", box.alive)


def test_a_slow_viewer_loses_pictures(gateway, box):
    """One who takes nothing for a while goes on with what is new then, and holds up nobody."""
    with Viewer(gateway, query="fps=10&height=720", buffer=32768) as slow, Viewer(gateway, query="fps=10&height=720") as quick:
        first = slow.next()
        seen = [quick.next() for _ in range(30)]
        assert seen[-1] - first >= 25
        numbers = [slow.next() for _ in range(8)]
        gaps = [b - a for a, b in zip([first, *numbers], numbers)]
        assert min(gaps) > 0 and max(gaps) > 10, (first, numbers)
        assert quick.next() > seen[-1]


def test_frigate_restarts_in_mid_stream(gateway, box):
    """The states are told, and the same viewer gets pictures again by himself."""
    with Viewer(gateway) as v:
        assert v.next()
        box.frigate.stop()
        last = box.frigate.frames
        box.wait_frigate("away")
        assert b"camera.frigate" in frame(gateway)[2]
        wait_until(lambda: "cameras.frigate" in faults(gateway), "it is a fault", box.alive)
        box.frigate.start()
        while (number := v.next()) is not None and number <= last + 1:
            pass
        assert number is not None
    wait_until(lambda: "cameras.frigate" not in faults(gateway), "it is none any more", box.alive)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_misbehaviour(gateway, box, behaviour):
    """Whatever Frigate sends in mid-stream, no half picture is shown, and it goes on when Frigate does."""
    with Viewer(gateway) as v:
        assert v.next()
        begun, misdeeds = box.frigate.streams_begun, box.frigate.misdeeds
        box.frigate.behave(behaviour)
        if behaviour in ("error", "hang"):
            box.frigate.cut_streams()
        wait_until(lambda: box.frigate.misdeeds > misdeeds, "it misbehaves", box.alive)
        if behaviour in ("truncate", "boundary", "endless"):
            wait_until(lambda: box.frigate.streams_begun > begun, "it is asked again", box.alive)
        box.frigate.behave()
        last = box.frigate.frames
        while (number := v.next()) is not None and number <= last + 1:
            pass
        assert number is not None


def test_offline_camera(gateway, box):
    box.frigate.offline.add("garagem")
    assert frame(gateway, "garagem")[0] == 200
    wait_until(lambda: {"name": "garagem", "state": "offline"} in box.cameras().json["cameras"], "it is told", box.alive)
    wait_until(lambda: "garagem" in faults(gateway).get("cameras.offline", ""), "it is a fault", box.alive)


def test_tunnel_is_cut(gateway, box):
    """Ten times: the viewer's connection stays, and pictures come again, whole and in order."""
    with Viewer(gateway) as v:
        number = v.next()
        for _ in range(10):
            box.line.cut()
            wait_until(lambda: box.line.pairs, "it is connected again", box.alive)
            last, number = number, v.next()
            assert number > last
    wait_until(lambda: box.frigate.open_streams == [], "nothing stays behind", box.alive)


def test_a_revoked_token_sees_no_more(gateway, box):
    token = gateway.run("tokens", "add", "--role", "operator", "olga").strip().split()[-1]
    with Viewer(gateway, token=token) as v, Viewer(gateway) as other:
        assert v.next() and other.next()
        gateway.run("tokens", "revoke", "olga")
        while v.next() is not None:
            pass
        last = other.next()
        assert other.next() > last
    assert box.alive() is None


def test_a_ticket_stands_for_a_token(gateway, box, folder):
    """For one camera, for one stream and any picture, for the operator who asked for it, and for no longer than her token."""
    token = gateway.run("tokens", "add", "--role", "operator", "tina").strip().split()[-1]
    status, it = ticket(gateway, token=token)
    assert status == 201 and (it["device"], it["camera"]) == (BOX, "entrada")
    for _ in range(2):
        status, headers, body = anybody(gateway, it["frame"] + "&height=90")
        assert status == 200 and frame_number(body) > 0
    assert headers["Cross-Origin-Resource-Policy"] == "cross-origin" and headers["Referrer-Policy"] == "no-referrer"
    place, _, shown = it["frame"].partition("?")
    for path in (it["frame"].replace("entrada", "garagem"), it["frame"].replace(BOX, "other"), it["frame"][:-1], place,
                 place + "?ticket=", "/v1/devices?" + shown):
        status, _, body = anybody(gateway, path)
        assert status == 401, (path, body)
    with Viewer(gateway, path=it["stream"] + "&fps=10&height=90") as v, Viewer(gateway) as other:
        assert v.next() and other.next()
        status, _, body = anybody(gateway, it["stream"])
        assert status == 401 and b"camera.ticket" in body, "it was used"
        left = ticket(gateway, token=token)[1]
        assert anybody(gateway, left["frame"])[0] == 200
        wait_until(lambda: {("operator:tina", BOX, "entrada", "picture"), ("operator:tina", BOX, "entrada", "stream")} <=
                   set(looks(gateway)), "both are written down", box.alive)
        gateway.run("tokens", "revoke", "tina")
        while v.next() is not None:
            pass
        assert anybody(gateway, left["frame"])[0] == 401 and other.next()
    viewer = gateway.run("tokens", "add", "--role", "viewer", "victor").strip().split()[-1]
    assert ticket(gateway, token=viewer)[0] == 403 and ticket(gateway, "..%2fconfig")[0] == 404
    url = Fleet(gateway.url, gateway.token, folder).run("camera", BOX, "garagem", "--url", check=0).stdout.strip()
    assert url.startswith(gateway.url + "/v1/devices/")
    with Viewer(gateway, path=url[len(gateway.url):] + "&height=90") as v:
        assert v.next()
    audit = json.dumps(gateway.request("GET", "/v1/audit?limit=1000").json)
    assert not [text for text in (gateway.log(), audit) if "ticket=" in text or "sbv_" in text]


class OtherPage(Served):
    """An empty page of another origin than the gateway's."""

    def __init__(self):
        class Page(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

            def do_GET(self):  # pylint: disable=invalid-name
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<!doctype html><title>another page</title><body>")

        self.server = HttpServer(Page)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.mark.skipif(not available(), reason="chromium and chromium-driver are not installed")
def test_an_img_of_another_page_shows_a_camera(gateway, box):
    """By its address alone, which has a ticket; without one it shows nothing."""
    # a multipart image is loaded with its first picture, in some browsers with its last one: its size tells
    show = """const image = new Image(); image.src = a[0]; document.body.append(image);
              const until = Date.now() + a[1];
              const failed = new Promise(ok => image.onerror = () => ok(0));
              while (!image.naturalWidth && Date.now() < until)
                  if (await Promise.race([failed, new Promise(ok => setTimeout(() => ok(1), 50))]) === 0) return 0;
              return image.naturalWidth;"""
    with OtherPage() as other, Browser() as page:
        page.call("POST", "/timeouts", {"script": PATIENCE_SECONDS * 1000})
        page.open(other.url)
        it = ticket(gateway)[1]
        for path in (it["frame"], it["stream"]):
            assert page.run(show, f"{gateway.url}{path}&height=90", PATIENCE_SECONDS * 900) == 160
        assert page.run(show, gateway.url + it["stream"], PATIENCE_SECONDS * 900) == 0
        wait_until(lambda: box.frigate.open_streams == ["entrada"], "the browser looks", box.alive)
    wait_until(lambda: box.frigate.open_streams == [], "nobody looks", box.alive)


@pytest.mark.skipif(not available(), reason="chromium and chromium-driver are not installed")
def test_a_browser_shows_a_camera_while_the_tunnel_is_cut(gateway, box):
    """Its picture moves again after each cut, and it is the same image all the while."""
    def moves(page, when):
        shown = page.picture("img")
        wait_until(lambda: page.picture("img") != shown, f"the picture moves {when}", box.alive)

    with OtherPage() as other, Browser() as page:
        page.open(other.url)
        page.run("""const image = new Image(); image.src = a[0]; image.onerror = () => document.title = "failed";
                    document.body.append(image);""", f"{gateway.url}{ticket(gateway)[1]['stream']}&height=360&fps=5")
        wait_until(lambda: page.run("return document.images[0].naturalWidth") == 640, "the first picture", box.alive)
        moves(page, "at first")
        for cut in range(CUTS):
            until = time.monotonic() + CUT_EVERY_SECONDS
            box.line.cut()
            wait_until(lambda: box.line.pairs, "it is connected again", box.alive)
            moves(page, f"after cut {cut + 1}")
            while time.monotonic() < until:
                moves(page, "between cuts")
        assert page.run("return document.title") == "another page"
    wait_until(lambda: box.frigate.open_streams == [], "nobody looks", box.alive)


def test_uplink_is_bounded(gateway, box):
    """Pictures are passed over, not queued: what is seen is new, and the whole is below what is allowed."""
    box.start_with(CAMERA_UPLINK_KBIT="80")
    box.wait_frigate("up")
    try:
        with Viewer(gateway, query="fps=10&height=360") as v:
            start, first = time.monotonic(), v.next()
            size_of_one = len(frame(gateway, query="?height=360")[2])
            size, number = box.line.passed, first
            seen = 0
            while time.monotonic() - start < 5:
                last, number, seen = number, v.next(), seen + 1
                assert number > last
            passed = box.line.passed - size
            took = time.monotonic() - start
        # one second's worth ahead, the picture that is one too many, and what the tunnel adds
        assert passed < 1.2 * 10_000 * (took + 1) + 2 * size_of_one, (passed, took)
        assert number - first > seen, "some were passed over"
    finally:
        box.start_with(CAMERA_UPLINK_KBIT=None)


def test_single_pictures_are_bounded(gateway, box):
    """They wait for their turn, or for another try: whoever asks again and again gets no more of the line than a stream."""
    box.start_with(CAMERA_UPLINK_KBIT="80")
    box.wait_frigate("up")
    try:
        start, size, answers = time.monotonic(), box.line.passed, []
        while sum(len(body) for status, body in answers if status == 200) < 60_000:
            status, _, body = frame(gateway, query="?height=360")
            assert status == 200 or (status == 429 and b"camera.busy" in body), (status, body)
            answers.append((status, body))
        largest = max(len(body) for _, body in answers)
        passed, took = box.line.passed - size, time.monotonic() - start
        assert passed < 1.2 * 10_000 * (took + 1) + 2 * largest, (passed, took)
    finally:
        box.start_with(CAMERA_UPLINK_KBIT=None)


def test_who_looks_again_and_again_is_written_down_once_a_minute(gateway, box):
    begun, before = time.monotonic(), looks(gateway)
    for _ in range(3):
        assert frame(gateway, "garagem")[0] == 200
    assert frame(gateway, "entrada")[0] == 200
    wait_until(lambda: ("operator:lab", BOX, "garagem", "picture") in looks(gateway), "it is written down", box.alive)
    now = looks(gateway)
    more = now[:len(now) - len(before)]
    assert len(more) <= 2 or time.monotonic() - begun > 60, more


def test_login(gateway, box):
    """Port 8971 with a viewer's login; a wrong password is told; Frigate's restart forgets who was logged in."""
    frigate = box.frigate
    try:
        box.start_with(FRIGATE_URL=f"http://127.0.0.1:{frigate.login_port}", FRIGATE_USER=frigate.user[0], FRIGATE_PASSWORD="wrong")
        box.wait_frigate("refuses")
        assert "FRIGATE_PASSWORD" in box.cameras().json["why"]
        box.start_with(FRIGATE_PASSWORD=frigate.user[1])
        box.wait_frigate("up")
        with Viewer(gateway) as v:
            before = v.next()
            frigate.stop()
            frigate.start()
            while v.next() <= before + 3:
                pass
        log = read_text(box.log)
        assert frigate.user[1] not in log and not any(token in log for token in frigate.tokens)
    finally:
        box.start_with(FRIGATE_URL=f"http://127.0.0.1:{frigate.port}", FRIGATE_USER=None, FRIGATE_PASSWORD=None)


def test_boxes_without_cameras(gateway, box, folder):
    """No Frigate, no secbox: each has a sentence of its own."""
    box.start_with(FRIGATE_URL=None)
    try:
        wait_until(lambda: box.cameras().status == 404, "it has none", box.alive)
        assert "FRIGATE_URL" in box.cameras().json["error"]["message"]
    finally:
        box.start_with(FRIGATE_URL=f"http://127.0.0.1:{box.frigate.port}")
    gateway.enroll("old-box")
    fleet = Fleet(gateway.url, gateway.token, folder)
    assert "device.offline" in fleet.run("camera", "old-box", check=3).stderr

# SPDX-License-Identifier: MIT
"""Recordings of a stand-in for Frigate, by a real secbox and a real gateway: with a token on the box, and through the tunnel."""
# pylint: disable=redefined-outer-name,unused-import
import http.client
import json
import os
import ssl
import subprocess
import uuid

import pytest

from tests.conftest import require_programs
from tests.integration.data_box import pg
from tests.integration.test_community_whole import Cloud
from tests.integration.test_lan import LanBox
from tests.integration.test_media import PLAYER, Portal
from tests.lab.browser import Browser, available
from tests.lab.cut_proxy import CutCloud
from tests.lab.fleet import Fleet
from tests.lab.frigate_stand_in import FrigateStandIn, Recording
from tests.lab.gateway import Gateway
from tests.lab.util import PATIENCE_SECONDS, program, read_text, wait_until

BOX = "caseta5"
START, END = 1700000000, 1700000600
FROM, UNTIL = "2023-11-14T22:13:20Z", "2023-11-14T22:23:20Z"


class Place:
    """A community with a box, whose tunnel can be cut, and a Frigate."""

    def __init__(self, gateway, pg, frigate):
        self.gateway, self.frigate = gateway, frigate
        self.community = str(uuid.uuid4())
        assert gateway.request("PUT", f"/v1/communities/{self.community}", {"name": "Las Lomas"}).status == 201
        env = gateway.enroll(BOX)
        self.line = CutCloud(gateway)
        self.box = LanBox(self.line, pg)
        self.box.env.update(BOOTSTRAP=env["BOOTSTRAP"], FRIGATE_URL=f"http://127.0.0.1:{frigate.port}")
        self.box.start()
        wait_until(lambda: gateway.request("GET", f"/v1/devices/{BOX}/cameras").json.get("frigate") == "up", "Frigate",
                   self.box.alive)

    def serve_community(self, fleet):
        assert fleet.run("devices", "relabel", BOX, f"community={self.community}", check=0)

    def through(self, file, camera="entrada", window=f"{START}-{END}", token=None, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, f"/v1/devices/{BOX}/recordings/{camera}/{window}/{file}",
                               headers={"Authorization": f"Bearer {token or self.gateway.token}", **headers})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def audit(self, action=None):
        """Newest first; written after the answer, so an entry may come later than it."""
        entries = self.gateway.request("GET", "/v1/audit?limit=1000").json["entries"]
        return [e for e in entries if action in (None, e["action"])]

    def close(self):
        self.box.stop()
        self.box.close()
        self.line.close()


@pytest.fixture
def place(folder, pg):
    require_programs("secbox", "secbox-gateway")
    with Gateway(os.path.join(folder, "gateway")) as gateway, FrigateStandIn() as frigate:
        it = Place(gateway, pg, frigate)
        yield it
        it.close()


def refusal_if_there(place, path):
    """The id of the error that a box answers with; None while it starts, or answers with a recording."""
    try:
        status, body = from_box(place, path)
    except OSError:
        return None
    return None if status == 200 else json.loads(body)["error"]["id"]


def from_box(place, path, **headers):
    context = ssl.create_default_context(cafile=place.box.authority)
    connection = http.client.HTTPSConnection("127.0.0.1", place.box.media_port, context=context, timeout=PATIENCE_SECONDS)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_the_cloud_gives_a_token_and_the_box_takes_it(place, folder):
    gateway, fleet = place.gateway, Fleet(place.gateway.url, place.gateway.token, folder)
    want = {"camera": "entrada", "from": FROM, "until": UNTIL}
    assert gateway.request("POST", f"/v1/devices/{BOX}/recordings", want).status == 409, "a box of no community has no key"
    place.serve_community(fleet)
    answer = gateway.request("POST", f"/v1/devices/{BOX}/recordings", {**want, "person": "ana@portal"})
    assert answer.status == 201, answer.json
    it = answer.json["recording"]
    assert it["path"].startswith(f"/media/vod/entrada/{START}/{END}/master.m3u8?t=ey") and it["person"] == "ana@portal"
    wait_until(lambda: from_box(place, it["path"])[0] == 200, "the box knows the key", place.box.alive)
    assert from_box(place, it["clip"]) == (200, Recording.clip())
    assert "ana@portal sees the recording of the camera entrada" in read_text(place.box.log)
    entry = place.audit("recording.allowed")[0]
    assert (entry["device"], entry["actor"]) == (BOX, "operator:lab")
    assert entry["detail"]["camera"] == "entrada" and entry["detail"]["person"] == "ana@portal"
    token = it["path"].split("?t=")[1]
    assert not [text for text in (json.dumps(place.audit()), gateway.log(), read_text(place.box.log)) if token in text]
    told = fleet.run("recordings", BOX, "entrada", "--from", FROM, "--to", UNTIL, check=0).stdout
    assert f"/media/vod/entrada/{START}/{END}/master.m3u8?t=" in told
    assert f"strip   https://THE-BOX/media/preview/entrada/{START}/{END}/strip.json?t=" in told
    place.frigate.add_preview("entrada", START, END + 0.5)
    status, body = from_box(place, it["strip"])
    assert status == 200 and json.loads(body)["parts"][0]["file"] == f"{START}.0-{END}.5.mp4"
    for bad in ({"camera": "../x"}, {"from": UNTIL, "until": FROM}, {"until": "2023-11-16T22:13:20Z"}, {"from": "yesterday"},
                {"person": ""}):
        assert gateway.request("POST", f"/v1/devices/{BOX}/recordings", {**want, **bad}).status == 400, bad
    assert gateway.request("POST", "/v1/devices/nobody/recordings", want).status == 404
    viewer = gateway.run("tokens", "add", "--role", "viewer", "vera").strip().split()[-1]
    assert "auth.role" in Fleet(gateway.url, viewer, folder).run("recordings", BOX, "entrada", "--from", FROM, "--to", UNTIL,
                                                                 check=1).stderr


def test_through_the_tunnel(place, folder):
    fleet = Fleet(place.gateway.url, place.gateway.token, folder)
    status, headers, master = place.through("master.m3u8")
    assert (status, headers["Content-Type"]) == (200, "application/vnd.apple.mpegurl") and master.endswith(b"\nindex-v1.m3u8\n")
    status, _, index = place.through("index-v1.m3u8")
    assert status == 200 and b"seg-0-v1.m4s" in index
    piece = Recording.file("seg-0-v1.m4s")
    status, headers, body = place.through("seg-0-v1.m4s")
    assert (status, body) == (200, piece) and headers["Accept-Ranges"] == "bytes"
    status, headers, body = place.through("seg-0-v1.m4s", Range="bytes=10-19")
    assert (status, body) == (206, piece[10:20]) and headers["Content-Range"] == f"bytes 10-19/{len(piece)}"
    assert place.through("seg-0-v1.m4s", Range=f"bytes={len(piece)}-")[0] == 400
    place.frigate.add_preview("entrada", START, END + 0.5)
    place.frigate.add_frame("entrada", START + 1)
    status, headers, body = place.through("strip.json", camera="garagem")
    assert status == 404, "nothing of another camera"
    for file, holds in (("frames.json", b'"1700000001.0.webp"'), (f"{START + 1}.0.webp", b"RIFF"),
                        (f"{START}.0-{END}.5.mp4", b"ftyp")):
        status, _, body = place.through(file)
        assert status == 200 and holds in body, file
    assert place.through(f"{START - 1}.0.webp")[0] == 404, "it is not within the window"
    path = os.path.join(folder, "clip.mp4")
    with open(path, "wb") as out:
        subprocess.run([program("secbox-fleet"), "recordings", BOX, "entrada", "--from", FROM, "--to", UNTIL, "--download"],
                       env=fleet.env, stdout=out, check=True)
    with open(path, "rb") as f:
        assert f.read() == Recording.clip()
    wait_until(lambda: len(place.audit("recording.seen")) > 1, "both are written down", place.box.alive)
    seen = [(e["actor"], e["detail"]["file"]) for e in place.audit("recording.seen")]
    assert seen == [("operator:lab", "clip.mp4"), ("operator:lab", "master.m3u8")], "pieces are not written down one by one"
    assert place.through("seg-0-v1.m4s", window=f"{START}-{END - 1}")[0] == 200
    wait_until(lambda: place.audit("recording.seen")[0]["detail"]["file"] == "seg-0-v1.m4s",
               "but whoever begins with one is", place.box.alive)


def test_the_clip_of_an_event(place, folder):
    """With a token for exactly that on the box, and through the tunnel."""
    gateway, fleet = place.gateway, Fleet(place.gateway.url, place.gateway.token, folder)
    event = place.frigate.add_event("entrada")["id"]
    place.serve_community(fleet)
    for bad in ({"event": "../config"}, {"event": event, "from": FROM}, {"event": event, "until": UNTIL}):
        assert gateway.request("POST", f"/v1/devices/{BOX}/recordings", {"camera": "entrada", **bad}).status == 400, bad
    it = fleet.json("recordings", BOX, "entrada", "--event", event)["recording"]
    assert it["event"] == event and it["clip"].startswith(f"/media/event/{event}.mp4?t=ey") and "path" not in it
    wait_until(lambda: from_box(place, it["clip"])[0] == 200, "the box knows the key", place.box.alive)
    assert from_box(place, it["clip"]) == (200, Recording.clip())
    assert place.audit("recording.allowed")[0]["detail"]["event"] == event
    told = fleet.run("recordings", BOX, "entrada", "--event", event, check=0).stdout
    assert f"https://THE-BOX/media/event/{event}.mp4?t=" in told
    path = os.path.join(folder, "clip.mp4")
    with open(path, "wb") as out:
        subprocess.run([program("secbox-fleet"), "recordings", BOX, "entrada", "--event", event, "--download"], env=fleet.env,
                       stdout=out, check=True)
    with open(path, "rb") as f:
        assert f.read() == Recording.clip()
    wait_until(lambda: place.audit("recording.seen"), "it is written down", place.box.alive)
    assert place.audit("recording.seen")[0]["detail"] == {"camera": "entrada", "event": event}
    for file in ("1700000000.1-none.mp4", "..%2fconfig.mp4", f"{event}.m3u8", f"{event}"):
        assert place.through(file, window="events")[0] == 404, file
    answer = fleet.run("recordings", BOX, "entrada", "--event", event, "--from", FROM, check=2)
    assert "--event stands alone" in answer.stderr


def cookie_of(place, path):
    """Of a session that a token begins."""
    context = ssl.create_default_context(cafile=place.box.authority)
    connection = http.client.HTTPSConnection("127.0.0.1", place.box.media_port, context=context, timeout=PATIENCE_SECONDS)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 200
    return answer.headers["Set-Cookie"].split(";")[0]


def test_tokens_are_taken_back(place, folder):
    """One by its id, in the middle of a file; all of a box, which is away, and is told later; and an operator's with her own."""
    fleet = Fleet(place.gateway.url, place.gateway.token, folder)
    place.serve_community(fleet)
    window = ("recordings", BOX, "entrada", "--from", FROM, "--to", UNTIL)
    one, other = (fleet.json(*window)["recording"] for _ in range(2))
    wait_until(lambda: from_box(place, one["path"])[0] == 200, "the box knows the key", place.box.alive)
    cookie, place_of = cookie_of(place, other["path"]), other["path"].partition("?")[0]
    place.frigate.behave("recordings-stall")
    with pytest.raises((http.client.IncompleteRead, ConnectionError, ssl.SSLError)):
        context = ssl.create_default_context(cafile=place.box.authority)
        connection = http.client.HTTPSConnection("127.0.0.1", place.box.media_port, context=context, timeout=PATIENCE_SECONDS)
        connection.request("GET", one["clip"])
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read(1)
        assert fleet.json("recordings-revoke", BOX, one["id"]) == {"revoked": 1}
        answer.read()
    connection.close()
    place.frigate.behave()
    status, body = from_box(place, one["path"])
    assert status == 403 and json.loads(body)["error"]["id"] == "media.token-revoked"
    assert from_box(place, place_of, Cookie=cookie)[0] == 200, "the other goes on"
    # while it is away
    place.box.kill()
    assert "1 taken back" in fleet.run("recordings-revoke", BOX, check=0).stdout
    assert "0 taken back" in fleet.run("recordings-revoke", BOX, check=0).stdout
    assert "0 taken back" in fleet.run("recordings-revoke", BOX, other["id"], check=0).stdout
    refused = fleet.run("recordings-revoke", BOX, one["id"][:-1] + ("a" if one["id"][-1] != "a" else "b"), check=1).stderr
    assert "there is no token with this id" in refused
    place.box.start()
    wait_until(lambda: refusal_if_there(place, other["path"]) == "media.token-revoked", "it is told when it is back",
               place.box.alive)
    # with the operator's own
    token = place.gateway.run("tokens", "add", "--role", "operator", "olga").strip().split()[-1]
    hers = Fleet(place.gateway.url, token, folder).json(*window)["recording"]
    cookie = cookie_of(place, hers["path"])
    place.gateway.run("tokens", "revoke", "olga")
    wait_until(lambda: from_box(place, place_of, Cookie=cookie)[0] == 401, "hers ends with her token", place.box.alive)
    assert [e["actor"] for e in place.audit("recording.revoked")] == ["gateway", "operator:lab", "operator:lab"]
    assert fleet.run("recordings-revoke", "nobody", check=1) and fleet.run("recordings-revoke", BOX, "x", check=1)


def test_heads_through_the_tunnel(place):
    event = place.frigate.add_event("entrada")["id"]
    for window, file, asked in ((f"{START}-{END}", "master.m3u8", {}), (f"{START}-{END}", "seg-0-v1.m4s", {}),
                                (f"{START}-{END}", "seg-0-v1.m4s", {"Range": "bytes=0-9"}), (f"{START}-{END}", "seg-99-v1.m4s", {}),
                                ("events", "1700000000.1-none.mp4", {})):
        status, headers, body = place.through(file, window=window, method="HEAD", **asked)
        as_get, headers_of_get, _ = place.through(file, window=window, **asked)
        assert (status, body) == (as_get, b""), file
        for name in ("Content-Length", "Content-Type", "Content-Range", "Accept-Ranges"):
            assert headers[name] == headers_of_get[name], (file, name)
    wait_until(lambda: place.audit("recording.seen"), "what was sent is written down", place.box.alive)
    before = len(place.audit("recording.seen"))
    place.frigate.behave("recordings-stall")
    status, headers, _ = place.through(f"{event}.mp4", window="events", method="HEAD")
    assert status == 200 and "Content-Length" not in headers
    place.frigate.behave()
    assert place.through(f"{event}.mp4", window="events")[2] == Recording.clip()
    wait_until(lambda: len(place.audit("recording.seen")) > before, "that one is", place.box.alive)
    assert len(place.audit("recording.seen")) == before + 1, "a head is not"


def test_what_is_refused_through_the_tunnel(place, folder):
    viewer = place.gateway.run("tokens", "add", "--role", "viewer", "vera").strip().split()[-1]
    assert place.through("clip.mp4", token=viewer)[0] == 403
    asked = len(place.frigate.requests)
    for camera, window, file in (("nowhere", f"{START}-{END}", "clip.mp4"), ("entrada", "1-100000", "clip.mp4"),
                                 ("entrada", f"{END}-{START}", "clip.mp4"), ("entrada", "x", "clip.mp4"),
                                 ("entrada", f"{START}-{END}", "config.json"), ("entrada", f"{START}-{END}", "..%2fconfig.mp4"),
                                 ("..%2fconfig", f"{START}-{END}", "clip.mp4")):
        assert place.through(file, camera, window)[0] in (400, 404), (camera, window, file)
    assert not [path for _, path, _ in place.frigate.requests[asked:] if not path.startswith(("/api/config", "/api/stats"))]
    assert place.through("seg-99-v1.m4s")[0] == 404
    place.frigate.behave("recordings-truncate")
    try:
        assert place.through("seg-0-v1.m4s")[0] >= 500
    except (http.client.IncompleteRead, ConnectionError):
        pass  # its head was on the way before it was known
    answer = Fleet(place.gateway.url, place.gateway.token, folder).run("recordings", BOX, "entrada", "--from", "x", "--to", UNTIL,
                                                                       check=2)
    assert "--from TIME" in answer.stderr


@pytest.mark.skipif(not available(), reason="chromium and chromium-driver are not installed")
def test_a_browser_plays_what_comes_through_the_tunnel(place, folder):
    """By a portal that asks the gateway with its own token."""
    with Portal(folder, place.through) as portal:
        browser = Browser()
        browser.trust(portal.cert)
        with browser as page:
            page.call("POST", "/timeouts", {"script": PATIENCE_SECONDS * 1000})
            page.open(portal.origin)
            assert page.run(PLAYER, "/recording/", "") == [640, 360, 10]


def test_a_download_outlives_a_cut_of_the_tunnel(place, folder):
    """The bound of the uplink keeps it on its way, and Frigate holds the rest back until the line was cut."""
    place.box.kill()
    place.box.env["MEDIA_UPLINK_KBIT"] = "400"
    place.box.start()
    wait_until(lambda: place.gateway.request("GET", f"/v1/devices/{BOX}/cameras").json.get("frigate") == "up", "Frigate",
               place.box.alive)
    fleet, path = Fleet(place.gateway.url, place.gateway.token, folder), os.path.join(folder, "clip.mp4")
    place.frigate.behave("recordings-stall")
    with open(path, "wb") as out:
        run = subprocess.Popen([program("secbox-fleet"), "recordings", BOX, "entrada", "--from", FROM, "--to", UNTIL, "--download"],
                               env=fleet.env, stdout=out)
        wait_until(lambda: os.path.getsize(path) > 0 or run.poll() is not None, "some of it is here", place.box.alive)
        assert os.path.getsize(path) < len(Recording.clip()), "there is nothing left to be cut"
        place.line.cut()
        place.frigate.behave()
        assert run.wait() == 0
    with open(path, "rb") as f:
        assert f.read() == Recording.clip()

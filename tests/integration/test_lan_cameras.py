# SPDX-License-Identifier: MIT
"""Cameras for the guards of a box: a list, single pictures, pictures that go on, and the moment of an entry; from a stand-in for
Frigate, by a real secbox with a real database."""
# pylint: disable=redefined-outer-name,unused-import
import contextlib
import datetime
import hashlib
import http.client
import json
import os
import socket

import pytest
import yaml

from tests.integration.fake_cloud import FakeCloud
from tests.integration.test_cameras import ASKED, Viewer
from tests.integration.test_lan import Place, Tablet, cloud, pg, place, uuid7
from tests.integration.test_matches import Gate
from tests.lab.frigate_stand_in import FrigateStandIn, Pictures, frame_number
from tests.lab.util import PATIENCE_SECONDS, ROOT, read_text, wait_until

CAMERAS = "/api/lan/cameras"
# those of the sample that is shipped: what we check of their names takes them
NAMES = list(yaml.safe_load(read_text(os.path.join(ROOT, "compose/examples/frigate-config.yml")))["cameras"])


class CameraGate(Gate):
    """One whose camera `entrada` is at the gate."""

    def __init__(self, place, frigate):
        place.box.env["ENTRY_CAMERA"] = "entrada"
        super().__init__(place, frigate)
        self.wait_cameras("up", *["online"] * len(NAMES))

    def states(self):
        answer = self.tablet.get(CAMERAS)
        assert answer.status == 200, answer.raw
        return [answer.json["frigate"], *(c["state"] for c in answer.json["cameras"])]

    def wait_cameras(self, *states):
        wait_until(lambda: self.states() == list(states), f"Frigate and its cameras are {states}", self.box.alive)

    def restart_frigate(self):
        """It is asked at once how its cameras are, and not when its turn comes."""
        self.frigate.stop()
        self.frigate.behave()
        wait_until(lambda: self.frame().status == 503 and self.states()[0] == "away", "Frigate is away", self.box.alive)
        self.frigate.offline.clear()
        self.frigate.start()
        self.wait_cameras("up", *["online"] * len(NAMES))

    def frame(self, query="camera=entrada", tablet=None):
        return (tablet or self.tablet).get(f"{CAMERAS}/frame?{query}")

    def guard(self, guard, pin):
        """Another tablet."""
        tablet = Tablet(self.box)
        assert tablet.log_in(guard, pin).status == 200
        return tablet

    def enter(self, **entry):
        """Its event, as the cloud gets it."""
        wanted = uuid7()
        answer = self.tablet.post("/api/lan/entries", {"kind": "enter", "name": "Ana", "clientId": wanted, **entry})
        assert answer.status == 201, answer.raw
        return wait_until(lambda: self.box.server.events.get(wanted), "the cloud has it", self.box.alive)["data"]

    def enter_and_leave(self):
        """The same of a tablet that is gone before it is answered."""
        wanted, asked, tablet = uuid7(), "/api/entrada/latest.jpg", Tablet(self.box)
        before = len(self.frigate.asked(asked))
        tablet.open()
        tablet.connection.request("POST", "/api/lan/entries", json.dumps({"kind": "enter", "name": "Ana", "clientId": wanted}), {
            "Cookie": "; ".join(f"{k}={v}" for k, v in self.tablet.cookies.items()), "Content-Type": "application/json"})
        wait_until(lambda: len(self.frigate.asked(asked)) > before or self.box.server.events.get(wanted), "the box has it",
                   self.box.alive)
        tablet.connection.close()
        return wait_until(lambda: self.box.server.events.get(wanted), "the cloud has it", self.box.alive)["data"]

    def enter_with_picture(self, **entry):
        """On a busy machine a picture may come too late for an entry, but not for all."""
        return wait_until(lambda: (d := self.enter(**entry)).get("photos") and d, "an entry with a picture", self.box.alive)


class LanViewer(Viewer):
    """A guard's browser."""

    def __init__(self, tablet, query="camera=entrada", buffer=None):  # pylint: disable=super-init-not-called
        raw = socket.socket()
        if buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        raw.settimeout(PATIENCE_SECONDS)
        raw.connect(("127.0.0.1", tablet.box.port))
        self.connection = http.client.HTTPSConnection(tablet.host, tablet.box.port, timeout=PATIENCE_SECONDS)
        self.connection.sock = tablet.context.wrap_socket(raw, server_hostname=tablet.host)
        self.connection.request("GET", f"{CAMERAS}/stream?{query}",
                                headers={"Cookie": "; ".join(f"{k}={v}" for k, v in tablet.cookies.items())})
        self.answer = self.connection.getresponse()
        self.status = self.answer.status


@contextlib.contextmanager
def camera_gate(cloud, pg, frigate):
    place = Place(cloud, pg)
    try:
        yield CameraGate(place, frigate)
    finally:
        place.box.stop()
        place.box.close()


@pytest.fixture(scope="module")
def standing(pg):
    for height in (360, 480, 720):
        Pictures.loop(height)  # made before anybody waits for them
    with FakeCloud() as cloud, FrigateStandIn(NAMES) as frigate:
        with camera_gate(cloud, pg, frigate) as it:
            yield it


@pytest.fixture
def gate(standing):
    """Whatever the test before did to it; Frigate never hears of anything else than what shows pictures."""
    standing.frigate.behave()
    standing.frigate.offline.clear()
    if standing.tablet.get("/api/lan/session").status == 401:
        assert standing.tablet.log_in(standing.place.guard).status == 200
    if standing.states() != ["up", *["online"] * len(NAMES)]:
        standing.restart_frigate()
    wait_until(lambda: standing.frigate.open_streams == [], "nobody looks", standing.box.alive)
    yield standing
    assert not standing.frigate.forbidden() and not standing.frigate.orders
    # a box with a community asks for the list of faces, too
    assert [path for _, path, _ in standing.frigate.requests if path != "/api/faces" and not ASKED.fullmatch(path)] == []


def test_list_and_picture(gate):
    stranger = Tablet(gate.box)
    for path in (CAMERAS, f"{CAMERAS}/frame?camera=entrada", f"{CAMERAS}/stream?camera=entrada"):
        assert stranger.get(path).status == 401, path
    said = gate.tablet.get(CAMERAS).json
    assert said == {"frigate": "up", "entry": "entrada", "cameras": [{"name": n, "state": "online"} for n in NAMES]}
    assert gate.tablet.get("/api/lan/status").json["cameras"] is True and "cameras" not in stranger.get("/api/lan/status").json
    picture = gate.frame()
    assert (picture.status, picture.headers["Content-Type"], picture.headers["Cache-Control"]) == (200, "image/jpeg", "no-store")
    assert frame_number(picture.raw) > 0 and picture.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert gate.frame("camera=garagem&height=500").status == 200
    assert gate.frigate.asked("/api/garagem/latest.jpg")[-1].startswith("/api/garagem/latest.jpg?height=480&"), "one of a few sizes"


def test_what_is_refused(gate):
    begun = gate.frigate.streams_begun
    for query, status, error in (("camera=sala", 404, "camera.unknown"), ("camera=..%2fconfig", 404, "camera.unknown"),
                                 ("camera=entrada%3fx=1", 404, "camera.unknown"), ("camera=", 404, "camera.unknown"),
                                 ("height=90", 400, "lan.bad-request"), ("camera=entrada&height=x", 400, "lan.bad-request"),
                                 ("camera=entrada&height=1081", 400, "lan.bad-request")):
        for what in ("frame", "stream"):
            answer = gate.tablet.get(f"{CAMERAS}/{what}?{query}")
            assert (answer.status, answer.error) == (status, error), (what, query)
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert gate.tablet.ask("GET", f"{CAMERAS}/frame?camera=entrada", headers=headers).status == 403
    assert gate.tablet.post(f"{CAMERAS}/frame", {}).status == 405
    assert gate.frigate.streams_begun == begun


def test_guards_share_one_stream(gate):
    """However many look, Frigate is asked once; the last one ends it."""
    begun = gate.frigate.streams_begun
    other = gate.guard(gate.place.other, "2468")
    with LanViewer(gate.tablet) as one, LanViewer(other) as two, LanViewer(gate.tablet, "camera=entrada&height=485") as near:
        assert one.status == 200 and one.answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        numbers = [one.next() for _ in range(5)]
        assert numbers == sorted(set(numbers)) and two.next() and near.next()
        assert gate.frigate.streams_begun - begun == 1 and gate.frigate.open_streams == ["entrada"]
    wait_until(lambda: gate.frigate.open_streams == [], "Frigate is left alone", gate.box.alive)


def test_one_guard_leaves_room_for_others(gate):
    with contextlib.ExitStack() as viewers:
        for _ in range(6):
            assert viewers.enter_context(LanViewer(gate.tablet)).next()
        with LanViewer(gate.tablet) as one_too_many:
            assert one_too_many.status == 429 and b"camera.busy" in one_too_many.answer.read()
        answer = gate.frame()
        assert (answer.status, answer.error) == (429, "camera.busy")
        other = gate.guard(gate.place.other, "2468")
        assert gate.frame(tablet=other).status == 200
        with LanViewer(other) as of_other:
            assert of_other.next()
    wait_until(lambda: gate.frigate.open_streams == [], "Frigate is left alone", gate.box.alive)
    wait_until(lambda: gate.frame().status == 200, "there is room again", gate.box.alive)


def test_who_logs_out_sees_no_more(gate):
    other = gate.guard(gate.place.other, "2468")
    with LanViewer(gate.tablet) as stays, LanViewer(other) as leaves:
        assert stays.next() and leaves.next()
        assert other.post("/api/lan/session/end", {}).status == 200
        while leaves.next() is not None:
            pass
        last = stays.next()
        assert stays.next() > last


def test_a_slow_guard_loses_pictures(gate):
    """One who takes nothing for a while goes on with what is new then, and holds up nobody."""
    with LanViewer(gate.tablet, "camera=entrada&height=720", buffer=32768) as slow, \
            LanViewer(gate.tablet, "camera=entrada&height=720") as quick:
        first = slow.next()
        while (last := quick.next()) < first + 25:
            assert last is not None
        numbers = [first, *(slow.next() for _ in range(5))]
        gaps = [b - a for a, b in zip(numbers, numbers[1:])]
        assert min(gaps) > 0 and max(gaps) > 10, numbers
        assert quick.next() > last


def test_a_camera_goes_away_and_frigate_does(gate):
    """Both are said, without being asked for; who looks gets pictures again by himself."""
    with LanViewer(gate.tablet) as v:
        assert v.next()
        gate.frigate.offline.add("garagem")
        assert gate.frame("camera=garagem").status == 200, "there is one from before it went away"
        assert gate.states() == ["up", "online", "offline"]
        gate.frigate.stop()
        last = gate.frigate.frames
        wait_until(lambda: gate.states()[0] == "away", "Frigate is away", gate.box.alive)
        assert "why" not in gate.tablet.get(CAMERAS).json, "addresses in the box are no guard's business"
        answer = gate.frame()
        assert (answer.status, answer.error) == (503, "camera.frigate")
        gate.frigate.offline.clear()
        gate.frigate.start()
        while (number := v.next()) is not None and number <= last + 1:
            pass
        assert number is not None


def told(gate, act):
    """The events that a tablet is told of while something is done, until it is told of cameras."""
    watcher = Tablet(gate.box)
    watcher.cookies = dict(gate.tablet.cookies)
    watcher.open()
    watcher.connection.sock.sendall(b"GET /api/lan/events HTTP/1.1\r\nHost: secbox.local\r\nCookie: " + "; ".join(
        f"{k}={v}" for k, v in watcher.cookies.items()).encode() + b"\r\n\r\n")
    with watcher.connection.sock.makefile("rb") as stream:
        while not stream.readline().startswith(b"retry:"):
            pass
        act()
        while stream.readline().strip() != b"event: cameras":
            pass
    watcher.connection.close()


def test_tablets_are_told(gate):
    gate.frigate.offline.add("garagem")
    told(gate, lambda: gate.frame("camera=garagem"))


def test_a_box_without_cameras(place):
    tablet = place.logged_in()
    assert tablet.get(CAMERAS).json == {"frigate": "none", "cameras": []}
    assert tablet.get("/api/lan/status").json["cameras"] is False
    for what in ("frame", "stream"):
        answer = tablet.get(f"{CAMERAS}/{what}?camera=entrada")
        assert (answer.status, answer.error) == (404, "camera.none")
    assert tablet.post("/api/lan/entries", {"kind": "enter", "name": "Ana"}).status == 201


def at(seconds):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_the_moment_of_an_entry(gate):
    """A picture of the camera at the gate is kept with the entry, and goes to the cloud behind it."""
    data = gate.enter_with_picture(plate="XYZ-987")
    digest, = data["photos"]
    assert data["cameraPhoto"] == {"camera": "entrada", "sha256": digest} and data["plate"] == "XYZ-987"
    picture = gate.tablet.get(f"/api/lan/photos?sha256={digest}")
    assert picture.status == 200 and frame_number(picture.raw) > 0 and hashlib.sha256(picture.raw).hexdigest() == digest
    assert gate.frigate.asked("/api/entrada/latest.jpg")[-1].startswith("/api/entrada/latest.jpg?height=720&")
    assert len(picture.raw) <= 300 * 1024
    visit = next(v for v in gate.tablet.get("/api/lan/entries").json["visits"] if v["entry"].get("photos") == [digest])
    assert visit["entry"]["cameraPhoto"]["camera"] == "entrada"
    wait_until(lambda: gate.box.server.photos.get(digest) == picture.raw, "the cloud has the picture", gate.box.alive)
    # beside what a guard has taken
    own = b"\xff\xd8\xff\xe0" + os.urandom(500) + b"\xff\xd9"
    own_digest = hashlib.sha256(own).hexdigest()
    data = wait_until(lambda: (d := gate.enter(photos=[own_digest])).get("cameraPhoto") and d, "both", gate.box.alive)
    assert data["photos"] == [own_digest, data["cameraPhoto"]["sha256"]]
    assert "cameraPhoto" not in gate.enter(photos=[own_digest] * 4), "four are what an event names"
    assert gate.tablet.post("/api/lan/entries", {"kind": "leave", "visit": uuid7()}).status == 201


def test_a_picture_that_is_too_large(gate, monkeypatch):
    """A smaller one is kept in its place."""
    padding = 5 * (b"\xff\xfe\xff\xff" + bytes(65533))
    large = [p[:-2] + padding + p[-2:] for p in Pictures.loop(720)]
    monkeypatch.setitem(Pictures.loops, 720, large)
    digest = gate.enter_with_picture()["cameraPhoto"]["sha256"]
    picture = gate.tablet.get(f"/api/lan/photos?sha256={digest}")
    assert picture.status == 200 and len(picture.raw) < 300 * 1024
    assert gate.frigate.asked("/api/entrada/latest.jpg")[-1].startswith("/api/entrada/latest.jpg?height=480&")


def test_only_of_the_moment_itself(gate):
    """An entry that comes later has no picture of somebody else, however wrong the tablet's clock is."""
    for entry in ({"at": at(-60)}, {"at": at(-60), "sent": at(0)}, {"at": at(0), "sent": at(60)}, {"at": at(0), "sent": "soon"}):
        data = gate.enter(**entry)
        assert "photos" not in data and "cameraPhoto" not in data, entry
    wrong_clock = -86400
    assert gate.enter_with_picture(at=at(wrong_clock), sent=at(wrong_clock))["cameraPhoto"]


def test_an_entry_never_waits_for_a_picture(gate):
    gate.frigate.offline.add("entrada")
    assert "photos" not in gate.enter(), "what is shown is from before the camera went away"
    gate.restart_frigate()
    gate.frigate.behave("hang")
    assert "photos" not in gate.enter()
    assert "gave no picture in time" in read_text(gate.box.log)
    assert "photos" not in gate.enter_and_leave()
    gate.restart_frigate()
    assert gate.enter_with_picture()["cameraPhoto"]

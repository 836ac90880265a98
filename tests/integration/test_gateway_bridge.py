# SPDX-License-Identifier: MIT
"""What the gateway says and takes in the operators' tunnel and in the boxes' streams, frame by frame: both ends are imitated
here, so that they can do what real ones never do."""
# pylint: disable=redefined-outer-name,unused-import
import json
import secrets
import time

import pytest
import websockets

from tests.integration.gateway_lab import NUMBERS, enroll, gw, refused, shared
from tests.lab.device import Tunnel
from tests.lab.util import wait_until

REASON = "a test"
BANNER = b"SSH-2.0-imitated\r\n"
WINDOW = 65536


@pytest.fixture
def box(gw):
    """A box that is only a device tunnel, connected, and a grant for it."""
    it = enroll(gw, f"bridged-{next(NUMBERS)}", "device")
    assert it.claim().status == 201
    it.tunnel = it.connect(False)
    it.grant = gw.request("POST", "/v1/grants", {"device": it.id, "reason": REASON}).json["grant"]["id"]
    yield it
    it.close()


class Person:
    """An operator's tunnel."""

    def __init__(self, gw, box, resume=None, hello=None, token=None):
        self.gw, self.box, self.next_id = gw, box, 2
        self.resume = resume or secrets.token_hex(32)
        self.tunnel = Tunnel(f"{gw.url.replace('http', 'ws', 1)}/v1/devices/{box.id}/bridge", token or gw.token,
                             hello or self.hello(box.id, self.resume))

    @staticmethod
    def hello(device, resume):
        return {"type": "hello", "deviceId": device, "role": "operator", "program": "imitated", "version": "1", "bootId": "b",
                "resume": resume}

    def welcome(self):
        assert self.tunnel.next()["type"] == "welcome"
        return self

    def open(self, **changed):
        stream, self.next_id = self.next_id, self.next_id + 2
        self.token = secrets.token_hex(16)
        self.tunnel.send_frame("open", stream, 0, {"target": "ssh", "grant": self.box.grant, "id": f"mine-{stream}",
                                                   "token": self.token, "window": WINDOW, **changed})
        return stream

    def progress(self, state):
        while True:
            message = self.tunnel.next("bridge.progress")
            if message["state"] == state:
                return message

    def close(self):
        self.tunnel.close()


@pytest.fixture
def person(gw, box):
    it = Person(gw, box).welcome()
    yield it
    it.close()


def answer(box):
    """The box takes the gateway's stream, and its sshd speaks."""
    asked = box.tunnel.next_frame("open")
    box.tunnel.send_frame("credit", asked.stream, WINDOW, bytes(8))
    box.tunnel.send_frame("data", asked.stream, 0, BANNER)
    return asked


def joined(box, person):
    mine = person.open()
    theirs = answer(box).stream
    assert person.tunnel.next_frame("data").payload == BANNER
    return mine, theirs


@pytest.mark.parametrize("changed, reason", [
    ({"deviceId": "another"}, "hello.identity"), ({"role": "device"}, "hello.identity"), ({"resume": None}, "hello.resume"),
    ({"resume": "short"}, "hello.resume"), ({"resume": "x" * 64}, "hello.resume"), ({"resume": "a" * 65}, "hello.resume"),
    ({"program": None}, "message.member"), ({"type": "auth.refresh", "proof": "x"}, "message.sender"),
])
def test_hellos_that_are_refused(gw, box, changed, reason):
    hello = {k: v for k, v in {**Person.hello(box.id, "a" * 32), **changed}.items() if v is not None}
    person = Person(gw, box, hello=hello)
    assert person.tunnel.next() is None and (person.tunnel.code, person.tunnel.reason) == (1008, reason)
    person.close()


def test_who_may_not_even_connect(gw, box):
    url = f"{gw.url.replace('http', 'ws', 1)}/v1/devices/{box.id}/bridge"
    assert refused(url, None) == 401 and refused(url, "sbx_" + "x" * 43) == 401 and refused(url, box.token) == 401
    assert refused(url.replace(box.id, "nobody"), gw.token) == 404
    assert gw.request("GET", f"/v1/devices/{box.id}/bridge").json["error"]["id"] == "ws.not-an-upgrade"


def test_what_the_box_is_asked_and_the_operator_told(gw, box, person):
    mine = person.open(way="device")
    asked = answer(box)
    told = person.progress("open")
    assert (told["way"], told["id"]) == ("device", f"mine-{mine}")
    body = json.loads(asked.payload)
    assert asked.stream % 2 == 1 and body["session"] == told["session"]
    assert (body["target"], body["grant"], body["person"], body["reason"]) == ("ssh", box.grant, "lab", REASON)
    assert person.tunnel.next_frame("data").payload == BANNER
    # bytes of the operator, both ends, and the end
    person.tunnel.send_frame("data", mine, 0, b"hello")
    got = box.tunnel.next_frame("data")
    assert (got.position, got.payload) == (0, b"hello")
    person.tunnel.send_frame("half-close", mine, 5)
    assert box.tunnel.next_frame("half-close").position == 5
    box.tunnel.send_frame("half-close", asked.stream, len(BANNER))
    assert person.tunnel.next_frame("half-close").position == len(BANNER)


def test_a_removed_box_ends_its_sessions(gw, box, person):
    def actions():
        return [e["action"] for e in gw.audit() if e.get("device") == box.id]

    joined(box, person)
    wait_until(lambda: "bridge.opened" in actions(), "the session is written down", gw.daemon.death)
    assert gw.request("DELETE", f"/v1/devices/{box.id}").json == {"removed": box.id}
    assert person.tunnel.next_frame("reset").payload == b"device.removed"
    assert actions()[:2] == ["device.removed", "bridge.closed"]
    closed = next(e for e in gw.audit("bridge.closed") if e.get("device") == box.id)
    assert closed["detail"]["endReason"] == "device.removed" and closed["actor"] == "operator:lab"


def test_an_operator_speaks_before_there_is_a_way(box, person):
    mine = person.open()
    assert person.tunnel.next_frame("credit").position >= WINDOW
    person.tunnel.send_frame("data", mine, 0, b"SSH-2.0-early\r\n")
    asked = box.tunnel.next_frame("open")
    box.tunnel.send_frame("credit", asked.stream, WINDOW, bytes(8))
    assert person.progress("trying")["way"] == "device"
    box.tunnel.send_frame("data", asked.stream, 0, BANNER)
    assert box.tunnel.next_frame("data").payload == b"SSH-2.0-early\r\n"


def test_credit_only_for_what_the_other_side_took(box, person):
    """A box that takes nothing stops the operator; the gateway does not swallow it all."""
    mine = person.open()
    granted = person.tunnel.next_frame("credit").position
    asked = box.tunnel.next_frame("open")
    box.tunnel.send_frame("credit", asked.stream, 1000, bytes(8))
    box.tunnel.send_frame("data", asked.stream, 0, BANNER)
    assert person.tunnel.next_frame("data").payload == BANNER
    for position in range(0, granted - 16383, 16384):
        person.tunnel.send_frame("data", mine, position, bytes(16384))
    got = 0
    while got < 1000:
        got += len(box.tunnel.next_frame("data").payload)
    assert got == 1000
    # the gateway takes what the box allows, and a fixed room ahead, into its own queue: more is never credited
    most = granted + 1000 + 2 * 65536
    for position in range(granted // 16384 * 16384, most + 16384, 16384):
        person.tunnel.send_frame("data", mine, position, bytes(16384))
    limit, frame = granted, person.tunnel.next_frame("credit", "reset")
    while frame.kind == "credit":
        limit, frame = max(limit, frame.position), person.tunnel.next_frame("credit", "reset")
    assert limit <= most and frame.payload == b"stream.window"
    assert box.tunnel.next_frame("reset").payload == b"stream.window"


def test_a_later_connection_goes_on(gw, box, person):
    mine, theirs = joined(box, person)
    again = Person(gw, box, person.resume).welcome()
    assert person.tunnel.next("none") is None and person.tunnel.code == 1001
    resumed = again.tunnel.next_frame("resume")
    assert resumed.stream == mine
    again.tunnel.send_frame("resume", mine, len(BANNER), {"token": person.token, "ended": False, "limit": WINDOW})
    again.tunnel.send_frame("data", mine, 0, b"still here")
    assert box.tunnel.next_frame("data").payload == b"still here"
    # the same secret in another's hand is another tunnel
    other = gw.run("tokens", "add", f"mallory-{time.monotonic_ns()}").strip()
    thief = Person(gw, box, person.resume, token=other).welcome()
    thief.tunnel.send_frame("resume", mine, len(BANNER), {"token": person.token, "ended": False, "limit": WINDOW})
    assert thief.tunnel.next_frame("reset").payload == b"stream.unknown"
    thief.close()
    again.tunnel.send_frame("data", mine, 10, b"!")
    assert box.tunnel.next_frame("data").payload == b"!"
    again.close()


def test_the_box_comes_back(box, person):
    mine, theirs = joined(box, person)
    asked = box.tunnel
    box.tunnel.close()
    person.tunnel.send_frame("data", mine, 0, b"meanwhile")
    box.tunnel = box.connect(False)
    resumed = box.tunnel.next_frame("resume")
    assert resumed.stream == theirs and resumed.position == len(BANNER)
    # a box that knows nothing of it: the session is over, and the operator is told
    box.tunnel.send_frame("reset", theirs, 0, b"stream.unknown")
    assert person.progress("ended")["error"] == "stream.unknown"
    assert person.tunnel.next_frame("reset").payload == b"stream.unknown"
    assert asked is not box.tunnel


@pytest.mark.parametrize("changed, error", [
    ({"target": "shell"}, "bridge.no-target"), ({"target": None}, "bridge.no-target"), ({"grant": "g-0"}, "grant.not-found"),
    ({"grant": None}, "grant.not-found"), ({"grant": "a b"}, "grant.not-found"), ({"way": "window"}, "bridge.way"),
])
def test_streams_that_are_refused(person, changed, error):
    stream = person.open(**changed)
    told = person.progress("refused")
    assert told["error"] == error and told["id"] == f"mine-{stream}"
    reset = person.tunnel.next_frame("reset")
    assert (reset.stream, reset.payload.decode()) == (stream, error)


def test_ways_that_a_box_refuses(gw, box, person):
    person.open()
    asked = box.tunnel.next_frame("open")
    box.tunnel.send_frame("reset", asked.stream, 0, b"bridge.busy")
    assert "as many sessions as it takes" in person.progress("failed")["message"]
    refusal = person.progress("refused")
    assert refusal["error"] == "bridge.no-way" and "mgmt-link: not connected" in refusal["message"]
    # hangs up at once; says nothing; says something odd
    person.open(way="device")
    asked = box.tunnel.next_frame("open")
    box.tunnel.send_frame("credit", asked.stream, WINDOW, bytes(8))
    box.tunnel.send_frame("half-close", asked.stream, 0)
    assert "hung up without a word" in person.progress("failed")["message"]
    person.open(way="device")
    asked = box.tunnel.next_frame("open")
    box.tunnel.send_frame("reset", asked.stream, 0, b"what.ever")
    assert "it refused: what.ever" in person.progress("failed")["message"]
    assert [e["detail"]["error"] for e in gw.audit("bridge.refused") if e["device"] == box.id] == ["bridge.no-way"] * 3


def test_a_box_opens_no_streams(box):
    box.tunnel.send_frame("open", 2, 0, {"target": "ssh", "token": "a" * 32, "window": WINDOW})
    assert box.tunnel.next_frame("reset").payload == b"stream.no-target"
    box.tunnel.send_frame("resume", 1, 0, {"token": "a" * 32, "ended": False, "limit": WINDOW})
    assert box.tunnel.next_frame("reset").payload == b"stream.unknown"


def test_an_older_box_is_left_in_peace(box, person):
    box.tunnel.close()
    box.tunnel = box.connect(False, streams=False)
    person.open(way="device")
    assert "too old" in person.progress("failed")["message"] and person.progress("refused")["error"] == "bridge.no-way"
    assert box.tunnel.frames.empty() and box.tunnel.silent(0) == []


def test_nonsense_in_frames_costs_the_connection(gw, box, person):
    joined(box, person)
    person.tunnel.send_frame("resume", 0, 0, b"{}")
    assert person.tunnel.next("none") is None and person.tunnel.code == 1002
    # and the session waits for the next one
    again = Person(gw, box, person.resume).welcome()
    assert again.tunnel.next_frame("resume")
    again.close()


def test_a_new_key_inherits_no_session(gw, box, person):
    joined(box, person)
    box.bootstrap = gw.request("POST", f"/v1/devices/{box.id}/bootstrap").json["bootstrap"]
    fresh = type(box)(box.url, box.post, box.id, box.bootstrap, "device")
    assert fresh.claim().status == 201
    assert person.progress("ended")["error"] == "device.key-replaced"
    tunnel = fresh.connect(False)
    tunnel.send_frame("open", 2, 0, {"target": "ssh", "token": "a" * 32, "window": WINDOW})
    seen = [tunnel.next_frame()]
    while seen[-1].stream != 2:
        seen.append(tunnel.next_frame())
    assert {frame.kind for frame in seen} == {"reset"}
    fresh.close()


def test_a_session_without_the_database(gw, box, person):
    """It goes on, and its end is written down when the database is back; new ones are refused meanwhile."""
    mine, theirs = joined(box, person)
    gw.postgres.pause()
    try:
        person.tunnel.send_frame("data", mine, 0, b"who is there")
        assert box.tunnel.next_frame("data").payload == b"who is there"

        def refused_now():
            person.open()
            return person.progress("refused")["error"] == "store.unavailable"

        wait_until(refused_now, "the gateway has noticed")
        person.tunnel.send_frame("reset", mine, 0, b"operator.left")
        assert box.tunnel.next_frame("reset").stream == theirs
    finally:
        gw.postgres.resume()
    wait_until(lambda: gw.request("GET", "/healthz").status == 200 and gw.request("GET", "/v1/devices").status == 200,
               "the gateway serves again", gw.daemon.death)

    def written():
        found = gw.request("GET", f"/v1/sessions?device={box.id}").json["sessions"]
        return found[0] if found and "closedAt" in found[0] else None

    session = wait_until(written, "its end is written down", gw.daemon.death)
    assert (session["endReason"], session["bytesToBox"], session["bytesFromBox"]) == ("closed", "12", str(len(BANNER)))
    actions = [e["action"] for e in gw.audit() if e["detail"].get("session") == session["id"]]
    assert actions == ["bridge.closed", "bridge.opened"]


def test_so_many_bridges_for_a_person(gw, box):
    name = f"many-{time.monotonic_ns()}"
    token = gw.run("tokens", "add", name).strip()
    people = [Person(gw, box, token=token).welcome() for _ in range(19)]
    one_more = Person(gw, box, token=token).welcome()  # it may be an emergency, which its first stream will tell
    oldest = people[0].tunnel
    assert oldest.next() is None and oldest.reason == "operator.too-many"
    assert people[1].tunnel.silent() == one_more.tunnel.silent() == []
    for person in [*people, one_more]:
        person.close()


def ask(gw, token, *request):
    usual, gw.token = gw.token, token
    try:
        return gw.request(*request).json
    finally:
        gw.token = usual


def test_a01_a02_what_a_token_has_opened_ends_with_it(gw, box):
    """Also when its person has got a new one: a token is revoked because somebody else may have it."""
    name = f"leaked-{time.monotonic_ns()}"
    token = gw.run("tokens", "add", name).strip()
    box.grant = ask(gw, token, "POST", "/v1/grants", {"device": box.id, "reason": REASON})["grant"]["id"]
    inside, idle, quick = (Person(gw, box, token=token).welcome() for _ in range(3))
    joined(box, inside)
    gw.run("tokens", "revoke", name)
    new = gw.run("tokens", "add", name).strip()
    try:
        quick.open()  # perhaps before the gateway has heard of it
        told = quick.tunnel.next("bridge.progress")
    except websockets.ConnectionClosed:
        told = None
    # either the stream comes first and is refused, or the gateway ends the tunnel first
    assert told is None or (told["state"], told["error"]) == ("refused", "operator.revoked")
    assert inside.progress("ended")["error"] == "operator.revoked"
    for person in (inside, idle, quick):
        while person.tunnel.next() is not None:
            pass
        assert (person.tunnel.code, person.tunnel.reason) == (1008, "operator.revoked")
        person.close()
    assert refused(f"{gw.url.replace('http', 'ws', 1)}/v1/devices/{box.id}/bridge", token) == 401
    after = Person(gw, box, token=new).welcome()
    joined(box, after)
    after.close()

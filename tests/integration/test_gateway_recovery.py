# SPDX-License-Identifier: MIT
"""The way into /recovery without a token, and what the gateway does for recovery-agent."""
# pylint: disable=redefined-outer-name,unused-import
import socket
import threading
import time

import pytest

pytest.importorskip("cryptography")
pytest.importorskip("websockets")

from tests.integration.gateway_lab import NUMBERS, enroll, gw, shared, tunnel_url  # noqa: E402
from tests.lab.device import Device, DeviceKey, Tunnel  # noqa: E402
from tests.lab.util import wait_until  # noqa: E402

CHALLENGES_MAX = 1024
PATIENCE_SECONDS = 120


def memory_kib(gw):
    with open(f"/proc/{gw.daemon.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon:"))


@pytest.fixture
def box(gw):
    """A box that has claimed nothing yet, as its recovery-agent sees itself."""
    it = enroll(gw, f"recovery-{next(NUMBERS)}", "recovery")
    yield it
    it.close()


def welcomed(tunnel):
    message = tunnel.next()
    assert message and message["type"] == "welcome", message or tunnel.code
    return tunnel


def test_claims_in_band_and_comes_again_without_a_bootstrap(gw, box):
    first = box.challenged(bootstrap=box.bootstrap)
    assert first.challenge["serverTime"].endswith("Z") and len(first.challenge["nonce"]) >= 43
    welcomed(first)
    shown = gw.device(box.id)
    assert shown["roles"] == ["recovery"] and shown["keys"] == {"recovery": box.key.thumbprint}
    assert [e["detail"]["role"] for e in gw.audit("device.claimed") if e["device"] == box.id] == ["recovery"]
    second = welcomed(box.challenged())
    assert second.challenge["nonce"] != first.challenge["nonce"]
    assert first.next() is None and first.code == 1001, "the newer connection takes the place of the older one"
    # the same key with its bootstrap again, and after a restart of the gateway, which knows it from the database
    welcomed(box.challenged(bootstrap=box.bootstrap))
    gw.stop()
    gw.start()
    welcomed(box.challenged())


@pytest.mark.parametrize("change, reason", [
    ({}, "device.key-unknown"),
    ({"bootstrap": "sbb_wrong"}, "bootstrap.invalid"),
    ({"bootstrap": "x" * 300}, "bootstrap.invalid"),
    ({"proof": "AAAA", "bootstrap": "sbb_any"}, "challenge.proof"),
    ({"key": {"kty": "EC"}}, "key.bad"),
    ({"key": 7}, "key.bad"),
    ({"key": None}, "key.bad"),
    ({"deviceId": "nobody"}, "device.unknown"),
    ({"deviceId": "../x"}, "device.unknown"),
    ({"type": "probe.request", "id": "p-1"}, "hello.missing"),
    ({"program": 7}, "message.member"),
])
def test_refusals_name_their_reason(box, change, reason):
    tunnel = box.challenged(**change)
    assert tunnel.next() is None and (tunnel.code, tunnel.reason) == (1008, reason)


def test_another_key_with_a_used_bootstrap_raises_the_alarm(gw, box):
    welcomed(box.challenged(bootstrap=box.bootstrap))
    thief = box.challenged(by=DeviceKey(), bootstrap=box.bootstrap)
    assert thief.next() is None and (thief.code, thief.reason) == (1008, "device.bootstrap-reused")
    alarms = [e for e in gw.audit("device.bootstrap_reused") if e["device"] == box.id]
    assert len(alarms) == 1 and alarms[0]["alarm"] is True and alarms[0]["detail"]["role"] == "recovery"
    welcomed(box.challenged())


def test_a_nonce_is_good_for_one_hello_on_one_connection(box):
    welcomed(box.challenged(bootstrap=box.bootstrap))
    other = Tunnel(box.url.replace("http", "ws", 1) + "/recovery", None)
    stale = box.challenged(nonce=other.next("challenge")["nonce"])
    assert stale.next() is None and (stale.code, stale.reason) == (1008, "challenge.proof")
    other.close()
    # and a recorded hello is worth nothing on the next connection
    spent = welcomed(box.challenged())
    replayed = box.challenged(nonce=spent.challenge["nonce"])
    assert replayed.next() is None and (replayed.code, replayed.reason) == (1008, "challenge.proof")


def test_a_blocked_device_and_a_renewed_bootstrap(gw, box):
    tunnel = welcomed(box.challenged(bootstrap=box.bootstrap))
    assert gw.request("POST", f"/v1/devices/{box.id}/block").status == 200
    assert tunnel.next() is None and tunnel.code == 1008
    refused = box.challenged()
    assert refused.next() is None and refused.reason == "device.blocked"
    assert gw.request("POST", f"/v1/devices/{box.id}/unblock").status == 200
    tunnel = welcomed(box.challenged())
    former, box.key = box.key, DeviceKey()
    box.bootstrap = gw.request("POST", f"/v1/devices/{box.id}/bootstrap").json["bootstrap"]
    welcomed(box.challenged(bootstrap=box.bootstrap))
    assert tunnel.next() is None and tunnel.code == 1008, "the former key's tunnel ends"
    stranger = box.challenged(by=former)
    assert stranger.next() is None and stranger.reason == "device.key-unknown"


def stranger(gw):
    """An upgrade that never answers its challenge."""
    raw = socket.create_connection((gw.host, gw.port), timeout=PATIENCE_SECONDS)
    raw.sendall(b"GET /recovery HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                b"Sec-WebSocket-Protocol: secbox.v1\r\n\r\n")
    while b'"challenge"' not in raw.recv(4096):
        pass
    return raw


@pytest.fixture(scope="module")
def silent():
    """Strangers that wait for their deadline while other tests run."""
    found = []
    yield found
    for raw in found:
        raw.close()


def test_strangers_are_bounded_and_do_not_keep_a_box_out(gw, box, silent):
    """More open challenges than the gateway keeps: the oldest give way, and a box gets its turn at once."""
    welcomed(box.challenged(bootstrap=box.bootstrap))
    before = memory_kib(gw)
    strangers = [stranger(gw) for _ in range(CHALLENGES_MAX + 8)]
    assert all(raw.recv(4096) == b"" for raw in strangers[:8]), "the oldest have lost their place"
    assert memory_kib(gw) - before < CHALLENGES_MAX * 16
    welcomed(box.challenged())
    for raw in strangers:
        raw.close()
    big = Tunnel(tunnel_url(gw, "recovery"), None)
    big.send_text('{"type":"hello","pad":"' + "x" * 9000 + '"}')
    assert big.next("challenge") and big.next() is None and big.code == 1009, "a hello has its limit"
    big.close()
    silent.append(stranger(gw))


def test_a_proved_key_does_not_speak_for_another_role(box):
    welcomed(box.challenged(bootstrap=box.bootstrap))
    tunnel = box.challenged(role="mgmt")
    assert tunnel.next() is None and (tunnel.code, tunnel.reason) == (1008, "hello.identity")


def test_only_recovery_has_this_way(gw):
    for role in ("mgmt", "device"):
        with pytest.raises(Exception) as e:
            Tunnel(tunnel_url(gw, role), None)
        assert getattr(e.value, "status_code", None) == 401


def test_bearer_tokens_still_open_recovery(box):
    assert box.claim().status == 201
    box.connect(status=False)


# what goes on between recovery-agent and gateway

class Answering(threading.Thread):
    """Another tunnel of the box, which answers probes, or not."""

    def __init__(self, device, answers=True):
        super().__init__(daemon=True)
        self.tunnel, self.answers, self.seen = device.connect(status=False), answers, []
        self.start()

    def run(self):
        while (message := self.tunnel.next()) is not None:
            if message["type"] == "probe":
                answers = self.answers  # what was so when it came: who sees the id in the list may change it
                self.seen.append(message["id"])
                if answers:
                    self.tunnel.send({"type": "probe.answer", "id": message["id"]})


def claimed(gw, box, role):
    other = Device(gw.url, box.post, box.id, box.bootstrap, role)
    assert other.claim().status == 201
    return other


def probe(tunnel, name):
    tunnel.send({"type": "probe.request", "id": name})
    result = tunnel.next("probe.result")
    assert result["id"] == name
    return result["device"], result["mgmt"]


def supersedes(recovery, silent):
    """Of two requests that are under way at once the newer counts. What keeps the older under way is a tunnel without an answer,
    and the gateway gives that 3 s: on a machine that stood still for so long the older was over, and it is tried again."""
    for attempt in range(5):
        silent.answers, asked = False, len(silent.seen)
        recovery.send({"type": "probe.request", "id": f"p-5-{attempt}"})
        wait_until(lambda: len(silent.seen) > asked, "the box is asked")
        silent.answers = True
        recovery.send({"type": "probe.request", "id": f"p-6-{attempt}"})
        if (result := recovery.next("probe.result"))["id"] == f"p-6-{attempt}":
            assert (result["device"], result["mgmt"]) == ("ok", "ok")
            return
        assert result["mgmt"] == "silent", "the older request ended only because nobody answered in time"
        assert recovery.next("probe.result")["id"] == f"p-6-{attempt}"
    raise AssertionError("the older request was never superseded")


def test_probes_go_through_the_other_tunnels(gw, box):
    recovery = welcomed(box.challenged(bootstrap=box.bootstrap))
    assert probe(recovery, "p-1") == ("offline", "offline")
    device, mgmt = claimed(gw, box, "device"), claimed(gw, box, "mgmt")
    answering = Answering(device)
    assert probe(recovery, "p-2") == ("ok", "offline")
    silent = Answering(mgmt, answers=False)
    started = time.monotonic()
    assert probe(recovery, "p-3") == ("ok", "silent")
    assert time.monotonic() - started >= 2.5, "a silent tunnel gets its time"
    assert len(answering.seen) == 2 and len(silent.seen) == 1 and answering.seen[-1] != "p-3"
    # an answer that nobody asked for, one by the asker itself, and a request by a tunnel that may not ask
    silent.tunnel.send({"type": "probe.answer", "id": "p-9"})
    recovery.send({"type": "probe.answer", "id": silent.seen[-1]})
    answering.tunnel.send({"type": "probe.request", "id": "p-10"})
    silent.answers = True
    assert probe(recovery, "p-4") == ("ok", "ok")
    supersedes(recovery, silent)
    # and the device tunnel, only that one, is given up when recovery asks for it
    silent.tunnel.send({"type": "recovery.reconnect"})
    assert probe(recovery, "p-7") == ("ok", "ok")
    recovery.send({"type": "recovery.reconnect"})
    answering.join(PATIENCE_SECONDS)
    assert answering.tunnel.code == 1001 and probe(recovery, "p-8") == ("offline", "ok")
    for other in (device, mgmt):
        other.close()


def test_recovery_status_is_shown_and_a_wedge_raises_the_alarm(gw, box):
    recovery = welcomed(box.challenged(bootstrap=box.bootstrap))
    assert "recovery" not in gw.device(box.id)
    status = {"type": "recovery.status", "state": "healthy", "open": False, "since": "2026-01-02T03:04:05.678Z",
              "verdict": "closed", "reasons": [], "step": "none", "budget": {"restart": 1, "recreate": 1, "reboot": 0}}
    recovery.send(status)
    wait_until(lambda: gw.device(box.id).get("recovery"), "the status is there", gw.daemon.death)
    assert not [e for e in gw.audit("recovery.wedged") if e["device"] == box.id]
    wedged = {**status, "state": "wedged", "open": True, "verdict": "wedged", "reasons": ["heartbeat: 31 s old"],
              "step": "restart"}
    for _ in range(2):
        recovery.send(wedged)
    wait_until(lambda: gw.device(box.id)["recovery"]["state"] == "wedged", "the wedge is there", gw.daemon.death)
    shown = gw.device(box.id)["recovery"]
    assert shown.pop("statusAt").endswith("Z") and shown == {k: v for k, v in wedged.items() if k != "type"}
    alarms = wait_until(lambda: [e for e in gw.audit("recovery.wedged") if e["device"] == box.id], "the alarm")
    assert len(alarms) == 1 and alarms[0]["alarm"] is True and alarms[0]["detail"] == {"reasons": ["heartbeat: 31 s old"]}
    # older boxes name no reason while a step is under way: an alarm has one all the same
    def latest():
        return next(e["detail"]["reasons"] for e in gw.audit("recovery.wedged") if e["device"] == box.id)

    def wedged_again(*reports):
        before = len([e for e in gw.audit("recovery.wedged") if e["device"] == box.id])
        for report in ({**status, "state": "healthy"}, *reports, {**wedged, "reasons": []}):
            recovery.send(report)
        wait_until(lambda: len([e for e in gw.audit("recovery.wedged") if e["device"] == box.id]) > before, "another alarm")
        return latest()

    suspect = {**status, "state": "suspect", "reasons": ["tcp:127.0.0.1:80: no answer"]}
    assert wedged_again(suspect) == suspect["reasons"]
    assert "named none" in wedged_again()[0]
    assert probe(recovery, "p-0") == ("offline", "offline")
    assert wedged_again() == ["device tunnel: not connected"]
    # another tunnel of the same box has no say in it
    device = claimed(gw, box, "device")
    Answering(device).tunnel.send({**status, "verdict": "forged"})
    assert probe(recovery, "p-1") == ("ok", "offline")
    assert gw.device(box.id)["recovery"]["verdict"] == "wedged"
    device.close()


def test_a_stranger_who_stays_silent_is_sent_away(gw, silent):
    raw = silent.pop() if silent else stranger(gw)
    assert raw.recv(4096) == b""
    raw.close()

# SPDX-License-Identifier: MIT
"""secbox-gateway against a real PostgreSQL, with boxes that are simulated by other code than ours."""
import base64
import itertools
import json
import os
import threading
import time
import urllib.error
import urllib.request

import pytest

pytest.importorskip("websockets")
pytest.importorskip("cryptography")

from tests.lab.device import Device, DeviceKey, Tunnel, b64  # noqa: E402
from tests.lab.gateway import Answer, Gateway  # noqa: E402
from tests.lab.postgres import Postgres, PostgresError, available  # noqa: E402
from tests.lab.util import program, wait_until  # noqa: E402
import websockets  # noqa: E402

COMPOSE = "services:\n  web:\n    image: registry.example/web:1\n"
WAIT_SECONDS = 120
NUMBERS = itertools.count(1)


class Lab(Gateway):
    """The lab's gateway with its signing key in our folder; requests may name any token and headers."""

    def _argv(self, *args):
        return [program("secbox-gateway"), "--state", os.path.join(self.dir, "state"), *args]

    def start(self):
        super().start()
        wait_until(lambda: self.raw("GET", "/healthz", None, {}).status == 200, "the gateway serves", self.daemon.death)

    def raw(self, method, path, body, headers):
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
                return Answer(answer.status, answer.read().decode())
        except urllib.error.HTTPError as e:
            with e:
                return Answer(e.code, e.read().decode())

    def audit(self, action=None):
        entries = self.request("GET", "/v1/audit?limit=1000").json["entries"]
        return [e for e in entries if action in (None, e["action"])]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    if not os.access(program("secbox-gateway"), os.X_OK):
        pytest.skip("not built: secbox-gateway")
    if not available():
        pytest.skip("PostgreSQL is not installed")
    with Lab(str(tmp_path_factory.mktemp("gateway"))) as gateway:
        yield gateway


@pytest.fixture
def gw(shared):
    """The gateway, whatever the test before did to it."""
    if shared.daemon is None:
        shared.start()
    return shared


@pytest.fixture
def device(gw):
    """A box that has claimed its management role."""
    box = enroll(gw, f"caseta-{next(NUMBERS)}")
    assert box.claim().status == 201
    yield box
    box.close()


def enroll(gw, name, role="mgmt"):
    answer = gw.request("POST", "/v1/devices", {"id": name, "labels": {"site": "north"}})
    assert answer.status == 201, answer
    return Device(gw.url, lambda path, body, headers: gw.raw("POST", path, body, headers), name,
                  answer.json["bootstrap"], role)


class Push(threading.Thread):
    """A push that waits for its end on a thread of its own."""

    def __init__(self, gw, device, compose=COMPOSE, **more):
        super().__init__(daemon=True)
        self.ask = lambda: gw.push(device.id, compose, **more)
        self.answer = None
        self.start()

    def run(self):
        try:
            self.answer = self.ask()
        except OSError as e:
            self.answer = e

    def end(self):
        self.join(WAIT_SECONDS)
        assert not self.is_alive()
        return self.answer


def error_id(answer):
    return answer.json["error"]["id"]


def refused(url, token, **more):
    """The HTTP status of an upgrade that must not succeed."""
    with pytest.raises(websockets.InvalidStatusCode) as e:
        Tunnel(url, token, **more)
    return e.value.status_code


def tunnel_url(gw, role="mgmt"):
    return gw.url.replace("http", "ws", 1) + "/" + role


def deployment(gw, device, version, **query):
    text = "&".join(f"{k}={v}" for k, v in query.items())
    return gw.request("GET", f"/v1/devices/{device.id}/deployments/{version}?{text}")


# claims and tokens

def test_claim_and_the_same_key_again(gw):
    box = enroll(gw, "claim-again")
    first = box.claim()
    assert first.status == 201
    assert set(first.json) == {"token", "expiresAt", "serverTime"}
    assert first.json["serverTime"].endswith("Z")
    again = box.claim()
    assert again.status == 200 and again.json["token"] != first.json["token"]
    box.connect()
    box.close()


def test_claim_by_another_key_is_refused_and_raises_an_alarm(gw):
    box = enroll(gw, "claim-other-key")
    assert box.claim().status == 201
    answer = box.claim(key=DeviceKey())
    assert answer.status == 409 and error_id(answer) == "device.bootstrap-reused"
    alarms = [e for e in gw.audit("device.bootstrap_reused") if e["device"] == box.id]
    assert len(alarms) == 1 and alarms[0]["alarm"] is True
    assert alarms[0]["detail"]["known"] == box.key.thumbprint
    # the box itself goes on
    assert box.refresh().status == 200


def test_each_role_claims_with_its_own_key(gw):
    box = enroll(gw, "claim-roles")
    assert box.claim().status == 201
    recovery = Device(gw.url, box.post, box.id, box.bootstrap, "recovery")
    assert recovery.claim().status == 201
    assert refused(tunnel_url(gw, "mgmt"), recovery.token) == 403
    recovery.connect(status=False)
    shown = gw.device(box.id)
    assert shown["roles"] == ["recovery"] and shown["connected"] is False
    assert shown["keys"] == {"mgmt": box.key.thumbprint, "recovery": recovery.key.thumbprint}
    recovery.close()


@pytest.mark.parametrize("changed, status, reason", [
    ({"bootstrap": "sbb_wrong"}, 401, "bootstrap.invalid"),
    ({"deviceId": "nobody"}, 401, "bootstrap.invalid"),
    ({"deviceId": "../x"}, 400, "claim.malformed"),
    ({"role": "root"}, 400, "claim.malformed"),
    ({"bootstrap": ""}, 400, "claim.malformed"),
    ({"proof": "a.b.c"}, 401, None),
])
def test_claim_refusals(gw, changed, status, reason):
    box = enroll(gw, f"claim-{next(NUMBERS)}")
    answer = box.claim(**changed)
    assert answer.status == status, answer
    assert reason in (None, error_id(answer))


def test_claim_with_an_expired_bootstrap(gw):
    box = enroll(gw, "claim-expired")
    gw.postgres.sql("UPDATE bootstraps SET expires_at = now() - interval '1 minute' WHERE device = 'claim-expired'")
    answer = box.claim()
    assert answer.status == 401 and error_id(answer) == "bootstrap.expired"


def test_a_new_bootstrap_lets_a_new_key_in(gw, device):
    tunnel = device.connect()
    answer = gw.request("POST", f"/v1/devices/{device.id}/bootstrap")
    assert answer.status == 201
    old = device.bootstrap
    device.bootstrap = answer.json["bootstrap"]
    former, device.key = device.key, DeviceKey()
    assert device.claim(bootstrap=old).status == 401
    assert device.claim().status == 201
    assert tunnel.next() is None and tunnel.code == 1008
    assert device.refresh(key=former).status == 401
    assert device.refresh().status == 200


def test_refresh(gw, device):
    old = device.token
    answer = device.refresh()
    assert answer.status == 200 and answer.json["token"] != old
    device.token = answer.json["token"]
    device.connect()


def test_refresh_with_an_expired_token(gw, device):
    header, claims, _ = device.token.split(".")
    read = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert read["sub"] == device.id and read["aud"] == "mgmt" and read["exp"] - read["iat"] == 36 * 3600
    for when in ("iat", "nbf", "exp"):
        read[when] -= 40 * 86400
    # signed with the gateway's own key, as it would have been then
    from cryptography.hazmat.primitives import serialization
    key = DeviceKey()
    with open(os.path.join(gw.dir, "state", "jwt-key.pem"), "rb") as f:
        key.private = serialization.load_pem_private_key(f.read(), None)
    assert os.stat(os.path.join(gw.dir, "state", "jwt-key.pem")).st_mode & 0o777 == 0o600
    expired = key.sign(json.loads(base64.urlsafe_b64decode(header + "==")), read)
    assert refused(tunnel_url(gw), expired) == 401
    answer = device.refresh(token=expired)
    assert answer.status == 200
    device.token = answer.json["token"]
    device.connect()


def test_refresh_with_a_stale_proof_tells_the_time(gw, device):
    answer = device.refresh(age=3600)
    assert answer.status == 401 and error_id(answer) == "proof.stale"
    assert answer.json["serverTime"].startswith("20")


def test_refresh_with_a_replayed_proof(gw, device):
    proof = device.key.proof(device.url + "/api/device/refresh-jwt", device.token)
    assert device.refresh(proof=proof).status == 200
    answer = device.refresh(proof=proof)
    assert answer.status == 401 and error_id(answer) == "proof.replayed"


def test_refresh_too_often(gw, device):
    answers = [device.refresh().status for _ in range(17)]
    assert answers[:15] == [200] * 15 and answers[-1] == 429


@pytest.mark.parametrize("make", [
    lambda d: d.refresh(key=DeviceKey()),
    lambda d: d.refresh(proof=d.key.proof(d.url + "/api/device/claim", d.token)),
    lambda d: d.refresh(proof=d.key.proof(d.url + "/api/device/refresh-jwt", "another")),
    lambda d: d.refresh(proof=d.key.proof(d.url + "/api/device/refresh-jwt", d.token, method="GET")),
    lambda d: d.refresh(token="x"),
    lambda d: d.post("/api/device/refresh-jwt", None, {"Authorization": "Bearer " + d.token}),
], ids=["key", "path", "token", "method", "garbage", "no-proof"])
def test_refresh_refusals(device, make):
    assert make(device).status == 401


def test_refresh_in_band(gw, device):
    tunnel = device.connect()
    tunnel.send({"type": "auth.refresh", "proof": device.key.proof(device.url + "/api/device/refresh-jwt", device.token)})
    fresh = tunnel.next("auth.token")
    assert fresh["token"] != device.token and fresh["expiresAt"].endswith("Z")
    # the next proof is about the new token
    device.token = fresh["token"]
    tunnel.send({"type": "auth.refresh", "proof": device.key.proof(device.url + "/api/device/refresh-jwt", device.token, age=9999)})
    assert tunnel.next("auth.error")["error"]["id"] == "proof.stale"
    tunnel.send({"type": "auth.refresh", "proof": device.key.proof(device.url + "/api/device/refresh-jwt", device.token)})
    assert tunnel.next()["type"] == "auth.token"


# tunnels

def forged(device, header=None, **changed):
    head, claims, signature = device.token.split(".")
    read = json.loads(base64.urlsafe_b64decode(claims + "=="))
    read.update(changed)
    return ".".join([b64(json.dumps(header).encode()) if header else head, b64(json.dumps(read).encode()), signature])


def test_upgrades_with_bad_tokens(gw, device):
    url = tunnel_url(gw)
    assert refused(url, None) == 401
    assert refused(url, "garbage") == 401
    assert refused(url, "x" * 6000) in (401, 431)
    none = forged(device, header={"typ": "device+jwt", "alg": "none"})
    assert refused(url, none.rsplit(".", 1)[0] + ".") == 401
    assert refused(url, forged(device, header={"typ": "device+jwt", "alg": "HS256"})) == 401
    assert refused(url, forged(device, sub="another")) == 401
    assert refused(url, DeviceKey().sign({"typ": "device+jwt", "alg": "ES256"},
                                         json.loads(base64.urlsafe_b64decode(device.token.split(".")[1] + "==")))) == 401
    assert refused(tunnel_url(gw, "device"), device.token) == 403
    assert refused(url, device.token, subprotocol="other.v1") == 400
    assert gw.raw("GET", "/mgmt", None, {}).status == 400
    device.connect()


def test_a_blocked_device_is_kept_out(gw, device):
    tunnel = device.connect()
    assert gw.request("POST", f"/v1/devices/{device.id}/block").json["device"]["blocked"] is True
    assert tunnel.next() is None and tunnel.code == 1008
    assert refused(tunnel_url(gw), device.token) == 403
    assert device.refresh().status == 403
    assert device.claim().status == 403
    assert gw.request("POST", f"/v1/devices/{device.id}/unblock").status == 200
    device.connect()


@pytest.mark.parametrize("first", [
    {"type": "hello", "deviceId": "another", "role": "mgmt", "program": "p", "version": "1", "bootId": "b"},
    {"type": "hello", "role": "mgmt"},
    {"type": "agent.status", "deviceId": "x", "state": "idle"},
    {"type": "never.heard-of"},
], ids=["other-device", "incomplete", "not-hello", "unknown"])
def test_a_bad_hello_ends_the_tunnel(gw, device, first):
    tunnel = Tunnel(tunnel_url(gw), device.token, first)
    assert tunnel.next() is None and tunnel.code == 1008
    tunnel.close()
    assert gw.device(device.id)["connected"] is False


def test_the_newest_tunnel_wins(gw, device):
    first = device.connect()
    second = device.connect()
    assert first.next() is None and first.code == 1001
    assert gw.device(device.id)["connected"] is True
    second.close()
    wait_until(lambda: not gw.device(device.id)["connected"], "the box is gone")


def test_unknown_and_bad_messages_do_not_cut_the_box_off(gw, device):
    tunnel = device.connect()
    tunnel.send({"type": "from.the-future", "a": [1]})
    tunnel.send({"type": "agent.status"})
    tunnel.send_text("not json")
    tunnel.send({"type": "compose.confirm", "id": "x", "version": "1", "nonce": "n"})
    tunnel.send(device.status(current={"version": "7", "sha256": "0" * 64, "at": "2026-01-02T03:04:05.678Z"}))
    wait_until(lambda: gw.device(device.id).get("current"), "the status arrived")
    assert gw.device(device.id)["current"]["version"] == "7"
    for _ in range(40):
        try:
            tunnel.send_text("{")
        except Exception:  # pylint: disable=broad-except
            break
    while tunnel.next() is not None:
        pass
    assert tunnel.code == 1008


def test_devices(gw, device):
    tunnel = device.connect()
    tunnel.send(device.status(state="idle", last={"id": "x", "version": "3", "status": 200, "phase": "done", "outcome": "done"}))
    wait_until(lambda: gw.device(device.id).get("last"), "the status arrived")
    shown = gw.device(device.id)
    assert shown["labels"] == {"site": "north"} and shown["connected"] is True
    assert shown["agentVersion"] == "simulator 1" and shown["peer"].startswith("127.0.0.1:")
    assert shown["connectedSince"].endswith("Z") and shown["createdAt"].endswith("Z")
    assert shown["last"]["outcome"] == "done"
    listed = {d["id"]: d for d in gw.request("GET", "/v1/devices").json["devices"]}
    assert listed[device.id]["connected"] is True and listed[device.id]["last"]["outcome"] == "done"
    assert gw.request("GET", "/v1/devices/nobody").status == 404
    assert gw.request("POST", "/v1/devices", {"id": device.id}).status == 409
    assert gw.request("POST", "/v1/devices", {"id": "a b"}).status == 400
    assert gw.request("POST", "/v1/devices", {"id": "ok", "labels": {"a": 1}}).status == 400
    assert gw.request("DELETE", "/v1/devices").status == 405
    assert gw.request("GET", "/v2").status == 404


# pushes

def test_push_to_the_end(gw, device):
    tunnel = device.connect()
    push = Push(gw, device, reason="a test", confirmDeadlineSeconds=77)
    snapshot = tunnel.next("compose.snapshot")
    assert snapshot["compose"] == COMPOSE and snapshot["deviceId"] == device.id
    assert snapshot["confirmDeadlineSeconds"] == 77 and snapshot["nonce"] and snapshot["version"] == "1"
    for seq, phase in enumerate(["verify", "parse", "policy"]):
        tunnel.send(device.progress(snapshot, seq, phase))
    tunnel.send(device.progress(snapshot, 1, "parse"))
    tunnel.send(device.result(snapshot, services=[{"name": "web", "action": "replace"}]))
    ack = tunnel.next("compose.result.ack")
    assert ack["id"] == snapshot["id"]
    answer = push.end()
    assert answer.status == 200, answer
    assert answer.json["result"]["outcome"] == "done" and answer.json["result"]["services"][0]["name"] == "web"
    made = answer.json["deployment"]
    assert made["id"] == snapshot["id"] and made["version"] == "1" and made["state"] == "done"
    assert made["requestedBy"] == "operator:lab" and made["reason"] == "a test"
    seen = deployment(gw, device, 1).json
    assert [e["phase"] for e in seen["events"]] == ["verify", "parse", "policy"]
    assert [e["seq"] for e in seen["events"]] == [0, 1, 2]
    assert seen["result"]["status"] == 200
    assert [e["seq"] for e in deployment(gw, device, 1, after=1).json["events"]] == [2]
    listed = gw.request("GET", f"/v1/devices/{device.id}/deployments").json["deployments"]
    assert [d["version"] for d in listed] == ["1"]
    actions = [e["action"] for e in gw.audit() if e.get("device") == device.id]
    assert actions == ["compose.result", "compose.push", "device.claimed", "device.added"]


@pytest.mark.parametrize("status, phase, outcome", [
    (422, "policy", "failed"), (500, "rolled-back", "rolled-back"), (507, "preflight", "failed"), (500, "recovery", "recovery"),
])
def test_the_status_of_the_box_is_passed_on(gw, device, status, phase, outcome):
    tunnel = device.connect()
    push = Push(gw, device)
    snapshot = tunnel.next("compose.snapshot")
    tunnel.send(device.result(snapshot, status, phase, outcome, error={"id": "x.y", "message": "why"}))
    answer = push.end()
    assert answer.status == status
    assert answer.json["deployment"]["state"] == outcome
    assert answer.json["result"]["error"] == {"id": "x.y", "message": "why"}


def test_versions_rise_above_what_the_box_knows(gw, device):
    tunnel = device.connect({"current": {"version": "9007199254740993", "sha256": "0" * 64, "at": "2026-01-02T03:04:05.678Z"}})
    wait_until(lambda: gw.device(device.id).get("current"), "the status arrived")
    push = Push(gw, device)
    snapshot = tunnel.next("compose.snapshot")
    assert snapshot["version"] == "9007199254740994"
    tunnel.send(device.result(snapshot))
    assert push.end().json["deployment"]["version"] == "9007199254740994"


def test_long_poll(gw, device):
    tunnel = device.connect()
    answer = gw.request("POST", f"/v1/devices/{device.id}/compose-snapshot?wait=0", {"compose": COMPOSE})
    assert answer.status == 202 and answer.json["deployment"]["version"] == "1"
    snapshot = tunnel.next("compose.snapshot")
    found = []
    poll = threading.Thread(target=lambda: found.append(deployment(gw, device, 1, wait=30)), daemon=True)
    poll.start()
    time.sleep(0.3)
    tunnel.send(device.progress(snapshot, 0, "verify"))
    poll.join(WAIT_SECONDS)
    assert [e["seq"] for e in found[0].json["events"]] == [0] and found[0].json["deployment"]["phase"] == "verify"
    assert deployment(gw, device, 1, after=0, wait=1).json["events"] == []
    poll = threading.Thread(target=lambda: found.append(deployment(gw, device, 1, after=0, wait=30)), daemon=True)
    poll.start()
    time.sleep(0.3)
    tunnel.send(device.result(snapshot))
    poll.join(WAIT_SECONDS)
    assert found[1].json["result"]["outcome"] == "done" and found[1].json["deployment"]["state"] == "done"
    assert deployment(gw, device, 99).status == 404
    assert deployment(gw, device, "x").status == 404
    assert deployment(gw, device, 1, wait="soon").status == 400


def test_a_push_whose_client_left_goes_on(gw, device):
    tunnel = device.connect()
    request = urllib.request.Request(gw.url + f"/v1/devices/{device.id}/compose-snapshot", method="POST",
                                     data=json.dumps({"compose": COMPOSE}).encode(),
                                     headers={"Authorization": f"Bearer {gw.token}"})
    with pytest.raises(OSError):
        urllib.request.urlopen(request, timeout=1)
    snapshot = tunnel.next("compose.snapshot")
    tunnel.send(device.result(snapshot))
    assert tunnel.next("compose.result.ack")
    assert deployment(gw, device, 1).json["deployment"]["state"] == "done"


def test_an_offline_device(gw, device):
    answer = gw.push(device.id, COMPOSE)
    assert answer.status == 503 and error_id(answer) == "device.offline"
    assert gw.request("GET", f"/v1/devices/{device.id}/deployments").json["deployments"] == []
    assert [e["actor"] for e in gw.audit("compose.push-refused-offline") if e["device"] == device.id] == ["operator:lab"]
    assert error_id(gw.request("GET", f"/v1/devices/{device.id}/status")) == "device.offline"
    assert gw.push("nobody", COMPOSE).status == 404


def test_a_busy_device(gw, device):
    tunnel = device.connect()
    push = Push(gw, device)
    snapshot = tunnel.next("compose.snapshot")
    answer = gw.push(device.id, COMPOSE)
    assert answer.status == 409 and error_id(answer) == "deployment.busy"
    tunnel.send(device.result(snapshot))
    assert push.end().status == 200
    push = Push(gw, device)
    again = tunnel.next("compose.snapshot")
    assert again["version"] == "2"
    tunnel.send(device.result(again, noop=True))
    assert push.end().json["result"]["noop"] is True


@pytest.mark.parametrize("body, status, reason", [
    ({"compose": "services: [\n"}, 400, "yaml.syntax"),
    ({"compose": "services:\n  web:\n    image: a\n    image: b\n"}, 400, "yaml.duplicate-key"),
    ({"compose": "servces:\n  web: {}\n"}, 422, "compose.unknown-key"),
    ({"compose": "a" * (256 * 1024 + 1)}, 413, "compose.too-large"),
    ({}, 400, "request.no-compose"),
    ({"compose": COMPOSE, "confirmDeadlineSeconds": 1}, 400, "request.bad-deadline"),
    ({"compose": COMPOSE, "reason": "x" * 501}, 400, "request.bad-reason"),
    (b"{", 400, "json.syntax"),
])
def test_a_push_that_is_refused_before_it_is_sent(gw, device, body, status, reason):
    tunnel = device.connect()
    answer = gw.raw("POST", f"/v1/devices/{device.id}/compose-snapshot", body, {"Authorization": f"Bearer {gw.token}"})
    assert answer.status == status and error_id(answer) == reason, answer
    if reason in ("yaml.duplicate-key", "compose.unknown-key"):
        assert answer.json["error"]["file"] == "compose.yaml"
        assert answer.json["error"]["line"] == (4 if status == 400 else 1)
    assert tunnel.silent() == []


def test_status_and_plan_are_asked_live(gw, device):
    tunnel = device.connect()
    answers = []
    ask = threading.Thread(target=lambda: answers.append(gw.request("GET", f"/v1/devices/{device.id}/status")), daemon=True)
    ask.start()
    question = tunnel.next("status.get")
    tunnel.send({"type": "status.report", "id": "another", "status": {}})
    tunnel.send({"type": "status.report", "id": question["id"], "status": {"state": "idle"}})
    ask.join(WAIT_SECONDS)
    assert answers[0].status == 200 and answers[0].json == {"status": {"state": "idle"}}

    for reply, status, body in [
            ({"type": "compose.plan.result", "status": 200, "phase": "plan", "plan": {"services": []}}, 200, {"plan": {"services": []}}),
            ({"type": "compose.plan.result", "status": 422, "phase": "policy", "error": {"id": "a.b", "message": "c"}}, 422,
             {"error": {"id": "a.b", "message": "c"}}),
            ({"type": "error", "error": {"id": "a.b", "message": "c"}}, 502, {"error": {"id": "a.b", "message": "c"}})]:
        plan = threading.Thread(target=lambda: answers.append(
            gw.request("POST", f"/v1/devices/{device.id}/plan", {"compose": COMPOSE})), daemon=True)
        plan.start()
        question = tunnel.next("compose.plan")
        assert question["compose"] == COMPOSE
        tunnel.send({"id": question["id"], **reply})
        plan.join(WAIT_SECONDS)
        assert answers[-1].status == status and answers[-1].json == body

    plan = threading.Thread(target=lambda: answers.append(
        gw.request("POST", f"/v1/devices/{device.id}/plan", {"compose": COMPOSE})), daemon=True)
    plan.start()
    tunnel.next("compose.plan")
    tunnel.close()
    plan.join(WAIT_SECONDS)
    assert answers[-1].status == 503 and error_id(answers[-1]) == "device.offline"


# connections come and go

def pending(snapshot, phase="confirm", **changed):
    return {"pending": {"id": snapshot["id"], "version": snapshot["version"], "phase": phase,
                        "nonce": snapshot["nonce"], **changed}}


def test_confirmed_only_on_a_connection_opened_after_the_change(gw, device):
    tunnel = device.connect()
    push = Push(gw, device)
    snapshot = tunnel.next("compose.snapshot")
    tunnel.send(device.progress(snapshot, 0, "confirm"))
    tunnel.send(device.status(**pending(snapshot)))
    assert tunnel.silent() == [], "the connection that the snapshot came on is not proof"

    middle = device.connect(pending(snapshot, "apply"))
    middle.send(device.status(**pending(snapshot)))
    assert middle.silent() == [], "nor one that was there while the change was made"

    after = device.connect(pending(snapshot, nonce="0" * 32))
    assert after.silent() == [], "nor a box that names another nonce"
    after.send(device.progress(snapshot, 1, "confirm", "info"))
    after.send(device.status(**pending(snapshot)))
    confirm = after.next("compose.confirm")
    assert confirm == {"type": "compose.confirm", "id": snapshot["id"], "version": snapshot["version"], "nonce": snapshot["nonce"]}
    after.send(device.result(snapshot))
    assert push.end().status == 200


def test_a_result_that_was_lost_is_found_in_the_status(gw, device):
    tunnel = device.connect()
    push = Push(gw, device)
    snapshot = tunnel.next("compose.snapshot")
    tunnel.send(device.progress(snapshot, 0, "verify"))
    tunnel.close()
    last = device.result(snapshot, 500, "rolled-back", "rolled-back")
    del last["type"]
    again = device.connect({"last": last})
    assert again.next()["type"] == "compose.result.ack"
    answer = push.end()
    assert answer.status == 500 and answer.json["result"]["outcome"] == "rolled-back"
    # the box has not seen the acknowledgement and sends it again
    again.send(device.result(snapshot, 500, "rolled-back", "rolled-back"))
    assert again.next("compose.result.ack")["id"] == snapshot["id"]


def test_a_snapshot_that_never_arrived_is_sent_again(gw, device):
    tunnel = device.connect()
    push = Push(gw, device)
    snapshot = tunnel.next("compose.snapshot")
    tunnel.close()
    again = device.connect()
    second = again.next("compose.snapshot")
    assert (second["id"], second["version"], second["nonce"]) == (snapshot["id"], snapshot["version"], snapshot["nonce"])
    again.send(device.result(second))
    assert push.end().status == 200


def test_a_result_of_a_change_made_at_the_box(gw, device):
    tunnel = device.connect()
    tunnel.send(device.result({"id": "local-1", "version": "5"}))
    assert tunnel.next()["id"] == "local-1"
    assert [e["detail"]["id"] for e in gw.audit("compose.result-local") if e["device"] == device.id] == ["local-1"]


def test_the_gateway_restarts_in_the_middle(gw, device):
    tunnel = device.connect()
    push = Push(gw, device)
    snapshot = tunnel.next("compose.snapshot")
    tunnel.send(device.progress(snapshot, 0, "apply"))
    wait_until(lambda: deployment(gw, device, 1).json["events"], "the event is stored")
    gw.stop()
    push.end()
    assert tunnel.next("goaway")["reason"] == "restart"
    assert tunnel.next() is None
    gw.start()
    assert gw.push(device.id, COMPOSE).status == 503
    again = device.connect(pending(snapshot))
    assert again.next("compose.confirm")["nonce"] == snapshot["nonce"]
    assert error_id(gw.push(device.id, COMPOSE)) == "deployment.busy"
    again.send(device.result(snapshot))
    assert again.next("compose.result.ack")["id"] == snapshot["id"]
    assert deployment(gw, device, 1).json["deployment"]["state"] == "done"


def test_the_gateway_is_killed_before_the_result_is_acknowledged(gw, device):
    tunnel = device.connect()
    push = Push(gw, device)
    snapshot = tunnel.next("compose.snapshot")
    gw.daemon.kill()
    gw.daemon = None
    push.end()
    gw.start()
    again = device.connect(False)
    again.send(device.result(snapshot))
    assert again.next()["type"] == "compose.result.ack"
    assert deployment(gw, device, 1).json["deployment"]["state"] == "done"


def test_postgresql_restarts(gw, device):
    tunnel = device.connect()
    push = Push(gw, device)
    snapshot = tunnel.next("compose.snapshot")
    gw.postgres.pause()
    answer = gw.request("GET", "/v1/devices")
    assert answer.status == 503 and error_id(answer) == "store.unavailable"
    assert gw.raw("GET", "/healthz", None, {}).status == 200
    # boxes still come in, and what they say is kept until it can be written
    tunnel.send(device.progress(snapshot, 0, "verify"))
    second = device.connect(pending(snapshot, "apply"))
    assert device.refresh().status == 200
    second.send(device.progress(snapshot, 1, "apply"))
    second.send(device.result(snapshot))
    assert second.silent() == [], "not acknowledged before it is committed"
    gw.postgres.resume()
    assert second.next("compose.result.ack")["id"] == snapshot["id"]
    answer = push.end()
    assert answer.status == 200
    assert [e["seq"] for e in deployment(gw, device, 1).json["events"]] == [0, 1]


def test_a_gateway_that_starts_before_its_database(gw, device):
    gw.stop()
    gw.postgres.pause()
    Gateway.start(gw)
    assert gw.raw("GET", "/healthz", None, {}).status == 503
    assert refused(tunnel_url(gw), device.token) == 503
    assert device.refresh().status == 503
    gw.postgres.resume()
    wait_until(lambda: gw.raw("GET", "/healthz", None, {}).status == 200, "the gateway serves", gw.daemon.death)
    device.connect()


def test_a_box_that_is_silent_for_too_long(gw, device):
    tunnel = device.connect()
    gw.request("POST", f"/v1/devices/{device.id}/compose-snapshot?wait=0", {"compose": COMPOSE})
    snapshot = tunnel.next("compose.snapshot")
    tunnel.close()
    gw.stop()
    gw.postgres.sql(f"UPDATE deployments SET created_at = now() - interval '36 minutes' WHERE device = '{device.id}'")
    gw.start()
    wait_until(lambda: deployment(gw, device, 1).json["deployment"]["state"] == "unknown", "it is given up")
    assert [e["alarm"] for e in gw.audit("compose.result") if e["device"] == device.id] == [True]
    # it comes back after all
    again = device.connect(False)
    again.send(device.result(snapshot))
    assert again.next("compose.result.ack")["id"] == snapshot["id"]
    assert deployment(gw, device, 1).json["deployment"]["state"] == "done"


# operators

def test_operator_tokens(gw):
    assert error_id(gw.raw("GET", "/v1/devices", None, {})) == "operator.token-missing"
    for token in ("sbx_" + "A" * 43, "sbx_short", "x" * 47, gw.token + "x"):
        answer = gw.raw("GET", "/v1/devices", None, {"Authorization": f"Bearer {token}"})
        assert answer.status == 401 and error_id(answer) == "operator.token-unknown"
    token = gw.run("tokens", "add", "ana@example").strip()
    assert token.startswith("sbx_") and len(token) == 47
    headers = {"Authorization": f"Bearer {token}"}
    assert gw.raw("GET", "/v1/devices", None, headers).status == 200
    assert "ana@example" in gw.run("tokens", "list") and token not in gw.run("tokens", "list")
    assert gw.postgres.sql(f"SELECT count(*) FROM operator_tokens WHERE hash LIKE '%{token[4:]}%'") == [["0"]]
    gw.run("tokens", "revoke", "ana@example")
    assert gw.raw("GET", "/v1/devices", None, headers).status == 401
    assert [e["detail"]["name"] for e in gw.audit("token.revoked")] == ["ana@example"]


def test_audit_names_who_and_limits(gw, device):
    entries = gw.audit("device.added")
    assert entries[0]["device"] == device.id and entries[0]["actor"] == "operator:lab"
    assert len(gw.request("GET", "/v1/audit?limit=1").json["entries"]) == 1
    assert gw.request("GET", "/v1/audit?limit=-1").status == 400


def test_nothing_secret_in_the_log_or_the_database(gw, device):
    device.connect()
    log = gw.log()
    dump = json.dumps(gw.postgres.sql("SELECT * FROM bootstraps"))
    for secret in (gw.token, device.token, device.bootstrap):
        assert secret not in log and secret not in dump


def test_migrate_twice_and_a_newer_schema():
    with Postgres() as pg:
        import subprocess
        env = {"PATH": os.environ["PATH"], "SECBOX_GATEWAY_DATABASE": pg.conninfo}

        def migrate():
            return subprocess.run([program("secbox-gateway"), "migrate"], env=env, capture_output=True, text=True, check=False)
        assert migrate().returncode == 0 and migrate().returncode == 0
        pg.sql("INSERT INTO schema_version VALUES (999)")
        done = migrate()
        assert done.returncode == 1 and "newer" in done.stderr
        pg.pause()
        assert migrate().returncode == 3


def test_a_password_in_the_connection_string_is_not_shown(tmp_path):
    import subprocess
    done = subprocess.run([program("secbox-gateway"), "migrate", "--database", "host=/nowhere password=verysecret"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 3 and "verysecret" not in done.stderr
    done = subprocess.run([program("secbox-gateway"), "migrate", "--database", "postgresql://u:verysecret@[x"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "verysecret" not in done.stderr

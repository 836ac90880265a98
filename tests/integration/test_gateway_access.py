# SPDX-License-Identifier: MIT
"""Who gets in at secbox-gateway: claims, tokens, tunnels, operators."""
# pylint: disable=redefined-outer-name,unused-import
import base64
import http.client
import json
import os
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import pytest

pytest.importorskip("cryptography")
pytest.importorskip("websockets")

from cryptography.hazmat.primitives import serialization  # noqa: E402

from tests.integration.gateway_lab import (COMPOSE, NUMBERS, Push, device, enroll, error_id, gw, refused, refusing, shared,
                                           tunnel_url)
from tests.lab.device import Device, DeviceKey, Tunnel, b64
from tests.lab.fleet import Fleet
from tests.lab.postgres import Postgres
from tests.lab.gateway import Answer
from tests.lab.util import PATIENCE_SECONDS, Daemon, free_port, port_answers, program, wait_until


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
    ({"proof": "a.b.c"}, 401, "jwt.malformed"),
])
def test_claim_refusals(gw, changed, status, reason):
    box = enroll(gw, f"claim-{next(NUMBERS)}")
    answer = box.claim(**changed)
    assert answer.status == status, answer
    assert error_id(answer) == reason


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
    stale = device.key.proof(device.url + "/api/device/refresh-jwt", device.token, age=9999)
    tunnel.send({"type": "auth.refresh", "proof": stale})
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
    assert refused(url, "x" * 6000) == 401
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


def test_a_stolen_key_is_revoked_alone(gw, device, tmp_path):
    path = f"/v1/devices/{device.id}/keys"
    other = Device(gw.url, device.post, device.id, device.bootstrap, "device")
    assert other.claim().status == 201
    stolen, stays = device.connect(), other.connect()
    nothing = gw.request("DELETE", f"{path}/recovery")
    assert (nothing.status, error_id(nothing)) == (404, "device.no-key")
    fleet = Fleet(gw.url, gw.token, str(tmp_path))
    rows = [line.split() for line in fleet.run("devices", "keys", device.id, check=0).stdout.splitlines()]
    keys = gw.device(device.id)["keys"]
    assert rows == [["ROLE", "THUMBPRINT", "VOUCHED"], *([role, key, "-"] for role, key in keys.items())] and len(rows) == 3
    assert "devices keys" in fleet.run("devices", "keys", device.id, "mgmt", check=2).stderr
    assert f"devices keys {device.id}" in fleet.run("devices", "keys", device.id, "revoke", "recovery", check=1).stderr
    assert "bootstrap token is void" in fleet.run("devices", "keys", device.id, "revoke", "mgmt", check=0).stdout
    assert stolen.next("none") is None and stolen.code == 1008
    assert refused(tunnel_url(gw), device.token) == 401 and device.refresh().status == 401
    assert device.claim().status == 401, "nor by the bootstrap token, which may be stolen with it"
    assert set(gw.device(device.id)["keys"]) == {"device"} and gw.device(device.id)["roles"] == ["device"]
    assert stays.code is None and other.refresh().status == 200
    entry, = [e for e in gw.audit("device.key-revoked") if e["device"] == device.id]
    assert entry["detail"]["role"] == "mgmt" and entry["actor"] == "operator:lab"
    device.bootstrap = gw.request("POST", f"/v1/devices/{device.id}/bootstrap").json["bootstrap"]
    assert device.claim().status == 201
    device.connect()


def test_a_removed_device_is_forgotten(gw, device):
    path, tunnel = f"/v1/devices/{device.id}", device.connect()
    push = Push(gw, device)
    snapshot = tunnel.next("compose.snapshot")
    busy = gw.request("DELETE", path)
    assert busy.status == 409 and error_id(busy) == "device.busy" and gw.device(device.id)["blocked"] is False
    tunnel.send(device.result(snapshot))
    assert push.end().status == 200
    assert gw.request("DELETE", path).json == {"removed": device.id}
    assert tunnel.next("none") is None and tunnel.code == 1008
    assert refused(tunnel_url(gw), device.token) == 401
    assert device.claim().status == 401 and device.refresh().status == 401
    assert gw.request("GET", path).status == 404 and gw.request("DELETE", path).status == 404
    kept = [e["action"] for e in gw.audit() if e.get("device") == device.id]
    assert kept[0] == "device.removed" and kept[-1] == "device.added"
    # the name is free, and nothing of the former box is left under it
    again = enroll(gw, device.id)
    assert again.claim().status == 201 and refused(tunnel_url(gw), device.token) == 401
    assert gw.request("GET", path + "/deployments").json["deployments"] == []
    again.connect()
    again.close()


def test_a_device_that_gets_busy_while_it_is_removed_stays(gw, device):
    tunnel = device.connect()
    body = json.dumps({"compose": COMPOSE}).encode()
    head = f"Host: x\r\nAuthorization: Bearer {gw.token}\r\nConnection: close\r\n"
    gw.postgres.freeze()
    try:
        removal, push = (socket.create_connection(("127.0.0.1", gw.port)) for _ in range(2))
        removal.sendall(f"DELETE /v1/devices/{device.id} HTTP/1.1\r\n{head}\r\n".encode())
        push.sendall(f"POST /v1/devices/{device.id}/compose-snapshot?wait=0 HTTP/1.1\r\n{head}Content-Type: application/json\r\n"
                     f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert gw.raw("GET", "/healthz", None, {}).status == 200  # it has read both
    finally:
        gw.postgres.thaw()
    snapshot = tunnel.next("compose.snapshot")
    with removal, push:
        answer = removal.makefile("rb").read()
        assert b" 409 " in answer.splitlines()[0] and b"device.busy" in answer
        assert b" 202 " in push.makefile("rb").readline()
    assert gw.device(device.id)["blocked"] is False
    tunnel.send(device.result(snapshot))
    tunnel.next("compose.result.ack")
    device.connect()
    assert gw.request("DELETE", f"/v1/devices/{device.id}").status == 200


def test_a_device_that_the_database_keeps_is_let_in_again(gw, device):
    device.connect()
    with refusing(gw, "device.removed"):
        assert gw.request("DELETE", f"/v1/devices/{device.id}").status == 500
    assert gw.device(device.id)["blocked"] is False
    device.connect()


def test_a_device_is_labelled_anew(gw, device):
    path = f"/v1/devices/{device.id}"
    changed = gw.request("PATCH", path, {"labels": {"ring": "canary", "site": None, "never": None}})
    assert changed.status == 200 and changed.json["device"]["labels"] == {"ring": "canary"}
    assert gw.device(device.id)["labels"] == {"ring": "canary"}
    entry = gw.audit("device.relabelled")[0]
    assert entry["device"] == device.id and entry["detail"] == {"labels": {"ring": "canary"}, "before": {"site": "north"}}
    for bad in ({}, {"labels": [1]}, {"labels": {"a": 1}}, {"labels": {f"l{i}": "x" for i in range(32)}}):
        answer = gw.request("PATCH", path, bad)
        assert answer.status == 400 and error_id(answer) == "device.bad-labels", bad
    assert gw.device(device.id)["labels"] == {"ring": "canary"}


@pytest.mark.parametrize("method, what, body", [
    ("GET", "", None), ("DELETE", "", None), ("PATCH", "", {"labels": {}}), ("POST", "/bootstrap", None), ("POST", "/block", None),
    ("POST", "/unblock", None), ("GET", "/status", None), ("POST", "/plan", {"compose": COMPOSE}), ("GET", "/deployments", None),
    ("POST", "/compose-snapshot", {"compose": COMPOSE}),
])
def test_an_unknown_device_is_no_such_device(gw, method, what, body):
    answer = gw.request(method, "/v1/devices/nobody" + what, body)
    assert answer.status == 404 and error_id(answer) == "device.not-found"


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


def test_a14_two_machines_with_one_key_raise_the_alarm(gw, device):
    def alarms():
        return [e for e in gw.audit("device.cloned") if e["device"] == device.id]

    # restarts, also those that the gateway has not noticed yet, and programs that start anew are one machine
    for boot in ("first", "first", "second", "second", "third"):
        device.connect(bootId=boot)
    device.connect(bootId="copy")
    assert gw.device(device.id)["connected"] is True and not alarms()
    device.connect(bootId="third")
    alarm, = wait_until(alarms, "the alarm")
    assert alarm["alarm"] is True and alarm["detail"]["bootIds"] == ["copy", "third"]
    assert all(peer in alarm["detail"]["message"] for peer in alarm["detail"]["peers"])
    # they go on, and nobody needs a row for each time
    for boot in ("copy", "third", "copy"):
        device.connect(bootId=boot)
    last = device.status(current={"version": "9", "sha256": "0" * 64, "at": "2026-01-02T03:04:05.678Z"})
    device.connect(bootId="other").send(last)
    wait_until(lambda: gw.device(device.id).get("current"), "all before it was taken")
    assert len(alarms()) == 1


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


def test_operator_tokens_for_programs(gw):
    for name in ("kept@example", "gone@example"):
        gw.run("tokens", "add", name)
    gw.run("tokens", "revoke", "gone@example")
    tokens = {t["name"]: t for t in json.loads(gw.run("tokens", "list", "--json"))["tokens"]}
    assert "revokedAt" not in tokens["kept@example"] and tokens["kept@example"]["createdAt"].endswith("Z")
    assert tokens["gone@example"]["revokedAt"] >= tokens["gone@example"]["createdAt"]


def test_the_audit_log_is_read_page_by_page(gw):
    whole = gw.request("GET", "/v1/audit?limit=7").json["entries"]
    assert len(whole) == 7
    first = gw.request("GET", f"/v1/audit?limit=3&before={int(whole[0]['id']) + 1}").json["entries"]
    second = gw.request("GET", f"/v1/audit?limit=4&before={first[-1]['id']}").json["entries"]
    assert first + second == whole
    assert gw.request("GET", "/v1/audit?before=x").status == 400


def test_who_reads_the_audit_log_stands_in_it(gw):
    name = f"reads-{time.monotonic_ns()}"
    headers = {"Authorization": f"Bearer {gw.run('tokens', 'add', name, '--role', 'viewer').strip()}"}
    for _ in range(3):
        assert gw.raw("GET", "/v1/audit", None, headers).status == 200
    wait_until(lambda: [e for e in gw.audit("audit.read") if e["actor"] == f"operator:{name}"], "it is written down")
    assert len([e for e in gw.audit("audit.read") if e["actor"] == f"operator:{name}"]) == 1, "once an hour"


def by_role(gw, role):
    """A request as somebody with that role."""
    token = gw.run("tokens", "add", f"{role}-{time.monotonic_ns()}", "--role", role).strip()
    return lambda method, path, body=None: gw.raw(method, path, body, {"Authorization": f"Bearer {token}"})


def test_a_role_is_enough_or_names_the_one_that_is(gw, device):
    viewer, operator, admin = (by_role(gw, role) for role in ("viewer", "operator", "admin"))
    path = f"/v1/devices/{device.id}"
    for path_of_all in ("/v1/devices", path, f"{path}/deployments", "/v1/grants", "/v1/rollouts", "/v1/communities", "/v1/audit"):
        assert viewer("GET", path_of_all).status == 200, path_of_all
    for method, what, body in (("POST", "/v1/devices", {"id": "other", "labels": {}}), ("POST", f"{path}/block", None),
                               ("PATCH", path, {"labels": {"a": "b"}}), ("DELETE", path, None),
                               ("POST", f"{path}/compose-snapshot", {"compose": "services: {}"}),
                               ("GET", f"{path}/bridge", None), ("POST", "/v1/rollouts", {}), ("POST", "/v1/grants", {}),
                               ("PUT", "/v1/communities/c1", {"name": "C"})):
        answer = viewer(method, what, body)
        assert (answer.status, error_id(answer)) == (403, "auth.role"), (method, what, answer)
    assert "a token with the role operator, and that of viewer-" in answer.json["error"]["message"], answer
    assert operator("PATCH", path, {"labels": {"a": "b"}}).status == 200
    answer = operator("DELETE", path)
    assert (answer.status, error_id(answer)) == (403, "auth.role") and "--role admin" in answer.json["error"]["message"], answer
    assert viewer("GET", path).json["device"]["labels"]["a"] == "b"
    assert admin("DELETE", path).status == 200 and viewer("GET", path).status == 404


def test_who_deploys_does_not_log_in_and_who_logs_in_does_not_deploy(gw, device):
    deploy, support = (by_role(gw, role) for role in ("deploy", "support"))
    path = f"/v1/devices/{device.id}"
    for person, other, method, what, body in (
            (deploy, support, "POST", f"{path}/compose-snapshot", {"compose": "services:\n  a:\n    image: b\n"}),
            (support, deploy, "POST", "/v1/grants", {"device": device.id, "reason": "a look"})):
        answer = other(method, what, body)
        assert (answer.status, error_id(answer)) == (403, "auth.role"), answer
        answer = person(method, what, body)
        assert answer.status == 201 or error_id(answer) == "device.offline", answer
    for person in (deploy, support):
        assert person("GET", path).status == 200
        for method, what, body in (("POST", f"{path}/block", None), ("POST", "/v1/devices", {"id": "x", "labels": {}}),
                                   ("PUT", "/v1/communities/c1", {"name": "C"}), ("DELETE", path, None)):
            assert error_id(person(method, what, body)) == "auth.role", (method, what)


def test_a_token_ends_by_itself_and_says_when_it_was_used(gw):
    def listed():
        return {t["name"]: t for t in json.loads(gw.run("tokens", "list", "--json"))["tokens"]}["while@example"]

    token = gw.run("tokens", "add", "while@example", "--days", "2").strip()
    assert "lastUsedAt" not in listed() and listed()["expiresAt"] > listed()["createdAt"]
    headers = {"Authorization": f"Bearer {token}"}
    assert gw.raw("GET", "/v1/devices", None, headers).status == 200
    used = wait_until(lambda: listed().get("lastUsedAt"), "it is written down")
    assert used >= listed()["createdAt"] and "good until" in gw.run("tokens", "list")
    gw.postgres.sql("UPDATE operator_tokens SET expires_at = now() WHERE name = 'while@example'")
    assert error_id(gw.raw("GET", "/v1/devices", None, headers)) == "operator.token-unknown"
    assert any("while@example" in line and "expired" in line for line in gw.run("tokens", "list").splitlines())
    gw.run("tokens", "add", "while@example")  # its name is free again
    assert "expiresAt" not in listed() and "lastUsedAt" not in listed()
    for days in ("0", "-1", "x", "99999"):
        p = subprocess.run([program("secbox-gateway"), "tokens", "add", "x@example", f"--days={days}"], env=gw.env,
                           capture_output=True, text=True, check=False)
        assert p.returncode == 2 and "--days" in p.stderr, p


def test_roles_are_shown_and_are_one_of_five(gw):
    gw.run("tokens", "add", "usual@example")
    gw.run("tokens", "add", "looks@example", "--role", "viewer")
    tokens = {t["name"]: t["role"] for t in json.loads(gw.run("tokens", "list", "--json"))["tokens"]}
    assert (tokens["usual@example"], tokens["looks@example"], tokens["lab"]) == ("operator", "viewer", "admin")
    assert any(line.split()[:2] == ["looks@example", "viewer"] for line in gw.run("tokens", "list").splitlines())
    p = subprocess.run([program("secbox-gateway"), "tokens", "add", "x@example", "--role", "root"], env=gw.env,
                       capture_output=True, text=True, check=False)
    assert p.returncode == 2 and "admin, operator, deploy, support and viewer, not root" in p.stderr
    assert "x@example" not in gw.run("tokens", "list")
    assert gw.audit("token.added")[0]["detail"] == {"name": "looks@example", "role": "viewer"}


def test_tokens_from_before_there_were_roles():
    """They could do all, and go on; an alarm says so, once."""
    with Postgres() as pg:
        def run(*args):
            env = {"PATH": os.environ["PATH"], "SECBOX_GATEWAY_DATABASE": pg.conninfo}
            return subprocess.run([program("secbox-gateway"), *args], env=env, capture_output=True, text=True, check=True).stdout

        def alarms():
            return pg.sql("SELECT alarm, detail->'admins' FROM audit WHERE action = 'token.roles'")

        run("migrate")
        assert alarms() == [], "a new gateway has none"
        for name in ("old", "gone"):
            run("tokens", "add", name)
        run("tokens", "revoke", "gone")
        pg.sql("DROP VIEW good_tokens; DROP TABLE sign_ins")  # what came later looks at the roles
        pg.sql("ALTER TABLE operator_tokens DROP COLUMN role")
        pg.sql("DELETE FROM schema_version WHERE version IN (15, 27)")
        run("migrate")
        roles = {t["name"]: t["role"] for t in json.loads(run("tokens", "list", "--json"))["tokens"]}
        assert roles == {"old": "admin", "gone": "admin"}
        assert alarms() == [["t", '["old"]']]
        run("migrate")
        assert len(alarms()) == 1


def test_verbs_find_the_database_where_the_unit_does(gw, tmp_path):
    """As systemd reads the file; a variable that is set, and an option, outrank it."""
    file = tmp_path / "gateway.env"
    elsewhere = "host=/nowhere connect_timeout=1"

    def listed(text, *more, **env):
        file.write_text(text)
        file.chmod(0o600)
        return subprocess.run([program("secbox-gateway"), "tokens", "list", "--env-file", str(file), *more],
                              env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, check=False)

    line = f"# ours\nSECBOX_GATEWAY_DATABASE='{gw.postgres.conninfo}'\n"
    p = listed(line)
    assert p.returncode == 0 and "lab" in p.stdout, p
    assert listed(line, "--database", elsewhere).returncode == 3
    assert listed(line, SECBOX_GATEWAY_DATABASE=elsewhere).returncode == 3
    p = listed(f"SECBOX_GATEWAY_DATABASE='{elsewhere}\n")
    assert p.returncode == 1 and f"{file}:1" in p.stderr and "quote" in p.stderr, p


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
    done = subprocess.run([program("secbox-gateway"), "migrate", "--database", "host=/nowhere password=verysecret"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 3 and "verysecret" not in done.stderr
    done = subprocess.run([program("secbox-gateway"), "migrate", "--database", "postgresql://u:verysecret@[x"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "verysecret" not in done.stderr


def test_tls_and_a_configured_issuer(gw, tmp_path):
    cert, key, port = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"), free_port()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-keyout", key, "-out", cert, "-subj", "/CN=cloud", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True)
    trust = ssl.create_default_context(cafile=cert)
    bootstrap = gw.request("POST", "/v1/devices", {"id": "behind-tls"}).json["bootstrap"]
    gw.stop()  # one gateway serves with a database
    gw.postgres.sql("DELETE FROM serving")
    daemon = Daemon("secbox-gateway", [program("secbox-gateway"), "serve", "--listen", f"127.0.0.1:{port}", "--cert", cert,
                                       "--key", key, "--state", str(tmp_path / "state"), "--issuer", "https://cloud.example/"],
                    str(tmp_path / "log"), gw.env)

    def ask(path, body=None):
        request = urllib.request.Request(f"https://127.0.0.1:{port}{path}", data=body and json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, context=trust) as answer:
                return Answer(answer.status, answer.read().decode())
        except urllib.error.HTTPError as e:
            with e:
                return Answer(e.code, e.read().decode())

    try:
        wait_until(lambda: port_answers(port) and ask("/healthz").status == 200, "it serves TLS", daemon.death)
        box = Device("https://cloud.example", lambda path, body, headers: ask(path, body), "behind-tls", bootstrap)
        wrong = box.claim(proof=box.key.proof(f"https://127.0.0.1:{port}/api/device/claim"))
        assert wrong.status == 401 and error_id(wrong) == "proof.uri"
        assert box.claim().status == 201
        assert json.loads(base64.urlsafe_b64decode(box.token.split(".")[1] + "=="))["iss"] == "https://cloud.example"
    finally:
        ended = daemon.stop()
        gw.postgres.sql("DELETE FROM serving")
        assert ended == 0


@pytest.mark.parametrize("argv, word, code", [
    (["--listen", "nowhere"], "--listen", 1), (["--listen", "127.0.0.1:99999"], "--listen", 1),
    (["--issuer", "${X}"], "--issuer", 2), (["--token-hours", "0"], "--token-hours", 2), (["--cert", "x"], "--key", 1),
    (["--database", ""], "--database", 1),
])
def test_a_bad_configuration_is_refused_at_the_start(tmp_path, argv, word, code):
    done = subprocess.run([program("secbox-gateway"), "serve", "--state", str(tmp_path / "state"), "--database", "host=/nowhere",
                           "--listen", "127.0.0.1:0", *argv], capture_output=True, text=True, check=False)
    assert done.returncode == code and word in done.stderr, done


def test_a83_from_where_a_token_is_used(gw):
    """An entry of the audit log stands before what is done from another address; reading writes none."""
    person = f"nora-{time.monotonic_ns()}"
    token = gw.run("tokens", "add", person, "--role", "operator").strip()

    def ask(source, method, path):
        connection = http.client.HTTPConnection("127.0.0.1", gw.port, timeout=PATIENCE_SECONDS, source_address=(source, 0))
        connection.request(method, path, headers={"Authorization": f"Bearer {token}"})
        status = connection.getresponse().status
        connection.close()
        return status

    def used():
        return [e["detail"] for e in reversed(gw.audit("token.used")) if e["actor"] == f"operator:{person}"]

    assert ask("127.0.0.9", "GET", "/v1/devices") == 200
    for source in ("127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.1"):
        assert ask(source, "POST", "/v1/grants/g-0/revoke") == 404
    wait_until(lambda: len(used()) >= 3, "they are written down")
    assert used() == [{"from": "127.0.0.1"}, {"from": "127.0.0.2", "before": "127.0.0.1"},
                      {"from": "127.0.0.1", "before": "127.0.0.2"}]


def test_a_viewer_who_asks_a_boxs_doctor_is_written_down_with_her_address(gw, device):
    """All else that she may ask for is in no audit log."""
    person = f"vera-{time.monotonic_ns()}"
    token = gw.run("tokens", "add", person, "--role", "viewer").strip()
    tunnel = device.connect({"accepts": ["doctor.ask"]})
    gw.wait_reported(device.id)
    connection = http.client.HTTPConnection("127.0.0.1", gw.port, timeout=PATIENCE_SECONDS, source_address=("127.0.0.9", 0))
    connection.request("POST", f"/v1/devices/{device.id}/doctor", b"{}",
                       {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    tunnel.next("doctor.ask")

    def entries():
        return [(e["action"], (e["detail"] or {}).get("from")) for e in gw.audit() if e["actor"] == f"operator:{person}"]

    wait_until(lambda: ("device.doctor", None) in entries(), "it is written down")
    assert entries() == [("device.doctor", None), ("token.used", "127.0.0.9")]
    connection.close()

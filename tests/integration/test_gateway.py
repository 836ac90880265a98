# SPDX-License-Identifier: MIT
"""What secbox-gateway does with pushes, whatever happens to connections, to itself and to its database."""
# pylint: disable=redefined-outer-name,unused-import
import http.client
import json
import threading
import time
import urllib.request

import pytest

from tests.integration.gateway_lab import (COMPOSE, WAIT_SECONDS, Gateway, Push, deployment, device, error_id, gw, refused,
                                           refusing, shared, tunnel_url)
from tests.lab.util import Daemon, free_port, program, wait_until


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


def test_unsafe_mounts_of_a_box_are_one_alarm_each_time_they_change(gw, device):
    def alarms():
        return [e["detail"]["binds"] for e in gw.audit("bind.unsafe") if e["device"] == device.id and e["alarm"]]

    first = [{"service": "web", "source": "/srv/x", "problem": "do: chown root: /srv"}]
    second = [*first, {"service": "nvr", "source": "/srv/y", "problem": "do: chown root: /srv"}]
    tunnel = device.connect({"unsafeBinds": first})
    wait_until(lambda: alarms() == [first], "the alarm")
    for binds in (first, first, second):
        tunnel.send(device.status(unsafeBinds=binds))
    wait_until(lambda: alarms() == [second, first], "one more")
    for _ in range(2):
        tunnel.send(device.status())
    tunnel.send(device.status(unsafeBinds=first))
    wait_until(lambda: alarms() == [first, second, first], "and when they are there again")


def test_containers_of_an_unnamed_root_are_one_alarm(gw, device):
    def alarms():
        return len([e for e in gw.audit("podman.unnamed-root") if e["device"] == device.id and e["alarm"]])

    tunnel = device.connect({"unnamedRoot": True})
    wait_until(lambda: alarms() == 1, "the alarm")
    for told in (True, False, True):
        tunnel.send(device.status(unnamedRoot=told))
    wait_until(lambda: alarms() == 2, "one more, when it is so again")


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


def roll_back(gw, device, **body):
    """The answer to come: the request waits for the box."""
    push = Push.__new__(Push)
    threading.Thread.__init__(push, daemon=True)
    push.ask = lambda: gw.request("POST", f"/v1/devices/{device.id}/rollback", body)
    push.answer = None
    push.start()
    return push


def test_a_rollback_is_confirmed_like_a_push(gw, device):
    tunnel = device.connect({"accepts": ["compose.rollback"]})
    gw.wait_reported(device.id)
    asked = roll_back(gw, device, to="local-1764400000000", reason="door stuck")
    order = tunnel.next("compose.rollback")
    assert order["to"] == "local-1764400000000" and order["deviceId"] == device.id and "compose" not in order
    assert order["confirmDeadlineSeconds"] > 0 and order["version"] == "1"
    tunnel.send(device.progress(order, 0, "prove"))
    tunnel.close()
    again = device.connect({"pending": {"id": order["id"], "version": "1", "phase": "confirm", "nonce": order["nonce"]}})
    assert again.next("compose.confirm")["nonce"] == order["nonce"]
    again.send(device.result(order, kind="rollback"))
    answer = asked.end()
    assert answer.status == 200
    shown = answer.json["deployment"]
    assert (shown["kind"], shown["target"], shown["state"]) == ("rollback", "local-1764400000000", "done")
    assert "sha256" not in shown and shown["reason"] == "door stuck"
    entry = [e for e in gw.audit("compose.rollback") if e["device"] == device.id][0]
    assert entry["detail"]["target"] == "local-1764400000000" and entry["actor"] == "operator:lab"


def test_a_rollback_that_was_lost_is_sent_again(gw, device):
    tunnel = device.connect({"accepts": ["compose.rollback"]})
    gw.wait_reported(device.id)
    assert gw.request("POST", f"/v1/devices/{device.id}/rollback?wait=0", {"to": "7"}).status == 202
    first = tunnel.next("compose.rollback")
    tunnel.close()
    second = device.connect({"accepts": ["compose.rollback"]}).next("compose.rollback")
    assert {**first, "issuedAt": ""} == {**second, "issuedAt": ""}


def test_a_rollback_that_a_box_cannot_do(gw, device):
    path = f"/v1/devices/{device.id}/rollback"
    answer = gw.request("POST", path, {})
    assert answer.status == 503 and error_id(answer) == "device.offline"
    tunnel = device.connect()
    gw.wait_reported(device.id)  # until then, nobody knows what it can do
    assert gw.request("POST", path, {}).status == 422
    tunnel.send(device.status(accepts=["image.update"]))
    wait_until(lambda: error_id(gw.request("POST", path, {})) == "rollback.unsupported", "an agent that is too old")
    assert gw.request("POST", path, {}).status == 422 and tunnel.silent() == []
    tunnel.send(device.status(accepts=["image.update", "compose.rollback"]))
    for bad in ("", "../1", 7, "x" * 60):
        answer = gw.request("POST", path, {"to": bad})
        assert answer.status == 400 and error_id(answer) == "snapshot.bad-version", bad
    assert gw.request("POST", "/v1/devices/nobody/rollback", {}).status == 404


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
    client = http.client.HTTPConnection(gw.host, gw.port)
    client.request("POST", f"/v1/devices/{device.id}/compose-snapshot", json.dumps({"compose": COMPOSE}),
                   {"Authorization": f"Bearer {gw.token}"})
    snapshot = tunnel.next("compose.snapshot")
    client.close()
    assert gw.request("GET", "/healthz").status == 200  # by now the gateway knows that the client has left
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

    error = {"id": "a.b", "message": "c"}
    for reply, status, body in [
            ({"type": "compose.plan.result", "status": 200, "phase": "plan", "plan": {"services": []}}, 200,
             {"plan": {"services": []}}),
            ({"type": "compose.plan.result", "status": 422, "phase": "policy", "error": error}, 422, {"error": error}),
            ({"type": "error", "error": error}, 502, {"error": error})]:
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


def ask_doctor(gw, device):
    answers = []
    asking = threading.Thread(target=lambda: answers.append(gw.request("POST", f"/v1/devices/{device.id}/doctor", {})), daemon=True)
    asking.start()
    return answers, asking


def test_the_boxs_doctor_is_asked_live(gw, device):
    tunnel = device.connect({"accepts": ["doctor.ask"]})
    gw.wait_reported(device.id)
    report = {"checks": [{"id": "agent", "result": "fail"}], "passed": 0, "failed": 1, "unknown": 0}
    answers, asking = ask_doctor(gw, device)
    question = tunnel.next("doctor.ask")
    tunnel.send({"type": "doctor.report", "id": "another", "at": "2026-01-02T03:04:05.678Z", "exitCode": 0, "report": {}})
    tunnel.send({"type": "doctor.report", "id": question["id"], "at": "2001-01-01T00:00:00.000Z", "exitCode": 1, "report": report})
    asking.join(WAIT_SECONDS)
    assert answers[0].status == 200 and (answers[0].json["report"], answers[0].json["exitCode"]) == (report, 1)
    assert answers[0].json["clockAheadSeconds"] < -86400 * 365 * 20
    assert [e["actor"] for e in gw.audit("device.doctor") if e["device"] == device.id] == ["operator:lab"]
    answers, asking = ask_doctor(gw, device)
    error = {"id": "agent.busy", "message": "c"}
    tunnel.send({"type": "error", "id": tunnel.next("doctor.ask")["id"], "error": error})
    asking.join(WAIT_SECONDS)
    assert answers[0].status == 502 and answers[0].json == {"error": error}


def test_a_doctor_that_cannot_be_asked(gw, device):
    path = f"/v1/devices/{device.id}/doctor"
    assert error_id(gw.request("POST", path, {})) == "device.offline"
    tunnel = device.connect({"accepts": ["compose.rollback"]})
    wait_until(lambda: error_id(gw.request("POST", path, {})) == "doctor.unsupported", "an agent that is too old")
    assert gw.request("POST", path, {}).status == 422 and tunnel.silent() == []
    assert not [e for e in gw.audit("device.doctor") if e["device"] == device.id]
    assert gw.request("POST", "/v1/devices/nobody/doctor", {}).status == 404


# connections come and go

def pending(snapshot, phase="confirm", **changed):
    return {"pending": {"id": snapshot["id"], "version": snapshot["version"], "phase": phase,
                        "nonce": snapshot["nonce"], **changed}}


def test_f18_f22_confirmed_only_on_a_connection_opened_after_the_change(gw, device):
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
    assert confirm == {"type": "compose.confirm",
                       "id": snapshot["id"], "version": snapshot["version"], "nonce": snapshot["nonce"]}
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


def test_what_the_audit_log_did_not_take_is_told_again(gw, device):
    def entries(action):
        return [e for e in gw.audit(action) if e["device"] == device.id]

    def refusals():
        return gw.log().count("an audit entry is only in this log")

    trouble = {"what": "down", "since": "2026-01-02T03:04:05.678Z"}
    down = {"services": [{"name": "web", "state": "down", "since": trouble["since"], "trouble": trouble}]}
    fault = {"program": "mgmt-agent", "since": "2026-01-02T03:04:05.678Z", "error": {"id": "config.bad", "message": "no"}}
    local = device.result({"id": "made-at-the-box", "version": "7"})
    tunnel = device.connect()
    for action, said in (("service.down", device.status(**down)), ("config.fault", device.status(configFaults=[fault])),
                         ("compose.result-local", local)):
        before = refusals()
        with refusing(gw, action):
            tunnel.send(said)
            wait_until(lambda: refusals() > before, "the database refuses it")  # pylint: disable=cell-var-from-loop
        tunnel.send(device.status())
        wait_until(lambda: "services" not in gw.device(device.id), "the next report")
        assert tunnel.received.empty(), "what is not written is not acknowledged"
        tunnel.send(said)
        (entry,) = wait_until(lambda: entries(action), action)  # pylint: disable=cell-var-from-loop
        assert entry["alarm"] is (said is not local)
    assert tunnel.next()["type"] == "compose.result.ack"


def test_services_that_are_down_are_in_the_audit_log_once(gw, device):
    def entries(action):
        found = gw.request("GET", "/v1/audit?limit=1000").json["entries"]
        return [e for e in found if e["action"] == action and e["device"] == device.id]

    trouble = {"what": "down", "since": "2026-01-02T03:04:05.678Z", "exitCode": 7, "restarts": 4, "log": "no camera"}
    well = {"name": "db", "state": "running", "since": "2026-01-01T03:04:05.678Z"}
    down = {"name": "web", "state": "down", "since": trouble["since"], "trouble": trouble}
    device.connect({"services": [well, down]})
    alarm = wait_until(lambda: entries("service.down"), "the alarm")[0]
    assert alarm["alarm"] is True and alarm["detail"] == {"service": "web", **trouble}
    states = {"db": "running", "web": "down"}
    wait_until(lambda: gw.device(device.id).get("services"), "the gateway shows it")
    listed = next(d for d in gw.request("GET", "/v1/devices").json["devices"] if d["id"] == device.id)
    assert {s["name"]: s["state"] for s in listed["services"]} == states and "trouble" not in listed["services"][0]
    # whoever restarts in between: one trouble is one alarm, whatever becomes of it
    gw.stop()
    gw.start()
    tunnel = device.connect({"services": [well, {**down, "trouble": {**trouble, "restarts": 9}}]})
    over = {**trouble, "restarts": 9, "until": "2026-01-02T04:04:05.678Z"}
    for _ in range(2):
        tunnel.send(device.status(services=[well, {**down, "state": "running", "trouble": over}]))
    end = wait_until(lambda: entries("service.well"), "its end")
    assert [e["alarm"] for e in end] == [False] and len(entries("service.down")) == 1
    assert end[0]["detail"] == {"service": "web", "state": "running", "since": trouble["since"], "until": over["until"],
                                "restarts": 9}
    # another time is another alarm; nonsense is none, and a box that says nothing of services is an older one
    again = {**trouble, "since": "2026-01-03T03:04:05.678Z"}
    tunnel.send(device.status(services=[7, {}, {"name": "x", "trouble": 7}, {**down, "trouble": again}]))
    wait_until(lambda: len(entries("service.down")) == 2, "the second alarm")
    tunnel.send(device.status())
    wait_until(lambda: "services" not in gw.device(device.id), "it says nothing of them")
    assert len(entries("service.down")) == 2 and len(entries("service.well")) == 1


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
    tunnel.send(device.result({"id": "local-1", "version": "5"}))
    assert tunnel.next()["id"] == "local-1", "said again, since the first answer may be lost"
    tunnel.send(device.result({"id": "update-2", "version": "local-2"}, 500, "rolled-back", "rolled-back", kind="update",
                              error={"id": "prove.exited", "message": "it ended", "log": ["secret"]}, services=[{"name": "web"}]))
    assert tunnel.next()["id"] == "update-2"

    def entries():
        return [e["detail"] for e in gw.audit("compose.result-local") if e["device"] == device.id]

    wait_until(lambda: len(entries()) == 2, "both are written down")
    assert [e["id"] for e in entries()] == ["update-2", "local-1"], "once each"
    assert entries()[0]["error"] == {"id": "prove.exited", "message": "it ended"} and "services" not in entries()[0]
    push = Push(gw, device)
    tunnel.send(device.result(tunnel.next("compose.snapshot")))
    assert push.end().status == 200
    listed = gw.request("GET", f"/v1/devices/{device.id}/deployments").json["deployments"]
    assert [(d["version"], d.get("local", False), d["state"]) for d in listed] == [
        ("1", False, "done"), ("local-2", True, "rolled-back"), ("5", True, "done")]
    assert listed[1]["kind"] == "update" and listed[1]["createdAt"].endswith("Z")
    assert len(gw.request("GET", f"/v1/devices/{device.id}/deployments?limit=2").json["deployments"]) == 2


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


def test_a29_a_second_gateway_with_the_same_database_waits(gw, device, tmp_path):
    grant = gw.request("POST", "/v1/grants", {"device": device.id, "reason": "CASE-29"}).json["grant"]["id"]
    gw.postgres.sql(f"INSERT INTO bridge_sessions(id, grant_id, way, opened_at) VALUES ('a29', '{grant}', 'device', now())")
    device.connect()
    port = free_port()

    def second(state):
        return Daemon("second", [program("secbox-gateway"), "serve", "--listen", f"127.0.0.1:{port}", "--state", str(state)],
                      str(tmp_path / "log"), gw.env)

    def served_by(url):
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=60) as answer:
                return answer.status == 200
        except OSError:  # HTTP errors, too
            return False

    def open_sessions():
        return gw.postgres.sql("SELECT count(*) FROM bridge_sessions WHERE id = 'a29' AND closed_at IS NULL")

    same_state = second(gw.state)
    wait_until(lambda: same_state.process.poll() is not None, "it has refused to start")
    assert "is in use by another secbox-gateway" in same_state.log()
    other = second(tmp_path / "state")
    try:
        wait_until(lambda: "serves with this database" in other.log(), "it waits", other.death)
        assert not served_by(f"http://127.0.0.1:{port}")
        assert open_sessions() == [["1"]] and gw.device(device.id)["connected"]
        gw.stop()
        gw.postgres.sql("UPDATE serving SET seen_at = now() - interval '2 minutes'")
        wait_until(lambda: served_by(f"http://127.0.0.1:{port}"), "it has taken over", other.death)
        assert open_sessions() == [["0"]]
    finally:
        other.stop()
        gw.postgres.sql("DELETE FROM serving")
        if not gw.daemon:
            gw.start()
    wait_until(lambda: served_by(gw.url), "the first one serves", gw.daemon.death)
    # one that was taken for dead, and was not, ends when it hears of the other
    gw.postgres.sql("UPDATE serving SET place = 'elsewhere', seen_at = now()")
    wait_until(lambda: gw.daemon.process.poll() is not None, "it has ended")
    assert "another secbox-gateway, elsewhere, serves with this database" in gw.log()
    gw.postgres.sql("DELETE FROM serving")
    gw.start()
    wait_until(lambda: served_by(gw.url), "it serves again", gw.daemon.death)


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

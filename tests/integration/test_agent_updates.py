# SPDX-License-Identifier: MIT
"""Orders to update the packages that look after a box, at the gateway: a deployment like others, which nobody confirms."""
# pylint: disable=redefined-outer-name,unused-import
import pytest

from tests.integration.gateway_lab import deployment, device, error_id, gw, shared
from tests.integration.test_rollouts import boxes, fleet, show, site, start, wait_state
from tests.lab.util import wait_until


def order(gw, device, **body):
    return gw.request("POST", f"/v1/devices/{device.id}/agent-update?wait=0", body)


@pytest.mark.parametrize("status, phase, outcome, alarm", [
    (200, "done", "done", False), (500, "prove", "rolled-back", False), (500, "roll-back", "recovery", True)])
def test_an_order_and_its_end(gw, device, status, phase, outcome, alarm):
    tunnel = device.connect({"accepts": ["agent.update"]})
    gw.wait_reported(device.id)
    answer = order(gw, device, to="1.2.0", reason="a hole", confirmDeadlineSeconds=60)
    assert answer.status == 202, answer
    message = tunnel.next("agent.update")
    assert (message["to"], message["confirmDeadlineSeconds"], message["version"]) == ("1.2.0", 60, "1")
    assert "compose" not in message and "image" not in message
    tunnel.send(device.progress(message, 1, "stage"))
    tunnel.close()
    # the agent is replaced: the new one says that it is at work, and is not asked again
    again = device.connect({"accepts": ["agent.update"], "pending": {"id": message["id"], "version": "1", "phase": "proving"}})
    wait_until(lambda: order(gw, device, to="1.2.0").status == 409, "the gateway knows of it")
    again.send(device.result(message, status, phase, outcome, kind="agent",
                             package={"name": "secbox-agent", "from": "1.1.0", "to": "1.2.0"}))
    assert again.next("compose.result.ack")["id"] == message["id"]
    shown = wait_until(lambda: (lambda d: d if d["state"] == outcome else None)(deployment(gw, device, 1).json["deployment"]),
                       "it has ended")
    assert (shown["kind"], shown["target"], shown["status"], shown["id"]) == (
        "agent", "1.2.0", status, answer.json["deployment"]["id"])
    begun = [e for e in gw.audit("agent.update") if e["device"] == device.id]
    ended = [e for e in gw.audit("agent.update-result") if e["device"] == device.id]
    assert [e["detail"]["target"] for e in begun] == ["1.2.0"] and begun[0]["actor"] == "operator:lab"
    assert [(e["detail"]["outcome"], e["alarm"]) for e in ended] == [(outcome, alarm)]


def test_an_order_that_was_lost_is_sent_again(gw, device):
    tunnel = device.connect({"accepts": ["agent.update"]})
    gw.wait_reported(device.id)
    assert order(gw, device, to="1.2.0").status == 202
    first = tunnel.next("agent.update")
    tunnel.close()
    second = device.connect({"accepts": ["agent.update"]}).next("agent.update")
    assert {**first, "issuedAt": ""} == {**second, "issuedAt": ""}


def test_what_a_box_cannot_do(gw, device):
    assert error_id(order(gw, device, to="1.2.0")) == "device.offline"
    tunnel = device.connect({"accepts": ["image.update", "compose.rollback"]})
    wait_until(lambda: error_id(order(gw, device, to="1.2.0")) == "agent-update.unsupported", "its status has come")
    assert tunnel.silent() == []
    for bad in ("", "latest", "1;2", "-1", 7, None):
        answer = order(gw, device, to=bad)
        assert answer.status == 400 and error_id(answer) == "agent-update.bad-version", bad


def test_a_rollout_brings_it_to_boxes_in_groups(gw, fleet, site):
    first, second, bad, newer, old = boxes(fleet, site, 5)
    for box in (first, second, bad, newer):
        fleet.disconnect(box)
        box.accepts = ["image.update", "agent.update"]
        fleet.connect(box)
    bad.outcome = lambda message: ("rolled-back", 500, None)
    newer.outcome = lambda message: ("failed", 422, {"id": "agent-update.newer", "message": "it is at 1.3.0"})
    rollout = start(gw, site, agent="1.2.0", groups="100%", haltAt="100%")
    assert (rollout["kind"], rollout["target"]) == ("agent", "1.2.0") and "image" not in rollout
    answer = gw.request("POST", "/v1/rollouts", {"agent": "1.3.0", "labels": {"site": site}})
    assert answer.status == 409 and error_id(answer) == "rollout.busy", "one at a time"
    done = wait_state(gw, rollout, "done")
    assert [box.changes[0][1:] for box in (first, second)] == [("agent.update", "1.2.0")] * 2
    assert not old.received and {b["device"]: b["error"]["id"] for b in done["skipped"]} == {
        old.id: "rollout.old-agent", newer.id: "agent-update.newer"}
    assert [b["device"] for b in show(gw, rollout)["failures"]] == [bad.id]


def test_a_rollout_brings_one_thing(gw, site):
    for body in ({"agent": "1.2.0", "image": "registry.example/web:1"}, {"agent": "1.2.0", "compose": "services: {}\n"}):
        assert error_id(gw.request("POST", "/v1/rollouts", {**body, "labels": {"site": site}})) == "rollout.two-things"
    for bad in ("", "v1", 7):
        assert error_id(gw.request("POST", "/v1/rollouts", {"agent": bad, "labels": {"site": site}})) == "agent-update.bad-version"

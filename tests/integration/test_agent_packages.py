# SPDX-License-Identifier: MIT
"""What mgmt-agent makes of orders to update its package, and of the journal that root's script leaves; the tests write that."""
# pylint: disable=redefined-outer-name,unused-import
import os
import time

import pytest

from tests.integration.test_agent import agent
from tests.lab.util import read_text, wait_until

ORDER = {"type": "agent.update", "id": "d-44", "to": "2", "version": "44", "deviceId": "caseta5",
         "issuedAt": "2026-01-02T03:04:05.678Z", "nonce": "n", "confirmDeadlineSeconds": 300}


def journal(agent, state, left=3600, **more):
    """As the script writes it; `left` seconds of its time."""
    values = {"state": state, "id": "d-44", "number": "44", "package": "secbox-agent", "from": "1", "to": "2",
              "next": "secbox-recovery", "tunnel": "1", "plan": "200", "seconds": "300",
              "boot": read_text("/proc/sys/kernel/random/boot_id").strip(),
              "deadline": int((time.clock_gettime(time.CLOCK_BOOTTIME) + left) * 1e6), "boots": "0",
              "began": int(time.time()), "why": "", **more}
    folder = os.path.join(agent.root, "var/lib/tucomunidad/agent-update")
    os.makedirs(folder, exist_ok=True)
    agent.write(os.path.join(folder, "new"), "".join(f"{name}={value}\n" for name, value in values.items()))
    os.rename(os.path.join(folder, "new"), os.path.join(folder, "journal"))


def test_an_agent_that_was_not_installed_from_a_package_does_not_offer_it(agent):
    agent.start()
    link = agent.link()
    assert "agent.update" not in link.next("agent.status")["accepts"]
    link.send(ORDER)  # as from a gateway that has an older status
    result = link.next("compose.result")
    assert (result["id"], result["outcome"], result["status"], result["kind"]) == ("d-44", "failed", 422, "agent")
    assert result["error"]["id"] == "agent-update.no-package"


@pytest.mark.parametrize("state", ["staged", "installing", "proving", "going-back"])
def test_no_push_is_taken_meanwhile(agent, state):
    journal(agent, state)
    agent.start()
    link = agent.link()
    assert link.next("agent.status")["pending"]["id"] == "d-44"
    link.send(agent.snapshot())
    result = link.next("compose.result")
    assert (result["id"], result["status"], result["error"]["id"]) == ("d2", 503, "deploy.busy")
    assert "secbox-agent is being updated to 2" in result["error"]["message"]
    assert "apply" not in agent.jobs()


def test_a_push_is_taken_when_its_time_is_over(agent):
    journal(agent, "staged", left=0)
    agent.start()
    agent.link().send(agent.snapshot())
    wait_until(lambda: "apply" in agent.jobs(), "it is carried out")


def test_each_step_is_told(agent):
    journal(agent, "failed", id="earlier", number="43")
    agent.start()
    link = agent.link()
    assert link.next("compose.result")["id"] == "earlier"
    seen = []
    for state, package, after in (("staged", "secbox-agent", "secbox-recovery"), ("installing", "secbox-agent", "secbox-recovery"),
                                  ("staged", "secbox-recovery", ""), ("proving", "secbox-recovery", "")):
        journal(agent, state, package=package, next=after)
        message = link.next("compose.progress")
        assert (message["id"], message["version"]) == ("d-44", "44") and package in message["message"], message
        seen.append((message["phase"], message["seq"]))
    assert [phase for phase, _ in seen] == ["stage", "install", "stage", "prove"]
    assert [seq for _, seq in seen] == sorted({seq for _, seq in seen}), "the gateway keeps one for each number"


@pytest.mark.parametrize("state, refusal, status, outcome, error", [
    ("failed", "newer", 422, "failed", "agent-update.newer"),
    ("failed", "taken-over", 422, "failed", "agent-update.taken-over"),
    ("failed", "away", 503, "failed", "agent-update.repository"),
    ("failed", "start", 503, "failed", "agent-update.start"),
    ("failed", "", 422, "failed", "agent-update.refused"),
    ("failed", "of a later time", 422, "failed", "agent-update.refused"),
    ("rolled-back", "", 500, "rolled-back", "agent-update.rolled-back"),
    ("stuck", "", 500, "recovery", "agent-update.stuck")])
def test_how_it_ended_is_told_until_it_is_heard(agent, state, refusal, status, outcome, error):
    journal(agent, state, refusal=refusal, why="because")
    agent.start()
    for since in ("1", "2"):
        link = agent.link(f"2026-01-02T03:0{since}:05.000Z")
        result = link.next("compose.result")
        assert (result["id"], result["version"], result["kind"], result["status"], result["outcome"], result["error"]) == (
            "d-44", "44", "agent", status, outcome, {"id": error, "message": "because"})
        if since == "1":
            link.close()
    link.send({"type": "compose.result.ack", "id": "d-44"})
    link.close()
    agent.stop()
    agent.start()
    link = agent.link("2026-01-02T03:03:05.000Z")
    link.send({"type": "history.get", "id": "h"})
    while (message := link.next())["type"] not in ("compose.result", "history.report"):
        pass
    assert message["type"] == "history.report" and [e["id"] for e in message["entries"]] == ["d-44"], "and then no more"

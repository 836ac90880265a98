# SPDX-License-Identifier: MIT
"""The second process of a change: it takes back what nobody confirms when mgmt-agent is dead, killed for good, or hangs, and it
does nothing where mgmt-agent does."""
# pylint: disable=redefined-outer-name,unused-import
import os
import signal
import time

import pytest

from tests.integration.imitated import podman  # noqa: F401
from tests.lab.imitated_box import ImitatedBox, PlayedCloud, compose, wanted_image
from tests.lab.kill_point import KillPoint
from tests.lab.util import wait_until

BOTH = {"a", "b"}


@pytest.fixture
def box(podman, folder):
    """Runs version 1; its cloud confirms nothing any more."""
    kill_point = KillPoint(folder)
    with ImitatedBox(podman, folder, kill_point.env) as it:
        it.kill_point = kill_point
        it.start_agent()
        it.cloud = PlayedCloud(it)
        it.cloud.connect()
        assert it.cloud.result(compose(1))["outcome"] == "done"
        it.before = it.container_ids()
        it.cloud.confirms = False
        yield it
        it.cloud.close()


def push_2(box, seconds=600):
    """Up to where it waits for its confirmation."""
    wanted = box.cloud.begin(compose(2), seconds)
    assert box.cloud.play(lambda: box.journal()["state"] == "confirming")
    assert box.is_marked(), "the guard has been called"
    running = [c["Image"] for c in box.podman.containers.values() if c["State"]["Status"] == "running"]
    assert running == [wanted_image(2)] * len(BOTH), "and the old ones are there, stopped"
    return wanted


def ended(guard):
    """The guard has done what it is there for."""
    wait_until(lambda: guard.process.poll() is not None, "the guard ends")
    assert guard.process.returncode == 0, guard.log()
    return guard.log()


def check_old(box):
    assert box.container_ids() == box.before, "the very same containers"
    assert box.running_images() == {name: wanted_image(1) for name in BOTH}
    assert box.journal()["state"] == "idle" and not box.is_marked()


def check_new(box):
    assert box.running_images() == {name: wanted_image(2) for name in BOTH}
    assert box.journal()["state"] == "idle" and not box.is_marked()


def entries(box, wanted):
    return [entry for entry in box.history()["entries"] if entry["id"] == wanted]


def test_f17_f19_a_change_is_taken_back_without_the_agent(box):
    wanted = push_2(box)
    box.agent.kill()
    box.let_deadline_pass()
    guard = box.start_guard()
    assert "Nobody has confirmed it in time" in ended(guard)
    check_old(box)
    assert box.journal()["takenBackBy"] == "change-guard"
    box.start_agent()
    last = box.status()["last"]
    assert (last["id"], last["outcome"], last["failedPhase"], last["takenBackBy"]) == \
        (wanted, "rolled-back", "confirm", "change-guard")
    assert last["error"]["id"] == "confirm.deadline" and "mgmt-change-guard took it back" in last["error"]["message"]
    assert not box.status_pending() and box.status()["current"]["version"] == "1"
    box.cloud.connect()
    assert box.cloud.play(lambda: wanted in box.cloud.results), "the cloud hears of it"
    box.cloud.confirms = True
    assert box.cloud.result(compose(2))["outcome"] == "done"
    check_new(box)
    assert "takenBackBy" not in box.journal()


def test_one_that_is_confirmed_is_left_alone(box):
    wanted = push_2(box)
    guard = box.start_guard()
    box.cloud.confirms = True
    box.cloud.come_up()
    assert box.cloud.play(lambda: wanted in box.cloud.results)
    assert "nothing about" not in ended(guard)
    check_new(box)
    assert [entry["outcome"] for entry in entries(box, wanted)] == ["done"]


def test_what_was_confirmed_is_made_final_though_the_agent_is_dead(box):
    wanted = push_2(box)
    os.kill(box.agent.pid, signal.SIGSTOP)
    box.write("run/tucomunidad/change-confirmed", wanted)  # as the agent does before anything else
    box.agent.kill()
    assert "The cloud has confirmed it" in ended(box.start_guard())
    check_new(box)
    box.start_agent()
    assert [entry["outcome"] for entry in entries(box, wanted)] == ["done"]
    assert "takenBackBy" not in box.journal()


def test_an_agent_that_starts_again_knows_what_was_confirmed(box):
    """The cloud takes it for done, so its deadline counts no more."""
    wanted = push_2(box)
    box.agent.kill()
    box.write("run/tucomunidad/change-confirmed", wanted)
    box.let_deadline_pass()
    box.start_agent()
    wait_until(lambda: not box.is_marked(), "the change has ended", box.agent.death)
    check_new(box)
    assert [entry["outcome"] for entry in entries(box, wanted)] == ["done"]


@pytest.mark.parametrize("point", ['"state":"applying"', '"state":"proving"', '"state":"rolling-back"'])
def test_f19_what_is_left_half_made_is_taken_back(box, point):
    if "rolling" in point:
        box.podman.bad.add(wanted_image(2))
    box.kill_point.arm("rename", "after", point)
    wanted = box.cloud.begin(compose(2))
    assert not box.cloud.play(lambda: False), "mgmt-agent is killed"
    box.agent.process.wait()
    assert box.is_marked()
    assert "It was left half-made" in ended(box.start_guard())
    check_old(box)
    assert box.journal()["takenBackBy"] == "change-guard"
    box.start_agent()
    assert [entry["outcome"] for entry in entries(box, wanted)] == ["rolled-back"]


def test_f18_f19_an_agent_that_hangs_hears_of_it_afterwards(box):
    wanted = push_2(box)
    os.kill(box.agent.pid, signal.SIGSTOP)
    box.let_deadline_pass()
    ended(box.start_guard())
    check_old(box)
    os.kill(box.agent.pid, signal.SIGCONT)
    box.cloud.confirms = True  # too late
    box.cloud.come_up()
    assert box.cloud.play(lambda: wanted in box.cloud.results)
    assert box.cloud.results[wanted]["takenBackBy"] == "change-guard"
    assert len(entries(box, wanted)) == 1 and not box.status_pending()


@pytest.mark.parametrize("refusals", [[], ["it is busy with another box"]])
def test_of_all_that_would_act_at_once_one_does(box, refusals):
    """Also where podman does not do it at the first try, as on a loaded machine: then another one may finish what one has begun."""
    wanted = push_2(box)
    box.agent.kill()
    box.let_deadline_pass()
    box.podman.refusals += refusals
    guards = [box.start_guard(f"guard-{n}") for n in range(3)]
    box.start_agent()  # it would act at once, and they half a second after the deadline
    box.cloud.connect()
    said = [ended(guard) for guard in guards]
    assert box.cloud.play(lambda: wanted in box.cloud.results)
    wait_until(lambda: not box.status_pending(), "mgmt-agent knows", box.agent.death)
    check_old(box)
    assert [entry["outcome"] for entry in entries(box, wanted)] == ["rolled-back"]
    began, finished = (sum(text in log for log in said) for text in ("taking it back", "that is done"))
    by_guard = "takenBackBy" in box.journal()
    assert finished <= 1 and (by_guard or not finished) and (began or not by_guard), said


def test_a_line_that_was_down_before_is_no_evidence(box):
    if time.clock_gettime(time.CLOCK_BOOTTIME) < 120:
        pytest.skip("this machine has just booted: no line can have been down for long")
    since = int((time.clock_gettime(time.CLOCK_BOOTTIME) - 3600) * 1e6)
    down = box.write("run/tucomunidad/mgmt-link/down-since", str(max(since, 1)))
    push_2(box, seconds=1)
    journal = box.journal()
    assert journal["cutOff"] is True
    box.agent.kill()
    guard = box.start_guard()
    late = int(journal["deadlineUsec"]) / 1e6 + 2
    wait_until(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) > late, "the time is over")
    assert guard.process.poll() is None and box.journal()["state"] == "confirming"
    os.unlink(down)  # mgmt-link is started again, and says nothing yet
    late = time.clock_gettime(time.CLOCK_BOOTTIME) + 2
    wait_until(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) > late, "the guard has looked")
    assert box.journal()["cutOff"] is True and box.journal()["state"] == "confirming"
    box.write("run/tucomunidad/mgmt-link/down-since", "up")  # the line is there: from now on it is missed
    assert "Nobody has confirmed it in time" in ended(guard)
    check_old(box)
    assert int(box.state("journal.json")["deadlineUsec"]) > int(journal["deadlineUsec"])

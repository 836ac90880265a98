# SPDX-License-Identifier: MIT
"""A push of two services, one that works and one that is rolled back, with one fault: at each call by which mgmt-agent and its
workers change what they keep, from the receipt of the push to its end, that call fails (EIO, ENOSPC), its process is killed, all
processes are (crash), or the power is cut: data that was not synced is lost (power-data), or names that were not
(power-names). Afterwards exactly one of old and new runs, and the journal, the answer, the history and secboxctl status say which.

FAULT_EVERY=1 takes all points, as `make check-faults` does; without it a few are taken, spread over the whole push."""
# pylint: disable=redefined-outer-name
import os
import shutil

import pytest

from tests.integration.imitated import imitated_podman
from tests.lab.fault_point import FaultPoint
from tests.lab.imitated_box import ImitatedBox, PlayedCloud, compose, wanted_image
from tests.lab.util import wait_until

EVERY = int(os.environ.get("FAULT_EVERY", "0"))
FEW = 2
KINDS = ["eio", "enospc", "kill", "crash", "power-data", "power-names"]
FOLDER = "/dev/shm/faults"  # a power cut is imitated: no disk is needed for it


class FaultyBox:
    """Pushes the one of two versions that does not run."""

    def __init__(self, podman, folder):
        self.faults = FaultPoint(folder, os.path.join(folder, "root"))
        self.box = ImitatedBox(podman, folder, self.faults.env)
        self.box.start_agent()
        self.cloud = PlayedCloud(self.box)
        self.cloud.connect()
        self.tag = 1
        assert self.cloud.result(compose(1))["outcome"] == "done"

    def close(self):
        self.cloud.close()
        self.box.close()

    def has_heard_all(self):
        """What was sent to the agent before is done with: it answers somebody else."""
        return "entries" in self.box.history()  # or an error, since it is just being killed

    def settle(self, wanted):
        """Until nothing is under way any more, over the agent's end if need be. No worker is asked for anything meanwhile."""
        killed = False
        while True:
            def over():
                return (killed or wanted in self.cloud.results) and \
                    self.box.journal()["state"] in ("idle", "recovery")  # pylint: disable=cell-var-from-loop

            if self.cloud.play(over) and self.has_heard_all():
                return
            killed = True
            self.restart()

    def restart(self):
        wait_until(lambda: self.box.agent.process.poll() is not None, "mgmt-agent has ended, since it does not answer")
        self.box.start_agent()
        self.cloud.connect()

    def disarm(self):
        calls, where = self.faults.disarm()
        if not self.has_heard_all():  # it was killed while it did what follows a push
            self.restart()
        if self.box.journal()["state"] == "idle":
            wait_until(lambda: not self.box.status_pending(), "nothing is under way", self.box.agent.death)
        return calls, where

    def break_images(self, tag):
        """What this version's containers run ends at once; None: every one works."""
        self.box.podman.bad.clear()
        if tag:
            self.box.podman.bad.add(wanted_image(tag))

    def count(self, works):
        """How many calls a push takes that nothing happens to."""
        tag = 3 - self.tag
        self.break_images(None if works else tag)
        self.faults.arm("count")
        wanted = self.cloud.begin(compose(tag))
        self.settle(wanted)
        calls, _ = self.disarm()
        assert self.cloud.results[wanted]["outcome"] == ("done" if works else "rolled-back"), self.cloud.results[wanted]
        self.tag = tag if works else self.tag
        return calls

    def push(self, kind, number, works=True, lazy=""):
        """With a fault. Returns which call it hit (None: there is no such call), and what is wrong afterwards."""
        self.break_images(None if works else 3 - self.tag)
        tag, before, current = 3 - self.tag, self.box.container_ids(), self.box.state("current.json")["version"]
        self.faults.arm(kind, number, lazy)
        wanted = self.cloud.begin(compose(tag))
        self.settle(wanted)
        calls, where = self.disarm()
        try:
            wrong = self.check(wanted, tag, before, current)
        except AssertionError as e:
            wrong = str(e) or "an assertion without words"
        return (where if calls >= number else None), wrong

    def check(self, wanted, tag, before, current):
        """A sentence, or None. Takes over which version runs."""
        state = self.box.journal()["state"]
        if state != "idle":
            return f"the journal says {state}"
        images = self.box.running_images()
        is_new = images == {"a": wanted_image(tag), "b": wanted_image(tag)}
        if not is_new and (self.box.container_ids() != before or set(images.values()) != {wanted_image(self.tag)}):
            return f"neither old nor new runs: {images}"
        if is_new:
            self.tag = tag
        version = str(self.cloud.version)
        status = self.box.status()
        if "current" not in status:
            return f"secboxctl status says {status}; {self.box.agent.death()}"
        if status["current"]["version"] != (version if is_new else current):
            return f"status says that {status['current']['version']} runs, new is {version}, before was {current}; {is_new=}"
        said = [self.cloud.results[wanted]] if wanted in self.cloud.results else []
        said += [entry for entry in self.box.history()["entries"] if entry["id"] == wanted][:1]
        if not said and is_new:
            return "nobody was told that the new one runs"
        for result in said:
            if (result["outcome"] == "done") != is_new:
                return f"told was {result['outcome']} ({result.get('error')}); {is_new=}"
        return None


@pytest.fixture(scope="module")
def podman(tmp_path_factory):
    with imitated_podman(str(tmp_path_factory.mktemp("podman"))) as it:
        yield it


class Boxes:
    """One box for all of it, and another one after each fault that it did not get over."""

    def __init__(self, podman):
        self.podman = podman
        self.made = 0
        self.box = None
        self.calls = {}

    def get(self):
        if not self.box:
            self.made += 1
            folder = f"{FOLDER}/{self.made}"
            os.makedirs(folder)
            self.box = FaultyBox(self.podman, folder)
        return self.box

    def count(self, works):
        if works not in self.calls:
            self.calls[works] = self.get().count(works)
        return self.calls[works]

    def drop(self):
        """Returns its log."""
        box, self.box = self.box, None
        if box:
            box.close()
        return box.box.log() if box else ""


@pytest.fixture(scope="module")
def boxes(podman):
    it = Boxes(podman)
    yield it
    it.drop()
    shutil.rmtree(FOLDER, ignore_errors=True)


def points(calls, kind):
    """Numbers of calls: all of them, every so many, or a few, which are others for each kind."""
    if EVERY:
        return range(1 + KINDS.index(kind) % EVERY, 10**6, EVERY)
    offset = KINDS.index(kind) / len(KINDS)
    return [1 + int(calls * (i + offset) / FEW) for i in range(FEW)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("works", [True, False], ids=["works", "rolled-back"])
def test_one_of_old_and_new_runs(boxes, kind, works):
    injected, wrong, logs = 0, [], []
    for number in points(boxes.count(works), kind):
        where, what = boxes.get().push(kind, number, works)
        if where is None:
            break
        injected += bool(where)
        if what:
            wrong.append(f"{kind} at call {number} ({where}): {what}")
            logs.append(boxes.drop()[-6000:])
    print(f"\nfaults: {kind}, {'works' if works else 'rolled back'}: {injected} injected, {len(wrong)} wrong")
    assert not wrong, "\n".join([*wrong, *logs[:1]])
    assert injected > 0


@pytest.mark.parametrize("kind,lazy", [("power-data", "journal.json"), ("power-names", "/mgmt-agent")])
def test_a_sync_that_is_missing_is_found(boxes, kind, lazy):
    """Else what is above would show nothing. It shows where the worker changes containers; what it loses elsewhere, or what the
    agent loses, may well do no harm, and which call is whose differs a little from push to push: so one after the other."""
    calls = boxes.count(True)
    found = None
    for number in range(int(calls * 0.4), int(calls * 0.7), 3):
        found = found or boxes.get().push(kind, number, lazy=lazy)[1]
    boxes.drop()
    assert found

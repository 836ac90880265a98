# SPDX-License-Identifier: MIT
"""An update of an agent's package, with one fault: at each call by which the script, apt and dpkg change what is below /var/lib, in
the order, in its confirmation and in its way back, that call fails (EIO, ENOSPC), writes one byte only (short), its process is
killed, or all are and the machine is started anew (crash). What follows is what a box does. Afterwards dpkg has exactly one of old
and new, whole, and the journal says which.

FAULT_PACKAGES_EVERY=1 takes all points, `make check-faults` one in five; without it a few are taken."""
# pylint: disable=redefined-outer-name,unused-import
import os

import pytest

from tests.integration.test_package_update import AGENT, machine, made
from tests.lab.fault_point import FaultPoint

EVERY = int(os.environ.get("FAULT_PACKAGES_EVERY", "0"))
KINDS = ["eio", "enospc", "short", "kill", "crash"]
# what each of them begins with, and what it is to come to
ACTIONS = {"run": ("fresh", "confirmed"), "keep": ("proving", "confirmed"), "back": ("late", "rolled-back")}
FEW = [("run", "crash"), ("keep", "crash"), ("back", "kill")]
OVER = ("confirmed", "rolled-back", "failed", None)
FITS = {"confirmed": "2 installed", "rolled-back": "1 installed", "failed": "1 installed", None: "1 installed"}


class FaultyMachine:
    def __init__(self, machine, folder):
        self.machine = machine
        self.faults = FaultPoint(folder, "", script=True)
        self.calls = {}
        machine.write("bin/sleep", "#!/bin/sh\nexit 0\n", 0o755)
        machine.update("2")
        machine.prove()
        machine.keep_as("proving")
        machine.change_journal(deadline="1")
        machine.keep_as("late")

    def act(self, action, **options):
        if action == "run":
            return self.machine.update("2", **options)
        return self.machine.judge(action, **options)

    def settle(self, action):
        """What the other agent and systemd do until it is over."""
        for _ in range(6):
            state = self.machine.journal().get("state")
            if state in OVER:
                return
            if state == "proving" and action != "back":
                self.machine.prove()
                self.machine.judge("keep")
            else:
                self.machine.change_journal(deadline="1")
                self.machine.judge("back")

    def count(self, action):
        if action not in self.calls:
            self.machine.restore(ACTIONS[action][0])
            self.faults.arm("count")
            self.act(action, env=self.faults.env)
            self.calls[action] = self.faults.disarm()[0]
            self.settle(action)
            assert self.machine.journal()["state"] == ACTIONS[action][1]
        return self.calls[action]

    def hit(self, action, kind, number):
        """Which call it hit (None: there is no such call), and what is wrong afterwards."""
        self.machine.restore(ACTIONS[action][0])
        self.faults.arm(kind, number)
        said = self.act(action, env=self.faults.env)
        calls, where = self.faults.disarm()
        if where and kind == "crash":
            if os.path.exists(f"{self.machine.folder}/run/secbox-package-update"):
                self.machine.boot_anew()
            self.machine.judge("boot")
        self.settle(action)
        state, status = self.machine.journal().get("state"), self.machine.status()
        wrong = None if FITS.get(state) == status else f"the journal says {state}, dpkg {status}: {self.machine.journal()} {said}"
        return (where if calls >= number else None), wrong


@pytest.fixture(scope="module")
def faulty(made, tmp_path_factory):
    made.make_fresh()
    return FaultyMachine(made, str(tmp_path_factory.mktemp("faults")))


def points(calls, kind):
    if EVERY:
        return range(1 + KINDS.index(kind) % EVERY, 10**6, EVERY)
    return [1 + calls // 2]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", ACTIONS)
def test_f13_f24_one_of_old_and_new_is_installed(faulty, action, kind):
    injected, wrong = 0, []
    if not EVERY and (action, kind) not in FEW:
        return
    for number in points(faulty.count(action), kind):
        where, what = faulty.hit(action, kind, number)
        if where is None:
            break
        injected += bool(where)
        if what:
            wrong.append(f"{kind} at call {number} ({where}): {what}")
    print(f"\nfaults: package {action}, {kind}: {injected} of {faulty.calls[action]} calls, {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong[:20])
    assert injected > 0

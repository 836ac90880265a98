# SPDX-License-Identifier: MIT
"""A push of two services and an update of their image, each one that works and one that is rolled back, with one fault: at each
call by which mgmt-agent and its workers change what they keep, from the receipt of the order to its end, that call fails (EIO,
ENOSPC), writes one byte only (short), its process is killed, all processes are (crash), or the power is cut: data that was not
synced is lost (power-data), or names that were not (power-names). Afterwards exactly one of old and new runs, and the journal, the
answer, the history and secboxctl status say which.

FAULT_EVERY=1 takes all points, as `make check-faults` does; without it a few are taken, spread over the whole change."""
# pylint: disable=redefined-outer-name,unused-import
import os
import shutil

import pytest

from tests.integration.imitated import podman  # noqa: F401
from tests.lab.faulty_box import FaultyBox, ImageUpdateBox

EVERY = int(os.environ.get("FAULT_EVERY", "0"))
FEW = {"push": 2, "update": 1}
KINDS = ["eio", "enospc", "short", "kill", "crash", "power-data", "power-names"]
FOLDER = "/dev/shm/faults"  # a power cut is imitated: no disk is needed for it


class Boxes:
    """One box for all of it, and another one after each fault that it did not get over."""
    made = 0

    def __init__(self, podman, kind):
        self.podman, self.kind = podman, kind
        self.box = None
        self.calls = {}

    def get(self):
        if not self.box:
            Boxes.made += 1
            folder = f"{FOLDER}/{Boxes.made}"
            os.makedirs(folder)
            self.box = self.kind(self.podman, folder)
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
    made = {"push": Boxes(podman, FaultyBox), "update": Boxes(podman, ImageUpdateBox)}
    yield made
    for it in made.values():
        it.drop()
    shutil.rmtree(FOLDER, ignore_errors=True)


def points(change, calls, kind):
    """Numbers of calls: all of them, every so many, or a few, which are others for each kind."""
    if EVERY:
        return range(1 + KINDS.index(kind) % EVERY, 10**6, EVERY)
    offset = KINDS.index(kind) / len(KINDS)
    return [1 + int(calls * (i + offset) / FEW[change]) for i in range(FEW[change])]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("works", [True, False], ids=["works", "rolled-back"])
@pytest.mark.parametrize("change", ["push", "update"])
def test_f13_f14_f54_f55_one_of_old_and_new_runs(boxes, change, works, kind):
    boxes = boxes[change]
    injected, wrong, logs = 0, [], []
    for number in points(change, boxes.count(works), kind):
        where, what = boxes.get().change(kind, number, works)
        if where is None:
            break
        injected += bool(where)
        if what:
            wrong.append(f"{kind} at call {number} ({where}): {what}")
            logs.append(boxes.drop()[-6000:])
    print(f"\nfaults: {change}, {'works' if works else 'rolled back'}, {kind}: {injected} injected, {len(wrong)} wrong")
    assert not wrong, "\n".join([*wrong, *logs[:1]])
    assert injected > 0


@pytest.mark.parametrize("kind,lazy", [("power-data", "journal.json"), ("power-names", "/mgmt-agent")])
def test_f60_a_sync_that_is_missing_is_found(boxes, kind, lazy):
    """Else what is above would show nothing. It shows where the worker changes containers; what it loses elsewhere, or what the
    agent loses, may well do no harm, and which call is whose differs a little from push to push: so one after the other."""
    boxes = boxes["push"]
    calls = boxes.count(True)
    found = None
    for number in range(int(calls * 0.4), int(calls * 0.7), 3):
        found = found or boxes.get().change(kind, number, lazy=lazy)[1]
    boxes.drop()
    assert found

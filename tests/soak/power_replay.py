# SPDX-License-Identifier: MIT
"""Power cuts at very many moments of a box's changes: user-mode Linux is recorded once while it is pushed to and its images are
updated (power_record.py, disk_log.py), then the disk as of each moment is given to a box that has to get over it (power_check.py):
what had been flushed is there; what had not is, is not, is in part, or is torn. So each sync that is missing shows.

    power_replay.py CUTS [SEED [NO_SYNC]]

NO_SYNC: the end of the path of a file or folder whose sync is left out in the record, a fault which has to be found: it ends at the
first cut that finds it."""
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

from tests.lab.disk_log import logged
from tests.soak.power_cuts import PATIENCE_SECONDS, Machine

ROUNDS = int(os.environ.get("POWER_ROUNDS", "3"))  # of a push, an update and a release; each third round is rolled back
# small tables and a small journal: the disk is copied for each cut
MKFS = ["-N", "4096", "-J", "size=8", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"]


def record(folder, no_sync, rounds):
    """Leaves the disk as it was first, the log, and the program that stands in for podman."""
    machine = Machine(folder, guest="tests.soak.power_record", arguments=[str(rounds), no_sync], mkfs=MKFS)
    subprocess.run(["cp", "--sparse=always", machine.disk, f"{folder}/first"], check=True)
    machine.start({**logged(folder, machine.disk, f"{folder}/log", f"{folder}/kept/")})
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS * 3
        while (line := machine.line(deadline)) != "over":
            if line is None or line.startswith("wrong"):
                raise AssertionError(f"{line or 'the record does not end'} {machine.unread.decode(errors='replace')}")
    finally:
        machine.cut()


def check(folder, seed, cuts, enough=None):
    """Yields what power_check.py says of each. enough(answer): whether that is all that is wanted."""
    parts = 2 * os.cpu_count()  # a part often waits
    processes = [subprocess.Popen(["/usr/bin/python3", "-B", "-m", "tests.lab.isolate", "/usr/bin/python3", "-B", "-m",
                                   "tests.soak.power_check", folder, str(seed), str(cuts), str(part), str(parts)],
                                  stdout=open(f"{folder}/part{part}", "wb"))  # pylint: disable=consider-using-with
                 for part in range(parts)]
    files = [open(f"{folder}/part{part}", encoding="utf-8") for part in range(parts)]  # pylint: disable=consider-using-with
    unread = [""] * parts
    try:
        while True:
            running = any(p.poll() is None for p in processes)
            for part, f in enumerate(files):
                unread[part] += f.read()
                *lines, unread[part] = unread[part].split("\n")
                for line in lines:
                    answer = json.loads(line)
                    yield answer
                    if enough and enough(answer):
                        return
            if not running:
                break
            time.sleep(0.2)
        if any(p.returncode for p in processes):
            raise AssertionError("a part of the check has ended with an error")
    finally:
        for p in processes:
            p.terminate()
            p.wait()


def main(cuts, seed=None, no_sync=""):
    seed = int(seed or random.randrange(1 << 30))
    folder = tempfile.mkdtemp(prefix="power-replay-", dir="/var/tmp")
    injected, wrong = collections.Counter(), collections.Counter()
    print(f"power-cuts: seed {seed}", flush=True)
    began = time.monotonic()
    try:
        record(folder, no_sync, ROUNDS)
        print(f"power-cuts: recorded in {time.monotonic() - began:.0f} s, {os.path.getsize(folder + '/log') >> 20} MB", flush=True)
        began = time.monotonic()
        for answer in check(folder, seed, int(cuts), enough=lambda it: no_sync and it["judged"] and it["wrong"]):
            name = f"{answer['kind']} at an instant" if answer["name"] == "instant" else answer["name"].split(":")[0]
            injected[name] += 1
            if answer["wrong"] and (answer["judged"] or not no_sync):
                wrong[name] += 1
                print(f"wrong: {answer['name']}, record {answer['moment']}, unsynced: {answer['way']}: "
                      f"{answer['wrong']}", flush=True)
            if injected.total() % 100 == 0:
                print(f"power-cuts: {injected.total()} cuts, {wrong.total()} wrong, "
                      f"{(time.monotonic() - began) / injected.total():.2f} s each", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if no_sync:
        found = "found" if wrong else "NOT found"
        print(f"faults: power cuts: the missing sync of {no_sync} is {found} after {injected.total()} cuts")
        return 0 if wrong else 1
    for name in sorted(injected):
        print(f"faults: power cut: {name}: {injected[name]} injected, {wrong[name]} wrong")
    print(f"faults: power cuts: {injected.total()} injected, {wrong.total()} wrong, in {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))

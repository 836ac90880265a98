# SPDX-License-Identifier: MIT
"""Starts a box from the disks that the record of power_replay.py gives for moments of it, one after the other, and judges each:
the box has to run exactly one of old and new, which all that it says agrees with, and to answer the cloud. The file system is
that of this machine's kernel, which recovers it as after a power cut.

    power_check.py FOLDER SEED CUTS PART PARTS"""
import contextlib
import copy
import json
import os
import random
import re
import shutil
import subprocess
import sys
import traceback

from tests.lab.disk_log import FLUSH, WAYS, WRITE, Disk, DiskLog
from tests.lab.fake_podman import FakePodman
from tests.lab.imitated_box import SERVICES, ImitatedBox, PlayedCloud
from tests.lab.util import LabError
from tests.soak import power_release
from tests.soak.power_guest import LAB, ROOT, settle

MOUNT = "/tmp/disk"
# a journal on its way to the disk, which is the first member of the file
STATE = re.compile(rb'^\{\s*"state":\s*"([a-z-]+)"')
AT_STATES = (("before it is written", 0, "all"), ("written, not synced", 1, "some"), ("written, not synced", 1, "torn"),
             ("one flush later", 2, "none"), ("two flushes later", 3, "none"), ("three flushes later", 4, "none"),
             ("four flushes later", 5, "none"))


class Recording:
    """The log, and what was known when."""

    def __init__(self, folder):
        self.log = DiskLog(f"{folder}/log")
        self.noted = list(self.log.notes())
        self.begin = next(n for n, name, values in self.noted if name == "known" and values.get("begun"))

    def known(self, moment):
        found = {}
        for number, name, values in self.noted:
            if number >= moment:
                break
            found[name] = values
        return copy.deepcopy(found)

    def states(self):
        """(number of the record, kind of change, whether it works, state): where each state is written to the disk first."""
        noted, known = iter(self.noted), {}
        upcoming = next(noted, None)
        for number in range(len(self.log.records)):
            while upcoming and upcoming[0] <= number:
                if upcoming[1] == "known":
                    known = upcoming[2]
                upcoming = next(noted, None)
            if number > self.begin and self.log.records[number][0] == WRITE and (m := STATE.match(self.log.data(number))):
                yield number, known["kind"], known["works"], m.group(1).decode()

    def after_flushes(self, number, count):
        """The moment when so many flushes are done."""
        for moment in range(number, len(self.log.records)):
            count -= self.log.records[moment][0] == FLUSH
            if count == 0:
                return moment + 1
        return len(self.log.records)

    def moments(self, cuts, chance):
        """(moment, way, what it is called): at each state of each kind of change the first time, and at random."""
        seen = set()
        for number, kind, works, state in self.states():
            if (kind, works, state) in seen:
                continue
            seen.add((kind, works, state))
            name = f"{kind}, {'works' if works else 'is rolled back'}, {state}"
            for where, step, way in AT_STATES:
                moment = number + step if step < 2 else self.after_flushes(number, step - 1)
                yield moment, way, f"{name}: {where}"
        for _ in range(cuts):
            yield chance.randrange(self.begin + 1, len(self.log.records) + 1), chance.choice(WAYS), "instant"


def judge(box, cloud, known):
    """A sentence, or None."""
    if box.journal()["state"] != "idle":
        return f"the journal says {box.journal()}"
    images, version = box.running_images(), box.status()["current"]["version"]
    runs = [which for which in ("before", "after") if images == dict.fromkeys(SERVICES, known[which]["image"])]
    if len(runs) != 1:
        return f"neither old nor new runs: {images}"
    is_new = runs[0] == "after"
    if version != known[runs[0]]["version"]:
        return f"status says that {version} runs; {is_new=}"
    said = [known["outcome"]] if known["outcome"] else []
    if known["id"] in cloud.results:
        said.append(cloud.results[known["id"]]["outcome"])
    said += [entry["outcome"] for entry in box.history()["entries"] if entry["id"] == known["id"]][:1]
    if not said and is_new:
        return "nobody was told that the new one runs"
    if any((outcome == "done") != is_new for outcome in said):
        return f"told was {said}; {is_new=}"
    return None


def start(podman, notes, more):
    """Starts the box of the disk that is mounted and judges it. `more`: it has to take another push, too. A sentence, or None."""
    podman.boxes.clear()
    box = ImitatedBox(podman, ROOT)
    shutil.rmtree(box.logs)
    os.makedirs(box.logs)
    for name, value in notes["podman"].items():
        setattr(box.podman, name, value)
    for c in box.podman.containers.values():
        c["State"].update(Status="exited", Pid=0)
    cloud, known = PlayedCloud(box), notes["known"]
    cloud.version = known["order"]
    try:
        box.start_agent()
        cloud.connect()
        settle(box, cloud)
        wrong = judge(box, cloud, known)
        if not wrong and more:
            cloud.version += 1000
            result = cloud.result("services:\n  a:\n    image: registry.example/server:last\n")
            wrong = None if result["outcome"] == "done" else f"the next push came to {result}"
    except LabError as e:
        wrong = f"it does not come to rest: {e}"
    except Exception as e:  # pylint: disable=broad-exception-caught
        wrong = repr(e)[-3000:] + traceback.format_exc()[-2000:]
    log = box.log()[-3000:]
    cloud.close()
    if box.agent:
        box.agent.kill()
    return f"{wrong}\n{log}" if wrong else None


@contextlib.contextmanager
def mounted(image):
    """With an empty /run, as after a start."""
    subprocess.run(["mount", "-o", "loop", image, MOUNT], check=True, capture_output=True)
    runs = [f"{folder}/root/run" for folder in (ROOT, power_release.FOLDER)]
    try:
        for path in runs:
            subprocess.run(["mount", "-t", "tmpfs", "none", path], check=True, capture_output=True)
        yield
    finally:
        for path in (*runs, MOUNT):
            subprocess.run(["umount", "-l", path], check=False, capture_output=True)


def start_release(known):
    try:
        return power_release.judge(known)
    except Exception as e:  # pylint: disable=broad-exception-caught
        return repr(e)[-3000:] + traceback.format_exc()[-2000:]


def main(folder, seed, cuts, part, parts):
    subprocess.run(["mount", "-t", "tmpfs", "none", "/tmp"], check=True)
    for path in (MOUNT, LAB, "/tmp/image"):
        os.makedirs(path)
    recording = Recording(folder)
    moments = sorted(recording.moments(int(cuts), random.Random(int(seed))))[int(part)::int(parts)]
    disk = Disk(recording.log, f"{folder}/first", "/tmp/image")
    with FakePodman(LAB, f"{folder}/podman") as podman:
        podman.mount()
        for number, (moment, way, name) in enumerate(moments):
            image = disk.cut(moment, way, random.Random(f"{seed} {moment}"))
            notes = recording.known(moment)
            kind = notes["known"]["kind"]
            try:
                with mounted(image):
                    wrong = start_release(notes["known"]) if kind == "release" else start(podman, notes, number % 10 == 0)
            except subprocess.CalledProcessError as e:
                wrong = f"the file system: {e} {e.stderr}"
            judged = not wrong or "Traceback" not in wrong  # the box was there to be asked
            print(json.dumps({"moment": moment, "way": way, "name": name, "kind": kind, "wrong": wrong, "judged": judged}),
                  flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

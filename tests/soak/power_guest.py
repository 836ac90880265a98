# SPDX-License-Identifier: MIT
"""Runs inside the machine of power_cuts.py, each time that it starts: a box on a disk that loses what was not synced when the power
goes. Puts right what was under way, judges it, and pushes one version after the other until the power goes again. Lines on the
screen say how far it is.

What podman has is in a notebook outside of the machine, as of before the power went: only what our programs keep is lost."""
import os
import pickle
import shutil
import subprocess
import sys
import traceback

from tests.lab.fake_podman import FakePodman
from tests.lab.imitated_box import SERVICES, ImitatedBox, PlayedCloud, compose, wanted_image
from tests.lab.util import wait_until

LAB = "/tmp/lab"
ROOT = "/tmp/disk/box"


def say(*words):
    print("guest:", *words, flush=True)


class Notebook:
    """A few objects, as they were when save() came back last."""

    def __init__(self, folder, name, **first):
        self.path = os.path.join(folder, name)
        self.values = first
        if os.path.exists(self.path):
            with open(self.path, "rb") as f:
                self.values = pickle.load(f)

    def save(self, **values):
        self.values.update(values)
        with open(self.path + ".new", "wb") as f:
            pickle.dump(self.values, f)
            f.flush()
            os.fsync(f.fileno())
        os.rename(self.path + ".new", self.path)


def remember(podman, notebook):
    """From now on, and takes over what it had when the power went; nothing of it runs any more."""
    kept = ("images", "containers", "made", "bad")
    for name in kept:
        setattr(podman, name, notebook.values.get(name, getattr(podman, name)))
    for c in podman.containers.values():
        c["State"].update(Status="exited", Pid=0)

    def saved(method):
        def call(*args):
            answer = method(*args)
            notebook.save(**{name: getattr(podman, name) for name in kept})
            return answer
        return call

    podman.up, podman.answer_container = saved(podman.up), saved(podman.answer_container)
    podman.answer_image = saved(podman.answer_image)


def settle(box, cloud):
    """Until nothing is under way, and what there is runs."""
    def over():
        return box.journal()["state"] in ("idle", "recovery") and \
            all(c["State"]["Status"] == "running" for c in box.podman.containers.values())
    if not cloud.play(over):
        raise AssertionError(f"mgmt-agent has ended: {box.log()[-3000:]}")
    wait_until(lambda: not box.status_pending(), "nothing is under way", box.agent.death)


def judge(box, known):
    """A sentence, or None."""
    if box.journal()["state"] != "idle":
        return f"the journal says {box.journal()}"
    images, version = box.running_images(), box.status()["current"]["version"]
    wanted = dict.fromkeys(SERVICES, wanted_image(known["tags"].get(int(version))))
    if images != wanted:
        return f"status says that {version} runs, and not {wanted}, but {images}"
    if int(version) < known["told"]:
        return f"{version} runs, and {known['told']} was told to be done"
    last = box.history()["entries"][0]
    if last["outcome"] == "done" and last["version"] != version and int(last["version"]) > int(version):
        return f"{version} runs, and the history says that {last['version']} does"
    return None


def push(box, cloud, known, tag, works):
    box.podman.bad = set() if works else {wanted_image(tag)}
    number = cloud.version + 1
    known.save(tags={**known.values["tags"], number: tag}, sent=number)
    wanted = cloud.begin(compose(tag))
    if not cloud.play(lambda: wanted in cloud.results):
        raise AssertionError(f"mgmt-agent has ended: {box.log()[-3000:]}")
    if cloud.results[wanted]["outcome"] == "done":
        known.save(told=number)
    elif works:
        raise AssertionError(f"a push that works came to {cloud.results[wanted]}")


def main(kept, built):
    os.makedirs(LAB)
    os.makedirs(f"{ROOT}/root/run", exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", f"{ROOT}/root/run"], check=True)
    known = Notebook(kept, "known", tags={}, told=0, sent=0)
    with FakePodman(LAB, built) as podman:
        podman.mount()
        box = ImitatedBox(podman, ROOT)
        shutil.rmtree(box.logs)
        os.makedirs(box.logs)
        remember(box.podman, Notebook(kept, "podman"))
        cloud = PlayedCloud(box)
        cloud.version = known.values["sent"]
        box.start_agent()
        cloud.connect()
        if known.values["told"]:
            settle(box, cloud)
            wrong = judge(box, known.values)
            say("wrong", wrong, box.log()[-3000:]) if wrong else say("right", box.status()["current"]["version"])
        else:
            push(box, cloud, known, 1, True)
        say("ready")
        while True:
            runs = known.values["tags"][int(box.status()["current"]["version"])]
            push(box, cloud, known, 3 - runs, cloud.version % 3 != 0)
            say("pushed", cloud.version)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except BaseException as e:  # pylint: disable=broad-exception-caught
        say("wrong", repr(e)[-6000:], traceback.format_exc())

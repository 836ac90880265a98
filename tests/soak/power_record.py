# SPDX-License-Identifier: MIT
"""Runs inside the machine of power_replay.py whose disk is recorded: pushes, image updates and releases, of which each third does
not work, one after the other. What podman and the cloud know at each moment is noted in a folder outside of the machine."""
import hashlib
import os
import subprocess
import sys
import traceback

from tests.lab.fake_podman import FakePodman, image_id
from tests.lab.imitated_box import ImitatedBox, PlayedCloud, compose, wanted_image
from tests.lab.preload import preloaded
from tests.soak import power_release
from tests.soak.power_guest import LAB, ROOT, Notebook, remember, say


class NotingCloud(PlayedCloud):
    """Notes what it asks for before it does, and what it was told before it answers."""

    def __init__(self, box, notebook):
        super().__init__(box)
        self.notebook = notebook

    def send(self, message):
        if "nonce" in message and "confirmDeadlineSeconds" in message:
            self.notebook.save(id=message["id"], order=self.version, outcome=None)
        super().send(message)

    def take(self, message):
        if message["type"] == "compose.result":
            self.notebook.save(outcome=message["outcome"])
        super().take(message)


def change(cloud, known, kind, works):
    """One of them, to its end."""
    before = known.values["after"] if known.values["outcome"] == "done" else known.values["before"]
    number = cloud.version + 1
    digest = "sha256:" + hashlib.sha256(f"update {number}".encode()).hexdigest()
    tag = number  # each push has images of its own, so that no other version is taken for it
    image = image_id(f"x@{digest}") if kind == "update" else wanted_image(tag)
    known.values.update(before=before, kind=kind, works=works, outcome=None,
                        after={"version": before["version"] if kind == "update" else str(number), "image": image,
                               "name": before["name"] if kind == "update" else f"registry.example/server:{tag}"})
    cloud.box.podman.bad = set() if works else {image}
    wanted = cloud.begin_update(before["name"], digest) if kind == "update" else cloud.begin(compose(tag))
    if not cloud.play(lambda: wanted in cloud.results):
        raise AssertionError(f"mgmt-agent has ended: {cloud.box.log()[-3000:]}")
    outcome = cloud.results[wanted]["outcome"]
    if outcome != ("done" if works else "rolled-back"):
        raise AssertionError(f"{kind}, {works=}, came to {cloud.results[wanted]}")
    say("did", kind, outcome)


def main(kept, built, rounds, no_sync):
    os.makedirs(LAB)
    os.makedirs(f"{ROOT}/root/run", exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", f"{ROOT}/root/run"], check=True)
    nothing = {"version": None, "image": None, "name": None}
    known = Notebook(kept, "known", before=nothing, after=nothing, outcome="done")
    env = {**preloaded("no-sync", LAB), "SECBOX_NO_SYNC": no_sync} if no_sync else None
    with FakePodman(LAB, built) as podman:
        podman.mount()
        box = ImitatedBox(podman, ROOT, env)
        remember(box.podman, Notebook(kept, "podman"))
        cloud = NotingCloud(box, known)
        box.start_agent()
        cloud.connect()
        change(cloud, known, "push", True)
        releases = power_release.make()
        known.save(begun=True)
        for number in range(int(rounds)):
            for kind in ("push", "update"):
                change(cloud, known, kind, number % 3 != 2)
        cloud.close()
        box.agent.kill()
    for number in range(int(rounds)):
        power_release.change(releases, known, str(number + 2), number % 3 != 2)
    say("over")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except BaseException as e:  # pylint: disable=broad-exception-caught
        say("wrong", repr(e)[-6000:], traceback.format_exc())

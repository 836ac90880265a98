# SPDX-License-Identifier: MIT
"""Changes of a box of two services, each with one fault in the middle: one works or is rolled back, and afterwards exactly one of
old and new runs, which all that the box says agrees with."""
import hashlib
import os

from .fake_podman import image_id
from .fault_point import FaultPoint
from .imitated_box import SERVICES, ImitatedBox, PlayedCloud, compose, wanted_image
from .util import wait_until


class FaultyBox:
    """Pushes the one of two versions that does not run."""
    seconds = 600  # that a change has for its confirmation

    def __init__(self, podman, folder, memory=False):
        self.faults = FaultPoint(folder, os.path.join(folder, "root"), memory=memory)
        self.box = ImitatedBox(podman, folder, self.faults.env)
        self.box.start_agent()
        self.cloud = PlayedCloud(self.box)
        self.cloud.connect()
        self.tag = 1
        assert self.cloud.result(compose(1))["outcome"] == "done"
        self.runs = wanted_image(1)

    # what an ImageUpdateBox does otherwise

    def choose(self):
        """The id of the image that both services get with the next change."""
        return wanted_image(3 - self.tag)

    def begin(self):
        return self.cloud.begin(compose(3 - self.tag), self.seconds)

    def took_over(self):
        self.tag = 3 - self.tag

    def version_after(self):
        """What status says to run afterwards."""
        return str(self.cloud.version)

    # alike for both

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
        if not self.has_heard_all():  # it was killed while it did what follows a change
            self.restart()
        if self.box.journal()["state"] == "idle":
            wait_until(lambda: not self.box.status_pending(), "nothing is under way", self.box.agent.death)
        return calls, where

    def _change(self, works, mode, number=0, lazy=""):
        """Returns the id of the change, the image that it brings, and what disarm() does."""
        new = self.choose()
        self.box.podman.bad = set() if works else {new}
        self.faults.arm(mode, number, lazy)
        wanted = self.begin()
        self.settle(wanted)
        return wanted, new, self.disarm()

    def count(self, works, mode="count"):
        """How many calls a change takes that nothing happens to."""
        wanted, new, (calls, _) = self._change(works, mode)
        assert self.cloud.results[wanted]["outcome"] == ("done" if works else "rolled-back"), self.cloud.results[wanted]
        if works:
            self.runs = new
            self.took_over()
        return calls

    def change(self, kind, number, works=True, lazy=""):
        """With a fault. Returns which call it hit (None: there is no such call), and what is wrong afterwards."""
        before, current = self.box.container_ids(), self.box.state("current.json")["version"]
        wanted, new, (calls, where) = self._change(works, kind, number, lazy)
        try:
            wrong = self.check(wanted, new, before, current)
        except AssertionError as e:
            wrong = str(e) or "an assertion without words"
        return (where if calls >= number else None), wrong

    def check(self, wanted, new, before, current):
        """A sentence, or None. Takes over which version runs."""
        state = self.box.journal()["state"]
        if state != "idle":
            return f"the journal says {state}"
        images = self.box.running_images()
        is_new = images == dict.fromkeys(SERVICES, new)
        if not is_new and (self.box.container_ids() != before or set(images.values()) != {self.runs}):
            return f"neither old nor new runs: {images}"
        if is_new:
            self.runs = new
            self.took_over()
        status = self.box.status()
        if "current" not in status:
            return f"secboxctl status says {status}; {self.box.agent.death()}"
        version = self.version_after() if is_new else current
        if status["current"]["version"] != version:
            return f"status says that {status['current']['version']} runs, not {version}; before was {current}; {is_new=}"
        said = [self.cloud.results[wanted]] if wanted in self.cloud.results else []
        said += [entry for entry in self.box.history()["entries"] if entry["id"] == wanted][:1]
        if not said and is_new:
            return "nobody was told that the new one runs"
        for result in said:
            if (result["outcome"] == "done") != is_new:
                return f"told was {result['outcome']} ({result.get('error')}); {is_new=}"
        return None


class ImageUpdateBox(FaultyBox):
    """Gets the image of both services anew, each time another digest: one that was taken back is not tried again."""
    made = 0
    digest = None

    def choose(self):
        self.made += 1
        self.digest = "sha256:" + hashlib.sha256(f"update {self.made}".encode()).hexdigest()
        return image_id(f"x@{self.digest}")

    def begin(self):
        return self.cloud.begin_update("registry.example/server:1", self.digest, self.seconds)

    def took_over(self):
        pass

    def version_after(self):
        return "1"

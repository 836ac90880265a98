# SPDX-License-Identifier: MIT
"""A box in a machine whose power is cut: user-mode Linux, whose disk is a file, and whose end by SIGKILL leaves on that disk what
had been written there, and nothing that only its kernel knew. Started again, it has to go on with exactly one of old and new, and
with what it told the cloud to be done. power_guest.py is what runs inside.

    power_cuts.py CUTS [SEED]

Nothing is installed: linux.uml is taken from Debian's package."""
import glob
import os
import random
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from tests.lab.fake_podman import FakePodman
from tests.lab.util import ROOT, bin_dir

DISK_MB = 2048  # sparse: the agent wants room before it pulls
MEMORY = "320M"
PATIENCE_SECONDS = 300
LONGEST = 8.0  # seconds of pushes before the power goes
INIT = """#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /run; mount -t tmpfs tmp /tmp; mount -t tmpfs tmp /dev/shm
ip link set lo up
mkdir -p /tmp/disk /tmp/kept
mount -t ext4 -o noauto_da_alloc /dev/ubda /tmp/disk || echo "guest: wrong the disk cannot be mounted"
mount -t hostfs none /tmp/kept -o {kept}
cd {root} && SECBOX_BIN={bin} PYTHONDONTWRITEBYTECODE=1 HOME=/tmp TMPDIR=/tmp /usr/bin/python3 -B -m {guest} \
  /tmp/kept {built} {arguments}
echo "guest: wrong the guest has ended"
while :; do sleep 60; done
"""


def find_kernel(folder):
    found = shutil.which("linux.uml")
    if not found:
        subprocess.run(["apt-get", "download", "user-mode-linux"], cwd=folder, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        subprocess.run(["dpkg", "-x", glob.glob(f"{folder}/user-mode-linux_*.deb")[0], f"{folder}/uml"], check=True)
        found = f"{folder}/uml/usr/bin/linux.uml"
    return found


class Machine:
    def __init__(self, folder, guest="tests.soak.power_guest", arguments=(), mkfs=()):
        self.folder, self.kernel = folder, find_kernel(folder)
        self.disk, self.init = f"{folder}/disk", f"{folder}/init"
        os.makedirs(f"{folder}/kept")
        FakePodman.compile_program("/tmp/lab", f"{folder}/podman")
        # the guest has a /tmp of its own
        with open(self.init, "w", encoding="utf-8") as f:
            f.write(INIT.format(kept=f"{folder}/kept", root=ROOT, bin=bin_dir(), built=f"{folder}/podman", guest=guest,
                                arguments=shlex.join(arguments)))
        os.chmod(self.init, 0o755)
        with open(self.disk, "wb") as f:
            f.truncate(DISK_MB << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", *mkfs, self.disk], check=True)
        self.process = None
        self.unread = b""

    def start(self, env=None):
        argv = [self.kernel, f"mem={MEMORY}", "root=/dev/root", "rootfstype=hostfs", "ro", f"init={self.init}", f"ubd0={self.disk}",
                "con=null", "con0=fd:0,fd:1", "quiet"]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        start_new_session=True, env={**os.environ, "TMPDIR": self.folder, **(env or {})})
        self.unread = b""

    def line(self, until):
        """The next line of the guest; None when the time is over first."""
        while True:
            while b"\n" in self.unread:
                line, self.unread = self.unread.split(b"\n", 1)
                if line.startswith(b"guest: "):
                    return line.decode(errors="replace").strip().removeprefix("guest: ")
            if not select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))[0]:
                return None
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                return "wrong the machine has ended: " + self.unread.decode(errors="replace")
            self.unread += data

    def cut(self):
        """All of its processes at once, which are a group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


def one_cut(machine, chance):
    """What the guest said before that was wrong, or None; and how many pushes there were."""
    machine.start()
    pushes = 0
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (line := machine.line(deadline)) != "ready":
            if line is None or line.startswith("wrong"):
                return (line or "it does not come up") + machine.unread.decode(errors="replace"), pushes
        deadline = time.monotonic() + chance.uniform(0, LONGEST)
        while (line := machine.line(deadline)) is not None:
            if line.startswith("wrong"):
                return line + machine.unread.decode(errors="replace"), pushes
            pushes += 1
        return None, pushes
    finally:
        machine.cut()


def main(cuts, seed=None):
    seed = seed or random.randrange(1 << 30)
    chance = random.Random(seed)
    folder = tempfile.mkdtemp(prefix="power-cuts-", dir="/var/tmp")
    wrong, pushes = [], 0
    print(f"power-cuts: seed {seed}", flush=True)
    try:
        machine = Machine(folder)
        for number in range(1, cuts + 2):  # the start after the last cut is judged, too
            what, more = one_cut(machine, chance)
            pushes += more
            if what:
                wrong.append(f"after cut {number - 1}: {what}")
                print(wrong[-1], flush=True)
                machine = None
                shutil.rmtree(folder)
                os.makedirs(folder)
                machine = Machine(folder)
            if number % 25 == 0:
                print(f"power-cuts: {number} cuts, {pushes} pushes ended between them, {len(wrong)} wrong", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"faults: power cuts: {cuts} injected, {len(wrong)} wrong; {pushes} pushes ended between them")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3])))

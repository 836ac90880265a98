#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A healthy box under load: recovery-agent must not take it for wedged. All processors are busy and the disk is written and
synced without a pause, for as long as is asked; every alarm is a false one.

    tests/soak/soak.py [SECONDS]
"""
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
sys.dont_write_bytecode = True

from tests.lab import isolate, sshd, support_box  # noqa: E402  pylint: disable=wrong-import-position
from tests.lab.podman_lab import PodmanLab  # noqa: E402  pylint: disable=wrong-import-position

BUSY = "while True: sum(range(100000))"
WRITES = """
import os, sys
data = os.urandom(1 << 20)
while True:
    with open(sys.argv[1], "wb") as f:
        for _ in range(64):
            f.write(data)
        f.flush()
        os.fsync(f.fileno())
"""
POLL_SECONDS = 1
SAY_SECONDS = 60


@contextlib.contextmanager
def load(folder):
    """Twice as many busy loops as there are processors, and two writers that sync."""
    argv = [[sys.executable, "-c", BUSY]] * (2 * (os.cpu_count() or 1))
    argv += [[sys.executable, "-c", WRITES, os.path.join(folder, f"noise-{i}")] for i in range(2)]
    running = [subprocess.Popen(a, stdin=subprocess.DEVNULL, preexec_fn=isolate.die_with_parent) for a in argv]
    try:
        yield len(running)
    finally:
        for process in running:
            process.kill()
            process.wait()


def watch(box, seconds):
    """(seconds watched, how often the box was suspected, alarms)."""
    begin = said = time.monotonic()
    suspected, alarms, state = 0, [], None
    while time.monotonic() - begin < seconds:
        status = box.recovery_status()
        now = status.get("state")
        suspected += now == "suspect" and state != "suspect"
        if now == "wedged" and state != "wedged":
            alarms.append(f"after {time.monotonic() - begin:.0f} s: {status}")
            print(f"false alarm {alarms[-1]}", flush=True)
        state = now or state
        if time.monotonic() - said > SAY_SECONDS:
            said = time.monotonic()
            print(f"{said - begin:.0f} s: {state}, suspected {suspected} times, {len(alarms)} false alarms, load "
                  f"{os.getloadavg()[0]:.1f}", flush=True)
        if box.death():
            alarms.append(box.death())
            break
        time.sleep(POLL_SECONDS)
    return time.monotonic() - begin, suspected, alarms


def soak(seconds):
    folder = tempfile.mkdtemp(prefix="secbox-soak-")
    try:
        with PodmanLab() as lab:
            support_box.build_image(lab)
            with support_box.Cloud(os.path.join(folder, "cloud")) as cloud, \
                    support_box.SupportBox(lab, cloud, os.path.join(folder, "box"), {"RECOVERY_ACT": "0"}) as box, \
                    load(folder) as processes:
                print(f"a healthy box, and {processes} processes that load the machine, for {seconds} s", flush=True)
                lasted, suspected, alarms = watch(box, seconds)
                if alarms:
                    print(box.logs())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{lasted:.0f} s under load: suspected {suspected} times, {len(alarms)} false alarms")
    return 1 if alarms else 0


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 3600
    if not isolate.is_isolated():
        return isolate.run([sys.executable, "-B", os.path.abspath(__file__), str(seconds)])
    why = support_box.missing() or sshd.missing()
    if why:
        print(why, file=sys.stderr)
        return 1
    return soak(seconds)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())

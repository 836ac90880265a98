# SPDX-License-Identifier: MIT
"""A gateway among strangers of ten kinds: how soon known boxes are back, how long an operator waits, and what it all costs in
memory, beside the same gateway left alone."""
import os
import statistics
import subprocess
import time
import urllib.error
import urllib.request

from tests.bench.storm import PORTS, SecBoxStack, memory
from tests.lab.again import Again
from tests.lab.isolate import is_isolated
from tests.lab.self_signed import make_certificate
from tests.lab.simulated_boxes import binary
from tests.lab.util import Daemon, wait_until

STRANGERS = 15000
QUICK = 500
BOXES = 500
ADDRESSES = [1, 1000]
SETTLE_SECONDS = 10  # each has been sent away, and has come back
WATCH_SECONDS = 20
BACK_SECONDS = 10
WAIT_MS = 200
MEMORY_MB = 256


class Strangers:
    """They have a processor's leftovers only: here they share it with the gateway."""

    def __init__(self, folder, gateway, count, addresses):
        log = os.path.join(folder, f"strangers-{addresses}.log")
        argv = [os.path.join(os.path.dirname(binary()), "strangers"), gateway.host, str(gateway.port), str(count), str(addresses)]
        self.daemon = Daemon("strangers", ["nice", "-n", "10", *argv], log, {"PATH": os.environ["PATH"]},
                             stdin=subprocess.PIPE)
        wait_until(lambda: self.figures()[1] >= count, "all strangers have come", self.daemon.death)

    def figures(self):
        """Open connections, and how many were begun."""
        lines = [line.split() for line in self.daemon.log().splitlines()]
        return (int(lines[-1][1]), int(lines[-1][2])) if lines else (0, 0)

    def close(self):
        self.daemon.process.stdin.close()
        self.daemon.process.wait()


class Operator(Again):
    """Asks for a box again and again, each time over a new connection; `waits` in ms, and how often there was no answer."""

    def __init__(self, gateway):
        super().__init__(0.05)
        self.gateway = gateway
        self.waits = []
        self.failed = 0
        self.start()

    def once(self):
        begin = time.monotonic()
        try:
            good = self.gateway.request("GET", "/v1/devices/bench-0").status == 200
        except (urllib.error.URLError, OSError):
            good = False
        self.failed += not good
        self.waits.append((time.monotonic() - begin) * 1000)


class Peak(Again):
    """The most memory that the gateway has had, in MB."""

    def __init__(self, pid):
        super().__init__(0.2)
        self.pid = pid
        self.most = 0
        self.start()

    def once(self):
        self.most = max(self.most, memory(self.pid) / 1024)


def measure(folder, stack, count, addresses):
    """Seconds until all boxes were back, the operator's waits in ms and failures, the most memory in MB."""
    stack.start()
    boxes = stack.crowd(folder, BOXES)
    boxes.wait_connected()
    peak = Peak(stack.pid)
    strangers = Strangers(folder, stack.gateway, count, addresses) if count else None
    try:
        time.sleep(SETTLE_SECONDS if count else 0)
        boxes.close()
        begin = time.monotonic()
        boxes = stack.crowd(folder, BOXES)
        boxes.wait_connected()
        back = time.monotonic() - begin
        operator = Operator(stack.gateway)
        time.sleep(WATCH_SECONDS)
        operator.end()
        assert boxes.counts()[0] == BOXES and stack.death() is None, boxes.counts()
        peak.end()
        return back, operator.waits, operator.failed, peak.most
    finally:
        if strangers:
            strangers.close()
        boxes.close()


def run(suite, folder, quick=False):
    if is_isolated():
        with open(PORTS, "w", encoding="ascii") as f:
            f.write("1024 65535")
    stack = SecBoxStack(folder, make_certificate(folder), BOXES)
    count = QUICK if quick else STRANGERS
    try:
        alone = measure(folder, stack, 0, 0)
        for addresses in ADDRESSES:
            found = measure(folder, stack, count, addresses)
            what = f"strangers: {count}, addresses: {addresses}"
            for name, unit, ours, peer, most in (
                    (f"{BOXES} known boxes are back, {what}", "s", found[0], alone[0], BACK_SECONDS),
                    (f"an operator's call, median, {what}", "ms", statistics.median(found[1]), statistics.median(alone[1]),
                     WAIT_MS),
                    (f"an operator's call, longest, {what}", "ms", max(found[1]), max(alone[1]), WAIT_MS),
                    (f"memory, most, {what}", "MB", found[3], alone[3], MEMORY_MB)):
                suite.row(name, unit, "no strangers", [ours], [peer])
                suite.bound(name, ours, unit, most)
            suite.bound(f"calls of the operator that failed, of {len(found[1])}, {what}", found[2], "calls", 0)
    finally:
        stack.close()
    suite.note("strangers: silent, half a hello, no word after the hello, no TLS, slow heads, slow bodies, bodies for nobody, "
               "unknown paths, made-up operator tokens, made-up tunnel tokens; on the gateway's own processors, with what they "
               "leave")
    suite.note("boxes: ended and started anew, each by a handshake of its own; operator: a new connection for each call")

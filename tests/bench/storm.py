# SPDX-License-Identifier: MIT
"""Thousands of boxes on one gateway, beside Node's `ws` with the same boxes: what each of them costs, how fast they are
accepted, and how they come back when the gateway was killed."""
import contextlib
import os
import re
import resource
import ssl
import subprocess
import time
import urllib.error
import urllib.request

from tests.lab import simulated_boxes
from tests.lab.again import Again
from tests.lab.self_signed import make_certificate
from tests.lab.gateway import Gateway
from tests.lab.isolate import is_isolated
from tests.lab.util import ROOT, Daemon, cpu_seconds, free_port, port_answers, wait_until

SIZES = [1000, 10000]
MANY_RUNS = 3  # of the largest size, which takes its time
RETURN_RUNS = 1
RETURN_SECONDS = 60  # nobody waits longer for a server whose boxes are not all back
PROCESSES = 2
PARALLEL = 128
SETTLE_SECONDS = 2
WARM_UP = 50
SPARE_DESCRIPTORS = 200
PORTS = "/proc/sys/net/ipv4/ip_local_port_range"
NODE_SERVER = os.path.join(ROOT, "tests", "bench", "ws-server.js")


def memory(pid):
    """What it has allocated for itself, in KiB."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return int(re.search(r"^Pss_Anon:\s+(\d+) kB", f.read(), re.M).group(1))


class SecBoxStack:
    """secbox-gateway that knows `count` boxes. Its burst lets the first round in as fast as it can; once killed it starts
    as it does without options."""

    def __init__(self, folder, tls, count):
        self.gateway = Gateway(os.path.join(folder, "gateway"), tls=tls)
        simulated_boxes.make_rows(self.gateway.postgres, count)
        self.count = count
        self.url = self.gateway.url

    def start(self, first=True):
        self.gateway.stop()
        self.gateway.options = ["--accept-burst", str(self.count)] if first else []
        self.gateway.start()
        if first:
            wait_until(lambda: self.gateway.request("GET", "/healthz").status == 200, "the gateway serves", self.death)

    def death(self):
        return self.gateway.daemon.death()

    @property
    def pid(self):
        return self.gateway.daemon.pid

    def kill(self):
        self.gateway.daemon.kill()

    def crowd(self, folder, count):
        return simulated_boxes.SimulatedBoxes(folder, self.url.replace("http", "ws", 1) + "/mgmt", self.gateway.tls[0],
                           os.path.join(self.gateway.state, "jwt-key.pem"), self.url, count, PROCESSES, PARALLEL)

    def close(self):
        self.gateway.close()


class Node:
    """Node's `ws` in the gateway's place; the same boxes with tokens that it does not look at."""

    def __init__(self, folder, tls, signer):
        self.folder = folder
        self.tls = tls
        self.signer = signer
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.daemon = None

    def start(self, _=True):
        self.stop()
        env = {"PATH": os.environ["PATH"], "NODE_PATH": "/usr/share/nodejs"}
        self.daemon = Daemon("node", ["node", NODE_SERVER, str(self.port), *self.tls], os.path.join(self.folder, "node.log"), env)
        wait_until(lambda: port_answers(self.port), "node listens", self.death)

    def death(self):
        return self.daemon.death()

    @property
    def pid(self):
        return self.daemon.pid

    def kill(self):
        self.daemon.kill()

    def crowd(self, folder, count):
        return simulated_boxes.SimulatedBoxes(folder, self.url.replace("http", "ws", 1) + "/mgmt", self.tls[0],
                                              self.signer, self.url, count, PROCESSES, PARALLEL)

    def stop(self):
        if self.daemon:
            self.daemon.stop()

    close = stop


class Asker(Again):
    """Somebody who wants an answer over HTTPS all the time; `worst` is the longest wait in ms."""

    def __init__(self, url, authority):
        super().__init__(0.05)
        self.url = url + "/healthz"
        self.context = ssl.create_default_context(cafile=authority)
        self.worst = 0.0
        self.start()

    def once(self):
        begin = time.monotonic()
        with contextlib.suppress(urllib.error.URLError):
            urllib.request.urlopen(self.url, timeout=60, context=self.context).read()
        self.worst = max(self.worst, (time.monotonic() - begin) * 1000)


class Storm:
    """One server with `count` boxes: figures of one run."""

    def __init__(self, folder, server, authority):
        self.folder = folder
        self.server = server
        self.authority = authority

    def connect(self, count):
        """KiB for each idle box, boxes accepted per second, µs of the server's CPU for each, and the crowd that holds them."""
        self.server.start()
        with self.server.crowd(self.folder, WARM_UP) as first:  # what is made once is not each box's
            first.wait_connected()
        before, cpu = memory(self.server.pid), cpu_seconds(self.server.pid)
        boxes = self.server.crowd(self.folder, count)
        boxes.wait_connected()
        cpu = cpu_seconds(self.server.pid) - cpu
        time.sleep(SETTLE_SECONDS)
        return (memory(self.server.pid) - before) / count, count / boxes.seconds(), cpu / count * 1e6, boxes

    def comes_back(self, boxes):
        """Seconds from the kill until all are back, or RETURN_SECONDS, and the longest wait of somebody else meanwhile in ms."""
        begin = time.monotonic()
        self.server.kill()
        wait_until(lambda: boxes.counts()[0] < boxes.count, "the boxes have noticed", boxes.death)
        self.server.start(False)
        asker = Asker(self.server.url, self.authority)
        while boxes.counts()[0] < boxes.count and time.monotonic() - begin < RETURN_SECONDS:
            time.sleep(0.05)
        seconds = time.monotonic() - begin
        asker.end()
        return seconds, asker.worst


def largest():
    """How many boxes one process may hold here."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1] - SPARE_DESCRIPTORS


def measure(storms, folder, count, run, found):
    for side, storm in storms.items():
        kib, rate, cpu, boxes = storm.connect(count)
        with boxes:
            for name, value in (("idle", kib), ("rate", rate), ("cpu", cpu)):
                found.setdefault(name, {}).setdefault(side, []).append(value)
            if count == SIZES[-1] and run < RETURN_RUNS:
                for name, value in zip(("back", "worst"), storm.comes_back(boxes)):
                    found.setdefault(name, {}).setdefault(side, []).append(value)


def run(suite, folder, sizes=None):
    if is_isolated():
        with open(PORTS, "w", encoding="ascii") as f:
            f.write("1024 65535")
    tls = make_certificate(folder)
    version = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    peer = f"Node {version}, ws, the same boxes"
    sizes = [n for n in sizes or SIZES if n <= largest()] or [largest()]
    ours = SecBoxStack(folder, tls, max(sizes))
    node = Node(folder, tls, os.path.join(ours.gateway.state, "jwt-key.pem"))
    try:
        storms = {"ours": Storm(folder, ours, tls[0]), "peer": Storm(folder, node, tls[0])}
        for count in sizes:
            found = {}
            for i in range(suite.runs if count < SIZES[-1] else min(suite.runs, MANY_RUNS)):
                measure(storms, folder, count, i, found)
            suite.row(f"memory of the gateway for each idle box, boxes: {count}", "KiB", peer, **found["idle"])
            suite.row(f"boxes accepted, boxes: {count}", "1/s", peer, **found["rate"])
            suite.row(f"CPU of the gateway to accept one, boxes: {count}", "µs", peer, **found["cpu"])
            if "back" in found:
                suite.row(f"kill -9 of the gateway until all are back, boxes: {count}", "s", f"{peer}, all at once",
                          **found["back"])
                suite.row(f"longest wait of a GET meanwhile, boxes: {count}", "ms", f"{peer}, all at once", **found["worst"])
    finally:
        node.close()
        ours.close()
    suite.note("boxes: our tunnel client over TLS 1.3 (P-256), each with a token of its own, on the gateway's own two cores; "
               "memory: growth of Pss_Anon, behind a warm-up, without the kernel's sockets")
    suite.note(f"coming back: the gateway as started without options (500 a second; its boxes spread over count / 500 s); "
               f"Node's boxes come within 1 s, and not all are back where it says {RETURN_SECONDS} s; {RETURN_RUNS} run")
    suite.note(f"{MANY_RUNS} runs of {SIZES[-1]} boxes")

# SPDX-License-Identifier: MIT
"""Memory of the idle, connected management programs beside a Node program that holds one idle WebSocket, all over TLS."""
import contextlib
import os
import re
import shutil
import subprocess
import time

from tests.lab import isolate
from tests.lab.authority import trusted_by_the_system
from tests.lab.box import Box
from tests.lab.gateway import Gateway
from tests.lab.self_signed import make_certificate
from tests.lab.util import ROOT, Daemon, program, wait_until

NODE_CLIENT = os.path.join(ROOT, "tests", "bench", "ws-idle.js")
IDLE_SECONDS = 2


def proportional(pids):
    """Sum of Pss, in KiB: pages shared by n processes count for 1/n in each."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            total += int(re.search(r"^Pss:\s+(\d+) kB", f.read(), re.M).group(1))
    return total


def without_own_authorities(env):
    """As under systemd: a developer's machine may name authorities in its environment."""
    return {k: v for k, v in env.items() if k not in ("SSL_CERT_FILE", "SSL_CERT_DIR")}


def private_libraries(folder, *binaries):
    """Copies of all libraries of these programs: nobody else maps them, so nobody shares their pages."""
    os.makedirs(folder, exist_ok=True)
    for binary in binaries:
        out = subprocess.run(["ldd", binary], check=True, capture_output=True, text=True).stdout
        for path in re.findall(r"=> (/\S+)", out):
            shutil.copy(path, folder)
    return {"LD_LIBRARY_PATH": folder}


def settle(pids):
    time.sleep(IDLE_SECONDS)
    return proportional(pids)


class Memory:
    def __init__(self, lab, folder, gateway, cert, env):
        self.lab = lab
        self.folder = folder
        self.gateway = gateway
        self.cert = cert
        self.env = env
        self.serial = 0

    def ours(self, extra):
        """Pss of mgmt-agent and mgmt-link of a new box that has just claimed its identity and opened its tunnel."""
        self.serial += 1
        device = f"box{self.serial}"
        env = {**self.gateway.enroll(device), **self.env}
        with Box(self.lab, os.path.join(self.folder, device), env) as box:
            box.env = {**without_own_authorities(box.env), **extra}
            box.start()
            self.gateway.wait_connected(device)
            return settle([box.agent.pid, box.link.pid])

    def peer(self, extra, url):
        log = os.path.join(self.folder, "node.log")
        env = {"PATH": os.environ["PATH"], "NODE_PATH": "/usr/share/nodejs", "NODE_EXTRA_CA_CERTS": self.cert, **extra}
        if os.path.exists(log):
            os.unlink(log)
        node = Daemon("node", ["node", NODE_CLIENT, url], log, env)
        try:
            wait_until(lambda: "open" in node.log(), "node's WebSocket is open", node.death)
            return settle([node.pid])
        finally:
            node.stop()


def run(suite, lab, folder):
    cert, key = make_certificate(folder)
    with contextlib.ExitStack() as stack:
        if isolate.is_isolated():
            stack.enter_context(trusted_by_the_system(folder, cert))
        measure(suite, lab, folder, (cert, key), {} if isolate.is_isolated() else {"CLOUD_CA_FILE": cert})


def measure(suite, lab, folder, tls, env):
    cert = tls[0]
    server = os.path.join(os.path.dirname(os.path.dirname(program("x"))), "tests", "ws-echo-server")
    ours_alone = private_libraries(os.path.join(folder, "lib-ours"), program("mgmt-agent"), program("mgmt-link"))
    peer_alone = private_libraries(os.path.join(folder, "lib-node"), shutil.which("node"))
    version = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    with Gateway(os.path.join(folder, "gateway"), tls=tls) as gateway:
        memory = Memory(lab, folder, gateway, cert, env)
        echo = subprocess.Popen([server, *tls], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            url = f"wss://127.0.0.1:{echo.stdout.readline().split()[1]}/"
            for label, ours, peer in (("proportional", {}, {}),
                                      ("proportional, libraries shared with no one", ours_alone, peer_alone)):
                suite.pairs(f"mgmt-agent + mgmt-link, idle, connected: {label}", "KiB",
                            f"Node {version}, one idle WebSocket (ws)", lambda _, extra=ours: memory.ours(extra),
                            lambda _, extra=peer: memory.peer(extra, url))
        finally:
            echo.stdin.close()
            echo.wait()
    suite.note("memory: Pss of /proc/PID/smaps_rollup; over TLS, verified against the system's authorities; ours "
               "against a real secbox-gateway, just after its claim")
    suite.note("libraries shared with no one: private copies, as if nothing else on the box used OpenSSL, libsystemd or libc")

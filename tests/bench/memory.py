# SPDX-License-Identifier: MIT
"""Memory of the idle, connected management programs beside a Node program that holds one idle WebSocket, all over TLS."""
import os
import re
import shutil
import subprocess
import time

from tests.lab.box import Box
from tests.lab.gateway import Gateway
from tests.lab.util import ROOT, Daemon, program, wait_until

AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
NODE_CLIENT = os.path.join(ROOT, "tests", "bench", "ws-idle.js")
IDLE_SECONDS = 2


def proportional(pids):
    """Sum of Pss, in KiB: pages shared by n processes count for 1/n in each."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            total += int(re.search(r"^Pss:\s+(\d+) kB", f.read(), re.M).group(1))
    return total


def make_certificate(folder):
    """A server's own certificate, its key, and a file of authorities: the system's and this one, as many as a box loads."""
    cert, key, authorities = (os.path.join(folder, name) for name in ("cert.pem", "key.pem", "authorities.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    key, "-out", cert, "-days", "2", "-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True)
    with open(authorities, "wb") as out:
        for path in (AUTHORITIES, cert):
            with open(path, "rb") as f:
                shutil.copyfileobj(f, out)
    return cert, key, authorities


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
    def __init__(self, lab, folder, gateway, authorities):
        self.lab = lab
        self.folder = folder
        self.gateway = gateway
        self.authorities = authorities
        self.serial = 0

    def ours(self, extra):
        """Pss of mgmt-agent and mgmt-link of a new box that has just claimed its identity and opened its tunnel."""
        self.serial += 1
        device = f"box{self.serial}"
        env = dict(self.gateway.enroll(device), CLOUD_CA_FILE=self.authorities)
        with Box(self.lab, os.path.join(self.folder, device), env) as box:
            box.env.update(extra)
            box.start()
            self.gateway.wait_connected(device)
            return settle([box.agent.pid, box.link.pid])

    def peer(self, extra, url):
        log = os.path.join(self.folder, "node.log")
        env = {"PATH": os.environ["PATH"], "NODE_PATH": "/usr/share/nodejs", **extra}
        if os.path.exists(log):
            os.unlink(log)
        node = Daemon("node", ["node", NODE_CLIENT, url, self.authorities], log, env)
        try:
            wait_until(lambda: "open" in node.log(), "node's WebSocket is open", node.death)
            return settle([node.pid])
        finally:
            node.stop()


def run(suite, lab, folder):
    cert, key, authorities = make_certificate(folder)
    server = os.path.join(os.path.dirname(os.path.dirname(program("x"))), "tests", "ws-echo-server")
    ours_alone = private_libraries(os.path.join(folder, "lib-ours"), program("mgmt-agent"), program("mgmt-link"))
    peer_alone = private_libraries(os.path.join(folder, "lib-node"), shutil.which("node"))
    version = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    with Gateway(os.path.join(folder, "gateway"), tls=(cert, key)) as gateway:
        memory = Memory(lab, folder, gateway, authorities)
        echo = subprocess.Popen([server, cert, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            url = f"wss://127.0.0.1:{echo.stdout.readline().split()[1]}/"
            for label, ours, peer in (("proportional", {}, {}), ("proportional, libraries shared with no one", ours_alone, peer_alone)):
                suite.pairs(f"mgmt-agent + mgmt-link, idle, connected: {label}", "KiB", f"Node {version}, one idle WebSocket (ws)",
                            lambda _, extra=ours: memory.ours(extra), lambda _, extra=peer: memory.peer(extra, url))
        finally:
            echo.stdin.close()
            echo.wait()
    suite.note("memory: Pss of /proc/PID/smaps_rollup; over TLS, verified against the system's authorities and the bench's own; "
               "ours against a real secbox-gateway")
    suite.note("libraries shared with no one: private copies, as if nothing else on the box used OpenSSL, libsystemd or libc")

# SPDX-License-Identifier: MIT
"""Streams through one tunnel, beside `ssh -R` and stunnel: bulk and round trips on loopback, and a shell during a bulk copy
over a slow link. All carry a visitor's connection on the gateway's side to a server (tests/bench/pace.c) on the box's."""
import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time

from tests.lab.self_signed import make_certificate
from tests.lab.fleet import Fleet
from tests.lab.gateway import Gateway
from tests.lab.isolate import is_isolated
from tests.lab.sshd import Sshd, make_key
from tests.lab.util import Daemon, free_port, program, wait_until

BULK_SECONDS = 2
PING_SECONDS = 1
SHELL_SECONDS = 5
SHELL_EVERY_MS = 20
LINK = {"rate": "20mbit", "burst": "32kb", "latency": "100ms"}
GATEWAY_ADDRESS, BOX_ADDRESS = "10.99.0.1", "10.99.0.2"
NAMESPACE = "box"
DEVICE = "caseta"
CONGESTION = "/proc/sys/net/ipv4/tcp_congestion_control"


def tool(name):
    return os.path.join(os.path.dirname(os.path.dirname(program("x"))), "tests", name)


def pace(*args):
    p = subprocess.run([tool("pace"), *map(str, args)], capture_output=True, text=True, check=True)
    return [float(n) for n in p.stdout.split()]


class Place:
    """Where the two ends are: on loopback both, or the box behind a slow link in a network namespace of its own."""

    def __init__(self, folder, slow):
        self.folder = folder
        self.slow = slow
        self.prefix = ["ip", "netns", "exec", NAMESPACE] if slow else []
        self.gateway, self.box = (GATEWAY_ADDRESS, BOX_ADDRESS) if slow else ("127.0.0.1", "127.0.0.1")
        self.cert, self.key = make_certificate(folder, GATEWAY_ADDRESS, BOX_ADDRESS)
        self.target = None
        self.control = None

    def _ip(self, *args, inside=False):
        subprocess.run([*(self.prefix if inside else []), *args], check=True, capture_output=True)

    def _link(self):
        self._ip("ip", "netns", "add", NAMESPACE)
        self._ip("ip", "link", "add", "wan", "type", "veth", "peer", "name", "uplink", "netns", NAMESPACE)
        for device, address, inside in (("wan", self.gateway, False), ("uplink", self.box, True)):
            self._ip("ip", "address", "add", f"{address}/24", "dev", device, inside=inside)
            self._ip("ip", "link", "set", device, "up", inside=inside)
            limits = [word for item in LINK.items() for word in item]
            self._ip("tc", "qdisc", "add", "dev", device, "root", "tbf", *limits, inside=inside)
        self._ip("ip", "link", "set", "lo", "up", inside=True)
        self._congestion_control()

    def _congestion_control(self):
        """Debian's is cubic. A namespace may not choose it, but reno, which is alike here, where the machine has another."""
        with open(CONGESTION, encoding="ascii") as f:
            self.control = f.read().strip()
        if self.control != "cubic":
            self.control = "reno"
            for inside in (False, True):
                self._ip("sysctl", "-q", "-w", f"net.ipv4.tcp_congestion_control={self.control}", inside=inside)

    def _start(self, name, argv):
        log = os.path.join(self.folder, f"{name}-{time.monotonic_ns()}.log")
        return Daemon(name, argv, log, {"PATH": os.environ["PATH"]}, stdin=subprocess.PIPE)

    def start_box(self, name, argv):
        """A program on the box's side."""
        return self._start(name, [*self.prefix, *argv])

    def start_gateway(self, name, argv):
        return self._start(name, argv)

    def __enter__(self):
        if self.slow:
            self._link()
        self.server = self.start_box("pace", [tool("pace"), "serve"])
        wait_until(lambda: self.server.log().strip(), "pace serves", self.server.death)
        self.target = int(self.server.log())
        return self

    def __exit__(self, *_):
        self.server.kill()
        if self.slow:
            self._ip("ip", "netns", "delete", NAMESPACE)


class SecBoxStack:
    """Streams in a WebSocket over TLS, as gateway and box have them."""
    name = "ours"

    def __init__(self, place):
        self.ends = []
        gateway = place.start_gateway("way", [tool("way"), "gateway", place.gateway, place.cert, place.key])
        self.ends.append(gateway)
        wait_until(lambda: gateway.log().endswith("\n"), "way serves", gateway.death)
        port, self.port = (int(word) for word in gateway.log().split()[-2:])
        box = place.start_box("way", [tool("way"), "box", f"wss://{place.gateway}:{port}/mgmt", place.cert, str(place.target)])
        self.ends.append(box)

    def death(self):
        return next((d.death() for d in self.ends if d.death()), None)

    def close(self):
        for daemon in reversed(self.ends):
            daemon.stop()


class Whole(SecBoxStack):
    """The programs themselves: secbox-fleet ssh-proxy for each visitor, the gateway, mgmt-link; TLS twice, a grant, an audit."""
    name = "whole"

    def __init__(self, place):
        folder = os.path.join(place.folder, f"whole-{time.monotonic_ns()}")
        self.ends = []
        self.listener = self.settings = None
        self.gateway = Gateway(os.path.join(folder, "gateway"), tls=(place.cert, place.key), host=place.gateway)
        try:
            self._start(place, folder)
        except BaseException:
            self.close()
            raise

    def _start(self, place, folder):
        wait_until(lambda: self.gateway.request("GET", "/healthz").status == 200, "the gateway serves", self.gateway.daemon.death)
        settings = self.settings = {**self.gateway.enroll(DEVICE), "SSH_PORT": str(place.target), "CLOUD_CA_FILE": place.cert}
        root = os.path.join(folder, "root")
        for path in ("etc/tucomunidad", "run/tucomunidad", "var/lib/tucomunidad"):
            os.makedirs(os.path.join(root, path))
        path = os.path.join(root, "etc/tucomunidad/mgmt-agent.env")
        with open(path, "w", encoding="utf-8") as f:
            f.write("".join(f"{k}={v}\n" for k, v in settings.items()))
        os.chmod(path, 0o600)
        self.ends = [self.gateway.daemon, place.start_box("mgmt-link", [program("mgmt-link"), "--root", root])]
        self.gateway.wait_connected(DEVICE)
        fleet = Fleet(self.gateway.url, self.gateway.token, folder)
        fleet.env["SECBOX_CA"] = place.cert
        fleet.run("grants", "add", DEVICE, "--reason", "a measurement", check=0)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(fleet,), daemon=True).start()

    def _accept(self, fleet):
        with contextlib.suppress(OSError):
            while True:
                visitor, _ = self.listener.accept()
                with visitor:
                    proxy = subprocess.Popen([program("secbox-fleet"), "ssh-proxy", DEVICE], env=fleet.env, stdin=visitor,
                                             stdout=visitor, stderr=subprocess.DEVNULL)
                threading.Thread(target=proxy.wait, daemon=True).start()

    def close(self):
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
        for daemon in self.ends[1:]:
            daemon.stop()
        self.gateway.close()


class SshR(SecBoxStack):
    name = "ssh -R (OpenSSH)"

    def __init__(self, place, more=()):
        """more: further (port here, port on the box's side)."""
        key = os.path.join(place.folder, f"ssh-key-{time.monotonic_ns()}")
        self.sshd = Sshd(os.path.join(place.folder, f"sshd-{time.monotonic_ns()}"), authorized=make_key(key), address=place.gateway)
        self.sshd.start()
        self.port = free_port()
        forwards = [word for here, there in more for word in ("-R", f"127.0.0.1:{here}:127.0.0.1:{there}")]
        self.ends = [self.sshd.daemon, place.start_box("ssh", [
            "ssh", "-N", "-F", "none", "-i", key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o",
            "LogLevel=ERROR", "-o", "ExitOnForwardFailure=yes", "-p", str(self.sshd.port), "-R",
            f"127.0.0.1:{self.port}:127.0.0.1:{place.target}", *forwards, f"root@{place.gateway}"])]


class Stunnel(SecBoxStack):
    """TLS for each connection, not a tunnel for all: the box has to be reachable for it."""
    name = "stunnel, a connection for each stream"

    def __init__(self, place):
        self.port, remote = free_port(), free_port()
        common = "foreground = yes\npid =\nsocket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n"
        server = f"[s]\naccept = {place.box}:{remote}\nconnect = 127.0.0.1:{place.target}\ncert = {place.cert}\nkey = {place.key}\n"
        client = f"[c]\nclient = yes\naccept = 127.0.0.1:{self.port}\nconnect = {place.box}:{remote}\n"
        client += f"verifyChain = yes\nCAfile = {place.cert}\n"
        self.ends = []
        for start, name, text in ((place.start_box, "server", server), (place.start_gateway, "client", client)):
            path = os.path.join(place.folder, f"stunnel-{name}.conf")
            with open(path, "w", encoding="utf-8") as f:
                f.write(common + text)
            self.ends.append(start(f"stunnel-{name}", [shutil.which("stunnel4") or "stunnel", path]))


def peers(suite):
    found = [SshR, Stunnel]
    if not (shutil.which("stunnel4") or shutil.which("stunnel")):
        suite.note("stunnel is not installed: installer/deps.sh bench")
        found.remove(Stunnel)
    return found


@contextlib.contextmanager
def up(kind, place):
    """The way, when the first byte has come through it."""
    way = kind(place)
    try:
        wait_until(lambda: subprocess.run([tool("pace"), "ping", str(way.port), "0", "0"], capture_output=True,
                                          check=False).returncode == 0, f"{kind.name} is up", way.death)
        yield way
    finally:
        way.close()


def on_loopback(place, way):
    direct = pace("ping", place.target, PING_SECONDS, 0)[0]
    return {"to": pace("flood", way.port, "s", BULK_SECONDS)[0], "from": pace("flood", way.port, "g", BULK_SECONDS)[0],
            "added": pace("ping", way.port, PING_SECONDS, 0)[0] - direct}


def on_slow_link(_, way):
    bulk = subprocess.Popen([tool("pace"), "flood", str(way.port), "g", str(SHELL_SECONDS + 1)], stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)  # the copy has filled what it fills
    p50, p99, _longest = pace("ping", way.port, SHELL_SECONDS, SHELL_EVERY_MS)
    out, _ = bulk.communicate()
    return {"bulk": float(out), "p50": p50 / 1000, "p99": p99 / 1000}


def compare(suite, folder, slow, kinds, measure, metrics):
    """One row for each metric and peer; all of them in turn in each run."""
    found = {kind: [] for kind in kinds}
    with Place(folder, slow) as place:
        for _ in range(suite.runs):
            for kind, results in found.items():
                with up(kind, place) as way:
                    results.append(measure(place, way))
        if slow:
            suite.note("the slow link: veth with tc tbf " + " ".join(word for item in LINK.items() for word in item) +
                       f" at both ends, TCP {place.control}")
    for key, (metric, unit) in metrics.items():
        for kind in kinds[1:]:
            if kind is not Whole:
                suite.row(metric, unit, kind.name, [r[key] for r in found[SecBoxStack]], [r[key] for r in found[kind]])
        if Whole in kinds:
            suite.row(f"{metric}; operator to box", unit, SshR.name, [r[key] for r in found[Whole]],
                      [r[key] for r in found[SshR]])


def run(suite, folder, quick=False):
    kinds = [SecBoxStack, SshR] if quick else [SecBoxStack, Whole, *peers(suite)]
    compare(suite, folder, False, kinds, on_loopback,
            {"to": ("bulk on loopback, gateway to box", "Mbit/s"), "from": ("bulk on loopback, box to gateway", "Mbit/s"),
             "added": ("added round trip on loopback, 64 B", "µs")})
    suite.note("streams: one tunnel over TLS with a WebSocket and our streams in it, on both ends with the libraries of gateway "
               "and box; bulk and echo by tests/bench/pace.c; everything shares this machine's cores")
    suite.note("operator to box: secbox-fleet ssh-proxy, the gateway and mgmt-link themselves: two such tunnels one behind the "
               "other, TLS twice; ssh -R is one")
    if quick:
        return
    if not is_isolated():
        suite.note("the slow link needs root, for network namespaces: not measured")
        return
    compare(suite, folder, True, kinds, on_slow_link,
            {"p50": ("a shell during a bulk copy, 20 Mbit/s: median", "ms"),
             "p99": ("a shell during a bulk copy, 20 Mbit/s: 99 %", "ms"),
             "bulk": ("the copy meanwhile", "Mbit/s")})
    suite.note(f"a shell: 64 B there and back every {SHELL_EVERY_MS} ms, in a stream beside one that copies from the box")

# SPDX-License-Identifier: MIT
"""relay-client's driver for rathole beside `ssh -R` and socat: bulk and round trips on loopback, and the memory of the box's end.
The server that the driver is measured with copies inside the kernel, so that the driver is what is measured."""
import contextlib
import os
import queue
import shutil
import socket
import subprocess
import threading
import time

from tests.bench.ways import Place, SshR, on_loopback, up
from tests.lab.rathole_server import ACK_OK, CONTROL, CREATE, DATA, HEARTBEAT, HELLO, POOL, START_TCP, WORD, digest
from tests.lab.util import PATIENCE_SECONDS, free_port, program, wait_until

SERVICE, TOKEN = "box", "a-token-for-measuring"
HEARTBEAT_SECONDS = 10
PIECE = 1 << 20


def splice(source, sink):
    """One direction, to its end, without the data ever coming here."""
    read, write = os.pipe()
    with contextlib.suppress(OSError):
        while n := os.splice(source.fileno(), write, PIECE):
            while n:
                n -= os.splice(read, sink.fileno(), n)
    os.close(read)
    os.close(write)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


class FastServer:
    """The least of a rathole server: one client that is trusted, threads, and os.splice()."""

    def __init__(self):
        self.pool = queue.Queue()
        self.control = None
        self.clients, self.visitors = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
        self.port, self.visitor_port = (s.getsockname()[1] for s in (self.clients, self.visitors))
        for listener, serve in ((self.clients, self._client), (self.visitors, self._visitor)):
            threading.Thread(target=self._accept, args=(listener, serve), daemon=True).start()

    @staticmethod
    def _accept(listener, serve):
        with contextlib.suppress(OSError):
            while True:
                connection = listener.accept()[0]
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    def _client(self, connection):
        kind, _, _ = HELLO.unpack(connection.recv(HELLO.size, socket.MSG_WAITALL))
        if kind == DATA:
            self.pool.put(connection)
            return
        nonce = os.urandom(32)
        connection.sendall(HELLO.pack(CONTROL, 1, nonce))
        assert connection.recv(32, socket.MSG_WAITALL) == digest(TOKEN.encode() + nonce)
        connection.sendall(WORD.pack(ACK_OK) + POOL * WORD.pack(CREATE))
        self.control = connection
        with contextlib.suppress(OSError):
            while True:
                time.sleep(HEARTBEAT_SECONDS)
                connection.sendall(WORD.pack(HEARTBEAT))

    def _visitor(self, visitor):
        if not self.control:
            visitor.close()
            return
        self.control.sendall(WORD.pack(CREATE))
        data = self.pool.get(timeout=PATIENCE_SECONDS)
        data.sendall(WORD.pack(START_TCP))
        other = threading.Thread(target=splice, args=(data, visitor), daemon=True)
        other.start()
        splice(visitor, data)
        other.join()
        data.close()
        visitor.close()

    def close(self):
        for listener in (self.clients, self.visitors):
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        if self.control:
            self.control.close()


class Relay:
    name = "relay-client, rathole"

    def __init__(self, place):
        self.server = FastServer()
        self.port = self.server.visitor_port
        run = os.path.join(place.folder, f"relay-{time.monotonic_ns()}")
        env = {"PATH": os.environ["PATH"], "RELAY_RUN": run, "DEVICE_ID": SERVICE, "TUNNEL_PROVIDER": "rathole",
               "TUNNEL_SERVER": f"127.0.0.1:{self.server.port}", "TUNNEL_TOKEN": TOKEN,
               "RELAY_TARGET": f"127.0.0.1:{place.target}"}
        words = [f"{key}={value}" for key, value in env.items()]
        self.ends = [place.start_box("relay-client", ["env", "-i", *words, program("relay-client")])]
        wait_until(lambda: self.server.pool.qsize() == POOL, "the pool is full", self.death)

    def death(self):
        return next((d.death() for d in self.ends if d.death()), None)

    def close(self):
        for daemon in self.ends:
            daemon.stop()
        self.server.close()


class Socat:
    """No tunnel: a process for each visitor, on the visitors' side of it, which has to reach the box."""
    name = "socat"

    def __init__(self, place):
        self.port = free_port()
        self.ends = [place.start_box("socat", [shutil.which("socat"), "-b", "65536",
                                               f"TCP-LISTEN:{self.port},bind=127.0.0.1,fork,reuseaddr,nodelay",
                                               f"TCP:127.0.0.1:{place.target},nodelay"])]

    death = Relay.death

    def close(self):
        for daemon in self.ends:
            daemon.stop()


def memory_kib(pid):
    """Proportional, of the process and its children."""
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    total = 0
    for each in [pid, *children]:
        with contextlib.suppress(OSError), open(f"/proc/{each}/smaps_rollup", encoding="ascii") as f:
            total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return total


def measure(place, way):
    found = on_loopback(place, way)
    visitors = [socket.create_connection(("127.0.0.1", way.port)) for _ in range(20)]
    for visitor in visitors:
        visitor.settimeout(PATIENCE_SECONDS)
        visitor.recv(1)  # the server's greeting has come through
    found["memory"] = memory_kib(way.ends[-1].process.pid) / 1024
    for visitor in visitors:
        visitor.close()
    return found


def run(suite, folder, quick=False):
    peers = [SshR] + ([Socat] if shutil.which("socat") and not quick else [])
    found = {kind: [] for kind in [Relay, *peers]}
    if not shutil.which("socat"):
        suite.note("socat is not installed: installer/deps.sh bench")
    with Place(folder, False) as place:
        for _ in range(suite.runs):
            for kind, results in found.items():
                with up(kind, place) as way:
                    results.append(measure(place, way))
    for key, metric, unit in (("to", "bulk on loopback, visitor to box", "Mbit/s"),
                              ("from", "bulk on loopback, box to visitor", "Mbit/s"),
                              ("added", "added round trip on loopback, 64 B", "µs"),
                              ("memory", "memory of the box's end with 20 visitors, proportional", "MiB")):
        for peer in peers:
            suite.row(metric, unit, peer.name, [r[key] for r in found[Relay]], [r[key] for r in found[peer]])
    suite.note("relay-client over plain TCP, its server a stand-in of this suite that copies inside the kernel; ssh -R encrypts; "
               "socat is no tunnel but one process for each visitor; everything shares this machine's cores")

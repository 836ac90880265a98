# SPDX-License-Identifier: MIT
"""A relay-client in a folder of its own, what it leads visitors to, and visitors."""
import contextlib
import json
import os
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading

from .util import PATIENCE_SECONDS, connect_unix, program, read_text, wait_until

TOKEN = "rathole-token-1"


class Target:
    """Takes connections: those that say "echo" first get back all that they send, to its end; those that say "hold" are read by
    nobody; those that say "pour N" get N bytes."""

    def __init__(self, port=0, host="127.0.0.1"):
        target = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                target.serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 512

        self.served = 0
        self.release = threading.Event()
        self._server = Server((host, port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def serve(self, sock):
        self.served += 1
        line = b""
        while not line.endswith(b"\n"):
            byte = sock.recv(1)
            if not byte:
                return
            line += byte
        word, *rest = line.split()
        if word == b"hold":
            self.release.wait()
        elif word == b"pour":
            left, piece = int(rest[0]), bytes(65536)
            while left > 0:
                sock.sendall(piece[:min(left, len(piece))])
                left -= len(piece)
        else:
            while data := sock.recv(65536):
                sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _say(s, payload, and_no_more):
    with contextlib.suppress(OSError):  # who reads will notice
        s.sendall(b"echo\n" + payload)
        if and_no_more:
            s.shutdown(socket.SHUT_WR)


def visit(port, payload, seconds=PATIENCE_SECONDS):
    """One visitor who says all of it, then nothing more, and reads to the end: what came back."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as s:
        sender = threading.Thread(target=_say, args=(s, payload, True), daemon=True)
        sender.start()
        parts = []
        while data := s.recv(65536):
            parts.append(data)
        sender.join()
        return b"".join(parts)


def visit_for(port, payload):
    """One who stays until as much has come back: what did."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as s:
        sender = threading.Thread(target=_say, args=(s, payload, False), daemon=True)
        sender.start()
        got = b""
        while len(got) < len(payload) and (data := s.recv(65536)):
            got += data
        sender.join()
        return got


class RelayBox:
    def __init__(self, **env):
        self.folder = tempfile.mkdtemp(prefix="relay-")
        self.run_dir = os.path.join(self.folder, "run")
        self.log = os.path.join(self.folder, "log")
        self.env_file = os.path.join(self.folder, "secbox.env")
        self.env = {"PATH": os.environ["PATH"], "RELAY_RUN": self.run_dir, "DEVICE_ID": "box", "ENV_FILE": self.env_file, **env}
        self.process = None
        self.write()

    def write(self, **keys):
        with open(self.env_file, "w", encoding="utf-8") as f:
            f.writelines(f"{key}={value}\n" for key, value in keys.items())

    def run(self, *arguments):
        return subprocess.run([program("relay-client"), *arguments], env=self.env, text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, check=False)

    def start(self, *arguments):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [program("relay-client"), *arguments], env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop(self):
        self.process.terminate()
        return self.process.wait()

    def restart(self):
        assert self.stop() == 0, read_text(self.log)
        self.start()

    def state(self):
        text = read_text(os.path.join(self.run_dir, "state.json"))
        return json.loads(text) if text else {}

    def is_in(self, state, error=None):
        """The state that it says it is in; error: the id of the reason, "" that there is none."""
        now = self.state()
        return now.get("state") == state and error in (None, now.get("errorId", ""))

    def until(self, state, error=None):
        wait_until(lambda: self.is_in(state, error), f"the relay is {state} {error or ''}", self.death)
        return self.state()

    def death(self):
        return None if self.process.poll() is None else f"relay-client ended: {read_text(self.log)}"

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self):
        """Resident, in bytes."""
        return int(read_text(f"/proc/{self.process.pid}/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def metrics(self):
        with connect_unix(os.path.join(self.run_dir, "metrics.sock"), self.death) as s:
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: relay\r\n\r\n")
            answer = b""
            while data := s.recv(65536):
                answer += data
        return answer.decode()

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

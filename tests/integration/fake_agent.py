# SPDX-License-Identifier: MIT
"""Imitates mgmt-agent's side of the local socket (docs/wire-format.md, "The local socket"): a UNIX stream socket with one
JSON object per line, each request answered by what a test has put into `answers`. It checks nothing and changes nothing;
what the real agent does is for the system tests."""
import contextlib
import json
import os
import socket
import threading

STATUS = {
    "agent": {"version": "0.1.0", "pid": 4242, "startedAt": "2026-01-02T03:00:00.000Z"},
    "deviceId": "caseta5",
    "podmanUser": "tc",
    "podman": {"version": "4.3.1"},
    "podmanCompose": {"version": "1.0.3", "strategy": "classic"},
    "link": {"connected": True, "since": "2026-01-02T03:00:01.000Z", "gateway": "wss://cloud.example/mgmt", "error": None,
             "tokenExpiresAt": "2026-01-03T03:00:00.000Z"},
    "current": {"version": "42", "sha256": "ab" * 32, "at": "2026-01-02T03:04:05.000Z"},
    "pending": None,
    "last": {"version": "42", "status": 200, "phase": "done", "outcome": "done", "seconds": 12.5,
             "at": "2026-01-02T03:04:05.000Z"},
    "services": [{"name": "secbox", "container": "secbox", "id": "5f2c", "image": "registry.example/secbox:1",
                  "state": "running", "health": "healthy", "restarts": 0}],
    "watched": [{"name": "secbox", "state": "running", "since": "2026-01-02T03:04:05.000Z"}],
    "env": {"ok": True},
    "health": {"disks": {"/": {"type": "ext4", "totalMiB": 29000, "freeMiB": 2100, "usedPercent": 92.5, "readOnly": False}},
               "memory": {"totalMiB": 7850, "availableMiB": 512, "swapTotalMiB": 1023, "swapFreeMiB": 1000},
               "load": {"1": 0.4, "5": 0.3, "15": 0.2}, "cpu": {"count": 4, "percent": 12.5},
               "pressure": {"cpuSome10": 1.6, "memorySome10": 0, "ioSome10": 0.2}, "clock": {"synchronised": True},
               "temperatures": {"thermal_zone0 x86_pkg_temp": 48}, "updatesPending": 1,
               "podmanStore": {"imagesMiB": 1200, "writableMiB": 12, "volumesMiB": 340},
               "smart": {"sda": {"passed": True, "celsius": 34, "usedPercent": 4}},
               "faults": {"disk.full:/": "/ is 92 % full"}},
}


def progress(seq, phase, state, second, **more):
    return {"type": "compose.progress", "version": "7", "phase": phase, "state": state, "seq": seq,
            "at": f"2026-01-02T03:04:{second:02}.000Z", **more}


def result(status=200, outcome="done", phase="done", **more):
    return {"type": "compose.result", "version": "7", "status": status, "phase": phase, "outcome": outcome, "seconds": 3.5,
            "at": "2026-01-02T03:04:30.000Z", **more}


class FakeAgent:
    """`answers` maps a request's type to a list of messages, or to a function of the request that makes one. A message
    without an `id` gets the request's. A str is sent as it is, None closes the connection."""

    def __init__(self, root, path="run/tucomunidad/mgmt-agent.sock"):
        self.path = os.path.join(root, path)
        self.requests = []
        self.answers = {"status.get": [{"type": "status.report", "status": STATUS}]}
        self.closing = False
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(8)
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closing = True
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wake:
            wake.connect(self.path)
        self.thread.join()
        self.listener.close()

    def _serve(self):
        while True:
            connection, _ = self.listener.accept()
            with connection:
                if self.closing:
                    return
                with contextlib.suppress(OSError):
                    self._talk(connection)

    def _talk(self, connection):
        for line in connection.makefile("rb"):
            request = json.loads(line)
            self.requests.append(request)
            answers = self.answers.get(request["type"], [])
            for answer in answers(request) if callable(answers) else answers:
                if answer is None:
                    return
                if isinstance(answer, dict):
                    answer = json.dumps({"id": request["id"], **answer}) + "\n"
                connection.sendall(answer.encode())

    def request(self, kind):
        """The only request of that type."""
        found = [r for r in self.requests if r["type"] == kind]
        assert len(found) == 1, self.requests
        return found[0]

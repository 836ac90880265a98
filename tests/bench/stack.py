# SPDX-License-Identifier: MIT
"""The same compose project twice: on a box of ours, and with bare podman-compose beside it."""
import http.client
import json
import os
import re
import time
import uuid

from tests.lab.box import Box
from tests.lab.project import Project
from tests.lab.util import Daemon, connect_unix, listens, wait_until

IMAGE = "localhost/server:1"
SETTLE_SECONDS = 1
DEVICE = "caseta5"


def compose(names, serial=0, changed=None):
    """A compose file; `changed` is the service whose environment carries the serial number."""
    text = "services:\n"
    for name in names:
        number = serial if name == changed else 0
        text += f"  {name}:\n    image: {IMAGE}\n    restart: always\n    environment:\n      SERIAL: \"{number}\"\n"
    return text


def services(n):
    return [f"s{i:02}" for i in range(1, n + 1)]


def last_pid():
    """The process number given out last in this PID namespace: every new process or thread in it moves it on."""
    with open("/proc/loadavg", encoding="ascii") as f:
        return int(f.read().split()[4])


class SecBoxStack:
    """A box whose agent hears snapshots the way mgmt-link hands them over."""

    def __init__(self, lab, folder, engine=None):
        self.box = Box(lab, folder, agent_args=["--settle", str(SETTLE_SECONDS)])
        self.box.set_engine(engine)
        self.socket = None
        self.version = 0

    def __enter__(self):
        self.box.start_agent()
        self.socket = connect_unix(self.box.path("run/tucomunidad/mgmt-agent.sock"), self.box.agent.death)
        self.lines = self.socket.makefile("r", encoding="utf-8")
        self._send({"type": "link.hello", "program": "mgmt-link", "version": "bench"})
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()
        self.box.close()

    def _send(self, message):
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def push(self, text):
        """Seconds from sending the snapshot to its compose.result, and the result."""
        self.version += 1
        message = {"type": "compose.snapshot", "id": str(uuid.uuid4()), "version": str(self.version), "deviceId": DEVICE,
                   "compose": text, "issuedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        begin = time.monotonic()
        self._send(message)
        for line in self.lines:
            seconds = time.monotonic() - begin
            answer = json.loads(line)
            if answer["type"] == "compose.result" and answer["id"] == message["id"]:
                break
        else:
            raise AssertionError(f"mgmt-agent went away:\n{self.box.log()[-4000:]}")
        if answer["status"] != 200:
            raise AssertionError(f"the push failed: {answer}\n{self.box.log()[-4000:]}")
        return seconds, answer

    def push_unchanged(self, text):
        """Milliseconds of a push that changes nothing, and how many processes came into being meanwhile."""
        before = last_pid()
        seconds, answer = self.push(text)
        started = last_pid() - before
        assert answer["noop"] is True, answer
        return seconds * 1000, started

    def push_changed(self, text, changed):
        """Seconds of a push that replaces exactly this service."""
        before = self.box.ids()
        seconds, _ = self.push(text)
        after = self.box.ids()
        assert {s for s in after if after[s] != before.get(s)} == {changed}, (before, after)
        return seconds

    def clear(self):
        self.box.lab.podman("rm", "-fa", "-t", "0", "--filter", "label=io.tucomunidad.service", check=False)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("podman")
        self.path = path

    def connect(self):
        self.sock = connect_unix(self.path)


class RestPeer:
    """Bare calls of podman's REST API, one after the other on one connection, to a podman that serves. It proves nothing."""

    name = "bare REST calls"

    def __init__(self, lab, folder):
        os.makedirs(folder, exist_ok=True)
        self.lab = lab
        self.path = os.path.join(folder, "rest.sock")
        self.service = Daemon("podman", ["podman", "system", "service", "--time=0", f"unix://{self.path}"],
                              os.path.join(folder, "rest.log"), lab.env)
        wait_until(lambda: listens(self.path), "podman serves its API", self.service.death)
        self.connection = UnixConnection(self.path)

    def call(self, method, path, body=None):
        self.connection.request(method, f"/v4.0.0/libpod{path}", json.dumps(body) if body is not None else None,
                                {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status < 300, (path, answer.status, text)
        return json.loads(text) if text else None

    def make(self, name, serial="0"):
        made = self.call("POST", "/containers/create", {"name": f"rest_{name}_1", "image": IMAGE, "env": {"SERIAL": serial},
                                                        "restart_policy": "always", "netns": {"nsmode": "bridge"},
                                                        "Networks": {"rest_default": {"aliases": [name]}},
                                                        "labels": {"rest": "1"}})
        self.call("POST", f"/containers/{made['Id']}/start")

    def up(self, names):
        """Seconds until all of them are started; the network is made first."""
        begin = time.monotonic()
        self.call("POST", "/networks/create", {"name": "rest_default", "driver": "bridge", "dns_enabled": True})
        for name in names:
            self.make(name)
        return time.monotonic() - begin

    def replace(self, name, serial):
        begin = time.monotonic()
        self.call("DELETE", f"/containers/rest_{name}_1?force=true&timeout=10")
        self.make(name, str(serial))
        return time.monotonic() - begin

    def clear(self):
        self.lab.podman("rm", "-fa", "-t", "0", "--filter", "label=rest", check=False)
        self.lab.podman("network", "rm", "-f", "rest_default", check=False)

    def close(self):
        self.connection.close()
        self.service.stop()


class Peer:
    """podman-compose as installed, told by hand."""

    def __init__(self, lab, folder):
        self.project = Project(lab, os.path.join(folder, "peer"))
        self.lab = lab
        self.name = f"podman-compose {lab.compose_version}"

    def up(self, text, *args):
        """Seconds of podman-compose up -d; every service runs afterwards."""
        self.project.file(text)
        before = last_pid()
        begin = time.monotonic()
        said = self.project.up(*args)
        seconds = time.monotonic() - begin
        self.started = last_pid() - before
        wanted = set(re.findall(r"^  (\w+):$", text, re.M))
        running = {s for s in wanted if self.project.state(s) == "running"}
        assert running == wanted, said
        return seconds

    def replace(self, text, service, serial):
        """Seconds to replace one service by hand: stop, remove, and podman-compose up with a file of this service alone."""
        container = f"peer_{service}_1"
        self.project.file(text)
        begin = time.monotonic()
        self.lab.podman("stop", container)
        self.lab.podman("rm", container)
        self.project.up()
        seconds = time.monotonic() - begin
        self.check(service, serial)
        return seconds

    def check(self, service, serial):
        assert self.project.state(service) == "running"
        assert self.project.environment(service)["SERIAL"] == str(serial)

    def clear(self):
        self.lab.podman("rm", "-fa", "-t", "0", "--filter", "label=io.podman.compose.project=peer", check=False)

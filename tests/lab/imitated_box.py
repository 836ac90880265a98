# SPDX-License-Identifier: MIT
"""A box of real mgmt-agent, mgmt-worker and secboxctl with an imitated podman (fake_podman.py), and a cloud that a test plays
through mgmt-link's place at the agent's socket. A push takes a second, so there can be hundreds."""
import json
import os
import select
import socket
import time
import types
import uuid

from .box import Box
from .fake_podman import image_id
from .util import PATIENCE_SECONDS, Daemon, LabError, program, read_text, wait_until

STATE = "var/lib/tucomunidad/mgmt-agent"
SERVICES = ("a", "b")
PACE = 60


def compose(tag):
    """Two services, so that half of a change can be told from all of it."""
    return "services:\n" + "".join(f"  {name}:\n    image: registry.example/server:{tag}\n    restart: always\n"
                                   for name in SERVICES)


def wanted_image(tag):
    return image_id(f"registry.example/server:{tag}")


class ImitatedBox(Box):
    """env: what its agent's process gets besides."""

    def __init__(self, podman, folder, env=None):
        lab = types.SimpleNamespace(user="root", env=dict(os.environ))
        self.compose_program = podman.compose
        super().__init__(lab, folder, process_env=env, agent_args=[
            "--podman-compose", podman.compose, "--settle", "0", "--watch-pace", str(PACE)])
        self.set_engine("podman-compose")
        self.podman = podman.box(self.root)

    def start_guard(self, name="guard"):
        """As mgmt-change-guard.service runs it, and faster."""
        request = self.write("run/tucomunidad/request", "{}")
        with open(request, encoding="utf-8") as stdin:
            return Daemon("the guard", [program("mgmt-worker"), "--root", self.root, "--podman-compose", self.compose_program,
                                        "--settle", "0", "--guard-pace", str(PACE), "guard"],
                          os.path.join(self.logs, f"{name}.log"), self.env, stdin=stdin)

    def state(self, name):
        """A file that the agent keeps; None when there is none."""
        text = read_text(self.path(f"{STATE}/{name}"))
        return json.loads(text) if text else None

    def journal(self):
        return self.state("journal.json") or {"state": "idle"}

    def let_deadline_pass(self):
        """As if the time were over; while mgmt-agent is dead or stopped, or it might not be the guard that acts."""
        now = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1e6)
        deadline = self.journal()["deadlineUsec"]
        path = self.path(f"{STATE}/journal.json")
        with open(path + ".lab", "w", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
            json.dump({**self.journal(), "deadlineUsec": type(deadline)(now)}, f)
        os.rename(path + ".lab", path)

    def is_marked(self):
        return os.path.exists(self.path(f"{STATE}/change-pending"))

    def wait_journal(self, state):
        return wait_until(lambda: self.journal()["state"] == state, f"the journal says {state}", self.agent.death)

    def running_images(self):
        """{service: image} of what runs; everything that there is has to run."""
        containers = list(self.podman.containers.values())
        stopped = [c["Name"] for c in containers if c["State"]["Status"] != "running"]
        if stopped:
            raise AssertionError(f"{stopped} are there and do not run")
        return {c["Config"]["Labels"]["io.tucomunidad.service"]: c["Image"] for c in containers}

    def container_ids(self):
        return set(self.podman.containers)


class PlayedCloud:
    """What a gateway does about one push at a time: cycles, confirms (if `confirms`) on the new connection, acknowledges."""

    def __init__(self, box):
        self.box = box
        self.confirms = True
        self.connections = 0
        self.socket = None
        self.unread = b""
        self.results = {}  # by id, those that came
        self.order = None
        self.version = 0

    def connect(self):
        self.close()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(self.box.path("run/tucomunidad/mgmt-agent.sock"))
        self.send({"type": "link.hello", "program": "lab", "version": "1"})
        self.come_up()

    def come_up(self):
        self.connections += 1
        self.send({"type": "link.status", "connected": True, "since": f"2026-01-02T03:04:05.{self.connections % 1000:03}Z"})

    def send(self, message):
        try:
            self.socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            pass  # it is gone: the next read says so

    def lines(self, seconds):
        """Messages that come within that time; None at the end when the agent has gone away."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return
        try:
            data = self.socket.recv(1 << 16)
        except OSError:
            data = b""
        self.unread += data
        *whole, self.unread = self.unread.split(b"\n")
        yield from map(json.loads, whole)
        if not data:
            yield None

    def begin(self, text, seconds=600, **members):
        """Sends a push; returns its id."""
        return self._begin("compose.snapshot", seconds, compose=text, **members)

    def begin_update(self, image, digest, seconds=600, **members):
        """Of the services that run the image by that name."""
        return self._begin("image.update", seconds, image=image, digest=digest, **members)

    def begin_agent_update(self, version, seconds=600):
        """Of the packages of mgmt-agent and recovery-agent."""
        return self._begin("agent.update", seconds, to=version)

    def _begin(self, kind, seconds, **members):
        self.version += 1
        self.order = {"id": str(uuid.uuid4()), "version": str(self.version), "nonce": uuid.uuid4().hex}
        self.send({"type": kind, "deviceId": self.box.agent_env["DEVICE_ID"],
                   "issuedAt": "2026-01-02T03:04:05.678Z", "confirmDeadlineSeconds": seconds, **self.order, **members})
        return self.order["id"]

    def take(self, message):
        pending = message.get("pending") or {}
        if message["type"] == "link.cycle":
            self.come_up()
        elif message["type"] == "agent.status" and pending.get("phase") == "confirm" and self.confirms:
            self.send({"type": "compose.confirm", "id": pending["id"], "version": pending["version"], "nonce": pending["nonce"]})
        elif message["type"] == "compose.result":
            self.results[message["id"]] = message
            self.send({"type": "compose.result.ack", "id": message["id"]})

    def play(self, until):
        """Plays its part until the fact; False when the agent has gone away before."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not until():
            for message in self.lines(0.1):
                if message is None:
                    return False
                self.take(message)
            if time.monotonic() > deadline:
                raise LabError(f"the push does not end: {self.box.journal()}\n{self.box.log()[-3000:]}")
        return True

    def result(self, text, **more):
        """Pushes, and waits for the result."""
        wanted = self.begin(text, **more)
        if not self.play(lambda: wanted in self.results):
            raise LabError(f"mgmt-agent ended: {self.box.log()[-3000:]}")
        return self.results[wanted]

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None
        self.unread = b""

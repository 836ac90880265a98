# SPDX-License-Identifier: MIT
"""mgmt-agent's local socket as its clients see it: one JSON message a line."""
import json
import uuid

from .util import PATIENCE_SECONDS, connect_unix


class AgentSocket:
    """A local client; with link=True one that speaks as mgmt-link, whose messages count as the cloud's."""

    def __init__(self, box, link=False):
        self.device = box.agent_env["DEVICE_ID"]
        self.socket = connect_unix(box.path("run/tucomunidad/mgmt-agent.sock"))
        self.socket.settimeout(PATIENCE_SECONDS)
        self.lines = self.socket.makefile("rb")
        if link:
            self.send({"type": "link.hello", "program": "lab", "version": "1"})

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send(self, message):
        self.send_bytes(json.dumps(message).encode() + b"\n")

    def connected(self, since):
        """As mgmt-link says that its tunnel is up, on a connection that is known by when it was opened."""
        self.send({"type": "link.status", "connected": True, "since": since})

    def next(self, *kinds):
        """The next message of one of these types; None when the agent has closed the connection."""
        while True:
            try:
                line = self.lines.readline()
            except ConnectionError:
                return None
            if not line:
                return None
            message = json.loads(line)
            if not kinds or message["type"] in kinds:
                return message

    def snapshot(self, compose, version="1", **changed):
        """A compose.snapshot as a gateway would send it; members that are None are left out."""
        message = {"type": "compose.snapshot", "id": str(uuid.uuid4()), "version": version, "deviceId": self.device,
                   "compose": compose, "issuedAt": "2026-01-02T03:04:05.678Z", **changed}
        return {k: v for k, v in message.items() if v is not None}

    def push(self, compose, version="1", **changed):
        """Sends a snapshot and returns what ends it: its result, or the error that refuses the message."""
        self.send(self.snapshot(compose, version, **changed))
        return self.next("compose.result", "error")

    def close(self):
        self.lines.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

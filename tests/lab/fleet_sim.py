# SPDX-License-Identifier: MIT
"""Many boxes in one process: real tunnels, real claims, and behind them nothing but a notebook. They speak the protocol as an
agent does (progress, a new connection for the confirmation, results until they are acknowledged, no id done twice); what a new
image or file does to a box is the test's to say."""
import asyncio
import collections
import json
import random
import threading

import websockets

from .device import DeviceKey
from .util import wait_until

PATIENCE_SECONDS = 120
AT = "2026-01-02T03:04:05.678Z"

# what comes of a change: (outcome, status, error)
DONE = ("done", 200, None)
ROLLED_BACK = ("rolled-back", 500, {"id": "prove.died", "message": "web ended with 1 within 10 s: out of cheese"})
NOT_HERE = ("failed", 404, {"id": "update.not-here", "message": "no service of this box runs the image"})
BUSY = ("failed", 409, {"id": "agent.busy", "message": "another deployment is under way"})
LOCKED = ("failed", 423, {"id": "update.locked", "message": "updates are held by the night shift"})
NOT_NOW = ("failed", 503, {"id": "update.not-now", "message": "service web asks not to be updated now"})
HOLD = ("hold", 0, None)


class SimBox:
    def __init__(self, fleet, name, labels):
        self.fleet, self.id, self.labels = fleet, name, labels
        self.key = DeviceKey()
        self.token = None
        self.accepts = ["image.update"]
        self.halted = []                       # what the gateway said of halted rollouts, in order
        self.outcome = lambda message: DONE
        self.received = collections.Counter()  # message id → how often
        self.changes = []                      # what was done to the box, in order: (id, kind, what)
        self.lost = []
        self.confirmed = []
        self.pending = None
        self.last = None
        self.unacknowledged = None
        self.held = None
        self.deaf = False                      # loses what changes it, as if the connection had broken before
        self.socket = None
        self.online = asyncio.Event()
        self.task = None

    def status(self):
        message = {"type": "agent.status", "deviceId": self.id, "state": "idle", "accepts": self.accepts}
        if self.pending:
            message["pending"] = self.pending
        if self.last:
            message["last"] = {k: v for k, v in self.last.items() if k != "type"}
        return message

    async def live(self):
        while not self.fleet.closing:
            await self.online.wait()
            try:
                await self._connection()
            except (OSError, websockets.WebSocketException, asyncio.TimeoutError):
                pass
            self.socket = None
            await asyncio.sleep(random.uniform(0.02, 0.2))

    async def _connection(self):
        url = self.fleet.url.replace("http", "ws", 1) + "/mgmt"
        async with websockets.connect(url, extra_headers={"Authorization": f"Bearer {self.token}"}, compression=None,
                                      subprotocols=["secbox.v1"], open_timeout=PATIENCE_SECONDS, ping_interval=None) as socket:
            await socket.send(json.dumps({"type": "hello", "deviceId": self.id, "role": "mgmt", "program": "simulator",
                                          "version": "1", "bootId": "b", "protocol": 1}))
            await socket.recv()
            if not self.online.is_set():
                return  # disconnected meanwhile
            self.socket = socket
            await socket.send(json.dumps(self.status()))
            if self.unacknowledged:
                await socket.send(json.dumps(self.unacknowledged))
            async for text in socket:
                await self._message(json.loads(text))

    async def _send(self, message):
        try:
            await self.socket.send(json.dumps(message))
        except (AttributeError, websockets.ConnectionClosed):
            pass  # said again in the next status

    async def _message(self, message):
        kind = message["type"]
        changes = ("image.update", "compose.snapshot", "agent.update")
        if kind in changes and self.deaf:
            self.lost.append(message["id"])
        elif kind in changes:
            self.received[message["id"]] += 1
            await self._change(message)
        elif kind == "compose.confirm" and self.pending and message["nonce"] == self.pending["nonce"]:
            self.confirmed.append(message["id"])
            await self._end(self.pending, *DONE)
        elif kind == "compose.result.ack" and self.unacknowledged and message["id"] == self.unacknowledged["id"]:
            self.unacknowledged = None
        elif kind == "updates.halted":
            self.halted.append(message["digests"])
        elif kind == "goaway":
            await self.socket.close()

    async def _change(self, message):
        if self.last and message["id"] == self.last["id"]:
            await self._send(self.last)
            return
        if self.pending:
            if self.pending["id"] != message["id"]:
                await self._refuse(message, *BUSY)
            return
        outcome, status, error = self.outcome(message)
        if outcome == "failed":
            await self._refuse(message, outcome, status, error)
            return
        self.changes.append((message["id"], message["type"], message.get("digest") or message.get("compose") or message.get("to")))
        self.pending = {"id": message["id"], "version": message["version"], "phase": "apply", "nonce": message["nonce"]}
        await self._progress(0, "apply")
        if outcome == "hold":
            self.held = message
        elif outcome == "done":
            await self._prove()
        else:
            await self._end(self.pending, outcome, status, error)

    async def _progress(self, seq, phase):
        await self._send({"type": "compose.progress", "id": self.pending["id"], "version": self.pending["version"],
                          "phase": phase, "state": "started", "at": AT, "seq": seq})

    async def _prove(self):
        """All is well here; now the cloud has to say so, on a new connection."""
        self.pending["phase"] = "confirm"
        await self._progress(1, "confirm")
        if self.socket:  # else the next connection is a new one anyway
            await self.socket.close()

    def _result(self, change, outcome, status, error):
        result = {"type": "compose.result", "id": change["id"], "version": change["version"], "status": status,
                  "phase": outcome, "outcome": outcome, "seconds": 0.1, "at": AT}
        return {**result, "error": error} if error else result

    async def _refuse(self, message, outcome, status, error):
        await self._send(self._result(message, outcome, status, error))

    async def _end(self, change, outcome, status, error):
        self.last = self.unacknowledged = self._result(change, outcome, status, error)
        self.pending = None
        await self._send(self.last)


class SimFleet:
    """Boxes on a loop of its own, on a thread of its own. The methods below may be called from any thread."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.url = gateway.url
        self.boxes = {}
        self.closing = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_SECONDS)

    def add(self, names, labels=None, online=True):
        """Boxes that have claimed their role, and are connected unless told otherwise."""
        async def make(name):
            return SimBox(self, name, labels or {})

        added = []
        for name in names:
            box = self._call(make(name))
            answer = self.gateway.request("POST", "/v1/devices", {"id": name, "labels": box.labels})
            assert answer.status == 201, answer
            body = {"deviceId": name, "role": "mgmt", "bootstrap": answer.json["bootstrap"],
                    "proof": box.key.proof(self.url + "/api/device/claim")}
            answer = self.gateway.request("POST", "/api/device/claim", body)
            assert answer.status == 201, answer
            box.token = answer.json["token"]
            self.boxes[name] = box
            added.append(box)
        self._call(self._begin(added, online))
        if online:
            wait_until(lambda: self.known().issuperset(box.id for box in added), "the boxes are connected")
        return added

    def known(self):
        """Ids of those that the gateway knows to be connected."""
        return {d["id"] for d in self.gateway.request("GET", "/v1/devices").json["devices"] if d["connected"]}

    async def _begin(self, boxes, online):
        for box in boxes:
            box.task = asyncio.ensure_future(box.live())
            if online:
                box.online.set()

    def connect(self, box):
        self._call(self._connect(box))

    async def _connect(self, box):
        box.online.set()

    def disconnect(self, box):
        self._call(self._disconnect(box))

    async def _disconnect(self, box):
        box.online.clear()
        if box.socket:
            await box.socket.close()

    def release(self, box, outcome=DONE):
        """Goes on with a change that was held."""
        self._call(self._release(box, outcome))

    async def _release(self, box, outcome):
        box.held = None
        if outcome is DONE:
            await box._prove()  # pylint: disable=protected-access
        else:
            await box._end(box.pending, *outcome)  # pylint: disable=protected-access

    async def _end(self):
        """A wait that ends just when it is cancelled takes no note of that: so once more."""
        self.closing = True
        left = {box.task for box in self.boxes.values() if box.task}
        while left:
            for task in left:
                task.cancel()
            done, left = await asyncio.wait(left, timeout=5)
            for task in done:
                if not task.cancelled() and task.exception():
                    raise task.exception()

    def close(self):
        try:
            self._call(self._end())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE_SECONDS)
            self._loop.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

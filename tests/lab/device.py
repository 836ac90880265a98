# SPDX-License-Identifier: MIT
"""A box that exists only as what it says: keys, tokens, proofs, and a tunnel, all made here without our own code."""
import asyncio
import base64
import dataclasses
import hashlib
import json
import queue
import struct
import threading
import time
import uuid

import websockets
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

PATIENCE_SECONDS = 120


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class DeviceKey:
    def __init__(self):
        self.private = ec.generate_private_key(ec.SECP256R1())
        point = self.private.public_key().public_numbers()
        self.jwk = {"crv": "P-256", "kty": "EC", "x": b64(point.x.to_bytes(32, "big")), "y": b64(point.y.to_bytes(32, "big"))}
        self.thumbprint = b64(hashlib.sha256(json.dumps(self.jwk, separators=(",", ":"), sort_keys=True).encode()).digest())

    def signature(self, text):
        r, s = decode_dss_signature(self.private.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def sign(self, header, claims):
        text = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
        return f"{text}.{self.signature(text)}"

    def proof(self, uri, token=None, method="POST", age=0, jti=None):
        claims = {"jti": jti or str(uuid.uuid4()), "htm": method, "htu": uri, "iat": int(time.time()) - age}
        if token:
            claims["ath"] = b64(hashlib.sha256(token.encode()).digest())
        return self.sign({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk}, claims)


@dataclasses.dataclass
class Frame:
    """A binary frame of docs/wire-format.md."""

    HEADER = struct.Struct(">BBHIQ")
    KINDS = ("open", "data", "credit", "half-close", "reset", "go-away", "resume")

    kind: str
    stream: int
    position: int
    payload: bytes

    @classmethod
    def parse(cls, data):
        kind, _, _, stream, position = cls.HEADER.unpack_from(data)
        return cls(cls.KINDS[kind - 1], stream, position, data[cls.HEADER.size:])


class Tunnel:
    """One WebSocket, on a thread of its own. Messages are dicts; None marks the end."""

    def __init__(self, url, token, hello=None, subprotocol="secbox.v1", tls=None):
        self.received = queue.Queue()
        self.frames = queue.Queue()
        self.code = self.reason = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._socket = None
        try:
            self._socket = self._call(self._open(url, token, subprotocol, tls))
        except BaseException:
            self._end()
            raise
        self._reader = asyncio.run_coroutine_threadsafe(self._read(), self._loop)
        if hello:
            self.send(hello)

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_SECONDS)

    async def _open(self, url, token, subprotocol, tls):
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return await websockets.connect(url, extra_headers=headers, compression=None, open_timeout=PATIENCE_SECONDS, ssl=tls,
                                        subprotocols=[subprotocol] if subprotocol else None)

    async def _read(self):
        try:
            async for text in self._socket:
                if isinstance(text, str):
                    self.received.put(json.loads(text))
                else:
                    self.frames.put(Frame.parse(text))
        except websockets.ConnectionClosed:
            pass
        self.code, self.reason = self._socket.close_code, self._socket.close_reason
        self.received.put(None)

    def send(self, message):
        self.send_text(json.dumps(message))

    def send_text(self, text):
        self._call(self._socket.send(text))

    def send_frame(self, kind, stream, position=0, payload=b""):
        if isinstance(payload, dict):
            payload = json.dumps(payload).encode()
        self._call(self._socket.send(Frame.HEADER.pack(Frame.KINDS.index(kind) + 1, 0, 0, stream, position) + payload))

    def next_frame(self, *kinds):
        """The next frame, or the next of these kinds."""
        while True:
            frame = self.frames.get(timeout=PATIENCE_SECONDS)
            if not kinds or frame.kind in kinds:
                return frame

    def next(self, kind=None):
        """The next message, or the next of this type; None when the connection has ended, however often it is asked."""
        while True:
            message = self.received.get(timeout=PATIENCE_SECONDS)
            if message is None:
                self.received.put(None)
            if message is None or kind is None or message["type"] == kind:
                return message

    def silent(self, seconds=0.5):
        """Everything that arrives within a moment; for what must not come."""
        found = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                found.append(self.received.get(timeout=max(0.01, end - time.monotonic())))
            except queue.Empty:
                break
        return found

    def _end(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()

    def close(self):
        if self._loop.is_closed():
            return
        self._call(self._socket.close())
        self._reader.result(PATIENCE_SECONDS)
        self._end()


class Device:
    """A box: `post(path, body, headers)` reaches its cloud and returns an answer with status and json."""

    def __init__(self, url, post, device, bootstrap, role="mgmt"):
        self.url, self.post, self.id, self.bootstrap, self.role = url, post, device, bootstrap, role
        self.key = DeviceKey()
        self.token = None
        self.tunnels = []
        self.welcome = None  # of the last connect()

    def claim(self, key=None, **changed):
        key = key or self.key
        body = {"deviceId": self.id, "role": self.role, "bootstrap": self.bootstrap,
                "proof": key.proof(self.url + "/api/device/claim"), **changed}
        answer = self.post("/api/device/claim", body, {})
        if answer.status in (200, 201) and key is self.key:
            self.token = answer.json["token"]
        return answer

    def refresh(self, token=None, proof=None, key=None, **more):
        token = token or self.token
        proof = proof or (key or self.key).proof(self.url + "/api/device/refresh-jwt", token, **more)
        return self.post("/api/device/refresh-jwt", None, {"Authorization": f"Bearer {token}", "DPoP": proof})

    def hello(self, **changed):
        return {"type": "hello", "deviceId": self.id, "role": self.role, "program": "simulator", "version": "1",
                "bootId": "b", "protocol": 1, "streams": True, **changed}

    def connect(self, status=None, **changed):
        """A tunnel after its welcome; agent.status is sent unless it is False."""
        tunnel = Tunnel(self.url.replace("http", "ws", 1) + "/" + self.role, self.token, self.hello(**changed))
        self.tunnels.append(tunnel)
        self.welcome = tunnel.next()
        assert self.welcome["type"] == "welcome" and self.welcome["deviceId"] == self.id
        if status is not False:
            tunnel.send(self.status(**(status or {})))
        return tunnel

    def challenged(self, nonce=None, by=None, **changed):
        """A token-less tunnel whose challenge is answered; the gateway's word on it is not read yet."""
        tunnel = Tunnel(self.url.replace("http", "ws", 1) + "/" + self.role, None)
        self.tunnels.append(tunnel)
        tunnel.challenge = tunnel.next("challenge")
        by = by or self.key
        proof = by.signature(f"secbox-recovery-v1\n{nonce or tunnel.challenge['nonce']}\n{self.id}\n")
        tunnel.send(self.hello(**{"key": by.jwk, "proof": proof, **changed}))
        return tunnel

    def vouch(self, tunnel, by=None, nonce=None, **keys):
        """keys.vouch for thumbprints by role (`device`, `recovery`), over the nonce of the tunnel's welcome; `tunnel` is the last
        that connect() made."""
        by = by or self.key
        text = "\n".join(["secbox-vouch-v1", nonce or self.welcome["nonce"], self.id, keys.get("device", "-"),
                          keys.get("recovery", "-"), ""])
        tunnel.send({"type": "keys.vouch", "deviceId": self.id, "key": by.jwk, "signature": by.signature(text), **keys})

    def status(self, **more):
        return {"type": "agent.status", "deviceId": self.id, "state": "idle", **more}

    def progress(self, snapshot, seq, phase, state="started"):
        return {"type": "compose.progress", "id": snapshot["id"], "version": snapshot["version"], "phase": phase,
                "state": state, "message": f"{phase} {state}", "at": "2026-01-02T03:04:05.678Z", "seq": seq}

    def result(self, snapshot, status=200, phase="done", outcome="done", **more):
        return {"type": "compose.result", "id": snapshot["id"], "version": snapshot["version"], "status": status,
                "phase": phase, "outcome": outcome, "seconds": 1.5, "at": "2026-01-02T03:04:05.678Z", **more}

    def close(self):
        for tunnel in self.tunnels:
            tunnel.close()

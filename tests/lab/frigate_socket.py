# SPDX-License-Identifier: MIT
"""The WebSocket of the stand-in for Frigate (/ws), and what Frigate says there about what it sees.

It imitates: each message is {"topic": …, "payload": …} without the prefix that topics have in MQTT, and the payload of
`events`, `reviews` and `tracked_object_update` is JSON in a text; the same goes to all who are connected, and nothing is kept
for those who are not; `tracked_object_update` comes after every attempt to recognise something, also one that has recognised
nobody, and once more with nothing but a camera when the last car has gone; recognised names are pairs of text and score in
messages, and texts in /api/events; much else comes by the same way. On port 8971 it wants the login. It takes orders from
whoever is connected: what it was sent is in `orders`, for tests to see that there were none.
It cannot: recognise anything itself. When Frigate says what, and how fast, is what a test makes of it."""
import base64
import hashlib
import json
import struct
import threading
import time

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def frame(opcode, data):
    """A server's, final and not masked."""
    if len(data) < 126:
        return bytes([0x80 | opcode, len(data)]) + data
    if len(data) < 65536:
        return bytes([0x80 | opcode, 126]) + struct.pack(">H", len(data)) + data
    return bytes([0x80 | opcode, 127]) + struct.pack(">Q", len(data)) + data


class Listener:
    """One connection."""

    def __init__(self, handler):
        self.handler, self.lock = handler, threading.Lock()

    def send(self, opcode, data):
        with self.lock:
            self.handler.wfile.write(frame(opcode, data))

    def read(self, n):
        data = self.handler.rfile.read(n)
        if len(data) < n:
            raise ConnectionResetError
        return data

    def next(self):
        """(opcode, data) of a client's frame, which is masked."""
        first, second = self.read(2)
        size = second & 0x7f
        if size >= 126:
            size = int.from_bytes(self.read(2 if size == 126 else 8), "big")
        mask, data = self.read(4), self.read(size)
        return first & 0x0f, bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))

    def run(self, orders):
        while True:
            opcode, data = self.next()
            if opcode == PING:
                self.send(PONG, data)
            elif opcode == CLOSE:
                self.send(CLOSE, data)
                return
            elif opcode != PONG:
                orders.append(data)


class FrigateTopics:
    """What the stand-in is beside its HTTP interface. Its `events` and `reviews` are what /api/events and /api/review tell."""

    def begin_topics(self):
        self.listeners, self.orders = [], []

    def listen(self, handler):
        """Makes a WebSocket of a request, and serves it to its end."""
        key = handler.headers.get("Sec-WebSocket-Key", "").encode()
        accept = base64.b64encode(hashlib.sha1(key + MAGIC).digest()).decode()
        handler.send_response(101)
        for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)):
            handler.send_header(name, value)
        handler.end_headers()
        handler.close_connection = True
        listener = Listener(handler)
        with self.lock:
            self.listeners.append(listener)
        try:
            listener.run(self.orders)
        finally:
            with self.lock:
                self.listeners.remove(listener)

    def say(self, topic, payload):
        """To all who listen; how many these are."""
        text = json.dumps({"topic": topic, "payload": payload}).encode()
        with self.lock:
            listeners = list(self.listeners)
        for listener in listeners:
            try:
                listener.send(TEXT, text)
            except OSError:
                pass
        return len(listeners)

    def object_of(self, event):
        """An event as messages have it."""
        data = event["data"]
        pair = lambda text, score: None if text is None else [text, score]  # pylint: disable=unnecessary-lambda-assignment
        return {"id": event["id"], "camera": event["camera"], "frame_time": time.time(), "snapshot_time": event["start_time"],
                "label": event["label"], "sub_label": pair(event["sub_label"], data.get("sub_label_score")), "top_score": 0.9,
                "false_positive": False, "start_time": event["start_time"], "end_time": event["end_time"], "score": 0.87,
                "box": [432, 496, 544, 854], "area": 40096, "region": [218, 440, 693, 915], "active": True, "stationary": False,
                "motionless_count": 0, "position_changes": 2, "current_zones": [], "entered_zones": [],
                "has_clip": event["has_clip"], "has_snapshot": event["has_snapshot"], "attributes": {},
                "recognized_license_plate": pair(data.get("recognized_license_plate"), data.get("recognized_license_plate_score"))}

    def say_event(self, event, kind="update"):
        after = self.object_of(event)
        return self.say("events", json.dumps({"type": kind, "before": {**after, "end_time": None}, "after": after}))

    def read_plate(self, event, plate, score=0.95, name=None):
        """Another attempt to read the plate of a car; what it comes to stays with the event."""
        event["data"].update(recognized_license_plate=plate, recognized_license_plate_score=score)
        return self.say("tracked_object_update", json.dumps(
            {"type": "lpr", "name": name, "plate": plate, "score": score, "id": event["id"], "camera": event["camera"],
             "timestamp": time.time(), "plate_box": [1, 2, 3, 4]}))

    def see_face(self, event, name, score=0.95, threshold=0.9):
        """The same of a face; a name stays with the event when it is above Frigate's threshold."""
        if name and score >= threshold:
            event["sub_label"] = name
            event["data"]["sub_label_score"] = score
        return self.say("tracked_object_update", json.dumps(
            {"type": "face", "id": event["id"], "name": name, "score": score, "camera": event["camera"], "timestamp": time.time()}))

    def end_event(self, event):
        """What was followed is gone, and so is what happened around it."""
        event["end_time"] = time.time()
        self.say_event(event, "end")
        for review in self.reviews:
            if review["id"] == event["id"]:
                review["end_time"] = event["end_time"]
                self.say("reviews", json.dumps({"type": "end", "before": {**review, "end_time": None}, "after": review}))

    def say_the_rest(self):
        """What else comes by this way, again and again."""
        self.say("stats", json.dumps(self.get_stats({})))
        self.say("camera_activity", json.dumps({name: {"motion": True, "objects": []} for name in self.cameras}))
        self.say("entrada/motion", "ON")
        self.say("entrada/car", 1)
        self.say("tracked_object_update", json.dumps({"type": "lpr", "name": None, "plate": None, "camera": "entrada"}))
        self.say("tracked_object_update", json.dumps({"type": "description", "id": "1700000000.1-a", "camera": "entrada",
                                                      "description": "a car"}))

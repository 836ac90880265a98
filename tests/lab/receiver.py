# SPDX-License-Identifier: MIT
"""A receiver of webhooks on HTTPS, which checks signatures without any of our code and answers as a test wants."""
import base64
import hashlib
import hmac
import http.server
import json
import threading
import time

from .http_server import HttpServer, Served
from .util import wait_until


def signature(secret, message_id, timestamp, body):
    """As the Standard Webhooks have it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()).decode()


class Message:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.id, self.timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        self.json = json.loads(body)
        self.at = time.time()

    def is_signed_by(self, secret):
        return self.headers["webhook-signature"] == signature(secret, self.id, self.timestamp, self.body) and \
            abs(self.at - int(self.timestamp)) < 3600


class Receiver(Served):
    """`answer` is called with each message and how often that id has come; it gives a status, or a status and headers, or
    bytes to send as they are, or None to hang up."""

    def __init__(self, context=None, host="127.0.0.1"):
        self.messages = []
        self.answer = lambda message, times: 200
        self.lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 600

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                message = Message(self.path, self.headers, body)
                with receiver.lock:
                    receiver.messages.append(message)
                    times = sum(m.id == message.id for m in receiver.messages)
                self.reply(receiver.answer(message, times))

            def do_GET(self):
                with receiver.lock:
                    receiver.messages.append(None)  # nobody asks for anything here
                self.reply(404)

            def reply(self, answer):
                if answer is None or isinstance(answer, bytes):
                    self.close_connection = True
                    self.wfile.write(answer or b"")
                    return
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HttpServer(Handler, context, host)
        self.port = self.server.server_address[1]
        self.url = f"{'https' if context else 'http'}://{host}:{self.port}/events?from=gates"

    def ids(self):
        with self.lock:
            return [m.id for m in self.messages]

    def wait_for(self, n):
        wait_until(lambda: len(self.messages) >= n, f"{n} messages have come")
        return list(self.messages)

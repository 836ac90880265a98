# SPDX-License-Identifier: MIT
"""A cloud in a thread: the claim over HTTP, and tunnels that a test talks through."""
import asyncio
import base64
import datetime
import http.server
import json
import queue
import threading
import time

import websockets

from tests.lab.util import PATIENCE_SECONDS


def _b64(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def make_token(device, life=86400):
    now = int(time.time())
    claims = {"iss": "gateway", "aud": "mgmt", "sub": device, "jti": str(time.time_ns()), "cnf": {"jkt": "x"},
              "iat": now, "nbf": now, "exp": now + life}
    return f'{_b64({"alg": "ES256", "typ": "device+jwt"})}.{_b64(claims)}.{"A" * 86}'


def timestamp(offset=0):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=offset)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


class Connection:
    """One tunnel, seen from the test."""

    def __init__(self, cloud, ws, hello, number):
        self.cloud, self.ws, self.hello, self.number = cloud, ws, hello, number
        self.received = queue.Queue()
        self.closed = threading.Event()

    def send(self, message):
        text = message if isinstance(message, str) else json.dumps(message)
        asyncio.run_coroutine_threadsafe(self.ws.send(text), self.cloud.loop).result()

    def next(self):
        return self.received.get(timeout=PATIENCE_SECONDS)

    def receive(self, kind):
        """The next message of this type; others are passed over."""
        while True:
            message = self.next()
            if message["type"] == kind:
                return message


class FakeCloud:
    """HTTP and WebSocket on a port each; the latter over TLS with a context for it. stop_tunnels() and start_tunnels() restart it
    on the same port."""

    def __init__(self, device="caseta5", tls=None):
        self.device = device
        self.tls = tls
        self.claims = []
        self.bundles = {}  # digest: what is sent as it
        self.fetched = []  # (digest, the range that was asked for, or None)
        self.claim_status = 201
        self.refuse_token = None  # upgrades with it are answered with 401
        self.last_token = None
        self.upgrades = []
        self.connections = queue.Queue()
        self.port = None
        self._count = 0
        self._server = None
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http_thread = threading.Thread(target=self._http.serve_forever, daemon=True)

    @property
    def cloud_url(self):
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def url(self, role):
        return f"ws{'s' if self.tls else ''}://127.0.0.1:{self.port}/{role}"

    def __enter__(self):
        self._thread.start()
        self._http_thread.start()
        self.start_tunnels()
        return self

    def __exit__(self, *_):
        self.stop_tunnels()
        self._http.shutdown()
        self._http.server_close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def start_tunnels(self):
        async def start():
            return await websockets.serve(self._tunnel, "127.0.0.1", self.port or 0, subprotocols=["secbox.v1"],
                                          process_request=self._upgrade, compression=None, ssl=self.tls)
        self._server = self._run(start())
        self.port = self._server.sockets[0].getsockname()[1]

    def stop_tunnels(self):
        async def stop(server):
            server.close()
            await server.wait_closed()
        if self._server:
            self._run(stop(self._server))
        self._server = None

    def next_connection(self):
        return self.connections.get(timeout=PATIENCE_SECONDS)

    async def _upgrade(self, path, headers):
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        self.upgrades.append((path, token))
        if path.endswith("/recovery") and not token:
            return None
        if not token or token == self.refuse_token:
            body = b'{"error":{"id":"auth.bad-token","message":"this token is not known"}}'
            return http.HTTPStatus.UNAUTHORIZED, [], body
        return None

    async def _tunnel(self, ws, path):
        if path.endswith("/recovery"):
            await ws.send(json.dumps({"type": "challenge", "nonce": "nonce-of-the-fake", "serverTime": timestamp()}))
        hello = json.loads(await ws.recv())
        self._count += 1
        connection = Connection(self, ws, hello, self._count)
        await ws.send(json.dumps({"type": "welcome", "deviceId": hello["deviceId"], "serverTime": timestamp(),
                                  "connection": str(self._count), "spreadSeconds": 1}))
        self.connections.put(connection)
        try:
            async for text in ws:
                connection.received.put(json.loads(text))
        except websockets.ConnectionClosed:
            pass
        finally:
            connection.closed.set()

    def _handler(cloud):  # pylint: disable=no-self-argument
        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

            def do_GET(self):
                digest, asked = self.path.rsplit("/", 1)[-1], self.headers.get("Range")
                data = cloud.bundles.get(digest)
                first = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
                cloud.fetched.append((digest, asked))
                status = 404 if data is None else 416 if first and first >= len(data) else 206 if first else 200
                data = data[first:] if status in (200, 206) else b""
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                cloud.claims.append((self.path, json.loads(body or b"{}")))
                cloud.last_token = make_token(cloud.device)
                answer = {"token": cloud.last_token, "expiresAt": timestamp(86400), "serverTime": timestamp()}
                if cloud.claim_status >= 400:
                    answer = {"error": {"id": "device.bootstrap-reused", "message": "another key has claimed"}}
                data = json.dumps(answer).encode()
                refreshed = self.path.endswith("/refresh-jwt") and cloud.claim_status < 400
                self.send_response(200 if refreshed else cloud.claim_status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
        return Handler

# SPDX-License-Identifier: MIT
"""What stands between a box and a real registry: it passes everything on, until a test lets it fail."""
import contextlib
import http.client
import http.server
import threading

from .http_server import HttpServer, Served


class RegistryProxy(Served):
    """`fault(handler)` is asked first; true means that it has answered. Only what pulling needs is passed on."""

    def __init__(self, lab, port, context=None):
        """port: of the registry behind. context: an ssl.SSLContext; plain HTTP, which the lab's podman is told about, without."""
        self.fault = None
        self.asked = []  # (method, path)
        self.release = threading.Event()  # set at the end: what stalls may go
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def say(self, status, headers=(), body=b"", length=None):
                """length: what is announced instead of the body's; then the connection is closed."""
                self.send_response_only(status)
                for key, value in headers:
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body) if length is None else length))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)
                    self.wfile.flush()
                self.close_connection = length is not None

            def fetch(self):
                """The registry's own answer: status, headers, body."""
                behind = http.client.HTTPConnection("127.0.0.1", port)
                behind.putrequest(self.command, self.path)
                for key, value in self.headers.items():  # podman says Accept several times
                    if key.lower() in ("accept", "range", "authorization"):
                        behind.putheader(key, value)
                behind.endheaders()
                answer = behind.getresponse()
                body = answer.read()
                headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in ("content-length", "connection")]
                length = answer.getheader("Content-Length")
                behind.close()
                return answer.status, headers, body, int(length) if self.command == "HEAD" and length else None

            def handle_any(self):
                outer.asked.append((self.command, self.path))
                if outer.fault and outer.fault(self):
                    return
                self.say(*self.fetch())

            do_GET = do_HEAD = handle_any

        self.server = HttpServer(Handler, context)
        self.server.front = self
        self.address = f"127.0.0.1:{self.server.server_port}"
        if not context:
            lab.trust_registry(self.address)

    @contextlib.contextmanager
    def failing(self, fault):
        """Until the end of the block."""
        self.asked.clear()
        self.fault = fault
        yield
        self.fault = None

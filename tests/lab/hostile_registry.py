# SPDX-License-Identifier: MIT
"""A registry that answers whatever a test wants, and remembers what it was asked."""
import http.server
import threading

from .http_server import HttpServer, Served


class HostileRegistry(Served):
    def __init__(self, context=None):
        """context: an ssl.SSLContext; None speaks plain HTTP."""
        self.rules = {}  # repository → function(handler)
        self.requests = []  # (method, path, headers)
        self.release = threading.Event()  # set at the end: what stalls may go
        self.connections = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                outer.connections += 1
                super().setup()

            def log_message(self, *_):
                pass

            def handle_any(self):
                outer.requests.append((self.command, self.path, dict(self.headers)))
                name = self.path.removeprefix("/v2/").split("/manifests/")[0]
                outer.rules.get(name, lambda h: h.say(404))(self)

            def say(self, status, headers=None, body=b"", claim=None):
                """claim: the Content-Length to announce instead of the right one."""
                self.send_response_only(status)
                for key, value in (headers or {}).items():
                    for one in value if isinstance(value, list) else [value]:
                        self.send_header(key, one)
                self.send_header("Content-Length", str(len(body) if claim is None else claim))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)
                self.wfile.flush()
                if claim is not None and claim > len(body):
                    self.close_connection = True

            def stall(self):
                outer.release.wait()

            do_GET = do_HEAD = do_POST = handle_any

        self.server = HttpServer(Handler, context)
        self.address = f"127.0.0.1:{self.server.server_port}"

    def asked(self, repository):
        return [(method, path, headers) for method, path, headers in self.requests if path.startswith(f"/v2/{repository}/")]

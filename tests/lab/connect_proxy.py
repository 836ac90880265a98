# SPDX-License-Identifier: MIT
"""An HTTP proxy as companies have one: CONNECT and plain requests, with a login if the test wants. Every host is this machine."""
import base64
import contextlib
import socket
import threading
from urllib.parse import urlsplit

CHUNK = 64 * 1024


class ConnectProxy:
    def __init__(self, login=None):
        self.login = base64.b64encode(login.encode()).decode() if login else None
        self.refusal = None        # a status with which CONNECT is answered
        self.plain_refusal = None  # and one for other requests
        self.connects = []   # "HOST:PORT" of those that were let through
        self.refused = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _refuse(self, near, status):
        self.refused += 1
        near.sendall(f"HTTP/1.1 {status} no\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n".encode())

    def _serve(self, near):
        with contextlib.suppress(OSError, ValueError), near:
            head = b""
            while b"\r\n\r\n" not in head:
                data = near.recv(CHUNK)
                if not data:
                    return
                head += data
            head, rest = head.split(b"\r\n\r\n", 1)
            lines = head.decode().split("\r\n")
            method, target, version = lines[0].split(" ")
            if self.login and f"Proxy-Authorization: Basic {self.login}" not in lines:
                self._refuse(near, 407)
            elif refusal := self.refusal if method == "CONNECT" else self.plain_refusal:
                self._refuse(near, refusal)
            elif method == "CONNECT":
                with socket.create_connection(("127.0.0.1", int(target.rpartition(":")[2]))) as far:
                    self.connects.append(target)
                    # in two parts, as a slow line would bring it
                    near.sendall(b"HTTP/1.1 200 Connection esta")
                    near.sendall(b"blished\r\nVia: x\r\n\r\n")
                    self._join(near, far, rest)
            else:
                url = urlsplit(target)
                with socket.create_connection(("127.0.0.1", url.port or 80)) as far:
                    kept = [line for line in lines[1:] if not line.lower().startswith(("proxy-", "connection:"))]
                    path = url.path + (f"?{url.query}" if url.query else "")
                    request = "\r\n".join([f"{method} {path} {version}", *kept, "Connection: close", "", ""])
                    self._join(near, far, request.encode() + rest)

    @staticmethod
    def _copy(a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(CHUNK):
                b.sendall(data)
        for s in (a, b):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def _join(self, near, far, first):
        far.sendall(first)
        back = threading.Thread(target=self._copy, args=(far, near), daemon=True)
        back.start()
        self._copy(near, far)
        back.join()

    def close(self):
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

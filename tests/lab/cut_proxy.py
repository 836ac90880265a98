# SPDX-License-Identifier: MIT
"""A line that can be cut: a TCP proxy on loopback that passes everything on until it is told to drop its connections."""
import contextlib
import socket
import struct
import threading

CHUNK = 256 * 1024
NO_LINGER = struct.pack("ii", 1, 0)


class CutProxy:
    def __init__(self, target_port):
        self.target = ("127.0.0.1", target_port)
        self.passed = 0  # bytes, both ways
        self.cuts = 0    # how often connections were dropped
        self.pairs = set()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                try:
                    far = socket.create_connection(self.target)
                except OSError:
                    near.close()
                    continue
                with self.lock:
                    self.pairs.add((near, far))
                for a, b in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=(a, b, (near, far)), daemon=True).start()

    def _copy(self, a, b, pair):
        with contextlib.suppress(OSError):
            while data := a.recv(CHUNK):
                b.sendall(data)
                self.passed += len(data)
        self._drop(pair)

    def _drop(self, pair):
        """As a line that breaks: what is on its way is lost."""
        with self.lock:
            if pair not in self.pairs:
                return False
            self.pairs.discard(pair)
        for s in pair:
            with contextlib.suppress(OSError):
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
                s.shutdown(socket.SHUT_RDWR)
            s.close()
        return True

    def cut(self):
        with self.lock:
            pairs = list(self.pairs)
        if [pair for pair in pairs if self._drop(pair)]:
            self.cuts += 1

    def close(self):
        self.listener.close()
        self.cut()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class CutCloud(CutProxy):
    """A gateway whose tunnels can be cut, as a box of secbox (SecBox, LanBox) takes its cloud: all else goes straight to it."""

    def __init__(self, gateway):
        super().__init__(gateway.port)
        self.cloud_url = gateway.url

    def url(self, role):
        return f"ws://127.0.0.1:{self.port}/{role}"

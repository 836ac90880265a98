# SPDX-License-Identifier: MIT
"""An HTTP server of a test, served by threads of its own from the moment that it is made."""
import http.server
import threading


class HttpServer(http.server.ThreadingHTTPServer):
    """On a free port. `context`: with TLS."""
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, handler, context=None, host="127.0.0.1"):
        super().__init__((host, 0), handler)
        self.context = context
        self.thread = threading.Thread(target=self.serve_forever, args=[0.05], daemon=True)
        self.thread.start()

    def handle_error(self, *_):
        pass  # a client that hangs up, or does not trust us, is what is being tested

    def finish_request(self, request, address):
        if not self.context:
            super().finish_request(request, address)
            return
        # here, in the connection's own thread: a handshake must not hold up the others
        with self.context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, address)


class Served:
    """What has such a server as `server`, and a `release` if its answers may be held back."""
    release = None

    def close(self):
        if self.release:
            self.release.set()
        self.server.shutdown()
        self.server.server_close()
        self.server.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

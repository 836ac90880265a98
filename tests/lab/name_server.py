# SPDX-License-Identifier: MIT
"""A name server for one machine: it knows IPv4 addresses of a few names, and that there are no others."""
import contextlib
import socket
import struct
import threading

NO_SUCH_NAME = 3
FOR_ADDRESS = 1


def _question(data):
    """The name, where it ends, and what is asked for."""
    labels, at = [], 12
    while data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode("ascii"))
        at += 1 + data[at]
    return ".".join(labels), at + 5, struct.unpack("!H", data[at + 1:at + 3])[0]


def answer(data, names):
    name, end, kind = _question(data)
    address = names.get(name.lower())
    record = b""
    if address and kind == FOR_ADDRESS:
        record = b"\xc0\x0c" + struct.pack("!HHIH", FOR_ADDRESS, 1, 1, 4) + socket.inet_aton(address)
    flags = 0x8580 if address else 0x8580 | NO_SUCH_NAME
    return data[:2] + struct.pack("!HHHHH", flags, 1, bool(record), 0, 0) + data[12:end] + record


class NameServer:
    def __init__(self, address, names):
        self.names = names
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                data, peer = self.socket.recvfrom(512)
            except OSError:
                return
            if not data:  # it is closed
                return
            self.socket.sendto(answer(data, self.names), peer)

    def close(self):
        with contextlib.suppress(OSError):  # it is connected to nobody, and wakes up all the same
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

# SPDX-License-Identifier: MIT
"""A crowd that looks at MJPEG, in a thread of its own, and counts the pictures that come."""
import asyncio
import contextlib
import os
import sys
import threading

from tests.lab.util import ROOT, wait_until

MARK = b"--frame\r\n"  # before each picture, whoever sends it
READ_SIZE = 1 << 18
HEAD_MAX = 1 << 16


def stand_in(port, cameras):
    """The command of a Frigate of its own process, so that it holds up nobody who counts."""
    return ["env", f"PYTHONPATH={ROOT}", sys.executable, "-B", "-m", "tests.lab.frigate_stand_in", str(port), *cameras]


def has_cameras(gateway, device):
    answer = gateway.request("GET", f"/v1/devices/{device}/cameras").json
    return bool(answer) and answer.get("frigate") == "up"


def cpu_seconds(pids):
    """More exact than the ticks of /proc/PID/stat: nanoseconds, of all threads."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
    return total / 1e9


class Viewer:
    """One connection; `pictures` have come by it, and `trouble` says why none do."""

    def __init__(self, host, port, path, token=None, context=None):
        self.host, self.port, self.path, self.token, self.context = host, port, path, token, context
        self.pictures = 0
        self.trouble = None

    async def look(self):
        try:
            reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self.context, limit=READ_SIZE)
            shown = f"Authorization: Bearer {self.token}\r\n" if self.token else ""
            writer.write(f"GET {self.path} HTTP/1.1\r\nHost: {self.host}\r\n{shown}\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.partition(b"\r\n")[0]:
                self.trouble = (head + await reader.read(HEAD_MAX)).decode(errors="replace")
                return
            end = b""
            while data := await reader.read(READ_SIZE):
                self.pictures += (end + data).count(MARK)
                end = (end + data)[1 - len(MARK):]
            self.trouble = "it has ended"
        except (OSError, asyncio.IncompleteReadError) as e:
            self.trouble = repr(e)


class Crowd:
    """Looks until it is closed. On entry each has had two pictures."""

    def __init__(self, viewers):
        self.viewers = viewers
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        asyncio.set_event_loop(self.loop)
        tasks = [self.loop.create_task(v.look()) for v in self.viewers]
        self.loop.run_forever()
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()

    def trouble(self):
        return next((v.trouble for v in self.viewers if v.trouble), None)

    def pictures(self):
        return sum(v.pictures for v in self.viewers)

    def __enter__(self):
        self.thread.start()
        try:
            wait_until(lambda: all(v.pictures >= 2 for v in self.viewers), "pictures come to all who look", self.trouble)
        except BaseException:
            self.close()
            raise
        return self

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def __exit__(self, *_):
        self.close()

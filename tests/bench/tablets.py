# SPDX-License-Identifier: MIT
"""Guards' tablets, many of them in one thread: each a TLS connection that stays open."""
import asyncio
import json
import os
import random
import ssl
import subprocess
import time

from tests.lab.util import ROOT

TABLET = os.path.join(ROOT, os.environ.get("BUILD", "build"), "tests", "tablet")
HOST = "secbox.local"


class Tablet:
    def __init__(self, port, authority, cookie=""):
        self.port, self.cookie = port, cookie
        self.context = ssl.create_default_context(cafile=authority)
        self.reader = self.writer = None

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context, server_hostname=HOST)
        return self

    async def ask(self, method, path, body=None):
        """Status, lines of the head, and body of the answer."""
        data = json.dumps(body).encode() if body is not None else b""
        about = f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n" if data else ""
        self.writer.write(f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nCookie: {self.cookie}\r\n{about}\r\n".encode() + data)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        length = next(int(line.split(":")[1]) for line in head if line.lower().startswith("content-length:"))
        return int(head[0].split()[1]), head, await self.reader.readexactly(length)

    async def log_in(self, guard, pin):
        status, head, text = await self.ask("POST", "/api/lan/session", {"guard": guard, "pin": pin})
        assert status == 200, text
        cookies = [line.split(":", 1)[1].split(";")[0].strip() for line in head if line.lower().startswith("set-cookie:")]
        self.cookie = "; ".join(cookies)

    def close(self):
        self.writer.close()


async def logged_in(port, authority, guard, pin):
    tablet = await Tablet(port, authority).open()
    while guard.encode() not in (await tablet.ask("GET", "/api/lan/guards"))[2]:  # its data are being read
        await asyncio.sleep(0.05)
    await tablet.log_in(guard, pin)
    return tablet


async def open_many(port, authority, cookie, n):
    return [await Tablet(port, authority, cookie).open() for _ in range(n)]


def entries_rate(port, authority, cookie, writers, each):
    """Events per second that `writers` tablets register, each `each` of them one after another: tests/bench/tablet.c, which costs
    the machine no more than pgbench does."""
    entry = json.dumps({"kind": "enter", "name": "Visita", "plate": "PBA-1"})
    argv = [TABLET, str(port), authority, cookie, str(writers), str(each), "201", "POST", "/api/lan/entries", entry]
    return float(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout)


async def look_up(tablet, path, n):
    for _ in range(n):
        status, _, text = await tablet.ask("GET", path)
        assert status == 200, text


async def type_plates(tablets, paths, plates):
    """Milliseconds that the slowest hundredth of answers takes at least, while each tablet types `plates` plates letter by
    letter, as people do."""
    took = []

    async def one(tablet, chance):
        await asyncio.sleep(chance.random())
        for _ in range(plates):
            for path in paths:
                began = time.monotonic()
                status, _, text = await tablet.ask("GET", path)
                took.append(time.monotonic() - began)
                assert status == 200, text
                await asyncio.sleep(chance.uniform(0.1, 0.3))
    await asyncio.gather(*(one(t, random.Random(i)) for i, t in enumerate(tablets)))
    return sorted(took)[len(took) * 99 // 100] * 1000

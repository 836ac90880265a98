# SPDX-License-Identifier: MIT
"""A stand-in for the server of rathole 0.5.0, written from its protocol and without any of our code.

It imitates: the messages byte for byte (protocol version 1), the order of the handshake (the server's hello comes before it knows
whether there is such a service), one control connection per service of which the last wins, 8 data connections asked for at once
and one more for each visitor, a pool that hands out the oldest first, heart-beats, half-closes, TCP and TLS.
It cannot: UDP services, noise, WebSocket. It is slower than the real one; what it shows of throughput is its own limit.
It can misbehave: another token, garbage, silence, ends in the middle of the handshake.

As a program: python3 -m tests.lab.rathole_server SERVICE TOKEN CONTROL-PORT VISITOR-PORT"""
import asyncio
import hashlib
import os
import ssl
import struct
import sys
import threading

HELLO = struct.Struct("<IB32s")
WORD = struct.Struct("<I")
CONTROL, DATA = 0, 1
ACK_OK, ACK_NO_SERVICE, ACK_BAD_TOKEN = 0, 1, 2
CREATE, HEARTBEAT = 0, 1
START_TCP = 0
POOL = 8


def digest(data):
    return hashlib.sha256(data).digest()


async def copy(reader, writer):
    """One direction, to its end, which is passed on."""
    while True:
        data = await reader.read(65536)
        if not data:
            break
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    else:
        writer.close()  # asyncio's TLS knows no half of a close


class RatholeServer:
    """Runs in a thread of its own; restart() is what a killed and started server looks like from outside."""

    def __init__(self, service="box", token="rathole-token-1", heartbeat=1.0, certificate=None, ports=(0, 0)):
        self.service, self.token, self.heartbeat = service, token, heartbeat
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        self.port, self.visitor_port = ports
        self.behaviour = None  # None, "garbage", "silent", "cut", "no-heartbeat", "bad-start"
        self.hellos = self.commands = self.datas = self.strangers = 0
        self.controls = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._servers = []
        self.start()

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def start(self):
        self._run(self._start())

    def stop(self):
        """As a killed process: every connection is gone at once."""
        self._run(self._stop())

    def restart(self):
        self.stop()
        self.start()

    def close(self):
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def pooled(self):
        return self._pool.qsize()

    @property
    def open_visitors(self):
        return self._visitors

    async def _start(self):
        self._tasks = set()
        self._waiting = set()
        self._writers = set()
        self._pool = asyncio.Queue()
        self._key = None
        self._control = None
        self._visitors = 0
        server = await asyncio.start_server(self._guard(self._accept), "127.0.0.1", self.port, ssl=self.tls)
        visitors = await asyncio.start_server(self._guard(self._visit), "127.0.0.1", self.visitor_port)
        self.port, self.visitor_port = (s.sockets[0].getsockname()[1] for s in (server, visitors))
        self._servers = [server, visitors]

    async def _stop(self):
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()
        self._servers = []

    def _guard(self, serve):
        async def run(reader, writer):
            task = asyncio.current_task()
            self._tasks.add(task)
            self._writers.add(writer)
            try:
                await serve(reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                self._tasks.discard(task)
                self._writers.discard(writer)
                writer.close()
        return run

    async def _accept(self, reader, writer):
        kind, version, value = HELLO.unpack(await reader.readexactly(HELLO.size))
        if version != 1 or kind not in (CONTROL, DATA):
            self.strangers += 1
        elif kind == CONTROL:
            await self._serve_control(reader, writer, value)
        elif value == self._key:
            await self._serve_data(reader, writer)
        else:
            self.strangers += 1  # rathole says nothing and closes

    async def _serve_control(self, reader, writer, name):
        self.hellos += 1
        if self.behaviour == "silent":
            await reader.read()
            return
        if self.behaviour == "garbage":
            writer.write(os.urandom(4096))
            await writer.drain()
            return
        nonce = os.urandom(32)
        writer.write(HELLO.pack(CONTROL, 1, nonce))
        if self.behaviour == "cut":
            await writer.drain()
            return
        if name != digest(self.service.encode()):
            writer.write(WORD.pack(ACK_NO_SERVICE))
            await writer.drain()
            return
        proof = await reader.readexactly(32)
        if proof != digest(self.token.encode() + nonce):
            writer.write(WORD.pack(ACK_BAD_TOKEN))
            await writer.drain()
            return
        writer.write(WORD.pack(ACK_OK))
        if self._control:
            self._control.transport.abort()  # the last one wins
            for visitor in list(self._waiting):
                visitor.cancel()  # its data connection was the other one's
        self._control, self._key, self._pool = writer, proof, asyncio.Queue()
        self.controls += 1
        for _ in range(POOL):
            self._order(writer)
        await self._beat(reader, writer)

    async def _beat(self, reader, writer):
        gone = asyncio.ensure_future(reader.read(1))
        while not gone.done():
            await asyncio.wait([gone], timeout=self.heartbeat)
            if self.behaviour != "no-heartbeat" and not gone.done():
                writer.write(WORD.pack(HEARTBEAT))
        if self._control is writer:
            self._control = None

    def _order(self, writer):
        self.commands += 1
        writer.write(WORD.pack(CREATE))

    async def _serve_data(self, reader, writer):
        self.datas += 1
        visitor = asyncio.get_running_loop().create_future()
        self._pool.put_nowait((reader, writer, visitor))
        await visitor  # the visitor's task uses the connection until it is done

    async def _visit(self, reader, writer):
        if not self._control:
            return  # rathole does not even listen then
        self._order(self._control)
        task = asyncio.current_task()
        self._waiting.add(task)
        try:
            data_reader, data_writer, used = await self._pool.get()
        finally:
            self._waiting.discard(task)
        self._visitors += 1
        try:
            data_writer.write(WORD.pack(7 if self.behaviour == "bad-start" else START_TCP))
            await asyncio.gather(copy(reader, data_writer), copy(data_reader, writer))
        finally:
            self._visitors -= 1
            if not used.done():
                used.set_result(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def main(service, token, port, visitor_port):
    with RatholeServer(service, token, heartbeat=10, ports=(int(port), int(visitor_port))):
        print("ready", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])

# SPDX-License-Identifier: MIT
"""Our WebSocket against two others, Node's ws and python3-websockets, in both roles, plain and TLS."""
import asyncio
import json
import os
import shutil
import ssl
import subprocess

import pytest

from tests.lab.util import make_words

websockets = pytest.importorskip("websockets", reason="python3-websockets is not installed")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, "tests", "integration")
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
NODE_ENV = {"PATH": os.environ["PATH"], "NODE_PATH": "/usr/share/nodejs"}
# A hang is the caller's to end; this is only for a broken implementation.
PATIENCE = 600
STEPS = {"text": True, "empty": True, "64k": True, "1m": True, "binary": True, "pong": "between",
         "fragmented": "fragmented", "extensions": ""}


@pytest.fixture(scope="module")
def programs():
    names = {name: os.path.join(BUILD, "tests", name) for name in ("ws-echo-server", "ws-client")}
    if not all(os.path.exists(path) for path in names.values()):
        subprocess.run(make_words(*(os.path.relpath(path, ROOT) for path in names.values())), cwd=ROOT, check=True,
                       stdout=subprocess.DEVNULL, timeout=PATIENCE)
    return names


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=interop",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True, timeout=PATIENCE)
    return cert, key


@pytest.fixture(params=["plain", "tls"])
def tls(request, certificate):
    return certificate if request.param == "tls" else None


@pytest.fixture
def node():
    if not shutil.which("node") or not os.path.isdir("/usr/share/nodejs/ws"):
        pytest.skip("node and node-ws are not installed")
    return ["node", os.path.join(HERE, "ws-peer.js")]


@pytest.fixture
def our_server(programs, tls):
    """Its URL, and a list that has its "closed" lines once it ended."""
    child = subprocess.Popen([programs["ws-echo-server"], *(tls or [])], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             text=True)
    port = child.stdout.readline().split()[1]
    yield f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/", child
    child.kill()
    child.communicate()


def our_client(programs, url, tls):
    done = subprocess.run([programs["ws-client"], url, *(tls[:1] if tls else [])], capture_output=True, text=True,
                          timeout=PATIENCE)
    return done.stdout.strip()


def client_context(tls):
    return ssl.create_default_context(cafile=tls[0]) if tls else None


def test_node_client(our_server, tls, node):
    url, child = our_server
    out = subprocess.run([*node, "client", url, *(tls[:1] if tls else [])], env=NODE_ENV, capture_output=True,
                         text=True, timeout=PATIENCE)
    assert out.returncode == 0, out.stderr
    got = dict(json.loads(line) for line in out.stdout.splitlines())
    assert got == {**STEPS, "close": 4001, "utf8": 1007, "unmasked": 1002, "rsv": 1002, "too-big": 1009,
                   "protocol": 400}
    closed, _ = child.communicate()
    assert closed.split() == ["closed", "4001", "closed", "1007", "closed", "1002", "closed", "1002", "closed", "1009"]


def test_node_server(programs, tls, node):
    child = subprocess.Popen([*node, "server", *(tls or [])], env=NODE_ENV, stdout=subprocess.PIPE, text=True)
    try:
        port = json.loads(child.stdout.readline())[1]
        url = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}"
        assert our_client(programs, url + "/", tls) == "closed 4002"
        assert our_client(programs, url + "/utf8", tls) == "closed 1007"
        assert our_client(programs, url + "/masked", tls) == "closed 1002"
    finally:
        child.terminate()
        out, _ = child.communicate()
    got = dict(json.loads(line) for line in out.splitlines())
    assert got == {**STEPS, "authorization": "Bearer a.token", "close": 4002, "utf8": 1007, "masked": 1002}


async def python_steps(ws):
    for message in ("héllo €😀", "", "x" * 65536, "y" * 1048576, bytes([0, 255, 254, 128])):
        await ws.send(message)
        assert await ws.recv() == message
    await (await ws.ping(b"payload"))
    await ws.send(["frag", "men", "", "ted"])
    assert await ws.recv() == "fragmented"


def test_python_client(our_server, tls):
    url, child = our_server

    async def main():
        async with websockets.connect(url, ssl=client_context(tls), subprotocols=["secbox.v1"], max_size=None) as ws:
            assert ws.subprotocol == "secbox.v1"
            assert ws.extensions == []
            await python_steps(ws)
            await ws.close(4003, "enough")
            assert ws.close_code == 4003
        with pytest.raises(websockets.InvalidStatusCode) as refused:
            await websockets.connect(url, ssl=client_context(tls), subprotocols=["other"])
        assert refused.value.status_code == 400

    asyncio.run(main())
    closed, _ = child.communicate()
    assert closed.split() == ["closed", "4003"]


@pytest.mark.parametrize("wrong, code", [(None, 4004), (b"\x81\x02\xc0\x80", 1007), (b"\x88\x02\x03\xed", 1002),
                                         (b"\x80\x00", 1002), (b"\x82\x7f\0\0\0\0\0\x10\0\x01", 1009)])
def test_python_server(programs, tls, wrong, code):
    seen = {}

    async def serve(ws):
        seen["authorization"] = ws.request_headers["Authorization"]
        seen["extensions"] = ws.extensions
        if wrong is None:
            await python_steps(ws)
            await ws.close(4004, "enough")
        else:
            ws.transport.write(wrong)
            await ws.wait_closed()
        seen["code"] = ws.close_code

    async def main():
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
        async with websockets.serve(serve, "127.0.0.1", 0, ssl=context, subprotocols=["secbox.v1"],
                                    max_size=None) as server:
            port = server.sockets[0].getsockname()[1]
            url = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/"
            return await asyncio.get_running_loop().run_in_executor(None, our_client, programs, url, tls)

    assert asyncio.run(main()) == f"closed {code}"
    assert seen == {"authorization": "Bearer a.token", "extensions": [], "code": code}

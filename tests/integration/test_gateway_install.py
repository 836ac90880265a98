# SPDX-License-Identifier: MIT
"""What boxes are installed from: /install/ of a gateway that has a folder for it, and of one that has none."""
# pylint: disable=redefined-outer-name
import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import tempfile
import types

import pytest

from tests.conftest import require_programs
from tests.lab.gateway import Gateway
from tests.lab.util import program, wait_until

CLOUD = "https://cloud.example"
SCRIPT = "#!/bin/sh\nCLOUD='@CLOUD@'\necho \"$CLOUD\" @CLOUD@\n"
BLOB = bytes(range(256)) * 40000  # 10 MB, far more than a socket takes
DOWNLOADS_MAX = 100
CALLER_DOWNLOADS_MAX = 20


def put(folder, name, content, mode=0o644):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path, mode)
    return path


@pytest.fixture(scope="module")
def lab():
    require_programs("secbox-gateway")
    base = tempfile.mkdtemp(prefix="secbox-install-")
    folder = os.path.join(base, "repo")
    put(folder, "secbox", SCRIPT)
    put(folder, "apt/pool/a b.deb", BLOB)
    put(folder, "empty", b"")
    put(folder, ".hidden", "x")
    put(folder, ".git/config", "x")
    put(folder, "private", "x", 0o640)
    put(base, "outside", "secret")
    os.symlink("../outside", os.path.join(folder, "out"))
    os.symlink("/etc/hostname", os.path.join(folder, "away"))
    os.symlink("apt", os.path.join(folder, "link"))
    os.mkfifo(os.path.join(folder, "pipe"))
    try:
        options = ["--install-dir", folder, "--issuer", CLOUD]
        with contextlib.closing(Gateway(os.path.join(base, "gateway"), options=options)) as gateway:
            yield types.SimpleNamespace(gateway=gateway, folder=folder, base=base)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def ask(lab, path, method="GET", source="127.0.0.1", **headers):
    """Status, headers and body, without a token; the path goes out as it is."""
    connection = http.client.HTTPConnection(lab.gateway.host, lab.gateway.port, timeout=300, source_address=(source, 0))
    with contextlib.closing(connection):
        connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def test_the_script_knows_its_cloud(lab):
    status, headers, body = ask(lab, "/install/secbox")
    assert status == 200 and headers["Content-Type"].startswith("text/plain")
    assert body.decode() == SCRIPT.replace("@CLOUD@", CLOUD)
    status, headers, body = ask(lab, "/install/secbox", "HEAD")
    assert status == 200 and int(headers["Content-Length"]) == len(SCRIPT.replace("@CLOUD@", CLOUD)) and body == b""


def test_files_and_parts_of_them(lab):
    for path in ("/install/apt/pool/a%20b.deb", "/install/link/pool/a%20b.deb"):
        status, headers, body = ask(lab, path)
        assert status == 200 and body == BLOB and headers["Accept-Ranges"] == "bytes"
    tag, date = headers["ETag"], headers["Last-Modified"]
    status, headers, body = ask(lab, path, Range="bytes=1000-1999")
    assert (status, body, headers["Content-Range"]) == (206, BLOB[1000:2000], f"bytes 1000-1999/{len(BLOB)}")
    for same in (tag, date):
        assert ask(lab, path, Range="bytes=-7", If_Range=same)[::2] == (206, BLOB[-7:])
    assert ask(lab, path, Range="bytes=-7", If_Range='"other"')[::2] == (200, BLOB), "a part of something else is of no use"
    status, headers, body = ask(lab, path, Range=f"bytes={len(BLOB)}-")
    assert (status, body, headers["Content-Range"]) == (416, b"", f"bytes */{len(BLOB)}")
    assert ask(lab, path, If_None_Match=f'"x", {tag}')[::2] == (304, b"")
    assert ask(lab, path, If_Modified_Since=date)[::2] == (304, b"")
    assert ask(lab, path, If_None_Match='"x"', If_Modified_Since=date)[0] == 200
    assert ask(lab, "/install/empty")[::2] == (200, b"")


def test_a_file_that_was_replaced_is_another(lab):
    put(lab.folder, "changing", "one")
    os.utime(os.path.join(lab.folder, "changing"), (1, 1))
    tag = ask(lab, "/install/changing")[1]["ETag"]
    os.utime(put(lab.folder, "new", "two"), (1, 1))
    os.rename(os.path.join(lab.folder, "new"), os.path.join(lab.folder, "changing"))
    status, headers, body = ask(lab, "/install/changing", If_None_Match=tag)
    assert (status, body) == (200, b"two") and headers["ETag"] != tag


@pytest.mark.parametrize("path", [
    "out", "away", "pipe", "private", ".hidden", ".git/config", "nothing", "", "apt", "apt/", "/etc/hostname", "apt//pool",
    "../outside", "apt/../../outside", "%2e%2e/outside", "..%2foutside", "apt/%2e%2e/%2e%2e/outside", "./secbox", "secbox/",
    "secbox%00", "apt/pool/" + "x" * 300])
def test_what_is_not_served(lab, path):
    status, _, body = ask(lab, f"/install/{path}")
    assert status in (400, 404) and b"secret" not in body and b"error" in body


def test_only_reading(lab):
    for method in ("POST", "PUT", "DELETE"):
        assert ask(lab, "/install/secbox", method)[0] == 405


def slow_reader(lab, address="127.0.0.1"):
    """Asks for much, and reads nothing."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.bind((address, 0))
    s.connect((lab.gateway.host, lab.gateway.port))
    s.sendall(b"GET /install/apt/pool/a%20b.deb HTTP/1.1\r\nHost: lab\r\n\r\n")
    return s


def memory(lab):
    with open(f"/proc/{lab.gateway.daemon.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon:"))


def test_downloads_are_bounded_and_cost_little(lab):
    """One caller is not given all places; beyond so many everybody is asked to come back; operators, and whoever wants the script,
    are served meanwhile."""
    before = memory(lab)
    callers = [f"127.0.0.{n}" for n in range(2, 2 + DOWNLOADS_MAX // CALLER_DOWNLOADS_MAX)]

    def is_busy(address):
        return ask(lab, "/install/empty", source=address)[0] == 503

    with contextlib.ExitStack() as stack:
        for address in callers:
            assert not is_busy(address)
            for _ in range(CALLER_DOWNLOADS_MAX):
                stack.enter_context(contextlib.closing(slow_reader(lab, address)))
            wait_until(lambda a=address: is_busy(a), "its places are taken")
            assert is_busy("127.0.0.1") is (address == callers[-1])
        status, headers, body = ask(lab, "/install/empty")
        assert status == 503 and headers["Retry-After"] and b"install.busy" in body
        assert ask(lab, "/install/secbox")[0] == 200
        assert lab.gateway.request("GET", "/v1/devices").status == 200
        if "/asan/" not in os.environ.get("SECBOX_BIN", ""):
            assert memory(lab) - before < DOWNLOADS_MAX * 200, "kilobytes; whole files would be a gigabyte"
    wait_until(lambda: not is_busy("127.0.0.1"), "those who went have left their places")


def test_a_swapped_folder_counts_at_once(lab):
    put(f"{lab.folder}.next", "secbox", "next")
    os.rename(lab.folder, f"{lab.folder}.before")
    os.rename(f"{lab.folder}.next", lab.folder)
    try:
        assert ask(lab, "/install/secbox")[2] == b"next"
    finally:
        shutil.rmtree(lab.folder)
        os.rename(f"{lab.folder}.before", lab.folder)


def test_a_file_that_shrinks_ends_the_download(lab):
    path = put(lab.folder, "shrinking", BLOB)
    with contextlib.closing(slow_reader(lab)) as idle, contextlib.closing(socket.socket()) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect((lab.gateway.host, lab.gateway.port))
        s.sendall(b"GET /install/shrinking HTTP/1.1\r\nHost: lab\r\n\r\n")
        head = s.recv(200)
        assert b"200 OK" in head
        os.truncate(path, 1000)
        got = len(head)
        while piece := s.recv(1 << 20):
            got += len(piece)
        assert got < len(BLOB)
        del idle


def test_without_the_option_there_is_nothing(lab):
    lab.gateway.stop()
    options, lab.gateway.options = lab.gateway.options, []
    try:
        lab.gateway.start()
        status, _, body = ask(lab, "/install/secbox")
        assert status == 404 and b"--install-dir" in body
    finally:
        lab.gateway.stop()
        lab.gateway.options = options
        lab.gateway.start()


def test_the_installer_is_told_no_listening_address(lab):
    """What the gateway listens on is often no address that a box can reach."""
    p = subprocess.run([program("secbox-gateway"), "serve", "--listen", "127.0.0.1:0", "--state", lab.gateway.state,
                        "--install-dir", lab.folder], env=lab.gateway.env, capture_output=True, text=True, check=False)
    assert p.returncode == 1 and "--install-dir without --issuer" in p.stderr, p

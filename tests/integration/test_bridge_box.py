# SPDX-License-Identifier: MIT
"""The box's end of bridge SSH against a real sshd: mgmt-link and secbox, with a gateway's end that only carries streams."""
# pylint: disable=redefined-outer-name,unused-import
import contextlib
import hashlib
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from tests.integration.fake_cloud import FakeCloud
from tests.integration.test_link import LinkBox
from tests.integration.test_secbox import SecBox
from tests.lab.sshd import Sshd, make_key, missing
from tests.lab.util import PATIENCE_SECONDS, ROOT, make_words, program, read_text, wait_until

BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
SANITIZED = "/asan/" in os.environ.get("SECBOX_BIN", "")
COPY_SIZE = (8 if SANITIZED else 64) * 1000 * 1000
CUTS, CYCLES = 4, 6


class Peer:
    """tests/integration/mux-peer.c: where a box connects to, and where an SSH client does."""

    def __init__(self, path, target):
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen([path, target], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.tunnel, self.local = (int(self.process.stdout.readline().split()[1]) for _ in range(2))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.strip())

    def expect(self, text):
        line = self.lines.get(timeout=PATIENCE_SECONDS)
        assert line == text

    def cut(self):
        self.process.stdin.write("cut\n")
        self.process.stdin.flush()

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture
def peer(request):
    path = os.path.join(BUILD, "tests", "mux-peer")
    if not os.path.exists(path):
        subprocess.run(make_words(os.path.relpath(path, ROOT)), cwd=ROOT, check=True)
    it = Peer(path, getattr(request, "param", "ssh"))
    yield it
    it.stop()


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    if missing():
        pytest.skip(missing())
    folder = tmp_path_factory.mktemp("sshd")
    key = make_key(str(folder / "key"))
    with Sshd(str(folder / "sshd"), authorized=key) as it:
        it.key = str(folder / "key")
        yield it


@pytest.fixture
def cloud():
    with FakeCloud() as it:
        yield it


@pytest.fixture
def link(cloud, sshd, peer):
    box = LinkBox(cloud)
    box.write_env(MGMT_GATEWAY_URL=f"ws://127.0.0.1:{peer.tunnel}/mgmt", SSH_PORT=sshd.port)
    box.start()
    peer.expect("up")
    yield box
    if box.process:
        box.process.kill()
        box.process.wait()
    print(box.logged())
    box.agent.close()
    shutil.rmtree(box.root, ignore_errors=True)


def ssh(sshd, peer, *command, **options):
    argv = ["ssh", "-F", "none", "-i", sshd.key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", f"UserKnownHostsFile={sshd.folder}/known", "-o", "StrictHostKeyChecking=accept-new",
            "-o", "HostKeyAlias=box", "-p", str(peer.local), "root@127.0.0.1", *command]
    return subprocess.Popen(argv, **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **options})


def sessions(root, *options):
    p = subprocess.run([program("secboxctl"), "--root", root, "sessions", *options], capture_output=True, text=True,
                       check=False)
    assert p.returncode == 0, p.stderr
    return p.stdout


def test_a_session_is_shown_while_it_lasts(sshd, peer, link):
    with contextlib.closing(socket.create_connection(("127.0.0.1", peer.local))) as s:
        assert s.makefile("rb").readline().startswith(b"SSH-2.0-OpenSSH")
        entry, = json.loads(sessions(link.root, "--json"))["sessions"]
        assert {k: entry[k] for k in ("program", "target", "person", "grant", "reason", "session")} == {
            "program": "mgmt-link", "target": "ssh", "person": "alice", "grant": "g-1", "reason": "a test", "session": "s-1"}
        assert "alice" in sessions(link.root) and "a test" in sessions(link.root)
    wait_until(lambda: "[bridge] alice has left" in link.logged(), "the line in the log")
    assert '[bridge] alice is in by ssh (grant g-1, reason "a test")' in link.logged()
    assert "bytes in" in link.logged()
    wait_until(lambda: sessions(link.root) == "Nobody is logged in over the bridge.\n", "the list is empty")
    path = os.path.join(link.root, "run/tucomunidad/mgmt-link/sessions.json")
    assert os.stat(path).st_mode & 0o777 == 0o600
    # a look at the configuration, which has not changed, throws nobody out
    with contextlib.closing(socket.create_connection(("127.0.0.1", peer.local))) as s:
        assert s.makefile("rb").readline()
        link.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "looking at the configuration again" in link.logged(), "the signal is heard")
        assert len(json.loads(sessions(link.root, "--json"))["sessions"]) == 1 and "bridge.ended" not in link.logged()
    wait_until(lambda: json.loads(sessions(link.root, "--json")) == {"sessions": []}, "the list is empty again")
    # what a program leaves behind that is killed is no longer true
    with contextlib.closing(socket.create_connection(("127.0.0.1", peer.local))) as s:
        assert s.makefile("rb").readline()
        link.process.kill()
        link.process.wait()
        assert os.path.exists(path) and json.loads(sessions(link.root, "--json")) == {"sessions": []}


def test_a_copy_survives_ten_new_connections(sshd, peer, link, tmp_path):
    """Both directions: what goes into the box comes back from it."""
    source = tmp_path / "source"
    source.write_bytes(os.urandom(1000 * 1000) * (COPY_SIZE // (1000 * 1000)))
    progress = tmp_path / "progress"
    with open(source, "rb") as f, open(progress, "wb") as out:
        client = ssh(sshd, peer, "cat", stdin=f, stdout=out)
        for i in range(CUTS + CYCLES):
            wait_until(lambda i=i: progress.stat().st_size >= COPY_SIZE // (CUTS + CYCLES + 1) * (i + 1), "more is copied",
                       lambda: f"ssh ended with {client.returncode}" if client.poll() is not None else None)
            if i < CYCLES:
                link.agent.send({"type": "link.cycle"})
            else:
                peer.cut()
            peer.expect("up")
        assert client.wait() == 0
    assert hashlib.sha256(progress.read_bytes()).digest() == hashlib.sha256(source.read_bytes()).digest()
    assert link.logged().count("[bridge] alice is in") == 1


def test_no_sshd_there(cloud, peer):
    box = LinkBox(cloud)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        box.write_env(MGMT_GATEWAY_URL=f"ws://127.0.0.1:{peer.tunnel}/mgmt", SSH_PORT=nobody.getsockname()[1])
        box.start()
        peer.expect("up")
        with contextlib.closing(socket.create_connection(("127.0.0.1", peer.local))) as s:
            peer.expect("refused bridge.connect")
            assert s.recv(1) == b""
    assert "[bridge] alice cannot get in by ssh" in box.logged()
    box.stop()
    box.agent.close()
    shutil.rmtree(box.root)


def test_through_the_container(cloud, sshd, peer):
    """secbox finds the host's sshd by name, as in its container."""
    box = SecBox(cloud)
    box.env.update(DEVICE_GATEWAY_URL=f"ws://127.0.0.1:{peer.tunnel}/device", SSH_TARGET=f"localhost:{sshd.port}")
    box.start()
    try:
        peer.expect("up")
        client = ssh(sshd, peer, "echo from the box")
        out, _ = client.communicate()
        assert client.returncode == 0 and out == b"from the box\n"
        # what the host sees of it, by the folder that the container has in common with it
        host = os.path.join(box.folder, "root")
        os.makedirs(os.path.join(host, "run/tucomunidad"))
        os.symlink(os.path.join(box.folder, "run"), os.path.join(host, "run/tucomunidad/secbox"))
        with contextlib.closing(socket.create_connection(("127.0.0.1", peer.local))) as s:
            assert s.makefile("rb").readline().startswith(b"SSH-2.0")
            entry, = json.loads(sessions(host, "--json"))["sessions"]
            assert entry["program"] == "secbox" and entry["person"] == "alice"
        wait_until(lambda: read_text(box.log).count("[bridge] alice has left") == 2, "both have left")
        assert box.run("--check", SSH_TARGET="nonsense").returncode == 1
        assert box.run("--check", SSH_TARGET="[::1]:22").returncode == 0
    finally:
        box.process.kill()
        box.process.wait()
        shutil.rmtree(box.folder)

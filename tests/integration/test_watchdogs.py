# SPDX-License-Identifier: MIT
"""What the service manager's watchdog hears of each daemon: that it works, not only that it runs."""
import fcntl
import os
import resource
import signal
import socket
import subprocess

import pytest

from tests.conftest import require_programs
from tests.integration.fake_cloud import FakeCloud
from tests.integration.test_agent import AGENT_ENV, Agent
from tests.integration.test_secbox import SecBox
from tests.lab import isolate
from tests.lab.gateway import Gateway
from tests.lab.postgres import available
from tests.lab.recovery import Recovery
from tests.lab.util import Daemon, program, wait_until

TICK_USEC = 200_000

pytestmark = pytest.mark.skipif(not isolate.is_isolated(), reason="takes the network away: in namespaces only")


class Manager:
    """The service manager's end of sd_notify(3)."""

    def __init__(self, folder):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = os.path.join(folder, "notify")
        self.socket.bind(path)
        self.env = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": str(2 * TICK_USEC)}

    def wait_pings(self, count=5):
        self.socket.settimeout(120)
        while count > 0:
            count -= self.socket.recv(4096).count(b"WATCHDOG=1")

    def is_silent(self, ticks=10):
        """Whether nothing came for that many ticks."""
        self.socket.settimeout(ticks * TICK_USEC / 1e6)
        try:
            while b"WATCHDOG=1" not in self.socket.recv(4096):
                pass
            return False
        except TimeoutError:
            return True


@pytest.fixture
def manager(folder):
    it = Manager(folder)
    yield it
    it.socket.close()


def loopback(state):
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


def check(manager, daemon):
    """While this machine's own network is gone the daemon runs, and is not able to do anything."""
    manager.wait_pings()
    loopback("down")
    try:
        wait_until(manager.is_silent, "it says no more that it works", daemon.death)
    finally:
        loopback("up")
    manager.wait_pings()
    assert daemon.death() is None


def test_mgmt_link(folder, manager):
    require_programs("mgmt-link")
    root = os.path.join(folder, "root")
    os.makedirs(os.path.join(root, "etc/tucomunidad"))
    with open(os.path.join(root, "etc/tucomunidad/mgmt-agent.env"), "w", encoding="utf-8") as f:
        f.write(AGENT_ENV)
    daemon = Daemon("mgmt-link", [program("mgmt-link"), "--root", root], os.path.join(folder, "log"), {**os.environ, **manager.env})
    try:
        check(manager, daemon)
    finally:
        daemon.stop()


def test_secbox(folder, manager):
    require_programs("secbox")
    with FakeCloud() as cloud:
        box = SecBox(cloud)
        daemon = Daemon("secbox", [program("secbox")], os.path.join(folder, "log"), {**box.env, **manager.env})
        try:
            cloud.next_connection()
            check(manager, daemon)
        finally:
            daemon.stop()


def test_recovery_agent(folder, manager):
    """Also with a disk that takes nothing: people come in to make room."""
    require_programs("recovery-agent")
    with Recovery(os.path.join(folder, "root"), {"DEVICE_ID": "caseta5", "MGMT_GATEWAY_URL": "ws://127.0.0.1:9/mgmt"}) as box:
        box.env.update(manager.env)
        os.makedirs(box.state("scratch"))
        box.start()
        # sd_notify(3) waits for a manager that does not read
        wait_until(lambda: manager.wait_pings(1) or "the disk takes no file" in box.log(), "it has tried the disk",
                   box.daemon.death)
        check(manager, box.daemon)


def start_watched(agent, manager):
    os.environ.update(manager.env)
    try:
        agent.start()
    finally:
        for name in manager.env:
            del os.environ[name]


def test_mgmt_agent(folder, manager):
    """It asks itself over its socket; the disk is tried, and is no reason."""
    require_programs("mgmt-agent")
    agent = Agent(folder)
    os.makedirs(os.path.join(agent.state, "scratch", "in the way"))
    start_watched(agent, manager)
    try:
        wait_until(lambda: "scratch cannot be written" in agent.log(), "it has tried the disk", agent.daemon.death)
        manager.wait_pings(20)
        assert agent.log().count("scratch cannot be written") == 1
    finally:
        agent.stop()


def test_f61_a_disk_that_hangs_does_not_hold_up_mgmt_agent(folder, manager):
    """Whoever opens the file waits until its lease is given up, as on a disk that hangs."""
    require_programs("mgmt-agent")
    agent = Agent(folder)
    scratch = os.path.join(agent.state, "scratch")
    agent.write(scratch, "old")
    held = os.open(scratch, os.O_RDONLY)
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    start_watched(agent, manager)
    try:
        wait_until(lambda: os.stat(scratch).st_ino != os.fstat(held).st_ino, "the disk was tried", agent.daemon.death)
        assert fcntl.fcntl(held, fcntl.F_GETLEASE) == fcntl.F_WRLCK, "nobody waited for the file that hangs"
        manager.wait_pings(5)
    finally:
        agent.stop()
        os.close(held)
        signal.signal(signal.SIGIO, signal.SIG_DFL)


@pytest.fixture
def watched(folder, manager):
    """A gateway that tells the manager that it works."""
    require_programs("secbox-gateway")
    if not available():
        pytest.skip("PostgreSQL is not installed")
    with Gateway(os.path.join(folder, "gateway")) as gateway:
        gateway.stop()
        gateway.env.update(manager.env)
        gateway.start()
        yield gateway


def test_gateway(watched, manager):
    check(manager, watched.daemon)


def test_a70_slow_strangers_do_not_end_a_gateway(watched, manager):
    """More requests that never come whole than it has descriptors: they give way, and the manager hears that it works."""
    manager.wait_pings()
    pid = watched.daemon.process.pid
    limit = len(os.listdir(f"/proc/{pid}/fd")) + 20
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, limit))
    strangers = [socket.create_connection(("127.0.0.1", watched.port)) for _ in range(60)]
    try:
        for stranger in strangers:
            stranger.sendall(b"POST /api/device/claim HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{")
        manager.wait_pings(50)
        assert watched.daemon.death() is None
        wait_until(lambda: answers(watched), "somebody else is served", watched.daemon.death)
    finally:
        for stranger in strangers:
            stranger.close()


def answers(gateway):
    try:
        return gateway.request("GET", "/healthz").status == 200
    except OSError:  # no place yet
        return False

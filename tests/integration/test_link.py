# SPDX-License-Identifier: MIT
"""mgmt-link between an imitated cloud and an imitated mgmt-agent."""
import contextlib
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from tests.conftest import require_programs
from tests.integration.fake_cloud import FakeCloud, make_token, timestamp
from tests.lab.connect_proxy import ConnectProxy
from tests.lab.util import PATIENCE_SECONDS, program, read_text, wait_until


class Agent:
    """mgmt-agent's socket: lines in and out, one connection after another."""

    def __init__(self, path):
        self.path = path
        self.listener = self.connection = None
        self.lines = queue.Queue()
        self.open()

    def open(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen()
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _accept(self, listener):
        with contextlib.suppress(OSError, ValueError):
            while True:
                connection, _ = listener.accept()
                self.connection = connection
                for line in connection.makefile():
                    self.lines.put(json.loads(line))

    def close(self):
        for s in (self.listener, self.connection):
            if s:
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)
                s.close()
        self.listener = self.connection = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def next(self):
        return self.lines.get(timeout=PATIENCE_SECONDS)

    def receive(self, kind):
        while True:
            message = self.next()
            if message["type"] == kind:
                return message

    def wait_connected(self, connected=True):
        while True:
            status = self.receive("link.status")
            if status["connected"] == connected:
                return status

    def wait_fault(self):
        while True:
            status = self.receive("link.status")
            if "error" in status:
                return status

    def send(self, message):
        text = message if isinstance(message, str) else json.dumps(message)
        self.connection.sendall(text.encode() + b"\n")


class LinkBox:
    """A root folder with configuration, an agent's socket and a mgmt-link."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.root = tempfile.mkdtemp(prefix="secbox-link-")
        os.chmod(self.root, 0o755)
        for folder in ("etc/tucomunidad", "run/tucomunidad", "var/lib/tucomunidad"):
            os.makedirs(os.path.join(self.root, folder))
        self.log = os.path.join(self.root, "log")
        self.env_path = os.path.join(self.root, "etc/tucomunidad/mgmt-agent.env")
        self.agent = Agent(os.path.join(self.root, "run/tucomunidad/mgmt-agent.sock"))
        self.process = None

    def state(self, name=""):
        return os.path.join(self.root, "var/lib/tucomunidad/mgmt-link", name)

    def write_env(self, **change):
        values = {"CLOUD_BASE_URL": self.cloud.cloud_url, "DEVICE_ID": self.cloud.device,
                  "BOOTSTRAP": "bootstrap-secret-1", "MGMT_GATEWAY_URL": self.cloud.url("mgmt"), **change}
        with open(self.env_path + ".new", "w", encoding="utf-8") as f:
            f.writelines(f"{key}={value}\n" for key, value in values.items() if value is not None)
        os.chmod(self.env_path + ".new", 0o600)
        os.rename(self.env_path + ".new", self.env_path)

    def start(self, *options, **environment):
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environment}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [program("mgmt-link"), "--root", self.root, *options], env=env, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait() == 0
        self.process = None

    def logged(self):
        return read_text(self.log)


@pytest.fixture
def cloud():
    require_programs("mgmt-link")
    with FakeCloud() as it:
        yield it


@pytest.fixture
def box(cloud):
    it = LinkBox(cloud)
    it.write_env()
    yield it
    if it.process and it.process.poll() is None:
        it.process.kill()
        it.process.wait()
    print(it.logged())  # shown when the test failed
    it.agent.close()
    shutil.rmtree(it.root, ignore_errors=True)


def test_hello_and_status(cloud, box):
    box.start()
    first = box.agent.next()
    assert first["type"] == "link.hello" and first["program"] == "mgmt-link" and first["version"]
    connection = cloud.next_connection()
    assert connection.ws.path == "/mgmt"
    assert connection.hello == {"type": "hello", "deviceId": "caseta5", "role": "mgmt", "program": "mgmt-link",
                                "version": first["version"], "protocol": 1, "streams": True,
                                "bootId": read_text("/proc/sys/kernel/random/boot_id").strip()}
    status = box.agent.wait_connected()
    assert status["gateway"] == cloud.url("mgmt") and status["tokenExpiresAt"] and "error" not in status
    path, claim = cloud.claims[0]
    assert path == "/api/device/claim" and claim["bootstrap"] == "bootstrap-secret-1" and claim["role"] == "mgmt"
    box.stop()
    assert "bootstrap-secret-1" not in box.logged()
    assert cloud.last_token not in box.logged()
    box.start()
    cloud.next_connection()
    assert len(cloud.claims) == 1, "the identity survives a restart"
    assert os.stat(box.state("key.pem")).st_mode & 0o777 == 0o600
    box.stop()


def test_it_notes_since_when_there_is_no_tunnel(cloud, box):
    """For who judges a change by what it did to the tunnel."""
    path = os.path.join(box.root, "run/tucomunidad/mgmt-link/down-since")
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    box.start()
    cloud.next_connection()
    box.agent.wait_connected()
    assert read_text(path) == "up", "it is written before mgmt-agent is told"
    cloud.stop_tunnels()
    box.agent.wait_connected(False)
    assert before <= int(read_text(path)) / 1e6 <= time.clock_gettime(time.CLOCK_BOOTTIME)
    cloud.start_tunnels()
    cloud.next_connection()
    box.agent.wait_connected()
    assert read_text(path) == "up"
    box.stop()


def test_a31_the_tunnel_goes_by_the_proxy_of_the_environment(cloud, box):
    with ConnectProxy(login="user:p@ss") as proxy:
        box.start(http_proxy=f"http://us%65r:p%40ss@127.0.0.1:{proxy.port}")
        cloud.next_connection()
        box.agent.wait_connected()
        assert proxy.connects == [f"127.0.0.1:{cloud.port}"] and proxy.refused == 0
        box.stop()
        assert "p@ss" not in box.logged()
        # as curl does with claims: not for what is excepted
        box.start(http_proxy=f"http://127.0.0.1:{proxy.port}", no_proxy="localhost,127.0.0.0/8")
        cloud.next_connection()
        box.agent.wait_connected()
        assert len(proxy.connects) == 1 and proxy.refused == 0
        box.stop()


def test_a31_a_proxy_that_lets_nobody_through_is_not_the_only_way(cloud, box):
    """Boxes went past it before, and may have no other way to be told."""
    with ConnectProxy() as proxy:
        proxy.refusal = 403
        box.start(http_proxy=f"http://127.0.0.1:{proxy.port}")
        assert "has to allow CONNECT" in json.dumps(box.agent.wait_fault()["error"])
        cloud.next_connection()
        box.agent.wait_connected()
        assert proxy.refused == 1 and proxy.connects == []
        box.stop()


def test_a31_a_claim_goes_past_a_proxy_that_refuses_it(cloud, box):
    """Else a box whose token has expired meanwhile would never come back."""
    with ConnectProxy() as proxy:
        proxy.plain_refusal = 403
        box.start(http_proxy=f"http://127.0.0.1:{proxy.port}")
        cloud.next_connection()
        box.agent.wait_connected()
        assert proxy.refused == 1 and len(cloud.claims) == 1
        assert proxy.connects == [f"127.0.0.1:{cloud.port}"], "the tunnel takes the proxy, which lets it through"
        box.stop()


def test_messages_both_ways(cloud, box):
    box.start()
    connection = cloud.next_connection()
    box.agent.wait_connected()
    # white space that is legal in JSON must not end the line on the socket
    connection.send(json.dumps({"type": "status.get", "id": "s1"}, indent=2))
    assert box.agent.receive("status.get") == {"type": "status.get", "id": "s1"}
    compose = "services:\n  web:\n    image: x\n" + "# é\n" * 60000
    connection.send({"type": "compose.snapshot", "id": "d1", "version": "7", "deviceId": "caseta5", "compose": compose,
                     "issuedAt": timestamp()})
    assert box.agent.receive("compose.snapshot")["compose"] == compose
    box.agent.send({"type": "status.report", "id": "s1", "status": {"a": 1}})
    assert connection.receive("status.report") == {"type": "status.report", "id": "s1", "status": {"a": 1}}
    for seq in range(1, 40):
        box.agent.send({"type": "compose.progress", "id": "d1", "version": "7", "phase": "pull", "state": "info",
                        "at": timestamp(), "seq": str(seq)})
    assert [connection.receive("compose.progress")["seq"] for _ in range(1, 40)] == [str(s) for s in range(1, 40)]
    box.stop()


def test_f34_what_may_not_pass(cloud, box):
    box.start()
    connection = cloud.next_connection()
    box.agent.wait_connected()
    for message in ({"type": "from.the.future", "id": "x"}, {"type": "env.ensure", "id": "secboxctl"},
                    {"type": "link.cycle"},
                    {"type": "link.status", "connected": True},
                    {"type": "welcome", "deviceId": "caseta5", "serverTime": timestamp(), "connection": "9"},
                    {"type": "challenge", "nonce": "n", "serverTime": timestamp()},
                    {"type": "probe.result", "id": "p", "device": "ok", "mgmt": "ok"}, {"type": "probe", "id": "p-1"},
                    {"type": "status.get", "id": "after"}):
        connection.send(message)
    assert connection.receive("probe.answer") == {"type": "probe.answer", "id": "p-1"}, "the link's own sign of life"
    assert box.agent.next() == {"type": "status.get", "id": "after"}
    box.agent.send("this is not JSON")
    box.agent.send({"type": "hello", "deviceId": "evil"})
    box.agent.send({"type": "unknown.too"})
    box.agent.send({"type": "status.report", "id": "after", "status": {}})
    while (message := connection.next())["type"] == "error":
        pass  # the tunnel tells the cloud what it may not say
    assert message["type"] == "status.report"
    assert box.process.poll() is None
    box.stop()


def test_agent_restarts(cloud, box):
    box.start()
    connection = cloud.next_connection()
    box.agent.wait_connected()
    box.agent.close()
    wait_until(lambda: "waiting for mgmt-agent" in box.logged(), "the loss of mgmt-agent")
    connection.send({"type": "status.get", "id": "asked"})
    connection.send({"type": "compose.confirm", "id": "d1", "version": "7", "nonce": "n"})
    box.agent.open()
    assert [box.agent.next()["type"] for _ in range(4)] == ["link.hello", "link.status", "status.get",
                                                            "compose.confirm"]
    assert not connection.closed.is_set()
    box.stop()


def test_cloud_restarts(cloud, box):
    box.start()
    cloud.next_connection()
    box.agent.wait_connected()
    cloud.stop_tunnels()
    down = box.agent.wait_connected(False)
    assert down["error"]["id"] and down["error"]["message"]
    assert down["nextTryAt"] >= down["since"], "and when it is tried again"
    box.agent.send({"type": "compose.result", "id": "d1", "version": "7", "status": 200, "phase": "done",
                    "outcome": "done", "at": timestamp()})
    cloud.start_tunnels()
    assert cloud.next_connection().receive("compose.result")["id"] == "d1"
    box.agent.wait_connected()
    box.stop()


def test_goaway(cloud, box):
    box.start()
    first = cloud.next_connection()
    box.agent.wait_connected()
    first.send({"type": "goaway", "reason": "restart", "retryAfterSeconds": 1, "spreadSeconds": 0})
    assert first.closed.wait(PATIENCE_SECONDS)
    assert box.agent.wait_fault()["error"]["id"] == "tunnel.goaway"
    assert cloud.next_connection().number == 2
    box.stop()


def test_cycle(cloud, box):
    box.start()
    first = cloud.next_connection()
    box.agent.wait_connected()
    box.agent.send({"type": "link.cycle"})
    second = cloud.next_connection()
    assert first.closed.wait(PATIENCE_SECONDS)
    box.agent.wait_connected()
    second.send({"type": "status.get", "id": "new"})
    assert box.agent.receive("status.get")["id"] == "new"
    box.stop()


def test_token_in_band_and_refused(cloud, box):
    box.start()
    connection = cloud.next_connection()
    box.agent.wait_connected()
    old = cloud.last_token
    token = make_token("caseta5", 4 * 86400)
    connection.send({"type": "auth.token", "token": token, "expiresAt": timestamp(4 * 86400)})
    wait_until(lambda: read_text(box.state("token")).strip() == token, "the new token in its file")
    assert not connection.closed.is_set()
    connection.send({"type": "auth.token", "token": make_token("another-box"), "expiresAt": timestamp(60)})
    connection.send({"type": "auth.token", "token": "garbage", "expiresAt": timestamp(60)})
    box.agent.send({"type": "link.cycle"})
    cloud.next_connection()
    assert cloud.upgrades[-1][1] == token != old
    box.agent.wait_connected()
    # a refused token leads to another one, not to a loop
    cloud.refuse_token = token
    box.agent.send({"type": "link.cycle"})
    cloud.next_connection()
    assert cloud.upgrades[-1][1] == cloud.last_token != token
    assert sum(1 for _, t in cloud.upgrades if t == token) == 2
    box.stop()
    assert token not in box.logged()


@pytest.mark.parametrize("change, identifier", [
    ({"CLOUD_BASE_URL": "${CLOUD_BASE_URL:-https://cloud.example}"}, "env.unexpanded"),
    ({"MGMT_GATEWAY_URL": "https://cloud.example/mgmt"}, "env.bad-value"),
    ({"DEVICE_ID": None}, "env.missing-keys"),
    (None, "env.missing"),
])
def test_bad_configuration_is_reported_once_and_waited_on(cloud, box, change, identifier):
    if change is None:
        os.unlink(box.env_path)
    else:
        box.write_env(**change)
    box.start()
    status = box.agent.wait_fault()
    assert status["connected"] is False and status["error"]["id"] == identifier
    assert not cloud.claims and not cloud.upgrades
    assert box.process.poll() is None
    assert box.logged().count(f"[{identifier}]") == 1
    box.write_env()
    box.process.send_signal(signal.SIGHUP)
    cloud.next_connection()
    box.agent.wait_connected()
    box.stop()


def test_refused_claim_is_reported(cloud, box):
    cloud.claim_status = 409
    box.start()
    assert box.agent.wait_fault()["error"]["id"] == "device.bootstrap-reused"
    assert not cloud.upgrades
    box.stop()
    assert "bootstrap-secret-1" not in box.logged()


def test_credentials_directory(cloud, box):
    credentials = os.path.join(box.root, "credentials")
    os.mkdir(credentials)
    os.rename(box.env_path, os.path.join(credentials, "mgmt-agent.env"))
    box.start(CREDENTIALS_DIRECTORY=credentials)
    cloud.next_connection()
    box.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_privileges_are_dropped(cloud, box):
    box.start("--user", "nobody")
    cloud.next_connection()
    box.agent.wait_connected()
    lines = read_text(f"/proc/{box.process.pid}/status").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert set(status["Uid"].split()) == {"65534"}
    assert set(status["Gid"].split()) == {"65534"}
    assert status["Groups"].split() == []
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0
    assert os.stat(box.state()).st_uid == 65534
    box.stop()


def test_service_manager_is_told(cloud, box):
    path = os.path.join(box.root, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(PATIENCE_SECONDS)
        box.start(NOTIFY_SOCKET=path, WATCHDOG_USEC="200000")
        told = set()
        while not {"READY=1", "WATCHDOG=1", f"STATUS=connected to {cloud.url('mgmt')}"} <= told:
            told.update(manager.recv(4096).decode().splitlines())
        box.stop()


def test_command_line():
    require_programs("mgmt-link")
    assert subprocess.run([program("mgmt-link"), "--help"], stdout=subprocess.PIPE, check=True).stdout
    assert subprocess.run([program("mgmt-link"), "--nonsense"], stderr=subprocess.DEVNULL, check=False).returncode == 2


def test_f34_full_queue_keeps_what_matters(cloud, box):
    box.start()
    connection = cloud.next_connection()
    box.agent.wait_connected()
    box.agent.close()
    wait_until(lambda: "waiting for mgmt-agent" in box.logged(), "the loss of mgmt-agent")
    connection.send({"type": "compose.confirm", "id": "d1", "version": "7", "nonce": "n"})
    for n in range(400):
        connection.send({"type": "status.get", "id": f"s{n}"})
    # an answer to what came last shows that all of it has been read
    connection.send({"type": "env.ensure", "id": "refused"})
    assert connection.receive("error")["id"] == "refused"
    box.agent.open()
    assert box.agent.receive("link.status")["connected"]
    assert box.agent.next()["type"] == "compose.confirm"
    first = int(box.agent.next()["id"].removeprefix("s"))
    assert 400 - 256 < first < 160, "the oldest questions went first"
    assert [box.agent.next()["id"] for _ in range(first + 1, 400)] == [f"s{n}" for n in range(first + 1, 400)]
    box.stop()

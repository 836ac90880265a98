# SPDX-License-Identifier: MIT
"""The minimal secbox: its configuration, its tunnel, its heartbeat."""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from tests.conftest import require_programs
from tests.integration.fake_cloud import FakeCloud
from tests.lab.authority import Authority
from tests.lab.connect_proxy import ConnectProxy
from tests.lab.util import bin_dir, program, read_text, wait_until


class SecBox:
    def __init__(self, cloud):
        self.folder = tempfile.mkdtemp(prefix="secbox-data-")
        self.log = os.path.join(self.folder, "log")
        self.heartbeat = os.path.join(self.folder, "run", "heartbeat")
        self.env = {"PATH": os.environ["PATH"], "CLOUD_BASE_URL": cloud.cloud_url, "DEVICE_ID": "caseta5",
                    "BOOTSTRAP": "bootstrap-secret-1", "DEVICE_GATEWAY_URL": cloud.url("device"),
                    "SECBOX_STATE": os.path.join(self.folder, "state"), "SECBOX_RUN": os.path.join(self.folder, "run")}
        self.process = None

    def run(self, *arguments, **change):
        env = {key: value for key, value in {**self.env, **change}.items() if value is not None}
        return subprocess.run([program("secbox"), *arguments], env=env, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [program("secbox")], env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def close(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def cloud():
    require_programs("secbox")
    with FakeCloud() as it:
        yield it


@pytest.fixture
def box(cloud):
    it = SecBox(cloud)
    yield it
    it.close()


def ask(box, **question):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.connect(os.path.join(box.folder, "run", "control.sock"))
        s.sendall(json.dumps({"type": "data.ask", "id": "q-1", **question}).encode() + b"\n")
        return json.loads(s.makefile("rb").readline())


def test_without_a_container_its_configuration_is_a_file(cloud, box):
    path = os.path.join(box.folder, "secbox.env")

    def write(text):
        with open(path, "w", encoding="ascii") as f:
            f.write(text)

    write(f"export DEVICE_ID='caseta6'\nCLOUD_BASE_URL={cloud.cloud_url}\nBOOTSTRAP=bootstrap-secret-2\n")
    p = box.run("--env-file", path, "--check", CLOUD_BASE_URL=None)
    assert p.returncode == 0 and "device caseta6" in p.stdout, "the file counts over the environment, which fills it up"
    for text, sentence in (("DEVICE_ID=${ID}\n", "${"), ("DEVICE_ID=a b\n", "DEVICE_ID"), ("nonsense\n", "secbox.env")):
        write(text)
        p = box.run("--check", ENV_FILE=path)
        assert p.returncode == 1 and sentence in p.stdout and "secret" not in p.stdout, p
    assert box.run("--check", ENV_FILE=path + "-absent").returncode == 1
    box.start()
    cloud.next_connection()
    wait_until(lambda: ask(box, verb="device").get("report") == {"tunnel": "up"}, "its word that the tunnel is up")
    assert ask(box, verb="queue.status")["error"]["id"] == "sync.no-database"
    cloud.stop_tunnels()
    wait_until(lambda: ask(box, verb="device").get("report") == {"tunnel": "down"}, "its word that it is down")


def test_tunnel_and_heartbeat(cloud, box):
    assert box.run("healthcheck").returncode == 1
    box.start()
    connection = cloud.next_connection()
    assert connection.ws.path == "/device"
    assert connection.hello["role"] == "device" and connection.hello["program"] == "secbox"
    wait_until(lambda: read_text(box.log).count("device tunnel ready") == 1, "the line in the log")
    assert box.run("healthcheck").returncode == 0
    connection.send({"type": "from.the.future"})
    connection.send({"type": "probe", "id": "p-1"})
    assert connection.receive("probe.answer") == {"type": "probe.answer", "id": "p-1"}
    cloud.stop_tunnels()
    cloud.start_tunnels()
    assert cloud.next_connection().hello["deviceId"] == "caseta5"
    box.process.send_signal(signal.SIGTERM)
    assert box.process.wait() == 0
    assert "bootstrap-secret-1" not in read_text(box.log)
    with open(box.heartbeat, "w", encoding="ascii") as f:
        f.write(f"{max(int((time.clock_gettime(time.CLOCK_BOOTTIME) - 60) * 1e6), 0)}\n")
    stale = box.run("healthcheck")
    assert stale.returncode == 1 and "old" in stale.stdout
    with open(box.heartbeat, "w", encoding="ascii") as f:
        f.write("nonsense\n")
    assert box.run("healthcheck").returncode == 1


@pytest.mark.parametrize("password", ["hunter2", "x?hunter2", "x%2Fhunter2"])
def test_the_log_begins_with_what_it_is(cloud, box, password):
    box.env["DATABASE_URL"] = f"postgresql://u:{password}@127.0.0.1:1/d?application_name=x"
    box.start()
    cloud.next_connection()
    first = read_text(box.log).splitlines()[:3]
    commit = read_text(os.path.join(os.path.dirname(bin_dir()), "commit")).split()[0]
    assert f"commit {commit} of 2" in first[0]
    assert "box caseta5" in first[1] and cloud.url("device") in first[1]
    assert "database 127.0.0.1:1/d; asked on" in first[2]
    assert "hunter2" not in read_text(box.log)


def test_a_database_url_that_cannot_be_read_does_not_cost_the_tunnel(cloud, box):
    fault = os.path.join(box.env["SECBOX_RUN"], "config-fault.json")
    box.env["DATABASE_URL"] = "postgresql://u:hunter2@127.0.0.1:1/d?no_such_option=1"
    box.env["LAN_LISTEN"] = "off"
    box.start()
    cloud.next_connection()
    told = json.loads(read_text(fault))
    assert told["program"] == "secbox" and told["error"]["id"] == "store.bad-config"
    assert "runs without a database" in read_text(box.log) and "hunter2" not in read_text(box.log) + read_text(fault)
    box.process.terminate()
    assert box.process.wait() == 0
    del box.env["DATABASE_URL"]
    box.start()
    cloud.next_connection()
    assert not os.path.exists(fault)


def write_file(path, *sources):
    text = "".join(read_text(source) if source.startswith("/") else source for source in sources)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def test_a31_tls_is_spoken_with_the_gateway_through_the_proxy(folder):
    require_programs("secbox")
    authority, authorities = Authority(os.path.join(folder, "authority")), os.path.join(folder, "cloud-ca.pem")
    write_file(authorities, authority.file)
    with FakeCloud(tls=authority.server_context()) as cloud, contextlib.closing(SecBox(cloud)) as box, ConnectProxy() as proxy:
        box.env |= {"CLOUD_CA_FILE": authorities, "LAN_LISTEN": "off", "https_proxy": f"http://127.0.0.1:{proxy.port}"}
        box.start()
        assert cloud.next_connection().hello["role"] == "device"
        assert proxy.connects == [f"127.0.0.1:{cloud.port}"]


def test_an_edit_of_the_authorities_is_taken_or_told_and_the_tunnel_stays(folder):
    require_programs("secbox")
    good, other = Authority(os.path.join(folder, "good")), Authority(os.path.join(folder, "other"), "other authority")
    with FakeCloud(tls=good.server_context()) as cloud, contextlib.closing(SecBox(cloud)) as box:
        authorities, fault = os.path.join(folder, "cloud-ca.pem"), os.path.join(box.env["SECBOX_RUN"], "config-fault.json")
        write_file(authorities, good.file)
        box.env |= {"CLOUD_CA_FILE": authorities, "LAN_LISTEN": "off",
                    "DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/d?no_such_option=1"}
        box.start()
        tunnel = cloud.next_connection()

        def told(identifier):
            error = json.loads(read_text(fault) or "{}").get("error", {})
            return error["message"] if error.get("id") == identifier else None

        def wait_told(identifier):
            return wait_until(lambda: told(identifier), f"secbox tells {identifier}", box.process.poll)

        wait_told("store.bad-config")
        write_file(authorities, other.file)
        assert authorities in wait_told("config.unreachable") and "is refused" in told("config.unreachable")
        write_file(authorities, "no certificate\n")
        assert authorities in wait_told("stream.tls-files")
        write_file(authorities, other.file, good.file)
        wait_told("store.bad-config")  # which is still so
        wait_until(lambda: "CLOUD_CA_FILE has changed: taken" in read_text(box.log), "the log says so", box.process.poll)
        tunnel.send({"type": "probe", "id": "p-1"})
        tunnel.receive("probe.answer")
        assert not tunnel.closed.is_set() and cloud.connections.empty(), "nobody is thrown out"
        box.process.terminate()
        assert box.process.wait() == 0


def test_a_configuration_that_ends_it_is_told(box):
    fault = os.path.join(box.env["SECBOX_RUN"], "config-fault.json")
    os.mkdir(box.env["SECBOX_RUN"])
    nothing = os.path.join(box.folder, "ca.pem")
    write_file(nothing, "no certificate\n")
    secure = box.env["DEVICE_GATEWAY_URL"].replace("ws:", "wss:")
    assert box.run(CLOUD_CA_FILE=nothing, DEVICE_GATEWAY_URL=secure).returncode == 1
    told = json.loads(read_text(fault))["error"]
    assert told["id"] == "stream.tls-files" and nothing in told["message"]
    os.unlink(fault)
    assert box.run("--check", DEVICE_GATEWAY_URL=None).returncode == 1 and not os.path.exists(fault)
    assert box.run(DEVICE_GATEWAY_URL=None).returncode == 1
    assert json.loads(read_text(fault))["error"]["id"] == "config.no-gateway"
    said = os.path.join(box.folder, "box.env")
    write_file(said, "DEVICE_ID=caseta5\n")
    missing = box.run("--check", "--env-file", said, DEVICE_GATEWAY_URL=None)
    assert missing.returncode == 1 and f"{said} lacks DEVICE_GATEWAY_URL" in missing.stdout, missing


def test_check(box):
    good = box.run("--check")
    assert good.returncode == 0 and "caseta5" in good.stdout
    assert not os.path.exists(box.env["SECBOX_STATE"])
    assert box.run("--check", BOOTSTRAP=None).returncode == 0


def test_what_has_no_effect_is_said(box):
    idle = box.run("--check", ENTRY_CAMERA="entrada")
    assert idle.returncode == 0 and "ENTRY_CAMERA has no effect without FRIGATE_URL" in idle.stdout, idle
    assert "no effect" not in box.run("--check", ENTRY_CAMERA="entrada", FRIGATE_URL="http://127.0.0.1:5000").stdout
    assert "no effect" not in box.run("--check").stdout


@pytest.mark.parametrize("change, names", [
    ({"CLOUD_BASE_URL": "${CLOUD_BASE_URL:-https://cloud.example}"}, ["CLOUD_BASE_URL", "${"]),
    ({"CLOUD_BASE_URL": ""}, ["CLOUD_BASE_URL"]),
    ({"DEVICE_ID": None, "CLOUD_BASE_URL": None}, ["DEVICE_ID", "CLOUD_BASE_URL"]),
    ({"DEVICE_GATEWAY_URL": None}, ["DEVICE_GATEWAY_URL"]),
    ({"DEVICE_GATEWAY_URL": "https://cloud.example/device"}, ["DEVICE_GATEWAY_URL", "wss://"]),
    ({"CLOUD_CA_FILE": "relative.pem"}, ["CLOUD_CA_FILE"]),
])
@pytest.mark.parametrize("arguments", [["--check"], []])
def test_wrong_configuration_ends_at_once(cloud, box, arguments, change, names):
    ended = box.run(*arguments, **change)
    assert ended.returncode == 1
    for name in names:
        assert name in ended.stdout
    assert "bootstrap-secret-1" not in ended.stdout
    assert not cloud.claims and not cloud.upgrades


def test_command_line(box):
    assert box.run("--help").returncode == 0
    assert box.run("frobnicate").returncode == 2
    assert box.run("--frobnicate").returncode == 2

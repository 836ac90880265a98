# SPDX-License-Identifier: MIT
"""secbox-gateway from its unit, on a Debian 12 with systemd as process 1, with the drop-in that is shipped: port 443, and a
certificate that `systemctl reload` renews."""
import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import types
import urllib.error
import urllib.request

import pytest

from tests.conftest import require_programs, skip
from tests.integration.test_proxies import poster
from tests.lab import program_image, readme, whole_box
from tests.lab.authority import Authority
from tests.lab.device import Device, Tunnel
from tests.lab.postgres import Postgres
from tests.lab.sshd import make_key
from tests.lab.util import ROOT, LabError, program, read_text, wait_until

NAME = "secbox-gateway"


class PostgresPort:
    """A PostgreSQL that listens to a folder, at an address and port."""

    def __init__(self, postgres, address):
        self.path = os.path.join(postgres.dir, ".s.PGSQL.5432")
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self.path)
                for a, b in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=(a, b), daemon=True).start()

    @staticmethod
    def _copy(a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)

    def close(self):
        self.listener.close()


@pytest.fixture(scope="module")
def machine():
    require_programs("secbox-gateway")
    why = whole_box.why_not()
    if why:
        skip(f"no whole box here: {why}")
    folder = tempfile.mkdtemp(prefix="secbox-gateway-")
    try:
        box = whole_box.WholeBox("gateway")
    except LabError as e:
        skip(f"a whole box does not start here: {e}")
    for path in program_image.libraries(program(NAME)):  # a box has no use for PostgreSQL's
        if not os.path.exists(box.host.seen(path)):
            shutil.copy(path, box.host.seen(path))
    postgres = Postgres()
    postgres.start()
    with box, contextlib.closing(PostgresPort(postgres, box.gateway_address)) as port:
        user = dict(word.split("=") for word in postgres.conninfo.split())["user"]
        box.write("/etc/secbox-gateway.env", f"SECBOX_GATEWAY_DATABASE='host={box.gateway_address} port={port.port} "
                  f"dbname=postgres user={user} sslmode=disable gssencmode=disable'\n", 0o600)
        yield types.SimpleNamespace(box=box, folder=folder, authority=Authority(os.path.join(folder, "authority")))
    postgres.stop()
    shutil.rmtree(folder, ignore_errors=True)


def put_certificate(machine):
    """A new one where the shipped options have it."""
    box = machine.box
    files = machine.authority.issue(name="cloud", hosts=(box.address,))
    box.run("install", "-d", "-m", "750", "-g", NAME, "/etc/secbox-gateway")
    for path in files:
        inside = f"/etc/secbox-gateway/{os.path.basename(path)}"
        box.write(inside, read_text(path), 0o640)
        box.run("chgrp", NAME, inside)


def serial_of(machine):
    context = ssl.create_default_context(cafile=machine.authority.file)
    with socket.create_connection((machine.box.address, 443), timeout=120) as s:
        with context.wrap_socket(s, server_hostname=machine.box.address) as tls:
            return tls.getpeercert()["serialNumber"]


def listens(machine):
    with contextlib.suppress(OSError):
        return serial_of(machine)
    return None


def test_the_shipped_drop_in(machine):
    box = machine.box
    put_certificate(machine)
    os.makedirs(box.host.seen(f"/etc/systemd/system/{NAME}.service.d"))
    shipped = f"{ROOT}/installer/proxy/gateway-tls.conf"
    box.write(f"/etc/systemd/system/{NAME}.service.d/tls.conf", read_text(shipped))
    options = readme.options_of(shipped).replace("https://cloud.example", f"https://{box.address}")
    box.write("/etc/secbox-gateway.env", f"{box.read('/etc/secbox-gateway.env')}{options}\n", 0o600)
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "enable", "--now", NAME)
    url = f"https://{box.address}"
    wait_until(lambda: listens(machine), "it listens on port 443")
    status = box.status_of(box.main_pid(NAME))
    assert int(status["CapEff"], 16) == 1 << 10, "it may bind, and nothing else"
    assert status["NoNewPrivs"] == "1" and set(status["Uid"].split()) == {box.run("id", "-u", NAME).stdout.strip()}

    token = box.run(f"/usr/sbin/{NAME}", "tokens", "add", "lab").stdout.split()[-1]
    context = ssl.create_default_context(cafile=machine.authority.file)
    post = poster(url, context)
    bearer = {"Authorization": f"Bearer {token}"}
    device = Device(url, post, "caseta5", post("/v1/devices", {"id": "caseta5", "labels": {}}, bearer).json["bootstrap"])
    assert device.claim().status == 201
    tunnel = Tunnel(url.replace("http", "ws", 1) + "/mgmt", device.token, device.hello(), tls=context)
    assert tunnel.next()["type"] == "welcome"

    first, pid = serial_of(machine), box.main_pid(NAME)
    put_certificate(machine)
    box.run("systemctl", "reload", NAME)
    wait_until(lambda: serial_of(machine) != first, "the new certificate is shown")
    assert box.main_pid(NAME) == pid and tunnel.silent() == [], "the tunnel stays"
    wait_until(lambda: box.unit(NAME, "ActiveState")["ActiveState"] == "active", "the reload is over")
    # what it may not read it names, with the user; and the one before stays
    second = serial_of(machine)
    box.run("chmod", "600", "/etc/secbox-gateway/cloud.key")
    box.run("chgrp", "root", "/etc/secbox-gateway/cloud.key")
    box.run("systemctl", "reload", NAME)
    says = f"cannot read /etc/secbox-gateway/cloud.key: Permission denied for the user {NAME}"
    wait_until(lambda: says in box.run("journalctl", "-u", NAME, "-o", "cat", "--no-pager").stdout, "it says so")
    assert serial_of(machine) == second
    wait_until(lambda: "old certificate" in box.unit(NAME, "StatusText")["StatusText"], "and so does systemctl status")
    tunnel.close()


# of the machine on which the tests run
NOT_OURS = {"time-sync"}


def findings(machine):
    """What `secbox-gateway doctor` finds, as root types it on the gateway's machine."""
    p = machine.box.run(f"/usr/sbin/{NAME}", "doctor", "--json", check=False)
    found = {c["id"]: c for c in json.loads(p.stdout)["checks"]}
    return {name: c for name, c in found.items() if c["result"] != "pass" and name not in NOT_OURS}


def well(machine):
    try:
        wait_until(lambda: not findings(machine), "the gateway is well")
    except LabError as e:
        pytest.fail(f"{e}: {findings(machine)}")


# what the tests of the doctor's sentences have a stand-in of systemctl for: (plant, check, remedy)
FAULTS = {
    "stopped": (f"systemctl stop {NAME}", "serving", f"systemctl start {NAME}"),
    "port-taken": (f"systemctl stop {NAME} && systemd-run -q --unit thief python3 -m http.server 443 && "
                   "until ss -ltn | grep -q :443; do sleep 0.1; done", "serving",
                   f"systemctl stop thief.service && systemctl restart {NAME}"),
    "env-mode": ("sed -i '/^SECBOX_GATEWAY_DATABASE=/s/sslmode/password=given &/' /etc/secbox-gateway.env && "
                 "chmod 0644 /etc/secbox-gateway.env", "env-file", "chmod o= /etc/secbox-gateway.env"),
    "key-owner": ("chown nobody:root /etc/secbox-gateway/cloud.key && chmod 0600 /etc/secbox-gateway/cloud.key", "key",
                  f"chgrp {NAME} /etc/secbox-gateway/cloud.key && chmod g+r /etc/secbox-gateway/cloud.key && "
                  f"systemctl reload {NAME}"),
}


def test_the_doctor_reads_what_the_unit_reads_and_names_what_systemctl_mends(machine):
    box = machine.box
    put_certificate(machine)
    box.run("systemctl", "reload", NAME)
    well(machine)
    for name, (plant, check, remedy) in FAULTS.items():
        box.run("sh", "-euc", plant)
        found = wait_until(lambda c=check: findings(machine).get(c), f"it finds {name}")
        assert found.get("remedy") == remedy and found["remedyFor"] == "gateway", (name, found)
        box.run("sh", "-euc", remedy)
        well(machine)
    assert listens(machine)


def test_the_signers_key_is_out_of_the_gateways_reach(machine, tmp_path):
    """Its user and group may neither read the file nor look into the process, which comes back when it was killed."""
    box, signer, key = machine.box, f"{NAME}-signer", f"/var/lib/{NAME}/support-ca.pem"
    token = box.run(f"/usr/sbin/{NAME}", "tokens", "add", "--role", "admin", "certifier").stdout.split()[-1]
    post = poster(f"https://{box.address}", ssl.create_default_context(cafile=machine.authority.file))
    bearer = {"Authorization": f"Bearer {token}"}
    post("/v1/devices", {"id": "caseta6", "labels": {}}, bearer)
    public = make_key(str(tmp_path / "key"))

    def certify():
        grant = post("/v1/grants", {"device": "caseta6", "reason": "to see"}, bearer).json["grant"]["id"]
        return post(f"/v1/grants/{grant}/certificate", {"publicKey": public}, bearer)
    assert "certificate" in certify().json
    assert box.run("stat", "-c", "%U %a", key).stdout.split() == ["root", "600"]
    pid = box.main_pid(f"{signer}.service")
    status = box.status_of(pid)
    assert int(status["CapEff"], 16) == 0 and status["NoNewPrivs"] == "1", status
    assert set(status["Uid"].split()) == {box.run("id", "-u", NAME).stdout.strip()}
    as_gateway = ["setpriv", "--reuid", NAME, "--regid", NAME, "--init-groups", "--inh-caps=-all", "--bounding-set=-all"]
    for path in (key, f"/proc/{pid}/mem", f"/proc/{pid}/environ", f"/proc/{pid}/fd/3"):
        p = box.run(*as_gateway, "head", "-c", "1", path, check=False)
        assert p.returncode == 1 and "Permission denied" in p.stderr, (path, p)
    gateway = box.main_pid(NAME)
    box.run("systemctl", "kill", "-s", "KILL", signer)

    def again():
        with contextlib.suppress(urllib.error.HTTPError):  # asked in the moment in which it was killed
            return certify()
        return None
    assert "certificate" in wait_until(again, "it signs again").json and box.main_pid(NAME) == gateway
    assert box.main_pid(f"{signer}.service") != pid


def test_an_edit_of_its_own_env_file_is_told(machine):
    """The unit's environment never changes, so the edit waits for a restart; until then it is said everywhere."""
    box = machine.box
    token = box.run(f"/usr/sbin/{NAME}", "tokens", "add", "reader").stdout.split()[-1]
    context = ssl.create_default_context(cafile=machine.authority.file)

    def alarms():
        request = urllib.request.Request(f"https://{box.address}/v1/audit?limit=200", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=120, context=context) as answer:
            entries = json.load(answer)["entries"]
        return [e for e in entries if e["action"] == "config.fault" and "secbox-gateway.env has changed" in json.dumps(e)]

    box.run("systemctl", "restart", NAME)
    before = wait_until(lambda: listens(machine) and [alarms()], "it listens")[0]
    box.run("sh", "-c", "echo '# edited' >>/etc/secbox-gateway.env")
    told = wait_until(lambda: (a := alarms()) and len(a) > len(before) and a, "the alarm")
    assert told[0]["alarm"] and f"systemctl restart {NAME}" in json.dumps(told[0]), told
    assert f"/etc/{NAME}.env has changed" in box.run("journalctl", "-u", NAME, "-o", "cat", "--no-pager").stdout
    status = box.unit(NAME, "StatusText")["StatusText"]
    assert "env" in status, status
    box.run("sh", "-c", "echo '# and again' >>/etc/secbox-gateway.env")
    box.run("systemctl", "restart", NAME)
    wait_until(lambda: listens(machine), "it listens with the edited file")
    assert len(alarms()) == len(before) + 1, "one alarm for however many edits"
    assert "env" not in box.unit(NAME, "StatusText")["StatusText"]


def test_nothing_of_a_box_came_with_it(machine):
    box = machine.box
    assert box.run("test", "-e", "/etc/ssh/sshd_config.d/secbox.conf", check=False).returncode == 1
    assert box.run("sh", "-c", "ls /usr/lib/systemd/system | grep -c -e mgmt- -e recovery", check=False).stdout.strip() == "0"
    box.run("systemctl", "disable", "--now", NAME)
    assert box.unit(NAME, "ActiveState")["ActiveState"] == "inactive"

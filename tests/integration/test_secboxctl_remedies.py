# SPDX-License-Identifier: MIT
"""What `secboxctl doctor` has root type, and what nobody who is not root can make it print."""
# pylint: disable=redefined-outer-name,unused-import
import contextlib
import getpass
import json
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from tests.integration.fake_agent import STATUS
from tests.integration.test_secboxctl import AGENT_ENV, agent_fixture, check, ctl_fixture, type_it
from tests.lab import isolate
from tests.lab.preload import preloaded
from tests.lab.util import program

KEPT_ENV = "var/lib/tucomunidad/mgmt-link/kept.env"
KEPT_CA = "var/lib/tucomunidad/recovery/ca.pem"
YEARS = 86400 * 365 * 3


def tell(agent, **status):
    agent.answers["status.get"] = [{"type": "status.report", "status": {**STATUS, **status}}]


def refused(why):
    return {"connected": False, "gateway": "wss://c/mgmt",
            "error": {"id": "stream.tls", "message": f"the certificate of c:443 is refused: {why}"}}


def hear_time(ctl, at):
    """What recovery-agent leaves: a time of the gateway's, and how long the machine had run then."""
    path = os.path.join(ctl.root, "run/tucomunidad/recovery/gateway-time")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    heard = time.clock_gettime(time.CLOCK_BOOTTIME) - 60
    with open(path, "w", encoding="ascii") as f:
        f.write(f"{int((at - 60) * 1e6)} {int(heard * 1e6)}\n")


@pytest.mark.parametrize("ahead", [-YEARS, YEARS, 0])
def test_doctor_judges_the_clock_by_the_gateways(ctl, agent, folder, ahead):
    ctl.env_files()
    hear_time(ctl, time.time())
    ctl.env.update(preloaded("wrong-clock", folder), SECBOX_CLOCK_OFFSET=str(ahead))
    tell(agent, link=refused("certificate has expired"))
    clock, tunnel = check(ctl, "clock"), check(ctl, "tunnel")
    if ahead == 0:
        assert clock["result"] == "pass" and "Renew it" in tunnel["advice"]
        return
    right = time.gmtime()
    assert clock["result"] == "fail" and time.strftime("the gateway's says %Y-", right) in clock["detail"], clock
    assert re.fullmatch(time.strftime("date -u -s '%Y-%m-", right) + r"\d\d \d\d:\d\d:\d\d'", clock["remedy"]), clock
    assert "this box's clock, not the certificate" in tunnel["advice"] and "remedy" not in tunnel
    ctl.env["SECBOX_CLOCK_SYNCHRONISED"] = "1"
    clock = check(ctl, "clock")
    assert clock["result"] == "fail" and "remedy" not in clock and "compare both with a third one" in clock["advice"], clock


@pytest.mark.parametrize("year", [2020, 9999])
def test_doctor_takes_no_time_that_cannot_be(ctl, year):
    """It is older than the program, or nobody's."""
    ctl.env_files()
    hear_time(ctl, (year - 1970) * 365.2425 * 86400)
    assert check(ctl, "clock")["result"] == "pass"


def test_doctor_brings_back_the_env_file_that_worked_last(ctl):
    path, secbox = ctl.env_files()
    user = "nobody" if os.geteuid() == 0 else getpass.getuser()
    text = f"{AGENT_ENV}PODMAN_USER={user}\nUPDATE_MONITOR_ONLY=1\nSSH_PORT=2022\n"
    os.unlink(path)
    kept = ctl.write(KEPT_ENV, text)
    found = check(ctl, "mgmt-agent.env")
    command, restart = found["remedy"].rsplit(" && ", 1)
    assert restart == "systemctl restart mgmt-agent mgmt-link" and "secbox-fleet devices bootstrap" in found["advice"]
    type_it(command)
    with open(path, encoding="utf-8") as f:
        assert f.read() == text and os.stat(path).st_mode & 0o7777 == 0o600
    # mgmt-link could have written all of it: it does not make the containers root's, nor another's
    os.unlink(path)
    for wrong in ("PODMAN_USER=root\n#", "PODMAN_USER=daemon\n#", "PODMAN_USER=no-such-user\n#"):
        ctl.write(KEPT_ENV, text.replace("PODMAN_USER=", wrong))
        assert "remedy" not in check(ctl, "mgmt-agent.env"), wrong
    ctl.write(KEPT_ENV, "DEVICE_ID=x\n")
    assert "remedy" not in check(ctl, "mgmt-agent.env")
    ctl.write(KEPT_ENV, text)
    assert "remedy" in check(ctl, "mgmt-agent.env")
    if os.geteuid() == 0:
        os.chown(secbox, 12345, -1)
        assert "remedy" not in check(ctl, "mgmt-agent.env"), "the containers are another user's"
        os.chown(secbox, 0, -1)
        os.chown(kept, 12345, -1)
        assert "remedy" not in check(ctl, "mgmt-agent.env"), "mgmt-link has not written it"
    os.rename(kept, f"{ctl.root}/secret")
    os.symlink(f"{ctl.root}/secret", kept)
    assert "remedy" not in check(ctl, "mgmt-agent.env"), "root would read what mgmt-link must not"
    os.unlink(kept)
    assert "remedy" not in check(ctl, "mgmt-agent.env")


def make_authority(path, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    "/dev/null", "-out", path, "-subj", f"/CN={name}"], check=True, capture_output=True)
    shown = subprocess.run(["openssl", "x509", "-in", path, "-noout", "-fingerprint", "-sha256"], check=True, capture_output=True,
                           text=True).stdout
    return shown.strip().split("=")[1].replace(":", "").lower()


def test_doctor_brings_back_the_authority_that_worked_last(ctl, agent):
    authority = ctl.write("authority.pem", "")
    ctl.env_files(agent=f"{AGENT_ENV}CLOUD_CA_FILE={authority}\nPODMAN_USER={getpass.getuser()}\n")
    tell(agent, link=refused("unable to get local issuer certificate"))
    make_authority(authority, "another")
    assert "remedy" not in check(ctl, "tunnel"), "nothing is kept"
    kept = ctl.write(KEPT_CA, "")
    fingerprint = make_authority(kept, "cloud")
    with open(kept, encoding="ascii") as f:
        good = f.read()
    found = check(ctl, "tunnel")
    assert fingerprint in found["advice"] and "remedy" in found, found
    secret = ctl.write("secret", "root:$y$j9T$hash:1::::::\n")
    for bad in ("", "root:$y$j9T$hash:1::::::\n", f"{good}-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", good * 9):
        ctl.write(KEPT_CA, bad)
        assert "remedy" not in check(ctl, "tunnel"), bad
    os.unlink(kept)
    for target in (secret, ctl.write("good.pem", good)):
        os.symlink(target, kept)
        assert "remedy" not in check(ctl, "tunnel"), "root would read what recovery-agent must not"
        os.unlink(kept)
    ctl.write(KEPT_CA, good)
    if os.geteuid() == 0:
        os.chown(kept, 12345, -1)
        assert "remedy" not in check(ctl, "tunnel"), "recovery-agent has not written it"
        os.chown(kept, 0, -1)
    type_it(check(ctl, "tunnel")["remedy"])
    with open(authority, encoding="ascii") as f:
        assert f.read() == good and os.stat(authority).st_mode & 0o7777 == 0o644
    assert "remedy" not in check(ctl, "tunnel"), "it is the same by now"


@pytest.mark.parametrize("name", ["web;touch x", "web $(id)", "-a", ""])
def test_doctor_has_root_type_no_container_that_is_more_than_a_name(ctl, agent, name):
    """Whoever has the podman user names the containers, also so that one's name says to run something."""
    trouble = {"what": "down", "since": "2026-01-02T03:04:05.000Z", "exitCode": 1, "restarts": 1}
    well, ill = ({**STATUS["services"][0], "name": service, "container": container} for service, container in
                 (("secbox", "good"), ("odd", name)))
    ctl.env_files()

    def look(*watched):
        tell(agent, services=[well, ill], watched=[{"name": one, "since": trouble["since"], **more} for one, more in watched])
        return check(ctl, "services")

    down, by_hand = {"state": "down", "trouble": trouble}, {"state": "stopped by hand"}
    assert look(("secbox", down))["remedy"].endswith("podman start good")
    for watched in ([("odd", down)], [("secbox", down), ("odd", down)],
                    [("odd", {"state": "unhealthy", "trouble": {**trouble, "what": "unhealthy"}})]):
        found = look(*watched)
        assert found["result"] == "fail" and "remedy" not in found and "podman logs" in found["advice"], found
    assert "podman start good" in look(("secbox", by_hand))["detail"]
    found = look(("odd", by_hand))
    assert found["result"] == "pass" and "podman start" not in json.dumps(found), found
    forgotten = {**by_hand, "trouble": {**trouble, "what": "stopped by hand"}}
    assert look(("secbox", forgotten))["remedy"].endswith("podman start good")
    found = look(("odd", forgotten))
    assert found["result"] == "fail" and "podman start" not in json.dumps(found), found


def test_doctor_gives_a_service_that_nobody_can_reach_a_fresh_start(ctl, agent):
    """An older version would be cut off, too: there is nothing wrong with this one."""
    why = "it runs, and nobody listens on its published port 8080/tcp: podman's port forwarder is gone"
    trouble = {"what": "unhealthy", "since": "2026-01-02T03:04:05.000Z", "exitCode": 0, "restarts": 2, "log": "all is well\n"}
    ctl.env_files()

    def look(state="unhealthy", **more):
        tell(agent, services=[{**STATUS["services"][0], "name": "web", "container": "web-1"}], wayBack="7",
             watched=[{"name": "web", "state": state, "since": trouble["since"], "trouble": {**trouble, **more}}])
        return check(ctl, "services")

    found = look(error=why, cutOff=True)
    assert found["result"] == "fail" and why in found["detail"] and "all is well" not in found["detail"], found
    assert found["remedy"].endswith("podman restart web-1"), found
    assert look()["remedy"] == "secboxctl rollback", "its health check fails"
    assert look(error="podman does not answer")["remedy"] == "secboxctl rollback", "also where podman cannot be asked just now"
    found = look(state="running")
    assert found["result"] == "pass" and "remedy" not in found, "it has got it, and is watched for a while"
    assert look(state="running", what="restarting")["result"] == "fail", "one that ends again and again runs in between"


def drip(listener, sent):
    """Answers a byte at a time, without an end."""
    peer = listener.accept()[0]
    with peer:
        peer.sendall(b"HTTP/1.0 200 OK\r\n")
        try:
            while True:
                peer.sendall(b"x")
                sent.append(1)
                time.sleep(0.02)
        except OSError:
            pass


def test_doctor_does_not_wait_for_an_answer_without_an_end(ctl, agent):
    ctl.env_files()
    sent = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        at = f"127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=drip, args=(listener, sent), daemon=True)
        thread.start()
        tell(agent, link={"connected": False, "gateway": f"wss://{at}/mgmt",
                          "error": {"id": "stream.tls", "message": f"{at} does not speak TLS: is it a TLS port?"}})
        found = check(ctl, "tunnel")
        thread.join()
    assert "answers there in plain HTTP" in found["detail"], found
    assert len(sent) < 4000, "it does not wait until its buffer is full"


# A copy of /etc with a box's own settings, its default route, a podman, and a session of the user's; where the test has them,
# an agent that answers and what systemctl says
MACHINE = """mount --bind "$1/net" /proc/$$/net
[ ! -e "$1/systemctl" ] || mount --bind "$1/systemctl" /usr/bin/systemctl
mount -t tmpfs -o mode=755 none /run
cp -a /etc /run
rm -rf /run/etc/containers /run/etc/resolv.conf
cp -a "$1/etc" "$1/podman" /run
mount --bind /run/etc /etc
mkdir -p /run/user/65534 /run/tucomunidad
[ ! -e "$1/run/tucomunidad" ] || mount --bind "$1/run/tucomunidad" /run/tucomunidad
PATH=/run:$PATH
shift
exec "$@"
"""


class Machine:
    def __init__(self, ctl):
        self.ctl = ctl
        ctl.env_files(agent=f"{AGENT_ENV.replace('http://127.0.0.1:9', 'https://cloud.invalid')}PODMAN_USER=nobody\n")
        info = json.dumps({"version": {"Version": "4.3.1"}, "host": {"cgroupManager": "cgroupfs"}})
        ctl.write("podman", f"#!/bin/sh\n[ \"$1\" != info ] || echo '{info}'\n", 0o755)

    def name_proxy(self):
        """In mgmt-link's unit."""
        setting = "HTTPS_PROXY=http://192.0.2.9:3128"
        self.ctl.write("etc/proxy.conf", f"[Service]\nEnvironment={setting}\n", 0o644)
        self.ctl.write("systemctl", f"#!/bin/sh\ncase \" $* \" in\n*' Environment mgmt-link ') echo {setting} ;;\n"
                                    "*' DropInPaths mgmt-link ') echo /etc/proxy.conf ;;\n*) exit 1 ;;\nesac\n", 0o755)

    def check(self, name, resolv_conf="", router="127.0.0.5", containers_conf=""):
        self.ctl.write("etc/resolv.conf", resolv_conf, 0o644)
        gateway = socket.inet_aton(router)[::-1].hex().upper()
        self.ctl.write("net/route", f"Iface\tDestination\tGateway\nlo\t00000000\t{gateway}\t0003\n", 0o644)
        self.ctl.write("etc/containers/containers.conf", containers_conf, 0o644)
        p = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-euc", MACHINE, "sh", self.ctl.root,
                            program("secboxctl"), "doctor", "--json"], env=self.ctl.env,
                           capture_output=True, text=True, check=False)
        assert p.stdout, p.stderr
        return next(c for c in json.loads(p.stdout)["checks"] if c["id"] == name)


def name_server(address, code):
    """Answers each question with this code, without an end."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 53))

    def serve():
        with contextlib.suppress(OSError):
            while data := s.recvfrom(512):
                question, peer = data
                s.sendto(question[:2] + bytes([0x81, 0x80 | code]) + question[4:], peer)
    threading.Thread(target=serve, daemon=True).start()


in_namespaces = pytest.mark.skipif(os.geteuid() != 0 or not isolate.is_isolated(), reason="needs root in namespaces")


@in_namespaces
def test_doctor_names_the_router_for_name_server_only_where_it_knows_the_cloud(ctl):
    machine = Machine(ctl)
    name_server("127.0.0.5", 0)
    for address, code in (("127.0.0.6", 2), ("127.0.0.7", 3), ("127.0.0.8", 5)):
        name_server(address, code)
        found = machine.check("dns", "nameserver 127.0.0.50\n", address)
        assert "nobody answers at 127.0.0.50" in found["detail"] and "remedy" not in found, (code, found)
    found = machine.check("dns", "nameserver 127.0.0.50\n")
    assert "nameserver 127.0.0.5/" in found["remedy"], found


@in_namespaces
def test_doctor_knows_a_name_server_by_its_interface(ctl):
    found = Machine(ctl).check("dns", "nameserver fe80::1%lo\n")
    assert "nobody answers at fe80::1%lo" in found["detail"], found


@in_namespaces
def test_doctor_leaves_the_clouds_name_to_the_proxy_that_knows_it(ctl, agent):
    machine, up = Machine(ctl), {"connected": True, "gateway": "wss://cloud.invalid/mgmt"}
    name_server("127.0.0.9", 3)
    tell(agent, link=up)
    found = machine.check("dns", "nameserver 127.0.0.9\n")
    assert found["result"] == "fail" and "knows no host cloud.invalid" in found["detail"], found
    machine.name_proxy()
    found = machine.check("dns", "nameserver 127.0.0.9\n")
    assert found["result"] == "pass" and "mgmt-link's proxy knows it" in found["detail"], found
    tell(agent, link={**up, "connected": False})
    assert machine.check("dns", "nameserver 127.0.0.9\n")["result"] == "fail"


@in_namespaces
@pytest.mark.parametrize("identifier", ["http.connect", "stream.proxy"])
def test_doctor_says_which_proxy_the_tunnel_goes_through(ctl, agent, identifier):
    machine = Machine(ctl)
    machine.name_proxy()
    tell(agent, link={"connected": False, "gateway": "wss://cloud.invalid/mgmt",
                      "error": {"id": identifier, "message": "192.0.2.9 does not connect any further"}})
    found = machine.check("tunnel")
    assert "mgmt-link goes through the proxy that HTTPS_PROXY names in /etc/proxy.conf" in found["detail"], found
    assert found["remedy"].startswith("sed -i '/HTTPS_PROXY=/s/^/#/' /etc/proxy.conf && "), found
    assert found["advice"].endswith("Or name a proxy that works."), found


@in_namespaces
@pytest.mark.parametrize("quote", ["'", '"'])
def test_doctor_blames_no_line_that_is_right(ctl, quote):
    machine = Machine(ctl)
    path = "/etc/containers/containers.conf"
    wrong = f"[engine]\n  cgroup_manager = {quote}cgroupfs{quote}\n"
    found = machine.check("cgroup-manager", containers_conf=wrong.replace("cgroupfs", "systemd"))
    assert "remedy" not in found and path not in found["detail"] and "user-bus" in found["advice"], found
    found = machine.check("cgroup-manager", containers_conf=wrong)
    assert path in found["detail"], found
    copy = ctl.write("copy.conf", wrong)
    type_it(found["remedy"].replace(path, copy))
    with open(copy, encoding="ascii") as f:
        assert f.read() == wrong.replace("  cgroup", "#  cgroup")

# SPDX-License-Identifier: MIT
"""A Debian that has nothing but what the README's `installer/deps.sh` puts on a box: it runs what a box runs."""
import json
import ssl
import subprocess
import urllib.request

import pytest

from tests.lab import box_image
from tests.lab.util import ROOT, read_text, wait_until
from tests.system.enrolled import DEVICE, enrolled, let_it_ask_for_memory, make_images
from tests.system.test_whole_box import answers, push, settling

STACK = """
services:
  web:
    image: localhost/server:1
    init: true
    restart: always
    ports: ["8088:80"]
    networks: [front]
    volumes: ["/var/lib/tucomunidad/volumes/web:/data"]
  store:
    image: localhost/server:1
    restart: always
    networks: [front]
networks:
  front: {}
"""


def packages_of(group):
    p = subprocess.run([f"{ROOT}/installer/deps.sh", "-n", group], check=True, text=True, capture_output=True)
    return set(p.stdout.split())


@pytest.fixture(scope="module")
def bare():
    with enrolled("mgmt-worker", "secboxctl", "recovery-agent") as it:
        it.box.image("localhost/server:1", "server", "1")
        it.box.run("systemctl", "enable", "--now", "mgmt-agent", "mgmt-link", "recovery-agent")
        it.gateway.wait_reported(DEVICE)
        yield it


def test_the_image_has_what_the_readme_names(bare):
    """Beside a Debian's own base, only the packages of `deps.sh run`, and the libraries that come with those of `build`."""
    assert "installer/deps.sh build run\n" in read_text(f"{ROOT}/README.md")
    assert set(box_image.packages()) == {*box_image.SYSTEM, *packages_of("box")}
    assert packages_of("run") <= packages_of("box")
    libraries = packages_of("box") - packages_of("run")
    depends = subprocess.run(["dpkg-query", "-W", "-f", "${Depends}, ", *packages_of("build")], check=True, text=True,
                             capture_output=True).stdout
    for name in libraries:
        assert f"{name} " in depends, f"{name} is neither in `run` nor brought by `build`"
    marks = bare.box.run("dpkg-query", "-W", "-f", "${Package} ${Priority}\n").stdout
    chosen = {line.split()[0] for line in marks.splitlines() if line.split()[1] == "optional"}
    assert packages_of("run") - {"dbus", "ca-certificates", "iptables", "libpam-systemd"} <= chosen | {"openssh-server"}


def test_why_a_service_does_not_start_is_kept(bare):
    """Without iptables, which podman's package does not ask for, it is podman's own word that operator and history get."""
    box = bare.box
    assert box.containers() == {}, "nothing was pushed yet: a rollback has nothing to say"
    box.run("mv", "/usr/sbin/iptables", "/usr/sbin/iptables.away")
    try:
        code, last = push(bare, STACK)
    finally:
        box.run("mv", "/usr/sbin/iptables.away", "/usr/sbin/iptables")
    assert code != 0
    if last["error"]["id"] == "apply.not-started":
        assert "netavark" in last["error"]["message"], last
    else:
        assert "iptables" in last["error"]["message"], "unless it was seen before anything was started"
    story = box.run("journalctl", "-t", "mgmt-agent", "-o", "cat").stdout
    assert last["error"]["id"] in story and "run again" not in story, "there were no containers before"
    history = json.loads(box.run("secboxctl", "history", "--json").stdout)["entries"]
    assert last["error"]["message"] in [entry["error"]["message"] for entry in history if "error" in entry]


def test_a_bridge_network_with_a_published_port_runs_rootless(bare):
    box = bare.box
    wait_until(lambda: not settling(bare), "nothing is under way")
    code, last = push(bare, STACK)
    assert code == 0, last
    assert set(box.running()) == {"web", "store"}
    wait_until(lambda: answers(bare), "the published port answers")
    assert box.user.podman("exec", box.ids()["web"], "wget", "-q", "-O", "-", "http://store/version").stdout == "1\n"
    assert "catatonit" in json.dumps(box.containers()["web"]["Path"]) or box.containers()["web"]["HostConfig"]["Init"]
    # the user has control groups of its own and a bus: podman complains of neither
    p = box.user.podman("info", "--format", "{{.Host.CgroupManager}} {{.Host.NetworkBackend}}")
    assert p.stdout.split() == ["systemd", "netavark"] and p.stderr == "", p.stderr
    assert box.user.podman("run", "--rm", "--network", "bridge", "localhost/server:1", "true").stderr == ""


def options_of(mountinfo, where):
    """Of what is mounted there last."""
    return [line.split()[5].split(",") for line in mountinfo.splitlines() if line.split()[4] == where][-1]


def test_no_program_or_device_in_a_volume_gives_power(bare):
    """Whoever mounts it: it is the box's own mount that says so."""
    box, volumes = bare.box, "/var/lib/tucomunidad/volumes"
    assert {"nosuid", "nodev"} <= set(options_of(box.run("cat", "/proc/1/mountinfo").stdout, volumes))
    inside = box.run("cat", f"/proc/{box.containers()['web']['State']['Pid']}/mountinfo").stdout
    assert {"nosuid", "nodev"} <= set(options_of(inside, "/data"))
    p = box.user.podman("run", "--rm", "-v", f"{volumes}/web:/data:suid,dev", "localhost/server:1", "busybox", "cat",
                        "/proc/self/mountinfo")
    assert {"nosuid", "nodev"} <= set(options_of(p.stdout, "/data")), "not even who asks for it"


def test_the_shipped_example_runs(bare):
    """compose/examples/secbox.yml as it is, with the shipped policy and the images that `make images` makes."""
    box = bare.box
    assert box.run("readlink", "/etc/localtime").stdout.strip(), "a link, as on every Debian"
    let_it_ask_for_memory(box)
    make_images(box, bare.folder)
    box.write("/etc/tucomunidad/policy.json", read_text(f"{ROOT}/compose/examples/policy.json"))
    code, last = push(bare, read_text(f"{ROOT}/compose/examples/secbox.yml"))
    assert code == 0, last
    wait_until(lambda: set(box.running()) == {"postgres", "secbox", "relay-client"}, "all run, relay-client without a provider")
    ask = ["exec", box.ids()["postgres"], "psql", "-h", "127.0.0.1", "-U", "secbox", "-At", "-c", "SELECT current_database()",
           "secbox"]
    assert box.user.podman(*ask).stdout == "secbox\n"
    healthy = ["healthcheck", "run", box.ids()["secbox"]]
    wait_until(lambda: box.user.podman(*healthy, check=False).returncode == 0, "secbox says that it is alive")
    wait_until(lambda: guards_status(box).get("database"), "the guards' pages answer, with the database behind them")
    wait_until(lambda: guards_trust(box), "a tablet that trusts the box's authority reaches it by its address")


def guards_status(box):
    """What a tablet hears before anybody has logged in, on the port that the example publishes."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(f"https://{box.address}:8443/api/lan/status", context=context, timeout=60) as answer:
            return json.load(answer)
    except OSError:
        return {}


def guards_trust(box):
    """With the authority that the box hands out, and the address in the certificate: as a tablet that has it installed. The
    container does not see that address; mgmt-link and mgmt-agent tell it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with urllib.request.urlopen(f"https://{box.address}:8443/ca.crt", context=context, timeout=60) as answer:
        authority = answer.read()
    trusting = ssl.create_default_context(cadata=authority.decode() if authority.startswith(b"-----") else authority)
    try:
        with urllib.request.urlopen(f"https://{box.address}:8443/api/lan/status", context=trusting, timeout=60) as answer:
            return answer.status == 200
    except OSError:
        return False

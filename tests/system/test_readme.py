# SPDX-License-Identifier: MIT
"""The README, followed to the letter on three bare machines: a gateway with each way to TLS, an operator's, and a box.

The lab stands in for what a person brings: a name and a certificate that all three trust, a PostgreSQL and proxies from
Debian, and the words that stand in the README for one's own.
"""
import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile

import pytest

from tests.conftest import require_programs, skip
from tests.lab import box_image, readme, whole_box
from tests.lab.authority import Authority
from tests.lab.util import ROOT, LabError, read_text, wait_until

NAME = "cloud.example"
DEVICE = "caseta5"
OWN_TLS = "its own TLS"
SHIPPED = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg", "caddy": "Caddyfile", OWN_TLS: "gateway-tls.conf"}
# a minute of the rules for services that are down is three seconds
WATCH_DROP_IN = "[Service]\nExecStart=\nExecStart=/usr/sbin/mgmt-agent --watch-pace 20\n"
AUTHORITY = "/usr/local/share/ca-certificates/lab.crt"


class World:
    def __init__(self, folder, machines):
        self.authority = Authority(os.path.join(folder, "authority"))
        self.machines = machines
        self.gateway, self.operator, self.box = (machines[kind] for kind in ("gateway", "operator", "box"))
        self.reader = readme.Reader(machines)
        self.follow = self.reader.follow
        for machine in machines.values():
            machine.run("sh", "-c", f"echo {self.gateway.address} {NAME} >>/etc/hosts")
            machine.write(AUTHORITY, read_text(self.authority.file))
            machine.run("update-ca-certificates")
        self.gateway.run("systemctl", "disable", "--now", "nginx", "haproxy", "caddy")
        self.box.run("mkdir", "/etc/systemd/system/mgmt-agent.service.d")
        self.box.write("/etc/systemd/system/mgmt-agent.service.d/lab.conf", WATCH_DROP_IN)
        self.bring_certificate()

    def bring_certificate(self):
        """A new one, in the places where the README and the shipped files expect it."""
        cert, key = map(read_text, self.authority.issue(hosts=(NAME,)))
        for suffix, text in ((".crt", cert), (".key", key), (".pem", cert + key)):
            self.gateway.write(f"/etc/ssl/private/{NAME}{suffix}", text, 0o600)
            with open(f"{self.gateway.root}{readme.PLACE}/cloud{suffix}", "w", encoding="ascii") as f:
                f.write(text)

    def serial(self):
        context = ssl.create_default_context(cafile=self.authority.file)
        with contextlib.suppress(OSError), socket.create_connection((self.gateway.address, 443), timeout=60) as s:
            with context.wrap_socket(s, server_hostname=NAME) as tls:
                return tls.getpeercert()["serialNumber"]
        return None

    def fleet(self, *args):
        return json.loads(self.operator.type(f"secbox-fleet {' '.join(args)} --json").stdout)

    def device(self):
        p = self.operator.type(f"secbox-fleet devices show {DEVICE} --json", check=False)
        return json.loads(p.stdout).get("device", {}) if p.returncode == 0 else {}

    def take(self, way):
        """One way to TLS, from the README's block to a gateway that answers."""
        gateway = self.gateway
        if way != OWN_TLS:  # as Debian's package leaves it behind
            gateway.run("systemctl", "start", way)
        shipped = f"{ROOT}/installer/proxy/{SHIPPED[way]}"

        def edit(_machine, command, _output):
            if way == "caddy" and "install" in command:  # nobody out there gives it a certificate here
                gateway.run("sed", "-i", f"s|^cloud.example {{|&\\n\ttls /etc/caddy/{NAME}.crt /etc/caddy/{NAME}.key|",
                            "/etc/caddy/Caddyfile")
                gateway.run("sh", "-c", f"cd /etc/ssl/private && install -o caddy -m 400 {NAME}.crt {NAME}.key /etc/caddy")
            if way == "haproxy" and "install" in command:  # the lab's limit of open files is lower than a machine's
                gateway.run("sed", "-i", "s/maxconn 20000/maxconn 1000/", "/etc/haproxy/haproxy.cfg")

        steps = [s for s in self.reader.left if way in s.ways]
        gateway.fill_in("/etc/secbox-gateway.env", readme.options_of(shipped) + "\n")
        self.follow(way=way, behind=edit)
        self.reader.left += [s for s in steps if len(s.ways) > 1]  # what other ways have in common with it
        wait_until(lambda: self.serial() is not None, f"{NAME} answers by {way}")

    def leave(self, way):
        if way == OWN_TLS:
            self.gateway.run("rm", "-r", "/etc/systemd/system/secbox-gateway.service.d")
            self.gateway.run("systemctl", "daemon-reload")
        else:
            self.gateway.run("systemctl", "stop", way)


@pytest.fixture(scope="module")
def world():
    require_programs("mgmt-agent", "mgmt-worker", "mgmt-link", "recovery-agent", "secboxctl", "secbox-gateway", "secbox-fleet",
                     "secbox")
    kinds = ["gateway", "operator", "box"]
    why = whole_box.why_not(*kinds)
    if why:
        skip(f"no whole machines here: {why}")
    folder = tempfile.mkdtemp(prefix="secbox-readme-")
    with contextlib.ExitStack() as stack:
        try:
            machines = {kind: stack.enter_context(readme.Machine(kind)) for kind in kinds}
        except LabError as e:
            skip(f"a whole machine does not start here: {e}")
        yield World(folder, machines)
    shutil.rmtree(folder, ignore_errors=True)


def test_the_machines_have_what_the_readme_installs():
    """Each is a Debian's standard system and the groups of deps.sh that the README names for it."""
    for title, kind in (("The gateway", "gateway"), ("The operator's machine", "operator"), ("The box", "box"),
                        ("The images", "box")):
        lines = [c for s in readme.steps() if s.title == title and kind in s.machines for c in s.commands if "deps.sh" in c]
        assert lines and set(lines[0].split()[1:]) <= set(box_image.KINDS[kind][1]), (title, lines)


def test_the_gateway(world):
    def keep_token(_machine, command, output):
        if "tokens add alice" in command:
            world.reader.words["the-token-of-alice"] = output.split()[-1]
    world.follow("The gateway", behind=keep_token)
    assert len(world.reader.words["the-token-of-alice"]) > 20
    world.take("nginx")


def test_the_operators_machine(world):
    def keep_token(_machine, command, output):
        if "devices add" in command:
            world.reader.words["the-bootstrap-token-of-caseta5"] = output.split()[-1]
    world.follow("The operator's machine", behind=keep_token)
    assert world.device()["id"] == DEVICE


def test_the_box(world):
    box = world.box
    world.follow("The box", may_fail=["sudo secboxctl doctor"])
    box.find_user()
    wait_until(lambda: {"mgmt", "recovery"} <= set(world.device().get("roles", [])), "the box is connected by both ways")
    checks = json.loads(box.type("sudo secboxctl doctor --json", check=False).stdout)["checks"]
    # the clock and the space are the machine's own
    bad = {c["id"]: c for c in checks if c["result"] == "fail" and c["id"] != "time-sync"}
    assert not {name for name in bad if not name.startswith("space-")}, bad


def test_a_push(world):
    box = world.box
    if "memory" not in box.run("cat", "/sys/fs/cgroup/cgroup.controllers").stdout.split():
        # nothing here can limit memory, which the example asks for: podman keeps the number and runs it without a group
        box.write("/etc/containers/containers.conf", whole_box.CONTAINERS_CONF + 'cgroups = "disabled"\n')
    world.follow("The images")
    said = {}
    world.follow("A push", behind=lambda machine, command, output: said.update({command.split("#")[0].strip(): output}))
    assert "sanity ok" in said["sudo journalctl -u mgmt-agent"], said
    assert "done" in said[f"secbox-fleet history {DEVICE}"] and "running" in said[f"secbox-fleet status {DEVICE}"], said
    assert set(box.running()) == {"postgres", "secbox", "relay-client"}
    timers = box.as_user("systemctl", "--user", "list-timers", "--no-legend").stdout
    assert all(container in timers for container in box.ids().values()), "podman runs the health checks by itself here"
    wait_until(lambda: {"device", "mgmt", "recovery"} <= set(world.device().get("roles", [])), "its container is connected, too")
    world.follow("New images by themselves")


def alarms(world, action):
    entries = world.fleet("audit", "--limit", "200")["entries"]
    return [e for e in entries if e["action"] == action and e.get("detail", {}).get("service") == "postgres"]


def test_a_service_that_dies_comes_back_and_is_told(world):
    """Its first process and podman's monitor of it are killed, so that nobody but the agent can bring it back."""
    box = world.box
    assert not alarms(world, "service.down")
    state = box.containers()["postgres"]["State"]
    box.run("kill", "-KILL", str(state["ConmonPid"]), str(state["Pid"]))
    down = wait_until(lambda: alarms(world, "service.down"), "the alarm")
    assert down[0]["alarm"] and down[0]["detail"]["what"] == "down", down
    wait_until(lambda: alarms(world, "service.well"), "it is well again")
    assert box.containers()["postgres"]["State"]["Pid"] != state["Pid"]
    wait_until(lambda: set(box.running()) == {"postgres", "secbox", "relay-client"}, "all run")
    said = []
    world.follow(when="a service dies", behind=lambda machine, command, output: said.append(output))
    assert "service.down" in said[-1] and "service.well" in said[-1]


def test_support_staff(world):
    def carry(machine, command, output):
        if "support-ca >" in command:  # somebody copies it to the box
            text = machine.run("cat", f"{readme.PLACE}/support-ca.pub").stdout
            world.box.run("sh", "-c", 'cat >"$0"', f"{readme.PLACE}/support-ca.pub", input=text)
        if "grants add" in command:
            world.reader.words["g-1f0c9a7b44e2d310"] = re.search(r"g-[0-9a-f]{16}", output).group()
        if "journalctl" in command:
            assert "Service postgres is well again" in output
    world.follow("Support staff", behind=carry)
    p = world.operator.type("ssh caseta5 id -un", check=False)
    assert p.stdout == "root\n", p.stderr
    assert "Debian" in world.operator.run("cat", f"{readme.PLACE}/os-release").stdout
    assert [g["state"] for g in world.fleet("grants", "list")["grants"] if g["id"] == world.reader.words["g-1f0c9a7b44e2d310"]] \
        == ["revoked"]


@pytest.mark.parametrize("way, before", [("haproxy", "nginx"), ("caddy", "haproxy"), (OWN_TLS, "caddy")])
def test_each_way_to_tls_carries_all_of_it(world, way, before):
    world.leave(before)
    world.take(way)
    wait_until(lambda: {"device", "mgmt", "recovery"} <= set(world.device().get("roles", [])), f"the box is connected by {way}")
    assert world.device()["peer"].startswith(world.box.address), "the gateway sees who is calling"
    p = world.operator.type(f"secbox-fleet push {DEVICE} compose.yml --wait --json")
    assert json.loads(p.stdout.splitlines()[-1])["noop"] is True, p.stdout


def test_a_renewed_certificate_under_an_open_session(world):
    old, pid = world.serial(), world.gateway.main_pid("secbox-gateway")
    with subprocess.Popen(world.operator.typed("ssh caseta5 'echo in; exec cat'"), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout.readline() == "in\n"
        world.bring_certificate()
        world.follow(when="a certificate is renewed")
        wait_until(lambda: world.serial() not in (None, old), "the new certificate is shown")
        session.stdin.write("still here\n")
        session.stdin.flush()
        assert session.stdout.readline() == "still here\n"
        session.stdin.close()
        assert session.wait() == 0
    assert world.gateway.main_pid("secbox-gateway") == pid


def test_a_box_without_a_compiler(world):
    """What is packed elsewhere is what `make install-box` puts there."""
    names = ["/usr/sbin/mgmt-agent", "/usr/bin/secboxctl", "/usr/lib/systemd/system/mgmt-agent.service", "/etc", "/"]
    facts = ["sh", "-c", f"stat -c '%n %a %U %G' {' '.join(names)}; sha256sum {' '.join(names[:3])}"]
    before = world.box.run(*facts).stdout
    world.box.run("rm", *names[:3])

    def carry(machine, command, _output):
        if command.startswith("tar "):
            with open(f"{machine.root}{readme.PLACE}/box.tar.gz", "rb") as f:
                world.box.run("sh", "-c", 'cat >"$0"', f"{readme.PLACE}/box.tar.gz", input=f.read())
    world.follow(when="the box has no compiler", behind=carry)
    assert world.box.run(*facts).stdout == before


OURS = re.compile(r"secbox|mgmt-|recovery-")


def left_running(machine):
    """Units and processes of ours; a container's processes are the user's."""
    units = machine.run("systemctl", "list-units", "--no-legend", "--plain", "--type=service,path,timer,socket").stdout
    found = [line.split()[0] for line in units.splitlines() if OURS.match(line)]
    processes = machine.run("ps", "-eo", "cgroup:200,args").stdout
    return found + [line for line in processes.splitlines() if re.search(r"/usr/(s?bin|lib)/(secbox|mgmt-|recovery-)", line)
                    and "libpod" not in line and "user.slice" not in line]


def test_nothing_is_left_running(world):
    box = world.box
    containers = box.running()
    world.follow(when="the box is not to run any more")
    wait_until(lambda: left_running(box) == [], "nothing of ours runs")
    world.follow(when="it is removed")
    for machine in world.machines.values():
        assert left_running(machine) == []
        for program in ("mgmt-agent", "mgmt-link", "recovery-agent", "secboxctl", "secbox-gateway", "secbox-fleet"):
            assert machine.run("sh", "-c", f"command -v {program}", check=False).returncode != 0
    assert box.running() == containers, "the containers stay"
    assert box.run("systemctl", "is-active", "ssh").stdout == "active\n", "and so does the site's own sshd"
    assert DEVICE in box.read("/etc/tucomunidad/mgmt-agent.env")
    p = world.gateway.run("runuser", "-u", "postgres", "--", "psql", "-At", "-c", "SELECT id FROM devices", "secbox")
    assert p.stdout == f"{DEVICE}\n"


def test_nothing_at_all_is_left_by_the_page_about_it(world):
    for kind, words in (("box", "a box"), ("gateway", "a gateway"), ("operator", "an operator's machine")):
        for line in readme.page_block("uninstall", f"Everything that is left on {words}"):
            world.machines[kind].type(line)
    box = world.box
    assert box.running() == {} and box.as_user("podman", "volume", "ls", "-q").stdout == ""
    assert "secbox" not in world.gateway.run("runuser", "-u", "postgres", "--", "psql", "-Atc", r"\l", "-c", r"\du").stdout
    # what is not ours, and what the page leaves to its reader
    passed_over = ["/proc", "/sys", readme.PLACE, "/home/tc", "/etc/nginx/sites-enabled/secbox",
                   "/etc/systemd/system/mgmt-agent.service.d"]
    prune = " -o ".join(f"-path {path}" for path in passed_over)
    for machine in world.machines.values():
        found = machine.run("sh", "-c", rf"find / \( {prune} \) -prune -o \( -name '*secbox*' -o -name '*tucomunidad*' "
                                        r"-o -name '*mgmt-link*' -o -name 'recovery-agent*' \) -print").stdout.split()
        assert found == [], machine.kind
        assert "tucomunidad" not in machine.read("/proc/self/mountinfo")
        assert not re.search(r"^(secbox|mgmt-)", machine.read("/etc/passwd"), re.M)


def test_no_block_of_it_was_left_out(world):
    """Beside what several ways have in common, and those that are not typed on one of these machines."""
    assert [s.text for s in world.reader.left if s.machines and len(s.ways) < 2 and s.when != readme.PACKAGED] == []
    # the one line is typed in test_installer_box.py
    unmarked = [s.commands[0].split("#")[0].strip() for s in readme.steps() if not s.machines and s.kind == "sh"]
    elsewhere = ("make demo", "secbox-fleet rollout start", "curl -fsSL https://cloud.example/install/secbox")
    assert [c for c in unmarked if not c.startswith(elsewhere)] == []

# SPDX-License-Identifier: MIT
"""docs/backup.md, docs/upgrade.md and docs/uninstall.md: their commands are run as they stand, in folders of the laboratory."""
# pylint: disable=redefined-outer-name
import os
import re
import shlex
import subprocess

import pytest

pytest.importorskip("cryptography")
pytest.importorskip("websockets")

from tests.conftest import require_programs  # noqa: E402
from tests.integration.gateway_lab import Lab, Push, enroll, refused, tunnel_url  # noqa: E402
from tests.integration.test_install import files_of  # noqa: E402
from tests.lab import readme  # noqa: E402
from tests.lab.postgres import available  # noqa: E402
from tests.lab.readme import page_block as block  # noqa: E402
from tests.lab.util import ROOT, make_words, read_text, wait_until  # noqa: E402


class Machine:
    """Where a command's folders are, and how its database is called: a gateway of the laboratory."""

    def __init__(self, folder, name, backups):
        self.gateway = Lab(os.path.join(folder, name))
        self.etc = os.path.join(folder, name, "etc")
        os.makedirs(self.etc, exist_ok=True)
        self.backups = backups
        self.env = {**os.environ, "PGHOST": self.gateway.postgres.dir, "PGUSER": "postgres"}
        self.gateway.stop()

    def sql(self, *argv):
        return subprocess.run(argv, env=self.env, check=True, capture_output=True, text=True)

    def take_database(self):
        """The one that the README's commands make."""
        self.sql("createuser", "secbox-gateway")
        self.sql("createdb", "--owner=secbox-gateway", "secbox")
        self.gateway.env["SECBOX_GATEWAY_DATABASE"] = self.gateway.postgres.conninfo.replace("dbname=postgres", "dbname=secbox")

    def type(self, lines):
        for line in lines:
            if "systemctl" in line:
                assert line == "sudo systemctl enable --now secbox-gateway"
                self.gateway.start()
                continue
            line = re.sub(r"sudo (-u postgres )?", "", line)
            for there, here in (("/var/backups/secbox/", f"{self.backups}/"), ("/var/backups/secbox", self.backups),
                                ("/var/lib/secbox-gateway", self.gateway.state), ("-C /var/lib", f"-C {self.gateway.dir}"),
                                ("state.tar secbox-gateway", "state.tar state"), ("/etc/", f"{self.etc}/"),
                                ("chown -R secbox-gateway:", "chown -R root:")):
                line = line.replace(there, here)
            subprocess.run(["sh", "-ec", line], env=self.env, check=True)


@pytest.fixture
def machines(folder):
    require_programs("secbox-gateway")
    if not available():
        pytest.skip("PostgreSQL is not installed")
    backups = os.path.join(folder, "backups")
    made = []
    try:
        for name in ("old", "new"):
            made.append(Machine(folder, name, backups))
            made[-1].take_database()
        yield made
    finally:
        for machine in made:
            machine.gateway.close()


def pushed(gateway, device, tunnel):
    """Pushes to a box that takes it; the version that it got."""
    push = Push(gateway, device)
    snapshot = tunnel.next("compose.snapshot")
    tunnel.send(device.result(snapshot))
    assert push.end().status == 200
    return int(snapshot["version"])


def test_a_gateway_is_restored_on_another_machine(machines):
    old, new = machines
    gateway = old.gateway
    with open(os.path.join(old.etc, "secbox-gateway.env"), "w", encoding="utf-8") as f:
        f.write("SECBOX_GATEWAY_DATABASE='host=/run/postgresql dbname=secbox'\n")
    gateway.token = None
    gateway.start()
    gateway.token = gateway.run("tokens", "add", "alice", "--role", "admin").strip().split()[-1]
    box = enroll(gateway, "caseta5")
    assert box.claim().status == 201
    tunnel = box.connect()
    assert pushed(gateway, box, tunnel) == 1
    authority = gateway.request("GET", "/v1/support-ca").json["publicKey"]
    os.makedirs(os.path.dirname(old.backups), exist_ok=True)
    old.type(block("backup", "Saving"))
    # life goes on: the box is pushed to, another one comes
    assert [pushed(gateway, box, tunnel) for _ in range(2)] == [2, 3]
    late = enroll(gateway, "caseta6")
    assert late.claim().status == 201
    tunnel.close()
    token, port = gateway.token, gateway.port
    gateway.stop()

    gateway = new.gateway
    gateway.port, gateway.url, gateway.token = port, old.gateway.url, token
    new.type(block("backup", "Restoring on another machine"))
    wait_until(lambda: gateway.request("GET", "/healthz").status == 200, "the restored gateway serves", gateway.daemon.death)
    assert read_text(os.path.join(new.etc, "secbox-gateway.env")) == read_text(os.path.join(old.etc, "secbox-gateway.env"))
    assert gateway.request("GET", "/v1/support-ca").json["publicKey"] == authority
    # the box comes back with the token that it has, and is newer than the dump
    tunnel = box.connect({"current": {"version": "3", "sha256": "0" * 64, "at": "2026-01-02T03:04:05.678Z"}})
    wait_until(lambda: (gateway.device("caseta5").get("current") or {}).get("version") == "3", "it tells its version")
    assert pushed(gateway, box, tunnel) == 4
    assert gateway.request("GET", "/v1/devices/caseta6").status == 404
    assert refused(tunnel_url(gateway), late.token) == 401
    tunnel.close()


def make_lines(lines, folder):
    """The lines that make something, into a folder of the laboratory; the others are the service manager's and doctor's."""
    for line in lines:
        words = shlex.split(line.removeprefix("sudo "))
        if words[0] in ("systemctl", "secboxctl"):
            continue
        if words[0] == "make":
            words = make_words(*words[1:], f"DESTDIR={folder}")
        elif words[0] == "installer/deps.sh":  # what it would install is named: there are such groups
            words.insert(1, "-n")
        else:
            assert words[0] in ("systemd-sysusers", "systemd-tmpfiles"), line
            words.insert(1, f"--root={folder}")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "DESTDIR"))}
        p = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert p.returncode == 0, (line, p.stderr)


MAKES = re.compile(r"(sudo )?(installer/deps\.sh|make\b|systemd-|systemctl daemon-reload)")


@pytest.mark.parametrize("heading, programs, units, users", [
    ("The gateway", {"usr/sbin/secbox-gateway"}, ["secbox-gateway"], {"secbox-gateway"}),
    ("A box", {"usr/sbin/mgmt-agent", "usr/sbin/mgmt-link", "usr/sbin/recovery-agent"},
     ["mgmt-agent", "mgmt-link", "recovery-agent"], {"mgmt-link", "secbox-recovery"}),
    ("An operator's machine", {"usr/bin/secbox-fleet"}, [], set()),
])
def test_an_upgrade_replaces_the_programs_and_restarts_them(folder, heading, programs, units, users):
    lines = block("upgrade", heading)
    os.mkdir(os.path.join(folder, "etc"))
    for name in programs:
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write("the version before\n")
    make_lines(lines, folder)
    for name in programs:
        with open(os.path.join(folder, name), "rb") as f:
            assert f.read(4) == b"\x7fELF", name
    restarted = [line.split(" restart ")[1].split() for line in lines if " restart " in line]
    assert restarted == ([units] if units else [])
    assert all(f"usr/lib/systemd/system/{unit}.service" in files_of(folder) for unit in units)
    made = read_text(os.path.join(folder, "etc/passwd")) if users else ""
    assert all(f"{user}:" in made for user in users), made


@pytest.mark.parametrize("heading, title", [("The gateway", "The gateway"), ("A box", "The box"),
                                            ("An operator's machine", "The operator's machine")])
def test_an_upgrade_is_made_as_the_machine_was(heading, title):
    """What a new version may need anew: packages, programs, users, folders, units."""
    first = [c for s in readme.steps() if s.title == title and not s.ways and not s.when for c in s.commands if MAKES.match(c)]
    assert len(first) >= 3
    assert [line for line in block("upgrade", heading) if MAKES.match(line)] == first


THEIRS = ("etc/nginx/", "etc/haproxy/", "etc/caddy/", "etc/containers/")


def files_of_the_readme():
    """What a person writes by the README, below / and ~, without other programs' folders."""
    files, folders = set(), set()
    for step in readme.steps():
        if step.into:
            files.add(step.into)
        for command in step.commands if step.kind == "sh" else []:
            words = shlex.split(command, comments=True)
            if "install" in words[:2] and words[-1].startswith(("/", "~")):
                (folders if "-d" in words else files).add(words[-1])
    files = {name for name in files if name not in folders} | {f"{name}/cloud.key" for name in folders}
    files = {name.replace("~", "root").lstrip("/") for name in files}
    return {name for name in files if not name.startswith(THEIRS)}


def test_what_uninstall_leaves_is_removed_by_the_page(folder):
    for kind in ("box", "gateway", "fleet"):
        make_lines([f"sudo make install-{kind}"], folder)
    written = files_of_the_readme()
    assert {"etc/tucomunidad/mgmt-agent.env", "etc/secbox-gateway/cloud.key", "root/.config/secbox/fleet.env",
            "etc/systemd/system/secbox-gateway.service.d/tls.conf"} <= written
    ours = {*written, "var/lib/tucomunidad/mgmt-agent/journal.json", "run/tucomunidad/x", "var/lib/secbox-gateway/jwt-key.pem"}
    for name in [*ours, "etc/passwd"]:
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write("x\n")
    make_lines(block("uninstall", "Uninstalling"), folder)
    assert files_of(folder) == {*ours, "etc/passwd"}
    text = read_text(f"{ROOT}/docs/uninstall.md")
    for line in re.findall(r"^(?:sudo )?(rm -rf .*)$", text, re.M):
        line = re.sub(r" /(?=\w)", f" {folder}/", line)
        subprocess.run(["sh", "-ec", line], env={**os.environ, "HOME": f"{folder}/root"}, check=True)
    assert files_of(folder) == {"etc/passwd"}


def test_containers_go_with_all_of_their_volumes(lab):
    lab.podman("run", "-d", "--name", "a", "-v", "named:/a", "-v", "/b", "localhost/server:1")
    lab.podman("volume", "create", "spare")
    try:
        for line in block("uninstall", "Everything that is left on a box"):
            if " podman " in line:
                lab.podman(*shlex.split(line.split(" podman ")[1]))
        assert not lab.containers() and not lab.volumes()
    finally:
        lab.remove_all()

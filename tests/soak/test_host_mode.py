# SPDX-License-Identifier: MIT
"""The data plane without containers, from its units, on a Debian 12 with systemd as process 1; and releases of it that are good,
bad, killed while they prove themselves, and cut by a reboot. `make host-mode`."""
# pylint: disable=redefined-outer-name
import hashlib
import json
import os
import shutil
import subprocess
import tempfile

import pytest

from tests.lab import program_image
from tests.lab.release_box import make_release
from tests.lab.util import ROOT, LabError, make_words, program, read_text, wait_until
from tests.lab.bundles import bring
from tests.lab.gateway import Gateway
from tests.lab.installer import Repository
from tests.lab.self_signed import make_certificate
from tests.system.enrolled import DEVICE, enrolled
from tests.system.test_installer_box import AUTHORITY, BareBox, World, differences, make_packages

UNITS = ["secbox", "relay-client"]


@pytest.fixture(scope="module")
def whole():
    with enrolled("secbox", "relay-client", "secboxctl") as it:
        box = it.box
        kind, box.kind = box.kind, "secbox"
        box._install()  # pylint: disable=protected-access
        box.kind = kind
        bring_libraries(box)
        box.run("systemd-sysusers")
        box.run("systemd-tmpfiles", "--create")
        box.run("systemctl", "daemon-reload")
        box.run("systemctl", "enable", "--now", "mgmt-agent", *UNITS)
        try:
            wait_until(lambda: connected(it), "the device tunnel")
        except LabError as e:
            pytest.fail(f"{e}\n{box.run('journalctl', '--no-pager', '-u', 'secbox*', check=False).stdout}")
        yield it


def bring_libraries(box):
    for path in program_image.libraries(program("secbox")):  # a box with containers has no use for PostgreSQL's
        if not os.path.exists(box.host.seen(path)):
            shutil.copy(path, box.host.seen(path))


def connected(whole):
    return "device" in whole.gateway.device(DEVICE).get("roles", [])


def release(whole, version, *programs):
    """The archive of a release, in the box."""
    made = make_release(os.path.join(whole.folder, version), version, *programs)
    shutil.copy(made, whole.box.host.seen(f"/root/{version}.tar.gz"))
    return f"/root/{version}.tar.gz"


def real():
    return [program("secbox"), program("relay-client")]


def runs(whole):
    pid = whole.box.main_pid("secbox")
    return pid and whole.box.run("readlink", f"/proc/{pid}/exe", check=False).stdout.strip()


def status(whole):
    return json.loads(whole.box.run("secboxctl", "--json", "release", "status").stdout)


def test_the_units_run_as_users_of_their_own(whole):
    box = whole.box
    for unit in UNITS:
        wait_until(lambda: box.unit(unit, "ActiveState")["ActiveState"] == "active", unit)  # pylint: disable=cell-var-from-loop
        of = box.status_of(box.main_pid(unit))
        assert set(of["Uid"].split()) == {box.run("id", "-u", unit).stdout.strip()}
        assert int(of["CapEff"], 16) == 0 and of["NoNewPrivs"] == "1"
    assert runs(whole) == "/usr/bin/secbox" and status(whole) == {"current": "/usr"}
    env = box.run("stat", "-c", "%U %a", "/etc/tucomunidad/secbox.env").stdout
    assert env == "root 600\n", "it was made of mgmt-agent.env"
    refused = box.run("secboxctl", "--json", "queue", "status", check=False)
    assert json.loads(refused.stdout)["error"]["id"] == "sync.no-database"
    assert "idle" in box.run("secboxctl", "relay", "status").stdout


def test_releases(whole):
    box = whole.box
    p = box.run("secboxctl", "release", "apply", release(whole, "2", *real()), "--deadline", "60")
    assert p.stdout.splitlines()[-1] == "/usr -> releases/2: confirmed", p
    assert runs(whole) == "/opt/tucomunidad/releases/2/bin/secbox" and connected(whole)
    dies = os.path.join(whole.folder, "dies")
    os.mkdir(dies)
    for name in ("secbox", "relay-client"):
        with open(os.path.join(dies, name), "w", encoding="ascii") as f:
            f.write("#!/bin/sh\nexit 1\n")
    bad = release(whole, "3", os.path.join(dies, "secbox"), os.path.join(dies, "relay-client"))
    p = box.run("secboxctl", "release", "apply", bad, "--deadline", "10", check=False)
    assert p.returncode == 1 and "rolled-back" in p.stdout, p
    assert runs(whole) == "/opt/tucomunidad/releases/2/bin/secbox"
    wait_until(lambda: connected(whole), "the tunnel is back")


def test_a_release_from_the_cloud(whole):
    """From mgmt-agent's sandbox, by a unit of systemd's."""
    gateway, box = whole.gateway, whole.box
    with open(box.host.seen(release(whole, "3.1", *real())), "rb") as f:
        data = f.read()
    name = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert bring(gateway, name, data)[0] == 200
    box.run("systemctl", "enable", "--now", "mgmt-link")
    gateway.wait_reported(DEVICE)
    answer = gateway.request("POST", f"/v1/devices/{DEVICE}/release", {"to": "3.1", "bundle": {"digest": name}}, timeout=300)
    assert answer.status == 200 and answer.json["result"]["release"]["to"] == "3.1", f"{answer}\n{box.log()}"
    assert runs(whole) == "/opt/tucomunidad/releases/3.1/bin/secbox" and status(whole)["current"] == "releases/3.1"
    p = box.run("secboxctl", "release", "rollback", "--deadline", "60")
    assert "releases/3.1 -> releases/2: confirmed" in p.stdout, p


def begin(whole, version):
    """A release that is proving itself, for as long as it takes."""
    path = release(whole, version, *real())
    box = whole.box
    p = box.run("secboxctl", "release", "apply", path, "--deadline", "3600", "--timeout", "1", check=False)
    assert p.returncode == 1 and "not over yet" in p.stderr, p
    wait_until(lambda: status(whole)["last"]["state"] == "proving", "it proves itself")


def test_killed_and_cut_by_a_reboot(whole):
    box = whole.box
    begin(whole, "4")
    box.run("systemctl", "kill", "--signal=KILL", "--kill-who=main", "secbox-release.service")
    wait_until(lambda: status(whole)["last"]["state"] == "rolled-back", "systemd has it taken back")
    assert status(whole)["current"] == "releases/2" and runs(whole) == "/opt/tucomunidad/releases/2/bin/secbox"
    begin(whole, "5")
    box.reboot(hard=True)
    # by secbox-prepare.service where the kernel, too, was started anew, and else by secbox-release.service
    wait_until(lambda: status(whole)["last"]["state"] == "rolled-back", "it is taken back")
    wait_until(lambda: runs(whole) == "/opt/tucomunidad/releases/2/bin/secbox", "the one before runs")
    wait_until(lambda: connected(whole), "the tunnel is back")


def maintainer_script(name):
    """Of the package secbox, with what debhelper would put into it."""
    text = read_text(f"{ROOT}/installer/debian/secbox.{name}").split("set -e\n", 1)[1]
    helper = "systemd-sysusers\nsystemd-tmpfiles --create secbox-data.conf\n" if name == "postinst" else ""
    return text.replace("#DEBHELPER#\n", helper)


def add_secbox(folder, repository, version):
    stage = os.path.join(folder, "stage-secbox")
    if not os.path.isdir(stage):
        env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        subprocess.run(make_words("-C", ROOT, "install-secbox", f"DESTDIR={stage}"), env=env, check=True, capture_output=True)
    repository.add("secbox", version, f"secbox-agent (= {version})", stage,
                   {name: maintainer_script(name) for name in ("postinst", "prerm", "postrm")})
    repository.publish()


@pytest.fixture
def installed(whole):
    """A bare box beside a gateway that serves the packages. After `whole`, so that only one machine works at a time."""
    folder = tempfile.mkdtemp(prefix="secbox-host-mode-")
    os.chmod(folder, 0o755)
    repository = Repository(folder)
    make_packages(folder, repository, "1")
    add_secbox(folder, repository, "1")
    box = BareBox()
    options = ["--install-dir", repository.folder, "--issuer", "@URL@"]
    certificate = make_certificate(folder, box.gateway_address)
    with box, Gateway(os.path.join(folder, "gateway"), certificate, box.gateway_address, options) as gateway:
        bring_libraries(box)
        box.write(AUTHORITY, read_text(gateway.tls[0]))
        box.run("update-ca-certificates")
        it = World(folder, box, gateway, repository)
        it.before = it.listing()
        yield it
    shutil.rmtree(folder, ignore_errors=True)


def test_installed_upgraded_beside_a_release_and_taken_away(installed):
    box = installed.box
    box.write("/var/tmp/token", installed.gateway.enroll(DEVICE)["BOOTSTRAP"] + "\n", 0o600)
    p = installed.install("--unattended", "--host-mode", "--bootstrap", "/var/tmp/token", "--device", DEVICE)
    assert f"paired as {DEVICE}" in p.stdout, p
    box.run("rm", "/var/tmp/token")
    for unit in UNITS:
        wait_until(lambda: box.unit(unit, "ActiveState")["ActiveState"] == "active", unit)  # pylint: disable=cell-var-from-loop
    assert box.run("id", "tc", check=False).returncode != 0, "nobody has containers here"
    wait_until(lambda: connected(installed), "the device tunnel")
    path = release(installed, "2", *real())
    p = box.run("secboxctl", "release", "apply", path, "--deadline", "60")
    assert "confirmed" in p.stdout, p
    pid = box.main_pid("secbox")
    make_packages(installed.folder, installed.repository, "2")
    add_secbox(installed.folder, installed.repository, "2")
    installed.install("--unattended")
    assert installed.version("secbox") == "2 installed" and box.main_pid("secbox") == pid, "a release is no matter of the package"
    p = box.run("secboxctl", "release", "rollback", "--deadline", "60")
    assert "releases/2 -> /usr: confirmed" in p.stdout and runs(installed) == "/usr/bin/secbox", p
    p = box.run("dpkg", "--purge", "secbox")
    assert "/var/lib/tucomunidad/secbox stays" in p.stdout, p
    assert not os.path.exists(box.host.seen("/opt/tucomunidad")) and box.run("id", "relay-client", check=False).returncode != 0
    installed.install("--unattended")
    wait_until(lambda: runs(installed) == "/usr/bin/secbox", "it is there again")
    box.run("rm", path)
    installed.install("--uninstall", "--purge", "--unattended")
    assert differences(installed.before, installed.listing()) == []

# SPDX-License-Identifier: MIT
"""The data plane without containers, from its units, on a Debian 12 with systemd as process 1; and releases of it that are good,
bad, killed while they prove themselves, and cut by a reboot. `make host-mode`."""
# pylint: disable=redefined-outer-name
import json
import os
import shutil

import pytest

from tests.lab import program_image
from tests.lab.release_box import make_release
from tests.lab.util import LabError, program, wait_until
from tests.system.enrolled import DEVICE, enrolled

UNITS = ["secbox", "relay-client"]


@pytest.fixture(scope="module")
def whole():
    with enrolled("secbox", "relay-client", "secboxctl") as it:
        box = it.box
        kind, box.kind = box.kind, "secbox"
        box._install()  # pylint: disable=protected-access
        box.kind = kind
        for path in program_image.libraries(program("secbox")):  # a box with containers has no use for PostgreSQL's
            if not os.path.exists(box.host.seen(path)):
                shutil.copy(path, box.host.seen(path))
        box.run("systemd-sysusers")
        box.run("systemd-tmpfiles", "--create")
        box.run("systemctl", "daemon-reload")
        box.run("systemctl", "enable", "--now", "mgmt-agent", *UNITS)
        try:
            wait_until(lambda: connected(it), "the device tunnel")
        except LabError as e:
            pytest.fail(f"{e}\n{box.run('journalctl', '--no-pager', '-u', 'secbox*', check=False).stdout}")
        yield it


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

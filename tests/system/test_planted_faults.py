# SPDX-License-Identifier: MIT
"""Each fault of the table is planted on a whole box; the doctor names it, and what it prints, typed as it is, mends it."""
import json
import os
import shutil
import subprocess
import tempfile
import types

import pytest

from tests.conftest import require_programs
from tests.lab import faults, whole_box
from tests.lab.fleet import Fleet
from tests.lab.gateway import Gateway
from tests.lab.util import ROOT, LabError, program, read_text, wait_until
from tests.system.test_whole_box import DEVICE, STACK, make_certificate, push

UNITS = ["mgmt-agent", "mgmt-link", "recovery-agent", "ssh"]
# of the machine on which the tests run
NOT_OURS = {"time-sync", "space-state", "space-podman"}
# a minute of its rules for services that are down is three seconds
DROP_IN = "[Service]\nExecStart=\nExecStart=/usr/sbin/mgmt-agent --watch-pace 20\n"
REPOSITORY = "/srv/packages"
# The installed packages as an archive of packages, since the box has no network to fetch them from
REPACK = """
cd "$1"; shift
for name; do
    mkdir -p "$name/DEBIAN"
    dpkg-query -L "$name" | while read -r file; do
        if [ -e "$file" ] && [ ! -d "$file" ]; then echo "$file"; fi
    done | tar -cPT - | tar -x -C "$name"
    dpkg-query -s "$name" | awk '/^[^ ]/ { drop = /^(Status|Conffiles):/ } !drop' >"$name/DEBIAN/control"
    for script in preinst postinst prerm postrm; do
        for file in "/var/lib/dpkg/info/$name.$script" "/var/lib/dpkg/info/$name:amd64.$script"; do
            [ ! -e "$file" ] || cp -a "$file" "$name/DEBIAN/$script"
        done
    done
    dpkg-deb -Znone --build "$name" "$name.deb" >/dev/null
    cat "$name/DEBIAN/control"
    printf 'Filename: ./%s.deb\\nSize: %s\\nSHA256: %s\\n\\n' "$name" "$(stat -c %s "$name.deb")" \\
        "$(sha256sum "$name.deb" | cut -d' ' -f1)"
    rm -r "$name"
done >Packages
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
echo "deb [trusted=yes] file:$PWD ./" >/etc/apt/sources.list
apt-get -qq update
"""


def doctor(box):
    p = box.run("secboxctl", "doctor", "--json", check=False)
    return {c["id"]: c for c in json.loads(p.stdout)["checks"]}


def findings(box):
    return {name: c for name, c in doctor(box).items() if c["result"] != "pass" and name not in NOT_OURS}


def shell(box, command):
    return box.run("sh", "-euc", command, env={"DEBIAN_FRONTEND": "noninteractive"})


def make_repository(box):
    packages = [f.remedy.split(" ")[3] for f in faults.SECBOXCTL if f.remedy.startswith("apt-get install -y ")]
    box.run("mkdir", "-p", REPOSITORY)
    box.run("sh", "-euc", REPACK, "repack", REPOSITORY, *packages)


def deploy(box, gateway, folder):
    box.write(faults.CA_FILE, read_text(gateway.tls[0]))
    box.image("localhost/server:1", "server", "1")
    box.write_env("mgmt-agent.env", {**gateway.enroll(DEVICE), "CLOUD_CA_FILE": faults.CA_FILE, "PODMAN_USER": "tc",
                                     "UPDATE_MONITOR_ONLY": "1"})
    box.run("mkdir", "-p", "/etc/systemd/system/mgmt-agent.service.d")
    box.write("/etc/systemd/system/mgmt-agent.service.d/lab.conf", DROP_IN)
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "enable", "--now", *UNITS)
    gateway.wait_connected(DEVICE)
    whole = types.SimpleNamespace(box=box, gateway=gateway, folder=folder)
    code, last = push(whole, STACK)
    assert (code, last["outcome"]) == (0, "done"), last
    kept = f"{box.host.seen('/var/lib/tucomunidad/recovery')}/config.env"
    wait_until(lambda: os.path.exists(kept), "recovery-agent keeps its configuration")
    kept_env = f"{box.host.seen('/var/lib/tucomunidad/mgmt-link')}/kept.env"
    wait_until(lambda: os.path.exists(kept_env), "mgmt-link keeps its configuration")
    return whole


@pytest.fixture(scope="module")
def machine():
    """A box before anything is deployed on it."""
    require_programs("mgmt-agent", "mgmt-worker", "mgmt-link", "secboxctl", "secbox-gateway", "secbox-fleet", "recovery-agent")
    why = whole_box.why_not()
    if why:
        pytest.skip(f"no whole box here: {why}")
    folder = tempfile.mkdtemp(prefix="secbox-faults-")
    try:
        box = whole_box.WholeBox()
    except LabError as e:
        pytest.skip(f"a whole box does not start here: {e}")
    with box, Gateway(folder, make_certificate(folder, box.gateway_address), box.gateway_address) as gateway:
        yield types.SimpleNamespace(box=box, gateway=gateway, folder=folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def whole(machine):
    """The same, with services deployed and nothing wrong."""
    make_repository(machine.box)
    it = deploy(machine.box, machine.gateway, machine.folder)
    assert not findings(it.box)
    return it


def type_it(whole, command, by):
    """As root on the box, or as the operator on her machine."""
    if by == "box":
        return shell(whole.box, command)
    words = command.split()
    assert words[0] == "secbox-fleet"
    env = {"PATH": os.environ["PATH"], "HOME": whole.folder, "SECBOX_GATEWAY": whole.gateway.url,
           "SECBOX_TOKEN": whole.gateway.token, "SECBOX_CA": whole.gateway.tls[0]}
    return subprocess.run([program("secbox-fleet"), *words[1:]], env=env, check=True, capture_output=True)


def heal(whole, fault):
    """Plants it, asks, and does what is printed."""
    box = whole.box
    type_it(whole, fault.plant, "operator" if fault.plant.startswith("secbox-fleet ") else "box")

    def found():
        check = doctor(box)[fault.check]
        return check if check["result"] == "fail" and faults.holds(fault.says, check["detail"]) else None
    try:
        finding = wait_until(found, f"the doctor finds that {fault.broken}")
    except LabError as e:
        pytest.fail(f"{e}: {doctor(box)[fault.check]}")
    assert faults.matches(fault.remedy, finding.get("remedy", "")), finding
    where = {"box": "Run", "operator": "On the operator's machine, run"}[fault.by]
    assert finding["advice"].startswith(f"{where} `{finding['remedy']}`.") and finding["remedyFor"] == fault.by, finding
    assert ("since" in finding) == fault.since, finding
    type_it(whole, finding["remedy"], fault.by)
    if fault.by == "operator":
        box.run("systemctl", "restart", "mgmt-link")  # it would try again by itself, after a pause that has grown


@pytest.mark.parametrize("fault", faults.FRESH, ids=lambda f: f.name)
def test_before_anything_is_deployed(machine, fault):
    heal(machine, fault)
    assert doctor(machine.box)[fault.check]["result"] == "pass"
    assert machine.box.read("/etc/containers/storage.conf") == "".join(
        line for line in read_text(f"{ROOT}/installer/storage.conf").splitlines(True) if line[0] != "#")
    machine.box.run("podman", "info")  # root's is content with it, too


@pytest.mark.parametrize("fault", faults.SECBOXCTL, ids=lambda f: f.name)
def test_the_doctor_names_it_and_mends_it(whole, fault):
    before = whole.box.read(fault.whole) if fault.whole else ""
    heal(whole, fault)
    assert not fault.whole or whole.box.read(fault.whole) == before
    well_again(whole)


def well_again(whole):
    try:
        wait_until(lambda: not findings(whole.box), "the box is well")
    except LabError as e:
        pytest.fail(f"{e}: {findings(whole.box)}")


def from_afar(whole, code):
    """What secbox-fleet doctor says of the box: the gateway's checks and the box's own."""
    fleet = Fleet(whole.gateway.url, whole.gateway.token, whole.folder)
    fleet.env["SECBOX_CA"] = whole.gateway.tls[0]
    p = fleet.run("doctor", DEVICE, "--json", check=code)
    document = json.loads(p.stdout)
    return [{c["id"]: c for c in document[side]["checks"]} for side in ("gateway", "box") if side in document]


def test_it_is_seen_from_the_gateway_and_mended_from_there(whole):
    """By a worker in a unit of its own, since mgmt-agent itself may do next to nothing."""
    box = whole.box
    box.run("loginctl", "disable-linger", "tc")
    known, there = from_afar(whole, 1)
    here = doctor(box)
    assert list(there) == list(here) and there["lingering"] == here["lingering"], there
    assert there["lingering"]["remedy"] == "loginctl enable-linger tc"
    assert {c["result"] for c in known.values()} == {"pass"}, known
    shell(box, there["lingering"]["remedy"])
    well_again(whole)
    assert not [c for name, c in from_afar(whole, None)[1].items() if c["result"] != "pass" and name not in NOT_OURS]
    box.run("systemctl", "stop", "mgmt-link")
    wait_until(lambda: not whole.gateway.device(DEVICE)["connected"], "the gateway misses it")
    known, = from_afar(whole, 3)
    assert known["tunnel"]["result"] == "fail" and known["tunnel"]["remedy"] == f"secbox-fleet ssh {DEVICE} --reason doctor"
    box.run("systemctl", "start", "mgmt-link")
    whole.gateway.wait_connected(DEVICE)
    well_again(whole)

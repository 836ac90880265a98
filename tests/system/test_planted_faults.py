# SPDX-License-Identifier: MIT
"""Each fault of the table is planted on a whole box; the doctor names it, and what it prints, typed as it is, mends it."""
import json
import os
import shutil
import ssl
import subprocess
import types

import pytest

pytest.importorskip("cryptography")

from tests.lab import faults  # noqa: E402
from tests.lab.authority import Authority  # noqa: E402
from tests.lab.fleet import Fleet  # noqa: E402
from tests.lab.gateway import Gateway  # noqa: E402
from tests.lab.name_server import NameServer  # noqa: E402
from tests.lab.util import ROOT, LabError, bin_dir, read_text, wait_until  # noqa: E402
from tests.lab.wrong_clock import own_clock  # noqa: E402
from tests.system.enrolled import DEVICE, bare_box  # noqa: E402
from tests.system.test_whole_box import STACK as PLAIN, push  # noqa: E402

STACK = PLAIN.replace("  web:\n", '  web:\n    volumes: ["/var/lib/tucomunidad/volumes/web:/data"]\n')
UNITS = ["mgmt-agent", "mgmt-link", "recovery-agent", "ssh"]
# of the machine on which the tests run
NOT_OURS = {"time-sync", "space-state", "space-podman"}
# a minute of its rules for services that are down is three seconds
DROP_IN = "[Service]\nExecStart=\nExecStart=/usr/sbin/mgmt-agent --watch-pace 20\n"
REPOSITORY = "/srv/packages"
# what the box calls the gateway while names are broken
CLOUD = "cloud.lab"
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


class Certificates:
    """What the gateway shows, and what it may show instead."""

    def __init__(self, folder, address):
        between = Authority(os.path.join(folder, "between"), "between", above=Authority(folder))
        self.address, self.authority = address, os.path.join(folder, "ca.crt")
        self.names = (address, CLOUD)
        self.by = {"good": (between, True, {}), "no-chain": (between, False, {}), "expired": (between, True, {"expired": True}),
                   "unknown": (Authority(os.path.join(folder, "other"), "other"), False, {}),
                   "other-name": (between, True, {"hosts": ("elsewhere.invalid",)})}
        self.files = [os.path.join(folder, name) for name in ("server.crt", "server.key")]
        self.make("good")

    def make(self, kind):
        by, with_chain, how = self.by[kind]
        for path, source in zip(self.files, by.issue(**{"hosts": self.names, **how})):
            text = read_text(source) + (read_text(by.file) if with_chain and path.endswith(".crt") else "")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        return ssl.PEM_cert_to_DER_cert(text_of_first(self.files[0]))

    def serve(self, kind, gateway):
        """Returns when new connections see it."""
        want = self.make(kind)

        def shown():
            return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((gateway.host, gateway.port)))
        wait_until(lambda: shown() == want, f"the gateway shows the certificate: {kind}")


def text_of_first(path):
    """The first certificate of a file."""
    end = "-----END CERTIFICATE-----\n"
    return read_text(path).split(end)[0] + end


def deploy(whole):
    box, gateway = whole.box, whole.gateway
    box.write(faults.CA_FILE, read_text(gateway.authority))
    box.image("localhost/server:1", "server", "1")
    box.write_env("mgmt-agent.env", {**gateway.enroll(DEVICE), "CLOUD_CA_FILE": faults.CA_FILE, "PODMAN_USER": "tc",
                                     "UPDATE_MONITOR_ONLY": "1"})
    box.run("mkdir", "-p", "/etc/systemd/system/mgmt-agent.service.d")
    box.write("/etc/systemd/system/mgmt-agent.service.d/lab.conf", DROP_IN)
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "enable", "--now", *UNITS)
    gateway.wait_reported(DEVICE)
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
    with bare_box("mgmt-worker", "secboxctl", "recovery-agent") as (box, folder):
        certificates = Certificates(os.path.join(folder, "certificates"), box.gateway_address)
        with Gateway(folder, certificates.files, box.gateway_address, authority=certificates.authority) as gateway:
            yield types.SimpleNamespace(box=box, gateway=gateway, folder=folder, certificates=certificates)


@pytest.fixture(scope="module")
def whole(machine):
    """The same, with services deployed and nothing wrong."""
    make_repository(machine.box)
    deploy(machine)
    assert not findings(machine.box)
    return machine


def type_it(whole, command, by):
    """As root on the box, or as the operator on her machine."""
    if by == "box":
        return shell(whole.box, command)
    assert command.startswith("secbox-fleet ")
    env = {"PATH": f"{bin_dir()}:{os.environ['PATH']}", "HOME": whole.folder, "SECBOX_GATEWAY": whole.gateway.url,
           "SECBOX_TOKEN": whole.gateway.token, "SECBOX_CA": whole.gateway.authority}
    return subprocess.run(["sh", "-euc", command], env=env, check=True, capture_output=True, text=True)


def plant(whole, fault):
    if fault.serves:
        whole.certificates.serve(fault.serves, whole.gateway)
    type_it(whole, fault.plant, "operator" if fault.plant.startswith("secbox-fleet ") else "box")
    if fault.reboot:
        whole.box.reboot()


def mend(whole, fault, finding):
    """Exactly as it is printed."""
    if fault.serves:
        assert fault.remedy in finding["advice"], finding
        assert "remedy" not in finding, "nothing on this box mends it"
        whole.certificates.serve("good", whole.gateway)
        whole.box.run("systemctl", "restart", "mgmt-link")  # as for an operator below
        return
    assert faults.matches(fault.remedy, finding.get("remedy", "")), finding
    where = {"box": "Run", "operator": "On the operator's machine, run"}[fault.by]
    assert finding["advice"].startswith(f"{where} `{finding['remedy']}`.") and finding["remedyFor"] == fault.by, finding
    done = type_it(whole, finding["remedy"], fault.by)
    if "as BOOTSTRAP" in finding["advice"]:
        token = done.stdout.strip()
        shell(whole.box, f"sed -i 's/^BOOTSTRAP=.*/BOOTSTRAP={token}/' {faults.ENV} {faults.SECBOX_ENV}")
    if fault.by == "operator" or fault.name == "clock":
        whole.box.run("systemctl", "restart", "mgmt-link")  # it would try again by itself, after a pause that has grown


def heal(whole, fault):
    """Plants it, asks, and does what is printed."""
    box = whole.box
    plant(whole, fault)

    def found():
        check = doctor(box)[fault.check]
        return check if check["result"] == "fail" and faults.holds(fault.says, check["detail"]) else None
    try:
        finding = wait_until(found, f"the doctor finds that {fault.broken}")
    except LabError as e:
        pytest.fail(f"{e}: {doctor(box)[fault.check]}")
    assert ("since" in finding) == fault.since, finding
    mend(whole, fault, finding)


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
    fleet.env["SECBOX_CA"] = whole.gateway.authority
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
    # its containers end a moment later, if they have not done so by then
    bad = {name: c for name, c in known.items() if c["result"] != "pass"}
    assert set(bad) <= {"services"}, bad
    shell(box, there["lingering"]["remedy"])
    # the user's manager may end only now, and be started again with what it carried
    wait_until(lambda: not [c for name, c in from_afar(whole, None)[1].items() if c["result"] != "pass" and name not in NOT_OURS],
               "seen from the gateway, too, the box is well")
    box.run("systemctl", "stop", "mgmt-link")
    wait_until(lambda: not whole.gateway.device(DEVICE)["connected"], "the gateway misses it")
    known, = from_afar(whole, 3)
    assert known["tunnel"]["result"] == "fail" and known["tunnel"]["remedy"] == f"secbox-fleet ssh {DEVICE} --reason doctor"
    box.run("systemctl", "start", "mgmt-link")
    whole.gateway.wait_reported(DEVICE)
    well_again(whole)


def test_a_captive_portal_in_the_gateways_place(whole):
    plant(whole, faults.PORTAL)

    def found():
        check = doctor(whole.box)[faults.PORTAL.check]
        return check if check["result"] == "fail" and faults.holds(faults.PORTAL.says, check["detail"]) else None
    finding = wait_until(found, "the doctor finds what answers in the gateway's place")
    assert faults.PORTAL.remedy in finding["advice"] and "since" in finding and "remedy" not in finding, finding
    page = finding["detail"].split(" leads to ")[1].split()[0]
    whole.box.run("python3", "-c", "import sys, urllib.request; urllib.request.urlopen(sys.argv[1])", page)
    whole.box.run("systemctl", "stop", "portal")
    whole.box.run("systemctl", "restart", "mgmt-link")  # it would try again by itself, after a pause that has grown
    well_again(whole)


@pytest.fixture
def named(whole):
    """The box knows the gateway by a name, which it asks of its router."""
    box, gateway = whole.box, whole.gateway
    resolv, env = box.run("cat", "/etc/resolv.conf").stdout, box.read(faults.ENV)
    try:
        with NameServer(box.gateway_address, {CLOUD: box.gateway_address}) as server:
            shell(box, f"echo nameserver {box.gateway_address} >/etc/resolv.conf")
            box.write(faults.ENV, env.replace(f"//{box.gateway_address}:", f"//{CLOUD}:"), 0o600)
            wait_until(lambda: CLOUD in doctor(box)["tunnel"]["detail"], "mgmt-link calls the gateway by its name")
            well_again(whole)
            yield server
    finally:
        box.write(faults.ENV, env, 0o600)
        box.run("sh", "-c", "cat >/etc/resolv.conf", input=resolv)
        wait_until(lambda: CLOUD not in doctor(box)["tunnel"]["detail"], "and by its address again")
        gateway.wait_reported(DEVICE)


def test_names_that_are_not_resolved(whole, named):
    for fault in faults.DNS:
        heal(whole, fault)
        well_again(whole)
    named.names[CLOUD] = None
    found = wait_until(lambda: (c := doctor(whole.box)["dns"])["result"] == "fail" and c, "the name is not known any more")
    assert f"knows no host {CLOUD}" in found["detail"] and "have the name added there" in found["advice"], found
    named.names[CLOUD] = whole.box.gateway_address
    well_again(whole)


def test_an_image_that_is_missing_while_its_registry_is_away(whole):
    box = whole.box
    shutil.copy(shutil.which("docker-registry"), box.host.seen("/usr/bin/docker-registry"))
    box.write("/etc/containers/registries.conf.d/lab.conf", f'[[registry]]\nlocation = "{faults.REGISTRY}"\ninsecure = true\n')
    box.write("/srv/registry.json", json.dumps({"version": 0.1, "http": {"addr": faults.REGISTRY},
                                                "storage": {"filesystem": {"rootdirectory": "/srv/registry"}}}))
    box.run("systemd-run", "-q", "--unit", "registry", "docker-registry", "serve", "/srv/registry.json")
    wait_until(lambda: ":5000" in box.run("ss", "-ltn").stdout, "the registry listens")
    box.image("localhost/server:3", "server", "3")
    heal(whole, faults.IMAGE_AWAY)
    well_again(whole)
    assert set(box.running()) == {"web", "store"}


def test_a_clock_that_is_wrong_is_told_and_not_the_certificate(whole):
    with own_clock(whole.box):
        plant(whole, faults.CLOCK)
        refused = wait_until(lambda: (c := doctor(whole.box)["tunnel"])["result"] == "fail" and "is refused" in c["detail"] and c,
                             "mgmt-link refuses the certificate")
        assert "not yet valid" in refused["detail"] and "this box's clock, not the certificate" in refused["advice"], refused
        heal(whole, faults.CLOCK)
        well_again(whole)
    whole.box.run("systemctl", "restart", "recovery-agent", "mgmt-link")
    well_again(whole)


def test_a_disk_that_is_full(whole):
    shell(whole.box, faults.SMALL)
    for fault in faults.DISK:
        assert doctor(whole.box)[fault.check]["result"] == "pass"
        heal(whole, fault)
        assert doctor(whole.box)[fault.check]["result"] == "pass", fault.name
    shell(whole.box, faults.LARGE_AGAIN)
    well_again(whole)


def test_a_service_that_was_stopped_by_hand_is_no_fault(whole):
    box = whole.box
    box.user.podman("stop", "-t", "1", box.ids()["web"])
    said = wait_until(lambda: (c := doctor(box)["services"]) and "stopped by hand: web since 2" in c["detail"] and c, "it is told")
    assert said["result"] == "pass" and not findings(box), said
    shell(box, said["detail"].split("`")[1])
    wait_until(lambda: "by hand" not in doctor(box)["services"]["detail"], "it runs again")
    well_again(whole)


def test_a_service_that_was_stopped_by_hand_and_forgotten_is_one(whole):
    box, gateway = whole.box, whole.gateway

    def alarms(action):
        return [e["detail"] for e in gateway.request("GET", "/v1/audit?limit=1000").json["entries"] if e["action"] == action]

    def faults_at_the_gateway():
        values = gateway.request("GET", f"/v1/devices/{DEVICE}/health").json
        return "service.stopped:web" in json.dumps(values)

    env = box.read(faults.ENV)
    box.write(faults.ENV, env + "STOP_ALARM_AFTER=1s\n", 0o600)
    plant(whole, faults.FORGOTTEN)
    known = wait_until(lambda: (c := from_afar(whole, None)[0]["services"]) and "web" in c["detail"] and c, "the gateway knows")
    assert known["result"] == "fail" and "web: stopped by hand" in known["detail"], known
    alarm = wait_until(lambda: [d for d in alarms("service.down") if d["what"] == "stopped by hand"], "the alarm")[0]
    assert alarm["service"] == "web" and alarm["since"].startswith(known["since"][:16]), (alarm, known)
    wait_until(faults_at_the_gateway, "it is in the box's health")
    finding = doctor(box)["services"]
    assert finding["result"] == "fail" and faults.holds(faults.FORGOTTEN.says, finding["detail"]), finding
    mend(whole, faults.FORGOTTEN, finding)
    wait_until(lambda: [d for d in alarms("service.well") if d["since"] == alarm["since"]], "the alarm ends")
    wait_until(lambda: not faults_at_the_gateway(), "and its health is well")
    box.write(faults.ENV, env, 0o600)
    well_again(whole)

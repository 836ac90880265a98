# SPDX-License-Identifier: MIT
"""The one-liner on a whole bare box, with packages from a gateway: killed, finished, repeated, upgraded, taken away, and without a
network. The packages hold what `make install-box` installs. `make install-kills` kills it more often."""
# pylint: disable=redefined-outer-name
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
import types

import pytest

from tests.conftest import note, require_programs, skip
from tests.lab import whole_box
from tests.lab.gateway import Gateway
from tests.lab.installer import Repository
from tests.lab.self_signed import make_certificate
from tests.lab.util import ROOT, LabError, make_words, read_text, wait_until
from tests.system.enrolled import DEVICE

KILLS = int(os.environ.get("INSTALL_KILLS", "5"))
CYCLES = int(os.environ.get("INSTALL_CYCLES", "1"))
AUTHORITY = "/usr/local/share/ca-certificates/lab.crt"
# as the README has it
ONE_LINE = re.search(r"^curl -fsSL https://cloud\.example/install/secbox \| sh$", read_text(f"{ROOT}/README.md"), re.M).group()
UNITS = ["mgmt-agent.service", "mgmt-link.service", "recovery-agent.service"]
POSTINST = "systemd-sysusers\nsystemd-tmpfiles --create secbox.conf\nsystemctl daemon-reload\n"
PRERM = f"systemctl --quiet disable --now {' '.join(UNITS)} secbox-paths secbox-recovery-sshd 2>/dev/null || true\n"
# What package manager, shadow and systemd keep for themselves; what is written while a machine just runs
OWN = (r"/(proc|sys|dev|run|tmp)(/|$)|/var/(lib/(apt|dpkg|systemd|private|dbus|pam)|cache|tmp)|/var/(log|lib)$"
       r"|/var/log/(journal|apt|wtmp|btmp|lastlog|faillog|dpkg\.log|alternatives\.log)|/root/\.cache|/root/\.bash_history"
       r"|/etc/(passwd|group|shadow|gshadow|subuid|subgid)-$|/etc/(ld\.so\.cache|mtab|resolv\.conf)$")
# names of things, not their age: what was replaced and put back is the same
LISTING = r"find / -xdev \( -type d -printf '%p d %m %u\n' -o -type l -printf '%p l %l\n' -o -printf '%p f %m %u %s\n' \)"


class BareBox(whole_box.WholeBox):
    """A Debian with what a box needs to run, and curl, but nothing of ours."""

    def _install(self):
        shutil.copy(shutil.which("curl"), self.host.seen("/usr/bin/curl"))
        self.write("/etc/apt/sources.list", "")

    def _set_up(self):
        pass


class World:
    def __init__(self, folder, box, gateway, repository):
        self.folder, self.box, self.gateway, self.repository = folder, box, gateway, repository
        self.before = None

    def line(self, *args):
        line = ONE_LINE.replace("https://cloud.example", self.gateway.url)
        return f"set -o pipefail; {line} -s -- {' '.join(args)}"

    def install(self, *args, check=True):
        """The line, as somebody types it."""
        return self.box.run("bash", "-c", self.line(*(args or ["--unattended"])), check=check)

    def listing(self):
        lines = self.box.run("sh", "-c", LISTING).stdout.splitlines()
        found = dict(line.split(" ", 1) for line in lines if not re.match(OWN, line.split(" ", 1)[0]))
        texts = self.box.run("sh", "-c", "find /etc -xdev -type f -exec md5sum {} +").stdout.splitlines()
        digests = [line.split(None, 1) for line in texts]
        found.update({f"{name} text": digest for digest, name in digests if not re.match(OWN, name)})
        return found

    def version(self, package="secbox-agent"):
        return self.box.run("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", package, check=False).stdout

    def is_whole(self, version):
        box = self.box
        for package in ("secbox-agent", "secbox-recovery", "lab-part"):
            assert self.version(package) == f"{version} installed", package
        assert box.run("dpkg", "--audit").stdout == ""
        states = box.run("systemctl", "is-enabled", *UNITS).stdout.split()
        assert states == ["enabled"] * len(UNITS)
        assert box.unit("mgmt-agent", "ActiveState")["ActiveState"] in ("active", "activating")
        box.find_user()
        assert box.run("test", "-e", f"/var/lib/systemd/linger/{whole_box.USER}", check=False).returncode == 0
        for ids in ("subuid", "subgid"):
            ranges = [line for line in box.read(f"/etc/{ids}").splitlines() if line.startswith(f"{whole_box.USER}:")]
            assert len(ranges) == 1 and ranges[0].endswith(":65536"), ranges
        assert box.read("/etc/containers/storage.conf") == read_text(f"{ROOT}/installer/storage.conf")
        assert "/install/apt" in box.read("/etc/apt/sources.list.d/secbox.sources") or "file:" in box.read(
            "/etc/apt/sources.list.d/secbox.sources")
        assert "SystemMaxUse=500M" in box.read("/etc/systemd/journald.conf.d/secbox.conf")
        assert box.run("stat", "-c", "%a", "/var/log/secbox-install.log").stdout == "600\n"
        assert not [path for path in self.listing() if path.endswith(".secbox-new")]


def differences(a, b):
    """But for what useradd leaves behind where a run was killed in it: /etc/passwd.PID and its like."""
    return sorted(f"{key}: {a.get(key)} → {b.get(key)}" for key in {*a, *b}
                  if a.get(key) != b.get(key) and not re.match(r"/etc/(passwd|shadow|group|gshadow|subuid|subgid)\.\d+\b", key))


def make_packages(folder, repository, version):
    """What `make install-box` installs, in packages of the real names; one more that only they need."""
    stage = os.path.join(folder, "stage")
    if not os.path.isdir(stage):
        env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        p = subprocess.run(make_words("-C", ROOT, "install-box", f"DESTDIR={stage}"), env=env, capture_output=True, text=True,
                           check=False)
        if p.returncode:
            raise LabError(f"make install-box: {p.stdout}{p.stderr}")
    needs = subprocess.run([f"{ROOT}/installer/deps.sh", "-n", "box"], check=True, capture_output=True, text=True).stdout.split()
    repository.add("lab-part", version, files={"/usr/share/lab-part/file": version})
    repository.add("secbox-agent", version, ", ".join([*needs, f"lab-part (= {version})"]), stage,
                   {"postinst": POSTINST, "prerm": PRERM})
    repository.add("secbox-recovery", version, f"secbox-agent (= {version})", {"/usr/share/doc/secbox-recovery/version": version})
    repository.publish()


@pytest.fixture(scope="module")
def world():
    require_programs("mgmt-agent", "mgmt-worker", "mgmt-link", "recovery-agent", "secboxctl", "secbox-gateway")
    why = whole_box.why_not()
    if why:
        skip(f"no whole box here: {why}")
    folder = tempfile.mkdtemp(prefix="secbox-one-line-")
    os.chmod(folder, 0o755)
    repository = Repository(folder)
    make_packages(folder, repository, "1")
    try:
        box = BareBox()
    except LabError as e:
        skip(f"a whole box does not start here: {e}")
    options = ["--install-dir", repository.folder, "--issuer", "@URL@"]
    certificate = make_certificate(folder, box.gateway_address)
    with box, Gateway(os.path.join(folder, "gateway"), certificate, box.gateway_address, options) as gateway:
        box.write(AUTHORITY, read_text(gateway.tls[0]))
        box.run("update-ca-certificates")
        yield World(folder, box, gateway, repository)
    shutil.rmtree(folder, ignore_errors=True)


def test_a_dry_run_changes_nothing(world):
    world.before = world.listing()
    p = world.install("--dry-run")
    assert "What is done" in p.stdout and " NO " not in p.stdout, p
    assert differences(world.before, world.listing()) == []


def kill_at(world, step, pause):
    """Kills all that the installer has started, some time into a step of it; what it has said."""
    with subprocess.Popen(world.box.words("bash", "-c", world.line("--unattended")), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True) as p:
        seen = []
        for line in p.stdout:
            seen.append(line)
            if line.startswith(f"[{step}/") and line.rstrip().endswith("..."):
                time.sleep(pause)
                break
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        p.wait()
    return "".join(seen)


def cycle(world, seed):
    """Kills at random points of random steps, and then a run that is left alone."""
    pick = random.Random(seed)
    points = [(pick.choice([1, 2, 3, 4, 5, 5, 6, 6, 7, 8]), pick.choice([0, 0.02, 0.1, 0.3, 0.7])) for _ in range(KILLS)]
    for step, pause in points:
        seen = kill_at(world, step, pause)
        assert f"[{step}/8]" in seen, (seed, points, seen)
    begin = time.monotonic()
    p = world.install(check=False)
    assert p.returncode == 0, (seed, points, p, world.box.run("tail", "-n", "60", "/var/log/secbox-install.log").stdout)
    world.is_whole("1")
    return p, time.monotonic() - begin


def test_killed_at_any_moment_it_is_finished_by_the_next_run(world):
    for i in range(CYCLES):
        seed = random.randrange(1 << 32)
        p, seconds = cycle(world, seed)
        if i + 1 < CYCLES:
            purge(world)
    note(f"installed on a bare box after {KILLS} kills (seed {seed}): {seconds:.0f} s")
    assert "8080" in p.stdout, "where it is paired"
    assert re.search(r"\[8/8\] starting: done, \d+ s", p.stdout), p.stdout


def test_a_second_run_changes_nothing(world):
    before, made = world.listing(), world.box.read("/var/lib/secbox-install/made")
    pids = [world.box.main_pid(unit) for unit in UNITS[:1]]
    world.install()
    changed = [d for d in differences(before, world.listing()) if "/secbox-install" not in d]
    assert changed == []
    assert world.box.read("/var/lib/secbox-install/made") == made
    assert [world.box.main_pid(unit) for unit in UNITS[:1]] == pids, "what runs goes on"


def test_what_is_not_signed_is_not_installed(world):
    before = world.version()
    lists = f"{world.repository.apt}/dists/stable"
    good = read_text(f"{lists}/InRelease")
    for bad in (good.replace("Suite: stable", "Suite: stable2"), re.sub("-----BEGIN PGP SIGNATURE.*", "", good, flags=re.S)):
        with open(f"{lists}/InRelease", "w", encoding="utf-8") as f:
            f.write(bad)
        p = world.install(check=False)
        assert p.returncode == 24 and "is not signed with SecBox's key" in p.stderr, p
        assert world.version() == before
    with open(f"{lists}/InRelease", "w", encoding="utf-8") as f:
        f.write(good)


def test_another_package_manager_at_work_is_named(world):
    box = world.box
    world.repository.add("slow", "1", scripts={"postinst": ": >/var/tmp/begun\nuntil [ -e /var/tmp/go ]; do sleep 1; done\n"})
    shutil.move(f"{world.repository.apt}/pool/slow_1_all.deb", box.host.seen("/var/tmp/slow.deb"))
    box.run("systemd-run", "--quiet", "--unit=slow", "dpkg", "-i", "/var/tmp/slow.deb")
    wait_until(lambda: os.path.exists(box.host.seen("/var/tmp/begun")), "somebody's dpkg is at work")
    p = world.install("--unattended", "--lock-wait", "2", check=False)
    assert p.returncode == 21 and re.search(r"still in use \(dpkg, process \d+\) after \d+ seconds: let it finish", p.stderr), p
    box.write("/var/tmp/go", "")
    wait_until(lambda: world.version("slow") == "1 installed", "it is done")
    world.install("--unattended")
    box.run("dpkg", "--purge", "slow")


def test_an_upgrade_in_place(world):
    """Where needrestart would ask what to restart, and wait for an answer, unless it is told not to."""
    ask = "/etc/apt/apt.conf.d/99needrestart"
    world.box.write(ask, 'DPkg::Post-Invoke {"test x$NEEDRESTART_SUSPEND = x || touch /var/tmp/not-asked";};\n')
    make_packages(world.folder, world.repository, "2")
    world.install()
    world.is_whole("2")
    assert world.box.run("test", "-e", "/var/tmp/not-asked", check=False).returncode == 0
    world.box.run("rm", ask)


def test_a_token_for_many_boxes(world):
    box, token = world.box, world.gateway.request("POST", "/v1/enrolments", {}).json["token"]
    box.write("/var/tmp/token", token + "\n", 0o600)
    p = world.install("--unattended", "--bootstrap", "/var/tmp/token")
    assert "not paired yet" in p.stdout and "an operator has to let this box in" in p.stdout, p
    name = world.gateway.request("GET", "/v1/pending-devices").json["pending"][0]["device"]
    assert name.startswith(box.run("hostname", "-s").stdout.strip() + "-")
    assert "It waits until an operator approves it" in world.install().stdout, "a later run knows"
    assert world.gateway.request("POST", f"/v1/pending-devices/{name}/approve").status == 201
    world.gateway.wait_connected(name)
    wait_until(lambda: token not in box.read("/etc/tucomunidad/mgmt-agent.env"), "the token is gone", world.gateway.daemon.death)
    assert token not in box.read("/var/log/secbox-install.log") + p.stdout + p.stderr
    box.run("secboxctl", "unpair", "--yes")
    box.run("rm", "/var/tmp/token")


def test_pairing_by_a_token_in_a_file(world):
    box, token = world.box, world.gateway.enroll(DEVICE)["BOOTSTRAP"]
    box.write("/var/tmp/token", '"', 0o600)
    p = world.install("--unattended", "--bootstrap", "/var/tmp/token", "--device", DEVICE, check=False)
    assert p.returncode == 26 and "holds no bootstrap token" in p.stderr, p
    box.write("/var/tmp/token", token + "\n", 0o600)
    p = world.install("--unattended", "--bootstrap", "/var/tmp/token", "--device", DEVICE)
    assert f"paired as {DEVICE} with" in p.stdout, p
    world.gateway.wait_connected(DEVICE)
    assert token not in box.read("/var/log/secbox-install.log") + p.stdout + p.stderr
    box.run("rm", "/var/tmp/token")
    assert f"It is paired with {world.gateway.url}" in world.install().stdout, "and a later run knows"


def purge(world):
    p = world.install("--uninstall", "--purge", "--unattended")
    assert "SecBox is uninstalled" in p.stdout, p
    assert differences(world.before, world.listing()) == []
    assert world.box.run("id", whole_box.USER, check=False).returncode != 0
    left = world.box.run("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n").stdout
    assert "secbox" not in left and "lab-part" not in left


def test_uninstall_leaves_data_and_purge_leaves_nothing(world):
    box = world.box
    box.write("/etc/tucomunidad/secbox.env", "A=1\n")
    world.install("--uninstall", "--unattended")
    assert world.version() == "" and box.read("/etc/tucomunidad/secbox.env") == "A=1\n"
    assert box.run("id", whole_box.USER).returncode == 0
    for path in ("/etc/apt/sources.list.d/secbox.sources", "/etc/systemd/journald.conf.d/secbox.conf"):
        assert not os.path.exists(box.host.seen(path))
    purge(world)
    assert "Nothing of SecBox" in world.install("--uninstall", "--unattended").stdout


def test_without_a_network_from_a_bundle(world):
    box = world.box
    bundle = world.repository.bundle(os.path.join(world.folder, "bundle.tar"))
    shutil.copy(bundle, f"{box.root}/var/tmp/bundle.tar")
    shutil.copy(f"{world.repository.folder}/secbox", f"{box.root}/var/tmp/secbox")
    box.run("ip", "link", "set", "eth0", "down")
    try:
        assert box.run("ip", "route").stdout == ""
        box.run("sh", "/var/tmp/secbox", "--offline", "/var/tmp/bundle.tar", "--unattended")
        world.is_whole("2")
        box.run("sh", "/var/tmp/secbox", "--uninstall", "--purge", "--unattended")
        box.run("rm", "/var/tmp/secbox", "/var/tmp/bundle.tar")
        assert differences(world.before, world.listing()) == []
    finally:
        box.run("ip", "link", "set", "eth0", "up")

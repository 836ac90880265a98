# SPDX-License-Identifier: MIT
"""The Debian packages on a Debian that has nothing of ours: apt takes them from the signed repository alone, they start what a box
runs, a newer version takes the place of a running one, and what purging leaves is data."""
import contextlib
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import types

import pytest

from tests.conftest import require_programs, skip
from tests.lab import readme, whole_box
from tests.lab.box import AGENT_ENV
from tests.lab.util import ROOT, Daemon, LabError, free_port, make_words, port_answers, wait_until

PACKAGES = ["secbox-agent", "secbox-recovery"]
UNITS = ["mgmt-agent", "mgmt-link", "recovery-agent", "secbox-recovery-sshd"]
PORTS = {"the machine's sshd": 22, "the recovery sshd": 2222}
STACK = "services:\n  web:\n    image: localhost/server:1\n    restart: always\n"
# what changes by itself on a machine that runs, and what apt and dpkg keep of their own work
OF_THE_MACHINE = re.compile(r"/(proc|sys|dev|run|tmp|root|home|var/(log|tmp|cache))(/|$)|"
                            r"/var/lib/(apt|dpkg|containers|systemd|postgresql)(/|$)|"
                            r"/etc/((passwd|group|shadow|gshadow|subuid|subgid)-?|apt/sources.list|compose.yml)$")
# what a box was told, and what it knows
DATA = re.compile(r"/etc/tucomunidad(/(trust(/break-glass\.pub)?|mgmt-agent\.env|secbox\.env))?$|/var/lib/tucomunidad(/|$)")
# what a gateway was told, and what it knows
GATEWAY_DATA = re.compile(r"/etc/secbox-gateway\.env$|/var/lib/secbox-gateway(/|$)|user secbox-gateway$")


class Packaged:
    """Of a machine: nothing of ours is installed on it but by apt."""

    def apt(self, *args, check=True):
        return self.run("apt-get", "-q", "-y", *args, check=check, env={"DEBIAN_FRONTEND": "noninteractive"})

    def files(self):
        """Every file and folder, and the users."""
        found = self.run("find", "/", "-xdev", "-not", "-path", "/proc/*", "-print").stdout.splitlines()
        users = self.run("getent", "passwd").stdout.splitlines()
        return {name for name in found if not OF_THE_MACHINE.match(name)} | {"user " + user.split(":")[0] for user in users}


class PackagedBox(Packaged, whole_box.WholeBox):
    def _install(self):
        pass

    def _set_up(self):
        self.run("useradd", "--create-home", "--shell", "/bin/bash", whole_box.USER)
        self.run("loginctl", "enable-linger", whole_box.USER)
        self.find_user()


class PackagedGateway(Packaged, readme.Machine):
    """With PostgreSQL, and somebody who follows the README, though not in a copy of the tree."""

    def _copy_tree(self):
        self.run("install", "-d", "-o", readme.PERSON, readme.PLACE)


def run(*words, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "GNUPG"))}
    p = subprocess.run(words, cwd=ROOT, env={**clean, **env}, capture_output=True, text=True, check=False)
    assert p.returncode == 0, f"{words}: {p.stdout}{p.stderr}"
    return p.stdout


def make_newer(folder, newer, version="99", change=None):
    """The same packages with a version that comes after theirs, in a repository with the same key. change(package, tree)."""
    os.makedirs(f"{newer}/deb")
    for package in glob.glob(f"{folder}/deb/*.deb"):
        run("dpkg-deb", "-R", package, f"{newer}/tree")
        with open(f"{newer}/tree/DEBIAN/control", "r+", encoding="utf-8") as f:
            control = re.sub(r"(?m)^Version: .*", f"Version: {version}", f.read())
            f.seek(0)
            f.truncate()
            f.write(control)
        name = re.search(r"(?m)^Package: (.*)", control).group(1)
        if change:
            change(name, f"{newer}/tree")
        run("dpkg-deb", "--root-owner-group", "-b", f"{newer}/tree", f"{newer}/deb/{name}_{version}_{package.rsplit('_', 1)[1]}")
        shutil.rmtree(f"{newer}/tree")
    shutil.copy(f"{folder}/repo-test-key.asc", newer)
    run(*make_words(f"PACKED={newer}", "PODMAN=false", "repo"))


@pytest.fixture(scope="module")
def packed():
    require_programs("mgmt-agent", "recovery-agent", "secbox-gateway", "secbox-fleet", "secbox")
    for tool, package in {"dh": "debhelper", "apt-ftparchive": "apt-utils"}.items():
        if not shutil.which(tool):
            skip(f"{package} is not installed: installer/deps.sh packages")
    folder = tempfile.mkdtemp(prefix="secbox-packed-")
    run(*make_words("PREBUILT=1", f"PACKED={folder}", "deb"), DEB_BUILD_OPTIONS="noautodbgsym")
    run(*make_words(f"PACKED={folder}", "CLOUD=https://cloud.example", "PODMAN=false", "repo"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def machine(packed, make):
    """A machine that can ask for the packages, and knows the key that signs them."""
    with contextlib.ExitStack() as stack:
        try:
            box = stack.enter_context(make())
        except LabError as e:
            skip(f"a whole machine does not start here: {e}")
        port = free_port()
        serve = [sys.executable, "-m", "http.server", str(port), "--bind", box.gateway_address, "-d", packed]
        web = Daemon("the repository", serve, os.path.join(packed, f"web-{port}.log"), dict(os.environ))
        stack.callback(web.stop)
        wait_until(lambda: port_answers(port, box.gateway_address), "the repository is served", web.death)
        with open(f"{packed}/repo/secbox-archive-keyring.asc", encoding="ascii") as f:
            box.write("/etc/apt/keyrings/secbox.asc", f.read())
        for source in glob.glob(box.host.seen("/etc/apt/sources.list*")):  # all that is needed is there: no other machine is asked
            shutil.rmtree(source) if os.path.isdir(source) else os.unlink(source)
        address = f"http://{box.gateway_address}:{port}"
        yield types.SimpleNamespace(box=box, packed=packed, address=address, before=box.files())


@pytest.fixture(scope="module")
def lab(packed):
    why = whole_box.why_not()
    if why:
        skip(f"no whole box here: {why}")
    with machine(packed, PackagedBox) as it:
        yield it


@pytest.fixture(scope="module")
def cloud(packed):
    """The gateway's machine."""
    why = whole_box.why_not("gateway")
    if why:
        skip(f"no whole machine here: {why}")
    with machine(packed, lambda: PackagedGateway("gateway")) as it:
        yield it


@pytest.fixture(scope="module")
def newer(packed):
    """The folder of the same packages with a higher version, as it is called in the repository."""
    make_newer(packed, f"{packed}/newer")
    return "newer/repo"


def name_source(lab, folder):
    lab.box.write("/etc/apt/sources.list", f"deb [signed-by=/etc/apt/keyrings/secbox.asc] {lab.address}/{folder}/apt stable main\n")


def spoiled(lab, name, spoil):
    """A copy of the repository with one thing wrong."""
    shutil.copytree(f"{lab.packed}/repo", f"{lab.packed}/{name}")
    spoil(f"{lab.packed}/{name}/apt")
    name_source(lab, name)
    lab.box.run("find", "/var/lib/apt/lists", "-type", "f", "-delete")
    update = lab.box.apt("update", check=False)
    install = lab.box.apt("install", *PACKAGES, check=False)
    shutil.rmtree(f"{lab.packed}/{name}")
    return update, install


def alter(path, old, new):
    with open(path, "r+b") as f:
        content = f.read()
        assert old in content
        f.seek(0)
        f.write(content.replace(old, new, 1))


def unsign(apt):
    os.unlink(f"{apt}/dists/stable/InRelease")
    os.unlink(f"{apt}/dists/stable/Release.gpg")


def alter_lists(apt):
    for name in glob.glob(f"{apt}/dists/stable/main/binary-*/Packages*"):
        packed = name.endswith(".gz")
        alter(name, b"\x1f\x8b" if packed else b"secbox", b"\x1f\x8c" if packed else b"sekbox")


def alter_package(apt):
    for name in glob.glob(f"{apt}/pool/main/secbox-agent_*.deb"):
        alter(name, b"control.tar", b"kontrol.tar")


def alter_release(apt):
    alter(f"{apt}/dists/stable/InRelease", b"Origin: SecBox", b"Origin: Sekbox")
    os.unlink(f"{apt}/dists/stable/Release.gpg")


def test_lintian_has_nothing_to_say(packed):
    if not shutil.which("lintian"):
        skip("lintian is not installed: installer/deps.sh packages")
    p = subprocess.run(["lintian", "--allow-root", "--fail-on", "warning,error", *glob.glob(f"{packed}/deb/*.deb")],
                       capture_output=True, text=True, check=False)
    assert (p.returncode, p.stdout) == (0, ""), p.stdout + p.stderr


@pytest.mark.parametrize("spoil, said", [(unsign, "not signed"), (alter_release, "signature"),
                                         (alter_lists, "unexpected size|Hash Sum"),
                                         (alter_package, "unexpected size|Hash Sum|control.tar")])
def test_apt_refuses_what_is_not_as_it_was_signed(lab, spoil, said):
    update, install = spoiled(lab, "spoiled", spoil)
    assert install.returncode != 0
    assert re.search(said, update.stderr + update.stdout + install.stderr + install.stdout), update.stderr + install.stderr
    assert lab.box.run("dpkg-query", "-W", *PACKAGES, check=False).stdout == "", "nothing was unpacked"


def test_installed_packages_run_a_box(lab):
    box = lab.box
    name_source(lab, "repo")
    box.apt("update")
    box.apt("install", *PACKAGES)
    enabled = [*UNITS, "secbox-pairing.path", "mgmt-change-guard.path"]
    assert box.run("systemctl", "is-enabled", *enabled).stdout.split() == ["enabled"] * len(enabled)
    assert box.run("systemctl", "is-active", "mgmt-change-guard.path").stdout.strip() == "active"
    assert box.run("systemctl", "is-active", *UNITS).stdout.split() == ["active"] * len(UNITS), "before there is a cloud to call"
    assert box.run("systemctl", "--failed", "--no-legend", "--plain").stdout == ""
    assert box.run("sshd", "-T").stdout.count("authorizedkeyscommand /usr/lib/secbox/authorized-keys") == 1
    box.write_env("mgmt-agent.env", AGENT_ENV)
    box.run("systemctl", "restart", "mgmt-agent", "mgmt-link", "recovery-agent")
    box.image("localhost/server:1", "server", "1")
    box.write("/etc/compose.yml", STACK)
    box.run("secboxctl", "apply", "/etc/compose.yml")
    wait_until(lambda: set(box.running()) == {"web"}, "the container runs")


def sessions(box):
    """A session by each sshd, with a program that says back what it hears."""
    box.run("sh", "-c", "umask 077; mkdir -p /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519; "
            "cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys; "
            "install -m 644 /root/.ssh/id_ed25519.pub /etc/tucomunidad/trust/break-glass.pub")
    ssh = ["ssh", "-q", "-o", "StrictHostKeyChecking=no", "root@127.0.0.1", "cat"]
    return {name: subprocess.Popen(box.words(*ssh[:1], "-p", str(port), *ssh[1:]), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   text=True, bufsize=1)
            for name, port in PORTS.items()}


def says_back(session, word):
    session.stdin.write(word + "\n")
    session.stdin.flush()
    return session.stdout.readline().strip() == word


def test_a_newer_version_keeps_containers_and_sessions(lab, newer):
    box = lab.box
    box.run("systemctl", "start", "ssh")
    web, agent, sshd = box.containers()["web"], box.main_pid("mgmt-agent"), box.main_pid("ssh")
    open_ones = sessions(box)
    try:
        assert all(says_back(session, "before") for session in open_ones.values())
        name_source(lab, newer)
        box.apt("update")
        box.apt("install", *PACKAGES)
        versions = box.run("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}\n", *PACKAGES).stdout.split()
        assert versions == ["99", "installed"] * 2
        for name, session in open_ones.items():
            assert says_back(session, "after"), f"the session by {name} has ended"
    finally:
        for session in open_ones.values():
            session.stdin.close()
            session.wait()
            session.stdout.close()
    assert box.main_pid("mgmt-agent") not in (0, agent) and box.main_pid("ssh") == sshd, "a new agent, the same sshd"
    assert box.run("systemctl", "is-active", *UNITS).stdout.split() == ["active"] * len(UNITS)
    now = box.containers()["web"]
    assert (now["Id"], now["State"]["StartedAt"]) == (web["Id"], web["State"]["StartedAt"]) and now["State"]["Status"] == "running"


def update(box, version):
    """The end of an update that changes nothing, as secboxctl tells it."""
    p = box.run("secboxctl", "agent", "update", version, "--json", check=False)
    return p.returncode, json.loads(p.stdout)


def test_a_box_updates_itself_from_its_own_signed_repository_alone(lab):
    """What does happen is in tests/soak/test_package_updates.py."""
    box = lab.box
    source = "/etc/apt/sources.list.d/secbox.sources"
    stanza = (f"Types: deb\nURIs: {lab.address}/newer/repo/apt\nSuites: stable\nComponents: main\n"
              "Signed-By: /etc/apt/keyrings/secbox.asc\n")
    code, end = update(box, "100")
    assert code == 1 and end["state"] == "failed" and source in end["why"], end
    for bad in (stanza.replace("Signed-By", "X-Signed-By"), stanza + "Trusted: yes\n", stanza + "Allow-Insecure: yes\n"):
        box.write(source, bad)
        code, end = update(box, "100")
        assert code == 1 and "by whose key" in end["why"], (bad, end)
    box.write(source, stanza)
    code, end = update(box, "100")
    assert code == 1 and "secbox-agent 100 cannot be fetched" in end["why"], end
    code, end = update(box, "98")
    assert code == 1 and "newer versions only" in end["why"], end
    assert update(box, "99")[1]["state"] == "confirmed", "it is there already"
    box.run("systemctl", "stop", "recovery-agent")
    code, end = update(box, "100")
    assert code == 1 and "nobody would watch" in end["why"], end
    box.run("systemctl", "start", "recovery-agent")
    versions = box.run("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}\n", *PACKAGES).stdout.split()
    assert versions == ["99", "installed"] * 2
    results = json.loads(box.run("secboxctl", "history", "--json").stdout)["entries"]
    assert [r["outcome"] for r in results[:8] if r.get("kind") == "agent"] == ["failed", "done", *["failed"] * 6]
    box.run("rm", "-r", os.path.dirname(source))


def test_purging_leaves_data_and_says_where(lab):
    box = lab.box
    web = box.containers()["web"]
    said = box.apt("purge", *PACKAGES).stdout
    for folder in ("/etc/tucomunidad", "/var/lib/tucomunidad"):
        assert re.search(rf"^secbox-agent: {folder} stays", said, re.M), said
    left = box.files() - lab.before
    users = {"user mgmt-link", "user secbox-recovery"}  # who own data
    assert not [name for name in left - users if not DATA.match(name)], left
    assert "/etc/tucomunidad/mgmt-agent.env" in left
    assert lab.before - box.files() == set(), "nothing of the machine's own went with it"
    assert box.run("systemctl", "--failed", "--no-legend", "--plain").stdout == ""
    now = box.containers()["web"]
    assert (now["Id"], now["State"]["StartedAt"]) == (web["Id"], web["State"]["StartedAt"])
    assert box.run("sshd", "-t").returncode == 0


def test_what_was_never_used_leaves_nothing(lab):
    """A box that was never told anything: not even users and folders are left."""
    box = lab.box
    box.run("sh", "-c", "rm -rf /etc/tucomunidad /var/lib/tucomunidad; userdel mgmt-link; userdel secbox-recovery")
    before = box.files()
    name_source(lab, "repo")
    box.apt("update")
    box.apt("install", "secbox-recovery")
    box.run("systemctl", "stop", "secbox-recovery-sshd")
    box.run("rm", "-rf", "/var/lib/tucomunidad/recovery-sshd")
    box.apt("purge", "secbox-recovery")
    assert box.files() == before


def test_a_gateway_from_packages_after_what_the_readme_says(cloud):
    box = cloud.box
    name_source(cloud, "repo")
    box.apt("update")
    reader = readme.Reader({"gateway": box})
    reader.follow("The gateway", when=readme.PACKAGED)
    enabled = box.run("systemctl", "is-enabled", "secbox-gateway", check=False).stdout.strip()
    assert enabled == "disabled", "nobody has said yet where its data is"
    # from `sudoedit` on, as that page says
    steps = [s for s in readme.steps() if s.title == "The gateway" and s.machines and not s.ways and not s.when]
    settings = next(s for s in steps if s.into)
    box.fill_in(settings.into, settings.text)
    output = [box.type(command).stdout for command in steps[steps.index(settings) + 1].commands]
    cloud.token = output[-1].split()[-1]
    assert len(cloud.token) > 20
    assert box.run("systemctl", "is-active", "secbox-gateway").stdout.strip() == "active"


def fleet(cloud, *args):
    """The answer; None while the gateway starts."""
    env = f"SECBOX_GATEWAY=http://127.0.0.1:8080 SECBOX_TOKEN={cloud.token}"
    p = cloud.box.type(f"{env} secbox-fleet {' '.join(args)} --json", check=False)
    return json.loads(p.stdout) if p.returncode == 0 else None


def test_an_operators_command_and_the_plain_data_plane_from_packages(cloud):
    box = cloud.box
    box.apt("install", "secbox-fleet", "secbox")
    answer = wait_until(lambda: fleet(cloud, "devices", "add", "caseta5"), "the gateway has its database")
    assert answer["device"]["id"] == "caseta5"
    version = box.run("dpkg-query", "-W", "-f", "${Version}", "secbox").stdout
    assert version and box.run("secbox", "--version").stdout.startswith("secbox ")
    for name in ("secbox-gateway", "secbox-fleet", "secbox"):
        assert box.run("dpkg", "--verify", name).stdout == ""


def test_a_newer_gateway_goes_on_with_what_it_knows(cloud, newer):
    box = cloud.box
    before = box.main_pid("secbox-gateway")
    authority = wait_until(lambda: fleet(cloud, "support-ca"), "somebody signs certificates")
    name_source(cloud, newer)
    box.apt("update")
    box.apt("install", "secbox-gateway", "secbox-fleet", "secbox")
    assert box.run("dpkg-query", "-W", "-f", "${Version} ", "secbox-gateway", "secbox-fleet", "secbox").stdout.split() == ["99"] * 3
    assert box.main_pid("secbox-gateway") not in (0, before)
    assert wait_until(lambda: fleet(cloud, "devices", "show", "caseta5"), "it is back")["device"]["id"] == "caseta5"
    assert wait_until(lambda: fleet(cloud, "support-ca"), "so is who signs certificates") == authority
    assert box.run("stat", "-c", "%U %a", "/var/lib/secbox-gateway/support-ca.pem").stdout.split() == ["root", "600"]
    # an earlier version reads it as the gateway's user: what this one's script does before it goes
    box.run("sh", "-euc", "sh /var/lib/dpkg/info/secbox-gateway.prerm upgrade 0.1")
    assert box.run("stat", "-c", "%U", "/var/lib/secbox-gateway/support-ca.pem").stdout.strip() == "secbox-gateway"
    box.run("systemctl", "restart", "secbox-gateway")
    assert wait_until(lambda: fleet(cloud, "support-ca"), "it is root's again, and read") == authority
    assert box.run("stat", "-c", "%U", "/var/lib/secbox-gateway/support-ca.pem").stdout.strip() == "root"


def test_purging_a_gateway_leaves_data_and_says_where(cloud):
    box = cloud.box
    said = box.apt("purge", "secbox-gateway", "secbox-fleet", "secbox").stdout
    for place in ("/etc/secbox-gateway.env", "/var/lib/secbox-gateway"):
        assert re.search(rf"^secbox-gateway: {place} stays", said, re.M), said
    left = box.files() - cloud.before
    assert not [name for name in left if not GATEWAY_DATA.match(name)], left
    assert "/etc/secbox-gateway.env" in left and "user secbox-gateway" in left
    assert cloud.before - box.files() == set(), "nothing of the machine's own went with it"
    assert "secbox" not in box.run("systemctl", "--failed", "--no-legend", "--plain").stdout
    rows = box.run("runuser", "-u", "postgres", "--", "psql", "-Atc", "SELECT id FROM devices", "secbox").stdout
    assert rows == "caseta5\n", "the database stays"


def test_a_gateway_that_was_never_used_leaves_nothing(cloud):
    box = cloud.box
    box.run("sh", "-c", "rm -rf /etc/secbox-gateway.env /var/lib/secbox-gateway; userdel secbox-gateway")
    before = box.files()
    box.apt("install", "secbox-gateway", "secbox-fleet", "secbox")
    box.apt("purge", "secbox-gateway", "secbox-fleet", "secbox")
    assert box.files() == before

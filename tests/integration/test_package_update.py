# SPDX-License-Identifier: MIT
"""The script of root's that updates the agents' packages, with real dpkg and apt, a repository, and packages that only have a
version. What systemd does for it is done by the tests."""
# pylint: disable=redefined-outer-name
import os
import shutil
import socket
import subprocess
import threading

import pytest

from tests.conftest import skip
from tests.lab.installer import Repository
from tests.lab.util import ROOT, free_port, read_text

AGENT, RECOVERY = "secbox-agent", "secbox-recovery"
SYSTEMCTL = "#!/bin/sh\nexit 0\n"  # recovery-agent runs, and no program is an old one
FOLDERS = ["/var/lib", "/var/log", "/var/cache/apt", "/etc/apt"]
# not there: the second run of a postinst is well
ALLOWED = "/var/lib/allowed"


class Machine:
    """Of this machine, with its own packages, in mounts that only its commands see."""

    def __init__(self, folder):
        self.folder = folder
        for path in FOLDERS:
            os.makedirs(folder + path)
        for path in ("dpkg/info", "dpkg/updates", "dpkg/triggers", "apt/lists/partial", "tucomunidad"):
            os.makedirs(f"{folder}/var/lib/{path}")
        for path in ("var/lib/dpkg/status", "var/lib/allowed"):
            self.write(path, "")
        for path in ("var/cache/apt/archives/partial", "etc/apt/sources.list.d", "etc/apt/keyrings", "run", "bin", "lib"):
            os.makedirs(f"{folder}/{path}")
        self.write("bin/systemctl", SYSTEMCTL, 0o755)
        text = read_text(os.path.join(ROOT, "installer/package-update.sh"))
        for name in ("package-update", "recovery-package-update"):
            self.write(f"lib/{name}", text.replace("/usr/lib/secbox/", f"{folder}/lib/").replace("/run/", f"{folder}/run/"), 0o755)
        self.repository = Repository(folder)
        for version in ("1", "2", "3"):
            for name in (AGENT, RECOVERY):
                self.repository.add(name, version, files={f"/var/lib/lab/{name}": version},
                                    scripts={"postinst": f"[ -e {ALLOWED} ]\n"})
        self.repository.add("beside", "1", files={"/var/lib/lab/beside": "1"})
        self.repository.add("stranger", "1", scripts={"postinst": f"echo run >>{folder}/stranger-ran\nexit 1\n"})
        self.repository.publish()
        shutil.copy(self.repository.key, f"{folder}/etc/apt/keyrings/secbox.asc")
        self.name_source(f"file:{self.repository.apt}")
        self.install(AGENT, "1")
        self.install(RECOVERY, "1")
        self.keep_as("fresh")

    @staticmethod
    def _copy(origin, target):
        for name in ("var", "etc", "run"):
            shutil.rmtree(f"{target}/{name}", ignore_errors=True)
            shutil.copytree(f"{origin}/{name}", f"{target}/{name}")

    def keep_as(self, name):
        self._copy(self.folder, f"{self.folder}/{name}")

    def restore(self, name):
        self._copy(f"{self.folder}/{name}", self.folder)

    def make_fresh(self):
        self.restore("fresh")
        for name in os.listdir(f"{self.folder}/bin"):
            if name != "systemctl":
                os.unlink(f"{self.folder}/bin/{name}")

    def write(self, path, text, mode=0o644):
        with open(f"{self.folder}/{path}", "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(f"{self.folder}/{path}", mode)

    def name_source(self, uri):
        self.write("etc/apt/sources.list.d/secbox.sources", f"Types: deb\nURIs: {uri}\nSuites: stable\nComponents: main\n"
                   "Signed-By: /etc/apt/keyrings/secbox.asc\n")

    def run(self, *argv, check=True, env=None):
        mounts = " && ".join(f"mount --bind {self.folder}{path} {path}" for path in FOLDERS)
        env = {"PATH": f"{self.folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", **(env or {})}
        # the shell waits for it: when it has ended, nothing that it started goes on
        script = f'{mounts} && {{ "$@"; exit $?; }}'
        return subprocess.run(["unshare", "--mount", "--pid", "--fork", "sh", "-c", script, "sh", *argv], env=env, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=check)

    def install(self, name, version, check=True):
        return self.run("dpkg", "-i", f"{self.repository.apt}/pool/{name}_{version}_all.deb", check=check)

    def status(self, name=AGENT):
        return self.run("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", name).stdout

    def knows(self, name):
        """Whether dpkg has it in any state at all."""
        p = self.run("dpkg-query", "-W", name, check=False)
        assert p.returncode in (0, 1), p.stderr
        return p.returncode == 0

    def update(self, to, order="d-1", seconds=300, recovery=("1",), **options):
        return self.run(f"{self.folder}/lib/package-update", "run", AGENT, to, order, "7", RECOVERY, "1", "200", str(seconds),
                        *recovery, check=False, **options)

    def judge(self, verb, **options):
        p = self.run(f"{self.folder}/lib/recovery-package-update", verb, AGENT, check=False, **options)
        return p.returncode, p.stdout

    def journal(self):
        lines = read_text(f"{self.folder}/var/lib/tucomunidad/agent-update/journal").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def change_journal(self, **values):
        text = "".join(f"{k}={v}\n" for k, v in {**self.journal(), **values}.items())
        self.write("var/lib/tucomunidad/agent-update/journal", text)

    def prove(self):
        boot = read_text("/proc/sys/kernel/random/boot_id").strip()
        self.write("var/lib/tucomunidad/agent-update/agent-proof", f"{boot} {self.journal()['id']} {AGENT}\n")

    def boot_anew(self):
        os.unlink(f"{self.folder}/run/secbox-package-update")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    if os.geteuid() != 0 or not shutil.which("dpkg") or not shutil.which("apt-ftparchive"):
        skip("needs root, dpkg and apt-utils")
    return Machine(str(tmp_path_factory.mktemp("machine")))


@pytest.fixture
def machine(made):
    made.make_fresh()
    return made


@pytest.fixture
def proving(machine):
    p = machine.update("2")
    assert p.returncode == 0 and machine.journal()["state"] == "proving", p
    assert machine.status() == "2 installed"
    return machine


def test_what_has_proved_itself_stays_and_is_the_way_back_of_the_next(proving):
    code, said = proving.judge("keep")
    assert code == 75 and "not shown yet" in said
    proving.prove()
    assert proving.judge("keep")[0] == 0
    end = proving.journal()
    assert (end["state"], end["next"], end["recovery"]) == ("confirmed", RECOVERY, "1")
    proving.update("3", order="d-2")
    assert (proving.journal()["from"], proving.status()) == ("2", "3 installed")


@pytest.mark.parametrize("given, noted", [(["1"], "1"), (["0"], "0"), ([], "0")], ids=["up", "down", "an agent of before"])
def test_whether_the_other_agent_was_connected_outlives_boots(machine, given, noted):
    machine.update("2", recovery=given)
    machine.boot_anew()
    assert machine.judge("boot")[0] == 0
    machine.prove()
    assert machine.judge("keep")[0] == 0 and machine.journal()["recovery"] == noted


@pytest.mark.parametrize("was_up", ["0", "1"])
def test_the_second_package_has_to_connect_again_if_it_was_connected(machine, was_up):
    machine.install(AGENT, "2")
    assert machine.update("2", recovery=[was_up]).returncode == 0
    begun = machine.journal()
    assert (begun["package"], begun["state"], begun["tunnel"]) == (RECOVERY, "proving", was_up)


def test_f24_what_does_not_prove_itself_goes_back_when_its_time_is_over(proving):
    assert proving.judge("back")[0] == 75 and proving.status() == "2 installed"
    proving.change_journal(deadline="1")
    assert proving.judge("back")[0] == 0
    assert proving.journal()["state"] == "rolled-back" and "did not prove itself" in proving.journal()["why"]
    assert proving.status() == "1 installed"


def assert_taken_over(proving, verb, why):
    proving.prove()
    proving.change_journal(deadline="1")
    if verb == "boot":
        proving.boot_anew()
    assert proving.judge(verb)[0] == 0
    end = proving.journal()
    assert (end["state"], end["refusal"]) == ("failed", "taken-over") and why in end["why"], end


@pytest.mark.parametrize("verb", ["keep", "back", "boot"])
def test_what_somebody_else_installed_meanwhile_stays(proving, verb):
    proving.install(AGENT, "3")
    assert_taken_over(proving, verb, f"installed {AGENT} 3")
    assert proving.status() == "3 installed"


@pytest.mark.parametrize("verb", ["keep", "back", "boot"])
def test_what_somebody_else_removed_meanwhile_stays_away(proving, verb):
    proving.run("dpkg", "--purge", AGENT)
    assert_taken_over(proving, verb, f"removed {AGENT}")
    assert not proving.knows(AGENT)


@pytest.mark.parametrize("verb", ["keep", "back"])
def test_what_somebody_put_back_is_rolled_back(proving, verb):
    proving.install(AGENT, "1")
    proving.prove()
    proving.change_journal(deadline="1")
    assert proving.judge(verb)[0] == 0
    end = proving.journal()
    assert end["state"] == "rolled-back" and "somebody has put" in end["why"], end
    assert proving.status() == "1 installed"


def test_a_box_that_is_newer_is_no_failure(machine):
    machine.install(AGENT, "3")
    machine.update("2")
    end = machine.journal()
    assert (end["state"], end["refusal"]) == ("failed", "newer") and "newer versions only" in end["why"], end
    assert machine.status() == "3 installed"


def test_a_repository_that_is_away_is_told_from_one_that_is_wrong(machine):
    machine.name_source(f"http://127.0.0.1:{free_port()}")
    machine.update("2")
    end = machine.journal()
    assert (end["state"], end["refusal"]) == ("failed", "away") and "Could not connect" in end["why"], end

    machine.name_source(f"file:{machine.repository.apt}")
    machine.update("98", order="d-2")
    assert (machine.journal()["state"], machine.journal()["refusal"]) == ("failed", "")

    shutil.copy(Repository(f"{machine.folder}/other").key, f"{machine.folder}/etc/apt/keyrings/secbox.asc")
    machine.update("2", order="d-3")
    end = machine.journal()
    assert (end["state"], end["refusal"]) == ("failed", "") and "cannot be used" in end["why"], end
    assert machine.status() == "1 installed"


def test_after_a_power_cut_only_what_was_begun_is_configured(proving):
    proving.change_journal(state="installing")
    os.unlink(f"{proving.folder}{ALLOWED}")
    proving.install(AGENT, "2", check=False)
    proving.install("stranger", "1", check=False)
    assert (proving.status(), proving.status("stranger")) == ("2 half-configured", "1 half-configured")
    proving.write("var/lib/allowed", "")
    proving.boot_anew()
    assert proving.judge("boot")[0] == 0
    assert (proving.journal()["state"], proving.status()) == ("proving", "2 installed")
    assert proving.status("stranger") == "1 half-configured"
    assert read_text(f"{proving.folder}/stranger-ran") == "run\n", "its script did not run a second time"


@pytest.mark.parametrize("place", ["status", "updates/0001"])
def test_what_was_cut_off_beside_it_while_it_was_unpacked_is_installed_again(proving, place):
    """dpkg --configure does nothing for it, and apt nothing at all before dpkg has taken up its notes of the last moments."""
    proving.change_journal(state="installing")
    proving.write("var/lib/tucomunidad/agent-update/needed", "beside ")
    proving.install("beside", "1")
    status = read_text(f"{proving.folder}/var/lib/dpkg/status")
    entry, = (entry for entry in status.split("\n\n") if "Package: beside\n" in f"{entry}\n")
    torn = entry.replace("install ok installed", "install reinstreq half-installed")
    proving.write(f"var/lib/dpkg/{place}", status.replace(entry, torn) if place == "status" else f"{torn.strip()}\n")
    assert proving.status("beside") == "1 half-installed" and proving.run("dpkg", "--audit").stdout
    proving.boot_anew()
    code, said = proving.judge("boot")
    assert (code, proving.status("beside")) == (0, "1 installed"), said
    assert (proving.journal()["state"], proving.status(), proving.run("dpkg", "--audit").stdout) == ("proving", "2 installed", "")


class Notified:
    """systemd's end of NOTIFY_SOCKET: what it was told, and what the journal said then."""

    def __init__(self, machine):
        self.machine, self.heard = machine, []
        self.path = f"{machine.folder}/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self):
        while True:
            data, fds, _, _ = socket.recv_fds(self.socket, 4096, 4)
            for fd in fds:  # the sender waits for that
                os.close(fd)
            if data == b"end":
                return
            if b"READY=1" in data:
                self.heard.append(self.machine.journal()["id"])

    def end(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", self.path)
        self.thread.join()
        self.socket.close()
        return self.heard


def test_an_order_has_begun_when_the_journal_has_it(machine):
    if not shutil.which("systemd-notify"):
        skip("systemd-notify is not here")
    systemd = Notified(machine)
    first = machine.update("2", env={"NOTIFY_SOCKET": systemd.path})
    second = machine.update("3", order="d-2", env={"NOTIFY_SOCKET": systemd.path})
    assert systemd.end() == ["d-1"], (first, second)
    assert second.returncode != 0 and "under way" in second.stdout
    assert machine.journal()["id"] == "d-1"


@pytest.mark.parametrize("times, state", [(3, "proving"), (99, "failed")])
def test_systemd_is_told_again_and_nothing_begins_where_it_does_not_hear(machine, times, state):
    """It would end the unit in the middle of dpkg's work."""
    machine.write("told", "")
    machine.write("bin/systemd-notify", f"#!/bin/sh\necho told >>{machine.folder}/told\n"
                  f"[ $(wc -l <{machine.folder}/told) -gt {times} ]\n", 0o755)
    machine.write("bin/sleep", "#!/bin/sh\nexit 0\n", 0o755)
    p = machine.update("2", env={"NOTIFY_SOCKET": "/nonexistent"})
    end = machine.journal()
    assert end["state"] == state, (p, end)
    told = read_text(f"{machine.folder}/told").count("told")
    if state == "failed":
        assert (p.returncode, end["refusal"], machine.status()) == (1, "start", "1 installed") and "systemd-notify" in end["why"]
        assert 3 < told < 99
    else:
        assert (p.returncode, told, machine.status()) == (0, 4, "2 installed"), p

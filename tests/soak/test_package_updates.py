# SPDX-License-Identifier: MIT
"""The packages that look after a box are brought to a newer version while it works: each proves itself to the other one's program,
and goes back when it does not. A whole Debian with real apt, a repository, and a gateway."""
import glob
import json
import os
import shutil
import sys
import tempfile
import types

import pytest

from tests.conftest import require_programs, skip
from tests.lab import whole_box
from tests.lab.gateway import Gateway
from tests.lab.self_signed import make_certificate
from tests.lab.util import Daemon, LabError, free_port, port_answers, read_text, wait_until
from tests.system.enrolled import DEVICE
from tests.system.test_packages import PACKAGES, STACK, PackagedBox, make_newer
from tests.system.test_packages import packed  # noqa: F401  pylint: disable=unused-import

SOURCE = "/etc/apt/sources.list.d/secbox.sources"
HELD_UP = "/var/tmp/held-up"  # the first run of a postinst has come so far
# stops once, as when the power goes
HANGS_ONCE = f"#!/bin/sh\nif [ ! -e {HELD_UP} ]; then : >{HELD_UP}; sync; exec sleep infinity; fi\n"


def replace_program(tree, path):
    """A program that ends at once."""
    with open(f"{tree}/{path}", "w", encoding="ascii") as f:
        f.write("#!/bin/sh\nexit 1\n")


def break_link(package, tree):
    if package == "secbox-agent":
        replace_program(tree, "usr/sbin/mgmt-link")


def break_recovery(package, tree):
    if package == "secbox-recovery":
        replace_program(tree, "usr/sbin/recovery-agent")


def hold_up_agent(package, tree):
    if package == "secbox-agent":
        script = f"{tree}/DEBIAN/postinst"
        text = read_text(script)
        with open(script, "w", encoding="ascii") as f:
            f.write(HANGS_ONCE + text)


class World:
    def __init__(self, box, gateway, folder, address):
        self.box, self.gateway, self.folder, self.address = box, gateway, folder, address

    def offer(self, version, change=None):
        """From now on the repository has this version, too."""
        newer = f"{self.folder}/{version}"
        make_newer(self.folder, newer, version, change)
        self.name_source(f"{version}/repo")

    def name_source(self, folder):
        self.box.write(SOURCE, f"Types: deb\nURIs: {self.address}/{folder}/apt\nSuites: stable\nComponents: main\n"
                               "Signed-By: /etc/apt/keyrings/secbox.asc\n")

    def versions(self):
        return self.box.run("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}\n", *PACKAGES).stdout.splitlines()

    def update(self, version, deadline=3600):
        """(exit status, the end as secboxctl tells it)."""
        p = self.box.run("secboxctl", "agent", "update", version, "--json", "--deadline", str(deadline), "--timeout", "3600",
                         check=False)
        try:
            return p.returncode, json.loads(p.stdout)
        except ValueError as e:
            raise AssertionError(f"{p}\n{self.log()}") from e

    def log(self):
        return self.box.run("sh", "-c", "journalctl --no-pager -n 150 -u mgmt-agent -u mgmt-link -u recovery-agent "
                            "-u 'secbox-package-*' -u 'recovery-*' -u '*-package-boot'; "
                            "cat /var/lib/tucomunidad/agent-update/journal", check=False).stdout

    def last(self):
        entries = json.loads(self.box.run("secboxctl", "history", "--json", "--limit", "1").stdout)["entries"]
        return entries[0]

    def wait_well(self):
        self.gateway.wait_reported(DEVICE)
        wait_until(lambda: "recovery" in self.gateway.device(DEVICE)["roles"], "recovery-agent is connected, too")


@pytest.fixture(scope="module")
def world(packed):  # noqa: F811  pylint: disable=redefined-outer-name
    require_programs("mgmt-agent", "mgmt-link", "recovery-agent", "secboxctl", "secbox-gateway")
    why = whole_box.why_not()
    if why:
        skip(f"no whole box here: {why}")
    try:
        box = PackagedBox()
    except LabError as e:
        skip(f"a whole box does not start here: {e}")
    folder = tempfile.mkdtemp(prefix="secbox-updates-")
    with box, Gateway(folder, make_certificate(folder, box.gateway_address), box.gateway_address) as gateway:
        port = free_port()
        serve = [sys.executable, "-m", "http.server", str(port), "--bind", box.gateway_address, "-d", packed]
        web = Daemon("the repository", serve, os.path.join(folder, "web.log"), dict(os.environ))
        wait_until(lambda: port_answers(port, box.gateway_address), "the repository is served", web.death)
        w = World(box, gateway, packed, f"http://{box.gateway_address}:{port}")
        box.write("/etc/apt/keyrings/secbox.asc", read_text(f"{packed}/repo/secbox-archive-keyring.asc"))
        for source in glob.glob(box.host.seen("/etc/apt/sources.list*")):
            shutil.rmtree(source) if os.path.isdir(source) else os.unlink(source)
        w.name_source("repo")
        box.apt("update")
        box.apt("install", *PACKAGES)
        box.write("/etc/tucomunidad/trust/cloud.pem", read_text(gateway.tls[0]))
        box.write_env("mgmt-agent.env", {**gateway.enroll(DEVICE), "CLOUD_CA_FILE": "/etc/tucomunidad/trust/cloud.pem"})
        w.wait_well()
        box.image("localhost/server:1", "server", "1")
        box.write("/etc/compose.yml", STACK)
        box.run("secboxctl", "apply", "/etc/compose.yml")
        wait_until(lambda: set(box.running()) == {"web"}, "the container runs")
        yield types.SimpleNamespace(world=w, web=box.containers()["web"], first=w.versions())
        web.stop()
    shutil.rmtree(folder, ignore_errors=True)


def is_untouched(lab):
    now = lab.world.box.containers()["web"]
    return (now["Id"], now["State"]["StartedAt"]) == (lab.web["Id"], lab.web["State"]["StartedAt"])


def test_what_the_repository_does_not_have_changes_nothing(world):
    w = world.world
    code, end = w.update("98")
    assert code == 1 and end["state"] == "failed" and "cannot be fetched" in end["why"], end
    code, end = w.update("0.0.0.1")
    assert code == 1 and end["state"] == "failed" and "newer versions only" in end["why"], end
    assert w.versions() == world.first
    last = w.last()
    assert (last["kind"], last["outcome"], last["status"], last["error"]["id"]) == ("agent", "failed", 422, "agent-update.newer")


def test_both_packages_prove_themselves_one_after_the_other(world):
    w = world.world
    w.offer("99")
    agent = w.box.main_pid("mgmt-agent")
    code, end = w.update("99")
    assert code == 0 and end["state"] == "confirmed" and end["package"] == "secbox-recovery", (end, w.log())
    assert w.versions() == ["99 installed"] * 2
    assert w.box.main_pid("mgmt-agent") not in (0, agent)
    assert is_untouched(world)
    w.wait_well()
    assert (w.last()["outcome"], w.last()["package"]["to"]) == ("done", "99")


def test_f24_an_agent_that_cannot_connect_goes_back(world):
    w = world.world
    w.offer("100", break_link)
    code, end = w.update("100", deadline=30)
    assert code == 1 and end["state"] == "rolled-back" and "did not prove itself" in end["why"], (end, w.log())
    assert w.versions() == ["99 installed"] * 2
    assert is_untouched(world)
    w.wait_well()
    assert (w.last()["outcome"], w.last()["error"]["id"]) == ("rolled-back", "agent-update.rolled-back")


def test_f24_a_recovery_agent_that_does_not_run_goes_back(world):
    w = world.world
    w.offer("101", break_recovery)
    code, end = w.update("101", deadline=60)
    assert code == 1 and end["state"] == "rolled-back" and end["package"] == "secbox-recovery", (end, w.log())
    assert w.versions() == ["101 installed", "99 installed"]
    w.wait_well()


def test_the_power_goes_while_dpkg_is_at_work(world):
    w = world.world
    w.offer("102", hold_up_agent)
    w.box.run("systemd-run", "--quiet", "--unit=asked", "secboxctl", "agent", "update", "102", "--deadline", "3600")
    wait_until(lambda: os.path.exists(w.box.host.seen(HELD_UP)), "dpkg is in the middle of it")
    w.box.reboot(hard=True)
    wait_until(lambda: w.versions() == ["102 installed"] * 2, "it was finished after the boot, and the other package, too")
    wait_until(lambda: w.last()["outcome"] == "done" and w.last()["package"]["to"] == "102", "which is told")
    w.wait_well()

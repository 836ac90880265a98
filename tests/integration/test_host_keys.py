# SPDX-License-Identifier: MIT
"""Host keys of boxes as the boxes tell them: nobody believes a key on first sight, nobody is kept out by one that is new."""
# pylint: disable=redefined-outer-name,unused-import
import os
import shutil
import subprocess

import pytest

from tests.conftest import require_programs
from tests.integration.gateway_lab import gw, shared
from tests.integration.test_bridge import known_hosts
from tests.lab import sshd
from tests.lab.bridge_box import BridgeBox
from tests.lab.fleet import Fleet
from tests.lab.util import Daemon, program, read_text, wait_until

BOX = "told-5"
CHANGED = "REMOTE HOST IDENTIFICATION HAS CHANGED"


class ToldBox(BridgeBox):
    """With a mgmt-agent, which tells what it finds below etc/ssh."""

    def restart(self):
        self.tell()
        super().restart()
        self.daemons["agent"] = Daemon("mgmt-agent", [program("mgmt-agent"), "--root", self.root, "--worker", "/bin/false"],
                                       os.path.join(self.folder, "mgmt-agent.log"), {"PATH": os.environ["PATH"]})

    def tell(self):
        folder = os.path.join(self.root, "etc/ssh")
        os.makedirs(folder, exist_ok=True)
        name = os.path.join(folder, "ssh_host_ed25519_key.pub")
        with open(f"{name}.new", "w", encoding="ascii") as f:
            f.write(read_text(os.path.join(self.sshds["device"].folder, "host_key.pub")))
        os.rename(f"{name}.new", name)

    def own_line(self):
        return " ".join(read_text(os.path.join(self.sshds["device"].folder, "host_key.pub")).split()[:2])

    def set_up_anew(self, kind="ed25519"):
        """Another host key, of which the gateway does not know yet."""
        path = os.path.join(self.sshds["device"].folder, "host_key")
        for it in self.sshds.values():
            it.stop()
        for name in (path, f"{path}.pub"):
            os.unlink(name)
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)
        for name in (path, f"{path}.pub"):  # both ways lead to the one sshd of the box
            shutil.copy(name, self.sshds["mgmt"].folder)
        for it in self.sshds.values():
            it.start()

    def wait_told(self):
        wait_until(lambda: self.gateway.device(BOX).get("hostKeys", {}).get("host") == [self.own_line()], "the gateway knows it",
                   self.daemons["agent"].death)


@pytest.fixture(scope="module")
def box(shared, tmp_path_factory):
    require_programs("secbox", "mgmt-link", "mgmt-agent", "recovery-agent", "secbox-fleet")
    if sshd.missing():
        pytest.skip(sshd.missing())
    with ToldBox(shared, BOX, str(tmp_path_factory.mktemp("box"))) as it, it.recovery():
        wait_until(lambda: set(shared.device(BOX).get("hostKeys", {})) == {"host", "recovery"}, "both sshds are known",
                   it.daemons["agent"].death)
        yield it


@pytest.fixture
def alice(gw, box, tmp_path):
    """She has never been there."""
    box.tell()
    box.wait_told()
    box.wait_connected("device", "mgmt", "recovery")
    it = Fleet(gw.url, gw.token, str(tmp_path))
    it.run("grants", "add", BOX, "--reason", "a look around", "--break-glass", check=0)
    return it


def write_config(alice, tmp_path):
    path = os.path.join(str(tmp_path), "ssh_config")
    with open(path, "w", encoding="utf-8") as f:
        f.write(alice.run("ssh-config", BOX, check=0).stdout)
    return path


def plain(alice, config, *words):
    return subprocess.run(["ssh", "-F", config, BOX, *words], env=alice.env, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)


def ways_of(alice, tmp_path):
    config = write_config(alice, tmp_path)
    return [lambda: alice.run("ssh", BOX, "--break-glass", "--", "echo", "in"), lambda: plain(alice, config, "echo", "in")]


def test_the_first_login_knows_the_box(box, alice, tmp_path):
    for way in ways_of(alice, tmp_path):
        p = way()
        assert (p.returncode, p.stdout) == (0, "in\n") and "Permanently added" not in p.stderr, p
    p = alice.run("ssh", BOX, "--break-glass", "--way", "recovery", "--", "echo", "in")
    assert (p.returncode, p.stdout) == (0, "in\n") and "Permanently added" not in p.stderr, p
    told = [e for e in box.gateway.audit("device.host-keys") if e["device"] == BOX]
    assert {e["detail"]["sshd"] for e in told} == {"host", "recovery"}


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_another_sshd_is_refused_at_the_first_login(box, alice, tmp_path, kind):
    """Also one with a key of another kind, of which ssh could say that it has not seen one yet."""
    box.set_up_anew(kind)
    for way in ways_of(alice, tmp_path):
        p = way()
        assert p.returncode == 255 and p.stdout == "" and (CHANGED in p.stderr or "No ECDSA host key is known" in p.stderr), p
    if kind == "ecdsa":
        box.set_up_anew()


def test_a_box_set_up_anew_says_so_itself(box, alice, tmp_path):
    ways = ways_of(alice, tmp_path)
    assert ways[0]().stdout == "in\n"
    box.set_up_anew()
    box.tell()
    box.wait_told()
    for way in ways:
        p = way()
        assert (p.returncode, p.stdout) == (0, "in\n") and "Permanently added" not in p.stderr, p
    newest = box.gateway.audit("device.host-keys")[0]
    assert newest["alarm"] and newest["detail"]["sshd"] == "host" and newest["detail"]["keys"] == [box.own_line()], newest
    assert newest["detail"]["before"] != newest["detail"]["keys"]


def test_whoever_knows_better_gets_in(gw, box, alice, tmp_path):
    """The box cannot tell its new key: a person who says that it is right is not held up by what the gateway says."""
    ways = ways_of(alice, tmp_path)
    assert ways[0]().stdout == "in\n"
    box.set_up_anew()
    for way in ways:
        p = way()
        assert p.returncode == 255 and CHANGED in p.stderr, p
    advice = next(line.strip() for line in p.stderr.splitlines() if line.strip().startswith("ssh-keygen -f "))
    subprocess.run(["sh", "-c", advice], env=alice.env, check=True, capture_output=True)
    p = ways[1]()  # which has its certificate already
    assert (p.returncode, p.stdout) == (0, "in\n") and "Permanently added" in p.stderr, p
    assert ways[0]().stdout == "in\n"
    known = known_hosts(alice, gw)
    assert os.path.exists(f"{known}/{BOX}@host.refused") and not os.path.exists(f"{known}/{BOX}@strict")
    # the gateway hears of it: what it says counts again
    box.tell()
    box.wait_told()
    assert ways[0]().stdout == "in\n" and ways[0]().stdout == "in\n"
    assert not os.path.exists(f"{known}/{BOX}@host.refused") and os.path.exists(f"{known}/{BOX}@strict")
    assert read_text(f"{known}/{BOX}@host") == f"secbox-{BOX} {box.own_line()}\n"


def test_what_cannot_be_told_any_more_is_taken_back(gw, box, alice, tmp_path):
    """secbox leads elsewhere by now: whose keys those are nobody knows, and nobody is kept out for it."""
    ways = ways_of(alice, tmp_path)
    assert [way().stdout for way in ways] == ["in\n"] * 2 and os.path.exists(f"{known_hosts(alice, gw)}/{BOX}@strict")
    env = os.path.join(box.root, "etc/tucomunidad/secbox.env")
    with open(env, "w", encoding="ascii") as f:
        f.write("SSH_TARGET=192.0.2.1:22\n")
    os.chmod(env, 0o600)
    try:
        wait_until(lambda: gw.device(BOX)["hostKeys"]["host"] == [], "they are taken back", box.daemons["agent"].death)
        box.set_up_anew("ecdsa")
        ways[1]()  # it was strict when it began, and hears of it on the way
        for way in ways[::-1]:
            p = way()
            assert p.stdout == "in\n", p.stderr
        assert not os.path.exists(f"{known_hosts(alice, gw)}/{BOX}@strict")
    finally:
        os.unlink(env)
        box.set_up_anew()


def test_they_outlive_the_gateway(gw, box, alice, tmp_path):
    """It knows them before the box has told them again."""
    box.daemons["agent"].stop()
    try:
        gw.stop()
        gw.start()
        box.wait_connected("device", "mgmt", "recovery")
        p = ways_of(alice, tmp_path)[0]()
        assert (p.returncode, p.stdout) == (0, "in\n") and "Permanently added" not in p.stderr, p
    finally:
        box.restart()
        box.wait_told()

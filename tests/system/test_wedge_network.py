# SPDX-License-Identifier: MIT
"""Names, clocks and lines that fail: support staff gets a shell all the same, and nothing is repaired that is not broken."""
# pylint: disable=redefined-outer-name,unused-import
import contextlib
import hashlib
import subprocess
import time

import pytest

from tests.conftest import note
from tests.lab import wrong_clock
from tests.lab.support_box import ADDRESS, DEVICE, NAME, SupportBox, freeze
from tests.lab.util import wait_until
from tests.system.test_wedge import box, cloud, prompt


def nft(text):
    p = subprocess.run(["nft", "-f", "-"], input=text, capture_output=True, text=True, check=False)
    assert p.returncode == 0, p.stderr


@contextlib.contextmanager
def dropping(*rules):
    """Packets that match are lost, silently, in this network namespace."""
    lines = "\n".join(f"add rule inet wedge in {rule} drop" for rule in rules)
    nft(f"add table inet wedge\nadd chain inet wedge in {{ type filter hook input priority -10; }}\n{lines}")
    try:
        yield
    finally:
        nft("delete table inet wedge")


def local_ports(daemon_pid, port):
    """Local ports of a process's connections to a port."""
    out = subprocess.run(["ss", "-Htnp", "state", "established", "dport", f"= :{port}"], capture_output=True, text=True,
                         check=True).stdout
    return [line.split()[2].rsplit(":", 1)[1] for line in out.splitlines() if f"pid={daemon_pid}," in line]


def test_names_are_not_resolved_any_more(cloud, box):
    """The resolver fails, and the gateway is restarted: whoever has only its name does not come back."""
    cloud.names()
    box.gateway.daemon.kill()
    since = time.monotonic()
    box.gateway.start()
    box.wait_roles("recovery")
    try:
        prompt(box, "names are not resolved, gateway restarted", since)
    finally:
        cloud.names(f"{ADDRESS} {NAME}")


@pytest.mark.parametrize("when", ["1970-01-02", "2038-01-20"])
def test_the_clock_is_wrong(lab, cloud, folder, when):
    """As after an empty battery: all that lets people in starts with it, and certificates are not valid by it."""
    with SupportBox(lab, cloud, folder) as box:
        box.box.link.kill()
        box.sshd.stop()
        freeze(box.secbox_pid())
        box.stop_recovery()
        box.wrap = wrong_clock.starting_at(when, folder)
        since = time.monotonic()
        box.start_recovery()
        box.wait_roles("recovery")
        if when.startswith("1970"):
            prompt(box, "the clock stands at 1970", since, ("recovery",))
        else:
            # the certificates of support staff have expired by such a clock: this is what the break-glass key is for
            by_key = box.break_glass(since)
            note(f"the clock stands at 2038: {by_key:.1f} s to a prompt with the break-glass key")


def test_lines_that_lose_everything_without_a_word(box):
    """The tunnels of mgmt-link and secbox exist, and nothing comes through: a NAT has forgotten them."""
    port = box.gateway.port
    mine = set(local_ports(box.recovery.daemon.pid, port))
    others = [p for p in all_ports(port) if p not in mine]
    assert others
    with dropping(*(f"tcp dport {port} tcp sport {p}" for p in others), *(f"tcp sport {port} tcp dport {p}" for p in others)):
        since = time.monotonic()
        prompt(box, "device tunnel and mgmt-link half open", since)


def all_ports(port):
    out = subprocess.run(["ss", "-Htn", "state", "established", "dport", f"= :{port}"], capture_output=True, text=True,
                         check=True).stdout
    # those of containers are in other namespaces: seen from the gateway's side
    back = subprocess.run(["ss", "-Htn", "state", "established", "sport", f"= :{port}"], capture_output=True, text=True,
                          check=True).stdout
    return sorted({line.split()[2].rsplit(":", 1)[1] for line in out.splitlines()} |
                  {line.split()[3].rsplit(":", 1)[1] for line in back.splitlines()})


def test_a_line_that_is_away_is_not_a_wedge(lab, cloud, folder):
    """Nothing comes through for longer than three rounds of checks: nothing is restarted, and all comes back."""
    soon = {"RECOVERY_INTERVAL": "2", "RECOVERY_RESTART_AFTER": "1", "RECOVERY_RECREATE_AFTER": "2"}
    with SupportBox(lab, cloud, folder, soon) as box:
        before = box.secbox()
        with dropping(f"tcp dport {box.gateway.port}"):
            time.sleep(25)  # what must not happen has no sign to wait for: three checks and a restart would take 15 s
        box.wait_roles("recovery")
        box.wait_roles("mgmt", "device")
        after = box.secbox()
        assert (after["Id"], after["State"]["Pid"]) == (before["Id"], before["State"]["Pid"]), box.logs()
        prompt(box, "back after 25 s without a line", time.monotonic())


def test_a_line_that_loses_every_fifth_packet(box):
    lost = "numgen random mod 100 < 20"
    with dropping(f"tcp dport {box.gateway.port} {lost}", f"tcp sport {box.gateway.port} {lost}"):
        prompt(box, "a fifth of all packets lost", time.monotonic())
        # a login may fail on such a line, and is tried again; bytes that arrive are right
        wait_until(lambda: copied(box), "a copy comes through")


def copied(box):
    p = box.staff.run("ssh", DEVICE, "--reason", "a copy over a bad line", "--", "head -c 300000 /dev/zero | sha256sum")
    return p.returncode == 0 and p.stdout.split()[0] == hashlib.sha256(bytes(300000)).hexdigest()


def test_recovery_agent_is_started_again_while_all_else_is_dead(box):
    box.box.link.kill()
    box.sshd.stop()
    freeze(box.secbox_pid())
    box.recovery.daemon.kill()
    since = time.monotonic()
    box.stop_recovery()
    box.start_recovery()
    prompt(box, "recovery-agent killed and started again", since, ("recovery",))



# SPDX-License-Identifier: MIT
"""Whatever is wedged, support staff gets a shell. Each test breaks a whole box in one way, tries as a person would, and prints
the seconds from the wedge to the prompt; the goal is 30. What is asserted is that there is a prompt, and by which way."""
# pylint: disable=redefined-outer-name
import contextlib
import fcntl
import glob
import os
import signal
import subprocess
import time

import pytest

from tests.conftest import note, require_programs
from tests.lab import sshd, support_box
from tests.lab.support_box import DEVICE, Cloud, SupportBox, freeze, thaw
from tests.lab.util import wait_until

BLOCK = bytes(1 << 16)
PROGRAMS = ("mgmt-agent", "mgmt-link", "mgmt-worker", "recovery-agent", "secbox", "secbox-fleet", "secbox-gateway")


@pytest.fixture(scope="module")
def cloud(lab, tmp_path_factory):
    require_programs(*PROGRAMS)
    why = support_box.missing() or sshd.missing()
    if why:
        pytest.skip(why)
    support_box.build_image(lab)
    with Cloud(str(tmp_path_factory.mktemp("cloud"))) as it:
        yield it


@pytest.fixture
def box(lab, cloud, folder):
    with SupportBox(lab, cloud, folder) as it:
        yield it


def prompt(box, what, since, ways=("device", "mgmt", "recovery")):
    seconds, way = box.shell_seconds(since)
    note(f"{what}: {seconds:.1f} s to a prompt, through {way}")
    assert way in ways, box.logs()
    return seconds


def test_every_way_works_when_nothing_is_wrong(box):
    for way in ("device", "mgmt"):
        p = box.staff.run("ssh", DEVICE, "--reason", "a look around", "--way", way, "--", "id -un")
        assert p.returncode == 0 and p.stdout.strip() == "root", p
        assert box.last_way() == way
    # the way round everything is closed as long as the usual ones serve
    p = box.staff.run("ssh", DEVICE, "--reason", "a look around", "--way", "recovery", "--", "id -un")
    assert p.returncode != 0 and "recovery" in p.stderr, p
    # but for those who say that they must
    p = box.staff.run("grants", "add", DEVICE, "--reason", "the guards are locked out", "--break-glass")
    assert p.returncode == 0, p
    p = box.staff.run("ssh", DEVICE, "--way", "recovery", "--", "id -un")
    assert p.returncode == 0 and p.stdout.strip() == "root", p
    assert box.last_way() == "recovery"


def test_secbox_is_stopped(box):
    since = time.monotonic()
    freeze(box.secbox_pid())
    prompt(box, "secbox stopped (SIGSTOP)", since, ("mgmt",))
    wait_until(lambda: box.recovery_status().get("open"), "recovery-agent has seen it and opened", box.death)


def test_a_stopped_secbox_is_started_again(lab, cloud, folder):
    with SupportBox(lab, cloud, folder, {"RECOVERY_RESTART_AFTER": "1"}) as box:
        before = box.secbox()
        freeze(before["State"]["Pid"])
        wait_until(lambda: box.secbox()["State"]["Pid"] not in (0, before["State"]["Pid"]), "the container was restarted",
                   box.death)
        assert box.secbox()["Id"] == before["Id"], "restarted, not made anew"
        box.wait_roles("device")
        wait_until(lambda: box.recovery_status().get("state") == "healthy", "it is healthy again", box.death)


def test_sshd_accepts_and_never_answers(box):
    since = time.monotonic()
    freeze(box.sshd.daemon)
    prompt(box, "the host's sshd accepts and never answers", since, ("recovery",))
    thaw(box.sshd.daemon)


def test_podman_hangs(lab, box):
    """Somebody holds the lock of its store; whoever asks podman waits for ever."""
    with contextlib.ExitStack() as held:
        for path in glob.glob(os.path.join(lab.dir, "**/*storage.lock"), recursive=True) + \
                glob.glob(os.path.join(lab.dir, "**/overlay-layers/*.lock"), recursive=True) + \
                glob.glob(os.path.join(lab.dir, "**/overlay-containers/*.lock"), recursive=True):
            lock = held.enter_context(open(path, "r+", encoding="utf-8"))
            fcntl.lockf(lock, fcntl.LOCK_EX)
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(["podman", "ps"], env=lab.env, capture_output=True, timeout=3, check=False)
        since = time.monotonic()
        box.sshd.stop()
        freeze_secbox_without_podman(box)
        prompt(box, "podman hangs, secbox stopped, sshd dead", since, ("recovery",))
    box.sshd.start()


def freeze_secbox_without_podman(box):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", encoding="utf-8") as f:
            if f.read().startswith("/usr/bin/secbox"):
                os.kill(int(pid), signal.SIGSTOP)


def test_the_disk_is_full(lab, cloud, folder):
    small = os.path.join(folder, "box")
    os.makedirs(small)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600m,mode=0755", "none", small], check=True)
    try:
        with SupportBox(lab, cloud, folder) as box:
            with contextlib.suppress(OSError), open(os.path.join(small, "root/fill"), "wb", buffering=0) as f:
                while f.write(BLOCK):
                    pass
            with pytest.raises(OSError):
                with open(os.path.join(small, "root/more"), "wb", buffering=0) as f:
                    f.write(BLOCK)
            since = time.monotonic()
            box.sshd.stop()
            freeze(box.secbox_pid())
            prompt(box, "disk full, secbox stopped, sshd dead", since, ("recovery",))
            assert box.death() is None
    finally:
        subprocess.run(["umount", "-l", small], check=False)


def test_secbox_env_is_deleted_and_the_containers_are_started_by_hand(lab, box):
    """The outage that this project exists for."""
    os.unlink(box.box.path("etc/tucomunidad/secbox.env"))
    by_hand = os.path.join(box.box.files, "by-hand")
    os.makedirs(by_hand)
    with open(os.path.join(by_hand, "compose.yaml"), "w", encoding="utf-8") as f:
        f.write(box.compose())
    lab.podman("rm", "-f", "-t", "0", box.secbox()["Id"])
    lab.compose(by_hand, "--env-file", box.box.path("etc/tucomunidad/secbox.env"), "up", "-d")
    since = time.monotonic()
    prompt(box, "secbox.env deleted, containers started by hand", since, ("mgmt", "recovery"))
    wait_until(lambda: "device" not in box.roles(), "the device tunnel is lost")
    box.sshd.stop()
    box.box.link.kill()
    prompt(box, "secbox.env deleted, mgmt-link dead, sshd dead", time.monotonic(), ("recovery",))


def test_the_hosts_sshd_has_a_syntax_error(box):
    with open(box.sshd.config, "a", encoding="utf-8") as f:
        f.write("PermitRootLogin perhaps\n")
    box.sshd.stop()
    p = subprocess.run([sshd.SSHD, "-D", "-e", "-f", box.sshd.config], capture_output=True, text=True, check=False)
    assert p.returncode != 0 and "perhaps" in p.stderr
    prompt(box, "syntax error in sshd_config", time.monotonic(), ("recovery",))


def test_mgmt_agent_is_killed(box):
    since = time.monotonic()
    box.box.agent.kill()
    prompt(box, "mgmt-agent killed", since, ("device", "mgmt"))
    box.box.link.kill()
    freeze(box.secbox_pid())
    prompt(box, "mgmt-agent and mgmt-link killed, secbox stopped", time.monotonic(), ("recovery",))


def test_recovery_works_from_what_it_remembers(box):
    """The configuration is gone, and all else is dead; recovery-agent is started again. Whom the box trusts is not remembered:
    a key that was taken away must not come back."""
    # a child process writes it down, after the tunnel has come up
    wait_until(lambda: os.path.exists(box.recovery.state("config.env")), "the configuration is remembered", box.death)
    box.stop_recovery()
    for name in ("mgmt-agent.env", "recovery.env", "secbox.env"):
        os.unlink(box.box.path(f"etc/tucomunidad/{name}"))
    box.box.link.kill()
    box.box.agent.kill()
    freeze(box.secbox_pid())
    since = time.monotonic()
    box.start_recovery()
    prompt(box, "all env files deleted, all else dead, recovery-agent started anew", since, ("recovery",))

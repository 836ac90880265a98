# SPDX-License-Identifier: MIT
"""The recovery sshd: the real one, with its shipped settings, on keys and files that are not as they should be."""
import os
import shutil
import subprocess

import pytest

from tests.lab import isolate
from tests.lab.sshd import make_key
from tests.lab.support import RecoverySshd, SupportCa, keygen
from tests.lab.util import ROOT, free_port, port_answers, read_text, wait_until

AGENT_ENV = "CLOUD_BASE_URL=https://cloud.example\nDEVICE_ID=caseta5\nBOOTSTRAP=x\nMGMT_GATEWAY_URL=wss://cloud.example/mgmt\n"

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not isolate.is_isolated() or not os.access("/usr/sbin/sshd", os.X_OK),
                                reason="needs root in namespaces, and openssh-server")


@pytest.fixture
def ca(folder):
    return SupportCa(folder)


@pytest.fixture
def sshd(folder, ca):
    root = os.path.join(folder, "root")
    port = free_port()
    write(root, "etc/tucomunidad/mgmt-agent.env", AGENT_ENV)
    write(root, "etc/tucomunidad/recovery.env", f"RECOVERY_SSH_PORT={port}\n")
    with RecoverySshd(root, port, ca.public) as it:
        yield it


def write(root, inside, text, mode=0o600):
    path = os.path.join(root, inside)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


def fingerprint(sshd):
    p = subprocess.run(["ssh-keyscan", "-t", "ed25519", "-p", str(sshd.port), "127.0.0.1"], capture_output=True, text=True,
                       check=True)
    return p.stdout.split()[2]


def refused(p):
    return p.returncode == 255 and "Permission denied (publickey" in p.stderr


def test_who_comes_in(sshd, ca, folder):
    sshd.start()
    good = ca.certificate("caseta5", "clear", "permit-pty")
    p = sshd.ssh(good, "echo in as $(id -un)")
    assert p.stdout == "in as root\n", p.stderr + sshd.log()
    assert "alice/g-1/1" in sshd.log(), "the log names the person, the grant and the serial number of the certificate"
    assert refused(sshd.ssh(ca.certificate("caseta6"), "true")), "a certificate for another box"
    assert refused(sshd.ssh(ca.certificate("root"), "true")), "the user's name is no principal"
    assert refused(sshd.ssh(ca.certificate("caseta5", valid="20200101:20200102"), "true")), "one that is over"
    assert refused(sshd.ssh(SupportCa(os.path.join(folder, "stranger")).certificate("caseta5"), "true"))
    plain = os.path.join(folder, "plain")
    make_key(plain)
    assert refused(sshd.ssh(plain, "true"))
    p = sshd.ssh(plain, "true", options=["-o", "PreferredAuthentications=password,keyboard-interactive"])
    assert p.returncode == 255 and "publickey" in p.stderr and "password" not in p.stderr.split("(")[-1]
    # the break-glass key, from the moment that it is there
    shutil.copy(plain + ".pub", sshd.path("etc/tucomunidad/trust/break-glass.pub"))
    assert sshd.ssh(plain, "echo in").stdout == "in\n"


def test_ports_are_forwarded_when_the_certificate_says_so(sshd, ca):
    sshd.start()
    for options, works in ((("clear", "permit-pty"), False), (("clear", "permit-port-forwarding"), True)):
        p = sshd.ssh(ca.certificate("caseta5", *options), options=["-W", f"127.0.0.1:{sshd.port}"])
        assert ("SSH-2.0" in p.stdout) == works, p.stderr
    p = sshd.ssh(ca.certificate("caseta5"), "echo agent=$SSH_AUTH_SOCK display=$DISPLAY", options=["-A", "-X"])
    assert p.stdout == "agent= display=\n", "neither agent nor X11 is forwarded, whatever the certificate allows"


def test_settings_are_what_they_should_be(sshd):
    sshd.start()
    out = subprocess.run(["/usr/sbin/sshd", "-T", "-f", sshd.config()], capture_output=True, text=True, check=True).stdout
    settings = dict(line.split(" ", 1) for line in out.splitlines() if " " in line)
    for key, value in {"usepam": "no", "usedns": "no", "passwordauthentication": "no", "kbdinteractiveauthentication": "no",
                       "authenticationmethods": "publickey", "permitrootlogin": "without-password", "loglevel": "VERBOSE",
                       "logingracetime": "20", "maxauthtries": "3", "maxstartups": "3:50:10", "clientaliveinterval": "15",
                       "clientalivecountmax": "4", "x11forwarding": "no", "allowagentforwarding": "no", "permittunnel": "no",
                       "gatewayports": "no", "unusedconnectiontimeout": "300", "pidfile": "none"}.items():
        assert settings[key] == value, key
    assert settings["listenaddress"] == f"127.0.0.1:{sshd.port}"
    everything = read_text(os.path.join(ROOT, "installer/recovery/sshd_config"))
    assert "/etc/ssh" not in "".join(line for line in everything.splitlines(True) if not line.startswith("#"))


@pytest.mark.parametrize("damage", ["missing", "empty", "torn", "a folder", "no disk"])
def test_the_host_key_is_made_again(sshd, ca, damage):
    kept, used = sshd.path("var/lib/tucomunidad/recovery-sshd/host_key"), sshd.path("run/tucomunidad/recovery-sshd/host_key")
    sshd.start()
    first = fingerprint(sshd)
    assert read_text(kept) == read_text(used) and os.stat(kept).st_mode & 0o777 == 0o600 == os.stat(used).st_mode & 0o777
    sshd.stop()
    os.unlink(used)  # as after a boot
    assert sshd.prepare().returncode == 0
    sshd.start()
    assert fingerprint(sshd) == first, "a boot keeps the key"
    sshd.stop()
    os.unlink(used)
    text = read_text(kept)
    os.unlink(kept)
    if damage == "empty":
        write(sshd.root, "var/lib/tucomunidad/recovery-sshd/host_key", "")
    elif damage == "torn":
        write(sshd.root, "var/lib/tucomunidad/recovery-sshd/host_key", text[:len(text) // 2])
    elif damage == "a folder":
        os.makedirs(os.path.join(kept, "full"))
    elif damage == "no disk":
        shutil.rmtree(sshd.path("var/lib/tucomunidad/recovery-sshd"))
        write(sshd.root, "var/lib/tucomunidad/recovery-sshd", "in the way")
    sshd.start()
    second = fingerprint(sshd)
    assert second != first
    assert sshd.ssh(ca.certificate("caseta5"), "echo in").stdout == "in\n"
    sshd.stop()
    sshd.start()
    assert fingerprint(sshd) == second, "the new one stays, for this boot at least"


def test_a_damaged_configuration_and_a_later_claim(sshd, ca):
    """mgmt-agent.env and recovery.env are damaged: what recovery-agent kept stands in."""
    write(sshd.root, "etc/tucomunidad/mgmt-agent.env", "\0\1\2")
    write(sshd.root, "etc/tucomunidad/recovery.env", "RECOVERY_SSH_PORT=99999\n")
    write(sshd.root, "var/lib/tucomunidad/recovery/config.env", f"DEVICE_ID=caseta5\nRECOVERY_SSH_PORT={sshd.port}\n")
    sshd.start()
    assert sshd.ssh(ca.certificate("caseta5"), "echo in").stdout == "in\n"
    # a claim later on: the id is another, and the running sshd knows it
    write(sshd.root, "etc/tucomunidad/mgmt-agent.env", AGENT_ENV.replace("caseta5", "caseta7"))
    assert sshd.prepare("principals").returncode == 0
    assert sshd.ssh(ca.certificate("caseta7"), "echo in").stdout == "in\n"
    assert refused(sshd.ssh(ca.certificate("caseta5"), "true"))


def test_the_machines_own_sshd_takes_the_same_certificates(sshd, ca, folder):
    sshd.prepare()
    port = free_port()
    drop_in = read_text(os.path.join(ROOT, "installer/recovery/sshd-support-ca.conf"))
    drop_in = drop_in.replace(" /etc/", f" {sshd.root}/etc/").replace(" /run/", f" {sshd.root}/run/")
    write(folder, "drop-in.conf", drop_in)
    key = os.path.join(folder, "host")
    make_key(key)
    write(folder, "sshd_config", f"Include {folder}/drop-in.conf\nListenAddress 127.0.0.1:{port}\nHostKey {key}\nPidFile none\n")
    own = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", f"{folder}/sshd_config", "-o", "StrictModes=no"],
                           stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: port_answers(port), "the machine's own sshd listens")
        sshd.port = port
        assert sshd.ssh(ca.certificate("caseta5"), "echo in").stdout == "in\n"
        assert refused(sshd.ssh(ca.certificate("caseta6"), "true"))
    finally:
        own.terminate()
        own.wait()


def test_the_id_of_a_certificate_is_readable(ca):
    text = keygen("-L", "-f", ca.certificate("caseta5", "clear", "permit-pty") + "-cert.pub")
    assert "caseta5" in text and "alice/g-1/1" in text

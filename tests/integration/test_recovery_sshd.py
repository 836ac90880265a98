# SPDX-License-Identifier: MIT
"""The recovery sshd: the real one, with its shipped settings, on keys and files that are not as they should be."""
import os
import shutil
import subprocess
import tempfile

import pytest

from tests.lab import isolate
from tests.lab.sshd import make_key
from tests.lab.support import SCRIPT, RecoverySshd, SupportCa, keygen
from tests.lab.util import ROOT, free_port, port_answers, read_text, wait_until

AGENT_ENV = "CLOUD_BASE_URL=https://cloud.example\nDEVICE_ID=caseta5\nBOOTSTRAP=x\nMGMT_GATEWAY_URL=wss://cloud.example/mgmt\n"
REBOOT = os.path.join(ROOT, "installer/recovery/recovery-reboot.sh")

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


PASSWD = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:n:/:/bin/sh\n../up:x:1:1::/:/bin/sh\n-o:x:2:2::/:/bin/sh\n"


def test_a_certificate_is_for_one_account(sshd, ca, folder):
    """Of this box alone. One that names the box by itself is from a gateway of an earlier time, and is taken as it was then."""
    write(sshd.root, "etc/passwd", PASSWD)
    for path in (folder, sshd.root):
        os.chmod(path, 0o755)  # sshd reads what is an account's as that account
    sshd.start()
    accounts = sshd.path("run/tucomunidad/recovery-sshd/accounts")
    assert sorted(os.listdir(accounts)) == ["nobody", "root"], "no name leads to another folder"
    assert read_text(f"{accounts}/root") == "caseta5:root\ncaseta5\n"
    in_as = ("-s", "sftp")  # to the part of sshd that needs no shell of the account's

    def log_in(principal, user="root"):
        return sshd.ssh(ca.certificate(principal, "clear"), in_as[1], options=[in_as[0]], user=user).returncode
    assert log_in("caseta5:root") == 0, sshd.log()
    assert log_in("caseta5:nobody", "nobody") == 0, sshd.log()
    assert log_in("caseta5:nobody") == 255, "another account"
    assert log_in("caseta5:root", "nobody") == 255
    assert log_in("caseta6:root") == 255, "another box"
    assert log_in("caseta5:") == 255 and log_in("caseta5:root,x") == 0
    assert log_in("caseta5") == 0 and log_in("caseta5", "nobody") == 0
    # an account that goes, and one that comes
    write(sshd.root, "etc/passwd", PASSWD.replace("nobody", "somebody"))
    assert sshd.prepare("principals").returncode == 0
    assert sorted(os.listdir(accounts)) == ["root", "somebody"]
    assert log_in("caseta5:nobody", "nobody") == 255
    # without the machine's list of them, and with an id that nobody knows any more
    os.unlink(sshd.path("etc/passwd"))
    shutil.rmtree(accounts)
    assert sshd.prepare("principals").returncode == 0
    assert os.listdir(accounts) == ["root"] and log_in("caseta5:root") == 0


MGMT_LIST, OWN_LIST = (f"var/lib/tucomunidad/{name}/ssh-revocations" for name in ("mgmt-agent", "recovery"))
ALICE = "# version 7\nid: alice/g-1/1\n"


def test_a_revoked_certificate_is_refused(sshd, ca):
    """Each agent's list counts, and what is damaged keeps nobody out."""
    second = SupportCa(os.path.join(sshd.root, "second"))
    write(sshd.root, "etc/tucomunidad/trust/support-ca.pub", ca.public + "damaged\n" + second.public, 0o644)
    sshd.start()

    def lets_in(*cas):
        assert sshd.prepare("principals").returncode == 0
        return [sshd.ssh(x.certificate("caseta5:root"), "echo in").stdout == "in\n" for x in cas or (ca,)]
    assert lets_in() == [True]
    for path in (MGMT_LIST, OWN_LIST):
        write(sshd.root, path, ALICE)
        assert lets_in(ca, second) == [False, False], "whichever authority has signed it"
        assert "revoked by file" in sshd.log()
        write(sshd.root, path, ALICE.replace("alice", "bob").replace("g-1/1", "g-1/2"))
        assert lets_in() == [True], "another one's"
        write(sshd.root, path, "\0\1\2torn id: x\nid: al")
        assert lets_in() == [True]
        write(sshd.root, path, "\0\1\2\n" + ALICE)
        assert lets_in() == [False], "the lines that can be read count"
        os.unlink(sshd.path(path))
        assert lets_in() == [True]
    # after a boot
    write(sshd.root, MGMT_LIST, ALICE)
    sshd.stop()
    shutil.rmtree(sshd.path("run/tucomunidad"))
    sshd.start()
    assert lets_in() == [False]
    # no list can be made: that before stays; and none at all at a start that cannot make one
    tools = sshd.path("tools")
    write(tools, "ssh-keygen", '#!/bin/sh\ncase " $*" in *" -Q"*|*" -k"*) exit 1 ;; esac\nexec /usr/bin/ssh-keygen "$@"\n', 0o755)
    for what in ("principals", "prepare"):
        env = {"PATH": f"{tools}:{os.environ['PATH']}", "SECBOX_ROOT": sshd.root}
        p = subprocess.run(["sh", SCRIPT, what], env=env, check=False, capture_output=True, text=True)
        assert p.returncode == 0 and "the one before stays" in p.stderr
        assert refused(sshd.ssh(ca.certificate("caseta5:root"), "true"))
        os.unlink(sshd.path("run/tucomunidad/recovery-sshd/revoked-here"))
        subprocess.run(["sh", SCRIPT, what], env=env, check=True)
        assert sshd.ssh(ca.certificate("caseta5:root"), "echo in").stdout == "in\n"
        assert lets_in() == [False]
    assert not [n for n in os.listdir(sshd.path("run/tucomunidad/recovery-sshd")) if n.startswith("revoked") and "." in n]


@pytest.mark.parametrize("trap", ["fifo", "folder", "link", "huge"])
def test_a_list_that_recovery_agent_may_write_holds_nobody_up(sshd, ca, trap):
    path = sshd.path(OWN_LIST)
    write(sshd.root, OWN_LIST, "# version 7\n" + "x" * 10_000_000 + "\n" + ALICE)
    if trap != "huge":
        os.unlink(path)
    if trap == "link":
        write(sshd.root, "elsewhere", ALICE)
        os.symlink(sshd.path("elsewhere"), path)
    elif trap != "huge":
        (os.mkfifo if trap == "fifo" else os.mkdir)(path)
    sshd.start()
    assert sshd.ssh(ca.certificate("caseta5:root"), "echo in").stdout == "in\n"


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
    """mgmt-agent.env and recovery.env are damaged: what root read in them last stands in."""
    sshd.prepare()
    write(sshd.root, "etc/tucomunidad/mgmt-agent.env", "\0\1\2")
    write(sshd.root, "etc/tucomunidad/recovery.env", "RECOVERY_SSH_PORT=99999\n")
    shutil.rmtree(sshd.path("run/tucomunidad"))  # as after a boot
    sshd.start()
    assert sshd.ssh(ca.certificate("caseta5"), "echo in").stdout == "in\n"
    # a claim later on: the id is another, and the running sshd knows it
    write(sshd.root, "etc/tucomunidad/mgmt-agent.env", AGENT_ENV.replace("caseta5", "caseta7"))
    assert sshd.prepare("principals").returncode == 0
    assert sshd.ssh(ca.certificate("caseta7"), "echo in").stdout == "in\n"
    assert refused(sshd.ssh(ca.certificate("caseta5"), "true"))


class OwnSshd:
    """The machine's own sshd with our drop-in, on files below a folder of root's, as sshd wants it of a command that it runs."""

    def __init__(self, sshd, site=""):
        self.folder = tempfile.mkdtemp(dir="/run")
        os.chmod(self.folder, 0o755)
        self.sshd, self.port, self.process = sshd, free_port(), None
        moved = {"=/etc/tucomunidad/": f"={sshd.root}/etc/tucomunidad/", "=/run/tucomunidad/": f"={sshd.root}/run/tucomunidad/",
                 "/usr/lib/secbox": self.folder, "settings=/etc/ssh": f"settings={self.folder}"}
        self._copy("installer/recovery/authorized-keys.sh", "authorized-keys", moved, 0o755)
        self._copy("installer/recovery/sshd-support-ca.conf", "sshd_config.d/secbox.conf", moved)
        make_key(self.path("host"))
        self.write("sshd_config", f"Include {self.path('sshd_config.d')}/*.conf\nListenAddress 127.0.0.1:{self.port}\n"
                                  f"HostKey {self.path('host')}\nPidFile none\nStrictModes no\n{site}")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode=0o644):
        write(self.folder, name, text, mode)

    def _copy(self, source, name, moved, mode=0o644):
        text = read_text(os.path.join(ROOT, source))
        for old, new in moved.items():
            text = text.replace(old, new)
        self.write(name, text, mode)

    def settings(self):
        p = subprocess.run(["/usr/sbin/sshd", "-T", "-f", self.path("sshd_config")], capture_output=True, text=True, check=True)
        return dict(line.split(" ", 1) for line in p.stdout.splitlines() if " " in line)

    def __enter__(self):
        with open(self.path("log"), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", self.path("sshd_config")], stderr=log)
        wait_until(lambda: port_answers(self.port), "the machine's own sshd listens",
                   lambda: read_text(self.path("log")) if self.process.poll() is not None else None)
        self.sshd.port = self.port
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


@pytest.mark.parametrize("text, port", [("RECOVERY_ACT=0 # ñ\n", "2222"), ("", None), ("\0\1\2", None), (None, None),
                                        ("RECOVERY_SSH_PORT=4022\n", "4022")])
def test_the_port_is_what_root_wrote_last(sshd, text, port):
    """None: the one that was good before."""
    sshd.prepare()
    if text is None:
        os.unlink(sshd.path("etc/tucomunidad/recovery.env"))
    else:
        write(sshd.root, "etc/tucomunidad/recovery.env", text)
    for _ in range(2):
        assert sshd.prepare().returncode == 0
        assert listens(sshd) == f"ListenAddress 127.0.0.1:{port or sshd.port}\n"


def listens(sshd):
    return read_text(sshd.path("run/tucomunidad/recovery-sshd/listen.conf"))


@pytest.mark.parametrize("trap", ["fifo", "folder", "port 22", "another box"])
def test_what_recovery_agent_may_write_is_not_read(sshd, trap):
    path = sshd.path("var/lib/tucomunidad/recovery/config.env")
    write(sshd.root, "var/lib/tucomunidad/recovery/config.env", "DEVICE_ID=caseta6\nRECOVERY_SSH_PORT=22\n")
    if trap in ("fifo", "folder"):
        os.unlink(path)
        (os.mkfifo if trap == "fifo" else os.mkdir)(path)
    elif trap == "port 22":
        os.unlink(sshd.path("etc/tucomunidad/recovery.env"))
    else:
        os.unlink(sshd.path("etc/tucomunidad/mgmt-agent.env"))
    assert sshd.prepare().returncode == 0
    assert ":22\n" not in listens(sshd)
    assert "caseta6" not in read_text(sshd.path("run/tucomunidad/recovery-sshd/principals"))


def test_a_host_key_is_never_anybody_elses_to_read(sshd, folder):
    """Not for the moment between making a file and closing it either."""
    tools = os.path.join(folder, "tools")
    seen = os.path.join(folder, "seen")
    write(tools, "chmod", f"#!/bin/sh\nstat -c '%a %n' \"$2\" >>{seen}\nexec /bin/chmod \"$@\"\n", 0o755)
    for _ in range(2):  # made, and taken from the disk
        p = subprocess.run(["sh", SCRIPT, "prepare"], env={"PATH": f"{tools}:{os.environ['PATH']}", "SECBOX_ROOT": sshd.root},
                           check=False, capture_output=True, text=True)
        assert p.returncode == 0, p.stderr
    modes = [line.split() for line in read_text(seen).splitlines()]
    assert len([name for _, name in modes if "host_key" in name and ".pub" not in name]) == 2
    assert {mode for mode, _ in modes} == {"600"}
    facts = {name: os.stat(sshd.path(f"run/tucomunidad/recovery-sshd/{name}")).st_mode & 0o777
             for name in ("principals", "listen.conf", "host_key", "host_key.pub")}
    assert facts == {"principals": 0o644, "listen.conf": 0o644, "host_key": 0o600, "host_key.pub": 0o644}
    assert os.stat(sshd.path("run/tucomunidad")).st_mode & 0o777 == 0o755


class Reboots:
    """recovery-reboot with a systemctl that only notes what it is asked for, and a date that can be set."""

    def __init__(self, root, folder):
        self.root, self.tools, self.asked = root, os.path.join(folder, "tools"), os.path.join(folder, "asked")
        write(self.tools, "systemctl", f'#!/bin/sh\necho "$@" >>{self.asked}\n', 0o755)

    def at(self, now):
        """Whether the box is rebooted when it is asked for at that time."""
        write(self.tools, "date", f"#!/bin/sh\necho {now}\n", 0o755)
        before = len(self.done())
        subprocess.run(["sh", REBOOT], env={"PATH": f"{self.tools}:{os.environ['PATH']}", "SECBOX_ROOT": self.root},
                       check=False, capture_output=True)
        return len(self.done()) > before

    def done(self):
        return read_text(self.asked).splitlines() if os.path.exists(self.asked) else []


def test_root_counts_reboots_itself(folder):
    reboots = Reboots(os.path.join(folder, "root"), folder)
    assert not reboots.at(1_000_000), "nobody allowed it"
    write(reboots.root, "etc/tucomunidad/recovery.env", "RECOVERY_REBOOT=1\n")
    times = [1_000_000, 1_000_010, 1_003_599, 1_003_600, 1_007_200, 1_010_800, 1_086_399, 1_086_400]
    assert [reboots.at(t) for t in times] == [True, False, False, True, True, False, False, True]
    assert reboots.done() == ["reboot"] * 4


def test_a_clock_that_was_wrong_forbids_reboots_for_no_longer_than_a_right_one(folder):
    reboots = Reboots(os.path.join(folder, "root"), folder)
    write(reboots.root, "etc/tucomunidad/recovery.env", "RECOVERY_REBOOT=1\n")
    assert reboots.at(4_000_000_000)
    assert not reboots.at(1_000_000) and not reboots.at(1_000_100)
    assert reboots.at(1_003_600), "an hour after it was seen"


def test_what_cannot_be_counted_is_not_done(folder):
    reboots = Reboots(os.path.join(folder, "root"), folder)
    write(reboots.root, "etc/tucomunidad/recovery.env", "RECOVERY_REBOOT=1\n")
    write(reboots.root, "var/lib/tucomunidad/recovery-reboot", "in the way")
    assert not reboots.at(1_000_000)


def test_the_machines_own_sshd_takes_the_same_certificates(sshd, ca, folder):
    sshd.prepare()
    with OwnSshd(sshd) as own:
        p = sshd.ssh(ca.certificate("caseta5"), "echo in as $(id -un)")
        assert p.stdout == "in as root\n", p.stderr
        assert "alice/g-1/1" in read_text(own.path("log")), "the log names the person, the grant and the serial number"
        assert refused(sshd.ssh(ca.certificate("caseta6"), "true")), "a certificate for another box"
        assert refused(sshd.ssh(ca.certificate("root"), "true")), "the user's name is no principal"
        assert refused(sshd.ssh(SupportCa(os.path.join(folder, "stranger")).certificate("caseta5"), "true"))
        # one account of this box
        assert sshd.ssh(ca.certificate("caseta5:root"), "echo in").stdout == "in\n"
        assert refused(sshd.ssh(ca.certificate("caseta5:nobody"), "true")), "another account"
        assert refused(sshd.ssh(ca.certificate("caseta5:root"), "true", user="nobody"))
        assert refused(sshd.ssh(ca.certificate("caseta6:root"), "true")), "another box"
        # revoked by the list that mgmt-agent was sent; what recovery-agent says counts for the other sshd alone
        write(sshd.root, OWN_LIST, ALICE)
        sshd.prepare("principals")
        assert sshd.ssh(ca.certificate("caseta5:root"), "echo in").stdout == "in\n"
        write(sshd.root, MGMT_LIST, ALICE)
        sshd.prepare("principals")
        assert refused(sshd.ssh(ca.certificate("caseta5:root"), "true"))
        write(sshd.root, "run/tucomunidad/recovery-sshd/revoked", "SSHKRL\n\0 damaged")
        assert sshd.ssh(ca.certificate("caseta5:root"), "echo in").stdout == "in\n", "a damaged one keeps nobody out"
        os.unlink(sshd.path(MGMT_LIST))
        sshd.prepare("principals")
        # an authority that follows another, and one that is damaged
        second = SupportCa(os.path.join(folder, "second"))
        authorities = sshd.path("etc/tucomunidad/trust/support-ca.pub")
        write(sshd.root, "etc/tucomunidad/trust/support-ca.pub",
              read_text(authorities) + 'torn" ssh-\n' + second.public, 0o644)
        assert sshd.ssh(second.certificate("caseta5"), "echo in").stdout == "in\n"
        assert sshd.ssh(ca.certificate("caseta5"), "echo in").stdout == "in\n"
        # before the box has an id, and before it knows an authority: nobody, and no error of ours
        for path in (sshd.path("run/tucomunidad/recovery-sshd/principals"), authorities):
            os.unlink(path)
            assert refused(sshd.ssh(ca.certificate("caseta5"), "true"))


def test_the_sites_own_authority_principals_and_keys_stay_good(sshd, ca, folder):
    sshd.prepare()
    company = SupportCa(os.path.join(folder, "company"))
    plain, asked = os.path.join(folder, "plain"), os.path.join(folder, "asked")
    for key in (plain, asked):
        make_key(key)
    site = (f"TrustedUserCAKeys {company.key}.pub\nAuthorizedPrincipalsFile {folder}/principals/%u\n"
            f"AuthorizedKeysFile {folder}/keys/%u\n")
    write(folder, "principals/root", "admins\n", 0o644)
    write(folder, "keys/root", read_text(plain + ".pub"), 0o644)
    with OwnSshd(sshd, site) as own:
        own.write("company-keys", f"#!/bin/sh\n[ \"$1 $2\" = 'root static' ] && [ $(id -un) = nobody ] && "
                                  f"echo '{read_text(asked + '.pub').strip()}'\n", 0o755)
        before = {k: v for k, v in own.settings().items() if k.startswith(("trusted", "authorized"))}
        assert before["trustedusercakeys"] == company.key + ".pub"
        assert before["authorizedprincipalsfile"] == f"{folder}/principals/%u"
        assert before["authorizedkeysfile"] == f"{folder}/keys/%u"
        assert sshd.ssh(ca.certificate("caseta5"), "echo in").stdout == "in\n", "support staff"
        assert sshd.ssh(company.certificate("admins"), "echo in").stdout == "in\n", "the company's people"
        assert sshd.ssh(plain, "echo in").stdout == "in\n", "the site's keys"
        assert refused(sshd.ssh(company.certificate("caseta5"), "true")), "neither authority has the other's principals"
        assert refused(sshd.ssh(ca.certificate("admins"), "true"))
        assert refused(sshd.ssh(asked, "true")), "nobody has asked for it yet"
        # and a command of its own, which ours stands before
        own.write("sshd_config.d/site.conf", f"AuthorizedKeysCommand {own.path('company-keys')} %u static\n"
                                             "AuthorizedKeysCommandUser nobody\n")
        assert own.settings()["authorizedkeyscommand"].startswith(own.path("authorized-keys"))
        p = sshd.ssh(asked, "echo in")
        assert p.stdout == "in\n", p.stderr + read_text(own.path("log"))
        assert sshd.ssh(ca.certificate("caseta5"), "echo in").stdout == "in\n"


def test_the_id_of_a_certificate_is_readable(ca):
    text = keygen("-L", "-f", ca.certificate("caseta5", "clear", "permit-pty") + "-cert.pub")
    assert "caseta5" in text and "alice/g-1/1" in text

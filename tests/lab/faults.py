# SPDX-License-Identifier: MIT
"""Faults that a box is given on purpose: what finds each, what it says, and the command that it prints and that mends it.
docs/faults.md is made of this table.

    python3 -m tests.lab.faults          prints that page
"""
import dataclasses
import re
import sys

ENV = "/etc/tucomunidad/mgmt-agent.env"
SECBOX_ENV = "/etc/tucomunidad/secbox.env"
USUAL_CA = "/etc/tucomunidad/cloud-ca.pem"
CA_FILE = "/etc/ssl/certs/lab-cloud.pem"
AS_USER = "runuser -u tc -- env XDG_RUNTIME_DIR=/run/user/…"


@dataclasses.dataclass(frozen=True)
class Fault:
    """`…` in `says` and `remedy` stands for any text. `plant` is typed into root's shell on the box; `since` says whether the
    finding tells since when."""
    name: str
    broken: str
    plant: str
    check: str
    says: str
    remedy: str
    since: bool = True
    by: str = "box"  # whose command it is: "operator" is secbox-fleet's
    whole: str = ""  # a file that the remedy brings back as it was


def stopped(unit, broken=None):
    return Fault(f"{unit}-stopped", broken or f"{unit} was stopped", f"systemctl stop {unit}", unit,
                 f"{unit} is stopped", f"systemctl start {unit}")


def removed(package, check, says, broken=None, since=False):
    return Fault(f"no-{package}", broken or f"{package} is not installed", f"dpkg --remove --force-depends {package}", check,
                 says, f"apt-get install -y {package}", since)


FRESH = [
    Fault("vfs", "podman's empty store has the slow driver", "true", "store-driver", "podman would store images by vfs",
          "printf '%s\\n' '[storage]' 'driver = \"overlay\"' 'runroot = \"/run/containers/storage\"' "
          "'graphroot = \"/var/lib/containers/storage\"' >/etc/containers/storage.conf && "
          f"{AS_USER} podman system reset --force"),
]

SECBOXCTL = [
    # units
    Fault("agent-stopped", "mgmt-agent was stopped", "systemctl stop mgmt-agent", "agent", "mgmt-agent is stopped",
          "systemctl start mgmt-agent"),
    Fault("agent-disabled", "mgmt-agent was disabled, which shows after the next reboot", "systemctl disable mgmt-agent", "agent",
          "mgmt-agent runs, and would not after a reboot", "systemctl enable mgmt-agent", since=False),
    Fault("agent-off", "mgmt-agent was disabled and the box started anew", "systemctl disable --now mgmt-agent", "agent",
          "mgmt-agent is stopped, and does not start with the box", "systemctl enable --now mgmt-agent"),
    Fault("recovery-disabled", "recovery-agent was disabled", "systemctl disable recovery-agent", "recovery-agent",
          "recovery-agent runs, and would not after a reboot", "systemctl enable recovery-agent", since=False),
    Fault("link-masked", "mgmt-link was masked", "systemctl mask --now mgmt-link", "mgmt-link", "mgmt-link is masked",
          "systemctl unmask mgmt-link && systemctl enable --now mgmt-link", since=False),
    stopped("mgmt-link"),
    stopped("recovery-agent"),
    Fault("recovery-sshd-stopped", "the recovery sshd was stopped", "systemctl stop secbox-recovery-sshd", "recovery-sshd",
          "secbox-recovery-sshd is stopped", "systemctl start secbox-recovery-sshd"),
    Fault("reboot-path-stopped", "what reboots the box for recovery-agent was stopped", "systemctl stop recovery-reboot.path",
          "recovery-agent", "recovery-reboot.path is stopped", "systemctl start recovery-reboot.path"),
    stopped("ssh", "sshd was stopped"),
    Fault("sshd-config", "sshd's configuration has a mistake", "echo Nonsense yes >/etc/ssh/sshd_config.d/site.conf", "ssh",
          "sshd refuses its configuration: /etc/ssh/sshd_config.d/site.conf: line 1: Bad configuration option",
          "sed -i '1s/^/#/' /etc/ssh/sshd_config.d/site.conf && systemctl restart ssh"),
    Fault("ssh-host-keys", "sshd's host keys are gone", "rm /etc/ssh/ssh_host_*key*", "ssh",
          "no hostkeys available", "ssh-keygen -A && systemctl restart ssh"),
    # env files
    Fault("env-missing", "mgmt-agent.env was deleted", f"rm {ENV}", "mgmt-agent.env", f"{ENV} does not exist",
          f"install -m 0600 /var/lib/tucomunidad/mgmt-link/kept.env {ENV} && systemctl restart mgmt-agent mgmt-link",
          since=False, whole=ENV),
    Fault("env-garbage", "mgmt-agent.env has a line that is none", f"echo 'rubbish here' >>{ENV}", "mgmt-agent.env",
          "there is no '='", f"sed -i '…s/^/#/' {ENV}"),
    Fault("env-mode", "others may read mgmt-agent.env", f"chmod 0644 {ENV}", "mgmt-agent.env", "its mode is 0644",
          f"chmod 0600 {ENV}"),
    Fault("env-owner", "mgmt-agent.env is not root's", f"chown tc: {ENV}", "mgmt-agent.env", "belongs to user 1000, not to root",
          f"chown root: {ENV}"),
    Fault("secbox-env-missing", "secbox.env was deleted", f"rm {SECBOX_ENV}", "secbox.env", f"{SECBOX_ENV} does not exist",
          "secboxctl env ensure", since=False),
    Fault("secbox-env-owner", "secbox.env is not the podman user's", f"chown root: {SECBOX_ENV}", "secbox.env", "not to tc",
          f"chown tc: {SECBOX_ENV}"),
    Fault("secbox-env-keys", "a key that is needed is gone from secbox.env", f"sed -i /^DEVICE_ID=/d {SECBOX_ENV}", "secbox.env",
          "DEVICE_ID", f"sed -i '$a\\' {SECBOX_ENV} && grep -E '^(DEVICE_ID)=' {ENV} >>{SECBOX_ENV}"),
    Fault("secbox-env-garbage", "secbox.env has a line that is none", f"echo 'rubbish here' >>{SECBOX_ENV}", "secbox.env",
          "there is no '='", f"sed -i '…s/^/#/' {SECBOX_ENV}"),
    Fault("secbox-env-mode", "others may read secbox.env", f"chmod 0640 {SECBOX_ENV}", "secbox.env", "its mode is 0640",
          f"chmod 0600 {SECBOX_ENV}"),
    # the tunnel; from the third on mgmt-agent.env names another file
    Fault("ca-mode", "not everybody may read CLOUD_CA_FILE", f"chmod 0600 {CA_FILE}", "configuration",
          f"{CA_FILE} has mode 0600", f"chmod 0644 {CA_FILE}"),
    Fault("ca-missing", "the file of the cloud's authority was deleted", f"rm {CA_FILE}", "configuration",
          f"CLOUD_CA_FILE cannot be read: {CA_FILE}: No such file",
          f"install -m 0644 /var/lib/tucomunidad/recovery/ca.pem {CA_FILE}",
          since=False),
    Fault("tls-authority", "mgmt-agent.env does not name the cloud's private authority", f"cp {CA_FILE} {USUAL_CA} && "
          f"sed -i /^CLOUD_CA_FILE=/d {ENV} && truncate -s -1 {ENV}", "configuration", "the certificate of … is refused",
          f"sed -i '$a CLOUD_CA_FILE={USUAL_CA}' {ENV}"),
    Fault("tls-authority-empty", "mgmt-agent.env has an empty name for the cloud's private authority",
          f"sed -i 's/^CLOUD_CA_FILE=.*/CLOUD_CA_FILE=/' {ENV}", "configuration", "the certificate of … is refused",
          f"sed -i 's|^CLOUD_CA_FILE=.*|CLOUD_CA_FILE={USUAL_CA}|' {ENV}"),
    Fault("blocked", "an operator has blocked the box", "secbox-fleet devices block caseta5", "tunnel",
          "device caseta5 is blocked", "secbox-fleet devices unblock caseta5", by="operator"),
    # the podman user
    Fault("no-linger", "the podman user does not linger", "loginctl disable-linger tc", "lingering", "tc does not linger",
          "loginctl enable-linger tc"),
    Fault("user-manager-stopped", "the podman user's service manager was stopped", "systemctl stop user@1000", "user-manager",
          "user@1000, the service manager of tc, is stopped", "systemctl restart user@1000"),
    Fault("user-bus-stopped", "the podman user's bus was stopped",
          "runuser -u tc -- env XDG_RUNTIME_DIR=/run/user/1000 systemctl --user stop dbus.socket dbus.service",
          "user-bus", "no bus answers at",
          f"{AS_USER} systemctl --user restart dbus.socket"),
    Fault("no-subuids", "the podman user has no subordinate uids", "sed -i /^tc:/d /etc/subuid", "subuids",
          "/etc/subuid gives tc 0 subordinate uids", "usermod --add-subuids …-… tc"),
    Fault("no-subgids", "the podman user has no subordinate gids", "sed -i /^tc:/d /etc/subgid", "subgids",
          "/etc/subgid gives tc 0 subordinate gids", "usermod --add-subgids …-… tc"),
    # podman
    removed("podman", "podman", "podman is not installed"),
    removed("podman-compose", "podman-compose", "podman-compose is not installed"),
    removed("crun", "runtime", "crun is not installed"),
    removed("netavark", "network-backend", "netavark is not installed"),
    removed("aardvark-dns", "container-dns", "aardvark-dns is not installed"),
    removed("iptables", "iptables", "iptables is not installed"),
    removed("slirp4netns", "rootless-network", "slirp4netns is not installed"),
    removed("uidmap", "uidmap", "newuidmap is not installed", since=True),
    removed("catatonit", "init", "catatonit is not installed"),
    Fault("no-dbus-user-session", "dbus-user-session is not installed", "dpkg --remove --force-depends dbus-user-session",
          "user-bus", "dbus-user-session is not installed",
          f"apt-get install -y dbus-user-session && {AS_USER} systemctl --user daemon-reload "
          f"&& {AS_USER} systemctl --user start dbus.socket"),
    Fault("tun-mode", "only root may open /dev/net/tun", "chmod 0600 /dev/net/tun", "rootless-network",
          "/dev/net/tun is not there for everybody", "chmod 0666 /dev/net/tun"),
    Fault("podman-locked", "a process holds podman's lock, so podman hangs",
          "systemd-run -q --unit holder --uid tc python3 -c 'import fcntl, time; "
          "f = open(\"/home/tc/.local/share/containers/storage/storage.lock\", \"r+\"); fcntl.lockf(f, fcntl.LOCK_EX); "
          "time.sleep(9999)'", "podman", "podman does not answer: process … (python3) holds /home/tc/.local/share/containers/",
          "kill …"),
    Fault("storage-conf", "storage.conf has a mistake", "mkdir -p /home/tc/.config/containers && "
          "echo '[storage' >/home/tc/.config/containers/storage.conf", "podman", "/home/tc/.config/containers/storage.conf",
          "mv /home/tc/.config/containers/storage.conf /home/tc/.config/containers/storage.conf.broken"),
    Fault("registries-conf", "registries.conf has a mistake", "echo '[registries' >/etc/containers/registries.conf", "podman",
          "/etc/containers/registries.conf", "mv /etc/containers/registries.conf /etc/containers/registries.conf.broken"),
    Fault("containers-conf", "containers.conf has a mistake",
          "mkdir -p /etc/containers/containers.conf.d && echo '[containers' >/etc/containers/containers.conf.d/site.conf", "podman",
          "/etc/containers/containers.conf.d/site.conf",
          "mv /etc/containers/containers.conf.d/site.conf /etc/containers/containers.conf.d/site.conf.broken"),
    # the machine
    Fault("journal-stopped", "the journal was stopped", "systemctl stop systemd-journald.service 'systemd-journald*.socket'",
          "journal", "systemd-journald is stopped", "systemctl start systemd-journald"),
    Fault("time-zone", "the time zone is one that does not exist", "ln -sfn /usr/share/zoneinfo/Nowhere /etc/localtime",
          "time-zone", "/etc/localtime leads to no time zone", "timedatectl set-timezone UTC"),
]

PAGE = """# Faults and what mends them

The tests plant each of these faults, ask, type exactly the command that is printed, and look whether it healed. This page is
made of their table (`make docs-faults`). `…` stands for what a sentence fills in.

## On the box
`secboxctl doctor` names them:

"""


def matches(pattern, text):
    """`…` matches anything."""
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("…")), text, re.S) is not None


def holds(pattern, text):
    return matches(f"…{pattern}…", text)


def rows(faults):
    yield "| what is broken | check | it says | what mends it |"
    yield "| --- | --- | --- | --- |"
    for f in faults:
        remedy = f.remedy.replace("|", "\\|")
        where = " (on the operator's machine)" if f.by == "operator" else ""
        yield f"| {f.broken} | `{f.check}` | {f.says} | `{remedy}`{where} |"


def page():
    return PAGE + "\n".join(rows(FRESH + SECBOXCTL)) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())

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
BRING_BACK_CA = ("runuser -u secbox-recovery -- cat /var/lib/tucomunidad/recovery/ca.pem "
                 f">{CA_FILE}.new && chmod 0644 {CA_FILE}.new && mv {CA_FILE}.new {CA_FILE}")
VOLUMES = "/var/lib/tucomunidad/volumes"
AS_TC = "runuser -u tc -- env XDG_RUNTIME_DIR=/run/user/1000"
AS_USER = "runuser -u tc -- env XDG_RUNTIME_DIR=/run/user/…"


@dataclasses.dataclass(frozen=True)
class Fault:
    """`…` in `says` and `remedy` stands for any text. `plant` is typed into root's shell on the box; `since` says whether the
    finding tells since when. What no command mends is for the "site", and `remedy` is a part of the advice."""
    name: str
    broken: str
    plant: str
    check: str
    says: str
    remedy: str
    since: bool = True
    by: str = "box"  # whose shell it is for: "gateway" is root's there, "operator" a person's with secbox-fleet; "site": none
    whole: str = ""  # a file that the remedy brings back as it was
    serves: str = ""  # the certificate that the gateway shows meanwhile; it is mended there
    reboot: bool = False  # behind the plant


def stopped(unit, broken=None):
    return Fault(f"{unit}-stopped", broken or f"{unit} was stopped", f"systemctl stop {unit}", unit,
                 f"{unit} is stopped", f"systemctl start {unit}")


def served(kind, broken, says, advice):
    return Fault(f"gateway-{kind}", broken, "systemctl restart mgmt-link", "tunnel", f"the certificate of … is refused: {says}",
                 advice, by="site", serves=kind)


def deployed(name, web):
    """A file that becomes bad once it is deployed."""
    return f"""cat >/srv/{name}.yml <<'END'
services:
  web:
    image: localhost/server:1
    restart: always
    volumes: ["{name}:/data"]
{web}
volumes:
  {name}:
END
secboxctl apply /srv/{name}.yml
{AS_TC} podman exec {container_of("web")} touch /data/bad
"""


def container_of(service):
    return f'"$({AS_TC} podman ps -q --filter label=io.tucomunidad.service={service})"'


def recreate(service):
    """As recovery-agent has it done: a container keeps the flags of its mounts from when it was made."""
    order = f'{{"type":"container.recreate","id":"plant","service":"{service}"}}'
    return f"""python3 - <<'END'
import socket
agent = socket.socket(socket.AF_UNIX)
agent.connect("/run/tucomunidad/mgmt-agent.sock")
agent.sendall(b'{order}\\n')
assert '"ok":true' in next(line for line in agent.makefile() if "container.result" in line)
END
"""


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
    Fault("revocations-damaged", "the list of revoked ssh certificates is damaged",
          "echo damaged >/var/lib/tucomunidad/mgmt-agent/ssh-revocations", "revoked-certificates",
          "the list of revoked certificates on this box is damaged",
          "rm /var/lib/tucomunidad/mgmt-agent/ssh-revocations && systemctl restart mgmt-agent"),
    # env files
    Fault("env-missing", "mgmt-agent.env was deleted", f"rm {ENV}", "mgmt-agent.env", f"{ENV} does not exist",
          f"(umask 077 && runuser -u mgmt-link -- cat /var/lib/tucomunidad/mgmt-link/kept.env >{ENV}.new && chmod 0600 {ENV}.new "
          f"&& mv {ENV}.new {ENV}) && systemctl restart mgmt-agent mgmt-link",
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
          BRING_BACK_CA, since=False),
    Fault("ca-other", "the file of the cloud's authority holds another authority", "openssl req -x509 -newkey ec -pkeyopt "
          f"ec_paramgen_curve:P-256 -nodes -keyout /dev/null -out {CA_FILE} -subj /CN=another", "configuration",
          "the certificate of … is refused", BRING_BACK_CA),
    Fault("tls-authority", "mgmt-agent.env does not name the cloud's private authority", f"cp {CA_FILE} {USUAL_CA} && "
          f"sed -i /^CLOUD_CA_FILE=/d {ENV} && truncate -s -1 {ENV}", "configuration", "the certificate of … is refused",
          f"sed -i '$a CLOUD_CA_FILE={USUAL_CA}' {ENV}"),
    Fault("tls-authority-empty", "mgmt-agent.env has an empty name for the cloud's private authority",
          f"sed -i 's/^CLOUD_CA_FILE=.*/CLOUD_CA_FILE=/' {ENV}", "configuration", "the certificate of … is refused",
          f"sed -i 's|^CLOUD_CA_FILE=.*|CLOUD_CA_FILE={USUAL_CA}|' {ENV}"),
    Fault("blocked", "an operator has blocked the box", "secbox-fleet devices block caseta5", "tunnel",
          "device caseta5 is blocked", "secbox-fleet devices unblock caseta5", by="operator"),
    Fault("forgotten", "the gateway has forgotten the box, and refuses its token", "secbox-fleet devices remove --yes caseta5",
          "tunnel", "the bootstrap token does not belong to this device, or was replaced",
          "secbox-fleet devices bootstrap caseta5 || secbox-fleet devices add caseta5", by="operator"),
    Fault("proxy-to-gateway", "mgmt-link's unit names a proxy that is dead", "mkdir -p /etc/systemd/system/mgmt-link.service.d && "
          "printf '%s\\n' '[Service]' 'Environment=HTTPS_PROXY=http://127.0.0.1:9' "
          ">/etc/systemd/system/mgmt-link.service.d/proxy.conf && systemctl daemon-reload && systemctl stop mgmt-link && "
          "rm /var/lib/tucomunidad/mgmt-link/token && systemctl start mgmt-link", "tunnel",
          "through the proxy that HTTPS_PROXY names in /etc/systemd/system/mgmt-link.service.d/proxy.conf",
          "sed -i '/HTTPS_PROXY=/s/^/#/' /etc/systemd/system/mgmt-link.service.d/proxy.conf && systemctl daemon-reload && "
          "systemctl restart mgmt-link"),
    served("expired", "the gateway's certificate has expired", "certificate has expired", "Renew it on the gateway's machine"),
    served("no-chain", "the gateway does not show the authority between its certificate and the one that the box knows",
           "unable to", "the file of --cert must hold the server's certificate and, behind it, those of the authorities between"),
    served("unknown", "the gateway's certificate is by an authority that the box does not know", "unable to",
           "If the gateway has a new authority on purpose, put its certificate into CLOUD_CA_FILE"),
    served("other-name", "the gateway's certificate is for another name", "…mismatch",
           "Have the gateway's certificate made anew with the name by which this box calls it"),
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
    Fault("rebooted", "the box was rebooted, and its services did not come back, since the podman user does not linger",
          "loginctl disable-linger tc", "lingering", "tc does not linger", "loginctl enable-linger tc", reboot=True),
    # services
    Fault("unhealthy", "a service that runs is unhealthy", deployed("unhealthy", """    healthcheck:
      test: ["CMD-SHELL", "[ ! -e /data/bad ]"]
      interval: 1s
      retries: 1"""), "services", "web: unhealthy since …", "secboxctl rollback", since=False),
    Fault("looping", "a service ends again and again", deployed("looping", """    command: ["/bin/sh", "-c",
      "trap 'exit 0' TERM; while [ ! -e /data/bad ]; do sleep 0.2; done; echo no camera; sleep 1; exit 7"]"""), "services",
          "web: restarting since …, exit code 7", "secboxctl rollback", since=False),
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
    Fault("cgroup-manager", "containers.conf chooses control groups that a user who is not root cannot limit",
          "mkdir -p /etc/containers/containers.conf.d && "
          "printf '[engine]\\n  cgroup_manager = \"cgroupfs\"\\n' >/etc/containers/containers.conf.d/site.conf", "cgroup-manager",
          "podman uses cgroupfs, not systemd, as it is written in /etc/containers/containers.conf.d/site.conf",
          "sed -i '/^[[:space:]]*cgroup_manager[[:space:]]*=[[:space:]]*.cgroupfs/s/^/#/' "
          "/etc/containers/containers.conf.d/site.conf"),
    Fault("cgroup-manager-of-user", "the podman user's own containers.conf chooses them", f"{AS_TC} sh -c 'cd /home/tc && "
          "mkdir -p .config/containers && printf \"[engine]\\ncgroup_manager = \\\"cgroupfs\\\"\\n\" "
          ">.config/containers/containers.conf'", "cgroup-manager",
          "podman uses cgroupfs, not systemd, as it is written in /home/tc/.config/containers/containers.conf",
          "runuser -u tc -- sed -i '/^[[:space:]]*cgroup_manager[[:space:]]*=[[:space:]]*.cgroupfs/s/^/#/' "
          "/home/tc/.config/containers/containers.conf"),
    Fault("volumes-flags", "the mount of the volumes' folder got its flags when a rootless podman had seen it already",
          f"umount {VOLUMES} && mount --rbind {VOLUMES} {VOLUMES} && mount -o remount,bind,nosuid,nodev {VOLUMES} && "
          + recreate("web"), "volumes", f"a container sees its folder in {VOLUMES} without nosuid,nodev: … at /data",
          f"systemctl restart var-lib-tucomunidad-volumes.mount && {AS_USER} podman restart …"),
    Fault("volumes-not-mounted", "the volumes' folder is not mounted over itself", f"umount {VOLUMES} && {recreate('web')}",
          "volumes", f"{VOLUMES} is not mounted nosuid,nodev: … at /data",
          f"systemctl restart var-lib-tucomunidad-volumes.mount && {AS_USER} podman restart …"),
    Fault("tun-mode", "only root may open /dev/net/tun", "chmod 0600 /dev/net/tun", "rootless-network",
          "/dev/net/tun is not there for everybody", "chmod 0666 /dev/net/tun"),
    Fault("podman-locked", "a process holds podman's lock, so podman hangs",
          "systemd-run -q --unit holder --uid tc python3 -c 'import fcntl, time; "
          "f = open(\"/home/tc/.local/share/containers/storage/storage.lock\", \"r+\"); fcntl.lockf(f, fcntl.LOCK_EX); "
          "time.sleep(9999)'", "podman", "podman does not answer: process … (python3) holds /home/tc/.local/share/containers/",
          "test … = … && kill …"),
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

GATEWAY_ENV = "/etc/secbox-gateway.env"
GATEWAY_CERT = "/etc/secbox-gateway/cloud.crt"
GATEWAY_KEY = "/etc/secbox-gateway/cloud.key"
OPTIONS = "SECBOX_GATEWAY_OPTIONS"
DATABASE = "SECBOX_GATEWAY_DATABASE"
USUAL_DATABASE = f"{DATABASE}='host=/run/postgresql dbname=secbox'"
PSQL = "runuser -u postgres -- psql -q"


def gateway(name, broken, plant, check, says, remedy="", since=True):
    return Fault(name, broken, plant, check, says, remedy, since, by="gateway")


# what stands in files of the gateway is put back by the test
GATEWAY = [
    gateway("stopped", "secbox-gateway was stopped", "systemctl stop secbox-gateway", "serving", "nobody listens on",
            "systemctl start secbox-gateway", since=False),
    gateway("port-taken", "another program listens on the gateway's port", "systemctl stop secbox-gateway; listen", "serving",
            "where the gateway is to listen, is taken by process", "… && systemctl restart secbox-gateway"),
    gateway("env-missing", "the gateway's env file was deleted", f"rm {GATEWAY_ENV}", "env-file", f"{GATEWAY_ENV} does not exist",
            f'echo "{USUAL_DATABASE}" >{GATEWAY_ENV} && chmod 0640 {GATEWAY_ENV} && systemctl restart secbox-gateway', since=False),
    gateway("env-database", f"{DATABASE} is gone from the gateway's env file", f"sed -i /^{DATABASE}=/d {GATEWAY_ENV}", "env-file",
            f"{DATABASE} is missing",
            f"sed -i '$a\\' {GATEWAY_ENV} && echo \"{USUAL_DATABASE}\" >>{GATEWAY_ENV} && systemctl restart secbox-gateway"),
    gateway("env-mode", "others may read the gateway's env file, in which a password stands",
            f"sed -i 's/dbname=secbox/dbname=secbox password=given/' {GATEWAY_ENV} && chmod 0644 {GATEWAY_ENV}", "env-file",
            "its mode is 0644", f"chmod o= {GATEWAY_ENV}"),
    gateway("key-mode", "others may read the gateway's private key", f"chmod 0644 {GATEWAY_KEY}", "key", "its mode is 0644",
            f"chmod o= {GATEWAY_KEY}"),
    gateway("key-owner", "the gateway's user may not read its private key", f"chown nobody {GATEWAY_KEY}", "key",
            f"may not read {GATEWAY_KEY}",
            f"chgrp … {GATEWAY_KEY} && chmod g+r {GATEWAY_KEY} && systemctl reload secbox-gateway"),
    gateway("chain", "the certificate's file lacks that of its intermediate authority", f"sed -i '/END/q' {GATEWAY_CERT}", "chain",
            f"{GATEWAY_CERT} lacks the certificate of",
            f"cat /etc/secbox-gateway/intermediate.crt >>{GATEWAY_CERT} && systemctl reload secbox-gateway"),
    gateway("issuer-scheme", "--issuer says http, and the gateway does TLS itself",
            f"sed -i 's|issuer https|issuer http|' {GATEWAY_ENV}", "issuer", "says plain HTTP",
            f"sed -i 's|--issuer\\([ =]\\)http://|--issuer\\1https://|' {GATEWAY_ENV} && systemctl restart secbox-gateway"),
    gateway("database-stopped", "PostgreSQL was stopped", "systemctl stop postgresql", "database", "the database does not answer",
            "systemctl restart postgresql", since=False),
    gateway("signer-stopped", "the process that signs certificates was stopped", "systemctl stop secbox-gateway-signer.socket",
            "signer", "nobody signs certificates of support staff", "systemctl restart secbox-gateway-signer.socket", since=False),
    gateway("database-password", "PostgreSQL refuses the gateway's password",
            f"sed -i \"s/^{DATABASE}=.*/{DATABASE}='host=\\/run\\/postgresql dbname=secbox user=locked password=given'/\" "
            f"{GATEWAY_ENV}", "database", 'password authentication failed for user "locked"',
            f"{PSQL} -c '\\password locked'", since=False),
    gateway("database-user", "PostgreSQL does not know the gateway's user",
            f"sed -i \"s/^{DATABASE}=.*/{DATABASE}='host=\\/run\\/postgresql dbname=secbox user=stranger'/\" {GATEWAY_ENV}",
            "database", 'role "stranger" does not exist', "runuser -u postgres -- createuser stranger", since=False),
    gateway("database-missing", "the gateway's database does not exist",
            f"sed -i \"s/^{DATABASE}=.*/{DATABASE}='host=\\/run\\/postgresql dbname=other'/\" {GATEWAY_ENV}", "database",
            'database "other" does not exist', "runuser -u postgres -- createdb --owner=gate other", since=False),
    gateway("database-read-only", "the gateway's database was made read-only",
            f"{PSQL} -c 'ALTER DATABASE secbox SET default_transaction_read_only = on'", "database-writes",
            "the database is read-only",
            "runuser -u postgres -- env PGOPTIONS=-cdefault_transaction_read_only=off psql -q "
            "-c 'ALTER DATABASE \"secbox\" RESET default_transaction_read_only' "
            "-c 'ALTER ROLE \"gate\" RESET default_transaction_read_only' && systemctl restart secbox-gateway", since=False),
]

# which no one command mends: it says what a person has to do
GATEWAY_NAMED = [
    gateway("options", f"{OPTIONS} has a word that is no option", f"sed -i 's|--issuer|--isuer|' {GATEWAY_ENV}", "options",
            "--isuer is no option of serve"),
    gateway("key-folder", "the gateway's user may not enter the folder of its certificate",
            "chown nobody /etc/secbox-gateway && chmod 0700 /etc/secbox-gateway", "certificate",
            "may not enter /etc/secbox-gateway"),
    gateway("issuer-missing", "there is a proxy in front and no --issuer",
            f"sed -i 's|--issuer https://[^ ]*|--forwarded-for=127.0.0.1|' {GATEWAY_ENV}", "issuer",
            "there is a proxy in front, and no --issuer"),
    gateway("issuer-name", "--issuer names a host that does not exist",
            f"sed -i 's|--issuer https://[^ ]*|--issuer https://cloud.invalid|' {GATEWAY_ENV}", "issuer", "cloud.invalid",
            since=False),
    gateway("certificate-expired", "the certificate has expired", f"install expired.crt {GATEWAY_CERT}", "certificate",
            "has expired"),
    gateway("certificate-early", "the certificate is not valid yet", f"install early.crt {GATEWAY_CERT}", "certificate",
            "is not valid before", since=False),
    gateway("certificate-name", "the certificate is for another name", f"install other.crt {GATEWAY_CERT}", "certificate",
            "is for DNS:cloud.example, not for 127.0.0.1"),
    gateway("certificate-garbage", "the certificate's file holds none", f"echo nonsense >{GATEWAY_CERT}", "certificate",
            "does not hold a certificate in PEM"),
    gateway("key-other", "the private key is that of another certificate", f"install -m 600 other.key {GATEWAY_KEY}", "key",
            "is not that of the certificate"),
    gateway("schema-newer", "a newer secbox-gateway has changed the database",
            "runuser -u postgres -- psql -q secbox -c 'INSERT INTO schema_version(version) VALUES (9999)'", "schema",
            "the database has schema 9999"),
    gateway("database-full", "the database's disk is full",
            f"{PSQL} -c \"ALTER ROLE gate SET temp_tablespaces = 'small'\"", "database-writes",
            "No space left on device", since=False),
]

CLOCK = Fault("clock", "the box's clock is years behind, so the gateway's certificate seems not to be valid yet",
              "date -u -s '2020-01-01 00:00:00' && systemctl restart recovery-agent mgmt-link", "clock",
              "the clock says 2020-…, the gateway's says 2", "date -u -s '2…'", since=False)

# Lets the box out once somebody has been on its page
PORTAL_PROGRAM = """
import socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", 8099))
while True:
    peer, _ = listener.accept()
    asked = peer.recv(4096)
    if asked.startswith(b"GET /login "):
        subprocess.run(["iptables", "-t", "nat", "-D", *sys.argv[1:]], check=True)
        peer.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nwelcome")
    elif asked.startswith(b"GET "):
        peer.sendall(b"HTTP/1.0 302 Found\\r\\nLocation: http://127.0.0.1:8099/login\\r\\n\\r\\n")
    else:
        peer.sendall(b"HTTP/1.0 400 Bad Request\\r\\n\\r\\n")
    peer.close()
"""
PORTAL = Fault("portal", "the network lets nobody out who has not logged in on a page", f"""cat >/srv/portal.py <<'END'
{PORTAL_PROGRAM}
END
at=$(sed -n 's|^MGMT_GATEWAY_URL=wss://\\(.*\\)/mgmt$|\\1|p' {ENV})
set -- OUTPUT -p tcp -d "${{at%:*}}" --dport "${{at##*:}}" -j REDIRECT --to-ports 8099
systemd-run -q --unit portal python3 /srv/portal.py "$@"
until ss -ltn | grep -q 127.0.0.1:8099; do sleep 0.1; done
iptables -t nat -A "$@"
systemctl restart mgmt-link
""", "tunnel", "something answers in its place and leads to http://127.0.0.1:8099/login", "open that page in a browser",
               by="site")

# The test sets STOP_ALARM_AFTER to a second
FORGOTTEN = Fault("forgotten-stop", "a service was stopped by hand, and nobody has started it again for longer than "
                  "STOP_ALARM_AFTER", f"{AS_TC} podman stop -t 1 {container_of('web')}", "services",
                  "web: stopped by hand since …", f"{AS_USER} podman start …", since=False)

# The gateway has a name for these, which only the router's name server knows
DNS = [
    Fault("no-name-server", "resolv.conf names no server", ": >/etc/resolv.conf", "dns",
          "does not resolve: /etc/resolv.conf names no server", "echo nameserver … >>/etc/resolv.conf"),
    Fault("dead-name-server", "the name server that resolv.conf names does not answer",
          "echo nameserver 127.0.0.9 >/etc/resolv.conf", "dns", "does not resolve: nobody answers at 127.0.0.9",
          "echo \"$(sed 's/^nameserver .*/nameserver …/' /etc/resolv.conf)\" >/etc/resolv.conf"),
]

REGISTRY = "127.0.0.1:5000"
IMAGE_AWAY = Fault("image-away", "a service's container and image were removed while the image's registry is away", f"""
{AS_TC} podman push -q --tls-verify=false localhost/server:3 {REGISTRY}/server:3
{AS_TC} podman tag localhost/server:3 {REGISTRY}/server:3
cat >/srv/away.yml <<'END'
services:
  web:
    image: {REGISTRY}/server:3
    restart: always
END
secboxctl apply /srv/away.yml
systemctl stop registry
{AS_TC} podman rmi -f "$({AS_TC} podman image inspect --format '{{{{.Id}}}}' {REGISTRY}/server:3)"
""", "images", f"web has no container, its image {REGISTRY}/server:3 is not on this box, and the registry {REGISTRY} does not "
    "answer: Connection refused", "secboxctl rollback")

# A small file system for the box's state and for what apt keeps
SMALL = """
systemctl stop mgmt-agent mgmt-link recovery-agent
mkdir -p /small
mount -t tmpfs -o size=2200m,nr_inodes=3000 none /small
cp -a /var/lib/tucomunidad /small/state
mkdir -p /small/archives /var/cache/apt/archives
mount --bind /small/state /var/lib/tucomunidad
mount --bind /small/archives /var/cache/apt/archives
systemctl start mgmt-agent mgmt-link recovery-agent
"""
LARGE_AGAIN = """
systemctl stop mgmt-agent mgmt-link recovery-agent
umount -l /var/lib/tucomunidad /var/cache/apt/archives
cp -a /small/state/. /var/lib/tucomunidad/
umount -l /small
systemctl start mgmt-agent mgmt-link recovery-agent
"""
DISK = [
    Fault("disk-full", "the disk is full, by packages that apt keeps", "fallocate -l 400M /var/cache/apt/archives/big.deb",
          "space-state", "/var/lib/tucomunidad has 1.… GiB free", "apt-get clean", since=False),
    Fault("no-inodes", "the disk has no room for more files", "seq -f /var/cache/apt/archives/%g.deb "
          "$(($(df --output=iavail /small | tail -n 1) - 60)) | xargs touch",
          "space-state", "/var/lib/tucomunidad has room for …", "apt-get clean", since=False),
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


GATEWAY_PAGE = """
## At the gateway
`secbox-gateway doctor` names them:

"""


def rows(faults):
    yield "| what is broken | check | it says | what mends it |"
    yield "| --- | --- | --- | --- |"
    for f in faults:
        remedy = f.remedy.replace("|", "\\|")
        where = " (on the operator's machine)" if f.by == "operator" else ""
        mends = f"`{remedy}`{where}" if remedy else "a person, whom it tells what to do"
        if f.by == "site":
            mends = f"“{remedy} …”"
        yield f"| {f.broken} | `{f.check}` | {f.says} | {mends} |"


def page():
    box = rows([*FRESH, *SECBOXCTL, FORGOTTEN, PORTAL, CLOCK, *DISK, *DNS, IMAGE_AWAY])
    return PAGE + "\n".join(box) + "\n" + GATEWAY_PAGE + "\n".join(rows(GATEWAY + GATEWAY_NAMED)) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())

# SPDX-License-Identifier: MIT
"""A real sshd with a configuration of its own, on a port of the lab: a box's own, or one that support staff reach through
a bridge. Whoever has a certificate of `ca` for `principals`, or the key in `authorized`, gets in as root."""
import os
import subprocess

from .util import Daemon, LabError, free_port, port_answers, wait_until

SSHD = "/usr/sbin/sshd"
CONFIG = """ListenAddress {address}
Port {port}
HostKey {host_key}
PidFile none
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
LogLevel VERBOSE
AllowTcpForwarding yes
Subsystem sftp internal-sftp
"""


def missing():
    """Why there can be no sshd here, or None."""
    return None if os.access(SSHD, os.X_OK) else "sshd is not installed: installer/deps.sh test"


def make_key(path):
    """A new ed25519 key pair; returns the public half as a line."""
    p = subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", path], capture_output=True, text=True,
                       check=False)
    if p.returncode:
        raise LabError(f"ssh-keygen: {p.stderr}")
    with open(path + ".pub", encoding="utf-8") as f:
        return f.read().strip()


class Sshd:
    def __init__(self, folder, ca=None, principals=(), authorized=None, address="127.0.0.1", more="", port=None):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.folder = folder
        self.address = address
        self.port = port or free_port()
        self.host_key = make_key(os.path.join(folder, "host_key"))
        text = CONFIG.format(address=address, port=self.port, host_key=os.path.join(folder, "host_key"))
        if ca:
            text += f"TrustedUserCAKeys {self._write('ca.pub', ca)}\n"
            text += f"AuthorizedPrincipalsFile {self._write('principals', *principals)}\n"
        text += f"AuthorizedKeysFile {self._write('authorized_keys', authorized) if authorized else 'none'}\n"
        self.config = self._write("sshd_config", text + more)
        self.daemon = None

    def _write(self, name, *lines):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        os.chmod(path, 0o600)
        return path

    def start(self, prefix=()):
        """`prefix` is what sshd is started by, faketime for one."""
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        self.daemon = Daemon("sshd", [*prefix, SSHD, "-D", "-e", "-f", self.config], os.path.join(self.folder, "log"),
                             {"PATH": os.environ["PATH"]})
        wait_until(lambda: port_answers(self.port, self.address if self.address != "0.0.0.0" else "127.0.0.1"), "sshd listens",
                   self.daemon.death)
        return self

    def log(self):
        return self.daemon.log() if self.daemon else ""

    def stop(self):
        if self.daemon:
            self.daemon.stop()
            self.daemon = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

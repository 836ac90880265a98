# SPDX-License-Identifier: MIT
"""Support staff's side: a certificate authority, certificates, and the real recovery sshd of a box in a folder."""
import os
import re
import subprocess

from .sshd import make_key
from .util import ROOT, Daemon, LabError, PATIENCE_SECONDS, port_answers, read_text, wait_until

SCRIPT = os.path.join(ROOT, "installer/recovery/recovery-sshd.sh")
CONFIG = os.path.join(ROOT, "installer/recovery/sshd_config")


def keygen(*args):
    return subprocess.run(["ssh-keygen", *args], check=True, capture_output=True, text=True).stdout


class SupportCa:
    def __init__(self, folder):
        self.folder = os.path.join(folder, "support")
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        self.key = os.path.join(self.folder, "ca")
        self.public = make_key(self.key) + "\n"
        self.made = 0

    def certificate(self, principal, *options, valid="always:forever"):
        """The path of a new key that has a certificate beside it."""
        self.made += 1
        key = os.path.join(self.folder, f"key-{self.made}")
        make_key(key)
        keygen("-q", "-s", self.key, "-I", "alice/g-1/1", "-n", principal, "-V", valid, *(o for x in options for o in ("-O", x)),
               key + ".pub")
        return key


class RecoverySshd:
    """The sshd of secbox-recovery-sshd.service with its shipped settings, their paths moved below the box's folder."""

    def __init__(self, root, port, public):
        self.root, self.port = root, port
        self.log_path = os.path.join(root, "recovery-sshd.log")
        self.daemon = None
        trust = os.path.join(root, "etc/tucomunidad/trust")
        os.makedirs(trust, exist_ok=True)
        with open(os.path.join(trust, "support-ca.pub"), "w", encoding="utf-8") as f:
            f.write(public.strip() + "\n")
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)

    def path(self, inside):
        return os.path.join(self.root, inside)

    def prepare(self, what="prepare"):
        """What the unit does before each start."""
        return subprocess.run(["sh", SCRIPT, what], env={"PATH": os.environ["PATH"], "SECBOX_ROOT": self.root}, check=False,
                              capture_output=True, text=True)

    def config(self):
        text = re.sub(r"(?<=\s)/(run|etc)/tucomunidad", rf"{self.root}/\1/tucomunidad", read_text(CONFIG))
        path = self.path("sshd_config")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def start(self, prefix=()):
        """`prefix` is what it is started by, faketime for one."""
        p = self.prepare()
        if p.returncode:
            raise LabError(f"recovery-sshd prepare: exit {p.returncode}: {p.stderr}")
        argv = [*prefix, "/usr/sbin/sshd", "-D", "-e", "-f", self.config()]
        self.daemon = Daemon("sshd", argv, self.log_path, {"PATH": os.environ["PATH"]})
        wait_until(lambda: port_answers(self.port), "the recovery sshd listens", self.daemon.death)

    def stop(self):
        if self.daemon:
            self.daemon.stop()
        self.daemon = None

    def log(self):
        return read_text(self.log_path)

    def ssh(self, key, *command, options=(), user="root"):
        """ssh straight to the port, as the bridge reaches it."""
        return subprocess.run(
            ["ssh", "-F", "none", "-i", key, "-p", str(self.port), "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes",
             "-o", "IdentityAgent=none", "-o", f"UserKnownHostsFile={self.path('known_hosts')}",
             "-o", "StrictHostKeyChecking=accept-new", *options, f"{user}@127.0.0.1", *command],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

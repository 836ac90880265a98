# SPDX-License-Identifier: MIT
"""recovery-agent of a box in a folder, and its sshd."""
import os
import time

from .support import RecoverySshd
from .util import Daemon, free_port, program, read_text, wait_until

# What takes minutes on a box takes seconds here.
QUICK = {"RECOVERY_INTERVAL": 1, "RECOVERY_PROBE_TIMEOUT": 4, "RECOVERY_GRACE": 0, "RECOVERY_HEARTBEAT_STALE": 3,
         "RECOVERY_OFFLINE": 3600, "RECOVERY_CLOSE_AFTER": 2, "RECOVERY_RESTART_AFTER": 1, "RECOVERY_RECREATE_AFTER": 2}


class Recovery:
    """root is the box's (--root); agent_env what its mgmt-agent.env holds, or None when somebody else writes it."""

    def __init__(self, root, agent_env=None, **settings):
        self.root = root
        self.device = (agent_env or {}).get("DEVICE_ID")
        self.log_path = os.path.join(root, "recovery-agent.log")
        self.port = free_port()
        self.settings = {**QUICK, "RECOVERY_SSH_PORT": self.port, **settings}
        self.daemon = self.sshd = None
        self.env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        for folder in ("etc/tucomunidad", "run/tucomunidad/recovery", "run/tucomunidad/secbox", "run/tucomunidad/sessions"):
            os.makedirs(self.path(folder), exist_ok=True)
        if agent_env:
            self.write_env("mgmt-agent.env", agent_env)
        self.write_env("recovery.env", self.settings)

    def path(self, inside):
        return os.path.join(self.root, inside)

    def write_env(self, name, values):
        path = self.path(f"etc/tucomunidad/{name}")
        with open(path, "w", encoding="utf-8") as f:
            f.write("".join(f"{k}={v}\n" for k, v in values.items()))
        os.chmod(path, 0o600)

    def beat(self, age=0.0):
        """A heartbeat as the main container writes it, of some seconds ago."""
        fd = os.open(self.path("run/tucomunidad/secbox/heartbeat"), os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(fd, f"{int((time.clock_gettime(time.CLOCK_BOOTTIME) - age) * 1e6):020d}\n".encode(), 0)
        os.close(fd)

    def start(self, prefix=()):
        """`prefix` is what it is started by, faketime for one."""
        self.daemon = Daemon("recovery-agent", [*prefix, program("recovery-agent"), "--root", self.root], self.log_path, self.env)
        return self

    def start_sshd(self, public):
        """The real sshd with the shipped settings; `public` is the support CA's line, a gateway's or a SupportCa's."""
        self.sshd = RecoverySshd(self.root, self.port, public)
        self.sshd.start()

    def stop(self):
        if self.daemon:
            self.daemon.stop()
        self.daemon = None

    def log(self):
        return read_text(self.log_path)

    def wait_log(self, text, count=1):
        wait_until(lambda: self.log().count(text) >= count, f"recovery-agent says: {text}", self.daemon.death)

    def state(self, name="state.json"):
        return self.path(f"var/lib/tucomunidad/recovery/{name}")

    def close(self):
        self.stop()
        if self.sshd:
            self.sshd.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

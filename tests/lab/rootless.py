# SPDX-License-Identifier: MIT
"""A podman of an unprivileged user, as on a normal box. The user lives in this run's mount namespace only: the machine's
own list of users, its device files and /run/user stay as they are."""
import contextlib
import ctypes
import os
import signal
import stat
import subprocess

from . import isolate
from .podman_lab import PodmanLab
from .util import LabError

USER = "labtc"
UID = 20123
SUBORDINATE = f"{USER}:300000:65536\n"
# files and what is added to them
ACCOUNTS = {"/etc/passwd": f"{USER}:x:{UID}:{UID}::%s:/bin/sh\n", "/etc/group": f"{USER}:x:{UID}:\n",
            "/etc/subuid": SUBORDINATE, "/etc/subgid": SUBORDINATE}
NEEDED = ["newuidmap", "newgidmap", "slirp4netns", "setpriv"]
DEVICES = ["/dev/net/tun", "/dev/fuse"]
MNT_DETACH = 2


def missing():
    """Why there can be no such podman here, or None."""
    if not isolate.is_isolated():
        return "the user is made in a private mount namespace, which only root can have: run tests/run.py as root"
    if os.access("/dev/net/tun", os.F_OK) is False:
        return "there is no /dev/net/tun, which slirp4netns needs"
    absent = [name for name in NEEDED if subprocess.run(["which", name], stdout=subprocess.DEVNULL, check=False).returncode]
    return f"not installed: {', '.join(absent)}; do: installer/deps.sh test" if absent else None


def _mount(*args):
    p = subprocess.run(["mount", *args], capture_output=True, text=True, check=False)
    if p.returncode:
        raise LabError(f"mount {' '.join(args)}: {p.stderr.strip()}")


class RootlessLab(PodmanLab):
    """PodmanLab of the user; its configuration is where the user's own would be, so the agent has to come by itself."""

    user, uid = USER, UID

    def __init__(self):
        self._mounted = []
        self.runtime_dir = f"/run/user/{UID}"
        try:
            super().__init__()
        except BaseException:
            self._unmount()
            raise

    def _settings(self):
        self.home = self._folder("home")
        os.chown(self.home, UID, UID)
        os.chmod(self.home, 0o700)
        for path, line in ACCOUNTS.items():
            self._replace_file(path, line.replace("%s", self.home))
        self._open_devices()
        self._mount_over("/run/user", "-t", "tmpfs", "-o", "mode=755", "none")
        os.mkdir(self.runtime_dir, 0o700)
        os.chown(self.runtime_dir, UID, UID)
        self._write_as_user("containers.conf", self._containers_conf())
        self._write_as_user("storage.conf", '[storage]\ndriver = "overlay"\n')
        # the agent's own TMPDIR is of no use to another user
        return {"TMPDIR": "/tmp"}

    def _mount_over(self, point, *args):
        _mount(*args, point)
        self._mounted.append(point)

    def _replace_file(self, path, more):
        copy = os.path.join(self._folder("etc"), os.path.basename(path))
        text = ""
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as f:
            text = f.read()
        with open(copy, "w", encoding="utf-8") as f:
            f.write(text.rstrip("\n") + "\n" + more if text else more)
        os.chmod(copy, 0o644)
        self._mount_over(path, "--bind", copy)

    def _open_devices(self):
        """Device files that everyone may open, as udev makes them on a real box."""
        folder = self._folder("dev")
        self._mount_over(folder, "-t", "tmpfs", "-o", "mode=755,dev", "none")
        for device in DEVICES:
            if not os.path.exists(device) or stat.S_IMODE(os.stat(device).st_mode) & 0o006 == 0o006:
                continue
            copy = os.path.join(folder, os.path.basename(device))
            os.mknod(copy, stat.S_IFCHR | 0o666, os.stat(device).st_rdev)
            os.chmod(copy, 0o666)
            self._mount_over(device, "--bind", copy)

    def _write_as_user(self, name, text):
        path = self.home
        for part in (".config", "containers"):
            path = os.path.join(path, part)
            if not os.path.isdir(path):
                os.mkdir(path, 0o700)
                os.chown(path, UID, UID)
        path = os.path.join(path, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chown(path, UID, UID)
        return path

    def _engine_conf(self):
        return ""

    def _network_conf(self):
        return ""

    def _write(self, name, text):
        return self._write_as_user(name, text)

    def _command(self, *argv):
        return ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--init-groups", "env", "-C", self.home, f"HOME={self.home}",
                f"USER={USER}", f"XDG_RUNTIME_DIR={self.runtime_dir}", *argv]

    def _own_processes(self):
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{entry}").st_uid == UID:
                    yield int(entry)

    def close(self):
        if self._closed:
            return
        super().close()
        for pid in list(self._own_processes()):  # those that started while the others were ended
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self._unmount()

    def _unmount(self):
        libc = ctypes.CDLL(None)
        while self._mounted:
            libc.umount2(self._mounted.pop().encode(), MNT_DETACH)

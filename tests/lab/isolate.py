# SPDX-License-Identifier: MIT
"""Runs a command in namespaces of its own, so that tests cannot harm the machine.

As root: private network (only loopback), processes, mounts and temporary folder; an empty /run, where podman's network
and runtime keep their state, and where systemd and D-Bus would be found, so that podman behaves alike on every machine.
When the command ends, or this process is killed, everything that it started dies with it. As another user the command
runs as it is (rootless podman has namespaces of its own), with the temporary folder only.

    python3 -m tests.lab.isolate COMMAND [ARGUMENT…]
"""
import contextlib
import ctypes
import fcntl
import glob
import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile

PREFIX = "secbox-run-"
# what is empty inside, with its mode; podman keeps some state in the last two wherever its store is
MASKED = {"/dev/shm": "1777", "/run": "755", "/var/lib/containers": "700"}
RUN_FOLDERS = {"/run/lock": 0o1777, "/run/user": 0o755}
# what bash, which sshd starts for root, reads of the developer's own; what it starts there may wait for a lock, or print
SHELL_FILES = (".bashrc", ".bash_profile", ".bash_login", ".profile")
# where the temporary folder is seen inside: what a box mounts may not lie below a folder like /tmp that all may write to
PLACE = "/srv"
PR_SET_PDEATHSIG = 1
GONE_SECONDS = 60  # only for a process that the kernel itself holds


def is_isolated():
    return os.environ.get("SECBOX_ISOLATED") == "1"


def die_with_parent():
    """For preexec_fn: the child ends with the thread that started it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def container_ids(folder):
    """Ids of the containers in podman stores below a folder. Of a run that was killed the machines' file systems may be there, with
    links that lead round in circles."""
    ids = set()
    for path, folders, _ in os.walk(folder):
        if os.path.basename(path) == "overlay-containers":
            with contextlib.suppress(OSError, ValueError), open(os.path.join(path, "containers.json"), encoding="utf-8") as f:
                ids.update(c["id"] for c in json.load(f))
        folders[:] = [name for name in folders if name not in ("overlay", "rootfs", "upper", "proc", "sys")]
    return ids


def remove_cgroups(ids):
    """The empty cgroups that containers leave when they are killed with their whole namespace."""
    for path in glob.glob("/sys/fs/cgroup/**/libpod_parent/libpod-*", recursive=True):
        if os.path.basename(path).removeprefix("libpod-").removeprefix("conmon-") in ids:
            for folder, _, _ in os.walk(path, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)


def unmount_below(folder):
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        points = [line.split()[4] for line in f]
    for point in sorted((p for p in points if p.startswith(folder + "/")), reverse=True):
        subprocess.run(["umount", "-l", point], check=False, stderr=subprocess.DEVNULL)


def remove_folder(folder):
    remove_cgroups(container_ids(folder))
    unmount_below(folder)
    shutil.rmtree(folder, ignore_errors=True)


class RunFolder:
    """A temporary folder whose owner is known by a lock: what a killed run left behind is removed by the next one."""

    def __init__(self):
        self._remove_stale()
        while not self._make():
            pass

    def _make(self):
        """Whether we own it: until it is locked another run may take it for a stale one."""
        self.path = tempfile.mkdtemp(prefix=PREFIX)
        try:
            os.chmod(self.path, 0o755)  # PostgreSQL's user has to get through
            self._lock = open(os.path.join(self.path, "lock"), "w", encoding="utf-8")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (FileNotFoundError, BlockingIOError):
            return False
        return os.path.exists(self.path)

    @staticmethod
    def _remove_stale():
        for path in glob.glob(os.path.join(tempfile.gettempdir(), PREFIX + "*")):
            # another run may remove it, or its own, at the same moment
            with contextlib.suppress(OSError):
                if os.lstat(path).st_uid != os.geteuid():
                    continue
                with open(os.path.join(path, "lock"), "r+", encoding="utf-8") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove_folder(path)

    def close(self):
        remove_folder(self.path)
        self._lock.close()


def _inside(command):
    """Process 1 of the namespace: runs the command and reaps what others leave to it."""
    for path, mode in MASKED.items():
        if os.path.isdir(path):
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode={mode}", "none", path], check=True)
    for path, mode in RUN_FOLDERS.items():
        os.mkdir(path)
        os.chmod(path, mode)
    for path in (os.path.join(pwd.getpwuid(0).pw_dir, name) for name in SHELL_FILES):
        if os.path.isfile(path):
            subprocess.run(["mount", "--bind", os.devnull, path], check=True)
    subprocess.run(["mount", "--bind", os.environ["SECBOX_RUN_FOLDER"], PLACE], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    child = os.fork()
    if child == 0:
        try:
            os.execvp(command[0], command)
        except OSError as e:
            print(f"{command[0]}: {e}", file=sys.stderr)
            os._exit(127)
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def _kill(process):
    """Kills unshare, and waits for the last process of its namespace: process 1 of it ends behind all others."""
    with contextlib.suppress(OSError), open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as f:
        firsts = [os.pidfd_open(int(pid)) for pid in f.read().split()]
        process.kill()
        for first in firsts:
            select.select([first], [], [], GONE_SECONDS)
            os.close(first)
    process.kill()
    process.wait()


def run(command, env=None, own_session=False):
    """Runs the command, isolated as far as this user may; returns its exit code.

    With own_session a Ctrl-C reaches only this process, which ends the command.
    """
    if is_isolated():
        return subprocess.run(command, env=env, check=False).returncode
    folder = RunFolder()
    env = dict(env or os.environ, TMPDIR=folder.path)
    if os.geteuid() == 0:
        env.update(SECBOX_ISOLATED="1", SECBOX_RUN_FOLDER=folder.path, TMPDIR=PLACE)
        command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable,
                   os.path.abspath(__file__), "--inside", *command]
    try:
        process = subprocess.Popen(command, env=env, preexec_fn=die_with_parent, start_new_session=own_session)
        try:
            code = process.wait()
        except BaseException:
            _kill(process)
            raise
        return code if code >= 0 else 128 - code
    finally:
        folder.close()


def _stop(*_):
    sys.exit(143)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        code = _inside(sys.argv[2:])
        sys.exit(code if code >= 0 else 128 - code)
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(run(sys.argv[1:]))

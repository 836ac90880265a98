# SPDX-License-Identifier: MIT
"""Small things that every part of the laboratory needs."""
import contextlib
import os
import shlex
import signal
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Only a hang ends a wait, never a busy machine: a test that fails by this has already failed.
PATIENCE_SECONDS = 180


class LabError(Exception):
    """The laboratory itself does not work here."""


def bin_dir():
    return os.environ.get("SECBOX_BIN") or os.path.join(ROOT, "build", "bin")


def make_words(*words):
    """A make that leaves the programs under test as they were built, sanitizers included."""
    build = os.path.relpath(os.path.dirname(bin_dir()), ROOT)
    return ["make", "-s", f"BUILD={build}", *shlex.split(os.environ.get("SECBOX_MAKE_WORDS", "")), *words]


def box_of(user, root):
    """A folder that is a box's `--root` and says whose its containers are; for programs that run without a whole box."""
    path = os.path.join(root, "etc/tucomunidad/mgmt-agent.env")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
        f.write(f"PODMAN_USER={user}\n")
    return root


def program(name):
    return os.path.join(bin_dir(), name)


def free_port():
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(fact, what, alive=None):
    """Polls until fact() is truthy and returns it. alive() says why waiting is pointless, or None."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        value = fact()
        if value:
            return value
        trouble = alive() if alive else None
        if trouble:
            raise LabError(f"waiting for {what}: {trouble}")
        if time.monotonic() > deadline:
            raise LabError(f"{what}: did not happen within {PATIENCE_SECONDS} s")
        time.sleep(0.05)


def port_answers(port, host="127.0.0.1"):
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def connect_unix(path, alive=None):
    """A connection to the socket at this path. A program that was just started binds its path before it listens there, so one that
    is not there yet, or refuses, is asked again."""
    s = socket.socket(socket.AF_UNIX)

    def connected():
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            s.connect(path)  # it waits for its place only where nothing is said of time
            return True
        return False

    try:
        wait_until(connected, f"somebody listens at {path}", alive)
    except BaseException:
        s.close()
        raise
    return s


def listens(path):
    """Whether somebody listens at this path: where there is a socket, there may be nobody behind it yet."""
    with contextlib.suppress(FileNotFoundError, ConnectionRefusedError), socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        return True
    return False


def read_text(path):
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as f:
        return f.read()
    return ""


def cpu_seconds(pid):
    fields = read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Daemon:
    """One process that we started, its output in a file; ended by its pid."""

    def __init__(self, name, argv, log_path, env, cwd=None, stdin=subprocess.DEVNULL):
        self.name = name
        self.log_path = log_path
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen(argv, env=env, cwd=cwd, stdin=stdin, stdout=log, stderr=log,
                                            start_new_session=True)

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return read_text(self.log_path)

    def death(self):
        """A sentence when the process has ended, else None."""
        code = self.process.poll()
        if code is None:
            return None
        return f"{self.name} ended with {code}:\n{self.log()[-4000:]}"

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def kill(self):
        return self.stop(signal.SIGKILL)

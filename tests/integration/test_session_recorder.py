# SPDX-License-Identifier: MIT
"""A certificate's force-command has the session recorded: a real sshd, a real ssh, shells, commands and sftp."""
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios

import pytest

from tests.lab import isolate
from tests.lab.sshd import Sshd, missing
from tests.lab.support import SupportCa
from tests.lab.util import PATIENCE_SECONDS, program, wait_until

BOX = "caseta5"

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not isolate.is_isolated() or missing() is not None,
                                reason="needs root in namespaces, and openssh-server")


class Recorded:
    def __init__(self, folder):
        self.folder = folder
        self.kept = os.path.join(folder, "recordings")
        self.key = os.path.join(folder, "auditor.key")
        subprocess.run([program("secbox-fleet"), "auditor-key", self.key], check=True, capture_output=True)
        with open(self.key + ".pub", encoding="ascii") as f:
            self.public = f.read().strip()
        self.ca = SupportCa(folder)
        self.sshd = Sshd(os.path.join(folder, "sshd"), self.ca.public.strip(), [BOX])

    def certificate(self, *more):
        command = " ".join([program("session-recorder"), "--folder", self.kept, "--grant", "g-1", "--serial", "7",
                            "--key", self.public, *more])
        return self.ca.certificate(BOX, f"force-command={command}")

    def argv(self, key, *command, options=()):
        return ["ssh", "-F", "none", "-i", key, "-p", str(self.sshd.port), "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes",
                "-o", "IdentityAgent=none", "-o", f"UserKnownHostsFile={self.folder}/known_hosts",
                "-o", "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR", *options, "root@127.0.0.1", *command]

    def ssh(self, key, *command, options=(), data=b""):
        return subprocess.run(self.argv(key, *command, options=options), input=data, capture_output=True, check=False,
                              timeout=PATIENCE_SECONDS)

    def files(self):
        return [os.path.join(self.kept, name) for name in sorted(os.listdir(self.kept))] if os.path.isdir(self.kept) else []

    def open(self, path):
        return subprocess.run([program("secbox-fleet"), "session-recording", path, "--key", self.key], capture_output=True,
                              check=False)

    def take(self):
        """The one recording that there is: its head, its events, and whether it is whole."""
        path, = wait_until(self.files, "there is a recording")
        wait_until(lambda: subprocess.run(["flock", "-n", path, "true"], check=False).returncode == 0, "it is written")
        p = self.open(path)
        assert p.returncode in (0, 1), p.stderr
        with open(path, "rb") as f:
            self.raw = f.read()
        os.unlink(path)
        head, *events = [json.loads(line) for line in p.stdout.decode().splitlines()]
        return head, events, p


def shown(events):
    return "".join(text for _, kind, text in events if kind == "o")


@pytest.fixture(name="box")
def box_of(folder):
    box = Recorded(folder)
    with box.sshd:
        yield box


def test_a_command_is_recorded_and_is_what_it_was(box):
    key = box.certificate()
    p = box.ssh(key, "cat; echo höre >&2; exit 3", data=bytes(range(256)) * 1000)
    assert p.returncode == 3 and p.stdout == bytes(range(256)) * 1000, "8-bit clean, its status its own"
    told, rest = p.stderr.decode().split("\n", 1)
    assert "this session is recorded for the fleet's auditors (g-1)" in told and rest == "höre\n"
    head, events, opened = box.take()
    assert opened.returncode == 0
    assert head["version"] == 2 and head["command"] == "cat; echo höre >&2; exit 3" and head["title"] == "g-1/7"
    assert "höre\n" in shown(events) and " !\"#$%&'()*+" in shown(events)
    assert events[-1][1:] == ["m", "exit status 3"]
    assert [at for at, _, _ in events] == sorted(at for at, _, _ in events)
    assert b"exit" not in box.raw and "höre".encode() not in box.raw
    p = box.ssh(key, "kill -TERM $$")
    assert p.returncode == 255 or p.returncode == 143, "as without a recorder: sshd tells a signal"
    assert box.take()[1][-1][1:] == ["m", "ended by signal 15"]


def test_no_byte_is_lost_at_speed(box):
    size = 20 << 20
    p = box.ssh(box.certificate(), f"head -c {size} /dev/zero | tr '\\0' x")
    assert p.returncode == 0 and len(p.stdout) == size and p.stdout.count(b"x") == size
    assert len(shown(box.take()[1])) == size


class Person:
    """At a terminal of 100 columns."""

    def __init__(self, argv):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execvp(argv[0], argv)
        self.resize(100, 30)
        self.seen = ""

    def resize(self, columns, rows):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.fd, text.encode())

    def read(self):
        assert select.select([self.fd], [], [], PATIENCE_SECONDS)[0], self.seen
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.seen += data.decode(errors="replace")
        return data

    def until(self, pattern):
        while not re.search(pattern, self.seen):
            assert self.read(), self.seen

    def end(self):
        while self.read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_a_shell_on_a_terminal(box):
    person = Person(box.argv(box.certificate(), options=["-t"]))
    person.until("recorded for the fleet's auditors")
    person.type("stty -echo; PS1=; echo ready-$((1+1)) $(stty size) $-\n")
    person.until(r"ready-2 30 100 \S*i\S*")
    person.type("read -p go$((1+1)) secret\n")
    person.until("go2")
    person.type("hunter2\n")  # as a password is typed: nobody shows it
    person.type("echo; echo length ${#secret}\n")
    person.until("length 7")
    person.resize(120, 40)
    person.type("while [ \"$(stty size)\" != '40 120' ]; do sleep 0.1; done; echo wider\n")
    person.until("wider\r")
    person.type("sh -c 'echo sleeping$((1+1)); exec sleep 1000'\n")
    person.until("sleeping2")
    person.type("\x03")
    person.type("echo interrupted $?; exit 5\n")
    person.until("interrupted 130")
    assert person.end() == 5
    head, events, opened = box.take()
    assert opened.returncode == 0 and head["width"] in (80, 100) and head["env"] == {"TERM": "xterm"} and "command" not in head
    assert "ready-2" in shown(events) and "hunter2" not in shown(events)
    assert ["r", "120x40"] in [e[1:] for e in events]
    assert events[-1][1:] == ["m", "exit status 5"]


def test_a_line_that_breaks(box):
    person = Person(box.argv(box.certificate(), options=["-t"]))
    person.until("recorded")
    person.type("echo here-$((1+1)); exec cat\n")
    person.until("here-2")
    os.kill(person.pid, 9)
    person.end()
    _, events, _ = box.take()
    assert "here-2" in shown(events) and events[-1][1:] == ["m", "cut off"]


def test_a_recorder_that_is_killed_leaves_what_it_had(box):
    with subprocess.Popen(box.argv(box.certificate(), "echo ea''rly; sleep 1000"), stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL) as p:
        assert p.stdout.readline() == b"early\n"
        wait_until(lambda: b"early" in box.open(box.files()[0]).stdout, "a second's part is on the disk")
        subprocess.run(["fuser", "-k", "-KILL", box.files()[0]], check=False, capture_output=True)
        p.kill()
    _, events, opened = box.take()
    assert shown(events) == "early\n" and opened.returncode == 1 and b"session.recording-cut" in opened.stderr


def test_files_go_by_with_their_names(box, folder):
    key = box.certificate()
    there = os.path.join(folder, "there file")
    batch = os.path.join(folder, "batch")
    with open(batch, "w", encoding="utf-8") as f:
        f.write(f"put {box.key}.pub '{there}'\n")
    p = subprocess.run(["sftp", "-b", batch, *box.argv(key)[1:-1], "root@127.0.0.1"], capture_output=True, text=True, check=False,
                       timeout=PATIENCE_SECONDS)
    if p.returncode:  # sftp names its port otherwise
        argv = [a if a != "-p" else "-P" for a in box.argv(key)[1:-1]]
        p = subprocess.run(["sftp", "-b", batch, *argv, "root@127.0.0.1"], capture_output=True, text=True, check=False,
                           timeout=PATIENCE_SECONDS)
    assert p.returncode == 0, p.stderr
    assert os.path.exists(there)
    head, events, _ = box.take()
    assert head["command"] == "internal-sftp" and f'open "{there}"' in shown(events) and box.public not in shown(events)


@pytest.mark.parametrize("required", [False, True])
def test_where_it_cannot_be_recorded(box, required):
    os.makedirs(box.kept, mode=0o700)
    os.chown(box.kept, 1, 1)
    p = box.ssh(box.certificate(*(["--required"] if required else [])), "echo in")
    assert "this account's alone: remove it" in p.stderr.decode()
    if required:
        assert p.returncode == 1 and p.stdout == b"" and "is refused" in p.stderr.decode() and "break-glass" in p.stderr.decode()
    else:
        assert p.returncode == 0 and p.stdout == b"in\n" and "is NOT recorded" in p.stderr.decode()


@pytest.mark.parametrize("required", [False, True])
def test_a_disk_that_fills_up_meanwhile(box, required):
    os.makedirs(box.kept, mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=700", "none", box.kept], check=True)
    try:
        p = box.ssh(box.certificate(*(["--required"] if required else [])),
                    "head -c 30000000 /dev/zero | tr '\\0' x; echo; echo end")
        text = p.stderr.decode()
        assert "is not recorded any more" in text and "the disk is too full" in text
        if required:
            assert "ends here" in text and not p.stdout.endswith(b"end\n") and p.returncode
        else:
            assert p.returncode == 0 and len(p.stdout) == 30000005
        _, events, opened = box.take()
        assert opened.returncode == 1 and len(shown(events)) > 1 << 20
    finally:
        subprocess.run(["umount", box.kept], check=True)


def test_what_is_old_goes_when_the_next_comes(box):
    key = box.certificate()
    assert box.ssh(key, "true").returncode == 0
    first, = box.files()
    os.utime(first, (1, 1))
    assert box.ssh(key, "true").returncode == 0
    assert len(box.files()) == 1 and first not in box.files()

# SPDX-License-Identifier: MIT
"""`make demo` tells its whole story, ends with a sentence when something is wrong, and leaves nothing behind."""
import os
import shutil
import signal
import subprocess
import tempfile
import sys
import time

import pytest

from tests.conftest import require_programs
from tests.lab.util import ROOT, bin_dir, read_text, wait_until

DEMO = [sys.executable, "-B", os.path.join(ROOT, "tests/demo/demo.py")]
SECRETS = ("sbb_", "sbx_")  # how bootstrap and operator tokens begin


@pytest.fixture
def demo(folder):
    """Runs the demo as from a terminal: not in the namespaces of the tests, but in those that it makes itself."""
    require_programs("mgmt-agent", "mgmt-worker", "mgmt-link", "secboxctl", "secbox-gateway", "secbox-fleet", "secbox")
    if os.geteuid() != 0 or not shutil.which("podman"):
        pytest.skip("the demo needs root and podman")
    mounts = read_text("/proc/self/mountinfo").count("\n")
    os.chmod(folder, 0o755)  # PostgreSQL's user has to get through
    yield Demo(folder)
    wait_until(lambda: not os.listdir(folder), f"{folder} is empty")
    wait_until(lambda: not left_in_proc(folder), "the processes of the demo have ended")
    assert read_text("/proc/self/mountinfo").count("\n") == mounts


def left_in_proc(folder):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                if f"SECBOX_RUN_FOLDER={folder}".encode() in f.read():
                    found.append(pid)
        except OSError:
            continue
    return found


class Demo:
    def __init__(self, folder):
        self.env = {k: v for k, v in os.environ.items() if k != "SECBOX_ISOLATED"}
        self.env.update(TMPDIR=folder, SECBOX_BIN=bin_dir())

    def start(self, *args, **env):
        return subprocess.Popen([*DEMO, *args], env={**self.env, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def run(self, *args, **env):
        with self.start(*args, **env) as process:
            out, _ = process.communicate()
        assert "Traceback" not in out
        return process.returncode, out


def test_the_whole_story_then_a_shell_then_stop(demo):
    code, out = demo.run("keep")
    try:
        assert code == 0, out
        for fact in ("CLOUD_BASE_URL=${CLOUD_BASE_URL:-}", "secbox.env sanity ok (2/2 required keys present)", "HTTP 200",
                     "422 in phase secbox-env-missing-keys", "rolled-back, 500", "done (no change), 200", "“ab0i58” is VETADO",
                     "the entry has arrived, once", "make demo-stop"):
            assert fact in out
        assert not [secret for secret in SECRETS if secret in out]
        # the cloud was off a moment ago: the box comes back by itself
        wait_until(lambda: "caseta5  yes" in demo.run("shell", "secbox-fleet", "devices", "list")[1], "the box is back")
        assert demo.run("keep")[0] == 1, "one at a time"
    finally:
        code, out = demo.run("stop")
    assert (code, out) == (0, "demo: ended, and everything of it is removed\n")
    assert demo.run("shell")[0] == 1


def test_what_does_not_hold_is_a_sentence(demo):
    with tempfile.TemporaryDirectory(prefix="secbox-test-", dir="/tmp") as folder:  # seen inside the demo's namespaces, too
        programs = os.path.join(folder, "bin")
        shutil.copytree(bin_dir(), programs)
        shutil.copy("/bin/false", os.path.join(programs, "mgmt-agent"))
        code, out = demo.run("run", SECBOX_BIN=programs)
    assert code == 1
    assert "demo: waiting for mgmt-agent answers secboxctl: mgmt-agent ended with 1" in out


def test_ctrl_c_leaves_nothing(demo):
    with demo.start("run") as process:
        seen = ""
        while "secbox-fleet push" not in seen:
            line = process.stdout.readline()
            assert line, seen
            seen += line
        time.sleep(1)  # into the push; whatever it is at then
        os.killpg(process.pid, signal.SIGINT)
        out = seen + process.stdout.read()
    assert process.returncode == 128 + signal.SIGINT
    assert "demo: stopped; removing what it made" in out and "Traceback" not in out

# SPDX-License-Identifier: MIT
"""What services write, read by people: on the box, and through the gateway, while a container comes and goes."""
# pylint: disable=redefined-outer-name
import contextlib
import json
import os
import signal
import subprocess
import threading

import pytest

from tests.conftest import DEVICE, require_programs, running_box
from tests.integration.test_podman_traps import compose, service
from tests.lab.fleet import Fleet
from tests.lab.util import program, read_text, wait_until

# says a secret in two ways, a colour and a bell
TALKER = r"""entrypoint: [sh, -c]
command:
  - |
    echo "one"; echo "the word is $$DB_PASSWORD" >&2
    echo "password=in-plain-view"
    printf '\033[31mred\033[0m and \a bell\r\n'
    echo "ready"
    trap 'exit 3' TERM
    while :; do sleep 1 & wait $$!; done
environment:
  DB_PASSWORD: swordfish-and-chips
restart: "no"
stop_grace_period: 1s
"""
STACK = compose(service("talker", more=TALKER), service("web"))


@pytest.fixture(scope="module")
def talking(lab, gateway, tmp_path_factory):
    require_programs("secbox-fleet")
    with running_box(lab, str(tmp_path_factory.mktemp("box")), gateway, agent_args=["--settle=0"]) as it:
        answer = gateway.push(DEVICE, STACK)
        assert answer.status == 200, answer
        yield it


@pytest.fixture
def alice(gateway, talking, folder):
    gateway.wait_reported(DEVICE)
    return Fleet(gateway.url, gateway.token, folder)


def lines_of(process):
    """Those that have come, in a list that grows."""
    lines = []

    def take():
        for line in process.stdout:
            lines.append(line.rstrip("\n"))

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    return lines, thread


@contextlib.contextmanager
def following(process):
    lines, thread = lines_of(process)
    try:
        yield lines
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        thread.join()
        process.stdout.close()
        if process.stderr:
            process.stderr.close()


def log_workers(box):
    children = read_text(f"/proc/{box.agent.pid}/task/{box.agent.pid}/children").split()
    return [pid for pid in children if read_text(f"/proc/{pid}/cmdline").split("\0")[-2:] == ["logs", ""]]


def test_what_was_written(gateway, talking, alice):
    wait_until(lambda: "ready" in talking.lab.podman("logs", "secbox_talker_1").stdout, "it has spoken")
    near = talking.ctl("logs", "talker")
    assert near.returncode == 0, near
    said = near.stdout.splitlines()
    assert [text for text in said if text != "the word is (hidden)"] == ["one", "password=(hidden)", "red and ? bell", "ready"]
    assert said.count("the word is (hidden)") == 1, "which of the two pipes conmon reads first is chance"
    far = alice.run("logs", DEVICE, "talker", check=0)
    assert far.stdout == near.stdout and not far.stderr
    assert alice.run("logs", DEVICE, "talker", "--tail", "1", check=0).stdout.splitlines() == said[-1:]
    assert json.loads(alice.run("logs", DEVICE, "talker", "--tail", "1", "--json", check=0).stdout) == {"line": said[-1]}
    assert alice.run("logs", DEVICE, "talker", "--since", "1h", check=0).stdout.count("ready") == 1
    assert alice.run("logs", DEVICE, "talker", "--since", "2037-01-01T00:00:00Z", check=0).stdout == ""
    entry = next(e for e in gateway.request("GET", "/v1/audit").json["entries"] if e["action"] == "logs.read")
    assert entry["device"] == DEVICE and entry["detail"]["service"] == "talker" and entry["actor"] == "operator:lab"
    assert "lab reads what service talker writes" in talking.log()

    wrong = alice.run("logs", DEVICE, "tolker")
    assert wrong.returncode == 1 and 'no service "tolker"; it has talker, web' in wrong.stderr, wrong
    assert "[container.unknown]" in wrong.stderr
    wrong = talking.ctl("logs", "tolker", "--json")
    assert wrong.returncode == 1 and json.loads(wrong.stdout or wrong.stderr)["error"]["id"] == "container.unknown", wrong
    for words in (["--since", "yesterday"], ["--tail", "10001"], ["--tail", "-1"]):
        assert alice.run("logs", DEVICE, "talker", *words).returncode == 2, words
        assert talking.ctl("logs", "talker", *words).returncode == 2, words


def test_following_a_service_from_one_container_to_the_next(talking, alice):
    with following(alice.start("logs", DEVICE, "talker", "-f")) as far, \
            following(subprocess.Popen([program("secboxctl"), "--root", talking.root, "logs", "-f", "talker"],
                                       env=talking.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                       text=True)) as near:
        for lines in (far, near):
            wait_until(lambda seen=lines: "ready" in seen, "what was written is there", talking.agent.death)
        talking.lab.podman("restart", "secbox_talker_1")
        for lines in (far, near):
            wait_until(lambda seen=lines: seen.count("ready") == 2, "and what comes", talking.agent.death)
            assert lines.count("one") == 2 and lines.index("ready") < [i for i, text in enumerate(lines) if text == "one"][1]
    wait_until(lambda: not log_workers(talking), "nobody reads, so nothing runs", talking.agent.death)


def test_podman_that_dies_is_started_again(talking, alice):
    def kill_podman(before=None):
        """What was killed, None when the reader has ended first."""
        def find():
            if reader.poll() is not None:
                return "ended"
            for worker in log_workers(talking):
                for pid in read_text(f"/proc/{worker}/task/{worker}/children").split():
                    if pid != before and "--follow" in read_text(f"/proc/{pid}/cmdline").split("\0"):
                        return pid
            return None
        pid = wait_until(find, "podman logs follows", talking.agent.death)
        if pid == "ended":
            return None
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
        return pid

    reader = alice.start("logs", DEVICE, "talker", "-f")
    with following(reader) as lines:
        wait_until(lambda: "ready" in lines, "what was written is there", talking.agent.death)
        pid = kill_podman()
        talking.lab.podman("exec", "secbox_talker_1", "sh", "-c", "echo still there >/proc/1/fd/1")
        wait_until(lambda: "still there" in lines, "the same container's next line comes", talking.agent.death)
        assert not [line for line in lines if "has ended" in line], lines
        while pid:
            pid = kill_podman(pid)
        assert reader.wait() == 1 and "logs.failed" in reader.stderr.read(), lines


def test_the_end_of_a_reader_and_of_too_many(talking, alice):
    readers = [alice.start("logs", DEVICE, "web", "-f") for _ in range(4)]
    try:
        wait_until(lambda: len(log_workers(talking)) == 4, "four read", talking.agent.death)
        fifth = alice.run("logs", DEVICE, "web")
        assert fifth.returncode == 1 and "4 logs of caseta5 are being read already" in fifth.stderr, fifth
        fifth = talking.ctl("logs", "web")
        assert fifth.returncode == 1 and "logs.busy" in fifth.stderr, fifth
        readers[0].send_signal(signal.SIGINT)
        assert readers[0].wait() == 0, "leaving is no failure"
        wait_until(lambda: len(log_workers(talking)) == 3, "its worker has ended with it", talking.agent.death)
        talking.agent.stop()
        for reader in readers[1:]:
            assert reader.wait() == 1 and "mgmt-agent has stopped" in reader.stderr.read()
    finally:
        for reader in readers:
            reader.kill()
            reader.communicate()
        talking.start_agent()


def test_a_reader_that_stops_reading_holds_up_nobody(talking):
    # more than what is between can hold, the agent's queue of 4 MiB included
    loop = ("echo begin; until [ -e /tmp/go ]; do sleep 0.1; done; "
            "text=$$(printf %01000d 0); i=0; while [ $$i -lt 9000 ]; do echo $$i $$text; i=$$((i+1)); done; "
            "echo the end; touch /tmp/gone; sleep 1000")
    flood = compose(service("talker", more=f"entrypoint: [sh, -c, '{loop}']\nrestart: \"no\"\nstop_grace_period: 0s\n"))
    assert talking.apply(flood)["status"] == 200
    read_end, write_end = os.pipe()
    reader = subprocess.Popen([program("secboxctl"), "--root", talking.root, "logs", "-f", "talker"],
                              env=talking.env, stdout=write_end, stderr=subprocess.PIPE, text=True)
    os.close(write_end)
    try:
        assert os.read(read_end, 100) == b"begin\n"
        talking.lab.podman("exec", "secbox_talker_1", "touch", "/tmp/go")
        talking.lab.podman("exec", "secbox_talker_1", "sh", "-c", "until [ -e /tmp/gone ]; do sleep 0.1; done")
        assert talking.status()["agent"]["pid"] == talking.agent.pid, "the agent answers while the reader does not read"
        assert reader.poll() is None and log_workers(talking), "and waits for it"
        seen, last = 0, b""
        while b"the end" not in last:
            more = os.read(read_end, 1 << 16)
            assert more, reader.stderr.read()
            seen, last = seen + len(more), last[-100:] + more
        assert seen > 9000 * 1000, "nothing was lost"
    finally:
        reader.kill()
        reader.communicate()
        os.close(read_end)
    wait_until(lambda: not log_workers(talking), "its worker has ended with it", talking.agent.death)

# SPDX-License-Identifier: MIT
"""mgmt-agent alone: a worker that only notes what it was asked, and a link and clients that this test plays."""
import contextlib
import json
import os
import resource
import subprocess
import sys
import time

import pytest

from tests.conftest import require_programs
from tests.lab.util import PATIENCE_SECONDS, Daemon, connect_unix, cpu_seconds, program, read_text, wait_until

WORKER = """#!/bin/sh
for job; do :; done
echo "$job" >> "$SECBOX_TEST_JOBS"
cat > "$SECBOX_TEST_JOBS.input.$job"
[ "$job" = start ] && exit 0
[ -e "$SECBOX_TEST_JOBS.$job" ] && . "$SECBOX_TEST_JOBS.$job"
exit 1
"""
AGENT_ENV = """CLOUD_BASE_URL=http://127.0.0.1:9
DEVICE_ID=caseta5
BOOTSTRAP=lab-bootstrap-secret-000001
MGMT_GATEWAY_URL=ws://127.0.0.1:9/mgmt
PODMAN_USER=root
"""


class Peer:
    """One connection to the agent's socket."""

    def __init__(self, path, *first, alive=None):
        self.socket = connect_unix(path, alive)
        self.socket.settimeout(PATIENCE_SECONDS)
        self.lines = self.socket.makefile("rb")
        for message in first:
            self.send(message)

    def send(self, message):
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def next(self, kind=None):
        """The next message (of this type); None when the agent has closed the connection."""
        for line in self.lines:
            message = json.loads(line)
            if kind is None or message["type"] == kind:
                return message
        return None

    def close(self):
        self.lines.close()
        self.socket.close()


class Agent:
    def __init__(self, folder):
        self.root = os.path.join(folder, "root")
        self.state = os.path.join(self.root, "var/lib/tucomunidad/mgmt-agent")
        self.socket = os.path.join(self.root, "run/tucomunidad/mgmt-agent.sock")
        self.jobs_path = os.path.join(folder, "jobs")
        self.worker = os.path.join(folder, "worker")
        self.log_path = os.path.join(folder, "agent.log")
        self.daemon = None
        self.peers = []
        for path in ("etc/tucomunidad", "run/tucomunidad", "var/lib/tucomunidad/mgmt-agent"):
            os.makedirs(os.path.join(self.root, path))
        self.write(os.path.join(self.root, "etc/tucomunidad/mgmt-agent.env"), AGENT_ENV)
        self.write(self.worker, WORKER, 0o700)

    @staticmethod
    def write(path, text, mode=0o600):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)

    def on_job(self, job, script):
        """What the worker does when it is asked for this job."""
        self.write(f"{self.jobs_path}.{job}", script)

    def journal(self, **members):
        self.write(os.path.join(self.state, "journal.json"), json.dumps(members))

    def read_journal(self):
        return json.loads(read_text(os.path.join(self.state, "journal.json")))

    def confirming(self, left=3600, boot=None, **more):
        """A deployment that waits for its confirmation."""
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as f:
            boot = boot or f.read().strip()
        deadline = int((time.clock_gettime(time.CLOCK_BOOTTIME) + left) * 1e6)
        self.journal(state="confirming", id="d1", version="7", nonce="n1", bootId=boot, deadlineUsec=str(deadline),
                     confirmUsec=str(3600 * 10**6), steps=[], **more)

    def start(self, *options):
        before = self.log().count("is ready")  # of the start before
        self.daemon = Daemon("mgmt-agent", [program("mgmt-agent"), "--root", self.root, "--worker", self.worker, *options],
                             self.log_path, {**os.environ, "SECBOX_TEST_JOBS": self.jobs_path})
        wait_until(lambda: self.log().count("is ready") > before, "mgmt-agent is ready", self.daemon.death)
        return self

    def stop(self):
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.close()
        self.peers = []
        if self.daemon:
            self.daemon.stop()
            self.daemon = None

    def log(self):
        return read_text(self.log_path)

    def jobs(self):
        """What the worker was asked for, but for starting containers after a boot."""
        return [job for job in read_text(self.jobs_path).split() if job != "start"]

    def peer(self, *first):
        self.peers.append(Peer(self.socket, *first, alive=self.daemon.death))
        return self.peers[-1]

    def link(self, since="2026-01-02T03:04:05.000Z"):
        return self.peer({"type": "link.hello", "program": "mgmt-link", "version": "1"}, self.connected(since))

    @staticmethod
    def connected(since):
        return {"type": "link.status", "connected": True, "since": since}

    @staticmethod
    def snapshot(**more):
        return {"type": "compose.snapshot", "id": "d2", "version": "8", "deviceId": "caseta5", "compose": "services: {}\n",
                "issuedAt": "2026-01-02T03:04:05.678Z", "nonce": "n2", **more}


@pytest.fixture
def agent(folder):
    require_programs("mgmt-agent")
    it = Agent(folder)
    yield it
    it.stop()


CONFIRM = {"type": "compose.confirm", "id": "d1", "version": "7", "nonce": "n1"}


def test_the_agent_loads_no_library_that_its_worker_alone_needs():
    """It stays in memory, and libarchive with what that needs would double what it takes of it."""
    loaded = subprocess.run(["ldd", program("mgmt-agent")], check=True, capture_output=True, text=True).stdout
    assert "libsystemd" in loaded and not [name for name in ("libarchive", "libcurl", "libyaml", "libpq") if name in loaded], loaded


@pytest.mark.parametrize("state,job", [("rolling-back", "recover"), ("committing", "recover"), ("confirming", "undo")])
def test_a_job_that_gets_nowhere_is_not_repeated_at_once(agent, state, job):
    """A disk that is full: the worker cannot write that it is done, and says nothing of it with its exit status."""
    if state == "confirming":
        agent.confirming(left=-1)
    else:
        agent.journal(state=state, id="d1", version="7", steps=[])
    agent.start()
    wait_until(lambda: job in agent.jobs(), "the worker is started")
    time.sleep(3)
    assert len(agent.jobs()) <= 3, agent.jobs()


def test_a_worker_that_dies_before_its_journal_is_answered_for(agent):
    agent.start()
    link = agent.link()
    link.send(agent.snapshot())
    result = link.next("compose.result")
    assert result["id"] == "d2" and result["outcome"] == "failed" and result["status"] >= 500, result


def test_a_local_push_is_answered_for_too(agent):
    agent.start()
    peer = agent.peer(agent.snapshot(version="0", deviceId="local"))
    result = peer.next("compose.result")
    assert result["id"] == "d2" and result["outcome"] == "failed" and result["status"] >= 500, result


def test_an_agent_that_restarts_while_it_waits_asks_for_a_connection_again(agent):
    agent.confirming()
    agent.start()
    link = agent.link()
    assert link.next("link.cycle")


def test_one_new_connection_is_asked_for(agent):
    """The worker cannot write the commit down: no reason to break the tunnel each time."""
    agent.confirming()
    agent.start()
    link = agent.link()
    assert link.next("link.cycle")
    for n in range(3):
        link.send(agent.connected(f"2026-01-02T03:04:{n + 10}.000Z"))
        link.send(CONFIRM)
        wait_until(lambda n=n: agent.log().count("could not be committed") > n, "the commit is tried")
    agent.peer({"type": "history.get", "id": "h"}).next("history.report")
    link.socket.settimeout(1)
    with contextlib.suppress(TimeoutError):
        assert link.next("link.cycle") is None


def test_f18_a_confirmation_on_the_old_connection_counts_for_nothing(agent):
    agent.confirming()
    agent.start()
    link = agent.link()
    assert link.next("link.cycle")
    link.send(CONFIRM)
    wait_until(lambda: "Ignoring a confirmation" in agent.log(), "the agent refuses it")
    assert agent.jobs() == []
    link.send(agent.connected("2026-01-02T03:05:00.000Z"))
    link.send(CONFIRM)
    wait_until(lambda: agent.jobs() == ["commit"], "the one on the new connection is good")


def test_reboots_do_not_put_the_deadline_off_for_ever(agent):
    agent.confirming(boot="another-boot")
    for _ in range(3):
        agent.start()
        wait_until(lambda: agent.read_journal()["bootId"] != "another-boot", "this boot is noted")
        assert agent.jobs() == []
        agent.stop()
        agent.journal(**{**agent.read_journal(), "bootId": "another-boot"})
    agent.start()
    wait_until(lambda: agent.jobs() == ["undo"], "the change is taken back")


def test_another_boot_gets_the_whole_time_once(agent):
    agent.confirming(boot="another-boot")
    agent.start()
    wait_until(lambda: agent.read_journal()["bootId"] != "another-boot", "this boot is noted")
    agent.stop()
    first = agent.read_journal()
    agent.start()
    agent.stop()
    assert agent.read_journal() == first


CROWD = """
import socket, sys, time
found = []
for _ in range(40):
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    found.append(s)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_links_user_cannot_keep_root_out(agent):
    for path, _, _ in os.walk(agent.root):
        os.chmod(path, 0o755)
    os.chmod(os.path.dirname(agent.root), 0o755)
    os.chmod(agent.state, 0o700)
    agent.start("--link-user", "nobody")
    crowd = subprocess.Popen(["setpriv", "--reuid=nobody", "--clear-groups", sys.executable, "-c", CROWD, agent.socket],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert crowd.stdout.readline() == b"ready\n"
    assert agent.peer({"type": "history.get", "id": "h"}).next("history.report")
    crowd.communicate()


RECOVERY = """
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
answers = s.makefile("r")
for message in ({"type": "status.get", "id": "a"}, {"type": "compose.rollback", "id": "b"}, {"type": "compose.confirm", "id": "c",
                "version": "7", "nonce": "n1"}, {"type": "link.hello", "program": "x", "version": "1"},
                {"type": "container.restart", "id": "d", "service": "web"}):
    s.sendall(json.dumps(message).encode() + b"\\n")
    print(answers.readline(), end="", flush=True)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_recoverys_user_may_ask_for_a_container_and_nothing_else(agent):
    for path, _, _ in os.walk(agent.root):
        os.chmod(path, 0o755)
    os.chmod(os.path.dirname(agent.root), 0o755)
    os.chmod(agent.state, 0o700)
    agent.on_job("restart", """printf '{"type":"container.result","id":"d","ok":true}\n'; exit 0""")
    agent.start("--recovery-user", "nobody")
    p = subprocess.run(["setpriv", "--reuid=nobody", "--clear-groups", sys.executable, "-c", RECOVERY, agent.socket],
                       capture_output=True, text=True, check=True)
    *refused, taken = [json.loads(line) for line in p.stdout.splitlines()]
    assert [m["error"]["id"] for m in refused] == ["message.sender"] * 4, refused
    assert taken == {"type": "container.result", "id": "d", "ok": True}
    assert agent.jobs() == ["restart"]


def test_a_worker_that_dies_over_a_container_is_answered_for(agent):
    agent.start()
    peer = agent.peer()
    for kind in ("restart", "recreate"):
        agent.on_job(kind, "exit 3")
        peer.send({"type": f"container.{kind}", "id": kind, "service": "web"})
        answer = peer.next("container.result")
        assert (answer["id"], answer["ok"], answer["error"]["id"]) == (kind, False, "worker.failed")


def test_the_doctor_is_asked_once_at_a_time_and_beside_other_questions(agent):
    report = {"checks": [{"id": "agent", "result": "fail"}], "failed": 1}
    agent.on_job("doctor", f"""cat {agent.jobs_path}.go >/dev/null
printf '{{"type":"worker.doctor","exitCode":1,"report":%s}}\n' '{json.dumps(report)}'; exit 0""")
    agent.on_job("status", """printf '{"type":"worker.status"}\n'; exit 0""")
    os.mkfifo(f"{agent.jobs_path}.go")
    agent.start()
    link = agent.peer({"type": "link.hello", "program": "t", "version": "1"},
                      {"type": "link.status", "connected": True, "since": "s"})
    assert "doctor.ask" in link.next("agent.status")["accepts"]
    link.send({"type": "doctor.ask", "id": "first"})
    wait_until(lambda: "doctor" in agent.jobs(), "it is asked")
    link.send({"type": "doctor.ask", "id": "second"})
    refused = link.next("error")
    assert (refused["id"], refused["error"]["id"]) == ("second", "agent.busy")
    assert agent.peer({"type": "status.get", "id": "s"}).next("status.report"), "which the doctor itself asks"
    with open(f"{agent.jobs_path}.go", "w", encoding="utf-8"):
        pass
    answer = link.next("doctor.report")
    assert (answer["id"], answer["exitCode"], answer["report"]) == ("first", 1, report) and answer["at"].endswith("Z")


@pytest.mark.parametrize("script, reason", [
    ("exit 3", "worker.failed"),
    ("""printf '{"type":"worker.doctor","error":{"id":"doctor.missing","message":"m"}}\n'; exit 1""", "doctor.missing"),
])
def test_a_doctor_that_fails_is_answered_for(agent, script, reason):
    agent.on_job("doctor", script)
    agent.start()
    link = agent.peer({"type": "link.hello", "program": "t", "version": "1"})

    for name in ("first", "again", "third"):
        link.send({"type": "doctor.ask", "id": name})
        answer = link.next("error")
        assert (answer.get("id"), answer["error"]["id"]) == (name, reason), answer


def test_whoever_has_a_doctors_answer_may_ask_again(agent):
    """Also while the worker takes its time to end."""
    agent.on_job("doctor", """printf '{"type":"worker.doctor","exitCode":0,"report":{"checks":[]}}\n'; sleep 1; exit 0""")
    agent.start()
    link = agent.peer({"type": "link.hello", "program": "t", "version": "1"})
    for name in ("first", "again"):
        link.send({"type": "doctor.ask", "id": name})
        answer = next(m for m in iter(link.next, None) if m["type"] in ("doctor.report", "error"))
        assert (answer["type"], answer["id"]) == ("doctor.report", name), answer


def test_no_descriptors_left_is_no_reason_to_spin(agent):
    agent.start()
    pid = agent.daemon.pid
    assert agent.peer({"type": "history.get", "id": "first"}).next("history.report")  # what the start needed is closed
    used = {int(n) for n in os.listdir(f"/proc/{pid}/fd")}
    lowest_free = next(n for n in range(len(used) + 1) if n not in used)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    peer = agent.peer({"type": "history.get", "id": "h"})
    begin = cpu_seconds(pid)
    time.sleep(3)
    assert cpu_seconds(pid) - begin < 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert peer.next("history.report")


def test_going_back_is_not_too_late_because_the_push_was(agent):
    agent.write(os.path.join(agent.state, "current.json"), json.dumps({"version": "7", "previous": "6", "services": []}))
    os.makedirs(os.path.join(agent.state, "snapshots"))
    agent.write(os.path.join(agent.state, "snapshots/6.json"),
                json.dumps(agent.snapshot(version="6", expiresAt="2026-01-02T03:04:05.678Z")))
    agent.start()

    def go_back():
        """It is refused while the services are started after a boot."""
        assert agent.peer({"type": "compose.rollback", "id": "back"}).next("compose.result")
        return read_text(agent.jobs_path + ".input.apply")
    message = json.loads(wait_until(go_back, "the worker is asked to deploy it"))["message"]
    assert message["id"] == "back" and message["version"].startswith("local-")
    assert "expiresAt" not in message and "nonce" not in message


def test_a_way_back_that_is_refused_is_told_as_one(agent):
    agent.write(os.path.join(agent.state, "current.json"), json.dumps({"version": "7", "previous": "6", "services": []}))
    os.makedirs(os.path.join(agent.state, "snapshots"))
    agent.write(os.path.join(agent.state, "snapshots/6.json"), json.dumps(agent.snapshot(version="6")))
    agent.confirming()
    agent.start()
    answer = agent.peer({"type": "compose.rollback", "id": "back"}).next("compose.result")
    assert (answer["error"]["id"], answer["kind"]) == ("deploy.busy", "rollback") and "Refusing rollback " in agent.log()


def test_the_cloud_hears_of_what_was_changed_on_the_box(agent):
    """Each change until it is acknowledged, over reconnects and restarts, and not again."""
    agent.on_job("apply", """version=$(sed 's/.*"version":"\\(local-[0-9]*\\)".*/\\1/' "$SECBOX_TEST_JOBS.input.apply")
id=$(sed 's/.*"id":"\\(change-[0-9]*\\)".*/\\1/' "$SECBOX_TEST_JOBS.input.apply")
line='{"type":"compose.result","id":"'$id'","version":"'$version'","status":422,"phase":"policy","outcome":"failed","at":"T"}'
echo "$line" >> """ + agent.state + """/history.jsonl
echo "$line"
exit 1
""")
    agent.start()

    def change(number):
        assert agent.peer(agent.snapshot(version="0", id=f"change-{number}")).next("compose.result")["id"] == f"change-{number}"

    change(1)
    change(2)
    link = agent.link()
    assert link.next("compose.result")["id"] == "change-1", "the oldest first"
    link.close()
    link = agent.link("2026-01-02T03:05:05.000Z")
    assert link.next("compose.result")["id"] == "change-1", "not acknowledged: once more"
    link.send({"type": "compose.result.ack", "id": "change-1"})
    assert link.next("compose.result")["id"] == "change-2"
    link.send({"type": "compose.result.ack", "id": "change-2"})
    change(3)
    assert link.next("compose.result")["id"] == "change-3", "at once while connected"
    agent.stop()
    agent.start()
    link = agent.link()
    assert link.next("compose.result")["id"] == "change-3", "a restart forgets nothing"
    link.send({"type": "compose.result.ack", "id": "change-3"})
    link.send({"type": "history.get", "id": "h"})
    while (message := link.next())["type"] not in ("compose.result", "history.report"):
        pass
    assert message["type"] == "history.report", "and nothing is said again"


def test_half_written_files_are_removed_at_start(agent):
    dead = [os.path.join(agent.state, "journal.json.tmp-0123abcd"), os.path.join(agent.root, "run/tucomunidad/boot.tmp-89abcdef")]
    kept = [os.path.join(agent.state, "notes.tmp-x"), os.path.join(agent.root, "var/lib/tucomunidad/volumes/x.tmp-0123abcd")]
    os.makedirs(os.path.dirname(kept[1]))
    for path in dead + kept:
        agent.write(path, "half")
    agent.start()
    assert [p for p in dead + kept if os.path.exists(p)] == kept


def test_what_a_worker_logs_keeps_its_severity_and_fields(agent):
    """A failure of the worker is a failure in the agent's log, with its time once."""
    agent.on_job("apply", 'printf "<3>it broke\\037SERVICE=web\\n<7>only for developers\\nfree(): invalid pointer\\n" >&2; '
                           'echo "relay=$SECBOX_LOG_RELAY" >> "$SECBOX_TEST_JOBS.relay"')
    agent.start()
    link = agent.link()
    link.send(agent.snapshot())
    link.next("compose.result")
    lines = agent.log().splitlines()
    assert read_text(f"{agent.jobs_path}.relay") == "relay=1\n"
    assert any(" mgmt-agent error: it broke" in line and line.endswith("SERVICE=web") for line in lines), lines
    assert any(" mgmt-agent warning: worker: free(): invalid pointer" in line for line in lines), lines
    assert not any("only for developers" in line for line in lines), lines


def merged(values, patch):
    """RFC 7396"""
    for key, change in patch.items():
        if isinstance(change, dict):
            values[key] = merged(values[key] if isinstance(values.get(key), dict) else {}, change)
        elif change is None:
            values.pop(key, None)
        else:
            values[key] = change
    return values


SLOW = {"type": "worker.health", "podmanStore": {"imagesMiB": 12, "writableMiB": 1, "volumesMiB": 0},
        "smart": {"sda": {"passed": False, "celsius": 61}}}


def test_health_is_told_as_differences(agent):
    agent.on_job("health", f"echo '{json.dumps(SLOW)}'\nexit 0\n")
    agent.start("--watch-pace", "60")
    link = agent.link()
    first = link.next("health.report")
    assert "base" not in first, first
    values = first["values"]
    assert values["memory"]["totalMiB"] >= values["memory"]["availableMiB"] > 0
    assert values["cpu"]["count"] == os.cpu_count() and values["disks"] and isinstance(values["faults"], dict)
    # each one from here on is answered, and what it adds up to is what a new connection is told as a whole
    report = first
    while "smart.failing:sda" not in values["faults"]:
        link.send({"type": "health.ack", "seq": report["seq"]})
        before, report = report, link.next("health.report")
        if "base" not in report:  # the answer came late: all is told anew
            values = report["values"]
            continue
        assert report["base"] == before["seq"], report
        assert "bootId" not in report["values"], "what has not changed is not told again"
        merged(values, report["values"])
    assert values["podmanStore"] == SLOW["podmanStore"] and values["smart"] == SLOW["smart"]
    link.send(agent.connected("2026-01-02T03:04:09.000Z"))
    again = link.next("health.report")
    while "base" in again:
        again = link.next("health.report")
    assert set(again["values"]) == set(values)
    assert again["values"]["bootId"] == values["bootId"] and again["values"]["smart"] == SLOW["smart"]


def test_health_is_shown_without_a_tunnel(agent):
    agent.on_job("status", "echo '{\"type\":\"worker.status\"}'\nexit 0\n")
    agent.start()
    status = agent.peer({"type": "status.get", "id": "q1"}).next("status.report")["status"]
    assert status["link"]["connected"] is False
    assert status["health"]["memory"]["totalMiB"] > 0 and "faults" in status["health"]


def test_an_order_that_is_not_for_this_box_is_no_push_of_it(agent):
    """A misspelt name in a rollout must not make every box look as if it had failed."""
    done = {"type": "compose.result", "id": "d1", "version": "7", "outcome": "done", "status": 200, "phase": "done"}
    other = {"type": "compose.result", "id": "u1", "version": "0", "kind": "update", "outcome": "failed", "status": 404,
             "phase": "verify", "error": {"id": "update.not-here", "message": "no service of this box runs nginx"}}
    agent.write(os.path.join(agent.state, "history.jsonl"), "".join(json.dumps(e) + "\n" for e in (done, other, other)))
    agent.on_job("status", "echo '{\"type\":\"worker.status\"}'\nexit 0\n")
    agent.start()
    peer = agent.peer({"type": "status.get", "id": "s"}, {"type": "history.get", "id": "h"})
    answers = {m["type"]: m for m in (peer.next(), peer.next())}
    assert answers["status.report"]["status"]["last"]["id"] == "d1"
    assert [e["id"] for e in answers["history.report"]["entries"]][:2] == ["u1", "u1"], "it stays in the history"


def test_what_is_under_way_has_its_version_before_the_journal_has_it(agent):
    agent.on_job("apply", 'while [ ! -e "$SECBOX_TEST_JOBS.go" ]; do sleep 0.1; done\n')
    agent.on_job("status", "echo '{\"type\":\"worker.status\"}'\nexit 0\n")
    agent.start()
    link = agent.link()
    link.send(agent.snapshot())
    wait_until(lambda: "apply" in agent.jobs(), "the worker is started")
    pending = agent.peer({"type": "status.get", "id": "s"}).next("status.report")["status"]["pending"]
    assert (pending["version"], pending["phase"]) == ("8", "apply")
    agent.write(agent.jobs_path + ".go", "")
    assert link.next("compose.result")["id"] == "d2"

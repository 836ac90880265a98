# SPDX-License-Identifier: MIT
"""mgmt-agent or its worker is killed at every point of a push: what runs then is the old or the new, whole, and the box
says which."""
# pylint: disable=redefined-outer-name
import contextlib
import threading

import pytest

from tests.conftest import DEVICE, running_box
from tests.integration.test_podman_traps import compose, service
from tests.lab.agent_socket import AgentSocket
from tests.lab.kill_point import KillPoint
from tests.lab.util import wait_until

STACKS = {version: compose(service("a", f"server:{version}"), service("b", f"server:{version}")) for version in "12"}
OLD, NEW = "old", "new"


def phase(name):
    return f'"phase":"{name}","state":"started"'


class CrashableBox:
    """A box with a trigger in its worker, and what ran on it before."""

    def __init__(self, box, gateway, kill_point):
        self.box, self.gateway, self.kill_point = box, gateway, kill_point
        self.version = None  # of the images that run
        self.before = {}
        self.answer = None
        self.pushing = None

    def deploy(self, version):
        answer = self.gateway.push(DEVICE, STACKS[version])
        assert answer.status == 200, answer
        self.version = version

    def start_push(self, text, **more):
        self.before = self.box.ids()

        def push():
            self.answer = None
            with contextlib.suppress(OSError):  # the gateway went away
                self.answer = self.gateway.push(DEVICE, text, **more)

        self.pushing = threading.Thread(target=push, daemon=True)
        self.pushing.start()

    def result(self):
        self.pushing.join()
        assert self.answer is not None, self.gateway.daemon.death()
        assert self.answer.json and "result" in self.answer.json, self.answer
        return self.answer.json["result"]

    def other(self):
        return {"1": "2", "2": "1", None: "1"}[self.version]

    def end_agent(self, text, point, **more):
        """Pushes, waits for the kill, starts the agent again; returns the push's result."""
        self.kill_point.arm(*point)
        self.start_push(text, **more)
        wait_until(lambda: self.box.agent.process.poll() is not None, "mgmt-agent is killed", self.stalled)
        assert not self.kill_point.is_armed()
        self.box.start_agent()
        return self.result()

    def stalled(self):
        if self.pushing.is_alive() or self.box.agent.process.poll() is not None:
            return None
        return f"the push ended without the kill: {self.answer} {self.gateway.daemon.death()}"

    def check_kept_images(self, outcome):
        """The images of what runs, and of what a rollback would bring, are safe from a prune."""
        tags = self.box.lab.podman("images", "--format", "{{.Tag}}", "localhost/tucomunidad-keep").stdout.split()
        needed = {c["Image"] for c in self.box.containers().values()}
        if outcome == NEW and self.before:
            needed.add(self.box.lab.image_id(f"localhost/server:{self.other()}"))
        assert {image[:32] for image in needed} <= set(tags)

    def check(self, result, outcome):
        """All of the old or all of the new runs, nothing else is there, and every record says so."""
        running = self.box.containers()
        if outcome == OLD:
            assert self.box.ids() == self.before, "the very same containers"
        else:
            self.version = self.other()
            assert set(running) == {"a", "b"}
            assert not set(self.box.ids().values()) & set(self.before.values())
        wanted = self.box.lab.image_id(f"localhost/server:{self.version}") if running else None
        assert {c["Image"] for c in running.values()} <= {wanted}
        assert self.box.running() == set(running)
        assert len(self.box.lab.containers()) == len(running), "nothing is left over"
        assert self.box.lab.networks() - {"podman"} == ({"secbox_default"} if running else set())
        self.check_kept_images(outcome)
        assert (result["outcome"] == "done") == (outcome == NEW), result
        last = self.box.history()["entries"][0]
        assert (last["version"], last["outcome"]) == (result["version"], result["outcome"])
        assert f"snapshot {result['version']}: {result['outcome']}" in self.box.log()
        assert not self.box.status_pending()
        current = self.box.status()["current"]
        assert (current is not None and current["version"] == result["version"]) == (outcome == NEW)


@pytest.fixture(scope="module")
def shared(lab, gateway, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("crash"))
    kill_point = KillPoint(folder)
    with running_box(lab, folder, gateway, agent_args=["--settle=1"], process_env=kill_point.env) as box:
        box.set_engine("libpod")  # whose calls the points count
        yield CrashableBox(box, gateway, kill_point)


@pytest.fixture
def stand(shared):
    """The box, running one of the two stacks."""
    if shared.version is None:
        shared.deploy("1")
    yield shared
    shared.kill_point.disarm()


@pytest.fixture
def fresh(shared):
    """The box, before its first push."""
    shared.box.wipe()
    shared.version = None
    yield shared
    shared.kill_point.disarm()


PREPARING = ["verify", "parse", "policy", "secbox-env-ensure", "secbox-env-sanity", "render", "preflight", "pull", "apply"]


@pytest.mark.parametrize("name", PREPARING)
def test_f13_before_anything_is_touched(stand, name):
    result = stand.end_agent(STACKS[stand.other()], ("write", "after", phase(name)))
    assert (result["outcome"], result["status"]) == ("failed", 503)
    assert result["error"]["id"] == "deploy.interrupted"
    stand.check(result, OLD)


REPLACING = [
    ("journaled", ("rename", "after", '"state":"applying"'), OLD),
    ("stopped", ("send", "before", "/rename?"), OLD),
    ("one-renamed", ("send", "before", "/rename?", 2), OLD),
    ("set-aside", ("write", "before", '"message":"starting ', 2), OLD),
    ("made", ("rename", "before", '"state":"proving"'), OLD),
    ("prove", ("write", "after", phase("prove")), OLD),
    ("proved", ("rename", "before", '"state":"confirming"'), OLD),
    ("confirming", ("rename", "after", '"state":"confirming"'), NEW),
    ("confirm", ("write", "after", phase("confirm")), NEW),
    ("committing", ("rename", "after", '"state":"committing"'), NEW),
    ("old-removed", ("send", "before", "DELETE /v4"), NEW),
    ("one-old-removed", ("send", "before", "DELETE /v4", 2), NEW),
    ("done", ("write", "before", '"type":"compose.result"'), NEW),
]


@pytest.mark.parametrize("point,outcome", [(point, outcome) for _, point, outcome in REPLACING],
                         ids=[name for name, _, _ in REPLACING])
def test_f13_while_two_services_are_replaced(stand, point, outcome):
    result = stand.end_agent(STACKS[stand.other()], point)
    stand.check(result, outcome)
    assert result["outcome"] == ("rolled-back" if outcome == OLD else "done")


ROLLING_BACK = [
    ("begun", ("write", "after", phase("rolling-back"))),
    ("new-removed", ("send", "before", "DELETE /v4", 2)),
    ("one-back", ("send", "before", "/rename?", 4)),
    ("one-started", ("send", "after", "/start HTTP", 3)),  # behind those of the two new ones
    ("rolled-back", ("write", "before", '"type":"compose.result"')),
]


@pytest.mark.parametrize("point", [point for _, point in ROLLING_BACK], ids=[name for name, _ in ROLLING_BACK])
def test_f13_while_it_rolls_back(stand, point):
    text = compose(service("a", f"server:{stand.other()}"), service("b", "crash:1"))
    result = stand.end_agent(text, point)
    assert (result["outcome"], result["status"]) == ("rolled-back", 500)
    assert result["error"]["id"].startswith("prove."), "the reason is the first failure, not the crash"
    stand.check(result, OLD)


FRESH = [
    ("pull", ("write", "after", phase("pull")), OLD),
    ("made", ("rename", "before", '"state":"proving"'), OLD),
    ("proved", ("rename", "before", '"state":"confirming"'), OLD),
    ("confirm", ("write", "after", phase("confirm")), NEW),
    ("committing", ("rename", "after", '"state":"committing"'), NEW),
]


@pytest.mark.parametrize("point,outcome", [(point, outcome) for _, point, outcome in FRESH], ids=[name for name, _, _ in FRESH])
def test_in_the_first_deployment(fresh, point, outcome):
    result = fresh.end_agent(STACKS["1"], point)
    fresh.check(result, outcome)


WORKER = [
    ("apply", ("send", "before", "/rename?", 2, "worker"), OLD),
    ("prove", ("write", "after", phase("prove"), 1, "worker"), OLD),
    ("committing", ("rename", "after", '"state":"committing"', 1, "worker"), NEW),
]


@pytest.mark.parametrize("point,outcome", [(point, outcome) for _, point, outcome in WORKER], ids=[name for name, _, _ in WORKER])
def test_f13_the_worker_alone(stand, point, outcome):
    agent = stand.box.agent.pid
    stand.kill_point.arm(*point)
    stand.start_push(STACKS[stand.other()])
    result = stand.result()
    assert not stand.kill_point.is_armed(), "it was killed"
    assert stand.box.agent.pid == agent and stand.box.agent.death() is None
    stand.check(result, outcome)


def wait_pending(box, name):
    return wait_until(lambda: (box.status()["pending"] or {}).get("phase") == name, f"the box is in {name}",
                      box.agent.death)


def test_f18_killed_while_it_waits_for_the_confirmation(stand):
    stand.box.link.stop()
    with AgentSocket(stand.box, link=True) as cloud:
        stand.before = stand.box.ids()
        snapshot = cloud.snapshot(STACKS[stand.other()], str(10**6), nonce="n" * 32, confirmDeadlineSeconds=600)
        cloud.send(snapshot)
        wait_pending(stand.box, "confirm")
    stand.box.agent.kill()
    stand.box.start_agent()
    assert stand.box.status_pending(), "it still waits"
    confirm = {"type": "compose.confirm", "id": snapshot["id"], "version": snapshot["version"], "nonce": "n" * 32}
    with AgentSocket(stand.box, link=True) as cloud:
        cloud.connected("2026-01-02T03:04:05.000Z")
        cloud.send({**confirm, "nonce": "m" * 32})
        cloud.send(confirm)
        cloud.connected("2026-01-02T03:04:06.000Z")
        cloud.send(confirm)
        result = cloud.next("compose.result")
    assert "that nobody waits for" in stand.box.log()
    assert "older than the change" in stand.box.log()
    stand.check(result, NEW)
    stand.box.start_link()
    stand.gateway.wait_reported(DEVICE)


def test_f17_f18_nobody_confirms_in_time(stand):
    """The gateway goes away when the box has proved the change: cut off, it goes back to what worked."""
    stand.box.link.stop()
    with AgentSocket(stand.box, link=True) as cloud:
        stand.before = stand.box.ids()
        snapshot = cloud.snapshot(STACKS[stand.other()], str(10**6 + 1), nonce="n" * 32, confirmDeadlineSeconds=5)
        cloud.send(snapshot)
        result = cloud.next("compose.result")
        assert (result["outcome"], result["failedPhase"]) == ("rolled-back", "confirm")
        assert result["error"]["id"] == "confirm.deadline"
        stand.check(result, OLD)
        cloud.send({"type": "compose.confirm", "id": snapshot["id"], "version": snapshot["version"], "nonce": "n" * 32})
        cloud.send({"type": "status.get", "id": "after"})
        assert cloud.next("status.report", "compose.result")["type"] == "status.report"
        stand.check(result, OLD)
    stand.box.start_link()
    stand.gateway.wait_reported(DEVICE)


def test_f17_f22_the_gateway_is_gone_when_it_should_confirm(stand):
    """Cut off by the change, for all the box can know: it goes back, and tells when the gateway is there again."""
    seen = stand.box.log().count("phase apply")
    stand.start_push(STACKS[stand.other()], confirmDeadlineSeconds=5)
    wait_until(lambda: stand.box.log().count("phase apply") > seen, "the box is at work", stand.box.agent.death)
    stand.gateway.stop()
    wait_until(lambda: not stand.box.status_pending(), "the deadline passes", stand.box.agent.death)
    result = stand.box.history()["entries"][0]
    assert (result["outcome"], result["failedPhase"], result["error"]["id"]) == ("rolled-back", "confirm", "confirm.deadline")
    stand.check(result, OLD)
    stand.pushing.join()
    stand.gateway.start()
    stand.gateway.wait_reported(DEVICE)

    def told():
        answer = stand.gateway.request("GET", f"/v1/devices/{DEVICE}/deployments/{result['version']}")
        return answer.status == 200 and answer.json["deployment"]["state"] == "rolled-back"

    wait_until(told, "the gateway hears of it", stand.gateway.daemon.death)

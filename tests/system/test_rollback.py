# SPDX-License-Identifier: MIT
"""Going back, on the box and by the cloud: step by step, to a named version, and never to one that was found bad."""
import json
import os
import signal
import threading

import pytest

from tests.integration.test_podman_traps import compose, service
from tests.conftest import DEVICE
from tests.lab.box import documents
from tests.lab.util import read_text, wait_until


def numbered(n, image="server:1"):
    return compose(service("web", image, more=f"environment:\n  RELEASE: '{n}'\n"))


def release(box):
    return box.environment("web")["RELEASE"]


def versions(box):
    return [entry["version"] for entry in box.history()["entries"]]


@pytest.fixture
def three(box):
    """A box with three releases, one after the other; the version of each."""
    applied = []
    for n in (1, 2, 3):
        result = box.apply(numbered(n))
        assert result["outcome"] == "done", result
        applied.append(result["version"])
    return box, applied


def back(box, *version):
    process = box.ctl("rollback", "--json", *version)
    last = documents(process)[-1]
    assert (process.returncode == 0) == (last.get("outcome") == "done"), last
    return last


def refusal(box, *version):
    answer = back(box, *version)
    assert "error" in answer and "outcome" not in answer, answer
    return answer["error"]


def test_each_rollback_goes_further_back(three):
    box, _ = three
    assert (back(box)["kind"], release(box)) == ("rollback", "2")
    assert (back(box)["outcome"], release(box)) == ("done", "1"), "not to the one that was left"
    error = refusal(box)
    assert error["id"] == "rollback.nothing" and release(box) == "1", error
    assert box.apply(numbered(4))["outcome"] == "done"
    assert (back(box)["outcome"], release(box)) == ("done", "1"), "what ran before the last push"


def test_to_a_named_version(three):
    box, applied = three
    assert (back(box, applied[0])["outcome"], release(box)) == ("done", "1")
    error = refusal(box, applied[2])
    assert error["id"] == "rollback.bad" and "left by a rollback" in error["message"], error
    assert applied[1] in error["message"], "what is there instead is named"
    assert release(box) == "1"
    assert box.apply(numbered(3))["outcome"] == "done", "whoever wants it applies it again"
    assert (back(box, applied[1])["outcome"], release(box)) == ("done", "2")


def test_f21_a_version_that_failed_is_refused(three):
    box, applied = three
    failed = box.apply(numbered(4, "crash:1"))
    assert failed["outcome"] == "rolled-back", failed
    error = refusal(box, failed["version"])
    assert error["id"] == "rollback.bad" and failed["error"]["message"] in error["message"], error
    assert (back(box)["outcome"], release(box)) == ("done", "2")
    assert applied[2] in versions(box)


def test_what_is_not_there_is_said(three):
    box, applied = three
    assert refusal(box, "17")["id"] == "snapshot.unknown"
    assert applied[1] in refusal(box, "17")["message"]
    assert refusal(box, applied[2])["id"] == "rollback.current"
    assert refusal(box, "../1")["id"] == "snapshot.bad-version"
    assert release(box) == "3"


def test_a_rollback_that_fails_changes_nothing(three):
    box, applied = three
    before = box.ids()
    path = box.path(f"var/lib/tucomunidad/mgmt-agent/snapshots/{applied[1]}.json")
    with open(path, encoding="utf-8") as f:
        snapshot = json.load(f)
    snapshot["compose"] = numbered(2, "crash:1")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(snapshot, f)
    result = back(box)
    assert (result["outcome"], result["kind"]) == ("rolled-back", "rollback"), result
    assert box.ids() == before and release(box) == "3"


def test_the_cloud_sends_a_box_back(gateway, fleet_box):
    """With the proof of a push, a version of its own, and the box's own knowledge of what is bad."""
    for n in (1, 2, 3):
        answer = gateway.push(DEVICE, numbered(n))
        assert answer.status == 200, answer
    answer = gateway.request("POST", f"/v1/devices/{DEVICE}/rollback", {})
    assert answer.status == 200, answer
    result = answer.json["result"]
    assert (result["kind"], result["outcome"], result["version"]) == ("rollback", "done", "4")
    assert release(fleet_box) == "2" and not fleet_box.status_pending()
    answer = gateway.request("POST", f"/v1/devices/{DEVICE}/rollback", {"to": "3"})
    assert answer.status == 409 and answer.json["result"]["error"]["id"] == "rollback.bad", answer
    answer = gateway.request("POST", f"/v1/devices/{DEVICE}/rollback", {"to": "17"})
    assert answer.status == 404 and answer.json["result"]["error"]["id"] == "snapshot.unknown", answer
    assert gateway.request("POST", f"/v1/devices/{DEVICE}/rollback", {"to": "1"}).status == 200
    assert release(fleet_box) == "1"
    assert gateway.push(DEVICE, numbered(5)).status == 200
    # the box tells the result first, and then what runs
    wait_until(lambda: gateway.device(DEVICE)["current"]["version"] == "8", "the gateway knows what runs", fleet_box.agent.death)


def test_the_cloud_hears_of_what_is_done_on_the_box(gateway, fleet_box):
    def told():
        listed = gateway.request("GET", f"/v1/devices/{DEVICE}/deployments").json["deployments"]
        return [d["version"] for d in reversed(listed) if d.get("local")]

    before = told()
    assert gateway.push(DEVICE, numbered(1)).status == 200
    fleet_box.link.stop()
    applied = fleet_box.apply(numbered(2))["version"]
    returned = back(fleet_box)["version"]
    fleet_box.start_link()
    wait_until(lambda: told() == [*before, applied, returned], "both, in their order")
    again = fleet_box.apply(numbered(3))["version"]
    wait_until(lambda: told() == [*before, applied, returned, again], "and the next one at once")


def test_one_that_somebody_paused_and_that_was_not_reached_stays_paused(box):
    last = "depends_on: [db]\nenvironment:\n  RELEASE: '%d'\n"
    assert box.apply(compose(service("db"), service("web", more=last % 1)))["outcome"] == "done"
    before = box.ids()
    box.lab.podman("pause", "secbox_web_1")
    result = box.apply(compose(service("db", more="entrypoint: [/nowhere]"), service("web", more=last % 2)))
    assert result["outcome"] == "rolled-back", result
    assert box.ids() == before and box.containers()["web"]["State"]["Status"] == "paused"
    box.lab.podman("unpause", "secbox_web_1")


def test_what_a_rollback_starts_again_nobody_did_by_hand(box):
    """Neither the log nor what is shown says so; what somebody does start is noticed behind it."""
    def both(n, image="server:1"):
        return compose(*(service(name, image, more=f"environment:\n  RELEASE: '{n}'\n") for name in ("web", "db")))

    assert box.apply(both(1))["outcome"] == "done"
    before = box.ids()
    assert box.apply(both(2, "crash:1"))["outcome"] == "rolled-back"
    assert box.ids() == before
    log = len(box.log())
    box.lab.podman("restart", "-t", "1", before["db"])
    wait_until(lambda: "Service db was started again" in box.log()[log:], "somebody's own restart is noticed", box.agent.death)
    assert "by hand" not in box.log() and "not by mgmt-agent" not in box.log()
    assert "Service web was started again" not in box.log()
    assert "by hand" not in box.ctl("status").stdout
    services = next(c for c in json.loads(box.ctl("doctor", "--json").stdout)["checks"] if c["id"] == "services")
    assert services == {"id": "services", "result": "pass", "detail": "2 deployed, none is down"}


STUBBORN = "stop_grace_period: 10m\nenvironment:\n  RELEASE: '%d'\n"


def worker_of(box):
    """The job that mgmt-agent runs now."""
    children = read_text(f"/proc/{box.agent.pid}/task/{box.agent.pid}/children").split()
    return next((int(pid) for pid in children if read_text(f"/proc/{pid}/comm").strip() == "mgmt-worker"
                 and read_text(f"/proc/{pid}/cmdline").split("\0")[-2:] != ["health", ""]), None)


def state(box):
    return box.containers()["web"]["State"]


def test_a_container_that_was_being_stopped_comes_back(box):
    """Killed while podman waits for a container to end, which then is neither running nor can be started. The one before is
    paused, so that it takes no signal."""
    assert box.apply(numbered(0))["outcome"] == "done"
    box.lab.podman("pause", "secbox_web_1")
    assert box.apply(compose(service("web", "stubborn:1", more=STUBBORN % 1)))["outcome"] == "done"
    before = box.ids()
    results = []
    pushing = threading.Thread(target=lambda: results.append(
        box.ctl("apply", "--json", box.compose_path(compose(service("web", "stubborn:1", more=STUBBORN % 2))))))
    pushing.start()
    wait_until(lambda: state(box)["Status"] == "stopping", "it is being stopped", box.agent.death)
    os.kill(worker_of(box), signal.SIGKILL)
    wait_until(lambda: "waiting for its end, at most 600 s" in box.log(), "the end of it is waited for", box.agent.death)
    assert state(box)["Status"] == "stopping"
    os.kill(state(box)["Pid"], signal.SIGKILL)
    pushing.join()
    result = documents(results[0])[-1]
    assert result["outcome"] == "rolled-back", result
    assert box.ids() == before and box.running() == {"web"}
    box.lab.podman("kill", "--signal=KILL", "secbox_web_1")

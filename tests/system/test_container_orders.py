# SPDX-License-Identifier: MIT
"""container.restart and container.recreate: one service, proved, and nothing beside it touched."""
import os
import signal

import pytest

from tests.conftest import require_programs
from tests.integration.test_podman_traps import compose, service
from tests.lab.agent_socket import AgentSocket
from tests.lab.box import Box

GRACE = "stop_grace_period: 1s\n"
STACK = compose(service("secbox", more=GRACE + "environment: [\"WHO=${DEVICE_ID:?}\"]"), service("other", more=GRACE))


@pytest.fixture
def box(lab, folder):
    require_programs("mgmt-agent", "mgmt-worker", "secboxctl")
    with Box(lab, os.path.join(folder, "box"), agent_args=["--settle", "1"]) as it:
        it.start()
        yield it
    lab.remove_all()


def order(box, kind, name="secbox", more=()):
    with AgentSocket(box) as client:
        client.send({"type": f"container.{kind}", "id": "o-1", "service": name, **dict(more)})
        result = client.next("container.result", "error")
    assert result["type"] == "container.result" and result["id"] == "o-1", result
    return result


def pids(box):
    return {name: c["State"]["Pid"] for name, c in box.containers().items()}


def test_a_hung_container_is_restarted_and_made_anew(box):
    assert order(box, "restart")["error"]["id"] == "container.unknown"
    assert box.apply(STACK)["status"] == 200
    ids, before = box.ids(), pids(box)
    os.kill(before["secbox"], signal.SIGSTOP)
    assert order(box, "restart")["ok"], box.log()
    after = pids(box)
    assert after["secbox"] != before["secbox"] and after["other"] == before["other"]
    assert box.ids() == ids and box.running() == {"secbox", "other"}
    assert not box.status_pending()

    os.kill(after["secbox"], signal.SIGSTOP)
    os.unlink(box.path("etc/tucomunidad/secbox.env"))
    assert order(box, "recreate")["ok"], box.log()
    assert box.ids()["secbox"] != ids["secbox"] and box.ids()["other"] == ids["other"]
    assert pids(box)["other"] == before["other"] and box.running() == {"secbox", "other"}
    assert box.environment("secbox")["WHO"] == box.secbox_env()["DEVICE_ID"], "the lost env file is made again, too"
    last = box.history()["entries"][0]
    assert (last["kind"], last["outcome"]) == ("recreate", "done")
    # the deployment is the one that it was
    assert box.apply(STACK)["noop"] is True


def test_what_cannot_be_done_says_why(box):
    assert order(box, "recreate")["error"]["id"] == "update.nothing-deployed"
    assert box.apply(STACK)["status"] == 200
    ids = box.ids()
    for kind in ("restart", "recreate"):
        assert order(box, kind, "nothing")["error"]["id"] == "container.unknown"
    box.lab.podman("rm", "-f", ids["secbox"])
    result = order(box, "restart")
    assert result["error"]["id"] == "container.missing", result
    assert order(box, "recreate")["ok"], "that is what it is for"
    assert box.running() == {"secbox", "other"} and box.ids()["other"] == ids["other"]


def test_a_record_that_the_runtime_has_kept_is_removed(box):
    """As where podman or its monitor was killed: podman takes for stopped what its OCI runtime still has."""
    assert box.apply(STACK)["status"] == 200
    ids = box.ids()
    box.lab.podman("stop", "-t", "0", ids["secbox"])
    runtime = os.path.basename(box.containers()["secbox"]["OCIRuntime"])
    os.makedirs(f"/run/{runtime}/{ids['secbox']}")
    assert order(box, "restart")["ok"], box.log()
    assert box.ids() == ids and box.running() == {"secbox", "other"}
    assert "still had the container's record: that was removed" in box.log()


def test_a_change_under_way_comes_first(box):
    with AgentSocket(box, link=True) as link:
        link.send(link.snapshot(STACK, nonce="n-1", confirmDeadlineSeconds=600))
        while link.next("compose.progress")["phase"] != "confirm":
            pass
        for kind in ("restart", "recreate"):
            assert order(box, kind)["error"]["id"] == "agent.busy"
        assert box.running() == {"secbox", "other"}

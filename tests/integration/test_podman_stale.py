# SPDX-License-Identifier: MIT
"""What podman says when state of a killed one is in its way, imitated word for word: what is removed, and how often it is tried.
That podman does say it, and is content afterwards: tests/system/test_container_orders.py and test_rootless.py."""
# pylint: disable=redefined-outer-name
import os
import types

import pytest

from tests.integration.imitated import imitated_podman
from tests.lab.agent_socket import AgentSocket
from tests.lab.box import Box

# without `restart`, so that the service watch starts nothing meanwhile
STACK = "services:\n  web:\n    image: registry.example/web:1\n"
CRUN = "crun: container `{id}` already exists: OCI runtime error"
RUNC = "runc: runc create failed: container with given ID already exists: OCI runtime error"
ANOTHER = f"crun: container `{'0' * 64}` already exists: OCI runtime error"
NETWORK_4 = "failed to mount runtime directory for rootless netns: no such file or directory"
NETWORK_5 = "rootless netns: create netns: open /run/user/1000/containers/networks/rootless-netns/rootless-netns: file exists"


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    if not os.path.exists("/usr/bin/crun"):
        pytest.skip("crun is missing: what is removed is asked of it")
    folder = str(tmp_path_factory.mktemp("box"))
    lab = types.SimpleNamespace(user="root", env={"PATH": os.environ["PATH"], "HOME": folder, "LANG": "C.UTF-8"})
    with imitated_podman(folder) as podman, \
            Box(lab, folder, agent_args=["--podman-compose", podman.compose, "--settle", "1"]) as it:
        it.set_engine("podman-compose")
        it.podman = podman.box(it.root)
        it.start()
        assert it.apply(STACK)["outcome"] == "done", it.log()
        yield it


def restart(box, *refusals):
    """The answer to container.restart when podman refuses its first starts so, how often it was asked, and whether the runtime
    still has its record."""
    identity, = box.podman.containers
    record = f"/run/crun/{identity}"
    os.makedirs(record, exist_ok=True)
    box.podman.refusals, box.podman.starts = list(refusals), 0
    with AgentSocket(box) as client:
        client.send({"type": "container.restart", "id": "r", "service": "web"})
        result = client.next("container.result", "error")
    there = os.path.exists(record)
    if there:
        os.rmdir(record)
    return result, box.podman.starts, there


@pytest.mark.parametrize("says", [CRUN, RUNC])
def test_a_record_is_removed_and_it_is_tried_once_more(box, says):
    result, starts, there = restart(box, says)
    assert result.get("ok") is True and (starts, there) == (2, False), (result, box.log())
    assert "still had the container's record: that was removed" in box.log()
    result, starts, there = restart(box, says, says)
    assert result["ok"] is False and (starts, there) == (2, False) and "already exists" in result["error"]["message"], result
    assert restart(box)[:2] == ({"type": "container.result", "id": "r", "ok": True}, 1)


@pytest.mark.parametrize("says", [ANOTHER, NETWORK_4, NETWORK_5, "container state improper"])
def test_nothing_else_is_removed(box, says):
    """Root's podman has no such network, and another container's record is not ours."""
    result, starts, there = restart(box, says)
    assert result["ok"] is False and (starts, there) == (1, True), result
    assert says.split(": ", maxsplit=1)[-1].format(id="") in result["error"]["message"], result
    assert (result["error"]["id"] == "podman.stale") == (says in (NETWORK_4, NETWORK_5)), result
    assert restart(box)[0]["ok"] is True

# SPDX-License-Identifier: MIT
"""The ways out of a push that goes wrong, where they are narrow: what a rollback must undo, and what it must not touch."""
import os
import shutil
import signal

from tests.integration.test_podman_traps import compose, service
from tests.lab.util import wait_until


def test_a_name_that_begins_an_id_is_not_that_container(box):
    """Podman takes the start of an id for a name where no such name is: `db` and `cafe` are both."""
    box.lab.podman("run", "-d", "--name", "stranger", "localhost/server:1")
    prefix = box.lab.inspect("stranger")["Id"][:8]
    # podman refuses to make it, so that no container has the name
    result = box.apply(compose(service("web", more=f"container_name: \"{prefix}\"\nstop_signal: SIGNONE")))
    assert result["outcome"] == "rolled-back", result
    assert result["error"]["id"] == "apply.not-started", result
    assert box.lab.inspect("stranger")["State"]["Status"] == "running"


def test_a_restart_long_ago_does_not_stop_later_pushes(box):
    text = service("web", more="restart: always")
    assert box.apply(compose(text))["status"] == 200
    os.kill(box.containers()["web"]["State"]["Pid"], signal.SIGKILL)
    wait_until(lambda: box.containers()["web"]["RestartCount"] == 1 and box.running() == {"web"}, "podman restarts web")
    result = box.apply(compose(text, service("more")))
    assert result["status"] == 200, result
    assert box.running() == {"web", "more"}


def test_one_container_that_cannot_come_back_does_not_keep_the_others_away(box):
    shared = box.path("var/lib/tucomunidad/volumes/shared")
    os.makedirs(shared)
    mounting = service("a", more=f"volumes: [\"{shared}:/shared\"]")
    assert box.apply(compose(mounting, service("b"), service("c")))["status"] == 200
    before = box.ids()
    shutil.rmtree(shared)
    result = box.apply(compose(service("a", "crash:1"), service("b", "server:2"), service("c", "server:2")))
    assert result["outcome"] == "recovery", result
    assert box.running() == {"b", "c"}
    assert {name: box.ids()[name] for name in ("b", "c")} == {name: before[name] for name in ("b", "c")}

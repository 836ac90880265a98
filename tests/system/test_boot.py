# SPDX-License-Identifier: MIT
"""What the agent does with stopped containers: after a boot it starts them again, and at no other time."""
import os

import pytest

from tests.integration.test_podman_traps import compose, service
from tests.lab.util import wait_until

STACK = compose(service("always", more="restart: always"), service("stopped", more="restart: unless-stopped"), service("plain"),
                service("once", "one-shot:1"))
RUNNING = {"always", "stopped", "plain"}


@pytest.fixture
def deployed(box):
    box.stop()
    box.agent_args = []  # the one-shot has surely ended when its time is over
    box.start()
    assert box.apply(STACK)["outcome"] == "done"
    assert box.running() == RUNNING
    return box


def boot(box, meanwhile=lambda: None):
    """Every process ends, and /run is as after a boot; the agent starts with the box."""
    box.agent.kill()
    box.lab.podman("stop", "-a", "-t", "0")
    meanwhile()
    os.unlink(box.path("run/tucomunidad/boot"))
    box.start_agent()


def test_after_a_boot_what_ran_runs_again(deployed):
    before = deployed.ids()
    boot(deployed)
    wait_until(lambda: deployed.running() == RUNNING, "all that ran is started again")
    wait_until(lambda: not deployed.status_pending(), "nothing is under way")
    assert deployed.ids() == before, "the same containers"
    assert "after the boot" in deployed.log()
    again = deployed.apply(STACK)
    assert again["outcome"] == "done" and deployed.ids() == before


def test_a_push_before_a_boot_is_over_waits_for_it(deployed):
    before = deployed.ids()
    boot(deployed)
    result = deployed.apply(STACK)
    assert result["outcome"] == "done" and deployed.ids() == before and deployed.running() == RUNNING, result


def test_a_restart_of_the_agent_starts_nothing(deployed):
    deployed.lab.podman("stop", "-t", "0", deployed.ids()["plain"])
    deployed.agent.kill()
    deployed.start_agent()
    assert deployed.running() == RUNNING - {"plain"}
    assert not deployed.status_pending()
    assert "after the boot" not in deployed.log()


def test_f20_a_container_that_is_gone_keeps_the_others_from_nothing(deployed):
    deployed.lab.podman("rm", "-f", "-t", "0", deployed.ids()["always"])
    boot(deployed)
    wait_until(lambda: deployed.running() == RUNNING - {"always"}, "the others are started")
    wait_until(lambda: "cannot be started again" in deployed.log(), "the log names the one that is gone")
    wait_until(lambda: not deployed.status_pending(), "nothing is under way")
    result = deployed.apply(STACK)
    assert result["outcome"] == "done" and deployed.running() == RUNNING, result

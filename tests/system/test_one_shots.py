# SPDX-License-Identifier: MIT
"""A service that has to complete before others start, like a migration, may take its time: for these workers 60 s are one."""
import os

from tests.conftest import require_programs
from tests.integration.test_podman_traps import compose, service
from tests.lab.box import Box
from tests.lab.wrong_clock import fast_program

PACE = 60
# 20 minutes of the worker's time
MIGRATION = 'command: ["/bin/sh", "-c", "sleep 20"]\n'
BEHIND_IT = "depends_on:\n  migrate: {condition: service_completed_successfully}\n"


def test_a_migration_may_take_longer_than_a_start(lab, folder):
    require_programs("mgmt-agent", "mgmt-worker", "secboxctl")
    args = ["--settle", "1", "--worker", fast_program("mgmt-worker", PACE, folder)]
    with Box(lab, os.path.join(folder, "box"), agent_args=args) as box:
        box.start()
        text = compose(service("migrate", more=MIGRATION), service("web", more=BEHIND_IT))
        result = box.apply(text)
        for _ in range(5):
            if result["status"] != 503:
                break
            # podman's own limits pass 60 times as fast, too: on a busy machine it had no time to say its version
            result = box.apply(text)
        assert result["status"] == 200, f"{result}\n{box.log()}"
        assert box.running() == {"web"}
        assert "has not completed yet" in box.log(), "who waits is told of it"
    lab.remove_all()

# SPDX-License-Identifier: MIT
"""An installation: a worker in a unit of its own ends with the agent, and a worker can be newer than the agent."""
import json
import os
import subprocess

import pytest

from tests.conftest import require_programs
from tests.lab.util import program


def test_a_worker_ends_when_nobody_reads_it():
    require_programs("mgmt-worker")
    with subprocess.Popen([program("mgmt-worker"), "--follow-reader", "status"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as worker:
        assert worker.poll() is None  # it waits for its request, and blocks there
        worker.stdout.close()
        assert worker.wait() == -9


def test_a_worker_that_is_read_ends_by_itself(folder):
    require_programs("mgmt-worker")
    p = subprocess.run([program("mgmt-worker"), "--root", folder, "--follow-reader", "no-such-job"], input=b"{}",
                       capture_output=True, check=False)
    assert p.returncode == 2 and p.stdout == b"", "nothing holds its output open behind it"
    p = subprocess.run([program("mgmt-worker"), "--root", folder, "--follow-reader", "status"], input=b"no json",
                       capture_output=True, check=False)
    assert p.returncode == 2 and b"Cannot read the job" in p.stderr


@pytest.mark.parametrize("name", ["inspect", "look"])
def test_a_worker_knows_the_job_by_the_name_that_the_release_before_had(folder, name):
    require_programs("mgmt-worker")
    state = os.path.join(folder, "var/lib/tucomunidad/mgmt-agent")
    os.makedirs(state)
    with open(os.path.join(state, "current.json"), "w", encoding="utf-8") as f:
        f.write("damaged")
    p = subprocess.run([program("mgmt-worker"), "--root", folder, name], input=b"{}", capture_output=True, check=False)
    answer = json.loads(p.stdout)
    assert answer["type"] == "worker.inspect" and answer["error"]["id"] == "store.read", answer
    assert p.returncode == 1

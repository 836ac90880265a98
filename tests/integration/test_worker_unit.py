# SPDX-License-Identifier: MIT
"""An installation: how exposed each unit is, that a worker in a unit of its own ends with the agent, and that a worker can be newer
than the agent."""
import glob
import json
import os
import re
import shutil
import subprocess

import pytest

from tests.conftest import require_programs
from tests.lab.util import ROOT, program

# by systemd-analyze security, 0 is best; secbox-recovery-sshd is root's shell, and four run dpkg, which changes the system
FIGURES = {"mgmt-agent": 6.0, "mgmt-link": 1.1, "recovery-agent": 1.1, "secbox-gateway": 1.1, "secbox-recovery-sshd": 10.0,
           "recovery-agent-keep": 10.0, "recovery-agent-back": 10.0, "recovery-package-boot": 10.0, "mgmt-package-boot": 10.0}
HELPER = 2.5


@pytest.mark.parametrize("unit", sorted(glob.glob(os.path.join(ROOT, "installer/units/*.service"))), ids=os.path.basename)
def test_units_are_no_more_exposed_than_this(unit):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed: installer/deps.sh test")
    out = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", unit], check=False, text=True,
                         capture_output=True)
    found = re.search(r"exposure level for \S+: ([0-9.]+)", out.stdout)
    assert found, out.stderr
    assert float(found.group(1)) <= FIGURES.get(os.path.basename(unit).removesuffix(".service"), HELPER)


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

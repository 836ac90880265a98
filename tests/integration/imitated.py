# SPDX-License-Identifier: MIT
"""The imitated podman for the tests that push to boxes without containers."""
# pylint: disable=redefined-outer-name
import contextlib
import os

import pytest

from tests.conftest import require_programs
from tests.lab import isolate
from tests.lab.fake_podman import FakePodman
from tests.lab.imitated_box import ImitatedBox, PlayedCloud
from tests.lab.util import LabError


@contextlib.contextmanager
def imitated_podman(folder):
    """Takes the place of /usr/bin/podman; the test is skipped where it cannot."""
    require_programs("mgmt-agent", "mgmt-worker", "secboxctl")
    if not isolate.is_isolated() or not os.path.exists("/usr/bin/podman"):
        pytest.skip("the imitated podman takes the place of /usr/bin/podman in a mount namespace: run through tests.lab.isolate")
    with contextlib.ExitStack() as stack:
        try:
            podman = stack.enter_context(FakePodman(folder))
            podman.mount()
        except LabError as e:
            pytest.skip(f"podman cannot be imitated here: {e}")
        yield podman


@pytest.fixture(scope="module")
def podman(tmp_path_factory):
    with imitated_podman(str(tmp_path_factory.mktemp("podman"))) as it:
        yield it


@pytest.fixture
def box(podman, tmp_path):
    with ImitatedBox(podman, str(tmp_path)) as it:
        it.start_agent()
        yield it


@pytest.fixture
def cloud(box):
    it = PlayedCloud(box)
    it.connect()
    yield it
    it.close()

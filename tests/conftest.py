# SPDX-License-Identifier: MIT
"""Fixtures of the integration and system tests."""
import contextlib
import os
import shutil
import tempfile

import pytest

from tests.lab import postgres
from tests.lab.box import Box
from tests.lab.gateway import Gateway
from tests.lab.images import KINDS
from tests.lab.podman_lab import PodmanLab
from tests.lab.project import Project
from tests.lab.registry import Registry
from tests.lab.util import LabError, program

# tag, kind, version
IMAGES = [("server:1", "server", "1"), ("server:2", "server", "2"), *((f"{kind}:1", kind, "1") for kind in KINDS[1:])]


NOTE = "note: "
_notes = []


def note(text):
    """A figure that a test has measured and does not judge; shown at the end, whether the test passes or not."""
    _notes.append(text)


def pytest_terminal_summary(terminalreporter):
    for text in _notes:
        terminalreporter.write_line(NOTE + text)


def skip(why):
    """Skips what this machine lacks; a failure under `make check`, which brings all of it."""
    if os.environ.get("SECBOX_STRICT") == "1":
        pytest.fail(why)
    pytest.skip(why)


def require_programs(*names):
    """Skips without them; see skip()."""
    missing = [name for name in names if not os.access(program(name), os.X_OK)]
    if missing:
        skip(f"not built: {', '.join(missing)}")


@pytest.fixture(scope="session")
def lab():
    """A podman of its own with the lab's images in it."""
    if not shutil.which("podman"):
        pytest.skip("podman is not installed: installer/deps.sh test")
    with PodmanLab() as it:
        try:
            for tag, kind, version in IMAGES:
                it.image(f"localhost/{tag}", kind, version)
        except LabError as e:
            pytest.skip(f"podman cannot make images here: {e}")
        yield it


@pytest.fixture
def folder():
    path = tempfile.mkdtemp(prefix="secbox-test-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def project(lab, folder):
    """A compose project of its own; everything in the lab's podman is removed behind the test."""
    yield Project(lab, os.path.join(folder, "shop"))
    lab.remove_all()


@pytest.fixture
def registry(lab):
    if not shutil.which("docker-registry"):
        pytest.skip("docker-registry is not installed: installer/deps.sh test")
    with Registry(lab) as it:
        yield it


DEVICE = "caseta5"
SOON = ("--settle=2",)  # what has run for two seconds counts as proved


@pytest.fixture
def box(lab, folder):
    """One box with mgmt-agent, driven by secboxctl; no cloud."""
    require_programs("mgmt-agent", "secboxctl")
    with Box(lab, os.path.join(folder, "box"), agent_args=SOON) as it:
        it.start()
        yield it
    lab.remove_all()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """One gateway for all tests of a module; each box takes the place of the one before."""
    require_programs("secbox-gateway")
    if not postgres.available():
        pytest.skip("PostgreSQL is not installed: installer/deps.sh test")
    with Gateway(str(tmp_path_factory.mktemp("gateway"))) as it:  # one that does not start is a failure
        yield it


@contextlib.contextmanager
def running_box(lab, folder, gateway, agent_args=SOON, **options):
    """A box whose tunnel to a gateway is up, and whose agent has reported there, until the end of the block."""
    require_programs("mgmt-agent", "mgmt-link", "secboxctl")
    with Box(lab, os.path.join(folder, "box"), gateway.enroll(DEVICE), agent_args, **options) as it:
        it.start()
        gateway.wait_reported(DEVICE)
        yield it
    lab.remove_all()


@pytest.fixture
def fleet_box(lab, folder, gateway):
    """One box whose tunnel to a gateway is up."""
    with running_box(lab, folder, gateway) as it:
        yield it

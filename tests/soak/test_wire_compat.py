# SPDX-License-Identifier: MIT
"""Boxes and gateways of two versions together: the programs of this tree, and those of the version before, built from its commit.
Real podman, real tunnels: `make wire-compat`."""
# pylint: disable=redefined-outer-name
import contextlib
import os
import subprocess

import pytest

from tests.conftest import DEVICE, require_programs, skip
from tests.lab.box import Box
from tests.lab.gateway import Gateway
from tests.lab.util import wait_until

STACK = "services:\n  web:\n    image: localhost/server:{}\n    restart: always\n"
CRASHES = "services:\n  web:\n    image: localhost/crash:1\n"
NOW, BEFORE = "now", "before"
FOLDERS = {NOW: os.environ.get("SECBOX_BIN"), BEFORE: os.environ.get("SECBOX_PREVIOUS_BIN")}


@contextlib.contextmanager
def programs_of(version):
    """What is started meanwhile is of this version."""
    os.environ["SECBOX_BIN"] = FOLDERS[version]
    try:
        yield
    finally:
        os.environ["SECBOX_BIN"] = FOLDERS[NOW]


class GatewayOf(Gateway):
    def __init__(self, version, folder):
        self.version = version
        super().__init__(folder)

    def _argv(self, *args):
        if self.version == BEFORE:  # which knew no roles
            args = [word for word in args if word not in ("--role", "admin")]
        return [os.path.join(FOLDERS[self.version], "secbox-gateway"), *args]


def start(box, gateway, version):
    with programs_of(version):
        box.start()
    gateway.wait_reported(DEVICE)


def start_recovery(box, gateway, version):
    """Which only looks."""
    with programs_of(version):
        box.start_recovery(RECOVERY_ACT=0)
    wait_until(lambda: gateway.device(DEVICE).get("recovery", {}).get("state"), "the gateway shows what recovery-agent tells",
               box.recovery.daemon.death)


def push(gateway, text):
    """What was said of its end."""
    answer = gateway.push(DEVICE, text)
    deployment = gateway.request("GET", f"/v1/devices/{DEVICE}/deployments").json["deployments"][0]
    return answer.status, deployment["state"]


@pytest.fixture(autouse=True)
def both_versions():
    require_programs("mgmt-agent", "mgmt-link", "mgmt-worker", "secboxctl", "secbox-gateway", "recovery-agent")
    if not all(FOLDERS.values()):
        skip("the version before is built by make wire-compat")
    versions = [subprocess.run([f"{FOLDERS[which]}/secboxctl", "--version"], check=True, capture_output=True, text=True).stdout
                for which in (NOW, BEFORE)]
    assert versions[0] != versions[1], "PREVIOUS in tests/tests.mk has to be of the version before"


@pytest.mark.parametrize("of_box, of_gateway", [(BEFORE, NOW), (NOW, BEFORE)])
def test_they_understand_each_other(lab, folder, of_box, of_gateway):
    with GatewayOf(of_gateway, os.path.join(folder, "gateway")) as gateway, \
            Box(lab, os.path.join(folder, "box"), gateway.enroll(DEVICE)) as box:
        start(box, gateway, of_box)
        start_recovery(box, gateway, of_box)
        assert push(gateway, STACK.format(1)) == (200, "done"), box.log()
        first = box.ids()["web"]
        assert push(gateway, STACK.format(1)) == (200, "done") and box.ids()["web"] == first, "nothing to do"
        assert push(gateway, STACK.format(2)) == (200, "done"), box.log()
        second = box.containers()["web"]
        assert second["Image"] == lab.image_id("localhost/server:2")
        assert push(gateway, CRASHES) == (500, "rolled-back"), box.log()
        assert box.containers()["web"]["Id"] == second["Id"]
        events = gateway.events(DEVICE, 3)
        assert {"phase", "state", "at"} <= set(events[0]), events
        # a tunnel that breaks comes back, with either end
        box.link.stop()
        with programs_of(of_box):
            box.start_link()
        gateway.wait_reported(DEVICE)
        gateway.stop()
        gateway.start()
        gateway.wait_reported(DEVICE)
        wait_until(lambda: "recovery" in gateway.device(DEVICE)["roles"], "recovery-agent is back", box.recovery.daemon.death)
        assert push(gateway, STACK.format(1)) == (200, "done"), box.log()
    lab.remove_all()


def test_a_box_goes_on_where_the_other_version_was(lab, folder):
    """Updated, and taken back: each reads what the other one has written."""
    with GatewayOf(NOW, os.path.join(folder, "gateway")) as gateway, \
            Box(lab, os.path.join(folder, "box"), gateway.enroll(DEVICE)) as box:
        runs = None
        for version, image in ((BEFORE, 1), (NOW, 2), (BEFORE, 1), (NOW, 2)):
            start(box, gateway, version)
            assert runs in (None, box.ids()), version
            assert push(gateway, STACK.format(image)) == (200, "done"), (version, box.log())
            runs = box.ids()
            assert push(gateway, CRASHES) == (500, "rolled-back"), (version, box.log())
            assert box.ids() == runs and box.containers()["web"]["Image"] == lab.image_id(f"localhost/server:{image}")
            box.stop()
        start(box, gateway, NOW)
        assert box.ids() == runs
        assert len(box.history()["entries"]) >= 8
    lab.remove_all()

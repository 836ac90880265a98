# SPDX-License-Identifier: MIT
"""Whose podman runs the containers: root's only where it is named, or where an earlier agent has deployed with it."""
import json
import os
import pwd

import pytest

from tests.integration.test_podman_traps import SERVER, compose, service
from tests.system.test_push import DEVICE, deployed, push, result_of  # pylint: disable=unused-import

USUAL = ["tc", "tcops"]


def exists(name):
    return any(entry.pw_name == name for entry in pwd.getpwall())


pytestmark = pytest.mark.skipif(os.geteuid() != 0 or any(map(exists, USUAL)),
                                reason="needs root, and a machine without the users tc and tcops")


def name_user(box, name):
    box.write_env("mgmt-agent.env", {**box.agent_env, "PODMAN_USER": name} if name else
                  {k: v for k, v in box.agent_env.items() if k != "PODMAN_USER"})


def restart(gateway, box):
    box.agent.stop()
    told = gateway.device(DEVICE)["statusAt"]
    box.start_agent()
    gateway.wait_reported(DEVICE, told)


def told(gateway, box):
    """What the box tells of it: to the cloud, and to who stands before it."""
    status = gateway.request("GET", f"/v1/devices/{DEVICE}/status").json["status"]
    checks = {c["id"]: c for c in json.loads(box.ctl("doctor", "--json").stdout)["checks"]}
    return status.get("unnamedRoot"), checks["podman-user"]


def test_without_a_user_nothing_is_deployed(gateway, fleet_box):
    name_user(fleet_box, None)
    answer = push(gateway, SERVER)
    result = result_of(answer)
    assert (answer.status, result["outcome"], result["error"]["id"]) == (503, "failed", "podman.no-user")
    for what in ("useradd --create-home tc", "loginctl enable-linger tc", "PODMAN_USER=root"):
        assert what in result["error"]["message"]
    assert fleet_box.ids() == {}
    unnamed, check = told(gateway, fleet_box)
    assert not unnamed and check["result"] == "fail" and "useradd --create-home tc" in check["detail"]

    name_user(fleet_box, "nobody-of-that-name")
    result = result_of(push(gateway, SERVER))
    assert result["error"]["id"] == "podman.no-user" and "'nobody-of-that-name'" in result["error"]["message"]

    name_user(fleet_box, "root")
    assert push(gateway, SERVER).status == 200
    unnamed, check = told(gateway, fleet_box)
    assert not unnamed and check["result"] == "pass" and "root" in check["detail"]


def test_what_root_runs_already_goes_on(gateway, deployed):  # pylint: disable=redefined-outer-name
    """As an earlier agent left it, which took root without a word."""
    before = deployed.ids()
    name_user(deployed, None)
    restart(gateway, deployed)
    assert deployed.ids() == before and deployed.running() == {"web"}
    unnamed, check = told(gateway, deployed)
    assert unnamed and check["result"] == "fail" and "PODMAN_USER=root" in check["advice"]

    answer = push(gateway, SERVER)
    assert (answer.status, result_of(answer)["noop"]) == (200, True)
    answer = push(gateway, compose(service("web"), service("more", "server:2")))
    assert answer.status == 200, answer
    assert deployed.ids()["web"] == before["web"] and deployed.running() == {"web", "more"}
    result = result_of(push(gateway, compose(service("web", "crash:1"))))
    assert result["outcome"] == "rolled-back" and deployed.running() == {"web", "more"}
    assert told(gateway, deployed)[0]

    name_user(deployed, "root")
    unnamed, check = told(gateway, deployed)
    assert not unnamed and check["result"] == "pass" and deployed.running() == {"web", "more"}

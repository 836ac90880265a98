# SPDX-License-Identifier: MIT
"""The files that a box is configured by are edited while its programs run, with a real gateway: who notices, who is told."""
# pylint: disable=redefined-outer-name,unused-import
import json
import os
import types

import pytest

pytest.importorskip("cryptography")
pytest.importorskip("websockets")

from tests.conftest import require_programs  # noqa: E402
from tests.integration.gateway_lab import NUMBERS, gw, shared  # noqa: E402
from tests.lab.box import Box  # noqa: E402
from tests.lab.fleet import Fleet  # noqa: E402
from tests.lab.util import wait_until  # noqa: E402


@pytest.fixture
def box(gw, folder):
    require_programs("mgmt-agent", "mgmt-link", "recovery-agent", "secboxctl", "secbox-fleet")
    name = f"edited-{next(NUMBERS)}"
    no_podman = types.SimpleNamespace(user="root", env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"})
    it = Box(no_podman, folder, gw.enroll(name))
    it.name, it.gw, it.fleet = name, gw, Fleet(gw.url, gw.token, folder)
    it.start()
    wait_until(lambda: gw.device(name).get("statusAt"), "the gateway knows how it stands", it.link.death)
    yield it
    it.stop()


def check(box, name):
    """One check of doctor."""
    return next(c for c in json.loads(box.ctl("doctor", "--json").stdout)["checks"] if c["id"] == name)


def faults(box):
    return {f["program"]: f["error"] for f in box.gw.device(box.name).get("configFaults", [])}


def audit(box, action):
    return [e for e in box.gw.audit(action) if e["device"] == box.name]


def test_a_fresh_box_is_well(box):
    assert "first push makes it" in check(box, "secbox.env")["detail"]
    assert {check(box, name)["result"] for name in ("mgmt-agent.env", "secbox.env", "configuration")} == {"pass"}
    report = json.loads(box.ctl("status", "--json").stdout)
    assert report["env"] == {"ok": True} and "configFaults" not in report
    assert not faults(box)


def test_the_doctor_says_the_same_to_the_gateway_as_on_the_box(box):
    box.write_env("mgmt-agent.env", {**box.agent_env, "CLOUD_CA_FILE": "/nowhere/ca.pem"})
    wait_until(lambda: {"mgmt-agent", "mgmt-link"} <= set(faults(box)), "the gateway shows it", box.link.death)
    here = box.ctl("doctor", "--json")
    p = box.fleet.run("doctor", box.name, "--json", check=1)
    there = json.loads(p.stdout)
    ours, theirs = [{c["id"]: c for c in document["checks"]} for document in (json.loads(here.stdout), there["box"])]
    assert list(ours) == list(theirs) and here.returncode == p.returncode == 1
    for name in ("mgmt-agent.env", "podman-user", "secbox.env", "configuration", "time-zone"):
        assert ours.get(name) == theirs.get(name), name
    known = {c["id"]: c for c in there["gateway"]["checks"]}
    assert known["configuration"]["result"] == "fail" and "/nowhere/ca.pem" in known["configuration"]["detail"]
    assert known["tunnel"]["result"] == known["clock"]["result"] == "pass", known
    assert box.agent_env["BOOTSTRAP"] not in p.stdout
    assert [e["actor"] for e in audit(box, "device.doctor")] == ["operator:lab"]
    box.link.stop()
    wait_until(lambda: not box.gw.device(box.name)["connected"], "the gateway misses it")
    away = json.loads(box.fleet.run("doctor", box.name, "--json", check=3).stdout)
    assert away["error"]["id"] == "device.offline" and "box" not in away
    assert next(c for c in away["gateway"]["checks"] if c["id"] == "tunnel")["since"]


def test_an_edit_that_is_refused_is_shown_by_doctor_and_the_gateway_until_it_is_mended(box):
    box.write_env("mgmt-agent.env", {**box.agent_env, "CLOUD_CA_FILE": "/nowhere/ca.pem"})
    wait_until(lambda: {"mgmt-agent", "mgmt-link"} <= set(faults(box)), "the gateway shows it", box.link.death)
    for program in ("mgmt-agent", "mgmt-link"):
        assert "/nowhere/ca.pem" in faults(box)[program]["message"]
    found = check(box, "configuration")
    assert found["result"] == "fail" and "/nowhere/ca.pem" in found["detail"] and "mgmt-link since 20" in found["detail"]
    shown = box.fleet.run("devices", "show", box.name, check=0).stdout
    line = next(x for x in shown.splitlines() if x.startswith("configuration"))
    assert "mgmt-link since 20" in line and "/nowhere/ca.pem" in line
    assert all(e["alarm"] for e in audit(box, "config.fault"))
    assert {e["detail"]["program"] for e in audit(box, "config.fault")} == {"mgmt-agent", "mgmt-link"}
    box.write_env("mgmt-agent.env", box.agent_env)
    wait_until(lambda: not faults(box), "all is well again", box.link.death)
    wait_until(lambda: {e["detail"]["program"] for e in audit(box, "config.well")} == {"mgmt-agent", "mgmt-link"}, "that is told")
    assert check(box, "configuration")["result"] == "pass"
    assert box.gw.device(box.name)["connected"]


def test_another_name_for_the_box_is_taken_without_a_restart(box):
    other = f"edited-{next(NUMBERS)}"
    box.agent_env = {**box.gw.enroll(other), "PODMAN_USER": "root"}
    box.write_env("mgmt-agent.env", box.agent_env)
    wait_until(lambda: box.gw.device(other).get("connected") and box.gw.device(other).get("statusAt"), "it is there as another",
               box.link.death)
    assert json.loads(box.ctl("status", "--json").stdout)["deviceId"] == other


def test_what_recovery_agent_tells_is_shown_with_the_rest(box):
    os.makedirs(box.path("run/tucomunidad/recovery"), exist_ok=True)
    fault = {"program": "recovery-agent", "since": "2026-01-02T03:04:05.678Z",
             "error": {"id": "config.value", "message": "/etc/ca.pem cannot be read"}}
    box.write("run/tucomunidad/recovery/config-fault.json", json.dumps(fault), 0o644)
    wait_until(lambda: faults(box).get("recovery-agent"), "the gateway shows it", box.link.death)
    assert "recovery-agent since 2026-01-02T03:04:05.678Z: /etc/ca.pem" in check(box, "configuration")["detail"]


def test_a_secbox_env_that_is_wrong_is_told_before_the_next_push_stumbles(box):
    box.write_env("secbox.env", {"CLOUD_BASE_URL": "${NOT_EXPANDED}", "DEVICE_ID": "x"})
    wait_until(lambda: faults(box).get("mgmt-agent", {}).get("id") == "env.unexpanded", "the gateway shows it", box.link.death)
    os.unlink(box.path("etc/tucomunidad/secbox.env"))
    wait_until(lambda: not faults(box), "all is well again", box.link.death)

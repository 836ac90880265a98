# SPDX-License-Identifier: MIT
"""What boxes get when they come: pushes that waited for them, and templates for those that have never had anything."""
# pylint: disable=redefined-outer-name,unused-import
import contextlib
import http.client
import json
import os
import subprocess

import pytest

pytest.importorskip("websockets")
pytest.importorskip("cryptography")

from tests.conftest import require_programs  # noqa: E402
from tests.integration.gateway_lab import COMPOSE, NUMBERS, device, enroll, error_id, gw, shared  # noqa: E402
from tests.lab.fleet import Fleet  # noqa: E402
from tests.lab.util import wait_until  # noqa: E402

OTHER = COMPOSE.replace(":1", ":2")
CURRENT = {"version": "7", "sha256": "0" * 64}


@pytest.fixture
def fleet(gw, folder):
    require_programs("secbox-fleet")
    return Fleet(gw.url, gw.token, folder)


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def deployments(gw, device):
    return gw.request("GET", f"/v1/devices/{device.id}/deployments").json["deployments"]


def answers(tunnel):
    """A question and its answer: whatever was to be sent before has been sent."""
    tunnel.send({"type": "auth.refresh", "proof": "no proof"})
    tunnel.next("auth.error")


def test_a_push_waits_for_a_box_that_is_away(gw, device, fleet, folder):
    first, second = write(folder, "a.yml", COMPOSE), write(folder, "b.yml", OTHER)
    for option in ("--now", "--wait"):  # whoever waits for the end hears that nothing runs
        p = fleet.run("push", device.id, first, option)
        assert p.returncode == 3 and "device.offline" in p.stderr
    p = fleet.run("push", device.id, first, "--reason", "the first", check=0)
    assert f"{device.id} is away: the push waits" in p.stdout
    assert "waiting" in fleet.run("devices", "show", device.id, check=0).stdout
    assert fleet.json("push", device.id, second)["waiting"]["device"] == device.id
    assert deployments(gw, device) == []
    # it outlives the gateway
    gw.stop()
    gw.start()
    tunnel = device.connect(device.status(current=CURRENT))
    snapshot = tunnel.next("compose.snapshot")
    assert snapshot["compose"] == OTHER and snapshot["version"] == "8", "above what the box has spoken of"
    assert "waiting" not in gw.device(device.id)
    tunnel.send(device.result(snapshot))
    tunnel.next("compose.result.ack")
    tunnel.send(device.status(current=CURRENT))
    answers(tunnel)
    assert [d["version"] for d in deployments(gw, device)] == ["8"]
    noted = [e["action"] for e in gw.audit() if e.get("device") == device.id and e["action"].startswith("compose.push")]
    assert sorted(noted) == ["compose.push"] + ["compose.push-refused-offline"] * 2 + ["compose.push-waits"] * 2


def test_what_waits_can_be_cancelled(gw, device, fleet, folder):
    path = write(folder, "a.yml", COMPOSE)
    fleet.run("push", device.id, path, check=0)
    assert "is cancelled" in fleet.run("push-cancel", device.id, check=0).stdout
    p = fleet.run("push-cancel", device.id)
    assert p.returncode == 1 and "waiting.not-found" in p.stderr
    tunnel = device.connect(device.status(current=CURRENT))
    answers(tunnel)
    assert deployments(gw, device) == []


def test_what_waits_outlasts_the_update_of_an_image(gw, fleet, folder):
    site = f"site-{next(NUMBERS)}"
    box = enroll(gw, f"waits-{site}", site=site)
    assert box.claim().status == 201
    fleet.run("push", box.id, write(folder, "a.yml", COMPOSE), check=0)
    able = {"current": CURRENT, "accepts": ["image.update"]}
    tunnel = box.connect(box.status(pending={"phase": "tunnel"}, **able))
    answers(tunnel)
    assert deployments(gw, box) == [], "it has something of its own to end first"
    answer = gw.request("POST", "/v1/rollouts", {"image": "registry.example/web:1", "digest": f"sha256:{1:064x}", "soakSeconds": 0,
                                                 "labels": {"site": site}})
    assert answer.status == 201, answer
    update = tunnel.next("image.update")
    tunnel.send(box.result(update))
    tunnel.next("compose.result.ack")
    tunnel.send(box.status(**able))
    assert tunnel.next("compose.snapshot")["compose"] == COMPOSE
    box.close()


def test_what_waits_brings_its_files(gw, fleet, folder):
    site = f"site-{next(NUMBERS)}"
    box = enroll(gw, f"files-{site}", site=site)
    assert box.claim().status == 201
    project = os.path.join(folder, site)
    os.makedirs(project)
    text = COMPOSE.rstrip("\n") + "\n    volumes: ['./site.conf:/etc/site.conf']\n"
    write(project, "site.conf", "one\n")
    path = write(project, "compose.yml", text)
    digest = fleet.json("push", box.id, path)["waiting"]["digest"]
    # long afterwards it is still wanted, and what nobody wants any more is not
    archives = os.path.join(gw.state, "bundles")
    assert digest.removeprefix("sha256:") in os.listdir(archives)
    write(archives, "0" * 64, "nobody's")
    for name in os.listdir(archives):
        os.utime(os.path.join(archives, name), (1, 1))
    gw.stop()
    gw.start()
    wait_until(lambda: "0" * 64 not in os.listdir(archives), "what nobody wants is removed")
    tunnel = box.connect(box.status(current=CURRENT, accepts=["bundle"]))
    snapshot = tunnel.next("compose.snapshot")
    assert snapshot["bundle"] == {"digest": digest} and snapshot["compose"] == text
    tunnel.send(box.result(snapshot))
    tunnel.next("compose.result.ack")
    box.close()


def test_a_box_that_says_it_is_too_old_gets_no_template_for_ever(gw, fleet, folder):
    """What it says of an order is its own word, and each one is a deployment."""
    site = f"site-{next(NUMBERS)}"
    fleet.run("template", "set", f"t-{site}", write(folder, "a.yml", COMPOSE), "--selector", f"site={site}", check=0)
    box = enroll(gw, f"says-{site}", site=site)
    assert box.claim().status == 201
    tunnel = box.connect(box.status())
    for _ in range(4):
        snapshot = tunnel.next("compose.snapshot")
        tunnel.send(box.result(snapshot, 422, "prove", "failed", error={"id": "bundle.unsupported", "message": "no"}))
        tunnel.next("compose.result.ack")
        tunnel.send(box.status())
    answers(tunnel)
    assert len(deployments(gw, box)) == 4
    fleet.run("template", "remove", f"t-{site}", check=0)
    box.close()


def test_files_that_wait_for_an_agent_that_is_too_old(gw, fleet, folder):
    site = f"site-{next(NUMBERS)}"
    box = enroll(gw, f"old-{site}", site=site)
    assert box.claim().status == 201
    project = os.path.join(folder, site)
    os.makedirs(project)
    write(project, "site.conf", "one\n")
    fleet.run("push", box.id, write(project, "compose.yml", COMPOSE.rstrip("\n") + "\n    volumes: ['./site.conf:/s']\n"), check=0)
    tunnel = box.connect(box.status(current=CURRENT, accepts=["image.update"]))
    answers(tunnel)
    entry = wait_until(lambda: [d for d in deployments(gw, box) if d["state"] != "open"], "it has ended")[0]
    assert entry["error"]["id"] == "bundle.unsupported", entry
    box.close()


def test_a_template_brings_its_files(gw, fleet, folder):
    site = f"site-{next(NUMBERS)}"
    project = os.path.join(folder, site)
    os.makedirs(project)
    write(project, "site.conf", "one\n")
    path = write(project, "compose.yml", COMPOSE.rstrip("\n") + "\n    volumes: ['./site.conf:/s']\n")
    template = fleet.json("template", "set", f"t-{site}", path, "--selector", f"site={site}")["template"]
    assert template["digest"].startswith("sha256:")
    alone = fleet.json("template", "set", f"t-{site}", path, "--selector", f"site={site}", "--no-files")["template"]
    assert "digest" not in alone and alone["sha256"] != template["sha256"]
    fleet.run("template", "set", f"t-{site}", path, "--selector", f"site={site}", check=0)
    box = enroll(gw, f"new-{site}", site=site)
    assert box.claim().status == 201
    tunnel = box.connect(box.status(accepts=["bundle"]))
    snapshot = tunnel.next("compose.snapshot")
    assert snapshot["bundle"] == {"digest": template["digest"]}
    tunnel.send(box.result(snapshot))
    tunnel.next("compose.result.ack")
    fleet.run("template", "remove", f"t-{site}", check=0)
    box.close()


def begin(gw, method, path, body=None):
    """A request whose answer is read later."""
    connection = http.client.HTTPConnection(gw.host, gw.port)
    connection.request(method, path, body and json.dumps(body), {"Authorization": f"Bearer {gw.token}",
                                                                 "Content-Type": "application/json"})
    return connection


def test_a_push_that_comes_while_another_is_cancelled_waits(gw, device, fleet, folder):
    """Both are let in at once, so that the push is noted before the cancellation ends."""
    fleet.run("push", device.id, write(folder, "a.yml", COMPOSE), check=0)
    with subprocess.Popen(["psql", "-q", gw.postgres.conninfo], stdin=subprocess.PIPE, text=True) as locker:
        locker.stdin.write("BEGIN; LOCK TABLE operator_tokens IN ACCESS EXCLUSIVE MODE;\n")
        locker.stdin.flush()
        wait_until(lambda: gw.postgres.sql("SELECT 1 FROM pg_locks WHERE relation = 'operator_tokens'::regclass AND mode ="
                                           " 'AccessExclusiveLock' AND granted"), "the tokens are locked")
        cancel = begin(gw, "DELETE", f"/v1/devices/{device.id}/waiting")
        wait_until(lambda: gw.postgres.sql("SELECT 1 FROM pg_locks WHERE NOT granted"), "the cancellation waits to be let in")
        push = begin(gw, "POST", f"/v1/devices/{device.id}/compose-snapshot?wait=0&offline=wait", {"compose": OTHER})
        assert http_status(begin(gw, "GET", "/healthz")) == 200, "the gateway has seen it by now"
        locker.communicate("COMMIT;\n")
    assert http_status(cancel) == 200 and http_status(push) == 202
    tunnel = device.connect(device.status(current=CURRENT))
    assert tunnel.next("compose.snapshot")["compose"] == OTHER


def http_status(connection):
    with contextlib.closing(connection):
        return connection.getresponse().status


def test_a_new_box_gets_the_template_with_most_of_its_labels(gw, fleet, folder):
    name = f"t{next(NUMBERS)}"
    every, north = write(folder, "a.yml", COMPOSE), write(folder, "b.yml", OTHER)
    assert fleet.run("template", "set", name, every).returncode == 2
    fleet.run("template", "set", f"{name}-every", every, "--selector", "", check=0)
    fleet.run("template", "set", f"{name}-north", north, "--selector", "site=north", check=0)
    try:
        assert fleet.run("template", "show", f"{name}-north", check=0).stdout == OTHER
        listed = {t["name"]: t["selector"] for t in fleet.json("template", "list")["templates"]}
        assert listed[f"{name}-every"] == {} and listed[f"{name}-north"] == {"site": "north"}
        box = enroll(gw, f"new-{next(NUMBERS)}")  # site=north
        assert box.claim().status == 201
        tunnel = box.connect(box.status())
        snapshot = tunnel.next("compose.snapshot")
        assert snapshot["compose"] == OTHER
        # where it failed, it does not come again; only a rollout brings another one
        tunnel.send(box.result(snapshot, 500, "prove", "failed", error={"id": "prove.not-running", "message": "no"}))
        tunnel.next("compose.result.ack")
        tunnel.send(box.status())
        answers(tunnel)
        box.close()
        tunnel = box.connect(box.status())
        answers(tunnel)
        assert [d["state"] for d in deployments(gw, box)] == ["failed"]
        box.close()
        # nor does it touch what runs already
        other = enroll(gw, f"new-{next(NUMBERS)}")
        assert other.claim().status == 201
        tunnel = other.connect(other.status(current=CURRENT))
        answers(tunnel)
        assert deployments(gw, other) == []
        other.close()
    finally:
        for suffix in ("every", "north"):
            fleet.run("template", "remove", f"{name}-{suffix}", check=0)
    p = fleet.run("template", "show", f"{name}-north")
    assert p.returncode == 1 and "template.not-found" in p.stderr
    answer = gw.request("PUT", "/v1/templates/x", {"selector": {"a": 1}, "compose": COMPOSE})
    assert answer.status == 400 and error_id(answer) == "template.bad-selector"
    assert gw.request("PUT", "/v1/templates/x", {"selector": {}, "compose": "services: 7\n"}).status in (400, 422)

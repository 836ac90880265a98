# SPDX-License-Identifier: MIT
"""Projects of boxes at a real gateway, with simulated boxes: what is carried to whom, and what is remembered of it."""
# pylint: disable=redefined-outer-name,unused-import
import base64
import json
import os

import pytest

from tests.conftest import require_programs
from tests.integration.gateway_lab import COMPOSE, Push, device, error_id, gw, shared
from tests.lab.bundles import archive, bring
from tests.lab.fleet import Fleet
from tests.lab.util import wait_until

ACCEPTS = {"accepts": ["compose.rollback", "orders.signed", "project"]}


@pytest.fixture
def fleet(gw, folder):
    require_programs("secbox-fleet")
    home = os.path.join(folder, "home")
    os.mkdir(home)
    return Fleet(gw.url, gw.token, home)


@pytest.fixture
def file(folder):
    path = os.path.join(folder, "compose.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(COMPOSE)
    return path


def reported(gw, device, status):
    """A tunnel whose agent has said so, and the gateway has heard it."""
    tunnel = device.connect(status)
    wait_until(lambda: error_id(gw.request("POST", f"/v1/devices/{device.id}/doctor", {})) == "doctor.unsupported",
               "the gateway has heard the agent")
    return tunnel


def end(tunnel, device, order, **more):
    tunnel.send(device.result(order, **more))
    tunnel.next("compose.result.ack")


def test_a_push_of_a_project_is_one_of_its_own(gw, device):
    tunnel = reported(gw, device, ACCEPTS)
    own = Push(gw, device)
    end(tunnel, device, tunnel.next("compose.snapshot"))
    assert own.end().status == 200
    push = Push(gw, device, project="blog")
    order = tunnel.next("compose.snapshot")
    assert order["project"] == "blog"
    end(tunnel, device, order, project="blog")
    assert push.end().json["deployment"]["project"] == "blog"
    path = f"/v1/devices/{device.id}/deployments"
    assert [d["version"] for d in gw.request("GET", path).json["deployments"]] == ["1"]
    assert [d["version"] for d in gw.request("GET", path + "?project=blog").json["deployments"]] == ["2"]
    assert gw.request("GET", path + "?project=secbox").json == gw.request("GET", path).json
    assert gw.request("GET", path + "?project=../x").status == 400
    entry = [e for e in gw.audit("compose.push") if e["device"] == device.id][0]
    assert entry["detail"]["project"] == "blog"


def test_the_own_project_s_name_is_no_project(gw, device):
    tunnel = reported(gw, device, {"accepts": ["compose.rollback"]})
    push = Push(gw, device, project="secbox")
    order = tunnel.next("compose.snapshot")
    assert "project" not in order, "so an older box takes it"
    end(tunnel, device, order)
    assert push.end().status == 200


def test_an_older_box_gets_no_project(gw, device):
    tunnel = reported(gw, device, {"accepts": ["compose.rollback", "bundle"]})
    base = f"/v1/devices/{device.id}"
    for path, body in (("/compose-snapshot", {"compose": COMPOSE}), ("/rollback", {}), ("/plan", {"compose": COMPOSE})):
        answer = gw.request("POST", base + path, {**body, "project": "blog"})
        assert (answer.status, error_id(answer)) == (422, "project.unsupported"), answer
    answer = gw.request("POST", f"{base}/projects/blog", {"action": "remove"})
    assert error_id(answer) == "project.unsupported", answer
    assert error_id(gw.request("GET", f"{base}/status?project=blog")) == "project.unsupported"
    assert tunnel.silent() == [], "it would have taken it for its own"
    for name in ("A", "", "../x", "x" * 41, 7):
        assert gw.request("POST", f"{base}/compose-snapshot", {"compose": COMPOSE, "project": name}).status == 400


def test_one_that_was_lost_is_sent_again_as_what_it_is(gw, device):
    tunnel = reported(gw, device, ACCEPTS)
    answer = gw.request("POST", f"/v1/devices/{device.id}/compose-snapshot?wait=0", {"compose": COMPOSE, "project": "blog"})
    assert answer.status == 202, answer
    first = tunnel.next("compose.snapshot")
    second = device.connect(ACCEPTS).next("compose.snapshot")
    assert (second["id"], second["project"]) == (first["id"], "blog")


def test_a_version_is_above_all_that_a_project_has_had(gw, device):
    tunnel = reported(gw, device, {**ACCEPTS, "projects": [{"name": "blog", "floor": "41"}]})
    push = Push(gw, device, project="blog")
    order = tunnel.next("compose.snapshot")
    assert order["version"] == "42"
    end(tunnel, device, order, project="blog")
    assert push.end().status == 200


def test_a_release_is_the_boxs_own(gw, device):
    tunnel = reported(gw, device, {"accepts": [*ACCEPTS["accepts"], "release.update"]})
    data, name = archive({"bin": device.id})
    assert bring(gw, name, data)[0] == 200
    answer = gw.request("POST", f"/v1/devices/{device.id}/release?wait=0",
                        {"to": "2", "bundle": {"digest": name}, "project": "blog"})
    assert answer.status == 202, answer
    order = tunnel.next("release.update")
    assert order["to"] == "2" and "project" not in order
    end(tunnel, device, order)
    listed, = gw.request("GET", f"/v1/devices/{device.id}/deployments").json["deployments"]
    assert (listed["kind"], "project" in listed) == ("release", False)


def test_orders_about_a_whole_project(gw, device, fleet):
    tunnel = reported(gw, device, ACCEPTS)
    with fleet.start("remove", device.id, "blog", "--volumes") as p:
        order = tunnel.next("project.order")
        assert (order["project"], order["action"], order["volumes"]) == ("blog", "remove", True)
        tunnel.send({"type": "project.result", "id": order["id"], "project": "blog", "ok": True})
        assert p.wait() == 0 and "remove of project blog" in p.stdout.read()
    with fleet.start("stop", device.id, "shop") as p:
        order = tunnel.next("project.order")
        assert (order["action"], "volumes" in order) == ("stop", False)
        tunnel.send({"type": "project.result", "id": order["id"], "project": "shop", "ok": False,
                     "error": {"id": "project.unknown", "message": "this box has no project shop"}})
        assert p.wait() == 1 and "has no project shop" in p.stderr.read()
    for action in ({"action": "explode"}, {"action": ["stop"]}, {}):  # the box is not asked, and nothing is written down
        answer = gw.request("POST", f"/v1/devices/{device.id}/projects/blog", action)
        assert (answer.status, answer.json["error"]["id"]) == (400, "project.bad-action"), answer
    assert len([e for e in gw.audit("project.order") if e["device"] == device.id]) == 2
    entry = [e for e in gw.audit("project.order") if e["device"] == device.id][-1]
    assert entry["detail"] == {"project": "blog", "action": "remove", "volumes": True}


def test_the_command_line_names_it_everywhere(gw, device, fleet, file):
    tunnel = reported(gw, device, ACCEPTS)
    with fleet.start("plan", device.id, file, "--project", "blog") as p:
        asked = tunnel.next("compose.plan")
        assert asked["project"] == "blog"
        tunnel.send({"type": "compose.plan.result", "id": asked["id"], "status": 200, "phase": "preflight",
                     "plan": {"changes": 0, "steps": []}})
        assert p.wait() == 0
    with fleet.start("apps", device.id) as p:
        asked = tunnel.next("status.get")
        tunnel.send({"type": "status.report", "id": asked["id"], "status": {
            "current": {"version": "4"}, "services": [], "projects": [
                {"name": "blog", "version": "7", "stopped": True, "services": [{"name": "web", "state": "exited"}]}]}})
        text = p.stdout.read()
        assert p.wait() == 0 and "stopped" in text and "web: exited" in text and "secbox" in text
    key = os.path.join(fleet.home, "key")
    fleet.run("keygen", key, check=0)
    with fleet.start("push", device.id, file, "--project", "blog", "--key", key) as p:
        order = tunnel.next("compose.snapshot")
        assert order["project"] == "blog"
        assert json.loads(base64.b64decode(order["order"]["statement"]))["project"] == "blog", "and it is signed"
        end(tunnel, device, order, project="blog")
        assert p.wait() == 0
    assert [d["project"] for d in fleet.json("history", device.id, "--project", "blog")["deployments"]] == ["blog"]


NAMED = "name: ${NAME:-blog}\n" + COMPOSE


def deploy(gw, tunnel, device, **body):
    """A push that ends well; the order that the box got."""
    push = Push(gw, device, **body)
    order = tunnel.next("compose.snapshot")
    end(tunnel, device, order, **({"project": order["project"]} if "project" in order else {}))
    assert push.end().status == 200
    return order


def asked(gw, device, text=NAMED):
    return gw.request("POST", f"/v1/devices/{device.id}/project", {"compose": text})


def test_the_file_s_name_names_the_project(gw, device, fleet, folder):
    tunnel = reported(gw, device, ACCEPTS)
    path = os.path.join(folder, "named.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(NAMED)
    assert asked(gw, device).json == {"project": "blog"}
    assert asked(gw, device, COMPOSE).json == asked(gw, device, "name: secbox\n" + COMPOSE).json == {"project": "secbox"}
    assert deploy(gw, tunnel, device, compose=NAMED)["project"] == "blog"
    assert "project" not in deploy(gw, tunnel, device, compose="name: secbox\n" + COMPOSE)
    assert deploy(gw, tunnel, device, compose=NAMED, project="shop")["project"] == "shop", "what is said goes before"
    with fleet.start("plan", device.id, path) as p:
        plan = tunnel.next("compose.plan")
        assert plan["project"] == "blog"
        tunnel.send({"type": "compose.plan.result", "id": plan["id"], "status": 200, "phase": "preflight",
                     "plan": {"changes": 0, "steps": []}})
        assert p.wait() == 0 and "project blog, as the file says" in p.stderr.read()
    key = os.path.join(fleet.home, "key")
    fleet.run("keygen", key, check=0)
    with fleet.start("push", device.id, path, "--key", key) as p:
        order = tunnel.next("compose.snapshot")
        assert order["project"] == json.loads(base64.b64decode(order["order"]["statement"]))["project"] == "blog"
        end(tunnel, device, order, project="blog")
        assert p.wait() == 0


def test_what_is_the_own_project_already_stays_that(gw, device, fleet, folder):
    tunnel = reported(gw, device, ACCEPTS)
    path = os.path.join(folder, "named.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(NAMED.replace(":1", ":2"))
    assert "project" not in deploy(gw, tunnel, device, compose=NAMED, project="secbox"), "as every push was once"
    assert asked(gw, device).json == {"project": "secbox"}
    assert "project" not in deploy(gw, tunnel, device, compose=NAMED)
    with fleet.start("push", device.id, path) as p:
        order = tunnel.next("compose.snapshot")
        assert "project" not in order
        end(tunnel, device, order)
        told = p.stderr.read()
        assert p.wait() == 0 and "stays that" in told and "--project blog moves it" in told, told
    assert asked(gw, device, NAMED.replace("blog", "other")).json == {"project": "other"}
    # moved: while both have it, somebody has to say which is meant
    assert deploy(gw, tunnel, device, compose=NAMED, project="blog")["project"] == "blog"
    tunnel.send(device.status(**ACCEPTS, projects=[{"name": "blog", "floor": "4", "version": "4"}]))
    answer = wait_until(lambda: (lambda a: a if a.status != 200 else None)(asked(gw, device)), "the report is stored")
    assert (answer.status, error_id(answer)) == (409, "project.unclear"), answer
    assert error_id(gw.request("POST", f"/v1/devices/{device.id}/compose-snapshot", {"compose": NAMED})) == "project.unclear"
    assert "project" not in deploy(gw, tunnel, device, compose=COMPOSE)
    assert asked(gw, device).json == {"project": "blog"}
    # what it runs counts, not what came last: somebody has gone back
    first = gw.request("GET", f"/v1/devices/{device.id}/deployments").json["deployments"][-1]
    tunnel.send(device.status(**ACCEPTS, current={"version": "1", "sha256": first["sha256"]}))
    wait_until(lambda: asked(gw, device).json == {"project": "secbox"}, "the report is stored")


def test_names_that_are_none_and_boxes_that_take_none(gw, device, fleet, folder):
    tunnel = reported(gw, device, {"accepts": ["compose.rollback", "orders.signed"]})
    base = f"/v1/devices/{device.id}"
    for route in ("/compose-snapshot", "/plan", "/project"):
        answer = gw.request("POST", base + route, {"compose": COMPOSE + "name: My Blog\n"})
        assert (answer.status, error_id(answer)) == (400, "project.bad-name"), answer
        assert answer.json["error"]["line"] == len(COMPOSE.splitlines()) + 1
    for route in ("/compose-snapshot", "/plan"):
        answer = gw.request("POST", base + route, {"compose": NAMED})
        assert (answer.status, error_id(answer)) == (422, "project.unsupported") and "--project secbox" in str(answer.json)
    assert tunnel.silent() == []
    path = os.path.join(folder, "bad.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write("name: ${NOBODY}\n" + COMPOSE)
    p = fleet.run("push", device.id, path)
    assert p.returncode == 1 and "bad.yaml:1" in p.stderr and "--project" in p.stderr, p.stderr
    assert "project" not in deploy(gw, tunnel, device, compose=NAMED, project="secbox")
    assert gw.request("POST", "/v1/devices/nobody/project", {"compose": NAMED}).status == 404

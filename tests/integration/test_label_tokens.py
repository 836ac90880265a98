# SPDX-License-Identifier: MIT
"""Operator tokens that are bound to labels: they see and change the boxes with these labels, and nothing else."""
# pylint: disable=redefined-outer-name,unused-import
import json
import subprocess

import pytest

from tests.integration.gateway_lab import COMPOSE, NUMBERS, enroll, error_id, gw, shared
from tests.lab.bundles import archive, bring
from tests.lab.util import program

IMAGE = {"image": "registry.example/web", "digest": "sha256:" + "5" * 64}


class Bound:
    """Somebody whose token is bound to site=SITE."""

    def __init__(self, gw, site, role="operator"):
        self.gw = gw
        name = f"{role}-{site}-{next(NUMBERS)}"
        self.token = gw.run("tokens", "add", name, "--role", role, "--label", f"site={site}").strip()

    def ask(self, method, path, body=None):
        return self.gw.raw(method, path, body, {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})

    def refused(self, method, path, body=None):
        answer = self.ask(method, path, body)
        assert (answer.status, error_id(answer)) == (403, "auth.labels"), (method, path, answer)
        return answer.json["error"]["message"]


@pytest.fixture
def sites(gw):
    """A box here and one there, each of a site of its own, which nobody else has."""
    n = next(NUMBERS)
    boxes = {}
    for site in (f"here{n}", f"there{n}"):
        boxes[site] = enroll(gw, f"box-{site}", site=site)
        assert boxes[site].claim().status == 201
    yield list(boxes.values())
    for box in boxes.values():
        box.close()


@pytest.fixture
def bound(gw, sites):
    return Bound(gw, sites[0].id.removeprefix("box-"))


def test_lists_show_what_the_labels_reach(gw, sites, bound):
    here, there = (box.id for box in sites)
    for box in (here, there):
        assert gw.request("POST", "/v1/grants", {"device": box, "reason": "to be listed"}).status == 201
    assert [d["id"] for d in bound.ask("GET", "/v1/devices").json["devices"]] == [here]
    assert {g["device"] for g in bound.ask("GET", "/v1/grants").json["grants"]} == {here}
    assert bound.ask("GET", f"/v1/grants?device={there}").json["grants"] == []
    gw.postgres.sql("INSERT INTO bridge_sessions(id, grant_id, way, opened_at)"
                    f" SELECT 's-' || device, id, 'mgmt', now() FROM grants WHERE device IN ('{here}', '{there}')")
    assert {s["device"] for s in bound.ask("GET", "/v1/sessions").json["sessions"]} == {here}
    assert bound.ask("GET", f"/v1/sessions?device={there}").json["sessions"] == []
    assert {here, there} <= {s["device"] for s in gw.request("GET", "/v1/sessions").json["sessions"]}
    entries = bound.ask("GET", "/v1/audit").json["entries"]
    assert {e["device"] for e in entries} == {here} and "grant.added" in {e["action"] for e in entries}
    assert there in {d["id"] for d in gw.request("GET", "/v1/devices").json["devices"]}


def test_only_the_boxes_with_the_labels(gw, sites, bound):
    here, there = (box.id for box in sites)
    sites[0].connect()
    assert bound.ask("GET", f"/v1/devices/{here}").status == 200
    assert bound.ask("POST", f"/v1/devices/{here}/block").status == 200
    assert bound.ask("POST", f"/v1/devices/{here}/unblock").status == 200
    for method, what, body in (("GET", "", None), ("POST", "/block", None), ("POST", "/bootstrap", None),
                               ("GET", "/deployments", None), ("POST", "/compose-snapshot", {"compose": COMPOSE}),
                               ("GET", "/bridge", None), ("GET", "/health", None)):
        said = bound.refused(method, f"/v1/devices/{there}{what}", body)
        assert there in said and f"site={here.removeprefix('box-')}" in said
        nowhere = bound.refused(method, f"/v1/devices/nowhere{what}", body)
        assert nowhere == said.replace(there, "nowhere"), "what exists is not told"
    assert not gw.device(there)["blocked"]
    assert error_id(bound.ask("DELETE", f"/v1/devices/{here}")) == "auth.role", "labels give no role"


def test_grants_of_others_boxes_are_out_of_reach(gw, sites, bound):
    here, there = (box.id for box in sites)
    bound.refused("POST", "/v1/grants", {"device": there, "reason": "just so"})
    assert error_id(gw.request("POST", "/v1/grants", {"device": "nowhere", "reason": "just so"})) == "device.not-found"
    own = bound.ask("POST", "/v1/grants", {"device": here, "reason": "my own"}).json["grant"]["id"]
    foreign = gw.request("POST", "/v1/grants", {"device": there, "reason": "theirs"}).json["grant"]["id"]
    assert bound.ask("GET", f"/v1/grants/{own}").status == 200
    said = [bound.refused(*what) for what in (("GET", f"/v1/grants/{foreign}"), ("POST", f"/v1/grants/{foreign}/revoke"),
                                             ("POST", f"/v1/grants/{foreign}/certificate", {}), ("GET", "/v1/grants/g-0"))]
    assert len(set(said)) == 1
    assert bound.ask("POST", f"/v1/grants/{own}/revoke").json["grant"]["state"] == "revoked"


def test_rollouts_reach_the_boxes_with_the_labels_alone(gw, sites, bound):
    here, there = (box.id for box in sites)
    site = here.removeprefix("box-")
    answer = bound.ask("POST", "/v1/rollouts", IMAGE)
    assert answer.status == 201 and answer.json["rollout"]["labels"] == {"site": site}, answer
    own = answer.json["rollout"]["id"]
    assert gw.postgres.sql(f"SELECT device FROM rollout_boxes WHERE rollout = '{own}'") == [[here]]
    said = bound.refused("POST", "/v1/rollouts", {**IMAGE, "labels": {"site": there.removeprefix("box-")}})
    assert f"site={site}" in said
    other = gw.request("POST", "/v1/rollouts", {"image": "registry.example/other", "digest": IMAGE["digest"]})
    assert other.status == 201, other
    other = other.json["rollout"]["id"]
    assert [r["id"] for r in bound.ask("GET", "/v1/rollouts?limit=200").json["rollouts"]] == [own]
    for what in ("pause", "resume", "abort"):
        bound.refused("POST", f"/v1/rollouts/{other}/{what}")
    bound.refused("GET", f"/v1/rollouts/{other}")
    bound.refused("GET", "/v1/rollouts/r-none")
    assert bound.ask("POST", f"/v1/rollouts/{own}/abort").json["rollout"]["state"] == "aborted"
    assert gw.request("POST", f"/v1/rollouts/{other}/abort").status == 200


def test_secrets_are_sealed_for_own_boxes_alone(gw, sites, bound):
    here, there = (box.id for box in sites)
    data, digest = archive({"sealed": here})
    assert bring(gw, digest, data, bound.token)[0] == 200
    path, key = f"/v1/bundles/{digest}/keys", "A" * 107
    for keys in ({there: key}, {here: key, there: key}, {"nowhere": key}):
        bound.refused("POST", path, {"keys": keys})
    for _ in range(2):
        assert bound.ask("POST", path, {"keys": {here: key}}).status == 200
    assert gw.request("POST", path, {"keys": {here: key, there: key}}).status == 200
    bound.refused("POST", path, {"keys": {here: key}})  # the other box would have none any more


def test_no_keys_for_files_that_others_push(gw, sites, bound):
    """Nothing in them is sealed, or there were keys; with keys for some boxes the others would get the files no more."""
    here, there = (box.id for box in sites)
    data, digest = archive({"plain": there})
    assert bring(gw, digest, data)[0] == 200
    name = f"plain-{next(NUMBERS)}"
    assert gw.request("PUT", f"/v1/templates/{name}",
                      {"compose": COMPOSE, "selector": {"site": "nowhere"}, "bundle": {"digest": digest}}).status == 200
    bound.refused("POST", f"/v1/bundles/{digest}/keys", {"keys": {here: "A" * 107}})
    assert gw.request("DELETE", f"/v1/templates/{name}").status == 200
    assert bound.ask("POST", f"/v1/bundles/{digest}/keys", {"keys": {here: "A" * 107}}).status == 200


def test_what_is_about_the_whole_fleet_is_refused_with_what_to_do(gw, sites):
    admin = Bound(gw, sites[0].id.removeprefix("box-"), role="admin")
    for method, path, body in (("POST", "/v1/devices", {"id": "new"}),
                               ("PATCH", f"/v1/devices/{sites[0].id}", {"labels": {"site": "x"}}),
                               ("GET", "/v1/templates", None), ("POST", "/v1/enrolments", {}),
                               ("GET", "/v1/pending-devices", None), ("GET", "/v1/communities", None),
                               ("PUT", "/v1/communities/c1", {"name": "C"})):
        assert "secbox-gateway tokens add NAME" in admin.refused(method, path, body)
    assert admin.ask("DELETE", f"/v1/devices/{sites[0].id}").status == 200


def test_several_labels_and_how_they_are_shown(gw, sites):
    here = sites[0].id.removeprefix("box-")
    gw.request("PATCH", f"/v1/devices/{sites[0].id}", {"labels": {"floor": "2"}})
    tokens = {}
    for floor, more in (("2", ["--label", "floor=2"]), ("3", ["--label", "floor=3"])):
        tokens[floor] = gw.run("tokens", "add", f"floor{floor}-{here}", "--label", f"site={here}", *more).strip()
    tokens["both"] = gw.run("tokens", "add", f"both-{here}", "--label", f"site={here},floor=2").strip()
    for floor, found in (("2", 1), ("3", 0), ("both", 1)):
        answer = gw.raw("GET", "/v1/devices", None, {"Authorization": f"Bearer {tokens[floor]}"})
        assert len(answer.json["devices"]) == found, floor
    listed = {t["name"]: t for t in json.loads(gw.run("tokens", "list", "--json"))["tokens"]}
    assert listed[f"both-{here}"]["labels"] == {"site": here, "floor": "2"} and listed[f"both-{here}"]["role"] == "operator"
    shown = next(line for line in gw.run("tokens", "list").splitlines() if line.startswith(f"both-{here} "))
    assert "labels" not in listed["lab"] and set(shown.split()[-1].split(",")) == {"floor=2", f"site={here}"}
    assert gw.audit("token.added")[0]["detail"] == {"name": f"both-{here}", "role": "operator",
                                                    "labels": {"site": here, "floor": "2"}}
    for wrong in ("site", "=north", "site=a,site=b", ""):
        p = subprocess.run([program("secbox-gateway"), "tokens", "add", "wrong", "--label", wrong], env=gw.env,
                           capture_output=True, text=True, check=False)
        assert p.returncode == 2 and "--label takes KEY=VALUE" in p.stderr, wrong


def test_a_gateway_that_knows_no_labels_refuses_such_a_token(gw, sites, bound):
    """It reads name and role alone, and no role of its own is called that."""
    assert gw.postgres.sql("SELECT DISTINCT role FROM operator_tokens WHERE labels <> '{}'") in (
        [["bound:operator"]], [["bound:operator"], ["bound:admin"]], [["bound:admin"], ["bound:operator"]])
    gw.postgres.sql("UPDATE operator_tokens SET labels = '{}' WHERE labels <> '{}'")  # whoever cuts them off gains nothing
    answer = bound.ask("GET", "/v1/devices")
    assert (answer.status, error_id(answer)) == (403, "auth.role")

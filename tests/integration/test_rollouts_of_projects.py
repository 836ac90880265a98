# SPDX-License-Identifier: MIT
"""Rollouts of projects beside the boxes' own."""
# pylint: disable=redefined-outer-name,unused-import
import pytest

from tests.integration.gateway_lab import COMPOSE, error_id, gw, shared
from tests.integration.test_rollouts import action, audit, boxes, changed, command, fleet, site, start, total, wait_state
from tests.lab.fleet_sim import DONE, ROLLED_BACK
from tests.lab.postgres import PostgresError


def test_another_project_is_rolled_out_beside_the_own(gw, fleet, site):
    """With groups, a failure that is taken back, a box that is too old, and both projects at once on the same boxes."""
    everyone = boxes(fleet, site, 4)
    old, bad = everyone[0], everyone[1]
    seen = {box.id: [] for box in everyone}
    for box in everyone:
        fleet.disconnect(box)
        box.accepts = ["image.update", "bundle", *(() if box is old else ("project",))]
        box.outcome = lambda message, box=box: seen[box.id].append(message) or (ROLLED_BACK if box is bad else DONE)
        fleet.connect(box)
    rollout = start(gw, site, compose=COMPOSE, project="blog", groups="100%", haltAt="100%")
    assert (rollout["kind"], rollout["project"]) == ("compose", "blog")
    end = wait_state(gw, rollout, "done")
    assert {b["device"]: b["error"]["id"] for b in end["skipped"]} == {old.id: "rollout.old-agent"}
    assert "project" in end["skipped"][0]["error"]["message"] and changed(old) == []
    assert [b["device"] for b in end["failures"]] == [bad.id] and total(end, "done") == 2
    assert all(messages[0]["project"] == "blog" for box, messages in seen.items() if box != old.id)
    history = f"/v1/devices/{bad.id}/deployments"
    assert gw.request("GET", history).json["deployments"] == []
    entry = gw.request("GET", history + "?project=blog").json["deployments"][-1]
    assert (entry["kind"], entry["state"], entry["rollout"]) == ("compose", "rolled-back", rollout["id"])
    own = start(gw, site, compose=COMPOSE, groups="100%", haltAt="100%")
    assert "project" not in own and wait_state(gw, own, "done")
    assert "project" not in seen[everyone[3].id][-1] and changed(old) == [COMPOSE]
    assert "of project blog" in command(gw, "rollout", "status", rollout["id"]).stdout
    started = [e["detail"] for e in audit(gw, rollout) if e["action"] == "rollout.started"]
    assert [d["project"] for d in started] == ["blog"]


def test_a_gateway_of_before_sends_no_project_s_rollout(gw, fleet, site):
    """It does not know the column, and would bring the file to the box's own project."""
    box, = boxes(fleet, site, 1)
    fleet.disconnect(box)
    rollout = start(gw, site, compose=COMPOSE, project="blog", groups="100%")
    assert gw.postgres.sql(f"SELECT kind FROM rollouts WHERE id = '{rollout['id']}'") == [["project"]]
    other = gw.request("POST", "/v1/rollouts", {"compose": COMPOSE, "labels": {"site": site}}).json["rollout"]
    same = gw.request("POST", "/v1/rollouts", {"compose": COMPOSE, "project": "blog", "labels": {"site": site}})
    assert error_id(same) == "rollout.busy", "of another project there can be one at the same time, of this one there cannot"
    action(gw, other, "abort")
    with pytest.raises(PostgresError, match="deployments_kind_check"):
        gw.postgres.sql("INSERT INTO deployments(device, version, id, sha256, compose, requested_by, nonce, confirm_deadline, kind)"
                        f" SELECT '{box.id}', 1, 'x', sha256, compose, created_by, 'x', 60, kind FROM rollouts"
                        f" WHERE id = '{rollout['id']}'")
    action(gw, rollout, "abort")

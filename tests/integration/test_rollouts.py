# SPDX-License-Identifier: MIT
"""Rollouts over simulated boxes with real tunnels: who gets what when, and what stops it, pauses it and changes nothing in it."""
# pylint: disable=redefined-outer-name,unused-import,too-many-arguments
import itertools
import json
import os
import subprocess

import pytest

from tests.integration.gateway_lab import COMPOSE, Push, error_id, gw, shared
from tests.lab.bundles import archive, bring
from tests.lab.fleet_sim import BUSY, DONE, HOLD, LOCKED, NOT_HERE, NOT_NOW, ROLLED_BACK, SimFleet
from tests.lab.util import program, wait_until

NUMBERS = itertools.count(1)
IMAGE = "registry.example/web:1"
NEVER = 3600


def digest(n=1):
    return f"sha256:{n:064x}"


@pytest.fixture
def site():
    """A label that only this test's boxes have."""
    return f"site-{next(NUMBERS)}"


@pytest.fixture
def fleet(gw):
    with SimFleet(gw) as it:
        yield it


def boxes(fleet, site, n, labels=None, **more):
    first = len(fleet.boxes)
    return fleet.add([f"{site}-{first + i}" for i in range(n)], {"site": site, **(labels or {})}, **more)


def start(gw, site, **more):
    """Starts a rollout of an image (or of `compose`, or `agent`) over a site's boxes; no soaking unless the test wants it."""
    what = {} if {"compose", "agent"} & set(more) else {"image": IMAGE, "digest": digest()}
    answer = gw.request("POST", "/v1/rollouts", {**what, "labels": {"site": site}, "soakSeconds": 0, **more})
    assert answer.status == 201, answer
    return answer.json["rollout"]


def show(gw, rollout):
    answer = wait_until(lambda: (lambda a: a if a.status != 503 else None)(gw.request("GET", f"/v1/rollouts/{rollout['id']}")),
                        "the gateway has its database")
    assert answer.status == 200, answer
    return answer.json["rollout"]


def wait_state(gw, rollout, *states):
    def there():
        now = show(gw, rollout)
        return now if now["state"] in states else None

    return wait_until(there, f"the rollout is {' or '.join(states)}", lambda: gw.daemon.death() if gw.daemon else None)


def total(rollout, key):
    return sum(group[key] for group in rollout["groups"])


def action(gw, rollout, verb, status=200):
    answer = gw.request("POST", f"/v1/rollouts/{rollout['id']}/{verb}")
    assert answer.status == status, answer
    return answer


def audit(gw, rollout):
    return [e for e in gw.audit() if e["detail"].get("rollout") == rollout["id"]]


def changed(box):
    """What was done to it, without the ids."""
    return [what for _, _, what in box.changes]


def test_files_go_along(gw, fleet, site):
    data, name = archive({"site.conf": site})
    assert bring(gw, name, data)[0] == 200
    able, old = boxes(fleet, site, 2)
    fleet.disconnect(able)
    able.accepts = ["image.update", "bundle"]
    fleet.connect(able)
    seen = []
    able.outcome = lambda message: seen.append(message) or DONE
    rollout = start(gw, site, groups="100%", haltAt="100%", compose=COMPOSE, bundle={"digest": name})
    done = wait_state(gw, rollout, "done")
    assert [message["bundle"] for message in seen] == [{"digest": name}] and changed(old) == []
    assert {b["device"]: b["error"]["id"] for b in done["skipped"]} == {old.id: "rollout.old-agent"}
    # with other files it is another one
    alone = gw.request("POST", "/v1/rollouts", {"compose": COMPOSE, "labels": {"site": site}, "soakSeconds": 0, "groups": "100%"})
    assert alone.json["rollout"]["sha256"] != rollout["sha256"] and "digest" not in alone.json["rollout"]
    assert error_id(gw.request("POST", "/v1/rollouts", {"compose": COMPOSE, "bundle": {"digest": digest(7)}})) == "bundle.not-here"
    wait_state(gw, alone.json["rollout"], "done")


def test_who_cannot_read_the_secrets_is_told_why(gw, fleet, site):
    data, name = archive({"sealed": site})
    assert bring(gw, name, data)[0] == 200
    able, unknown, old = boxes(fleet, site, 3)
    for box, accepts in ((able, ["bundle", "secrets.sealed"]), (unknown, ["bundle", "secrets.sealed"]), (old, ["bundle"])):
        fleet.disconnect(box)
        box.accepts = accepts
        fleet.connect(box)
    key, seen = "A" * 107, []
    answer = gw.request("POST", f"/v1/bundles/{name}/keys", {"keys": {able.id: key, old.id: key}})
    assert answer.status == 200, answer
    able.outcome = lambda message: seen.append(message) or DONE
    done = wait_state(gw, start(gw, site, groups="100%", haltAt="100%", compose=COMPOSE, bundle={"digest": name}), "done")
    assert [message["bundle"] for message in seen] == [{"digest": name, "key": key}]
    assert {b["device"]: b["error"]["id"] for b in done["skipped"]} == {unknown.id: "bundle.no-key", old.id: "bundle.unsupported"}
    # other keys, which take the place of those that were known
    assert gw.request("POST", f"/v1/bundles/{name}/keys", {"keys": {unknown.id: key}}).status == 200
    unknown.outcome = lambda message: seen.append(message) or DONE
    done = wait_state(gw, start(gw, site, groups="100%", haltAt="100%", compose=COMPOSE, bundle={"digest": name}), "done")
    assert len(seen) == 2
    assert {b["device"]: b["error"]["id"] for b in done["skipped"]} == {able.id: "bundle.no-key", old.id: "bundle.no-key"}


def test_a_box_whose_keys_cannot_be_read_now_is_tried_again(gw, fleet, site):
    data, name = archive({"sealed": site})
    assert bring(gw, name, data)[0] == 200
    box, = boxes(fleet, site, 1)
    fleet.disconnect(box)
    box.accepts = ["bundle", "secrets.sealed"]
    fleet.connect(box)
    key, seen = "A" * 107, []
    assert gw.request("POST", f"/v1/bundles/{name}/keys", {"keys": {box.id: key}}).status == 200
    keys = os.path.join(gw.state, "bundle-keys", name.removeprefix("sha256:"))
    os.rename(keys, keys + ".away")
    os.symlink("nowhere", keys)  # which the gateway does not follow
    box.outcome = lambda message: seen.append(message) or DONE
    rollout = start(gw, site, groups="100%", compose=COMPOSE, bundle={"digest": name})
    wait_until(lambda: f"rollout {rollout['id']}: {box.id} waits" in gw.log(), "the box waits", gw.daemon.death)
    assert show(gw, rollout)["state"] == "running" and not seen
    os.unlink(keys)
    os.rename(keys + ".away", keys)
    done = wait_state(gw, rollout, "done")
    assert done["skipped"] == [] and [message["bundle"]["key"] for message in seen] == [key]


def test_group_by_group_to_the_end(gw, fleet, site):
    canary = boxes(fleet, site, 1, {"rollout": "canary"})[0]
    others = boxes(fleet, site, 19)
    canary.outcome = lambda message: HOLD
    rollout = start(gw, site, groups="canary=1,25%,100%", haltAt="100%", reason="a test", service="web")
    assert rollout["state"] == "running" and rollout["reason"] == "a test" and rollout["haltAt"] == "100%"
    assert [(g["name"], g["boxes"]) for g in rollout["groups"]] == [("canary=1", 1), ("25%", 4), ("100%", 15)]
    wait_until(lambda: canary.held, "the canary has its turn")
    message = canary.held
    assert message["image"] == IMAGE and message["digest"] == digest() and message["service"] == "web"
    assert message["deviceId"] == canary.id and message["version"] == "1" and message["confirmDeadlineSeconds"] == 300
    assert [g["sent"] for g in show(gw, rollout)["groups"]] == [1, 0, 0] and not any(box.received for box in others)
    assert show(gw, rollout)["underWay"][0]["device"] == canary.id

    fleet.release(canary)
    done = wait_state(gw, rollout, "done")
    assert [g["done"] for g in done["groups"]] == [1, 4, 15] and done["failures"] == [] and done["finishedAt"]
    for box in [canary, *others]:
        assert changed(box) == [digest()] and len(box.confirmed) == 1 and set(box.received.values()) == {1}
    listed = gw.request("GET", f"/v1/devices/{canary.id}/deployments").json["deployments"]
    assert listed[0]["kind"] == "update" and listed[0]["image"] == IMAGE and listed[0]["rollout"] == rollout["id"]
    assert listed[0]["state"] == "done" and "sha256" not in listed[0]
    actions = [e["action"] for e in reversed(audit(gw, rollout)) if e["action"].startswith("rollout.")]
    assert actions == ["rollout.started", *["rollout.soaking", "rollout.next-group"] * 2, "rollout.soaking", "rollout.done"]
    started = [e for e in audit(gw, rollout) if e["action"] == "rollout.started"][0]
    assert started["actor"] == "operator:lab" and started["detail"]["boxes"] == 20
    assert gw.request("GET", "/v1/rollouts?limit=1").json["rollouts"][0]["id"] == rollout["id"]


def test_a_bad_image_stops_at_the_canary(gw, fleet, site):
    everyone = boxes(fleet, site, 12)
    for box in everyone:
        box.outcome = lambda message: ROLLED_BACK
    rollout = start(gw, site, groups="canary=1,50%,100%")
    halted = wait_state(gw, rollout, "halted")
    assert halted["error"]["id"] == "rollout.halted" and "1 of the 1 boxes" in halted["error"]["message"]
    assert [g["rolledBack"] for g in halted["groups"]] == [1, 0, 0] and sum(bool(box.received) for box in everyone) == 1
    failure = halted["failures"][0]
    assert failure["error"] == ROLLED_BACK[2] and failure["state"] == "rolled-back" and failure["version"] == "1"
    assert [e["alarm"] for e in audit(gw, rollout) if e["action"] == "rollout.halted"] == [True]
    assert error_id(action(gw, rollout, "pause", 409)) == "rollout.state"

    # whoever resumes has looked at it: what failed so far counts no more
    for box in everyone:
        box.outcome = lambda message: ("done", 200, None)
    assert action(gw, rollout, "resume").json["rollout"]["state"] == "running"
    done = wait_state(gw, rollout, "done")
    assert total(done, "done") == 11 and total(done, "rolledBack") == 1 and "error" not in done
    for verb in ("pause", "resume"):
        assert error_id(action(gw, rollout, verb, 409)) == "rollout.state"
    assert action(gw, rollout, "abort").json["rollout"]["state"] == "aborted"


def test_boxes_are_told_what_has_halted(gw, fleet, site):
    """Also those that the rollout is not about, and after a restart; not those that would not understand it."""
    bad, good = digest(next(NUMBERS) + 4000), digest(next(NUMBERS) + 4000)
    old = boxes(fleet, f"{site}-old", 1)[0]
    box, watching = boxes(fleet, site, 1, online=False)[0], boxes(fleet, f"{site}-other", 1, online=False)[0]
    box.outcome = lambda message: ROLLED_BACK
    for one in (box, watching):
        one.accepts = old.accepts + ["updates.halted"]
        fleet.connect(one)
    wait_until(lambda: box.halted and watching.halted, "they are told at once")
    assert bad not in watching.halted[-1] and bad not in box.halted[-1]

    rollout = start(gw, site, groups="100%", haltAt="0%", digest=bad)
    wait_state(gw, rollout, "halted")
    wait_until(lambda: bad in watching.halted[-1] and bad in box.halted[-1], "they are told")
    said = len(watching.halted)
    gw.stop()
    gw.start()
    wait_until(lambda: len(watching.halted) > said, "it is said again on a new connection")
    assert bad in watching.halted[-1]
    action(gw, rollout, "abort")
    box.outcome = lambda message: DONE
    other = start(gw, site, groups="100%", haltAt="100%", digest=good)
    wait_state(gw, other, "done")
    assert bad in watching.halted[-1], "to give it up does not set it free"
    again = start(gw, site, groups="100%", haltAt="100%", digest=bad)
    wait_state(gw, again, "done")
    wait_until(lambda: bad not in watching.halted[-1], "what is rolled out again is set free")
    assert old.halted == []


def test_the_threshold_is_of_all_boxes_and_bounds_what_is_under_way(gw, fleet, site):
    everyone = boxes(fleet, site, 20)
    for box in everyone:
        box.outcome = lambda message: HOLD
    rollout = start(gw, site, groups="100%", haltAt="15%")
    wait_until(lambda: sum(box.held is not None for box in everyone) == 3, "three boxes have their turn")
    held = [box for box in everyone if box.held]
    fleet.release(held[0])
    wait_until(lambda: sum(box.held is not None for box in everyone) == 3, "the next has its turn")
    for box in [box for box in everyone if box.held]:
        fleet.release(box, ROLLED_BACK)
    halted = wait_state(gw, rollout, "halted")
    wait_until(lambda: show(gw, rollout)["groups"][0]["sent"] == 0, "nothing is under way")
    assert total(show(gw, rollout), "rolledBack") == 3 and total(halted, "boxes") == 20
    assert sum(bool(box.received) for box in everyone) == 4
    action(gw, rollout, "abort")


def test_soaking_holds_the_next_group_back(gw, fleet, site):
    everyone = boxes(fleet, site, 4)
    rollout = start(gw, site, groups="canary=1,100%", soakSeconds=NEVER)
    soaking = wait_state(gw, rollout, "soaking")
    assert soaking["soakEndsAt"] > soaking["createdAt"] and total(soaking, "done") == 1
    gw.stop()
    gw.start()
    wait_until(lambda: len(fleet.known()) == 4, "the boxes are back")
    assert show(gw, rollout) == soaking
    gw.postgres.sql(f"UPDATE rollouts SET soaking_since = now() - interval '2 hours' WHERE id = '{rollout['id']}'")
    gw.daemon.kill()
    gw.daemon = None
    gw.start()
    wait_until(lambda: total(show(gw, rollout), "done") == 4, "the next group has had its turn")
    assert wait_state(gw, rollout, "soaking")["group"] == 1
    assert all(changed(box) == [digest()] for box in everyone)
    action(gw, rollout, "abort")


def test_pause_and_resume(gw, fleet, site):
    everyone = boxes(fleet, site, 6)
    for box in everyone:
        box.outcome = lambda message: HOLD
    rollout = start(gw, site, groups="100%", parallel=2, haltAt="100%")
    wait_until(lambda: sum(box.held is not None for box in everyone) == 2, "two boxes have their turn")
    assert action(gw, rollout, "pause").json["rollout"]["state"] == "paused"
    for box in everyone:
        if box.held:
            fleet.release(box)
        box.outcome = lambda message: ("done", 200, None)
    paused = wait_until(lambda: (lambda r: r if total(r, "done") == 2 else None)(show(gw, rollout)), "they end all the same")
    assert paused["state"] == "paused" and total(paused, "waiting") == 4
    action(gw, rollout, "resume")
    wait_state(gw, rollout, "done")
    assert all(changed(box) == [digest()] for box in everyone)


def test_boxes_that_are_busy_elsewhere_or_have_nothing_to_do(gw, fleet, site):
    busy, pushed, other, old, plain = boxes(fleet, site, 5)
    refusals = iter([BUSY, BUSY])
    busy.outcome = lambda message: next(refusals, ("done", 200, None))
    other.outcome = lambda message: NOT_HERE
    fleet.disconnect(old)
    old.accepts = []
    fleet.connect(old)
    pushed.outcome = lambda message: HOLD
    push = Push(gw, pushed)
    wait_until(lambda: pushed.held, "an operator's push is under way")
    rollout = start(gw, site, groups="100%", haltAt="100%")
    wait_until(lambda: total(show(gw, rollout), "skipped") == 2 and changed(plain), "those that can have their turn")
    assert changed(pushed) == [COMPOSE] and show(gw, rollout)["state"] == "running"
    pushed.outcome = lambda message: ("done", 200, None)
    fleet.release(pushed)
    assert push.end().status == 200
    done = wait_state(gw, rollout, "done")
    assert total(done, "done") == 3 and total(done, "failed") == 0
    assert changed(pushed) == [COMPOSE, digest()] and changed(busy) == [digest()] and sum(busy.received.values()) == 3
    assert {b["device"]: b["error"]["id"] for b in done["skipped"]} == {other.id: "update.not-here",
                                                                        old.id: "rollout.old-agent"}
    assert not old.received


def test_g01_g02_boxes_that_hold_updates_back_are_waited_for(gw, fleet, site):
    locked, busy, plain = boxes(fleet, site, 3)
    locked.outcome = lambda message: LOCKED
    busy.outcome = lambda message: NOT_NOW
    rollout = start(gw, site, groups="100%")
    said = {locked.id: "update.locked", busy.id: "update.not-now"}

    def both_are_held():
        """At one time: they are asked again and again, and have not answered yet now and then."""
        now = show(gw, rollout)
        return now if now["state"] == "done" and {b["device"]: b["error"]["id"] for b in now["offline"]} == said else None

    held = wait_until(both_are_held, "no failure halts it")
    assert total(held, "done") == 1 and total(held, "failed") == 0 and changed(plain) == [digest()]
    wait_until(lambda: f"{locked.id} (100%), offline: {LOCKED[2]['message']} [update.locked]" in command(
        gw, "rollout", "status").stdout, "the operator is told")
    locked.outcome = busy.outcome = lambda message: ("done", 200, None)
    wait_until(lambda: total(show(gw, rollout), "done") == 3, "both had their turn once they let it")
    assert changed(locked) == changed(busy) == [digest()]


def test_g04_a_canary_that_does_not_run_it_proves_nothing(gw, fleet, site):
    canary = boxes(fleet, site, 1, {"rollout": "canary"})[0]
    others = boxes(fleet, site, 2)
    canary.outcome = lambda message: NOT_HERE
    p = command(gw, "rollout", "start", IMAGE, "--to", digest(), "--label", f"site={site}", "--groups", "canary=1,100%", "--wait")
    assert p.returncode == 1 and "nothing is proved" in p.stdout, p
    assert "nothing is proved" in command(gw, "rollout", "status").stdout
    assert not any(box.received for box in others)


def test_boxes_that_are_offline_catch_up(gw, fleet, site):
    here = boxes(fleet, site, 3)
    away, later = boxes(fleet, site, 2, online=False)
    rollout = start(gw, site, groups="100%", haltAt="100%", offlineAfterSeconds=1)
    done = wait_state(gw, rollout, "done")
    assert total(done, "done") == 3 and {b["device"] for b in done["offline"]} == {away.id, later.id}
    assert all(changed(box) == [digest()] for box in here)
    gw.stop()
    gw.start()
    fleet.connect(away)
    wait_until(lambda: total(show(gw, rollout), "done") == 4, "the box that came back has caught up")
    assert changed(away) == [digest()]

    # a later rollout of the same takes the place of this one
    second = start(gw, site, groups="100%", haltAt="100%", offlineAfterSeconds=1, digest=digest(2))
    skipped = show(gw, rollout)["skipped"]
    assert [(b["device"], b["error"]["id"]) for b in skipped] == [(later.id, "rollout.superseded")]
    wait_state(gw, second, "done")
    fleet.connect(later)
    wait_until(lambda: total(show(gw, second), "done") == 5, "the last one has caught up")
    assert changed(later) == [digest(2)] and changed(away) == [digest(), digest(2)]


def test_a_removed_box_is_not_waited_for(gw, fleet, site):
    gone = boxes(fleet, site, 1, {"rollout": "canary"}, online=False)[0]
    here = boxes(fleet, site, 1)[0]
    rollout = start(gw, site, groups="canary=1,100%", offlineAfterSeconds=1)
    wait_until(lambda: show(gw, rollout)["groups"][0]["offline"] == 1, "the canary is known to be away")
    assert gw.request("DELETE", f"/v1/devices/{gone.id}").status == 200
    done = wait_state(gw, rollout, "done")
    assert total(done, "boxes") == total(done, "done") == 1 and changed(here) == [digest()]


def test_a_canary_that_is_offline_proves_nothing(gw, fleet, site):
    canary = boxes(fleet, site, 1, {"rollout": "canary"}, online=False)[0]
    others = boxes(fleet, site, 3)
    rollout = start(gw, site, groups="canary=1,100%", offlineAfterSeconds=1)
    wait_until(lambda: show(gw, rollout)["groups"][0]["offline"] == 1, "the canary is known to be away")
    assert show(gw, rollout)["group"] == 0 and not any(box.received for box in others)
    # aborted for good; what is under way ends all the same
    canary.outcome = lambda message: HOLD
    fleet.connect(canary)
    wait_until(lambda: canary.held, "the canary has its turn")
    action(gw, rollout, "abort")
    fleet.release(canary)
    wait_until(lambda: show(gw, rollout)["groups"][0]["done"] == 1, "its end is written down all the same")
    assert show(gw, rollout)["state"] == "aborted" and not any(box.received for box in others)


def test_g08_a_canary_that_was_never_claimed_is_none(gw, fleet, site):
    labels = {"site": site, "rollout": "canary"}
    assert gw.request("POST", "/v1/devices", {"id": f"{site}-never", "labels": labels}).status == 201
    answer = gw.request("POST", "/v1/rollouts", {"image": IMAGE, "digest": digest(), "labels": {"site": site}})
    assert answer.status == 422 and error_id(answer) == "rollout.no-boxes"
    there = boxes(fleet, site, 3)
    done = wait_state(gw, start(gw, site, groups="canary=1,100%"), "done")
    assert total(done, "boxes") == total(done, "done") == 3 and all(changed(box) == [digest()] for box in there)


def test_updated_boxes_that_go_away_hold_the_next_group_back(gw, fleet, site):
    canary = boxes(fleet, site, 1, {"rollout": "canary"})[0]
    boxes(fleet, site, 2)
    rollout = start(gw, site, groups="canary=1,100%", soakSeconds=NEVER)
    wait_state(gw, rollout, "soaking")
    fleet.disconnect(canary)
    wait_until(lambda: not gw.device(canary.id)["connected"], "the canary is away")
    gw.postgres.sql(f"UPDATE rollouts SET soak_seconds = 0 WHERE id = '{rollout['id']}'")
    gw.daemon.kill()
    gw.daemon = None
    gw.start()
    wait_until(lambda: len(fleet.known()) == 2, "the others are back")
    assert show(gw, rollout)["state"] == "soaking" and total(show(gw, rollout), "done") == 1
    fleet.connect(canary)
    assert total(wait_state(gw, rollout, "done"), "done") == 3


def test_what_never_arrived_is_sent_again_unless_the_rollout_was_stopped(gw, fleet, site):
    first, second = boxes(fleet, site, 2)
    first.deaf = second.deaf = True
    rollout = start(gw, site, groups="100%", haltAt="100%")
    wait_until(lambda: first.lost and second.lost, "both have their turn, and do not hear of it")
    first.deaf = False
    fleet.disconnect(first)
    gw.postgres.pause()
    fleet.connect(first)
    wait_until(lambda: f"cannot send the deployment of {first.id} again" in gw.log(), "it cannot be sent without the database")
    gw.postgres.resume()
    wait_until(lambda: total(show(gw, rollout), "done") == 1, "the first has got it")
    assert list(first.received.items()) == [(first.lost[0], 1)] and changed(first) == [digest()]

    action(gw, rollout, "pause")
    second.deaf = False
    fleet.disconnect(second)
    fleet.connect(second)
    wait_until(lambda: total(show(gw, rollout), "waiting") == 1, "the second waits for its next turn")
    assert not second.received
    listed = gw.request("GET", f"/v1/devices/{second.id}/deployments").json["deployments"]
    assert listed[0]["status"] == 503 and listed[0]["error"]["id"] == "rollout.stopped"
    action(gw, rollout, "resume")
    assert total(wait_state(gw, rollout, "done"), "done") == 2 and changed(second) == [digest()]


def test_a_box_that_does_not_come_back_halts_the_rollout(gw, fleet, site):
    box, *others = boxes(fleet, site, 3)
    for each in (box, *others):
        each.outcome = lambda message: HOLD
    rollout = start(gw, site, groups="100%", haltAt="0%")
    held = wait_until(lambda: next((b for b in (box, *others) if b.held), None), "one box has its turn")
    fleet.disconnect(held)
    gw.stop()
    gw.postgres.sql("UPDATE deployments SET created_at = now() - interval '36 minutes', progressed_at = NULL"
                    f" WHERE device = '{held.id}'")
    gw.start()
    halted = wait_state(gw, rollout, "halted")
    assert [(f["device"], f["state"], f["error"]["id"]) for f in halted["failures"]] == [(held.id, "failed",
                                                                                      "deployment.unknown")]
    # it had been confirmed, and says after all that it worked
    fleet.connect(held)
    fleet.release(held, ("done", 200, None))
    wait_until(lambda: total(show(gw, rollout), "done") == 1, "its late word counts")
    assert show(gw, rollout)["failures"] == [] and show(gw, rollout)["state"] == "halted"
    action(gw, rollout, "abort")


def test_two_rollouts_of_the_same_do_not_mix(gw, fleet, site):
    everyone = boxes(fleet, site, 2)
    for box in everyone:
        box.outcome = lambda message: HOLD
    rollout = start(gw, site, groups="100%", haltAt="100%")
    wait_until(lambda: all(box.held for box in everyone), "both have their turn")
    for image in (IMAGE, IMAGE.rsplit(":", 1)[0]):  # G03: without its tag it is the same
        answer = gw.request("POST", "/v1/rollouts", {"image": image, "digest": digest(2), "labels": {"site": site}})
        assert answer.status == 409 and error_id(answer) == "rollout.busy" and rollout["id"] in answer.json["error"]["message"]
    other = start(gw, site, image="registry.example/db:1", groups="100%", haltAt="100%")
    for box in everyone:
        box.outcome = lambda message: ("done", 200, None)
        fleet.release(box)
    wait_state(gw, rollout, "done")
    wait_state(gw, other, "done")
    assert all(len(box.changes) == 2 for box in everyone)


def test_a_compose_file_is_rolled_out_the_same_way(gw, fleet, site):
    everyone = boxes(fleet, site, 6)
    bad = everyone[3]
    bad.outcome = lambda message: ROLLED_BACK
    rollout = start(gw, site, compose=COMPOSE, groups="canary=1,100%", haltAt="50%", confirmDeadlineSeconds=60)
    assert rollout["kind"] == "compose" and len(rollout["sha256"]) == 64 and "image" not in rollout
    end = wait_state(gw, rollout, "done", "halted")
    if end["state"] == "halted":  # it was the canary
        action(gw, rollout, "resume")
        end = wait_state(gw, rollout, "done")
    assert total(end, "done") == 5 and end["failures"][0]["device"] == bad.id
    assert all(box.changes[0][1:] == ("compose.snapshot", COMPOSE) for box in everyone)
    listed = gw.request("GET", f"/v1/devices/{bad.id}/deployments").json["deployments"]
    assert listed[0]["kind"] == "compose" and listed[0]["state"] == "rolled-back" and listed[0]["sha256"] == rollout["sha256"]


def test_kills_and_a_lost_database_change_nothing(gw, fleet, site):
    everyone = boxes(fleet, site, 40)
    bad = set(everyone[:2])
    for box in everyone:
        box.outcome = lambda message, box=box: ROLLED_BACK if box in bad else ("done", 200, None)
    rollout = start(gw, site, groups="canary=2,25%,100%", haltAt="25%")

    def finished():
        rows = gw.postgres.sql("SELECT count(*) FROM rollout_boxes WHERE finished_at IS NOT NULL"
                               f" AND rollout = '{rollout['id']}'")
        return int(rows[0][0])

    def resume_if_halted():
        if show(gw, rollout)["state"] == "halted":  # both of the bad ones came first
            action(gw, rollout, "resume")

    for limit in (4, 12):
        wait_until(lambda limit=limit: resume_if_halted() or finished() >= limit, f"{limit} boxes have ended")
        gw.daemon.kill()
        gw.daemon = None
        gw.start()
    wait_until(lambda: resume_if_halted() or finished() >= 20, "20 boxes have ended")
    gw.postgres.pause()
    gw.postgres.resume()
    wait_until(lambda: gw.request("GET", "/v1/rollouts").status == 200, "the database is back")
    wait_until(lambda: resume_if_halted() or show(gw, rollout)["state"] == "done", "the rollout is done")
    done = show(gw, rollout)
    assert total(done, "done") == 38 and total(done, "rolledBack") == 2
    for box in everyone:
        assert changed(box) == [digest()], f"{box.id}: {box.changes}"
    made = gw.postgres.sql(f"SELECT device, count(*) FROM deployments WHERE rollout = '{rollout['id']}'"
                           " AND state IN ('done', 'rolled-back') GROUP BY device")
    assert len(made) == 40 and {row[1] for row in made} == {"1"}
    unfinished = gw.postgres.sql(f"SELECT count(*) FROM deployments WHERE rollout = '{rollout['id']}' AND state = 'open'")
    assert unfinished == [["0"]]


def test_ten_thousand_boxes_that_are_away(gw, site):
    gw.postgres.sql("INSERT INTO devices(id, labels, created_by) SELECT '%s-' || i, '{\"site\": \"%s\"}', 'lab'"
                    " FROM generate_series(1, 10000) i" % (site, site))
    gw.postgres.sql("WITH b AS (INSERT INTO bootstraps(device, hash, created_by, expires_at) SELECT id, md5(id), 'lab', now()"
                    f" FROM devices WHERE labels->>'site' = '{site}' RETURNING id, device)"
                    " INSERT INTO device_keys(device, role, thumbprint, jwk, bootstrap) SELECT device, 'mgmt',"
                    " md5(device), '{}', id FROM b")
    try:
        rollout = start(gw, site, groups="100%", offlineAfterSeconds=1)
        wait_until(lambda: total(show(gw, rollout), "offline") == 10000, "all are known to be away")
        gw.postgres.sql(f"UPDATE rollouts SET state = 'done' WHERE id = '{rollout['id']}'")
        second = start(gw, site, groups="100%", digest=digest(2))
        assert total(show(gw, rollout), "skipped") == 10000 and total(show(gw, second), "waiting") == 10000
        action(gw, second, "abort")
    finally:
        gw.postgres.sql(f"DELETE FROM devices WHERE labels->>'site' = '{site}'")


@pytest.mark.parametrize("body, status, reason", [
    ({"image": "web@sha256:1", "digest": digest()}, 400, "rollout.bad-image"),
    ({"image": "-web", "digest": digest()}, 400, "rollout.bad-image"),
    ({"digest": digest()}, 400, "rollout.bad-image"),
    ({"image": IMAGE}, 400, "rollout.bad-digest"),
    ({"image": IMAGE, "digest": digest()[:-1]}, 400, "rollout.bad-digest"),
    ({"image": IMAGE, "digest": digest(), "service": ""}, 400, "rollout.bad-service"),
    ({"image": IMAGE, "digest": digest(), "compose": COMPOSE}, 400, "rollout.two-things"),
    ({"compose": "servces:\n  web: {}\n"}, 422, "compose.unknown-key"),
    ({"compose": "a: ["}, 400, "yaml.syntax"),
    ({"compose": COMPOSE, "project": "../x"}, 400, "project.bad-name"),
    ({"image": IMAGE, "digest": digest(), "project": "blog"}, 400, "rollout.bad-project"),
    ({"agent": "1.2.0", "project": "blog"}, 400, "rollout.bad-project"),
    ({"image": IMAGE, "digest": digest(), "groups": "5"}, 400, "rollout.bad-groups"),
    ({"image": IMAGE, "digest": digest(), "haltAt": "2"}, 400, "rollout.bad-share"),
    ({"image": IMAGE, "digest": digest(), "haltAt": 2}, 400, "rollout.bad-share"),
    ({"image": IMAGE, "digest": digest(), "soakSeconds": -1}, 400, "rollout.bad-number"),
    ({"image": IMAGE, "digest": digest(), "parallel": 0}, 400, "rollout.bad-number"),
    ({"image": IMAGE, "digest": digest(), "offlineAfterSeconds": "soon"}, 400, "rollout.bad-number"),
    ({"image": IMAGE, "digest": digest(), "confirmDeadlineSeconds": 1}, 400, "rollout.bad-number"),
    ({"image": IMAGE, "digest": digest(), "labels": {"a": 1}}, 400, "rollout.bad-labels"),
    ({"image": IMAGE, "digest": digest(), "labels": {"site": "nowhere"}}, 422, "rollout.no-boxes"),
    ({"image": IMAGE, "digest": digest(), "reason": "x" * 501}, 400, "request.bad-reason"),
])
def test_rollouts_that_are_refused(gw, body, status, reason):
    answer = gw.request("POST", "/v1/rollouts", body)
    assert answer.status == status and error_id(answer) == reason, answer


def test_rollouts_that_are_not_there(gw):
    assert gw.request("GET", "/v1/rollouts/r-none").status == 404
    for verb in ("pause", "resume", "abort"):
        assert error_id(gw.request("POST", f"/v1/rollouts/r-none/{verb}")) == "rollout.not-found"
    assert gw.raw("GET", "/v1/rollouts", None, {}).status == 401


# the command line

def fleet_env(gw):
    return {"PATH": os.environ["PATH"], "HOME": gw.dir, "LANG": "C.UTF-8", "SECBOX_GATEWAY": gw.url, "SECBOX_TOKEN": gw.token}


def command(gw, *args):
    return subprocess.run([program("secbox-fleet"), *args], env=fleet_env(gw), capture_output=True, text=True, check=False,
                          timeout=120)


def test_the_command_line(gw, fleet, site):
    everyone = boxes(fleet, site, 5)
    failing = everyone[2]
    failing.outcome = lambda message: ROLLED_BACK
    away = boxes(fleet, site, 1, online=False)[0]
    p = command(gw, "rollout", "start", IMAGE, "--to", digest(), "--label", f"site={site}", "--groups", f"label:site={site}",
                "--halt-at", "100%", "--soak", "0", "--offline-after", "1s", "--parallel", "2", "--reason", "because", "--wait")
    assert p.returncode == 0, p
    assert "4 of 6 done, 1 failed" in p.stdout and p.stdout.endswith("done\n"), p.stdout
    assert f"{failing.id} (label:site={site}), rolled-back: {ROLLED_BACK[2]['message']} [prove.died]" in p.stdout
    text = command(gw, "rollout", "status").stdout
    assert "rollout r-" in text and f"{IMAGE} to sha256:000000000000" in text and "4 of 6 boxes done, 1 failed" in text
    assert f"offline or held back:\n  {away.id}" in text and "halts before more than 100% fail" in text
    rollout = json.loads(command(gw, "rollout", "status", "--json").stdout)["rollout"]
    assert rollout["reason"] == "because" and rollout["parallel"] == 2
    listed = command(gw, "rollout", "list", "--limit", "1").stdout.splitlines()
    assert len(listed) == 2 and rollout["id"] in listed[1] and "4 of 6" in listed[1]

    assert command(gw, "rollout", "pause", rollout["id"]).returncode == 1
    assert "aborted" in command(gw, "rollout", "abort", rollout["id"]).stdout
    p = command(gw, "rollout", "status", rollout["id"], "--wait", "--json")
    assert p.returncode == 1 and json.loads(p.stdout.splitlines()[-1])["rollout"]["state"] == "aborted"


def test_g10_a_name_that_no_box_runs_is_no_success(gw, fleet, site):
    for box in boxes(fleet, site, 2):
        box.outcome = lambda message: NOT_HERE
    p = command(gw, "rollout", "start", IMAGE, "--to", digest(), "--label", f"site={site}", "--groups", "100%", "--soak", "0",
                "--wait")
    assert p.returncode == 1, p
    assert p.stdout.endswith("done\nno box has taken it, each was skipped: check the name of what was rolled out\n"), p.stdout
    assert "no box has taken it" in command(gw, "rollout", "status").stdout


def test_the_command_line_follows_through_a_restart(gw, fleet, site, folder):
    everyone = boxes(fleet, site, 4)
    path = os.path.join(folder, "compose.yml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(COMPOSE)
    everyone[0].outcome = lambda message: HOLD
    with subprocess.Popen([program("secbox-fleet"), "rollout", "start", "--compose", path, "--label", f"site={site}", "--groups",
                           "100%", "--halt-at", "100%", "--soak", "0s", "--wait", "--json"], env=fleet_env(gw),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as following:
        first = json.loads(following.stdout.readline())["rollout"]
        wait_until(lambda: total(show(gw, first), "done") == 3, "three boxes are done")
        gw.daemon.kill()
        gw.daemon = None
        gw.start()
        fleet.release(everyone[0])
        out, err = following.communicate(timeout=120)
    assert following.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["rollout"]["state"] == "done"
    assert all(changed(box) == [COMPOSE] for box in everyone)


@pytest.mark.parametrize("args, sentence", [
    ((), "takes an image and --to DIGEST, or --compose FILE"),
    (("web:1",), "say with --to which digest"),
    (("web:1", "--to", "sha256:1", "--compose", "x.yml"), "or --compose FILE"),
    (("--compose", "x.yml", "--to", "sha256:1"), "belong to an image"),
    (("web:1", "--to", "sha256:1", "--soak", "soon"), "--soak takes a time"),
    (("web:1", "--to", "sha256:1", "--parallel", "0"), "--parallel takes a number"),
    (("web:1", "--to", "sha256:1", "--label", "x"), "--label takes KEY=VALUE"),
    (("web:1", "--to", "sha256:1", "--project", "blog"), "--project belongs to a compose file"),
    (("web:1", "--to", "sha256:1", "--timeout", "x"), "--timeout takes a number"),
])
def test_command_lines_that_are_wrong(gw, args, sentence):
    p = command(gw, "rollout", "start", *args)
    assert p.returncode == 2 and sentence in p.stderr, p

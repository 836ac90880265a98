# SPDX-License-Identifier: MIT
"""serve --two-person: what goes around everything else waits for another person, and is done once."""
# pylint: disable=redefined-outer-name
import json
import os
import threading

import pytest

from tests.conftest import require_programs
from tests.integration.gateway_lab import NUMBERS, Lab, enroll, error_id
from tests.lab.fleet import Fleet
from tests.lab.postgres import available
from tests.lab.util import program, wait_until

ROLLOUT = {"image": "registry.example/web", "digest": "sha256:" + "5" * 64}


class Person:
    def __init__(self, gw, name, *options):
        self.gw, self.name = gw, name
        self.token = gw.run("tokens", "add", name, *options).strip()

    def ask(self, method, path, body=None):
        return self.gw.raw(method, path, body, {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})

    def waits(self, method, path, body=None):
        """The id of what waits for somebody else."""
        answer = self.ask(method, path, body)
        assert (answer.status, error_id(answer)) == (403, "approval.needed"), answer
        assert answer.json["approval"]["id"] in answer.json["error"]["message"] and answer.json["approval"]["state"] == "waiting"
        return answer.json["approval"]["id"]

    def decide(self, verb, approval):
        return self.ask("POST", f"/v1/approvals/{approval}/{verb}")


@pytest.fixture(scope="module")
def gw(tmp_path_factory):
    if not os.access(program("secbox-gateway"), os.X_OK):
        pytest.skip("not built: secbox-gateway")
    if not available():
        pytest.skip("PostgreSQL is not installed")
    with Lab(str(tmp_path_factory.mktemp("gateway"))) as gateway:
        gateway.box = enroll(gateway, "box")
        assert gateway.box.claim().status == 201
        gateway.stop()
        gateway.options = ["--two-person"]
        gateway.start()
        yield gateway
        gateway.box.close()


@pytest.fixture
def people(gw):
    n = next(NUMBERS)
    return [Person(gw, f"{name}-{n}") for name in ("ana", "bob")]


def told(gw, approval):
    return [(e["action"], e["actor"]) for e in reversed(gw.audit()) if e["detail"].get("approval") == approval]


def answer_box(person, approval):
    return person.ask("GET", f"/v1/approvals/{approval}").json["approval"].get("device")


def test_each_of_these_waits_and_is_done_once(gw, people):
    ana, bob = people
    same, new = Person(gw, ana.name.upper()), f"new-{next(NUMBERS)}"
    boxes = []
    for method, path, body, good in (
            ("POST", "/v1/devices", {"id": new, "labels": {}}, 201),
            ("POST", "/v1/devices/box/bootstrap", None, 201),
            ("POST", "/v1/enrolments", {"boxes": 2}, 201),
            ("POST", "/v1/grants", {"device": "box", "reason": "it burns", "breakGlass": True}, 201),
            ("POST", "/v1/rollouts", ROLLOUT, 201),
            ("POST", "/v1/devices/box/block", None, 200)):
        approval = ana.waits(method, path, body)
        assert ana.waits(method, path, body) == approval, "asking again changes nothing"
        own = ana.decide("approve", approval)
        assert (own.status, error_id(own)) == (403, "approval.own"), own
        assert error_id(same.decide("approve", approval)) == "approval.own", "Ana is ana"
        assert bob.waits(method, path, body) != approval, "an approval is for who asked"
        answer = bob.decide("approve", approval)
        assert answer.status == 200 and answer.json["approval"]["decidedBy"] == bob.name, answer
        assert error_id(bob.decide("refuse", approval)) == "approval.over"
        answer = ana.ask(method, path, body)
        assert answer.status == good, answer
        assert told(gw, approval) == [("approval.asked", f"operator:{ana.name}"), ("approval.approved", f"operator:{bob.name}"),
                                      ("approval.used", f"operator:{ana.name}")]
        assert {e.get("device") for e in gw.audit() if e["detail"].get("approval") == approval} == {answer_box(bob, approval)}
        boxes.append(answer_box(bob, approval))
        assert ana.waits(method, path, body) != approval, "it is good once"
    assert boxes == [new, "box", None, "box", None, "box"]
    assert gw.device("box")["blocked"]
    assert ana.ask("POST", "/v1/devices/box/unblock").status == 200, "letting in waits for nobody"
    rollout = bob.ask("GET", "/v1/rollouts").json["rollouts"][0]["id"]
    assert bob.ask("POST", f"/v1/rollouts/{rollout}/abort").status == 200, "nor does stopping something"
    assert ana.ask("POST", "/v1/grants", {"device": "box", "reason": "no glass"}).status == 201


def test_an_approval_is_for_what_was_seen(gw, people):
    ana, bob = people
    approval = ana.waits("POST", "/v1/rollouts", {**ROLLOUT, "reason": "one"})
    assert bob.decide("approve", approval).status == 200
    other = ana.waits("POST", "/v1/rollouts", {**ROLLOUT, "reason": "another"})
    shown = bob.ask("GET", f"/v1/approvals/{other}").json["approval"]
    assert shown["detail"] == {**ROLLOUT, "reason": "another"}
    assert (shown["action"], shown["person"]) == ("rollout.start", ana.name)
    compose = ana.waits("POST", "/v1/rollouts", {"compose": "services:\n  web:\n    image: registry.example/web:1\n"})
    assert bob.ask("GET", f"/v1/approvals/{compose}").json["approval"]["detail"]["compose"].startswith("sha256:")


def test_what_is_not_shown_is_not_approved(people):
    """However long the request is: nobody is shown a part of it, or nothing."""
    ana, bob = people
    answer = ana.ask("POST", "/v1/rollouts", {**ROLLOUT, "reason": "harmless", "more": "x" * 9000})
    assert (answer.status, error_id(answer)) == (413, "approval.too-long"), answer
    assert not [a for a in bob.ask("GET", "/v1/approvals").json["approvals"] if a["person"] == ana.name]


def test_an_approval_that_somebody_uses_is_used_once(gw, people):
    """The same request, asked while another of the same is being carried out."""
    ana, bob = people
    approval = ana.waits("POST", "/v1/devices/box/bootstrap")
    assert bob.decide("approve", approval).status == 200
    answers = []
    asking = threading.Thread(target=lambda: answers.append(ana.ask("POST", "/v1/devices/box/bootstrap")), daemon=True)
    with gw.postgres.open_transaction(f"UPDATE approvals SET state = 'used' WHERE id = '{approval}'", end="COMMIT"):
        asking.start()
        wait_until(lambda: answers or gw.postgres.sql("SELECT 1 FROM pg_locks WHERE NOT granted"), "it waits", gw.daemon.death)
    asking.join(120)
    answer, = answers
    assert (answer.status, error_id(answer)) == (409, "approval.over") and approval in answer.json["error"]["message"]


def test_what_is_refused_stays_so(gw, people):
    ana, bob = people
    approval = ana.waits("POST", "/v1/devices/box/block")
    assert bob.decide("refuse", approval).json["approval"]["state"] == "refused"
    answer = ana.ask("POST", "/v1/devices/box/block")
    assert (answer.status, error_id(answer)) == (403, "approval.refused") and bob.name in answer.json["error"]["message"]
    assert not gw.device("box")["blocked"]
    assert told(gw, approval)[-1] == ("approval.refused", f"operator:{bob.name}")
    assert error_id(bob.decide("approve", approval)) == "approval.over"
    assert error_id(bob.decide("approve", "a-none")) == "approval.not-found"


def test_an_hour_is_enough(gw, people):
    """What was asked for, and what was approved and not used, is over then; the audit log tells it."""
    ana, bob = people
    waiting, approved = (ana.waits("POST", "/v1/devices/box/block"), ana.waits("POST", "/v1/devices/box/bootstrap"))
    assert bob.decide("approve", approved).status == 200
    gw.postgres.sql(f"UPDATE approvals SET expires_at = now() - interval '1 second' WHERE id IN ('{waiting}', '{approved}')")
    assert ana.ask("GET", f"/v1/approvals/{waiting}").json["approval"]["state"] == "expired"
    assert error_id(bob.decide("approve", waiting)) == "approval.over"
    assert ana.waits("POST", "/v1/devices/box/bootstrap") != approved
    old = ana.waits("POST", "/v1/devices", {"id": "of-long-ago"})
    assert bob.decide("refuse", old).status == 200
    gw.postgres.sql(f"UPDATE approvals SET expires_at = now() - interval '91 days' WHERE id = '{old}'")
    gw.stop()
    gw.start()
    wait_until(lambda: ana.ask("GET", f"/v1/approvals/{old}").status == 404, "what is old is forgotten", gw.daemon.death)
    wait_until(lambda: all(told(gw, x)[-1] == ("approval.expired", "gateway") for x in (waiting, approved)), "it is written down",
               gw.daemon.death)


def test_whoever_asks_too_much_is_told(gw, people):
    ana = people[0]
    for n in range(20):
        ana.waits("POST", "/v1/devices", {"id": f"many-{n}"})
    answer = ana.ask("POST", "/v1/devices", {"id": "many-20"})
    assert (answer.status, error_id(answer)) == (409, "approval.too-many")


def test_roles_and_labels_hold_here_too(gw, people):
    ana = people[0]
    approval = ana.waits("POST", "/v1/devices/box/block")
    viewer = Person(gw, f"viewer-{next(NUMBERS)}", "--role", "viewer")
    assert error_id(viewer.decide("approve", approval)) == "auth.role"
    assert viewer.ask("GET", "/v1/approvals").status == 200
    bound = Person(gw, f"bound-{next(NUMBERS)}", "--label", "site=north")
    assert error_id(bound.decide("approve", approval)) == "auth.labels"
    assert bound.ask("GET", "/v1/approvals").json["approvals"] == [] and bound.ask("GET", f"/v1/approvals/{approval}").status == 404
    own = bound.waits("POST", "/v1/devices/box/block")
    assert [a["id"] for a in bound.ask("GET", "/v1/approvals").json["approvals"]] == [own]


def test_the_command_line_does_not_ask_anew_after_the_hour(gw, people, folder):
    require_programs("secbox-fleet")
    ana = Fleet(gw.url, people[0].token, os.path.join(folder, people[0].name))
    with ana.start("devices", "block", "box") as waiting:
        approval = wait_until(lambda: [a["id"] for a in people[1].ask("GET", "/v1/approvals").json["approvals"]
                                       if a["person"] == people[0].name], "it is asked for")
        gw.postgres.sql(f"UPDATE approvals SET expires_at = now() - interval '1 second' WHERE id = '{approval[0]}'")
        out, err = waiting.communicate(timeout=120)
    assert waiting.returncode == 1 and "within the hour" in err and "ask once more" in err, (out, err)
    assert [a["id"] for a in people[1].ask("GET", "/v1/approvals").json["approvals"] if a["person"] == people[0].name] == approval


def test_the_command_line_waits_for_the_other(gw, people, folder):
    require_programs("secbox-fleet")
    ana, bob = (Fleet(gw.url, p.token, os.path.join(folder, p.name)) for p in people)
    with ana.start("devices", "block", "box") as waiting:
        mine = wait_until(lambda: [a for a in people[1].ask("GET", "/v1/approvals").json["approvals"]
                                   if a["person"] == people[0].name], "it is asked for")
        listed = bob.run("approvals", "list").stdout
        assert mine[0]["id"] in listed and "device.block" in listed and waiting.poll() is None
        assert "approved" in bob.run("approvals", "approve", mine[0]["id"]).stdout
        out, err = waiting.communicate(timeout=120)
    assert waiting.returncode == 0 and "box is blocked" in out, (out, err)
    assert f"secbox-fleet approvals approve {mine[0]['id']}" in err
    assert json.loads(bob.run("approvals", "list", "--json").stdout)["approvals"][0]["state"] == "used"
    assert people[0].ask("POST", "/v1/devices/box/unblock").status == 200

# SPDX-License-Identifier: MIT
"""Tokens by which many boxes ask to be let in: at a real gateway, by boxes that are other code than ours."""
# pylint: disable=redefined-outer-name,unused-import
import itertools
import secrets
import threading

import pytest

pytest.importorskip("cryptography")
pytest.importorskip("websockets")

from tests.integration.gateway_lab import Device, error_id, gw, shared  # noqa: E402
from tests.lab.device import DeviceKey  # noqa: E402
from tests.lab.fleet import Fleet  # noqa: E402

NUMBERS = itertools.count(1)
MACHINE = {"hostname": "caseta", "architecture": "x86_64", "machineId": "0123456789abcdef", "version": "1",
           "addresses": ["192.168.1.20", "fd00::20"]}


def make_token(gw, **more):
    answer = gw.request("POST", "/v1/enrolments", {"boxes": 5, "labels": {"site": "north"}, **more})
    assert answer.status == 201, answer
    return answer.json


class Newcomer(Device):
    """A box with a token that many have, and a bootstrap token that it has made for itself."""

    def __init__(self, gw, token, name=None):
        name = name or f"newcomer-{next(NUMBERS)}"
        super().__init__(gw.url, lambda path, body, headers: gw.raw("POST", path, body, headers), name,
                         "sbb_" + secrets.token_urlsafe(32))
        self.enrolment = token["token"]

    def ask(self, **changed):
        return self.claim(**{"enrolment": self.enrolment, "machine": MACHINE, **changed})


def waiting(gw):
    return {entry["device"]: entry for entry in gw.request("GET", "/v1/pending-devices").json["pending"]}


def entry(gw, token):
    return next(e for e in gw.request("GET", "/v1/enrolments").json["enrolments"] if e["id"] == token["enrolment"]["id"])


def is_pending(answer):
    return answer.status == 403 and error_id(answer) == "enrolment.pending"


def test_a_box_waits_until_it_is_let_in(gw):
    token = make_token(gw, note="the northern sites")
    box = Newcomer(gw, token)
    answer = box.ask()
    assert is_pending(answer), answer
    assert box.id in answer.text and box.key.thumbprint in answer.text
    assert is_pending(box.ask())
    seen = waiting(gw)[box.id]
    assert seen["machine"] == MACHINE and seen["thumbprint"] == box.key.thumbprint and seen["labels"] == {"site": "north"}
    assert gw.request("GET", f"/v1/devices/{box.id}").status == 404
    assert (entry(gw, token)["used"], entry(gw, token)["waiting"], entry(gw, token)["state"]) == (1, 1, "open")
    # what it has made for itself opens nothing meanwhile, in any role
    assert error_id(box.claim()) == "bootstrap.invalid"
    assert error_id(box.claim(role="recovery")) == "bootstrap.invalid"
    answer = gw.request("POST", f"/v1/pending-devices/{box.id}/approve")
    assert answer.status == 201 and answer.json["device"]["labels"] == {"site": "north"}, answer
    assert box.id not in waiting(gw)
    # whoever has read its claim on the way has its token, and not the key that the operator has compared
    answer = box.claim(key=DeviceKey())
    assert answer.status == 401 and error_id(answer) == "enrolment.other-key", answer
    for role in ("device", "recovery"):  # neither does it come in by a role of which nobody has seen a key
        answer = box.claim(role=role, key=DeviceKey())
        assert is_pending(answer) and "has to come first" in answer.text, answer
    assert box.ask().status == 201
    tunnel = box.connect()
    assert gw.device(box.id)["connected"]
    tunnel.close()
    assert box.claim(role="recovery").status == 201
    actions = [e["action"] for e in gw.audit() if e.get("device") == box.id]
    assert {"device.pending", "device.approved", "device.claimed"} <= set(actions)
    assert gw.request("POST", f"/v1/pending-devices/{box.id}/approve").status == 404
    box.tunnels.clear()


def test_what_the_token_is_stays_with_the_operator(gw):
    token = make_token(gw)
    dump = gw.postgres.sql("SELECT string_agg(e::text, ' ') FROM enrolments e")
    assert token["token"] not in dump and token["token"] not in gw.log()
    assert token["token"] not in gw.request("GET", "/v1/enrolments").text
    assert token["token"] not in gw.request("GET", "/v1/audit?limit=1000").text
    assert token["token"].startswith("sbe_") and len(token["token"]) > 40


def test_nobody_is_asked_when_the_token_says_so(gw):
    assert make_token(gw)["enrolment"]["autoApprove"] is False  # unless it is wanted
    token = make_token(gw, autoApprove=True)
    box = Newcomer(gw, token)
    assert box.ask().status == 201
    assert gw.device(box.id)["createdBy"] == f"enrolment:{token['enrolment']['id']}"
    assert gw.device(box.id)["labels"] == {"site": "north"} and box.id not in waiting(gw)
    # a name that somebody has is not given away by it
    other = Newcomer(gw, token, box.id)
    answer = other.ask()
    assert answer.status == 409 and error_id(answer) == "enrolment.name-taken", answer
    assert entry(gw, token)["used"] == 1
    assert any(e["alarm"] for e in gw.audit("enrolment.name-taken") if e["device"] == box.id)
    assert box.claim().status in (200, 201)


def test_refused_boxes_stay_out(gw):
    token = make_token(gw)
    box = Newcomer(gw, token)
    assert is_pending(box.ask())
    assert gw.request("POST", f"/v1/pending-devices/{box.id}/deny").status == 200
    assert error_id(box.ask()) == "enrolment.denied"
    box.id = f"another-{box.id}"
    assert error_id(box.ask()) == "enrolment.denied"  # the key is what was refused
    assert waiting(gw).keys().isdisjoint({box.id})
    assert gw.request("POST", f"/v1/pending-devices/{box.id}/deny").status == 404


def test_a_token_ends(gw):
    expired, revoked = make_token(gw), make_token(gw)
    late, early = Newcomer(gw, expired), Newcomer(gw, expired)
    assert is_pending(early.ask())
    gw.postgres.sql(f"UPDATE enrolments SET expires_at = now() - interval '1 s' WHERE id = '{expired['enrolment']['id']}'")
    assert error_id(late.ask()) == "enrolment.expired"
    assert is_pending(early.ask())  # it asked in time
    assert entry(gw, expired)["state"] == "expired"
    box = Newcomer(gw, revoked)
    assert is_pending(box.ask())
    path = f"/v1/enrolments/{revoked['enrolment']['id']}/revoke"
    assert gw.request("POST", path).status == 200
    assert gw.request("POST", path).status == 404
    assert error_id(box.ask()) == "enrolment.denied"
    assert error_id(Newcomer(gw, revoked).ask()) == "enrolment.revoked"
    assert box.id not in waiting(gw)
    assert gw.request("POST", f"/v1/pending-devices/{box.id}/approve").status == 404


def test_no_more_boxes_come_than_the_token_is_for(gw):
    """All at once, over connections of their own."""
    token = make_token(gw, boxes=3)
    boxes = [Newcomer(gw, token) for _ in range(12)]
    answers = [None] * len(boxes)

    def ask(i):
        answers[i] = boxes[i].ask()

    threads = [threading.Thread(target=ask, args=[i]) for i in range(len(boxes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # one that found the database busy asks again, as boxes do
    for i, box in enumerate(boxes):
        while answers[i].status == 503:
            answers[i] = box.ask()
    assert sum(map(is_pending, answers)) == 3, answers
    assert all(error_id(a) == "enrolment.used-up" for a in answers if not is_pending(a)), answers
    assert entry(gw, token)["used"] == 3 and entry(gw, token)["state"] == "used-up"
    assert sum(box.id in waiting(gw) for box in boxes) == 3


def test_the_same_again_takes_no_second_place(gw):
    token = make_token(gw, boxes=1)
    box = Newcomer(gw, token)
    proof = box.key.proof(box.url + "/api/device/claim")
    for _ in range(5):  # as whoever has recorded it could do
        assert is_pending(box.ask(proof=proof))
    assert entry(gw, token)["used"] == 1
    # a box that was unpaired and paired again, while it waits, has another name and token, and the same key
    was, box.id, box.bootstrap = box.id, f"again-{box.id}", "sbb_" + secrets.token_urlsafe(32)
    assert is_pending(box.ask())
    assert box.id in waiting(gw) and was not in waiting(gw) and entry(gw, token)["used"] == 1
    assert gw.request("POST", f"/v1/pending-devices/{box.id}/approve").status == 201
    proof = box.key.proof(box.url + "/api/device/claim")
    assert box.ask(proof=proof).status == 201
    assert error_id(box.ask(proof=proof)) == "proof.replayed"
    # what was recorded of it is of no use to another key, nor after it is in
    assert error_id(box.ask(key=DeviceKey())) == "device.bootstrap-reused"
    box.bootstrap = "sbb_" + secrets.token_urlsafe(32)
    assert error_id(box.ask()) == "enrolment.let-in-before"


def test_a_name_that_waits_is_taken(gw):
    token = make_token(gw)
    box, other = Newcomer(gw, token), Newcomer(gw, token)
    assert is_pending(box.ask())
    other.id = box.id
    assert error_id(other.ask()) == "enrolment.name-taken"
    assert waiting(gw)[box.id]["thumbprint"] == box.key.thumbprint
    # an operator registers it by hand meanwhile
    assert gw.request("POST", "/v1/devices", {"id": box.id}).status == 201
    answer = gw.request("POST", f"/v1/pending-devices/{box.id}/approve")
    assert answer.status == 404 and error_id(answer) == "device.not-pending", answer
    assert error_id(box.ask()) == "enrolment.name-taken"


def test_a_box_that_waits_comes_with_another_token(gw):
    before, token = make_token(gw, boxes=1), make_token(gw, labels={"site": "south"})
    box, other, next_one = Newcomer(gw, before), Newcomer(gw, token), Newcomer(gw, before)
    assert is_pending(box.ask())
    other.id = box.id
    assert error_id(other.ask()) == "enrolment.name-taken"  # another key is another box
    box.enrolment = token["token"]
    assert error_id(next_one.ask()) == "enrolment.used-up"
    assert is_pending(box.ask()) and is_pending(box.ask())
    assert (entry(gw, before)["used"], entry(gw, token)["used"]) == (0, 1)
    assert is_pending(next_one.ask())  # in the place that has become free
    assert [e["action"] for e in gw.audit() if e.get("device") == box.id].count("device.pending") == 1
    assert gw.request("POST", f"/v1/pending-devices/{next_one.id}/deny").status == 200
    assert (waiting(gw)[box.id]["labels"], entry(gw, before)["waiting"], entry(gw, token)["waiting"]) == ({"site": "south"}, 0, 1)
    assert gw.request("POST", f"/v1/pending-devices/{box.id}/approve").status == 201
    assert box.ask().status == 201


def test_guessing_leaves_nothing_behind(gw):
    before = gw.postgres.sql("SELECT count(*) FROM pending_devices"), len(gw.audit())
    box = Newcomer(gw, {"token": "?"})
    for guess in ["", "sbe_", "sbe_" + "A" * 43, "x" * 257, *("sbe_" + secrets.token_urlsafe(32) for _ in range(100))]:
        answer = box.ask(enrolment=guess)
        assert answer.status in (400, 401) and error_id(answer) in ("enrolment.invalid", "claim.malformed"), answer
    assert (gw.postgres.sql("SELECT count(*) FROM pending_devices"), len(gw.audit())) == before


def test_only_the_management_role_asks(gw):
    token = make_token(gw, autoApprove=True)
    box = Newcomer(gw, token)
    for role in ("device", "recovery"):
        assert error_id(box.ask(role=role)) == "claim.malformed"
    assert entry(gw, token)["used"] == 0


def test_what_a_machine_says_of_itself_is_bounded(gw):
    token = make_token(gw)
    odd = [None, "text", [], {"hostname": 7, "addresses": "x"},
           {"hostname": "a\u001b[2J", "architecture": "x" * 5000, "addresses": ["10.0.0.%d" % i for i in range(100)] + [1]}]
    for machine in odd:
        box = Newcomer(gw, token)
        assert is_pending(box.ask(machine=machine))
        seen = waiting(gw)[box.id]["machine"]
        assert set(seen) == {"addresses"} and len(seen["addresses"]) <= 16, seen


def test_what_a_token_may_be(gw):
    bad = [{"boxes": 0}, {"boxes": 10001}, {"boxes": "five"}, {"hours": 0}, {"hours": 9000}, {"note": 7}, {"note": "a\nb"},
           {"note": "x" * 300}, {"autoApprove": "yes"}, {"labels": []}, {"labels": {"a": 1}}]
    for body in bad:
        answer = gw.request("POST", "/v1/enrolments", body)
        assert answer.status == 400, (body, answer)


def test_an_operator_does_it_on_the_command_line(gw, tmp_path):
    fleet = Fleet(gw.url, gw.token, str(tmp_path))
    p = fleet.run("enrolment", "create", "--boxes", "2", "--for", "48h", "--label", "site=south", "--reason", "spring", check=0)
    token = p.stdout.strip()
    assert token.startswith("sbe_") and "lets 2 boxes ask until" in p.stderr and token not in p.stderr
    box, other = Newcomer(gw, {"token": token}), Newcomer(gw, {"token": token})
    assert is_pending(box.ask()) and is_pending(other.ask())
    shown = fleet.run("devices", "pending", check=0).stdout
    for text in (box.id, "caseta", "x86_64", "192.168.1.20 fd00::20", "0123456789abcdef", box.key.thumbprint, "site=south"):
        assert text in shown, shown
    assert fleet.run("devices", "approve", box.id, check=0).stdout.startswith(f"{box.id} is let in")
    assert fleet.run("devices", "deny", other.id, check=0).stdout == f"{other.id} is refused\n"
    assert box.ask().status == 201 and error_id(other.ask()) == "enrolment.denied"
    assert fleet.run("devices", "approve", "nobody").returncode == 1
    row = next(e for e in fleet.json("enrolment", "list")["enrolments"] if e.get("note") == "spring")
    assert (row["used"], row["boxes"], row["waiting"], row["labels"]) == (2, 2, 0, {"site": "south"})
    listed = fleet.run("enrolment", "list", check=0).stdout
    assert row["id"] in listed and "used-up" in listed and token not in listed
    assert row["id"] in fleet.run("enrolment", "revoke", row["id"], check=0).stdout
    assert fleet.run("enrolment", "revoke", row["id"]).returncode == 1
    for wrong in (["--boxes", "0"], ["--for", "90m"], ["--for", "9000h"], ["--label", "x"]):
        assert fleet.run("enrolment", "create", *wrong).returncode == 2, wrong


def test_who_may(gw, tmp_path):
    token = make_token(gw)
    box = Newcomer(gw, token)
    assert is_pending(box.ask())
    viewer = gw.run("tokens", "add", "--role", "viewer", f"viewer-{next(NUMBERS)}").strip().split()[-1]
    operator = gw.run("tokens", "add", "--role", "operator", f"operator-{next(NUMBERS)}").strip().split()[-1]
    looks, acts = Fleet(gw.url, viewer, str(tmp_path)), Fleet(gw.url, operator, str(tmp_path))
    assert box.id in looks.run("devices", "pending", check=0).stdout
    for verb in (["devices", "approve", box.id], ["devices", "deny", box.id], ["enrolment", "create"],
                 ["enrolment", "revoke", token["enrolment"]["id"]]):
        p = looks.run(*verb)
        assert p.returncode == 1 and "auth.role" in p.stderr, p
    assert box.id in waiting(gw)
    acts.run("devices", "approve", box.id, check=0)

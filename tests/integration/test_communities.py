# SPDX-License-Identifier: MIT
"""Community data by the gateway's HTTP interface, on a real PostgreSQL."""
# pylint: disable=redefined-outer-name,unused-import
import base64
from concurrent.futures import ThreadPoolExecutor
import json
import threading
import urllib.request
import uuid

import pytest

from tests.integration.gateway_lab import enroll, error_id, gw, shared
from tests.lab.util import wait_until
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

TIMES = {"from": "2026-01-02T03:04:05Z", "until": "2036-01-02T03:04:05Z"}


def new():
    return str(uuid.uuid4())


class Community:
    """One community, and what is asked about it."""

    def __init__(self, gw, name="Los Pinos"):
        self.gw, self.id = gw, new()
        self.path = f"/v1/communities/{self.id}"
        answer = gw.request("PUT", self.path, {"name": name, "timeZone": "America/Guayaquil"})
        assert answer.status == 201, answer

    def ask(self, method, table, row=None, body=None, headers=None):
        path = f"{self.path}/{table}" + (f"/{row}" if row else "")
        if headers is None:
            return self.gw.request(method, path, body)
        return self.gw.raw(method, path, body, {"Authorization": f"Bearer {self.gw.token}", **headers})

    def put(self, table, row=None, **members):
        row = row or new()
        answer = self.ask("PUT", table, row, members)
        assert answer.status in (200, 201), answer  # it was there, or is new
        return answer.json["row"]

    def log(self):
        """[[version, table, id, deleted]]"""
        return self.gw.postgres.sql(f"SELECT version, kind, id, deleted FROM community_changes WHERE community = '{self.id}'"
                                    " ORDER BY version")


@pytest.fixture
def community(gw):
    return Community(gw)


def test_rows_are_put_read_changed_and_deleted(gw, community):
    unit = community.put("units", name="12-B", colour="blue")
    assert unit["community"] == community.id and unit["colour"] == "blue" and unit["version"] == "2"
    guest = new()
    answer = community.ask("PUT", "guests", guest, {"unit": unit["id"].upper(), "name": "Eva", "plate": "PBX-1234", **TIMES})
    assert answer.status == 201 and answer.json["communityVersion"] == "3"
    assert answer.json["row"] == {"id": guest, "version": "3", "community": community.id, "unit": unit["id"], "name": "Eva",
                                  "plate": "PBX-1234", **TIMES}
    again = community.ask("PUT", "guests", guest, answer.json["row"])
    assert again.status == 200 and again.json == answer.json  # what was read can be written; the same row is no change
    changed = community.ask("PUT", "guests", guest, {"unit": unit["id"], **TIMES})
    assert changed.status == 200 and changed.json["communityVersion"] == "4" and "plate" not in changed.json["row"]
    assert community.ask("GET", "guests", guest).json == {"row": changed.json["row"]}
    gone = community.ask("DELETE", "guests", guest)
    assert gone.status == 200 and gone.json == {"deleted": guest, "communityVersion": "5"}
    for method in ("GET", "DELETE"):
        assert error_id(community.ask(method, "guests", guest)) == "row.not-found"
    assert community.ask("PUT", "guests", guest, {"unit": unit["id"], **TIMES}).status == 201
    assert community.log() == [["1", "communities", community.id, "f"], ["2", "units", unit["id"], "f"],
                               ["3", "guests", guest, "f"], ["4", "guests", guest, "f"], ["5", "guests", guest, "t"],
                               ["6", "guests", guest, "f"]]
    actions = [e["action"] for e in gw.audit() if e["detail"].get("id") == guest]
    assert actions == ["community.row-created", "community.row-deleted", "community.row-changed", "community.row-created"]


def test_etags_keep_two_people_apart(gw, community):
    unit = community.put("units", name="1")
    path = f"{gw.url}{community.path}/units/{unit['id']}"
    with urllib.request.urlopen(urllib.request.Request(path, headers={"Authorization": f"Bearer {gw.token}"})) as answer:
        assert answer.headers["ETag"] == '"2"'

    def put(name, **headers):
        return community.ask("PUT", "units", unit["id"], {"name": name}, {k.replace("_", "-"): v for k, v in headers.items()})

    assert put("2", If_Match='"2"').status == 200
    late = put("3", If_Match='"2"')
    assert late.status == 412 and error_id(late) == "row.changed"
    assert put("3", If_None_Match="*").status == 412
    assert put("3", If_Match="*").json["row"]["version"] == "4"
    assert error_id(put("4", If_Match="4")) == "request.bad-header"
    assert community.ask("DELETE", "units", unit["id"], None, {"If-Match": '"3"'}).status == 412
    assert community.ask("PUT", "units", new(), {"name": "5"}, {"If-Match": "*"}).status == 412
    assert community.ask("DELETE", "units", unit["id"], None, {"If-Match": '"4"'}).status == 200
    assert community.ask("PUT", "units", unit["id"], {"name": "6"}, {"If-None-Match": "*"}).status == 201
    assert gw.raw("PUT", f"/v1/communities/{new()}", {"name": "x"},
                  {"Authorization": f"Bearer {gw.token}", "If-Match": "*"}).status == 404


def test_rows_that_need_each_other(gw, community):
    unit = community.put("units", name="1")
    host = community.put("users", name="Ana", role="resident", unit=unit["id"])
    community.put("guests", unit=unit["id"], host=host["id"], **TIMES)
    bad = community.ask("PUT", "guests", new(), {"unit": new(), **TIMES})
    assert bad.status == 422 and error_id(bad) == "row.bad-reference" and bad.json["error"]["key"] == "unit"
    bad = community.ask("PUT", "guests", new(), {"unit": unit["id"], "host": unit["id"], **TIMES})
    assert bad.status == 422 and bad.json["error"]["key"] == "host"
    for table, row in (("units", unit), ("users", host)):
        answer = community.ask("DELETE", table, row["id"])
        assert answer.status == 409 and error_id(answer) == "row.needed"
    other = Community(gw, "Other")
    answer = other.ask("PUT", "units", unit["id"], {"name": "1"})
    assert answer.status == 409 and error_id(answer) == "row.exists"
    assert other.ask("GET", "units", unit["id"]).status == 404
    assert error_id(gw.request("DELETE", community.path)) == "row.needed"
    box = enroll(gw, "gate-of-other")
    gw.request("PATCH", f"/v1/devices/{box.id}", {"labels": {"community": other.id.upper()}})
    assert "gate-of-other" in gw.request("DELETE", other.path).json["error"]["message"]
    gw.request("PATCH", f"/v1/devices/{box.id}", {"labels": {"community": None}})
    assert gw.request("DELETE", other.path).status == 200
    assert error_id(other.ask("GET", "units")) == "community.not-found"
    assert error_id(other.ask("PUT", "units", new(), {"name": "1"})) == "community.not-found"
    assert gw.request("PUT", other.path, {"name": "Back"}).json["row"]["version"] == "3"


def test_wrong_rows_and_paths_are_refused(gw, community):
    cases = [
        ("PUT", "units", new(), {}, 422, "row.missing", "name"),
        ("PUT", "bans", new(), {"reason": "theft"}, 422, "row.missing", "plate"),
        ("PUT", "guests", new(), {"unit": "12-B", **TIMES}, 422, "row.bad-id", "unit"),
        ("PUT", "users", new(), {"name": "A", "role": "guard", "pin": "12"}, 422, "row.bad-pin", "pin"),
        ("PUT", "units", "12-B", {"name": "x"}, 400, "request.bad-id", None),
        ("PUT", "communities", new(), {"name": "x"}, 404, "request.not-found", None),
        ("GET", "cars", None, None, 404, "request.not-found", None),
    ]
    for method, table, row, body, status, error, key in cases:
        answer = community.ask(method, table, row, body)
        assert (answer.status, error_id(answer), answer.json["error"].get("key")) == (status, error, key), answer
    assert gw.raw("GET", community.path, None, {}).status == 401
    assert error_id(gw.request("GET", f"{community.path}/units?after=x")) == "request.bad-parameter"
    assert community.log() == [["1", "communities", community.id, "f"]]


def test_pages_and_filters(gw, community):
    unit = community.put("units", name="1")
    plates = [f"ABC-{n}" for n in range(7)]
    for plate in plates:
        community.put("guests", unit=unit["id"], plate=plate, name="Éva", **TIMES)
    seen, query = [], "limit=3"
    while True:
        page = gw.request("GET", f"{community.path}/guests?{query}").json
        seen += page["rows"]
        if "next" not in page:
            break
        query = f"limit=3&after={page['next']}"
    assert sorted(row["plate"] for row in seen) == plates and [r["id"] for r in seen] == sorted(r["id"] for r in seen)

    def found(query):
        return sorted(row["plate"] for row in gw.request("GET", f"{community.path}/guests?{query}").json["rows"])

    assert found("plate=ABC-3") == ["ABC-3"] and found(f"unit={new()}") == [] and found(f"unit={unit['id']}") == plates
    assert found("q=bc-5") == ["ABC-5"] and found("q=%25") == []
    assert community.id in [r["id"] for r in gw.request("GET", "/v1/communities?q=pinos&limit=1000").json["rows"]]


def test_pins_are_hashed_kept_and_never_shown(gw, community):
    guard = community.put("users", name="Luis", role="guard", pin="4711")
    assert guard["hasPin"] is True and "pin" not in guard and "pinHash" not in guard

    def kept():
        return gw.postgres.sql(f"SELECT data->>'pinHash', data ? 'pin' FROM community_rows WHERE id = '{guard['id']}'")[0]

    first = kept()
    assert first[0].startswith("$scrypt$") and "4711" not in first[0] and first[1] == "f"
    renamed = community.put("users", guard["id"], **{**guard, "name": "Luis A."})
    assert renamed["hasPin"] is True and kept() == first
    assert "pinHash" not in str(community.ask("GET", "users").json)
    refused = community.ask("PUT", "users", guard["id"], {"name": "L", "role": "guard", "pinHash": "x"})
    assert refused.status == 422 and error_id(refused) == "row.pin-hash"
    without = community.put("users", guard["id"], name="Luis", role="guard", pin=None)
    assert "hasPin" not in without and kept()[0] == ""
    assert "4711" not in gw.log()


def test_versions_have_no_gap_when_many_write_at_once(gw, community):
    threads = [threading.Thread(target=lambda: [community.put("units", name="x") for _ in range(10)]) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [int(row[0]) for row in community.log()] == list(range(1, 82))


def opened(text, key):
    """The claims of a pass, checked without any of our code."""
    head, claims, signature = text.split(".")

    def part(p):
        return base64.urlsafe_b64decode(p + "=" * (-len(p) % 4))

    raw = part(signature)
    numbers = [int.from_bytes(part(key[n]), "big") for n in ("x", "y")]
    public = ec.EllipticCurvePublicNumbers(*numbers, ec.SECP256R1()).public_key()
    public.verify(encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")),
                  f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    assert json.loads(part(head)) == {"typ": "pass+jwt", "alg": "ES256"}
    return json.loads(part(claims))


def ask_pass(community, guest):
    return community.gw.request("POST", f"{community.path}/guests/{guest}/pass")


def test_passes_are_signed_by_the_key_of_their_community(gw, community):
    unit = community.put("units", name="1")["id"]
    guest = community.put("guests", unit=unit, name="Eva", **TIMES)["id"]
    assert "passKey" not in gw.request("GET", community.path).json["row"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask_pass(community, guest), range(4)))
    assert [a.status for a in answers] == [201] * 4, answers
    row = gw.request("GET", community.path).json["row"]
    key = row["passKey"]
    assert (key["kty"], key["crv"]) == ("EC", "P-256") and "d" not in key
    times = {"nbf": 1767323045, "exp": 2082855845}
    for answer in answers:
        it = answer.json["pass"]
        assert opened(it["text"], key) == {"v": 1, "aud": community.id, "sub": guest, "jti": it["id"], **times}
        assert len(it["text"]) < 360, "more makes a QR code that phones read badly"
    assert len({a.json["pass"]["id"] for a in answers}) == 4, "each is a pass of its own"
    assert gw.postgres.sql(f"SELECT count(*) FROM pass_keys WHERE community = '{community.id}'") == [["1"]]
    # whoever changes the community neither needs the key nor can replace it
    for change in ({"name": "New"}, {"name": "Newer", "passKey": {**key, "x": key["y"]}}):
        assert gw.request("PUT", community.path, change).json["row"]["passKey"] == key
    gw.postgres.sql(f"SELECT community_write('communities', '{community.id}', '{community.id}', jsonb_build_object('name', 'Old'),"
                    " NULL, false, 'test')")
    assert gw.request("GET", community.path).json["row"]["passKey"] == key
    # a row that has lost it gets it back with the next pass
    gw.postgres.sql(f"UPDATE community_rows SET data = data - 'passKey' WHERE id = '{community.id}'")
    assert opened(ask_pass(community, guest).json["pass"]["text"], key)["sub"] == guest
    assert gw.request("GET", community.path).json["row"] == {"id": community.id, "name": "Old", "passKey": key,
                                                             "version": gw.request("GET", community.path).json["row"]["version"]}
    entries = [e for e in gw.audit("pass.issued") if e["detail"]["guest"] == guest]
    assert len(entries) == 5 and entries[0]["actor"] == "operator:lab"
    pem = gw.postgres.sql(f"SELECT split_part(key, chr(10), 2) FROM pass_keys WHERE community = '{community.id}'")[0][0]
    secrets = [pem, answers[0].json["pass"]["text"]]
    assert len(pem) == 64
    told = [json.dumps(gw.audit()), json.dumps(community.log()), gw.daemon.log()]
    told += [str(gw.postgres.sql(f"SELECT * FROM {t}")) for t in ("community_rows", "community_changes")]
    assert not [s for s in secrets for text in told if s in text], "neither the key nor a pass is anywhere else"


def test_who_waits_behind_the_first_pass_keeps_its_key(gw, community):
    key = {"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}
    keep = f"SELECT pass_key_keep('{community.id}', 'key', '{json.dumps(key)}', 'test')"
    waits = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%community_write%'"
    # a change gives up after a second; here it must still wait when we look
    gw.postgres.sql("ALTER FUNCTION community_write SET lock_timeout = '1h'")
    try:
        with ThreadPoolExecutor(1) as pool:
            with gw.postgres.open_transaction(keep, "COMMIT"):
                change = pool.submit(gw.request, "PUT", community.path, {"name": "Newer"})
                wait_until(lambda: gw.postgres.sql(waits) or change.done(), "the change waits for the pass")
            answer = change.result()
    finally:
        gw.postgres.sql("ALTER FUNCTION community_write SET lock_timeout = '1s'")
    assert answer.status == 200 and answer.json["row"]["passKey"] == key, answer
    assert answer.json["row"]["name"] == "Newer"


def test_no_pass_without_a_guest_who_may_come(gw, community):
    unit = community.put("units", name="1")["id"]
    over = community.put("guests", unit=unit, **{"from": "2020-01-01T00:00:00Z", "until": "2020-02-01T00:00:00Z"})["id"]
    guest = community.put("guests", unit=unit, **TIMES)["id"]
    answer = ask_pass(community, over)
    assert answer.status == 409 and error_id(answer) == "pass.over"
    assert community.ask("DELETE", "guests", guest).status == 200
    for other in (guest, unit, new()):
        answer = ask_pass(community, other)
        assert answer.status == 404 and error_id(answer) == "row.not-found"
    assert error_id(ask_pass(community, "x")) == "request.bad-id"
    assert gw.raw("POST", f"{community.path}/guests/{over}/pass", None, {}).status == 401
    assert gw.request("GET", f"{community.path}/guests/{over}/pass").status == 405
    assert ask_pass(Community(gw, "Other"), over).status == 404, "the guest of another community"
    assert gw.postgres.sql(f"SELECT count(*) FROM pass_keys WHERE community = '{community.id}'") == [["0"]]

# SPDX-License-Identifier: MIT
"""The replica of a box on a real PostgreSQL: snapshots, changes, what is refused and asked for again, and a database that is
not there. The gateway is tests/lab/community.py, which speaks docs/wire-format.md by itself."""
# pylint: disable=redefined-outer-name,unused-import
import datetime
import json
import os

import pytest

from tests.integration.data_box import box, cloud, fill, pg
from tests.lab.community import TABLES, Community
from tests.lab.util import ROOT, read_text, wait_until


def test_snapshot_then_changes(box):
    c = box.server.community
    unit, ban = fill(c)
    box.start()
    box.wait_applied(c.version)
    box.assert_same()
    assert [n for n, in box.sql("SELECT indexname FROM pg_indexes WHERE tablename = 'guests' ORDER BY 1")] == [
        "guests_code", "guests_name", "guests_norm_code", "guests_pkey", "guests_plate", "guests_words"]
    assert box.sql("SELECT norm_name, norm_plate FROM bans") == [["NATO PEREZ ORTIZ", "A820158"]]
    assert box.sql("SELECT norm_name FROM users") == [["JOSE NUNEZ"]]
    before = c.version
    c.put("units", {"name": "12-C", "newMember": {"kept": [1, 1.50]}}, unit)
    c.delete("bans", ban)
    c.put("bans", {"document": "0912345678", "reason": "fight"})
    c.touch("guests", 700)
    box.server.send_deltas(before)
    box.wait_applied(c.version)
    box.assert_same()
    box.server.send(c.check())
    wait_until(lambda: box.sql("SELECT 1 FROM sync_state WHERE checked_at IS NOT NULL"), "the check was good")
    assert not box.server.resnapshots
    report = box.ask("replica.verify")
    assert {t["gateway"] for t in report["tables"]} == {"same"} and len(report["tables"]) == 5
    status = box.ask("replica.status")
    assert status["database"] == "up" and status["sync"] == "current" and status["bans"] == 1
    assert status["version"] == str(c.version) and status["community"] == c.id


def test_restart_continues_with_changes_alone(cloud, box):
    c = box.server.community
    fill(c, 10)
    box.start()
    box.wait_applied(c.version)
    box.kill()
    c.put("units", {"name": "13"})
    box.start()
    box.wait_applied(c.version)
    box.assert_same()
    assert box.sql("SELECT count(DISTINCT snapshot) FROM sync_state") == [["1"]]
    assert not box.server.resnapshots
    cloud.stop_tunnels()
    c.put("units", {"name": "14"})
    cloud.start_tunnels()
    box.wait_applied(c.version)
    box.assert_same()


def reasons(box):
    """Why it asked for a snapshot; on a slow machine it asks more than once."""
    return {m["reason"] for m in box.server.resnapshots}


def test_a_database_of_an_older_program_is_brought_up_to_date_with_its_rows(box):
    c = box.server.community
    fill(c, 10)
    c.put("guests", {"unit": "x", "name": "Ana", "code": "70-42o", "from": "x", "until": "x"})
    box.start()
    box.wait_applied(c.version)
    box.kill()
    steps = box.sql("SELECT count(*) FROM schema_version")
    box.sql("DELETE FROM schema_version WHERE version BETWEEN 17 AND 23; ALTER TABLE guests DROP COLUMN norm_code;"
            " DROP INDEX guests_words, units_id_text; DROP FUNCTION gate_candidates;"
            " CREATE OR REPLACE FUNCTION secbox_row_hash(id uuid, version bigint, data jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE"
            " AS 'SELECT 0::bigint'")
    c.put("units", {"name": "15"})
    box.start()
    box.wait_applied(c.version)
    assert box.sql("SELECT count(*) FROM schema_version") == steps
    assert box.sql("SELECT norm_code FROM guests WHERE norm_code IS NOT NULL") == [["70420"]]
    assert box.sql("SELECT data->>'name' FROM gate_candidates('704-2O')") == [["Ana"]]
    box.assert_same()
    box.server.send(c.check())
    wait_until(lambda: box.sql("SELECT 1 FROM sync_state WHERE checked_at IS NOT NULL"), "the check was good")
    assert not box.server.resnapshots


def test_guests_of_today_whose_plate_is_one_edit_from_what_was_read(box):
    c = box.server.community
    fill(c, 10)
    now = datetime.datetime.now(datetime.timezone.utc)
    hours = lambda n: (now + datetime.timedelta(hours=n)).strftime("%Y-%m-%dT%H:%M:%SZ")
    guest = {"unit": "x", "from": hours(-1), "until": hours(1)}
    near = ["ABC-123", "ABC-12", "ABC1234", "XABC123", "AC123", "ABC-I24", "BAC123", "QBC123", "ABD123"]
    for plate in (*near, "ABD124", "AB12", "CBA123", "ABC12399"):
        c.put("guests", {**guest, "name": plate, "plate": plate})
    c.put("guests", {**guest, "name": "before", "plate": "ABC125", "until": hours(-49)})
    c.put("guests", {**guest, "name": "later", "plate": "ABC126", "from": hours(73), "until": hours(90)})
    box.start()
    box.wait_applied(c.version)
    by_search = {row[0] for row in box.sql("SELECT DISTINCT data->>'name' FROM gate_candidates('abc 123')")}
    seen = {row[0] for row in box.sql("SELECT DISTINCT data->>'name' FROM gate_seen('abc 123')")}
    assert seen - by_search == set(near) - by_search and by_search < seen
    assert box.sql("SELECT * FROM gate_seen('---')") == [] == box.sql("SELECT * FROM gate_seen('QQ')")
    assert box.sql("SELECT cardinality(secbox_near_plates(repeat('A', 17))) IS NULL") == [["t"]]
    plan = box.sql("SET enable_seqscan = off; EXPLAIN SELECT * FROM guests WHERE norm_plate = ANY(secbox_near_plates('ABC123'))")
    assert any("guests_plate" in line for line, in plan), plan


def test_duplicates_gaps_and_other_epochs(box):
    c = box.server.community
    fill(c, 10)
    box.start()
    box.wait_applied(c.version)
    start = c.version
    for i in range(3):
        c.put("units", {"name": f"2{i}"})
    deltas = [d for at in range(start, c.version) for d in c.deltas(at)[:1]]
    box.server.send(deltas[0])
    box.server.send(deltas[0])
    box.wait_applied(c.version)
    box.assert_same()
    n = len(box.server.applied)
    box.server.send(deltas[0])
    wait_until(lambda: len(box.server.applied) > n, "a duplicate is acknowledged")
    c.put("units", {"name": "24"})
    c.put("units", {"name": "25"})
    box.server.send(c.deltas(c.version - 1)[0])
    wait_until(lambda: reasons(box) == {"gap"}, "the gap is refused")
    box.wait_applied(c.version)
    box.assert_same()
    other = json.loads(c.deltas(c.version - 1)[0])
    box.server.send({**other, "epoch": c.id, "from": str(c.version), "to": str(c.version + 1)})
    wait_until(lambda: reasons(box) == {"gap", "epoch"}, "another epoch is refused")


def test_damage_is_found_and_only_its_table_fetched(box):
    c = box.server.community
    fill(c, 10)
    box.start()
    box.wait_applied(c.version)
    box.sql("UPDATE guests SET data = data || '{\"name\": \"somebody else\"}' WHERE data->>'name' = 'Guest 3'")
    box.sql("DELETE FROM bans")
    box.server.send(c.check())
    wait_until(lambda: box.server.resnapshots, "damage is noticed")
    assert sorted(box.server.resnapshots[0]["tables"]) == ["bans", "guests"]
    wait_until(lambda: box.live("guests") == c.live("guests") and box.live("bans") == c.live("bans"), "it is mended")
    assert box.ask("replica.status")["version"] == str(c.version)
    c.put("units", {"name": "30"})
    box.server.send_deltas(c.version - 1)
    box.wait_applied(c.version)
    box.assert_same()


@pytest.mark.parametrize("spoil, reason", [
    (lambda begin, chunks, end: begin["tables"][3].update(checksum="0" * 16), "checksum"),
    (lambda begin, chunks, end: begin["tables"][3].update(count=11), "count"),
    (lambda begin, chunks, end: chunks.pop(), "count"),
    (lambda begin, chunks, end: chunks.insert(1, chunks.pop()), "gap"),
    (lambda begin, chunks, end: chunks.__setitem__(-1, chunks[-1].replace('"reason"', '"why"')), "checksum"),
])
def test_a_bad_snapshot_changes_nothing(box, spoil, reason):
    c = box.server.community
    fill(c, 10)
    box.start()
    box.wait_applied(c.version)
    before = {t: box.live(t) for t in TABLES}
    box.server.auto = False
    c.put("units", {"name": "40"})
    begin, chunks, end = c.snapshot()
    spoil(begin, chunks, end)
    for message in [begin, *chunks, end]:
        box.server.send(message)
    wait_until(lambda: box.server.resnapshots, "it is refused")
    assert box.server.resnapshots[0]["reason"] == reason
    assert {t: box.live(t) for t in TABLES} == before
    box.server.auto = True
    box.server.start_snapshot(None)
    box.wait_applied(c.version)
    box.assert_same()


def test_a_row_without_what_it_must_have(box):
    c = box.server.community
    fill(c, 10)
    box.start()
    box.wait_applied(c.version)
    box.server.auto = False
    before = box.live("bans")
    c.put("bans", {"plate": "X"})
    box.server.send_deltas(c.version - 1)
    wait_until(lambda: box.server.resnapshots, "it is refused")
    assert box.server.resnapshots[0]["reason"] == "schema" and box.live("bans") == before


def test_changes_during_a_snapshot_wait_for_it(box):
    c = box.server.community
    fill(c, 10)
    box.server.auto = False
    box.start()
    wait_until(lambda: any(m["type"] == "sync.have" for m in list(box.server.inbox.queue)), "sync.have")
    begin, chunks, end = c.snapshot()
    at = c.version
    box.server.send(begin)
    box.server.send(chunks[0])
    for i in range(3):
        c.put("units", {"name": f"5{i}"})
        box.server.send_deltas(c.version - 1)
    for message in [*chunks[1:], end]:
        box.server.send(message)
    box.wait_applied(c.version)
    box.assert_same()
    assert [v for _, v in box.server.applied] == [at, c.version] and not box.server.resnapshots  # together, in one transaction


def test_of_changes_that_come_together_those_before_a_bad_one_are_applied(box):
    c = box.server.community
    _, ban = fill(c, 10)
    box.server.auto = False
    box.start()
    wait_until(lambda: any(m["type"] == "sync.have" for m in list(box.server.inbox.queue)), "sync.have")
    begin, chunks, end = c.snapshot()
    at = c.version
    box.server.send(begin)
    c.delete("bans", ban)
    c.put("bans", {"plate": "no reason"})
    c.put("bans", {"plate": "X", "reason": "theft"})
    for version in range(at, c.version):
        message = c.deltas(version)[0]
        changes = json.loads(message)["changes"][:1]
        box.server.send({**json.loads(message), "to": str(version + 1), "changes": changes})
    for message in [*chunks, end]:
        box.server.send(message)
    wait_until(lambda: box.server.resnapshots, "the bad one is refused")
    assert [v for _, v in box.server.applied] == [at, at + 1] and box.live("bans") == []
    assert [(r["reason"], r["version"]) for r in box.server.resnapshots] == [("schema", str(at + 1))]


def test_bans_of_another_history_stay_until_a_person_agrees(box, pg):
    c = box.server.community
    _, old = fill(c, 3)
    kept = c.put("bans", {"name": "Kept", "reason": "x"})
    box.start()
    box.wait_applied(c.version)
    c.rebuild()
    c.forget("bans", old)
    box.server.start_snapshot(None)
    box.wait_applied(c.version)
    wait_until(lambda: box.ask("replica.status").get("unconfirmedBans") == 1, "the ban is unconfirmed")
    assert [i for i, _, _ in box.live("bans")] == [kept] and box.sql(f"SELECT 1 FROM bans WHERE id = '{old}'")
    box.server.send(c.check())
    wait_until(lambda: box.sql("SELECT 1 FROM sync_state WHERE checked_at IS NOT NULL"), "the check leaves it out")
    box.server.community = other = Community(pg, "Otra")
    box.server.start_snapshot(None)
    box.wait_applied(other.version)
    bans = {b["id"] for b in box.ask("replica.unconfirmed")["bans"]}
    assert bans == {old, kept} and box.live("guests") == []
    box.server.community = None
    box.server.send({"type": "sync.none", "reason": "no community"})
    wait_until(lambda: box.ask("replica.status")["sync"] == "unserved", "it knows that it serves nobody")
    assert len(box.sql("SELECT 1 FROM bans")) == 2
    assert box.ask("replica.release", ban=old) == {"released": 1}
    assert box.ask("replica.release", ban=old) == {"released": 0}
    assert box.sql("SELECT id FROM bans") == [[kept]]


def test_a_ban_ends_by_its_tombstone_alone(box):
    c = box.server.community
    _, lost = fill(c, 3)
    unseen, seen = (c.put("bans", {"plate": f"AAA-00{i}", "reason": "x"}) for i in (1, 2))
    box.start()
    box.wait_applied(c.version)

    def unconfirmed():
        return {b["id"] for b in box.ask("replica.unconfirmed")["bans"]}

    c.forget("bans", lost)
    assert box.ask("replica.resync", tables=["bans"]) == {"asked": 1}
    wait_until(lambda: unconfirmed() == {lost}, "a part of this very version lacks it")
    c.delete("bans", unseen)
    assert box.ask("replica.resync", tables=[]) == {"asked": 1}
    box.wait_applied(c.version)
    assert unconfirmed() == {lost, unseen} and len(box.sql("SELECT 1 FROM bans")) == 3
    box.assert_same()
    c.delete("bans", seen)
    c.put("bans", {"plate": "AAA-001", "reason": "again"}, unseen)
    box.server.send_deltas(c.version - 2)
    box.wait_applied(c.version)
    assert unconfirmed() == {lost} and {i for i, in box.sql("SELECT id FROM bans")} == {lost, unseen}
    c.delete("bans", lost)
    box.server.send_deltas(c.version - 1)
    box.wait_applied(c.version)
    assert not unconfirmed()
    box.assert_same()
    assert reasons(box) == {"operator"}


def test_the_database_comes_late_and_goes(cloud, box):
    c = box.server.community
    fill(c, 3)
    box.env["DATABASE_URL"] = box.pg.url("later")
    box.start()
    wait_until(lambda: box.server.connection, "the tunnel does not wait for the database")
    wait_until(lambda: box.ask("replica.status")["database"] == "missing", "its state has a name")
    box.database = "later"
    box.pg.sql("CREATE DATABASE later")
    box.wait_applied(c.version)
    box.assert_same()
    box.sql("ALTER DATABASE later SET default_transaction_read_only = on")
    box.pg.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'later'")
    wait_until(lambda: box.ask("replica.status")["database"] == "read-only", "read-only has a name")
    wait_until(lambda: "tables" in box.ask("replica.verify"), "it can be read")
    wait_until(lambda: box.ask("replica.status").get("bans") == 1, "the ban is known")
    assert box.ask("replica.status")["database"] == "read-only"
    assert box.ask("replica.resync", tables=[])["id"] == "sync.no-database"
    # the database refuses it, or the session, which is left for another again and again, is not there just then
    assert box.ask("queue.put", kind="visit.entry", data={})["id"] in ("store.query", "store.unavailable")
    box.pg.sql("ALTER DATABASE later RESET default_transaction_read_only")
    wait_until(lambda: box.ask("replica.status")["database"] == "up", "it is there again")
    wait_until(lambda: "clientId" in box.ask("queue.put", kind="visit.entry", data={}), "events are taken again")
    c.put("units", {"name": "60"})
    box.kill()
    box.start()
    box.wait_applied(c.version)
    box.assert_same()


def test_without_a_database(cloud, box):
    box.env.pop("DATABASE_URL")
    box.start()
    wait_until(lambda: "device tunnel ready" in read_text(box.log), "the tunnel")
    assert box.ask("replica.status")["id"] == "sync.no-database"
    assert box.ask("nonsense")["id"] == "sync.no-database"


def test_search_columns_are_folded_as_what_guards_type(box):
    c = box.server.community
    box.start()
    box.wait_applied(c.version)
    with open(os.path.join(ROOT, "tests", "cases", "match.json"), encoding="utf-8") as f:
        cases = json.load(f)
    for function, pairs in [("secbox_norm_plate", cases["plateOf"]), ("secbox_norm_name", cases["nameOf"])]:
        values = ", ".join("({}, {})".format(*("E'" + json.dumps(text)[1:-1].replace("'", "''") + "'" for text in pair))
                           for pair in pairs)
        wrong = box.sql(f"SELECT given, wanted, {function}(given) FROM (VALUES {values}) AS cases(given, wanted)"
                        f" WHERE coalesce({function}(given), '') <> wanted")
        assert wrong == [], function

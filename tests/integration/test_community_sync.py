# SPDX-License-Identifier: MIT
"""What boxes are sent of their community's data, and what the gateway then knows about them."""
# pylint: disable=redefined-outer-name,unused-import
import hashlib
import itertools
import json
import time

import pytest

from tests.integration.gateway_lab import gw, shared
from tests.integration.replica_box import TABLES, ReplicaBox
from tests.integration.test_communities import TIMES, Community, community, new
from tests.lab.util import wait_until

NUMBERS = itertools.count(1)


@pytest.fixture
def boxes(gw):
    made = []

    def make(community=None):
        made.append(ReplicaBox(gw, f"gate-{next(NUMBERS)}", community))
        return made[-1]

    yield make
    for box in made:
        box.close()


def stored(gw, community):
    """{table: {id: (version, data)}} as the database has it."""
    rows = {t: {} for t in TABLES}
    for kind, row, version, data in gw.postgres.sql("SELECT kind, id, version, data FROM community_rows WHERE NOT deleted"
                                                    f" AND community = '{community.id}'"):
        rows[kind][row] = (int(version), json.loads(data))
    return rows


def fill(gw, community, units, kind="units", size=10):
    """Rows straight into the database, in the way in which the gateway writes them."""
    gw.postgres.sql(f"SELECT count(community_write('{kind}', gen_random_uuid(), '{community.id}', jsonb_build_object('name',"
                    f" n::text, 'reason', repeat('x', {size}), 'community', '{community.id}'), NULL, false, 'test'))"
                    f" FROM generate_series(1, {units}) n")


def ban_status(gw, community, ban):
    answer = gw.request("GET", f"{community.path}/bans/{ban}/status")
    assert answer.status == 200, answer
    return {b["device"]: b for b in answer.json["boxes"]}


def test_a_new_box_gets_everything_and_then_each_change_at_once(gw, community, boxes):
    unit = community.put("units", name="12-B")
    community.put("users", name="Luis", role="guard", pin="4711")
    box = boxes(community.id).connect()
    box.until("snapshot.end")
    assert box.version == 3 and box.rows == stored(gw, community)
    assert "pinHash" in str(box.rows["users"])
    assert box.until("sync.check")["version"] == "3"
    ban = community.put("bans", reason="theft", plate="PBX-1234")
    box.reach(4)
    community.ask("DELETE", "bans", ban["id"])
    community.ask("DELETE", "units", unit["id"])
    box.reach(6)
    assert box.rows == stored(gw, community) and not box.rows["bans"]
    assert "delta.changes" in box.log


def test_checksums_are_those_of_the_page(gw, community, boxes):
    fill(gw, community, 30)
    box = boxes(community.id).connect()
    begin = box.until("snapshot.begin")
    for table in begin["tables"]:
        total = 0
        for row, version, text in gw.postgres.sql("SELECT id, version, data FROM community_rows WHERE NOT deleted AND"
                                                  f" community = '{community.id}' AND kind = '{table['table']}'"):
            total += int.from_bytes(hashlib.md5(f"{row} {version} {text}".encode()).digest()[:8], "big")
        assert table["checksum"] == f"{total % 2**64:016x}", table


def test_a_box_that_returns_gets_only_what_it_lacks(gw, community, boxes):
    box = boxes(community.id).connect()
    box.until("sync.check")
    box.device.close()
    fill(gw, community, 1200)
    box.log.clear()
    box.connect()
    box.reach(1201)
    assert box.rows == stored(gw, community) and set(box.log) == {"delta.changes"} and len(box.log) == 3


def test_a_snapshot_of_many_messages_waits_for_the_box(gw, community, boxes):
    fill(gw, community, 2300)
    fill(gw, community, 400, "bans", 4000)  # 500 of these would not fit into a message
    box = boxes(community.id).connect()
    box.until("snapshot.begin")
    for _ in range(4):
        assert box.next(got=False)["type"] == "snapshot.rows"
    assert box.tunnel.silent() == []
    box.send("snapshot.got", snapshot=box.begun["snapshot"], index=3)
    box.until("snapshot.end")
    assert box.chunks >= 9 and box.rows == stored(gw, community)


def test_changes_during_a_snapshot_follow_it(gw, community, boxes):
    fill(gw, community, 3000)
    box = boxes(community.id).connect()
    box.until("snapshot.begin")
    ban = community.put("bans", reason="theft", name="Juan")
    box.until("snapshot.end")
    assert ban["id"] not in box.rows["bans"] and box.version == 3001  # the state of one moment
    box.reach(3002)
    assert box.rows == stored(gw, community)


def test_some_tables_again(gw, community, boxes):
    fill(gw, community, 20)
    community.put("bans", reason="theft", name="Juan")
    box = boxes(community.id).connect()
    box.until("sync.check")
    community.put("units", name="new")
    box.reach(23)
    box.rows["bans"] = {}
    box.send("sync.resnapshot", reason="checksum", tables=["bans"], epoch=box.epoch, version=str(box.version))
    box.until("snapshot.end")
    assert [t["table"] for t in box.begun["tables"]] == ["bans"]
    box.until("sync.check")
    assert box.rows == stored(gw, community)
    box.rows = {t: {} for t in TABLES}
    box.send("sync.resnapshot", reason="damaged")
    box.until("snapshot.end")
    assert box.rows == stored(gw, community)


def test_a_box_of_another_history_begins_anew(gw, community, boxes):
    fill(gw, community, 5)
    box = boxes(community.id).connect()
    box.until("snapshot.end")
    for changed in ({"epoch": new()}, {"community": new()}, {"version": "0"}):
        box.device.close()
        box.connect(**changed)
        assert box.until("snapshot.begin")["version"] == "6", changed
        box.until("snapshot.end")


def test_a_database_from_an_older_copy_is_another_history(gw, community, boxes):
    fill(gw, community, 5)
    first, second = boxes(community.id).connect(), boxes(community.id).connect()
    for box in (first, second):
        box.until("sync.check")
    first.device.close()
    where = f"community = '{community.id}' AND version > 4"
    gw.postgres.sql(f"DELETE FROM community_changes WHERE {where}; DELETE FROM community_rows WHERE {where};"
                    f" UPDATE communities SET version = 4 WHERE id = '{community.id}'; TRUNCATE community_snapshots CASCADE")
    old = first.epoch
    first.connect()
    for box in (first, second):
        assert box.until("snapshot.begin")["epoch"] != old
        box.until("snapshot.end")
        assert box.version == 4 and box.rows == stored(gw, community)
    lost = [e for e in gw.audit("community.history-lost") if e["detail"]["community"] == community.id]
    assert len(lost) == 1 and lost[0]["alarm"] and lost[0]["detail"]["boxHas"] == "6"


def test_changes_that_the_log_no_longer_has(gw, community, boxes):
    box = boxes(community.id).connect()
    box.until("sync.check")
    box.device.close()
    fill(gw, community, 10)
    gw.postgres.sql(f"DELETE FROM community_changes WHERE community = '{community.id}' AND version <= 5;"
                    f" UPDATE communities SET log_floor = 5 WHERE id = '{community.id}'")
    box.connect()
    box.until("snapshot.end")
    assert box.rows == stored(gw, community)


def test_boxes_without_a_community(gw, community, boxes):
    silent = boxes(community.id)  # an older box, which keeps no copy
    tunnel = silent.device.connect(status=False)
    community.put("units", name="1")
    assert tunnel.silent() == []
    box = boxes().connect()
    assert "no label" in box.until("sync.none")["reason"]
    box.label(new())
    assert "no community" in box.until("sync.none")["reason"]
    box.label(community.id.upper())
    box.until("snapshot.end")
    assert box.rows == stored(gw, community)
    other = Community(gw, "Other")
    box.label(other.id)
    box.until("snapshot.end")
    assert box.community == other.id and box.rows == stored(gw, other)


def test_which_boxes_know_a_ban_since_when(gw, community, boxes):
    near, far, old = boxes(community.id).connect(), boxes(community.id).connect(), boxes(community.id)
    for box in (near, far):
        box.until("sync.check")
    far.device.close()
    ban = community.put("bans", reason="theft", plate="PBX-1234")["id"]
    near.reach(2)
    names = {"near": near.device.id, "far": far.device.id, "old": old.device.id}
    wait_until(lambda: ban_status(gw, community, ban)[names["near"]]["knows"], "the gateway knows that the box knows")
    status = ban_status(gw, community, ban)
    assert set(status) == set(names.values())
    assert status[names["near"]]["since"] and status[names["near"]]["connected"]
    assert not status[names["far"]]["knows"] and not status[names["far"]]["connected"]
    assert not status[names["old"]]["knows"] and "since" not in status[names["old"]]
    far.connect()
    far.reach(2)
    first = wait_until(lambda: ban_status(gw, community, ban)[names["far"]].get("since"), "far knows it, too")
    community.put("bans", ban, reason="theft and worse", plate="PBX-1234")
    far.reach(3)
    wait_until(lambda: ban_status(gw, community, ban)[names["far"]].get("since", first) != first, "the newer one")
    near.version = near.epoch = None  # its database was lost
    near.device.close()
    near.version = 0
    near.connect()
    wait_until(lambda: not ban_status(gw, community, ban)[names["near"]]["knows"], "nobody believes an empty box")
    near.reach(3)
    wait_until(lambda: ban_status(gw, community, ban)[names["near"]]["knows"], "it has it again")
    overview = gw.request("GET", f"{community.path}/boxes").json
    assert overview["version"] == "3"
    assert {b["device"]: b.get("version") for b in overview["boxes"]} == {names["near"]: "3", names["far"]: "3",
                                                                         names["old"]: None}


def test_a_box_cannot_claim_what_it_was_not_sent(gw, community, boxes):
    box = boxes(community.id).connect()
    box.until("sync.check")
    ban = community.put("bans", reason="theft", name="Juan")["id"]
    assert box.tunnel.next()["type"] == "delta.changes"  # it was sent version 2, and does not say that it has it
    box.send("sync.applied", epoch=box.epoch, version="99")
    box.send("sync.applied", epoch=new(), version="2")
    box.send("sync.applied", epoch=box.epoch, version="0")
    box.send("sync.resnapshot", reason="damaged")
    while box.tunnel.next()["type"] != "snapshot.end":  # so all of that was read, and what it means is in the database
        pass

    def known():
        return ban_status(gw, community, ban)[box.device.id]["knows"]

    (position,) = gw.request("GET", f"{community.path}/boxes").json["boxes"]
    assert position["version"] == "1" and not known()
    box.version = 2
    box.applied()
    wait_until(known, "what it was sent it may say")


def test_a_box_alone_cannot_make_all_begin_anew(gw, community, boxes):
    def alarms():
        return [e["detail"]["renewed"] for e in reversed(gw.audit("community.history-lost"))
                if e["detail"]["community"] == community.id]

    liar, other = boxes(community.id).connect(), boxes(community.id).connect()
    for box in (liar, other):
        box.until("sync.check")
    liar.device.close()
    liar.connect(version="1000")
    for box in (liar, other):
        box.until("sync.check")
    assert alarms() == [True]
    liar.device.close()
    liar.connect(version="1000")
    wait_until(lambda: len(alarms()) == 2, "the second alarm")
    other.log.clear()
    community.put("units", name="1")
    other.reach(2)
    assert set(other.log) <= {"delta.changes", "sync.check"}
    gw.postgres.sql(f"UPDATE communities SET epoch_renewed_at = now() - interval '61 min' WHERE id = '{community.id}'")
    for box in (liar, other):  # it may be right after all
        box.until("snapshot.end")
    assert alarms() == [True, False, True]


def test_a_snapshot_goes_on_when_labels_change(gw, community, boxes):
    fill(gw, community, 2300)
    box = boxes(community.id).connect()
    box.until("sync.check")
    box.log.clear()
    box.send("sync.resnapshot", reason="damaged")
    box.until("snapshot.begin")
    assert box.next(got=False)["type"] == "snapshot.rows"
    box.label(community.id)
    box.send("snapshot.got", snapshot=box.begun["snapshot"], index=0)
    box.until("snapshot.end")
    assert box.log.count("snapshot.begin") == 1 and box.rows == stored(gw, community)


def test_f28_old_bans_are_an_alarm_once(gw, community, boxes):
    other = Community(gw, "Other")
    behind, away = boxes(community.id).connect(), boxes(community.id).connect()
    tidied, foreign, never = boxes(other.id).connect(), boxes(other.id).connect(), boxes(other.id)
    for box in (behind, away, tidied, foreign):
        box.until("sync.check")
    away.device.close()
    wait_until(lambda: not ban_connected(gw, community)[away.device.id], "it is away")
    for c in (community, other):
        c.put("bans", reason="theft", name="Juan")
    for box in (behind, tidied, foreign):
        assert box.tunnel.next()["type"] == "delta.changes"  # and does not say that it has it
    # the log is kept for 30 days; a position may be of another history; and a box may never have asked for anything
    gw.postgres.sql(f"DELETE FROM community_changes WHERE community = '{other.id}'; UPDATE box_positions"
                    f" SET epoch = gen_random_uuid(), version = 1000 WHERE device = '{foreign.device.id}'")
    wait_until(lambda: gw.postgres.sql(f"SELECT 1 FROM box_positions WHERE device = '{never.device.id}'"), "it is waited for")
    listed = {b["device"]: b for b in gw.request("GET", f"{other.path}/boxes").json["boxes"]}
    assert listed[never.device.id] == {"device": never.device.id, "serves": True, "connected": False}
    for box, ago in ((behind, "16 min"), (away, "25 hours"), (tidied, "16 min"), (foreign, "16 min"), (never, "25 hours")):
        age(gw, other if box in (tidied, foreign, never) else community, ago, box)
    for box in (behind, away, tidied, foreign, never):
        (entry,) = wait_until(lambda b=box: entries(gw, "bans.stale", b), "the alarm")
        assert entry["alarm"] and entry["detail"]["connected"] is (box not in (away, never)) and entry["detail"]["newest"] == "2"
        assert ("currentAt" in entry["detail"]) is (box is not never)
    behind.version = 2
    behind.applied()
    away.connect()
    away.reach(2)
    for box in (behind, away):
        wait_until(lambda b=box: entries(gw, "bans.current", b), "the end of it")
        assert len(entries(gw, "bans.stale", box)) == 1


def entries(gw, action, box):
    return [e for e in gw.audit(action) if e["device"] == box.device.id]


def age(gw, community, interval, box):
    """The bans, and when the box was up to date, are so much longer ago."""
    gw.postgres.sql(f"UPDATE community_rows SET changed_at = now() - interval '{interval}' WHERE kind = 'bans'"
                    f" AND community = '{community.id}'; UPDATE box_positions"
                    f" SET current_at = current_at - interval '{interval}' WHERE device = '{box.device.id}'")


def ban_connected(gw, community):
    return {b["device"]: b["connected"] for b in gw.request("GET", f"{community.path}/boxes").json["boxes"]}


def test_the_database_goes_away_and_comes_back(gw, community, boxes):
    box = boxes(community.id).connect()
    box.until("sync.check")
    gw.postgres.pause()
    gw.postgres.resume()
    wait_until(lambda: gw.request("GET", community.path).status == 200, "the gateway has its database again")
    community.put("units", name="1")
    box.reach(2)
    assert box.rows == stored(gw, community)

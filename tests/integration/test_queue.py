# SPDX-License-Identifier: MIT
"""The queue of events of a box on a real PostgreSQL: written with what they report, sent in order, forgotten only when they
are acknowledged, and never sent to another community."""
# pylint: disable=redefined-outer-name,unused-import
import json
import os
import re
import resource
import subprocess
import time
import uuid

import pytest

from tests.integration.data_box import DataBox, cloud, pg
from tests.integration.data_box import box as idle_box
from tests.lab.community import Community, CommunityServer
from tests.lab.util import cpu_seconds, program, read_text, wait_until


@pytest.fixture
def box(idle_box):
    idle_box.start()
    idle_box.wait_applied(idle_box.server.community.version)
    return idle_box


def put(box, kind, **data):
    return box.ask("queue.put", kind=kind, data=data)["clientId"]


def waiting(box):
    return int(box.sql("SELECT count(*) FROM outbound_events")[0][0])


def assert_counted(box):
    """What the counters say is what is there."""
    status, community = box.ask("queue.status"), box.ask("replica.status")["community"]
    for name, what in (("waiting", f"count(*) FROM outbound_events WHERE community = '{community}'"),
                       ("bytes", f"coalesce(sum(size), 0) FROM outbound_events WHERE community = '{community}'"),
                       ("held", f"count(*) FROM outbound_events WHERE community <> '{community}'"),
                       ("dead", "count(*) FROM dead_events")):
        assert box.sql(f"SELECT {what}") == [[str(status[name])]], (name, status)
    assert sum(status.get("byPriority", {}).values()) == status["waiting"]
    assert ("oldestAt" in status) == (status["waiting"] > 0)


def test_an_entry_is_written_sent_and_forgotten(box):
    entry = put(box, "visit.entry", plate="PBA-1234", unit="12-B")
    assert box.sql(f"SELECT data->>'plate', left_at FROM visits WHERE id = '{entry}'") == [["PBA-1234", ""]]
    put(box, "visit.exit", visit=entry)
    guest = str(uuid.uuid4())
    put(box, "guest.used", guest=guest)
    put(box, "shift.note", text="quiet night")
    wait_until(lambda: len(box.server.events) == 4 and waiting(box) == 0, "all have arrived and are forgotten")
    event = box.server.events[entry]
    assert event["kind"] == "visit.entry" and event["community"] == box.server.community.id
    assert event["data"] == {"plate": "PBA-1234", "unit": "12-B"} and entry[14] == "7"
    assert box.sql(f"SELECT 1 FROM visits WHERE id = '{entry}' AND left_at IS NOT NULL")
    assert box.sql("SELECT guest FROM guest_uses") == [[guest]]
    assert box.sql("SELECT data->>'text' FROM shift_notes") == [["quiet night"]]
    status = box.ask("queue.status")
    assert status["waiting"] == 0 and status["dead"] == 0


def test_entries_go_before_motion_and_in_order(cloud, box):
    cloud.stop_tunnels()
    wait_until(lambda: box.ask("replica.status")["sync"] == "away", "the cloud is gone")
    motion = [put(box, "motion.clip", n=i) for i in range(3)]
    plate = put(box, "plate.match", n=3)
    entries = [put(box, "visit.entry", n=i) for i in range(3)]
    report = box.ask("queue.status")
    assert report["byPriority"] == {"entries": 3, "matches": 1, "motion": 3} and report["waiting"] == 7
    oldest = box.sql("SELECT to_char(min(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') FROM outbound_events")
    assert [[report["oldestAt"]]] == oldest
    assert_counted(box)
    cloud.start_tunnels()
    wait_until(lambda: waiting(box) == 0, "they are sent")
    assert list(box.server.events) == entries + [plate] + motion


def test_the_same_client_id_twice_is_one(box):
    assert box.ask("queue.put", kind="visit.entry", data={}, clientId=str(uuid.uuid4()))["id"] == "queue.bad-event"
    same = "0192d7a4-51c3-7b1e-8f0a-6d2b9c4e1f55"
    for _ in range(3):
        assert box.ask("queue.put", kind="visit.entry", data={"n": 1}, clientId=same)["clientId"] == same
    wait_until(lambda: waiting(box) == 0 and same in box.server.events, "it is sent")
    assert len(box.server.events) == 1 and len(box.sql("SELECT 1 FROM visits")) == 1


def test_a_refused_event_does_not_block(box):
    box.server.reject.add("face.match")
    refused = put(box, "face.match", who="x")
    after = [put(box, "motion.clip", n=i) for i in range(2)]
    wait_until(lambda: set(after) <= set(box.server.events) and waiting(box) == 0, "the others arrive")
    dead = box.ask("queue.dead")["dead"]
    assert [d["clientId"] for d in dead] == [refused] and dead[0]["error"]["id"] == "event.refused"
    assert_counted(box)
    box.server.reject.clear()
    assert box.ask("queue.retry", clientId=refused) == {"retried": 1}
    wait_until(lambda: refused in box.server.events, "it is sent again")
    assert box.ask("queue.dead")["dead"] == []
    wait_until(lambda: waiting(box) == 0, "and forgotten")
    assert_counted(box)


def test_without_an_acknowledgement_nothing_is_forgotten(cloud, box):
    box.server.ack = False
    events = [put(box, "visit.entry", n=i) for i in range(5)]
    wait_until(lambda: len(box.server.events) == 5, "they are sent")
    assert waiting(box) == 5
    cloud.stop_tunnels()
    box.server.events.clear()
    box.server.ack = True
    cloud.start_tunnels()
    wait_until(lambda: waiting(box) == 0, "they are sent again on the next connection")
    assert list(box.server.events) == events


def test_what_a_session_has_prepared_may_change(box):
    """As by a newer program beside this one: PostgreSQL refuses the plan that it made."""
    first = put(box, "visit.entry", n=1)
    wait_until(lambda: first in box.server.events and waiting(box) == 0, "it is sent")
    box.sql("ALTER FUNCTION queue_next RENAME TO queue_next_before;"
            " CREATE FUNCTION queue_next(c uuid, a bigint, b bigint, d bigint, most bigint) RETURNS TABLE"
            " (seq bigint, priority smallint, event jsonb) LANGUAGE sql AS"
            " 'SELECT seq, priority, event::jsonb FROM queue_next_before(c, a, b, d, most)'")
    second = put(box, "visit.entry", n=2)
    wait_until(lambda: "events wait in the queue" in read_text(box.log), "the plan is refused", box.alive)
    third = put(box, "visit.entry", n=3)
    wait_until(lambda: {second, third} <= set(box.server.events) and waiting(box) == 0, "they are sent without it", box.alive)


def test_a_queue_belongs_to_one_community(box, pg):
    box.server.ack = False
    old = put(box, "visit.entry", n=1)
    wait_until(lambda: old in box.server.events, "it is sent")
    first = box.server.community
    box.server.events.clear()
    box.server.ack = True
    box.server.community = other = Community(pg, "Otra")
    box.server.start_snapshot(None)
    box.wait_applied(other.version)
    new = put(box, "visit.entry", n=2)
    wait_until(lambda: new in box.server.events and waiting(box) == 1, "only the new one is sent")
    assert old not in box.server.events and box.ask("queue.status")["held"] == 1
    assert_counted(box)
    box.server.community = first
    box.server.start_snapshot(None)
    box.wait_applied(first.version)
    wait_until(lambda: old in box.server.events and waiting(box) == 0, "the old one goes where it belongs")


def test_what_is_no_event(box):
    assert box.ask("queue.put", kind="visit.exit", data={})["id"] == "queue.bad-event"
    assert box.ask("queue.put", kind="No", data={})["id"] == "queue.bad-event"
    assert box.ask("queue.put", kind="motion.clip", data={"x": "y" * 40000})["id"] == "queue.too-large"
    assert waiting(box) == 0 and not box.server.events


def test_no_community_no_events(cloud, pg):
    box = DataBox(cloud, pg)
    box.server = CommunityServer(cloud, None)
    box.start()
    try:
        wait_until(lambda: box.server.connection, "the tunnel")
        wait_until(lambda: box.ask("replica.status")["sync"] == "unserved", "it serves nobody")
        assert box.ask("queue.put", kind="visit.entry", data={})["id"] == "queue.no-community"
    finally:
        box.close()


def test_many_writers_commit_together(box, pg):
    """While the database stands still, the first is under way; those that come meanwhile are one transaction."""
    put(box, "visit.entry", n=-1)
    pg.freeze()
    try:
        writers = [box.begin_ask("queue.put", kind="visit.entry", data={"n": i}) for i in range(20)]
        for _ in range(3):  # answered without the database, and after those above were read
            assert box.ask("queue.put", kind="No", data={})["id"] == "queue.bad-event"
    finally:
        pg.thaw()
    ids = {box.end_ask(w)["clientId"] for w in writers}
    transactions = int(box.sql("SELECT count(DISTINCT xmin::text) FROM visits WHERE data->>'n' >= '0'")[0][0])
    assert len(ids) == 20 and transactions < 10
    wait_until(lambda: len(box.server.events) == 21 and waiting(box) == 0, "all arrive")


def test_f51_the_bounds_drop_the_least_important_oldest(box):
    box.server.ack = False
    ids = [put(box, kind, n=i) for i, kind in enumerate(["motion.clip", "motion.clip", "visit.entry", "plate.match"])]
    size = int(box.sql("SELECT max(size) FROM outbound_events")[0][0])
    assert box.sql(f"SELECT queue_trim({size * 3}, 1000000, 0)") == [["1"]]
    assert {i for i, in box.sql("SELECT client_id FROM outbound_events")} == set(ids[1:])
    assert box.sql(f"SELECT queue_trim({size}, 1000000, 0)") == [["2"]]
    assert box.sql("SELECT kind FROM outbound_events") == [["visit.entry"]]
    assert box.sql("SELECT queue_trim(1000000, 10, 10)") == [["0"]]
    assert box.sql("SELECT queue_trim(1000000, 10, 1)") == [["1"]]
    assert box.ask("queue.status")["dropped"] == 4
    assert_counted(box)


def test_dead_letters_go_before_what_waits(box):
    box.server.reject.add("face.match")
    dead = [put(box, "face.match", n=i) for i in range(2)]
    wait_until(lambda: len(box.ask("queue.dead")["dead"]) == 2, "both are refused")
    box.server.ack = False
    entry = put(box, "visit.entry", n=2)
    size = int(box.sql("SELECT max(size) FROM outbound_events")[0][0])
    assert box.sql(f"SELECT queue_trim({size * 2}, 1000000, 0)") == [["1"]]
    assert box.sql("SELECT client_id FROM dead_events") == [[dead[1]]]
    assert box.sql(f"SELECT queue_trim({size}, 1000000, 0)") == [["1"]]
    assert box.sql("SELECT client_id FROM outbound_events") == [[entry]] and box.sql("SELECT 1 FROM dead_events") == []
    assert box.ask("queue.status")["dropped"] == 2
    assert_counted(box)


def test_a_bound_of_ones_own(idle_box):
    """QUEUE_MAX_MB; and what somebody does to the tables by hand, without the counters, is seen when secbox comes back."""
    box = idle_box
    box.server.ack = False
    box.env["QUEUE_MAX_MB"] = "1"
    box.start()
    box.wait_applied(box.server.community.version)
    entry = put(box, "visit.entry", n=0)
    for n in range(40):
        put(box, "motion.clip", n=n, x="y" * 30000)
    wait_until(lambda: box.ask("queue.status").get("dropped"), "what is beyond 1 MB is dropped")
    status = box.ask("queue.status")
    assert status["bytes"] < 1.1 * 1024 * 1024 and status["waiting"] > 30 and status["byPriority"]["entries"] == 1
    assert box.sql("SELECT client_id FROM outbound_events WHERE kind = 'visit.entry'") == [[entry]]
    assert_counted(box)
    box.process.terminate()
    assert box.process.wait() == 0
    box.sql("SET session_replication_role = replica; DELETE FROM outbound_events WHERE kind = 'motion.clip'")
    assert box.sql("SELECT sum(events) FROM queue_counts") != [["1"]]
    box.start()
    wait_until(lambda: box.sql("SELECT sum(events) FROM queue_counts") == [["1"]], "they are counted anew")
    box.wait_ready()
    assert_counted(box)


def test_what_has_ended_goes_with_its_age(box):
    c = box.server.community
    guest = c.put("guests", {"unit": c.id, "name": "G", "from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"})
    box.server.send_deltas(c.version - 1)
    box.wait_applied(c.version)
    left, inside = (put(box, "visit.entry", n=i) for i in range(2))
    put(box, "visit.exit", visit=left)
    put(box, "shift.note", text="quiet night")
    for used in (guest, str(uuid.uuid4())):
        put(box, "guest.used", guest=used)
    wait_until(lambda: waiting(box) == 0, "all is sent")
    assert box.sql("SELECT queue_trim(1000000, 10, 10)") == [["0"]]
    assert box.sql("SELECT count(*) FROM visits") == [["2"]] and box.sql("SELECT count(*) FROM guest_uses") == [["2"]]
    assert box.sql("SELECT queue_trim(1000000, 10, 1)") == [["0"]]
    assert box.sql("SELECT id FROM visits") == [[inside]] and box.sql("SELECT 1 FROM shift_notes") == []
    assert box.sql("SELECT guest FROM guest_uses") == [[guest]]
    put(box, "shift.note", text="a new one has its own age")
    assert box.sql("SELECT queue_trim(1000000, 10, 10)") == [["0"]] and len(box.sql("SELECT 1 FROM shift_notes")) == 1


def test_no_descriptors_left_is_no_reason_to_spin(box):
    pid = box.process.pid
    box.ask("queue.status")
    used = {int(n) for n in os.listdir(f"/proc/{pid}/fd")}
    lowest_free = next(n for n in range(len(used) + 1) if n not in used)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    asked = box.begin_ask("queue.status")
    begin = cpu_seconds(pid)
    time.sleep(3)
    assert cpu_seconds(pid) - begin < 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert box.end_ask(asked)["waiting"] == 0


def test_secboxctl_asks_over_the_socket(box):
    root = box.folder
    os.makedirs(os.path.join(root, "run/tucomunidad"))
    os.symlink(box.env["SECBOX_RUN"], os.path.join(root, "run/tucomunidad/secbox"))

    def ctl(*argv):
        return subprocess.run([program("secboxctl"), "--root", root, *argv], capture_output=True, text=True, check=False)

    status = ctl("replica", "status")
    assert status.returncode == 0 and box.server.community.id in status.stdout and "current" in status.stdout
    assert json.loads(ctl("replica", "status", "--json").stdout)["database"] == "up"
    assert "bans" in ctl("replica", "verify").stdout
    assert ctl("replica", "unconfirmed").stdout == "No ban waits for a person.\n"
    box.server.reject.add("face.match")
    refused = put(box, "face.match", who="x")
    wait_until(lambda: refused in ctl("queue", "dead").stdout, "the dead letter is shown")
    assert "event.refused" in ctl("queue", "dead").stdout
    box.server.reject.clear()
    assert ctl("queue", "retry", refused).stdout == "1 put back into the queue.\n"
    wait_until(lambda: refused in box.server.events, "it is sent again")
    assert re.search(r"^waiting +\d+$", ctl("queue", "status").stdout, re.M)
    n = len(box.server.resnapshots)
    assert ctl("replica", "resync", "bans").returncode == 0
    wait_until(lambda: len(box.server.resnapshots) > n, "the gateway is asked")
    assert box.server.resnapshots[-1]["tables"] == ["bans"]
    bad = ctl("replica", "resync", "cats")
    assert bad.returncode == 1 and "[sync.bad-table]" in bad.stderr
    assert "no such ban" in ctl("replica", "release", str(uuid.uuid4())).stdout
    box.kill()
    gone = ctl("queue", "status")
    assert gone.returncode == 3 and "secbox does not run" in gone.stderr
    os.unlink(os.path.join(box.env["SECBOX_RUN"], "control.sock"))
    os.symlink("/dev/null", os.path.join(box.env["SECBOX_RUN"], "control.sock"))
    assert ctl("queue", "status").returncode == 3

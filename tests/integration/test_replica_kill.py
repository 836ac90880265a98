# SPDX-License-Identifier: MIT
"""secbox killed at random moments of snapshots, changes, writing and sending: what was committed is there, once, and a reader
that looks all the while never sees half. `make data-kills` does it 200 times, `make data-large` with
10,000 bans and 100,000 guests."""
# pylint: disable=redefined-outer-name,unused-import
import json
import os
import random
import threading
import time

from tests.integration.data_box import DataBox, fill, pg
from tests.integration.fake_cloud import FakeCloud
from tests.lab.community import TABLES, Community, CommunityServer, checksum
from tests.lab.util import wait_until

KILLS = int(os.environ.get("DATA_KILLS", "10"))
GUESTS = int(os.environ.get("DATA_GUESTS", "2500"))
BANS = int(os.environ.get("DATA_BANS", "50"))


class Reader(threading.Thread):
    """Looks again and again, and notes each state that it sees: (epoch, version) and the sums of all tables."""

    def __init__(self, box):
        super().__init__(daemon=True)
        self.box, self.seen, self.looks, self.done = box, set(), 0, threading.Event()

    def run(self):
        while not self.done.is_set():
            rows = self.box.sql("SELECT epoch, version, (SELECT string_agg(checksum, ',') FROM replica_sums(''))"
                                " FROM sync_state")
            self.seen.update((e, int(v), sums) for e, v, sums in rows)
            self.looks += 1

    def end(self):
        self.done.set()
        self.join()


class Writer(threading.Thread):
    """Writes entries; `confirmed` are those of which secbox has said that they are on disk."""

    def __init__(self, box):
        super().__init__(daemon=True)
        self.box, self.confirmed, self.done = box, set(), threading.Event()

    def run(self):
        n = 0
        while not self.done.is_set():
            n += 1
            try:
                answer = self.box.ask("queue.put", kind="visit.entry", data={"n": n})
                if "clientId" in answer:
                    self.confirmed.add(answer["clientId"])
            except (OSError, AssertionError, json.JSONDecodeError):
                time.sleep(0.01)  # it has just been killed

    def end(self):
        self.done.set()
        self.join()


def state_of(community):
    return (community.epoch, community.version, ",".join(checksum(community.live(t)) for t in TABLES))


def change(c, i, states):
    """One step of the gateway's history, sometimes of another one."""
    if i % 3 == 0:
        c.rebuild()
        c.marks.clear()
        states.add(state_of(c))
    c.marks.append(c.version)
    c.touch("guests", 120)
    c.delete("bans", c.put("bans", {"plate": f"P{i}", "reason": "x"}))
    c.marks.append(c.version)
    states.add(state_of(c))


def test_f58_killed_at_random_moments(pg):
    with FakeCloud() as cloud:
        box = DataBox(cloud, pg)
        c = Community(pg)
        box.server = CommunityServer(cloud, c)
        fill(c, GUESTS)
        c.many("bans", BANS, "jsonb_build_object('plate', 'BAN-' || i, 'reason', 'x')")
        box.start()
        box.wait_applied(c.version)
        states = {state_of(c)}
        reader, writer = Reader(box), Writer(box)
        reader.start()
        writer.start()
        chance = random.Random(7)
        try:
            for i in range(KILLS):
                with c.lock:
                    change(c, i, states)
                if i % 3 == 0 and box.server.connection:
                    box.server.start_snapshot(None)
                else:
                    box.server.send_deltas(c.marks[-2])
                time.sleep(chance.random() * 0.5)
                box.kill()
                box.start()
                if i % 2:
                    time.sleep(chance.random() * 0.5)
            writer.end()
            wait_until(lambda: box.sql(f"SELECT 1 FROM sync_state WHERE epoch = '{c.epoch}' AND version = {c.version}"),
                       "the replica is where the gateway is", box.alive)
            wait_until(lambda: box.sql("SELECT count(*) FROM outbound_events") == [["0"]], "everything is sent")
        finally:
            reader.end()
            writer.end()
            box.close()
        box.assert_same()
        assert reader.looks > 0 and reader.seen - states == set(), "a reader saw what never was"
        assert writer.confirmed and writer.confirmed <= set(box.server.events), "an event is lost"
        assert {i for i, in box.sql("SELECT id FROM visits")} == set(box.server.events), "an event without its entry"

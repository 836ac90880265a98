# SPDX-License-Identifier: MIT
"""What happens to a box's data when its database dies or is full, its tunnel is cut while much is under way, or a clock leaps ten
years: nothing is lost, nothing is there twice, and what is wrong has a name. `make data-kills` does it more often."""
# pylint: disable=redefined-outer-name,unused-import
import contextlib
import datetime
import json
import os
import random
import threading

import pytest

from tests.integration.data_box import DataBox, cloud, fill, pg
from tests.integration.test_replica_kill import Reader, Writer, state_of
from tests.lab.community import Community, CommunityServer
from tests.lab.postgres import Postgres
from tests.lab.preload import preloaded
from tests.lab.small_disk import small_disk
from tests.lab.util import wait_until

CRASHES = int(os.environ.get("DATA_CRASHES", "3"))
CUTS = int(os.environ.get("DATA_CUTS", "4"))
TWISTINGS = int(os.environ.get("DATA_TWISTINGS", "1"))
TWISTS = 15  # of one of them
CUTS_OF_ONE_RUN = 5  # then secbox starts anew: a tunnel that is always cut comes back ever later
ROOM = 96  # MB
TEN_YEARS = 10 * 365 * 86400
# what is committed is with the system, which goes on when the server is killed
KEEPS = {"synchronous_commit": "on"}


@contextlib.contextmanager
def a_box(cloud, community, own, server=None):
    box = DataBox(cloud, own)
    box.server = server or CommunityServer(cloud, community)
    try:
        yield box
    finally:
        box.close()


def database(box):
    return box.ask("replica.status")["database"]


def stands_at(box, version):
    return box.sql(f"SELECT 1 FROM sync_state WHERE version = {version}") == [["1"]]


def assert_whole(box, confirmed):
    """After everything was sent."""
    wait_until(lambda: box.sql("SELECT count(*) FROM outbound_events") == [["0"]], "everything is sent", box.alive)
    box.assert_same()
    assert confirmed and confirmed <= set(box.server.events), "an event is lost"
    assert {i for i, in box.sql("SELECT id FROM visits")} == set(box.server.events), "an event without its entry"


def fill_queue(box, n):
    """Their ids, in the order in which they wait."""
    box.sql("INSERT INTO outbound_events (client_id, community, kind, priority, at, data, size, tick) SELECT (left(u, 14) || '7' ||"
            " substr(u, 16, 4) || '8' || substr(u, 21))::uuid, (SELECT community FROM sync_state), 'visit.entry', 0, now(), '{}',"
            f" 200, 0 FROM (SELECT gen_random_uuid()::text AS u FROM generate_series(1, {n})) AS x")
    return [i for i, in box.sql("SELECT client_id FROM outbound_events ORDER BY seq")]


def test_f58_a_killed_database_loses_nothing_that_was_confirmed(cloud, pg):
    c = Community(pg)
    fill(c, 1500)
    with Postgres(KEEPS) as own, a_box(cloud, c, own) as box:
        box.start()
        box.wait_applied(c.version)
        writer = Writer(box)
        writer.start()
        try:
            for _ in range(CRASHES):
                before, written = c.version, len(writer.confirmed)
                c.touch("guests", 1500)
                box.server.send_deltas(before)
                wait_until(lambda n=written: len(writer.confirmed) > n + 3, "events are written meanwhile", box.alive)
                own.crash()
                applied = max(v for _, v in box.server.applied)
                wait_until(lambda: database(box) in ("unreachable", "starting"), "the state has a name", box.alive)
                own.resume()
                assert int(box.sql("SELECT version FROM sync_state")[0][0]) >= applied, "what was told the gateway is not there"
                wait_until(lambda: stands_at(box, c.version), "all changes are applied", box.alive)
                wait_until(lambda: database(box) == "up", "secbox has it again", box.alive)
        finally:
            writer.end()
        assert_whole(box, writer.confirmed)


@pytest.fixture(name="disk")
def small_disk_fixture(folder):
    place = os.path.join(folder, "disk")
    os.mkdir(place)
    os.chmod(folder, 0o755)
    with small_disk(place, f"{ROOM}m") as it:
        yield it


def take_all_room(place):
    path = os.path.join(place, "ballast")
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as f:
        while True:
            f.write(bytes(4096))
    return path


def test_f51_a_full_disk_has_a_name_and_passes(cloud, pg, disk):
    c = Community(pg)
    fill(c, 100)
    with Postgres(data=os.path.join(disk, "data")) as own, a_box(cloud, c, own) as box:
        box.start()
        box.wait_applied(c.version)
        ballast, refused, confirmed = take_all_room(disk), None, set()
        note = "x" * 6000
        while not refused:
            answer = box.ask("queue.put", kind="visit.entry", data={"note": note[len(confirmed) % 7:]})
            confirmed.add(answer["clientId"]) if "clientId" in answer else (refused := answer)
        assert refused["id"] == "store.query" and "space" in refused["message"], refused
        before = c.version
        c.many("guests", 2000, "jsonb_build_object('unit', 'x', 'name', 'New ' || i, 'from', 'x', 'until', 'x', 'notes',"
               " repeat('y', 300))")
        box.server.send_deltas(before)
        wait_until(lambda: database(box) == "full", "the state has a name", box.alive)
        assert box.sql("SELECT count(*) FROM bans") == [["1"]], "what is there can be read"
        os.unlink(ballast)
        wait_until(lambda: stands_at(box, c.version), "all changes are applied", box.alive)
        box.wait_ready()
        confirmed.add(box.ask("queue.put", kind="visit.entry", data={})["clientId"])
        assert_whole(box, confirmed)


class CuttingServer(CommunityServer):
    """Cuts the tunnel now and then: when rows were taken, before or after events are confirmed."""

    def __init__(self, cloud, community):
        self.left, self.cut_kinds, self.chance = 0, set(), random.Random(9)
        super().__init__(cloud, community)
        self.window = 2

    def cut(self, kind):
        self.left -= 1
        self.cut_kinds.add(kind)
        self.cloud.loop.call_soon_threadsafe(self.connection.ws.transport.abort)
        self.connection.closed.wait()

    def wants_cut(self, share):
        return self.left > 0 and self.chance.random() < share

    def go_on(self, got):
        super().go_on(got)
        if got >= 0 and self.wants_cut(0.2):
            self.cut("snapshot.got")

    def take_events(self, events):
        self.ack = not self.wants_cut(0.2)
        super().take_events(events)
        if not self.ack:
            self.cut("events.push")
        elif self.wants_cut(0.1):
            self.cut("events.ack")


def test_f58_a_tunnel_that_is_cut_again_and_again(cloud, pg):
    c = Community(pg)
    fill(c, 6000)
    server = CuttingServer(cloud, c)
    with a_box(cloud, c, pg, server) as box:
        box.start()
        box.wait_applied(c.version)
        reader, sent, states, left = Reader(box), [], {state_of(c)}, CUTS
        reader.start()
        try:
            while left > 0:
                box.kill()
                sent += fill_queue(box, 2000)
                c.rebuild()
                c.touch("guests", 50)
                states.add(state_of(c))
                server.left = some = min(left, CUTS_OF_ONE_RUN)
                box.start()
                wait_until(lambda: stands_at(box, c.version) and (c.epoch, c.version) in server.applied, "the snapshot is in place",
                           box.alive)
                wait_until(lambda: box.sql("SELECT count(*) FROM outbound_events") == [["0"]], "everything is sent", box.alive)
                left -= max(1, some - server.left)
        finally:
            reader.end()
        assert server.cut_kinds, "nothing was cut"
        box.assert_same()
        assert reader.looks > 0 and reader.seen - states == set(), "a reader saw what never was"
        assert list(server.events) == sent, "each event, once, in the order in which it was written"


class TwistingServer(CommunityServer):
    """A gateway gone wrong: it says things twice, late, not at all, with their end cut off, or with fewer rows than announced."""

    HOWS = ("twice", "late", "never", "cut", "fewer")

    def __init__(self, cloud, community):
        self.left, self.hows, self.held = 0, set(), []
        self.lock, self.chance = threading.RLock(), random.Random(11)
        super().__init__(cloud, community)

    def send(self, message):
        text = message if isinstance(message, str) else json.dumps(message)
        with self.lock:
            for out in self.twist(text):
                super().send(out)

    def twist(self, text):
        """What is sent instead. One that is late comes behind the next one."""
        late, self.held = self.held, []
        if self.left <= 0 or self.chance.random() < 0.5:
            return [text, *late]
        how = self.HOWS[self.left % len(self.HOWS)]
        self.left -= 1
        self.hows.add(how)
        if how == "late":
            self.held = [text]
            return late
        fewer = json.loads(text)
        for rows in (fewer.get("changes"), fewer.get("rows"), fewer.get("accepted"), fewer.get("tables")):
            del (rows or [])[-1:]
        return {"twice": [text, text], "never": [], "cut": [text[:len(text) * 2 // 3]], "fewer": [json.dumps(fewer)]}[how] + late


def test_a_gateway_that_repeats_reorders_skips_and_truncates(cloud, pg):
    """Whatever it says, no reader sees what never was, and once it is well again all is as it should be."""
    c = Community(pg)
    fill(c, 1500)
    server = TwistingServer(cloud, c)
    with a_box(cloud, c, pg, server) as box:
        box.start()
        box.wait_applied(c.version)
        reader, sent, states = Reader(box), [], {state_of(c)}
        reader.start()
        try:
            for n in range(TWISTINGS):
                if n % 2 == 0:
                    c.rebuild()
                    states.add(state_of(c))
                server.left = TWISTS
                while server.left > 0:
                    sent += [box.ask("queue.put", kind="visit.entry", data={})["clientId"] for _ in range(2)]
                    c.put("bans", {"plate": f"P{len(sent)}", "reason": "x"})
                    states.add(state_of(c))
                    server.send_deltas(c.version - 1)
                server.held = []
                cloud.stop_tunnels()
                cloud.start_tunnels()
                wait_until(lambda: stands_at(box, c.version) and (c.epoch, c.version) in server.applied, "it is well again",
                           box.alive)
        finally:
            reader.end()
        assert server.hows == set(server.HOWS)
        assert_whole(box, set(sent))
        assert reader.looks > 0 and reader.seen - states == set(), "a reader saw what never was"
        assert box.ask("queue.dead")["dead"] == []


@pytest.mark.parametrize("years", [10, -10])
def test_a_clock_that_is_ten_years_off_loses_nothing(cloud, pg, folder, years):
    c = Community(pg)
    fill(c, 20)
    wrong = {**preloaded("wrong-clock", folder), "SECBOX_CLOCK_OFFSET": str(years // 10 * TEN_YEARS)}
    with a_box(cloud, c, pg) as box:
        right = dict(box.env)
        box.env.update(wrong)
        box.start()
        box.wait_applied(c.version)
        box.server.ack = False
        ids = [box.ask("queue.put", kind="visit.entry", data={"n": i})["clientId"] for i in range(3)]
        year = datetime.date.today().year + years
        assert {int(y) for y, in box.sql("SELECT extract(year FROM at) FROM outbound_events")} <= {year, year + 1, year - 1}
        box.kill()
        box.env = right
        box.start()
        box.wait_ready()
        ids.append(box.ask("queue.put", kind="visit.entry", data={"n": 3})["clientId"])
        assert box.sql("SELECT queue_trim(1000000, 10, 1)") == [["0"]], "an age is not told by a clock"
        status = box.ask("queue.status")
        assert status["waiting"] == 4 and "dropped" not in status
        box.server.events.clear()
        box.server.ack = True
        before = c.version
        c.touch("guests", 5)
        box.kill()
        box.start()
        box.wait_ready()
        wait_until(lambda: stands_at(box, c.version) and before < c.version, "changes go on", box.alive)
        assert_whole(box, set(ids))
        assert list(box.server.events) == ids, "in the order in which they were written, whatever the clock said"
        assert {t["gateway"] for t in box.ask("replica.verify")["tables"]} <= {"same", "unknown"}

# SPDX-License-Identifier: MIT
"""Events of a box: registered by guards and on disk when they are confirmed, beside PostgreSQL's own commits (pgbench); and sent
away, to a server that confirms at once and to a real gateway with a database of its own."""
import asyncio
import os
import re
import time
import uuid

from tests.bench import tablets
from tests.bench.place import PIN, Place
from tests.integration.data_box import DataBox
from tests.integration.fake_cloud import FakeCloud
from tests.integration.test_community_whole import Cloud
from tests.lab.community import Community, CommunityServer
from tests.lab.gateway import Gateway
from tests.lab.postgres import PostgresError
from tests.lab.util import wait_until

WRITERS = 64
EACH = {1: 2000, WRITERS: 200}
DRAINED = 50000
GATEWAY_DRAINED = 20000
DRAIN_GOAL = 20000
PGBENCH_SECONDS = 2
# short turns, one of each after the other: what else the machine and its disk do meets both alike
TURNS = 11
# an entry is two rows: the visit and the event
SCRIPT = ("INSERT INTO commits_a VALUES (gen_random_uuid(), now(), '{\"name\": \"Visita\"}');\n"
          "INSERT INTO commits_b VALUES (gen_random_uuid(), now(), '{\"name\": \"Visita\"}');\n")


class Commits:
    """PostgreSQL by itself: as much as an entry, committed by `clients` sessions."""

    def __init__(self, pg):
        self.pg = pg
        for name in ("commits_a", "commits_b"):
            pg.sql(f"CREATE TABLE {name} (id uuid PRIMARY KEY, at timestamptz, data jsonb)")
        self.script = os.path.join(pg.dir, "commit.sql")
        with open(self.script, "w", encoding="ascii") as f:
            f.write("BEGIN;\n" + SCRIPT + "COMMIT;\n")

    def rate(self, clients):
        said = self.pg.run("pgbench", "-h", self.pg.dir, "-U", "postgres", "-n", "-M", "prepared", "-T", str(PGBENCH_SECONDS), "-c",
                           str(clients), "-j", "2", "-f", self.script, "postgres")
        found = re.search(r"^tps = ([0-9.]+)", said, re.M)
        if not found:
            raise PostgresError(f"pgbench says no rate: {said}")
        return float(found[1])


def written(suite, pg, place):
    commits = Commits(pg)

    first = asyncio.run(tablets.logged_in(place.box.port, place.box.authority, place.guard, PIN))

    def ours(writers):
        return tablets.entries_rate(place.box.port, place.box.authority, first.cookie, writers, EACH[writers])

    for writers in EACH:
        goal = "goal 90 %" if writers == 1 else "goal: several times that of one"
        found = [(ours(writers), commits.rate(writers)) for _ in range(max(suite.runs, TURNS))]
        suite.row(f"durable events over LAN HTTPS, writers: {writers}, {goal}", "1/s", f"pgbench -c {writers}, two rows a commit",
                  *zip(*found))


def fill(box, community, n):
    box.sql("INSERT INTO outbound_events (client_id, community, kind, priority, at, data, size, tick) SELECT (left(u, 14) || '7' ||"
            f" substr(u, 16, 4) || '8' || substr(u, 21))::uuid, '{community}', 'visit.entry', 0, now(),"
            " jsonb_build_object('plate', 'PBA-' || i, 'name', 'Ana María'), 260, 0"
            f" FROM (SELECT i, gen_random_uuid()::text AS u FROM generate_series(1, {n}) AS i) AS x")


def timed(box, n):
    """Events per second from the start of secbox until the queue is empty."""
    began = time.monotonic()
    box.start()
    wait_until(lambda: box.sql("SELECT NOT EXISTS (SELECT FROM outbound_events)") == [["t"]], "the queue is empty",
               lambda: None if box.process.poll() is None else "secbox has ended")
    return n / (time.monotonic() - began)


def drain(pg):
    with FakeCloud() as cloud:
        box = DataBox(cloud, pg)
        box.server = CommunityServer(cloud, Community(pg))
        try:
            box.start()
            box.wait_applied(box.server.community.version)
            box.kill()
            fill(box, box.server.community.id, DRAINED)
            rate = timed(box, DRAINED)
            assert len(box.server.events) == DRAINED
            return rate
        finally:
            box.close()


def drain_to_gateway(pg, folder):
    with Gateway(os.path.join(folder, "gateway")) as gateway:
        community = str(uuid.uuid4())
        assert gateway.request("PUT", f"/v1/communities/{community}", {"name": "Los Robles"}).status == 201
        env = gateway.enroll("caseta5")
        assert gateway.request("PATCH", "/v1/devices/caseta5", {"labels": {"community": community}}).status == 200
        box = DataBox(Cloud(gateway, env), pg)
        box.env["BOOTSTRAP"] = env["BOOTSTRAP"]
        try:
            box.start()
            wait_until(lambda: box.sql("SELECT to_regclass('sync_state')") == [["sync_state"]]
                       and box.sql("SELECT 1 FROM sync_state"), "the snapshot")
            box.kill()
            fill(box, community, GATEWAY_DRAINED)
            rate = timed(box, GATEWAY_DRAINED)
            stored = gateway.postgres.sql("SELECT count(*) FROM box_events")
            assert stored == [[str(GATEWAY_DRAINED)]], stored
            return rate
        finally:
            box.close()


def run(suite, folder, pg):
    with Place(pg) as place:
        written(suite, pg, place)
    goal = [DRAIN_GOAL] * suite.runs
    suite.row("events drained, confirmed at once", "1/s", "the goal", [drain(pg) for _ in range(suite.runs)], goal)
    suite.row("events drained into a gateway on the same machine", "1/s", "the goal",
              [drain_to_gateway(pg, os.path.join(folder, str(i))) for i in range(suite.runs)], goal)
    suite.note(f"drained: {DRAINED} events ({GATEWAY_DRAINED} into the gateway, whose database keeps nothing after a power cut), "
               "the start of secbox included")

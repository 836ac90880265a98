# SPDX-License-Identifier: MIT
"""Rows of a community into the replica, by a snapshot and by changes, beside Node's `pg`, or psql's COPY where there is none. The
peer writes the same rows into the same tables and indexes; it sums, stages and compares nothing."""
import os
import subprocess
import time

from tests.integration.data_box import DataBox
from tests.integration.fake_cloud import FakeCloud
from tests.lab.community import Community, CommunityServer
from tests.lab.util import ROOT, cpu_seconds, wait_until

GUESTS, BANS = 100000, 10000
QUICK_GUESTS, QUICK_BANS = 2000, 200
GOAL = "goal 100,000"
NODE_ROWS = os.path.join(ROOT, "tests", "bench", "pg-rows.js")
GUEST = ("jsonb_build_object('unit', gen_random_uuid(), 'name', CASE i % 4 WHEN 0 THEN 'José Núñez ' ELSE 'Ana Maria Ruiz '"
         " END || i, 'plate', 'G' || upper(left(md5(i::text), 2)) || '-' || i,"
         " 'from', '2026-01-01T00:00:00Z', 'until', '2027-01-01T00:00:00Z')")
BAN = ("jsonb_build_object('name', 'Juan Pérez ' || i, 'plate', 'P' || upper(left(md5(i::text), 2)) || '-' || 1000 + i,"
       " 'reason', 'theft')")


class Rows:
    """A community whose messages are made once, before anything is timed."""

    def __init__(self, pg, guests, bans):
        self.pg, self.guests, self.bans = pg, guests, bans
        self.community = c = Community(pg)
        c.many("guests", guests, GUEST)
        c.many("bans", bans, BAN)
        self.first, self.begin = c.version, c.snapshot()
        c.touch("guests", guests // 2)
        self.last, self.changes = c.version, c.deltas(self.first)
        self.cpu = None

    def ours(self):
        """Rows per second by a snapshot, and then by changes."""
        c = self.community
        with FakeCloud() as cloud:
            box = DataBox(cloud, self.pg)
            server = box.server = CommunityServer(cloud, c, auto=False)
            try:
                box.start()
                wait_until(lambda: server.connection and not server.inbox.empty(), "the box says what it has")
                c.snapshot, server.auto = (lambda tables=None: (self.begin[0], list(self.begin[1]), self.begin[2])), True
                began, cpu = time.monotonic(), cpu_seconds(box.process.pid)
                server.start_snapshot(None)
                box.wait_applied(self.first)
                snapshot = self.first / (time.monotonic() - began)
                self.cpu = (cpu_seconds(box.process.pid) - cpu) / self.first * 1e6
                box.sql("CHECKPOINT")
                began = time.monotonic()
                for message in self.changes:
                    server.send(message)
                box.wait_applied(self.last)
                changes = (self.last - self.first) / (time.monotonic() - began)
                assert not server.resnapshots
            finally:
                del c.snapshot
                box.close()
            self.pg.sql(f"DROP DATABASE {box.database} WITH (FORCE)")
            return snapshot, changes


class Peer:
    """The same rows into a database with the same tables."""

    def __init__(self, rows, folder, pg):
        self.rows, self.folder, self.pg = rows, folder, pg
        tried = subprocess.run(["node", "-e", "require('pg')"], env=self._env(), capture_output=True, check=False)
        self.has_node = tried.returncode == 0
        self.name = "Node pg" if self.has_node else "psql"
        for name, messages in (("rows", rows.begin[1]), ("changes", rows.changes)):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write("".join(m + "\n" for m in messages))
        self._make_empty()

    def _env(self):
        places = ["/usr/share/nodejs", os.path.join(ROOT, os.environ.get("BUILD", "build"), "node", "node_modules")]
        return {"PATH": os.environ["PATH"], "NODE_PATH": ":".join(places)}

    def _make_empty(self):
        """A database as secbox makes it, to copy from."""
        with FakeCloud() as cloud:
            box = DataBox(cloud, self.pg)
            box.server = CommunityServer(cloud, None)
            box.start()
            wait_until(lambda: box.sql("SELECT to_regclass('schema_version')") == [["schema_version"]], "the schema")
            box.close()
            self.empty = box.database

    def _node(self, name, database):
        done = subprocess.run(["node", NODE_ROWS, self.pg.dir, database, os.path.join(self.folder, name)], env=self._env(),
                              capture_output=True, text=True, check=True)
        return float(done.stdout)

    def _psql(self, database):
        """Seconds of one COPY of the guests, and of one statement that changes half of them."""
        path = os.path.join(self.pg.dir, "guests.copy")
        self.pg.sql(f"COPY (SELECT id, version, data FROM rows WHERE tbl = 'guests') TO '{path}'", self.rows.community.database)
        began = time.monotonic()
        self.pg.sql(f"COPY guests (id, version, data) FROM '{path}'", database)
        copied = time.monotonic() - began
        began = time.monotonic()
        self.pg.sql(f"UPDATE guests SET version = version + 1, data = data || '{{\"notes\": \"x\"}}' WHERE id IN"
                    f" (SELECT id FROM guests LIMIT {self.rows.guests // 2})", database)
        return copied, time.monotonic() - began

    def figures(self):
        rows = self.rows
        self.pg.sql(f"CREATE DATABASE peer TEMPLATE {self.empty}")
        try:
            if self.has_node:
                return rows.first / self._node("rows", "peer"), (rows.last - rows.first) / self._node("changes", "peer")
            copied, changed = self._psql("peer")
            return rows.guests / copied, (rows.guests // 2) / changed
        finally:
            self.pg.sql("DROP DATABASE peer WITH (FORCE)")


def run(suite, folder, pg, quick):
    rows = Rows(pg, QUICK_GUESTS if quick else GUESTS, QUICK_BANS if quick else BANS)
    peer = Peer(rows, folder, pg)
    found = [(rows.ours(), peer.figures()) for _ in range(suite.runs)]
    for i, what in enumerate(("a snapshot", "changes")):
        how = f"{peer.name}, the same rows by {'500' if peer.has_node else 'one statement'}"
        suite.row(f"rows into the replica by {what}, {GOAL}", "1/s", how, [o[i] for o, _ in found], [p[i] for _, p in found])
    suite.note(f"{rows.guests} guests, {rows.bans} bans, then {rows.guests // 2} changes; secbox itself takes {rows.cpu:.1f} µs "
               "of CPU for a row, PostgreSQL the rest")
    if not peer.has_node:
        suite.note("there is no Node module `pg` here (Debian's node-pg, or `npm install --prefix build/node pg`): the peer "
                   "is psql")

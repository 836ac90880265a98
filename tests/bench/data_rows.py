# SPDX-License-Identifier: MIT
"""Rows of a community into the replica, by a snapshot and by changes, beside Node's `pg`, or psql's COPY where there is none; and a
snapshot beside psql's COPY in any case. The peers write the same rows into the same tables and indexes; they sum, stage and compare
nothing."""
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
        """Rows per second by a snapshot, and then by changes; and microseconds of CPU of a snapshot's row, PostgreSQL's too."""
        c = self.community
        with FakeCloud() as cloud:
            box = DataBox(cloud, self.pg)
            server = box.server = CommunityServer(cloud, c, auto=False)
            try:
                box.start()
                wait_until(lambda: server.connection and not server.inbox.empty(), "the box says what it has")
                c.snapshot, server.auto = (lambda tables=None: (self.begin[0], list(self.begin[1]), self.begin[2])), True
                box.sql("CHECKPOINT")
                before, queries, began = cpu_seconds(box.process.pid), sessions_cpu(self.pg, box.database), time.monotonic()
                server.start_snapshot(None)
                box.wait_applied(self.first)
                snapshot = self.first / (time.monotonic() - began)
                self.cpu = (cpu_seconds(box.process.pid) - before) / self.first * 1e6
                cpu = self.cpu + (sessions_cpu(self.pg, box.database) - queries) / self.first * 1e6
                box.sql("CHECKPOINT")
                began = time.monotonic()
                for message in self.changes:
                    server.send(message)
                box.wait_applied(self.last)
                changes = (self.last - self.first) / (time.monotonic() - began)
                assert not server.resnapshots, (server.resnapshots, box.alive())
            finally:
                del c.snapshot
                box.close()
            self.pg.sql(f"DROP DATABASE {box.database} WITH (FORCE)")
            return snapshot, changes, cpu


def sessions_cpu(pg, name):
    """Seconds of CPU of PostgreSQL's sessions in this database until now."""
    pids = [int(pid) for pid, in pg.sql(f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}'")]
    return sum(cpu_seconds(pid) for pid in pids if os.path.exists(f"/proc/{pid}"))


class Copy:
    """psql's COPY of rows that are in files, in the tables' own form already."""

    COLUMNS = {"guests": "id, version, data", "bans": "id, version, data, epoch"}
    # what the session itself has taken of the CPU (fields 14 and 15, after the name that may hold anything), and the time
    NOW = ("SELECT u[12]::bigint + u[13]::bigint, extract(epoch FROM clock_timestamp())"
           " FROM (SELECT string_to_array(split_part(pg_read_file('/proc/self/stat'), ') ', 2), ' ') AS u) AS s;\n")

    def __init__(self, rows, pg):
        self.rows, self.pg = rows, pg
        self.script = os.path.join(pg.dir, "copy.sql")
        copies = ""
        for table, columns in self.COLUMNS.items():
            path, epoch = os.path.join(pg.dir, f"{table}.copied"), f", '{rows.community.epoch}'::uuid" if table == "bans" else ""
            pg.sql(f"COPY (SELECT id, version, data{epoch} FROM rows WHERE tbl = '{table}') TO '{path}'", rows.community.database)
            copies += f"COPY {table} ({columns}) FROM '{path}';\n"
        with open(self.script, "w", encoding="ascii") as f:
            f.write(f"CHECKPOINT;\n{self.NOW}BEGIN;\n{copies}COMMIT;\n{self.NOW}")

    def figures(self, empty):
        """Rows per second, and microseconds of the session's CPU for one, into a database like `empty`."""
        self.pg.sql(f"CREATE DATABASE copied TEMPLATE {empty}")
        try:
            said = self.pg.run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", self.script, self.pg.url("copied"))
        finally:
            self.pg.sql("DROP DATABASE copied WITH (FORCE)")
        (ticks, began), (more, ended) = (map(float, line.split("|")) for line in said.splitlines())
        n = self.rows.guests + self.rows.bans
        return n / (ended - began), (more - ticks) / os.sysconf("SC_CLK_TCK") / n * 1e6


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
    peer, copy = Peer(rows, folder, pg), Copy(rows, pg)
    found = [(rows.ours(), peer.figures(), copy.figures(peer.empty)) for _ in range(suite.runs)]
    for i, what in enumerate(("a snapshot", "changes")):
        how = f"{peer.name}, the same rows by {'500' if peer.has_node else 'one statement'}"
        suite.row(f"rows into the replica by {what}, {GOAL}", "1/s", how, [o[i] for o, _, _ in found], [p[i] for _, p, _ in found])
    how = "psql's COPY into the same tables"
    suite.row("the same by a snapshot, goal 0.8 of the peer", "1/s", how, [o[0] for o, _, _ in found], [c[0] for _, _, c in found])
    suite.row("CPU of a row by a snapshot, secbox and PostgreSQL", "µs", how, [o[2] for o, _, _ in found],
              [c[1] for _, _, c in found])
    suite.note(f"{rows.guests} guests, {rows.bans} bans, then {rows.guests // 2} changes; secbox itself takes {rows.cpu:.1f} µs "
               "of CPU for a row, PostgreSQL the rest; it is sent the rows by a Python program on the same machine")
    if not peer.has_node:
        suite.note("there is no Node module `pg` here (Debian's node-pg, or `npm install --prefix build/node pg`): the peer "
                   "is psql")

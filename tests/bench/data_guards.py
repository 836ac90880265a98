# SPDX-License-Identifier: MIT
"""Guards at a box: what a lookup costs and how long the slowest take, beside nginx with a static answer over the same TLS; and the
memory of secbox."""
import asyncio
import os
import resource

from tests.bench import tablets
from tests.bench.memory import proportional
from tests.bench.place import PIN, Place
from tests.lab.util import Daemon, cpu_seconds, free_port, port_answers, wait_until

GUARDS = 64
PLATES = 3
LOOKUPS = 2000
TURNS = 7  # short ones, in turn
MEMORY_GOAL = 12 * 1024
LOOKUP = "/api/lan/lookup?q="
PEER = "nginx, a static file over the same TLS"


class Nginx:
    """A static answer of the size that a lookup has."""

    def __init__(self, folder, box, answer):
        self.port, self.authority = free_port(), box.authority
        folder = os.path.join(folder, "nginx")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "answer"), "wb") as f:
            f.write(answer)
        path = os.path.join(folder, "nginx.conf")
        with open(path, "w", encoding="ascii") as f:
            f.write(f"daemon off; master_process off; user root; pid {folder}/pid; error_log stderr;\nevents {{}}\n"
                    f"http {{ access_log off; keepalive_requests 1000000; server {{ listen 127.0.0.1:{self.port} ssl;"
                    f" ssl_certificate {box.lan}/server.pem; ssl_certificate_key {box.lan}/server.key; root {folder};"
                    f" location / {{ try_files /answer =404; }} }} }}\n")
        self.daemon = Daemon("nginx", ["nginx", "-p", folder, "-c", path], os.path.join(folder, "log"),
                             {"PATH": os.environ["PATH"]})
        wait_until(lambda: port_answers(self.port), "nginx answers", self.daemon.death)


def database_cpu(pg, name):
    pids = [int(pid) for pid, in pg.sql(f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}'")]
    return {pid: cpu_seconds(pid) for pid in pids if os.path.exists(f"/proc/{pid}")}


async def cpu_of_lookups(port, authority, pid, cookie, plate):
    """Microseconds of CPU of one lookup in the program that answers."""
    tablet = await tablets.Tablet(port, authority, cookie).open()
    await tablets.look_up(tablet, LOOKUP + plate, 100)
    before = cpu_seconds(pid)
    await tablets.look_up(tablet, LOOKUP + plate, LOOKUPS)
    tablet.close()
    return (cpu_seconds(pid) - before) / LOOKUPS * 1e6


class Query:
    """What libpq alone takes of the CPU for a lookup's query: pgbench asks it."""

    def __init__(self, pg, database, plate):
        self.pg, self.database, self.path = pg, database, os.path.join(pg.dir, "query.sql")
        with open(self.path, "w", encoding="ascii") as f:
            f.write(f"SELECT * FROM gate_candidates('{plate}');\n")

    def cpu(self):
        def taken():
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            return used.ru_utime + used.ru_stime
        before = taken()
        self.pg.run("pgbench", "-h", self.pg.dir, "-U", "postgres", "-n", "-M", "prepared", "-t", str(LOOKUPS), "-f", self.path,
                    self.database)
        return (taken() - before) / LOOKUPS * 1e6


def lookups(suite, pg, box, nginx, cookie, plate):
    def one(port, authority, pid, cookie):
        return asyncio.run(cpu_of_lookups(port, authority, pid, cookie, plate))
    query, found = Query(pg, box.database, plate), []
    for _ in range(max(suite.runs, TURNS)):
        found.append((one(box.port, box.authority, box.process.pid, cookie), query.cpu(),
                      one(nginx.port, nginx.authority, nginx.daemon.pid, "")))
    ours, libpq, peer = zip(*found)
    suite.row("CPU of a ban's lookup over LAN TLS", "µs", PEER, ours, peer)
    suite.row("the same without what libpq takes for the query, goal 1.3 of the peer", "µs", PEER,
              [o - q for o, q in zip(ours, libpq)], peer)


async def slowest(port, authority, cookie, plate):
    guards = await tablets.open_many(port, authority, cookie, GUARDS)
    try:
        return await tablets.type_plates(guards, [LOOKUP + plate[:n] for n in range(1, len(plate) + 1)], PLATES)
    finally:
        for g in guards:
            g.close()


async def begin(box, guard, plate):
    """A guard's cookie, and what a lookup is answered with."""
    tablet = await tablets.logged_in(box.port, box.authority, guard, PIN)
    _, _, answer = await tablet.ask("GET", LOOKUP + plate)
    assert b"VETADO" in answer
    tablet.close()
    return tablet.cookie, answer


def run(suite, folder, pg):
    with Place(pg) as place:
        box, pid = place.box, place.box.process.pid
        idle = proportional([pid])
        plate = box.sql("SELECT data->>'plate' FROM bans ORDER BY id LIMIT 1")[0][0]
        cookie, answer = asyncio.run(begin(box, place.guard, plate))
        nginx = Nginx(folder, box, answer)
        try:
            queries = database_cpu(pg, box.database)
            lookups(suite, pg, box, nginx, cookie, plate)
            spent = sum(s - queries.get(p, 0) for p, s in database_cpu(pg, box.database).items())
            suite.pairs(f"p99 while {GUARDS} guards type", "ms", PEER,
                        lambda _: asyncio.run(slowest(box.port, box.authority, cookie, plate)),
                        lambda _: asyncio.run(slowest(nginx.port, nginx.authority, "", plate)))
        finally:
            nginx.daemon.stop()
        busy = proportional([pid])
    suite.row("memory of secbox, idle with all data", "KiB", "the goal", [idle], [MEMORY_GOAL])
    suite.row("memory of secbox after the guards", "KiB", "the goal", [busy], [MEMORY_GOAL])
    each = spent / max(suite.runs, TURNS) / (LOOKUPS + 100) * 1e6
    suite.note(f"the query of a lookup costs PostgreSQL {each:.0f} µs of CPU; a cookie, a "
               "session and a verdict are in ours, and none in nginx's; times are seen by one Python program, which is all guards")

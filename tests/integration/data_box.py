# SPDX-License-Identifier: MIT
"""A secbox with a database, for the tests of its replica and its queue, and what they run it with."""
# pylint: disable=redefined-outer-name,unused-import
import contextlib
import json
import os
import socket

import pytest

from tests.conftest import require_programs
from tests.integration.test_secbox import SecBox, cloud
from tests.lab.community import TABLES, Community, CommunityServer
from tests.lab.postgres import Postgres
from tests.lab.util import PATIENCE_SECONDS, read_text, wait_until


class DataBox(SecBox):
    """A secbox with a database of its own, and the server that it talks to."""

    count = 0

    def __init__(self, cloud, pg):
        super().__init__(cloud)
        DataBox.count += 1
        self.pg, self.database = pg, f"box_{os.getpid()}_{DataBox.count}"
        pg.sql(f"CREATE DATABASE {self.database}")
        self.env["DATABASE_URL"] = pg.url(self.database)
        self.env["LAN_LISTEN"] = "off"  # one port for all boxes of a test is one too few
        self.server = None

    def close(self):
        super().close()
        if self.server:
            self.server.close()

    def sql(self, text):
        return self.pg.sql(text, self.database)

    def live(self, table):
        where = " WHERE unconfirmed_since IS NULL" if table == "bans" else ""
        return [(i, int(v), d) for i, v, d in self.sql(f"SELECT id, version, data FROM {table}{where} ORDER BY id")]

    def begin_ask(self, verb, **members):
        s = socket.socket(socket.AF_UNIX)
        s.connect(os.path.join(self.env["SECBOX_RUN"], "control.sock"))
        s.settimeout(PATIENCE_SECONDS)
        s.sendall(json.dumps({"type": "data.ask", "id": "a-1", "verb": verb, **members}).encode() + b"\n")
        return s

    def end_ask(self, s):
        answer = b""
        with s:
            while not answer.endswith(b"\n"):
                got = s.recv(65536)
                assert got, "no answer"
                answer += got
        answer = json.loads(answer)
        assert answer["type"] == "data.answer" and answer["id"] == "a-1"
        return answer.get("report") or answer["error"]

    def ask(self, verb, **members):
        """As secboxctl does."""
        return self.end_ask(self.begin_ask(verb, **members))

    def alive(self):
        return None if self.process.poll() is None else read_text(self.log)

    def is_ready(self):
        """It can be asked, knows from its database whom it serves, and can read its queue, over a connection of its own."""
        with contextlib.suppress(OSError, AssertionError):
            return self.ask("replica.status").get("database") == "up" and "waiting" in self.ask("queue.status")
        return False

    def wait_ready(self):
        wait_until(self.is_ready, "it can be asked and has its database", self.alive)

    def wait_applied(self, version):
        """Where it was applied before secbox came back, the gateway is not told once more: then it is ready at most."""
        wait_until(lambda: (self.server.community.epoch, version) in self.server.applied, f"version {version} is applied",
                   self.alive)
        self.wait_ready()

    def assert_same(self):
        for table in TABLES:
            assert self.live(table) == self.server.community.live(table), table


@pytest.fixture(scope="module")
def pg():
    require_programs("secbox")
    with Postgres() as it:
        yield it


@pytest.fixture
def box(cloud, pg):
    """It does not run yet."""
    it = DataBox(cloud, pg)
    it.server = CommunityServer(cloud, Community(pg))
    yield it
    it.close()


def fill(community, guests=1200):
    unit = community.put("units", {"name": "12-B", "street": "Av. Río"})
    community.put("users", {"unit": unit, "name": "José Núñez", "role": "resident", "phone": "+593"})
    community.many("guests", guests, f"jsonb_build_object('unit', '{unit}', 'name', 'Guest ' || i, 'plate', 'PBA-' || i,"
                   " 'from', '2026-01-01T00:00:00Z', 'until', '2027-01-01T00:00:00Z')")
    return unit, community.put("bans", {"name": "Ñato Pérez-Ortiz", "plate": "abz-0158", "reason": "theft"})

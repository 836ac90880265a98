# SPDX-License-Identifier: MIT
"""A box with guards' pages, a guard, and as many people and bans as a large community has."""
from tests.bench.data_rows import BAN, GUEST
from tests.integration.fake_cloud import FakeCloud
from tests.integration.test_lan import PIN, LanBox, pin_hash
from tests.lab.community import Community, CommunityServer

GUESTS, BANS = 10000, 1000


class Place:
    def __init__(self, pg):
        self.community = Community(pg)
        self.guard = self.community.put("users", {"name": "Rosa Díaz", "role": "guard", "pinHash": pin_hash(PIN)})
        self.community.many("guests", GUESTS, GUEST)
        self.community.many("bans", BANS, BAN)
        self.cloud = FakeCloud()
        self.pg = pg
        self.box = None

    def __enter__(self):
        self.cloud.__enter__()
        self.box = LanBox(self.cloud, self.pg)
        self.box.server = CommunityServer(self.cloud, self.community)
        self.box.start()
        self.box.wait_applied(self.community.version)
        return self

    def __exit__(self, *_):
        self.box.stop()
        self.box.close()
        self.cloud.__exit__()

# SPDX-License-Identifier: MIT
"""Gateway and secbox with each other: a community's data go to a box, its events come back."""
import os
import uuid

import pytest

from tests.conftest import require_programs
from tests.integration.data_box import DataBox
from tests.lab.gateway import Gateway
from tests.lab.util import wait_until


class Cloud:
    """Where a box finds the gateway."""

    def __init__(self, gateway, env):
        self.cloud_url, self._mgmt = gateway.url, env["MGMT_GATEWAY_URL"]

    def url(self, role):
        return self._mgmt.replace("/mgmt", f"/{role}")


@pytest.fixture(name="gateway")
def _gateway(folder):
    require_programs("secbox", "secbox-gateway")
    with Gateway(os.path.join(folder, "gateway")) as it:
        yield it


def test_data_down_and_events_up(gateway):
    community, unit, ban, guest = (str(uuid.uuid4()) for _ in range(4))

    def put(path, row):
        answer = gateway.request("PUT", f"/v1/communities/{community}{path}", row)
        assert answer.status == 201, answer

    put("", {"name": "Los Robles"})
    put(f"/units/{unit}", {"name": "12-B"})
    put(f"/bans/{ban}", {"name": "X", "plate": "abo-1", "reason": "theft", "kept": 1.50})
    env = gateway.enroll("caseta5")
    assert gateway.request("PATCH", "/v1/devices/caseta5", {"labels": {"community": community}}).status == 200
    box = DataBox(Cloud(gateway, env), gateway.postgres)
    box.env["BOOTSTRAP"] = env["BOOTSTRAP"]
    box.start()
    try:
        wait_until(lambda: box.sql("SELECT to_regclass('bans')") == [["bans"]] and box.sql("SELECT id FROM bans") == [[ban]],
                   "the snapshot")
        put(f"/guests/{guest}", {"name": "G", "unit": unit, "from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"})
        wait_until(lambda: box.sql("SELECT id FROM guests") == [[guest]], "a change")
        assert gateway.request("DELETE", f"/v1/communities/{community}/bans/{ban}").status == 200
        wait_until(lambda: box.sql("SELECT id FROM bans") == [], "a tombstone")
        entry = box.ask("queue.put", kind="visit.entry", data={"plate": "A"})["clientId"]
        wait_until(lambda: box.sql("SELECT count(*) FROM outbound_events") == [["0"]], "the event is acknowledged")
        events = gateway.request("GET", f"/v1/communities/{community}/events").json["events"]
        assert [e["clientId"] for e in events] == [entry]
        box.sql("DELETE FROM units")
        assert box.ask("replica.resync", tables=["units"]) == {"asked": 1}
        wait_until(lambda: box.sql("SELECT id FROM units") == [[unit]], "one table alone")
        assert box.ask("replica.status")["sync"] == "current"
    finally:
        box.close()

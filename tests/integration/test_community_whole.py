# SPDX-License-Identifier: MIT
"""Gateway and secbox with each other: a community's data go to a box, its events come back."""
import hashlib
import os
import urllib.request
import uuid

import pytest

from tests.conftest import require_programs
from tests.integration.test_lan import PIN, LanBox, Tablet, jpeg
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


def send_a_photo(gateway, community, box, guard):
    """A guard's entry and, behind it, its photo, which is larger than one part."""
    photo, tablet = jpeg(200_000), Tablet(box)
    digest = hashlib.sha256(photo).hexdigest()
    wait_until(lambda: tablet.log_in(guard).status == 200, "the guard is known", box.alive)
    wait_until(lambda: tablet.get("/api/lan/status").json["communityId"] == community, "the community is known", box.alive)
    assert tablet.post("/api/lan/entries", {"kind": "enter", "name": "Con Foto", "photos": [digest]}).status == 201
    assert tablet.ask("POST", "/api/lan/photos", photo, {"Content-Type": "image/jpeg"}).status == 201

    def states():
        events = gateway.request("GET", f"/v1/communities/{community}/events").json["events"]
        return [p["state"] for e in events for p in e.get("photos", [])]

    wait_until(lambda: states() == ["stored"], "the gateway has the photo", box.alive)
    request = urllib.request.Request(f"{gateway.url}/v1/communities/{community}/photos/{digest}",
                                     headers={"Authorization": f"Bearer {gateway.token}"})
    with urllib.request.urlopen(request) as answer:
        assert answer.read() == photo
    wait_until(lambda: tablet.get("/api/lan/status").json["photos"] == 0, "none waits on the box", box.alive)


def test_data_down_and_events_up(gateway):
    community, unit, ban, guest, guard = (str(uuid.uuid4()) for _ in range(5))

    def put(path, row):
        answer = gateway.request("PUT", f"/v1/communities/{community}{path}", row)
        assert answer.status == 201, answer

    put("", {"name": "Los Robles"})
    put(f"/units/{unit}", {"name": "12-B"})
    put(f"/bans/{ban}", {"name": "X", "plate": "abo-1", "reason": "theft", "kept": 1.50})
    put(f"/users/{guard}", {"name": "Rosa", "role": "guard", "pin": PIN})
    env = gateway.enroll("caseta5")
    assert gateway.request("PATCH", "/v1/devices/caseta5", {"labels": {"community": community}}).status == 200
    box = LanBox(Cloud(gateway, env), gateway.postgres)
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
        send_a_photo(gateway, community, box, guard)
    finally:
        box.close()

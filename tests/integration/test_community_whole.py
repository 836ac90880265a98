# SPDX-License-Identifier: MIT
"""Gateway and secbox with each other: a community's data go to a box, its events come back."""
import hashlib
import os
import ssl
import urllib.request
import uuid

import pytest

from tests.conftest import require_programs
from tests.integration.test_lan import PIN, LanBox, Tablet, jpeg
from tests.lab.authority import DAY, Authority
from tests.lab.fleet import Fleet
from tests.lab.gateway import Gateway
from tests.lab.util import read_text, wait_until


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


def send_a_photo(gateway, community, box, guard, folder):
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
    fleet, file = Fleet(gateway.url, gateway.token, folder), os.path.join(folder, "photo.jpg")
    assert fleet.json("community", "photo", community, digest, file) == {"file": file, "sha256": digest, "bytes": len(photo)}
    with open(file, "rb") as f:
        assert f.read() == photo and os.stat(file).st_mode & 0o777 == 0o600
    for none in ("0" * 64, "none"):
        answer = fleet.run("community", "photo", community, none, os.path.join(folder, "none"), check=1)
        assert "photo.not-found" in answer.stderr and not os.path.exists(os.path.join(folder, "none"))
    wait_until(lambda: tablet.get("/api/lan/status").json["photos"] == 0, "none waits on the box", box.alive)


def reaches(box, host, authority):
    """A new connection of a tablet that trusts this authority alone."""
    tablet = Tablet(box, host)
    tablet.context = ssl.create_default_context(cafile=authority)
    try:
        return tablet.get("/api/lan/status").status == 200 and tablet
    except ssl.SSLCertVerificationError:
        return None


def box_faults(gateway):
    health = gateway.request("GET", "/v1/devices/caseta5/health").json["health"]
    return health.get("secbox", {}).get("values", {}).get("faults", {})


def take_a_certificate(gateway, box, folder):
    """One that the cloud sends for a name of its own; the box's own stays for all other names, and for when that one is over."""
    name, authority = "caseta5.lan.example", Authority(os.path.join(folder, "public"))
    fleet = Fleet(gateway.url, gateway.token, folder)
    chain = os.path.join(folder, "chain.pem")
    key, cert = (os.path.join(box.lan, file) for file in ("cloud.key", "cloud.pem"))

    def send(pem):
        with open(chain, "w", encoding="utf-8") as f:
            f.write(pem)
        return fleet.run("certificate", "send", "caseta5", chain)

    before = reaches(box, "secbox.local", box.authority)
    assert "there is none" in fleet.run("certificate", "show", "caseta5", check=0).stdout
    assert "lan.certificate" in send(authority.sign(read_text(authority.request(name)))).stderr, "nothing was asked for"
    assert "x509.make" in fleet.run("certificate", "request", "caseta5", "192.0.2.1", check=1).stderr
    assert "x509.make" in fleet.run("certificate", "request", "caseta5", name, "a,DNS:b", check=1).stderr
    request = fleet.run("certificate", "request", "caseta5", name, check=0).stdout
    assert os.stat(key).st_mode & 0o777 == 0o600
    # what is not for that key, is over, or is no certificate changes nothing
    own = authority.sign(fleet.run("certificate", "request", "caseta5", name, "secbox.local", check=0).stdout)
    for bad in (authority.sign(read_text(authority.request(name))), authority.sign(request, -DAY), "nonsense", own):
        answer = send(bad)
        assert answer.returncode == 1 and not os.path.exists(cert), answer
        assert sorted(os.listdir(box.lan))[:4] == ["authority.key", "authority.pem", "cloud.key", "server.key"]
    assert "usage" in send(read_text(key)).stderr, "a private key never leaves where it is"
    assert f"{name}: shown until" in send(authority.sign(request)).stdout
    wait_until(lambda: "certificate.ends" in box_faults(gateway), "the ten days that are left are told", box.alive)
    served = reaches(box, name, authority.file)
    assert served, "a browser that trusts that authority, under the new name"
    assert reaches(box, "secbox.local", box.authority) and reaches(box, "127.0.0.1", box.authority)
    assert not reaches(box, "secbox.local", authority.file) and not reaches(box, name, box.authority)
    assert before.get("/api/lan/status").status == 200, "connections that were there stay"
    box.stop()
    box.start()
    assert reaches(box, name, authority.file), "it outlives a restart"
    # over: the box's own is left
    box.stop()
    with open(cert, "w", encoding="utf-8") as f:
        f.write(authority.sign(request, -DAY))
    box.start()
    wait_until(lambda: "expired" in fleet.run("certificate", "show", "caseta5").stdout, "it is seen to be over", box.alive)
    assert not reaches(box, name, authority.file) and reaches(box, "secbox.local", box.authority)
    box.stop()
    with open(cert, "w", encoding="utf-8") as f:
        f.write("nonsense")
    box.start()
    assert reaches(box, "secbox.local", box.authority), "whatever is wrong with it, there are pages"
    wait_until(lambda: "there is none" in fleet.run("certificate", "show", "caseta5").stdout, "it counts as none", box.alive)
    # a wildcard stands for one label, and names that hold an address lead to the box without a DNS entry of their own
    assert "x509.make" in fleet.run("certificate", "request", "caseta5", "*.example", check=1).stderr
    both = fleet.run("certificate", "request", "caseta5", name, f"*.{name}", check=0).stdout
    assert f"{name}, *.{name}: shown until" in send(authority.sign(both)).stdout
    there = reaches(box, f"192-168-1-20.{name}", authority.file)
    assert there and not reaches(box, f"a.b.{name}", box.authority), "its own is for none of them"
    for host, code in ((f"192-168-1-20.{name}:8443", 200), (f"a.b.{name}", 421), (f"evil{name}", 421)):
        assert there.get("/api/lan/status", Host=host).status == code, host
    tablet = reaches(box, name, authority.file)
    fleet.run("certificate", "remove", "caseta5", check=0)
    assert not os.path.exists(key) and not os.path.exists(cert) and not reaches(box, name, authority.file)
    assert tablet.get("/").status == 421, "its name is not the box's any more"
    actions = [e["action"] for e in gateway.request("GET", "/v1/audit?limit=20").json["entries"]]
    assert actions.count("device.certificate-set") == 2 and actions.count("device.certificate-removed") == 1


def test_data_down_and_events_up(gateway, folder):
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
        send_a_photo(gateway, community, box, guard, folder)
        take_a_certificate(gateway, box, folder)
    finally:
        box.close()

# SPDX-License-Identifier: MIT
"""Grants and the certificates under them: what the gateway gives to whom, and whether OpenSSH takes it."""
# pylint: disable=redefined-outer-name,unused-import
import os
import re
import stat
import subprocess
import time

import pytest

from tests.conftest import require_programs
from tests.integration.gateway_lab import enroll, error_id, gw, shared
from tests.lab.fleet import Fleet
from tests.lab.util import wait_until

BOX = "caseta5"
REASON = "the recorder is silent"


@pytest.fixture(scope="module")
def bob(shared):
    """The token of another person."""
    shared.request("POST", "/v1/devices", {"id": BOX, "labels": {}})
    return shared.run("tokens", "add", "bob").strip()


@pytest.fixture
def lab_fleet(gw, bob, folder):
    require_programs("secbox-fleet")
    return Fleet(gw.url, gw.token, folder)


def ask(gw, token, method, path, body=None):
    return gw.raw(method, path, body, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})


def make_key(folder, *kind):
    path = os.path.join(folder, "-".join(("key", *kind)).replace(" ", ""))
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", "me@desk", "-f", path, "-t", *kind], check=True)
    with open(path + ".pub", encoding="ascii") as f:
        return path, f.read()


def show_certificate(path, text):
    """What ssh-keygen -L says, as {title: [lines]}."""
    with open(path + "-cert.pub", "w", encoding="ascii") as f:
        f.write(text + "\n")
    out = subprocess.run(["ssh-keygen", "-L", "-f", path + "-cert.pub"], capture_output=True, text=True, check=True).stdout
    found, title = {}, None
    for line in out.splitlines()[1:]:
        m = re.match(r" {8}(\w[\w ]*): ?(.*)$", line)
        title = m.group(1) if m else title
        found.setdefault(title, []).extend(v for v in [m.group(2) if m else line.strip()] if v)
    return found


@pytest.mark.parametrize("change, identifier", [
    ({"device": None}, "grant.no-device"), ({"device": "a/b"}, "grant.no-device"), ({"device": "nobody"}, "device.not-found"),
    ({"account": ""}, "grant.bad-account"), ({"account": "a:b"}, "grant.bad-account"), ({"account": 7}, "grant.bad-account"),
    ({"account": "-o"}, "grant.bad-account"), ({"account": "a" * 33}, "grant.bad-account"),
    ({"reason": None}, "grant.no-reason"), ({"reason": "  "}, "grant.no-reason"), ({"reason": "a\nb"}, "grant.bad-reason"),
    ({"reason": "x" * 401}, "grant.bad-reason"), ({"seconds": 86401}, "grant.bad-duration"),
    ({"seconds": 0}, "grant.bad-duration"), ({"maxSeconds": "1h"}, "grant.bad-duration"),
    ({"idleSeconds": -5}, "grant.bad-duration"), ({"forwarding": "yes"}, "grant.bad-flag"),
    ({"breakGlass": 1}, "grant.bad-flag"),
])
def test_what_is_no_grant(gw, bob, change, identifier):
    body = {k: v for k, v in {"device": BOX, "reason": REASON, **change}.items() if v is not None}
    answer = ask(gw, bob, "POST", "/v1/grants", body)
    assert (answer.status, error_id(answer)) == (404 if identifier == "device.not-found" else 400, identifier), answer


def test_a_grant_from_beginning_to_end(gw, bob, lab_fleet):
    added = lab_fleet.run("grants", "add", BOX, check=2)
    assert "--reason" in added.stderr
    for bad in (["--for", "25h"], ["--for", "1d"], ["--max", "0s"], ["--idle", "15"], ["--idle", "1.5h"]):
        assert lab_fleet.run("grants", "add", BOX, "--reason", "x", *bad, check=2).stderr.count(bad[0]) == 1
    grant = lab_fleet.json("grants", "add", BOX, "--reason", REASON, "--for", "90m", "--max", "30m", "--idle", "90s",
                           "--forwarding", "--break-glass")["grant"]
    assert re.fullmatch(r"g-[0-9a-f]{16}", grant["id"])
    assert {k: v for k, v in grant.items() if k not in ("id", "createdAt", "expiresAt")} == {
        "device": BOX, "person": "lab", "account": "root", "reason": REASON,
        "maxSeconds": 1800, "idleSeconds": 90, "forwarding": True,
        "breakGlass": True, "state": "open"}
    plain = ask(gw, bob, "POST", "/v1/grants", {"device": BOX, "reason": REASON}).json["grant"]
    assert (plain["maxSeconds"], plain["idleSeconds"], plain["forwarding"], plain["breakGlass"]) == (3600, 900, False, False)
    assert gw.postgres.sql(f"SELECT expires_at - created_at FROM grants WHERE id = '{plain['id']}'") == [["01:00:00"]]

    assert "90 s" in lab_fleet.run("grants", "show", grant["id"], check=0).stdout
    assert grant["id"] in lab_fleet.run("grants", "list", check=0).stdout
    mine = gw.request("GET", f"/v1/grants?device={BOX}&open=1&mine=1").json["grants"]
    assert {g["person"] for g in mine} == {"lab"} and grant["id"] in {g["id"] for g in mine}
    assert gw.request("GET", "/v1/grants?device=other").json["grants"] == []
    assert gw.request("GET", "/v1/grants?device=a%2Fb").status == 400
    assert gw.request("GET", "/v1/grants/g-0").status == 404

    assert "revoked" in lab_fleet.run("grants", "revoke", grant["id"], check=0).stdout
    again = gw.request("POST", f"/v1/grants/{grant['id']}/revoke").json["grant"]
    assert (again["state"], again["revokedBy"]) == ("revoked", "operator:lab")
    assert grant["id"] not in {g["id"] for g in gw.request("GET", "/v1/grants?open=1").json["grants"]}
    assert error_id(gw.request("POST", "/v1/grants/g-0/revoke")) == "grant.not-found"
    assert lab_fleet.run("grants", "revoke", "g-0", check=1).stderr.count("grant.not-found") == 1

    rows = [(e["action"], e["actor"], e.get("alarm")) for e in gw.audit() if e["detail"].get("grant") == grant["id"]]
    assert rows == [("grant.revoked", "operator:lab", False), ("grant.added", "operator:lab", True)]
    assert lab_fleet.run("sessions", BOX, check=0).stdout == "nobody was logged in yet\n"


@pytest.mark.parametrize("kind", [("ed25519",), ("ecdsa", "-b256")])
@pytest.mark.parametrize("forwarding", [False, True])
def test_openssh_reads_the_certificate(gw, bob, folder, kind, forwarding):
    grant = gw.request("POST", "/v1/grants", {"device": BOX, "reason": REASON, "forwarding": forwarding}).json["grant"]
    path, public = make_key(folder, *kind)
    answer = gw.request("POST", f"/v1/grants/{grant['id']}/certificate", {"publicKey": public})
    assert answer.status == 200, answer
    shown = show_certificate(path, answer.json["certificate"])
    authority = os.path.join(folder, "ca.pub")
    with open(authority, "w", encoding="ascii") as f:
        f.write(gw.request("GET", "/v1/support-ca").json["publicKey"] + "\n")
    listed = subprocess.run(["ssh-keygen", "-l", "-f", authority], capture_output=True, text=True, check=True).stdout.split()
    assert shown["Type"][0].endswith("user certificate")
    assert listed[1] in shown["Signing CA"][0] and "(using ssh-ed25519)" in shown["Signing CA"][0]
    serial = answer.json["serial"]
    assert shown["Serial"] == [serial] and shown["Key ID"] == [f'"lab/{grant["id"]}/{serial}"']
    assert shown["Principals"] == [BOX] and shown["Critical Options"] == ["(none)"]
    assert shown["Extensions"] == (["permit-agent-forwarding", "permit-port-forwarding"] if forwarding else []) + ["permit-pty"]
    until = subprocess.run(["date", "-d", grant["expiresAt"], "+%Y-%m-%dT%H:%M:%S"], capture_output=True, text=True,
                           check=True).stdout.strip()
    assert shown["Valid"] == [f"before {until}"]  # from the beginning of time


@pytest.mark.parametrize("ahead, within", [(26 * 3600, True), (5 * 365 * 86400, True), (60, True), (-60, True),
                                           (-20 * 365 * 86400, False)])
def test_a65_a_certificate_is_good_by_the_clock_of_a_box_that_is_ahead(gw, folder, ahead, within):
    """The same where it is nearly right. Of others it is good from the beginning of time until the grant's end."""
    box = enroll(gw, f"clock-{ahead}")
    assert box.claim().status == 201
    tunnel = box.connect()
    there = time.time() + ahead
    tunnel.send({"type": "health.report", "seq": "1", "values": {"version": "1"},
                 "at": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(there))})
    tunnel.next("health.ack")
    grant = gw.request("POST", "/v1/grants", {"device": box.id, "reason": REASON}).json["grant"]
    path, public = make_key(folder, "ed25519")
    answer = gw.request("POST", f"/v1/grants/{grant['id']}/certificate", {"publicKey": public})
    shown, = show_certificate(path, answer.json["certificate"])["Valid"]
    if not within:
        assert shown.startswith("before ") and "once" not in answer.json, shown
        return
    if abs(ahead) <= 3600:  # who gets hold of it (A79) comes too late with it soon; an empty battery locks out nobody
        last = time.mktime(time.strptime(shown.removeprefix("before "), "%Y-%m-%dT%H:%M:%S"))
        assert answer.json["once"] is True and there < last < time.time() + max(ahead, 0) + 301, shown
        box.close()
        return
    first, last = (time.mktime(time.strptime(word, "%Y-%m-%dT%H:%M:%S")) for word in shown.split()[1:4:2])
    assert answer.json["once"] is True and answer.json["keepSeconds"] <= 240
    # of the box's time: when its clock is right again, nobody can use it beside the gateway
    assert time.time() < first < there < last and last - first == 600, shown
    box.close()


def test_who_gets_no_certificate(gw, bob, folder):
    _, public = make_key(folder, "ed25519")
    _, rsa = make_key(folder, "rsa", "-b2048")

    def certificate(token, grant, key=public):
        return ask(gw, token, "POST", f"/v1/grants/{grant}/certificate", {"publicKey": key})

    grant = gw.request("POST", "/v1/grants", {"device": BOX, "reason": REASON, "seconds": 86400}).json["grant"]["id"]
    short = gw.request("POST", "/v1/grants", {"device": BOX, "reason": REASON, "seconds": 1}).json["grant"]["id"]
    issued = len(gw.audit("certificate.issued"))
    answer = certificate(bob, grant)
    assert answer.status == 403 and error_id(answer) == "grant.not-yours"
    for bad in (rsa, "", "x", public + public, public.replace("AAAA", "BBBB", 1)):
        answer = certificate(gw.token, grant, bad)
        assert answer.status == 400 and error_id(answer) == "ssh.bad-key"
    assert error_id(certificate(gw.token, "g-0")) == "grant.not-found"
    wait_until(lambda: gw.request("GET", f"/v1/grants/{short}").json["grant"]["state"] == "expired", "the grant expires")
    assert error_id(certificate(gw.token, short)) == "grant.expired"
    gw.request("POST", f"/v1/grants/{grant}/revoke")
    answer = certificate(gw.token, grant)
    assert answer.status == 403 and error_id(answer) == "grant.revoked"
    assert len(gw.audit("certificate.issued")) == issued


def test_the_authority_stays(gw, bob, lab_fleet):
    path = os.path.join(gw.dir, "state", "support-ca.pem")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    line = lab_fleet.run("support-ca", check=0).stdout
    gw.stop()
    gw.start()
    assert lab_fleet.run("support-ca", check=0).stdout == line
    assert line.startswith("ssh-ed25519 AAAA") and line.endswith(" secbox-support-ca\n")
    assert ask(gw, "sbx_" + "x" * 43, "GET", "/v1/support-ca").status == 401

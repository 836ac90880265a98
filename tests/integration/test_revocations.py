# SPDX-License-Identifier: MIT
"""Certificates that were revoked before they have expired: from the gateway over both tunnels to the box's sshds."""
# pylint: disable=redefined-outer-name,unused-import
import os
import subprocess

import pytest

pytest.importorskip("websockets")
pytest.importorskip("cryptography")

from tests.conftest import require_programs  # noqa: E402
from tests.integration.gateway_lab import COMPOSE, device, enroll, error_id, gw, shared  # noqa: E402
from tests.integration.test_grants import REASON, ask, make_key  # noqa: E402
from tests.integration.test_host_keys import ToldBox  # noqa: E402
from tests.lab import sshd  # noqa: E402
from tests.lab.util import read_text, wait_until  # noqa: E402

LIST = "ssh-revocations"


def certify(gw, folder, box, token=None, name="key"):
    """The grant, the key's path and the certificate's key id."""
    grant = ask(gw, token or gw.token, "POST", "/v1/grants", {"device": box, "reason": REASON}).json["grant"]
    os.makedirs(os.path.join(folder, name))
    path, public = make_key(os.path.join(folder, name), "ed25519")
    answer = ask(gw, token or gw.token, "POST", f"/v1/grants/{grant['id']}/certificate", {"publicKey": public})
    assert answer.status == 200, answer
    with open(path + "-cert.pub", "w", encoding="ascii") as f:
        f.write(answer.json["certificate"] + "\n")
    return grant["id"], path, f"{grant['person']}/{grant['id']}/{answer.json['serial']}"


def revoke(gw, grant):
    assert gw.request("POST", f"/v1/grants/{grant}/revoke").status == 200


def test_a_box_is_told_of_its_own_certificates(gw, device, folder):
    other = enroll(gw, "other-box")
    assert other.claim().status == 201
    theirs = other.connect({"sshRevocations": "0"})
    tunnel = device.connect({"sshRevocations": "0"})
    first, _, first_id = certify(gw, folder, device.id, name="first")
    _, _, kept_id = certify(gw, folder, device.id, name="kept")
    revoke(gw, first)
    told = tunnel.next("ssh.revocations")
    assert told["keyIds"] == [first_id] and kept_id not in str(told)
    # one more, by a token that was revoked on the command line
    token = gw.run("tokens", "add", "leaver").strip().split()[-1]
    _, _, second_id = certify(gw, folder, device.id, token, "second")
    gw.run("tokens", "revoke", "leaver")
    again = tunnel.next("ssh.revocations")
    assert again["keyIds"] == [first_id, second_id] and int(again["version"]) > int(told["version"])
    assert [m for m in theirs.silent() if m["type"] == "ssh.revocations"] == [], "what is not its own is none of its business"
    # one that has it is not told again; one that has not is, over the next tunnel
    tunnel = device.connect({"sshRevocations": again["version"]})
    assert [m for m in tunnel.silent() if m["type"] == "ssh.revocations"] == []
    tunnel = device.connect({"sshRevocations": told["version"]})
    assert tunnel.next("ssh.revocations") == again
    # what has expired leaves it
    gw.postgres.sql("UPDATE certificates SET expires_at = now() - interval '1 second'")
    empty = tunnel.next("ssh.revocations")
    assert empty["keyIds"] == [] and int(empty["version"]) > int(again["version"])
    assert gw.postgres.sql(f"SELECT count(*) FROM certificates WHERE device = '{device.id}'") == [["0"]]
    other.close()


def test_an_older_box_is_not_told(gw, device, folder):
    tunnel = device.connect({})
    grant, _, _ = certify(gw, folder, device.id)
    revoke(gw, grant)
    wait_until(lambda: gw.postgres.sql(f"SELECT ids FROM ssh_revocations WHERE device = '{device.id}'") not in ([], [["[]"]]),
               "it is revoked")
    assert [m for m in tunnel.silent() if m["type"] == "ssh.revocations"] == []


def test_a_box_that_was_blocked_is_told_when_it_is_back(gw, device, folder):
    _, _, key_id = certify(gw, folder, device.id)
    assert gw.request("POST", f"/v1/devices/{device.id}/block").status == 200
    wait_until(lambda: key_id in str(gw.postgres.sql(f"SELECT ids FROM ssh_revocations WHERE device = '{device.id}'")),
               "it is revoked")


def test_a_box_hears_it_before_it_is_put_out(gw, device, folder):
    """The tunnel of a box that is blocked is closed when the box has the list, and carries nothing else meanwhile."""
    version = "0"
    tunnel = device.connect({"sshRevocations": version})
    _, _, key_id = certify(gw, folder, device.id)
    wait_until(lambda: gw.device(device.id).get("connected"), "it is connected")
    assert gw.request("POST", f"/v1/devices/{device.id}/block").status == 200
    told = tunnel.next("ssh.revocations")
    assert told["keyIds"] == [key_id]
    shown = gw.device(device.id)
    assert shown["blocked"] and not shown["connected"], "nobody reaches it any more"
    pushed = gw.request("POST", f"/v1/devices/{device.id}/compose-snapshot", {"compose": COMPOSE})
    assert pushed.status >= 400 or pushed.json["deployment"]["state"] == "waiting", pushed
    tunnel.send(device.status(sshRevocations="1"))  # an older one: that does not count
    assert tunnel.silent() == []
    tunnel.send(device.status(sshRevocations=told["version"]))
    assert tunnel.next() is None and tunnel.reason == "the device is blocked"


def test_a_blocked_box_that_says_nothing_is_put_out_all_the_same(gw, device, folder):
    tunnel = device.connect({"sshRevocations": "0"})
    certify(gw, folder, device.id)
    assert gw.request("POST", f"/v1/devices/{device.id}/block").status == 200
    assert tunnel.next("ssh.revocations")
    assert tunnel.next() is None and tunnel.reason == "the device is blocked"


def test_a_blocked_box_with_nothing_to_hear_is_put_out_at_once(gw, device):
    tunnel = device.connect({"sshRevocations": "0"})
    assert gw.request("POST", f"/v1/devices/{device.id}/block").status == 200
    assert tunnel.next() is None and tunnel.reason == "the device is blocked"


def test_a_token_whose_box_gets_other_labels(gw, device, folder):
    tunnel = device.connect({"sshRevocations": "0"})
    token = gw.run("tokens", "add", f"north-{device.id}", "--label", "site=north").strip().split()[-1]
    _, _, key_id = certify(gw, folder, device.id, token, "theirs")
    assert gw.request("PATCH", f"/v1/devices/{device.id}", {"labels": {"site": "south"}}).status == 200
    assert tunnel.next("ssh.revocations")["keyIds"] == [key_id]


def test_there_is_no_certificate_for_a_blocked_box(gw, device, folder):
    grant = ask(gw, gw.token, "POST", "/v1/grants", {"device": device.id, "reason": REASON}).json["grant"]
    assert gw.request("POST", f"/v1/devices/{device.id}/block").status == 200
    _, public = make_key(folder, "ed25519")
    answer = ask(gw, gw.token, "POST", f"/v1/grants/{grant['id']}/certificate", {"publicKey": public})
    assert (answer.status, error_id(answer)) == (403, "device.blocked"), answer
    assert gw.request("POST", f"/v1/devices/{device.id}/unblock").status == 200
    assert ask(gw, gw.token, "POST", f"/v1/grants/{grant['id']}/certificate", {"publicKey": public}).status == 200


def test_a_database_that_was_put_back_does_not_go_unnoticed(gw, device, folder):
    """The box has a newer list than the gateway: it keeps that, and somebody is told. The next list is above it again."""
    grant, _, _ = certify(gw, folder, device.id, name="a")
    tunnel = device.connect({"sshRevocations": "0"})
    revoke(gw, grant)
    version = int(tunnel.next("ssh.revocations")["version"])
    ahead = version + 1
    tunnel = device.connect({"sshRevocations": str(ahead)})
    wait_until(lambda: [e for e in gw.audit("revocations.behind") if e["device"] == device.id], "there is an alarm")
    entry = [e for e in gw.audit("revocations.behind") if e["device"] == device.id][0]
    assert entry["alarm"] and entry["detail"] == {"version": str(version), "boxVersion": str(ahead)}
    assert [m for m in tunnel.silent() if m["type"] == "ssh.revocations"] == []
    grant, _, _ = certify(gw, folder, device.id, name="b")
    revoke(gw, grant)
    assert int(tunnel.next("ssh.revocations")["version"]) > ahead


@pytest.fixture(scope="module")
def box(shared, tmp_path_factory):
    require_programs("secbox", "mgmt-link", "mgmt-agent", "recovery-agent")
    if sshd.missing():
        pytest.skip(sshd.missing())
    with ToldBox(shared, "revoking-5", str(tmp_path_factory.mktemp("box"))) as it, it.recovery() as recovery:
        yield it, recovery


def test_both_tunnels_bring_it_to_the_box(gw, box, folder):
    """With nothing of the gateway's ways between: the key and its certificate go straight to the box's recovery sshd."""
    it, recovery = box
    lists = [os.path.join(it.root, "var/lib/tucomunidad", name, LIST) for name in ("mgmt-agent", "recovery")]
    grant, key, key_id = certify(gw, folder, it.device)
    assert recovery.sshd.ssh(key, "echo in").stdout == "in\n", recovery.sshd.log()
    revoke(gw, grant)
    for path in lists:
        wait_until(lambda path=path: os.path.exists(path) and f"id: {key_id}\n" in read_text(path), f"{path} names it",
                   lambda: next(filter(None, (d.death() for d in it.daemons.values())), None))
        assert os.stat(path).st_mode & 0o777 == 0o600
    assert recovery.sshd.prepare("principals").returncode == 0  # as the path unit does
    p = recovery.sshd.ssh(key, "echo in")
    assert p.returncode == 255 and p.stdout == "", p
    assert "revoked by file" in recovery.sshd.log()
    _, key, _ = certify(gw, folder, it.device, name="next")
    assert recovery.sshd.ssh(key, "echo in").stdout == "in\n", "others are good as they were"

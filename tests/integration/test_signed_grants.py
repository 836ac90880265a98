# SPDX-License-Identifier: MIT
"""Break-glass grants on a box whose signers are pinned: a real gateway carries what was signed, a real recovery-agent judges."""
# pylint: disable=redefined-outer-name,unused-import
import subprocess

import pytest

pytest.importorskip("cryptography")
pytest.importorskip("websockets")

from tests.conftest import require_programs  # noqa: E402
from tests.integration.gateway_lab import error_id, gw, shared  # noqa: E402
from tests.integration.test_recovery import Heart, Way, box, wait_shown  # noqa: E402
from tests.integration.test_signed_orders import fleet, keygen  # noqa: E402
from tests.lab import sshd  # noqa: E402
from tests.lab.util import program, wait_until  # noqa: E402


def pin(box, key):
    subprocess.run([program("secboxctl"), "--root", box.root, "trust", "add", key + ".pub"], check=True, stdout=subprocess.DEVNULL)


def test_the_glass_is_broken_by_who_may_sign(gw, box, fleet, folder):
    if sshd.missing():
        pytest.skip(sshd.missing())
    require_programs("secbox-fleet", "secboxctl")
    ana, stranger = keygen(fleet, folder, "ana"), keygen(fleet, folder, "stranger")
    device, heart = Way(gw, box, "device"), Heart(box)
    box.start_sshd(gw.request("GET", "/v1/support-ca").json["publicKey"])

    def get_in(grant, **how):
        return fleet.run("ssh", box.device, "--grant", grant["id"], "--way", "recovery", "--", "echo in", **how)

    def ask(*options):
        return fleet.json("grants", "add", box.device, "--reason", "now", "--break-glass", *options)["grant"]

    old = ask("--key", ana)
    p = fleet.run("grants", "add", box.device, "--reason", "now", "--break-glass", "--key", ana, "--user", "ana", check=0)
    assert "signing without the account ana" in p.stderr
    other = next(g for g in gw.request("GET", f"/v1/grants?open=1&device={box.device}").json["grants"] if g["account"] == "ana")
    box.start()
    wait_shown(box, state="healthy", open=False)
    # nobody is pinned: as ever, and that is said
    unsigned = ask()
    assert "signed" not in unsigned
    assert get_in(unsigned, check=0).stdout == "in\n"
    assert "taken without a signature" in box.log()
    wait_shown(box, open=True, verdict="break-glass")
    box.stop()
    pin(box, ana)
    box.start()
    wait_shown(box, state="healthy", open=False)
    p = get_in(unsigned, check=255)
    assert "only break-glass grants that its signers have signed" in p.stderr, p
    assert "order.unknown-signer" in get_in(ask("--key", stranger), check=255).stderr
    # which is no matter of who has no such grant
    plain = fleet.json("grants", "add", box.device, "--reason", "now")["grant"]
    assert "it is closed while the box is well" in get_in(plain, check=255).stderr
    signed = ask("--key", ana)
    assert signed["signed"] is True and "signed" in fleet.run("grants", "show", signed["id"], check=0).stdout
    assert get_in(signed, check=0).stdout == "in\n"
    assert "the break-glass grant is signed by ana, for the account root" in box.log()
    wait_shown(box, open=True, verdict="break-glass")
    assert "unsignedAccount" not in gw.device(box.device)["recovery"]

    # somebody changes for whom it is, between the operator and the box
    theirs = ask("--key", ana, "--user", "ana")
    gw.postgres.sql(f"UPDATE grants SET account = 'root' WHERE id = '{theirs['id']}'")
    box.stop()
    box.start()
    wait_shown(box, state="healthy", open=False)
    assert "signed for another account" in get_in(theirs, check=255).stderr
    # what was signed before the box said that it knows of accounts names none: it counts for root, and is an alarm
    p = fleet.run("ssh", box.device, "--grant", other["id"], "--user", "ana", "--way", "recovery", "--", "echo in", check=255)
    assert "order.no-account" in p.stderr, p
    assert get_in(old, check=0).stdout == "in\n"
    alarm = wait_until(lambda: next(iter(gw.audit("grant.account-unsigned")), None), "it is an alarm")
    assert alarm["alarm"] and alarm["device"] == box.device and alarm["detail"]["session"].startswith("s-")

    p = fleet.run("grants", "add", box.device, "--reason", "now", "--key", ana)
    assert p.returncode == 2 and "--break-glass" in p.stderr
    order = {"statement": "e30=", "signatures": [{"keyId": "x" * 9000}]}
    body = {"device": box.device, "reason": "now", "breakGlass": True, "order": order}
    assert error_id(gw.request("POST", "/v1/grants", body)) == "grant.bad-order"
    for part in (heart, device):
        part.close()

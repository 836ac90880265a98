# SPDX-License-Identifier: MIT
"""One enrolment root a box: its management key names the keys of the other roles, and a bootstrap token is good for that one
alone. Boxes of before go on as they did."""
# pylint: disable=redefined-outer-name,unused-import
import os
import shutil
import threading

import pytest

pytest.importorskip("cryptography")
pytest.importorskip("websockets")

from tests.conftest import require_programs  # noqa: E402
from tests.integration.gateway_lab import NUMBERS, enroll, error_id, gw, shared  # noqa: E402
from tests.integration.test_gateway_claims import wait_for_a_waiting_lock  # noqa: E402
from tests.lab.device import Device, DeviceKey  # noqa: E402
from tests.lab.recovery import Recovery  # noqa: E402
from tests.lab.util import Daemon, program, wait_until  # noqa: E402


@pytest.fixture
def box(gw):
    """A box that has claimed its management key; box.tunnel is its tunnel."""
    it = enroll(gw, f"rooted-{next(NUMBERS)}")
    assert it.claim().status == 201
    it.tunnel = it.connect()
    yield it
    it.close()


def part(box, role, key=None):
    """The program of another role on this box, or whoever says so."""
    it = Device(box.url, box.post, box.id, box.bootstrap, role)
    it.key = key or it.key
    return it


def vouched(gw, box):
    return gw.device(box.id).get("vouched")


def vouch(gw, box, **keys):
    box.vouch(box.tunnel, **keys)
    wait_until(lambda: keys.items() <= (vouched(gw, box) or {}).items() and vouched(gw, box) is not None,
               "the gateway knows the keys")


def actions(gw, box, action):
    return [e for e in gw.audit(action) if e["device"] == box.id]


def test_a_named_key_needs_no_bootstrap_token(gw, box):
    device, recovery = part(box, "device"), part(box, "recovery")
    vouch(gw, box, device=device.key.thumbprint, recovery=recovery.key.thumbprint)
    assert device.claim(bootstrap=None).status == 201
    assert device.claim(bootstrap=None).status == 200  # the answer was lost
    assert device.refresh().status == 200
    tunnel = recovery.challenged()
    assert tunnel.next()["type"] == "welcome"
    claims = actions(gw, box, "device.claimed")
    assert {e["detail"]["role"]: e["detail"].get("vouched") for e in claims} == {"mgmt": None, "device": True, "recovery": True}
    assert not actions(gw, box, "claim.legacy-bootstrap")
    gw.stop()
    gw.start()
    assert device.claim(bootstrap=None).status == 200
    assert error_id(part(box, "device").claim()) == "claim.not-vouched"


def test_a_stolen_bootstrap_token_is_worth_nothing_once_the_box_has_claimed(gw, box):
    vouch(gw, box)
    for role, status, why in (("mgmt", 409, "device.bootstrap-reused"), ("device", 403, "claim.not-vouched"),
                              ("recovery", 403, "claim.not-vouched")):
        answer = part(box, role).claim()
        assert (answer.status, error_id(answer)) == (status, why), (role, answer)
    tunnel = part(box, "recovery").challenged(bootstrap=box.bootstrap)
    assert tunnel.next() is None and (tunnel.code, tunnel.reason) == (1008, "claim.not-vouched")
    assert set(gw.device(box.id)["keys"]) == {"mgmt"}
    device = part(box, "device")
    vouch(gw, box, device=device.key.thumbprint)
    assert device.claim().status == 201
    before = len(actions(gw, box, "device.bootstrap_reused"))
    assert error_id(part(box, "device").claim()) == "claim.not-vouched"
    alarms = actions(gw, box, "device.bootstrap_reused")
    assert len(alarms) == before + 1 and alarms[0]["alarm"] and alarms[0]["detail"]["role"] == "device"


def test_whoever_claimed_before_the_box_is_put_out(gw, box):
    thief, own = part(box, "device"), part(box, "device")
    assert thief.claim().status == 201
    assert [e["detail"]["role"] for e in actions(gw, box, "claim.legacy-bootstrap")] == ["device"]
    tunnel = thief.connect()
    vouch(gw, box, device=own.key.thumbprint)
    assert tunnel.next() is None
    assert thief.refresh().status == 401 and error_id(thief.claim()) == "claim.not-vouched"
    assert own.claim(bootstrap=None).status == 201
    alarm = next(e for e in actions(gw, box, "device.keys-vouched") if e["alarm"])
    assert alarm["detail"]["ended"] == {"device": thief.key.thumbprint}


def test_an_old_agent_claims_as_ever_and_keeps_its_keys_when_it_is_new(gw, box):
    """secbox is older than the agent then, and shows no key: it goes on, but no other can come in its place."""
    device, recovery = part(box, "device"), part(box, "recovery")
    assert device.claim().status == 201
    assert recovery.challenged(bootstrap=box.bootstrap).next()["type"] == "welcome"
    legacy = actions(gw, box, "claim.legacy-bootstrap")
    assert sorted(e["detail"]["role"] for e in legacy) == ["device", "recovery"] and not any(e["alarm"] for e in legacy)
    assert error_id(part(box, "device").claim()) == "device.bootstrap-reused"
    vouch(gw, box)
    assert device.refresh().status == 200
    assert device.claim().status == 200
    assert recovery.challenged().next()["type"] == "welcome"
    vouch(gw, box, recovery=recovery.key.thumbprint)
    assert recovery.challenged().next()["type"] == "welcome"
    assert not any(e["alarm"] for e in actions(gw, box, "device.keys-vouched"))


def test_only_the_boxs_own_management_key_names_keys(gw, box):
    other = enroll(gw, f"rooted-{next(NUMBERS)}")
    assert other.claim().status == 201
    other.tunnel = other.connect()
    device = part(box, "device")
    vouch(gw, box)
    vouch(gw, other, device=device.key.thumbprint)
    assert error_id(device.claim()) == "claim.not-vouched"
    mine = {"device": device.key.thumbprint}
    box.vouch(box.tunnel, by=other.key, **mine)  # in the right tunnel, as by a copied token
    box.vouch(box.tunnel, by=DeviceKey(), **mine)
    box.vouch(box.tunnel, nonce=other.welcome["nonce"], **mine)  # of another connection
    box.tunnel.send({"type": "keys.vouch", "deviceId": box.id, **mine})
    box.vouch(box.tunnel, recovery=DeviceKey().thumbprint)  # messages come in their order
    wait_until(lambda: "recovery" in vouched(gw, box), "the last one is taken")
    assert "device" not in vouched(gw, box) and error_id(device.claim()) == "claim.not-vouched"
    other.close()


def test_renewal_ends_every_other_key(gw, box):
    device, recovery = part(box, "device"), part(box, "recovery")
    vouch(gw, box, device=device.key.thumbprint, recovery=recovery.key.thumbprint)
    assert device.claim().status == 201
    ways = [device.connect(), recovery.challenged()]
    assert ways[1].next()["type"] == "welcome"
    box.bootstrap = gw.request("POST", f"/v1/devices/{box.id}/bootstrap").json["bootstrap"]
    assert device.refresh().status == 200  # until the box has used it
    former, box.key = box.key, DeviceKey()
    assert box.claim().status == 201
    for way in ways:
        while way.next():
            pass
    assert set(gw.device(box.id)["keys"]) == {"mgmt"} and vouched(gw, box) is None
    assert device.refresh().status == 401
    claimed = next(e for e in actions(gw, box, "device.claimed") if "ended" in e["detail"])
    assert claimed["detail"]["ended"] == ["device", "recovery"]
    box.tunnel = box.connect()
    box.vouch(box.tunnel, by=former, device=device.key.thumbprint)
    vouch(gw, box, recovery=recovery.key.thumbprint)
    assert error_id(device.claim(bootstrap=None)) == "claim.not-vouched"
    vouch(gw, box, device=device.key.thumbprint)
    assert device.claim(bootstrap=None).status == 201


def test_what_a_former_management_key_names_at_the_last_moment_is_not_written(gw, box):
    """Its tunnel is there until the new key is in the database and the gateway knows of that."""
    stolen = DeviceKey().thumbprint
    vouch(gw, box)
    former, old = box.key, box.tunnel
    answers = []
    while 201 not in answers:  # on a slow machine the database gives up what waits for a lock
        box.bootstrap = gw.request("POST", f"/v1/devices/{box.id}/bootstrap").json["bootstrap"]
        box.key = DeviceKey()
        claim = threading.Thread(target=lambda: answers.append(box.claim().status))
        with gw.postgres.open_transaction("LOCK TABLE device_keys IN SHARE ROW EXCLUSIVE MODE"):
            claim.start()
            wait_for_a_waiting_lock(gw)
            box.vouch(old, by=former, device=stolen)
            old.send({"type": "auth.refresh", "deviceId": box.id, "proof": "none"})
            old.next("auth.error")  # so what was sent before is on its way to the database
        claim.join()
    box.tunnel = box.connect()
    recovery = DeviceKey().thumbprint
    vouch(gw, box, recovery=recovery)
    assert vouched(gw, box) == {"recovery": recovery}


def test_a_revoked_key_stays_out_though_it_is_named_again(gw, box):
    device = part(box, "device")
    vouch(gw, box, device=device.key.thumbprint)
    assert device.claim().status == 201
    assert gw.request("DELETE", f"/v1/devices/{box.id}/keys/device").status == 200
    assert error_id(device.claim()) == "claim.not-vouched"
    box.vouch(box.tunnel, device=device.key.thumbprint)
    recovery = DeviceKey().thumbprint
    vouch(gw, box, recovery=recovery)
    assert vouched(gw, box) == {"recovery": recovery} and error_id(device.claim()) == "claim.not-vouched"
    fresh = part(box, "device")
    vouch(gw, box, device=fresh.key.thumbprint)
    assert fresh.claim().status == 201


class RealBox:
    """mgmt-agent, mgmt-link, secbox and recovery-agent in a folder, without podman."""

    def __init__(self, gw, folder):
        self.gw, self.folder, self.id = gw, folder, f"rooted-{next(NUMBERS)}"
        self.env = gw.enroll(self.id)
        self.recovery = Recovery(os.path.join(folder, "root"), self.env)
        self.root = self.recovery.root
        self.daemons = {}

    def start(self, name, *arguments, **env):
        self.daemons[name] = Daemon(name, [program(name), *arguments], os.path.join(self.folder, f"{name}.log"),
                                    {"PATH": os.environ["PATH"], **env})

    def start_agent(self):
        self.start("mgmt-agent", "--root", self.root, "--worker", "/bin/false")

    def start_secbox(self, **env):
        self.start("secbox", CLOUD_BASE_URL=self.env["CLOUD_BASE_URL"], DEVICE_ID=self.id,
                   DEVICE_GATEWAY_URL=self.env["MGMT_GATEWAY_URL"].replace("/mgmt", "/device"),
                   SECBOX_STATE=os.path.join(self.folder, "state"),
                   SECBOX_RUN=os.path.join(self.root, "run/tucomunidad/secbox"), **env)

    def wait_roles(self, *roles):
        def death():
            return next(filter(None, (d.death() for d in self.daemons.values())), None)

        wait_until(lambda: set(roles) <= set(self.gw.device(self.id)["roles"]), f"connected as {', '.join(roles)}", death)

    def log(self, name):
        return self.daemons[name].log()

    def close(self):
        for daemon in self.daemons.values():
            daemon.kill()
        self.recovery.close()


@pytest.fixture
def real(gw, folder):
    require_programs("mgmt-agent", "mgmt-link", "secbox", "recovery-agent")
    it = RealBox(gw, folder)
    yield it
    it.close()


def test_the_real_programs_of_a_new_box(gw, real):
    """secbox and recovery-agent are there before the box has claimed, without any token, and wait until they are named."""
    env = {k: v for k, v in real.env.items() if k != "BOOTSTRAP"}
    real.recovery.write_env("mgmt-agent.env", env)
    real.recovery.start()
    real.start_secbox()
    real.recovery.wait_log("device.key-unknown")
    wait_until(lambda: "claim.not-vouched" in real.log("secbox"), "secbox says what it waits for", real.daemons["secbox"].death)
    assert "keys" not in gw.device(real.id)
    real.recovery.stop()  # it ends for a new configuration, and systemd starts it again
    real.recovery.write_env("mgmt-agent.env", real.env)
    real.start_agent()
    real.start("mgmt-link", "--root", real.root)
    real.wait_roles("mgmt", "device")
    real.recovery.start()
    real.wait_roles("recovery")
    keys = gw.device(real.id)["keys"]
    wait_until(lambda: gw.device(real.id).get("vouched") == {k: keys[k] for k in ("device", "recovery")}, "both are named")
    assert [e["detail"].get("vouched") for e in gw.audit("device.claimed") if e["device"] == real.id
            and e["detail"]["role"] == "device"] == [True]
    # a new key of secbox's is named in its turn, and one alarm says that it has another
    real.daemons["secbox"].kill()
    shutil.rmtree(os.path.join(real.folder, "state"))
    real.start_secbox()
    wait_until(lambda: gw.device(real.id)["keys"].get("device") not in (None, keys["device"]), "the new key is the key")
    real.wait_roles("device")
    # with mgmt-agent dead, recovery-agent goes on with the key that it has
    for name in ("mgmt-agent", "mgmt-link"):
        real.daemons.pop(name).kill()
    real.recovery.stop()
    wait_until(lambda: "recovery" not in gw.device(real.id)["roles"], "it has gone")
    real.recovery.start()
    real.wait_roles("recovery")
    assert gw.device(real.id)["keys"]["recovery"] == keys["recovery"]

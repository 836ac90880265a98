# SPDX-License-Identifier: MIT
"""The process that signs certificates: nobody else has the key, what it is asked is not believed, and it comes back."""
# pylint: disable=redefined-outer-name,unused-import
import calendar
import concurrent.futures
import json
import os
import signal
import stat
import subprocess
import time

import pytest

from tests.integration.gateway_lab import enroll, error_id, gw, shared
from tests.integration.test_grants import BOX, REASON, ask, bob, make_key, show_certificate
from tests.lab.fleet import Fleet
from tests.lab.gateway import Gateway
from tests.lab.signer import KEY_NAME, Asker, Signer
from tests.lab.sshd import Sshd, missing as sshd_missing
from tests.lab.util import LabError, program, read_text, wait_until


def seed_of(path):
    """The 32 bytes of an Ed25519 private key: the end of its PKCS #8 form (RFC 8410)."""
    der = subprocess.run(["openssl", "pkey", "-in", path, "-outform", "DER"], capture_output=True, check=True).stdout
    return der[-32:]


def memory_holds(pid, needle):
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            first, last = (int(x, 16) for x in line.split()[0].split("-"))
            if "r" not in line.split()[1] or line.rstrip().endswith(("[vvar]", "[vsyscall]")) or last - first > 1 << 30:
                continue  # a sanitizer's shadow is large, and no copy of anything
            try:
                mem.seek(first)
                if needle in mem.read(last - first):
                    return True
            except (OSError, ValueError):
                continue
    return False


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(x) for x in f.read().split()]


def signer_of(gateway):
    """Our child that signs; the other ones write files."""
    def found():
        for pid in children(gateway.daemon.pid):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if f.read().split(b"\0")[1:2] == [b"--sign"]:
                        return pid
            except OSError:
                pass
        return None
    return wait_until(found, "the gateway has its signer", gateway.daemon.death)


def certify(gateway, folder, **more):
    grant = gateway.request("POST", "/v1/grants", {"device": BOX, "reason": REASON}).json["grant"]["id"]
    _, public = make_key(folder, "ed25519")
    return gateway.request("POST", f"/v1/grants/{grant}/certificate", {"publicKey": public, **more})


def test_the_gateway_never_has_the_key(gw, bob, folder):
    """It has signed, and then signs again after a kill: the key's bytes are in the signer's memory alone."""
    assert gw.request("GET", "/v1/support-ca").status == 200
    signer, path = signer_of(gw), os.path.join(gw.state, KEY_NAME)
    assert certify(gw, folder).status == 200
    seed = seed_of(path)
    assert memory_holds(signer, seed) and not memory_holds(gw.daemon.pid, seed)
    for number in os.listdir(f"/proc/{gw.daemon.pid}/fd"):
        assert KEY_NAME not in os.readlink(f"/proc/{gw.daemon.pid}/fd/{number}")
    status = read_text(f"/proc/{signer}/status")
    assert "NoNewPrivs:\t1" in status and os.stat(f"/proc/{signer}/environ").st_uid == 0


def test_a_signer_that_was_killed_comes_back(gw, bob, folder):
    before = signer_of(gw)
    os.kill(before, signal.SIGKILL)
    os.mkdir(os.path.join(folder, "again"))
    answer = certify(gw, os.path.join(folder, "again"))  # it waits for the next one
    if answer.status == 503:  # asked in the moment in which it was killed
        assert error_id(answer) == "signer.unavailable", answer
        answer = certify(gw, folder)
    assert answer.status == 200, answer
    assert signer_of(gw) != before
    assert "the process that signs certificates has ended (killed by SIGKILL): it starts again" in gw.log()
    wait_until(lambda: "the process that signs certificates is there again" in gw.log(), "that is told")


def test_without_its_key_the_rest_goes_on(gw, bob, folder):
    path, aside = os.path.join(gw.state, KEY_NAME), os.path.join(gw.state, "aside")
    line = gw.request("GET", "/v1/support-ca").json["publicKey"]
    os.rename(path, aside)
    with open(path, "w", encoding="ascii") as f:
        f.write("no key\n")
    os.chmod(path, 0o600)
    try:
        os.kill(signer_of(gw), signal.SIGKILL)
        wait_until(lambda: "is not an Ed25519 private key" in gw.log(), "the signer says what is wrong")
        answer = certify(gw, folder)
        assert answer.status == 503 and error_id(answer) == "signer.unavailable", answer
        assert gw.request("GET", "/v1/devices").status == 200
        assert gw.request("GET", "/v1/support-ca").json["publicKey"] == line  # as it was told
    finally:
        os.rename(aside, path)

    def signs():
        os.makedirs(os.path.join(folder, "b"), exist_ok=True)
        for name in os.listdir(os.path.join(folder, "b")):
            os.unlink(os.path.join(folder, "b", name))
        return certify(gw, os.path.join(folder, "b")).status == 200
    wait_until(signs, "it signs again")


def test_many_who_ask_at_once_are_all_answered(gw, bob, folder):
    """More than the signer takes at once."""
    grant = gw.request("POST", "/v1/grants", {"device": BOX, "reason": REASON}).json["grant"]["id"]
    _, public = make_key(folder, "ed25519")
    with concurrent.futures.ThreadPoolExecutor(80) as pool:
        answers = list(pool.map(lambda _: gw.request("POST", f"/v1/grants/{grant}/certificate", {"publicKey": public}), range(240)))
    assert {a.status for a in answers} == {200}, [a for a in answers if a.status != 200][:3]
    assert len({a.json["serial"] for a in answers}) == 240


@pytest.fixture
def asker(gw, bob, folder):
    with Asker(folder, os.path.join(gw.state, KEY_NAME), gw.postgres.conninfo) as it:
        yield it


def test_what_a_gateway_says_is_not_believed(gw, bob, asker, folder):
    """One that is somebody else's asks the same signer for what it should not get."""
    grant = gw.request("POST", "/v1/grants", {"device": BOX, "reason": REASON, "seconds": 600}).json["grant"]
    path, public = make_key(folder, "ed25519")
    issued = len(gw.audit("certificate.issued"))
    good = {"grant": grant["id"], "token": gw.token, "publicKey": public}

    def refused(identifier, **change):
        answer = asker.ask(**{k: v for k, v in {**good, **change}.items() if v is not None})
        assert answer["error"]["id"] == identifier and "certificate" not in answer, answer
        return answer

    refused("grant.not-found", grant="g-0")
    refused("grant.not-found", grant="' OR 1=1")
    refused("grant.not-found", grant=None)
    refused("operator.token-missing", token=None)
    refused("operator.token-unknown", token="x")
    refused("operator.revoked", token="sbx_" + "x" * 43)
    refused("grant.not-yours", token=bob)
    viewer = gw.run("tokens", "add", "--role", "viewer", "eye").strip().split()[-1]
    refused("operator.revoked", token=viewer)
    refused("ssh.bad-key", publicKey="ssh-rsa AAAA")
    refused("bridge.way", way="*")
    revoked = gw.request("POST", "/v1/grants", {"device": BOX, "reason": REASON}).json["grant"]["id"]
    gw.request("POST", f"/v1/grants/{revoked}/revoke")
    refused("grant.revoked", grant=revoked)
    short = gw.request("POST", "/v1/grants", {"device": BOX, "reason": REASON, "seconds": 1}).json["grant"]["id"]
    wait_until(lambda: gw.request("GET", f"/v1/grants/{short}").json["grant"]["state"] == "expired", "the grant expires")
    refused("grant.expired", grant=short)
    assert len(gw.audit("certificate.issued")) == issued

    # members that nobody asked for change nothing, and a clock can name no end beyond the grant's or five minutes
    until = calendar.timegm(time.strptime(grant["expiresAt"][:19], "%Y-%m-%dT%H:%M:%S"))
    serials = set()
    for clock in (None, {"offset": 0, "ageUsec": "0"}, {"offset": -1e18, "ageUsec": "0"}, {"offset": 1e18, "ageUsec": "0"},
                  {"offset": 3600, "ageUsec": "0"}, {"offset": "1", "ageUsec": "-1"}, 7):
        answer = asker.ask(**good, clock=clock, person="root", device="other", principal="*", serial="1", way="mgmt",
                           expiresAt="2999-01-01T00:00:00Z", validBefore=2 ** 62, forwarding=True,
                           extensions=["permit-X11-forwarding"])
        shown = show_certificate(path, answer["certificate"])
        assert shown["Principals"] == [BOX] and shown["Extensions"] == ["permit-pty"], shown
        assert shown["Critical Options"] == ["source-address 127.0.0.1/32,::1/128"], shown
        assert shown["Key ID"] == [f'"lab/{grant["id"]}/{answer["serial"]}"'], shown
        last = time.mktime(time.strptime(shown["Valid"][0].removeprefix("before "), "%Y-%m-%dT%H:%M:%S"))
        ahead = 3600 if clock and clock != 7 and clock["offset"] == 3600 else 0
        assert last <= max(until, time.time() + ahead + 301), (clock, shown)
        serials.add(answer["serial"])
    assert len(serials) == 7  # none twice, and each is in the audit log
    entries = gw.audit("certificate.issued")
    assert {e["detail"]["serial"] for e in entries} >= serials and len(entries) == issued + 7
    assert {(e["actor"], e["device"]) for e in entries if e["detail"]["serial"] in serials} == {("operator:lab", BOX)}


@pytest.fixture
def telling(gw):
    """A box whose agent has said that its sshds tell accounts apart."""
    box = enroll(gw, "telling")
    assert box.claim().status == 201
    box.connect({"accepts": ["ssh.accounts"]})
    wait_until(lambda: gw.request("GET", "/v1/devices/telling").json["device"].get("statusAt"), "the gateway has heard the agent")
    yield box
    box.close()


def test_a_certificate_is_for_the_account_of_its_grant(gw, bob, asker, telling, folder):
    path, public = make_key(folder, "ed25519")

    def principals(box, token=gw.token, **more):
        grant = ask(gw, token, "POST", "/v1/grants", {"device": box, "reason": REASON, **more})
        assert grant.status == 201, grant
        grant = grant.json["grant"]
        answer = asker.ask(grant=grant["id"], token=token, publicKey=public, account="wheel", principal="*")
        assert answer["account"] == grant["account"] == more.get("account", "root"), answer
        return show_certificate(path, answer["certificate"])["Principals"]

    assert principals(telling.id) == ["telling:root"]
    assert principals(telling.id, account="cameras") == ["telling:cameras"]
    assert principals(BOX, account="cameras") == [BOX], "one that does not tell them apart knows no more than its name"
    # a token that is for some accounts alone
    some = gw.run("tokens", "add", "some", "--account", "cameras", "--account", "db").strip().split()[-1]
    assert principals(telling.id, some, account="db") == ["telling:db"]
    for body in ({}, {"account": "root"}):
        answer = ask(gw, some, "POST", "/v1/grants", {"device": telling.id, "reason": REASON, **body})
        assert answer.status == 403 and error_id(answer) == "grant.other-account", answer
    # and one that became so while its grant was open: the signer looks for itself
    grant = ask(gw, some, "POST", "/v1/grants", {"device": telling.id, "reason": REASON, "account": "db"}).json["grant"]["id"]
    gw.postgres.sql("UPDATE operator_tokens SET accounts = '[\"cameras\"]' WHERE name = 'some'")
    assert asker.ask(grant=grant, token=some, publicKey=public)["error"]["id"] == "grant.not-yours"
    listed = {t["name"]: t.get("accounts") for t in json.loads(gw.run("tokens", "list", "--json"))["tokens"]}
    assert listed["some"] == ["cameras"] and listed["bob"] is None
    assert gw.audit("certificate.issued")[0]["detail"]["account"] == "db"


def test_a_flood_of_questions_is_bounded(gw, bob, asker, folder):
    _, public = make_key(folder, "ed25519")
    for _ in range(3000):
        answer = asker.ask(grant="g-0", token=gw.token, publicKey=public)
        if answer["error"]["id"] != "grant.not-found":
            break
    assert answer["error"]["id"] == "signer.too-many" and answer["errno"] == 11, answer


def test_nonsense_ends_the_connection_and_nothing_else(gw, bob, folder):
    asker = Asker(folder, os.path.join(gw.state, KEY_NAME), gw.postgres.conninfo)
    asker.socket.send(b'{"grant": "g-0"}')  # no id: nobody to answer
    _, public = make_key(folder, "ed25519")
    assert asker.ask(grant="g-0", token=gw.token, publicKey=public)["error"]["id"] == "grant.not-found"
    asker.socket.send(b"\xff" * 40000)
    assert asker.receive() is None
    asker.close()


@pytest.fixture(scope="module")
def by_itself(tmp_path_factory):
    """A gateway whose signer is a unit of its own, as it is installed."""
    folder = str(tmp_path_factory.mktemp("by-itself"))
    path = os.path.join(folder, "signer.socket")
    try:
        gateway = Gateway(folder, options=("--signer", path))
    except LabError as e:
        pytest.skip(str(e))
    signer = Signer(folder, gateway.state, gateway.env, path)
    gateway.request("POST", "/v1/devices", {"id": BOX, "labels": {}})
    yield gateway, signer
    gateway.close()
    signer.stop()


def test_a_signer_that_runs_by_itself(by_itself, folder):
    gateway, signer = by_itself
    assert gateway.request("GET", "/v1/support-ca").status == 200
    assert certify(gateway, folder).status == 200
    assert children(gateway.daemon.pid) == []
    key = os.path.join(gateway.state, KEY_NAME)
    seed = seed_of(key)
    assert not memory_holds(gateway.daemon.pid, seed) and memory_holds(signer.daemon.pid, seed)
    for number in os.listdir(f"/proc/{signer.daemon.pid}/fd"):  # it has read it, and that is over
        assert KEY_NAME not in os.readlink(f"/proc/{signer.daemon.pid}/fd/{number}")

    signer.kill()
    wait_until(lambda: "has ended: the next question starts it anew" in gateway.log(), "the gateway sees that")
    signer.start()  # as systemd does, whose socket it is
    os.mkdir(os.path.join(folder, "b"))
    assert certify(gateway, os.path.join(folder, "b")).status == 200


def test_the_key_is_made_once_and_is_nobody_elses(folder):
    def prepare():
        return subprocess.run([program("secbox-gateway"), "signer", "prepare", "--state", folder], capture_output=True, text=True,
                              check=False)
    path, aside = os.path.join(folder, KEY_NAME), os.path.join(folder, "aside")
    assert prepare().returncode == 0
    made = read_text(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600 and os.stat(path).st_uid == os.geteuid()
    os.chmod(path, 0o644)
    assert prepare().returncode == 0 and read_text(path) == made
    if os.geteuid() == 0:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    os.rename(path, aside)
    os.symlink(aside, path)
    assert prepare().returncode == 1
    os.unlink(path)
    os.link(aside, path)
    p = prepare()
    assert p.returncode == 1 and "is no file of the gateway's alone" in p.stderr, p
    assert read_text(aside) == made


@pytest.mark.parametrize("way, bound", [("mgmt", True), ("recovery", True), ("device", False), ("auto", False), (None, False)])
def test_a_certificate_for_a_way_that_is_named_is_good_there_alone(gw, bob, folder, way, bound):
    answer = certify(gw, folder, **({"way": way} if way else {}))
    assert answer.status == 200, answer
    key = os.path.join(folder, "key-ed25519")
    shown = show_certificate(key, answer.json["certificate"])
    assert shown["Critical Options"] == (["source-address 127.0.0.1/32,::1/128"] if bound else ["(none)"]), shown


def test_sshd_takes_it_from_there_alone(gw, bob, folder):
    """Whoever takes it along to another way to the box's sshd is not let in."""
    if sshd_missing():
        pytest.skip(sshd_missing())
    answer = certify(gw, folder, way="mgmt")
    key = os.path.join(folder, "key-ed25519")
    with open(f"{key}-cert.pub", "w", encoding="ascii") as f:
        f.write(answer.json["certificate"] + "\n")

    def log_in(source):  # to the part of sshd that needs no shell
        return subprocess.run(["ssh", "-F", "none", "-p", str(sshd.port), "-i", key, "-b", source, "-o", "IdentitiesOnly=yes",
                               "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no",
                               "-s", "root@127.0.0.1", "sftp"], stdin=subprocess.DEVNULL, capture_output=True,
                              check=False).returncode
    with Sshd(os.path.join(folder, "sshd"), gw.request("GET", "/v1/support-ca").json["publicKey"], [BOX]) as sshd:
        assert log_in("127.0.0.1") == 0, sshd.log()
        assert log_in("127.0.0.2") == 255
        assert "source address" in sshd.log() or "127.0.0.2" in sshd.log()


def test_no_way_is_no_certificate(gw, bob, folder):
    answer = certify(gw, folder, way="window")
    assert answer.status == 400 and error_id(answer) == "bridge.way", answer

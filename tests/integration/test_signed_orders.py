# SPDX-License-Identifier: MIT
"""Orders that operators sign, with secbox-fleet and the real ssh-keygen; a real gateway carries them, a real agent judges."""
# pylint: disable=redefined-outer-name,unused-import
import base64
import contextlib
import json
import os
import pty
import shutil
import subprocess
import termios
import uuid

import pytest

from tests.conftest import require_programs
from tests.integration.gateway_lab import COMPOSE, enroll, error_id, gw, shared
from tests.integration.test_agent import AGENT_ENV, Agent
from tests.lab.fleet import Fleet
from tests.lab.util import listens, program, read_text, wait_until

ACCEPTS = {"accepts": ["image.update", "compose.rollback", "agent.update", "orders.signed"]}


@pytest.fixture
def fleet(gw, folder):
    require_programs("secbox-fleet")
    home = os.path.join(folder, "home")
    os.mkdir(home)
    return Fleet(gw.url, gw.token, home)


@pytest.fixture
def device(gw):
    """A box of which the agent checks signatures; its name is its own in each test, and the agent of that name judges."""
    box = enroll(gw, f"signed-{uuid.uuid4().hex[:8]}")
    assert box.claim().status == 201
    yield box
    box.close()


@pytest.fixture
def judge(folder, device):
    """The agent of that box, whose worker ends at once: an order that gets as far is answered with 500."""
    require_programs("mgmt-agent", "secboxctl")
    it = Agent(os.path.join(folder, "agent"))
    it.write(os.path.join(it.root, "etc/tucomunidad/mgmt-agent.env"), AGENT_ENV.replace("caseta5", device.id))
    it.start()
    yield it
    it.stop()


def keygen(fleet, folder, name):
    path = os.path.join(folder, name)
    fleet.run("keygen", path, check=0)
    return path


def ssh_key(folder, name):
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is not installed")
    path = os.path.join(folder, name)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
    return path


def trust(agent, *arguments, code=0):
    p = subprocess.run([program("secboxctl"), "--root", agent.root, "trust", *arguments], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert p.returncode == code, p
    return p.stdout + p.stderr


def compose_file(folder, text=COMPOSE):
    path = os.path.join(folder, "compose.yaml")
    Agent.write(path, text)
    return path


def answer(agent, message):
    """(status, error's id) of the agent's word about an order of the cloud."""
    link = agent.link()
    link.send(message)
    result = link.next("compose.result")
    link.close()
    assert result["id"] == message["id"], result
    return result["status"], result["error"]["id"]


def changed(message, **more):
    return {**message, "id": uuid.uuid4().hex, **more}


def order(fleet, *arguments):
    """Until the gateway has read the status of a box that has just come, it does not know what its agent can do."""
    wait_until(lambda: "device.agent-silent" not in (p := fleet.run(*arguments)).stderr and p.returncode == 0, "it is on its way")


TAKEN = (500, "worker.failed")  # it came as far as the worker, which does nothing here


def pushed(fleet, device, folder, *options, kind="compose.snapshot"):
    """What the box gets of a push."""
    with_tunnel = device.connect(ACCEPTS)
    order(fleet, "push", device.id, compose_file(folder), *options)
    message = with_tunnel.next(kind)
    with_tunnel.send(device.result(message))
    with_tunnel.next("compose.result.ack")
    with_tunnel.close()
    return message


def test_f25_f26_a_push_is_signed_carried_and_judged(fleet, device, judge, folder):
    key, stranger = keygen(fleet, folder, "ana"), keygen(fleet, folder, "stranger")
    assert os.stat(key).st_mode & 0o777 == 0o600
    unsigned = pushed(fleet, device, folder)
    assert "order" not in unsigned
    # nobody is pinned: it is taken, and that is said
    assert answer(judge, unsigned) == TAKEN
    wait_until(lambda: "without a signature" in judge.log(), "the agent says so")

    assert "ana" in trust(judge, "add", key + ".pub")
    assert answer(judge, changed(unsigned)) == (401, "order.unsigned")
    foreign = pushed(fleet, device, folder, "--key", stranger)
    assert answer(judge, foreign) == (401, "order.unknown-signer")
    signed = pushed(fleet, device, folder, "--key", key, "--reason", "a new door", "--confirm-deadline", "77")
    assert signed["confirmDeadlineSeconds"] == 77
    for other in ({"compose": COMPOSE + "#"}, {"confirmDeadlineSeconds": 78}):
        assert answer(judge, changed(signed, **other)) == (401, "order.other-content")
    assert not os.path.exists(os.path.join(judge.state, "orders.json"))
    assert answer(judge, signed) == TAKEN
    wait_until(lambda: "is signed by ana: a new door" in judge.log(), "the agent says by whom")
    floor = json.loads(read_text(os.path.join(judge.state, "orders.json")))["services"]
    assert floor["id"] == signed["id"] and floor["signedBy"] == "ana"

    # nothing has come of it: it may come again, as after a broken connection; once it has ended, it may not
    assert answer(judge, changed(signed)) == TAKEN
    took = json.loads(read_text(os.path.join(judge.state, "orders.json")))["services"]["id"]
    # nor when it was put off, which the cloud answers by asking again
    put_off = {"type": "compose.result", "id": took, "outcome": "failed", "status": 423}
    judge.write(os.path.join(judge.state, "history.jsonl"), json.dumps(put_off) + "\n")
    assert answer(judge, changed(signed)) == TAKEN
    took = json.loads(read_text(os.path.join(judge.state, "orders.json")))["services"]["id"]
    ended = {"type": "compose.result", "id": took, "status": 200}
    judge.write(os.path.join(judge.state, "history.jsonl"), json.dumps(ended) + "\n")
    assert answer(judge, changed(signed)) == (401, "order.replayed")
    # a history that cannot be read does not open the door to what was carried out already
    history = os.path.join(judge.state, "history.jsonl")
    os.rename(history, history + ".away")
    os.mkdir(history)
    status, identifier = answer(judge, changed(signed))
    assert status == 401 and identifier not in ("order.replayed", "worker.failed"), identifier
    os.rmdir(history)
    os.rename(history + ".away", history)
    assert answer(judge, changed(signed)) == (401, "order.replayed")
    newer = pushed(fleet, device, folder, "--key", key)
    assert answer(judge, newer) == TAKEN
    assert answer(judge, changed(signed)) == (401, "order.older")
    # what root says on the box needs no signature
    local = judge.peer(judge.snapshot(version="0", deviceId="local"))
    assert local.next("compose.result")["error"]["id"] == "worker.failed"


def test_a_key_of_ssh_keygen_signs(fleet, device, judge, folder):
    key = ssh_key(folder, "berta")
    trust(judge, "add", key + ".pub")
    signed = pushed(fleet, device, folder, "--key", key)
    assert "sshsig" in signed["order"]["signatures"][0]
    assert answer(judge, signed) == TAKEN
    blob = bytearray(base64.b64decode(signed["order"]["signatures"][0]["sshsig"]))
    blob[-1] ^= 1
    bad = {"statement": signed["order"]["statement"], "signatures": [{"sshsig": base64.b64encode(blob).decode()}]}
    assert answer(judge, changed(signed, order=bad)) == (401, "order.bad-signature")
    for malformed in (7, {}, {"statement": "x", "signatures": []}, {**signed["order"], "signatures": [{}]}):
        assert answer(judge, changed(signed, order=malformed)) == (401, "order.malformed")


def test_a_key_in_ssh_agent_signs(fleet, device, judge, folder):
    key, socket = ssh_key(folder, "carla"), os.path.join(folder, "ssh-agent")
    if not shutil.which("ssh-agent"):
        pytest.skip("ssh-agent is not installed")
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as keeper:
        try:
            wait_until(lambda: listens(socket), "ssh-agent listens")
            subprocess.run(["ssh-add", "-q", key], env={**os.environ, "SSH_AUTH_SOCK": socket}, check=True)
            os.remove(key)
            fleet.env["SSH_AUTH_SOCK"] = socket
            trust(judge, "add", key + ".pub", "on-hardware")
            signed = pushed(fleet, device, folder, "--key", key + ".pub")
            assert answer(judge, signed) == TAKEN
            wait_until(lambda: "is signed by on-hardware" in judge.log(), "by the name that it has here")
        finally:
            keeper.terminate()


def test_f25_two_must_sign_where_the_box_says_so(fleet, device, judge, folder):
    ana, berta = keygen(fleet, folder, "ana"), ssh_key(folder, "berta")
    trust(judge, "add", ana + ".pub")
    assert "signer.bad-threshold" in trust(judge, "threshold", "2", code=1)
    trust(judge, "add", berta + ".pub")
    assert "2 of them" in trust(judge, "threshold", "2")
    assert answer(judge, pushed(fleet, device, folder, "--key", ana)) == (401, "order.too-few")
    assert answer(judge, pushed(fleet, device, folder, "--key", ana, "--key", ana)) == (401, "order.too-few")
    assert answer(judge, pushed(fleet, device, folder, "--key", ana, "--key", berta)) == TAKEN
    assert "signer.bad-threshold" in trust(judge, "remove", "ana", code=1)
    trust(judge, "threshold", "1")
    trust(judge, "remove", "ana")
    assert "No signers" in trust(judge, "remove", "berta")
    assert json.loads(trust(judge, "list", "--json")) == {"signers": [], "threshold": 1}


def test_a_threshold_above_the_keys_is_mended(fleet, device, judge, folder):
    ana, berta = keygen(fleet, folder, "ana"), keygen(fleet, folder, "berta")
    signers = os.path.join(judge.root, "etc/tucomunidad/trust/signers")
    trust(judge, "add", ana + ".pub")
    trust(judge, "add", berta + ".pub")
    trust(judge, "threshold", "2")
    # by hand, past the verb that would have refused it
    os.remove(os.path.join(signers, "berta.pub"))
    said = trust(judge, "list", code=1)
    assert "signer.bad-threshold" in said and "secboxctl trust threshold 1" in said
    assert answer(judge, pushed(fleet, device, folder, "--key", ana)) == (401, "signer.bad-threshold")
    assert "1 of them" in trust(judge, "threshold", "1")
    # one step of two is taken, and says that one is missing
    Agent.write(os.path.join(signers, "threshold"), "3\n")
    assert "the signer is added" in trust(judge, "add", berta + ".pub", code=1)
    assert "2 of them" in trust(judge, "threshold", "2")
    # nobody is left, and neither is what asked for two
    for name in ("ana.pub", "berta.pub"):
        os.remove(os.path.join(signers, name))
    assert "signer.bad-threshold" in trust(judge, "threshold", "2", code=1)
    assert "No signers" in trust(judge, "threshold", "1")


def test_f27_an_order_is_good_for_one_box_and_one_thing(gw, fleet, device, judge, folder):
    key = keygen(fleet, folder, "ana")
    trust(judge, "add", key + ".pub")
    other = enroll(gw, f"other-{uuid.uuid4().hex[:8]}")
    assert other.claim().status == 201
    for_other = pushed(fleet, other, folder, "--key", key)
    other.close()
    assert answer(judge, changed(for_other, deviceId=device.id)) == (401, "order.other-box")
    signed = pushed(fleet, device, folder, "--key", key)
    rollback = {"type": "compose.rollback", "id": "r1", "version": "9", "deviceId": device.id, "issuedAt": signed["issuedAt"],
                "nonce": "n", "order": signed["order"]}
    # its signature is for a compose file
    assert answer(judge, rollback) == (401, "order.bad-signature")
    tunnel = device.connect(ACCEPTS)
    order(fleet, "rollback", device.id, "7", "--key", key)
    back = tunnel.next("compose.rollback")
    tunnel.send(device.result(back, kind="rollback"))
    tunnel.next("compose.result.ack")
    order(fleet, "agent", "update", device.id, "9.9.9", "--key", key)
    package = tunnel.next("agent.update")
    tunnel.close()
    assert answer(judge, changed(back, to="8")) == (401, "order.other-content")
    # nothing was ever deployed here
    assert answer(judge, back) == (404, "rollback.nothing")
    assert answer(judge, changed(package, to="9.9.8")) == (401, "order.other-content")
    assert answer(judge, changed({k: v for k, v in package.items() if k != "order"})) == (401, "order.unsigned")


def test_a_folder_that_is_wrong_takes_no_order_but_the_box_can_be_asked(fleet, device, judge, folder):
    key = keygen(fleet, folder, "ana")
    trust(judge, "add", key + ".pub")
    signed = pushed(fleet, device, folder, "--key", key)
    file = os.path.join(judge.root, "etc/tucomunidad/trust/signers/ana.pub")
    os.chmod(file, 0o666)
    assert answer(judge, signed) == (401, "signer.bad-mode")
    assert "signer.bad-mode" in trust(judge, "list", code=1)
    link = judge.link()
    link.send({"type": "history.get", "id": "q1"})
    assert link.next("history.report")["id"] == "q1"
    os.chmod(file, 0o644)
    assert answer(judge, signed) == TAKEN


def test_an_old_agent_gets_no_signed_order(gw, fleet, device, folder):
    key = keygen(fleet, folder, "ana")
    tunnel = device.connect({"accepts": ["compose.rollback"]})
    gw.wait_reported(device.id)
    push = ("push", device.id, compose_file(folder), "--now", "--key", key)
    p = fleet.run(*push)
    assert p.returncode == 1 and "order.unsupported" in p.stderr, p
    assert tunnel.silent() == []
    # what waits for such a box ends as failed when it comes
    tunnel.close()
    wait_until(lambda: not gw.device(device.id)["connected"], "it is away")
    fleet.run("push", device.id, compose_file(folder), "--key", key, check=0)
    device.connect({"accepts": ["compose.rollback"]})

    def last():
        listed = gw.request("GET", f"/v1/devices/{device.id}/deployments").json["deployments"]
        return listed[0].get("error", {}).get("id") if listed else None

    wait_until(lambda: last() == "order.unsupported", "the push has ended")


def test_a_push_that_waited_is_still_signed(gw, fleet, device, judge, folder):
    key = keygen(fleet, folder, "ana")
    trust(judge, "add", key + ".pub")
    fleet.run("push", device.id, compose_file(folder), "--key", key, check=0)
    message = device.connect(ACCEPTS).next("compose.snapshot")
    assert answer(judge, message) == TAKEN
    shown = gw.request("GET", f"/v1/devices/{device.id}/deployments").json["deployments"][0]
    assert shown["signed"] is True


def test_f29_a_rollout_and_a_template_are_signed(gw, fleet, device, judge, folder):
    key, site = keygen(fleet, folder, "ana"), uuid.uuid4().hex[:8]
    trust(judge, "add", key + ".pub")
    assert gw.request("PATCH", f"/v1/devices/{device.id}", {"labels": {"site": site}}).status == 200
    tunnel = device.connect(ACCEPTS)
    digest = "sha256:" + "ab" * 32
    p = fleet.run("rollout", "start", "registry.example/web", "--to", digest, "--label", f"site={site}", "--groups", "100%",
                  "--soak", "0", "--key", key, check=0)
    assert "signed for 1 box" in p.stderr
    update = tunnel.next("image.update")
    assert answer(judge, changed(update, digest="sha256:" + "ac" * 32)) == (401, "order.other-content")
    assert answer(judge, update) == TAKEN
    tunnel.send(device.result(update, kind="update"))
    tunnel.next("compose.result.ack")
    tunnel.close()

    fleet.run("template", "set", f"t-{site}", compose_file(folder), "--selector", f"ring={site}", "--key", key, check=0)
    new = enroll(gw, f"new-{site}")
    assert gw.request("PATCH", f"/v1/devices/{new.id}", {"labels": {"ring": site}}).status == 200
    assert new.claim().status == 201
    message = new.connect({**ACCEPTS, "current": None}).next("compose.snapshot")
    new.close()
    assert gw.request("DELETE", f"/v1/templates/t-{site}", None).status == 200
    assert answer(judge, message) == TAKEN


def refused_with_other_files(judge, message):
    """Whoever carries it can neither leave the files out nor send others."""
    other = changed(message, bundle={"digest": "sha256:" + "ac" * 32})
    without = {key: value for key, value in changed(message).items() if key != "bundle"}
    return [answer(judge, changed_one) for changed_one in (other, without)] == [(401, "order.other-content")] * 2


def test_f29_files_are_signed_with_what_brings_them(gw, fleet, device, judge, folder):
    key, site = keygen(fleet, folder, "ana"), uuid.uuid4().hex[:8]
    trust(judge, "add", key + ".pub")
    able = {"accepts": [*ACCEPTS["accepts"], "bundle"]}
    Agent.write(os.path.join(folder, "site.conf"), site)
    path = compose_file(folder, COMPOSE.rstrip("\n") + "\n    volumes: ['./site.conf:/etc/site.conf']\n")
    fleet.run("push", device.id, path, "--key", key, check=0)
    assert gw.request("PATCH", f"/v1/devices/{device.id}", {"labels": {"site": site}}).status == 200
    tunnel = device.connect(able)
    waited = tunnel.next("compose.snapshot")
    assert refused_with_other_files(judge, waited) and answer(judge, waited) == TAKEN
    tunnel.send(device.result(waited))
    tunnel.next("compose.result.ack")
    fleet.run("rollout", "start", "--compose", path, "--label", f"site={site}", "--groups", "100%", "--soak", "0", "--key", key,
              check=0)
    rolled = tunnel.next("compose.snapshot")
    assert rolled["bundle"] == waited["bundle"]
    assert refused_with_other_files(judge, rolled) and answer(judge, rolled) == TAKEN
    tunnel.send(device.result(rolled))
    tunnel.next("compose.result.ack")
    tunnel.close()

    fleet.run("template", "set", f"t-{site}", path, "--selector", f"ring={site}", "--key", key, check=0)
    new = enroll(gw, f"new-{site}")
    assert gw.request("PATCH", f"/v1/devices/{new.id}", {"labels": {"ring": site}}).status == 200
    assert new.claim().status == 201
    message = new.connect({**able, "current": None}).next("compose.snapshot")
    new.close()
    assert gw.request("DELETE", f"/v1/templates/t-{site}", None).status == 200
    assert refused_with_other_files(judge, message) and answer(judge, message) == TAKEN


@pytest.mark.parametrize("lacks", ["orders.signed", "bundle"])
def test_a_template_waits_for_an_agent_that_can_take_it(gw, fleet, folder, lacks):
    """Signed, and with files: an agent that lacks one of the two gets neither."""
    key, site = keygen(fleet, folder, "ana"), uuid.uuid4().hex[:8]
    Agent.write(os.path.join(folder, "site.conf"), site)
    path = compose_file(folder, COMPOSE.rstrip("\n") + "\n    volumes: ['./site.conf:/etc/site.conf']\n")
    fleet.run("template", "set", f"t-{site}", path, "--selector", f"ring={site}", "--key", key, check=0)
    able = [*ACCEPTS["accepts"], "bundle"]
    new = enroll(gw, f"new-{site}")
    assert gw.request("PATCH", f"/v1/devices/{new.id}", {"labels": {"ring": site}}).status == 200
    assert new.claim().status == 201
    old = {"accepts": [name for name in able if name != lacks], "current": None}
    try:
        def waits():
            return [e for e in gw.audit("template.waits") if e["device"] == new.id]

        for _ in range(2):  # said once, however often it comes
            tunnel = new.connect(old)
            wait_until(lambda: len(waits()) == 1, "it is written down that the template waits")
            assert tunnel.silent() == []
            new.close()
        assert waits()[0]["detail"]["template"] == f"t-{site}"
        assert ("signed" if lacks == "orders.signed" else "files") in waits()[0]["detail"]["reason"]
        assert gw.request("GET", f"/v1/devices/{new.id}/deployments").json["deployments"] == []
        # of another one with that name it is said again
        fleet.run("template", "set", f"t-{site}", path, "--selector", f"ring={site}", "--key", key, check=0)
        new.connect(old)
        wait_until(lambda: len(waits()) == 2, "it is written down that the other one waits")
        new.close()
        # the update that makes it new enough is no reason against it
        tunnel = new.connect(old)
        order(fleet, "agent", "update", new.id, "9.9.9")
        package = tunnel.next("agent.update")
        tunnel.send(new.result(package, kind="agent"))
        tunnel.next("compose.result.ack")
        new.close()
        assert new.connect({"accepts": able, "current": None}).next("compose.snapshot")["order"]
        new.close()
    finally:
        assert gw.request("DELETE", f"/v1/templates/t-{site}", None).status == 200


def test_what_is_no_envelope_is_refused_by_the_gateway(gw, device):
    device.connect(ACCEPTS)
    gw.wait_reported(device.id)
    for bad in (7, {}, {"statement": "AAAA", "signatures": []}, {"statement": "A", "signatures": [{}]}):
        body = {"compose": COMPOSE, "order": bad}
        refused = gw.request("POST", f"/v1/devices/{device.id}/compose-snapshot?wait=0", body)
        assert refused.status == 400 and error_id(refused) == "order.malformed", refused


def test_keygen_overwrites_nothing(fleet, folder):
    key = keygen(fleet, folder, "ana")
    before = read_text(key)
    p = fleet.run("keygen", key)
    assert p.returncode == 1 and "key.exists" in p.stderr and read_text(key) == before
    p = fleet.run("push", "caseta5", compose_file(folder), "--for", "1h")
    assert p.returncode == 2 and "--key" in p.stderr, p
    os.chmod(key, 0o644)
    p = fleet.run("push", "caseta5", compose_file(folder), "--key", key)
    assert p.returncode == 1 and "key.bad-mode" in p.stderr, p
    assert fleet.run("push", "caseta5", compose_file(folder), "--key", os.path.join(folder, "none")).returncode == 1


def typing(fleet, folder, answers, *arguments):
    """secbox-fleet on a terminal at which somebody types these; (exit status, what was shown)."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.chdir(folder)
            os.execve(program("secbox-fleet"), ["secbox-fleet", *arguments], fleet.env)
        finally:
            os._exit(127)
    shown = b""
    with open(terminal, "r+b", buffering=0) as f:
        with contextlib.suppress(OSError):  # so a terminal ends whose program has gone
            while piece := f.read(1024):
                shown += piece
                if answers and shown.endswith(b"phrase:"):
                    wait_until(lambda: not termios.tcgetattr(f)[3] & termios.ECHO, "what is typed is not shown")
                    f.write(answers.pop(0).encode() + b"\n")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_a_key_may_have_a_pass_phrase(fleet, device, judge, folder):
    secret, key = "correct horse", os.path.join(folder, "ana")
    code, shown = typing(fleet, folder, [secret, secret], "keygen", key, "--passphrase")
    assert code == 0, shown
    assert read_text(key).startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    trust(judge, "add", key + ".pub")
    tunnel = device.connect(ACCEPTS)
    push = ("push", device.id, compose_file(folder), "--key", key)
    code, shown = typing(fleet, folder, ["another one"], *push)
    assert code == 1 and "key.bad" in shown, shown
    # without a terminal nobody can be asked
    assert "key.bad" in fleet.run(*push, start_new_session=True).stderr
    wait_until(lambda: typing(fleet, folder, [secret], *push)[0] == 0, "it is on its way")
    assert answer(judge, tunnel.next("compose.snapshot")) == TAKEN

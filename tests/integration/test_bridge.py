# SPDX-License-Identifier: MIT
"""Bridge SSH from end to end: secbox-fleet and OpenSSH's own programs on one side, secbox and mgmt-link with a real sshd
behind each on the other, secbox-gateway between them."""
# pylint: disable=redefined-outer-name,unused-import
import concurrent.futures
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from tests.conftest import require_programs
from tests.integration.gateway_lab import enroll, error_id, gw, shared
from tests.lab import sshd
from tests.lab.argv_watch import ArgvWatch
from tests.lab.bridge_box import BridgeBox
from tests.lab.bridge_copy import CUTS, copy
from tests.lab.cut_proxy import CutProxy
from tests.lab.fleet import Fleet
from tests.lab.util import PATIENCE_SECONDS, free_port, wait_until

BOX = "caseta5"
REASON = "the recorder is silent"
# with sanitizers everything is slower; the whole gigabyte goes through in tests/system
COPY_MEGABYTES = 6 if "/asan/" in os.environ.get("SECBOX_BIN", "") else 24


@pytest.fixture(scope="module")
def line(shared):
    """Between the box and the gateway."""
    with CutProxy(shared.port) as it:
        yield it


@pytest.fixture(scope="module")
def box(shared, line, tmp_path_factory):
    require_programs("secbox", "mgmt-link", "secbox-fleet")
    if sshd.missing():
        pytest.skip(sshd.missing())
    with BridgeBox(shared, BOX, str(tmp_path_factory.mktemp("box")), line.port) as it:
        yield it


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return str(tmp_path_factory.mktemp("home"))


@pytest.fixture
def alice(gw, box, home):
    """The person who works here; every test begins without a grant and leaves no session behind."""
    end_all(gw)
    box.wait_connected("device", "mgmt")
    yield Fleet(gw.url, gw.token, home)
    end_all(gw)


def end_all(gw):
    for grant in gw.request("GET", "/v1/grants?open=1").json["grants"]:
        gw.request("POST", f"/v1/grants/{grant['id']}/revoke")
    wait_until(lambda: not open_sessions(gw), "all sessions are over", gw.daemon.death)


def sessions(gw):
    return gw.request("GET", f"/v1/sessions?device={BOX}").json["sessions"]


def open_sessions(gw):
    return [s for s in sessions(gw) if "closedAt" not in s]


def ended_session(gw, grant):
    def found():
        return next((s for s in sessions(gw) if s["grant"] == grant and "closedAt" in s), None)

    return wait_until(found, f"a session under {grant} is written down", gw.daemon.death)


def grant_of(gw, **more):
    answer = gw.request("POST", "/v1/grants", {"device": BOX, "reason": REASON, **more})
    assert answer.status == 201, answer
    return answer.json["grant"]["id"]


def begin(person, *args, grant=None, box=BOX):
    """A session that has begun: what runs on the box has said so. It runs until it is ended, or its standard input is."""
    chosen = ("--grant", grant) if grant else ()
    p = person.start("ssh", box, *chosen, "--", *args, "echo begun; exec cat", stdin=subprocess.PIPE)
    assert p.stdout.readline() == "begun\n", p.communicate()
    return p


def end_of(p):
    """Whatever ended it: exit code and all that was said."""
    out, err = p.stdout.read(), p.stderr.read()
    p.stdin.close()
    return p.wait(PATIENCE_SECONDS), out + err


def leave(p):
    p.stdin.close()
    return p.wait(PATIENCE_SECONDS)


# the way of the whole thing

def test_a_command_and_what_is_written_down(gw, alice):
    with ArgvWatch([gw.token]) as watch:
        p = alice.run("ssh", BOX, "--reason", REASON, "--", "cat; echo to stderr >&2; exit 7", input=None)
    assert (p.returncode, p.stdout) == (7, ""), p
    assert "to stderr" in p.stderr and not watch.found and "ssh" in watch.programs
    grant = gw.request("GET", "/v1/grants?mine=1").json["grants"][0]["id"]
    done = ended_session(gw, grant)
    assert (done["person"], done["reason"], done["way"], done["endReason"]) == ("lab", REASON, "device", "closed")
    assert int(done["bytesToBox"]) > 1000 and int(done["bytesFromBox"]) > 1000
    assert done["id"] in gw.log() and done["id"] not in {s["id"] for s in open_sessions(gw)}

    entries = [e for e in gw.audit() if e["detail"].get("session") == done["id"]]
    assert [e["action"] for e in entries] == ["bridge.closed", "bridge.opened"]
    detail = entries[0]["detail"]
    assert {e["actor"] for e in entries} == {"operator:lab"} and {e["device"] for e in entries} == {BOX}
    assert (detail["grant"], detail["person"], detail["reason"], detail["way"]) == (grant, "lab", REASON, "device")
    assert detail["bytesToBox"] == done["bytesToBox"] and detail["endReason"] == "closed" and detail["seconds"] >= 0
    assert done["way"] in alice.run("sessions", BOX, check=0).stdout
    # the grant is used again; nothing of the key is left
    assert alice.run("ssh", BOX, "--", "echo", "again", check=0).stdout == "again\n"
    assert not [n for n in os.listdir(alice.env["TMPDIR"]) if n.startswith("secbox-ssh-")]


def test_the_certificate_is_what_opens(gw, box, alice):
    grant = grant_of(gw)
    assert alice.run("ssh", BOX, "--user", "root", "--", "-v", "true", check=0).stderr.count("Server accepts key") == 1
    assert f'ID "lab/{grant}/' in box.sshds["device"].log()
    p = alice.run("ssh", BOX, "--user", "nobody-here", "--", "true", check=1)
    assert f"you have no grant for {BOX} as nobody-here" in p.stderr, "that one is root's"
    p = alice.run("ssh", BOX, "--user", "nobody-here", "--grant", grant, "--", "true", check=1)
    assert "fleet.other-account" in p.stderr
    assert alice.run("ssh", BOX, "--user", "nobody-here", "--reason", "who is there", "--", "true", check=255)
    assert alice.run("ssh", BOX, "--user", "-oX", "--", "true", check=2)


def known_hosts(alice, gw):
    """The folder for this gateway's boxes."""
    return os.path.join(alice.home, f".config/secbox/known_hosts.d/@{gw.host}_{gw.port}")


def write_config(alice, folder, more=""):
    path = os.path.join(folder, "ssh_config")
    with open(path, "w", encoding="utf-8") as f:
        f.write(alice.run("ssh-config", BOX, check=0).stdout + more)
    return path


def plain_ssh(alice, config, *words):
    return subprocess.run(["ssh", "-F", config, BOX, *words], env=alice.env, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)


def run_ssh_tool(alice, config, name, *args, **more):
    p = subprocess.run([name, "-F" if name != "rsync" else "-e", config if name != "rsync" else f"ssh -F {config}", *args],
                       env=alice.env, capture_output=True, text=True, check=False, **more)
    assert p.returncode == 0, p
    return p.stdout


def test_openssh_by_its_own_configuration(gw, alice, folder):
    config = os.path.join(folder, "ssh_config")
    with open(config, "w", encoding="utf-8") as f:
        f.write(alice.run("ssh-config", BOX, check=0).stdout)
    p = subprocess.run(["ssh", "-F", config, BOX, "true"], env=alice.env, capture_output=True, text=True, check=False)
    assert p.returncode == 255 and f"secbox-fleet grants add {BOX} --reason" in p.stderr

    issued = len(gw.audit("certificate.issued"))
    grant_of(gw)
    hellos = [subprocess.Popen(["ssh", "-F", config, BOX, "echo", "hello"], env=alice.env, stdout=subprocess.PIPE, text=True)
              for _ in range(3)]  # all at once: one of them makes the key
    assert [p.communicate()[0] for p in hellos] == ["hello\n"] * 3
    source, there, back = (os.path.join(folder, name) for name in ("source", "there", "back"))
    data = os.urandom(3_000_000)
    os.mkdir(source)
    with open(os.path.join(source, "file"), "wb") as f:
        f.write(data)
    run_ssh_tool(alice, config, "scp", "-q", "-r", source, f"{BOX}:{there}")
    run_ssh_tool(alice, config, "scp", "-q", f"{BOX}:{there}/file", back)
    with open(back, "rb") as f:
        assert f.read() == data
    listing = run_ssh_tool(alice, config, "sftp", "-q", "-b", "-", BOX, input=f"rename {there}/file {there}/moved\nls {there}\n")
    assert f"{there}/moved" in listing
    if shutil.which("rsync"):
        shutil.rmtree(there)
        run_ssh_tool(alice, config, "rsync", "-a", source + "/", f"{BOX}:{there}/")
        with open(os.path.join(there, "file"), "rb") as f:
            assert f.read() == data
    assert len(gw.audit("certificate.issued")) == issued + 1  # one for all of them
    known = os.path.join(known_hosts(alice, gw), BOX)
    assert os.readlink(known).endswith(f"{BOX}@host")
    with open(known, encoding="utf-8") as f:
        assert f.read().startswith(f"secbox-{BOX} ssh-ed25519 ")
    assert "caseta5" in alice.run("ssh-config", check=0).stdout


class Greeter:
    """Greets whoever connects."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                s, _ = self.listener.accept()
                s.sendall(b"greetings\n")
                s.close()

    def close(self):
        self.listener.close()


def greeted(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as s:
        return s.makefile().readline()
    return ""


@pytest.mark.parametrize("allowed", [True, False])
def test_port_forwarding(gw, alice, allowed):
    grant_of(gw, forwarding=allowed)
    greeter, near, far = Greeter(), free_port(), free_port()
    p = begin(alice, "-L", f"{near}:127.0.0.1:{greeter.port}", "-R", f"{far}:127.0.0.1:{greeter.port}")
    assert greeted(near) == ("greetings\n" if allowed else "")
    assert greeted(far) == ("greetings\n" if allowed else "")
    greeter.close()
    assert leave(p) == 0
    assert ("remote port forwarding failed" in p.stderr.read()) != allowed


@pytest.mark.parametrize("allowed", [True, False])
def test_a55_the_agent_goes_along_where_the_grant_allows_it(gw, alice, folder, allowed):
    grant_of(gw, forwarding=allowed)
    path = os.path.join(folder, "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as agent:
        try:
            wait_until(lambda: os.path.exists(path), "there is an agent", agent.poll)
            alice.env["SSH_AUTH_SOCK"] = path
            p = alice.run("ssh", BOX, "--", "-A", 'test -n "$SSH_AUTH_SOCK" && ssh-add -l; echo over', check=0)
        finally:
            alice.env.pop("SSH_AUTH_SOCK", None)
            agent.terminate()
    assert ("The agent has no identities." in p.stdout) == allowed and p.stdout.endswith("over\n"), p


# who may not

def test_without_a_grant(gw, box, alice, folder):
    p = alice.run("ssh", BOX, "--", "true", check=1)
    assert f"secbox-fleet ssh {BOX} --reason" in p.stderr and "fleet.no-grant" in p.stderr
    bob = Fleet(gw.url, gw.run("tokens", "add", f"bob-{time.monotonic_ns()}").strip(), folder)
    grant = grant_of(gw)
    assert "grant.not-yours" in bob.run("ssh", BOX, "--grant", grant, "--", "true", check=1).stderr
    assert "lab's" in bob.run("ssh-proxy", BOX, "--grant", grant, check=1).stderr
    short = grant_of(gw, seconds=1)
    wait_until(lambda: gw.request("GET", f"/v1/grants/{short}").json["grant"]["state"] == "expired", "the grant expires")
    p = alice.run("ssh-proxy", BOX, "--grant", short, check=1)
    assert "has expired" in p.stderr and "grants add" in p.stderr
    assert "no grant" in alice.run("ssh-proxy", BOX, "--grant", "g-0", check=1).stderr
    assert "auto, device, mgmt" in alice.run("ssh-proxy", BOX, "--way", "window", check=1).stderr
    enroll(gw, f"other-{grant}")
    assert f"is for {BOX}" in alice.run("ssh-proxy", f"other-{grant}", "--grant", grant, check=1).stderr
    p = alice.run("ssh", f"other-{grant}", "--reason", REASON, "--", "true", check=255)
    assert "device tunnel: not connected" in p.stderr and "recovery-agent: not connected" in p.stderr
    assert alice.run("ssh-proxy", f"other-{grant}", check=3)
    assert alice.run("ssh-proxy", "nobody", "--grant", grant, check=1)
    assert alice.run("ssh", "-x", check=2) and alice.run("ssh", "a/b", check=2)
    refused = {e["detail"]["error"] for e in gw.audit("bridge.refused")}
    assert {"grant.not-yours", "grant.expired", "grant.not-found", "grant.other-device", "bridge.way",
            "device.offline"} <= refused


def test_a_box_takes_so_many_sessions(gw, alice):
    grant_of(gw)
    running = [begin(alice) for _ in range(4)]
    p = alice.run("ssh", BOX, "--", "true", check=255)
    assert "4 sessions open" in p.stderr and "secbox-fleet sessions" in p.stderr
    assert len(open_sessions(gw)) == 4
    assert leave(running.pop()) == 0
    wait_until(lambda: len(open_sessions(gw)) == 3, "one has left")
    assert alice.run("ssh", BOX, "--", "echo", "in", check=0).stdout == "in\n"
    assert [leave(p) for p in running] == [0, 0, 0]


# how sessions end

def ends(gw, alice, identifier, options=(), **grant):
    """A session that nobody ends: how it did end, and what was said. A busy machine may need a longer grant to begin at all."""
    for factor in (1, 4, 16):
        made = grant_of(gw, **{k: v * factor for k, v in grant.items()})
        p = alice.start("ssh", BOX, "--grant", made, "--", *options, "exec cat", stdin=subprocess.PIPE)
        code, text = end_of(p)
        begun = [s for s in sessions(gw) if s["grant"] == made]
        if begun:
            return code, text, ended_session(gw, made)["endReason"]
    raise AssertionError(f"no session ended by {identifier}: {text}")


def test_sessions_end_by_themselves(gw, alice):
    """By the grant's end, by the longest length, by idleness whatever ssh does to look busy; all of it side by side."""
    cases = {
        "grant.expired": ("has expired", {"seconds": 4}, ()),
        "session.too-long": ("longest time", {"maxSeconds": 3}, ()),
        "session.idle": ("nobody did anything", {"idleSeconds": 2}, ("-o", "ServerAliveInterval=1")),
    }
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = {identifier: pool.submit(ends, gw, alice, identifier, options, **grant)
                 for identifier, (_, grant, options) in cases.items()}
        # who does something is not idle
        busy = alice.start("ssh", BOX, "--grant", grant_of(gw, idleSeconds=6), "--",
                           "for i in 1 2 3 4 5 6 7 8 9; do head -c 2000 /dev/zero; sleep 1; done; echo done")
        for identifier, (sentence, _, _) in cases.items():
            code, text, reason = found[identifier].result()
            assert code == 255 and sentence in text and reason == identifier, (text, reason)
        assert "done" in busy.communicate()[0]
    # and what each of them logged in with is worth nothing any more
    open_one = begin(alice, grant=grant_of(gw))
    over = {s["grant"] for s in sessions(gw)} - {s["grant"] for s in open_sessions(gw)}
    issued = {f"lab/{e['detail']['grant']}/{e['detail']['serial']}" for e in gw.audit("certificate.issued")
              if e["device"] == BOX}
    ended = {i for i in issued if i.split("/")[1] in over}
    kept = {i for i in issued if i.split("/")[1] in {s["grant"] for s in open_sessions(gw)}}
    assert len(ended) >= 4 and kept

    def revoked():
        rows = gw.postgres.sql(f"SELECT ids FROM ssh_revocations WHERE device = '{BOX}'")
        return set(json.loads(rows[0][0])) if rows else set()

    wait_until(lambda: ended <= revoked(), "they are revoked", gw.daemon.death)
    assert not kept & revoked()
    leave(open_one)


def test_revoked_grants_and_blocked_boxes_end_sessions_at_once(gw, box, alice):
    grant = grant_of(gw)
    p = begin(alice)
    gw.request("POST", f"/v1/grants/{grant}/revoke")
    code, text = end_of(p)
    assert code == 255 and "the grant was revoked" in text and "grants add" in text
    assert ended_session(gw, grant)["endReason"] == "grant.revoked"

    grant = grant_of(gw)
    p = begin(alice)
    gw.request("POST", f"/v1/devices/{BOX}/block")
    assert "the box was blocked" in end_of(p)[1]
    gw.request("POST", f"/v1/devices/{BOX}/unblock")
    assert ended_session(gw, grant)["endReason"] == "device.blocked"
    for way in ("device", "mgmt"):  # 403 has sent them away for long
        box.daemons[way].kill()
    box.restart()


def test_a_revoked_token_ends_sessions(gw, alice, folder):
    name = f"carol-{time.monotonic_ns()}"
    carol = Fleet(gw.url, gw.run("tokens", "add", name).strip(), folder)
    carol.run("grants", "add", BOX, "--reason", REASON, check=0)
    p = begin(carol)
    gw.run("tokens", "revoke", name)
    code, text = end_of(p)
    assert code == 255 and "your token was revoked" in text


def test_a_box_that_is_not_the_tokens_any_more_ends_sessions(gw, alice, folder):
    labels = gw.device(BOX)["labels"]
    name = f"dora-{time.monotonic_ns()}"
    assert gw.request("PATCH", f"/v1/devices/{BOX}", {"labels": {"ward": "7"}}).status == 200
    dora = Fleet(gw.url, gw.run("tokens", "add", name, "--label", "ward=7").strip(), folder)
    dora.run("grants", "add", BOX, "--reason", REASON, check=0)
    p, stays = begin(dora), begin(alice, grant=grant_of(gw))
    assert gw.request("PATCH", f"/v1/devices/{BOX}", {"labels": {"ward": None}}).status == 200
    code, text = end_of(p)
    assert code == 255 and "labels are not those of your token" in text
    assert stays.poll() is None and leave(stays) == 0
    assert gw.device(BOX)["labels"] == labels


# which way in

def test_ways_in_their_order(gw, box, alice):
    grant_of(gw)
    for way in ("device", "mgmt"):
        p = alice.run("ssh", BOX, "--way", way, "--", "echo", way, check=0)
        assert p.stdout == f"{way}\n"
    assert "recovery-agent: not connected" in alice.run("ssh-proxy", BOX, "--way", "recovery", check=3).stderr

    box.signal("device", signal.SIGSTOP)  # connected, and does nothing
    try:
        p = alice.run("ssh", BOX, "--", "echo", "in", check=0)
        assert p.stdout == "in\n"
        assert "device tunnel: no answer within 3 s; trying mgmt-link" in p.stderr and "connected through mgmt-link" in p.stderr
    finally:
        box.signal("device", signal.SIGCONT)

    box.sshds["mgmt"].stop()
    box.sshds["device"].daemon.process.send_signal(signal.SIGSTOP)  # its kernel still takes connections
    try:
        p = alice.run("ssh", BOX, "--", "true", check=255)
        assert "device tunnel: it took the session, but its sshd said nothing within 3 s; trying mgmt-link" in p.stderr
        assert "mgmt-link: nothing listens for ssh there; trying recovery-agent" in p.stderr
        assert f"no way into {BOX}" in p.stderr
    finally:
        box.sshds["device"].daemon.process.send_signal(signal.SIGCONT)
        box.sshds["mgmt"].start()
    assert alice.run("ssh", BOX, "--", "echo", "well", check=0).stdout == "well\n"


def test_recovery_is_told_to_open(gw, alice):
    """A recovery-agent that is only a tunnel: what it is told, and when. (It opens no streams, so the way fails.)"""
    recovery = enroll(gw, f"wedged-{time.monotonic_ns()}", "recovery")
    assert recovery.claim().status == 201
    tunnel = recovery.connect(False)
    p = alice.run("ssh", recovery.id, "--reason", REASON, "--max", "20m", "--", "true", check=255)
    assert "recovery-agent: no answer within 3 s" in p.stderr
    told = tunnel.next("recovery.open")
    assert (told["reason"], told["breakGlass"]) == (f"lab: {REASON}", False) and int(told["seconds"]) == 1200
    assert told["id"].startswith("s-") and told["id"] in {e["detail"]["session"] for e in gw.audit("bridge.refused")}

    p = alice.run("ssh-proxy", recovery.id, "--way", "recovery", check=1)
    assert tunnel.silent(0) == []  # nobody has found the other ways closed
    answer = gw.request("POST", "/v1/grants", {"device": recovery.id, "reason": REASON, "breakGlass": True})
    alice.run("ssh-proxy", recovery.id, "--way", "device", "--grant", answer.json["grant"]["id"], check=3)
    assert tunnel.next("recovery.open")["breakGlass"] is True
    recovery.close()


def test_the_way_in_through_recovery(gw, box, alice):
    """Closed while the box is well, but for a break-glass grant; the last way when both others hang. Its sshd has a host key
    of its own, which ssh must not take for a stranger's."""
    require_programs("recovery-agent")
    known = known_hosts(alice, gw)
    plain = grant_of(gw)
    assert alice.run("ssh", BOX, "--", "echo", "in", check=0).stdout == "in\n"
    with box.recovery() as recovery:
        wait_until(lambda: gw.device(BOX).get("recovery", {}).get("open") is False, "recovery is closed", recovery.daemon.death)
        p = alice.run("ssh", BOX, "--way", "recovery", "--", "true", check=255)
        assert "recovery-agent: it is closed while the box is well" in p.stderr and "--break-glass" in p.stderr
        p = alice.run("ssh", BOX, "--grant", grant_of(gw, breakGlass=True), "--way", "recovery", "--", "echo", "in", check=0)
        assert p.stdout == "in\n" and "connected through recovery-agent" in p.stderr

        for way in ("device", "mgmt"):
            box.signal(way, signal.SIGSTOP)
        try:
            begun = time.monotonic()
            p = alice.run("ssh", BOX, "--grant", plain, "--", "echo", "in", check=0)
            seconds = time.monotonic() - begun
        finally:
            for way in ("device", "mgmt"):
                box.signal(way, signal.SIGCONT)
        assert p.stdout == "in\n" and "mgmt-link: no answer within 3 s; trying recovery-agent" in p.stderr
        print(f"in after {seconds:.1f} s")
        assert f'ID "lab/{plain}/' in recovery.sshd.log()
    for name in ("host", "recovery"):
        with open(os.path.join(known, f"{BOX}@{name}"), encoding="utf-8") as f:
            assert len(f.readlines()) == 1
    assert [s["way"] for s in sessions(gw)[:3]] == ["recovery", "recovery", "device"]


# what breaks on the way

@pytest.mark.parametrize("to_box", [True, False])
def test_a_copy_over_a_line_that_breaks(gw, line, alice, to_box):
    grant = grant_of(gw)
    (cuts,), hashes, errors = copy(alice, BOX, COPY_MEGABYTES, to_box, [line])
    assert cuts >= CUTS and hashes[0] == hashes[1] and len(hashes[0]) == 64, errors
    done = ended_session(gw, grant)
    assert done["endReason"] == "closed"
    assert int(done["bytesToBox" if to_box else "bytesFromBox"]) > COPY_MEGABYTES << 20


def test_a_copy_while_the_operators_line_breaks(gw, alice):
    grant_of(gw)
    with CutProxy(gw.port) as own:
        alice.env["SECBOX_GATEWAY"] = f"http://127.0.0.1:{own.port}"
        (cuts,), hashes, errors = copy(alice, BOX, COPY_MEGABYTES, True, [own])
    assert cuts >= CUTS and hashes[0] == hashes[1], errors
    assert "the session is kept for 90 s" in errors and "the session goes on" in errors


def test_a_gateway_that_ends(gw, box, alice):
    grant = grant_of(gw)
    p = begin(alice)
    gw.stop()
    code, text = end_of(p)
    assert code == 255 and "the gateway restarts" in text
    gw.start()
    # its last word is in the database, or in the file from which the next one takes it before it looks for what was lost
    assert ended_session(gw, grant)["endReason"] == "gateway.restart"
    actions = [e["action"] for e in gw.audit() if e["detail"].get("grant") == grant]
    assert actions[:2] == ["bridge.closed", "bridge.opened"]

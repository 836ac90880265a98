# SPDX-License-Identifier: MIT
"""Who gets in, and what stays known of it: host keys, grants, places, an sshd that hangs, a database that says no. The names begin
with those of the field's cases."""
# pylint: disable=redefined-outer-name,unused-import
import contextlib
import glob
import json
import os
import socket
import subprocess
import threading
import time

import pytest

from tests.integration.gateway_lab import gw, shared
from tests.integration.test_bridge import (BOX, REASON, alice, begin, box, end_of, ended_session, grant_of, home, known_hosts,
                                           leave, line, open_sessions, plain_ssh, sessions, write_config)
from tests.lab import sshd
from tests.lab.cut_proxy import CutProxy
from tests.lab.util import PATIENCE_SECONDS, free_port, program, read_text, wait_until


@contextlib.contextmanager
def set_up_anew(box):
    """Another host key, as after an installation."""
    device = box.sshds["device"]
    path = os.path.join(device.folder, "host_key")
    device.stop()
    for name in (path, f"{path}.pub"):
        os.rename(name, f"{name}.before")
    sshd.make_key(path)
    device.start()
    try:
        yield
    finally:
        device.stop()
        for name in (path, f"{path}.pub"):
            os.rename(f"{name}.before", name)
        device.start()


def advice_of(p):
    """The command that ssh prints against a host key that has changed."""
    assert p.returncode == 255 and "REMOTE HOST IDENTIFICATION HAS CHANGED" in p.stderr, p
    return next(line.strip() for line in p.stderr.splitlines() if line.strip().startswith("ssh-keygen -f "))


def test_a12_a_box_set_up_anew_is_reached_after_sshs_own_advice(gw, box, alice, folder):
    config = write_config(alice, folder)
    grant_of(gw)
    assert alice.run("ssh", BOX, "--", "echo", "in", check=0).stdout == "in\n"
    ways = [lambda: alice.run("ssh", BOX, "--", "echo", "in"), lambda: plain_ssh(alice, config, "echo", "in")]
    for first, second in (ways, ways[::-1]):
        with set_up_anew(box):
            advice = advice_of(first())
            advice_of(second())  # and nobody is let in before somebody has said so
            subprocess.run(["sh", "-c", advice], env=alice.env, check=True, capture_output=True)
            p = second()
            assert (p.returncode, p.stdout) == (0, "in\n"), p
            p = first()
            assert (p.returncode, p.stdout) == (0, "in\n") and "Permanently added" not in p.stderr, p
        subprocess.run(["sh", "-c", advice_of(first())], env=alice.env, check=True, capture_output=True)
        assert first().returncode == 0
    links = [os.path.join(known_hosts(alice, gw), n) for n in os.listdir(known_hosts(alice, gw)) if "@ssh-" in n]
    assert links, "of failed logins whose advice nobody has followed"
    for link in links:
        os.utime(link, (0, 0), follow_symlinks=False)
    assert first().returncode == 0 and not any(map(os.path.lexists, links))


def test_a13_two_gateways_with_a_box_of_the_same_id(gw, box, alice, folder):
    config = write_config(alice, folder)
    grant_of(gw)
    assert alice.run("ssh", BOX, "--", "echo", "in", check=0).stdout == "in\n"
    with set_up_anew(box), CutProxy(gw.port) as other:  # another box, and another gateway
        advice_of(alice.run("ssh", BOX, "--", "true"))
        alice.env["SECBOX_GATEWAY"] = f"http://127.0.0.1:{other.port}"
        assert alice.run("ssh", BOX, "--", "echo", "in", check=0).stdout == "in\n"
        assert plain_ssh(alice, write_config(alice, os.path.join(folder, alice.home)), "echo", "in").stdout == "in\n"
        assert plain_ssh(alice, config, "echo", "in").stdout == "in\n", "lines that were made for the other one"
    alice.env["SECBOX_GATEWAY"] = gw.url
    assert plain_ssh(alice, config, "echo", "in").stdout == "in\n"


def test_host_keys_that_an_earlier_version_has_kept(gw, alice):
    """They are those of the gateway that is asked first; then ssh still knows a stranger by them."""
    folder = known_hosts(alice, gw)
    grant_of(gw)
    alice.run("ssh", BOX, "--", "true", check=0)
    os.rename(f"{folder}/{BOX}@host", f"{os.path.dirname(folder)}/{BOX}@host")
    p = alice.run("ssh", BOX, "--", "echo", "in", check=0)
    assert p.stdout == "in\n" and "Permanently added" not in p.stderr
    assert os.path.exists(f"{folder}/{BOX}@host") and not os.path.exists(f"{os.path.dirname(folder)}/{BOX}@host")


def test_a26_a_grant_as_asked_for(gw, alice):
    plain = grant_of(gw)
    p = alice.run("ssh", BOX, "--break-glass", "--forwarding", "--", "true", check=1)
    assert f"no grant with --break-glass --forwarding for {BOX}" in p.stderr and "--reason" in p.stderr, p
    alice.run("ssh", BOX, "--break-glass", "--reason", "EMERGENCY", "--", "true", check=0)
    newest = gw.request("GET", "/v1/grants?mine=1&open=1").json["grants"][0]
    assert newest["id"] != plain and (newest["breakGlass"], newest["forwarding"], newest["reason"]) == (True, False, "EMERGENCY")
    assert newest["id"] in {e["detail"].get("grant") for e in gw.audit("bridge.opened")}
    # the same words once more: the same grant
    alice.run("ssh", BOX, "--break-glass", "--reason", "EMERGENCY", "--", "true", check=0)
    alice.run("ssh", BOX, "--reason", "an ordinary day", "--", "true", check=0)
    grants = gw.request("GET", "/v1/grants?mine=1&open=1").json["grants"]
    assert [(g["breakGlass"], g["reason"]) for g in grants] == [(False, "an ordinary day"), (True, "EMERGENCY"), (False, REASON)]
    alice.run("ssh", BOX, "--forwarding", "--reason", "a look at the camera", "--", "true", check=0)
    assert gw.request("GET", "/v1/grants?mine=1&open=1").json["grants"][0]["forwarding"] is True


def test_a29_glass_is_not_broken_for_nothing(gw, alice):
    """Whoever gives no reason takes the grant with the least rights, not the newest."""
    plain = grant_of(gw)
    grant_of(gw, breakGlass=True)
    alice.run("ssh", BOX, "--", "true", check=0)
    assert sessions(gw)[0]["grant"] == plain


def test_a27_plain_ssh_reaches_no_other_machine(gw, alice, folder):
    """Without a grant, also where names lead somewhere else."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        config = write_config(alice, folder, f"Host {BOX}\n    HostName 127.0.0.1\n    Port {other.getsockname()[1]}\n")
        p = plain_ssh(alice, config, "true")
        assert p.returncode == 255 and f"secbox-fleet grants add {BOX} --reason" in p.stderr, p
        alice.env["SECBOX_GATEWAY"] = "http://127.0.0.1:1"
        assert plain_ssh(alice, config, "true").returncode == 255
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()
        alice.env["SECBOX_GATEWAY"] = gw.url
        grant_of(gw)
        assert plain_ssh(alice, config, "echo", "in").stdout == "in\n"


def test_a28_host_keys_are_kept_without_a_home(gw, alice):
    """As under cron: the user's home is in the list of users. Where there is none, nobody is let in unseen."""
    grant_of(gw)
    env = {k: v for k, v in alice.env.items() if k != "HOME"}
    fleet = [program("secbox-fleet"), "ssh", BOX, "--", "echo", "in"]
    script = 'mount -t tmpfs none "$0" && "$@" 2>&1 && exec "$@"'
    p = subprocess.run(["unshare", "-m", "sh", "-c", script, os.path.expanduser("~root"), *fleet], env=env, capture_output=True,
                       text=True, check=False, stdin=subprocess.DEVNULL)
    assert p.returncode == 0 and p.stdout.count("Permanently added") == 1 and p.stdout.endswith("in\n"), p
    assert "Permanently added" not in p.stderr
    p = subprocess.run(fleet, env={**env, "XDG_CONFIG_HOME": "/proc/nowhere"}, capture_output=True, text=True, check=False)
    assert p.returncode == 1 and "the boxes' host keys cannot be kept: cannot make the folder /proc/nowhere" in p.stderr, p


class Hesitant:
    """In an sshd's place: it greets as that does, and passes on what follows only after a while, or never."""

    def __init__(self, sshd_there, never=True):
        self.port, self.never = sshd_there.port, never
        sshd_there.stop()
        self.real = sshd.Sshd(os.path.join(sshd_there.folder, f"real-{os.urandom(4).hex()}"), port=free_port())
        with open(sshd_there.config, encoding="utf-8") as f:
            text = f.read().replace(f"Port {self.port}\n", f"Port {self.real.port}\n")
        with open(self.real.config, "w", encoding="utf-8") as f:
            f.write(text)
        self.sshd, self.go_on = sshd_there, threading.Event()

    def _pass(self, source, to):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)

    def _serve(self, client):
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self.real.port)) as real:
            greeting = b""
            while not greeting.endswith(b"\n"):
                greeting += real.recv(1)
            client.sendall(greeting)
            self.go_on.wait(PATIENCE_SECONDS if self.never else 4)
            there = threading.Thread(target=self._pass, args=(client, real))
            there.start()
            self._pass(real, client)
            there.join()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self.listener.accept()[0],), daemon=True).start()

    def __enter__(self):
        self.real.start()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.go_on.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.real.stop()
        self.sshd.start()


def test_a25_an_sshd_that_greets_and_then_hangs(gw, box, alice):
    grant_of(gw)
    with Hesitant(box.sshds["device"]):
        p = alice.run("ssh", BOX, "--", "echo", "in", check=0)
        assert p.stdout == "in\n" and "its sshd greeted, and said nothing more within 3 s; trying mgmt-link" in p.stderr, p
        assert sessions(gw)[0]["way"] == "mgmt"
        # none is better, and after a while one goes on
        with Hesitant(box.sshds["mgmt"], never=False):
            p = alice.run("ssh", BOX, "--way", "mgmt", "--", "echo", "in", check=0)
            assert p.stdout == "in\n" and "no way" not in p.stderr, p
    p = alice.run("ssh", BOX, "--", "echo", "in", check=0)
    assert p.stdout == "in\n" and "trying" not in p.stderr, p


def test_a82_an_sshd_that_does_not_know_the_authority(gw, box, alice):
    grant_of(gw)
    knows = box.sshds["device"]
    knows.stop()
    stranger = sshd.Sshd(os.path.join(knows.folder, f"stranger-{os.urandom(4).hex()}"), port=knows.port)
    stranger.start()
    try:
        p = alice.run("ssh", BOX, "--way", "device", "--", "true", check=255)
        assert "Permission denied (publickey)" in p.stderr and "the line that `secbox-fleet support-ca` prints" in p.stderr, p
        stranger.stop()
        # where no sshd was reached, none has refused anybody
        p = alice.run("ssh", BOX, "--way", "device", "--", "true", check=255)
        assert "support-ca" not in p.stderr, p
    finally:
        stranger.stop()
        knows.start()
    assert "support-ca" not in alice.run("ssh", BOX, "--", "exit 3", check=3).stderr


def test_a65_plain_ssh_keeps_a_certificate_for_minutes_only(gw, alice, folder):
    """The clock of the box may be known better since, and an older certificate be expired by it."""
    config = write_config(alice, folder)
    grant_of(gw)
    path = os.path.join(alice.home, f".config/secbox/ssh/{BOX}-cert.pub")

    def certificate():
        p = plain_ssh(alice, config, "echo", "in")
        assert (p.returncode, p.stdout) == (0, "in\n"), p
        return read_text(path)

    first = certificate()
    for seconds in (-121, 3600):  # too old, and of a clock that was set back since
        os.utime(path, (time.time() + seconds,) * 2)
        second = certificate()
        assert second != first
        first = second
    os.utime(path, (time.time() - 1,) * 2)
    assert certificate() == first


def test_a22_break_glass_gets_in_where_all_places_are_taken(gw, alice):
    grant = grant_of(gw)
    there = [begin(alice, grant=grant) for _ in range(4)]  # a laptop that dies leaves them behind
    p = alice.run("ssh", BOX, "--grant", grant, "--", "true", check=255)
    assert f"{BOX} has 4 sessions open already" in p.stderr and "secbox-fleet grants revoke" in p.stderr, p
    emergency = grant_of(gw, breakGlass=True)
    more = [begin(alice, grant=emergency) for _ in range(3)]
    assert len(open_sessions(gw)) <= 6
    gone = wait_until(lambda: [s for s in sessions(gw) if s.get("endReason") == "session.displaced"], "one has made room")
    assert [s["grant"] for s in gone] == [grant]
    told = wait_until(lambda: [e for e in gw.audit() if e["action"] == "bridge.displaced"], "the audit log tells it")
    assert [(e["device"], e["detail"]["session"], e["detail"]["byGrant"]) for e in told] == [(BOX, gone[0]["id"], emergency)]
    code, text = end_of(there[0])
    assert code == 255 and "a break-glass session needed its place" in text, text
    for p in more + there[1:]:
        leave(p)


# the database says no

@contextlib.contextmanager
def locked(gw, table):
    """As by VACUUM FULL or ALTER TABLE."""
    with gw.postgres.open_transaction(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"):
        yield


def told_of(gw, session):
    return [e["action"] for e in gw.audit() if e["detail"].get("session") == session]


def test_a16_a_session_is_written_down_once_when_the_database_takes_it_again(gw, alice):
    grant = grant_of(gw)
    with begin(alice, grant=grant) as old:
        before = open_sessions(gw)[0]["id"]
        with locked(gw, "bridge_sessions"):
            assert leave(old) == 0
            assert alice.run("ssh", BOX, "--", "echo", "in", check=0).stdout == "in\n"
            wait_until(lambda: gw.log().count("waits until the database takes it") >= 2, "both are refused", gw.daemon.death)
    wait_until(lambda: not open_sessions(gw) and len([s for s in sessions(gw) if s["grant"] == grant]) == 2,
               "both are written down", gw.daemon.death)
    for session in [s for s in sessions(gw) if s["grant"] == grant]:
        assert session["endReason"] == "closed" and told_of(gw, session["id"]) == ["bridge.closed", "bridge.opened"], session
    assert before in {s["id"] for s in sessions(gw)}


def test_a16_what_waits_outlives_the_gateway(gw, alice):
    grant = grant_of(gw)
    refused = alice.run("ssh", BOX, "--way", "recovery", "--", "true", check=255)  # an entry of its own
    assert "not connected" in refused.stderr
    with begin(alice, grant=grant) as session:
        with locked(gw, "bridge_sessions"):
            assert leave(session) == 0
            alice.run("ssh", BOX, "--way", "recovery", "--", "true", check=255)
            wait_until(lambda: "waits until the database takes it" in gw.log(), "it is refused", gw.daemon.death)
            gw.daemon.kill()
    gw.start()
    assert ended_session(gw, grant)["endReason"] == "closed", "not lost with the gateway"
    wait_until(lambda: len(gw.audit("bridge.refused")) == len({e["detail"]["session"] for e in gw.audit("bridge.refused")}),
               "each once", gw.daemon.death)
    assert [e["detail"]["grant"] for e in gw.audit("bridge.refused")][:2] == [grant] * 2


def test_a15_a_backlog_that_is_too_long_keeps_no_gateway_down(gw):
    path = os.path.join(gw.state, "backlog.jsonl")
    gw.stop()
    with open(path, "w", encoding="utf-8") as f:
        f.truncate(65 << 20)
    gw.start()
    assert "cannot be taken up whole and becomes" in gw.log()
    aside, = glob.glob(path + ".aside-*")
    assert os.path.getsize(aside) == 65 << 20 and os.path.getsize(path) < 10**6
    os.unlink(aside)


def test_a15_many_entries_wait(gw):
    """They are written together; one that the database will never take keeps none of the others."""
    path = os.path.join(gw.state, "backlog.jsonl")
    entries = [{"kind": "audit", "at": str(1790000000000000 + n), "actor": "gateway", "action": "lab.waited", "alarm": False,
                "detail": json.dumps({"n": n})} for n in range(1200)]
    entries[700]["detail"] = "{"
    for _ in range(2):  # what a crash leaves in the file is there already
        gw.stop()
        with open(path, "w", encoding="utf-8") as f:
            f.write("".join(json.dumps(e) + "\n" for e in entries))
        gw.start()
        wait_until(lambda: os.path.getsize(path) == 0, "nothing waits any more", gw.daemon.death)
        found = gw.postgres.sql("SELECT detail->>'n' FROM audit WHERE action = 'lab.waited' ORDER BY id")
        assert [int(n) for n, in found] == [n for n in range(1200) if n != 700]


def test_a15_a_table_that_is_locked_while_the_connection_is_lost(gw, alice):
    grant_of(gw)
    with begin(alice) as session:
        with locked(gw, "devices"):
            gw.postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'secbox-gateway'")
            wait_until(lambda: "cannot load what the database knows yet" in gw.log(), "it cannot load", gw.daemon.death)
            session.stdin.write("on\n")
            session.stdin.flush()
            assert session.stdout.readline() == "on\n", "the session goes on"
        wait_until(lambda: gw.raw("GET", "/healthz", None, {}).status == 200, "it serves again", gw.daemon.death)
        assert leave(session) == 0

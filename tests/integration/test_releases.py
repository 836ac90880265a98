# SPDX-License-Identifier: MIT
"""Releases of the data plane without containers: put in place, proved, taken back; killed wherever something changes."""
# pylint: disable=redefined-outer-name
import http.server
import json
import os
import signal
import subprocess
import tarfile
import threading

import pytest

from tests.conftest import require_programs
from tests.integration.fake_agent import FakeAgent
from tests.lab.fault_point import FaultPoint
from tests.lab.release_box import DIES, HANGS, SILENT, ReleaseBox, make_release
from tests.lab.util import program, read_text, wait_until

# of the points at which a fault comes; 1: all of them
FAULT_EVERY = int(os.environ.get("FAULT_EVERY", "4"))
OPEN = ("staged", "switching", "proving", "going-back")


@pytest.fixture
def box(folder):
    require_programs("secboxctl")
    it = ReleaseBox(folder)
    yield it
    it.close()


def error_of(p):
    return json.loads(p.stdout)["error"]["id"]


def test_a_release_is_put_in_place_and_the_last_two_are_kept(box):
    box.switch_on("secbox", "relay-client")
    relay = read_text(os.path.join(box.folder, "pid-relay-client"))
    p = box.apply(box.archive("2"))
    assert p.returncode == 0, p
    assert p.stdout.splitlines()[-1] == "releases/1 -> releases/2: confirmed"
    assert (box.current(), box.runs(), box.releases()) == ("releases/2", "2", ["1", "2"])
    assert read_text(os.path.join(box.folder, "pid-relay-client")) != relay, "it is of the release, too"
    again = box.ctl("--json", "release", "apply", box.archive("2"))
    assert again.returncode == 1 and error_of(again) == "release.runs-already"
    assert box.apply(box.archive("3~dev1.g0+x")).returncode == 0
    assert (box.runs(), box.releases()) == ("3~dev1.g0+x", ["2", "3~dev1.g0+x"])
    p = box.ctl("release", "rollback", "--deadline", "5")
    assert p.returncode == 0 and (box.current(), box.runs()) == ("releases/2", "2"), p
    status = json.loads(box.ctl("--json", "release", "status").stdout)
    assert status["current"] == "releases/2" and status["last"]["state"] == "confirmed"
    assert "releases/3~dev1.g0+x -> releases/2: confirmed" in box.ctl("release", "status").stdout


@pytest.mark.parametrize("kind, why", [(SILENT, "no heartbeat"), (DIES, "does not stay up"), (HANGS, "no heartbeat")])
def test_what_is_not_well_goes_back(box, kind, why):
    box.switch_on()
    p = box.apply(box.archive("2", kind))
    assert p.returncode == 1 and why in p.stdout, p
    assert (box.current(), box.runs(), box.record()["state"]) == ("releases/1", "1", "rolled-back")
    wait_until(lambda: os.listdir(os.path.join(box.opt, "releases")) == ["1"], "what failed takes no room")
    no_way = box.ctl("--json", "release", "rollback")
    assert no_way.returncode == 1 and error_of(no_way) == "release.no-way-back"


def test_f22_a_tunnel_that_was_up_has_to_come_back(box):
    box.switch_on("secbox", "relay-client")
    path = box.archive("2")
    with FakeAgent(box.root, path="run/tucomunidad/secbox/control.sock") as secbox:
        # the tunnel is up before, and with the new release it is not
        secbox.answers["data.ask"] = lambda _: [
            {"type": "data.answer", "report": {"tunnel": "down" if box.current() == "releases/2" else "up"}}]
        p = box.apply(path)
    assert p.returncode == 1 and "device tunnel, which was up before, is not" in p.stdout, p
    assert (box.current(), box.runs()) == ("releases/1", "1")


def tar_entry(name, kind=tarfile.REGTYPE, target=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def test_archives_that_are_not_what_they_say_change_nothing(box):
    box.switch_on()
    whole = box.archive("2")
    with open(whole, "rb") as f:
        cut = box.write(os.path.join(box.folder, "cut.tar.gz"), "")
        with open(cut, "wb") as half:
            half.write(f.read()[:200])
    cases = {
        "release.bad-content": [{"more": [(tar_entry("bin/more"), "x")]}, {"digests": {"bin/secbox": "0" * 64}},
                                {"digests": {"bin/absent": "0" * 64}}],
        "release.other-machine": [{"arch": "pdp11"}],
        "release.bad-manifest": [{"version": "../2"}, {"files": []}],
        "bundle.bad-entry": [{"more": [(tar_entry("bin/link", tarfile.SYMTYPE, "/etc/passwd"), "")]}],
        "bundle.bad-path": [{"more": [(tar_entry("../../etc/passwd"), "x")]}, {"more": [(tar_entry("/etc/passwd"), "x")]}],
    }
    for expected, changes in cases.items():
        for change in changes:
            p = box.ctl("--json", "release", "apply", box.archive(change.pop("version", "2"), name="bad.tar.gz", **change))
            assert p.returncode == 1 and error_of(p) == expected, (expected, change, p)
    assert error_of(box.ctl("--json", "release", "apply", cut)) == "bundle.damaged"
    assert box.ctl("release", "apply", os.path.join(box.folder, "nothing")).returncode == 1
    assert (box.current(), box.runs(), box.record()["state"]) == ("releases/1", "1", "none")


def test_nothing_is_put_in_place_where_nothing_could_prove_it(box):
    p = box.ctl("--json", "release", "apply", box.archive("2"))
    assert p.returncode == 1 and error_of(p) == "release.not-running"
    assert box.ctl("release", "apply", "x", "--deadline", "1").returncode == 2
    box.switch_on()
    box.write(os.path.join(box.folder, "no-unit"), "")
    p = box.ctl("--json", "release", "apply", box.archive("2"), "--deadline", "5")
    assert p.returncode == 3 and error_of(p) == "release.no-unit"
    assert box.record()["state"] == "staged", "the next run carries it out, or takes it back"
    assert box.ctl("release", "finish").returncode == 0 and box.runs() == "2"
    for version in ("3", "4"):
        p = box.ctl("--json", "release", "apply", box.archive(version), "--deadline", "5")
        assert error_of(p) == "release.no-unit" and box.record()["to"] == f"releases/{version}", "the one before is not begun"
        assert (box.current(), box.runs()) == ("releases/2", "2")


def test_with_pinned_keys_a_release_has_to_be_signed(box):
    require_programs("secbox-fleet")

    def fleet(*args):
        return subprocess.run([program("secbox-fleet"), *args], env=box.env, capture_output=True, text=True, check=True,
                              stdin=subprocess.DEVNULL)

    box.switch_on()
    box.write(os.path.join(box.root, "etc/tucomunidad/mgmt-agent.env"),
              "CLOUD_BASE_URL=http://127.0.0.1:9\nDEVICE_ID=caseta5\nMGMT_GATEWAY_URL=ws://127.0.0.1:9/mgmt\n", 0o600)
    path, key, stranger = box.archive("2"), os.path.join(box.folder, "ana"), os.path.join(box.folder, "eve")
    fleet("keygen", key)
    fleet("keygen", stranger)
    assert error_of(box.ctl("--json", "release", "apply", "http://127.0.0.1:9/release.tar.gz")) == "release.plain-http"
    assert box.ctl("trust", "add", f"{key}.pub").returncode == 0
    assert error_of(box.ctl("--json", "release", "apply", path)) == "release.unsigned"
    fleet("sign-release", path, "--key", stranger)
    assert error_of(box.ctl("--json", "release", "apply", path)) == "order.unknown-signer"
    fleet("sign-release", path, "caseta6", "--key", key)
    assert error_of(box.ctl("--json", "release", "apply", path)) == "order.other-box"
    fleet("sign-release", path, "caseta5", "--key", key, "--reason", "the new app")
    box.archive("2", DIES)
    p = box.ctl("--json", "release", "apply", path)
    assert error_of(p) == "order.other-content" and "401" in p.stdout and "its archive" in p.stdout
    assert box.record()["state"] == "none" and box.current() == "releases/1"
    box.archive("2")
    handler = type("Handler", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: handler(*a, directory=box.folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"
        assert error_of(box.ctl("--json", "release", "apply", url + "nothing")) == "release.unreachable"
        p = box.apply(url + "release.tar.gz")
    finally:
        server.shutdown()
        server.server_close()
    assert p.returncode == 0 and box.runs() == "2" and box.record()["signedBy"] == "ana", p


def stage(box, path):
    """As `release apply` leaves it for the unit."""
    box.write(os.path.join(box.folder, "no-unit"), "")
    assert box.ctl("release", "apply", path, "--deadline", "5").returncode == 3
    assert box.record()["state"] == "staged" and box.current() == "releases/1"


def test_f13_killed_wherever_it_changes_something_one_of_the_two_runs(box):
    box.switch_on()
    path = box.archive("2")
    faults, point, points, ends = FaultPoint(box.folder, box.root), 1 - FAULT_EVERY, 0, set()
    while True:
        point += FAULT_EVERY
        stage(box, path)
        faults.arm("kill", point)
        killed = box.ctl("release", "finish", env=faults.env)
        _, where = faults.disarm()
        if not where:
            assert killed.returncode == 0, killed
            break
        points += 1
        assert killed.returncode == -signal.SIGKILL, (where, killed)
        state = box.record()["state"]
        p = box.ctl("release", "finish")
        assert p.returncode == 0, (where, p)
        after = box.record()["state"]
        assert after not in OPEN and box.current() == ("releases/2" if after == "confirmed" else "releases/1"), (where, state)
        assert box.runs() == box.current().split("/")[1], where
        ends.add(after)
        if after == "confirmed":
            assert box.ctl("release", "rollback", "--deadline", "5", "--timeout", "1").returncode == 3
            assert box.ctl("release", "finish").returncode == 0 and box.runs() == "1"
    assert points * FAULT_EVERY >= 10 and ends == {"confirmed", "rolled-back"}, (points, ends)
    assert box.current() == "releases/2" and box.runs() == "2"


def test_killed_while_it_proves_itself_and_after_a_reboot(box):
    box.switch_on()

    def kill_while_proving():
        stage(box, box.archive("2", SILENT))
        os.unlink(os.path.join(box.folder, "no-unit"))
        box.change_record(seconds=3600)
        with subprocess.Popen([program("secboxctl"), "--root", box.root, "release", "finish"], env=box.env) as p:
            wait_until(lambda: box.record()["state"] == "proving" and box.runs() == "2", "the new one to run")
            busy = box.ctl("--json", "release", "apply", box.archive("3"))
            assert error_of(busy) == "release.busy"
            p.kill()

    kill_while_proving()
    # in the same boot whoever starts secbox leaves it alone
    assert box.ctl("release", "prepare").returncode == 0 and box.current() == "releases/2"
    box.change_record(seconds=5)
    assert box.ctl("release", "finish").returncode == 0
    assert (box.current(), box.runs(), box.record()["state"]) == ("releases/1", "1", "rolled-back")
    assert "interrupted" in box.record()["why"]
    kill_while_proving()
    box.change_record(boot="another")
    box.systemctl("restart", "secbox.service")  # as the machine does when it starts
    assert box.ctl("release", "prepare").returncode == 0
    assert (box.current(), box.runs(), box.record()["state"]) == ("releases/1", "1", "rolled-back")
    assert "started anew" in box.record()["why"]
    box.change_record(state="staged", boot="another")
    assert box.ctl("release", "prepare").returncode == 0
    assert (box.current(), box.record()["state"]) == ("releases/1", "failed")


def test_secbox_env_is_made_where_it_is_missing(box):
    env, agent = (os.path.join(box.root, "etc/tucomunidad", f"{name}.env") for name in ("secbox", "mgmt-agent"))
    assert box.ctl("release", "prepare").returncode == 0 and not os.path.exists(env), "nobody has paired this box"
    box.write(agent, "CLOUD_BASE_URL=https://cloud.example\nDEVICE_ID=caseta5\nBOOTSTRAP=b-1\n"
              "MGMT_GATEWAY_URL=wss://cloud.example/mgmt\nCLOUD_CA_FILE=/etc/ca.pem\n", 0o600)
    assert box.ctl("release", "prepare").returncode == 0 and "\nCLOUD_CA_FILE=/etc/ca.pem\n" in read_text(env)
    assert "DEVICE_GATEWAY_URL=wss://cloud.example/device" in read_text(env) and os.stat(env).st_mode & 0o777 == 0o600
    box.write(env, "mine", 0o600)
    assert box.ctl("release", "prepare").returncode == 0 and read_text(env) == "mine"


def test_the_doctor_asks_for_no_podman_where_there_is_none(box):
    box.write(os.path.join(box.root, "etc/tucomunidad/secbox.env"),
              "CLOUD_BASE_URL=https://cloud.example\nDEVICE_ID=caseta5\n", 0o600)
    path = os.path.join(box.folder, "bin")
    p = box.ctl("--json", "doctor", env={"PATH": path})
    checks = {check["id"]: check for check in json.loads(p.stdout)["checks"]}
    assert "agent" in checks and "clock" in checks and not {"podman", "podman-user", "services"} & set(checks), p
    assert checks["secbox.env"]["result"] == "pass", "it is root's"
    unit = os.path.join(box.root, "etc/systemd/system/multi-user.target.wants/secbox.service")
    podman = box.write(os.path.join(path, "podman"), "#!/bin/sh\nexit 1\n", 0o755)
    assert "podman-user" in box.ctl("--json", "doctor", env={"PATH": path}).stdout
    os.makedirs(os.path.dirname(unit))
    os.symlink("/lib/systemd/system/secbox.service", unit)
    assert "podman-user" not in box.ctl("--json", "doctor", env={"PATH": path}).stdout, "podman may be there for something else"
    os.unlink(podman)
    os.unlink(os.path.join(box.opt, "current"))
    assert "podman-user" in box.ctl("--json", "doctor", env={"PATH": path}).stdout


def test_what_make_release_makes_is_taken(box):
    box.switch_on()
    programs = [os.path.join(box.opt, "releases/1/bin", name) for name in ("secbox", "relay-client")]
    made = make_release(os.path.join(box.folder, "made"), "0.3.0", *programs)
    with open(made, "rb") as f:
        first = f.read()
    with open(make_release(os.path.join(box.folder, "again"), "0.3.0", *programs), "rb") as f:
        assert f.read() == first, "the same bytes"
    p = box.apply(made)
    assert p.returncode == 0 and box.current() == "releases/0.3.0", p

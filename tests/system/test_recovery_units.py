# SPDX-License-Identifier: MIT
"""recovery-agent and its sshd as installed: on a Debian 12 with systemd as process 1, from their units."""
import contextlib
import json
import shlex
import subprocess

import pytest

from tests.lab.fleet import Fleet
from tests.lab.util import ROOT, LabError, make_words, read_text, wait_until
from tests.system.enrolled import DEVICE, enrolled

README_UNITS = ["mgmt-agent", "mgmt-link", "recovery-agent"]
UNITS = ["recovery-agent", "secbox-recovery-sshd", "secbox-principals.path", "recovery-sshd-restart.path", "recovery-reboot.path"]


@pytest.fixture(scope="module")
def whole():
    with enrolled("recovery-agent") as it:
        box, gateway = it.box, it.gateway
        box.write("/etc/tucomunidad/trust/support-ca.pub", gateway.request("GET", "/v1/support-ca").json["publicKey"] + "\n")
        box.run("systemctl", "enable", "--now", *README_UNITS)
        box.gateway, box.fleet = gateway, Fleet(gateway.url, gateway.token, it.folder)
        box.fleet.env["SECBOX_CA"] = gateway.tls[0]
        wait_until(lambda: connected(box), "recovery-agent is connected")
        yield box


def connected(box):
    return "recovery" in box.gateway.device(DEVICE).get("roles", [])


def told(box, text):
    return any(text in str(e.get("MESSAGE")) for e in box.journal("recovery-agent"))


def login(box, command):
    """Through the gateway and recovery-agent to root's shell."""
    return box.fleet.run("ssh", DEVICE, "--reason", "a test", "--way", "recovery", "--", command)


def sshd_answers(box):
    return "ssh-ed25519" in box.run("ssh-keyscan", "-p", "2222", "127.0.0.1", check=False).stdout


def test_one_command_enables_all_of_it(whole):
    for unit in UNITS:
        wait_until(lambda unit=unit: whole.unit(unit, "ActiveState")["ActiveState"] == "active", f"{unit} is active")
        assert whole.run("systemctl", "is-enabled", unit).stdout.strip() == "enabled"
    for unit in UNITS[:2]:
        assert whole.unit(unit, "Slice")["Slice"] == "secbox-recovery.slice"
        assert whole.unit(unit, "StartLimitIntervalUSec")["StartLimitIntervalUSec"] == "0", "no number of crashes ends it for good"
    wait_until(lambda: whole.unit("secbox-principals.service", "Result")["Result"] == "success", "the id is known")
    assert whole.run("cat", "/run/tucomunidad/recovery-sshd/principals").stdout == DEVICE + "\n"
    status = whole.status_of(whole.main_pid("recovery-agent"))
    assert set(status["Uid"].split()) == {whole.run("id", "-u", "secbox-recovery").stdout.strip()}
    assert int(status["CapEff"], 16) == 0 and status["NoNewPrivs"] == "1"
    p = login(whole, "echo in as $(id -un)")
    assert p.stdout == "in as root\n", p.stderr


def test_f56_damaged_files_keep_nobody_out(whole):
    good = whole.read("/etc/tucomunidad/mgmt-agent.env")
    for damage in (lambda: whole.write("/etc/tucomunidad/mgmt-agent.env", "\0\1\2", 0o600),
                   lambda: whole.run("rm", "/etc/tucomunidad/mgmt-agent.env")):
        damage()
        whole.run("systemctl", "restart", "recovery-agent", "secbox-recovery-sshd")
        wait_until(lambda: connected(whole), "recovery-agent is connected")
        assert login(whole, "echo in").stdout == "in\n"
    assert told(whole, "going on with the one that worked last")
    pid = whole.main_pid("recovery-agent")
    whole.write("/etc/tucomunidad/mgmt-agent.env", good, 0o600)
    wait_until(lambda: whole.main_pid("recovery-agent") not in (0, pid), "the mended file is noticed")
    wait_until(lambda: login(whole, "echo in").stdout == "in\n", "people get in by it")


def test_what_sshd_needs_is_made_again(whole):
    """/run/sshd is compiled into Debian's sshd; without it no connection is answered."""
    whole.run("rm", "-rf", "/run/sshd")
    whole.run("sh", "-c", ": > /run/tucomunidad/recovery-sshd/host_key")
    # nobody logs in meanwhile: the main way may be well by then, which closes recovery for people
    wait_until(lambda: told(whole, "the recovery sshd does not answer"), "it is noticed")
    wait_until(lambda: sshd_answers(whole), "sshd answers again")
    pids = [whole.main_pid(unit) for unit in ("secbox-recovery-sshd", "recovery-agent")]
    whole.run("systemctl", "kill", "--signal=KILL", "secbox-recovery-sshd")
    whole.run("systemctl", "kill", "--signal=KILL", "recovery-agent")
    wait_until(lambda: not {whole.main_pid(unit) for unit in ("secbox-recovery-sshd", "recovery-agent")} & {0, *pids},
               "process 1 has started both again")
    wait_until(lambda: sshd_answers(whole), "sshd answers")


def as_recovery(whole, *argv):
    whole.run("setpriv", "--reuid=secbox-recovery", "--clear-groups", *argv)


def runs_of(whole, unit):
    """How often a unit has begun to run."""
    return sum(e.get("JOB_TYPE") == "start" and e.get("JOB_RESULT") == "done" for e in whole.journal(f"{unit}.service"))


PLACE = "/run/tucomunidad/recovery/restart-sshd"


def units_say(whole):
    """How the units are that pass a wish on, and what they have said: for the message of a test that failed."""
    names = [*UNITS[2:], "recovery-sshd-restart.service", "secbox-paths.service", "secbox-recovery-sshd"]
    properties = "--property=Id,ActiveState,SubState,Result,NRestarts,StateChangeTimestamp"
    logs = [word for name in names for word in ("-u", name)]
    return "\n".join([whole.run("systemctl", "show", properties, *names, check=False).stdout,
                      whole.run("ls", "-l", PLACE.rpartition("/")[0], check=False).stdout,
                      whole.run("sh", "-c", "ls -l /proc/1/fd | grep -c inotify", check=False).stdout,
                      whole.run("journalctl", "--no-pager", "-n", "60", *logs, check=False).stdout])


def wait_units(whole, fact, what):
    try:
        wait_until(fact, what)
    except LabError as e:
        raise LabError(f"{e}\n{units_say(whole)}") from None


def wait_watching(whole):
    """No wish is being served, and the next one is heard."""
    def watching():
        return (whole.unit("recovery-sshd-restart.path", "SubState")["SubState"] == "waiting" and
                whole.unit("recovery-sshd-restart.service", "ActiveState")["ActiveState"] in ("inactive", "failed"))

    wait_units(whole, watching, "the next wish is waited for")


def clear_place(whole):
    """Nothing lies there. That it goes is a change, too, and served like a wish."""
    wait_watching(whole)
    if whole.run("test", "-e", PLACE, check=False).returncode == 0:
        runs = runs_of(whole, "recovery-sshd-restart")
        whole.run("rm", "-rf", PLACE)
        wait_units(whole, lambda: runs_of(whole, "recovery-sshd-restart") > runs, "that it has gone is noticed")
        wait_watching(whole)


@pytest.mark.parametrize("trap", ["mkfifo", "mkdir"])
def test_f57_what_lies_in_the_place_of_a_request_holds_nobody_up(whole, trap):
    clear_place(whole)
    runs, pid = runs_of(whole, "recovery-sshd-restart"), whole.main_pid("secbox-recovery-sshd")
    as_recovery(whole, trap, PLACE)
    wait_units(whole, lambda: whole.main_pid("secbox-recovery-sshd") not in (0, pid), "a request is one, whatever it looks like")
    wait_units(whole, lambda: runs_of(whole, "recovery-sshd-restart") > runs, "and done with")
    wait_watching(whole)
    wait_units(whole, lambda: sshd_answers(whole), "sshd answers")


def finding(whole, check):
    said = json.loads(whole.run("secboxctl", "doctor", "--json", check=False).stdout)
    return next(f for f in said["checks"] if f["id"] == check)


def test_a_path_unit_that_failed_is_started_again(whole):
    """As when the machine has no inotify instance left: for systemd that is the end of a path unit."""
    drop_in, pause = (f"/etc/systemd/system/{unit}.d" for unit in ("recovery-sshd-restart.path", "secbox-paths.service"))
    clear_place(whole)
    whole.write(f"{drop_in}/lab.conf", "[Path]\nTriggerLimitIntervalSec=1h\nTriggerLimitBurst=1\n")
    whole.write(f"{pause}/lab.conf", "[Service]\nExecStartPre=/bin/sh -c 'until [ -e /go-on ]; do sleep 0.2; done'\n")
    whole.run("systemctl", "daemon-reload")

    def failed():
        as_recovery(whole, "touch", PLACE)
        return whole.unit("recovery-sshd-restart.path", "ActiveState", "Result") == {"ActiveState": "failed",
                                                                                    "Result": "trigger-limit-hit"}
    wait_units(whole, failed, "the path unit fails")
    said = finding(whole, "recovery-agent")
    assert said["result"] == "fail" and "recovery-sshd-restart.path has failed (trigger-limit-hit)" in said["detail"], said
    assert said["remedy"] == "systemctl start recovery-sshd-restart.path"
    whole.run("rm", "-r", drop_in)
    whole.run("systemctl", "daemon-reload")
    whole.write("/go-on", "")
    wait_watching(whole)
    whole.run("rm", "-r", pause, "/go-on")
    whole.run("systemctl", "daemon-reload")
    wait_units(whole, lambda: finding(whole, "recovery-agent")["result"] == "pass", "the doctor is content")
    pid = whole.main_pid("secbox-recovery-sshd")
    as_recovery(whole, "touch", PLACE)
    wait_units(whole, lambda: whole.main_pid("secbox-recovery-sshd") not in (0, pid), "a wish is heard again")


def test_a_reboot_is_roots_to_allow(whole):
    key = whole.read("/var/lib/tucomunidad/recovery-sshd/host_key")
    ask = ["touch", "/run/tucomunidad/recovery/reboot"]
    as_recovery(whole, *ask)
    wait_until(lambda: any("does not allow it" in str(e["MESSAGE"]) for e in whole.journal("recovery-reboot")), "root says no")
    assert whole.run("systemctl", "is-system-running", check=False).stdout.strip() != "stopping"
    wait_until(lambda: whole.unit("recovery-reboot.path", "SubState")["SubState"] == "waiting", "another wish may come")
    whole.write_env("recovery.env", {"RECOVERY_REBOOT": 1})

    def is_off():
        with contextlib.suppress(LabError):
            as_recovery(whole, *ask)
        return whole.host.inspect(whole.name)["State"]["Status"] == "exited"
    wait_until(is_off, "the box goes down")
    whole.host.podman("start", whole.name)
    whole.wait_booted()
    wait_until(lambda: connected(whole), "recovery-agent is connected after the boot")
    assert login(whole, "echo in").stdout == "in\n"
    assert whole.read("/var/lib/tucomunidad/recovery-sshd/host_key") == key
    assert len(whole.read("/var/lib/tucomunidad/recovery-reboot/reboots").split()) == 1, "root has counted, and once"


def ours_that_run(box):
    out = box.run("systemctl", "list-units", "--all", "--no-legend", "--plain", "mgmt-*", "recovery-*", "secbox-*").stdout
    return [line.split()[0] for line in out.splitlines() if line.split()[2] in ("active", "activating", "reloading")]


def test_what_was_enabled_can_be_disabled(whole):
    """The last test of this box: nothing of ours runs, listens or comes back; and then nothing of ours is left."""
    whole.run("systemctl", "restart", "recovery-agent")
    assert "secbox-recovery-sshd.service" in ours_that_run(whole)
    main = whole.main_pid("secbox-recovery-sshd")
    whole.run("systemctl", "restart", "recovery-agent")
    assert whole.main_pid("secbox-recovery-sshd") == main, "a restart of the agent does not touch the sshd"
    whole.run("systemctl", "disable", "--now", *README_UNITS)
    wait_units(whole, lambda: ours_that_run(whole) == [], "what was started with them ends, too")
    for unit in [*README_UNITS, *UNITS]:
        assert whole.run("systemctl", "is-enabled", unit, check=False).stdout.strip() == "disabled", unit
    whole.run("systemctl", "enable", "--now", *README_UNITS)
    wait_until(lambda: connected(whole), "it all comes back")
    words = shlex.split(subprocess.run(make_words("-n", "uninstall"), cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    names = [word for word in words if word.startswith("/")]
    whole.write("/uninstall.sh", read_text(f"{ROOT}/installer/uninstall.sh"), 0o755)
    kept = whole.read("/etc/tucomunidad/mgmt-agent.env")
    whole.run("/uninstall.sh", *names)
    wait_units(whole, lambda: ours_that_run(whole) == [], "what was uninstalled ends, its slice too")
    assert [name for name in names if whole.run("test", "-e", name, check=False).returncode == 0] == []
    assert whole.run("systemctl", "list-unit-files", "--no-legend", *README_UNITS, *UNITS, check=False).stdout == ""
    assert whole.read("/etc/tucomunidad/mgmt-agent.env") == kept, "what the machine was told stays"

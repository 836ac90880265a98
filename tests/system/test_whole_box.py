# SPDX-License-Identifier: MIT
"""SecBox as installed: on a Debian 12 with systemd as process 1, from its units, with rootless podman."""
import contextlib
import json
import os
import signal
import subprocess
import threading
import time
import urllib.request

import pytest

from tests.lab import images, whole_box
from tests.lab.util import LabError, program, read_text, wait_until
from tests.system.enrolled import DEVICE, enrolled

UNITS = ["mgmt-agent", "mgmt-link"]
SANITY_OK = "[compose-snapshot] secbox.env sanity ok (2/2 required keys present)"
# Shorter waits; and a score that a child would inherit if it could (lowering it takes a capability that machines lack)
DROP_IN = "[Service]\nWatchdogSec=3\nOOMScoreAdjust=200\n"
PORT = 8088
STACK = f"""
services:
  web:
    image: localhost/server:1
    restart: unless-stopped
    ports: ["{PORT}:80"]
    networks: [front]
    environment:
      URL: ${{CLOUD_BASE_URL:-http://literal.invalid}}
      DEVICE: ${{DEVICE_ID}}
    healthcheck:
      test: ["CMD", "wget", "-q", "-O", "-", "http://127.0.0.1/version"]
      interval: 2s
  store:
    image: localhost/server:1
    restart: always
    networks: [front]
networks:
  front: {{}}
"""
# a client of mgmt-agent's socket
ASK = """
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect("/run/tucomunidad/mgmt-agent.sock")
s.sendall(sys.argv[1].encode() + b"\\n")
print(next(line for line in s.makefile() if json.loads(line)["type"] in ("container.result", "error")))
"""
STACK_2 = STACK.replace("server:1", "server:2")


@pytest.fixture(scope="module")
def whole():
    """One box for all tests of this file, and a gateway outside it."""
    with enrolled("mgmt-worker", "secboxctl") as it:
        box = it.box
        for version in ("1", "2"):
            box.image(f"localhost/server:{version}", "server", version)
        box.image("localhost/crash:1", "crash")
        box.run("mkdir", "-p", "/etc/systemd/system/mgmt-agent.service.d")
        box.write("/etc/systemd/system/mgmt-agent.service.d/lab.conf", DROP_IN)
        box.run("systemctl", "daemon-reload")
        box.run("systemctl", "enable", "--now", *UNITS)
        try:
            it.gateway.wait_reported(DEVICE)
        except LabError as e:
            pytest.fail(f"{e}\n{box.run('systemctl', 'status', '--no-pager', *UNITS, check=False).stdout}{box.log()}")
        yield it


def push(whole, text):
    """secbox-fleet push --wait, as an operator types it: exit code and the JSON documents that it prints."""
    path = os.path.join(whole.folder, "compose.yml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    env = {"PATH": os.environ["PATH"], "HOME": whole.folder, "SECBOX_GATEWAY": whole.gateway.url,
           "SECBOX_TOKEN": whole.gateway.token, "SECBOX_CA": whole.gateway.authority}
    p = subprocess.run([program("secbox-fleet"), "push", DEVICE, path, "--wait", "--json"], env=env, text=True,
                       capture_output=True, check=False)
    documents = [json.loads(line) for line in p.stdout.splitlines()]
    assert documents, p.stderr
    return p.returncode, documents[-1]


@pytest.fixture
def deployed(whole):
    """The box runs STACK and nothing is under way."""
    wait_until(lambda: not settling(whole), "nothing is under way")
    code, last = push(whole, STACK)
    assert code == 0, last
    return whole


def settling(whole):
    try:
        device = whole.gateway.device(DEVICE)
        status = whole.box.status()
    except ValueError:
        return True
    return not device["connected"] or bool(status.get("status", status).get("pending"))


def get(whole, path):
    with urllib.request.urlopen(f"http://{whole.box.address}:{PORT}{path}", timeout=30) as answer:
        return answer.read().decode()


def answers(whole):
    try:
        return get(whole, "/version")
    except OSError:
        return None


def facts_of_process(box, pid):
    """/proc/PID/status and more, of a process of the box by its number there."""
    return box.status_of(pid) | {"oom": box.run("cat", f"/proc/{pid}/oom_score_adj").stdout.strip()}


def core_limit(box, pid):
    line = next(l for l in box.run("cat", f"/proc/{pid}/limits").stdout.splitlines() if l.startswith("Max core file size"))
    return line.split()[4:6]


def wait_answers(box):
    wait_until(lambda: box.run("secboxctl", "status", check=False).returncode == 0, "mgmt-agent answers secboxctl")


def test_units_are_up(whole):
    for unit in UNITS:
        facts = whole.box.unit(unit, "Type", "ActiveState", "SubState", "NRestarts", "UnitFileState", "StatusText")
        assert (facts["Type"], facts["ActiveState"], facts["SubState"]) == ("notify", "active", "running"), facts
        assert facts["UnitFileState"] == "enabled"
        assert facts["StatusText"], "READY came with a status"
    assert whole.box.unit("mgmt-link", "NRestarts")["NRestarts"] == "0"
    complaints = whole.box.run("systemd-analyze", "verify", "--man=no", *(f"{u}.service" for u in UNITS), check=False)
    assert complaints.returncode == 0 and not complaints.stderr.strip(), complaints.stderr


def test_the_link_is_nobody_in_particular(whole):
    box = whole.box
    pid = box.main_pid("mgmt-link")
    facts = box.status_of(pid)
    uid = box.run("id", "-u", "mgmt-link").stdout.strip()
    assert facts["Uid"].split() == [uid] * 4 and uid != "0"
    assert facts["NoNewPrivs"] == "1" and facts["Seccomp"] == "2"
    assert {facts[f"Cap{kind}"].strip("0") for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {""}
    as_link = ["setpriv", "--reuid=mgmt-link", "--regid=mgmt-link", "--init-groups"]
    for path in ("/etc/tucomunidad/mgmt-agent.env", "/etc/tucomunidad/secbox.env", "/var/lib/tucomunidad/mgmt-agent/."):
        assert box.run(*as_link, "test", "-r", path, check=False).returncode != 0, path
    assert box.run(*as_link, "test", "-r", "/run/credentials/mgmt-link.service/mgmt-agent.env", check=False).returncode == 0


def test_the_link_lets_people_in(whole):
    """From its sandbox to the box's sshd, and the site sees who it is."""
    box = whole.box
    box.run("systemctl", "start", "ssh")
    key = " ".join(box.read("/etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
    wait_until(lambda: key in whole.gateway.device(DEVICE).get("hostKeys", {}).get("host", ()), "the gateway knows its host key")
    fleet, env = fleet_words(whole)
    subprocess.run([fleet, "grants", "add", DEVICE, "--reason", "the camera is dark"], env=env, check=True,
                   stdout=subprocess.DEVNULL)
    with subprocess.Popen([fleet, "ssh-proxy", DEVICE], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as person:
        assert person.stdout.readline().startswith(b"SSH-2.0-OpenSSH")
        entry, = json.loads(box.run("secboxctl", "sessions", "--json").stdout)["sessions"]
        assert (entry["program"], entry["target"], entry["reason"]) == ("mgmt-link", "ssh", "the camera is dark")
        person.stdin.close()
    wait_until(lambda: "[bridge] lab has left" in box.run("journalctl", "-u", "mgmt-link", "-o", "cat").stdout, "the last line")
    assert json.loads(box.run("secboxctl", "sessions", "--json").stdout) == {"sessions": []}
    facts = box.run("stat", "-c", "%U %a", "/run/tucomunidad/mgmt-link", "/run/tucomunidad/mgmt-link/sessions.json").stdout
    assert facts.splitlines() == ["mgmt-link 700", "mgmt-link 600"]


def fleet_words(whole):
    env = {"PATH": os.environ["PATH"], "HOME": whole.folder, "SECBOX_GATEWAY": whole.gateway.url,
           "SECBOX_TOKEN": whole.gateway.token, "SECBOX_CA": whole.gateway.authority}
    return program("secbox-fleet"), env


def configuration(box):
    """The doctor's check of that name."""
    p = box.run("secboxctl", "doctor", "--json", check=False)
    return next(c for c in json.loads(p.stdout)["checks"] if c["id"] == "configuration")


def test_a_bad_edit_is_told_and_a_good_one_waits_for_who_is_in(whole):
    """An authority that is none for this gateway; then that together with the right one, as when authorities change."""
    box, gateway = whole.box, whole.gateway
    fleet, env = fleet_words(whole)
    other, edited = os.path.join(whole.folder, "other.crt"), "/etc/ssl/certs/edited.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-keyout", os.devnull, "-out", other, "-subj", "/CN=another"], check=True, capture_output=True)
    box.run("systemctl", "start", "ssh")
    before = gateway.device(DEVICE)["peer"]

    def is_on_another_tunnel_than(peer):
        device = gateway.device(DEVICE)
        return device["connected"] and device["peer"] != peer and not device.get("configFaults")

    box.write(edited, read_text(other))
    box.write_env("mgmt-agent.env", {**whole.agent_env, "CLOUD_CA_FILE": edited})
    said = wait_until(lambda: (c := configuration(box))["result"] == "fail" and c, "the doctor tells")
    assert "mgmt-link since 20" in said["detail"] and "is refused" in said["detail"], said

    def shown():
        out = subprocess.run([fleet, "devices", "show", DEVICE], env=env, check=True, capture_output=True, text=True).stdout
        return any(line.startswith("configuration") and "is refused" in line for line in out.splitlines())
    wait_until(shown, "the gateway tells")
    assert gateway.device(DEVICE)["peer"] == before, "the tunnel is as it was"

    subprocess.run([fleet, "grants", "add", DEVICE, "--reason", "an edit"], env=env, check=True, stdout=subprocess.DEVNULL)
    with subprocess.Popen([fleet, "ssh-proxy", DEVICE], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as person:
        assert person.stdout.readline().startswith(b"SSH-2.0-OpenSSH")
        box.write(edited, read_text(other) + read_text(gateway.authority))
        said = wait_until(lambda: (c := configuration(box)) and "the last of 1 sessions" in c["detail"] and c, "the edit waits")
        assert said["result"] == "pass", said
        person.stdin.write(b"SSH-2.0-test\r\n")
        person.stdin.flush()
        assert person.stdout.read(1), "sshd goes on with the handshake"
        assert gateway.device(DEVICE)["peer"] == before
        person.stdin.close()
    wait_until(lambda: is_on_another_tunnel_than(before), "the edit is taken")
    assert configuration(box)["result"] == "pass"
    taken = gateway.device(DEVICE)["peer"]
    box.write_env("mgmt-agent.env", whole.agent_env)
    wait_until(lambda: is_on_another_tunnel_than(taken), "the file of before is taken")


def test_it_claimed_its_identity(whole):
    device = whole.gateway.device(DEVICE)
    assert device["connected"] and device["roles"] == ["mgmt"]
    assert device["peer"].startswith(whole.box.address)
    folder = "/var/lib/tucomunidad/mgmt-link"
    facts = whole.box.run("stat", "-c", "%a %U", folder).stdout.split()
    assert facts == ["700", "mgmt-link"]
    modes = whole.box.run("find", folder, "-type", "f", "-printf", "%m %u\\n").stdout.split("\n")
    assert set(filter(None, modes)) == {"600 mgmt-link"}


def test_a_push_ends_well(deployed):
    box = deployed.box
    assert set(box.running()) == {"web", "store"}
    assert get(deployed, "/version") == "1\n"
    served = get(deployed, "/env").splitlines()
    assert f"URL={deployed.agent_env['CLOUD_BASE_URL']}" in served and f"DEVICE={DEVICE}" in served
    assert box.user.podman("exec", box.ids()["web"], "wget", "-q", "-O", "-", "http://store/version").stdout == "1\n"


def test_the_env_file_is_the_podman_users(deployed):
    path = "/etc/tucomunidad/secbox.env"
    assert deployed.box.run("stat", "-c", "%a %U %G", path).stdout.split() == ["600", "tc", "tc"]
    made = dict(line.split("=", 1) for line in deployed.box.read(path).splitlines())
    assert made == {**{k: deployed.agent_env[k] for k in ("CLOUD_BASE_URL", "DEVICE_ID", "BOOTSTRAP")},
                    "DEVICE_GATEWAY_URL": deployed.agent_env["MGMT_GATEWAY_URL"].replace("/mgmt", "/device")}


def test_containers_are_rootless_and_inherit_nothing_of_the_unit(deployed):
    box = deployed.box
    assert box.run("podman", "ps", "-aq").stdout == "", "root's podman has no container"
    assert facts_of_process(box, box.main_pid("mgmt-agent"))["oom"] == "200"
    for service, container in box.containers().items():
        pid = container["State"]["Pid"]
        facts = facts_of_process(box, pid)
        assert facts["Uid"].split()[0] == str(box.uid), service
        assert facts["oom"] == "0", "what shields the agent must not shield its containers"
        assert core_limit(box, pid)[1] == core_limit(box, 1)[1]
        assert facts["Umask"] == "0022"


def test_the_agent_is_in_a_sandbox_and_nothing_of_podmans_is(deployed):
    box = deployed.box
    facts = box.status_of(box.main_pid("mgmt-agent"))
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    rights = int(facts["CapBnd"], 16)
    assert not rights & (1 << 7 | 1 << 21), "neither CAP_SETUID nor CAP_SYS_ADMIN"
    before = box.run("cat", f"/proc/{box.main_pid('mgmt-agent')}/cgroup").stdout
    code, last = push(deployed, STACK_2)
    assert (code, last["outcome"]) == (0, "done"), last
    processes = "/sys/fs/cgroup" + before.split("::")[1].strip() + "/cgroup.procs"
    # the systemd-run of a worker comes and goes; conmon and the network helper would stay
    wait_until(lambda: box.run("cat", processes).stdout.split() == [str(box.main_pid("mgmt-agent"))],
               "no conmon, no network helper")
    for container in box.containers().values():
        for pid in (container["State"]["Pid"], container["State"]["ConmonPid"]):
            assert box.status_of(pid)["NoNewPrivs"] == "0", "its image may have programs that change user"
        assert box.status_of(container["State"]["ConmonPid"])["Seccomp"] == "0"
    assert not box.run("systemctl", "list-units", "--all", "--no-legend", "--plain", "mgmt-worker-*").stdout.strip(), "none is left"


def test_a_container_is_started_again_by_an_order(deployed):
    """As recovery-agent gives it."""
    box = deployed.box
    before = box.containers()["web"]
    order = json.dumps({"type": "container.restart", "id": "r-1", "service": "web"})
    out = box.run("setpriv", "--reuid=secbox-recovery", "--clear-groups", "python3", "-c", ASK, order).stdout
    assert json.loads(out)["ok"], out
    after = box.containers()["web"]
    assert after["Id"] == before["Id"] and after["State"]["Pid"] != before["State"]["Pid"]


def test_the_gateway_hears_of_the_machines_network(whole):
    """Not of the agent's own, which its sandbox keeps empty."""
    def network():
        box = whole.gateway.request("GET", f"/v1/devices/{DEVICE}/health").json["health"].get("box") or {}
        return box.get("values", {}).get("network")

    wait_until(lambda: network() and network()["errors"] >= 0, "the box has told")


def test_the_journal_tells_it_with_fields(whole):
    # a push that is not a repetition goes through all phases
    code, last = push(whole, STACK + f"# {os.urandom(4).hex()}\n")
    assert (code, last["status"]) == (0, 200), last
    entries = [e for e in whole.box.journal("mgmt-agent") if e["MESSAGE"] == SANITY_OK]
    assert entries
    assert entries[-1]["PHASE"] == "secbox-env-sanity"
    assert entries[-1]["SNAPSHOT"] == last["version"]
    assert entries[-1]["DEVICE"] == DEVICE
    assert entries[-1]["SYSLOG_IDENTIFIER"] == "mgmt-agent" and entries[-1]["PRIORITY"] == "6"
    secret = whole.agent_env["BOOTSTRAP"]
    assert secret not in whole.box.run("journalctl", "--no-pager", "-o", "export", "--all").stdout


def test_the_journal_is_the_agents_own(deployed):
    """podman writes its events to the journal, too: they are the workers' and the user's, not the agent's."""
    box = deployed.box
    told = [json.loads(line) for line in box.run("journalctl", "-t", "podman", "-o", "json", "--no-pager").stdout.splitlines()]
    events = [e for e in told if e.get("PODMAN_EVENT")]
    assert {"create", "start"} <= {e["PODMAN_EVENT"] for e in events}, "podman does write them"
    assert "mgmt-agent.service" not in {e.get("_SYSTEMD_UNIT") for e in events}
    entries = box.journal("mgmt-agent")
    assert entries and {e["SYSLOG_IDENTIFIER"] for e in entries} <= {"mgmt-agent", "systemd"}
    assert not [e["MESSAGE"] for e in entries if int(e["PRIORITY"]) > 6], "without --debug there are no debug lines"


def test_what_dies_at_start_is_rolled_back(deployed):
    before = deployed.box.running()
    code, last = push(deployed, STACK.replace("server:1", "crash:1"))
    assert code != 0
    assert (last["status"], last["outcome"], last["phase"]) == (500, "rolled-back", "rolled-back"), last
    assert deployed.box.running() == before, "the very same containers run again"
    assert get(deployed, "/version") == "1\n"


@pytest.mark.parametrize("how", [["restart", "mgmt-agent"], ["kill", "-s", "KILL", "mgmt-agent"], ["stop", "mgmt-agent"]],
                         ids=lambda how: "-".join(how[:1]))
def test_containers_outlive_the_agent(deployed, how):
    box = deployed.box
    before = {service: c["State"]["Pid"] for service, c in box.containers().items()}
    old = box.main_pid("mgmt-agent")
    box.run("systemctl", *how)
    if how[0] == "stop":
        assert get(deployed, "/version") == "1\n"
        box.run("systemctl", "start", "mgmt-agent")
    wait_until(lambda: box.main_pid("mgmt-agent") not in (0, old), "systemd starts mgmt-agent again")
    wait_answers(box)
    assert {service: c["State"]["Pid"] for service, c in box.containers().items()} == before
    wait_until(lambda: not settling(deployed), "the tunnel is up")
    code, last = push(deployed, STACK)
    assert (code, last["noop"]) == (0, True), last


def test_killed_in_mid_apply_it_ends_whole(deployed):
    box = deployed.box
    before = box.ids()
    found = []
    pushing = threading.Thread(target=lambda: found.append(push(deployed, STACK_2)))
    pushing.start()
    wait_until(lambda: box.ids() != before, "the push touches containers")
    box.run("systemctl", "kill", "-s", "KILL", "mgmt-agent")
    pushing.join()
    wait_until(lambda: not settling(deployed), "the agent has made up its mind")
    running = box.running()
    assert set(running) == {"web", "store"} == set(box.ids())
    # undone or done, by how far it had come when it was killed: but as it says, and never a mixture
    image = {"rolled-back": "localhost/server:1", "done": "localhost/server:2"}[found[0][1]["outcome"]]
    assert {c["Image"] for c in box.containers().values()} == {box.user.image_id(image)}


@contextlib.contextmanager
def hurried_guard(box):
    folder = "/etc/systemd/system/mgmt-change-guard.service.d"
    box.run("mkdir", "-p", folder)
    box.write(f"{folder}/lab.conf", "[Service]\nExecStart=\nExecStart=/usr/sbin/mgmt-worker --guard-pace 10 guard\n")
    box.run("systemctl", "daemon-reload")
    try:
        yield
    finally:
        box.run("rm", "-r", folder)
        box.run("systemctl", "daemon-reload")


def journal_of(box):
    with contextlib.suppress(ValueError):
        return json.loads(box.read("/var/lib/tucomunidad/mgmt-agent/journal.json"))
    return {"state": "idle"}


def let_deadline_pass(box):
    path = "/var/lib/tucomunidad/mgmt-agent/journal.json"
    deadline = journal_of(box)["deadlineUsec"]
    now = type(deadline)(int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1e6))
    box.write(f"{path}.lab", json.dumps({**journal_of(box), "deadlineUsec": now}), 0o600)
    box.run("mv", f"{path}.lab", path)


def test_f19_a_change_is_taken_back_without_the_agent(deployed):
    """Killed, and masked, before the confirmation: another process takes back what nobody confirms."""
    box, gateway = deployed.box, deployed.gateway
    before, text = box.running(), STACK if get(deployed, "/version") == "2\n" else STACK_2
    found = []
    assert box.unit("mgmt-change-guard.path", "ActiveState")["ActiveState"] == "active", "mgmt-agent wants it"
    with hurried_guard(box), contextlib.ExitStack() as stack:
        last = journal_of(box).get("id")
        pushing = threading.Thread(target=lambda: found.append(gateway.push(DEVICE, text)))
        pushing.start()
        wait_until(lambda: journal_of(box).get("id") != last, "the box has the push")
        os.kill(gateway.daemon.pid, signal.SIGSTOP)
        stack.callback(os.kill, gateway.daemon.pid, signal.SIGCONT)
        wait_until(lambda: journal_of(box)["state"] == "confirming", "the change waits for its confirmation")
        stack.callback(box.run, "systemctl", "unmask", "--runtime", "mgmt-agent")
        box.run("systemctl", "mask", "--runtime", "mgmt-agent")
        box.run("systemctl", "kill", "-s", "KILL", "mgmt-agent")
        wait_until(lambda: box.main_pid("mgmt-agent") == 0, "mgmt-agent is dead")
        let_deadline_pass(box)
        wait_until(lambda: journal_of(box)["state"] == "idle", "the guard takes the change back")
        assert box.main_pid("mgmt-agent") == 0
        wait_until(lambda: box.unit("mgmt-change-guard.service", "ActiveState")["ActiveState"] == "inactive", "the guard ends")
        assert box.unit("mgmt-change-guard.service", "Result")["Result"] == "success"
        assert box.running() == before, "the very same containers"
        assert journal_of(box)["takenBackBy"] == "change-guard"
    box.run("systemctl", "start", "mgmt-agent")
    wait_answers(box)
    pushing.join()
    assert found[0].json["result"]["outcome"] == "rolled-back", found
    last = box.status()["last"]
    assert (last["failedPhase"], last["takenBackBy"]) == ("confirm", "change-guard"), last
    wait_until(lambda: not settling(deployed), "the tunnel is up")


def test_the_watchdog_brings_back_a_stuck_agent(deployed):
    box = deployed.box
    before = box.running()
    old = box.main_pid("mgmt-agent")
    box.run("kill", "-STOP", str(old))
    wait_until(lambda: box.main_pid("mgmt-agent") not in (0, old), "systemd replaces the stuck agent")
    wait_answers(box)
    assert any("Watchdog timeout" in e["MESSAGE"] for e in box.journal("mgmt-agent"))
    assert box.running() == before


def test_the_doctor_finds_nothing_of_ours(deployed):
    p = deployed.box.run("secboxctl", "doctor", "--json", check=False)
    checks = {c["id"]: c for c in json.loads(p.stdout)["checks"]}
    # the clock and the space are the machine's own; these tests do not start what recovery and people come in by
    others = ("time-sync", "recovery-agent", "recovery-sshd", "ssh")
    bad = {k: c for k, c in checks.items() if c["result"] != "pass" and k not in others and not k.startswith("space-")}
    assert not bad
    assert "user tc" in checks["podman"]["detail"]


def test_a_local_rollback_and_the_history(deployed):
    code, last = push(deployed, STACK_2)
    assert (code, last["outcome"]) == (0, "done"), last
    entries = json.loads(deployed.box.run("secboxctl", "history", "--json").stdout)
    assert last["version"] in json.dumps(entries)
    assert get(deployed, "/version") == "2\n"
    deployed.box.run("secboxctl", "rollback")
    assert get(deployed, "/version") == "1\n"


def test_services_come_back_after_their_user_manager(deployed):
    """Somebody stops the podman user's service manager and starts it again: no container of it is left."""
    box = deployed.box
    ids = box.ids()
    manager = f"user@{box.uid}"
    box.run("systemctl", "stop", manager)

    def watched():
        return {s["name"]: s for s in box.status().get("watched", [])}

    wait_until(lambda: {s["state"] for s in watched().values()} == {"down"}, "the agent sees that they are down")
    assert all(s["trouble"]["error"] for s in watched().values()), "and why nothing can be done yet"
    assert "web down" in box.unit("mgmt-agent", "StatusText")["StatusText"]
    doctor = {c["id"]: c for c in json.loads(box.run("secboxctl", "doctor", "--json", check=False).stdout)["checks"]}
    assert doctor["services"]["result"] == "fail" and "web: down since" in doctor["services"]["detail"], doctor["services"]
    box.run("systemctl", "start", manager)
    wait_until(lambda: box.running() == ids and answers(deployed), "the same containers run again, and answer")


def forwarders(box):
    """The processes by which rootless podman publishes ports; podman knows nothing of them once they run."""
    return [int(pid) for pid in box.run("pgrep", "-u", str(box.uid), "-x", "rootlessport", check=False).stdout.split()]


def test_a_service_that_nobody_can_reach_is_seen(deployed):
    """Podman's port forwarder ends, as it may be missing after a boot: podman takes no notice, and the container is healthy."""
    box = deployed.box
    before = box.containers()
    since = box.run("date", "+%s").stdout.strip()
    box.run("kill", "-KILL", *(str(pid) for pid in forwarders(box)))

    def told():
        trouble = next((s.get("trouble") for s in box.status().get("watched", []) if s["name"] == "web"), None)
        return trouble and trouble["what"] == "unhealthy" and trouble
    wait_until(told, "the agent sees it")
    wait_until(lambda: answers(deployed), "the agent has it published again")
    after = box.containers()
    assert after["web"]["Id"] == before["web"]["Id"] and after["web"]["State"]["Pid"] != before["web"]["State"]["Pid"]
    assert after["store"]["State"]["Pid"] == before["store"]["State"]["Pid"], "what publishes nothing goes on"
    lines = [e["MESSAGE"] for e in box.journal("mgmt-agent", f"--since=@{since}")]
    assert (f"Service web: it runs, and nobody listens on its published port {PORT}/tcp: podman's port forwarder is gone"
            in lines), lines
    assert "Service web is unhealthy: restarting it" in lines, lines


@pytest.mark.parametrize("hard", [False, True], ids=["reboot", "power-cut"])
def test_after_a_restart_of_the_box_everything_runs_again(deployed, hard):
    box = deployed.box
    before = box.ids()
    box.reboot(hard)
    wait_until(lambda: not settling(deployed), "the box is back")
    assert box.ids() == before
    wait_until(lambda: box.running() == before, "the same containers run again")
    try:
        wait_until(lambda: answers(deployed), "the published port answers")
    except LabError as e:
        pytest.fail(f"{e}\n{box.run('ss', '-tlnp').stdout}{box.run('journalctl', '--no-pager').stdout}")
    assert get(deployed, "/version") == "1\n"
    for unit in UNITS:
        assert box.unit(unit, "ActiveState")["ActiveState"] == "active"


ROOT_CONF = whole_box.CONTAINERS_CONF + 'cgroups = "disabled"\n'


class RootPodman:
    """The podman of the box's root, for images.build()."""

    def __init__(self, box):
        self.box = box
        self.root_archive = box.user.root_archive

    def podman(self, *args, check=True, input=None):  # pylint: disable=redefined-builtin
        return self.box.run("podman", *args, check=check, input=input)

    def image_id(self, tag):
        return self.podman("image", "inspect", "--format", "{{.Id}}", tag).stdout.strip()

    def running(self):
        out = self.podman("ps", "--filter", "label=io.tucomunidad.service", "--format", "{{.Names}} {{.ID}}").stdout
        return dict(line.split() for line in out.splitlines())


def test_as_root_too_when_it_is_named(whole):
    """The last of this file: the box has changed its podman user behind it. Root's containers stay in the control group of the
    worker that made them, since this kind of machine lets nobody limit one; its settings are the agent's environment."""
    box, root = whole.box, RootPodman(whole.box)
    wait_until(lambda: not settling(whole), "nothing is under way")
    for tag, kind, version in (("server:1", "server", "1"), ("server:2", "server", "2"), ("crash:1", "crash", "1")):
        images.build(root, f"localhost/{tag}", kind, version)
    box.write("/etc/containers/root.conf", ROOT_CONF)
    box.write("/etc/systemd/system/mgmt-agent.service.d/root.conf",
              "[Service]\nEnvironment=CONTAINERS_CONF=/etc/containers/root.conf\n")
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "restart", "mgmt-agent")
    box.write_env("mgmt-agent.env", {**whole.agent_env, "PODMAN_USER": "root"})
    box.run("rm", "/etc/tucomunidad/secbox.env")
    wait_answers(box)
    wait_until(lambda: not settling(whole), "the tunnel is up")
    stack = STACK.replace(f"{PORT}:80", "8089:80")
    code, last = push(whole, stack)
    assert (code, last["outcome"]) == (0, "done"), last
    first = root.running()
    assert set(first) == {"secbox_web_1", "secbox_store_1"}
    code, last = push(whole, stack.replace("server:1", "crash:1", 1))
    assert (last["outcome"], root.running()) == ("rolled-back", first), last
    code, last = push(whole, stack.replace("server:1", "server:2", 1))
    assert (code, last["outcome"]) == (0, "done"), last
    second = root.running()
    assert second["secbox_store_1"] == first["secbox_store_1"] and second["secbox_web_1"] != first["secbox_web_1"]
    box.run("systemctl", "restart", "mgmt-agent")
    wait_answers(box)
    assert root.running() == second, "containers outlive the agent"
    monitor = root.podman("container", "inspect", "--format", "{{.State.ConmonPid}}", second["secbox_web_1"]).stdout.strip()
    assert "/mgmt-worker-apply-" in box.run("cat", f"/proc/{monitor}/cgroup").stdout
    assert box.status_of(monitor)["NoNewPrivs"] == "0"
    box.reboot()
    wait_until(lambda: not settling(whole), "the box is back")
    wait_until(lambda: root.running() == second, "the same containers run again")

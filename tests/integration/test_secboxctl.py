# SPDX-License-Identifier: MIT
"""secboxctl: what works without an agent, and what it sends to and shows of an imitated one."""
import getpass
import http.server
import json
import os
import pwd
import re
import socket
import shutil
import subprocess
import sys
import threading

import pytest

from tests.conftest import require_programs
from tests.integration.fake_agent import STATUS, FakeAgent, progress, result
from tests.lab.util import free_port, port_answers, program, wait_until

GOOD = """services:
  secbox:
    image: ${REGISTRY:-registry.example}/secbox:${TAG-1}
    environment:
      CLOUD_BASE_URL: ${CLOUD_BASE_URL}
      NESTED: ${A:-${B:-${C:-deep}}}
      DOLLAR: $$HOME
"""
AGENT_ENV = ("CLOUD_BASE_URL=http://127.0.0.1:9\nDEVICE_ID=caseta5\nBOOTSTRAP=boot-secret-1\n"
             "MGMT_GATEWAY_URL=ws://127.0.0.1:9/mgmt\n")
SECBOX_ENV = ("CLOUD_BASE_URL=http://127.0.0.1:9\nDEVICE_ID=caseta5\nBOOTSTRAP=boot-secret-1\n"
              "DEVICE_GATEWAY_URL=ws://127.0.0.1:9/device\nDB_PASSWORD=hunter22\nPLAIN=shown\n")


class Ctl:
    def __init__(self, folder):
        self.root = folder
        self.env = {"PATH": os.environ["PATH"], "HOME": folder, "LANG": "C.UTF-8"}

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def env_files(self, agent=AGENT_ENV, secbox=SECBOX_ENV):
        # the caller owns the files, so it has to be the podman user
        user = f"PODMAN_USER={getpass.getuser()}\n" if agent == AGENT_ENV else ""
        return (self.write("etc/tucomunidad/mgmt-agent.env", agent + user),
                self.write("etc/tucomunidad/secbox.env", secbox))

    def run(self, *args):
        return subprocess.run([program("secboxctl"), "--root", self.root, *args], env=self.env, capture_output=True,
                              text=True, check=False, cwd=self.root)


@pytest.fixture(name="ctl")
def ctl_fixture(folder):
    require_programs("secboxctl")
    return Ctl(folder)


@pytest.fixture(name="agent")
def agent_fixture(ctl):
    with FakeAgent(ctl.root) as it:
        yield it


# render

def test_render_prints_the_file_without_variables(ctl):
    env = ctl.write("x.env", "CLOUD_BASE_URL=https://cloud.example\nTAG=\n")
    p = ctl.run("render", "--env-file", env, ctl.write("compose.yaml", GOOD))
    assert p.returncode == 0, p.stderr
    assert "${" not in p.stdout
    assert "registry.example/secbox:" in p.stdout and "https://cloud.example" in p.stdout and "deep" in p.stdout
    again = ctl.run("render", "--env-file", env, ctl.write("again.yaml", p.stdout))
    assert (again.returncode, again.stdout) == (0, p.stdout), again.stderr

    p = ctl.run("render", "--env-file", env, "--json", "compose.yaml")
    assert "https://cloud.example" in json.loads(p.stdout)["compose"]


def test_render_takes_the_boxs_own_env_file(ctl):
    ctl.env_files()
    p = ctl.run("render", ctl.write("compose.yaml", GOOD))
    assert p.returncode == 0 and "http://127.0.0.1:9" in p.stdout, p.stderr


def test_render_reads_the_env_file_as_docker_compose_does(ctl):
    env = ctl.write("x.env", "\ufeffexport CLOUD_BASE_URL = \"https://cloud.example\" # ours\r\nTAG='7'\r\n")
    p = ctl.run("render", "--env-file", env, ctl.write("compose.yaml", GOOD))
    assert p.returncode == 0 and "https://cloud.example" in p.stdout and "secbox:7" in p.stdout, (p.stdout, p.stderr)


def test_advice_for_an_unset_variable_is_never_refused_in_turn(ctl):
    env = ctl.write("x.env", "X=1\n")
    p = ctl.run("render", "--env-file", env, ctl.write("c.yaml", "services:\n  a:\n    image: x\n    working_dir: ${HOME}\n"))
    assert p.returncode == 1 and "secbox.env" not in p.stderr and "write the value into the file" in p.stderr, p.stderr


@pytest.mark.parametrize("engine,key", [("auto", "platform: x"), ("auto", "command: []"), ("podman-compose", "runtime: runsc"),
                                        ("podman-compose", "environment: {A: \"a\\nb\"}")])
def test_render_refuses_what_a_box_refuses(ctl, engine, key):
    env = ctl.write("x.env", "X=1\n")
    ctl.write("etc/tucomunidad/mgmt-agent.env", AGENT_ENV + f"COMPOSE_ENGINE={engine}\n")
    p = ctl.run("render", "--env-file", env, ctl.write("c.yaml", f"services:\n  a:\n    image: x\n    {key}\n"))
    assert (p.returncode, p.stdout) == (1, "") and "c.yaml:" in p.stderr, p


def test_render_reads_env_files_beside_the_volumes(ctl):
    env = ctl.write("x.env", "X=1\n")
    text = ("services:\n  a:\n    image: x\n    env_file:\n      - {path: more.env, required: false}\n"
            "      - /etc/tucomunidad/secbox.env\n")
    path = ctl.write("c.yaml", text)
    p = ctl.run("render", "--env-file", env, path)
    assert p.returncode == 0 and "X: \"1\"" in p.stdout and "MORE" not in p.stdout, p
    ctl.write("var/lib/tucomunidad/volumes/more.env", "MORE='two words'\n")
    p = ctl.run("render", "--env-file", env, path)
    assert p.returncode == 0 and "MORE: \"two words\"" in p.stdout, p


def test_render_names_the_project(ctl):
    env = ctl.write("x.env", "CLOUD_BASE_URL=x\n")
    p = ctl.run("render", "--env-file", env, "--project", "elsewhere", ctl.write("compose.yaml", GOOD))
    assert p.returncode == 0 and "elsewhere" in p.stdout, p.stderr


@pytest.mark.parametrize("compose,env,place,identifier", [
    (GOOD, "TAG=2\n", "compose.yaml:5: ", "interpolate.unset"),
    ("services:\n  a:\n    image: ${IMAGE:?say which}\n", "X=1\n", "compose.yaml:3: ", "interpolate.required"),
    ("services:\n  a:\n    image: ${IMAGE\n", "IMAGE=1\n", "compose.yaml:3: ", "interpolate.syntax"),
    ("services:\n  a:\n    image: x\n    colour: red\n", "X=1\n", "compose.yaml:4: ", "compose.unknown-key"),
    ("services: [\n", "X=1\n", "compose.yaml:", "yaml."),
    (GOOD, None, "x.env", "env.missing"),
    (GOOD, "CLOUD_BASE_URL=\"x\n", "x.env:1: ", "env.syntax"),
    (GOOD, "A=1\nHTTPS_PROXY=x\n", "x.env:2: ", "env.dangerous-key"),
    ("services:\n  a:\n    image: x:${HOME}\n", "X=1\n", "compose.yaml:3: ", "interpolate.unset"),
    (GOOD, "A=1\nA=2\n", "x.env:2: ", "env.duplicate-key"),
    (GOOD, "A=1\nCLOUD_BASE_URL=${OTHER:-x}\n", "x.env:2: ", "env.unexpanded"),
    (GOOD, "no equals sign\n", "x.env:1: ", "env.syntax"),
])
def test_render_refuses_with_place_and_id(ctl, compose, env, place, identifier):
    path = ctl.write("compose.yaml", compose)
    if env is not None:
        ctl.write("x.env", env)
    p = ctl.run("render", "--env-file", os.path.join(ctl.root, "x.env"), path)
    assert (p.returncode, p.stdout) == (1, ""), p
    assert place in p.stderr and f"[{identifier}" in p.stderr, p.stderr
    p = ctl.run("render", "--env-file", os.path.join(ctl.root, "x.env"), path, "--json")
    assert p.returncode == 1 and json.loads(p.stdout)["error"]["id"].startswith(identifier)


def test_render_needs_the_file(ctl):
    p = ctl.run("render", "--env-file", ctl.write("x.env", "A=1\n"), "nowhere.yaml")
    assert p.returncode == 1 and "nowhere.yaml" in p.stderr


# env

def test_env_check_of_good_files(ctl):
    ctl.env_files()
    p = ctl.run("env", "check")
    assert p.returncode == 0, p.stderr
    assert len(p.stdout.splitlines()) == 2 and "required keys present" in p.stdout
    document = json.loads(ctl.run("env", "check", "--json").stdout)
    assert [f["ok"] for f in document["files"]] == [True, True]


@pytest.mark.parametrize("agent,secbox,identifier", [
    (AGENT_ENV, "CLOUD_BASE_URL=http://127.0.0.1:9\nDEVICE_ID=\n", "env.missing-keys"),
    (AGENT_ENV, "CLOUD_BASE_URL=${CLOUD_BASE_URL:-x}\nDEVICE_ID=caseta5\n", "env.unexpanded"),
    (AGENT_ENV, "CLOUD_BASE_URL : x\n", "env.syntax"),
    ("CLOUD_BASE_URL=http://127.0.0.1:9\n", SECBOX_ENV, "env.missing-keys"),
    (AGENT_ENV + "NO_SUCH_SETTING=1\n", SECBOX_ENV, "env.unknown-key"),
    (AGENT_ENV + "PODMAN_USER=nobody-of-that-name\n", SECBOX_ENV, "podman.no-user"),
])
def test_env_check_finds(ctl, agent, secbox, identifier):
    ctl.env_files(agent, secbox)
    p = ctl.run("env", "check")
    assert p.returncode == 1 and f"[{identifier}]" in p.stderr, p
    assert "boot-secret-1" not in p.stdout + p.stderr
    document = json.loads(ctl.run("env", "check", "--json").stdout)
    assert identifier in [f.get("error", {}).get("id") for f in document["files"]]


def test_env_check_of_missing_files(ctl):
    p = ctl.run("env", "check")
    assert p.returncode == 1 and p.stderr.count("[env.missing]") == 2


def test_env_check_of_mode_and_owner(ctl):
    _, secbox = ctl.env_files()
    os.chmod(secbox, 0o640)
    p = ctl.run("env", "check")
    assert p.returncode == 1 and "[env.bad-mode]" in p.stderr and f"chmod 0600 {secbox}" in p.stderr
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chmod(secbox, 0o600)
    os.chown(secbox, pwd.getpwnam("nobody").pw_uid, -1)
    p = ctl.run("env", "check")
    assert p.returncode == 1 and "[env.bad-owner]" in p.stderr and "run chown" in p.stderr


def test_env_show_hides_secrets(ctl):
    agent, secbox = ctl.env_files()
    p = ctl.run("env", "show")
    assert p.returncode == 0, p.stderr
    assert "caseta5" in p.stdout and "shown" in p.stdout and "(hidden)" in p.stdout
    document = ctl.run("env", "show", "--json").stdout
    for text in (p.stdout, document):
        assert "boot-secret-1" not in text and "hunter22" not in text
    files = json.loads(document)["files"]
    assert files[secbox]["DB_PASSWORD"] == "(hidden)" and files[agent]["DEVICE_ID"] == "caseta5"


def test_env_ensure(ctl, agent):
    agent.answers["env.ensure"] = [{"type": "env.report", "created": True}]
    p = ctl.run("env", "ensure")
    assert p.returncode == 0 and "was created" in p.stdout
    agent.answers["env.ensure"] = [{"type": "env.report", "created": False}]
    assert json.loads(ctl.run("env", "ensure", "--json").stdout) == {"created": False}
    agent.answers["env.ensure"] = [{"type": "env.report", "created": False,
                                    "error": {"id": "env.missing-keys", "message": "no DEVICE_ID", "file": "f"}}]
    p = ctl.run("env", "ensure")
    assert p.returncode == 1 and p.stderr == "f: no DEVICE_ID [env.missing-keys]\n"


# the agent's verbs

@pytest.mark.parametrize("args", [["status"], ["history"], ["rollback"], ["env", "ensure"], ["plan", "compose.yaml"],
                                  ["apply", "compose.yaml"]])
def test_no_agent(ctl, args):
    ctl.write("compose.yaml", GOOD)
    p = ctl.run(*args, "--json")
    assert p.returncode == 3 and "systemctl status mgmt-agent" in p.stderr
    assert json.loads(p.stdout)["error"]["id"] == "agent.unreachable"


def test_status(ctl, agent):
    p = ctl.run("status")
    assert p.returncode == 0, p.stderr
    assert "caseta5" in p.stdout and "registry.example/secbox:1" in p.stdout and "\x1b" not in p.stdout
    for line in ("/ is 92 % full [disk.full:/]", "/ 92 % full, 2.1 GiB of 28.3 GiB free",
                 "512 MiB of 7.7 GiB available, 23 MiB of swap in use", "0.4 0.3 0.2 on 4 processors, 12 % busy",
                 "sda well, 34 degrees, 4 % of its life used", "1.2 GiB images, 340 MiB volumes, 12 MiB written"):
        assert line in p.stdout, p.stdout
    assert "database" not in p.stdout, "there is no secbox to ask"
    assert json.loads(ctl.run("status", "--json").stdout) == STATUS
    assert all(r["type"] == "status.get" and r["id"] for r in agent.requests)
    assert len({r["id"] for r in agent.requests}) == 2


def test_the_socket_can_be_named(ctl, agent):
    p = subprocess.run([program("secboxctl"), "--socket", agent.path, "status"], env=ctl.env, capture_output=True, text=True,
                       check=False)
    assert p.returncode == 0, p.stderr
    p = ctl.run("--socket", "/" + "x" * 200, "status")
    assert p.returncode == 3 and "longer" in p.stderr


def test_messages_about_something_else_are_skipped(ctl, agent):
    agent.answers["status.get"] = [
        {"type": "compose.progress", "id": "other", "version": "1", "phase": "pull", "state": "started", "seq": 1, "at": "T"},
        {"type": "status.report", "id": "other", "status": {}},
        {"type": "something.new", "x": 1},
        {"type": "status.report", "status": STATUS}]
    p = ctl.run("status", "--json")
    assert p.returncode == 0 and json.loads(p.stdout) == STATUS, p.stderr


@pytest.mark.parametrize("answers,identifier", [
    ([None], "agent.closed"),
    (["not json\n"], "agent.bad-answer"),
    (["{\"type\":\"status.report\"", None], "agent.closed"),
    (["{\"type\":\"status.report\",\"id\":\"x\"}\n"], "agent.bad-answer"),
])
def test_an_agent_that_fails(ctl, agent, answers, identifier):
    agent.answers["status.get"] = answers
    p = ctl.run("status")
    assert p.returncode == 3 and f"[{identifier}]" in p.stderr, p


def test_an_agent_that_refuses(ctl, agent):
    agent.answers["history.get"] = [{"type": "error", "error": {"id": "agent.busy", "message": "a push runs"}}]
    p = ctl.run("history")
    assert p.returncode == 1 and p.stderr == "secboxctl: a push runs [agent.busy]\n"


def test_history(ctl, agent):
    entries = [{k: v for k, v in result(500, "rolled-back", "prove", error={"id": "x.y", "message": "why"}).items()
                if k != "type"}]
    agent.answers["history.get"] = [{"type": "history.report", "entries": entries}]
    p = ctl.run("history", "--limit", "3")
    assert p.returncode == 0 and "rolled-back" in p.stdout and "why [x.y]" in p.stdout
    assert agent.request("history.get")["limit"] == 3
    assert json.loads(ctl.run("history", "--json").stdout) == {"entries": entries}


def test_plan(ctl, agent):
    plan = {"changes": 1, "steps": [{"service": "secbox", "action": "create", "container": "secbox", "reason": "new"}]}
    agent.answers["compose.plan"] = [{"type": "compose.plan.result", "status": 200, "phase": "preflight", "plan": plan}]
    path = ctl.write("compose.yaml", GOOD)
    p = ctl.run("plan", path)
    assert p.returncode == 0 and "1 of 1 would change" in p.stdout
    assert agent.request("compose.plan")["compose"] == GOOD
    assert json.loads(ctl.run("plan", path, "--json").stdout) == {"plan": plan}

    agent.answers["compose.plan"] = [{"type": "compose.plan.result", "status": 422, "phase": "policy",
                                      "error": {"id": "policy.refused", "message": "no", "file": "c", "line": 4, "key": "k"}}]
    p = ctl.run("plan", path)
    assert p.returncode == 1 and p.stderr == "c:4: no [policy.refused] (k)\n"


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_a_faulty_file_is_not_sent(ctl, agent, verb):
    path = ctl.write("compose.yaml", "services:\n  a:\n    imagee: x\n")
    p = ctl.run(verb, path)
    assert p.returncode == 1 and p.stderr.startswith(f"{path}:3: ") and "[compose.unknown-key]" in p.stderr
    assert not agent.requests
    p = ctl.run(verb, ctl.write("cut.yaml", GOOD + "\0"))
    assert p.returncode == 1 and "[yaml.syntax]" in p.stderr and not agent.requests, p


def test_apply_shows_it_live(ctl, agent):
    agent.answers["compose.snapshot"] = [
        progress(1, "parse", "started", 5), progress(2, "parse", "done", 5), progress(3, "apply", "started", 6),
        progress(4, "apply", "info", 7, service="secbox", message="replacing"), progress(5, "apply", "done", 9),
        result(services=[{"name": "secbox", "action": "replace", "image": "registry.example/secbox:1"}])]
    p = ctl.run("apply", ctl.write("compose.yaml", GOOD))
    assert p.returncode == 0, p.stderr
    assert p.stdout.splitlines() == [
        "  parse                    ok         0.0 s",
        "    secbox: replacing",
        "  apply                    ok         3.0 s",
        "version 7: done, 200 (3.5 s)",
        "  secbox                   replace  registry.example/secbox:1",
    ]
    sent = agent.request("compose.snapshot")
    assert (sent["version"], sent["deviceId"], sent["compose"]) == ("0", "local", GOOD)
    assert sent["issuedAt"].endswith("Z") and sent["id"]


def test_apply_and_rollback_that_fail(ctl, agent):
    failed = [progress(1, "prove", "started", 5), result(500, "recovery", "prove", error={"id": "x.y", "message": "why"})]
    agent.answers["compose.snapshot"] = agent.answers["compose.rollback"] = failed
    for args in (["apply", ctl.write("compose.yaml", GOOD)], ["rollback"]):
        p = ctl.run(*args)
        assert p.returncode == 1 and "why [x.y]" in p.stdout and "bridge SSH" in p.stdout
        p = ctl.run(*args, "--json")
        lines = [json.loads(line) for line in p.stdout.splitlines()]
        assert p.returncode == 1 and [m["type"] for m in lines] == ["compose.progress", "compose.result"]


def test_apply_whose_agent_dies(ctl, agent):
    agent.answers["compose.snapshot"] = [progress(1, "apply", "started", 5), None]
    p = ctl.run("apply", ctl.write("compose.yaml", GOOD))
    assert p.returncode == 3 and "secboxctl history" in p.stderr


def test_apply_that_takes_too_long(ctl, agent):
    agent.answers["compose.snapshot"] = [progress(1, "apply", "started", 5)]
    p = ctl.run("apply", ctl.write("compose.yaml", GOOD), "--timeout", "1")
    assert p.returncode == 3 and "[agent.timeout]" in p.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("args", [["status"], ["doctor"], ["history"], ["env", "check"], ["env", "show"], ["sessions"]],
                         ids=" ".join)
def test_without_sudo_it_says_so_and_nothing_else(folder, args):
    os.chmod(folder, 0o755)
    copied = shutil.copy(program("secboxctl"), folder)
    p = subprocess.run(["setpriv", "--reuid=nobody", "--clear-groups", copied, *args], capture_output=True, text=True, check=False,
                       cwd="/")
    assert (p.returncode, p.stdout) == (3, ""), p
    assert p.stderr == ("secboxctl: only root may look after this box: run it as root, or with sudo in front "
                        "[agent.not-allowed]\n")


# doctor

def check(ctl, name):
    return next(c for c in json.loads(ctl.run("doctor", "--json").stdout)["checks"] if c["id"] == name)


def test_doctor_of_a_box_that_is_not_there(ctl):
    p = ctl.run("doctor", "--json")
    assert p.returncode == 1, p.stderr
    document = json.loads(p.stdout)
    verdicts = {c["id"]: c["result"] for c in document["checks"]}
    assert verdicts["agent"] == verdicts["mgmt-agent.env"] == "fail" and verdicts["secbox.env"] == "pass"
    assert verdicts["tunnel"] == verdicts["dns"] == "unknown" and verdicts["clock"] == "pass"
    assert all(c["detail"] for c in document["checks"])
    assert all(c["advice"] for c in document["checks"] if c["result"] != "pass")
    assert document["passed"] + document["failed"] + document["unknown"] == len(document["checks"])

    p = ctl.run("doctor")
    assert p.returncode == 1 and len(p.stdout.splitlines()) == len(document["checks"]) + 2


def test_doctor_without_podman(ctl):
    ctl.env["PATH"] = ctl.root
    checks = {c["id"]: c for c in json.loads(ctl.run("doctor", "--json").stdout)["checks"]}
    assert checks["podman"]["result"] == checks["podman-compose"]["result"] == "fail"
    assert checks["podman"]["remedy"] == "apt-get install -y podman"
    assert checks["podman"]["advice"] == "Run `apt-get install -y podman`."
    assert checks["space-podman"]["result"] == "unknown"


def test_doctor_of_a_box_that_works(ctl, agent):
    ctl.env_files()
    os.makedirs(os.path.join(ctl.root, "var/lib/tucomunidad"))
    info = json.dumps({"version": {"Version": "4.3.1"}, "store": {"graphRoot": ctl.root, "graphDriverName": "overlay"}})
    ctl.write("podman", f"#!/bin/sh\n[ \"$1\" = info ] && echo '{info}'\n", 0o755)
    ctl.write("podman-compose", "#!/bin/sh\necho \"['podman', '--version', '']\"\necho 'podman-composer version  1.0.3'\n", 0o755)
    ctl.env["PATH"] = ctl.root
    p = ctl.run("doctor", "--json")
    checks = {c["id"]: c for c in json.loads(p.stdout)["checks"]}
    for name in ("agent", "mgmt-agent.env", "secbox.env", "tunnel", "podman", "podman-compose", "binds", "services", "clock",
                 "dns"):
        assert checks[name]["result"] == "pass", checks[name]
    assert checks["podman"]["detail"].startswith("podman 4.3.1 answers")
    assert checks["podman-compose"]["detail"] == "podman-compose 1.0.3, strategy classic"
    assert ctl.root in checks["space-podman"]["detail"]

    # what this machine's clock and disk say decides the rest
    verdicts = [c["result"] for c in checks.values()]
    assert p.returncode == (1 if "fail" in verdicts else 3 if "unknown" in verdicts else 0)

    ctl.write("podman", "#!/bin/sh\nprintf 'a warning\\nError: cannot open storage\\n' >&2\nexit 125\n", 0o755)
    agent.answers["status.get"] = [{"type": "status.report", "status": {**STATUS, "link": {
        "connected": False, "gateway": "wss://cloud.example/mgmt", "since": "2026-01-02T03:04:05.000Z",
        "nextTryAt": "2026-01-02T03:04:35.000Z", "error": {"id": "ws.refused", "message": "HTTP 503"}},
        "unsafeBinds": [{"service": "web", "source": "/srv/x", "problem": "do: chown root: /srv"}]}}]
    p = ctl.run("doctor", "--json")
    checks = {c["id"]: c for c in json.loads(p.stdout)["checks"]}
    assert p.returncode == 1
    assert checks["podman"]["result"] == "fail"
    assert checks["podman"]["detail"] == "podman info: exit status 125: Error: cannot open storage"
    assert checks["tunnel"]["result"] == "fail" and "HTTP 503" in checks["tunnel"]["detail"]
    assert checks["tunnel"]["since"] == "2026-01-02T03:04:05.000Z"
    assert "2026-01-02T03:04:05.000Z" in next(line for line in ctl.run("doctor").stdout.splitlines() if line.startswith("tunnel"))
    assert "; next try: 2026-01-02T03:04:35.000Z (" in checks["tunnel"]["detail"]
    shown = ctl.run("status").stdout
    assert re.search(r"^next try +2026-01-02T03:04:35.000Z \(.* (ago|min|s|h|days)\)$", shown, re.M), shown
    assert "not connected to wss://cloud.example/mgmt since 2026-01-02T03:04:05.000Z (" in shown
    assert checks["binds"]["result"] == "fail"
    assert checks["binds"]["detail"] == "1 unsafe mount: /srv/x of service web: do: chown root: /srv"


ADD = "secbox-fleet devices bootstrap caseta5 || secbox-fleet devices add caseta5"


@pytest.mark.parametrize("identifier, message, remedy, says", [
    ("bootstrap.invalid", "the bootstrap token does not belong to this device", ADD, "as BOOTSTRAP"),
    ("device.unknown", 'no device "caseta5" is registered here', ADD, "as BOOTSTRAP"),
    ("device.key-unknown", "this is not the key", "secbox-fleet devices bootstrap caseta5", "as BOOTSTRAP"),
    ("bootstrap.expired", "it has expired", "secbox-fleet devices bootstrap caseta5", "as BOOTSTRAP"),
    ("device.blocked", "device caseta5 is blocked", "secbox-fleet devices unblock caseta5", "audit log"),
    ("stream.tls", "the certificate of c:443 is refused: certificate has expired", None, "Renew it on the gateway's machine"),
    ("stream.tls", "the certificate of c:443 is refused: hostname mismatch", None, "with the name by which this box calls it"),
    ("stream.resolve", "c is an unknown name", None, "See the check `dns`"),
    ("ws.refused", "HTTP 503", None, "journalctl -u mgmt-link"),
])
def test_doctor_says_why_there_is_no_tunnel(ctl, agent, identifier, message, remedy, says):
    ctl.env_files()
    agent.answers["status.get"] = [{"type": "status.report", "status": {**STATUS, "link": {
        "connected": False, "gateway": "wss://c/mgmt", "since": "2026-01-02T03:04:05.000Z",
        "error": {"id": identifier, "message": message}}}}]
    found = check(ctl, "tunnel")
    assert found["result"] == "fail" and message in found["detail"] and says in found["advice"], found
    assert found.get("remedy") == remedy and found["since"] == "2026-01-02T03:04:05.000Z", found
    assert found.get("remedyFor") == ("operator" if remedy else None)


class Portal(http.server.BaseHTTPRequestHandler):
    leads = True

    def do_GET(self):
        self.send_response(302 if self.leads else 200)
        if self.leads:
            self.send_header("Location", "http://portal.example/login\x1b[2J?from=box")
        self.end_headers()

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


@pytest.mark.parametrize("leads", [True, False])
def test_doctor_sees_that_something_answers_in_the_gateways_place(ctl, agent, leads):
    ctl.env_files()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("It", (Portal,), {"leads": leads})) as portal:
        threading.Thread(target=portal.serve_forever, daemon=True).start()
        at = f"127.0.0.1:{portal.server_address[1]}"
        agent.answers["status.get"] = [{"type": "status.report", "status": {**STATUS, "link": {
            "connected": False, "gateway": f"wss://{at}/mgmt",
            "error": {"id": "stream.tls", "message": f"{at} does not speak TLS: is it a TLS port?"}}}}]
        found = check(ctl, "tunnel")
        portal.shutdown()
    if leads:
        assert "in its place and leads to http://portal.example/login?[2J?from=box" in found["detail"], found
        assert "a captive portal" in found["advice"]
    else:
        assert "answers there in plain HTTP" in found["detail"] and "check the port" in found["advice"], found
    found = check(ctl, "tunnel")
    assert "journalctl -u mgmt-link" in found["advice"], "nobody answers at all"


def test_doctor_does_not_hang_on_a_podman_that_does(ctl):
    ctl.write("podman", "#!/bin/sh\nexec sleep infinity\n", 0o755)
    ctl.write("podman-compose", "#!/bin/sh\nexec sleep infinity\n", 0o755)
    ctl.env["PATH"] = f"{ctl.root}:{ctl.env['PATH']}"
    ctl.env_files()
    checks = {c["id"]: c for c in json.loads(ctl.run("doctor", "--json").stdout)["checks"]}
    assert checks["podman"]["result"] == "fail" and "podman does not answer" in checks["podman"]["detail"]
    assert checks["podman-compose"]["result"] == "unknown"


HOLDER = """import fcntl, sys, time
f = open(sys.argv[1], "w")
fcntl.lockf(f, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(9999)
"""


@pytest.mark.parametrize("ours", [False, True])
def test_doctor_names_who_holds_podmans_lock_and_ends_nobody_of_ours(ctl, ours):
    ctl.write("podman", "#!/bin/sh\nexec sleep infinity\n", 0o755)
    ctl.env["PATH"] = f"{ctl.root}:{ctl.env['PATH']}"
    ctl.env_files()
    lock = ctl.write("containers/storage.lock", "")
    env = {**ctl.env, "SECBOX_WORKER": f"{ctl.root}/var/lib/tucomunidad/mgmt-agent"} if ours else ctl.env
    with subprocess.Popen([sys.executable, "-c", HOLDER, lock], env=env, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            found = check(ctl, "podman")
        finally:
            holder.kill()
    assert f"process {holder.pid} (python3" in found["detail"] and lock in found["detail"], found
    assert (found.get("remedy") or "").endswith("" if ours else f" && kill {holder.pid}") and ("remedy" in found) != ours, found
    assert found["advice"].startswith("Wait for it" if ours else "Run `test ")


def test_doctor_has_root_type_nothing_that_podman_can_be_made_to_say(ctl):
    ctl.env["PATH"] = f"{ctl.root}:{ctl.env['PATH']}"
    ctl.env_files()

    def named(path):
        ctl.write("message", f'Error: reading "{path}": toml: line 1\n', 0o644)
        ctl.write("podman", f"#!/bin/sh\ncat {ctl.root}/message >&2\nexit 125\n", 0o755)
        return check(ctl, "podman")

    good = ctl.write("containers/site.conf", "")
    assert named(good)["remedy"] == f"mv {good} {good}.broken"
    os.symlink(good, f"{ctl.root}/containers/link.conf")
    os.symlink("containers", f"{ctl.root}/else")
    bad = [f"containers/{name}.conf" for name in ("a$(id)", "a|id", "a&id", "a{b,c}", "*", "~")] + ["other/site.conf"]
    for path in bad:
        ctl.write(path, "")
    for path in bad + ["containers/link.conf", "else/site.conf", "containers/../containers/site.conf"]:
        found = named(f"{ctl.root}/{path}")
        assert found["result"] == "fail" and "remedy" not in found and found["advice"], found


def type_it(command):
    subprocess.run(["sh", "-euc", command], check=True)


def test_doctor_mends_a_secbox_env_that_lacks_keys_and_leaves_the_operators_lines(ctl):
    own = "PLAIN=shown\nDB_PASSWORD='hunter 22'"
    _, path = ctl.env_files(secbox=f"DEVICE_GATEWAY_URL=ws://127.0.0.1:9/device\n{own}")
    type_it(check(ctl, "secbox.env")["remedy"])
    assert check(ctl, "secbox.env")["result"] == "pass"
    with open(path, encoding="utf-8") as f:
        assert own in f.read()
    for secbox in ("CLOUD_BASE_URL=http://127.0.0.1:9\nDEVICE_ID=\n", "export DEVICE_ID=''\n"):
        ctl.env_files(secbox=secbox)  # one more line would be a second one
        found = check(ctl, "secbox.env")
        assert "remedy" not in found and "DEVICE_ID" in found["detail"] and found["advice"]


def test_doctor_says_what_starts_services_at_once(ctl, agent):
    down = {"what": "down", "since": "2026-01-02T03:04:05.000Z", "exitCode": 1, "restarts": 1}
    watched = [{"name": "secbox", "state": "down", "since": down["since"], "trouble": down}]
    agent.answers["status.get"] = [{"type": "status.report", "status": {**STATUS, "watched": watched}}]
    ctl.env_files()

    assert check(ctl, "services")["remedy"].endswith("podman start secbox")
    watched[0]["state"] = "running"
    assert check(ctl, "services")["result"] == "pass", "it runs again"


def test_doctor_names_who_has_taken_a_port(ctl, agent):
    down = {"what": "down", "since": "2026-01-02T03:04:05.000Z", "exitCode": 1, "restarts": 1}
    agent.answers["status.get"] = [{"type": "status.report", "status": {
        **STATUS, "watched": [{"name": "secbox", "state": "down", "since": down["since"], "trouble": down}]}}]
    ctl.env_files()
    port = free_port()
    ctl.env["PATH"] = f"{ctl.root}:{ctl.env['PATH']}"

    def publish(address, running="false"):
        bindings = json.dumps({"80/tcp": [{"HostIp": address, "HostPort": str(port)}]})
        ctl.write("podman", f"#!/bin/sh\n[ \"$1 $2 $5\" != 'container inspect secbox' ] || echo '{running} {bindings}'\n", 0o755)
        return check(ctl, "services")

    with subprocess.Popen([sys.executable, "-m", "http.server", "--bind", "127.0.0.2", str(port)],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as thief:
        try:
            wait_until(lambda: port_answers(port, "127.0.0.2"), "somebody listens")
            for address in ("127.0.0.1", "::1"):
                assert publish(address)["remedy"].endswith("podman start secbox"), "another address is no reason"
            assert "is taken" not in publish("", "true")["detail"], "it runs by now, and has the port itself"
            for address in ("127.0.0.2", "0.0.0.0", "::"):
                assert f"port {port} that it wants is taken" in publish(address)["detail"], address
            found = publish("")
            assert f"port {port} that it wants is taken by process {thief.pid}" in found["detail"] and found["since"], found
            command = found["remedy"].rpartition(" && ")[0]
            if "kill" in command:  # else it names the unit in which this test runs
                assert command.endswith(f" && kill {thief.pid}")
                subprocess.run(["sh", "-c", command], check=True)
                thief.wait()
        finally:
            thief.kill()
    assert check(ctl, "services")["remedy"].endswith("podman start secbox")


@pytest.mark.parametrize("back", [None, "3"])
def test_doctor_says_why_an_image_cannot_come(ctl, agent, back):
    since = "2026-01-02T03:04:05.000Z"
    ctl.env_files()
    ctl.env["PATH"] = f"{ctl.root}:{ctl.env['PATH']}"
    info = json.dumps({"version": {"Version": "4.3.1"}})
    ctl.write("podman", f"#!/bin/sh\ncase $1 in info) echo '{info}' ;; image) [ -e {ctl.root}/here ] ;; *) exit 1 ;; esac\n", 0o755)

    def look(image):
        agent.answers["status.get"] = [{"type": "status.report", "status": {
            **STATUS, "services": [], "watched": [{"name": "web", "state": "stopped by hand", "since": since, "image": image}],
            **({"wayBack": back} if back else {})}}]
        return check(ctl, "images")

    with socket.create_server(("127.0.0.1", 0)) as registry:
        at = f"127.0.0.1:{registry.getsockname()[1]}"
        found = look(f"{at}/web:1")
        assert found["result"] == "fail" and f"its image {at}/web:1 is not on this box" in found["detail"], found
        assert "which pulls it" in found["advice"] and "remedy" not in found and found["since"] == since, found
    found = look(f"{at}/web:1")
    assert found["detail"].endswith(f"the registry {at} does not answer: Connection refused"), found
    assert found.get("remedy") == ("secboxctl rollback" if back else None) and "registry brought back" in found["advice"], found
    found = look("registry.invalid/web:1")
    assert found["detail"].endswith("the registry registry.invalid does not answer: its name does not resolve"), found
    found = look("localhost/web:1")
    assert "Make or load it again" in found["advice"] and "remedy" not in found, found
    ctl.write("here", "")
    assert look(f"{at}/web:1")["result"] == "pass", "it is only the container that is gone"


def test_doctor_names_services_that_are_not_well(ctl, agent):
    trouble = {"what": "restarting", "since": "2026-01-02T03:04:05.000Z", "exitCode": 7, "restarts": 4, "log": "starts\nno camera"}
    over = {**trouble, "until": "2026-01-02T04:04:05.000Z"}
    watched = [{"name": "web", "state": "restarting", "since": trouble["since"], "trouble": trouble},
               {"name": "db", "state": "running", "since": trouble["since"], "trouble": over},
               {"name": "tool", "state": "stopped by hand", "since": trouble["since"]}]

    def look():
        agent.answers["status.get"] = [{"type": "status.report", "status": {**STATUS, "watched": watched}}]
        return check(ctl, "services")

    found = look()
    assert found["result"] == "fail" and "podman logs" in found["advice"]
    assert found["detail"] == "web: restarting since 2026-01-02T03:04:05.000Z, exit code 7, restarted 4 times: no camera"
    del watched[0]
    since = trouble["since"]
    assert look() == {"id": "services", "result": "pass",
                      "detail": f"2 deployed, none is down; stopped by hand: tool since {since}"}
    p = ctl.run("status")
    assert "tool" in p.stdout and "stopped by hand" in p.stdout
    # the alarm says how long is too long
    watched[1]["trouble"] = {"what": "stopped by hand", "since": since, "exitCode": 143, "restarts": 0}
    found = look()
    assert found["result"] == "fail" and found["detail"] == f"tool: stopped by hand since {since}", found
    assert "leaves it to people" in found["advice"] and "remedy" not in found, "its container is gone"
    watched[1]["state"] = "running"
    assert look()["result"] == "pass", "it runs again, and is watched for a while"


@pytest.mark.parametrize("args", [[], ["nonsense"], ["env"], ["plan", "a", "b"], ["apply", "a", "b"], ["--nonsense"],
                                  ["render", "a", "b"],
                                  ["history", "--limit", "many"], ["rollback", "--timeout", "0"], ["status", "--json=x"]])
def test_usage_errors(ctl, args):
    p = ctl.run(*args)
    assert (p.returncode, p.stdout) == (2, ""), p
    assert p.stderr.startswith("secboxctl: ")

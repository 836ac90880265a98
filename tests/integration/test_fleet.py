# SPDX-License-Identifier: MIT
"""secbox-fleet against an imitated gateway: what it sends, shows and exits with."""
import contextlib
import datetime
import json
import os
import pty
import subprocess

import pytest

from tests.conftest import require_programs
from tests.integration.fake_agent import STATUS
from tests.integration.fake_gateway import TOKEN, FakeGateway, error
from tests.lab.util import free_port, program

GOOD = "services:\n  secbox:\n    image: registry.example/secbox:1\n    environment:\n      URL: ${CLOUD_BASE_URL:-x}\n"
UNCLOSED = "services:\n  secbox:\n    image: registry.example/secbox:1\n    environment:\n      URL: ${CLOUD_BASE_URL:-x\n"
UNKNOWN_KEY = "services:\n  secbox:\n    imagee: registry.example/secbox:1\n"
NOT_YAML = "services:\n  secbox: [\n"
PRIVILEGED = "services:\n  secbox:\n    image: registry.example/secbox:1\n    privileged: true\n"

EVENTS = [
    {"phase": "parse", "state": "started", "seq": 1, "at": "2026-01-02T03:04:05.000Z"},
    {"phase": "parse", "state": "done", "seq": 2, "at": "2026-01-02T03:04:05.000Z"},
    {"phase": "prove", "state": "started", "seq": 3, "at": "2026-01-02T03:04:06.000Z"},
    {"phase": "prove", "state": "done", "seq": 4, "at": "2026-01-02T03:04:16.000Z"},
]
DONE = {"version": "7", "status": 200, "outcome": "done", "phase": "done", "seconds": 12.0, "at": "2026-01-02T03:04:17.000Z",
        "services": [{"name": "secbox", "action": "replace", "image": "registry.example/secbox:1"}]}
ROLLED_BACK = {"version": "7", "status": 500, "outcome": "rolled-back", "phase": "prove", "at": "2026-01-02T03:04:17.000Z",
               "error": {"id": "prove.unhealthy", "message": "secbox is unhealthy", "service": "secbox",
                         "log": ["starting", "no database\u001b[2J"]}}


class Fleet:
    def __init__(self, folder, gateway):
        self.folder = folder
        self.gateway = gateway
        self.env = {"PATH": os.environ["PATH"], "HOME": folder, "LANG": "C.UTF-8", "SECBOX_GATEWAY": gateway.url,
                    "SECBOX_TOKEN": TOKEN}

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def run(self, *args):
        return subprocess.run([program("secbox-fleet"), *args], env=self.env, capture_output=True, text=True, check=False,
                              cwd=self.folder)


@pytest.fixture(name="fleet")
def fleet_fixture(folder):
    require_programs("secbox-fleet")
    with FakeGateway() as gateway:
        yield Fleet(folder, gateway)


def test_devices_add_prints_only_the_token_on_stdout(fleet):
    p = fleet.run("devices", "add", "caseta5", "--label", "site=norte,ring=canary")
    assert (p.returncode, p.stdout) == (0, "boot-strap.token\n"), p.stderr
    assert "caseta5" in p.stderr and "2026-01-03" in p.stderr
    assert fleet.gateway.bodies("POST", "/v1/devices") == [{"id": "caseta5", "labels": {"site": "norte", "ring": "canary"}}]

    p = fleet.run("devices", "add", "caseta5", "--json")
    assert p.returncode == 1
    assert json.loads(p.stdout)["error"]["id"] == "device.exists"
    assert "is there already" in p.stderr


@pytest.mark.parametrize("label", ["novalue", "=x", "a=1,a=2", "a=1,,b=2"])
def test_bad_labels_are_usage_errors(fleet, label):
    p = fleet.run("devices", "add", "caseta5", "--label", label)
    assert p.returncode == 2 and "--label" in p.stderr
    assert not fleet.gateway.requests


def test_devices_list_and_show(fleet):
    assert fleet.run("devices", "list").stdout == "no devices yet\n"
    fleet.gateway.devices["caseta5"] = {
        "id": "caseta5", "labels": {"site": "norte"}, "connected": True, "connectedSince": "2026-01-02T03:04:05.000Z",
        "peer": "192.0.2.7", "agentVersion": "0.1.0", "current": {"version": "42", "at": "T"}, "last": DONE,
        "recovery": {"state": "wedged", "open": True, "since": "2026-01-02T03:04:05.000Z", "reasons": ["sshd is silent"]},
        "services": [{"name": "web", "state": "down"}, {"name": "db", "state": "running"}, {"name": "job", "state": "ended"}]}
    fleet.gateway.devices["well"] = {
        "id": "well", "connected": True, "last": {**DONE, "outcome": "rolled-back", "kind": "update"},
        "services": [{"name": "web", "state": "running"}]}
    fleet.gateway.devices["evil"] = {"id": "evil\u001b[31m", "connected": False}

    p = fleet.run("devices", "list")
    assert p.returncode == 0, p.stderr
    rows = p.stdout.splitlines()
    assert rows[0].split() == ["ID", "CONNECTED", "SINCE", "LAST", "SEEN", "AGENT", "VERSION", "LAST", "CHANGE", "SERVICES",
                               "LABELS"]
    assert rows[1].split() == ["caseta5", "yes", "2026-01-02T03:04:05.000Z", "now", "0.1.0", "42", "done", "web", "down",
                               "site=norte"]
    assert rows[2].split() == ["well", "yes", "-", "now", "-", "-", "rolled-back", "(update)", "ok", "-"]
    assert rows[3].split()[-2:] == ["-", "-"]
    assert "\x1b" not in p.stdout

    p = fleet.run("devices", "show", "caseta5")
    assert p.returncode == 0 and "192.0.2.7" in p.stdout and "web down" in p.stdout and "version 7: done, 200" in p.stdout
    assert "wedged, open since 2026-01-02T03:04:05.000Z" in p.stdout and "sshd is silent" in p.stdout
    p = fleet.run("devices", "show", "caseta5", "--json")
    assert json.loads(p.stdout)["device"]["id"] == "caseta5"
    p = fleet.run("devices", "show", "a/b?c")
    assert p.returncode == 1 and "http.not-found" in p.stderr
    assert fleet.gateway.requests[-1][1] == "/v1/devices/a/b?c"


def test_when_a_box_was_seen_last(fleet):
    def ago(**distance):
        at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**distance)
        return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")

    fleet.gateway.devices["away"] = {"id": "away", "connected": False, "lastSeenAt": ago(minutes=3, seconds=20),
                                     "createdAt": ago(days=9)}
    fleet.gateway.devices["new"] = {"id": "new", "connected": False}
    rows = fleet.run("devices", "list").stdout.splitlines()
    assert rows[1].split()[:6] == ["away", "no", "-", "3", "min", "ago"] and rows[2].split()[:4] == ["new", "no", "-", "-"]
    shown = fleet.run("devices", "show", "away").stdout
    assert "Z (3 min ago)" in shown and "Z (9 days ago)" in shown, shown


def test_a77_what_changes_a_box(fleet):
    fleet.gateway.devices["caseta5"] = {"id": "caseta5", "labels": {"site": "norte", "ring": "canary"}}
    p = fleet.run("devices", "bootstrap", "caseta5")
    assert (p.returncode, p.stdout) == (0, "new-strap.token\n") and "set up anew" in p.stderr
    p = fleet.run("devices", "relabel", "caseta5", "ring=", "floor=2")
    assert p.returncode == 0 and fleet.gateway.devices["caseta5"]["labels"] == {"site": "norte", "floor": "2"}, p
    assert "blocked" in fleet.run("devices", "block", "caseta5").stdout and fleet.gateway.devices["caseta5"]["blocked"]
    assert fleet.run("devices", "unblock", "caseta5").returncode == 0 and not fleet.gateway.devices["caseta5"]["blocked"]
    assert json.loads(fleet.run("devices", "remove", "caseta5", "--yes", "--json").stdout) == {"removed": "caseta5"}
    for verb in (["bootstrap"], ["block"], ["unblock"], ["remove", "--yes"]):
        p = fleet.run("devices", *verb, "caseta5")
        assert p.returncode == 1 and "no device" in p.stderr, p
    sent = len(fleet.gateway.requests)
    for bad in ("novalue", "=x"):
        assert fleet.run("devices", "relabel", "caseta5", bad).returncode == 2
    assert fleet.run("devices", "relabel", "caseta5", "a=1", "a=2").returncode == 2 and len(fleet.gateway.requests) == sent


def answer_on_a_terminal(fleet, answer, *args):
    """What the command prints on a terminal where somebody answers like this, and its exit status."""
    near, far = pty.openpty()
    with subprocess.Popen([program("secbox-fleet"), *args], env=fleet.env, stdin=far, stdout=far, stderr=far) as p:
        os.close(far)
        os.write(near, answer)
        said = b""
        with contextlib.suppress(OSError):  # EIO: the terminal's other side was closed
            while data := os.read(near, 4096):
                said += data
    os.close(near)
    return p.returncode, said.decode()


def test_a_box_is_not_forgotten_by_mistake(fleet):
    fleet.gateway.devices["caseta5"] = {"id": "caseta5"}
    p = fleet.run("devices", "remove", "caseta5")
    assert p.returncode == 2 and "--yes" in p.stderr and not fleet.gateway.requests
    for answer in (b"no\n", b"\n", b"yesterday, perhaps\n", b"\x04"):
        code, said = answer_on_a_terminal(fleet, answer, "devices", "remove", "caseta5")
        assert code == 1 and "forget caseta5 for good" in said and "nothing was done" in said, said
    assert "caseta5" in fleet.gateway.devices
    code, said = answer_on_a_terminal(fleet, b"yes\n", "devices", "remove", "caseta5")
    assert code == 0 and "is removed" in said and "caseta5" not in fleet.gateway.devices, said


@pytest.mark.parametrize("text,line,identifier", [
    (UNKNOWN_KEY, 3, "compose.unknown-key"),
    (NOT_YAML, None, "yaml."),
    (UNCLOSED, 5, "interpolate.syntax"),
    ("", None, ""),
])
@pytest.mark.parametrize("verb", ["push", "plan"])
def test_a_faulty_file_is_not_sent(fleet, verb, text, line, identifier):
    path = fleet.write("compose.yaml", text)
    p = fleet.run(verb, "caseta5", path)
    assert p.returncode == 1, p
    assert p.stderr.startswith(f"{path}:{line}: " if line else f"{path}:"), p.stderr
    assert f"[{identifier}" in p.stderr
    assert not fleet.gateway.requests

    p = fleet.run(verb, "caseta5", path, "--json")
    assert p.returncode == 1 and json.loads(p.stdout)["error"]["file"] == path


def test_a_missing_file_is_not_sent(fleet):
    p = fleet.run("push", "caseta5", "nowhere.yaml")
    assert p.returncode == 1 and "nowhere.yaml" in p.stderr
    assert not fleet.gateway.requests


def test_policy_findings_are_warnings(fleet):
    p = fleet.run("push", "caseta5", fleet.write("compose.yaml", PRIVILEGED))
    assert p.returncode == 0, p.stderr
    assert "compose.yaml:4: " in p.stderr and "unless its policy.json allows it" in p.stderr
    assert len(fleet.gateway.requests) == 1


def test_push_returns_when_it_was_taken(fleet):
    p = fleet.run("push", "caseta5", fleet.write("compose.yaml", GOOD), "--confirm-deadline", "60", "--reason", "new camera")
    assert p.returncode == 0, p.stderr
    assert "version 7" in p.stdout and "secbox-fleet history caseta5" in p.stdout
    assert fleet.gateway.bodies("POST", "/v1/devices/caseta5/compose-snapshot") == [
        {"compose": GOOD, "reason": "new camera", "confirmDeadlineSeconds": 60}]

    p = fleet.run("push", "caseta5", "compose.yaml", "--json")
    assert json.loads(p.stdout) == {"deployment": {"id": "d-7", "version": "7"}}


def test_rollback_asks_and_waits_as_a_push_does(fleet):
    p = fleet.run("rollback", "caseta5")
    assert p.returncode == 0 and "version 7 is on its way to caseta5" in p.stdout, p
    fleet.gateway.polls = [(EVENTS, DONE, "done")]
    p = fleet.run("rollback", "caseta5", "5", "--wait", "--reason", "door stuck", "--confirm-deadline", "60")
    assert p.returncode == 0 and "done" in p.stdout, p
    assert fleet.gateway.bodies("POST", "/v1/devices/caseta5/rollback") == [
        {}, {"to": "5", "reason": "door stuck", "confirmDeadlineSeconds": 60}]
    fleet.gateway.polls = [([], ROLLED_BACK, "rolled-back")]
    assert fleet.run("rollback", "caseta5", "--wait").returncode == 1
    fleet.gateway.offline = True
    assert fleet.run("rollback", "caseta5").returncode == 3


def test_an_agent_update_asks_and_waits_as_a_push_does(fleet):
    fleet.gateway.polls = [(EVENTS, DONE, "done")]
    p = fleet.run("agent", "update", "caseta5", "1.2.0", "--wait", "--reason", "a hole", "--confirm-deadline", "60")
    assert p.returncode == 0 and "done" in p.stdout, p
    assert fleet.gateway.bodies("POST", "/v1/devices/caseta5/agent-update") == [
        {"to": "1.2.0", "reason": "a hole", "confirmDeadlineSeconds": 60}]
    for words in (["--agent", "1.2.0", "registry.example/web:1"], ["--agent", "1.2.0", "--to", "sha256:0"],
                  ["--agent", "1.2.0", "--service", "web"]):
        p = fleet.run("rollout", "start", *words)
        assert p.returncode == 2 and "--agent stands alone" in p.stderr, p


def test_push_to_a_box_that_is_offline(fleet):
    fleet.gateway.offline = True
    for wait in ([], ["--wait"]):
        p = fleet.run("push", "caseta5", fleet.write("compose.yaml", GOOD), *wait)
        assert p.returncode == 3 and "device.offline" in p.stderr
    assert fleet.run("status", "caseta5").returncode == 3


def test_push_wait_shows_phases_and_the_end(fleet):
    fleet.gateway.polls = [(EVENTS[:2], None, "open"), ([], None, "open"), (EVENTS[1:3], None, "open"),
                           (EVENTS[3:], DONE, "done")]
    p = fleet.run("push", "caseta5", fleet.write("compose.yaml", GOOD), "--wait")
    assert p.returncode == 0, p.stderr
    assert p.stdout.splitlines() == [
        "version 7 to caseta5",
        "  parse                    ok         0.0 s",
        "  prove                    ok        10.0 s",
        "version 7: done, 200 (12.0 s)",
        "  secbox                   replace  registry.example/secbox:1",
    ]
    afters = [query.get("after") for _, path, query, _ in fleet.gateway.requests if path.endswith("/deployments/7")]
    assert afters == [None, "2", "2", "3"]
    assert all(0 <= int(query["wait"]) <= 20 for _, path, query, _ in fleet.gateway.requests[1:])


def test_push_wait_as_ndjson(fleet):
    fleet.gateway.polls = [(EVENTS, ROLLED_BACK, "rolled-back")]
    p = fleet.run("push", "caseta5", fleet.write("compose.yaml", GOOD), "--wait", "--json")
    assert p.returncode == 1
    assert [json.loads(line) for line in p.stdout.splitlines()] == [*EVENTS, ROLLED_BACK]


def test_push_wait_shows_why_it_failed(fleet):
    fleet.gateway.polls = [(EVENTS[:3], None, "open"), ([], ROLLED_BACK, "rolled-back")]
    p = fleet.run("push", "caseta5", fleet.write("compose.yaml", GOOD), "--wait")
    assert p.returncode == 1
    assert "  prove                    failed    11.0 s" in p.stdout
    assert "rolled-back, 500 in phase prove: secbox is unhealthy [prove.unhealthy]" in p.stdout
    assert "the box runs what it ran before" in p.stdout
    assert "    | no database?[2J" in p.stdout and "\x1b" not in p.stdout


def test_push_wait_outlives_a_restart_of_the_gateway(fleet):
    fleet.gateway.drop = 2
    fleet.gateway.fail_polls = [502, 503, 500]
    fleet.gateway.polls = [(EVENTS, DONE, "done")]
    p = fleet.run("push", "caseta5", fleet.write("compose.yaml", GOOD), "--wait")
    assert p.returncode == 0, p.stderr
    assert p.stderr.count("asking again") == 1
    assert len(fleet.gateway.bodies("POST", "/v1/devices/caseta5/compose-snapshot")) == 1


def test_push_wait_ends_at_its_timeout(fleet):
    fleet.gateway.polls = [(EVENTS[:1], None, "open")]
    p = fleet.run("push", "caseta5", fleet.write("compose.yaml", GOOD), "--wait", "--timeout", "1")
    assert p.returncode == 3 and "fleet.timeout" in p.stderr and "secbox-fleet history caseta5" in p.stderr
    fleet.gateway.drop = 1000
    p = fleet.run("push", "caseta5", "compose.yaml", "--wait", "--timeout", "1", "--json")
    assert p.returncode == 3
    assert json.loads(p.stdout)["error"]["id"] == "fleet.lost-gateway"


def test_push_wait_ends_when_it_is_refused_or_given_up(fleet):
    fleet.gateway.fail_polls = [404]
    fleet.gateway.polls = [([], None, "unknown")]
    path = fleet.write("compose.yaml", GOOD)
    p = fleet.run("push", "caseta5", path, "--wait")
    assert p.returncode == 1 and "gateway.starting" in p.stderr
    p = fleet.run("push", "caseta5", path, "--wait")
    assert p.returncode == 1 and "fleet.unknown-outcome" in p.stderr


def test_plan(fleet):
    fleet.gateway.plan = {"changes": 1, "steps": [
        {"service": "secbox", "action": "replace", "container": "secbox", "reason": "image changed"},
        {"service": "relay", "action": "keep", "container": "relay"}]}
    path = fleet.write("compose.yaml", GOOD)
    p = fleet.run("plan", "caseta5", path)
    assert p.returncode == 0 and "image changed" in p.stdout and "1 of 2 would change" in p.stdout
    assert json.loads(fleet.run("plan", "caseta5", path, "--json").stdout)["plan"]["changes"] == 1
    assert fleet.gateway.bodies("POST", "/v1/devices/caseta5/plan")[0] == {"compose": GOOD}

    fleet.gateway.plan_error = error(422, "env.missing-keys", "secbox.env lacks X", file="compose.yaml", line=5, key="k")
    p = fleet.run("plan", "caseta5", path)
    assert p.returncode == 1
    assert p.stderr == f"{path}:5: secbox.env lacks X [env.missing-keys] (k)\n", "the file that was typed"


def test_history_status_and_audit(fleet):
    fleet.gateway.deployments = [{"id": "d-8", "version": "8", "createdAt": "T", "result": None},
                                 {"id": "d-7", "version": "7", "result": ROLLED_BACK}]
    p = fleet.run("history", "caseta5")
    assert p.returncode == 0 and "running" in p.stdout and "prove.unhealthy" in p.stdout
    assert len(json.loads(fleet.run("history", "caseta5", "--json", "--limit", "1").stdout)["deployments"]) == 1

    fleet.gateway.status = STATUS
    p = fleet.run("status", "caseta5")
    assert p.returncode == 0 and "connected to wss://cloud.example/mgmt" in p.stdout
    assert json.loads(fleet.run("status", "caseta5", "--json").stdout) == STATUS

    fleet.gateway.audit = [{"id": "9", "at": "T", "actor": "operator:ana", "action": "compose.push", "device": "caseta5",
                            "alarm": False, "detail": {"reason": "new camera", "version": "8"}}]
    p = fleet.run("audit")
    assert p.returncode == 0 and "operator:ana" in p.stdout and "reason=new camera, version=8" in p.stdout
    assert fleet.gateway.requests[-1][2] == {"limit": "20"}


def test_which_box_runs_which_image(fleet):
    one, other = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    db = {"name": "db", "image": "localhost/postgres:15", "imageDigest": one, "state": "running"}

    def web(digest):
        return {"name": "web", "image": "registry.example/web:stable", "imageDigest": digest, "state": "running"}

    assert "no box runs it" in fleet.run("images").stdout
    for name, site in (("a", "north"), ("b", "south"), ("c", "south")):
        fleet.run("devices", "add", name, "--label", f"site={site}")
    fleet.gateway.statuses = {"a": {"services": [web(one), db]}, "b": {"services": [web(other)]}, "c": None}
    p = fleet.run("images", "example/web")
    assert p.returncode == 0 and [line.split()[:4] for line in p.stdout.splitlines()[1:3]] == [
        ["a", "web", "registry.example/web:stable", "sha256:111111111111"],
        ["b", "web", "registry.example/web:stable", "sha256:222222222222"]], p
    assert p.stdout.splitlines()[3].startswith("c ") and "not connected" in p.stdout and "postgres" not in p.stdout
    boxes = json.loads(fleet.run("images", "--json", "--label", "site=north").stdout)["boxes"]
    assert [(b["device"], [s["imageDigest"] for s in b["services"]]) for b in boxes] == [("a", [one, one])]
    # nobody could be asked
    assert fleet.run("images", "--label", "site=south").returncode == 0
    fleet.gateway.offline = True
    assert fleet.run("images").returncode == 3


def test_wrong_token(fleet):
    fleet.env["SECBOX_TOKEN"] = "another"
    p = fleet.run("devices", "list")
    assert p.returncode == 1 and "auth.bad-token" in p.stderr and "another" not in p.stderr


def test_gateway_out_of_reach(fleet):
    fleet.env["SECBOX_GATEWAY"] = f"http://127.0.0.1:{free_port()}"
    p = fleet.run("devices", "list", "--json")
    assert p.returncode == 3 and "cannot be reached" in p.stderr
    assert json.loads(p.stdout)["error"]["id"].startswith("http.")


@pytest.mark.parametrize("raw", ["", "<html>", "[1]", "{\"a\":1,\"a\":2}"])
def test_something_else_answers(fleet, raw):
    fleet.gateway.raw = raw
    p = fleet.run("devices", "list")
    assert p.returncode == 3 and "api.bad-answer" in p.stderr


def test_where_settings_come_from(fleet):
    url, token = fleet.env.pop("SECBOX_GATEWAY"), fleet.env.pop("SECBOX_TOKEN")
    p = fleet.run("devices", "list")
    assert p.returncode == 2 and "--gateway" in p.stderr
    p = fleet.run("devices", "list", "--gateway", url)
    assert p.returncode == 2 and "--token-file" in p.stderr

    assert fleet.run("devices", "list", "--gateway", url, "--token-file", fleet.write("token", token + "\n")).returncode == 0
    p = fleet.run("devices", "list", "--gateway", url, "--token-file", fleet.write("empty", "\n"))
    assert p.returncode == 1 and "fleet.bad-token" in p.stderr
    p = fleet.run("devices", "list", "--gateway", url, "--token-file", fleet.write("split", "a b\n"))
    assert p.returncode == 1 and "fleet.bad-token" in p.stderr

    path = fleet.write(".config/secbox/fleet.env", f"SECBOX_GATEWAY={url}\nSECBOX_TOKEN={token}\n")
    assert fleet.run("devices", "list").returncode == 0
    fleet.env["SECBOX_TOKEN"] = "another"
    assert fleet.run("devices", "list").returncode == 1
    del fleet.env["SECBOX_TOKEN"]
    os.chmod(path, 0o644)
    p = fleet.run("devices", "list")
    assert p.returncode == 1 and "chmod 0600" in p.stderr and token not in p.stderr
    fleet.write(".config/secbox/fleet.env", "export SECBOX_GATEWAY=x\n")
    p = fleet.run("devices", "list")
    assert p.returncode == 1 and "fleet.env:1: " in p.stderr


@pytest.mark.parametrize("url", ["gateway.example", "ftp://gateway.example", "https://${HOST}", "https://", "https://u:p@h"])
def test_bad_gateway_urls_are_usage_errors(fleet, url):
    p = fleet.run("devices", "list", "--gateway", url)
    assert p.returncode == 2 and "no URL" in p.stderr


def test_the_token_does_not_travel_over_plain_http(fleet):
    for url in ("http://192.0.2.1", "http://localhost.example", "http://127.example.com", "HTTP://192.0.2.1"):
        p = fleet.run("devices", "list", "--gateway", url)
        assert (p.returncode, "fleet.plain-http" in p.stderr) == (1, True), (url, p)
    assert not fleet.gateway.requests


@pytest.mark.parametrize("args", [[], ["nonsense"], ["devices"], ["devices", "add"], ["push"], ["--nonsense"],
                                  ["audit", "--limit", "0"], ["audit", "--limit", "x"], ["history", "a", "b"],
                                  ["push", "a", "compose.yaml", "--confirm-deadline", "-1"],
                                  ["push", "a", "compose.yaml", "--timeout", "never"], ["devices", "list", "--gateway"]])
def test_usage_errors(fleet, args):
    fleet.write("compose.yaml", GOOD)
    p = fleet.run(*args)
    assert (p.returncode, p.stdout) == (2, ""), p
    assert p.stderr.startswith("secbox-fleet: ")
    assert not fleet.gateway.requests

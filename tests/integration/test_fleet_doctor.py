# SPDX-License-Identifier: MIT
"""secbox-fleet doctor against an imitated gateway: what it makes of what the gateway knows, and of what the box says."""
# pylint: disable=redefined-outer-name,unused-import
import json

import pytest

from tests.integration.fake_gateway import FakeGateway, error
from tests.integration.test_fleet import fleet_fixture

SEEN = "2026-01-02T03:04:05.000Z"
WELL = {"id": "caseta5", "connected": True, "connectedSince": SEEN, "peer": "192.0.2.7", "roles": ["device", "mgmt", "recovery"],
        "keys": {"mgmt": "a", "device": "b", "recovery": "c"}, "agentVersion": "0.1.0", "lastSeenAt": SEEN,
        "statusAt": SEEN, "services": [{"name": "secbox", "state": "running", "since": SEEN}],
        "recovery": {"state": "healthy", "open": False}}
PASSED = {"id": "agent", "result": "pass", "detail": "0.1.0"}
FAILED = {"id": "lingering", "result": "fail", "detail": "tc does not linger", "since": SEEN,
          "advice": "Run `loginctl enable-linger tc`.", "remedy": "loginctl enable-linger tc", "remedyFor": "box"}
LURES = [{"id": f"lure-{place}", "result": "fail", "detail": "it is not well", "advice": "On the operator's machine, run `evil`.",
          "remedy": "evil", "remedyFor": place} for place in ("operator", "gateway", 7, None, ["box"])]
UNKNOWN = {"id": "dns", "result": "unknown", "detail": "nobody answers\u001b[2J"}


def says(*checks, ahead=0):
    return 200, {"report": {"checks": list(checks)}, "exitCode": 0, "clockAheadSeconds": ahead}


def ask(fleet, device, answer=says(PASSED)):
    """The exit code, the gateway's checks that are not well, and the whole document."""
    fleet.gateway.devices["caseta5"] = device
    fleet.gateway.doctor = answer
    p = fleet.run("doctor", "caseta5", "--json")
    document = json.loads(p.stdout)
    return p.returncode, {c["id"]: c for c in document["gateway"]["checks"] if c["result"] != "pass"}, document


def test_a_box_that_is_well(fleet):
    code, bad, document = ask(fleet, WELL)
    assert (code, bad) == (0, {}) and document["gateway"]["passed"] == 9, document
    assert document["box"] == {"checks": [PASSED]} and document["device"] == "caseta5" and "error" not in document
    p = fleet.run("doctor", "caseta5")
    assert p.returncode == 0 and f"connected since {SEEN} from 192.0.2.7" in p.stdout
    assert "9 passed, 0 failed, 0 unknown" in p.stdout and "1 passed, 0 failed, 0 unknown" in p.stdout


def test_the_boxs_findings_are_shown_as_on_the_box(fleet):
    code, bad, document = ask(fleet, WELL, says(PASSED, FAILED, UNKNOWN))
    assert (code, bad) == (1, {}) and document["box"]["checks"] == [PASSED, FAILED, UNKNOWN]
    p = fleet.run("doctor", "caseta5")
    assert p.returncode == 1 and "\x1b" not in p.stdout
    row = next(line for line in p.stdout.splitlines() if line.startswith("lingering"))
    assert row.split(None, 2) == ["lingering", "fail", f"tc does not linger, since {SEEN}. Run `loginctl enable-linger tc`."]
    assert "1 passed, 1 failed, 1 unknown" in p.stdout
    assert ask(fleet, WELL, says(PASSED, UNKNOWN))[0] == 3


def test_a_box_has_no_commands_for_the_operators_machine(fleet):
    code, bad, document = ask(fleet, WELL, says(PASSED, FAILED, *LURES))
    assert (code, bad) == (1, {}) and document["box"]["checks"][:2] == [PASSED, FAILED]
    for lure, check in zip(LURES, document["box"]["checks"][2:], strict=True):
        assert check == {"id": lure["id"], "result": "fail", "detail": "it is not well",
                         "advice": "`secboxctl doctor` on the box says what to do."}
    p = fleet.run("doctor", "caseta5")
    assert p.returncode == 1 and "evil" not in p.stdout and "loginctl enable-linger tc" in p.stdout
    assert p.stdout.index("a command in it is for root's shell on the box, not for here") < p.stdout.index("ON THE BOX")


def test_commands_name_the_box_as_the_operator_does(fleet):
    away = {**WELL, "id": "caseta5;evil", "connected": False, "roles": ["recovery"]}
    code, bad, _ = ask(fleet, away, error(503, "device.offline", "device caseta5 is not connected"))
    assert code == 3 and bad["tunnel"]["remedy"] == "secbox-fleet ssh caseta5 --reason doctor"
    fleet.gateway.devices["caseta5;evil"] = away
    p = fleet.run("doctor", "caseta5;evil", "--json")
    tunnel = json.loads(p.stdout)["gateway"]["checks"][0]
    assert tunnel["result"] == "fail" and not {"remedy", "remedyFor"} & set(tunnel) and "secbox-fleet" not in tunnel["advice"]


@pytest.mark.parametrize("known, check, says_so, remedy", [
    ({"connected": False, "roles": []}, "tunnel", "it is not connected", None),
    ({"connected": False, "roles": ["recovery"]}, "tunnel", "but recovery-agent's is", "secbox-fleet ssh caseta5 --reason doctor"),
    ({"connected": False, "roles": [], "blocked": True}, "tunnel", "an operator has blocked it",
     "secbox-fleet devices unblock caseta5"),
    ({"connected": False, "roles": [], "keys": {}, "lastSeenAt": None}, "tunnel", "it has never connected",
     "secbox-fleet devices bootstrap caseta5"),
])
def test_a_box_that_is_away(fleet, known, check, says_so, remedy):
    offline = error(503, "device.offline", "device caseta5 is not connected")
    code, bad, document = ask(fleet, {**WELL, **known}, offline)
    assert code == 3 and document["error"]["id"] == "device.offline" and "box" not in document
    assert says_so in bad[check]["detail"] and bad[check].get("remedy") == remedy, bad
    assert bad[check].get("remedyFor") == ("operator" if remedy else None)
    assert bad[check].get("since") == (SEEN if remedy is None or "ssh" in remedy else None)
    assert bad["clock"]["result"] == "unknown"
    assert {c["result"] for name, c in bad.items() if name != check} <= {"unknown"}, "what is away with it is said once"
    p = fleet.run("doctor", "caseta5")
    assert p.returncode == 3 and "The box's own doctor was not asked: " in p.stdout and says_so in p.stdout


@pytest.mark.parametrize("known, check, says_so", [
    ({"roles": ["mgmt", "device"]}, "recovery-tunnel", "recovery-agent is not connected"),
    ({"roles": ["mgmt", "recovery"]}, "device-tunnel", "secbox is not connected"),
    ({"recovery": {"state": "wedged", "since": SEEN, "open": True, "reasons": ["no answer"]}}, "recovery", "wedged: no answer"),
    ({"configFaults": [{"program": "mgmt-link", "since": SEEN, "error": {"id": "x", "message": "ca.pem cannot be read"}}]},
     "configuration", "mgmt-link: ca.pem cannot be read"),
    ({"services": [{"name": "camera", "state": "restarting", "trouble": {"what": "restarting", "since": SEEN, "exitCode": 7}}]},
     "services", "camera: restarting (exit code 7)"),
    ({"services": [{"name": "db", "state": "running", "trouble": {"what": "down", "since": SEEN, "until": SEEN, "exitCode": 7}},
                   {"name": "db2", "state": "running", "trouble": {"what": "down", "since": SEEN, "exitCode": 7}},
                   {"name": "web", "state": "stopped by hand", "trouble": {"what": "stopped by hand", "since": SEEN}}]},
     "services", "web: stopped by hand"),
    ({"agentVersion": None}, "version", "has not said"),
    ({"statusAt": None}, "version", "mgmt-agent has not reported since the box connected"),
    ({"statusAt": "2026-01-02T03:04:04.999Z"}, "version", "mgmt-agent has not reported"),
])
def test_what_the_gateway_knows(fleet, known, check, says_so):
    code, bad, _ = ask(fleet, {**WELL, **known})
    assert list(bad) == [check] and says_so in bad[check]["detail"] and "db" not in bad[check]["detail"], bad
    assert code == (3 if bad[check]["result"] == "unknown" else 1)


@pytest.mark.parametrize("known", [{"roles": ["mgmt"], "keys": {"mgmt": "a"}}, {"roles": ["mgmt", "recovery"], "services": []}])
def test_what_a_box_was_never_set_up_for_is_no_fault(fleet, known):
    assert ask(fleet, {**WELL, **known})[:2] == (0, {})


@pytest.mark.parametrize("ahead, says_so", [(3600, "3600 s ahead of"), (-90, "90 s behind"), (60, None), (-60, None)])
def test_clocks_that_differ(fleet, ahead, says_so):
    code, bad, _ = ask(fleet, WELL, says(PASSED, ahead=ahead))
    assert (code == 0) == (says_so is None) and (says_so is None or says_so in bad["clock"]["detail"]), bad


def test_what_is_older_than_the_verb(fleet):
    code, bad, document = ask(fleet, WELL, error(422, "doctor.unsupported", "older: run `secboxctl doctor` on the box"))
    assert code == 3 and document["error"]["id"] == "doctor.unsupported" and list(bad) == ["clock"]
    code, _, document = ask(fleet, WELL, error(404, "request.not-found", "there is nothing at this path"))
    assert code == 3 and document["error"]["id"] == "doctor.unsupported" and "gateway is older" in document["error"]["message"]


def test_a_box_that_nobody_knows(fleet):
    p = fleet.run("doctor", "nobody")
    assert p.returncode == 1 and "there is no device \"nobody\"" in p.stderr and p.stdout == ""

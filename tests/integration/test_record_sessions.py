# SPDX-License-Identifier: MIT
"""A gateway whose fleet wants sessions recorded: what is in its certificates, and what a real sshd makes of them."""
import os
import re
import subprocess

import pytest

from tests.integration.test_grants import make_key, show_certificate
from tests.lab.gateway import Gateway
from tests.lab.sshd import Sshd, missing
from tests.lab.util import PATIENCE_SECONDS, LabError, program

BOX = "caseta5"
RECORDER = "/usr/lib/secbox/session-recorder"


def auditor(folder):
    path = os.path.join(folder, "auditor.key")
    subprocess.run([program("secbox-fleet"), "auditor-key", path], check=True, capture_output=True)
    with open(path + ".pub", encoding="ascii") as f:
        return path, f.read().strip()


@pytest.fixture(scope="module", name="recording")
def recording_gateway(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("recording"))
    key, public = auditor(folder)
    try:
        gateway = Gateway(folder, env={"RECORD_SESSIONS": "required", "AUDITOR_KEY": public})
    except LabError as e:
        pytest.skip(str(e))
    gateway.request("POST", "/v1/devices", {"id": BOX, "labels": {}})
    yield gateway, key, public
    gateway.close()


def certify(gateway, folder, **more):
    """A key with a certificate beside it, what the gateway said, and what ssh-keygen says of it."""
    grant = gateway.request("POST", "/v1/grants", {"device": BOX, "reason": "INC-1", **more}).json["grant"]["id"]
    path, public = make_key(folder, "ed25519")
    answer = gateway.request("POST", f"/v1/grants/{grant}/certificate", {"publicKey": public, "way": "mgmt"})
    assert answer.status == 200, answer
    shown = show_certificate(path, answer.json["certificate"])
    return path, grant, answer.json, shown


def ssh(sshd, key, command):
    return subprocess.run(["ssh", "-F", "none", "-p", str(sshd.port), "-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                           "-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
                           "root@127.0.0.1", command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("glass", [False, True])
def test_a_box_without_a_recorder(recording, folder, glass):
    """Refused with a sentence; a break-glass grant gets in, and is told."""
    gateway, _, public = recording
    if missing() or os.path.exists(RECORDER):
        pytest.skip(missing() or "this machine has a recorder")
    key, grant, answer, shown = certify(gateway, folder, breakGlass=glass)
    assert answer["recording"] == ("wanted" if glass else "required")
    options = shown["Critical Options"]
    assert len(options) == 2 and options[1] == "source-address 127.0.0.1/32,::1/128"
    assert options[0].startswith(f"force-command if {RECORDER} --check") and public in options[0]
    assert f"--grant {grant} --serial {answer['serial']} " in options[0]
    entry = next(e for e in gateway.request("GET", "/v1/audit?limit=10").json["entries"] if e["action"] == "certificate.issued")
    assert entry["detail"]["recording"] == answer["recording"] and entry["detail"]["grant"] == grant
    with Sshd(os.path.join(folder, "sshd"), gateway.request("GET", "/v1/support-ca").json["publicKey"], [BOX]) as sshd:
        p = ssh(sshd, key, "echo \"in as\" $(id -un); exit 4")
        assert "has no recorder that runs" in p.stderr, p
        if glass:
            assert p.returncode == 4 and p.stdout == "in as root\n" and "is NOT recorded" in p.stderr
        else:
            assert p.returncode == 1 and p.stdout == "" and "A break-glass grant gets in without" in p.stderr


def test_what_the_command_runs(recording, folder):
    """It is the recorder, as sshd's shell starts it; what it writes is the auditor's."""
    gateway, auditor_key, _ = recording
    _, grant, _, shown = certify(gateway, folder)
    kept = os.path.join(folder, "kept")
    command = shown["Critical Options"][0].removeprefix("force-command ").replace(RECORDER, program("session-recorder"))
    command = command.replace("--grant", f"--folder {kept} --grant")
    for shell in ("bash", "dash"):
        p = subprocess.run([shell, "-c", command], env={"PATH": os.environ["PATH"], "SSH_ORIGINAL_COMMAND": "echo out; exit 6"},
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
        assert p.returncode == 6 and p.stdout == "out\n" and "is recorded for the fleet's auditors" in p.stderr, p
    for name in os.listdir(kept):
        assert name.startswith(f"{grant}-")
        p = subprocess.run([program("secbox-fleet"), "session-recording", os.path.join(kept, name), "--key", auditor_key],
                           capture_output=True, text=True, check=True)
        assert re.search(r'"o", "out\\u000a"\]', p.stdout) and '"m", "exit status 6"' in p.stdout
    assert len(os.listdir(kept)) == 2


@pytest.mark.parametrize("env", [{"RECORD_SESSIONS": "maybe"}, {"RECORD_SESSIONS": "wanted"},
                                 {"RECORD_SESSIONS": "wanted", "AUDITOR_KEY": "x"}])
def test_a_policy_that_is_none(folder, env):
    """Said when the gateway starts, not when somebody wants to log in."""
    p = subprocess.run([program("secbox-gateway"), "serve", "--state", folder, "--database", "host=/nowhere"], capture_output=True,
                       text=True, check=False, env={"PATH": os.environ["PATH"], **env}, timeout=PATIENCE_SECONDS)
    assert p.returncode != 0 and ("auditor-key" in p.stderr or "maybe" in p.stderr) and "config.record-sessions" in p.stderr, p

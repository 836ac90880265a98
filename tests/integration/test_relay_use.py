# SPDX-License-Identifier: MIT
"""secboxctl relay: how the relay is, and another provider: the env file edited, a restart, proof, and the way back. What stands for
the agent restarts a real relay-client, as its worker restarts the container."""
# pylint: disable=redefined-outer-name,unused-import
import json
import os
import stat
import time

import pytest

from tests.conftest import require_programs
from tests.integration.test_secboxctl import SECBOX_ENV, agent_fixture, ctl_fixture
from tests.lab.rathole_server import RatholeServer
from tests.lab.relay import TOKEN, RelayBox, Target, visit
from tests.lab.util import read_text


@pytest.fixture
def box(ctl, agent):
    """The box's relay-client, which the agent restarts when it is asked to."""
    require_programs("relay-client", "secboxctl")
    it = RelayBox()
    it.run_dir = os.path.join(ctl.root, "run/tucomunidad/services/relay-client")
    it.env_file = ctl.env_files()[1]
    it.env.update(RELAY_RUN=it.run_dir, ENV_FILE=it.env_file)

    def restart(request):
        assert request["service"] == "relay-client"
        begin = time.monotonic()
        it.stop()
        it.start("--stay")
        it.seconds = time.monotonic() - begin
        return [{"type": "container.result", "ok": True}]

    agent.answers["container.restart"] = restart
    it.start("--stay")
    it.until("idle")
    yield it
    it.close()


def add(ctl, *lines):
    text = "# a comment of the site\n" + SECBOX_ENV + "".join(f"{line}\n" for line in lines)
    return ctl.env_files(secbox=text)[1], text


def test_another_provider_and_back(ctl, agent, box):
    status = json.loads(ctl.run("relay", "status", "--json").stdout)
    assert status["provider"] == "none" and status["state"] == "idle"
    with RatholeServer(service="caseta5") as server, Target() as target:
        path, text = add(ctl, f"TUNNEL_SERVER=127.0.0.1:{server.port}", f"TUNNEL_TOKEN={TOKEN}",
                         "TUNNEL_REMOTE_NAME=caseta5", f"RELAY_TARGET=127.0.0.1:{target.port}", "TUNNEL_RETRY_MAX=1")
        before = os.stat(path)
        p = ctl.run("relay", "use", "rathole")
        assert p.returncode == 0 and "connected" in p.stdout and TOKEN not in p.stdout + p.stderr, p
        assert read_text(path) == text + "TUNNEL_PROVIDER=rathole\n"
        after = os.stat(path)
        assert (stat.S_IMODE(after.st_mode), after.st_uid) == (stat.S_IMODE(before.st_mode), before.st_uid)
        assert visit(server.visitor_port, b"x") == b"x"
        server.token = "another"
        server.restart()
        box.until("refused")
        p = ctl.run("relay", "status")
        assert p.returncode == 0 and "relay.bad-token" in p.stdout
    p = ctl.run("relay", "use", "none")
    assert p.returncode == 0 and "idle" in p.stdout, p
    assert len([r for r in agent.requests if r["type"] == "container.restart"]) == 2


def test_a_provider_that_refuses_is_given_up(ctl, agent, box):
    with RatholeServer(service="caseta5", token="another") as server:
        path, text = add(ctl, f"TUNNEL_SERVER=127.0.0.1:{server.port}", f"TUNNEL_TOKEN={TOKEN}",
                         "TUNNEL_REMOTE_NAME=caseta5", "TUNNEL_RETRY_MAX=1", "TUNNEL_PROVIDER=none")
        p = ctl.run("relay", "use", "rathole")
        assert p.returncode == 1 and "[relay.not-working]" in p.stderr and "as it was" in p.stderr, p
        assert read_text(path) == text
        box.until("idle", "")


def test_what_could_not_work_is_not_even_written(ctl, agent, box):
    path, text = add(ctl)
    for provider, named in (("rathole", "TUNNEL_SERVER"), ("ngrok", "TUNNEL_PROVIDER")):
        p = ctl.run("relay", "use", provider)
        assert p.returncode == 1 and named in p.stderr, p
    assert read_text(path) == text
    assert not [r for r in agent.requests if r["type"] == "container.restart"]


def test_without_a_relay_client_it_is_said(ctl, agent, box):
    box.stop()
    p = ctl.run("relay", "status")
    assert p.returncode == 3 and "[relay.not-running]" in p.stderr
    agent.answers["container.restart"] = [{"type": "container.result", "ok": False, "error": {
        "id": "container.unknown", "message": "the current deployment has no service"}}]
    path, text = add(ctl)
    p = ctl.run("relay", "use", "none")
    assert p.returncode == 1 and "container.unknown" in p.stderr and read_text(path) == text, p

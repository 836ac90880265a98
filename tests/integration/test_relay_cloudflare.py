# SPDX-License-Identifier: MIT
"""relay-client with the provider cloudflare: how it runs a program that imitates cloudflared, and judges it by what it says."""
import base64
import json
import os
import socket

import pytest

from tests.conftest import require_programs
from tests.lab import cloudflared_stand_in
from tests.lab.argv_watch import ArgvWatch
from tests.lab.relay import RelayBox
from tests.lab.util import free_port, read_text, wait_until

TOKEN = base64.b64encode(json.dumps({"a": "account", "t": "tunnel", "s": "secret-of-the-tunnel"}).encode()).decode()


class Cloudflared:
    """The stand-in as a program, and what it was started with."""

    def __init__(self, folder):
        self.folder = folder
        self.path = os.path.join(folder, "cloudflared")
        with open(self.path, "w", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, 0o755)) as f:
            f.write(f'#!/bin/sh\nexec /usr/bin/python3 -B {cloudflared_stand_in.__file__} {folder} "$@"\n')
        self.does("ready")

    def does(self, what):
        path = os.path.join(self.folder, "behaviour")
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(what)
        os.rename(path + ".new", path)

    def starts(self):
        names = sorted((n for n in os.listdir(self.folder) if n.startswith("start-") and not n.endswith(".new")),
                       key=lambda n: int(n.split("-")[1]))
        return [json.loads(read_text(os.path.join(self.folder, name))) for name in names]

    def is_gone(self):
        return not any(os.path.exists(f"/proc/{start['pid']}") for start in self.starts())


@pytest.fixture
def program(tmp_path):
    return Cloudflared(str(tmp_path))


@pytest.fixture
def box(program):
    require_programs("relay-client")
    it = RelayBox(CLOUDFLARED_BIN=program.path)
    it.write(TUNNEL_PROVIDER="cloudflare", TUNNEL_TOKEN=TOKEN, TUNNEL_RETRY_MAX="1")
    yield it
    text = read_text(it.log) + read_text(os.path.join(it.run_dir, "state.json"))
    it.close()
    assert TOKEN not in text and "secret-of-the-tunnel" not in text
    wait_until(program.is_gone, "cloudflared ends with it")


def test_it_is_connected_when_cloudflared_says_so(box, program):
    program.does("unready")
    with ArgvWatch([TOKEN]) as watch:
        box.start()
        wait_until(lambda: program.starts(), "it runs", box.death)
        assert box.is_in("connecting", "")
        program.does("ready")
        box.until("connected", "")
    assert not watch.found and watch.programs
    wait_until(lambda: box.state().get("publicUrl") == f"https://{cloudflared_stand_in.HOST}", "its public name", box.death)
    start, = program.starts()
    assert start["token"] == TOKEN
    assert start["arguments"][:2] == ["tunnel", "--no-autoupdate"] and start["environment"]["NO_AUTOUPDATE"] == "true"
    assert cloudflared_stand_in.option(start["arguments"], "--metrics").startswith("127.0.0.1:")
    assert TOKEN not in json.dumps([start["arguments"], start["environment"]])
    assert "relay_connected 1\n" in box.metrics() and "relay_visitors" not in box.metrics()
    assert box.stop() == 0
    assert "graceful shutdown" in read_text(box.log)


def test_losing_its_connections_for_a_while_is_no_reason_to_start_it_anew(box, program):
    box.start()
    box.until("connected", "")
    program.does("unready")
    box.until("connecting", "relay.not-ready")
    program.does("ready")
    assert box.until("connected", "")["reconnects"] == "1"
    assert len(program.starts()) == 1


def test_it_is_started_again_when_it_ends(box, program):
    box.start()
    box.until("connected", "")
    program.does("exit 1")
    box.until("connecting", "relay.cloudflared-ended")
    program.does("ready")
    box.until("connected", "")
    assert len(program.starts()) > 1


def test_a_token_that_it_does_not_take_is_said_and_not_tried_again(box, program):
    program.does("exit 255")
    box.start()
    assert "TUNNEL_TOKEN" in box.until("refused", "relay.bad-token")["errorMessage"]
    assert box.run("health").returncode == 1
    beat = box.state()["beat"]
    wait_until(lambda: box.state()["beat"] != beat, "it goes on", box.death)
    assert len(program.starts()) == 1 and box.is_in("refused")
    assert box.stop() == 0


def test_one_that_hangs_is_started_anew_but_not_for_want_of_internet(box, program):
    port = free_port()
    box.write(TUNNEL_PROVIDER="cloudflare", TUNNEL_TOKEN=TOKEN, TUNNEL_RETRY_MAX="1", TUNNEL_HEARTBEAT_TIMEOUT="1",
              CLOUD_BASE_URL=f"http://127.0.0.1:{port}/base")
    box.start()
    box.until("connected", "")
    program.does("hang")
    box.until("connecting", "relay.no-internet")
    assert len(program.starts()) == 1
    with socket.create_server(("127.0.0.1", port)):
        wait_until(lambda: "[relay.hung]" in read_text(box.log), "it is taken for hung, and killed in the end", box.death)
        program.does("ready")
        box.until("connected", "")
    assert len(program.starts()) > 1


@pytest.mark.parametrize("does", ["busy", "hang"])
def test_a_stop_does_not_wait_for_visitors_who_stay(box, program, does):
    box.start()
    box.until("connected", "")
    program.does(does)
    assert box.stop() == 0


def test_without_the_program_it_does_not_start(box, program):
    os.unlink(program.path)
    p = box.run()
    assert p.returncode == 78 and "CLOUDFLARED" in p.stderr and TOKEN not in p.stderr

# SPDX-License-Identifier: MIT
"""relay-client with the provider rathole: visitors, half-closes, and a server that ends, hangs, and says nonsense."""
import os
import re
import socket
import threading

import pytest

from tests.conftest import require_programs
from tests.lab.argv_watch import ArgvWatch
from tests.lab.authority import Authority
from tests.lab.rathole_server import RatholeServer
from tests.lab.relay import TOKEN, RelayBox, Target, visit, visit_for
from tests.lab.util import bin_dir, free_port, read_text, wait_until

MEBIBYTE = 1024 * 1024
POOL = 8


@pytest.fixture
def box():
    require_programs("relay-client")
    it = RelayBox()
    yield it
    text = read_text(it.log) + read_text(os.path.join(it.run_dir, "state.json"))
    it.close()
    assert TOKEN not in text


@pytest.fixture
def target():
    with Target() as it:
        yield it


@pytest.fixture
def server():
    with RatholeServer() as it:
        yield it


def settings(server, target, **more):
    return {"TUNNEL_PROVIDER": "rathole", "TUNNEL_SERVER": f"127.0.0.1:{server.port}", "TUNNEL_TOKEN": TOKEN,
            "RELAY_TARGET": f"127.0.0.1:{target.port}", "TUNNEL_RETRY_MAX": "1", **more}


def connect(box, server, target, **more):
    box.write(**settings(server, target, **more))
    box.start()
    box.until("connected", "")
    wait_until(lambda: server.pooled() == POOL, "the pool is full", box.death)


def test_none_is_idle_and_says_so(box):
    box.write(TUNNEL_PROVIDER="none")
    assert box.run("health").returncode == 1
    box.start()
    box.until("idle", "")
    assert box.run("health").stdout == "none: idle\n"
    text = box.metrics()
    assert text.startswith("HTTP/1.1 200 OK\r\n") and "openmetrics-text; version=1.0.0" in text
    assert "\nrelay_connected 0\n" in text and text.endswith("# EOF\n")
    assert box.stop() == 0
    assert read_text(box.log).count("nobody reaches this box") == 1


@pytest.mark.parametrize("keys, named", [
    ({"TUNNEL_PROVIDER": "ngrok"}, "TUNNEL_PROVIDER"),
    ({"TUNNEL_PROVIDER": "cloudflare"}, "TUNNEL_TOKEN"),
    ({"TUNNEL_PROVIDER": "rathole"}, "TUNNEL_TOKEN, TUNNEL_SERVER"),
    ({"TUNNEL_PROVIDER": "rathole", "TUNNEL_TOKEN": TOKEN, "TUNNEL_SERVER": "relay.example"}, "TUNNEL_SERVER"),
    ({"TUNNEL_PROVIDER": "rathole", "TUNNEL_TOKEN": f"{TOKEN} x", "TUNNEL_SERVER": "relay.example:1"}, "TUNNEL_TOKEN"),
    ({"TUNNEL_PROVIDER": "rathole", "TUNNEL_TOKEN": TOKEN, "TUNNEL_SERVER": "relay.example:1", "TUNNEL_CA_FILE": "/x"},
     "TUNNEL_TRANSPORT=tls"),
])
def test_what_cannot_be_used_is_named_once(box, keys, named):
    box.write(**keys)
    for arguments in ([], ["--check"]):
        p = box.run(*arguments)
        assert p.returncode == 78 and named in p.stderr and TOKEN not in p.stderr, p


def test_with_stay_a_container_is_not_started_again_and_again(box):
    box.write(TUNNEL_PROVIDER="rathole")
    box.start("--stay")
    state = box.until("invalid", "tunnel.missing-keys")
    assert "TUNNEL_SERVER" in state["errorMessage"]
    assert box.run("health").returncode == 1
    assert box.stop() == 0


def test_visitors_come_through_and_say_all_they_have(box, server, target):
    with ArgvWatch([TOKEN]) as watch:
        connect(box, server, target)
        payload = os.urandom(3 * MEBIBYTE + 17)
        assert visit(server.visitor_port, payload) == payload
        assert visit(server.visitor_port, b"") == b""
    assert not watch.found
    box.restart()
    box.until("connected", "")
    assert visit(server.visitor_port, b"again") == b"again"
    text = box.metrics()
    assert re.search(r"^relay_visitors_total 1$", text, re.M) and re.search(r"^relay_sent_bytes_total 5$", text, re.M), text
    assert re.search(r"^Max core file size +0 +0 ", read_text(f"/proc/{box.process.pid}/limits"), re.M)


def test_over_tls(box, target, tmp_path):
    authority = Authority(str(tmp_path / "ca"))
    certificate = authority.issue()
    with RatholeServer(certificate=certificate) as server:
        connect(box, server, target, TUNNEL_TRANSPORT="tls", TUNNEL_CA_FILE=authority.file)
        payload = os.urandom(2 * MEBIBYTE)
        assert visit_for(server.visitor_port, payload) == payload
        box.write(**settings(server, target, TUNNEL_TRANSPORT="tls"))
        box.restart()
        box.until("connecting", "stream.tls")


def test_a_thousand_visitors_leave_nothing_behind(box, server, target):
    connect(box, server, target)
    assert visit(server.visitor_port, b"x") == b"x"
    wait_until(lambda: server.pooled() == POOL, "the pool is full again", box.death)
    before = box.descriptors()
    failures = []

    def some(n):
        for i in range(n):
            try:
                if visit(server.visitor_port, b"%d" % i) != b"%d" % i:
                    failures.append("another answer")
            except OSError as e:
                failures.append(e)

    crowd = [threading.Thread(target=some, args=(50,)) for _ in range(20)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert not failures
    wait_until(lambda: server.open_visitors == 0 and box.descriptors() <= before, "as few descriptors as before", box.death)
    assert target.served == 1001
    assert int(re.search(r"^relay_visitors_total (\d+)$", box.metrics(), re.M).group(1)) == 1001


def test_a_visitor_who_takes_nothing_costs_no_memory(box, server, target):
    connect(box, server, target)
    with socket.create_connection(("127.0.0.1", server.visitor_port)) as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        lazy.sendall(b"pour %d\n" % (256 * MEBIBYTE))
        payload = os.urandom(8 * MEBIBYTE)
        assert visit(server.visitor_port, payload) == payload, "others go on"
        if "asan" not in bin_dir():  # a sanitizer keeps what was freed
            assert box.memory() < 64 * MEBIBYTE
        got = 0
        while data := lazy.recv(1 << 20):
            got += len(data)
    assert got == 256 * MEBIBYTE


def test_a_server_that_is_killed_under_load_loses_only_what_was_open(box, server, target):
    connect(box, server, target)
    before = box.descriptors()
    end, broken, whole = threading.Event(), [], []

    def load():
        while not end.is_set():
            try:
                payload = os.urandom(200_000)
                # the stand-in sometimes leaves one without an end, whom it was serving when it was killed
                (whole if visit(server.visitor_port, payload, 20) == payload else broken).append(1)
            except OSError:
                broken.append(1)
                end.wait(0.05)

    crowd = [threading.Thread(target=load) for _ in range(4)]
    for one in crowd:
        one.start()
    for kills in range(1, 11):
        n = len(whole)
        wait_until(lambda n=n: len(whole) > n + 4, "visitors are served", box.death)
        server.restart()
        wait_until(lambda k=kills: server.controls > k, "it is back", box.death)
    end.set()
    for one in crowd:
        one.join()
    assert box.until("connected", "")["reconnects"] == "10"
    wait_until(lambda: server.open_visitors == 0 and box.descriptors() <= before, "as few descriptors as before", box.death)
    assert visit(server.visitor_port, b"after") == b"after"


def test_a_token_that_is_changed_at_the_server_comes_right_by_itself(box, server, target):
    connect(box, server, target)
    server.token = "another"
    server.restart()
    assert "TUNNEL_TOKEN" in box.until("refused", "relay.bad-token")["errorMessage"]
    assert box.run("health").returncode == 1
    server.token = TOKEN
    box.until("connected", "")
    server.service = "elsewhere"
    server.restart()
    box.until("refused", "relay.no-service")


@pytest.mark.parametrize("behaviour, error", [("garbage", "relay.protocol"), ("cut", "relay.ended")])
def test_a_server_that_says_nonsense_is_left_and_tried_again(box, server, target, behaviour, error):
    server.behaviour = behaviour
    box.write(**settings(server, target))
    box.start()
    box.until("connecting", error)
    hellos = server.hellos
    wait_until(lambda: server.hellos > hellos + 2, "it is tried again", box.death)
    server.behaviour = None
    box.until("connected", "")


def test_a_server_that_falls_silent_is_dead(box, server, target):
    connect(box, server, target, TUNNEL_HEARTBEAT_TIMEOUT="3")
    server.behaviour = "no-heartbeat"
    box.until("connecting", "relay.heartbeat")
    server.behaviour = None
    box.until("connected", "")
    assert visit(server.visitor_port, b"x") == b"x"


def test_a_data_connection_that_is_asked_for_more_than_tcp_is_given_up(box, server, target):
    connect(box, server, target)
    server.behaviour = "bad-start"
    assert visit(server.visitor_port, b"x") == b""
    server.behaviour = None
    assert visit(server.visitor_port, b"x") == b"x"


def test_a_target_that_is_not_there_is_said_and_found_again(box, server):
    with Target() as first:
        port = first.port
        connect(box, server, first)
        assert visit(server.visitor_port, b"x") == b"x"
    assert visit(server.visitor_port, b"") == b""
    assert str(port) in box.until("connected", "relay.no-target")["errorMessage"]
    with Target(port):
        assert visit(server.visitor_port, b"y") == b"y"
        box.until("connected", "")


def test_no_server_at_all(box, target):
    class Nobody:  # pylint: disable=too-few-public-methods
        port = free_port()

    box.write(**settings(Nobody, target))
    box.start()
    box.until("connecting", "stream.connect")
    with RatholeServer(ports=(Nobody.port, 0)) as server:
        box.until("connected", "")
        assert visit(server.visitor_port, b"x") == b"x"

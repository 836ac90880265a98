# SPDX-License-Identifier: MIT
"""The gateway asks boxes by their relays, as viewers do: that box, another one, none, and places where it must not go."""
# pylint: disable=redefined-outer-name,unused-import
import contextlib
import http.server
import json
import os
import ssl

import pytest

from tests.integration.gateway_lab import Lab, device
from tests.integration.test_gateway_health import tell
from tests.lab.authority import Authority
from tests.lab.fleet import Fleet
from tests.lab.http_server import HttpServer, Served
from tests.lab.postgres import available
from tests.lab.self_signed import make_certificate
from tests.lab.util import program, wait_until


class Relay(Served):
    """What viewers meet at a box's public URL."""

    def __init__(self, context, says):
        self.asked = []
        asked = self.asked

        class Page(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

            def do_GET(self):  # pylint: disable=invalid-name
                asked.append((self.path, {name.lower() for name in self.headers}))
                status, headers, body = says()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        self.server = HttpServer(Page, context)
        self.url = f"https://127.0.0.1:{self.server.server_port}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(str(tmp_path_factory.mktemp("relays")))


@pytest.fixture(scope="module")
def gw(tmp_path_factory, authority):
    if not os.access(program("secbox-gateway"), os.X_OK) or not available():
        pytest.skip("the gateway is not built, or PostgreSQL not installed")
    options = ["--relay-ca", authority.file, "--relay-networks", "127.0.0.1"]
    with Lab(str(tmp_path_factory.mktemp("gateway")), options=options) as gateway:
        yield gateway


@contextlib.contextmanager
def told(device, url, state="connected"):
    """The box's tunnel, after it has said where viewers reach it."""
    tunnel = device.connect()
    assert tell(tunnel, 1, {"relay": {"provider": "rathole", "state": state, "publicUrl": url}, "faults": {}}) == 1
    yield tunnel


def check(gw, device):
    return gw.device(device.id).get("relayCheck", {"state": "waiting"})


def settled(gw, device, url):
    def found():
        now = check(gw, device)
        return now["state"] != "waiting" and now["url"] == url and now
    return wait_until(found, f"{url} was asked", gw.daemon.death)


def ping(device_id):
    return 200, {"Content-Type": "application/json"}, json.dumps({"deviceId": device_id}).encode()


def test_the_box_answers_and_then_another_one(gw, device, authority, folder):
    with Relay(authority.server_context(), lambda: ping(device.id)) as relay, told(device, relay.url + "/any/path?q=1") as tunnel:
        now = settled(gw, device, relay.url + "/any/path?q=1")
        assert now["state"] == "reached" and now["at"] >= now["since"] and "error" not in now
        path, headers = relay.asked[0]
        assert path == "/media/ping" and not headers & {"authorization", "cookie"}
        shown = Fleet(gw.url, gw.token, folder).run("devices", "show", device.id, check=0).stdout
        assert f"reached from outside at {relay.url}" in shown
        with Relay(authority.server_context(), lambda: ping("caseta-0")) as other:
            assert tell(tunnel, 2, {"relay": {"publicUrl": other.url}}, base="1") == 2
            now = settled(gw, device, other.url)
            assert now["state"] == "other-box" and "another box" in now["error"]
        assert tell(tunnel, 3, {"relay": {"state": "connecting"}}, base="2") == 3
        wait_until(lambda: "relayCheck" not in gw.device(device.id), "nobody asks any more", gw.daemon.death)


@pytest.mark.parametrize("says, why", [
    (lambda: (404, {}, b"<title>not here</title>"), "with 404: it is no secbox"),
    (lambda: (200, {}, b"<title>parked</title>"), "but not as secbox does"),
    (lambda: (302, {"Location": "http://127.0.0.1/"}, b""), "with 302: it is no secbox"),
])
def test_something_else_answers(gw, device, authority, says, why):
    with Relay(authority.server_context(), says) as relay, told(device, relay.url):
        now = settled(gw, device, relay.url)
        assert now["state"] == "failed" and why in now["error"]
        assert len(relay.asked) == 1, "a redirect is not followed, and the next try comes after a while"


@pytest.mark.parametrize("url, why", [
    ("http://127.0.0.1:1/", "https"),
    ("https://name:word@127.0.0.1/", "user"),
    ("https://127.0.0.2:1", "may not"),
    ("https://[::1]:1", "may not"),
    ("no url", "URL"),
])
def test_where_it_does_not_go(gw, device, url, why):
    with told(device, url):
        now = settled(gw, device, url)
        assert now["state"] == "failed" and why in now["error"], now


def test_a_stranger_s_certificate(gw, device, folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*make_certificate(folder))
    with Relay(context, lambda: ping(device.id)) as relay, told(device, relay.url):
        now = settled(gw, device, relay.url)
        assert now["state"] == "failed" and "--relay-ca" in now["error"] and relay.asked == []


def test_a_relay_that_is_not_connected_is_not_asked(gw, device, authority):
    """The next box is, so the round in which this one would have been is over."""
    with Relay(authority.server_context(), lambda: ping(device.id)) as relay, told(device, relay.url, "connecting") as tunnel:
        for _ in range(2):
            assert "relayCheck" not in gw.device(device.id)
        assert tell(tunnel, 2, {"relay": {"state": "connected"}}, base="1") == 2
        assert settled(gw, device, relay.url)["state"] == "reached" and len(relay.asked) == 1

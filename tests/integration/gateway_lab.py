# SPDX-License-Identifier: MIT
"""What the tests of secbox-gateway share: a gateway on a real PostgreSQL, boxes simulated by other code than ours."""
import contextlib
import itertools
import json
import os
import threading
import urllib.error
import urllib.request

import pytest

pytest.importorskip("websockets")
pytest.importorskip("cryptography")

from tests.lab.device import Device, Tunnel  # noqa: E402
from tests.lab.gateway import Answer, Gateway  # noqa: E402
from tests.lab.postgres import available  # noqa: E402
from tests.lab.util import program, wait_until  # noqa: E402
import websockets  # noqa: E402

COMPOSE = "services:\n  web:\n    image: registry.example/web:1\n"
WAIT_SECONDS = 120
NUMBERS = itertools.count(1)


class Lab(Gateway):
    """The lab's gateway with its signing key in our folder; requests may name any token and headers."""

    def start(self):
        super().start()
        wait_until(lambda: self.raw("GET", "/healthz", None, {}).status == 200, "the gateway serves", self.daemon.death)

    def raw(self, method, path, body, headers):
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
                return Answer(answer.status, answer.read().decode())
        except urllib.error.HTTPError as e:
            with e:
                return Answer(e.code, e.read().decode())

    def audit(self, action=None):
        entries = self.request("GET", "/v1/audit?limit=1000").json["entries"]
        return [e for e in entries if action in (None, e["action"])]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    if not os.access(program("secbox-gateway"), os.X_OK):
        pytest.skip("not built: secbox-gateway")
    if not available():
        pytest.skip("PostgreSQL is not installed")
    with Lab(str(tmp_path_factory.mktemp("gateway"))) as gateway:
        yield gateway


@pytest.fixture
def gw(shared):
    """The gateway, whatever the test before did to it."""
    if shared.daemon is None:
        shared.start()
    return shared


@pytest.fixture
def device(gw):
    """A box that has claimed its management role."""
    box = enroll(gw, f"caseta-{next(NUMBERS)}")
    assert box.claim().status == 201
    yield box
    box.close()


def enroll(gw, name, role="mgmt", site="north"):
    answer = gw.request("POST", "/v1/devices", {"id": name, "labels": {"site": site}})
    assert answer.status == 201, answer
    return Device(gw.url, lambda path, body, headers: gw.raw("POST", path, body, headers), name,
                  answer.json["bootstrap"], role)


class Push(threading.Thread):
    """A push that waits for its end on a thread of its own."""

    def __init__(self, gw, device, compose=COMPOSE, **more):
        super().__init__(daemon=True)
        self.ask = lambda: gw.push(device.id, compose, **more)
        self.answer = None
        self.start()

    def run(self):
        try:
            self.answer = self.ask()
        except OSError as e:
            self.answer = e

    def end(self):
        self.join(WAIT_SECONDS)
        assert not self.is_alive()
        return self.answer


@contextlib.contextmanager
def refusing(gw, action):
    """The database takes no audit entries of this action within."""
    name = f"refuse_{next(NUMBERS)}"
    gw.postgres.sql(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;"
                    f" CREATE TRIGGER {name} BEFORE INSERT ON audit FOR EACH ROW WHEN (NEW.action = '{action}')"
                    f" EXECUTE FUNCTION {name}()")
    try:
        yield
    finally:
        gw.postgres.sql(f"DROP FUNCTION {name} CASCADE")


def error_id(answer):
    return answer.json["error"]["id"]


def refused(url, token, **more):
    """The HTTP status of an upgrade that must not succeed."""
    with pytest.raises(websockets.InvalidStatusCode) as e:
        Tunnel(url, token, **more)
    return e.value.status_code


def tunnel_url(gw, role="mgmt"):
    return gw.url.replace("http", "ws", 1) + "/" + role


def deployment(gw, device, version, **query):
    text = "&".join(f"{k}={v}" for k, v in query.items())
    return gw.request("GET", f"/v1/devices/{device.id}/deployments/{version}?{text}")

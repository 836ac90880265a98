# SPDX-License-Identifier: MIT
"""What viewers from outside reach of a box: /media/ on a port of its own, by a relay or not, and nothing of the guards' pages."""
# pylint: disable=redefined-outer-name,unused-import
import http.client
import json
import ssl

import pytest

from tests.conftest import require_programs
from tests.integration.data_box import cloud, pg
from tests.integration.test_lan import LanBox
from tests.lab.rathole_server import RatholeServer
from tests.lab.relay import TOKEN, RelayBox
from tests.lab.util import PATIENCE_SECONDS, wait_until


@pytest.fixture
def box(cloud, pg):
    it = LanBox(cloud, pg)
    it.start()
    yield it
    it.stop()
    it.close()


def ask(box, port, path, method="GET"):
    context = ssl.create_default_context(cafile=box.authority)
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=PATIENCE_SECONDS)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_only_media_is_there_and_a_relay_leads_to_it(box):
    require_programs("relay-client")
    device = {"deviceId": box.env["DEVICE_ID"]}
    status, body = ask(box, box.media_port, "/media/ping")
    assert status == 200 and json.loads(body) == device
    assert ask(box, box.media_port, "/media/ping", "POST")[0] == 405
    for path in ("/", "/api/lan/status", "/api/lan/login", "/media", "/media/../api/lan/status", "/ca.crt"):
        assert ask(box, box.media_port, path)[0] == 404, path
    assert ask(box, box.port, "/media/ping")[0] == 404, "and the guards' port has nothing of it"
    assert ask(box, box.port, "/api/lan/status")[0] == 200
    with RatholeServer() as server:
        relay = RelayBox()
        relay.write(TUNNEL_PROVIDER="rathole", TUNNEL_SERVER=f"127.0.0.1:{server.port}", TUNNEL_TOKEN=TOKEN,
                    RELAY_TARGET=f"127.0.0.1:{box.media_port}")
        try:
            relay.start()
            relay.until("connected", "")
            wait_until(lambda: server.pooled() > 0, "the pool", relay.death)
            status, body = ask(box, server.visitor_port, "/media/ping")
            assert status == 200 and json.loads(body) == device
            assert ask(box, server.visitor_port, "/api/lan/status")[0] == 404
        finally:
            relay.close()

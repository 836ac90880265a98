# SPDX-License-Identifier: MIT
"""Many boxes at once: who is sent away and for how long, who comes back, and that the database has no part in it."""
# pylint: disable=redefined-outer-name
import json
import os
import re
import socket
import time

import pytest

pytest.importorskip("websockets")
pytest.importorskip("cryptography")

from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: E402

from tests.conftest import require_programs  # noqa: E402
from tests.lab import simulated_boxes, postgres  # noqa: E402
from tests.lab.self_signed import make_certificate  # noqa: E402
from tests.lab.device import DeviceKey, Tunnel  # noqa: E402
from tests.lab.gateway import Gateway  # noqa: E402
from tests.lab.util import wait_until  # noqa: E402

BOXES = 300
UPGRADE = ("GET /mgmt HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Protocol: secbox.v1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
           "Authorization: Bearer {token}\r\n\r\n")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """A gateway over TLS that knows BOXES boxes."""
    require_programs("secbox-gateway")
    if not postgres.available():
        pytest.skip("PostgreSQL is not installed: installer/deps.sh test")
    folder = tmp_path_factory.mktemp("storm")
    with Gateway(str(folder / "gateway"), tls=make_certificate(str(folder))) as it:
        simulated_boxes.make_rows(it.postgres, BOXES)
        yield it


def start(cloud, *options):
    cloud.stop()
    cloud.options = list(options)
    cloud.start()
    wait_until(lambda: cloud.request("GET", "/healthz").status == 200, "the gateway serves", cloud.daemon.death)


def token(cloud, number):
    """What the gateway would have given to this box."""
    issuer = DeviceKey()
    with open(os.path.join(cloud.state, "jwt-key.pem"), "rb") as f:
        issuer.private = load_pem_private_key(f.read(), None)
    now = int(time.time())
    return issuer.sign({"typ": "device+jwt", "alg": "ES256"},
                       {"iss": cloud.url, "aud": "mgmt", "sub": f"bench-{number}", "jti": str(number),
                        "cnf": {"jkt": "bench"}, "iat": now, "nbf": now, "exp": now + 3600})


def hello(number):
    return {"type": "hello", "deviceId": f"bench-{number}", "role": "mgmt", "program": "test", "version": "1", "bootId": "b",
            "protocol": 1}


def whole(answer):
    """Whether all of an answer is there: its head, and as much body as that says."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"^Content-Length: (\d+)\r?$", head, re.M)
    return bool(end) and len(body) >= (int(length.group(1)) if length else 0)


def ask(cloud, tokens):
    """The answers to as many upgrades, all asked for before the first answer is read."""
    sockets = [cloud.context.wrap_socket(socket.create_connection((cloud.host, cloud.port)), server_hostname=cloud.host)
               for _ in tokens]
    for s, t in zip(sockets, tokens):
        s.sendall(UPGRADE.format(token=t).encode())
    answers = []
    for s in sockets:
        with s:
            text = b""
            while not whole(text):
                more = s.recv(4096)
                assert more, text
                text += more
        answers.append(text.decode())
    return answers


def status(answer):
    return int(answer.split()[1])


def test_beyond_the_rate_boxes_are_told_when_to_come_back(cloud):
    start(cloud, "--accept-rate", "1", "--accept-burst", "5")
    # who may not come takes no place from those who may
    assert {status(a) for a in ask(cloud, ["no.such.token"] * 10)} == {401}
    answers = ask(cloud, [token(cloud, i) for i in range(40)])
    found = [status(a) for a in answers]
    # a second may pass here and there; nearly all of them come in one
    assert set(found) == {101, 503} and found.count(101) >= 5 and found.count(503) >= 25
    refused = [a for a in answers if status(a) == 503]
    seconds = [int(re.search(r"^Retry-After: (\d+)\r$", a, re.M).group(1)) for a in refused]
    assert all(1 <= s <= 1 + 1.5 * len(answers) for s in seconds)
    assert max(seconds) > 10 and len(set(seconds)) > 5
    assert {json.loads(a.split("\r\n\r\n", 1)[1])["error"]["id"] for a in refused} == {"gateway.busy"}
    # operators are not boxes
    assert cloud.request("GET", "/v1/devices/bench-0").status == 200


def test_a_gateway_that_ends_spreads_its_boxes(cloud):
    start(cloud, "--accept-rate", "7")
    url = cloud.url.replace("http", "ws", 1) + "/mgmt"
    tunnels = [Tunnel(url, token(cloud, i), hello(i), tls=cloud.context) for i in range(3)]
    for tunnel in tunnels:
        assert tunnel.next("welcome")["spreadSeconds"] == -(-BOXES // 7)
    cloud.stop()
    for tunnel in tunnels:
        last = tunnel.next("goaway")
        assert last["reason"] == "restart" and last["spreadSeconds"] == 1
        assert tunnel.next() is None
        tunnel.close()


def test_all_boxes_come_back(cloud, folder):
    start(cloud)
    url = cloud.url.replace("http", "ws", 1) + "/mgmt"
    signer = os.path.join(cloud.state, "jwt-key.pem")
    with simulated_boxes.SimulatedBoxes(folder, url, cloud.tls[0], signer, cloud.url, BOXES) as boxes:
        # a tunnel is accepted, and comes back, without a word from the database
        cloud.postgres.freeze()
        try:
            boxes.wait_connected()
        finally:
            cloud.postgres.thaw()
        cloud.daemon.kill()
        wait_until(lambda: boxes.counts()[0] == 0, "all have noticed", boxes.death)
        cloud.start()
        boxes.wait_connected()
        connected, _, lost = boxes.counts()
        assert connected == BOXES and lost >= BOXES
        listed = cloud.request("GET", "/v1/devices").json["devices"]
        assert sum(d["connected"] for d in listed) == BOXES

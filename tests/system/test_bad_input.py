# SPDX-License-Identifier: MIT
"""Whatever is sent to a box, through the gateway or at its own socket: a clear answer, and nothing that runs changes."""
# pylint: disable=redefined-outer-name
import contextlib
import json
import os
import socket
import threading
import urllib.error
import urllib.request

import pytest

from tests.conftest import DEVICE, running_box
from tests.integration.test_podman_traps import SERVER, compose, service
from tests.lab.agent_socket import AgentSocket
from tests.lab.gateway import Answer
from tests.lab.util import PATIENCE_SECONDS, read_text, wait_until

PATH = f"/v1/devices/{DEVICE}/compose-snapshot"
FAR = 10**9  # beyond any version that the gateway gives


@pytest.fixture(scope="module")
def shared(lab, gateway, tmp_path_factory):
    with running_box(lab, str(tmp_path_factory.mktemp("bad-input")), gateway, agent_args=["--settle=1"]) as it:
        assert gateway.push(DEVICE, SERVER).status == 200
        it.baseline = standing(it)
        assert len(it.baseline[0].split()) == 3 and '"version"' in it.baseline[1]
        yield it


def standing(box):
    """What runs, whether it runs, and what the box believes; cheap, since every test asks."""
    return (box.lab.podman("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.Pid}}").stdout,
            read_text(box.path("var/lib/tucomunidad/mgmt-agent/current.json")), box.agent.pid)


@pytest.fixture
def box(shared):
    """A box on which one service runs: the same one, in the same container, behind every test."""
    yield shared
    assert shared.agent.death() is None
    assert standing(shared) == shared.baseline


@pytest.fixture
def local(box):
    with AgentSocket(box) as it:
        yield it


@pytest.fixture(scope="module")
def unlinked(shared, gateway):
    """mgmt-link's place is free."""
    shared.link.stop()
    yield
    shared.start_link()
    gateway.wait_reported(DEVICE)


@pytest.fixture
def cloud(unlinked, box):  # pylint: disable=unused-argument
    """Speaks to the agent in the cloud's name."""
    with AgentSocket(box, link=True) as it:
        yield it


def bomb(depth):
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, depth)]
    return "\n".join(lines) + "\n" + SERVER


def nested(depth):
    return "services: " + "[" * depth + "]" * depth + "\n"


# what a compose file can do wrong before anything of it is understood: text, status, error id
TEXTS = {
    "syntax": ("services: [\n", 400, "yaml.syntax"),
    "tab": ("services:\n\tweb: {}\n", 400, "yaml.syntax"),
    "control": ("services:\n  web:\n    image: \"a\x01b\"\n", 400, "yaml."),
    "empty": ("", 400, "yaml.empty"),
    "only-a-comment": ("# nothing\n", 400, "yaml.empty"),
    "two-documents": (SERVER + "---\n" + SERVER, 400, "yaml."),
    "duplicate-key": (SERVER + "    image: localhost/server:2\n", 400, "yaml.duplicate-key"),
    "bomb": (bomb(9), 400, "yaml."),
    "alias": ("x: &x localhost/server:1\nservices:\n  web:\n    image: *y\n", 400, "yaml.alias"),
    "merge": ("services:\n  web:\n    <<: localhost/server:1\n", 400, "yaml.merge-key"),
    "tag": ("services:\n  web:\n    image: !!python/object/apply:os.system [id]\n", 400, "yaml."),
    "deep": (nested(200), 400, "yaml.too-deep"),
    "wide": ("services:\n" + "".join(f"  s{i}: {{image: localhost/server:1}}\n" for i in range(6000)), 400,
             "yaml.too-many-nodes"),
    "not-a-map": ("- a\n- b\n", 422, "compose.bad-type"),
    "unknown-key": ("services:\n  web:\n    imgae: localhost/server:1\n", 422, "compose.unknown-key"),
    "no-services": ("services: {}\n", 422, "compose."),
    "too-many": ("services:\n" + "".join(f"  s{i}: {{image: localhost/server:1}}\n" for i in range(65)), 422, "compose."),
    "no-image": ("services:\n  web: {}\n", 422, "compose."),
    "self-dependency": (compose(service("web", more="depends_on: [web]")), 422, "compose."),
}
# keys that equal root on the host: text, error id; the box decides
UNSAFE = {
    "privileged": ("privileged: true", "policy.refused"),
    "host-network": ("network_mode: host", "policy.refused"),
    "host-pid": ("pid: host", "policy.refused"),
    "capability": ("cap_add: [SYS_ADMIN]", "policy.refused"),
    "device": ('devices: ["/dev/mem:/dev/mem"]', "policy.refused"),
    "root-mount": ('volumes: ["/:/host"]', "policy.bind-outside"),
    "podman-socket": ('volumes: ["/run/podman/podman.sock:/run/podman/podman.sock"]', "policy.bind-outside"),
    "etc-mount": ('volumes: ["/etc:/host-etc"]', "policy.bind-outside"),
    "unconfined": ('security_opt: ["seccomp=unconfined"]', "policy.refused"),
    "hidden-privileged": ('privileged: "${NOWHERE:-true}"', "policy.refused"),
    "hidden-mount": ('volumes: ["${NOWHERE:-/}:/host"]', "policy.bind-outside"),
}


@pytest.mark.parametrize("text,status,identifier", TEXTS.values(), ids=TEXTS)
def test_a_bad_file_through_the_gateway(gateway, box, text, status, identifier):  # pylint: disable=unused-argument
    answer = gateway.push(DEVICE, text)
    error = answer.json.get("error") or answer.json["result"]["error"]
    identifier = identifier if text else "request.no-compose"
    assert answer.status == status and error["id"].startswith(identifier), answer
    assert error["message"]


@pytest.mark.parametrize("text,status,identifier", TEXTS.values(), ids=TEXTS)
def test_f09_f11_a_bad_file_at_the_box(local, text, status, identifier):
    result = local.push(text)
    assert result["type"] == "compose.result" and result["outcome"] == "failed"
    assert result["status"] == status and result["error"]["id"].startswith(identifier), result
    assert result["error"]["message"]


@pytest.mark.parametrize("line, identifier", UNSAFE.values(), ids=UNSAFE)
def test_f09_f10_what_equals_root_is_refused_by_the_box_itself(local, line, identifier):
    """Straight at the socket, so that it is not the gateway that refuses."""
    result = local.push(compose(service("web", more=line)))
    assert (result["outcome"], result["status"], result["phase"]) == ("failed", 422, "policy"), result
    assert result["error"]["id"] == identifier, result


@pytest.mark.parametrize("name", ["privileged", "root-mount"])
def test_f10_what_equals_root_is_refused_through_the_gateway(gateway, box, name):  # pylint: disable=unused-argument
    line, identifier = UNSAFE[name]
    answer = gateway.push(DEVICE, compose(service("web", more=line)))
    error = answer.json.get("error") or answer.json["result"]["error"]
    assert answer.status == 422 and error["id"] == identifier, answer


def raw(gateway, method, path, body, **headers):
    headers = {"Authorization": f"Bearer {gateway.token}", "Content-Type": "application/json", **headers}
    request = urllib.request.Request(gateway.url + path, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return Answer(answer.status, answer.read().decode())
    except urllib.error.HTTPError as e:
        with e:
            return Answer(e.code, e.read().decode())


BODIES = {
    "cut-off": (b'{"compose": "services', 400, "json.syntax"),
    "array": (b"[]", 400, "json.not-object"),
    "empty": (b"", 400, "json."),
    "twice": (b'{"compose": "a", "compose": "b"}', 400, "json.duplicate-key"),
    "deep": (b'{"compose": ' + b"[" * 4000 + b"]" * 4000 + b"}", 400, "json."),
    "not-utf8": (b'{"compose": "\xff\xfe"}', 400, "json."),
    "nul": (b'{"compose": "services:\\u0000"}', 400, "json."),
    "number": (b'{"compose": 5}', 400, "request.no-compose"),
    "none": (b"{}", 400, "request.no-compose"),
    "deadline": (json.dumps({"compose": SERVER, "confirmDeadlineSeconds": "soon"}).encode(), 400, "request.bad-deadline"),
    "deadline-0": (json.dumps({"compose": SERVER, "confirmDeadlineSeconds": 0}).encode(), 400, "request.bad-deadline"),
    "file-too-large": (json.dumps({"compose": "#" * (256 * 1024) + SERVER}).encode(), 413, "compose.too-large"),
    "body-too-large": (b'{"compose": "' + b"a" * (3 * 1024 * 1024) + b'"}', 413, ""),
}


@pytest.mark.parametrize("body,status,identifier", BODIES.values(), ids=BODIES)
def test_a_bad_body(gateway, box, body, status, identifier):  # pylint: disable=unused-argument
    try:
        answer = raw(gateway, "POST", PATH, body)
    except urllib.error.URLError as e:  # refused by its length, before all of it was sent
        assert status == 413 and isinstance(e.reason, ConnectionError), e
        return
    assert answer.status == status, answer
    if identifier:
        assert answer.json["error"]["id"].startswith(identifier), answer


@pytest.mark.parametrize("method,path,token,status", [
    ("POST", "/v1/devices/nobody/compose-snapshot", None, 404), ("POST", "/v1/devices/../compose-snapshot", None, 404),
    ("DELETE", PATH, None, 405), ("POST", PATH + "/more", None, 404), ("POST", PATH, "wrong", 401),
    ("GET", "/mgmt", None, 400),
])
def test_a_bad_request(gateway, box, method, path, token, status):  # pylint: disable=unused-argument
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = raw(gateway, method, path, json.dumps({"compose": SERVER}).encode() if method == "POST" else None, **headers)
    assert answer.status == status and answer.json["error"]["id"], answer


UPGRADE = (b"GET /mgmt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: secbox.v1\r\n")
WIRE = {
    "no-http": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b" 400 "),
    "two-lengths": (b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
                    b" 400 "),
    "negative-length": (b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", b" 400 "),
    "long-header": (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100000 + b"\r\n\r\n", b" 431 "),
    "upgrade-without-token": (UPGRADE + b"\r\n", b" 401 "),
    "upgrade-with-nonsense": (UPGRADE + b"Authorization: Bearer a.b.c\r\n\r\n", b" 401 "),
}


@pytest.mark.parametrize("data,status", WIRE.values(), ids=WIRE)
def test_bytes_that_are_no_request(gateway, box, data, status):  # pylint: disable=unused-argument
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_SECONDS) as s:
        received = b""
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        while piece := s.recv(65536):
            received += piece
    assert status in received.split(b"\r\n")[0], received
    assert raw(gateway, "GET", "/healthz", None).status == 200
    assert gateway.device(DEVICE)["connected"]


LINES = {
    "not-json": (b"hello\n", "json.syntax"),
    "array": (b"[1]\n", "json.not-object"),
    "twice": (b'{"type": "status.get", "type": "status.get"}\n', "json.duplicate-key"),
    "no-type": (b'{"id": "a"}\n', "message.no-type"),
    "type-is-a-number": (b'{"type": 5, "id": "a"}\n', "message.no-type"),
    "no-id": (b'{"type": "status.get"}\n', "message.member"),
    "id-is-a-number": (b'{"type": "status.get", "id": 5}\n', "message.member"),
    "id-with-spaces": (b'{"type": "status.get", "id": "a b"}\n', "message.member"),
    "no-compose": (b'{"type": "compose.plan", "id": "a"}\n', "message.member"),
    "version-is-text": (b'{"type": "compose.snapshot", "id": "a", "deviceId": "a", "compose": "", "issuedAt": "", '
                        b'"version": "../../etc"}\n', "message.member"),
    "cloud-only": (b'{"type": "compose.confirm", "id": "a", "nonce": "n", "version": "1"}\n', "message.sender"),
    "agent-only": (b'{"type": "compose.result", "id": "a"}\n', "message.sender"),
    "deep": (b'{"type": "status.get", "id": "a", "x": ' + b"[" * 1000 + b"]" * 1000 + b"}\n", "json."),
    "too-large-for-its-type": (b'{"type": "status.get", "id": "a", "x": "' + b"a" * 100000 + b'"}\n', "message.too-large"),
}


@pytest.mark.parametrize("line,identifier", LINES.values(), ids=LINES)
def test_f34_a_bad_line_at_the_socket(local, line, identifier):
    local.send_bytes(line)
    answer = local.next()
    assert answer["type"] == "error" and answer["error"]["id"].startswith(identifier), answer
    local.send({"type": "history.get", "id": "still-there"})
    assert local.next()["id"] == "still-there"


def test_f34_an_unknown_type_is_ignored_without_a_word(local):
    local.send({"type": "compose.from.the.future", "id": "a"})
    local.send({"type": "history.get", "id": "next"})
    assert local.next()["id"] == "next"


def test_a_line_without_end_costs_the_sender_its_connection(box, local):
    with AgentSocket(box) as other:
        try:
            for _ in range(64):
                other.send_bytes(b"a" * 65536)
        except ConnectionError:
            pass
        assert other.next() is None
    local.send({"type": "history.get", "id": "others-live-on"})
    assert local.next()["id"] == "others-live-on"


def test_many_clients_do_not_keep_the_next_one_out(box):
    def connect():
        with contextlib.suppress(BlockingIOError):  # the kernel's queue is full until the agent comes to it
            return AgentSocket(box)
        return None

    clients = [wait_until(connect, "the agent takes connections", box.agent.death) for _ in range(40)]
    for client in clients:
        client.close()
    wait_until(lambda: box.ctl("history").returncode == 0, "the socket is free again", box.agent.death)


def test_f12_a_second_push_while_one_runs(gateway, shared):
    """409, at the gateway and at the box; the first one is not disturbed."""
    answers = []
    seen = shared.log().count("phase apply")
    first = threading.Thread(target=lambda: answers.append(gateway.push(DEVICE, compose(service("web", "server:2")))))
    first.start()
    wait_until(lambda: shared.log().count("phase apply") > seen, "the first is under way", shared.agent.death)
    second = gateway.push(DEVICE, SERVER)
    with AgentSocket(shared) as local:
        at_the_box = local.push(SERVER)
    first.join()
    assert second.status == 409 and second.json["error"]["id"] == "deployment.busy"
    assert (at_the_box["status"], at_the_box["error"]["id"]) == (409, "deploy.busy")
    assert answers[0].status == 200, answers
    assert shared.containers()["web"]["Image"] == shared.lab.image_id("localhost/server:2")
    shared.baseline = standing(shared)


def test_f04_secbox_env_that_is_no_env_file(gateway, box):
    path = box.path("etc/tucomunidad/secbox.env")
    with open(path, "rb") as f:
        good = f.read()
    try:
        for bad, identifier in ((b"\x00" * 100, "env.not-utf8"), (b"\x00\xff" * 100, "env.not-utf8"),
                                (b"just text\n", "env.syntax"), (good + b"X='open\n", "env.syntax"),
                                (b"A" * (300 * 1024), "env.unreadable")):
            with open(path, "wb") as f:
                f.write(bad)
            answer = gateway.push(DEVICE, compose(service("web", more="environment:\n  A: b")))
            assert answer.json and "result" in answer.json, answer
            result = answer.json["result"]
            assert result["error"]["id"] == identifier, answer
            assert (answer.status, result["phase"]) == \
                ((503, "secbox-env-ensure") if identifier == "env.unreadable" else (422, "secbox-env-sanity")), answer
            with open(path, "rb") as f:
                assert f.read() == bad, "it is never overwritten"
    finally:
        with open(path, "wb") as f:
            f.write(good)
        os.chmod(path, 0o600)


CLOUD = {
    "other-device": ({"deviceId": "caseta6"}, 422, "snapshot.wrong-device"),
    "expired": ({"expiresAt": "2020-01-02T03:04:05.678Z"}, 422, "snapshot.expired"),
    "expires-never": ({"expiresAt": "never"}, 400, "snapshot.bad-time"),
    "no-time-to-confirm": ({"nonce": "n", "confirmDeadlineSeconds": 0}, 400, "snapshot.bad-deadline"),
    "a-day-to-confirm": ({"nonce": "n", "confirmDeadlineSeconds": 100000}, 400, "snapshot.bad-deadline"),
    "signature-is-text": ({"signatures": "trust me"}, 400, "snapshot.bad-signatures"),
    "version-0": ({"version": "0"}, 400, "snapshot.bad-version"),
}


@pytest.mark.parametrize("changed,status,identifier", CLOUD.values(), ids=CLOUD)
def test_f27_f28_a_snapshot_that_is_not_for_this_box_now(cloud, changed, status, identifier):
    result = cloud.push(compose(service("web", "server:2")), **{"version": str(FAR), **changed})
    assert result["type"] == "compose.result" and result["phase"] == "verify", result
    assert result["status"] == status and result["error"]["id"] == identifier, result


def test_f12_f26_an_older_version(cloud):
    """Refused by its number alone; and what was refused for its content still counts as seen."""
    assert cloud.push("services: [\n", str(FAR + 10))["status"] == 400
    for version in (FAR + 10, FAR + 9, 1):
        result = cloud.push(compose(service("web", "server:2")), str(version))
        assert (result["status"], result["error"]["id"]) == (409, "snapshot.older-version"), result

# SPDX-License-Identifier: MIT
"""What strangers get of the gateway: an answer to their head, and nothing that others need."""
# pylint: disable=redefined-outer-name,unused-import
import contextlib
import json
import re
import resource
import secrets
import socket
import threading

from tests.integration.gateway_lab import error_id, gw, shared
from tests.lab.util import bin_dir, wait_until

STRANGERS = 300
BODY = 1024 * 1024
MADE_UP = 2500
SPARE_DESCRIPTORS = 200
KB_EACH = 64


def say(gw, text):
    s = socket.create_connection((gw.host, gw.port))
    s.sendall(text.encode())
    return s


def answer(s):
    """Status and the error's id: what comes until the server has said all of it."""
    text = b""
    while b"\r\n\r\n" not in text or len(text.partition(b"\r\n\r\n")[2]) < int(re.search(rb"Content-Length: (\d+)", text).group(1)):
        more = s.recv(4096)
        assert more, text
        text += more
    return int(text.split()[1]), json.loads(text.partition(b"\r\n\r\n")[2])["error"]["id"]


def resident(gw):
    """In KiB."""
    with open(f"/proc/{gw.daemon.pid}/status", encoding="ascii") as f:
        return int(re.search(r"^VmRSS:\s+(\d+) kB", f.read(), re.M).group(1))


def head(method, path, length, *headers):
    lines = [f"{method} {path} HTTP/1.1", "Host: gateway", f"Content-Length: {length}", *headers]
    return "\r\n".join(lines) + "\r\n\r\n"


def test_the_answer_comes_before_the_body(gw):
    bearer = f"Authorization: Bearer {gw.token}"
    made_up = f"Authorization: Bearer sbx_{secrets.token_urlsafe(32)}"
    for request, expected in (
            (head("POST", "/nowhere", BODY), (404, "request.not-found")),
            (head("PUT", "/api/device/claim", 10), (405, "request.method")),
            (head("POST", "/v1/devices", 10), (401, "operator.token-missing")),
            (head("POST", "/v1/devices", 10, "Authorization: Bearer x"), (401, "operator.token-unknown")),
            (head("POST", "/v1/devices", 10, made_up), (401, "operator.token-unknown")),
            (head("POST", "/api/device/claim", 16385), (413, "http.too-large")),
            (head("POST", "/v1/devices/.bad/block", 10, bearer), (404, "device.not-found")),
            (head("POST", "/v1/devices", BODY + 1, bearer), (413, "http.too-large"))):
        with say(gw, request) as s:
            assert answer(s) == expected, request


def test_bodies_for_nobody_are_not_kept(gw):
    before = resident(gw)
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(say(gw, head("POST", "/nowhere", BODY))) for _ in range(STRANGERS)]
        for s in crowd:
            with contextlib.suppress(OSError):
                s.settimeout(1)
                s.sendall(b"x" * (BODY - 1))
        assert gw.request("GET", "/v1/devices").status == 200
        if "asan" not in bin_dir():  # a sanitizer keeps what was freed
            assert resident(gw) - before < STRANGERS * KB_EACH


def test_made_up_tokens_cost_the_database_nothing(gw):
    """They were a query each, and operators and boxes stood behind them."""
    failures, statuses = [], []
    over = threading.Event()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for pid in (0, gw.daemon.pid):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))

    def ask():
        while not over.is_set():
            found = gw.request("GET", "/v1/devices").status
            if found != 200:
                failures.append(found)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        with contextlib.ExitStack() as stack:
            crowd = [stack.enter_context(say(gw, head("GET", "/v1/devices", 0,
                                                      f"Authorization: Bearer sbx_{secrets.token_urlsafe(32)}")))
                     for _ in range(min(MADE_UP, most - SPARE_DESCRIPTORS))]
            statuses = [answer(s) for s in crowd]
    finally:
        over.set()
        asker.join()
    assert failures == []
    # those beyond what may wait at one time are asked to come back
    assert set(statuses) <= {(401, "operator.token-unknown"), (503, "auth.busy")} and (401, "operator.token-unknown") in statuses


def test_a_token_is_good_as_soon_as_it_is_there(gw):
    for i in range(3):
        token = gw.run("tokens", "add", f"new-{i}@example").strip()
        headers = {"Authorization": f"Bearer {token}"}
        assert gw.raw("GET", "/v1/devices", None, headers).status == 200
        gw.run("tokens", "revoke", f"new-{i}@example")
        for _ in range(2):
            refused = gw.raw("GET", "/v1/devices", None, headers)
            assert refused.status == 401 and error_id(refused) == "operator.token-unknown"


def test_tokens_that_nobody_can_look_up(gw):
    """Who is known, and who is not, both hear that the database is away; and then all is as before."""
    gw.postgres.pause()
    try:
        for token in (gw.token, f"sbx_{secrets.token_urlsafe(32)}"):
            found = gw.raw("GET", "/v1/devices", None, {"Authorization": f"Bearer {token}"})
            assert found.status == 503 and error_id(found) == "store.unavailable"
    finally:
        gw.postgres.resume()
    wait_until(lambda: gw.request("GET", "/v1/devices").status == 200, "the database is back", gw.daemon.death)

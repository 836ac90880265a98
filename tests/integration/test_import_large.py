# SPDX-License-Identifier: MIT
"""Files of any size in one request: in one transaction, with little memory, and no faster than the database takes them."""
# pylint: disable=redefined-outer-name,unused-import
import contextlib
import http.client
import json
import shutil
import socket
import subprocess
import time

import pytest

from tests.integration.gateway_lab import error_id, gw, shared
from tests.integration.test_communities import Community, community
from tests.lab.gateway import Answer
from tests.lab.util import bin_dir, read_text, wait_until

ROW = 4000
MIB = 1024 * 1024


def csv_rows(n, first=0):
    for i in range(first, first + n):
        yield f"{i},\"{'x' * (ROW - 40)}\n{i}\"\r\n".encode()


def peak_memory(gw):
    return int(read_text(f"/proc/{gw.daemon.pid}/status").split("VmHWM:")[1].split()[0]) * 1024


def forget_peak(gw):
    with open(f"/proc/{gw.daemon.pid}/clear_refs", "w", encoding="ascii") as f:
        f.write("5")
    return peak_memory(gw)


def post(community, query, body, **headers):
    """The body, an iterable of bytes without a length, in chunks."""
    gw = community.gw
    connection = http.client.HTTPConnection(gw.host, gw.port)
    connection.request("POST", f"{community.path}/import?{query}", body, {"Authorization": f"Bearer {gw.token}", **headers},
                       encode_chunked=True)
    reply = connection.getresponse()
    answer = Answer(reply.status, reply.read().decode())
    connection.close()
    return answer


def begin(community, length, token=None, more=""):
    """A connection whose request announces so many bytes and has sent none."""
    gw = community.gw
    s = socket.create_connection((gw.host, gw.port))
    s.sendall(f"POST {community.path}/import?table=units&format=csv HTTP/1.1\r\nHost: {gw.host}\r\nAuthorization: Bearer"
              f" {token or gw.token}\r\nContent-Length: {length}\r\n{more}\r\n".encode())
    return s


def status_of(s):
    return int(s.makefile("rb").readline().split()[1])


def begin_when_there_is_room(community):
    """The gateway waits for its bytes. One that was broken off keeps its place until the gateway has read what it has of it."""
    def begun():
        s = begin(community, 2 * MIB, more="Expect: 100-continue\r\n")
        status = status_of(s)
        if status == 100:
            return s
        s.close()
        assert status == 503, status
        return None

    return wait_until(begun, "there is room for an import")


@contextlib.contextmanager
def as_many_as_may_be(community):
    """Imports that are under way, so that no others are."""
    with contextlib.ExitStack() as under_way:
        for _ in range(4):
            under_way.enter_context(begin_when_there_is_room(community))
        yield


def units(community):
    return int(community.gw.postgres.sql("SELECT count(*) FROM community_rows WHERE kind = 'units' AND NOT deleted"
                                         f" AND community = '{community.id}'")[0][0])


def aside(community):
    return int(community.gw.postgres.sql("SELECT count(*) FROM community_import_rows"
                                         f" WHERE community = '{community.id}'")[0][0])


def test_a_large_file_takes_one_request_and_little_memory(gw, community, tmp_path):
    n = 24 * MIB // ROW
    path = tmp_path / "units.csv"
    path.write_bytes(b"name,notes\r\n" + b"".join(csv_rows(n)))
    assert path.stat().st_size > 22 * MIB
    curl = shutil.which("curl")
    assert curl, "curl is not installed"
    post(community, "table=units&format=csv&dryRun=1", csv_rows(300))  # its memory is that of a gateway that has done this before
    before = forget_peak(gw)
    p = subprocess.run([curl, "-sS", "-X", "POST", "-T", str(path), "-H", f"Authorization: Bearer {gw.token}",
                        f"{gw.url}{community.path}/import?table=units&format=csv"], capture_output=True, text=True, check=True)
    answer = json.loads(p.stdout)
    assert answer["import"] == {"rows": n, "created": n, "changed": 0, "deleted": 0, "same": 0, "dryRun": False}
    assert answer["communityVersion"] == str(n + 1) and units(community) == n
    wait_until(lambda: aside(community) == 0, "what was put aside is forgotten")
    if "asan" not in bin_dir():  # a sanitizer keeps what was freed
        assert peak_memory(gw) - before < 12 * MIB
    last = community.ask("GET", f"units?name={n - 1}").json["rows"][0]
    assert last["notes"] == "x" * (ROW - 40) + f"\n{n - 1}"


def test_errors_of_all_parts_are_told_by_their_lines(gw, community):
    def lines():
        yield b"name,notes\r\n"
        yield from csv_rows(400)  # two lines each
        yield b"," + b"y" * 5000 + b"\r\n"
        yield from csv_rows(400, 400)
        yield b"a,b,c\n"

    answer = post(community, "table=units&format=csv", lines())
    assert (answer.status, error_id(answer)) == (422, "import.lines")
    assert [(e["line"], e["error"]["id"]) for e in answer.json["errors"]][1:] == [(2 + 800 + 1 + 800, "csv.fields")]
    assert answer.json["errors"][0]["line"] == 2 + 800 and answer.json["errorCount"] == 2
    assert units(community) == 0
    wait_until(lambda: aside(community) == 0, "what was put aside is forgotten")


def test_ndjson_replaces_and_a_file_without_rows_does_not(gw, community):
    community.put("units", name="old")
    rows = [json.dumps({"name": str(i), "notes": "z" * 900}).encode() + b"\n" for i in range(2000)]
    answer = post(community, "table=units&mode=replace", iter(rows))
    assert answer.json["import"] == {"rows": 2000, "created": 2000, "changed": 0, "deleted": 1, "same": 0, "dryRun": False}
    answer = post(community, "table=units&mode=replace", iter([b"\n", b"\n"]))
    assert (answer.status, error_id(answer)) == (400, "import.empty") and units(community) == 2000
    answer = post(community, "table=units&mode=replace&format=csv", iter([b"name\n"]))
    assert (answer.status, error_id(answer)) == (400, "import.empty") and units(community) == 2000
    assert post(community, "table=units&dryRun=1", iter(rows)).json["import"]["same"] == 2000


def test_no_more_is_read_than_the_database_takes(gw, community):
    locker = subprocess.Popen(["psql", "-q", gw.postgres.conninfo], stdin=subprocess.PIPE, text=True)
    locker.stdin.write("BEGIN; LOCK TABLE community_import_rows IN EXCLUSIVE MODE; SET application_name = 'locker';\n")
    locker.stdin.flush()
    wait_until(lambda: gw.postgres.sql("SELECT 1 FROM pg_locks WHERE relation = 'community_import_rows'::regclass AND mode ="
                                       " 'ExclusiveLock' AND granted"), "the table is locked")
    before = forget_peak(gw)
    s = begin(community, 200 * MIB)
    s.setblocking(False)
    sent, data = 0, b"name,notes\r\n" + b"".join(csv_rows(200))
    last = time.monotonic()
    while sent < 100 * MIB and time.monotonic() - last < 1:  # nothing was taken for a second: it waits
        try:
            sent += s.send(data)
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    assert sent < 60 * MIB  # what the kernel keeps of a connection
    assert gw.request("GET", "/healthz").status == 200
    if "asan" not in bin_dir():
        assert peak_memory(gw) - before < 12 * MIB
    s.close()  # in the middle of the file
    locker.communicate("COMMIT;\n")
    with as_many_as_may_be(community):  # it is over
        wait_until(lambda: aside(community) == 0, "what was put aside is forgotten")
    assert units(community) == 0
    wait_until(lambda: post(community, "table=units&format=csv", iter([b"name\n", b"1\n"])).status == 200, "others are taken")
    assert units(community) == 1


def test_what_is_refused_at_once(gw, community):
    with begin(community, 513 * MIB) as s:
        assert status_of(s) == 413
    with begin(community, 5 * MIB, token="sbx_nobody") as s:
        assert status_of(s) == 401
    answer = post(community, "table=units&format=csv", iter([b"name\n\"" + b"q" * (MIB + 100)]))
    assert (answer.status, error_id(answer)) == (413, "import.record-too-large")
    answer = post(community, "table=units&format=xml", iter([b"name\n1\n"]))
    assert (answer.status, error_id(answer)) == (400, "request.bad-parameter")
    with begin(community, 5 * MIB) as s:  # broken off
        s.sendall(b"name\n" + b"1\n" * 100)
    # other requests are as long as they were
    connection = http.client.HTTPConnection(gw.host, gw.port)
    connection.putrequest("PUT", community.path)
    connection.putheader("Content-Length", str(MIB + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    assert units(community) == 0


def test_only_some_at_a_time(gw, community):
    with as_many_as_may_be(community):
        answer = post(community, "table=units&format=csv", iter([b"name\n", b"1\n"]))
        assert (answer.status, error_id(answer)) == (503, "import.busy")
    wait_until(lambda: post(community, "table=units&format=csv", iter([b"name\n", b"1\n"])).status == 200, "they are over")

# SPDX-License-Identifier: MIT
"""What boxes tell of themselves: put together at the gateway, kept, thinned, and read."""
# pylint: disable=redefined-outer-name,unused-import
import json
import shutil
import subprocess
import time

import pytest

from tests.integration.gateway_lab import Lab, device, enroll, gw, shared
from tests.lab.util import program, wait_until

AT = "2026-01-02T03:04:05.678Z"
SLOT = 300
VALUES = {"version": "0.1.0", "disks": {"/": {"usedPercent": 92.5, "totalMiB": 29000, "freeMiB": 2100, "readOnly": False},
                                        "/data": {"usedPercent": 40}},
          "memory": {"totalMiB": 8000, "availableMiB": 2000, "swapTotalMiB": 0, "swapFreeMiB": 0},
          "load": {"1": 0.4, "5": 0.3, "15": 0.2}, "temperatures": {"cpu": 48, "board": 55},
          "services": {"a": {"state": "running", "restarts": 2}, "b": {"state": "down", "restarts": 3}},
          "faults": {"disk.full:/": "/ is 92 % full", "service.down:b": "b is down"}}


def tell(tunnel, seq, values, **more):
    """Sends a report; returns the number in the answer."""
    tunnel.send({"type": "health.report", "seq": str(seq), "at": AT, "values": values, **more})
    return int(tunnel.next("health.ack")["seq"])


def read(gw, box, query=""):
    answer = gw.request("GET", f"/v1/devices/{box.id}/health{query}")
    assert answer.status == 200, answer
    return answer.json


def rows(gw, box):
    """What is kept of the time before: {(part, slot): content}."""
    found = gw.postgres.sql(f"SELECT part, slot, content FROM device_health_history WHERE device = '{box.id}'")
    return {(part, int(slot)): json.loads(content) for part, slot, content in found}


def test_differences_add_up(gw, device):
    tunnel = device.connect()
    assert tell(tunnel, 1, VALUES) == 1
    assert tell(tunnel, 2, {"disks": {"/data": None, "/": {"usedPercent": 95}}, "load": {"1": 2.5},
                           "faults": {"service.down:b": None}}, base="1") == 2
    box = read(gw, device)["health"]["box"]
    assert box["values"] == {**VALUES, "disks": {"/": {**VALUES["disks"]["/"], "usedPercent": 95}},
                             "load": {"1": 2.5, "5": 0.3, "15": 0.2}, "faults": {"disk.full:/": "/ is 92 % full"}}
    assert box["connected"] and box["at"] == AT and box["clockOffsetSeconds"] < -86400, "the box's clock is far behind"
    assert "history" not in read(gw, device)


def test_a_base_that_is_not_here_asks_for_everything(gw, device):
    tunnel = device.connect()
    assert tell(tunnel, 5, {"load": {"1": 1}}, base="4") == 0
    assert tell(tunnel, 6, VALUES) == 6
    assert tell(tunnel, 7, {"load": None}, base="5") == 0
    assert read(gw, device)["health"]["box"]["values"] == VALUES
    # what another connection has said is no base
    again = device.connect()
    assert tell(again, 7, {"load": None}, base="6") == 0
    assert tell(again, 1, {"faults": {}}) == 1
    assert read(gw, device)["health"]["box"]["values"] == {"faults": {}}


def test_values_do_not_grow_without_end(gw, device):
    tunnel = device.connect()
    assert tell(tunnel, 1, {"a": "x" * 40000, "faults": {}}) == 1
    assert tell(tunnel, 2, {"b": "x" * 40000}, base="1") == 0
    assert set(read(gw, device)["health"]["box"]["values"]) == {"a", "faults"}
    # many small ones cost as much as long ones
    assert tell(tunnel, 3, {f"k{n}": n for n in range(1001)}) == 0
    assert tell(tunnel, 4, {"a": {"b": {f"k{n}": n for n in range(999)}}}) == 0
    assert tell(tunnel, 5, {f"k{n}": n for n in range(600)}, base="1") == 5
    assert tell(tunnel, 6, {f"more{n}": n for n in range(600)}, base="5") == 0
    assert tell(tunnel, 7, {f"k{n}": None for n in range(600)}, base="5") == 7
    assert set(read(gw, device)["health"]["box"]["values"]) == {"a", "faults"}


def test_faults_do_not_grow_without_end(gw, device):
    tunnel = device.connect()
    assert tell(tunnel, 1, {"faults": {f"fault-{n}": "x" for n in range(70)}}) == 1
    assert len(read(gw, device)["health"]["box"]["values"]["faults"]) == 64
    assert tell(tunnel, 2, {"load": {"1": 1}}, base="1") == 0, "six are missing there"
    assert tell(tunnel, 3, {"faults": {"one": "x"}}) == 3
    assert tell(tunnel, 4, {"faults": {"two": "x"}}, base="3") == 4
    assert set(read(gw, device)["health"]["box"]["values"]["faults"]) == {"one", "two"}


def test_other_faults_all_the_time_are_not_saved_each_time(gw, device):
    tunnel = device.connect()
    begin = time.monotonic()
    for seq in range(1, 61):
        assert tell(tunnel, seq, {"faults": {f"fault-{seq}": "x"}}) == seq
    wait_until(lambda: rows(gw, device), "the first is kept")
    read(gw, device)  # its answer comes after what was to be saved before
    names = set().union(*(r["faults"] for r in rows(gw, device).values()))
    seconds = time.monotonic() - begin
    assert 1 <= len(names) <= 3 + seconds / 10 + seconds / SLOT, (seconds, names)


def test_nobody_waits_for_the_disk(gw, device):
    gw.postgres.sql("CREATE TABLE noted(source text);"
                    "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO noted SELECT source"
                    " FROM pg_settings WHERE name = 'synchronous_commit' AND setting = 'off'; RETURN NEW; END$$;"
                    "CREATE TRIGGER note AFTER INSERT ON device_health FOR EACH ROW EXECUTE FUNCTION note()")
    try:
        tell(device.connect(), 1, VALUES)
        assert wait_until(lambda: gw.postgres.sql("SELECT source FROM noted"), "the report is kept")[0] == ["session"]
    finally:
        gw.postgres.sql("DROP TRIGGER note ON device_health; DROP FUNCTION note(); DROP TABLE noted")


def test_a_row_of_the_history_has_an_end(gw, device):
    """What is noted of five minutes takes no more faults once it has more than 64."""
    many = {f"fault-{n}": True for n in range(65)}
    gw.postgres.sql("INSERT INTO device_health_history(device, part, slot, at, content)"
                    f" SELECT '{device.id}', 'box', floor(extract(epoch FROM now()) / {SLOT})::bigint + n, now(),"
                    f" '{json.dumps({'faults': many})}' FROM generate_series(0, 3) n")
    tell(device.connect(), 1, VALUES)
    noted = wait_until(lambda: [r for r in rows(gw, device).values() if "diskPercent" in r], "the report is kept")
    assert [r["faults"] for r in noted] == [many]


def test_the_history_has_what_matters(gw, device):
    tunnel = device.connect()
    tell(tunnel, 1, VALUES)
    # both faults are over a moment later, and stay in what is noted of these minutes
    tell(tunnel, 2, {"faults": {"disk.full:/": None, "service.down:b": None, "memory.low": "x"}}, base="1")
    noted = wait_until(lambda: [r for r in rows(gw, device).values() if "memory.low" in r["faults"]], "the news are kept")[0]
    assert {k: v for k, v in noted.items() if k != "faults"} == {
        "diskPercent": 92.5, "memoryPercent": 75, "load1": 0.4, "celsius": 55, "restarts": 5}
    history = read(gw, device, "?since=7200")["history"]
    assert history[-1]["box"]["diskPercent"] == 92.5 and "memory.low" in history[-1]["box"]["faults"]
    everything = set().union(*(h["box"]["faults"] for h in history))
    assert everything == {"disk.full:/", "service.down:b", "memory.low"}
    assert gw.request("GET", f"/v1/devices/{device.id}/health?since=x").status == 400
    assert gw.request("GET", "/v1/devices/nobody/health").status == 404


def test_the_history_is_thinned(gw, device):
    """One row for five minutes of a day, for an hour of thirty days."""
    now = int(time.time()) // SLOT
    old = now - 288 - 36
    old -= old % 12
    kept = [now - 100, now - 287, old, old + 12 + 3]
    gone = [old + 1, old + 7, old + 11, old + 12 + 4, now - 8640 - 12]
    for slot in kept + gone:
        gw.postgres.sql("INSERT INTO device_health_history(device, part, slot, at, content) VALUES"
                          f" ('{device.id}', 'box', {slot}, to_timestamp({slot * SLOT}), '{{}}')")
    tunnel = device.connect()
    tell(tunnel, 1, VALUES)
    wait_until(lambda: max(slot for _, slot in rows(gw, device)) >= now, "the report is kept")
    left = {slot for _, slot in rows(gw, device)}
    assert left >= set(kept) and not left & set(gone), (sorted(left), kept, gone)


def test_what_was_kept_is_there_after_a_restart_and_goes_with_the_device(gw, device):
    tunnel = device.connect()
    tell(tunnel, 1, VALUES)
    wait_until(lambda: rows(gw, device), "the report is kept")
    device.close()
    gw.stop()
    gw.start()
    box = read(gw, device)["health"]["box"]
    assert box["values"] == VALUES and not box["connected"]
    assert gw.request("DELETE", f"/v1/devices/{device.id}").status == 200
    assert not rows(gw, device)
    assert gw.request("GET", f"/v1/devices/{device.id}/health").status == 404


def test_secbox_tells_its_own_part(gw):
    box = enroll(gw, "caseta-two-parts", "device")
    assert box.claim().status == 201
    try:
        tunnel = box.connect(status=False)
        assert tell(tunnel, 1, {"queue": {"waiting": 7, "dead": 1}, "replica": {"ageSeconds": 90}, "faults": {}}) == 1
        health = read(gw, box)["health"]
        assert set(health) == {"secbox"} and health["secbox"]["connected"]
        kept = wait_until(lambda: rows(gw, box), "the report is kept")
        assert [(part, r["queueWaiting"], r["queueDead"], r["dataAgeSeconds"]) for (part, _), r in kept.items()] == [
            ("secbox", 7, 1, 90)]
    finally:
        box.close()


def fleet(gw, *args):
    env = {**gw.env, "SECBOX_GATEWAY": gw.url, "SECBOX_TOKEN": gw.token}
    return subprocess.run([program("secbox-fleet"), *args], env=env, capture_output=True, text=True, check=False)


def test_the_operator_reads_it(gw, device):
    p = fleet(gw, "health", device.id)
    assert p.returncode == 0 and "has told nothing" in p.stdout, p.stderr
    tell(device.connect(), 1, VALUES)
    wait_until(lambda: rows(gw, device), "the report is kept")
    p = fleet(gw, "health", device.id, "--since", "2h")
    assert p.returncode == 0, p.stderr
    for text in ("the machine: told ", "its clock is ", "/ is 92 % full [disk.full:/]", "b is down [service.down:b]",
                 "DISK", "disk.full:/ service.down:b"):
        assert text in p.stdout, p.stdout
    assert json.loads(fleet(gw, "health", device.id, "--json").stdout)["health"]["box"]["values"] == VALUES
    assert fleet(gw, "health", device.id, "--since", "31h30").returncode == 2
    assert fleet(gw, "health", "nobody").returncode == 1


METRICS_TOKEN = "lab-metrics-token-0001"


@pytest.fixture
def metered(folder):
    """A gateway with a token for its metrics."""
    with Lab(folder, env={"METRICS_TOKEN": METRICS_TOKEN}) as it:
        yield it


def metrics(gw, token=METRICS_TOKEN, **headers):
    return gw.raw("GET", "/metrics", None, {"Authorization": f"Bearer {token}", **headers})


def test_metrics_are_off_without_a_token(gw):
    answer = metrics(gw, gw.token)
    assert answer.status == 404 and answer.json["error"]["id"] == "metrics.off"


def test_metrics_are_what_prometheus_reads(metered):
    """promtool is the parser that monitoring systems use."""
    if not shutil.which("promtool"):
        pytest.skip("prometheus is not installed: installer/deps.sh test")
    boxes = [enroll(metered, name, role) for name, role in (("caseta-1", "mgmt"), ("caseta-2", "mgmt"), ("caseta-3", "device"))]
    metered.request("POST", "/v1/devices", {"id": "never-seen", "labels": {}})
    try:
        for box in boxes:
            assert box.claim().status == 201
        first = boxes[0].connect()
        tell(first, 1, VALUES)
        tell(boxes[1].connect(), 1, {"faults": {}})
        tell(boxes[2].connect(status=False), 1, {"queue": {"waiting": 7}, "replica": {"ageSeconds": 90},
                                                      "faults": {"data.old": "x"}})
        text = metrics(metered).text
        check = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        assert check.returncode == 0 and not check.stdout + check.stderr, check.stdout + check.stderr + text
        lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        assert lines["secbox_boxes"] == "4" and lines["secbox_boxes_connected"] == "2" and lines["secbox_boxes_left_out"] == "0"
        want = {'connected{device="caseta-1"}': "1", 'connected{device="never-seen"}': "0",
                'disk_used_ratio{device="caseta-1"}': "0.925", 'faults{device="caseta-1",part="box"}': "2",
                'faults{device="caseta-3",part="secbox"}': "1", 'queue_events{device="caseta-3"}': "7",
                'data_age_seconds{device="caseta-3"}': "90", 'temperature_celsius{device="caseta-1"}': "55"}
        assert {k: lines["secbox_box_" + k] for k in want} == want
        assert float(lines['secbox_box_clock_offset_seconds{device="caseta-1"}']) < -86400
        assert text.endswith("# EOF\n") and 'disk_used_ratio{device="caseta-2"}' not in text
    finally:
        for box in boxes:
            box.close()


def test_metrics_want_their_own_token(metered):
    for token in (metered.token, METRICS_TOKEN + "x", "x"):
        answer = metrics(metered, token)
        assert answer.status == 401 and answer.json["error"]["id"] == "metrics.token"
    assert metered.raw("GET", "/metrics", None, {}).status == 401
    assert metered.raw("GET", "/v1/devices", None, {"Authorization": f"Bearer {METRICS_TOKEN}"}).status == 401
    assert METRICS_TOKEN not in metered.log()
    p = subprocess.run([program("secbox-gateway"), "serve", "--state", metered.state, "--listen", "127.0.0.1:0"],
                       env={**metered.env, "METRICS_TOKEN": "short"}, capture_output=True, text=True, check=False)
    assert p.returncode == 1 and "config.metrics-token" in p.stderr

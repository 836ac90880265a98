# SPDX-License-Identifier: MIT
"""What secbox tells of itself: to the cloud as differences, and to secboxctl over its socket."""
# pylint: disable=redefined-outer-name,unused-import
import json

from tests.integration.data_box import DataBox, box, fill, pg
from tests.integration.fake_agent import STATUS, FakeAgent
from tests.integration.test_secbox import cloud
from tests.integration.test_secbox import box as bare_box
from tests.integration.test_secboxctl import agent_fixture, ctl_fixture
from tests.lab.util import free_port, wait_until


def reports(box):
    """Puts together what comes in, and acknowledges it: the values after each report."""
    values = {}
    while True:
        message = box.server.inbox.get(timeout=600)
        if message["type"] != "health.report":
            continue
        if "base" not in message:
            values = {}
        merge(values, message["values"])
        box.server.send({"type": "health.ack", "seq": message["seq"]})
        yield values


def merge(values, patch):
    for key, change in patch.items():
        if isinstance(change, dict):
            merge(values.setdefault(key, {}), change)
        elif change is None:
            values.pop(key, None)
        else:
            values[key] = change


def test_data_queue_and_database(box):
    fill(box.server.community, guests=10)
    box.server.reject = {"odd"}
    box.start()
    box.wait_applied(box.server.community.version)
    odd = box.ask("queue.put", kind="odd", data={})
    assert "clientId" in odd, odd
    wait_until(lambda: box.ask("queue.status").get("dead") == 1, "the event was refused")
    told = next(v for v in reports(box) if v.get("queue", {}).get("dead"))
    assert told["database"] == {"state": "up"} and told["tunnel"]["connections"] == 1
    assert told["replica"]["version"] == str(box.server.community.version) and told["replica"]["bans"] == 1
    assert told["replica"]["ageSeconds"] >= 0 and told["queue"]["waiting"] == 0
    assert set(told["faults"]) == {"queue.dead"}
    assert box.ask("health")["queue"]["dead"] == 1


def test_a_database_that_is_away_is_a_fault_at_once(box):
    box.start()
    box.wait_ready()
    wait_until(lambda: box.ask("health").get("database") == {"state": "up"}, "the database is there")
    box.pg.sql(f"ALTER DATABASE {box.database} WITH ALLOW_CONNECTIONS false")
    box.pg.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{box.database}'")
    told = next(v for v in reports(box) if any(f.startswith("database.") for f in v["faults"]))
    assert "queue" not in told and "ageSeconds" not in told["replica"]


def test_without_a_database_and_with_guards(bare_box, cloud):
    bare_box.env["LAN_LISTEN"] = f"127.0.0.1:{free_port()}"
    bare_box.start()
    report = cloud.next_connection().receive("health.report")
    assert report["values"]["database"]["state"] == "none" and report["values"]["lan"] == {"serving": True}
    assert report["values"]["faults"] == {} and "queue" not in report["values"]


def test_status_of_a_box_with_secbox(ctl, agent):
    values = {"database": {"state": "missing", "help": "not there: make it"}, "lan": {"serving": False},
              "replica": {"version": "17", "ageSeconds": 90, "bans": 4, "unconfirmedBans": 1, "sync": "current"},
              "queue": {"waiting": 7, "dead": 2}, "faults": {"queue.dead": "the gateway has refused 2 events"}}
    with FakeAgent(ctl.root, "run/tucomunidad/secbox/control.sock") as secbox:
        secbox.answers["data.ask"] = [{"type": "data.answer", "report": values}]
        p = ctl.run("status")
        for line in ("the gateway has refused 2 events [queue.dead]", "not there: make it", "NOT served",
                     "version 17, 90 s old, 4 bans, 1 of them unconfirmed, current", "7 events wait, 2 were refused"):
            assert line in p.stdout, p.stdout + p.stderr
        assert json.loads(ctl.run("status", "--json").stdout) == {**STATUS, "secbox": values}
        secbox.answers["data.ask"] = [None]
        assert json.loads(ctl.run("status", "--json").stdout) == STATUS, "one that does not answer is left out"
    assert len(agent.requests) == 3

# SPDX-License-Identifier: MIT
"""The audit log as a chain of hashes: whole however it was written, and broken by whoever changes it around the gateway."""
import hashlib
import json
import os
import re
import subprocess
import threading
import types

import pytest

from tests.conftest import require_programs
from tests.integration.gateway_lab import Lab, device, enroll, gw, shared  # noqa: F401  # pylint: disable=unused-import
from tests.lab.box import Box
from tests.lab.postgres import Postgres
from tests.lab.util import ROOT, program, read_text, wait_until


def verify(pg, *more):
    env = {"PATH": os.environ["PATH"], "SECBOX_GATEWAY_DATABASE": pg.conninfo}
    return subprocess.run([program("secbox-gateway"), "audit", "verify", *more], env=env, capture_output=True, text=True,
                          check=False)


def migrate(pg):
    env = {"PATH": os.environ["PATH"], "SECBOX_GATEWAY_DATABASE": pg.conninfo}
    subprocess.run([program("secbox-gateway"), "migrate"], env=env, check=True)


def head_of(pg):
    return pg.sql("SELECT seq || ':' || hash FROM audit_chain ORDER BY seq DESC LIMIT 1")[0][0]


def write(pg, n, action="lab.entry"):
    pg.sql(f"INSERT INTO audit(actor, action, detail) SELECT 'lab', '{action}', jsonb_build_object('n', n, 'text', 'é' || n)"
           f" FROM generate_series(1, {n}) n")


@pytest.fixture
def log():
    """A log without a gateway."""
    with Postgres() as pg:
        migrate(pg)
        yield pg


def test_the_chain_is_what_the_documents_say(log):
    """Hashed here without any of our code."""
    write(log, 5)
    before = ""
    for seq, expected, canonical in log.sql(
            "SELECT c.seq, c.hash, jsonb_build_array(a.id, (extract(epoch FROM a.at) * 1000000)::bigint, a.actor, a.action,"
            " a.device, a.alarm, a.detail)::text FROM audit_chain c JOIN audit a ON a.id = c.entry ORDER BY c.seq"):
        before = hashlib.sha256(f"{before}\n{canonical}".encode()).hexdigest()
        assert before == expected, seq
    done = verify(log, "--json")
    assert done.returncode == 0 and json.loads(done.stdout) == {"entries": "5", "head": f"5:{before}"}, done
    assert f"whole: 5 entries, head 5:{before}" in verify(log).stdout


def test_whoever_changes_an_entry_is_found(log):
    write(log, 12)
    old = head_of(log)
    assert verify(log, "--head", old).returncode == 0
    for change, undo, why in (
            ("UPDATE audit SET actor = 'nobody' WHERE id = 7", "UPDATE audit SET actor = 'lab' WHERE id = 7", "number 7"),
            ("UPDATE audit SET alarm = true WHERE id = 3", "UPDATE audit SET alarm = false WHERE id = 3", "number 3"),
            ("UPDATE audit SET at = at + interval '1 microsecond' WHERE id = 12",
             "UPDATE audit SET at = at - interval '1 microsecond' WHERE id = 12", "number 12"),
            ("UPDATE audit_chain SET hash = repeat('0', 64) WHERE seq = 4", None, "number 4")):
        log.sql(change)
        done = verify(log)
        assert done.returncode == 1 and why in done.stderr and "audit.broken" in done.stderr, done
        if undo:
            log.sql(undo)
            assert verify(log).returncode == 0


def test_entries_that_are_gone_or_came_around_the_gateway(log):
    write(log, 6)
    old = head_of(log)
    log.sql("ALTER TABLE audit DISABLE TRIGGER audit_link")
    write(log, 1, "lab.unlinked")
    log.sql("ALTER TABLE audit ENABLE TRIGGER audit_link")
    done = verify(log)
    assert done.returncode == 1 and "entry 7 of the audit log is no link" in done.stderr, done
    log.sql("DELETE FROM audit WHERE id = 7")
    log.sql("DELETE FROM audit WHERE id = 6")
    assert "entry 6: the entry was deleted" in verify(log).stderr
    log.sql("DELETE FROM audit_chain WHERE entry = 6")  # the end can be cut off: only who knows the head notices
    assert verify(log).returncode == 0
    assert "ends at number 5, before the head" in verify(log, "--head", old).stderr
    write(log, 1)
    assert verify(log).returncode == 0
    assert "has another hash than the head" in verify(log, "--head", old).stderr
    log.sql("DELETE FROM audit_chain WHERE seq = 2; DELETE FROM audit WHERE id = 2")
    assert "has no number 2: entries were deleted" in verify(log).stderr
    assert verify(log, "--head", "5").returncode == 2


def test_many_pages_and_many_writers(log):
    """The order is that of the commits, and a transaction that takes long holds up none of the others."""
    with log.open_transaction("INSERT INTO audit(actor, action) VALUES ('lab', 'lab.slow')", end="COMMIT"):
        writers = [threading.Thread(target=write, args=(log, 1500)) for _ in range(4)]
        for w in writers:
            w.start()
        for w in writers:
            w.join()
        assert json.loads(verify(log, "--json").stdout)["entries"] == "6000"
    wait_until(lambda: json.loads(verify(log, "--json").stdout)["entries"] == "6001", "the slow one is there")
    assert log.sql("SELECT c.seq FROM audit a JOIN audit_chain c ON c.entry = a.id WHERE action = 'lab.slow'") == [["6001"]]
    log.sql("ALTER TABLE audit DISABLE TRIGGER audit_link")
    write(log, 1, "lab.unlinked")
    assert "entry 6002 of the audit log is no link" in verify(log).stderr


def test_the_env_file_is_read_once(log, tmp_path):
    """Root reads it, and asks as the unit's user, who may not: here it is gone by then."""
    file = tmp_path / "gateway.env"
    file.write_text(f"SECBOX_GATEWAY_DATABASE='{log.conninfo}'\n", encoding="utf-8")
    write(log, 3)
    schema = re.search(r'\.lock = "(\d+)"', read_text(os.path.join(ROOT, "gateway/store/schema.c")))[1]
    argv = [program("secbox-gateway"), "audit", "verify", "--env-file", str(file)]
    with log.open_transaction(f"SELECT pg_advisory_xact_lock({schema})"):
        # pylint: disable-next=consider-using-with
        waiting = subprocess.Popen(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   env={"PATH": os.environ["PATH"]})
        wait_until(lambda: waiting.poll() is not None or log.sql("SELECT 1 FROM pg_locks WHERE NOT granted"), "it waits")
        file.unlink()
    said, _ = waiting.communicate(timeout=120)
    assert waiting.returncode == 0 and "whole: 3 entries" in said, said


def test_nobody_elses_lock_holds_up_the_log(log):
    """Events of boxes are stored one at a time, under a lock of their own."""
    text = read_text(os.path.join(ROOT, "gateway/store/events-table.c"))
    others = re.search(r"pg_advisory_xact_lock\((\d+)\)", text)[1]
    with log.open_transaction(f"SELECT pg_advisory_xact_lock({others})"):
        log.sql("SET lock_timeout = '1s'; INSERT INTO audit(actor, action) VALUES ('lab', 'lab.entry')")
    assert json.loads(verify(log, "--json").stdout)["entries"] == "1"


def test_a_log_from_before_is_linked_once(log):
    """What was written before the step, by gateways that knew no chain."""
    log.sql("DROP TRIGGER audit_link ON audit; DROP FUNCTION audit_link_new; DROP FUNCTION audit_link; DROP TABLE audit_chain;"
            " DELETE FROM schema_version WHERE version = 23")
    write(log, 40)
    migrate(log)
    assert log.sql("SELECT count(*) FROM audit_chain") == [["41"]]
    assert log.sql("SELECT detail FROM audit WHERE action = 'audit.chain-begins'") == [['{"before": 0, "linked": 40}']]
    assert verify(log).returncode == 0
    log.sql("UPDATE audit SET actor = 'nobody' WHERE action = 'lab.entry' AND detail->>'n' = '20'")
    assert verify(log).returncode == 1
    migrate(log)
    assert log.sql("SELECT count(*) FROM audit_chain") == [["41"]]


def test_a_gateway_that_works_writes_a_chain_that_holds(gw, device):  # noqa: F811
    device.connect()
    for n in range(3):
        assert gw.request("POST", f"/v1/devices/{device.id}/{'block' if n % 2 == 0 else 'unblock'}").status == 200
    done = verify(gw.postgres)
    assert done.returncode == 0, done
    assert gw.postgres.sql("SELECT count(*) FROM audit a WHERE NOT EXISTS (SELECT FROM audit_chain WHERE entry = a.id)") == [["0"]]


def test_boxes_know_how_far_the_log_was(tmp_path):
    """What a box says of an earlier time is compared: a log that was rewritten since is an alarm, once."""
    with Lab(str(tmp_path)) as gw:  # noqa: F811
        boxes = []
        try:
            for n in range(2):
                boxes.append(enroll(gw, f"box-{n}"))
                assert boxes[-1].claim().status == 201
            gw.stop()
            gw.start()

            def told():
                boxes[0].connect()
                return boxes[0].welcome.get("auditHead")

            head = wait_until(told, "the gateway knows how far the log is", gw.daemon.death)
            number, digest = head.split(":")
            assert gw.postgres.sql(f"SELECT hash FROM audit_chain WHERE seq = {number}") == [[digest]]
            assert f"the audit log is at {head}" in gw.log()
            boxes[0].connect(auditHead=head)
            boxes[1].connect(auditHead="nonsense")
            boxes[1].connect(auditHead=f"999999:{'0' * 64}")
            alarms = wait_until(lambda: gw.audit("audit.rewritten"), "the alarm", gw.daemon.death)
            assert [(e["device"], e["alarm"], e["detail"]["head"][:7]) for e in alarms] == [("box-1", True, "999999:")]
            boxes[0].connect(auditHead=f"{number}:{'0' * 64}")
            boxes[0].connect(auditHead="888888:" + "0" * 64)
            assert verify(gw.postgres, "--head", head).returncode == 0
            assert gw.audit("audit.rewritten") == alarms, "once an hour"
        finally:
            for box in boxes:
                box.close()


def test_a_real_box_keeps_the_head_and_says_it_again(tmp_path, folder):
    """Across a restart of its own; and what it says of a log that was written anew since is the alarm."""
    require_programs("mgmt-agent", "mgmt-link")
    nothing = types.SimpleNamespace(user="root", env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"})
    with Lab(str(tmp_path)) as gateway:
        with Box(nothing, folder, gateway.enroll("box")) as box:
            box.start()
            gateway.wait_connected("box")
            box.link.stop()
            gateway.stop()
            gateway.start()
            wait_until(lambda: "the audit log is at" in gateway.log(), "the gateway knows how far it is", gateway.daemon.death)
            box.start_link()
            path = box.path("var/lib/tucomunidad/mgmt-link/audit-head.json")
            wait_until(lambda: os.path.exists(path), "the box keeps it", box.link.death)
            kept = json.loads(read_text(path))
            assert kept["cloud"] == gateway.url and verify(gateway.postgres, "--head", kept["head"]).returncode == 0
            assert f"the cloud's audit log is at {kept['head']}" in box.log()
            box.link.stop()
            gateway.stop()
            gateway.postgres.sql("UPDATE audit SET actor = 'somebody else' WHERE id = 1; DELETE FROM audit_chain;"
                                 " DO $$ DECLARE a audit; BEGIN FOR a IN SELECT * FROM audit ORDER BY id LOOP"
                                 " PERFORM audit_link(a); END LOOP; END $$")
            assert verify(gateway.postgres).returncode == 0, "whoever writes it all anew is not found by that alone"
            assert verify(gateway.postgres, "--head", kept["head"]).returncode == 1
            gateway.start()
            box.start_link()
            alarm = wait_until(lambda: gateway.audit("audit.rewritten"), "the alarm", box.link.death)[0]
            assert (alarm["device"], alarm["detail"]["head"]) == ("box", kept["head"])

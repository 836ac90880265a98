# SPDX-License-Identifier: MIT
"""Whole tables from files, in one transaction, and the verbs of secbox-fleet about communities."""
# pylint: disable=redefined-outer-name,unused-import
import csv
import io
import json
import os
import re
import shutil
import subprocess

import pytest

from tests.integration.gateway_lab import error_id, gw, shared
from tests.integration.test_box_events import event, push
from tests.integration.test_communities import TIMES, Community, community, new, opened
from tests.integration.test_community_sync import boxes, stored
from tests.lab.fleet import Fleet
from tests.lab.util import ROOT, read_text, wait_until


def send(community, text, query):
    return community.gw.raw("POST", f"{community.path}/import?{query}", text.encode(),
                            {"Authorization": f"Bearer {community.gw.token}"})


def csv_of(names, rows, **style):
    out = io.StringIO()
    writer = csv.DictWriter(out, names, **style)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def names(community, table):
    return sorted(r["name"] for r in community.ask("GET", f"{table}?limit=1000").json["rows"])


def test_a_csv_file_is_merged_and_replaces(gw, community, boxes):
    box = boxes(community.id).connect()
    box.until("sync.check")
    text = csv_of(["name", "street", "notes"], [{"name": "1", "street": 'the "old" road'}, {"name": "2", "notes": "a\nb"}])
    answer = send(community, text, "table=units&format=csv")
    assert answer.status == 200, answer
    assert answer.json == {"import": {"rows": 2, "created": 2, "changed": 0, "deleted": 0, "same": 0, "dryRun": False},
                           "communityVersion": "3"}
    again = send(community, text, "table=units&format=csv").json
    assert again["import"]["same"] == 2 and again["communityVersion"] == "3"  # the same line is the same row
    box.reach(3)
    other = csv_of(["name"], [{"name": "3"}], delimiter=";")
    dry = send(community, "\ufeff" + other, "table=units&format=csv&mode=replace&dryRun=1").json
    assert dry["import"] == {"rows": 1, "created": 1, "changed": 0, "deleted": 2, "same": 0, "dryRun": True}
    assert names(community, "units") == ["1", "2"] and len(community.log()) == 3
    assert send(community, other, "table=units&format=csv&mode=replace").status == 200
    assert names(community, "units") == ["3"]
    box.reach(6)
    assert box.rows == stored(gw, community)
    entries = [e for e in gw.audit("community.imported") if e["detail"]["community"] == community.id]
    assert len(entries) == 2 and entries[0]["detail"]["deleted"] == 2 and entries[0]["actor"] == "operator:lab"
    wait_until(lambda: gw.postgres.sql("SELECT count(*) FROM community_import_rows") == [["0"]], "nothing stays put aside")


def test_ndjson_names_days_uses_and_ids(gw, community):
    unit, guest = community.put("units", name="1")["id"], new()
    line = json.dumps({"id": guest, "unit": unit, "days": ["mon"], "uses": 3, **TIMES})
    assert send(community, f"\n{line}\n\n", "table=guests").json["import"]["created"] == 1
    row = {"id": guest, "unit": unit, "days": "tue wed", "uses": "5", **TIMES}
    assert send(community, csv_of(list(row), [row]), "table=guests&format=csv").json["import"]["changed"] == 1
    kept = community.ask("GET", "guests", guest).json["row"]
    assert kept["days"] == ["tue", "wed"] and kept["uses"] == 5


def test_errors_name_their_lines_and_nothing_is_imported(gw, community):
    unit = community.put("units", name="1")["id"]
    lines = ["name,role,unit", "Ana,resident,", "Eva,,", f"Luis,guard,{unit}", 'Bo,"guard"x,', "Al,guard,x,y"]
    answer = send(community, "\n".join(lines), "table=users&format=csv")
    assert answer.status == 422 and error_id(answer) == "import.lines" and answer.json["errorCount"] == 3
    assert [(e["line"], e["error"]["id"]) for e in answer.json["errors"]] == [(3, "row.missing"), (5, "csv.quote"),
                                                                           (6, "csv.fields")]
    twice = new()
    rows = [{"id": twice, "name": "A", "role": "guard"}, {"id": new(), "name": "B", "role": "guard", "unit": new()},
            {"id": twice, "name": "C", "role": "guard"}, {"id": new(), "name": "D", "role": "guard"}]
    answer = send(community, "\n".join(map(json.dumps, rows)), "table=users")
    assert [(e["line"], e["error"]["id"]) for e in answer.json["errors"]] == [(2, "row.bad-reference"), (3, "row.twice")]
    assert error_id(send(community, '{"name": "A", "role": "guard", "pin": "1234"}', "table=users")) == "import.lines"
    host = community.put("users", name="Ana", role="resident", unit=unit)
    assert host
    answer = send(community, '{"name": "2"}', "table=units&mode=replace")
    assert [e["error"]["id"] for e in answer.json["errors"]] == ["row.needed"]
    assert names(community, "units") == ["1"] and names(community, "users") == ["Ana"]
    assert error_id(send(community, "{}", "table=cars")) == "request.bad-parameter"
    assert error_id(send(community, "{}", "table=bans&mode=replace")) == "import.bans-replace"
    assert error_id(send(community, "", "table=units&format=xls")) == "request.bad-parameter"
    community.path = f"/v1/communities/{new()}"
    assert error_id(send(community, '{"name": "2"}', "table=units")) == "community.not-found"


def test_a_file_in_parts_is_one_import(gw, community):
    upload = new()
    first = send(community, "name\n1\n2\n", f"table=units&format=csv&upload={upload}&line=2").json
    assert first == {"upload": upload, "rows": "2", "errors": [], "errorCount": 0}
    bad = send(community, "name,street\n4,\n,x\n", f"table=units&format=csv&upload={upload}&line=4").json
    assert [(e["line"], e["error"]["id"]) for e in bad["errors"]] == [(5, "row.missing")]
    assert names(community, "units") == []
    answer = send(community, "", f"table=units&upload={upload}&finish=1&rows=4")
    assert answer.status == 422 and answer.json["errors"][0]["line"] == 5
    send(community, "name\n1\n", f"table=units&format=csv&upload={upload}&line=2")
    done = send(community, "name\n2\n", f"table=units&format=csv&upload={upload}&line=3&finish=1&rows=2")
    assert done.json["import"]["created"] == 2 and names(community, "units") == ["1", "2"]


def test_what_lacks_a_part_is_not_taken_over(gw, community):
    def part(upload, line):
        answer = send(community, f"name\n{line}\n", f"table=units&format=csv&upload={upload}&line={line}")
        assert answer.status == 200, answer

    def finish(upload, query):
        return send(community, "", f"table=units&upload={upload}&finish=1&{query}")

    def units():
        return names(community, "units")

    community.put("units", name="old")
    for query in ("mode=replace&rows=2", "mode=merge&rows=2", "mode=replace&rows=2&dryRun=1"):
        upload = new()
        part(upload, 2)
        part(upload, 3)
        gw.postgres.sql(f"DELETE FROM community_import_rows WHERE import = '{upload}' AND line = 3")  # a crash loses all of them
        for unusable in (upload, new()):
            answer = finish(unusable, query)
            assert answer.status == 409 and error_id(answer) == "import.incomplete", (query, answer)
    part(upload, 2)
    answer = finish(upload, "mode=replace")
    assert answer.status == 400 and error_id(answer) == "request.bad-parameter" and "rows" in answer.text
    assert units() == ["old"]
    part(upload, 3)
    assert finish(upload, "mode=replace&rows=2").status == 200 and units() == ["2", "3"]
    assert finish(upload, "mode=replace&rows=2").status == 409 and units() == ["2", "3"]


def test_a_file_without_rows_replaces_nothing(gw, community):
    community.put("units", name="old")
    for text, query in (("name\n", "format=csv"), ("name\r", "format=csv"), ("", "format=ndjson"),
                        ("", f"upload={new()}&finish=1&rows=0")):
        answer = send(community, text, f"table=units&mode=replace&{query}")
        assert answer.status == 400 and error_id(answer) == "import.empty", (text, query, answer)
    assert names(community, "units") == ["old"]
    assert send(community, "name\n", "table=units&format=csv").json["import"]["rows"] == 0


def test_one_file_for_two_communities(gw, community):
    other = Community(gw, "Other")
    for c in (community, other):
        assert send(c, "name\r1\r2\r", "table=units&format=csv").json["import"]["created"] == 2
    assert send(other, "name\r1\r2\r", "table=units&format=csv").json["import"]["same"] == 2
    assert names(community, "units") == names(other, "units") == ["1", "2"]


def test_nobody_waits_for_an_import(gw, community, boxes):
    box = boxes(community.id).connect()
    box.until("sync.check")
    upload = new()
    assert send(community, "name\n1\n", f"table=units&format=csv&upload={upload}&line=2").status == 200
    row = f"'units', gen_random_uuid(), '{community.id}', '{{\"name\": \"2\"}}', NULL, false, 'test'"
    for change in (f"SELECT community_write({row})", f"SELECT pass_key_keep('{community.id}', 'key', '{{}}', 'test')",
                   f"SELECT community_import_all('{upload}', '{community.id}', 'units', 1, false, false, 'test')"):
        with gw.postgres.open_transaction(change):
            entry = event(community)
            assert push(box, entry) == ([entry["clientId"]], {})
            busy = community.ask("PUT", "units", new(), {"name": "3"})
            assert busy.status == 503 and error_id(busy) == "store.locked"
            dry = send(community, "name\n4\n", "table=units&format=csv&dryRun=1")
            assert dry.status == 200 and dry.json["import"]["created"] == 1
    assert community.put("units", name="3")["version"] == "2"


@pytest.fixture
def fleet(gw, folder):
    return Fleet(gw.url, gw.token, folder)


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def test_the_verbs(gw, fleet, folder, boxes):
    c, unit, ban = new(), new(), new()
    fleet.run("community", "put", c, write(folder, "c.json", '{"name": "Los Cedros"}'), check=0)
    fleet.run("community", "put", c, "units", unit, write(folder, "u.json", '{"name": "7-A"}'), check=0)
    assert json.loads(fleet.run("community", "show", c, check=0).stdout)["name"] == "Los Cedros"
    assert fleet.json("community", "show", c, "units", unit)["row"]["name"] == "7-A"
    assert "Los Cedros" in fleet.run("community", "list", check=0).stdout
    assert "7-A" in fleet.run("community", "rows", c, "units", check=0).stdout
    assert fleet.run("community", "show", c, "units").returncode == 2
    for table in ("boxes", "events"):  # which is no list of rows
        wrong = fleet.run("community", "rows", c, table)
        assert wrong.returncode == 2 and "units, users, guests or bans" in wrong.stderr
    box = boxes(c).connect()
    box.until("sync.check")
    fleet.run("community", "put", c, "bans", ban, write(folder, "b.json", '{"reason": "theft", "plate": "PBX-1"}'), check=0)
    box.reach(3)

    def line(*args):
        found = [row.split() for row in fleet.run(*args, check=0).stdout.splitlines() if box.device.id in row]
        return found[0] if found else []

    known = wait_until(lambda: (lambda row: row if "yes" in row[3:4] else None)(line("community", "ban-status", c, ban)),
                       "the box knows the ban")
    assert known[4].startswith("20")
    assert line("community", "boxes", c)[:5] == [box.device.id, "yes", "yes", "3", "yes"]
    box.send("events.push", events=[event(Plain(c))])
    box.tunnel.next("events.ack")
    assert "visit.entry" in fleet.run("community", "events", c, "--limit", "5", check=0).stdout
    fleet.run("community", "delete", c, "bans", ban, "--yes", check=0)
    gone = fleet.run("community", "delete", c, "bans", ban, "--yes")
    assert gone.returncode == 1 and "row.not-found" in gone.stderr


class Plain:
    def __init__(self, community):
        self.id = community


def test_import_by_a_verb(fleet, folder, community):
    path = write(folder, "units.csv", csv_of(["name", "notes"], [{"name": f"u-{n}", "notes": "x" * 900} for n in range(3000)]))
    assert os.path.getsize(path) > 2 * 1024 * 1024  # more than one request may bring
    dry = fleet.run("community", "import", community.id, "units", path, "--dry-run", check=0)
    assert "3000 rows: 3000 new, 0 changed, 0 deleted, 0 as before; nothing was imported" in dry.stdout
    assert "lines" in dry.stderr
    assert community.ask("GET", "units").json["rows"] == []
    assert fleet.json("community", "import", community.id, "units", path)["import"]["created"] == 3000
    replace = ("community", "import", community.id, "units", path, "--replace")
    assert "3000 as before" in fleet.run(*replace, "--yes", check=0).stdout
    asked = fleet.run(*replace)
    assert asked.returncode == 2 and "--yes" in asked.stderr
    assert "nothing was imported" in fleet.run(*replace, "--dry-run", check=0).stdout
    empty = write(folder, "empty.csv", "name,notes\r\n")
    refused = fleet.run("community", "import", community.id, "units", empty, "--replace", "--yes")
    assert refused.returncode == 1 and "has no row" in refused.stderr
    assert "3000 as before" in fleet.run(*replace, "--dry-run", check=0).stdout
    bad = write(folder, "bad.ndjson", '{"name": "1"}\n{"nome": "2"}\n')
    failed = fleet.run("community", "import", community.id, "units", bad)
    assert failed.returncode == 1 and "bad.ndjson:2: the member \"name\" is missing" in failed.stderr


def read_qr(svg):
    """What the app's own reader sees in a picture of one path, whose squares are drawn 4 pixels wide."""
    size = int(re.search(r'viewBox="0 0 (\d+) \1"', svg)[1])
    squares = re.findall(r"M(\d+) (\d+)h1v1h-1z", svg)
    script = """
import { readFileSync } from "node:fs";
import { runInThisContext } from "node:vm";
globalThis.self = globalThis;
runInThisContext(readFileSync("%s", "utf8"));
const [size, squares] = JSON.parse(readFileSync(0, "utf8"));
const side = size * 4;
const data = new Uint8ClampedArray(side * side * 4).fill(255);
for (const [x, y] of squares)
  for (let i = 0; i < 4; i++) {
    const at = ((y * 4 + i) * side + x * 4) * 4;
    for (let pixel = at; pixel < at + 16; pixel += 4) data.fill(0, pixel, pixel + 3);
  }
console.log(self.jsQR(data, side, side)?.data ?? "");
""" % os.path.join(ROOT, "secbox", "lan", "app", "jsqr-1.4.0.mjs")
    done = subprocess.run([shutil.which("node") or "nodejs", "--input-type=module", "-e", script], capture_output=True, text=True,
                          input=json.dumps([size, [[int(x), int(y)] for x, y in squares]]), check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_pass_as_text_and_as_a_picture(gw, fleet, folder, community):
    unit = community.put("units", name="1")["id"]
    guest = community.put("guests", unit=unit, name="Eva", **TIMES)["id"]
    key = {}

    def is_pass(text):
        key.update(gw.request("GET", community.path).json["row"]["passKey"])
        return opened(text, key)["sub"] == guest

    assert is_pass(fleet.run("community", "pass", community.id, guest, check=0).stdout.strip())
    assert is_pass(fleet.json("community", "pass", community.id, guest)["pass"]["text"])
    picture = os.path.join(folder, "pass.svg")
    done = fleet.run("community", "pass", community.id, guest, "--svg", picture, check=0)
    assert done.stdout == f"{picture} is good from 2026-01-02T03:04:05.000Z until 2036-01-02T03:04:05.000Z, once\n"
    assert os.stat(picture).st_mode & 0o777 == 0o600
    assert is_pass(read_qr(read_text(picture)))
    assert fleet.run("community", "pass", community.id, new()).returncode == 1
    missing = fleet.run("community", "pass", community.id, guest, "--svg", os.path.join(folder, "none", "pass.svg"))
    assert missing.returncode == 1 and "none/pass.svg" in missing.stderr

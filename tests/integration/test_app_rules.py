# SPDX-License-Identifier: MIT
"""The guards' app decides as the box does: its own modules, run by Node, against the tables that the C code is held to."""
import hashlib
import json
import os
import shutil
import subprocess

from tests.lab.util import ROOT

APP = os.path.join(ROOT, "secbox", "lan", "app")
CASES = os.path.join(ROOT, "tests", "cases")
MATCH = """
import { readFileSync } from "node:fs";
import * as match from "file://%s/match.mjs";
const cases = JSON.parse(readFileSync("%s/match.json", "utf8"));
const wrong = [];
const check = (row, got, want) => { if (got !== want) wrong.push([...row, got]); };
for (const row of cases.plateOf) check(row, match.matchPlate(row[0]), row[1]);
for (const row of cases.nameOf) check(row, match.matchName(row[0]), row[1]);
for (const row of cases.plates) check(row, match.matchPlates(match.matchPlate(row[0]), match.matchPlate(row[1])), row[2]);
for (const row of cases.names) check(row, match.matchNames(match.matchName(row[0]), match.matchName(row[1])), row[2]);
console.log(JSON.stringify({ wrong, n: Object.values(cases).flat().length }));
""" % (APP, CASES)
VERDICT = """
import { readFileSync } from "node:fs";
import { decide, localMoment, recordOf } from "file://%s/verdict.mjs";
const cases = JSON.parse(readFileSync("%s/verdict.json", "utf8"));
const wrong = [];
for (const c of cases) {
  const records = c.records.map((row) => recordOf(row.kind, row));
  const got = decide(c.typed, records, c.at);
  const reason = got.reason === null ? null : records.indexOf(got.reason);
  const refusal = c.refusal === undefined ? undefined : got.fits.find((f) => f.record === got.reason).refusal;
  if (got.verdict !== c.verdict || got.doubt !== c.doubt || reason !== c.reason || refusal !== c.refusal)
    wrong.push([c.name, got.verdict, got.doubt, reason, refusal]);
}
const zoned = [[1790000000, "America/Bogota"], [1790000000, "Asia/Kathmandu"],
  [1774745999, "Europe/Madrid"], [1774746000, "Europe/Madrid"]];
const moments = zoned.map(([now, zone]) => localMoment(now, zone));
console.log(JSON.stringify({ wrong, n: cases.length, moments }));
""" % (APP, CASES)
PASS = """
import { readFileSync } from "node:fs";
import { checkGuest, checkPass, looksLikePass, passVerdict } from "file://%s/pass.mjs";
import { UNKNOWN, decide, recordOf } from "file://%s/verdict.mjs";
const cases = JSON.parse(readFileSync("%s/pass.json", "utf8"));
const wrong = [];
for (const c of cases) {
  const { refusal: first, pass } = await checkPass(c.pass, c.key, c.community, c.at.now);
  const known = Boolean(pass) && c.guest?.id === pass.guest;
  const refusal = pass ? checkGuest(first, known, c.used.includes(pass.id)) : first;
  const records = known ? [recordOf("guest", c.guest), ...c.bans.map((ban) => recordOf("ban", ban))] : [];
  const verdict = passVerdict(refusal, known ? decide(c.guest.name, records, c.at).verdict : UNKNOWN);
  if (verdict !== c.verdict || refusal !== c.refusal) wrong.push([c.name, verdict, refusal]);
}
const looks = ["XYZ-987", "a.b.c", "Ana María Ruiz", "https://example.com/".repeat(5)].filter(looksLikePass);
console.log(JSON.stringify({ wrong, n: cases.length, looks, good: looksLikePass(cases[0].pass) }));
""" % (APP, APP, CASES)


def run(script):
    node = shutil.which("node") or shutil.which("nodejs")
    assert node, "the package nodejs is missing: make deps"
    done = subprocess.run([node, "--input-type=module", "-e", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_texts_are_compared_alike():
    result = run(MATCH)
    assert result["wrong"] == []
    with open(os.path.join(CASES, "match.json"), encoding="utf-8") as f:
        assert result["n"] == sum(len(rows) for rows in json.load(f).values()) > 40


def test_verdicts_are_alike():
    result = run(VERDICT)
    assert result["wrong"] == [] and result["n"] > 40
    assert result["moments"] == [
        {"now": 1790000000, "weekday": 1, "minute": 9 * 60 + 13},
        {"now": 1790000000, "weekday": 1, "minute": 19 * 60 + 58},
        {"now": 1774745999, "weekday": 0, "minute": 60 + 59},
        {"now": 1774746000, "weekday": 0, "minute": 3 * 60},
    ], "days and hours are those of the community, over a change of its clocks, too"


def test_passes_are_judged_alike():
    result = run(PASS)
    assert result["wrong"] == [] and result["n"] > 30
    assert result["good"] and result["looks"] == []


PAUSES = """
import { ask, hooks, merged, picture, request } from "file://%s/net.mjs";
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const told = (status, body, headers = {}) => new Response(body ? JSON.stringify(body) : null, { status, headers });
const wait = (id, seconds) => told(429, { error: { id, message: "m" } }, { "Retry-After": String(seconds) });
let sent = [], answers = [];
globalThis.fetch = async (path, options) => { sent.push([path, options.headers["If-None-Match"]]); return answers.shift(); };
const result = {};

answers = [wait("lan.too-many-requests", 1), told(200, { n: 1 })];
let began = Date.now();
result.putOff = [await request("GET", "/a"), sent.length, Date.now() - began >= 1000];

// what is put off holds up what comes behind it, and what nobody waits for any more is not sent
sent = [];
answers = [wait("lan.too-many-requests", 1), told(200, { n: 2 }), told(200, { n: 2 })];
let typed = 1;
const first = request("GET", "/typed-1", undefined, () => typed === 1).catch((e) => e.id);
await sleep(10);
typed = 2;
result.outdated = [(await Promise.all([first, request("GET", "/typed-2", undefined, () => typed === 2)])), sent.map(([p]) => p)];

// a PIN that was wrong too often is told at once
answers = [wait("lan.too-many-tries", 1), told(200, {})];
result.pin = await request("POST", "/pin", {}).catch((e) => [e.status, e.id]);
answers = [];

sent = [];
answers = Array.from({ length: 9 }, () => wait("lan.too-many-requests", 0.01));
result.patience = [await request("GET", "/b").catch((e) => e.status), sent.length];

sent = [];
answers = [told(304), told(200, { n: 3 }, { ETag: '"t"' })];
result.tags = [await ask("GET", "/c", { tag: '"s"' }), await ask("GET", "/c", {}), sent];

// what is said of the moment of sending is true of the try that gets through
const bodies = [];
globalThis.fetch = async (path, options) => { bodies.push(JSON.parse(options.body)); return answers.shift(); };
answers = [wait("lan.too-many-requests", 0.05), told(201, { id: "e" })];
let turn = 0;
result.moment = [await request("POST", "/e", () => ({ sent: ++turn })), bodies];

// a picture that never comes holds up none behind it
globalThis.fetch = (path, { signal }) => new Promise((_, reject) => {
  signal.addEventListener("abort", () => reject(new Error("ended")));
});
result.pictures = [await picture("/p", new AbortController().signal, 20).catch((e) => e.message)];
const screen = new AbortController();
const left = picture("/p", screen.signal, 600000).catch((e) => e.message);
screen.abort();
result.pictures.push(await left);

let reached = true;
hooks.onReached = (r) => { reached = r; };
globalThis.fetch = async () => { throw new TypeError("away"); };
result.away = [await request("GET", "/d").catch((e) => e.message), reached];

// one reading for a burst: those who ask meanwhile get one more together
let runs = 0, open;
const read = merged(() => { runs++; return new Promise((resolve) => { open = resolve; }); }, 1);
for (let i = 0; i < 50; i++) read();
result.runs = [runs];
open();
while (runs < 2) await sleep(1);
open();
await sleep(50);
result.runs.push(runs);
read();
result.runs.push(runs);
console.log(JSON.stringify(result));
""" % APP


def test_the_tablet_waits_when_it_is_told_to():
    result = run(PAUSES)
    assert result["putOff"] == [{"n": 1}, 2, True]
    assert result["outdated"] == [["app.outdated", {"n": 2}], ["/typed-1", "/typed-2"]]
    assert result["pin"] == [429, "lan.too-many-tries"]
    assert result["patience"] == [429, 5]
    assert result["tags"] == [None, {"answer": {"n": 3}, "tag": '"t"'}, [["/c", '"s"'], ["/c", None]]]
    assert result["moment"] == [{"id": "e"}, [{"sent": 1}, {"sent": 2}]]
    assert result["pictures"] == ["ended", "ended"]
    assert result["away"] == ["away", False]
    assert result["runs"] == [1, 2, 3]


def test_code_of_others_is_as_it_came():
    with open(os.path.join(APP, "jsqr-1.4.0.mjs"), "rb") as f:
        assert hashlib.sha256(f.read()).hexdigest() == "bc40c8a15196236b2314db0856f72ca0b49980cd5413b8c852a7349f5fee0859"
    with open(os.path.join(APP, "jsqr-1.4.0.LICENSE"), encoding="utf-8") as f:
        assert "Apache License" in f.read()

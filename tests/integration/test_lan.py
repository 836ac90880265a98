# SPDX-License-Identifier: MIT
"""The guards' interface of a box (docs/lan-api.md): its certificate, who may ask what, verdicts with and without cloud and
database, entries that are written once."""
# pylint: disable=redefined-outer-name,unused-import
import base64
import datetime
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
import uuid

import pytest

from tests.integration.data_box import DataBox, cloud, pg
from tests.lab.community import Community, CommunityServer
from tests.lab.passes import PassKey
from tests.lab.small_disk import small_disk
from tests.lab.util import PATIENCE_SECONDS, ROOT, free_port, read_text, wait_until

PIN = "471108152"
READY = "the guards' pages are at"


def pin_hash(pin):
    """RFC 7914, as lib/data/digest-pin.h writes it."""
    salt = os.urandom(16)
    key = hashlib.scrypt(pin.encode(), salt=salt, n=1 << 14, r=8, p=1, dklen=32, maxmem=64 << 20)
    text = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (salt, key)]
    return f"$scrypt$ln=14,r=8,p=1${text[0]}${text[1]}"


def uuid7():
    """As the app makes them (RFC 9562)."""
    value = int(time.time() * 1000) << 80 | 7 << 76 | 2 << 62 | int.from_bytes(os.urandom(7), "big") >> 2
    return str(uuid.UUID(int=value))


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.raw = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.raw)

    @property
    def error(self):
        return self.json["error"]["id"]


class Tablet:
    """One browser: it keeps its cookies and one connection."""

    def __init__(self, box, host="secbox.local"):
        self.box, self.host, self.cookies = box, host, {}
        self.context = ssl.create_default_context(cafile=box.authority)
        self.connection = None

    def open(self):
        raw = socket.create_connection(("127.0.0.1", self.box.port), timeout=PATIENCE_SECONDS)
        self.connection = http.client.HTTPSConnection(self.host, self.box.port, timeout=PATIENCE_SECONDS)
        self.connection.sock = self.context.wrap_socket(raw, server_hostname=self.host)

    def ask(self, method, path, body=None, headers=None):
        if not self.connection or not self.connection.sock:
            self.open()
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), **(headers or {})}
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, (str, bytes)) else json.dumps(body)
        self.connection.request(method, path, body=body, headers=headers)
        answer = Answer(self.connection.getresponse())
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            assert "Secure" in cookie and "HttpOnly" in cookie and "SameSite=Strict" in cookie
            name, value = cookie.split(";")[0].split("=", 1)
            self.cookies[name] = value
        return answer

    def get(self, path, **headers):
        return self.ask("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def post(self, path, body):
        return self.ask("POST", path, body)

    def log_in(self, guard, pin=PIN):
        return self.post("/api/lan/session", {"guard": guard, "pin": pin})

    def lookup(self, text):
        answer = self.get("/api/lan/lookup?q=" + text.replace(" ", "%20"))
        assert answer.status == 200, answer.raw
        return answer.json


class LanBox(DataBox):
    def __init__(self, cloud, pg):
        super().__init__(cloud, pg)
        self.port = free_port()
        self.env["LAN_LISTEN"] = f"127.0.0.1:{self.port}"
        self.media_port = free_port()
        self.env["MEDIA_LISTEN"] = f"127.0.0.1:{self.media_port}"
        self.env["LAN_RATE"] = "off"  # tests ask until something holds
        self.lan = os.path.join(self.env["SECBOX_STATE"], "lan")
        self.authority = os.path.join(self.lan, "authority.pem")

    def start(self):
        before = read_text(self.log).count(READY) if os.path.exists(self.log) else 0
        super().start()
        wait_until(lambda: read_text(self.log).count(READY) > before, "the guards' pages", self.alive)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait() == 0, read_text(self.log)


class Place:
    """A community with people, a guest and bans, its box, and a guard's tablet."""

    def __init__(self, cloud, pg):
        self.community = Community(pg)
        put = self.community.put
        self.unit = put("units", {"name": "12-B"})
        put("units", {"name": "7-A"})
        self.guard = put("users", {"name": "Rosa Díaz", "role": "guard", "pinHash": pin_hash(PIN)})
        self.other = put("users", {"name": "Iván Paz", "role": "guard", "pinHash": pin_hash("2468")})
        put("users", {"name": "No Pin", "role": "guard"})
        put("users", {"name": "Luis Ortega", "role": "resident", "unit": self.unit})
        self.ban = put("bans", {"name": "Juan Pérez López", "plate": "ABO-158", "reason": "robo"})
        day = {"unit": self.unit, "from": "2020-01-01T00:00:00Z", "until": "2099-01-01T00:00:00Z"}
        self.guest = put("guests", {**day, "name": "Ana María Ruiz", "plate": "XYZ-987", "code": "704211", "uses": 2})
        put("guests", {**day, "name": "Old Friend", "plate": "OLD-111", "until": "2020-02-01T00:00:00Z"})
        put("guests", {**day, "name": "Bad Friend", "plate": "ABO-158"})
        # as texts these two say the opposite of what they are
        soon, ago = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=h) for h in (2, -2))
        west, east = (datetime.timezone(datetime.timedelta(hours=h)) for h in (-5, 5))
        put("guests", {**day, "name": "West", "until": soon.astimezone(west).isoformat(timespec="seconds")})
        put("guests", {**day, "name": "East", "until": ago.astimezone(east).isoformat(timespec="seconds")})
        self.box = LanBox(cloud, pg)
        self.box.server = CommunityServer(cloud, self.community)
        self.box.start()
        self.box.wait_applied(self.community.version)
        self.tablet = Tablet(self.box)
        wait_until(lambda: self.tablet.get("/api/lan/guards").json["guards"], "guards are known", self.box.alive)

    def change(self, act):
        before = self.community.version
        act(self.community)
        self.box.server.send_deltas(before)

    def logged_in(self):
        assert self.tablet.log_in(self.guard).status == 200
        return self.tablet


@pytest.fixture
def place(cloud, pg):
    it = Place(cloud, pg)
    yield it
    it.box.stop()


def test_certificate(place):
    for host in ("secbox.local", "localhost", "127.0.0.1"):
        assert Tablet(place.box, host).get("/").status == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        Tablet(place.box, "evil.example").get("/")
    verify = ["openssl", "verify", "-CAfile", place.box.authority, os.path.join(place.box.lan, "server.pem")]
    assert subprocess.run(verify, check=False, capture_output=True).returncode == 0
    assert place.tablet.get("/ca.crt").raw.decode() == read_text(place.box.authority)
    assert b"com.apple.security.root" in place.tablet.get("/secbox.mobileconfig").raw
    fingerprint = subprocess.run(["openssl", "x509", "-in", place.box.authority, "-noout", "-fingerprint", "-sha256"], check=True,
                                 capture_output=True, text=True).stdout.strip().split("=")[1]
    assert place.tablet.get("/api/lan/status").json["authority"] == fingerprint.lower()
    for name in ("authority.key", "server.key", "sessions.json"):
        path = os.path.join(place.box.lan, name)
        assert not os.path.exists(path) or os.stat(path).st_mode & 0o077 == 0
    before = read_text(place.box.authority)
    place.box.stop()
    place.box.env["LAN_NAMES"] = "10.1.2.3, gate.secbox.local, evil.example, 8.8.8.8"
    place.box.start()
    assert read_text(place.box.authority) == before, "tablets know the authority: it stays"
    text = subprocess.run(["openssl", "x509", "-in", os.path.join(place.box.lan, "server.pem"), "-noout", "-ext", "subjectAltName"],
                          check=True, capture_output=True, text=True).stdout
    assert "10.1.2.3" in text and "gate.secbox.local" in text and "evil" not in text and "8.8.8.8" not in text
    for name in ("evil.example", "8.8.8.8"):
        assert f"LAN_NAMES: {name} is left out" in read_text(place.box.log)


def test_who_may_ask(place):
    tablet = place.tablet
    for path in ("lookup?q=x", "ban-list", "schedule", "units", "entries", "notes", "events", "session"):
        answer = tablet.get(f"/api/lan/{path}")
        assert (answer.status, answer.error) == (401, "lan.no-session"), path
    assert tablet.post("/api/lan/entries", {"kind": "enter", "name": "x"}).status == 401
    page = tablet.get("/")
    policy = page.headers["Content-Security-Policy"]
    assert "unsafe" not in policy and "default-src 'none'" in policy and page.headers["Strict-Transport-Security"]
    assert tablet.get("/", If_None_Match=page.headers["ETag"]).status == 304
    # a page of another site, by a name that leads here, by a form, or from another origin
    assert tablet.ask("GET", "/api/lan/guards", headers={"Host": "evil.example"}).status == 421
    place.logged_in()
    entry = {"kind": "enter", "name": "x"}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert tablet.ask("POST", "/api/lan/entries", entry, headers).status == 403
    assert tablet.ask("POST", "/api/lan/entries", "kind=enter", {"Content-Type": "application/x-www-form-urlencoded"}).status == 415
    assert tablet.ask("DELETE", "/api/lan/entries").status == 405
    assert tablet.get("/none").status == 404 and tablet.get("/../etc/passwd").status == 404


def test_pins(place):
    tablet, stranger = place.tablet, Tablet(place.box)
    assert [g["name"] for g in tablet.get("/api/lan/guards").json["guards"]] == ["Iván Paz", "Rosa Díaz"]
    assert tablet.log_in(place.guard, "0000").error == "lan.wrong-pin"
    assert tablet.log_in(str(uuid.uuid4())).error == "lan.wrong-pin"
    assert tablet.post("/api/lan/session", {"guard": place.guard}).status == 400
    assert place.logged_in().get("/api/lan/session").json["guard"] == {"id": place.guard, "name": "Rosa Díaz"}
    for _ in range(5):
        assert stranger.log_in(place.guard, "1234").status == 403
    answer = stranger.log_in(place.guard)
    assert (answer.status, answer.error) == (429, "lan.too-many-tries"), "the right PIN, too, has to wait"
    assert tablet.log_in(place.guard).status == 200, "the guard's own tablet is not locked out by a stranger"
    place.box.stop()
    place.box.start()
    tablet.connection = None
    wait_until(lambda: tablet.get("/api/lan/session").status == 200, "a session outlives a restart", place.box.alive)
    assert tablet.post("/api/lan/session/end", {}).status == 200
    tablet.cookies.pop("__Host-session", None)
    assert tablet.get("/api/lan/session").status == 401
    log = read_text(place.box.log)
    assert PIN not in log and "scrypt" not in log
    tablet.log_in(place.guard)
    place.change(lambda c: c.delete("users", place.guard))
    wait_until(lambda: tablet.get("/api/lan/session").status == 401, "a guard who is gone is logged out", place.box.alive)


def test_a_stolen_session_does_not_learn_who_may_come_in(place):
    """LAN_RATE=1: ten requests at once, and one a second behind them; all that is told is told in whole seconds."""
    place.box.stop()
    place.box.env["LAN_RATE"] = "1"
    place.box.start()
    stranger, tablet = Tablet(place.box), place.tablet
    tablet.connection = None
    wait_until(lambda: tablet.log_in(place.guard).status == 200, "the guard is logged in", place.box.alive)

    def until_refused(ask):
        """Whatever time that takes: a slow machine earns requests meanwhile."""
        return next(answer for answer in iter(ask, None) if answer.status != 200)

    answer = until_refused(lambda: tablet.get("/api/lan/lookup?q=abo158"))
    assert (answer.status, answer.error) == (429, "lan.too-many-requests") and int(answer.headers["Retry-After"]) >= 1
    wait_until(lambda: tablet.get("/api/lan/lookup?q=abo158").status == 200, "after that time it is answered", place.box.alive)
    assert until_refused(lambda: stranger.get("/api/lan/guards")).status == 429
    # the guard's browser is not a stranger's, whoever is logged in
    del tablet.cookies["__Host-session"]
    assert tablet.get("/api/lan/guards").status == 200
    wait_until(lambda: stranger.get("/api/lan/guards").status == 200, "strangers are answered, too", place.box.alive)


def test_verdicts(place):
    tablet = place.logged_in()
    cases = [
        ("ab0 i58", "VETADO", False, "ban"), ("juan perez lopez", "VETADO", False, "ban"),
        ("abo159", "DESCONOCIDO", True, "ban"),
        ("abo", "DESCONOCIDO", True, "ban"), ("xyz987", "AUTORIZADO", False, "guest"), ("704211", "AUTORIZADO", False, "guest"),
        ("ruiz", "DESCONOCIDO", False, "guest"), ("old111", "DESCONOCIDO", False, "guest"),
        ("luis ortega", "AUTORIZADO", False, "resident"),
        ("bad friend", "VETADO", False, "guest"), ("nobody", "DESCONOCIDO", False, None), ("%25_", "DESCONOCIDO", False, None),
    ]
    for typed, verdict, doubt, kind in cases:
        got = tablet.lookup(typed)
        first = got["fits"][0]["kind"] if got["fits"] else None
        assert (got["verdict"], got["doubt"], first) == (verdict, doubt, kind), (typed, got)
    fit = tablet.lookup("xyz987")["fits"][0]
    assert (fit["id"], fit["unitName"], fit["usesLeft"], fit["match"]) == (place.guest, "12-B", 2, "exact")
    assert tablet.lookup("old111")["fits"][0]["refusal"] == "expired"
    assert tablet.lookup("abo158")["dataSince"].startswith("20")
    by_id = tablet.get(f"/api/lan/lookup?id={place.guest}").json
    assert by_id["verdict"] == "AUTORIZADO"
    assert tablet.get(f"/api/lan/lookup?id={uuid.uuid4()}").status == 404
    for query in ("q=" + "x" * 129, "", "id=nonsense", "q=%00"):
        assert tablet.get(f"/api/lan/lookup?{query}").status == 400, query


def test_lists(place):
    tablet = place.logged_in()
    bans = tablet.get("/api/lan/ban-list")
    assert [b["id"] for b in bans.json["bans"]] == [place.ban] and bans.json["bans"][0]["reason"] == "robo"
    assert tablet.get("/api/lan/ban-list", If_None_Match=bans.headers["ETag"]).status == 304
    guests = {g["name"]: g for g in tablet.get("/api/lan/schedule").json["guests"]}
    assert sorted(guests) == ["Ana María Ruiz", "Bad Friend", "West"] and guests["Ana María Ruiz"]["used"] == 0
    assert [u["name"] for u in tablet.get("/api/lan/units").json["units"]] == ["12-B", "7-A"]
    assert [u["name"] for u in tablet.get("/api/lan/units?q=7").json["units"]] == ["7-A"]
    pages = []
    offset = 0
    place.change(lambda c: c.many("bans", 25, "jsonb_build_object('plate', 'QQ' || i, 'reason', 'x')"))
    wait_until(lambda: len(tablet.get("/api/lan/ban-list?limit=1000").json["bans"]) == 26, "new bans are known", place.box.alive)
    assert tablet.get("/api/lan/ban-list", If_None_Match=bans.headers["ETag"]).status == 200
    while offset is not None:
        page = tablet.get(f"/api/lan/ban-list?limit=10&offset={offset}").json
        pages.append(len(page["bans"]))
        offset = page.get("next")
    assert pages == [10, 10, 6]
    assert tablet.get("/api/lan/ban-list?limit=1001").status == 400


def test_entries(place):
    tablet = place.logged_in()
    client_id = uuid7()
    body = {"kind": "enter", "name": "Ana María Ruiz", "plate": "XYZ-987", "guest": place.guest, "companions": 2,
            "clientId": client_id, "unit": place.unit, "at": "2026-01-02T03:04:05.000Z"}
    for _ in range(3):
        answer = tablet.post("/api/lan/entries", body)
        assert (answer.status, answer.json["id"]) == (201, client_id), answer.raw
    visits = tablet.get("/api/lan/entries?inside=1").json["visits"]
    assert [(v["id"], v["entered"], v["entry"]["guardName"]) for v in visits] == [(client_id, body["at"], "Rosa Díaz")]
    assert tablet.lookup("xyz987")["fits"][0]["usesLeft"] == 1, "one entry is one use, however often it is sent"
    assert tablet.post("/api/lan/entries", {"kind": "leave", "visit": client_id}).status == 201
    # what another guard registered while the box was away is sent by the one who is logged in now
    other = place.other
    answer = tablet.post("/api/lan/entries", {"kind": "enter", "name": "Noche", "by": other})
    assert answer.status == 201
    night = tablet.get("/api/lan/entries").json["visits"][0]["entry"]
    assert (night["by"], night["byName"], night["guardName"]) == (other, "Iván Paz", "Rosa Díaz")
    tablet.post("/api/lan/entries", {"kind": "leave", "visit": answer.json["id"]})
    assert tablet.get("/api/lan/entries?inside=1").json["visits"] == []
    assert all(v["left"] for v in tablet.get("/api/lan/entries").json["visits"])
    for wrong in ({"kind": "enter"}, {"kind": "fly"}, {"kind": "enter", "name": 5}, {"kind": "enter", "name": "x" * 501},
                  {"kind": "leave"}, {"kind": "leave", "visit": "x"}, {"kind": "enter", "name": "x", "companions": -1},
                  {"kind": "enter", "name": "x", "guest": "x"}, {"kind": "enter", "name": "x", "at": "now"},
                  {"kind": "enter", "name": "x", "clientId": str(uuid.uuid4())}, {"kind": "enter", "name": "x", "by": "x"}):
        assert tablet.post("/api/lan/entries", wrong).status == 400, wrong
    assert tablet.post("/api/lan/notes", {"text": "El portón 2 no cierra"}).status == 201
    assert tablet.post("/api/lan/notes", {"text": ""}).status == 400
    note, = tablet.get("/api/lan/notes").json["notes"]
    assert (note["note"]["text"], note["note"]["guardName"]) == ("El portón 2 no cierra", "Rosa Díaz")
    kinds = {"shift.start", "visit.entry", "guest.used", "visit.exit", "shift.note"}
    wait_until(lambda: kinds <= {e["kind"] for e in place.box.server.events.values()}, "the cloud hears of all", place.box.alive)


def jpeg(size, fill=b"x"):
    """As far as anybody looks on the way."""
    return (b"\xff\xd8\xff\xe0" + fill * size)[:size - 2] + b"\xff\xd9"


def test_photos_follow_their_entry(place):
    tablet, server, data = place.logged_in(), place.box.server, jpeg(100000)
    digest = hashlib.sha256(data).hexdigest()
    photo = f"/api/lan/photos?sha256={digest}"

    def send(body, kind="image/jpeg"):
        return tablet.ask("POST", "/api/lan/photos", body, {"Content-Type": kind})

    # whom it is not for, and what is none
    assert Tablet(place.box).get(photo).status == 401
    for body, kind, status in ((data, "application/json", 415), (b"\x89PNG\r\n\x1a\n", "image/jpeg", 400), (b"", "image/jpeg", 400),
                               (jpeg(300 * 1024 + 1), "image/jpeg", 400)):
        assert send(body, kind).status == status
    for wrong in ([], ["x"], [digest.upper()], [digest] * 5, digest, {}):
        assert tablet.post("/api/lan/entries", {"kind": "enter", "name": "x", "photos": wrong}).status == 400, wrong
    assert tablet.get(photo).status == 404 and tablet.get("/api/lan/photos?sha256=x").status == 400
    # the entry names it, and it comes behind
    server.refuse_photo = "photo.unavailable"
    entry = tablet.post("/api/lan/entries", {"kind": "enter", "name": "Con Foto", "photos": [digest]})
    assert entry.status == 201
    for _ in range(2):
        answer = send(data)
        assert (answer.status, answer.json) == (201, {"sha256": digest})
    assert tablet.get("/api/lan/entries").json["visits"][0]["entry"]["photos"] == [digest]
    shown = tablet.get(photo)
    assert (shown.raw, shown.headers["Content-Type"]) == (data, "image/jpeg")
    assert tablet.get(photo, If_None_Match=shown.headers["ETag"]).status == 304
    # refused for now, it is kept over a restart, and offered again
    wait_until(lambda: server.refuse_photo is None, "it is offered", place.box.alive)
    assert digest not in server.photos and tablet.get("/api/lan/status").json["photos"] == 1
    server.parts[digest] = (len(data), data[:30000])  # what had come before
    place.box.stop()
    place.box.start()
    tablet.connection = None
    wait_until(lambda: server.photos.get(digest) == data, "the cloud has it", place.box.alive)
    wait_until(lambda: tablet.get("/api/lan/status").json["photos"] == 0, "none waits", place.box.alive)
    event = next(e for e in server.events.values() if e["kind"] == "visit.entry" and e["data"].get("name") == "Con Foto")
    assert event["data"]["photos"] == [digest]
    assert tablet.get(photo).raw == data, "guards go on seeing it"
    name, = os.listdir(os.path.join(place.box.env["SECBOX_STATE"], "photos"))
    assert name == f"{place.community.id}-{digest}.sent"


def test_photos_wait_at_the_tablet_while_the_disk_is_full(place):
    """The entry is taken all the same."""
    tablet, data, folder = place.logged_in(), jpeg(100000), os.path.join(place.box.env["SECBOX_STATE"], "photos")
    digest = hashlib.sha256(data).hexdigest()

    def send():
        return tablet.ask("POST", "/api/lan/photos", data, {"Content-Type": "image/jpeg"})

    os.makedirs(folder, mode=0o700, exist_ok=True)
    with small_disk(folder, "64k"):
        refused = send()
        assert (refused.status, refused.json["error"]["id"]) == (503, "file.write"), refused.raw
        assert tablet.post("/api/lan/entries", {"kind": "enter", "name": "Sin Foto", "photos": [digest]}).status == 201
        assert os.listdir(folder) == [], "nothing is left of it"
    assert send().status == 201
    wait_until(lambda: place.box.server.photos.get(digest) == data, "the cloud has it", place.box.alive)


def test_a_lookup_reads_a_large_community_by_its_indexes(place):
    guests = ("jsonb_build_object('unit', i::text, 'name', 'Visita ' || i, 'plate', 'VIS-' || i, 'code', 'C' || i, 'from', 'x',"
              " 'until', 'x')")
    place.change(lambda c: c.many("guests", 5000, guests))
    tablet, box = place.logged_in(), place.box
    box.wait_applied(place.community.version)
    box.sql("ANALYZE guests")

    def found(text):
        return [f["name"] for f in tablet.lookup(text)["fits"] if f["kind"] == "guest"]

    def scans():
        return [int(n) for row in box.sql(
            "SELECT (SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'guests_norm_code'), seq_tup_read"
            " FROM pg_stat_user_tables WHERE relname = 'guests'") for n in row]

    by_code, read = scans()
    assert found("ruiz") == found("MAR%C3%8DA ru") == found("xyz98") == found("7O4211") == found("ana m") == ["Ana María Ruiz"]
    assert found("c-4711") == ["Visita 4711"] and len(found("visita 47")) == 20
    wait_until(lambda: scans()[0] >= by_code + 7, "the database has counted", box.alive)
    assert scans()[1] == read, "all guests were read"


def test_without_cloud_and_database(cloud, pg, place):
    tablet = place.logged_in()
    cloud.stop_tunnels()
    wait_until(lambda: tablet.get("/api/lan/status").json["cloud"] is False, "the tablet is told", place.box.alive)
    assert tablet.lookup("abo158")["verdict"] == "VETADO" and tablet.lookup("xyz987")["verdict"] == "AUTORIZADO"
    assert tablet.post("/api/lan/entries", {"kind": "enter", "name": "x"}).status == 201
    assert tablet.get("/api/lan/status").json["queued"] > 0
    pg.pause()
    try:
        wait_until(lambda: tablet.lookup("abo158")["database"] is False, "the database is away", place.box.alive)
        assert tablet.lookup("abo158")["verdict"] == "VETADO" and tablet.lookup("abo159")["doubt"]
        assert tablet.lookup("xyz987")["verdict"] == "DESCONOCIDO"
        answer = tablet.post("/api/lan/entries", {"kind": "enter", "name": "x"})
        assert (answer.status, answer.error) == (503, "lan.no-database")
        assert tablet.get("/api/lan/schedule").status == 503
        assert tablet.get("/api/lan/ban-list").json["bans"]
        # without the bans nobody is told anything: a box that has just been started has not read them
        place.box.stop()
        place.box.start()
        tablet.connection = None
        answer = tablet.get("/api/lan/lookup?q=abo158")
        assert (answer.status, answer.error) == (503, "lan.no-data")
    finally:
        pg.resume()
    wait_until(lambda: tablet.get("/api/lan/lookup?q=abo158").status == 200, "the bans are read", place.box.alive)
    assert tablet.lookup("abo158")["verdict"] == "VETADO"
    wait_until(lambda: tablet.lookup("xyz987")["verdict"] == "AUTORIZADO", "all is well again", place.box.alive)


def test_what_changes_within_a_version_reaches_the_guards(place):
    tablet = place.logged_in()
    tag = tablet.get("/api/lan/ban-list").headers["ETag"]

    def news():
        nonlocal tag
        answer = tablet.get("/api/lan/ban-list", If_None_Match=tag)
        tag = answer.headers["ETag"] or tag
        return [b.get("unconfirmed") for b in answer.json["bans"]] if answer.status == 200 else None

    place.community.forget("bans", place.ban)
    place.box.server.start_snapshot(["bans"])
    wait_until(lambda: news() == [True], "the ban is unconfirmed", place.box.alive)
    assert tablet.lookup("abo158")["verdict"] == "VETADO"
    assert place.box.ask("replica.release", ban=place.ban) == {"released": 1}
    wait_until(lambda: news() == [], "the ban is released", place.box.alive)


def test_guards_do_not_see_what_another_community_left(place, pg):
    tablet = place.logged_in()
    place.box.server.ack = False
    assert tablet.post("/api/lan/entries", {"kind": "enter", "name": "x"}).status == 201
    assert tablet.post("/api/lan/notes", {"text": "El portón 2 no cierra"}).status == 201
    place.box.server.community = other = Community(pg, "Otra")
    guard = other.put("users", {"name": "Eva Ruiz", "role": "guard", "pinHash": pin_hash(PIN)})
    place.box.server.start_snapshot(None)
    place.box.wait_applied(other.version)
    wait_until(lambda: tablet.log_in(guard).status == 200, "the new guard is known", place.box.alive)
    assert tablet.get("/api/lan/entries").json["visits"] == [] and tablet.get("/api/lan/notes").json["notes"] == []
    wait_until(lambda: tablet.get("/api/lan/status").json["queued"] == 1, "only that the shift began", place.box.alive)


def test_watching(place):
    tablet = place.logged_in()
    seen = []

    def read(watcher):
        while line := watcher.readline():
            seen.append(line.decode().strip())

    watching = Tablet(place.box)
    watching.cookies = dict(tablet.cookies)
    watching.open()
    cookie = "; ".join(f"{k}={v}" for k, v in watching.cookies.items())
    watching.connection.sock.sendall(f"GET /api/lan/events HTTP/1.1\r\nHost: secbox.local\r\nCookie: {cookie}\r\n\r\n".encode())
    threading.Thread(target=read, args=(watching.connection.sock.makefile("rb"),), daemon=True).start()
    wait_until(lambda: "Content-Type: text/event-stream" in seen, "the stream begins", place.box.alive)
    place.change(lambda c: c.put("bans", {"plate": "NEW-001", "reason": "x"}))
    wait_until(lambda: "event: data" in seen, "a new ban is told", place.box.alive)
    tablet.post("/api/lan/entries", {"kind": "enter", "name": "x"})
    wait_until(lambda: "event: entries" in seen, "an entry is told", place.box.alive)
    watching.connection.sock.close()


def test_port_that_is_taken(cloud, pg):
    box = LanBox(cloud, pg)
    box.server = CommunityServer(cloud, Community(pg))
    with socket.create_server(("127.0.0.1", box.port)):
        DataBox.start(box)
        wait_until(lambda: "guards have no pages" in read_text(box.log), "the log says so", box.alive)
        box.wait_applied(box.server.community.version)
        assert box.process.poll() is None, "the tunnel and the replica do not depend on it"
    box.stop()


def test_the_page_names_every_route():
    routes = set()
    for name in sorted(os.listdir(os.path.join(ROOT, "secbox", "lan"))):
        if name.startswith("api-"):
            text = read_text(os.path.join(ROOT, "secbox", "lan", name))
            routes |= set(re.findall(r'\{ "([A-Z]+)", "(/api/lan/[^"]+)"', text))
    named = set(re.findall(r"^### ([A-Z]+) (/api/lan/[^ ?\n]+)", read_text(os.path.join(ROOT, "docs", "lan-api.md")), re.M))
    assert routes == named and len(routes) > 10


def with_key(place, key):
    place.change(lambda c: c.put("communities", {"name": "Los Robles", "passKey": key.jwk}, c.id))
    wait_until(lambda: "passKey" in place.tablet.get("/api/lan/status").json, "the key is known", place.box.alive)


def test_a_pass_lets_its_guest_in_once(place):
    tablet, key = place.logged_in(), PassKey()

    def ask(text):
        answer = tablet.post("/api/lan/pass", {"pass": text})
        assert answer.status == 200, answer.raw
        return answer.json

    text, name = key.sign(place.community.id, place.guest)
    assert (ask(text)["verdict"], ask(text)["pass"], ask(text)["fits"]) == ("DESCONOCIDO", {"refusal": "pass-no-key"}, [])
    with_key(place, key)
    status = tablet.get("/api/lan/status").json
    assert status["passKey"] == key.jwk and status["communityId"] == place.community.id
    assert "passKey" not in Tablet(place.box).get("/api/lan/status").json, "who is not logged in learns nothing of it"
    got = ask(text)
    assert got["verdict"] == "AUTORIZADO" and got["pass"]["id"] == name and "refusal" not in got["pass"]
    assert [(f["id"], f["usesLeft"], f["verdict"]) for f in got["fits"]] == [(place.guest, 2, "AUTORIZADO")]
    # the entry and the uses are one; sent again they are the same
    tag = tablet.get("/api/lan/schedule").headers["ETag"]
    entry = {"kind": "enter", "name": "Ana María Ruiz", "guest": place.guest, "pass": name, "clientId": uuid7()}
    for _ in range(2):
        assert tablet.post("/api/lan/entries", entry).status == 201
    assert place.box.sql("SELECT guest, pass FROM guest_uses") == [[place.guest, name]]
    got = ask(text)
    assert got["verdict"] == "DESCONOCIDO" and got["pass"]["refusal"] == "pass-used"
    assert [(f["usesLeft"], f["verdict"]) for f in got["fits"]] == [(1, "DESCONOCIDO")]
    guests = tablet.get("/api/lan/schedule", If_None_Match=tag).json["guests"]
    assert [g.get("passes") for g in guests if g["id"] == place.guest] == [[name]]
    wait_until(lambda: {e["kind"] for e in place.box.server.events.values() if e["data"].get("pass") == name}
               == {"visit.entry", "guest.used"}, "the cloud hears of it", place.box.alive)
    # another pass of the guest is good, and what is not one tells nothing of the guest
    assert ask(key.sign(place.community.id, place.guest)[0])["verdict"] == "AUTORIZADO"
    for bad in (PassKey().sign(place.community.id, place.guest)[0], text[:-4] + "AAAA", "XYZ-987", ""):
        assert (ask(bad)["pass"], ask(bad)["fits"]) == ({"refusal": "pass-invalid"}, [])
    assert ask(key.sign(str(uuid.uuid4()), place.guest)[0])["pass"]["refusal"] == "pass-other-community"
    assert ask(key.sign(place.community.id, place.guest, exp=1600000001)[0])["pass"]["refusal"] == "pass-expired"
    assert ask(key.sign(place.community.id, str(uuid.uuid4()))[0])["pass"]["refusal"] == "pass-revoked"
    for body in ({}, {"pass": 1}, {"pass": "a" * 1025}):
        assert tablet.post("/api/lan/pass", body).status == 400
    for wrong in ({"pass": "x"}, {"pass": 1}, {"guest": None}):
        assert tablet.post("/api/lan/entries", {**entry, "clientId": uuid7(), **wrong}).status == 400
    assert Tablet(place.box).post("/api/lan/pass", {"pass": text}).status == 401
    # a ban outranks it, and a guest who is deleted does not come in
    other = key.sign(place.community.id, place.guest)[0]
    place.change(lambda c: c.put("bans", {"plate": "XYZ-987", "reason": "deuda"}))
    wait_until(lambda: ask(other)["verdict"] == "VETADO", "the ban", place.box.alive)
    place.change(lambda c: c.delete("guests", place.guest))
    wait_until(lambda: ask(other)["pass"].get("refusal") == "pass-revoked", "the guest is gone", place.box.alive)
    assert text not in read_text(place.box.log) and name not in read_text(place.box.log)


def test_a_guest_without_a_name(place):
    """Residents often know the plate alone."""
    tablet, key = place.logged_in(), PassKey()
    with_key(place, key)
    day = {"unit": place.unit, "from": "2020-01-01T00:00:00Z", "until": "2099-01-01T00:00:00Z"}
    made = []
    place.change(lambda c: made.append(c.put("guests", {**day, "plate": "PBX-3321"})))
    wait_until(lambda: tablet.lookup("pbx3321")["verdict"] == "AUTORIZADO", "the guest is known", place.box.alive)
    assert tablet.get(f"/api/lan/lookup?id={made[0]}").json["verdict"] == "AUTORIZADO"
    answer = tablet.post("/api/lan/pass", {"pass": key.sign(place.community.id, made[0])[0]}).json
    assert answer["verdict"] == "AUTORIZADO" and answer["fits"][0]["plate"] == "PBX-3321"

# SPDX-License-Identifier: MIT
"""The gateway's side of community data, without any of our code: a history of rows in a database of its own, and a thread
that speaks the sync of docs/wire-format.md with the boxes that a FakeCloud lets in."""
import base64
import functools
import hashlib
import json
import queue
import threading
import uuid

TABLES = ["communities", "units", "users", "guests", "bans"]
CHUNK = 500


def checksum(rows):
    """Of (id, version, text of data), as the page defines it."""
    total = sum(int.from_bytes(hashlib.md5(f"{i} {v} {d}".encode()).digest()[:8], "big") for i, v, d in rows)
    return f"{total % 2 ** 64:016x}"


def alone(method):
    """Whoever looks sees a change and its version, or neither."""
    @functools.wraps(method)
    def locked(self, *args, **more):
        with self.lock:
            return method(self, *args, **more)
    return locked


class Community:
    """Rows are written by SQL, so that data are what PostgreSQL makes of them."""

    def __init__(self, postgres, name="Los Robles"):
        self.pg = postgres
        self.id = str(uuid.uuid4())
        self.epoch = str(uuid.uuid4())
        self.database = f"cloud_{self.id[:8]}"
        self.version = 0
        self.marks = []
        self.lock = threading.RLock()
        postgres.sql(f"CREATE DATABASE {self.database}")
        self.sql("CREATE TABLE rows (tbl text, id uuid, version bigint, data jsonb, deleted boolean DEFAULT false,"
                 " PRIMARY KEY (tbl, id)); CREATE TABLE log (version bigint PRIMARY KEY, change jsonb)")
        self.put("communities", {"name": name, "timeZone": "America/Guayaquil"}, self.id)

    def sql(self, text):
        return self.pg.sql(text, self.database)

    @alone
    def put(self, table, data, row=None):
        row = row or str(uuid.uuid4())
        if table != "communities":
            data = {"community": self.id, **data}
        self.version += 1
        text = json.dumps(data).replace("'", "''")
        self.sql(f"INSERT INTO rows VALUES ('{table}', '{row}', {self.version}, '{text}') ON CONFLICT (tbl, id) DO UPDATE"
                 f" SET version = excluded.version, data = excluded.data, deleted = false;"
                 f" INSERT INTO log SELECT version, jsonb_build_object('table', tbl, 'id', id, 'version', version,"
                 f" 'data', data) FROM rows WHERE tbl = '{table}' AND id = '{row}'")
        return row

    @alone
    def many(self, table, n, data):
        """n rows at once; `data` is an SQL expression over i."""
        first = self.version
        self.version += n
        self.sql(f"WITH new AS (INSERT INTO rows SELECT '{table}', gen_random_uuid(), {first} + i,"
                 f" jsonb_build_object('community', '{self.id}') || {data} FROM generate_series(1, {n}) AS i RETURNING *)"
                 f" INSERT INTO log SELECT version, jsonb_build_object('table', tbl, 'id', id, 'version', version, 'data',"
                 f" data) FROM new")

    @alone
    def touch(self, table, n):
        """n rows change."""
        first = self.version
        self.version += n
        self.sql(f"WITH chosen AS (SELECT id, row_number() OVER () AS i FROM rows WHERE tbl = '{table}' LIMIT {n}), new AS ("
                 f"UPDATE rows SET version = {first} + i, data = data || jsonb_build_object('notes', i::text) FROM chosen"
                 f" WHERE tbl = '{table}' AND rows.id = chosen.id RETURNING rows.*) INSERT INTO log SELECT version,"
                 f" jsonb_build_object('table', tbl, 'id', id, 'version', version, 'data', data) FROM new")

    @alone
    def delete(self, table, row):
        self.version += 1
        self.sql(f"UPDATE rows SET deleted = true, version = {self.version} WHERE tbl = '{table}' AND id = '{row}';"
                 f" INSERT INTO log VALUES ({self.version}, jsonb_build_object('table', '{table}', 'id', '{row}',"
                 f" 'version', {self.version}, 'deleted', true))")

    @alone
    def rebuild(self):
        """The same rows, as another history."""
        self.epoch = str(uuid.uuid4())

    @alone
    def forget(self, table, row):
        """As if it had never been: not by a tombstone."""
        self.sql(f"DELETE FROM rows WHERE tbl = '{table}' AND id = '{row}'")

    def live(self, table):
        return [(i, int(v), d) for i, v, d in
                self.sql(f"SELECT id, version, data FROM rows WHERE tbl = '{table}' AND NOT deleted ORDER BY id")]

    def sums(self, tables=None):
        return [{"table": t, "count": len(rows), "checksum": checksum(rows)}
                for t in tables or TABLES for rows in [self.live(t)]]

    @alone
    def snapshot(self, tables=None):
        """(begin, rows messages, end)."""
        name = f"s-{uuid.uuid4().hex[:8]}"
        begin = {"type": "snapshot.begin", "snapshot": name, "community": self.id, "epoch": self.epoch,
                 "version": str(self.version), "tables": self.sums(tables)}
        chunks = []
        for table in tables or TABLES:
            rows = self.live(table)
            for at in range(0, len(rows), CHUNK):
                text = ",".join(f'{{"id":"{i}","version":"{v}","data":{d}}}' for i, v, d in rows[at:at + CHUNK])
                chunks.append(f'{{"type":"snapshot.rows","snapshot":"{name}","index":{len(chunks)},"table":"{table}",'
                              f'"rows":[{text}]}}')
        return begin, chunks, {"type": "snapshot.end", "snapshot": name, "chunks": len(chunks)}

    @alone
    def deltas(self, since):
        """None of them goes beyond a mark."""
        messages = []
        changes = self.sql(f"SELECT change FROM log WHERE version > {since} ORDER BY version")
        ends = sorted({*(m - since for m in self.marks if since < m < self.version), len(changes)})
        starts = [at for start, end in zip([0, *ends], ends) for at in range(start, end, CHUNK)]
        for at, end in zip(starts, [*starts[1:], len(changes)]):
            some = [c for c, in changes[at:end]]
            messages.append(f'{{"type":"delta.changes","community":"{self.id}","epoch":"{self.epoch}",'
                            f'"from":"{since + at}","to":"{since + at + len(some)}","changes":[{",".join(some)}]}}')
        return messages

    @alone
    def check(self):
        return {"type": "sync.check", "epoch": self.epoch, "version": str(self.version), "tables": self.sums()}


class CommunityServer:
    """Serves each connection of a FakeCloud in a thread, one after another. `auto` off: only what a test sends goes out;
    what comes in is in `inbox`. Events are acknowledged, those of a kind in `reject` with an error."""

    def __init__(self, cloud, community, auto=True):
        self.cloud, self.community, self.auto = cloud, community, auto
        self.inbox = queue.Queue()
        self.applied = []       # (epoch, version)
        self.resnapshots = []
        self.events = {}        # clientId → event
        self.pushed = 0
        self.reject = set()
        self.photos = {}        # digest → bytes, whole ones
        self.parts = {}         # digest → (expected size, what has come)
        self.faces = {}         # digest → JPEG, for boxes that ask
        self.takes_photos = True
        self.refuse_photo = None
        self.ack = True
        self.connection = None
        self.window = 4
        self.lock = threading.RLock()  # a test's thread begins a snapshot, and this one goes on with it
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._stop.set()
        self._thread.join()

    def send(self, message):
        try:
            self.connection.send(message)
        except Exception:  # pylint: disable=broad-exception-caught
            pass  # the box has gone; it comes again

    def _run(self):
        while not self._stop.is_set():
            try:
                self.connection = self.cloud.connections.get(timeout=0.05)
            except queue.Empty:
                continue
            self._serve(self.connection)

    def _serve(self, connection):
        self.chunks, self.end, self.sent = [], None, 0
        while not self._stop.is_set():
            try:
                message = connection.received.get(timeout=0.05)
            except queue.Empty:
                if connection.closed.is_set():
                    return
                continue
            self._take(message)
            self.inbox.put(message)

    def _take(self, message):
        kind = message["type"]
        if kind == "sync.applied":
            self.applied.append((message["epoch"], int(message["version"])))
        elif kind == "sync.resnapshot":
            self.resnapshots.append(message)
            if self.auto:
                self.start_snapshot(message.get("tables"))
        elif kind == "sync.have" and self.auto:
            self.answer_have(message)
        elif kind == "snapshot.got" and self.auto:
            self.go_on(int(message["index"]))
        elif kind == "events.push":
            self.take_events(message["events"])
        elif kind == "face.want":
            self.send_face(message)
        elif kind in ("photo.offer", "photo.part") and self.takes_photos:
            self.take_photo(message)

    def answer_have(self, have):
        c = self.community
        if c is None:
            self.send({"type": "sync.none", "reason": "no community"})
        elif have.get("epoch") != c.epoch or have.get("community") != c.id or int(have["version"]) == 0:
            self.start_snapshot(None)
        else:
            self.send_deltas(int(have["version"]))

    def send_deltas(self, since):
        for message in self.community.deltas(since):
            self.send(message)

    @alone
    def start_snapshot(self, tables):
        begin, self.chunks, self.end = self.community.snapshot(tables)
        self.sent = 0
        self.send(begin)
        self.go_on(-1)

    @alone
    def go_on(self, got):
        while self.sent < len(self.chunks) and self.sent <= got + self.window:
            self.sent += 1
            self.send(self.chunks[self.sent - 1])
        if self.end and got == len(self.chunks) - 1:
            end, self.end = self.end, None
            self.send(end)

    def take_photo(self, message):
        digest = message["sha256"]
        if self.refuse_photo:
            error, self.refuse_photo = {"id": self.refuse_photo, "message": "not this one"}, None
            self.send({"type": "photo.state", "sha256": digest, "state": "refused", "error": error})
            return
        if message["type"] == "photo.offer":
            assert message["community"] == self.community.id
            self.parts.setdefault(digest, (message["bytes"], b""))
        size, data = self.parts[digest]
        if message["type"] == "photo.part" and message["offset"] == len(data):
            assert len(message["data"]) <= 32768
            data += base64.b64decode(message["data"])
            self.parts[digest] = (size, data)
        if len(data) == size:
            assert hashlib.sha256(data).hexdigest() == digest
            self.photos[digest] = data
        state = {"state": "stored"} if digest in self.photos else {"state": "wanted", "have": len(data)}
        self.send({"type": "photo.state", "sha256": digest, **state})

    def send_face(self, message):
        data, offset = self.faces.get(message["sha256"], b""), int(message["offset"])
        assert message["community"] == self.community.id and (offset == 0 or offset < len(data))
        part = base64.b64encode(data[offset:offset + 24576]).decode()
        self.send({"type": "face.part", "sha256": message["sha256"], "offset": str(offset), "size": str(len(data)), "data": part})

    def take_events(self, events):
        self.pushed += len(events)
        accepted, rejected = [], []
        for e in events:
            if e["kind"] in self.reject:
                rejected.append({"clientId": e["clientId"], "error": {"id": "event.refused", "message": "not this one"}})
            else:
                self.events.setdefault(e["clientId"], e)
                accepted.append(e["clientId"])
        if self.ack:
            self.send({"type": "events.ack", "accepted": accepted, "rejected": rejected})

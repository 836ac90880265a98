# SPDX-License-Identifier: MIT
"""A box that keeps a copy of its community's data by the rules of docs/wire-format.md, in a dict; none of our code."""
from tests.integration.gateway_lab import enroll

TABLES = ["communities", "units", "users", "guests", "bans"]


class ReplicaBox:
    """`rows` is {table: {id: (version, data)}}, as of `version` of `epoch`."""

    def __init__(self, gw, name, community=None):
        self.gw = gw
        self.device = enroll(gw, name, "device")
        if community:
            self.label(community)
        assert self.device.claim().status == 201
        self.rows = {t: {} for t in TABLES}
        self.version, self.epoch, self.community = 0, None, None
        self.tunnel = self.begun = None
        self.staging, self.log = {}, []

    def label(self, community):
        answer = self.gw.request("PATCH", f"/v1/devices/{self.device.id}", {"labels": {"community": community}})
        assert answer.status == 200, answer

    def connect(self, **changed):
        self.tunnel = self.device.connect(status=False)
        have = {"type": "sync.have", "schema": 1, "version": str(self.version)}
        if self.epoch:
            have.update({"epoch": self.epoch, "community": self.community})
        self.tunnel.send({**have, **changed})
        return self

    def send(self, kind, **members):
        self.tunnel.send({"type": kind, **members})

    def applied(self):
        self.send("sync.applied", epoch=self.epoch, version=str(self.version))

    def next(self, got=True):
        """Takes the next message and does what it says; returns it."""
        message = self.tunnel.next()
        assert message is not None, "the tunnel has ended"
        self.log.append(message["type"])
        handler = getattr(self, "on_" + message["type"].replace(".", "_"), None)
        if handler:
            handler(message, got) if message["type"] == "snapshot.rows" else handler(message)
        return message

    def until(self, kind):
        while True:
            message = self.next()
            if message["type"] == kind:
                return message

    def reach(self, version):
        while self.version < version:
            self.next()

    def on_snapshot_begin(self, message):
        self.begun = message
        self.staging = {t["table"]: {} for t in message["tables"]}
        self.chunks = 0

    def on_snapshot_rows(self, message, got):
        assert message["snapshot"] == self.begun["snapshot"] and message["index"] == self.chunks
        assert 0 < len(message["rows"]) <= 500
        self.chunks += 1
        for row in message["rows"]:
            self.staging[message["table"]][row["id"]] = (int(row["version"]), row["data"])
        if got:
            self.send("snapshot.got", snapshot=message["snapshot"], index=message["index"])

    def on_snapshot_end(self, message):
        assert message["snapshot"] == self.begun["snapshot"] and message["chunks"] == self.chunks
        for table in self.begun["tables"]:
            assert len(self.staging[table["table"]]) == table["count"], table
        whole = len(self.begun["tables"]) == len(TABLES)
        assert whole or self.version == int(self.begun["version"])  # some tables fit only the version that is here
        self.rows.update(self.staging)
        self.version, self.epoch, self.community = int(self.begun["version"]), self.begun["epoch"], self.begun["community"]
        self.applied()

    def on_delta_changes(self, message):
        assert message["epoch"] == self.epoch and int(message["from"]) == self.version
        for change in message["changes"]:
            self.version += 1
            assert int(change["version"]) == self.version
            if change.get("deleted"):
                self.rows[change["table"]].pop(change["id"], None)
            else:
                self.rows[change["table"]][change["id"]] = (self.version, change["data"])
        assert int(message["to"]) == self.version
        self.applied()

    def on_sync_check(self, message):
        if int(message["version"]) == self.version:
            assert {t["table"]: t["count"] for t in message["tables"]} == {t: len(self.rows[t]) for t in TABLES}

    def close(self):
        self.device.close()

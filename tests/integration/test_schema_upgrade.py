# SPDX-License-Identifier: MIT
"""A gateway's database of before, with what stands in it: the steps since are taken at once, and nothing of it is lost."""
import hashlib
import json

import pytest

from tests.integration.gateway_lab import Lab
from tests.lab.gateway import Gateway
from tests.lab.postgres import available
from tests.lab.util import wait_until

# the schema as steps 1 to 22 leave it
BEFORE = """
ALTER TABLE bridge_sessions DROP COLUMN certificate;
ALTER TABLE devices DROP COLUMN vouched, DROP COLUMN revoked_keys;
ALTER TABLE deployments DROP COLUMN project;
ALTER TABLE waiting_pushes DROP COLUMN project, ADD PRIMARY KEY (device);
ALTER TABLE rollouts DROP COLUMN project;
DROP TABLE certificates, ssh_revocations;
DROP TRIGGER community_rows_face ON community_rows;
DROP FUNCTION face_forget, face_member, community_face_set;
DROP TABLE community_faces;
DROP TABLE media_tokens;
DROP VIEW good_tokens;
ALTER TABLE operator_tokens DROP COLUMN accounts, DROP COLUMN expires_at, DROP COLUMN last_used_at;
DROP TABLE sign_ins;
DROP TABLE trust_root_boxes, trust_roots;
ALTER TABLE grants DROP COLUMN envelope, DROP COLUMN account;
DROP TABLE approvals;
ALTER TABLE operator_tokens DROP CONSTRAINT operator_tokens_role_check, DROP COLUMN labels,
 ADD CONSTRAINT operator_tokens_role_check CHECK (role IN ('admin', 'operator', 'viewer'));
DROP TRIGGER audit_link ON audit;
DROP FUNCTION audit_link_new;
DROP FUNCTION audit_link;
DROP TABLE audit_chain;
DELETE FROM schema_version WHERE version > 22;
"""
# what a gateway of before asks when a token is shown, and writes when it does something
OWNER_BEFORE = "SELECT name, role FROM operator_tokens WHERE hash = '{}' AND revoked_at IS NULL"
WRITE_BEFORE = "INSERT INTO audit(actor, action, device, detail) VALUES ('gateway', 'lab.before', 'box', '{}')"


def test_data_of_before(tmp_path):
    if not available():
        pytest.skip("PostgreSQL is not installed")
    with Lab(str(tmp_path)) as gw:
        pg = gw.postgres
        assert gw.request("POST", "/v1/devices", {"id": "box", "labels": {"site": "north"}}).status == 201
        grant = gw.request("POST", "/v1/grants", {"device": "box", "reason": "before"}).json["grant"]["id"]
        viewer = gw.run("tokens", "add", "viewer", "--role", "viewer").strip()
        gw.stop()
        pg.sql(BEFORE)
        for _ in range(3):
            pg.sql(WRITE_BEFORE)
        entries = int(pg.sql("SELECT count(*) FROM audit")[0][0])
        with pg.open_transaction(WRITE_BEFORE, end="COMMIT"):  # of one that runs still: it is waited for
            Gateway.start(gw)
            wait_until(lambda: pg.sql("SELECT 1 FROM pg_locks WHERE NOT granted"), "the steps wait", gw.daemon.death)
        wait_until(lambda: gw.raw("GET", "/healthz", None, {}).status == 200, "the gateway serves", gw.daemon.death)
        assert pg.sql("SELECT detail FROM audit WHERE action = 'audit.chain-begins'") == [
            [json.dumps({"before": 0, "linked": entries + 1})]]
        assert "the audit log is whole" in gw.run("audit", "verify")
        assert gw.request("GET", f"/v1/grants/{grant}").json["grant"]["state"] == "open"
        answer = gw.raw("GET", "/v1/devices", None, {"Authorization": f"Bearer {viewer}"})
        assert [d["id"] for d in answer.json["devices"]] == ["box"]
        # one of before that runs on beside it
        assert pg.sql(OWNER_BEFORE.format(hashlib.sha256(viewer.encode()).hexdigest())) == [["viewer", "viewer"]]
        pg.sql(WRITE_BEFORE)
        assert "the audit log is whole" in gw.run("audit", "verify")

/* SPDX-License-Identifier: MIT */
/* The chain of the audit log. Entries are linked when their transaction commits, not when they are written: the order of the chain
 * is that of the commits, and the lock that makes it one order is held for a moment only, however long a transaction is. */
#include "gateway/store/audit-table.h"

/* Of the chain alone: who stores a box's events (events-table.c) holds that lock for as long as it takes. */
#define CHAIN_LOCK "7301992544120783"
/* so many of the entries from before are linked at once: a schema has two minutes */
#define LINKED_AT_ONCE "200000"

const char schema_audit_chain[] =
    "CREATE TABLE audit_chain ("
    " seq bigint PRIMARY KEY,"
    " entry bigint NOT NULL UNIQUE,"
    " hash text NOT NULL);\n"
    "CREATE FUNCTION audit_link(a audit) RETURNS void LANGUAGE plpgsql AS $fn$\n"
    "DECLARE\n"
    " head audit_chain;\n"
    "BEGIN\n"
    " PERFORM pg_advisory_xact_lock(" CHAIN_LOCK ");\n"
    " SELECT * INTO head FROM audit_chain ORDER BY seq DESC LIMIT 1;\n"
    " INSERT INTO audit_chain(seq, entry, hash) VALUES (coalesce(head.seq, 0) + 1, a.id, encode(sha256(convert_to("
    "coalesce(head.hash, '') || E'\\n' || " AUDIT_CANONICAL ", 'UTF8')), 'hex'));\n"
    "END $fn$;\n"
    "CREATE FUNCTION audit_link_new() RETURNS trigger LANGUAGE plpgsql AS $fn$\n"
    "BEGIN\n"
    " PERFORM audit_link(NEW);\n"
    " RETURN NULL;\n"
    "END $fn$;\n"
    /* locks the table, so that nothing comes between */
    "CREATE CONSTRAINT TRIGGER audit_link AFTER INSERT ON audit DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
    " EXECUTE FUNCTION audit_link_new();\n"
    "DECLARE\n"
    " a audit;\n"
    "BEGIN\n"
    " FOR a IN SELECT * FROM (SELECT * FROM audit ORDER BY id DESC LIMIT " LINKED_AT_ONCE ") newest ORDER BY id LOOP\n"
    "  PERFORM audit_link(a);\n"
    " END LOOP;\n"
    "END;\n"
    "INSERT INTO audit(actor, action, detail) SELECT 'gateway', 'audit.chain-begins', jsonb_build_object("
    "'linked', count(c.seq), 'before', count(*) - count(c.seq)) FROM audit a LEFT JOIN audit_chain c ON c.entry = a.id"
    " HAVING count(*) > 0;\n"
    /* or a later step could not change the table in the same transaction */
    "SET CONSTRAINTS audit_link IMMEDIATE;\n";

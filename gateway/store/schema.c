/* SPDX-License-Identifier: MIT */
/* The steps, and the script that runs those which are missing. */
#include "gateway/store/schema.h"

#include "lib/base/buf.h"

#define SCRIPT_SIZE_MAX (256 * 1024)
/* any constant that nobody else uses in this database */
#define SCHEMA_LOCK "7301992544120781"

typedef struct SchemaStep {
    unsigned version;
    const char *sql;
} SchemaStep;

static const SchemaStep schema_steps[] = {
    { 1, "CREATE FUNCTION secbox_time(t timestamptz) RETURNS text LANGUAGE sql STABLE AS $fn$"
         " SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') $fn$;\n"
         "CREATE TABLE devices ("
         " id text PRIMARY KEY,"
         " labels jsonb NOT NULL DEFAULT '{}',"
         " created_at timestamptz NOT NULL DEFAULT now(),"
         " created_by text NOT NULL,"
         " blocked boolean NOT NULL DEFAULT false,"
         " agent_version text,"
         " status jsonb,"
         " status_at timestamptz,"
         " last_seen_at timestamptz);\n"
         "CREATE TABLE bootstraps ("
         " id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
         " device text NOT NULL REFERENCES devices(id) ON DELETE CASCADE,"
         " hash text NOT NULL UNIQUE,"
         " created_at timestamptz NOT NULL DEFAULT now(),"
         " created_by text NOT NULL,"
         " expires_at timestamptz NOT NULL,"
         " replaced_at timestamptz);\n"
         "CREATE INDEX bootstraps_device ON bootstraps(device);\n"
         "CREATE TABLE device_keys ("
         " device text NOT NULL REFERENCES devices(id) ON DELETE CASCADE,"
         " role text NOT NULL CHECK (role IN ('mgmt', 'device', 'recovery')),"
         " thumbprint text NOT NULL,"
         " jwk jsonb NOT NULL,"
         " bootstrap bigint NOT NULL REFERENCES bootstraps(id) ON DELETE CASCADE,"
         " claimed_at timestamptz NOT NULL DEFAULT now(),"
         " PRIMARY KEY (device, role));\n"
         "CREATE TABLE deployments ("
         " device text NOT NULL REFERENCES devices(id) ON DELETE CASCADE,"
         " version bigint NOT NULL,"
         " id text NOT NULL UNIQUE,"
         " sha256 text NOT NULL,"
         " compose text NOT NULL,"
         " requested_by text NOT NULL,"
         " reason text,"
         " nonce text NOT NULL,"
         " confirm_deadline integer NOT NULL,"
         " state text NOT NULL DEFAULT 'open'"
         " CHECK (state IN ('open', 'done', 'failed', 'rolled-back', 'recovery', 'unknown')),"
         " phase text NOT NULL DEFAULT 'sent',"
         " status integer,"
         " result jsonb,"
         " created_at timestamptz NOT NULL DEFAULT now(),"
         " progressed_at timestamptz,"
         " finished_at timestamptz,"
         " PRIMARY KEY (device, version));\n"
         "CREATE UNIQUE INDEX deployments_open ON deployments(device) WHERE state = 'open';\n"
         "CREATE TABLE deployment_events ("
         " device text NOT NULL,"
         " version bigint NOT NULL,"
         " seq bigint NOT NULL,"
         " event jsonb NOT NULL,"
         " at timestamptz NOT NULL DEFAULT now(),"
         " PRIMARY KEY (device, version, seq),"
         " FOREIGN KEY (device, version) REFERENCES deployments(device, version) ON DELETE CASCADE);\n"
         "CREATE TABLE operator_tokens ("
         " name text PRIMARY KEY,"
         " hash text NOT NULL UNIQUE,"
         " created_at timestamptz NOT NULL DEFAULT now(),"
         " revoked_at timestamptz);\n"
         "CREATE TABLE audit ("
         " id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
         " at timestamptz NOT NULL DEFAULT now(),"
         " actor text NOT NULL,"
         " action text NOT NULL,"
         " device text,"
         " alarm boolean NOT NULL DEFAULT false,"
         " detail jsonb NOT NULL DEFAULT '{}');\n"
         "CREATE INDEX audit_device ON audit(device, id);\n" },
    { 2, "CREATE TABLE grants ("
         " id text PRIMARY KEY,"
         " device text NOT NULL REFERENCES devices(id) ON DELETE CASCADE,"
         " person text NOT NULL,"
         " reason text NOT NULL,"
         " created_at timestamptz NOT NULL DEFAULT now(),"
         " expires_at timestamptz NOT NULL,"
         " max_seconds integer NOT NULL,"
         " idle_seconds integer NOT NULL,"
         " forwarding boolean NOT NULL,"
         " break_glass boolean NOT NULL,"
         " revoked_at timestamptz,"
         " revoked_by text);\n"
         "CREATE INDEX grants_device ON grants(device, created_at);\n"
         "CREATE SEQUENCE certificate_serials;\n"
         "CREATE TABLE bridge_sessions ("
         " id text PRIMARY KEY,"
         " grant_id text NOT NULL REFERENCES grants(id) ON DELETE CASCADE,"
         " way text NOT NULL,"
         " opened_at timestamptz NOT NULL DEFAULT now(),"
         " closed_at timestamptz,"
         " to_box bigint NOT NULL DEFAULT 0,"
         " from_box bigint NOT NULL DEFAULT 0,"
         " end_reason text);\n"
         "CREATE INDEX bridge_sessions_grant ON bridge_sessions(grant_id);\n"
         "CREATE INDEX bridge_sessions_opened ON bridge_sessions(opened_at);\n" },
    { 3, "ALTER TABLE deployments"
         " ADD COLUMN kind text NOT NULL DEFAULT 'compose' CHECK (kind IN ('compose', 'update')),"
         " ADD COLUMN image text,"
         " ADD COLUMN digest text,"
         " ADD COLUMN service text,"
         " ADD COLUMN rollout text;\n"
         "CREATE TABLE rollouts ("
         " id text PRIMARY KEY,"
         " kind text NOT NULL CHECK (kind IN ('compose', 'update')),"
         " image text,"
         " digest text,"
         " service text,"
         " compose text NOT NULL,"
         " sha256 text NOT NULL,"
         " labels jsonb NOT NULL,"
         " groups jsonb NOT NULL,"
         " halt_at integer NOT NULL,"
         " soak_seconds integer NOT NULL,"
         " parallel integer NOT NULL,"
         " offline_after integer NOT NULL,"
         " confirm_deadline integer NOT NULL,"
         " reason text,"
         " created_by text NOT NULL,"
         " created_at timestamptz NOT NULL DEFAULT now(),"
         " state text NOT NULL DEFAULT 'running'"
         " CHECK (state IN ('running', 'soaking', 'paused', 'halted', 'aborted', 'done')),"
         " group_index integer NOT NULL DEFAULT 0,"
         " forgiven integer NOT NULL DEFAULT 0,"
         " soaking_since timestamptz,"
         " halted jsonb,"
         " finished_at timestamptz);\n"
         "CREATE INDEX rollouts_created ON rollouts(created_at);\n"
         "CREATE TABLE rollout_boxes ("
         " rollout text NOT NULL REFERENCES rollouts(id) ON DELETE CASCADE,"
         " device text NOT NULL REFERENCES devices(id) ON DELETE CASCADE,"
         " position integer NOT NULL,"
         " group_index integer NOT NULL,"
         " state text NOT NULL DEFAULT 'waiting' CHECK (state IN"
         " ('waiting', 'offline', 'sent', 'done', 'failed', 'rolled-back', 'skipped')),"
         " deployment text,"
         " version bigint,"
         " attempts integer NOT NULL DEFAULT 0,"
         " error jsonb,"
         " sent_at timestamptz,"
         " finished_at timestamptz,"
         " PRIMARY KEY (rollout, device));\n"
         "CREATE INDEX rollout_boxes_deployment ON rollout_boxes(deployment);\n" },
    { 4, "CREATE INDEX rollout_boxes_unfinished ON rollout_boxes(rollout)"
         " WHERE state IN ('waiting', 'offline', 'sent');\n"
         "CREATE INDEX rollout_boxes_device ON rollout_boxes(device);\n" },
};

static int script_append(Buf *b)
{
    unsigned newest = schema_steps[ELEMENTSOF(schema_steps) - 1].version;
    int r = buf_puts(b, "BEGIN;\nSELECT pg_advisory_xact_lock(" SCHEMA_LOCK ");\n"
                        "CREATE TABLE IF NOT EXISTS schema_version (version integer PRIMARY KEY,"
                        " applied_at timestamptz NOT NULL DEFAULT now());\n");
    if (r < 0)
        return r;
    r = buf_printf(b,
                   "DO $secbox$ BEGIN IF (SELECT max(version) FROM schema_version) > %u THEN RAISE EXCEPTION"
                   " 'the database has a newer schema than this program, which knows version %u:"
                   " install the newer secbox-gateway'; END IF; END $secbox$;\n",
                   newest, newest);
    for (size_t i = 0; i < ELEMENTSOF(schema_steps) && r >= 0; i++)
        r = buf_printf(b,
                       "DO $secbox$ BEGIN IF NOT EXISTS (SELECT 1 FROM schema_version WHERE version = %u) THEN\n"
                       "%sINSERT INTO schema_version(version) VALUES (%u);\nEND IF; END $secbox$;\n",
                       schema_steps[i].version, schema_steps[i].sql, schema_steps[i].version);
    if (r < 0)
        return r;
    return buf_puts(b, "COMMIT;\nSET statement_timeout = '10s';\nSET lock_timeout = '5s';\n");
}

char *store_schema_script(void)
{
    Buf b = BUF_INIT(SCRIPT_SIZE_MAX);
    if (script_append(&b) < 0) {
        buf_done(&b);
        return NULL;
    }
    return buf_take(&b);
}

/* SPDX-License-Identifier: MIT */
#include "gateway/store/schema.h"

#include "gateway/store/approvals-table.h"
#include "gateway/store/audit-table.h"
#include "gateway/store/enrolments-table.h"
#include "gateway/store/faces-table.h"
#include "gateway/store/grants-table.h"
#include "gateway/store/media-table.h"
#include "gateway/store/schema-communities.h"
#include "gateway/store/trust-roots-table.h"
#include "gateway/store/serving-table.h"
#include "gateway/store/sign-ins-table.h"
#include "gateway/store/tokens-table.h"
#include "gateway/store/waiting-table.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"

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
    { 5, schema_communities },
    { 6, "ALTER TABLE deployments"
         " DROP CONSTRAINT deployments_kind_check,"
         " ADD CONSTRAINT deployments_kind_check CHECK (kind IN ('compose', 'update', 'rollback')),"
         " ADD COLUMN target text;\n" },
    { 7, schema_sync },
    { 8, schema_import },
    { 9, schema_passes },
    { 10, "CREATE TABLE device_health ("
          " device text NOT NULL REFERENCES devices(id) ON DELETE CASCADE,"
          " part text NOT NULL,"
          " at timestamptz,"
          " received_at timestamptz NOT NULL,"
          " content jsonb NOT NULL,"
          " PRIMARY KEY (device, part));\n"
          "CREATE TABLE device_health_history ("
          " device text NOT NULL REFERENCES devices(id) ON DELETE CASCADE,"
          " part text NOT NULL,"
          " slot bigint NOT NULL," /* of five minutes, since 1970 */
          " at timestamptz NOT NULL,"
          " content jsonb NOT NULL,"
          " PRIMARY KEY (device, part, slot));\n" },
    { 11, schema_community_mends },
    { 12, schema_pass_key_row },
    { 13, schema_webhooks },
    { 14, schema_photos },
    /* Tokens from before could do all, and go on; somebody is told to look at them. A gateway of that time makes such, too. */
    { 15,
      "ALTER TABLE operator_tokens ADD COLUMN role text NOT NULL DEFAULT 'admin'"
      " CHECK (role IN ('admin', 'operator', 'viewer'));\n"
      "INSERT INTO audit(actor, action, alarm, detail) SELECT 'gateway', 'token.roles', true, jsonb_build_object("
      "'admins', jsonb_agg(name ORDER BY name), 'message', 'tokens have roles now, and these, from before, are admin: "
      "revoke what should be able to do less, and add it again with --role')"
      " FROM operator_tokens WHERE revoked_at IS NULL HAVING count(*) > 0;\n" },
    { 16, schema_waiting },
    { 17, "ALTER TABLE deployments"
          " DROP CONSTRAINT deployments_kind_check,"
          " ADD CONSTRAINT deployments_kind_check CHECK (kind IN ('compose', 'update', 'rollback', 'agent'));\n"
          "ALTER TABLE rollouts"
          " DROP CONSTRAINT rollouts_kind_check,"
          " ADD CONSTRAINT rollouts_kind_check CHECK (kind IN ('compose', 'update', 'agent')),"
          " ADD COLUMN target text;\n" },
    { 18, schema_enrolments },
    { 19, "ALTER TABLE devices ADD COLUMN host_keys jsonb NOT NULL DEFAULT '{}';\n" },
    /* what operators have signed, as it is carried to boxes */
    { 20, "ALTER TABLE deployments ADD COLUMN envelope text;\n"
          "ALTER TABLE rollouts ADD COLUMN envelope text;\n"
          "ALTER TABLE waiting_pushes ADD COLUMN envelope text;\n"
          "ALTER TABLE templates ADD COLUMN envelope text;\n" },
    { 21, schema_serving },
    /* the digest of the files that come with the compose file */
    { 22, "ALTER TABLE waiting_pushes ADD COLUMN bundle text;\n"
          "ALTER TABLE templates ADD COLUMN bundle text;\n" },
    { 23, schema_audit_chain },
    { 24, schema_token_labels },
    { 25, schema_approvals },
    { 26, schema_trust_roots },
    { 27, schema_sign_ins },
    { 28, schema_media_tokens },
    /* By role, the key that the box's management key has named: null while its agent has never named any. And the keys that
     * operators have revoked since the box claimed its management key. */
    { 29, "ALTER TABLE devices ADD COLUMN vouched jsonb, ADD COLUMN revoked_keys jsonb NOT NULL DEFAULT '[]';\n" },
    { 31, schema_events_unbound },
    { 33, "ALTER TABLE deployments ADD COLUMN project text NOT NULL DEFAULT 'secbox';\n" },
    { 34, schema_faces },
    { 35,
      "ALTER TABLE deployments"
      " DROP CONSTRAINT deployments_kind_check,"
      " ADD CONSTRAINT deployments_kind_check CHECK (kind IN ('compose', 'update', 'rollback', 'agent', 'release'));\n"
      "ALTER TABLE rollouts"
      " DROP CONSTRAINT rollouts_kind_check,"
      " ADD CONSTRAINT rollouts_kind_check CHECK (kind IN ('compose', 'update', 'agent', 'release'));\n" },
    { 36, "ALTER TABLE waiting_pushes ADD COLUMN project text NOT NULL DEFAULT 'secbox',"
          " DROP CONSTRAINT waiting_pushes_pkey, ADD PRIMARY KEY (device, project);\n" },
    /* A gateway of before would bring another project's file to the box's own: with a kind that no deployment has, it fails to. */
    { 37, "ALTER TABLE rollouts"
          " ADD COLUMN project text NOT NULL DEFAULT 'secbox',"
          " DROP CONSTRAINT rollouts_kind_check,"
          " ADD CONSTRAINT rollouts_kind_check"
          " CHECK (kind IN ('compose', 'update', 'agent', 'release', 'project'));\n" },
    { 39, schema_accounts },
    { 41, schema_access },
    {},
};

/* Each is of the same database. */
#define OF_GATEWAY                                                                                                     \
    .program = "secbox-gateway", .setting = "give --database or set " DATABASE_VARIABLE, .lock = "7301992544120781",   \
    .steps = schema_steps

const StoreSchema gateway_schema = {
    OF_GATEWAY,
    .statement_max = 10 * USEC_PER_SEC,
    .queries_max = GATEWAY_QUERIES_MAX,
};

/* Connections of their own for what takes long: one for what boxes are sent, one for imports. */
const StoreSchema gateway_bulk_schema = {
    OF_GATEWAY,
    .statement_max = 120 * USEC_PER_SEC,
    .queries_max = GATEWAY_QUERIES_MAX,
};

/* For the process that signs certificates. */
const StoreSchema gateway_signer_schema = {
    OF_GATEWAY,
    .statement_max = 5 * USEC_PER_SEC,
    .queries_max = 64,
};

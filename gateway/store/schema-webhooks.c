/* SPDX-License-Identifier: MIT */
/* Where each community's events are sent on to, how far that is, and what a receiver did not take. */
#include "gateway/store/schema-communities.h"

const char schema_webhooks[] =
    /* behind: the last event that needs nothing more; tries and next_at are about the one after it */
    "CREATE TABLE webhooks ("
    " community uuid PRIMARY KEY REFERENCES communities(id),"
    " url text NOT NULL,"
    " secret text NOT NULL,"
    " behind bigint NOT NULL,"
    " tries integer NOT NULL DEFAULT 0,"
    " next_at timestamptz,"
    " stopped boolean NOT NULL DEFAULT false,"
    " last_error text,"
    " last_error_at timestamptz,"
    " delivered_at timestamptz,"
    " set_at timestamptz NOT NULL DEFAULT now(),"
    " set_by text NOT NULL);\n"
    "CREATE TABLE webhook_dead ("
    " community uuid NOT NULL REFERENCES webhooks(community) ON DELETE CASCADE,"
    " seq bigint NOT NULL REFERENCES box_events(seq) ON DELETE CASCADE,"
    " tries integer NOT NULL,"
    " reason text NOT NULL,"
    " dead_at timestamptz NOT NULL DEFAULT now(),"
    " again boolean NOT NULL DEFAULT false,"
    " PRIMARY KEY (community, seq));\n"
    "CREATE INDEX webhook_dead_again ON webhook_dead(community, seq) WHERE again;\n";

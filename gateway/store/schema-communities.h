/* SPDX-License-Identifier: MIT */
/* The steps of the gateway's schema that are about community data. */
#pragma once

/* Rows, their change log, and the function that changes one row. */
extern const char schema_communities[];
/* Snapshots, what boxes have, and their events. */
extern const char schema_sync[], schema_events_unbound[];
/* Imports of whole tables. */
extern const char schema_import[];
/* The keys that passes are signed with. */
extern const char schema_passes[];
/* Later forms of these. */
extern const char schema_community_mends[];
/* The row of a community keeps the key of its passes, whoever writes it. */
extern const char schema_pass_key_row[];
/* Webhooks and their dead letters. */
extern const char schema_webhooks[];
/* Photos that events name. */
extern const char schema_photos[];

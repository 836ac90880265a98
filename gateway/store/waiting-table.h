/* SPDX-License-Identifier: MIT */
/* What boxes get when they come: pushes that wait for a box that is away, one of each project of it, and templates for boxes that
 * have never been sent anything. */
#pragma once

#include "gateway/store/deployments-table.h"

extern const char schema_waiting[];

/* A row for each box that something waits for (0 its id), and one with NULL when there are templates. */
Statement sql_waiting_known(void);

/* Takes the place of what waited before for the same project. 0 {"waiting"}; none: there is no such device. Read are device,
 * compose, sha256, actor, reason, envelope, digest, project, confirm_deadline. */
Statement sql_waiting_put(const NewDeployment *d);
/* What waits for this project, NULL: for any. 0 device: none when nothing waited. */
Statement sql_waiting_cancel(const char *device, const char *project, const char *actor);

/* One push that waits becomes the box's deployment, that of its own project first; where none does, of a box that is `blank` and
 * was never sent anything, the template with the most labels, which itself waits (and an audit entry says so) when it is signed and
 * the box's agent not one that `takes_signed` orders, or brings files and that is not one that `takes_files`. Read are device, id,
 * nonce, version_floor, confirm_deadline: of a template. 0 version, 1 compose, 2 seconds for the confirmation, 3 envelope, 4 digest
 * of its files, 5 project (null: the box's own): none when there is nothing for it. One that has another deployment open makes the
 * statement fail as a whole. */
Statement sql_deployment_add_waiting(const NewDeployment *d, bool blank, bool takes_signed, bool takes_files);

/* 0 {"templates"}. */
Statement sql_templates(void);
/* 0 {"template"} with its compose file; none: there is no such one. */
Statement sql_template(const char *name);
/* 0 {"template"}. selector, envelope: JSON; the latter may be NULL, and so may bundle, the digest of its files. */
Statement sql_template_put(const char *name, const char *selector, const char *compose, const char *sha256,
                           const char *bundle, const char *envelope, const char *actor);
/* 0 name: none when there is no such one. */
Statement sql_template_remove(const char *name, const char *actor);

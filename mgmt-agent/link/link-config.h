/* SPDX-License-Identifier: MIT */
/* What mgmt-link takes from mgmt-agent.env, and where that file is. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/error.h"

typedef struct LinkConfig {
    char *cloud_url, *gateway_url, *device_id;
    char *bootstrap; /* secret; NULL when absent */
    char *enrolment; /* secret; while the box asks to be let in; NULL when absent */
    char *cloud_key; /* whose public key the claim is for; NULL when absent */
    char *ca_file;   /* NULL = the system's authorities */
    uint16_t ssh_port;
    char *text; /* secret; the file */
    char *
        digest; /* of all that a tunnel depends on, the authorities in the file included; not of what is only for the claim */
} LinkConfig;

void link_config_done(LinkConfig *c);
/* From the log, from now on. */
void link_hide_secrets(const LinkConfig *c);

/* Reads and checks the whole file (SPEC §5: a configuration that does not parse is a fault to report, never to retry).
 * Errors: env.*, url.bad. */
int link_config_load(const char *path, LinkConfig *ret, Error *err) _must_check_;
/* The same for a text that is at hand; `path` is for the sentences. */
int link_config_parse(const char *text, const char *path, LinkConfig *ret, Error *err) _must_check_;

/* The configuration that a tunnel came up with, in the state folder, with a copy of its authorities. */
int link_config_keep(const LinkConfig *c, const char *state_dir, Error *err) _must_check_;
int link_config_load_kept(const char *state_dir, LinkConfig *ret, Error *err) _must_check_;

/* Takes that away, and the device token. */
void link_config_forget(const char *state_dir);

/* $CREDENTIALS_DIRECTORY/mgmt-agent.env if the service manager gave us one, else the file on the box. New string. */
char *link_config_path(bool *ret_is_credential);

/* Becomes `user` (NULL: stays who we are) with no supplementary groups, and no way back (PR_SET_NO_NEW_PRIVS). */
int link_drop_privileges(const char *user, uid_t uid, gid_t gid, Error *err) _must_check_;
/* link.no-user */
int link_find_user(const char *user, uid_t *ret_uid, gid_t *ret_gid, Error *err) _must_check_;

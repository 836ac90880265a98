/* SPDX-License-Identifier: MIT */
/* The configuration: environment variables under the rules of secbox.env, or, without containers, that file itself. */
#pragma once

#include <stdint.h>

#include "env/env-rules.h"
#include "lib/base/error.h"

typedef struct Config {
    EnvFile *env; /* owns the strings below */
    const char *cloud_url, *device_id, *gateway_url;
    const char *bootstrap, *ca_file; /* NULL when not set */
    const char *database_url;        /* the same; may hold a password */
    const char *lan_names;           /* the same */
    char *lan_address;               /* where the guards' pages are served; NULL: nowhere */
    uint16_t lan_port;
    char *media_address; /* where recordings are for those outside; NULL: nowhere */
    uint16_t media_port;
    char *media_origin;  /* whose pages may show them; NULL: nobody's */
    unsigned media_kbit; /* for all who are outside, together */
    unsigned lan_rate;   /* requests a second of one guard; 0: no bounds */
    unsigned queue_mb, queue_days;
    unsigned data_old_hours;
    const char *frigate_url;                     /* NULL: there is no Frigate */
    const char *frigate_user, *frigate_password; /* NULL: it wants none */
    const char *entry_camera;                    /* the one at the gate; NULL: none */
    unsigned camera_kbit;                        /* of the uplink, for all cameras together */
    char *state_dir;                             /* $SECBOX_STATE */
    char *run_dir;                               /* $SECBOX_RUN */
    char *heartbeat;                             /* in it */
    char *ssh_host;                              /* where the box's sshd is, seen from here */
    uint16_t ssh_port;
} Config;

void config_done(Config *c);

/* What env_file (NULL: none) says counts over the environment. Errors: env.*, config.no-gateway; the sentence names the variable
 * and what it must be. What has no effect is logged. */
int config_load(const char *env_file, Config *ret, Error *err) _must_check_;

/* Leaves word of what cannot be taken of the configuration where the box's doctor and its cloud see it; err NULL: all is well. */
void config_tell(const Error *err, int r);

/* Where the heartbeat file is, whatever the rest of the configuration. New string. */
char *config_heartbeat_path(void);

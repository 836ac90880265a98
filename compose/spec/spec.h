/* SPDX-License-Identifier: MIT */
/* What podman's REST API gets: a container, a network, a volume as libpod's own description of it. */
#pragma once

#include "compose/model/project.h"

/* A device of the host that podman cannot be told by its path, since there is a colon in it. */
typedef struct SpecDevice {
    char *path; /* what it leads to, without one; owned by whoever asked */
    bool is_block;
    unsigned major, minor;
} SpecDevice;

typedef struct SpecOptions {
    const char *image;   /* its id */
    const char *version; /* snapshot version, for the label */
    const char *folder;  /* where podman-compose would have found its file, for a label that it reads */
    /* The host path to mount for a source; borrowed. NULL = the source itself. */
    const char *(*bind)(const char *source, void *userdata);
    /* What a device's path leads to; NULL = nothing is known of any. */
    int (*device)(const char *path, SpecDevice *ret, void *userdata, Error *err);
    void *userdata;
} SpecOptions;

/* The body of containers/create for one service, with the same name, labels, networks and aliases as podman-compose gives it.
 * It holds the values of the environment. spec.unsupported with the key: podman could not be told so. */
int compose_spec(const ComposeProject *p, const ComposeService *s, const SpecOptions *o, cJSON **ret,
                 Error *err) _must_check_;

/* The bodies of networks/create and volumes/create, from a definition in normal form. */
int compose_spec_network(const ComposeProject *p, const cJSON *definition, cJSON **ret, Error *err) _must_check_;
int compose_spec_volume(const ComposeProject *p, const cJSON *definition, cJSON **ret, Error *err) _must_check_;

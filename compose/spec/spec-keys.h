/* SPDX-License-Identifier: MIT */
/* Single keys of a service as members of libpod's description of a container. */
#pragma once

#include "compose/model/service-key.h"
#include "compose/spec/spec.h"

struct SpecService {
    const ComposeProject *project;
    const ComposeService *service;
    cJSON *out; /* the description; borrowed */
    const SpecOptions *options;
    Error *err;
};

/* spec.unsupported: `why` says what podman cannot be told. */
int spec_unsupported(const SpecService *r, const char *key, const char *why);

/* The object or array under o->key, made when it is not there yet; NULL: no memory. */
cJSON *spec_object(cJSON *o, const char *key);
cJSON *spec_array(cJSON *o, const char *key);
/* Adds decimal digits as a number: cJSON's own numbers lose the last digits of large ones. -EINVAL when they are none. */
int spec_add_number(cJSON *o, const char *key, const char *digits) _must_check_;
/* The real name of one of the project's networks or volumes, by its key in the file. */
const char *spec_real_name(const cJSON *definitions, const char *key);

/* The words between single separators; a new strv, NULL: no memory. Never without a word. */
char **spec_split(const char *text, char separator);

/* Columns of compose/service-keys.c. k->member may be a path with dots, as "resource_limits.cpu.shares". */
int spec_command(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_cpus(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_device_rules(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_devices(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_entrypoint(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_expose(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_groups(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_healthcheck(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_logging(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_map(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_namespace(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_networks(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_number(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_pids(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_ports(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_read_only(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_restart(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_security(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_signal(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_stop_grace(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_string(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_strings(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_tmpfs(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_true(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_ulimits(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;
int spec_volumes(const SpecService *r, const ComposeKey *k, const cJSON *value) _must_check_;

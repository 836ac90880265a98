/* SPDX-License-Identifier: MIT */
/* Single keys of a service, in a form that podman-compose 1.0.3 to 1.3 all read alike. */
#pragma once

#include "compose/model/service-key.h"
#include "compose/render/render.h"

struct RenderService {
    const ComposeService *service;
    cJSON *out; /* the service as podman-compose gets it; borrowed */
    Error *err;
    const RenderOptions *options; /* NULL: for definitions of networks and volumes */
};

/* Adds what the key of the normal form stands for to r->out. render.unsupported names keys that podman-compose 1.0.3
 * would silently drop or get wrong. */
int render_key(const RenderService *r, const char *key, const cJSON *value) _must_check_;

/* A new string in which podman-compose finds no variable: every `$` written twice. */
char *render_escape(const char *text);

/* Appends {"K": "V"} as "K=V" strings to a list: interpolation of keys differs between versions, list items
 * are safe. */
int render_pairs(const RenderService *r, const char *key, const cJSON *map, cJSON *list) _must_check_;

/* Columns of compose/service-keys.c. */
int render_devices(const RenderService *r, const char *key, const cJSON *value) _must_check_;
int render_healthcheck(const RenderService *r, const char *key, const cJSON *value) _must_check_;
int render_logging(const RenderService *r, const char *key, const cJSON *value) _must_check_;
int render_map(const RenderService *r, const char *key, const cJSON *value) _must_check_;
int render_namespace(const RenderService *r, const char *key, const cJSON *value) _must_check_;
int render_network_mode(const RenderService *r, const char *key, const cJSON *value) _must_check_;
int render_networks(const RenderService *r, const char *key, const cJSON *value) _must_check_;
int render_not(const RenderService *r, const char *key, const cJSON *value) _must_check_;
int render_ports(const RenderService *r, const char *key, const cJSON *value) _must_check_;
int render_security(const RenderService *r, const char *key, const cJSON *value) _must_check_;
int render_string(const RenderService *r, const char *key, const cJSON *value) _must_check_;
int render_strings(const RenderService *r, const char *key, const cJSON *value) _must_check_;
int render_tmpfs(const RenderService *r, const char *key, const cJSON *value) _must_check_;
int render_true(const RenderService *r, const char *key, const cJSON *value) _must_check_;
int render_ulimits(const RenderService *r, const char *key, const cJSON *value) _must_check_;
int render_volumes(const RenderService *r, const char *key, const cJSON *value) _must_check_;
int render_words(const RenderService *r, const char *key, const cJSON *value) _must_check_;

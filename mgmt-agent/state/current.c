/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/current.h"

#include <errno.h>

#include "lib/base/strv.h"
#include "mgmt-agent/state/state-file.h"

#define CURRENT_FILE "current.json"

static const JsonField service_fields[] = {
    { JSON_FIELD(CurrentService, name, "name") },
    { JSON_FIELD(CurrentService, replica_of, "replicaOf") },
    { JSON_FIELD(CurrentService, container, "container") },
    { JSON_FIELD(CurrentService, id, "id") },
    { JSON_FIELD(CurrentService, image, "image") },
    { JSON_FIELD(CurrentService, image_id, "imageId") },
    { JSON_FIELD(CurrentService, previous_image_id, "previousImageId") },
    { JSON_FIELD(CurrentService, previous_image, "previousImage") },
    { JSON_FIELD(CurrentService, pull_policy, "pullPolicy") },
    { JSON_FIELD(CurrentService, labels, "labels") },
    { JSON_FIELD(CurrentService, hash, "hash") },
    { JSON_FIELD(CurrentService, state, "state") },
    { JSON_FIELD(CurrentService, static_dir, "staticDir") },
    { JSON_FIELD(CurrentService, pid_file, "pidFile") },
    { JSON_FIELD(CurrentService, health, "health") },
    { JSON_FIELD(CurrentService, pid, "pid") },
    { JSON_FIELD(CurrentService, start_ticks, "startTicks") },
    { JSON_FIELD(CurrentService, health_interval, "healthIntervalUsec") },
    { JSON_FIELD(CurrentService, host_ports, "hostPorts") },
    { JSON_FIELD(CurrentService, environment, "environment") },
    { JSON_FIELD(CurrentService, config, "config") },
    { JSON_FIELD(CurrentService, ordered, "ordered") },
    { JSON_REST_FIELD(CurrentService, rest) },
    {},
};
static const JsonType service_type = JSON_TYPE(CurrentService, service_fields);

static const JsonField current_fields[] = {
    { JSON_FIELD(Current, version, "version") },
    { JSON_FIELD(Current, id, "id") },
    { JSON_FIELD(Current, sha256, "sha256") },
    { JSON_FIELD(Current, inputs, "inputs") },
    { JSON_TIME_FIELD(Current, at, "at") },
    { JSON_FIELD(Current, name, "name") },
    { JSON_FIELD(Current, file_name, "fileName") },
    { JSON_FIELD(Current, previous, "previous") },
    { JSON_FIELD(Current, networks, "networks") },
    { JSON_FIELD(Current, volumes, "volumes") },
    { JSON_LIST_FIELD(Current, services, "services", &service_type) },
    { JSON_REST_FIELD(Current, rest) },
    {},
};
const JsonType current_type = JSON_TYPE(Current, current_fields);

Current *current_free(Current *c)
{
    if (c)
        json_done(&current_type, c);
    free(c);
    return NULL;
}

int current_load(Current **ret, Error *err)
{
    _cleanup_(current_freep) Current *c = calloc(1, sizeof(*c));
    int r = c ? state_load(CURRENT_FILE, &current_type, c, err) : error_set(err, ENOMEM, "store.read", "no memory");

    *ret = r == 0 ? TAKE_PTR(c) : NULL;
    return r == -ENOENT ? 0 : r;
}

int current_save(const Current *c, Error *err)
{
    return state_save(CURRENT_FILE, &current_type, c, err);
}

Current *current_from_json(const cJSON *o)
{
    _cleanup_(current_freep) Current *c = calloc(1, sizeof(*c));

    return c && json_read(o, &current_type, c) != -ENOMEM ? TAKE_PTR(c) : NULL;
}

Current *current_copy(const Current *c)
{
    _cleanup_(current_freep) Current *copy = calloc(1, sizeof(*copy));

    return copy && json_copy(&current_type, c, copy) == 0 ? TAKE_PTR(copy) : NULL;
}

CurrentService *current_find(const Current *c, const char *service)
{
    for (size_t i = 0; c && service && i < c->n_services; i++)
        if (str_equal(c->services[i].name, service))
            return &c->services[i];
    return NULL;
}

bool current_service_runs(const CurrentService *s)
{
    return str_equal(s->state, "running");
}

void current_service_replace(CurrentService *s, CurrentService *with)
{
    current_service_done(s);
    *s = *with;
    *with = (CurrentService) {};
}

void current_service_done(CurrentService *s)
{
    json_done(&service_type, s);
}

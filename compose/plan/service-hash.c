/* SPDX-License-Identifier: MIT */
/* Decides which parts of a service make its container, and hashes them. */
#include "compose/plan/service-hash.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

/* To be raised when the meaning of a rendered file changes, so that every container is made again. */
#define HASH_FORMAT 1

static int add_reference(cJSON *object, const char *key, const cJSON *borrowed)
{
    cJSON *item = borrowed ? cJSON_Duplicate(borrowed, true) : cJSON_CreateNull();

    return item ? json_add_item(object, key, item) : -ENOMEM;
}

/* Only the definitions that this service uses: a new volume of another service must not replace this one. */
static int add_definitions(cJSON *object, const char *key, char *const *names, const cJSON *definitions)
{
    _cleanup_(cJSON_Deletep) cJSON *used = cJSON_CreateObject();

    if (!used)
        return -ENOMEM;
    for (size_t i = 0; names && names[i]; i++) {
        int r = add_reference(used, names[i], cJSON_GetObjectItemCaseSensitive(definitions, names[i]));

        if (r < 0)
            return r;
    }
    return json_add_item(object, key, TAKE_PTR(used));
}

static int describe_service(const ComposeProject *p, const ComposeService *s, const char *image_id, cJSON *out)
{
    const cJSON *member;
    cJSON *config = cJSON_CreateObject();
    int r = config ? json_add_item(out, "config", config) : -ENOMEM;

    /* the grace period is the agent's when it stops the container, not a part of the container */
    cJSON_ArrayForEach(member, s->config) {
        if (r >= 0 && !str_equal(member->string, "stop_grace_period"))
            r = add_reference(config, member->string, member);
    }
    /* the service's name is the container's alias and label */
    r = r < 0 ? r : json_add_string(out, "service", s->name);
    r = r < 0 ? r : add_reference(out, "environment", s->environment);
    r = r < 0 ? r : json_add_string(out, "container_name", s->container_name);
    r = r < 0 ? r : json_add_string(out, "image", image_id);
    r = r < 0 ? r : json_add_string(out, "restart", s->restart);
    r = r < 0 ? r : json_add_int(out, "format", HASH_FORMAT);
    r = r < 0 ? r : add_definitions(out, "networks", s->networks, p->networks);
    return r < 0 ? r : add_definitions(out, "volumes", s->volumes, p->volumes);
}

int compose_hash_service(const ComposeProject *p, const ComposeService *s, const char *image_id,
                         char ret[static SHA256_HEX_SIZE])
{
    _cleanup_(cJSON_Deletep) cJSON *description = cJSON_CreateObject();
    _cleanup_(secret_freep) char *text = NULL;
    int r;

    if (!description)
        return -ENOMEM;
    if (str_starts(image_id, "sha256:"))
        image_id += strlen("sha256:");
    r = describe_service(p, s, image_id, description);
    if (r < 0)
        return r;
    text = json_print_canonical(description);
    return text ? sha256_hex(text, strlen(text), ret) : -ENOMEM;
}

int compose_hash_services(ComposeProject *p, const char *(*image_id)(const char *service, void *userdata),
                          void *userdata)
{
    for (size_t i = 0; i < p->n_services; i++) {
        const char *id = image_id(p->services[i].name, userdata);
        int r = id ? compose_hash_service(p, &p->services[i], id, p->services[i].config_hash) : -ENOENT;

        if (r < 0)
            return r;
    }
    return 0;
}

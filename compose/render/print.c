/* SPDX-License-Identifier: MIT */
/* A project as a compose file again, for people: nothing left to resolve, and it resolves to the same
 * project. */
#include "compose/render/print.h"

#include <errno.h>
#include <string.h>

#include "compose/render/emit.h"
#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

/* $ → $$ */
static char *escape_dollars(const char *text)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(2 * COMPOSE_RENDERED_MAX);

    while (*text) {
        size_t n = strcspn(text, "$");

        if (buf_append(&b, text, n) < 0 || (text[n] && buf_puts(&b, "$$") < 0))
            return NULL;
        text += n + (text[n] != '\0');
    }
    return buf_take(&b);
}

static int escape_tree(cJSON *value)
{
    int r = 0;

    if (cJSON_IsString(value) && strchr(value->valuestring, '$')) {
        _cleanup_(freep) char *escaped = escape_dollars(value->valuestring);

        if (!escaped)
            return -ENOMEM;
        return cJSON_SetValuestring(value, escaped) ? 0 : -ENOMEM;
    }
    for (cJSON *item = value->child; r >= 0 && item; item = item->next)
        r = escape_tree(item);
    return r;
}

static int add_copy(cJSON *object, const char *key, const cJSON *value)
{
    cJSON *copy = value ? cJSON_Duplicate(value, true) : NULL;

    return !value ? 0 : copy ? json_add_item(object, key, copy) : -ENOMEM;
}

/* One {"address", "host", "container", "protocol"} in the short form. */
static char *print_port(const cJSON *port)
{
    const char *address = json_string(port, "address"), *host = json_string(port, "host");
    bool six = strchr(address, ':') != NULL;

    return str_format("%s%s%s%s%s%s%s/%s", six ? "[" : "", address, six ? "]" : "", *address ? ":" : "", host,
                      *address || *host ? ":" : "", json_string(port, "container"), json_string(port, "protocol"));
}

static int add_ports(cJSON *service, const cJSON *ports)
{
    cJSON *list = cJSON_AddArrayToObject(service, "ports");
    const cJSON *port;

    if (!list)
        return -ENOMEM;
    cJSON_ArrayForEach(port, ports) {
        _cleanup_(freep) char *text = print_port(port);
        cJSON *item = text ? cJSON_CreateString(text) : NULL;
        int r = item ? json_append(list, item) : -ENOMEM;

        if (r < 0)
            return r;
    }
    return 0;
}

/* "size=…" and "mode=…" of a tmpfs, or the propagation of a bind mount, where the long form has them. */
static int add_mount_options(cJSON *mount, const char *type, const cJSON *options)
{
    cJSON *object = cJSON_AddObjectToObject(mount, type);
    const cJSON *option;

    if (!object)
        return -ENOMEM;
    cJSON_ArrayForEach(option, options) {
        const char *equals = strchr(option->valuestring, '=');
        _cleanup_(freep) char *key =
            equals ? strndup(option->valuestring, (size_t) (equals - option->valuestring)) : strdup("propagation");
        int r = key ? json_add_string(object, key, equals ? equals + 1 : option->valuestring) : -ENOMEM;

        if (r < 0)
            return r;
    }
    return 0;
}

static int add_volumes(cJSON *service, const cJSON *volumes)
{
    cJSON *list = cJSON_AddArrayToObject(service, "volumes");
    const cJSON *volume;

    if (!list)
        return -ENOMEM;
    cJSON_ArrayForEach(volume, volumes) {
        _cleanup_(cJSON_Deletep) cJSON *options = NULL;
        cJSON *mount = cJSON_Duplicate(volume, true);
        int r = mount ? json_append(list, mount) : -ENOMEM;

        if (r < 0)
            return r;
        options = cJSON_DetachItemFromObjectCaseSensitive(mount, "options");
        if (str_empty(json_string(mount, "source")))
            cJSON_DeleteItemFromObjectCaseSensitive(mount, "source");
        r = options ? add_mount_options(mount, json_string(mount, "type"), options) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_depends_on(cJSON *service, const cJSON *conditions, char *const *restarts_with)
{
    const cJSON *condition;
    cJSON *object;

    if (!conditions || !conditions->child)
        return 0;
    object = cJSON_AddObjectToObject(service, "depends_on");
    if (!object)
        return -ENOMEM;
    cJSON_ArrayForEach(condition, conditions) {
        cJSON *entry = cJSON_AddObjectToObject(object, condition->string);
        int r = entry ? json_add_string(entry, "condition", condition->valuestring) : -ENOMEM;

        if (r >= 0 && strv_contains(restarts_with, condition->string))
            r = json_add_bool(entry, "restart", true);

        if (r < 0)
            return r;
    }
    return 0;
}

static int add_config(cJSON *service, const cJSON *config)
{
    const cJSON *item;
    int r = 0;

    cJSON_ArrayForEach(item, config) {
        if (str_equal(item->string, "ports"))
            r = add_ports(service, item);
        else if (str_equal(item->string, "volumes"))
            r = add_volumes(service, item);
        else
            r = add_copy(service, item->string, item);
        if (r < 0)
            return r;
    }
    return r;
}

static int add_service(cJSON *services, const ComposeService *s)
{
    cJSON *service = cJSON_AddObjectToObject(services, s->name);
    int r = service ? json_add_string(service, "image", s->image) : -ENOMEM;

    if (r >= 0)
        r = json_add_string(service, "container_name", s->container_name);
    if (r >= 0)
        r = json_add_string(service, "pull_policy", s->pull_policy);
    if (r >= 0 && s->environment && s->environment->child)
        r = add_copy(service, "environment", s->environment);
    if (r >= 0)
        r = add_depends_on(service, s->depends_conditions, s->restarts_with);
    return r < 0 ? r : add_config(service, s->config);
}

static int add_definitions(cJSON *top, const char *key, const cJSON *definitions)
{
    return definitions && definitions->child ? add_copy(top, key, definitions) : 0;
}

char *compose_print(const ComposeProject *p)
{
    _cleanup_(cJSON_Deletep) cJSON *top = cJSON_CreateObject();
    cJSON *services;
    char *text = NULL;
    int r = top ? json_add_string(top, "name", p->name) : -ENOMEM;

    services = r < 0 ? NULL : cJSON_AddObjectToObject(top, "services");
    r = services ? 0 : -ENOMEM;
    for (size_t i = 0; r >= 0 && i < p->n_services; i++)
        r = add_service(services, &p->services[i]);
    if (r >= 0)
        r = add_definitions(top, "networks", p->networks);
    if (r >= 0)
        r = add_definitions(top, "volumes", p->volumes);
    if (r >= 0)
        r = escape_tree(top);
    if (r >= 0)
        r = compose_emit_yaml(top, &text);
    return r < 0 ? NULL : text;
}

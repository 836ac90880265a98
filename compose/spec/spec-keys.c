/* SPDX-License-Identifier: MIT */
/* Keys whose value podman takes in one member: text, lists, maps, numbers, namespaces. */
#include "compose/spec/spec-keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

int spec_unsupported(const SpecService *r, const char *key, const char *why)
{
    _cleanup_(freep) char *path = str_format("services.%s.%s", r->service->name, key);

    if (!path)
        return -ENOMEM;
    return error_set_at(r->err, ENOTSUP, "spec.unsupported", NULL, r->service->line, path,
                        "podman cannot be told \"%s\": %s", key, why);
}

cJSON *spec_object(cJSON *o, const char *key)
{
    cJSON *member = cJSON_GetObjectItemCaseSensitive(o, key);

    return member ? member : cJSON_AddObjectToObject(o, key);
}

cJSON *spec_array(cJSON *o, const char *key)
{
    cJSON *member = cJSON_GetObjectItemCaseSensitive(o, key);

    return member ? member : cJSON_AddArrayToObject(o, key);
}

int spec_add_number(cJSON *o, const char *key, const char *digits)
{
    const char *first = digits && *digits == '-' ? digits + 1 : digits;

    if (str_empty(first) || first[strspn(first, "0123456789")] || (first[0] == '0' && first[1]))
        return -EINVAL;
    return cJSON_AddRawToObject(o, key, digits) ? 0 : -ENOMEM;
}

const char *spec_real_name(const cJSON *definitions, const char *key)
{
    return json_string(cJSON_GetObjectItemCaseSensitive(definitions, key), "name");
}

char **spec_split(const char *text, char separator)
{
    _cleanup_(strv_freep) char **words = NULL;

    for (;; text++) {
        const char *end = strchrnul(text, separator);

        if (strv_addf(&words, "%.*s", (int) (end - text), text) < 0)
            return NULL;
        text = end;
        if (!*text)
            return TAKE_PTR(words);
    }
}

/* The object in which a member stands, and in *ret its last name: "a.b.c" is c in b in a. */
static cJSON *holder_of(const SpecService *r, const char *member, const char **ret)
{
    cJSON *at = r->out;
    const char *dot;

    for (; at && (dot = strchr(member, '.')); member = dot + 1) {
        _cleanup_(freep) char *name = strndup(member, (size_t) (dot - member));

        at = name ? spec_object(at, name) : NULL;
    }
    *ret = member;
    return at;
}

int spec_string(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    const char *name;
    cJSON *holder = holder_of(r, k->member, &name);

    if (!cJSON_IsString(value))
        return spec_unsupported(r, k->key, "it is not a string");
    if (!*value->valuestring)
        return 0;
    return holder ? json_add_string(holder, name, value->valuestring) : -ENOMEM;
}

int spec_true(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    return cJSON_IsTrue(value) ? json_add_bool(r->out, k->member, true) : 0;
}

int spec_strings(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    cJSON *list = spec_array(r->out, k->member);
    const cJSON *item;

    cJSON_ArrayForEach(item, value) {
        if (!cJSON_IsString(item))
            return spec_unsupported(r, k->key, "an entry is not a string");
        if (!list || json_append(list, cJSON_CreateString(item->valuestring)) < 0)
            return -ENOMEM;
    }
    return list ? 0 : -ENOMEM;
}

int spec_map(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    cJSON *map = spec_object(r->out, k->member);
    const cJSON *item;

    cJSON_ArrayForEach(item, value) {
        if (!map || json_add_string(map, item->string, cJSON_IsString(item) ? item->valuestring : "") < 0)
            return -ENOMEM;
    }
    return map ? 0 : -ENOMEM;
}

int spec_number(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    const char *name;
    cJSON *holder = holder_of(r, k->member, &name);
    int e = holder ? spec_add_number(holder, name, cJSON_GetStringValue(value)) : -ENOMEM;

    return e == -EINVAL ? spec_unsupported(r, k->key, "it is no whole number") : e;
}

/* Podman takes 0 for no limit. */
int spec_pids(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    const char *name;
    cJSON *holder = holder_of(r, k->member, &name);
    const char *text = cJSON_GetStringValue(value);
    int e = holder ? spec_add_number(holder, name, str_equal(text, "-1") ? "0" : text) : -ENOMEM;

    return e == -EINVAL ? spec_unsupported(r, k->key, "it is no whole number") : e;
}

/* "1.5" → 150000 µs of every 100000, as podman's own --cpus does. */
int spec_cpus(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    const char *text = cJSON_GetStringValue(value), *name;
    cJSON *cpu = holder_of(r, k->member, &name);
    char fraction[6] = "00000";
    _cleanup_(freep) char *quota = NULL;
    uint64_t whole, parts;
    size_t n = text ? strcspn(text, ".") : 0;
    _cleanup_(freep) char *front = text ? strndup(text, n) : NULL;

    for (size_t i = 0; text && text[n] && text[n + 1 + i] && i < 5; i++)
        fraction[i] = text[n + 1 + i];
    if (!front || str_to_u64(front, 0, 100000, &whole) < 0 || strspn(fraction, "0123456789") != 5)
        return spec_unsupported(r, k->key, "it is no number of processors");
    parts = whole * 100000 + strtoul(fraction, NULL, 10);
    quota = str_format("%llu", (unsigned long long) parts);
    cpu = cpu ? spec_object(cpu, name) : NULL;
    if (!cpu || !quota || spec_add_number(cpu, "period", "100000") < 0)
        return -ENOMEM;
    return spec_add_number(cpu, "quota", quota);
}

int spec_namespace(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    cJSON *namespace = spec_object(r->out, k->member);
    const char *text = cJSON_GetStringValue(value), *other = compose_shared_container(r->project, r->service, k->key);

    if (str_empty(text))
        return spec_unsupported(r, k->key, "it is not a word");
    if (strchr(text, ':') && !other)
        return spec_unsupported(r, k->key, "there is no such service");
    if (!namespace || json_add_string(namespace, "nsmode", other ? "container" : text) < 0)
        return -ENOMEM;
    return json_add_string(namespace, "value", other);
}

/* Podman takes the image's for an empty one, unless there is an entrypoint. */
int spec_command(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    const cJSON *entrypoint = cJSON_GetObjectItemCaseSensitive(r->service->config, "entrypoint");

    if (!value->child && (!entrypoint || !entrypoint->child))
        return spec_unsupported(r, k->key, "an empty one would leave the image's own in place");
    return spec_strings(r, k, value);
}

/* An empty one takes the image's away, for which podman takes one empty word. */
int spec_entrypoint(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    cJSON *list;

    if (value->child)
        return spec_strings(r, k, value);
    list = spec_array(r->out, k->member);
    return list ? json_append(list, cJSON_CreateString("")) : -ENOMEM;
}

/* "on-failure:5" */
int spec_restart(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    const char *text = cJSON_GetStringValue(value);
    size_t n = text ? strcspn(text, ":") : 0;
    _cleanup_(freep) char *name = text ? strndup(text, n) : NULL;
    int e = name ? json_add_string(r->out, k->member, name) : -ENOMEM;

    return e < 0 || !text[n] ? e : spec_add_number(r->out, "restart_tries", text + n + 1);
}

/* "30s" */
int spec_stop_grace(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    const char *text = cJSON_GetStringValue(value);
    _cleanup_(freep) char *seconds = text ? strndup(text, strcspn(text, "s")) : NULL;

    return seconds ? spec_add_number(r->out, k->member, seconds) : -ENOMEM;
}

/* "10m" → "10000000": podman reads this one in thousands, and so does docker. NULL when it is no size. */
static char *log_size(const char *text)
{
    static const char letters[] = "kmgt";
    size_t digits = strspn(text, "0123456789");
    _cleanup_(freep) char *front = strndup(text, digits);
    const char *letter = text[digits] ? strchr(letters, text[digits] | 0x20) : NULL;
    uint64_t bytes, most = letter ? 1000000 : INT64_MAX;

    if (!front || str_to_u64(front, 0, most, &bytes) < 0 || (text[digits] && !letter) ||
        (letter && text[digits + 1] && !str_equal(text + digits + 1, "b") && !str_equal(text + digits + 1, "B")))
        return NULL;
    for (const char *p = letters; letter && p <= letter; p++)
        bytes *= 1000;
    return str_format("%llu", (unsigned long long) bytes);
}

int spec_logging(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    const char *driver = json_string(value, "driver");
    cJSON *log = spec_object(r->out, k->member), *options = NULL;
    const cJSON *option;
    int e = log ? json_add_string(log, "driver", driver ? driver : "k8s-file") : -ENOMEM;

    cJSON_ArrayForEach(option, cJSON_GetObjectItemCaseSensitive(value, "options")) {
        const char *text = cJSON_IsString(option) ? option->valuestring : "";

        if (e < 0)
            return e;
        if (str_equal(option->string, "path")) {
            e = json_add_string(log, "path", text);
        } else if (str_equal(option->string, "max-size")) {
            _cleanup_(freep) char *bytes = log_size(text);

            if (!bytes)
                return spec_unsupported(r, "logging.options.max-size", "it is no size, like 10m");
            e = spec_add_number(log, "size", bytes);
        } else {
            options = options ? options : cJSON_AddObjectToObject(log, "options");
            e = options ? json_add_string(options, option->string, text) : -ENOMEM;
        }
    }
    return e;
}

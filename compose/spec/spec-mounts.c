/* SPDX-License-Identifier: MIT */
/* Volumes, tmpfs and devices. */
#include <errno.h>
#include <string.h>

#include "compose/model/device.h"
#include "compose/spec/spec-keys.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

static cJSON *add_mount(const SpecService *r, const char *type, const char *source, const char *target)
{
    cJSON *list = spec_array(r->out, "mounts"), *mount = cJSON_CreateObject();

    if (!mount || !list || json_append(list, mount) < 0)
        return NULL;
    return json_add_string(mount, "type", type) < 0 || json_add_string(mount, "source", source) < 0 ||
                   json_add_string(mount, "destination", target) < 0
               ? NULL
               : mount;
}

static bool has_word(char *const *words, const char *a, const char *b)
{
    return strv_contains(words, a) || strv_contains(words, b);
}

/* Podman mounts a tmpfs with exec unless told otherwise; compose files were written for noexec, the default elsewhere. */
static int add_tmpfs(const SpecService *r, const char *target, char *const *options)
{
    cJSON *mount = add_mount(r, "tmpfs", "tmpfs", target);
    cJSON *list = mount ? cJSON_AddArrayToObject(mount, "options") : NULL;
    int e = list ? 0 : -ENOMEM;

    for (size_t i = 0; e == 0 && options && options[i]; i++)
        e = json_append(list, cJSON_CreateString(options[i]));
    if (e == 0 && !has_word(options, "exec", "noexec"))
        e = json_append(list, cJSON_CreateString("noexec"));
    return e;
}

/* "/run:size=64m,mode=755" */
int spec_tmpfs(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, value) {
        const char *text = cJSON_IsString(item) ? item->valuestring : "";
        size_t n = strcspn(text, ":");
        _cleanup_(freep) char *target = strndup(text, n);
        _cleanup_(strv_freep) char **options = text[n] && text[n + 1] ? spec_split(text + n + 1, ',') : NULL;
        int e;

        if (n == 0)
            return spec_unsupported(r, k->key, "an entry has no path");
        e = target && (options || !text[n] || !text[n + 1]) ? add_tmpfs(r, target, options) : -ENOMEM;
        if (e < 0)
            return e;
    }
    return 0;
}

static int add_tmpfs_mount(const SpecService *r, const cJSON *mount)
{
    _cleanup_(strv_freep) char **options = NULL;
    const cJSON *option;

    if (json_bool(mount, "read_only", false) && strv_add(&options, "ro") < 0)
        return -ENOMEM;
    cJSON_ArrayForEach(option, cJSON_GetObjectItemCaseSensitive(mount, "options")) {
        if (cJSON_IsString(option) && strv_add(&options, option->valuestring) < 0)
            return -ENOMEM;
    }
    return add_tmpfs(r, json_string(mount, "target"), options);
}

static int add_options(const cJSON *mount, cJSON *out, const char *key)
{
    cJSON *list = cJSON_AddArrayToObject(out, key);
    const cJSON *option;

    if (!list)
        return -ENOMEM;
    cJSON_ArrayForEach(option, cJSON_GetObjectItemCaseSensitive(mount, "options")) {
        if (cJSON_IsString(option) && json_append(list, cJSON_CreateString(option->valuestring)) < 0)
            return -ENOMEM;
    }
    return json_bool(mount, "read_only", false) ? json_append(list, cJSON_CreateString("ro")) : 0;
}

static int add_bind(const SpecService *r, const cJSON *mount)
{
    const char *source = json_string(mount, "source");
    cJSON *out;

    if (source && r->options->bind)
        source = r->options->bind(source, r->options->userdata);
    if (str_empty(source) || *source != '/')
        return spec_unsupported(r, "volumes", "a path of the host is missing");
    out = add_mount(r, "bind", source, json_string(mount, "target"));
    return out ? add_options(mount, out, "options") : -ENOMEM;
}

/* Without a source it is one of its own, which is podman's to name. */
static int add_volume(const SpecService *r, const cJSON *mount)
{
    cJSON *list = spec_array(r->out, "volumes"), *out = cJSON_CreateObject();
    const char *source = json_string(mount, "source");
    const char *name = str_empty(source) ? "" : spec_real_name(r->project->volumes, source);
    int e = out && list ? json_append(list, out) : -ENOMEM;

    if (!name)
        return spec_unsupported(r, "volumes", "a volume is not declared");
    e = e < 0 ? e : json_add_string(out, "Name", name);
    e = e < 0 ? e : json_add_string(out, "Dest", json_string(mount, "target"));
    return e < 0 ? e : add_options(mount, out, "Options");
}

int spec_volumes(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    const cJSON *mount;

    cJSON_ArrayForEach(mount, value) {
        const char *type = json_string(mount, "type"), *target = json_string(mount, "target");
        int e;

        if (str_empty(target))
            return spec_unsupported(r, k->key, "a path in the container is missing");
        if (str_equal(type, "bind"))
            e = add_bind(r, mount);
        else if (str_equal(type, "volume"))
            e = add_volume(r, mount);
        else if (str_equal(type, "tmpfs"))
            e = add_tmpfs_mount(r, mount);
        else
            return spec_unsupported(r, k->key, "a mount is neither bind, volume nor tmpfs");
        if (e < 0)
            return e;
    }
    return 0;
}

static int add_device(cJSON *list, const char *text)
{
    cJSON *device = cJSON_CreateObject();
    int e = device ? json_append(list, device) : -ENOMEM;

    return e < 0 ? e : json_add_string(device, "path", text);
}

/* By a mount, whose paths podman does not take apart, and a rule that opens the device to the container. */
static int mount_device(const SpecService *r, const DeviceParts *parts, const SpecDevice *device)
{
    cJSON *mount = add_mount(r, "bind", device->path ? device->path : parts->host, parts->container);
    cJSON *rules = spec_array(r->out, "device_cgroup_rule"), *rule = cJSON_CreateObject();
    int e = json_append(rules, rule);

    if (!mount || !rules)
        return -ENOMEM;
    e = e < 0 ? e : json_add_bool(rule, "allow", true);
    e = e < 0 ? e : json_add_string(rule, "type", device->is_block ? "b" : "c");
    e = e < 0 ? e : json_add_string(rule, "access", parts->permissions);
    e = e < 0 ? e : json_add_int(rule, "major", (int) device->major);
    return e < 0 ? e : json_add_int(rule, "minor", (int) device->minor);
}

static int add_colon_device(const SpecService *r, const DeviceParts *parts, cJSON *list)
{
    SpecDevice device = {};
    _cleanup_(freep) char *text = NULL, *real = NULL;
    int e = r->options->device ? r->options->device(parts->host, &device, r->options->userdata, r->err) : 0;

    real = device.path;
    if (e < 0)
        return e;
    if (strchr(parts->container, ':'))
        return mount_device(r, parts, &device);
    text = str_format("%s:%s:%s", real ? real : parts->host, parts->container, parts->permissions);
    return text ? add_device(list, text) : -ENOMEM;
}

/* A name of CDI, or "HOST:CONTAINER:PERMISSIONS", which podman itself takes apart at every colon. */
int spec_devices(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    cJSON *list = spec_array(r->out, k->member);
    const cJSON *item;
    int e = list ? 0 : -ENOMEM;

    cJSON_ArrayForEach(item, value) {
        _cleanup_(device_parts_done) DeviceParts parts = {};
        bool is_cdi = device_is_cdi(item->valuestring);

        if (e == 0 && !is_cdi)
            e = device_split(item->valuestring, &parts);
        if (e == 0 && !is_cdi && (strchr(parts.host, ':') || strchr(parts.container, ':')))
            e = add_colon_device(r, &parts, list);
        else if (e == 0)
            e = add_device(list, item->valuestring);
    }
    return e;
}

static bool is_mounted(const SpecService *r, const char *target)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(r->out, "mounts")) {
        if (str_equal(json_string(item, "destination"), target))
            return true;
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(r->out, "volumes")) {
        if (str_equal(json_string(item, "Dest"), target))
            return true;
    }
    return false;
}

/* As `podman run --read-only` does, a tmpfs where programs expect to write. Runs when all other mounts are there. */
int spec_read_only(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    static const char *const targets[] = { "/tmp", "/var/tmp", "/run" };
    static const char *const options[] = { "rw", "rprivate", "nosuid", "nodev", "tmpcopyup" };
    int e = spec_true(r, k, value);

    for (size_t i = 0; e == 0 && cJSON_IsTrue(value) && i < ELEMENTSOF(targets); i++) {
        cJSON *mount, *list;

        if (is_mounted(r, targets[i]))
            continue;
        mount = add_mount(r, "tmpfs", "tmpfs", targets[i]);
        list = cJSON_CreateStringArray(options, ELEMENTSOF(options));
        e = mount ? json_add_item(mount, "options", list) : -ENOMEM;
    }
    return e;
}

/* SPDX-License-Identifier: MIT */
/* Devices, and the GPUs that a service asks for under several keys: one set of what podman's --device takes. */
#include <errno.h>
#include <string.h>

#include "compose/model/device.h"
#include "compose/normalise/normalise.h"
#include "lib/base/strv.h"

static cJSON *set_of(ComposeService *s)
{
    cJSON *set = cJSON_GetObjectItemCaseSensitive(s->config, "devices");

    return set ? set : put_array(s->config, "devices");
}

static int put_device(const Place *at, const char *text, const DeviceParts *d, cJSON *set)
{
    const char *permissions = d->permissions ? d->permissions : "rwm";
    const char *tail = strrchr(text, ':');
    _cleanup_(freep) char *device = NULL;

    if (*d->host != '/' || (d->container && *d->container != '/') ||
        strspn(permissions, "rwm") != strlen(permissions) || !*permissions ||
        (tail && !d->permissions && tail[1 + strspn(tail + 1, "abcdefghijklmnopqrstuvwxyz")] == '\0'))
        return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is no device, like /dev/dri or /dev/a:/dev/b:rw",
                          text);
    device = str_format("%s:%s:%s", d->host, d->container ? d->container : d->host, permissions);
    return device ? append_text(set, device) : -ENOMEM;
}

static int take_short(const Place *at, cJSON *set)
{
    _cleanup_(device_parts_done) DeviceParts parts = {};
    const char *text = NULL;
    int r = take_text(at, &text);

    if (r < 0)
        return r;
    if (device_is_cdi(text))
        return append_text(set, text);
    r = device_split(text, &parts);
    return r < 0 ? r : put_device(at, text, &parts, set);
}

static int take_long(const Place *at, cJSON *set)
{
    Place source = place_member(at, "source"), target = place_member(at, "target");
    Place permissions = place_member(at, "permissions");
    const char *host = "", *container = NULL, *words = NULL;
    int r = source.node ? take_text(&source, &host) : 0;

    if (r >= 0 && target.node)
        r = take_text(&target, &container);
    if (r >= 0 && permissions.node)
        r = take_text(&permissions, &words);
    if (r < 0)
        return r;
    if (device_is_cdi(host))
        return append_text(set, host);
    const DeviceParts parts = { (char *) host, (char *) container, (char *) words };
    return put_device(at, words ? words : host, &parts, set);
}

int normalise_devices(const Place *at, const Normaliser *n, ComposeService *s)
{
    cJSON *set = set_of(s);
    int r = set ? 0 : -ENOMEM;

    (void) n;
    for (size_t i = 0; r >= 0 && i < at->node->n_items; i++) {
        Place item = place_child(at, i);

        r = item.node->type == YAML_MAPPING ? take_long(&item, set) : take_short(&item, set);
    }
    if (r >= 0)
        set_normalise(set);
    return r;
}

static int take_ids(const Place *at, char ***ret)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && at->node && i < at->node->n_items; i++) {
        Place item = place_child(at, i);
        const char *text = NULL;

        r = take_text(&item, &text);
        if (r >= 0)
            r = strv_add(ret, text);
    }
    return r;
}

static int take_request(const Place *at, ComposeService *s)
{
    Place driver = place_member(at, "driver"), count = place_member(at, "count"), ids = place_member(at, "device_ids");
    _cleanup_(strv_freep) char **wanted = NULL, **names = NULL;
    const char *driver_text = NULL, *count_text = NULL;
    cJSON *set = set_of(s);
    int r = driver.node ? take_text(&driver, &driver_text) : 0;

    if (r >= 0 && count.node)
        r = take_text(&count, &count_text);
    if (r >= 0)
        r = take_ids(&ids, &wanted);
    if (r < 0 || !set)
        return r < 0 ? r : -ENOMEM;
    r = device_name_gpus(driver_text, count_text, wanted, &names);
    if (r == -ENOTSUP)
        return place_fail(&driver, EINVAL, "compose.unsupported-key",
                          "only the drivers nvidia and cdi are known; name the device under `devices`");
    if (r == -EINVAL)
        return place_fail(at, EINVAL, "compose.bad-value",
                          "`count` is all or a number from 1 to 64, cdi needs `device_ids`");
    for (size_t i = 0; r >= 0 && names && names[i]; i++) {
        if (!device_is_cdi(names[i]))
            return place_fail(&ids, EINVAL, "compose.bad-value", "\"%s\" is no name of a device", names[i]);
        r = append_text(set, names[i]);
    }
    set_normalise(set);
    return r;
}

int normalise_gpus(const Place *at, const Normaliser *n, ComposeService *s)
{
    const char *text = NULL;
    int r = 0;

    (void) n;
    if (at->node->type == YAML_SCALAR) {
        _cleanup_(yaml_node_freep) YamlNode *nothing = NULL;
        Place all = *at;

        r = take_text(at, &text);
        if (r >= 0 && !str_equal(text, "all"))
            return place_fail(at, EINVAL, "compose.bad-value", "`gpus` is all, or a list of devices");
        nothing = r < 0 ? NULL : calloc(1, sizeof(*nothing));
        if (!nothing)
            return r < 0 ? r : -ENOMEM;
        nothing->type = YAML_MAPPING;
        all.node = nothing;
        return take_request(&all, s);
    }
    for (size_t i = 0; r >= 0 && i < at->node->n_items; i++) {
        Place item = place_child(at, i);

        r = take_request(&item, s);
    }
    return r;
}

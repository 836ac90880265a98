/* SPDX-License-Identifier: MIT */
/* template set, list, show, remove; push-cancel: what boxes get when they come. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/fleet/show.h"
#include "gateway/fleet/sign.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/data/digest.h"

static char *template_path(const char *name)
{
    _cleanup_(freep) char *encoded = api_encode(name);

    return encoded ? str_format("/v1/templates/%s", encoded) : NULL;
}

/* A new string: "site=north,ring=1", "every box" without labels. */
static char *selector_text(const cJSON *entry)
{
    const cJSON *label, *selector = cJSON_GetObjectItemCaseSensitive(entry, "selector");
    _cleanup_(strv_freep) char **parts = NULL;

    cJSON_ArrayForEach(label, selector)
        if (cJSON_IsString(label) && strv_addf(&parts, "%s=%s", label->string, label->valuestring) < 0)
            return NULL;
    return parts ? strv_join(parts, ",") : strdup("every box");
}

static int template_row(Table *table, const cJSON *entry)
{
    _cleanup_(freep) char *selector = selector_text(entry);

    if (!selector)
        return -ENOMEM;
    return table_row(table, json_string(entry, "name"), selector, json_string(entry, "createdAt"),
                     json_string(entry, "createdBy"));
}

int verb_template_list(int argc _unused_, char **argv _unused_, void *userdata)
{
    static const char *const headers[] = { "NAME", "FOR", "SINCE", "BY", NULL };
    static const FleetList list = { .headers = headers, .row = template_row, .none = "no templates yet" };
    static const FleetView view = { .member = "templates", .list = &list };

    return fleet_show(userdata, "GET", strdup("/v1/templates"), NULL, &view);
}

static char *compose_text(const cJSON *entry)
{
    const char *compose = json_string(entry, "compose");

    return strdup(compose ? compose : "");
}

int verb_template_show(int argc _unused_, char **argv, void *userdata)
{
    static const FleetView view = { .member = "template", .text = compose_text };

    return fleet_show(userdata, "GET", template_path(argv[0]), NULL, &view);
}

static char *set_text(const cJSON *entry)
{
    _cleanup_(freep) char *selector = selector_text(entry), *shown = selector ? text_printable(selector) : NULL;

    return shown ? str_format("boxes that are new get it: %s; those that run something get it by a rollout\n", shown)
                 : NULL;
}

/* Which boxes there will be, nobody knows: it is for whichever box the gateway gives it to. */
static int sign(const Fleet *fleet, char *sha256, cJSON *request, Error *err)
{
    const char *devices[] = { ORDER_ANY_BOX, NULL };
    OrderStatement what = { .devices = (char **) (uintptr_t) devices, .sha256 = sha256 };

    return fleet_sign(fleet, ORDER_KIND_DEPLOYMENT, &what, ORDER_LIFETIME_MAX, request, err);
}

int verb_template_set(int argc, char **argv, void *userdata)
{
    static const FleetView view = { .member = "template", .text = set_text };
    Fleet *fleet = userdata;
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    cJSON *selector = request ? cJSON_AddObjectToObject(request, "selector") : NULL;
    _cleanup_(gathered_done) Gathered gathered = {};
    _cleanup_(error_done) Error err = {};
    char sha256[SHA256_HEX_SIZE] = "";
    int r = selector ? 0 : -ENOMEM;

    if (r >= 0 && !fleet->selector)
        r = error_set(&err, EINVAL, "usage", "say which boxes: --selector KEY=VALUE, or --selector '' for every box");
    if (r >= 0)
        r = fleet_labels(fleet->selector, selector, &err);
    if (r >= 0)
        r = fleet_read_compose(fleet, argc > 1 ? argv[1] : NULL, &gathered, &err);
    if (r >= 0)
        r = json_add_string(request, "compose", gathered.text);
    if (r >= 0)
        r = fleet_send_files(fleet, &gathered, (FleetTarget) {}, request, sha256, &err);
    if (r >= 0)
        r = sign(fleet, sha256, request, &err);
    return r < 0 ? fleet_fail(fleet, NULL, &err, r) : fleet_show(fleet, "PUT", template_path(argv[0]), request, &view);
}

static char *removed_text(const cJSON *body)
{
    _cleanup_(freep) char *name = text_printable(json_string(body, "removed"));

    return name ? str_format("%s is removed; boxes that have it keep it\n", name) : NULL;
}

int verb_template_remove(int argc _unused_, char **argv, void *userdata)
{
    static const FleetView view = { .text = removed_text };

    return fleet_show(userdata, "DELETE", template_path(argv[0]), NULL, &view);
}

static char *cancelled_text(const cJSON *body)
{
    _cleanup_(freep) char *name = text_printable(json_string(body, "cancelled"));

    return name ? str_format("the push that waited for %s is cancelled\n", name) : NULL;
}

int verb_push_cancel(int argc _unused_, char **argv, void *userdata)
{
    static const FleetView view = { .text = cancelled_text };

    const Fleet *fleet = userdata;
    _cleanup_(freep) char *name = api_encode(fleet->project ? fleet->project : ""),
                          *suffix = name ? str_format("/waiting%s%s", *name ? "?project=" : "", name) : NULL;

    return fleet_show(userdata, "DELETE", suffix ? fleet_device_path(argv[0], suffix) : NULL, NULL, &view);
}

/* SPDX-License-Identifier: MIT */
/* devices bootstrap, keys, block, unblock, relabel, remove: changes of a box that the gateway knows. */
#include <errno.h>
#include <string.h>

#include "gateway/fleet/show.h"
#include "lib/base/strv.h"
#include "lib/cli/confirm.h"
#include "lib/cli/report.h"

/* One request about the box, and "ID SENTENCE" for its success. */
static int change(Fleet *fleet, const char *id, const char *method, const char *suffix, const cJSON *request,
                  const char *sentence)
{
    _cleanup_(freep) char *path = fleet_device_path(id, suffix);
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};

    int r = fleet_ask(fleet, method, path, request, CALL_TIMEOUT, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    return fleet->json ? report_json(reply.body, EXIT_OK) : report_text(str_format("%s %s\n", id, sentence), EXIT_OK);
}

int verb_devices_bootstrap(int argc, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(freep) char *path = fleet_device_path(argv[0], "/bootstrap");
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};

    (void) argc;
    int r = fleet_ask(fleet, "POST", path, NULL, CALL_TIMEOUT, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    return fleet->json && !fleet->qr && !fleet->qr_png
               ? report_json(reply.body, EXIT_OK)
               : fleet_show_bootstrap(fleet, argv[0], "may be set up anew, and its former token is void", reply.body);
}

/* Whether the box's management key has named this one; "-" where there is nobody to do so. */
static const char *is_vouched(const cJSON *vouched, const cJSON *key)
{
    if (!vouched || str_equal(key->string, "mgmt"))
        return "-";
    return str_equal(json_string(vouched, key->string), cJSON_GetStringValue(key)) ? "yes" : "no";
}

static char *keys_text(const cJSON *device)
{
    static const char *const headers[] = { "ROLE", "THUMBPRINT", "VOUCHED", NULL };
    _cleanup_(table_freep) Table *table = table_new(headers);
    const cJSON *vouched = cJSON_GetObjectItemCaseSensitive(device, "vouched"), *key;

    if (!table)
        return NULL;
    cJSON_ArrayForEach(key, cJSON_GetObjectItemCaseSensitive(device, "keys"))
        if (table_row(table, key->string, cJSON_GetStringValue(key), is_vouched(vouched, key)) < 0)
            return NULL;
    return table_rows(table) > 0 ? table_print(table, 0) : strdup("it has claimed no key yet\n");
}

int verb_devices_keys(int argc, char **argv, void *userdata)
{
    static const FleetView view = { .member = "device", .text = keys_text };
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *role = NULL, *suffix = NULL;

    if (argc == 1)
        return fleet_show(userdata, "GET", fleet_device_path(argv[0], ""), NULL, &view);
    int r = argc == 3 && str_equal(argv[1], "revoke")
                ? 0
                : error_set(&err, EINVAL, "usage", "say: secbox-fleet devices keys %s revoke ROLE", argv[0]);
    if (r >= 0) {
        role = api_encode(argv[2]);
        suffix = role ? str_format("/keys/%s", role) : NULL;
        r = suffix ? 0 : -ENOMEM;
    }
    if (r < 0)
        return fleet_fail(userdata, NULL, &err, r);
    return change(
        userdata, argv[0], "DELETE", suffix, NULL,
        "lets nobody in by that key any more, and its bootstrap token is void: secbox-fleet devices bootstrap "
        "makes another");
}

int verb_devices_block(int argc, char **argv, void *userdata)
{
    (void) argc;
    return change(userdata, argv[0], "POST", "/block", NULL, "is blocked: its tunnels and sessions were ended");
}

int verb_devices_unblock(int argc, char **argv, void *userdata)
{
    (void) argc;
    return change(userdata, argv[0], "POST", "/unblock", NULL, "may connect again");
}

int verb_devices_remove(int argc, char **argv, void *userdata)
{
    const Fleet *fleet = userdata;
    _cleanup_(freep) char *question = str_format("forget %s for good, with its keys, history and grants?", argv[0]);
    _cleanup_(error_done) Error err = {};

    (void) argc;
    int r = question ? cli_confirm(fleet->yes, question, &err) : -ENOMEM;
    if (r < 0)
        return fleet_fail(fleet, NULL, &err, r);
    return change(userdata, argv[0], "DELETE", "", NULL, "is removed, and its tunnels and sessions were ended");
}

/* "K=V" sets, "K=" takes away. */
static int add_change(cJSON *labels, const char *text, Error *err)
{
    const char *equals = strchr(text, '=');

    if (!equals || equals == text)
        return error_set(err, EINVAL, "usage", "a label is KEY=VALUE, or KEY= to take it away, not \"%s\"", text);
    _cleanup_(freep) char *key = strndup(text, (size_t) (equals - text));
    if (!key)
        return -ENOMEM;
    if (cJSON_GetObjectItemCaseSensitive(labels, key))
        return error_set(err, EINVAL, "usage", "label %s is there twice", key);
    return equals[1] ? json_add_string(labels, key, equals + 1) : json_add_item(labels, key, cJSON_CreateNull());
}

int verb_devices_relabel(int argc, char **argv, void *userdata)
{
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    cJSON *labels = request ? cJSON_AddObjectToObject(request, "labels") : NULL;
    _cleanup_(error_done) Error err = {};
    int r = labels ? 0 : -ENOMEM;

    for (int i = 1; r >= 0 && i < argc; i++)
        r = add_change(labels, argv[i], &err);
    if (r < 0)
        return fleet_fail(userdata, NULL, &err, r);
    return change(userdata, argv[0], "PATCH", "", request, "is labelled anew");
}

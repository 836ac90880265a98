/* SPDX-License-Identifier: MIT */
/* images: which box runs what, asked of all of them at once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/fleet/show.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"

#define BOX_TIMEOUT (120 * USEC_PER_SEC)
#define AT_ONCE 16
/* "sha256:" and as much of a digest as people compare */
#define DIGEST_SHOWN 19

/* One service's part of status.report; `name`: only where the image's name holds it. */
static int add_service(cJSON *services, const cJSON *service, const char *name)
{
    static const char *const members[] = { "name", "image", "imageId", "imageDigest", "state" };
    const char *image = json_string(service, "image");
    cJSON *o;
    int r = 0;

    if (name && !(image && strstr(image, name)))
        return 0;
    o = cJSON_CreateObject();
    if (!o || json_append(services, o) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < ELEMENTSOF(members) && r >= 0; i++)
        r = json_add_string(o, members[i], json_string(service, members[i]));
    return r;
}

static int add_box(cJSON *boxes, const char *id, const ApiReply *reply, const Error *err, int result, const char *name)
{
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(reply->body, "status"), *service;
    cJSON *box = cJSON_CreateObject(), *services;
    int r;

    if (!box || json_append(boxes, box) < 0 || json_add_string(box, "device", id) < 0)
        return -ENOMEM;
    if (result < 0)
        return json_add_item(box, "error", json_from_error(err, result));
    if (cJSON_GetObjectItemCaseSensitive(status, "error"))
        return json_add_item(box, "error", cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(status, "error"), true));
    services = cJSON_AddArrayToObject(box, "services");
    r = services ? 0 : -ENOMEM;
    cJSON_ArrayForEach(service, cJSON_GetObjectItemCaseSensitive(status, "services"))
        if (r >= 0)
            r = add_service(services, service, name);
    return r;
}

/* Ids and paths of the boxes that are asked. */
typedef struct Asked {
    char **ids, **paths;
} Asked;

static void asked_done(Asked *a)
{
    strv_free(a->ids);
    strv_free(a->paths);
}

static int choose(const Fleet *fleet, const cJSON *devices, Asked *ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *labels = cJSON_CreateObject();
    const cJSON *device;
    int r = labels ? fleet_labels(fleet->label, labels, err) : -ENOMEM;

    cJSON_ArrayForEach(device, devices) {
        const char *id = json_string(device, "id");
        if (r < 0 || !id || !fleet_has_labels(device, labels))
            continue;
        _cleanup_(freep) char *path = fleet_device_path(id, "/status");
        r = path ? strv_add(&ret->ids, id) : -ENOMEM;
        if (r >= 0)
            r = strv_add(&ret->paths, path);
    }
    return r;
}

static int ask_all(const Fleet *fleet, const Asked *asked, const char *name, cJSON *boxes, Error *err)
{
    size_t n = strv_length(asked->paths);
    ApiReply *replies = calloc(n + 1, sizeof(*replies));
    Error *errs = calloc(n + 1, sizeof(*errs));
    int *results = calloc(n + 1, sizeof(*results));
    int r = replies && errs && results ? api_ask_all(&fleet->api, (const char *const *) asked->paths, n, AT_ONCE,
                                                     BOX_TIMEOUT, replies, errs, results)
                                       : -ENOMEM;

    for (size_t i = 0; i < n && r >= 0; i++)
        r = add_box(boxes, asked->ids[i], &replies[i], &errs[i], results[i], name);
    for (size_t i = 0; i < n; i++) {
        if (replies)
            api_reply_done(&replies[i]);
        if (errs)
            error_done(&errs[i]);
    }
    free(replies);
    free(errs);
    free(results);
    return r < 0 ? error_from_errno(err, r, "ask the boxes") : 0;
}

static int add_rows(Table *table, const cJSON *boxes)
{
    const cJSON *box, *service;

    cJSON_ArrayForEach(box, boxes) {
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(box, "error");
        if (error) {
            _cleanup_(freep) char *why = report_error(error);
            if (!why || table_row(table, json_string(box, "device"), NULL, NULL, NULL, why) < 0)
                return -ENOMEM;
        }
        cJSON_ArrayForEach(service, cJSON_GetObjectItemCaseSensitive(box, "services")) {
            const char *digest = json_string(service, "imageDigest");
            _cleanup_(freep) char *shown = digest ? strndup(digest, DIGEST_SHOWN) : NULL;
            if (table_row(table, json_string(box, "device"), json_string(service, "name"),
                          json_string(service, "image"), shown, json_string(service, "state")) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

static char *boxes_text(const cJSON *boxes)
{
    static const char *const headers[] = { "BOX", "SERVICE", "IMAGE", "DIGEST", "STATE", NULL };
    _cleanup_(table_freep) Table *table = table_new(headers);

    if (!table || add_rows(table, boxes) < 0)
        return NULL;
    return table_rows(table) > 0 ? table_print(table, 0) : str_format("no box runs it\n");
}

/* That nobody could be asked is no answer. */
static int exit_code(const cJSON *boxes)
{
    const cJSON *box;
    bool any = cJSON_GetArraySize(boxes) == 0;

    cJSON_ArrayForEach(box, boxes)
        any = any || !cJSON_HasObjectItem(box, "error");
    return any ? EXIT_OK : EXIT_UNREACHABLE;
}

int verb_images(int argc, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(asked_done) Asked asked = {};
    _cleanup_(cJSON_Deletep) cJSON *answer = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    cJSON *boxes = answer ? cJSON_AddArrayToObject(answer, "boxes") : NULL;
    int r = boxes ? fleet_ask(fleet, "GET", "/v1/devices", NULL, CALL_TIMEOUT, &reply, &err) : -ENOMEM;

    if (r >= 0)
        r = choose(fleet, cJSON_GetObjectItemCaseSensitive(reply.body, "devices"), &asked, &err);
    if (r >= 0)
        r = ask_all(fleet, &asked, argc > 0 ? argv[0] : NULL, boxes, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    return fleet->json ? report_json(answer, exit_code(boxes)) : report_text(boxes_text(boxes), exit_code(boxes));
}

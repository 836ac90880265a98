/* SPDX-License-Identifier: MIT */
#include "gateway/deployments/api-templates.h"

#include <errno.h>
#include <string.h>

#include "gateway/deployments/deployments-waiting.h"
#include "lib/data/project-name.h"
#include "gateway/http/compose-body.h"
#include "gateway/http/order-body.h"
#include "gateway/store/waiting-table.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"

#define SELECTOR_MAX 32
#define LABEL_SIZE_MAX 256

static void fail_with(Request *c, int code, const char *id, const char *sentence)
{
    Error err = {};

    request_fail(c, error_set(&err, code, id, "%s", sentence), &err);
    error_done(&err);
}

static void on_text(Request *c, const StoreRows *rows)
{
    if (store_rows_count(rows) == 0)
        fail_with(c, ENOENT, "template.not-found", "there is no such template here");
    else
        request_answer_text(c, 200, store_rows_get(rows, 0, 0));
}

static void list(Request *c)
{
    request_query(c, sql_templates(), on_text);
}

static void show(Request *c)
{
    request_note_read(c, "template.read");
    request_query(c, sql_template(c->args[0]), on_text);
}

/* An empty one fits every box; that has to be said, too. */
static int check_selector(const cJSON *selector, Error *err)
{
    const cJSON *i;

    if (!cJSON_IsObject(selector) || cJSON_GetArraySize(selector) > SELECTOR_MAX)
        return error_set(err, EINVAL, "template.bad-selector", "\"selector\" must be an object of at most %d labels",
                         SELECTOR_MAX);
    cJSON_ArrayForEach(i, selector)
        if (!cJSON_IsString(i) || strlen(i->valuestring) > LABEL_SIZE_MAX || strlen(i->string) > LABEL_SIZE_MAX ||
            !text_is_plain(i->valuestring) || !text_is_plain(i->string))
            return error_set_at(err, EINVAL, "template.bad-selector", NULL, 0, i->string,
                                "a label is a text of at most %d bytes without control characters", LABEL_SIZE_MAX);
    return 0;
}

static int check_template(const Request *c, const cJSON *body, const char **ret_compose, const char **ret_bundle,
                          Error *err)
{
    const DeploymentsApi *api = c->module;

    if (!device_id_is_valid(c->args[0]))
        return error_set(
            err, EINVAL, "template.bad-name",
            "a template's name is made of letters, digits, '.', '_' and '-', beginning with a letter or digit");
    int r = check_selector(cJSON_GetObjectItemCaseSensitive(body, "selector"), err);
    if (r >= 0)
        r = compose_body_check(body, ret_compose, err);
    return r < 0 ? r : bundles_check(api->bundles, cJSON_GetObjectItemCaseSensitive(body, "bundle"), ret_bundle, err);
}

static void set(Request *c)
{
    const DeploymentsApi *api = c->module;
    const cJSON *body = request_parse_body(c);
    const char *compose = NULL, *bundle = NULL;
    char sha256[SHA256_HEX_SIZE];
    Error err = {};

    if (!body)
        return;
    int r = check_template(c, body, &compose, &bundle, &err);
    _cleanup_(freep) char *envelope = NULL;
    if (r >= 0)
        r = order_body_read(body, &envelope, &err);
    _cleanup_(freep) char *selector = r < 0 ? NULL : json_print(cJSON_GetObjectItemCaseSensitive(body, "selector"));
    if (r >= 0 && (!selector || bundle_snapshot_digest(compose, bundle, sha256) < 0))
        r = -ENOMEM;
    if (r < 0) {
        request_fail(c, r, &err);
    } else {
        deployments_expect_templates(api->deployments);
        request_query(c, sql_template_put(c->args[0], selector, compose, sha256, bundle, envelope, c->actor), on_text);
    }
    error_done(&err);
}

static void on_removed(Request *c, const StoreRows *rows)
{
    cJSON *body = cJSON_CreateObject();

    if (store_rows_count(rows) == 0) {
        fail_with(c, ENOENT, "template.not-found", "there is no such template here");
    } else if (!body || json_add_string(body, "removed", c->args[0]) < 0) {
        request_fail(c, -ENOMEM, NULL);
    } else {
        request_answer(c, 200, body);
        return;
    }
    cJSON_Delete(body);
}

static void remove_template(Request *c)
{
    request_query(c, sql_template_remove(c->args[0], c->actor), on_removed);
}

static void on_cancelled(Request *c, const StoreRows *rows)
{
    const DeploymentsApi *api = c->module;
    cJSON *body = cJSON_CreateObject();

    _cleanup_(freep) char *project = http_query(c->exchange, "project");
    if (!project)
        deployments_forget_waiting(api->deployments, c->args[0]);
    if (store_rows_count(rows) == 0) {
        fail_with(c, ENOENT, "waiting.not-found", "no push waits for this device");
    } else if (!body || json_add_string(body, "cancelled", c->args[0]) < 0) {
        request_fail(c, -ENOMEM, NULL);
    } else {
        request_answer(c, 200, body);
        return;
    }
    cJSON_Delete(body);
}

static void cancel(Request *c)
{
    _cleanup_(freep) char *project = http_query(c->exchange, "project");
    _cleanup_(error_done) Error err = {};
    int r = project ? project_name_check(project, &err) : 0;

    if (r < 0)
        request_fail(c, r, &err);
    else
        request_query(c, sql_waiting_cancel(c->args[0], project, c->actor), on_cancelled);
}

const Route template_routes[] = {
    { "GET", "/v1/templates", ACCESS_VIEWER, list, "all templates" },
    { "GET", "/v1/templates/*", ACCESS_VIEWER, show, "one, with its compose file" },
    { "PUT", "/v1/templates/*", ACCESS_DEPLOY, set, "make or change one" },
    { "DELETE", "/v1/templates/*", ACCESS_DEPLOY, remove_template, "remove one" },
    { "DELETE", "/v1/devices/*/waiting", ACCESS_DEPLOY, cancel, "cancel the push that waits" },
    {},
};

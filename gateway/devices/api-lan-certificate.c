/* SPDX-License-Identifier: MIT */
#include "gateway/devices/api-lan-certificate.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "gateway/devices/device-query.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"

#define ANSWER_TIMEOUT (30 * USEC_PER_SEC)

static const cJSON *find(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

static bool method_is(const Request *c, const char *method)
{
    return str_equal(c->route->method, method);
}

/* Only what has changed something. */
static void note(const Request *c, const cJSON *message)
{
    const DeviceQueries *q = c->module;
    cJSON *detail = cJSON_CreateObject();
    const cJSON *names = find(find(message, "certificate"), "names");

    if (detail && names && json_add_item(detail, "names", cJSON_Duplicate(names, true)) < 0) {
        cJSON_Delete(detail);
        detail = NULL;
    }
    audit_write(q->store, &(AuditEntry) {
                              .actor = c->actor,
                              .action = method_is(c, "PUT") ? "device.certificate-set" : "device.certificate-removed",
                              .device = c->args[0],
                              .detail = detail,
                          });
}

static void on_report(Request *c, const char *type, const cJSON *message)
{
    static const char *const keys[] = { "certificate", "request" };
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    const cJSON *error = find(message, "error");
    int r = body ? 0 : -ENOMEM;

    if (!str_equal(type, "lan.certificate.report"))
        return;
    if (error && r >= 0)
        r = json_add_item(body, "error", cJSON_Duplicate(error, true));
    for (size_t i = 0; i < ELEMENTSOF(keys) && !error && r >= 0; i++)
        if (find(message, keys[i]))
            r = json_add_item(body, keys[i], cJSON_Duplicate(find(message, keys[i]), true));
    if (!error && (method_is(c, "PUT") || method_is(c, "DELETE")))
        note(c, message);
    if (r < 0)
        request_fail(c, r, NULL);
    else
        request_answer(c, error ? 422 : 200, TAKE_PTR(body));
}

/* `body`: the request's, of which the member `key` goes along; both may be NULL. */
static void ask(Request *c, const char *action, const cJSON *body, const char *key)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("lan.certificate.ask");
    int r = m ? json_add_string(m, "id", c->id) : -ENOMEM;

    if (r >= 0)
        r = json_add_string(m, "action", action);
    if (r >= 0 && find(body, key))
        r = json_add_item(m, key, cJSON_Duplicate(find(body, key), true));
    if (r < 0)
        request_fail(c, r, NULL);
    else
        device_query(c->module, c, ROLE_DEVICE, m, ANSWER_TIMEOUT, on_report);
}

static void show(Request *c)
{
    ask(c, "show", NULL, NULL);
}

static void request(Request *c)
{
    const cJSON *body = request_parse_body(c);

    if (body)
        ask(c, "request", body, "names");
}

/* A message that is too long would be left without an answer. */
static void set(Request *c)
{
    const cJSON *body = request_parse_body(c);
    const char *pem = json_string(body, "certificate");
    Error err = {};

    if (!body)
        return;
    if (pem && strlen(pem) <= LAN_CERTIFICATE_MAX) {
        ask(c, "set", body, "certificate");
        return;
    }
    request_fail(c,
                 error_set(&err, EINVAL, "lan.certificate",
                           "send {\"certificate\": TEXT}: a PEM chain of at most %zu bytes", LAN_CERTIFICATE_MAX),
                 &err);
    error_done(&err);
}

static void forget(Request *c)
{
    ask(c, "remove", NULL, NULL);
}

const Route lan_certificate_routes[] = {
    { "GET", "/v1/devices/*/certificate", ACCESS_VIEWER, show, "the cloud's certificate for its guards' pages" },
    { "POST", "/v1/devices/*/certificate/request", ACCESS_OPERATOR, request, "a request to be signed" },
    { "PUT", "/v1/devices/*/certificate", ACCESS_OPERATOR, set, "take this certificate" },
    { "DELETE", "/v1/devices/*/certificate", ACCESS_OPERATOR, forget, "the box's own alone" },
    {},
};

/* SPDX-License-Identifier: MIT */
/* Questions in flight to boxes: a request waits on the topic "query/ROLE/DEVICE". */
#include "gateway/devices/device-query.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

#define TOPIC "query/%s/%s"

typedef void (*on_answer_t)(Request *c, const char *type, const cJSON *message);

typedef struct Query {
    Role role;
    on_answer_t on_answer;
} Query;

/* What the requests that wait are told; without a message: the box is gone. */
typedef struct Answer {
    const char *type;
    const cJSON *message;
} Answer;

static void fail(Request *c, int r, Error *err)
{
    request_fail(c, r, err);
    error_done(err);
}

static void on_news(Request *c, const void *news)
{
    const Answer *answer = news;
    const Query *q = c->scratch;
    Error err = {};
    if (!answer)
        fail(c,
             error_set(&err, ETIMEDOUT, "device.timeout", "device %s is connected but did not answer: %s", c->args[0],
                       q->role == ROLE_MGMT ? "is mgmt-agent running?" : "is its secbox older than this question?"),
             &err);
    else if (!answer->message)
        fail(c, device_offline_error(c->args[0], &err), &err);
    else if (str_equal(json_string(answer->message, "id"), c->id))
        q->on_answer(c, answer->type, answer->message);
}

/* The box may be there without the program that is asked. */
static int offline_error(const DeviceQueries *q, const Request *c, Role role, Error *err)
{
    if (role == ROLE_MGMT || !device_conn_find(q->conns, c->args[0], ROLE_MGMT))
        return device_offline_error(c->args[0], err);
    return error_set(err, ENOTCONN, "device.offline",
                     "secbox on device %s is not connected, although mgmt-agent is: does it run?", c->args[0]);
}

void device_query(const DeviceQueries *q, Request *c, Role role, const cJSON *message, usec_t timeout,
                  on_answer_t on_answer)
{
    Error err = {};
    DeviceConn *s = device_conn_find(q->conns, c->args[0], role);
    int r = s ? device_conn_send(s, message) : -ENOTCONN;
    if (!device_registry_has_device(q->registry, c->args[0]))
        r = error_set(&err, ENOENT, "device.not-found", "there is no device \"%s\" here", c->args[0]);
    else if (r == -ENOTCONN)
        offline_error(q, c, role, &err);
    Query *query = calloc(1, sizeof(*query));
    if (r >= 0 && !query)
        r = -ENOMEM;
    c->scratch = query;
    c->scratch_free = free;
    if (r < 0) {
        fail(c, r, &err);
        return;
    }
    *query = (Query) { role, on_answer };
    request_wait(c, timeout, on_news, TOPIC, role_name(role), c->args[0]);
}

static void on_answer(DeviceConn *s, const cJSON *message, void *userdata)
{
    const DeviceQueries *q = userdata;
    const Answer answer = { .type = json_string(message, "type"), .message = message };
    requests_tell(q->requests, &answer, TOPIC, role_name(device_conn_role(s)), device_conn_device(s));
}

static void on_gone(DeviceConn *s, void *userdata)
{
    const DeviceQueries *q = userdata;
    const Answer none = {};
    requests_tell(q->requests, &none, TOPIC, role_name(device_conn_role(s)), device_conn_device(s));
}

static const DeviceMessage messages[] = {
    { "status.report", true, on_answer },
    { "compose.plan.result", true, on_answer },
    { "doctor.report", true, on_answer },
    { "error", true, on_answer },
    { "project.result", true, on_answer },
    { "lan.certificate.report", false, on_answer },
    {},
};

static const DeviceListener listener = { .messages = messages, .on_gone = on_gone };

int device_queries_listen(DeviceQueries *q)
{
    return device_conns_listen(q->conns, &listener, q);
}

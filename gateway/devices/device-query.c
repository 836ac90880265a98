/* SPDX-License-Identifier: MIT */
/* Questions in flight to boxes. */
#include "gateway/devices/device-query.h"

#include <errno.h>
#include <string.h>

#include "gateway/devices/device-connection.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

int device_offline_error(const char *device, Error *err)
{
    return error_set(err, ENOTCONN, "device.offline",
                     "device %s is not connected: look at its power and its line,"
                     " then try again",
                     device);
}

static int on_timeout(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Request *c = userdata;
    Error err = {};
    error_set(&err, ETIMEDOUT, "device.timeout",
              "device %s is connected but did not answer: is mgmt-agent running?", c->asked);
    request_fail(c, -ETIMEDOUT, &err);
    error_done(&err);
    return 0;
}

void device_query_ask(Request *c, const cJSON *message, usec_t timeout,
              void (*on_answer)(Request *c, const char *type, const cJSON *message))
{
    Error err = {};
    DeviceConn *s = device_conn_find(c->gateway, c->args[0], ROLE_MGMT);
    int r = s ? device_conn_send(s, message) : -ENOTCONN;
    if (r == -ENOTCONN)
        device_offline_error(c->args[0], &err);
    c->asked = strdup(c->args[0]);
    if (r >= 0 && !c->asked)
        r = -ENOMEM;
    c->on_answer = on_answer;
    if (r < 0)
        request_fail(c, r, &err);
    else
        request_set_timer(c, timeout, on_timeout);
    error_done(&err);
}

void device_query_answer(Gateway *g, const char *device, const char *type, const cJSON *message)
{
    const char *id = json_string(message, "id");
    Request *c = id ? map_get(g->requests, id) : NULL;
    if (c && c->on_answer && str_equal(c->asked, device))
        c->on_answer(c, type, message);
}

void device_query_gone(Gateway *g, const char *device)
{
    void *value;
    Error err = {};
    device_offline_error(device, &err);
    for (size_t i = 0; map_next(g->requests, &i, NULL, &value);) {
        Request *c = value;
        if (c->on_answer && str_equal(c->asked, device))
            request_fail(c, -ENOTCONN, &err);
    }
    error_done(&err);
}

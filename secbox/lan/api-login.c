/* SPDX-License-Identifier: MIT */
/* GET /api/lan/guards, GET and POST /api/lan/session, POST /api/lan/session/end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/digest-pin.h"
#include "lib/data/json.h"
#include "secbox/lan/lan-impl.h"

#define BROWSER_BYTES 16
#define BROWSER_MAX 64
#define BROWSER_SECONDS (400 * 24 * 60 * 60) /* the most that browsers keep a cookie */
#define COOKIE_SIZE 256
#define COOKIE_RULES "Path=/; Secure; HttpOnly; SameSite=Strict"

static void guards(LanRequest *q)
{
    cJSON *body = cJSON_CreateObject(), *list = body ? cJSON_AddArrayToObject(body, "guards") : NULL;
    bool ok = list != NULL;

    for (size_t i = 0; ok && i < gate_data_guards_count(q->lan->data); i++) {
        const Guard *g = gate_data_guard_at(q->lan->data, i);
        cJSON *item = cJSON_CreateObject();
        ok = json_append(list, item) >= 0 && json_add_string(item, "id", g->id) >= 0 &&
             json_add_string(item, "name", g->name) >= 0;
    }
    if (!ok) {
        cJSON_Delete(body);
        body = NULL;
    }
    lan_answer(q, 200, body);
}

static cJSON *session_body(const char *id, const char *name)
{
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    cJSON *guard = body ? cJSON_AddObjectToObject(body, "guard") : NULL;

    if (!guard || json_add_string(guard, "id", id) < 0 || json_add_string(guard, "name", name) < 0)
        return NULL;
    return TAKE_PTR(body);
}

static void session_get(LanRequest *q)
{
    lan_answer(q, 200, session_body(q->guard, q->guard_name));
}

/* What the app shows of shifts goes to the cloud like everything else that happens at the gate. */
static void report_shift(LanRequest *q, const char *what, const char *guard, const char *name)
{
    _cleanup_(cJSON_Deletep) cJSON *data = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    const QueueEvent event = { .kind = what, .data = data };

    if (!q->lan->queue || !data || json_add_string(data, "guard", guard) < 0 || json_add_string(data, "name", name) < 0)
        return;
    int r = queue_write(q->lan->queue, &event, NULL, NULL, NULL, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "that a shift began or ended is not reported");
}

/* The browser's own name, which stays when the session ends: a new string. */
static char *browser_name(const LanRequest *q)
{
    uint8_t bytes[BROWSER_BYTES];
    size_t len = q->browser ? strlen(q->browser) : 0;

    if (len > 0 && len <= BROWSER_MAX && strspn(q->browser, "0123456789abcdef") == len)
        return strdup(q->browser);
    random_bytes(bytes, sizeof(bytes));
    return hex_encode(bytes, sizeof(bytes));
}

static void log_in(LanRequest *q, const Guard *guard)
{
    _cleanup_(freep) char *browser = browser_name(q);
    _cleanup_(error_done) Error err = {};
    char token[GUARD_TOKEN_SIZE], session_cookie[COOKIE_SIZE], browser_cookie[COOKIE_SIZE];
    const char *const headers[] = { session_cookie, browser_cookie, NULL };

    if (!browser) {
        lan_answer(q, 500, NULL);
        return;
    }
    int r = guard_session_begin(q->lan->sessions, guard->id, guard->name, browser, realtime_usec(), token, &err);
    if (r == -ENOMEM) {
        lan_fail(q, 500, r, &err);
        return;
    }
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "the session of a guard ends when secbox is restarted");
    snprintf(session_cookie, sizeof(session_cookie), "Set-Cookie: __Host-session=%s; Max-Age=%u; " COOKIE_RULES, token,
             (unsigned) (GUARD_SESSION_LIFE / USEC_PER_SEC));
    snprintf(browser_cookie, sizeof(browser_cookie), "Set-Cookie: __Host-browser=%s; Max-Age=%u; " COOKIE_RULES,
             browser, BROWSER_SECONDS);
    log_info("guard %s has logged in", guard->name);
    report_shift(q, "shift.start", guard->id, guard->name);
    lan_answer_with(q, 200, session_body(guard->id, guard->name), headers);
}

static void session_post(LanRequest *q)
{
    const char *id = json_string(q->body, "guard"), *pin = json_string(q->body, "pin");
    const Guard *guard = id ? gate_data_guard(q->lan->data, id) : NULL;
    const char *browser = id && q->browser && guard_sessions_know(q->lan->sessions, id, q->browser) ? q->browser : NULL;

    if (!id || !pin) {
        lan_refuse(q, 400, "lan.bad-request", "send guard, an id of /api/lan/guards, and pin");
        return;
    }
    if (!guard) {
        lan_refuse(q, 403, "lan.wrong-pin", "this guard is not known here, or has no PIN");
        return;
    }
    usec_t wait = login_throttle_wait(q->lan->throttle, id, browser, boottime_usec());
    if (wait > 0) {
        lan_refuse_for(q, wait, "lan.too-many-tries", "too many wrong PINs");
        return;
    }
    int r = pin_is_valid(pin) ? pin_check(pin, guard->pin_hash) : 0;
    if (r == 1) {
        login_throttle_passed(q->lan->throttle, id, browser);
        log_in(q, guard);
        return;
    }
    if (login_throttle_failed(q->lan->throttle, id, browser, boottime_usec()) < 0)
        log_warning("no memory to count a wrong PIN");
    if (r < 0)
        lan_refuse(q, 500, "lan.bad-hash", "the PIN of this guard cannot be checked; set it anew in the cloud");
    else
        lan_refuse(q, 403, "lan.wrong-pin", "the PIN is wrong");
}

static void session_delete(LanRequest *q)
{
    static const char *const headers[] = { "Set-Cookie: __Host-session=; Max-Age=0; " COOKIE_RULES, NULL };
    _cleanup_(error_done) Error err = {};

    int r = guard_session_end(q->lan->sessions, q->token, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "the end of a guard's session is not saved");
    log_info("guard %s has logged out", q->guard_name);
    report_shift(q, "shift.end", q->guard, q->guard_name);
    lan_answer_with(q, 200, cJSON_CreateObject(), headers);
}

const LanRoute lan_login_routes[] = {
    { "GET", "/api/lan/guards", LAN_OPEN, guards },
    { "GET", "/api/lan/session", LAN_GUARDS, session_get },
    { "POST", "/api/lan/session", LAN_OPEN, session_post },
    { "POST", "/api/lan/session/end", LAN_GUARDS, session_delete },
    {},
};

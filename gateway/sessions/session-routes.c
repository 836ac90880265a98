/* SPDX-License-Identifier: MIT */
/* See session-routes.h. */
#include "gateway/sessions/session-routes.h"

#include <errno.h>
#include <string.h>

#include "gateway/sessions/session-end.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"

#define ROUTE_SECONDS ((int) (BRIDGE_ROUTE_USEC / USEC_PER_SEC))
#define TOO_OLD "its program is too old to let anybody in"

void support_session_tell_recovery(SupportSession *v)
{
    DeviceConn *s = device_conn_find(v->owner->conns, v->grant.device, ROLE_RECOVERY);
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("recovery.open");
    _cleanup_(freep) char *reason = str_format("%s: %s", v->grant.person, v->grant.reason);
    _cleanup_(cJSON_Deletep) cJSON *order = NULL;
    int64_t seconds = v->grant.seconds_left < v->grant.max_seconds ? v->grant.seconds_left : v->grant.max_seconds;
    if (!s || v->recovery_told)
        return;
    if (v->grant.envelope && json_parse_object(v->grant.envelope, strlen(v->grant.envelope), &order, NULL) < 0)
        log_warning("what was signed of grant %s cannot be read", v->grant.id);
    if (!m || !reason || json_add_string(m, "id", v->id) < 0 || json_add_string(m, "reason", reason) < 0 ||
        json_add_string(m, "account", v->grant.account) < 0 || json_add_int(m, "seconds", (int) seconds) < 0 ||
        json_add_bool(m, "breakGlass", v->grant.break_glass) < 0 ||
        (order && json_add_item(m, "order", TAKE_PTR(order)) < 0) || device_conn_send(s, m) < 0)
        return; /* it then says itself that it is closed */
    v->recovery_told = true;
}

static int open_stream(SupportSession *v, DeviceConn *s)
{
    _cleanup_(cJSON_Deletep) cJSON *open = cJSON_CreateObject();
    Mux *m = device_conn_mux(s);
    if (!m || !open || json_add_string(open, "target", "ssh") < 0 || json_add_string(open, "session", v->id) < 0 ||
        json_add_string(open, "grant", v->grant.id) < 0 || json_add_string(open, "person", v->grant.person) < 0 ||
        json_add_string(open, "reason", v->grant.reason) < 0)
        return -ENOMEM;
    return mux_open(m, open, v->box_events, v, &v->box);
}

void support_session_route_failed(SupportSession *v, const char *what)
{
    const AccessRoute *route = &v->routes[v->route], *next = v->route + 1 < v->n_routes ? route + 1 : NULL;
    if (v->box)
        mux_stream_reset(TAKE_PTR(v->box), "bridge.given-up");
    timer_disarm(v->timer);
    buf_consume(&v->greeting, v->greeting.len);
    flow_take_back(&v->to_box);
    _cleanup_(freep) char *sentence = next ? str_format("%s: %s; trying %s", route->title, what, next->title)
                                           : str_format("%s: %s", route->title, what);
    if (sentence)
        support_session_say(v, "failed", NULL, sentence);
    if (buf_printf(&v->story, "%s%s: %s", v->story.len > 0 ? "; " : "", route->title, what) < 0)
        log_debug("what came of %s is not told to the end", route->title);
    v->route++;
    support_session_try(v);
}

void support_session_route_refused(SupportSession *v, const char *reason)
{
    static const struct {
        const char *id, *sentence;
    } known[] = {
        { "bridge.connect", "nothing listens for ssh there" },
        { "bridge.busy", "as many sessions as it takes are open" },
        { "bridge.no-target", "it knows no ssh" },
        { "stream.no-target", TOO_OLD },
        { "order.unsigned", "the box takes only break-glass grants that its signers have signed (grants add --key)" },
        { "order.unknown-signer",
          "nobody whose key counts on the box has signed the grant (order.unknown-signer; with --key of one whom "
          "`secboxctl trust list` shows there)" },
        { "order.too-few", "fewer have signed the grant than the box asks for (order.too-few; one more --key)" },
        { "order.other-content", "the grant was signed for another account (order.other-content)" },
        { "order.no-account",
          "the grant was signed without its account, which counts for root alone (order.no-account; ask for another "
          "one while the box is connected)" },
        { "order.expired", "the time of the signed grant is over (order.expired; ask for another one)" },
        { "recovery.closed", "it is closed while the box is well (a grant with --break-glass opens it)" },
    };
    const char *id = reason ? reason : "closed";
    for (size_t i = 0; i < ELEMENTSOF(known); i++) {
        if (str_equal(known[i].id, id)) {
            support_session_route_failed(v, known[i].sentence);
            return;
        }
    }
    _cleanup_(freep) char *sentence = str_format("it refused: %s", id);
    support_session_route_failed(v, sentence ? sentence : "it refused");
}

static int on_silence(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    SupportSession *v = userdata;
    if (v->greeting.len > 0 && v->to_box.offered == 0) { /* the operator's program waits for it */
        v->open(v);
        return 0;
    }
    if (v->greeting.len > 0 && !v->greeted) {
        v->greeted = true;
        v->greeted_route = v->route;
    }
    _cleanup_(freep) char *sentence =
        str_format(v->greeting.len > 0 ? "its sshd greeted, and said nothing more within %d s"
                   : v->accepted       ? "it took the session, but its sshd said nothing within %d s"
                                       : "no answer within %d s",
                   ROUTE_SECONDS);
    support_session_route_failed(v, sentence ? sentence : "no answer");
    return 0;
}

void support_session_wait(SupportSession *v, usec_t time)
{
    if (timer_arm(v->owner->event, &v->timer, time, on_silence, v) < 0)
        support_session_route_failed(v, "the gateway cannot use it now");
}

/* None is left. An sshd that is only slow behind its greeting is better than none. */
static void give_up(SupportSession *v)
{
    if (v->greeted && !v->lenient) {
        v->lenient = true;
        v->route = v->greeted_route;
        v->n_routes = v->route + 1;
        support_session_try(v);
        return;
    }
    _cleanup_(freep) char *sentence =
        str_format("no way into %s. %s", v->grant.device, v->story.data ? v->story.data : "");
    support_session_end(v, v->any_route ? "bridge.no-way" : "device.offline", sentence ? sentence : "no way in");
}

void support_session_try(SupportSession *v)
{
    if (v->route == v->n_routes) {
        give_up(v);
        return;
    }
    const AccessRoute *route = &v->routes[v->route];
    if (route->role == ROLE_RECOVERY && v->route > 0)
        support_session_tell_recovery(v);
    DeviceConn *s = device_conn_find(v->owner->conns, v->grant.device, route->role);
    if (!s) {
        support_session_route_failed(v, "not connected");
        return;
    }
    v->any_route = true;
    v->accepted = false;
    if (!device_conn_takes_streams(s)) {
        support_session_route_failed(v, TOO_OLD);
        return;
    }
    _cleanup_(freep) char *sentence = str_format("trying %s", route->title);
    if (sentence)
        support_session_say(v, "trying", NULL, sentence);
    int r = open_stream(v, s);
    if (r >= 0)
        r = timer_arm(v->owner->event, &v->timer, ROUTE_SECONDS * USEC_PER_SEC, on_silence, v);
    if (r < 0)
        support_session_route_failed(v, r == -EMFILE ? "its tunnel carries as many streams as it can"
                                                     : "the gateway cannot use it now");
}

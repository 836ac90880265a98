/* SPDX-License-Identifier: MIT */
#include "relay-client/report/relay-report.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json-fields.h"
#include "lib/event/daemon.h"
#include "relay-client/report/metrics-socket.h"

#define WRITE_INTERVAL (5 * USEC_PER_SEC)

struct RelayReport {
    sd_event *event;
    sd_event_source *timer;
    MetricsSocket *socket;
    RelayState state;
    char *path;
    bool said; /* a condition, since the start */
    bool complained;
};

static void write_now(RelayReport *r)
{
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *text = NULL;
    int k = -ENOMEM;

    r->state.beat = boottime_usec();
    text = relay_state_print(&r->state);
    if (text)
        k = file_write_atomic(r->path, text, strlen(text), 0644, (uid_t) -1, (gid_t) -1, &err);
    if (k < 0 && !r->complained)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, k, "nobody can be told how the relay is");
    r->complained = k < 0;
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    RelayReport *r = userdata;

    write_now(r);
    return timer_arm(r->event, &r->timer, WRITE_INTERVAL, on_timer, r);
}

static char *print_metrics(void *userdata)
{
    const RelayReport *r = userdata;

    return relay_state_metrics(&r->state);
}

int relay_report_new(sd_event *event, const char *run_dir, const char *provider, const char *public_url,
                     RelayReport **ret, Error *err)
{
    _cleanup_(relay_report_freep) RelayReport *r = calloc(1, sizeof(*r));
    _cleanup_(freep) char *socket = path_join(run_dir, RELAY_METRICS_NAME);
    int k = 0;

    if (!r || !socket)
        return error_from_errno(err, -ENOMEM, "cannot tell how the relay is");
    r->event = sd_event_ref(event);
    r->path = path_join(run_dir, RELAY_STATE_NAME);
    r->state.started = r->state.since = realtime_usec();
    r->state.condition = RELAY_CONNECTING;
    if (!r->path || json_set(&r->state.provider, provider) < 0 || json_set(&r->state.public_url, public_url) < 0)
        k = -ENOMEM;
    if (k >= 0 && access(run_dir, W_OK) != 0)
        k = dir_make(run_dir, 0755, (uid_t) -1, (gid_t) -1, err);
    if (k >= 0)
        k = metrics_socket_new(event, socket, print_metrics, r, &r->socket, err);
    if (k >= 0)
        k = timer_arm(event, &r->timer, 0, on_timer, r);
    if (k < 0)
        return error_from_errno(err, k, "cannot tell how the relay is");
    *ret = TAKE_PTR(r);
    return 0;
}

RelayReport *relay_report_free(RelayReport *r)
{
    if (!r)
        return NULL;
    metrics_socket_free(r->socket);
    sd_event_source_disable_unref(r->timer);
    /* what does not run has no state */
    if (r->path)
        (void) unlink(r->path);
    relay_state_done(&r->state);
    sd_event_unref(r->event);
    free(r->path);
    free(r);
    return NULL;
}

static void log_condition(const RelayState *s)
{
    LogLevel level = s->condition == RELAY_CONNECTED || s->condition == RELAY_IDLE ? LOG_LEVEL_NOTICE
                     : s->condition == RELAY_CONNECTING                            ? LOG_LEVEL_WARNING
                                                                                   : LOG_LEVEL_ERROR;
    if (s->error_message)
        log_line(level, NULL, "relay %s: %s [%s]", relay_condition_name(s->condition), s->error_message, s->error_id);
    else
        log_line(level == LOG_LEVEL_WARNING ? LOG_LEVEL_INFO : level, NULL, "relay %s",
                 relay_condition_name(s->condition));
}

void relay_report_set(RelayReport *r, RelayCondition condition, const Error *err, int code)
{
    RelayState *s = &r->state;
    const char *message = err ? error_message(err, code) : NULL;
    bool other = s->condition != (int) condition || !r->said;

    if (!other && str_equal(s->error_message, message))
        return;
    r->said = true;
    if (other) {
        s->reconnects += s->condition == RELAY_CONNECTED;
        s->condition = (int) condition;
        s->since = realtime_usec();
    }
    if (json_set(&s->error_id, err ? error_id(err) : NULL) < 0 || json_set(&s->error_message, message) < 0)
        log_debug("the reason is not kept: no memory");
    log_condition(s);
    write_now(r);
}

void relay_report_set_public_url(RelayReport *r, const char *url)
{
    if (str_equal(r->state.public_url, url) || json_set(&r->state.public_url, url) < 0)
        return;
    write_now(r);
}

RelayState *relay_report_counts(RelayReport *r)
{
    return &r->state;
}

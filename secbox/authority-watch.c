/* SPDX-License-Identifier: MIT */
#include "secbox/authority-watch.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/base/strv.h"
#include "lib/data/config-fault.h"
#include "lib/event/config-watch.h"
#include "lib/event/daemon.h"
#include "lib/net/stream.h"
#include "lib/websocket/handshake.h"

#define AGAIN (20 * USEC_PER_SEC)

struct AuthorityWatch {
    sd_event *event;
    const Config *config;
    authority_told_t told;
    void *userdata;
    WsUrl url;
    ConfigWatch *watch;
    Stream *stream; /* on trial */
    sd_event_source *again;
};

static void look(AuthorityWatch *w);

static int on_again(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    look(userdata);
    return 0;
}

static void look_later(AuthorityWatch *w)
{
    (void) !timer_arm(w->event, &w->again, AGAIN, on_again,
                      w); /* without a timer the file's next change is the next look */
}

static void on_open(Stream *s _unused_, void *userdata)
{
    AuthorityWatch *w = userdata;

    w->stream = stream_free(w->stream);
    w->told(NULL, 0, w->userdata);
}

static void on_data(Stream *s _unused_, const uint8_t *data _unused_, size_t len _unused_, void *userdata _unused_)
{
}

/* That the gateway is away says nothing about the file; that its certificate is refused may be the gateway's fault, and is over
 * when that has another one. */
static void on_closed(Stream *s _unused_, int r, const Error *why, void *userdata)
{
    AuthorityWatch *w = userdata;
    _cleanup_(error_done) Error err = {};

    if (str_equal(error_id(why), "stream.tls")) {
        r = error_set_at(
            &err, -r, "config.unreachable", NULL, 0, "CLOUD_CA_FILE",
            "by the changed %s secbox would not reach the gateway (%s); the tunnel goes on: correct the file",
            w->config->ca_file, error_message(why, r));
        w->told(&err, r, w->userdata);
    }
    w->stream = stream_free(w->stream);
    look_later(w);
}

static const StreamEvents stream_events = { .on_open = on_open, .on_data = on_data, .on_closed = on_closed };

static int connect_by(AuthorityWatch *w, Error *err)
{
    _cleanup_(tls_freep) Tls *tls = NULL;
    int r = config_check_ca_file(w->config->ca_file, "secbox", err);

    if (r >= 0)
        r = tls_new_client(w->config->ca_file, &tls, err);
    if (r < 0)
        return r;
    if (!w->url.tls) {
        w->told(NULL, 0, w->userdata);
        return 0;
    }
    const StreamTarget target = { .host = w->url.host, .port = w->url.port, .tls = tls };
    return stream_connect(w->event, &target, &stream_events, w, &w->stream, err);
}

static void look(AuthorityWatch *w)
{
    _cleanup_(error_done) Error err = {};

    w->stream = stream_free(w->stream);
    timer_disarm(w->again);
    int r = connect_by(w, &err);
    if (r < 0)
        w->told(&err, r, w->userdata);
}

static void on_changed(void *userdata)
{
    look(userdata);
}

int authority_watch_new(sd_event *event, const Config *config, authority_told_t told, void *userdata,
                        AuthorityWatch **ret, Error *err)
{
    const char *const files[] = { config->ca_file, NULL };
    _cleanup_(authority_watch_freep) AuthorityWatch *w = config->ca_file ? calloc(1, sizeof(*w)) : NULL;

    if (!config->ca_file) {
        *ret = NULL;
        return 0;
    }
    if (!w)
        return error_from_errno(err, -ENOMEM, "cannot watch CLOUD_CA_FILE");
    w->event = sd_event_ref(event);
    w->config = config;
    w->told = told;
    w->userdata = userdata;
    int r = ws_url_parse(config->gateway_url, "tunnel.bad-url", &w->url, err);
    if (r >= 0)
        r = config_watch_new(event, on_changed, w, &w->watch, err);
    if (r >= 0)
        r = config_watch_set(w->watch, files);
    if (r < 0)
        return error_from_errno(err, r, "cannot watch CLOUD_CA_FILE");
    *ret = TAKE_PTR(w);
    return 0;
}

AuthorityWatch *authority_watch_free(AuthorityWatch *w)
{
    if (!w)
        return NULL;
    config_watch_free(w->watch);
    stream_free(w->stream);
    sd_event_source_disable_unref(w->again);
    ws_url_done(&w->url);
    sd_event_unref(w->event);
    free(w);
    return NULL;
}

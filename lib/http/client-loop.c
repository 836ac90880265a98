/* SPDX-License-Identifier: MIT */
/* Requests on an sd-event loop: curl says which descriptors and which timeout it wants watched, the loop tells it what
 * happened. Nothing of the caller runs inside curl except on_data. */
#include "lib/http/client.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "lib/base/lifetime.h"
#include "lib/event/daemon.h"
#include "lib/http/client-address.h"

struct HttpCall {
    HttpClient *client;
    HttpCall *prev, *next;
    Transfer *transfer;
    http_done_t on_done;
    void *userdata;
    bool finished; /* its callback is running or it was cancelled inside curl */
};

struct HttpClient {
    sd_event *event;
    CURLM *multi;
    sd_event_source *timer;
    HttpCall *calls;
    unsigned in_curl;
    Lifetime life;
};

static void call_unlink(HttpCall *call)
{
    if (call->prev)
        call->prev->next = call->next;
    else
        call->client->calls = call->next;
    if (call->next)
        call->next->prev = call->prev;
}

static void call_release(HttpCall *call)
{
    call_unlink(call);
    (void) curl_multi_remove_handle(call->client->multi, call->transfer->easy);
    transfer_free(call->transfer);
    free(call);
}

static void client_destroy(HttpClient *c)
{
    while (c->calls)
        call_release(c->calls);
    (void) curl_multi_cleanup(c->multi);
    sd_event_source_disable_unref(c->timer);
    sd_event_unref(c->event);
    free(c);
}

static void call_end(HttpClient *c, CURL *easy, CURLcode code)
{
    HttpCall *call = transfer_of(easy)->owner;
    HttpResponse response = {};
    Error err = {};

    if (!call->finished && next_address_try(call->transfer, &code)) {
        (void) curl_multi_remove_handle(c->multi, easy);
        if (curl_multi_add_handle(c->multi, easy) == CURLM_OK)
            return;
    }
    if (!call->finished) {
        int r = transfer_finish(call->transfer, code, &response, &err);

        call->finished = true;
        call->on_done(call, r, &response, &err, call->userdata);
    }
    http_response_done(&response);
    error_done(&err);
    if (!c->life.ended)
        call_release(call);
}

/* Tells curl what happened, then the callers whose requests ended. They may free anything of this client. */
static void client_step(HttpClient *c, curl_socket_t fd, int events)
{
    const CURLMsg *m;
    int n;

    lifetime_hold(&c->life);
    c->in_curl++;
    (void) curl_multi_socket_action(c->multi, fd, events, &n);
    c->in_curl--;
    while (!c->life.ended && (m = curl_multi_info_read(c->multi, &n)))
        call_end(c, m->easy_handle, m->data.result);
    if (lifetime_release(&c->life))
        client_destroy(c);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    int events = 0;

    (void) s;
    if (revents & (EPOLLIN | EPOLLHUP))
        events |= CURL_CSELECT_IN;
    if (revents & EPOLLOUT)
        events |= CURL_CSELECT_OUT;
    if (revents & EPOLLERR)
        events |= CURL_CSELECT_ERR;
    client_step(userdata, fd, events);
    return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
    (void) s;
    (void) usec;
    client_step(userdata, CURL_SOCKET_TIMEOUT, 0);
    return 0;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_data)
{
    HttpClient *c = userdata;
    sd_event_source *s = socket_data;
    uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);

    (void) easy;
    if (what == CURL_POLL_REMOVE) {
        sd_event_source_disable_unref(s);
        return 0;
    }
    if (s)
        return sd_event_source_set_io_events(s, events) < 0 ? -1 : 0;
    if (sd_event_add_io(c->event, &s, fd, events, on_io, c) < 0)
        return -1;
    if (curl_multi_assign(c->multi, fd, s) != CURLM_OK) {
        sd_event_source_disable_unref(s);
        return -1;
    }
    return 0;
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *userdata)
{
    HttpClient *c = userdata;

    (void) multi;
    if (timeout_ms < 0) {
        timer_disarm(c->timer);
        return 0;
    }
    return timer_arm(c->event, &c->timer, (usec_t) timeout_ms * USEC_PER_MSEC, on_timer, c) < 0 ? -1 : 0;
}

int http_client_new(sd_event *event, HttpClient **ret, Error *err)
{
    HttpClient *c = calloc(1, sizeof(*c));

    if (!c)
        return error_set(err, ENOMEM, "http.failed", "out of memory");
    c->multi = curl_multi_init();
    if (!c->multi) {
        free(c);
        return error_set(err, ENOMEM, "http.failed", "out of memory");
    }
    c->event = sd_event_ref(event);
    if (curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) != CURLM_OK ||
        curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c) != CURLM_OK ||
        curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer) != CURLM_OK ||
        curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c) != CURLM_OK) {
        client_destroy(c);
        return error_set(err, EINVAL, "http.failed", "curl refuses its options");
    }
    *ret = c;
    return 0;
}

void http_client_limit_host(HttpClient *c, unsigned n)
{
    (void) curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long) n);
}

HttpClient *http_client_free(HttpClient *c)
{
    if (!c || !lifetime_end(&c->life))
        return NULL;
    for (HttpCall *call = c->calls; call; call = call->next) {
        call->finished = true;
        call->transfer->silenced = true;
    }
    if (lifetime_release(&c->life))
        client_destroy(c);
    return NULL;
}

int http_start(HttpClient *c, const HttpRequest *request, http_done_t on_done, void *userdata, HttpCall **ret,
               Error *err)
{
    _cleanup_(transfer_freep) Transfer *t = NULL;
    HttpCall *call;
    int r = transfer_new(request, &t, err);

    if (r < 0)
        return r;
    call = calloc(1, sizeof(*call));
    if (!call)
        return error_set(err, ENOMEM, "http.failed", "%s: out of memory", t->what);
    *call = (HttpCall) { .client = c, .on_done = on_done, .userdata = userdata };
    t->owner = call;
    /* daemons ask rarely: a connection kept for later would only be found dead */
    if (curl_easy_setopt(t->easy, CURLOPT_FORBID_REUSE, request->reuse ? 0L : 1L) != CURLE_OK ||
        curl_multi_add_handle(c->multi, t->easy) != CURLM_OK) {
        free(call);
        return error_set(err, EIO, "http.failed", "%s: curl does not take the request", t->what);
    }
    call->transfer = TAKE_PTR(t);
    call->next = c->calls;
    if (c->calls)
        c->calls->prev = call;
    c->calls = call;
    if (ret)
        *ret = call;
    return 0;
}

void http_call_pause(HttpCall *call, bool paused)
{
    HttpClient *c = call->client;

    if (call->finished)
        return;
    lifetime_hold(&c->life);
    c->in_curl++;
    (void) curl_easy_pause(call->transfer->easy, paused ? CURLPAUSE_RECV : CURLPAUSE_CONT);
    c->in_curl--;
    if (lifetime_release(&c->life))
        client_destroy(c);
}

HttpCall *http_call_free(HttpCall *call)
{
    if (!call || call->finished)
        return NULL;
    if (call->client->in_curl > 0) {
        /* curl must not lose a handle while it works on it: its next piece ends it, without a word */
        call->finished = true;
        call->transfer->silenced = true;
    } else {
        call_release(call);
    }
    return NULL;
}

/* SPDX-License-Identifier: MIT */
/* One connection for each listener, and one source that fires when the last of them is over. */
#include "lib/net/listener.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/net/host-port.h"
#include "lib/net/stream.h"

#define STATUS_LINE_MIN 12 /* "HTTP/1.1 200" */

typedef struct Listener {
    Listeners *owner;
    char *name, *host, *path;
    uint16_t port;
    ListenerKind kind;
    bool running, good;
    Stream *stream;
    char head[STATUS_LINE_MIN];
    size_t head_len;
} Listener;

struct Listeners {
    sd_event *event;
    sd_event_source *settled;
    Listener list[LISTENERS_MAX];
    size_t n;
    void (*on_settled)(void *userdata);
    void *userdata;
};

int listener_judge(ListenerKind kind, const char *data, size_t len)
{
    static const char version[] = "HTTP/1.";
    if (kind != LISTENER_HTTP)
        return len > 0 ? 1 : -EAGAIN;
    if (memcmp(data, version, len < strlen(version) ? len : strlen(version)) != 0)
        return 0;
    if (len < STATUS_LINE_MIN)
        return -EAGAIN;
    return data[8] == ' ' && data[9] >= '1' && data[9] <= '4';
}

Listeners *listeners_free(Listeners *l)
{
    if (!l)
        return NULL;
    for (size_t i = 0; i < l->n; i++) {
        stream_free(l->list[i].stream);
        free(l->list[i].name);
        free(l->list[i].host);
        free(l->list[i].path);
    }
    sd_event_source_disable_unref(l->settled);
    sd_event_unref(l->event);
    free(l);
    return NULL;
}

/* "KIND:HOST:PORT[/path]" */
static int parse_listener(Listener *p, const char *text)
{
    static const char *const kinds[] = {
        [LISTENER_TCP] = "tcp:", [LISTENER_BANNER] = "banner:", [LISTENER_HTTP] = "http:"
    };
    uint16_t port = 0;
    size_t kind = 0;
    while (kind < ELEMENTSOF(kinds) && !str_starts(text, kinds[kind]))
        kind++;
    if (kind == ELEMENTSOF(kinds))
        return -EINVAL;
    const char *host = text + strlen(kinds[kind]), *slash = strchr(host, '/');
    _cleanup_(freep) char *authority = strndup(host, slash ? (size_t) (slash - host) : strlen(host));
    _cleanup_(freep) char *address = NULL;
    int r = authority ? host_port_split(authority, &address, &port) : -ENOMEM;
    if (r < 0)
        return r;
    if (port == 0 || (slash && kind != LISTENER_HTTP) || address[strspn(address, "0123456789abcdefABCDEF.:")])
        return -EINVAL;
    *p = (Listener) { .owner = p->owner,
                      .kind = (ListenerKind) kind,
                      .port = port,
                      .name = strdup(text),
                      .host = TAKE_PTR(address),
                      .path = strdup(slash ? slash : "/") };
    return p->name && p->host && p->path ? 0 : -ENOMEM;
}

static void settle(Listener *p, bool good)
{
    if (!p->running)
        return;
    p->running = false;
    p->good = good;
    p->stream = stream_free(p->stream);
    for (size_t i = 0; i < p->owner->n; i++)
        if (p->owner->list[i].running)
            return;
    (void) sd_event_source_set_enabled(p->owner->settled, SD_EVENT_ONESHOT);
}

static void on_open(Stream *s, void *userdata)
{
    Listener *p = userdata;
    if (p->kind == LISTENER_TCP) {
        settle(p, true);
    } else if (p->kind == LISTENER_HTTP) {
        _cleanup_(freep) char *request = str_format("GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", p->path, p->host);
        if (!request || stream_send(s, request, strlen(request)) < 0)
            settle(p, false);
    }
}

static void on_data(Stream *s _unused_, const uint8_t *data, size_t len, void *userdata)
{
    Listener *p = userdata;
    size_t room = sizeof(p->head) - p->head_len, n = len < room ? len : room;
    memcpy(p->head + p->head_len, data, n);
    p->head_len += n;
    int r = listener_judge(p->kind, p->head, p->head_len);
    if (r != -EAGAIN)
        settle(p, r > 0);
}

static void on_closed(Stream *s _unused_, int r _unused_, const Error *err _unused_, void *userdata)
{
    settle(userdata, false);
}

static const StreamEvents stream_events = { .on_open = on_open, .on_data = on_data, .on_closed = on_closed };

static int on_settled(sd_event_source *source _unused_, void *userdata)
{
    Listeners *l = userdata;
    l->on_settled(l->userdata);
    return 0;
}

static int add_listener(Listeners *l, const char *text, Error *err)
{
    if (l->n == LISTENERS_MAX)
        return error_set(err, EINVAL, "listeners.bad", "more than %d listeners", LISTENERS_MAX);
    Listener *p = &l->list[l->n];
    p->owner = l;
    int r = parse_listener(p, text);
    if (r == -EINVAL)
        return error_set(
            err, EINVAL, "listeners.bad",
            "\"%s\" is no listener: write tcp:HOST:PORT, banner:HOST:PORT or http:HOST:PORT/PATH, with a numeric"
            " HOST",
            text);
    l->n++;
    return r < 0 ? error_from_errno(err, r, "reading the listeners") : 0;
}

int listeners_new(sd_event *event, const char *list, Listeners **ret, Error *err)
{
    _cleanup_(listeners_freep) Listeners *l = calloc(1, sizeof(*l));
    _cleanup_(freep) char *copy = strdup(list ? list : "");
    char *saved = NULL;
    if (!l || !copy)
        return error_from_errno(err, -ENOMEM, "reading the listeners");
    l->event = sd_event_ref(event);
    int r = sd_event_add_defer(event, &l->settled, on_settled, l);
    if (r >= 0)
        r = sd_event_source_set_enabled(l->settled, SD_EVENT_OFF);
    for (char *word = strtok_r(copy, " ", &saved); word && r >= 0; word = strtok_r(NULL, " ", &saved))
        r = add_listener(l, word, err);
    if (r < 0)
        return error_from_errno(err, r, "reading the listeners");
    *ret = TAKE_PTR(l);
    return 0;
}

size_t listeners_count(const Listeners *l)
{
    return l->n;
}

const char *listeners_name(const Listeners *l, size_t i)
{
    return l->list[i].name;
}

bool listeners_good(const Listeners *l, size_t i)
{
    return l->list[i].good;
}

static void try_one(Listener *p)
{
    const StreamTarget target = { .host = p->host, .port = p->port };
    if (stream_connect(p->owner->event, &target, &stream_events, p, &p->stream, NULL) < 0)
        settle(p, false);
}

void listeners_try(Listeners *l, void (*settled)(void *userdata), void *userdata)
{
    l->on_settled = settled;
    l->userdata = userdata;
    for (size_t i = 0; i < l->n; i++) {
        l->list[i].stream = stream_free(l->list[i].stream);
        l->list[i].running = true;
        l->list[i].good = false;
        l->list[i].head_len = 0;
    }
    for (size_t i = 0; i < l->n; i++)
        try_one(&l->list[i]);
    if (l->n == 0)
        (void) sd_event_source_set_enabled(l->settled, SD_EVENT_ONESHOT);
}

void listeners_expire(Listeners *l)
{
    for (size_t i = 0; i < l->n; i++)
        settle(&l->list[i], false);
}

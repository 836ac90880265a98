/* SPDX-License-Identifier: MIT */
#include "relay-client/cloudflare/internet-probe.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/net/stream.h"

#define PORT_HTTPS 443
#define PORT_HTTP 80

struct InternetProbe {
    Stream *stream;
    internet_probe_done_t on_done;
    void *userdata;
};

static void on_open(Stream *s _unused_, void *userdata)
{
    InternetProbe *p = userdata;

    p->on_done(true, p->userdata);
}

static void on_data(Stream *s _unused_, const uint8_t *data _unused_, size_t len _unused_, void *userdata _unused_)
{
}

static void on_closed(Stream *s _unused_, int r _unused_, const Error *err _unused_, void *userdata)
{
    InternetProbe *p = userdata;

    p->on_done(false, p->userdata);
}

static const StreamEvents events = { .on_open = on_open, .on_data = on_data, .on_closed = on_closed };

/* Of https://HOST[:PORT]/…, whose form was checked when it was taken. */
static char *split(const char *url, uint16_t *ret_port)
{
    const char *host = url ? strstr(url, "://") : NULL;
    uint64_t port = url && str_starts(url, "https:") ? PORT_HTTPS : PORT_HTTP;

    if (!host)
        return NULL;
    host += strlen("://");
    bool bracketed = *host == '[';
    size_t len = bracketed ? strcspn(++host, "]") : strcspn(host, ":/");
    const char *behind = host + len + (bracketed && host[len]);
    _cleanup_(freep) char *digits = *behind == ':' ? strndup(behind + 1, strcspn(behind + 1, "/")) : NULL;
    if (digits && str_to_u64(digits, 1, UINT16_MAX, &port) < 0)
        return NULL;
    *ret_port = (uint16_t) port;
    return strndup(host, len);
}

int internet_probe_new(sd_event *event, const char *url, internet_probe_done_t on_done, void *userdata,
                       InternetProbe **ret)
{
    StreamTarget target = {};
    _cleanup_(freep) char *host = split(url, &target.port);
    InternetProbe *p = host ? calloc(1, sizeof(*p)) : NULL;

    if (!p)
        return host ? -ENOMEM : -EINVAL;
    *p = (InternetProbe) { .on_done = on_done, .userdata = userdata };
    target.host = host;
    int r = stream_connect(event, &target, &events, p, &p->stream, NULL);
    if (r < 0) {
        free(p);
        return r;
    }
    *ret = p;
    return 0;
}

InternetProbe *internet_probe_free(InternetProbe *p)
{
    if (!p)
        return NULL;
    stream_free(p->stream);
    free(p);
    return NULL;
}

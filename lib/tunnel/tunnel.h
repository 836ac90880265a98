/* SPDX-License-Identifier: MIT */
/* The box's end of one tunnel: connects, upgrades, says hello, waits for welcome, keeps alive, reconnects with full
 * jitter (backoff.h) and keeps messages in a bounded queue meanwhile. The wire is docs/wire-format.md. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/mux/mux.h"

typedef struct Tunnel Tunnel;

typedef struct TunnelEvents {
    /* The hello to send on each new connection; owned by the tunnel afterwards. NULL = out of memory. */
    cJSON *(*make_hello)(Tunnel *t, void *userdata);
    /* The bearer token for the next connection: borrowed until the next call; NULL = not now (tunnel_retry() later). */
    const char *(*get_token)(Tunnel *t, void *userdata);
    void (*on_up)(Tunnel *t, const cJSON *welcome, void *userdata);
    /* Every message after welcome, except goaway, which the tunnel obeys itself. text is the raw line of `message`. */
    void (*on_message)(Tunnel *t, const cJSON *message, const char *text, void *userdata);
    /* The tunnel is no longer up, or failed to come up. http_status is that of a refused upgrade or 0. retry_in is what
     * was decided; USEC_INFINITY when it will not retry by itself: after 401/403 (get a new token, then
     * tunnel_retry()). */
    void (*on_down)(Tunnel *t, int http_status, usec_t retry_in, const Error *err, void *userdata);
    /* The gateway asks for a stream (mux.h, on_open). NULL: none is accepted. Streams outlive a connection. */
    void (*on_stream)(Tunnel *t, MuxStream *s, const cJSON *open, void *userdata);
    /* Used instead of get_token and make_hello: given the gateway's `challenge`, returns the hello that answers it,
     * owned by the tunnel afterwards. The upgrade then carries no token. */
    cJSON *(*answer_challenge)(Tunnel *t, const cJSON *challenge, void *userdata);
} TunnelEvents;

typedef struct TunnelOptions {
    const char *url;     /* wss://host[:port]/mgmt, or ws:// on request of the configuration */
    const char *ca_file; /* NULL = system authorities; read again when it has changed, for the next connection */
    /* Numeric addresses at which the gateway was before; NULL = none. They are tried, too, when the resolver has no answer
     * within 2 s, and alone after a try that did not lead to the gateway; the certificate must still name the URL's host.
     * Ends with NULL; copied. */
    const char *const *known_addresses;
    /* Seconds since 1970 that are known to have passed; 0 = no opinion. A certificate that is not valid by this machine's
     * clock is accepted if it was valid then: a clock that stands at 1970, or far ahead, must not lock a box out. */
    uint64_t time_floor;
    const TunnelEvents *events;
    void *userdata;
} TunnelOptions;

/* Checks the URL (tunnel.bad-url: report once, never retry: the configuration is wrong) and connects from the loop. */
int tunnel_new(sd_event *event, const TunnelOptions *options, Tunnel **ret, Error *err) _must_check_;
Tunnel *tunnel_free(Tunnel *t);
DEFINE_CLEANUP(Tunnel, tunnel_free)

bool tunnel_is_up(const Tunnel *t);
/* True when something should have happened to this tunnel long ago and did not: a fault of ours. For watchdogs. */
bool tunnel_is_overdue(const Tunnel *t);
/* The gateway's numeric address by the present connection, without port; NULL without one, or when it is a proxy's. Borrowed. */
const char *tunnel_address(Tunnel *t);
/* As in the options, for later connections. */
int tunnel_set_known(Tunnel *t, const char *const *addresses, uint64_t time_floor) _must_check_;

/* The streams of this tunnel, made at the first call; NULL = out of memory. Owned by the tunnel. */
Mux *tunnel_mux(Tunnel *t);

/* Sends, or queues until up. -ENOBUFS when the queue is full; -EMSGSIZE over WS_MESSAGE_MAX. */
int tunnel_send(Tunnel *t, const char *text, size_t len) _must_check_;
int tunnel_send_json(Tunnel *t, const cJSON *message) _must_check_;

/* Connects now: after a new token, or when told that the network is back. */
void tunnel_retry(Tunnel *t);
/* From on_down: whether the next try goes past the proxy that led nowhere: whoever gives up at once should try once more. */
bool tunnel_goes_past_proxy(const Tunnel *t);
/* Closes gracefully and connects again at once, without backoff: a commit has to be confirmed on a new connection. */
void tunnel_cycle(Tunnel *t);

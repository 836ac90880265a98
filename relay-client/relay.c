/* SPDX-License-Identifier: MIT */
#include "relay-client/relay.h"

#include <errno.h>

#include "lib/base/log.h"
#include "relay-client/cloudflare/cloudflared.h"
#include "relay-client/rathole/rathole.h"

struct Relay {
    RelayReport *report;
    Rathole *rathole;
    Cloudflared *cloudflared;
};

static int start(Relay *r, sd_event *event, const RelaySettings *s, Error *err)
{
    switch (s->provider) {
    case TUNNEL_RATHOLE:
        return rathole_new(event, s, r->report, &r->rathole, err);
    case TUNNEL_CLOUDFLARE:
        return cloudflared_new(event, s, r->report, &r->cloudflared, err);
    default:
        relay_report_set(r->report, RELAY_IDLE, NULL, 0);
        log_notice("TUNNEL_PROVIDER is none: nobody reaches this box from outside by a relay");
        return 0;
    }
}

int relay_new(sd_event *event, const RelaySettings *settings, const char *run_dir, Relay **ret, Error *err)
{
    _cleanup_(relay_freep) Relay *r = calloc(1, sizeof(*r));
    int k = r ? relay_report_new(event, run_dir, tunnel_provider_names[settings->provider], settings->public_url,
                                 &r->report, err)
              : -ENOMEM;

    if (k >= 0)
        k = start(r, event, settings, err);
    if (k < 0)
        return error_from_errno(err, k, "cannot start the relay");
    *ret = TAKE_PTR(r);
    return 0;
}

bool relay_stop(Relay *r)
{
    return r->cloudflared && cloudflared_stop(r->cloudflared);
}

Relay *relay_free(Relay *r)
{
    if (!r)
        return NULL;
    rathole_free(r->rathole);
    cloudflared_free(r->cloudflared);
    relay_report_free(r->report);
    free(r);
    return NULL;
}

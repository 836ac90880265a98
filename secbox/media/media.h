/* SPDX-License-Identifier: MIT */
/* Recordings for those who come with a token of the cloud (docs/media-relay.md): /media/ beside the guards' pages, and on a port of
 * its own for viewers from outside, to which relay-client leads them. Guards' pages and their login are never there. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"
#include "lib/base/uplink-budget.h"
#include "lib/data/key.h"
#include "lib/http/server.h"
#include "secbox/cameras/cameras.h"

typedef struct Media Media;

typedef struct MediaOptions {
    const char *device_id;
    Cameras *cameras;    /* borrowed; NULL: this box has no Frigate */
    const char *origin;  /* whose pages may show recordings, as browsers name it; NULL: nobody's but the box's own */
    UplinkBudget *bound; /* borrowed: of all viewers from outside together */
    const Key *(*key)(void *userdata); /* of the cloud's tokens; NULL: it is not known yet */
    void *userdata;
} MediaOptions;

int media_new(sd_event *event, const MediaOptions *options, Media **ret, Error *err) _must_check_;
/* NULL-safe. */
Media *media_free(Media *m);

/* The port for viewers from outside. Address: numeric; port 0: chosen by the kernel. Errors: http.listen, stream.tls-files. */
int media_listen(Media *m, const char *address, uint16_t port, const char *cert_file, const char *key_file,
                 Error *err) _must_check_;
bool media_listens(const Media *m);
/* Its certificate is another one; when it cannot be used the old one stays. */
int media_renew(Media *m, const char *cert_file, const char *key_file, Error *err) _must_check_;

/* Answers a request that has come by another listener, without the bound for those outside; false: it is none for /media/. Errors
 * of answers: media.no-token, media.window, media.no-key, media.busy, media.none, media.request, and those of tokens
 * (lib/data/media-token.h) and cameras. */
bool media_take(Media *m, HttpExchange *x);

/* Tokens (an array of their ids) that the cloud has taken back: what they have begun ends, and they begin nothing more. */
void media_revoke(Media *m, const cJSON *tokens);

/* SPDX-License-Identifier: MIT */
/* What viewers from outside reach of a box: HTTPS with /media/ and nothing else, on a port of its own, to which relay-client leads
 * them. Guards' pages and their login are never here. */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"

typedef struct Media Media;

typedef struct MediaOptions {
    const char *address; /* numeric */
    uint16_t port;       /* 0: chosen by the kernel */
    const char *cert_file, *key_file;
    const char *device_id;
} MediaOptions;

/* Errors: http.listen, stream.tls-files. */
int media_new(sd_event *event, const MediaOptions *options, Media **ret, Error *err) _must_check_;
/* NULL-safe. */
Media *media_free(Media *m);

/* The certificate is another one; when it cannot be used the old one stays. */
int media_renew(Media *m, const char *cert_file, const char *key_file, Error *err) _must_check_;

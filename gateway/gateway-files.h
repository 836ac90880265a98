/* SPDX-License-Identifier: MIT */
/* The certificate is taken anew when its file changes, and when asked; of an edit of the gateway's env file it is told that it
 * waits for a restart. */
#pragma once

#include "lib/http/server.h"
#include "lib/postgres/store.h"

typedef struct GatewayFiles GatewayFiles;

typedef struct GatewayFilesOptions {
    HttpServer *server;
    Store *store;                       /* for alarms */
    const char *cert_file, *key_file;   /* NULL: plain HTTP */
    void (*on_changed)(void *userdata); /* there may be another status */
    void *userdata;
} GatewayFilesOptions;

/* What is named is borrowed, and goes after it or is not used any more when it goes. */
int gateway_files_new(sd_event *event, const GatewayFilesOptions *options, GatewayFiles **ret, Error *err) _must_check_;
GatewayFiles *gateway_files_free(GatewayFiles *f);

/* Reads the certificate again. */
void gateway_files_renew(GatewayFiles *f);
/* For the service manager. */
const char *gateway_files_status(const GatewayFiles *f);

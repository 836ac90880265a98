/* SPDX-License-Identifier: MIT */
#include "secbox/banner.h"

#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"

/* the Makefile writes them */
extern const char build_commit[], build_time[];

char *banner_database(const char *url)
{
    const char *at = strstr(url, "://");

    at = at ? at + strlen("://") : url;
    size_t authority = strcspn(at, "/?");
    for (const char *user = memchr(at, '@', authority); user; user = memchr(at, '@', authority)) {
        authority -= (size_t) (user + 1 - at);
        at = user + 1;
    }
    return strndup(at, strcspn(at, "?"));
}

void banner_log(const Config *config)
{
    _cleanup_(freep) char *database = config->database_url ? banner_database(config->database_url) : NULL;

    log_notice("secbox %s, commit %s, built %s", SECBOX_VERSION, build_commit, build_time);
    log_notice("role device, box %s, gateway %s", config->device_id, config->gateway_url);
    log_notice("database %s; asked on %s/control.sock", database ? database : "none", config->run_dir);
}

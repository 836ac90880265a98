/* SPDX-License-Identifier: MIT */
#include "secbox/banner.h"

#include "lib/base/log.h"
#include "lib/postgres/connection.h"

/* the Makefile writes them */
extern const char build_commit[], build_time[];

void banner_log(const Config *config)
{
    _cleanup_(freep) char *database = config->database_url ? store_conninfo_place(config->database_url) : NULL;

    log_notice("secbox %s, commit %s of %s", SECBOX_VERSION, build_commit, build_time);
    log_notice("role device, box %s, gateway %s", config->device_id, config->gateway_url);
    log_notice("database %s; asked on %s/control.sock",
               database               ? database
               : config->database_url ? "of a DATABASE_URL that cannot be read"
                                      : "none",
               config->run_dir);
}

/* SPDX-License-Identifier: MIT */
#include "gateway/verb-database.h"

#include <errno.h>
#include <string.h>

#include "gateway/gateway-env.h"
#include "gateway/store/schema.h"
#include "lib/base/strv.h"
#include "lib/cli/cli.h"
#include "lib/cli/report.h"
#include "lib/postgres/run.h"

int gateway_fail(const Settings *s, const Error *err, int r)
{
    return report_failure("secbox-gateway", s->json, err, r, r == -ENOTCONN ? EXIT_UNREACHABLE : EXIT_FAILED);
}

static int find_database(const Settings *s, char **ret, Error *err)
{
    int r;

    if (s->database)
        return (*ret = strdup(s->database)) ? 0 : error_from_errno(err, -ENOMEM, "read the settings");
    r = gateway_env_load(s->env_file, DATABASE_VARIABLE, ret, err);
    return r == 0 && *ret ? gateway_become_service_user(err) : r;
}

int gateway_find_database(const Settings *s, char **ret)
{
    _cleanup_(error_done) Error err = {};
    int r = find_database(s, ret, &err);

    return r < 0 ? gateway_fail(s, &err, r) : EXIT_OK;
}

int gateway_run(const Settings *s, const Statement *st, StoreRows **ret)
{
    _cleanup_(error_done) Error err = {};
    _cleanup_(secret_freep) char *database = NULL;
    int r = find_database(s, &database, &err);

    if (r >= 0)
        r = store_run(database, &gateway_schema, st, ret, &err);
    return r < 0 ? gateway_fail(s, &err, r) : EXIT_OK;
}

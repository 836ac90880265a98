/* SPDX-License-Identifier: MIT */
/* doctor: what a working gateway needs, check by check. */
#include "gateway/verb-doctor.h"

#include <errno.h>
#include <sys/stat.h>

#include "gateway/doctor.h"
#include "gateway/gateway-env.h"
#include "lib/cli/cli.h"
#include "lib/cli/finding-clock.h"
#include "lib/cli/report.h"

#define PROGRAM "secbox-gateway"

/* Nobody tells the gateway the time; but it is not from before its own build. */
static void check_clock(Doctor *d, Finding *f)
{
    char now[TIMESTAMP_SIZE], built[TIMESTAMP_SIZE];
    struct stat st = {};

    (void) d;
    (void) stat("/proc/self/exe", &st);
    usec_t realtime = realtime_usec(), build = (usec_t) st.st_mtim.tv_sec * USEC_PER_SEC;
    timestamp_format(realtime, now);
    timestamp_format(build, built);
    if (realtime < build)
        finding_set(f, VERDICT_FAIL,
                    "Set the clock (`date -u -s …`) and see `timedatectl`: with it, tokens and proofs are refused.",
                    "the clock says %s, this program is from %s", now, built);
    else
        finding_pass(f, "%s", now);
}

static void check_time_sync(Doctor *d, Finding *f)
{
    (void) d;
    finding_of_time_sync(f);
}

/* As root as far as `as_user`; from there on as the user that serves. */
static const struct {
    const char *id;
    void (*run)(Doctor *d, Finding *f);
    bool as_user;
} checks[] = {
    { "env-file", check_env_file, false },  { "options", check_options, false },
    { "serving", check_serving, false },    { "certificate", check_certificate, true },
    { "chain", check_chain, true },         { "key", check_key, true },
    { "database", check_database, true },   { "database-writes", check_database_writes, true },
    { "schema", check_schema, true },       { "signer", check_signer, true },
    { "issuer", check_issuer, true },       { "clock", check_clock, true },
    { "time-sync", check_time_sync, true },
};

static int run_checks(Doctor *d, cJSON *findings, Error *err)
{
    bool is_user = false;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(checks); i++) {
        _cleanup_(finding_done) Finding f = { .verdict = VERDICT_UNKNOWN };

        if (checks[i].as_user && !is_user)
            r = gateway_become_service_user(err);
        is_user = checks[i].as_user;
        if (r < 0)
            return r;
        checks[i].run(d, &f);
        r = findings_add(findings, checks[i].id, &f, "gateway");
    }
    return r < 0 ? r : findings_count(findings);
}

int verb_doctor(int argc, char **argv, void *userdata)
{
    const Settings *s = userdata;
    _cleanup_(doctor_done) Doctor d = {};
    _cleanup_(cJSON_Deletep) cJSON *findings = findings_new();
    _cleanup_(error_done) Error err = {};
    int r = findings ? doctor_load(&d, s, &err) : -ENOMEM;

    (void) argc;
    (void) argv;
    if (r >= 0)
        r = run_checks(&d, findings, &err);
    if (r < 0)
        return report_failure(PROGRAM, s->json, &err, r, EXIT_FAILED);
    return s->json ? report_json(findings, findings_exit_code(findings))
                   : report_text(findings_text(findings, "CHECK"), findings_exit_code(findings));
}

/* SPDX-License-Identifier: MIT */
/* doctor: runs the checks in order and shows them. */
#include "mgmt-agent/secboxctl/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/cli/table.h"
#include "lib/cli/report.h"

static const char *const verdict_names[] = {
    [VERDICT_PASS] = "pass",
    [VERDICT_FAIL] = "fail",
    [VERDICT_UNKNOWN] = "unknown",
};

static void finding_done(Finding *f)
{
    free(f->detail);
    free(f->advice);
    free(f->remedy);
}

static void finding_setv(Finding *f, Verdict verdict, const char *advice, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));

static void finding_setv(Finding *f, Verdict verdict, const char *advice, const char *fmt, va_list ap)
{
    finding_done(f);
    *f = (Finding) { .verdict = verdict, .advice = advice ? str_format("%s", advice) : NULL };
    if (vasprintf(&f->detail, fmt, ap) < 0)
        f->detail = NULL;
}

void finding_pass(Finding *f, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    finding_setv(f, VERDICT_PASS, NULL, fmt, ap);
    va_end(ap);
}

void finding_set(Finding *f, Verdict verdict, const char *advice, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    finding_setv(f, verdict, advice, fmt, ap);
    va_end(ap);
}

void finding_remedy(Finding *f, const char *fmt, ...)
{
    va_list ap;

    free(f->remedy);
    va_start(ap, fmt);
    if (vasprintf(&f->remedy, fmt, ap) < 0)
        f->remedy = NULL;
    va_end(ap);
}

void finding_since_file(Finding *f, const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0)
        f->since = (usec_t) st.st_ctim.tv_sec * USEC_PER_SEC;
}

const DoctorCheck doctor_checks[] = {
    { "agent", check_agent, false },
    { "mgmt-agent.env", check_agent_env, false },
    { "podman-user", check_podman_user, false },
    { "secbox.env", check_secbox_env, false },
    { "configuration", check_configuration, false },
    { "mgmt-link", check_link_unit, true },
    { "tunnel", check_tunnel, false },
    { "recovery-agent", check_recovery_unit, true },
    { "recovery-sshd", check_recovery_sshd, true },
    { "ssh", check_ssh, true },
    { "lingering", check_lingering, true },
    { "user-manager", check_user_manager, true },
    { "user-bus", check_user_bus, true },
    { "subuids", check_subuids, true },
    { "subgids", check_subgids, true },
    { "uidmap", check_uidmap, true },
    { "podman", check_podman, false },
    { "podman-compose", check_podman_compose, false },
    { "runtime", check_runtime, true },
    { "network-backend", check_network_backend, true },
    { "container-dns", check_container_dns, true },
    { "iptables", check_iptables, true },
    { "rootless-network", check_rootless_network, true },
    { "init", check_init, true },
    { "cgroup-manager", check_cgroup_manager, true },
    { "store-driver", check_store_driver, true },
    { "binds", check_binds, false },
    { "services", check_services, false },
    { "journal", check_journal, true },
    { "clock", check_clock, false },
    { "time-sync", check_time_sync, false },
    { "time-zone", check_time_zone, true },
    { "space-state", check_state_space, false },
    { "space-podman", check_podman_space, false },
    { "dns", check_dns, false },
    {},
};

/* What to do, with the command that does it as it is typed: a new string, or NULL when there is nothing to do. */
static char *advice_text(const Finding *f)
{
    if (!f->remedy)
        return f->advice ? strdup(f->advice) : NULL;
    return str_format("%s `%s`.%s%s", f->by_operator ? "On the operator's machine, run" : "Run", f->remedy,
                      f->advice ? " " : "", f->advice ? f->advice : "");
}

static int add_json(cJSON *checks, const char *id, const Finding *f, const char *advice)
{
    cJSON *entry = cJSON_CreateObject();
    char since[TIMESTAMP_SIZE];

    if (!entry || json_append(checks, entry) < 0)
        return -ENOMEM;
    if (json_add_string(entry, "id", id) < 0 || json_add_string(entry, "result", verdict_names[f->verdict]) < 0 ||
        json_add_string(entry, "detail", f->detail) < 0 || json_add_string(entry, "advice", advice) < 0 ||
        json_add_string(entry, "remedy", f->remedy) < 0 ||
        (f->remedy && json_add_string(entry, "remedyFor", f->by_operator ? "operator" : "box") < 0) ||
        json_add_string(entry, "since", f->since > 0 ? timestamp_format(f->since, since) : NULL) < 0)
        return -ENOMEM;
    return 0;
}

/* "DETAIL, since TIME. ADVICE" */
static int add_row(Table *table, const char *id, const Finding *f, const char *advice)
{
    char since[TIMESTAMP_SIZE] = "";

    if (f->since > 0)
        timestamp_format(f->since, since);
    _cleanup_(freep) char *text = str_format("%s%s%s%s%s", f->detail ? f->detail : "", f->since > 0 ? ", since " : "",
                                             since, advice ? ". " : "", advice ? advice : "");
    return text ? table_row(table, id, verdict_names[f->verdict], text) : -ENOMEM;
}

static int run_checks(Doctor *d, cJSON *checks, Table *table, unsigned counts[3])
{
    for (size_t i = 0; doctor_checks[i].id; i++) {
        _cleanup_(finding_done) Finding f = { .verdict = VERDICT_UNKNOWN };

        if (doctor_checks[i].of_machine && !str_empty(paths_root()))
            continue;
        doctor_checks[i].run(d, &f);
        counts[f.verdict]++;
        _cleanup_(freep) char *advice = advice_text(&f);
        int r = add_json(checks, doctor_checks[i].id, &f, advice);
        if (r >= 0)
            r = add_row(table, doctor_checks[i].id, &f, advice);
        if (r < 0)
            return r;
    }
    return 0;
}

static void doctor_done(Doctor *d)
{
    env_free(d->agent_env);
    podman_user_done(&d->user);
    cJSON_Delete(d->report);
    cJSON_Delete(d->podman_info);
}

static int exit_code_of(const unsigned counts[3])
{
    if (counts[VERDICT_FAIL] > 0)
        return EXIT_FAILED;
    return counts[VERDICT_UNKNOWN] > 0 ? EXIT_UNREACHABLE : EXIT_OK;
}

int verb_doctor(int argc, char **argv, void *userdata)
{
    static const char *const headers[] = { "CHECK", "RESULT", "WHAT, AND WHAT TO DO", NULL };
    _cleanup_(doctor_done) Doctor d = { .ctl = secboxctl_begin(userdata) };
    _cleanup_(cJSON_Deletep) cJSON *document = cJSON_CreateObject();
    _cleanup_(table_freep) Table *table = table_new(headers);
    unsigned counts[3] = {};

    _cleanup_(error_done) Error err = {};

    (void) argc;
    (void) argv;
    int r = secboxctl_need_root(d.ctl, &err);
    if (r < 0)
        return secboxctl_fail(d.ctl, &err, r);
    cJSON *checks = document ? cJSON_AddArrayToObject(document, "checks") : NULL;
    if (!checks || !table || run_checks(&d, checks, table, counts) < 0 ||
        json_add_int(document, "passed", (int) counts[VERDICT_PASS]) < 0 ||
        json_add_int(document, "failed", (int) counts[VERDICT_FAIL]) < 0 ||
        json_add_int(document, "unknown", (int) counts[VERDICT_UNKNOWN]) < 0)
        return secboxctl_fail(d.ctl, NULL, -ENOMEM);
    if (d.ctl->json)
        return report_json(document, exit_code_of(counts));

    _cleanup_(freep) char *rows = table_print(table, 0);
    return report_text(rows ? str_format("%s%u passed, %u failed, %u unknown\n", rows, counts[VERDICT_PASS],
                                         counts[VERDICT_FAIL], counts[VERDICT_UNKNOWN])
                            : NULL,
                       exit_code_of(counts));
}

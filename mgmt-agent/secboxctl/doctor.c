/* SPDX-License-Identifier: MIT */
/* doctor: runs the checks in order and shows them; the agent's and the env files' checks. */
#include "mgmt-agent/secboxctl/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/cli/table.h"
#include "lib/base/text.h"
#include "lib/data/config-fault.h"
#include "lib/cli/report.h"
#include "mgmt-agent/secboxctl/agent-socket.h"
#include "mgmt-agent/secboxctl/env-files.h"

#define ASK_TIMEOUT (10 * USEC_PER_SEC)

static const char *const verdict_names[] = {
    [VERDICT_PASS] = "pass",
    [VERDICT_FAIL] = "fail",
    [VERDICT_UNKNOWN] = "unknown",
};

static void finding_setv(Finding *f, Verdict verdict, const char *advice, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));

static void finding_setv(Finding *f, Verdict verdict, const char *advice, const char *fmt, va_list ap)
{
    free(f->detail);
    free(f->advice);
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

static void check_agent(Doctor *d, Finding *f)
{
    _cleanup_(agent_closep) AgentSocket *agent = NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = secboxctl_request("status.get");
    _cleanup_(error_done) Error err = {};

    int r = request ? secboxctl_connect(d->ctl, &agent, &err) : error_from_errno(&err, -ENOMEM, "make a request");
    if (r >= 0)
        r = agent_ask(agent, request, "status.report", ASK_TIMEOUT, &d->report, &err);
    if (r < 0) {
        finding_set(f, VERDICT_FAIL, "Run `systemctl restart mgmt-agent` and read `journalctl -u mgmt-agent`.", "%s",
                    error_message(&err, r));
        return;
    }
    d->status = cJSON_GetObjectItemCaseSensitive(d->report, "status");
    const cJSON *program = cJSON_GetObjectItemCaseSensitive(d->status, "agent");
    const char *version = cJSON_IsObject(program) ? json_string(program, "version") : NULL;
    finding_pass(f, "mgmt-agent %s answers", version ? version : "(version not told)");
}

static void check_env(Doctor *d, EnvFileKind kind, EnvFile **ret_env, Finding *f)
{
    _cleanup_(error_done) Error err = {};
    unsigned present = 0, total = 0;
    int r = env_files_check(kind, d->agent_env, ret_env, &err);

    if (r < 0) {
        _cleanup_(freep) char *text = text_error(&err, r);
        finding_set(f, VERDICT_FAIL,
                    kind == ENV_AGENT ? "Correct the file, or pair the box again on its page on port 8080."
                                      : "Run `secboxctl env ensure` if the file is missing, else correct it.",
                    "%s", text ? text : "out of memory");
        return;
    }
    env_count_required(*ret_env, kind, &present, &total);
    finding_pass(f, "%u/%u required keys present, owner and mode are right", present, total);
}

static void check_agent_env(Doctor *d, Finding *f)
{
    check_env(d, ENV_AGENT, &d->agent_env, f);
}

static void check_podman_user(Doctor *d, Finding *f)
{
    _cleanup_(error_done) Error err = {};
    const char *wanted = d->agent_env ? env_get(d->agent_env, "PODMAN_USER") : NULL;

    if (podman_user_find(wanted, &d->user, &err) < 0)
        finding_set(f, VERDICT_FAIL, "Until then nothing can be deployed.", "%s", error_message(&err, 0));
    else if (d->user.unnamed_root)
        finding_set(f, VERDICT_FAIL,
                    "Write PODMAN_USER=root into mgmt-agent.env to have it so, or deploy anew as another user: a "
                    "container that "
                    "breaks out of root's podman has the whole box.",
                    "the containers run as root, which nobody chose");
    else
        finding_pass(f, "the containers run as user %s", d->user.name);
}

static void check_secbox_env(Doctor *d, Finding *f)
{
    _cleanup_(env_freep) EnvFile *env = NULL;
    _cleanup_(freep) char *path = env_files_path(ENV_SECBOX);

    if (path && access(path, F_OK) < 0 && errno == ENOENT) {
        finding_pass(f, "not there yet: the first push makes it from mgmt-agent.env");
        return;
    }
    check_env(d, ENV_SECBOX, &env, f);
}

/* What each program told of its own: only its user knows what that may read. */
static void check_configuration(Doctor *d, Finding *f)
{
    _cleanup_(cJSON_Deletep) cJSON *faults = config_faults_read();
    _cleanup_(strv_freep) char **texts = NULL;
    const cJSON *fault;
    bool bad = false;

    (void) d;
    cJSON_ArrayForEach(fault, faults) {
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(fault, "error");
        const char *since = json_string(fault, "since");

        bad = bad || !str_equal(json_string(error, "id"), CONFIG_WAITS);
        if (strv_addf(&texts, "%s since %s: %s", json_string(fault, "program"), since ? since : "?",
                      json_string(error, "message")) < 0)
            return;
    }
    _cleanup_(freep) char *all = texts ? strv_join(texts, "; ") : NULL;
    if (bad)
        finding_set(f, VERDICT_FAIL, "Correct it; each program takes it within a minute, without a restart.", "%s",
                    all);
    else
        finding_pass(f, "%s", all ? all : "every program has taken its files");
}

static void check_tunnel(Doctor *d, Finding *f)
{
    const cJSON *link = cJSON_IsObject(d->status) ? cJSON_GetObjectItemCaseSensitive(d->status, "link") : NULL;

    if (!cJSON_IsObject(link)) {
        finding_set(f, VERDICT_UNKNOWN, "Make mgmt-agent answer first: only it knows.",
                    "mgmt-agent did not tell about the tunnel");
        return;
    }
    const char *gateway = json_string(link, "gateway");
    if (json_bool(link, "connected", false)) {
        finding_pass(f, "connected to %s", gateway ? gateway : "the gateway");
        return;
    }
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(link, "error");
    _cleanup_(freep) char *why = cJSON_IsObject(error) ? report_error(error) : report_member(link, "error");
    finding_set(f, VERDICT_FAIL, "Read `journalctl -u mgmt-link`; check MGMT_GATEWAY_URL, the network and the clock.",
                "not connected to %s: %s", gateway ? gateway : "the gateway",
                why ? why : "mgmt-link has not said why, or does not run");
}

/* Folders that containers made before the rules for them mount; what is wrong with each says what to do. */
static void check_binds(Doctor *d, Finding *f)
{
    const cJSON *binds = cJSON_GetObjectItemCaseSensitive(d->status, "unsafeBinds"),
                *first = binds ? binds->child : NULL;
    int n = cJSON_GetArraySize(binds);

    if (!d->status)
        finding_set(f, VERDICT_UNKNOWN, "See the check `agent`.", "mgmt-agent does not answer");
    else if (n == 0)
        finding_pass(f, "no container can change what another one mounts");
    else
        finding_set(
            f, VERDICT_FAIL,
            "Do what it says; `secboxctl status --json` has all of them. The containers go on, but a new compose file "
            "with such a mount is refused.",
            "%d unsafe mount%s: %s of service %s: %s", n, n == 1 ? "" : "s",
            json_string(first, "source") ? json_string(first, "source") : "?",
            json_string(first, "service") ? json_string(first, "service") : "?",
            json_string(first, "problem") ? json_string(first, "problem") : "?");
}

/* "web: down since …, exit code 7, restarted 4 times: the last line of its log" */
static char *trouble_text(const cJSON *service, const cJSON *trouble)
{
    _cleanup_(freep) char *code = report_member(trouble, "exitCode"), *restarts = report_member(trouble, "restarts");
    const char *log = json_string(trouble, "log"), *last = log ? strrchr(log, '\n') : NULL,
               *error = json_string(trouble, "error");
    _cleanup_(freep) char *line = log ? text_printable(last && last[1] ? last + 1 : log) : NULL;
    const char *what = json_string(trouble, "what"), *since = json_string(trouble, "since"),
               *name = json_string(service, "name");

    return str_format("%s: %s since %s, exit code %s, restarted %s times%s%s", name ? name : "-", what ? what : "-",
                      since ? since : "-", code ? code : "-", restarts ? restarts : "0", error || line ? ": " : "",
                      error  ? error
                      : line ? line
                             : "");
}

static void check_services(Doctor *d, Finding *f)
{
    const cJSON *watched = cJSON_IsObject(d->status) ? cJSON_GetObjectItemCaseSensitive(d->status, "watched") : NULL,
                *service;
    _cleanup_(strv_freep) char **bad = NULL;
    unsigned n = 0, by_hand = 0;

    if (!cJSON_IsArray(watched)) {
        finding_set(f, VERDICT_UNKNOWN, "Make mgmt-agent answer first: only it knows.",
                    "mgmt-agent did not tell about services");
        return;
    }
    cJSON_ArrayForEach(service, watched) {
        const cJSON *trouble = cJSON_GetObjectItemCaseSensitive(service, "trouble");
        _cleanup_(freep) char *text = NULL;

        n++;
        by_hand += str_equal(json_string(service, "state"), "stopped by hand");
        if (!cJSON_IsObject(trouble) || json_string(trouble, "until"))
            continue;
        text = trouble_text(service, trouble);
        if (!text || strv_add(&bad, text) < 0)
            return;
    }
    _cleanup_(freep) char *all = bad ? strv_join(bad, "; ") : NULL;
    if (all)
        finding_set(f, VERDICT_FAIL,
                    "mgmt-agent goes on trying; read the container's log (`podman logs`), then push a file or an image "
                    "that works.",
                    "%s", all);
    else
        finding_pass(f, "%u deployed, none is down%s", n, by_hand > 0 ? "; some were stopped by hand" : "");
}

const DoctorCheck doctor_checks[] = {
    { "agent", check_agent },
    { "mgmt-agent.env", check_agent_env },
    { "secbox.env", check_secbox_env },
    { "configuration", check_configuration },
    { "tunnel", check_tunnel },
    { "podman-user", check_podman_user },
    { "podman", check_podman },
    { "podman-compose", check_podman_compose },
    { "binds", check_binds },
    { "services", check_services },
    { "clock", check_clock },
    { "time-sync", check_time_sync },
    { "space-state", check_state_space },
    { "space-podman", check_podman_space },
    { "dns", check_dns },
    {},
};

static int add_json(cJSON *checks, const char *id, const Finding *f)
{
    cJSON *entry = cJSON_CreateObject();

    if (!entry || json_append(checks, entry) < 0)
        return -ENOMEM;
    if (json_add_string(entry, "id", id) < 0 || json_add_string(entry, "result", verdict_names[f->verdict]) < 0 ||
        json_add_string(entry, "detail", f->detail) < 0 || json_add_string(entry, "advice", f->advice) < 0)
        return -ENOMEM;
    return 0;
}

/* "DETAIL. ADVICE" */
static int add_row(Table *table, const char *id, const Finding *f)
{
    _cleanup_(freep) char *text =
        str_format("%s%s%s", f->detail ? f->detail : "", f->advice ? ". " : "", f->advice ? f->advice : "");
    return text ? table_row(table, id, verdict_names[f->verdict], text) : -ENOMEM;
}

static int run_checks(Doctor *d, cJSON *checks, Table *table, unsigned counts[3])
{
    for (size_t i = 0; doctor_checks[i].id; i++) {
        Finding f = { .verdict = VERDICT_UNKNOWN };

        doctor_checks[i].run(d, &f);
        counts[f.verdict]++;
        int r = add_json(checks, doctor_checks[i].id, &f);
        if (r >= 0)
            r = add_row(table, doctor_checks[i].id, &f);
        free(f.detail);
        free(f.advice);
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
    free(d->graph_root);
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

    (void) argc;
    (void) argv;
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

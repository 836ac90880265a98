/* SPDX-License-Identifier: MIT */
/* updates, update: new images, and what became of them. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/cli/table.h"
#include "lib/base/text.h"
#include "lib/cli/progress.h"
#include "lib/cli/report.h"
#include "mgmt-agent/secboxctl/agent-socket.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

#define ASK_TIMEOUT (30 * USEC_PER_SEC)
#define TEXT_MAX (256 * 1024)

static const cJSON *updates_of(const cJSON *answer)
{
    return cJSON_GetObjectItemCaseSensitive(answer, "updates");
}

static const char *short_digest(const cJSON *o, char buffer[20])
{
    const char *digest = json_string(o, "digest"), *id = json_string(o, "newImageId");

    if (!digest && !id)
        return NULL;
    snprintf(buffer, 20, "%.12s", digest && str_starts(digest, "sha256:") ? digest + 7 : digest ? digest : id);
    return buffer;
}

/* What is known of one service, in a few words. */
static char *state_of(const cJSON *entry)
{
    const char *state = json_string(entry, "state"), *held = json_string(entry, "held");
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(entry, "error");
    _cleanup_(freep) char *why = error ? report_error(error) : NULL;
    char digest[20];
    const char *news = short_digest(entry, digest);

    if (str_equal(json_string(entry, "source"), "no"))
        return str_format("not watched: %s", json_string(entry, "why"));
    if (str_equal(state, "new"))
        return str_format("new: %s%s%s%s%s%s", news ? news : "?",
                          json_bool(entry, "byHand", false) ? ", brought by hand" : "", held ? ", held back: " : "",
                          held ? held : "", why ? "; " : "", why ? why : "");
    return str_format("%s%s%s", str_equal(state, "unknown") ? "not asked yet" : state, why ? "; " : "", why ? why : "");
}

static int print_services(Buf *b, const cJSON *updates)
{
    static const char *const headers[] = { "SERVICE", "IMAGE", "WATCHED", "CHECKED", "STATE", NULL };
    _cleanup_(table_freep) Table *table = table_new(headers);
    _cleanup_(freep) char *rows = NULL;
    const cJSON *entry;

    if (!table)
        return -ENOMEM;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(updates, "services")) {
        _cleanup_(freep) char *state = state_of(entry);

        if (table_row(table, json_string(entry, "service"), json_string(entry, "image"),
                      json_bool(entry, "monitorOnly", false) ? "monitor only" : json_string(entry, "source"),
                      json_string(entry, "checkedAt"), state) < 0)
            return -ENOMEM;
    }
    rows = table_rows(table) > 0 ? table_print(table, 0) : strdup("nothing is deployed on this box\n");
    return rows ? buf_puts(b, rows) : -ENOMEM;
}

/* Each line made harmless, and set in. */
static int print_log(Buf *b, const char *log)
{
    int r = 0;

    while (r == 0 && log && *log) {
        size_t n = strcspn(log, "\n");
        _cleanup_(freep) char *line = strndup(log, n);
        _cleanup_(freep) char *safe = line ? text_printable(line) : NULL;

        r = safe ? buf_printf(b, "    %s\n", safe) : -ENOMEM;
        log += n + (log[n] == '\n');
    }
    return r;
}

static int print_failed(Buf *b, const cJSON *updates)
{
    const cJSON *entry, *failed = cJSON_GetObjectItemCaseSensitive(updates, "failed");
    int r = cJSON_GetArraySize(failed) > 0 ? buf_puts(b, "\nnot tried again, since it failed here:\n") : 0;

    cJSON_ArrayForEach(entry, failed) {
        const char *digest = json_string(entry, "digest");
        _cleanup_(freep) char *name = text_printable(digest ? digest : json_string(entry, "imageId"));
        _cleanup_(freep) char *image = text_printable(json_string(entry, "image"));
        _cleanup_(freep) char *at = text_printable(json_string(entry, "at"));
        _cleanup_(freep) char *why = report_error(cJSON_GetObjectItemCaseSensitive(entry, "error"));

        if (r == 0)
            r = name && image && at && why ? buf_printf(b, "  %s\n  %s at %s: %s\n", name, image, at, why) : -ENOMEM;
        if (r == 0)
            r = print_log(b, json_string(entry, "log"));
    }
    return r;
}

static int print_line(Buf *b, const char *label, const cJSON *o, const char *key)
{
    _cleanup_(freep) char *text = report_member(o, key);

    return text ? buf_printf(b, "%-14s %s\n", label, text) : 0;
}

static int print_when(Buf *b, const cJSON *updates)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(updates, "error");
    _cleanup_(freep) char *why = error ? report_error(error) : NULL;
    int r = why ? buf_printf(b, "settings: %s; no image is updated until this is right\n", why) : 0;

    if (r == 0)
        r = print_line(b, "held by:", updates, "lock");
    if (r == 0)
        r = print_line(b, "last check:", updates, "lastCheckAt");
    if (r == 0)
        r = print_line(b, "next check:", updates, "nextCheckAt");
    if (r == 0 && !json_bool(updates, "windowOpen", true))
        r = print_line(b, "window opens:", updates, "windowOpensAt");
    return r == 0 ? buf_puts(b, "\n") : r;
}

static int print_document(const cJSON *updates, int exit_code)
{
    _cleanup_(freep) char *line = report_json_line(updates);

    return report_text(line ? str_format("%s\n", line) : NULL, exit_code);
}

/* `follows`: documents of other kinds were printed before, one a line. */
static int show(const Secboxctl *ctl, const cJSON *answer, bool follows, int exit_code)
{
    const cJSON *updates = updates_of(answer);
    Buf b = BUF_INIT(TEXT_MAX);

    if (ctl->json)
        return follows ? print_document(updates, exit_code) : report_json(updates, exit_code);
    if (print_when(&b, updates) < 0 || print_services(&b, updates) < 0 || print_failed(&b, updates) < 0) {
        buf_done(&b);
        return report_text(NULL, exit_code);
    }
    return report_text(buf_take(&b), exit_code);
}

/* Of the project that is meant. */
static cJSON *make_request(const Secboxctl *ctl, const char *type)
{
    _cleanup_(cJSON_Deletep) cJSON *request = secboxctl_request(type);

    return secboxctl_add_project(ctl, request) == 0 ? TAKE_PTR(request) : NULL;
}

static int ask_and_show(const Secboxctl *ctl, cJSON *request)
{
    _cleanup_(agent_closep) AgentSocket *agent = NULL;
    _cleanup_(cJSON_Deletep) cJSON *answer = NULL;
    _cleanup_(error_done) Error err = {};
    int r = request ? secboxctl_connect(ctl, &agent, &err) : error_from_errno(&err, -ENOMEM, "make a request");

    if (r >= 0)
        r = agent_ask(agent, request, "updates.report", ASK_TIMEOUT, &answer, &err);
    return r < 0 ? secboxctl_fail(ctl, &err, r) : show(ctl, answer, false, EXIT_OK);
}

int verb_updates(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(cJSON_Deletep) cJSON *request = make_request(ctl, "updates.get");

    (void) argc;
    (void) argv;
    return ask_and_show(ctl, request);
}

static int forget(const Secboxctl *ctl)
{
    _cleanup_(cJSON_Deletep) cJSON *request = make_request(ctl, "updates.forget");
    _cleanup_(error_done) Error err = {};

    if (!request || json_add_string(request, "digest", ctl->forget) < 0)
        return secboxctl_fail(ctl, &err, -ENOMEM);
    return ask_and_show(ctl, request);
}

/* Who asks, behind sudo, too. */
static const char *own_name(void)
{
    const char *name = getenv("SUDO_USER");
    const struct passwd *pw = str_empty(name) ? getpwuid(getuid()) : NULL;

    return pw ? pw->pw_name : str_empty(name) ? "somebody" : name;
}

static int hold(const Secboxctl *ctl)
{
    _cleanup_(cJSON_Deletep) cJSON *request = make_request(ctl, "updates.hold");
    _cleanup_(freep) char *holder = ctl->lock ? str_format("%s: %s", own_name(), ctl->lock) : NULL;
    _cleanup_(error_done) Error err = {};

    if (!request || (ctl->lock && !holder) || json_add_string(request, "holder", holder) < 0)
        return secboxctl_fail(ctl, &err, -ENOMEM);
    return ask_and_show(ctl, request);
}

static cJSON *make_undo(const Secboxctl *ctl, const char *service)
{
    _cleanup_(cJSON_Deletep) cJSON *request = make_request(ctl, "updates.undo");

    return request && json_add_string(request, "service", service) == 0 ? TAKE_PTR(request) : NULL;
}

static cJSON *make_order(const Secboxctl *ctl, int argc, char **argv)
{
    _cleanup_(cJSON_Deletep) cJSON *request = make_request(ctl, "updates.check");
    cJSON *services = argc > 0 ? cJSON_CreateStringArray((const char *const *) argv, argc) : NULL;

    if (!request || (argc > 0 && json_add_item(request, "services", services) < 0) ||
        (ctl->force && json_add_bool(request, "force", true) < 0))
        return NULL;
    return TAKE_PTR(request);
}

/* What was asked for and is not so: news that a named service did not get, or a registry that did not answer. */
static bool falls_short(const cJSON *report, char *const *services)
{
    const cJSON *entry;

    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(updates_of(report), "services")) {
        bool named = strv_contains(services, json_string(entry, "service"));
        bool wanted = named || !services || !*services;

        if (wanted && cJSON_GetObjectItemCaseSensitive(entry, "error"))
            return true;
        if (named && (str_equal(json_string(entry, "state"), "new") || str_equal(json_string(entry, "source"), "no")))
            return true;
    }
    return false;
}

/* Each deployment is shown as it happens; whether all of them succeeded is the exit status. */
static int follow(const Secboxctl *ctl, AgentSocket *agent, const cJSON *request, char *const *services, usec_t timeout)
{
    _cleanup_(error_done) Error err = {};
    usec_t deadline = boottime_usec() + timeout;
    bool undoes = str_equal(json_string(request, "type"), "updates.undo");
    int exit_code = EXIT_OK, r = agent_send(agent, request, &err);
    ProgressView view;

    progress_start(&view, stdout, ctl->json);
    while (r >= 0) {
        _cleanup_(cJSON_Deletep) cJSON *message = NULL;
        const char *type;

        r = agent_receive(agent, json_string(request, "id"), deadline, &message, &err);
        type = json_string(message, "type");
        if (str_equal(type, "compose.progress")) {
            progress_event(&view, message);
        } else if (str_equal(type, "compose.result")) {
            if (progress_result(&view, message) != EXIT_OK)
                exit_code = EXIT_FAILED;
            if (undoes) {
                progress_stop(&view);
                return exit_code;
            }
            progress_start(&view, stdout, ctl->json); /* the next one counts from the beginning */
        } else if (str_equal(type, "updates.report")) {
            progress_stop(&view);
            return show(ctl, message, true, falls_short(message, services) ? EXIT_FAILED : exit_code);
        }
    }
    progress_stop(&view);
    return secboxctl_fail(ctl, &err, r);
}

int verb_update(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(agent_closep) AgentSocket *agent = NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = NULL;
    _cleanup_(error_done) Error err = {};
    usec_t timeout;
    int r;

    if ((ctl->forget || ctl->lock || ctl->unlock) && argc > 0) {
        r = error_set(&err, EINVAL, "usage", "--forget, --lock and --unlock take no services");
        return secboxctl_fail(ctl, &err, r);
    }
    if (ctl->undo && (argc != 1 || ctl->forget || ctl->lock || ctl->unlock || ctl->force)) {
        r = error_set(&err, EINVAL, "usage", "--undo takes one service, and stands alone");
        return secboxctl_fail(ctl, &err, r);
    }
    if (ctl->forget)
        return forget(ctl);
    if (ctl->lock || ctl->unlock)
        return hold(ctl);
    request = ctl->undo ? make_undo(ctl, argv[0]) : make_order(ctl, argc, argv);
    r = request ? secboxctl_timeout(ctl, &timeout, &err) : error_from_errno(&err, -ENOMEM, "make a request");
    if (r >= 0)
        r = secboxctl_connect(ctl, &agent, &err);
    return r < 0 ? secboxctl_fail(ctl, &err, r) : follow(ctl, agent, request, argv, timeout);
}

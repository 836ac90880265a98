/* SPDX-License-Identifier: MIT */
/* How messages read for people: tables and lines made from the JSON that boxes and gateways answer with. */
#include "lib/cli/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/cli/cli.h"
#include "lib/base/clock.h"
#include "lib/base/strv.h"
#include "lib/cli/report-health.h"
#include "lib/cli/table.h"
#include "lib/base/text.h"

#define DIGEST_SHOWN 19 /* "sha256:" and twelve digits */
#define LABEL_WIDTH 16

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

static const cJSON *member_object(const cJSON *object, const char *key)
{
    const cJSON *item = member(object, key);
    return cJSON_IsObject(item) ? item : NULL;
}

static double number(const cJSON *object, const char *key, double fallback)
{
    const cJSON *item = member(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : fallback;
}

char *report_member(const cJSON *object, const char *key)
{
    const cJSON *item = member(object, key);

    if (cJSON_IsString(item))
        return text_printable(item->valuestring);
    if (cJSON_IsNumber(item))
        return str_format("%.0f", item->valuedouble);
    return NULL;
}

char *report_error(const cJSON *error)
{
    const char *id = json_string(error, "id"), *message = json_string(error, "message");
    double line = number(error, "line", 0);

    return text_finding(json_string(error, "file"), line > 0 && line < 1e9 ? (unsigned) line : 0,
                        message ? message : "no reason was given", id, json_string(error, "key"));
}

char *report_when(const char *at)
{
    char age[TIMESTAMP_SIZE];
    usec_t time;

    if (!at || timestamp_parse(at, &time) < 0)
        return at ? strdup(at) : NULL;
    return str_format("%s (%s)", at, age_format(time, realtime_usec(), age));
}

/* "variables: A from secbox.env, B from the file's default", with a line feed; "" for none. */
static char *plan_variables(const cJSON *plan)
{
    const cJSON *entry;
    _cleanup_(strv_freep) char **parts = NULL;

    cJSON_ArrayForEach(entry, member(plan, "variables")) {
        const char *name = json_string(entry, "name"), *from = json_string(entry, "from");

        if (name && from &&
            strv_addf(&parts, "%s from %s", name, str_equal(from, "default") ? "the file's default" : from) < 0)
            return NULL;
    }
    _cleanup_(freep) char *all = parts ? strv_join(parts, ", ") : NULL, *shown = all ? text_printable(all) : NULL;
    return !parts ? strdup("") : shown ? str_format("variables: %s\n", shown) : NULL;
}

/* A line for each file that comes with the push and is not as it was; "" for none. */
static char *plan_files(const cJSON *plan)
{
    _cleanup_(strv_freep) char **lines = NULL;
    const cJSON *entry;

    cJSON_ArrayForEach(entry, member(plan, "files")) {
        _cleanup_(freep) char *path = report_member(entry, "path"), *change = report_member(entry, "change");

        if (path && change && strv_addf(&lines, "file %s: %s\n", path, change) < 0)
            return NULL;
    }
    double more = number(plan, "moreFiles", 0);
    if (more > 0 && strv_addf(&lines, "and %.0f files more\n", more) < 0)
        return NULL;
    return lines ? strv_join(lines, "") : strdup("");
}

char *report_plan(const cJSON *plan)
{
    static const char *const headers[] = { "SERVICE", "ACTION", "CONTAINER", "ENGINE", "REASON", NULL };
    _cleanup_(table_freep) Table *table = table_new(headers);
    _cleanup_(freep) char *rows = NULL, *variables = NULL, *files = NULL;
    unsigned changes = 0;
    const cJSON *step;

    if (!table)
        return NULL;
    cJSON_ArrayForEach(step, member(plan, "steps")) {
        const char *action = json_string(step, "action");
        if (!str_equal(action, "keep"))
            changes++;
        if (table_row(table, json_string(step, "service"), action, json_string(step, "container"),
                      json_string(step, "engine"), json_string(step, "reason")) < 0)
            return NULL;
    }
    rows = table_print(table, 0);
    variables = plan_variables(plan);
    files = plan_files(plan);
    if (!rows || !variables || !files)
        return NULL;
    if (changes == 0)
        return str_format("%s%s%snothing would change\n", table_rows(table) > 0 ? rows : "", variables, files);
    return str_format("%s%s%s%u of %zu would change\n", rows, variables, files, changes, table_rows(table));
}

static const char *outcome_of(const cJSON *result)
{
    const char *outcome = json_string(result, "outcome");

    if (str_equal(outcome, "done") && json_bool(result, "noop", false))
        return "done (no change)";
    return outcome;
}

/* What a deployment's `state` at the gateway is called here when there is no result. */
static const char *state_of(const cJSON *deployment)
{
    const char *state = json_string(deployment, "state");
    return !state || str_equal(state, "open") ? "running" : state;
}

/* A result's `seconds`, or those between a deployment's two times: a new string or NULL. */
static char *seconds_of(const cJSON *entry, const cJSON *result)
{
    const char *from = json_string(entry, "createdAt"), *to = json_string(entry, "finishedAt");
    double seconds = number(result, "seconds", -1);
    usec_t start, end;

    if (seconds < 0 && from && to && timestamp_parse(from, &start) >= 0 && timestamp_parse(to, &end) >= 0 &&
        end >= start)
        seconds = (double) (end - start) / (double) USEC_PER_SEC;
    return seconds >= 0 ? str_format("%.1f", seconds) : NULL;
}

/* The phase that failed, where a result tells it apart from its outcome. */
static const char *phase_of(const cJSON *result)
{
    const char *failed = json_string(result, "failedPhase");
    return failed ? failed : json_string(result, "phase");
}

static const char *first_string(const cJSON *object, const char *key, const char *other_key)
{
    const char *text = json_string(object, key);
    return text ? text : json_string(object, other_key);
}

/* The version of an agent update: of the order, or of a result of the box. */
static const char *package_to(const cJSON *entry)
{
    const char *target = json_string(entry, "target");
    return target ? target : json_string(member(entry, "package"), "to");
}

static const char *release_to(const cJSON *entry)
{
    const char *target = json_string(entry, "target");
    return target ? target : json_string(member(entry, "release"), "to");
}

/* What was done, where it was no push from the cloud: "back to 7, on the box". A new string, NULL when there is nothing to say. */
static char *what_of(const cJSON *entry)
{
    const char *kind = json_string(entry, "kind"), *target = json_string(entry, "target");
    const char *image = json_string(entry, "image"), *digest = json_string(entry, "digest");
    const char *local = json_bool(entry, "local", false) ? "on the box" : NULL;
    _cleanup_(freep) char *what = NULL;

    if (str_equal(kind, "rollback"))
        what = str_format("back%s%s", target ? " to " : "", target ? target : "");
    else if (str_equal(kind, "agent"))
        what = str_format("agents%s%s", package_to(entry) ? " to " : "", package_to(entry) ? package_to(entry) : "");
    else if (str_equal(kind, "release") && release_to(entry))
        what = str_format("release %s", release_to(entry));
    else if (image)
        what = str_format("%s to %.*s", image, DIGEST_SHOWN, digest ? digest : "-");
    else if (kind && local)
        what = strdup(kind);
    if (!local)
        return TAKE_PTR(what);
    return str_format("%s%s%s", what ? what : "", what ? ", " : "", local);
}

/* Why there was this deployment: what it was, and its reason. A new string, NULL when neither is known. */
static char *why_of(const cJSON *entry)
{
    const char *reason = json_string(entry, "reason");
    _cleanup_(freep) char *what = what_of(entry);

    if (!what)
        return reason ? strdup(reason) : NULL;
    return str_format("%s%s%s", what, reason ? ": " : "", reason ? reason : "");
}

static int history_row(Table *table, const cJSON *entry)
{
    const cJSON *nested = member_object(entry, "result"), *result = nested ? nested : entry;
    _cleanup_(freep) char *version = report_member(entry, "version"), *status = report_member(result, "status");
    _cleanup_(freep) char *seconds = seconds_of(entry, result), *why = why_of(entry);
    const char *at = json_string(result, "at"), *outcome = outcome_of(result);

    if (!version)
        version = report_member(result, "version");
    if (member_object(result, "error")) {
        free(why);
        why = report_error(member(result, "error"));
    }
    return table_row(table, version, at ? at : first_string(entry, "finishedAt", "createdAt"),
                     outcome ? outcome : state_of(entry), status, phase_of(result), seconds, why);
}

char *report_history(const cJSON *entries)
{
    static const char *const headers[] = { "VERSION", "AT", "OUTCOME", "STATUS", "PHASE", "SECONDS", "WHY", NULL };
    _cleanup_(table_freep) Table *table = table_new(headers);
    const cJSON *entry;

    if (!table)
        return NULL;
    cJSON_ArrayForEach(entry, entries) {
        if (history_row(table, entry) < 0)
            return NULL;
    }
    return table_rows(table) > 0 ? table_print(table, 0) : str_format("no push yet\n");
}

char *report_result_line(const cJSON *result)
{
    _cleanup_(freep) char *version = report_member(result, "version"), *status = report_member(result, "status");
    _cleanup_(freep) char *error = NULL, *raw = NULL;
    const char *phase = phase_of(result), *outcome = outcome_of(result);

    if (!cJSON_IsObject(result))
        return str_format("none yet");
    if (member_object(result, "error"))
        error = report_error(member(result, "error"));
    bool phase_tells = phase && !str_equal(phase, json_string(result, "outcome"));
    raw = str_format("version %s: %s, %s%s%s%s%s", version ? version : "-", outcome ? outcome : "-",
                     status ? status : "-", phase_tells ? " in phase " : "", phase_tells ? phase : "",
                     error ? ": " : "", error ? error : "");
    return raw ? text_printable(raw) : NULL;
}

const char *report_last_label(const cJSON *result)
{
    static const struct {
        const char *kind, *label;
    } labels[] = {
        { "update", "last update" },
        { "rollback", "last rollback" },
        { "recreate", "last recreate" },
        { "agent", "agents' update" },
    };
    const char *kind = json_string(result, "kind");

    for (size_t i = 0; kind && i < ELEMENTSOF(labels); i++)
        if (str_equal(labels[i].kind, kind))
            return labels[i].label;
    return kind ? "last change" : "last push";
}

/* One "label   value" line; value may be NULL. Takes value. */
static void status_line(FILE *out, const char *label, char *value)
{
    _cleanup_(freep) char *printable = text_printable(value ? value : "-");
    free(value);
    fprintf(out, "%-*s%s\n", LABEL_WIDTH, label, printable ? printable : "-");
}

static const char *or_dash(const char *s)
{
    return str_empty(s) ? "-" : s;
}

static void status_programs(FILE *out, const cJSON *status)
{
    const cJSON *agent = member(status, "agent"), *compose = member(status, "podmanCompose");
    _cleanup_(freep) char *pid = report_member(agent, "pid"), *since = report_when(json_string(agent, "startedAt"));

    status_line(out, "device", report_member(status, "deviceId"));
    status_line(
        out, "agent",
        str_format("%s, pid %s, since %s", or_dash(json_string(agent, "version")), or_dash(pid), or_dash(since)));
    status_line(out, "podman",
                str_format("%s, as user %s", or_dash(json_string(member(status, "podman"), "version")),
                           or_dash(json_string(status, "podmanUser"))));
    status_line(out, "podman-compose",
                str_format("%s, strategy %s", or_dash(json_string(compose, "version")),
                           or_dash(json_string(compose, "strategy"))));
}

static void status_link(FILE *out, const cJSON *link)
{
    const cJSON *error = member(link, "error");
    _cleanup_(freep) char *why = cJSON_IsObject(error) ? report_error(error) : report_member(link, "error");
    _cleanup_(freep) char *since = report_when(json_string(link, "since")),
                          *next = report_when(json_string(link, "nextTryAt"));
    _cleanup_(freep) char *until = report_when(json_string(link, "tokenExpiresAt"));
    const char *gateway = or_dash(json_string(link, "gateway"));

    if (json_bool(link, "connected", false))
        status_line(out, "tunnel", str_format("connected to %s since %s", gateway, or_dash(since)));
    else
        status_line(out, "tunnel",
                    str_format("not connected to %s%s%s: %s", gateway, since ? " since " : "", since ? since : "",
                               why ? why : "mgmt-link has not said why"));
    if (next)
        status_line(out, "next try", strdup(next));
    if (until)
        status_line(out, "token", str_format("good until %s", until));
}

static void status_push(FILE *out, const cJSON *status)
{
    const cJSON *current = member_object(status, "current"), *pending = member_object(status, "pending");
    _cleanup_(freep) char *version = report_member(current, "version"), *next = report_member(pending, "version");
    _cleanup_(freep) char *since = report_when(json_string(current, "at"));
    const cJSON *env = member(status, "env");

    if (json_bool(env, "ok", false))
        status_line(out, "env files", str_format("ok"));
    else
        status_line(out, "env files", report_error(member(env, "error")));
    if (current)
        status_line(out, "current",
                    str_format("version %s since %s, sha256 %.12s", or_dash(version), or_dash(since),
                               or_dash(json_string(current, "sha256"))));
    else
        status_line(out, "current",
                    str_format("%s", member_object(status, "last") ? "nothing: no push has succeeded yet"
                                                                   : "nothing was pushed yet"));
    if (pending && next)
        status_line(out, "pending",
                    str_format("version %s, in phase %s", next, or_dash(json_string(pending, "phase"))));
    else if (pending)
        status_line(out, "pending", str_format("a change is under way: %s", or_dash(json_string(pending, "phase"))));
    status_line(out, report_last_label(member(status, "last")), report_result_line(member(status, "last")));
}

/* What secbox and recovery-agent wait for, until the management tunnel has been up with their keys. */
static void status_keys(FILE *out, const cJSON *status)
{
    const cJSON *keys = member_object(status, "keys");
    const char *secbox = json_string(keys, "device"), *recovery = json_string(keys, "recovery");

    if (keys)
        status_line(out, "keys",
                    str_format("secbox %.8s, recovery-agent %.8s: %s", or_dash(secbox), or_dash(recovery),
                               json_bool(member(status, "link"), "connected", false)
                                   ? "vouched for"
                                   : "a new one waits for the management tunnel, to be vouched for"));
}

/* The last update of the packages that look after the box, if there was one. */
static void status_agent_update(FILE *out, const cJSON *update)
{
    const char *why = json_string(update, "why");

    if (update)
        status_line(out, "agent update",
                    str_format("%s to %s: %s%s%s", or_dash(json_string(update, "package")),
                               or_dash(json_string(update, "to")), or_dash(json_string(update, "state")),
                               why ? ": " : "", why ? why : ""));
}

static const cJSON *named(const cJSON *services, const char *name)
{
    const cJSON *service;

    cJSON_ArrayForEach(service, services)
        if (name && str_equal(json_string(service, "name"), name))
            return service;
    return NULL;
}

/* podman's word for a container, and what the watch on its service makes of it: "running", "exited (stopped by hand)". */
static char *state_text(const char *podman, const char *watched)
{
    bool more = watched && !str_equal(watched, podman) && !str_equal(watched, "unknown");

    return str_format("%s%s%s%s", podman ? podman : "-", more ? " (" : "", more ? watched : "", more ? ")" : "");
}

static int service_row(Table *table, const cJSON *service, const cJSON *watched)
{
    const cJSON *trouble = member_object(watched, "trouble"), *numbers = service;
    _cleanup_(freep) char *state = state_text(json_string(service, "state"), json_string(watched, "state"));

    if (trouble && !json_string(trouble, "until"))
        numbers = trouble;
    _cleanup_(freep) char *restarts = report_member(numbers, "restarts"), *code = report_member(numbers, "exitCode");
    return state ? table_row(table, json_string(watched ? watched : service, "name"), state,
                             json_string(service, "health"), restarts, code, json_string(watched, "since"),
                             json_string(service, "container"), json_string(service, "image"))
                 : -ENOMEM;
}

/* What podman knows; and what it does not know any more, or cannot tell now. */
static char *services_table(const cJSON *status)
{
    static const char *const headers[] = { "SERVICE", "STATE",     "HEALTH", "RESTARTS", "EXIT",
                                           "SINCE",   "CONTAINER", "IMAGE",  NULL };
    _cleanup_(table_freep) Table *table = table_new(headers);
    const cJSON *services = member(status, "services"), *watched = member(status, "watched"), *service;

    if (!table)
        return NULL;
    cJSON_ArrayForEach(service, services)
        if (service_row(table, service, named(watched, json_string(service, "name"))) < 0)
            return NULL;
    cJSON_ArrayForEach(service, watched)
        if (!named(services, json_string(service, "name")) && service_row(table, NULL, service) < 0)
            return NULL;
    if (table_rows(table) > 0)
        return table_print(table, 0);
    return str_format("%s", cJSON_IsArray(services) ? "no services run\n" : "which services run is not known\n");
}

/* Nothing where the box has no project but its own. */
static void status_projects(FILE *out, const cJSON *status)
{
    _cleanup_(cJSON_Deletep) cJSON *document = NULL;
    _cleanup_(freep) char *table = NULL;

    if (cJSON_GetArraySize(member(status, "projects")) == 0)
        return;
    document = report_projects_of(status);
    table = document ? report_projects(document) : NULL;
    fprintf(out, "\n%s", table ? table : "out of memory\n");
}

char *report_status(const cJSON *status)
{
    _cleanup_(freep) char *services = services_table(status), *health = report_health(member(status, "health")),
                          *secbox = report_health(member(status, "secbox"));
    char *text = NULL;
    size_t size = 0;

    if (!services || !health || !secbox)
        return NULL;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    status_programs(out, status);
    status_link(out, member(status, "link"));
    status_keys(out, status);
    status_push(out, status);
    status_agent_update(out, member_object(status, "agentUpdate"));
    if (member_object(status, "error"))
        status_line(out, "containers", report_error(member(status, "error")));
    fprintf(out, "%s%s%s%s\n%s", *health ? "\n" : "", health, *secbox ? "\nsecbox\n" : "", secbox, services);
    status_projects(out, status);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* {"error": …} */
static cJSON *failure_json(const Error *err, int r)
{
    _cleanup_(cJSON_Deletep) cJSON *document = cJSON_CreateObject();

    if (!document || json_add_item(document, "error", json_from_error(err, r)) < 0)
        return NULL;
    return TAKE_PTR(document);
}

int report_failure(const char *program, bool json, const Error *err, int r, int exit_code)
{
    _cleanup_(freep) char *text = text_error(err, r);

    if (text && err && err->file)
        fprintf(stderr, "%s\n", text);
    else
        fprintf(stderr, "%s: %s\n", program, text ? text : "out of memory");
    if (json) {
        _cleanup_(cJSON_Deletep) cJSON *document = failure_json(err, r);
        (void) report_json(document, exit_code);
    }
    return exit_code;
}

void report_other_errors(const ErrorList *list)
{
    for (size_t i = 1; i < list->n; i++) {
        _cleanup_(freep) char *text = text_error(&list->items[i], -EINVAL);

        fprintf(stderr, "%s\n", text ? text : "out of memory");
    }
}

char *report_json_line(const cJSON *document)
{
    _cleanup_(freep) char *text = json_print(document);
    return text ? text_escape_json(text) : NULL;
}

int report_json(const cJSON *document, int exit_code)
{
    _cleanup_(freep) char *text = document ? json_print_pretty(document) : NULL;
    _cleanup_(freep) char *harmless = text ? text_escape_json(text) : NULL;
    return report_text(harmless ? str_format("%s\n", harmless) : NULL, exit_code);
}

int report_text(char *text, int exit_code)
{
    return report_bytes(text, text ? strlen(text) : 0, exit_code);
}

int report_bytes(char *text, size_t len, int exit_code)
{
    _cleanup_(freep) char *owned = text;

    if (!owned) {
        fprintf(stderr, "out of memory\n");
        return EXIT_FAILED;
    }
    if (fwrite(owned, 1, len, stdout) != len || fflush(stdout) != 0) {
        fprintf(stderr, "cannot write to standard output: %s\n", error_message(NULL, -errno));
        return EXIT_FAILED;
    }
    return exit_code;
}

/* SPDX-License-Identifier: MIT */
/* Shows a push as it happens. Seconds are taken from the events' own times, so that a late answer does not change them. */
#include "lib/cli/progress.h"

#include <string.h>

#include "lib/cli/cli.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"

#define PHASE_WIDTH 24

void progress_start(ProgressView *v, FILE *out, bool json)
{
    *v = (ProgressView) { .out = out, .json = json, .live = !json && isatty(fileno(out)) == 1 };
}

static void print_json_line(FILE *out, const cJSON *value)
{
    _cleanup_(freep) char *text = report_json_line(value);
    if (text)
        fprintf(out, "%s\n", text);
    fflush(out);
}

static usec_t event_time(const cJSON *event)
{
    usec_t at;
    const char *text = json_string(event, "at");
    return text && timestamp_parse(text, &at) >= 0 ? at : realtime_usec();
}

static void clear_line(const ProgressView *v)
{
    if (v->live)
        fputs("\r\033[K", v->out);
}

static void show_running(const ProgressView *v)
{
    if (v->live && v->phase[0])
        fprintf(v->out, "  %-*s …", PHASE_WIDTH, v->phase);
    fflush(v->out);
}

void progress_stop(ProgressView *v)
{
    if (v->live && v->phase[0])
        fputc('\n', v->out);
    fflush(v->out);
    v->phase[0] = '\0';
}

static void end_phase(ProgressView *v, const char *outcome, usec_t now, const char *note)
{
    _cleanup_(freep) char *text = text_printable(note);
    double seconds = now > v->phase_started ? (double) (now - v->phase_started) / (double) USEC_PER_SEC : 0;

    if (!v->phase[0])
        return;
    clear_line(v);
    fprintf(v->out, "  %-*s %-6s %7.1f s%s%s\n", PHASE_WIDTH, v->phase, outcome, seconds, str_empty(text) ? "" : "  ",
            text ? text : "");
    v->phase[0] = '\0';
}

static void begin_phase(ProgressView *v, const char *phase, usec_t now)
{
    _cleanup_(freep) char *text = text_printable(phase);
    snprintf(v->phase, sizeof(v->phase), "%s", text ? text : "-");
    v->phase_started = now;
}

/* A container's log comes as one message of many lines: its first line is a heading for the rest. */
static void show_info(ProgressView *v, const cJSON *event)
{
    _cleanup_(freep) char *service = text_printable(json_string(event, "service"));
    const char *line = json_string(event, "message");
    bool first = true;

    clear_line(v);
    while (!str_empty(line)) {
        size_t len = strcspn(line, "\n");
        _cleanup_(freep) char *raw = strndup(line, len), *text = text_printable(raw);

        if (first)
            fprintf(v->out, "    %s%s%s\n", service ? service : "", str_empty(service) ? "" : ": ", text ? text : "");
        else
            fprintf(v->out, "      | %s\n", text ? text : "");
        first = false;
        line += line[len] ? len + 1 : len;
    }
}

static int event_is_new(ProgressView *v, const cJSON *event)
{
    uint64_t seq;

    if (json_u64(event, "seq", &seq) < 0)
        return 1;
    if (v->any_seq && seq <= v->last_seq)
        return 0;
    v->any_seq = true;
    v->last_seq = seq;
    return 1;
}

int progress_event(ProgressView *v, const cJSON *event)
{
    const char *phase = json_string(event, "phase"), *state = json_string(event, "state");
    usec_t now = event_time(event);

    if (!event_is_new(v, event))
        return 0;
    if (v->json) {
        print_json_line(v->out, event);
        return 1;
    }
    if (str_equal(state, "info")) {
        show_info(v, event);
    } else if (phase) {
        if (v->phase[0] && !str_equal(v->phase, phase))
            end_phase(v, str_equal(phase, "rolling-back") ? "failed" : "ok", now, NULL);
        if (!v->phase[0] && !str_equal(phase, "done")) /* the end is told by the result */
            begin_phase(v, phase, now);
        if (str_equal(state, "done") || str_equal(state, "failed"))
            end_phase(v, str_equal(state, "done") ? "ok" : "failed", now, json_string(event, "message"));
    }
    show_running(v);
    return 1;
}

static void show_log(FILE *out, const char *service, const cJSON *lines)
{
    _cleanup_(freep) char *name = text_printable(service);
    const cJSON *line;

    if (!cJSON_IsArray(lines) || cJSON_GetArraySize(lines) == 0)
        return;
    fprintf(out, "  last lines of %s:\n", str_empty(name) ? "the container's log" : name);
    cJSON_ArrayForEach(line, lines) {
        _cleanup_(freep) char *text = text_printable(cJSON_IsString(line) ? line->valuestring : "");
        fprintf(out, "    | %s\n", text ? text : "");
    }
}

static void show_logs(FILE *out, const cJSON *result)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(result, "error"), *service;

    if (cJSON_IsObject(error))
        show_log(out, json_string(error, "service"), cJSON_GetObjectItemCaseSensitive(error, "log"));
    cJSON_ArrayForEach(service, cJSON_GetObjectItemCaseSensitive(result, "services")) {
        if (cJSON_IsObject(service))
            show_log(out, json_string(service, "name"), cJSON_GetObjectItemCaseSensitive(service, "log"));
    }
}

static void show_services(FILE *out, const cJSON *result)
{
    const cJSON *service;

    cJSON_ArrayForEach(service, cJSON_GetObjectItemCaseSensitive(result, "services")) {
        _cleanup_(freep) char *name = text_printable(json_string(service, "name"));
        _cleanup_(freep) char *action = text_printable(json_string(service, "action"));
        _cleanup_(freep) char *image = text_printable(json_string(service, "image"));
        if (!str_empty(action) && !str_equal(action, "keep"))
            fprintf(out, "  %-*s %-8s %s\n", PHASE_WIDTH, name ? name : "-", action, image ? image : "-");
    }
}

/* What an outcome means for the person who pushed; "failed" is the only one where nothing was touched. */
static const struct {
    const char *outcome, *meaning;
} meanings[] = {
    { "failed", "nothing was touched: the box runs what it ran before" },
    { "rolled-back", "all is as it was: the box runs what it ran before" },
    { "recovery", "the rollback failed too: the box is left as it is; go in by bridge SSH" },
    {},
};

static const char *outcome_meaning(const char *outcome)
{
    for (size_t i = 0; meanings[i].outcome; i++)
        if (str_equal(meanings[i].outcome, outcome))
            return meanings[i].meaning;
    return NULL;
}

/* How the phase that still ran at the end went: a rollback that brought the old containers back went well. */
static const char *last_phase_outcome(const ProgressView *v, const cJSON *result, int exit_code)
{
    const char *failed = json_string(result, "failedPhase");

    if (exit_code == EXIT_OK)
        return "ok";
    return failed && !str_equal(failed, v->phase) && str_equal(json_string(result, "outcome"), "rolled-back")
               ? "ok"
               : "failed";
}

int progress_result(ProgressView *v, const cJSON *result)
{
    uint64_t status = 0;
    int exit_code = json_u64(result, "status", &status) >= 0 && status == 200 ? EXIT_OK : EXIT_FAILED;
    const cJSON *seconds = cJSON_GetObjectItemCaseSensitive(result, "seconds");
    const char *meaning = outcome_meaning(json_string(result, "outcome"));

    if (v->json) {
        print_json_line(v->out, result);
        return exit_code;
    }
    end_phase(v, last_phase_outcome(v, result, exit_code), event_time(result), NULL);

    _cleanup_(freep) char *line = report_result_line(result);
    fprintf(v->out, "%s", line ? line : "out of memory");
    if (cJSON_IsNumber(seconds))
        fprintf(v->out, " (%.1f s)", seconds->valuedouble);
    fputc('\n', v->out);
    if (exit_code == EXIT_OK)
        show_services(v->out, result);
    else if (meaning)
        fprintf(v->out, "  %s\n", meaning);
    show_logs(v->out, result);
    fflush(v->out);
    return exit_code;
}

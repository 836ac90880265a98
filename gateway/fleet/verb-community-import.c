/* SPDX-License-Identifier: MIT */
/* community import: a file goes up in parts, which the gateway puts aside, and is taken over at the end, or not at all. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/fleet/fleet.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/base/uuid.h"
#include "lib/cli/confirm.h"
#include "lib/cli/report.h"
#include "lib/data/json.h"

#define PART_TIMEOUT (60 * USEC_PER_SEC)
#define FINISH_TIMEOUT (150 * USEC_PER_SEC)
#define FILE_MAX ((size_t) 512 * 1024 * 1024)
#define PART_SIZE ((size_t) 512 * 1024)
#define PART_MAX ((size_t) 1000 * 1000)

typedef struct FileParts {
    Fleet *fleet;
    const char *file;
    char *text; /* owned */
    size_t len, at;
    bool csv;
    size_t head;   /* length of a CSV file's first line, which goes in front of each part */
    uint64_t line; /* of what is at `at` */
    char *path;    /* of the request, without what differs; owned */
    uint64_t rows; /* that the gateway has put aside */
    uint64_t errors;
    bool live; /* the line with the progress is written over */
} FileParts;

/* The end of the record that begins at `at`, and how many lines it has. A quoted field may hold line ends; in CSV, a lone CR is
 * one. */
static size_t record_end(const FileParts *p, size_t at, uint64_t *lines)
{
    bool in_quotes = false;
    for (; at < p->len; at++) {
        if (p->csv && p->text[at] == '"')
            in_quotes = !in_quotes;
        if (p->text[at] != '\n' && !(p->csv && p->text[at] == '\r' && p->text[at + 1] != '\n'))
            continue;
        (*lines)++;
        if (!in_quotes)
            return at + 1;
    }
    return at;
}

static void show_progress(FileParts *p, bool end)
{
    if (p->fleet->json || (!p->live && !end))
        return;
    fprintf(stderr, "%s%llu lines, %zu of %zu bytes%s", p->live ? "\r" : "", (unsigned long long) p->line - 1, p->at,
            p->len, end ? "\n" : "");
}

static void show_errors(FileParts *p, const ApiReply *reply)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(reply->body, "errors")) {
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(entry, "error");
        const cJSON *line = cJSON_GetObjectItemCaseSensitive(entry, "line");
        _cleanup_(freep) char *text =
            text_finding(p->file, cJSON_IsNumber(line) && line->valuedouble > 0 ? (unsigned) line->valuedouble : 0,
                         json_string(error, "message"), json_string(error, "id"), NULL);
        fprintf(stderr, "%s%s\n", p->live ? "\n" : "", text ? text : p->file);
    }
    const cJSON *count = cJSON_GetObjectItemCaseSensitive(reply->body, "errorCount");
    p->errors += cJSON_IsNumber(count) ? (uint64_t) count->valuedouble : 0;
}

/* What the last request has to name, so that nothing is taken over when the gateway has lost a part. */
static int count_rows(FileParts *p, const ApiReply *reply, Error *err)
{
    uint64_t rows;
    if (json_u64(reply->body, "rows", &rows) < 0)
        return error_set(err, EHOSTUNREACH, "api.bad-answer",
                         "the gateway does not say how many rows it has put aside");
    p->rows += rows;
    return 0;
}

/* The next part goes up. */
static int send_part(FileParts *p, ApiReply *reply, Error *err)
{
    uint64_t line = p->line;
    size_t end = p->at;
    while (end < p->len && end - p->at < PART_SIZE)
        end = record_end(p, end, &p->line);
    size_t len = p->head + end - p->at;
    if (len > PART_MAX)
        return error_set_at(err, EINVAL, "usage", p->file, (unsigned) line, NULL,
                            "a record is larger than any row may be");
    _cleanup_(freep) char *path = str_format("%s&line=%llu", p->path, (unsigned long long) line);
    _cleanup_(freep) char *part = malloc(len + 1);
    if (!path || !part)
        return error_from_errno(err, -ENOMEM, "make a request");
    memcpy(part, p->text, p->head);
    memcpy(part + p->head, p->text + p->at, end - p->at);
    int r = api_send(&p->fleet->api, "POST", path, p->csv ? "text/csv" : "application/x-ndjson", part, len,
                     PART_TIMEOUT, reply, err);
    if (r < 0)
        return r;
    p->at = end;
    show_errors(p, reply);
    show_progress(p, false);
    return count_rows(p, reply, err);
}

static int open_file(FileParts *p, const char *community, const char *table, Error *err)
{
    char upload[UUID_SIZE];
    uuid4_make(upload);
    _cleanup_(freep) char *c = api_encode(community), *t = api_encode(table);
    p->csv = str_ends(p->file, ".csv") || str_ends(p->file, ".CSV");
    p->line = 1;
    p->live = isatty(STDERR_FILENO) == 1;
    int r = file_read(p->file, FILE_MAX, &p->text, &p->len, err);
    if (r < 0)
        return r;
    if (p->csv)
        p->head = p->at = record_end(p, 0, &p->line);
    p->path = c && t ? str_format("/v1/communities/%s/import?table=%s&format=%s&upload=%s", c, t,
                                  p->csv ? "csv" : "ndjson", upload)
                     : NULL;
    return p->path ? 0 : error_from_errno(err, -ENOMEM, "make a request");
}

static int finish(FileParts *p, ApiReply *reply, Error *err)
{
    _cleanup_(freep) char *path =
        str_format("%s&finish=1&mode=%s&dryRun=%d&rows=%llu", p->path, p->fleet->replace ? "replace" : "merge",
                   p->fleet->dry_run ? 1 : 0, (unsigned long long) p->rows);
    if (!path)
        return error_from_errno(err, -ENOMEM, "make a request");
    int r = api_send(&p->fleet->api, "POST", path, NULL, NULL, 0, FINISH_TIMEOUT, reply, err);
    if (r < 0)
        show_errors(p, reply);
    return r;
}

static char *summary(const ApiReply *reply, bool dry_run)
{
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(reply->body, "import");
    _cleanup_(freep) char *rows = report_member(o, "rows"), *created = report_member(o, "created");
    _cleanup_(freep) char *changed = report_member(o, "changed"), *deleted = report_member(o, "deleted");
    _cleanup_(freep) char *same = report_member(o, "same");
    if (!rows || !created || !changed || !deleted || !same)
        return NULL;
    return str_format("%s rows: %s new, %s changed, %s deleted, %s as before%s\n", rows, created, changed, deleted,
                      same, dry_run ? "; nothing was imported" : "");
}

static int confirm(const FileParts *p, const char *table, const char *community, Error *err)
{
    if (!p->fleet->replace || p->fleet->dry_run)
        return 0;
    _cleanup_(freep) char *question =
        str_format("delete the %s of %s that %s does not have?", table, community, p->file);
    return question ? cli_confirm(p->fleet->yes, question, err) : -ENOMEM;
}

int verb_community_import(int argc _unused_, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    FileParts p = { .fleet = fleet, .file = argv[2] };
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    int r = open_file(&p, argv[0], argv[1], &err);
    if (r >= 0)
        r = confirm(&p, argv[1], argv[0], &err);
    if (r >= 0)
        r = fleet_begin(fleet, &err);
    while (r >= 0 && p.at < p.len)
        r = send_part(&p, &reply, &err);
    if (r >= 0) {
        show_progress(&p, true);
        r = p.errors > 0 ? error_set(&err, EBADMSG, "import.lines", "%llu lines are not good, so nothing was imported",
                                     (unsigned long long) p.errors)
                         : finish(&p, &reply, &err);
    }
    free(p.text);
    free(p.path);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    return fleet->json ? report_json(reply.body, EXIT_OK) : report_text(summary(&reply, fleet->dry_run), EXIT_OK);
}

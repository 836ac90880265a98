/* SPDX-License-Identifier: MIT */
/* A file comes in parts, which are put aside, and at the end all of them are taken over in one transaction. A client may make the
 * parts itself, one a request; of a long body they are made here, and nothing more is read of it while the database has one. */
#include "gateway/communities/api-import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/communities/import-lines.h"
#include "gateway/communities/import-splitter.h"
#include "gateway/store/import-table.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define STREAMS_MAX 4 /* each has a part in memory, as text, as rows and as a statement */
#define PATH_PREFIX "/v1/communities/"
#define PATH_SUFFIX "/import"

/* One request of an import. */
typedef struct Import {
    ImportApi *api;
    ImportLines lines;
    char id[UUID_SIZE];
    bool csv;
    /* of a long body */
    bool streams, body_is_over;
    bool aside; /* parts are put aside that nobody else would remove */
    ImportSplitter splitter;
    cJSON *errors; /* of all parts, as many as are told */
    unsigned n_errors, n_parts;
    bool replace, dry_run, finish;
    bool whole;    /* there are no other parts */
    uint64_t rows; /* of all parts, as the client counts them */
} Import;

static void import_free(void *import)
{
    Import *i = import;
    import_lines_done(&i->lines);
    import_splitter_done(&i->splitter);
    cJSON_Delete(i->errors);
    i->api->streams -= i->streams;
    if (i->aside && store_query(i->api->store, sql_import_forget(i->id), NULL, NULL, NULL, NULL) < 0)
        log_debug("an import stays put aside until tomorrow");
    free(i);
}

static ImportTarget target(const Import *i)
{
    return (ImportTarget) { i->id, i->lines.community, row_kind_name(i->lines.kind) };
}

static void fail(Request *c, const char *id, const char *message)
{
    Error err = {};
    request_fail(c, error_set(&err, EINVAL, id, "%s", message), &err);
    error_done(&err);
}

/* {"error", "errors", "errorCount"}; takes `errors`. */
static void answer_errors(Request *c, cJSON *errors, double count)
{
    _cleanup_(cJSON_Deletep) cJSON *owned = errors, *body = cJSON_CreateObject();
    Error err = {};
    error_set(&err, EBADMSG, "import.lines", "nothing was imported: see the errors of its lines");
    if (!body || json_add_item(body, "error", json_from_error(&err, -EBADMSG)) < 0 ||
        json_add_item(body, "errors", TAKE_PTR(owned)) < 0 || !cJSON_AddNumberToObject(body, "errorCount", count))
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer(c, 422, TAKE_PTR(body));
    error_done(&err);
}

static void tell(const Request *c, const StoreRows *rows)
{
    const ImportApi *api = c->module;
    const Import *i = c->scratch;
    uint64_t version;
    if (!i->dry_run && store_rows_u64(rows, 0, 2, INT64_MAX, &version) >= 0)
        api->events->on_changed(i->lines.community, store_rows_get(rows, 0, 1), version, api->events->userdata);
}

static void fail_incomplete(Request *c)
{
    Error err = {};
    error_set(
        &err, EIO, "import.incomplete",
        "not all of the file's rows are here (parts are kept for a day, and lost when the database breaks down), so"
        " nothing was imported: send the file again");
    request_fail_status(c, 409, -EIO, &err);
    error_done(&err);
}

static void on_finished(Request *c, const StoreRows *rows)
{
    const char *outcome = store_rows_get(rows, 0, 0), *report = store_rows_get(rows, 0, 3);
    _cleanup_(cJSON_Deletep) cJSON *parsed = NULL;
    ((Import *) c->scratch)->aside = true; /* what was taken over is no longer needed */
    if (str_equal(outcome, "no-community")) {
        request_fail_no_community(c);
        return;
    }
    if (str_equal(outcome, "incomplete")) {
        fail_incomplete(c);
        return;
    }
    if (!report || json_parse_object(report, strlen(report), &parsed, NULL) < 0) {
        request_fail(c, -EIO, NULL);
        return;
    }
    if (str_equal(outcome, "errors")) {
        const cJSON *count = cJSON_GetObjectItemCaseSensitive(parsed, "errorCount");
        answer_errors(c, cJSON_DetachItemFromObjectCaseSensitive(parsed, "errors"), count ? count->valuedouble : 0);
        return;
    }
    tell(c, rows);
    _cleanup_(freep) char *text =
        str_format("{\"import\":%s,\"communityVersion\":\"%s\"}", report, store_rows_get(rows, 0, 2));
    if (text)
        request_answer_text(c, 200, text);
    else
        request_fail(c, -ENOMEM, NULL);
}

static void finish(Request *c)
{
    const ImportApi *api = c->module;
    const Import *i = c->scratch;
    const ImportTarget t = target(i);
    request_query_on(c, api->store, sql_import_finish(&t, i->rows, i->replace, i->dry_run, c->actor), on_finished);
}

static void on_put(Request *c, const StoreRows *rows)
{
    Import *i = c->scratch;
    _cleanup_(cJSON_Deletep) cJSON *body = NULL;
    if (i->finish) {
        finish(c);
        return;
    }
    body = cJSON_CreateObject();
    if (!body || json_add_string(body, "upload", i->id) < 0 ||
        json_add_string(body, "rows", store_rows_get(rows, 0, 0)) < 0 ||
        json_add_item(body, "errors", TAKE_PTR(i->lines.errors)) < 0 ||
        !cJSON_AddNumberToObject(body, "errorCount", i->lines.n_errors))
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer(c, 200, TAKE_PTR(body));
}

/* What the query says of the file; on failure the request is answered and negative returned. */
static int read_format(Request *c, Import *i)
{
    _cleanup_(freep) char *table = http_query(c->exchange, "table"), *mode = http_query(c->exchange, "mode");
    _cleanup_(freep) char *format = http_query(c->exchange, "format");
    i->replace = str_equal(mode, "replace");
    i->csv = str_equal(format, "csv");
    if (row_kind_parse(table, &i->lines.kind) < 0 || i->lines.kind == ROW_COMMUNITIES)
        fail(c, "request.bad-parameter", "the parameter \"table\" must be units, users, guests or bans");
    else if (mode && !i->replace && !str_equal(mode, "merge"))
        fail(c, "request.bad-parameter", "the parameter \"mode\" must be merge or replace");
    else if (format && !i->csv && !str_equal(format, "ndjson"))
        fail(c, "request.bad-parameter", "the parameter \"format\" must be csv or ndjson");
    else if (i->replace && i->lines.kind == ROW_BANS)
        fail(c, "import.bans-replace",
             "a ban does not end because a file lacks it: import bans with merge, and delete those that are over");
    else
        return 0;
    return -EINVAL;
}

/* The same of where in the file we are. */
static int read_part(Request *c, Import *i)
{
    uint64_t dry, end;
    _cleanup_(freep) char *upload = http_query(c->exchange, "upload"), *rows = http_query(c->exchange, "rows");
    if (request_uuid(c, 0, i->lines.community) < 0 || request_query_u64(c, "dryRun", 1, 0, &dry) < 0 ||
        request_query_u64(c, "finish", 1, 0, &end) < 0 ||
        request_query_u64(c, "line", INT32_MAX, 0, &i->lines.line) < 0 ||
        request_query_u64(c, "rows", INT32_MAX, 0, &i->rows) < 0)
        return -EINVAL;
    i->dry_run = dry;
    i->finish = end || !upload;
    i->whole = !upload;
    if (!upload)
        uuid4_make(i->id);
    if (upload && uuid_parse(upload, i->id) < 0)
        fail(c, "request.bad-parameter", "the parameter \"upload\" must be a UUID that the client has made");
    else if (upload && end && !rows)
        fail(c, "request.bad-parameter",
             "the last request of an upload needs the parameter \"rows\": how many all of its parts have");
    else
        return 0;
    return -EINVAL;
}

/* The last request of a file in parts need not bring one. */
static int read_text(Import *i, char *text, size_t len, Error *err)
{
    return i->csv && len > 0 ? import_lines_csv(&i->lines, text, len, err)
                             : import_lines_ndjson(&i->lines, text, len, err);
}

static int read_lines(Request *c, Import *i, Error *err)
{
    size_t len;
    const char *body = http_body(c->exchange, &len);
    _cleanup_(freep) char *text = malloc(len + 1);
    if (!text)
        return -ENOMEM;
    memcpy(text, body, len);
    text[len] = '\0';
    return read_text(i, text, len, err);
}

static void fail_empty(Request *c)
{
    fail(c, "import.empty", "the file has no row, and to replace the table by it would delete all that is there");
}

static void put_rows(Request *c, const Import *i, request_rows_t on_rows)
{
    const ImportApi *api = c->module;
    _cleanup_(freep) char *rows = json_print(i->lines.rows);
    const ImportTarget t = target(i);
    if (rows)
        request_query_on(c, api->store, sql_import_put(&t, rows), on_rows);
    else
        request_fail(c, -ENOMEM, NULL);
}

static void put_next(Request *c);

/* The file is over, and all of it is put aside. */
static void end_stream(Request *c)
{
    Import *i = c->scratch;
    if (i->n_errors > 0)
        answer_errors(c, TAKE_PTR(i->errors), i->n_errors);
    else if (i->replace && i->rows == 0)
        fail_empty(c);
    else
        finish(c);
}

/* Errors of all parts are told together, as if the file were read as a whole. */
static int keep_errors(Import *i)
{
    ImportLines *l = &i->lines;
    i->n_errors += l->n_errors;
    l->n_errors = 0;
    for (cJSON *e = l->errors->child; e && cJSON_GetArraySize(i->errors) < IMPORT_ERRORS_MAX; e = l->errors->child)
        if (json_append(i->errors, cJSON_DetachItemViaPointer(l->errors, e)) < 0)
            return -ENOMEM;
    return 0;
}

static void on_part_put(Request *c, const StoreRows *rows)
{
    Import *i = c->scratch;
    uint64_t n = 0;
    if (store_rows_u64(rows, 0, 0, INT32_MAX, &n) < 0) {
        request_fail(c, -EIO, NULL);
        return;
    }
    i->rows += n;
    i->n_parts++;
    import_lines_done(&i->lines);
    put_next(c);
}

static void put_part(Request *c)
{
    Import *i = c->scratch;
    _cleanup_(freep) char *text = NULL;
    _cleanup_(error_done) Error err = {};
    size_t len = 0;
    int r = import_splitter_take(&i->splitter, i->body_is_over, &text, &len, &i->lines.line);
    if (r >= 0)
        r = read_text(i, text, len, &err);
    if (r >= 0)
        r = keep_errors(i);
    if (r < 0) {
        request_fail(c, r, &err);
        return;
    }
    i->aside = true;
    put_rows(c, i, on_part_put);
}

/* Goes on with the file, with a part of it, or with its end. */
static void put_next(Request *c)
{
    const Import *i = c->scratch;
    if (i->body_is_over && i->n_parts > 0 && import_splitter_is_empty(&i->splitter)) {
        end_stream(c);
    } else if (i->body_is_over || import_splitter_is_full(&i->splitter)) {
        http_body_pause(c->exchange, true);
        put_part(c);
    } else {
        http_body_pause(c->exchange, false);
    }
}

static void on_body(HttpExchange *x _unused_, const char *data, size_t len, void *userdata)
{
    Request *c = userdata;
    Import *i = c->scratch;
    _cleanup_(error_done) Error err = {};
    i->body_is_over = len == 0;
    int r = len > 0 ? import_splitter_add(&i->splitter, data, len, &err) : 0;
    if (r < 0)
        request_fail(c, r, &err);
    else
        put_next(c);
}

static void begin_stream(Request *c)
{
    Import *i = c->scratch;
    _cleanup_(error_done) Error err = {};
    i->splitter = import_splitter_make(i->csv);
    i->errors = cJSON_CreateArray();
    if (!i->errors) {
        request_fail(c, -ENOMEM, NULL);
    } else if (i->api->streams >= STREAMS_MAX) {
        error_set(&err, EBUSY, "import.busy", "%d large files are being imported: try again when one of them is done",
                  STREAMS_MAX);
        request_fail_status(c, 503, -EBUSY, &err);
    } else {
        i->streams = true;
        i->api->streams++;
        http_body_receive(c->exchange, on_body, c);
    }
}

static void import_whole(Request *c)
{
    Import *i = c->scratch;
    _cleanup_(error_done) Error err = {};
    int r = read_lines(c, i, &err);
    if (r < 0) {
        request_fail(c, r, &err);
        return;
    }
    if (i->whole && i->lines.n_errors > 0) {
        answer_errors(c, TAKE_PTR(i->lines.errors), i->lines.n_errors);
        return;
    }
    if (i->whole)
        i->rows = (uint64_t) cJSON_GetArraySize(i->lines.rows);
    if (i->finish && i->replace && i->rows == 0)
        fail_empty(c);
    else
        put_rows(c, i, on_put);
}

static void import(Request *c)
{
    Import *i = calloc(1, sizeof(*i));
    if (!i) {
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    i->api = c->module;
    c->scratch = i;
    c->scratch_free = import_free;
    if (read_format(c, i) < 0 || read_part(c, i) < 0)
        return;
    if (http_body_is_coming(c->exchange))
        begin_stream(c);
    else
        import_whole(c);
}

size_t import_body_max(const ImportApi *api, const HttpExchange *x)
{
    const char *path = http_path(x);
    _cleanup_(freep) char *upload = http_query(x, "upload");
    return !upload && str_equal(http_method(x), "POST") && str_starts(path, PATH_PREFIX) && str_ends(path, PATH_SUFFIX)
               ? api->body_max
               : 0;
}

const Route import_routes[] = {
    { "POST", "/v1/communities/*/import", ACCESS_OPERATOR, import, "a whole table from a file" },
    {},
};

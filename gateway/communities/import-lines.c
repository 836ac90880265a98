/* SPDX-License-Identifier: MIT */
#include "gateway/communities/import-lines.h"

#include <errno.h>
#include <string.h>

#include "gateway/communities/csv.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"

#define UUID_OWN_VERSION 8 /* made in a way of one's own */

void import_lines_done(ImportLines *l)
{
    cJSON_Delete(l->rows);
    cJSON_Delete(l->errors);
    l->rows = l->errors = NULL;
}

static int begin(ImportLines *l, Error *err)
{
    l->rows = cJSON_CreateArray();
    l->errors = cJSON_CreateArray();
    return l->rows && l->errors ? 0 : error_from_errno(err, -ENOMEM, "reading an import");
}

/* The id of a row that has none is made of what is in it, and of whose it is: the same line is the same row the next time, and
 * another one in another community. */
static int make_id(const ImportLines *l, const cJSON *row, char ret[static UUID_SIZE])
{
    uint8_t hash[SHA256_SIZE];
    _cleanup_(freep) char *text = json_print_canonical(row);
    _cleanup_(freep) char *all = text ? str_format("%s %s %s", l->community, row_kind_name(l->kind), text) : NULL;
    if (!all || sha256(all, strlen(all), hash) < 0)
        return -ENOMEM;
    uuid_format(hash, UUID_OWN_VERSION, ret);
    return 0;
}

static int add(ImportLines *l, uint64_t line, const char *id, cJSON *data)
{
    _cleanup_(cJSON_Deletep) cJSON *kept = data;
    _cleanup_(cJSON_Deletep) cJSON *row = cJSON_CreateObject();
    int r = row && cJSON_AddNumberToObject(row, "line", (double) line) ? json_add_string(row, "id", id) : -ENOMEM;
    if (r >= 0 && kept)
        r = json_add_item(row, "data", TAKE_PTR(kept));
    return r < 0 ? r : json_append(l->rows, TAKE_PTR(row));
}

static int add_error(ImportLines *l, uint64_t line, int code, const Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *entry = cJSON_CreateObject();
    if (code == -ENOMEM || add(l, line, NULL, NULL) < 0)
        return -ENOMEM;
    if (l->n_errors++ >= IMPORT_ERRORS_MAX)
        return 0;
    if (!entry || !cJSON_AddNumberToObject(entry, "line", (double) line))
        return -ENOMEM;
    int r = json_add_item(entry, "error", json_from_error(err, code));
    return r < 0 ? r : json_append(l->errors, TAKE_PTR(entry));
}

/* Takes `row`. */
static int add_row(ImportLines *l, uint64_t line, cJSON *row)
{
    _cleanup_(cJSON_Deletep) cJSON *owned = row;
    _cleanup_(error_done) Error err = {};
    char own[UUID_SIZE] = "", id[UUID_SIZE];
    int r = 0;
    if (l->kind == ROW_USERS && cJSON_GetObjectItemCaseSensitive(row, "pin"))
        r = error_set_at(&err, EBADMSG, "import.pin", NULL, 0, "pin", "PINs are set one by one, not by an import");
    else if (!cJSON_GetObjectItemCaseSensitive(row, "id"))
        r = make_id(l, row, own);
    if (r >= 0)
        r = row_check(l->kind, l->community, own[0] ? own : NULL, row, id, &err);
    return r < 0 ? add_error(l, line, r, &err) : add(l, line, id, TAKE_PTR(owned));
}

static uint64_t line_in_file(const ImportLines *l, uint64_t line, uint64_t first)
{
    return l->line > 0 ? l->line + line - first : line;
}

int import_lines_ndjson(ImportLines *l, char *text, size_t len, Error *err)
{
    int r = begin(l, err);
    uint64_t line = 1;
    for (size_t at = 0, n; r >= 0 && at < len; at += n + 1, line++) {
        _cleanup_(cJSON_Deletep) cJSON *row = NULL;
        _cleanup_(error_done) Error why = {};
        const char *end = memchr(text + at, '\n', len - at);
        n = end ? (size_t) (end - (text + at)) : len - at;
        text[at + n] = '\0';
        if (strspn(text + at, " \t\r") == n)
            continue;
        r = json_parse_object(text + at, n, &row, &why);
        if (r < 0)
            r = add_error(l, line_in_file(l, line, 1), r, &why);
        else
            r = add_row(l, line_in_file(l, line, 1), TAKE_PTR(row));
    }
    return r < 0 ? error_from_errno(err, r, "reading an import") : 0;
}

/* The fields of a line under the names of the first one; empty ones are left out. */
static int csv_row(const ImportLines *l, const CsvReader *csv, char *const *names, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *row = cJSON_CreateObject();
    size_t n = strv_length(names);
    if (csv->n_fields > n)
        return error_set(err, EBADMSG, "csv.fields", "the line has %zu fields, the first line names %zu", csv->n_fields,
                         n);
    for (size_t i = 0; i < csv->n_fields; i++)
        if (*csv->fields[i] && json_add_item(row, names[i], row_value_from_text(l->kind, names[i], csv->fields[i])) < 0)
            return -ENOMEM;
    *ret = TAKE_PTR(row);
    return *ret ? 0 : -ENOMEM;
}

static int csv_names(CsvReader *csv, char ***ret, Error *err)
{
    _cleanup_(strv_freep) char **names = NULL;
    int r = csv_next(csv, err);
    if (r == 0)
        r = error_set(err, EBADMSG, "csv.no-names", "the first line has to name the members, separated by commas");
    for (size_t i = 0; r > 0 && i < csv->n_fields; i++) {
        if (str_empty(csv->fields[i]) || strv_contains(names, csv->fields[i]) ||
            !utf8_is_valid(csv->fields[i], strlen(csv->fields[i])))
            return error_set(err, EBADMSG, "csv.names", "each field of the first line has to be another name");
        if (strv_add(&names, csv->fields[i]) < 0)
            return -ENOMEM;
    }
    if (r > 0)
        *ret = TAKE_PTR(names);
    return r < 0 ? r : 0;
}

static bool fields_are_text(const CsvReader *csv)
{
    for (size_t i = 0; i < csv->n_fields; i++)
        if (!utf8_is_valid(csv->fields[i], strlen(csv->fields[i])))
            return false;
    return true;
}

/* 0: the end. */
static int csv_line(ImportLines *l, CsvReader *csv, char *const *names, uint64_t first)
{
    _cleanup_(cJSON_Deletep) cJSON *row = NULL;
    _cleanup_(error_done) Error why = {};
    int r = csv_next(csv, &why);
    uint64_t line = line_in_file(l, csv->record_line, first);
    if (r == 0)
        return 0;
    if (r > 0 && !fields_are_text(csv))
        r = error_set(&why, EBADMSG, "csv.not-utf8", "the file has to be UTF-8");
    if (r > 0)
        r = csv_row(l, csv, names, &row, &why);
    r = r < 0 ? add_error(l, line, r, &why) : add_row(l, line, TAKE_PTR(row));
    return r < 0 ? r : 1;
}

int import_lines_csv(ImportLines *l, char *text, size_t len, Error *err)
{
    CsvReader csv;
    _cleanup_(strv_freep) char **names = NULL;
    int r = begin(l, err);
    csv_start(&csv, text, len);
    if (r >= 0)
        r = csv_names(&csv, &names, err);
    uint64_t first = csv.line;
    for (r = r < 0 ? r : 1; r > 0;)
        r = csv_line(l, &csv, names, first);
    return r < 0 ? error_from_errno(err, r, "reading an import") : 0;
}

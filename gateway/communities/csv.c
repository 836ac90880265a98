/* SPDX-License-Identifier: MIT */
#include "gateway/communities/csv.h"

#include <errno.h>
#include <string.h>

#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define NUL_FOUND "a NUL byte is in it: save the file as CSV in UTF-8"

void csv_start(CsvReader *r, char *text, size_t len)
{
    size_t mark = len >= 3 && memcmp(text, BYTE_ORDER_MARK, 3) == 0 ? 3 : 0;
    *r = (CsvReader) { .text = text, .len = len, .at = mark, .line = 1 };
    size_t head = strcspn(text + mark, "\r\n");
    const char *comma = memchr(text + mark, ',', head), *semicolon = memchr(text + mark, ';', head);
    r->separator = semicolon && (!comma || semicolon < comma) ? ';' : ',';
}

static bool at_end(const CsvReader *r)
{
    return r->at >= r->len;
}

static bool at_line_end(const CsvReader *r)
{
    return !at_end(r) && (r->text[r->at] == '\r' || r->text[r->at] == '\n');
}

/* Goes behind the line's end that is here: CR LF, LF or, of old spreadsheets, CR. */
static void pass_line_end(CsvReader *r)
{
    r->at += r->text[r->at] == '\r' && r->at + 1 < r->len && r->text[r->at + 1] == '\n' ? 2 : 1;
    r->line++;
}

static void skip_line(CsvReader *r)
{
    while (!at_end(r) && !at_line_end(r))
        r->at++;
    if (!at_end(r))
        pass_line_end(r);
}

static int bad(CsvReader *r, const char *id, Error *err, const char *what)
{
    unsigned line = r->line;
    skip_line(r);
    return error_set_at(err, EBADMSG, id, NULL, line, NULL, "%s", what);
}

/* A quoted field, whose doubled quotes become one. */
static int quoted(CsvReader *r, char **ret, char **ret_end, Error *err)
{
    char *to = r->text + ++r->at;
    *ret = to;
    for (; !at_end(r); r->at++) {
        char c = r->text[r->at];
        if (c == '\0')
            return bad(r, "csv.nul", err, NUL_FOUND);
        if (c == '"' && r->at + 1 < r->len && r->text[r->at + 1] == '"')
            r->at++;
        else if (c == '"')
            break;
        r->line += c == '\n' || (c == '\r' && r->text[r->at + 1] != '\n'); /* a NUL stands behind the text */
        *to++ = r->text[r->at];
    }
    if (at_end(r))
        return bad(r, "csv.quote", err, "a quote is opened and never closed");
    r->at++;
    *ret_end = to;
    if (!at_end(r) && r->text[r->at] != r->separator && !at_line_end(r))
        return bad(r, "csv.quote", err, "behind a closing quote comes neither a separator nor the end of the line");
    return 0;
}

static int plain(CsvReader *r, char **ret, char **ret_end, Error *err)
{
    *ret = r->text + r->at;
    for (; !at_end(r); r->at++) {
        char c = r->text[r->at];
        if (c == r->separator || at_line_end(r))
            break;
        if (c == '\0')
            return bad(r, "csv.nul", err, NUL_FOUND);
        if (c == '"')
            return bad(r, "csv.quote", err, "a field with a quote in it has to be in quotes, with the quote doubled");
    }
    *ret_end = r->text + r->at;
    return 0;
}

/* 1: the line goes on; 0: it ended. */
static int end_field(CsvReader *r, char *end)
{
    bool more = !at_end(r) && r->text[r->at] == r->separator;
    if (more)
        r->at++;
    else if (at_line_end(r))
        pass_line_end(r);
    *end = '\0'; /* where the field's end, a quote or the NUL behind the text was */
    return more;
}

static int one_record(CsvReader *r, Error *err)
{
    int more = 1;
    r->n_fields = 0;
    r->record_line = r->line;
    while (more) {
        char *field = NULL, *end = r->text;
        bool is_quoted = !at_end(r) && r->text[r->at] == '"';
        if (r->n_fields == CSV_FIELDS_MAX)
            return bad(r, "csv.fields", err, "a line has too many fields");
        int e = is_quoted ? quoted(r, &field, &end, err) : plain(r, &field, &end, err);
        if (e < 0)
            return e;
        r->fields[r->n_fields++] = field;
        more = end_field(r, end);
    }
    return 1;
}

int csv_next(CsvReader *r, Error *err)
{
    while (at_line_end(r))
        pass_line_end(r);
    return at_end(r) ? 0 : one_record(r, err);
}

/* SPDX-License-Identifier: MIT */
#include "gateway/communities/csv.h"

#include <errno.h>
#include <string.h>

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

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

/* Goes behind the line's end. */
static void skip_line(CsvReader *r)
{
    while (!at_end(r) && r->text[r->at] != '\n')
        r->at++;
    r->at += !at_end(r);
    r->line++;
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
        if (c == '"' && r->at + 1 < r->len && r->text[r->at + 1] == '"')
            r->at++;
        else if (c == '"')
            break;
        r->line += c == '\n';
        *to++ = r->text[r->at];
    }
    if (at_end(r))
        return bad(r, "csv.quote", err, "a quote is opened and never closed");
    r->at++;
    *ret_end = to;
    if (!at_end(r) && r->text[r->at] != r->separator && r->text[r->at] != '\r' && r->text[r->at] != '\n')
        return bad(r, "csv.quote", err, "behind a closing quote comes neither a separator nor the end of the line");
    return 0;
}

static int plain(CsvReader *r, char **ret, char **ret_end, Error *err)
{
    *ret = r->text + r->at;
    for (; !at_end(r); r->at++) {
        char c = r->text[r->at];
        if (c == r->separator || c == '\n' || c == '\r')
            break;
        if (c == '"' || c == '\0')
            return bad(r, "csv.quote", err, "a field with a quote in it has to be in quotes, with the quote doubled");
    }
    *ret_end = r->text + r->at;
    return 0;
}

/* 1: the line goes on; 0: it ended. */
static int end_field(CsvReader *r, char *end)
{
    bool more = !at_end(r) && r->text[r->at] == r->separator;
    if (!more && !at_end(r) && r->text[r->at] == '\r')
        r->at++;
    bool line = !more && !at_end(r) && r->text[r->at] == '\n';
    r->at += more || line;
    r->line += line;
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
    while (!at_end(r) && (r->text[r->at] == '\r' || r->text[r->at] == '\n')) {
        r->line += r->text[r->at] == '\n';
        r->at++;
    }
    return at_end(r) ? 0 : one_record(r, err);
}

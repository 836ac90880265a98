/* SPDX-License-Identifier: MIT */
#include "gateway/communities/import-splitter.h"

#include <errno.h>
#include <string.h>

/* what one piece may add is far less than the difference to a part */
#define REST_MAX ((size_t) 2 * 1024 * 1024)
#define RECORD_MAX ((size_t) 1024 * 1024)

ImportSplitter import_splitter_make(bool csv)
{
    return (ImportSplitter) { .csv = csv, .head = BUF_INIT(RECORD_MAX), .rest = BUF_INIT(REST_MAX), .line = 1 };
}

void import_splitter_done(ImportSplitter *s)
{
    buf_done(&s->head);
    buf_done(&s->rest);
}

static void drop_whole_records(ImportSplitter *s)
{
    buf_consume(&s->rest, s->end);
    s->at -= s->end;
    s->line += s->lines_to_end;
    s->lines -= s->lines_to_end;
    s->end = s->lines_to_end = 0;
}

/* The first line with something in it. */
static int take_head(ImportSplitter *s)
{
    bool is_blank = strspn(s->rest.data, "\r\n") >= s->end;
    int r = is_blank ? 0 : buf_append(&s->head, s->rest.data, s->end);

    if (r >= 0)
        drop_whole_records(s);
    return r;
}

/* A quoted field may hold line ends; in CSV a lone CR is one, too, and whether it is alone the next byte tells. */
static int look(ImportSplitter *s)
{
    int r = 0;

    for (; r >= 0 && s->at < s->rest.len; s->at++) {
        char c = s->rest.data[s->at];

        if (s->csv && c == '"')
            s->in_quotes = !s->in_quotes;
        if (s->csv && c == '\r' && s->at + 1 == s->rest.len)
            break;
        if (c != '\n' && !(s->csv && c == '\r' && s->rest.data[s->at + 1] != '\n'))
            continue;
        s->lines++;
        if (s->in_quotes)
            continue;
        s->end = s->at + 1;
        s->lines_to_end = s->lines;
        if (s->csv && s->head.len == 0) {
            s->at++;
            r = take_head(s);
            s->at--;
        }
    }
    return r;
}

int import_splitter_add(ImportSplitter *s, const char *data, size_t len, Error *err)
{
    int r = buf_append(&s->rest, data, len);

    if (r >= 0)
        r = look(s);
    if (r == -EMSGSIZE || (r >= 0 && s->rest.len - s->end > RECORD_MAX))
        return error_set_at(err, EMSGSIZE, "import.record-too-large", NULL, (unsigned) (s->line + s->lines_to_end),
                            NULL, "a record is larger than any row may be%s",
                            s->csv ? ": is a quote opened and never closed?" : "");
    return r < 0 ? error_from_errno(err, r, "reading an import") : 0;
}

bool import_splitter_is_full(const ImportSplitter *s)
{
    return s->end >= IMPORT_PART_SIZE;
}

bool import_splitter_is_empty(const ImportSplitter *s)
{
    return s->rest.len == 0;
}

int import_splitter_take(ImportSplitter *s, bool at_end, char **ret, size_t *ret_len, uint64_t *ret_line)
{
    size_t n = at_end ? s->rest.len : s->end;
    char *text = malloc(s->head.len + n + 1);

    if (!text)
        return -ENOMEM;
    if (s->head.len > 0)
        memcpy(text, s->head.data, s->head.len);
    if (n > 0)
        memcpy(text + s->head.len, s->rest.data, n);
    text[s->head.len + n] = '\0';
    *ret = text;
    *ret_len = s->head.len + n;
    *ret_line = s->line;
    if (at_end) {
        buf_done(&s->rest);
        s->at = s->end = 0;
    } else {
        drop_whole_records(s);
    }
    return 0;
}

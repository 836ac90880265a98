/* SPDX-License-Identifier: MIT */
/* Heads and bodies of HTTP/1.1: exactly as RFC 9112 has them, or refused. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/base/strv.h"
#include "lib/http/parser.h"

#define METHOD_MAX 16
#define LENGTH_DIGITS_MAX 15
#define CHUNK_DIGITS_MAX 8

void http_head_done(HttpHead *h)
{
    free(h->text);
    free(h->fields);
    *h = (HttpHead) {};
}

static bool is_token_char(char c)
{
    return isalnum((unsigned char) c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++)
        if (!is_token_char(*s))
            return false;
    return true;
}

/* Field values: visible characters, spaces and tabs, and bytes above ASCII (RFC 9110 §5.5). */
static bool is_value(const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char) *s;
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

int http_head_find(const char *data, size_t len, size_t *scanned, Error *err)
{
    for (size_t i = *scanned; i < len; i++) {
        if (i >= HTTP_HEADER_MAX)
            return error_set(err, EMSGSIZE, "http.bad-request", "the header is longer than %d bytes", HTTP_HEADER_MAX);
        if (data[i] == '\0' || (data[i] == '\n' && (i == 0 || data[i - 1] != '\r')) ||
            (data[i] != '\n' && i > 0 && data[i - 1] == '\r'))
            return error_set(err, EBADMSG, "http.bad-request", "a lone CR or LF, or a NUL, in the header");
        if (data[i] == '\n' && i >= 3 && data[i - 2] == '\n') {
            *scanned = i + 1;
            return (int) (i + 1);
        }
        if (data[i] == '\n' && i == 1)
            return error_set(err, EBADMSG, "http.bad-request", "an empty line where the first line should be");
    }
    *scanned = len;
    return 0;
}

/* Cuts the block at its line ends: *line is NUL-terminated, *rest behind it. NULL at the empty line. */
static char *next_line(char **rest)
{
    char *line = *rest;
    char *end = strstr(line, "\r\n");
    if (!end || end == line)
        return NULL;
    *end = '\0';
    *rest = end + 2;
    return line;
}

static int parse_field(char *line, HttpField *ret, Error *err)
{
    char *colon = strchr(line, ':');
    if (line[0] == ' ' || line[0] == '\t')
        return error_set(err, EBADMSG, "http.bad-request", "a header line that goes on in the next one");
    if (!colon)
        return error_set(err, EBADMSG, "http.bad-request", "a header line without a colon");
    *colon = '\0';
    if (!is_token(line))
        return error_set(err, EBADMSG, "http.bad-request", "a header name that is no token");
    char *value = colon + 1 + strspn(colon + 1, " \t");
    size_t len = strlen(value);
    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        value[--len] = '\0';
    if (!is_value(value))
        return error_set(err, EBADMSG, "http.bad-request", "a control character in the header %s", line);
    *ret = (HttpField) { .name = line, .value = value };
    return 0;
}

static int parse_fields(HttpHead *h, char *rest, int *ret_status, Error *err)
{
    HttpField fields[HTTP_HEADERS_COUNT_MAX];
    size_t n = 0;
    for (char *line; (line = next_line(&rest));) {
        if (n == ELEMENTSOF(fields)) {
            *ret_status = 431;
            return error_set(err, EMSGSIZE, "http.bad-request", "more than %d header lines", HTTP_HEADERS_COUNT_MAX);
        }
        int r = parse_field(line, &fields[n], err);
        if (r < 0)
            return r;
        n++;
    }
    h->fields = calloc(n + 1, sizeof *h->fields);
    if (!h->fields)
        return -ENOMEM;
    memcpy(h->fields, fields, n * sizeof *fields);
    h->n_fields = n;
    return 0;
}

static size_t count_fields(const HttpHead *h, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < h->n_fields; i++)
        n += strcasecmp(h->fields[i].name, name) == 0;
    return n;
}

const char *http_head_get(const HttpHead *h, const char *name)
{
    for (size_t i = 0; i < h->n_fields; i++)
        if (strcasecmp(h->fields[i].name, name) == 0)
            return h->fields[i].value;
    return NULL;
}

static bool list_has_token(const char *list, const char *token)
{
    size_t len = strlen(token);
    while (*list) {
        list += strspn(list, ", \t");
        size_t item = strcspn(list, ",");
        size_t end = item;
        while (end > 0 && (list[end - 1] == ' ' || list[end - 1] == '\t'))
            end--;
        if (end == len && strncasecmp(list, token, len) == 0)
            return true;
        list += item;
    }
    return false;
}

bool http_head_has_token(const HttpHead *h, const char *name, const char *token)
{
    for (size_t i = 0; i < h->n_fields; i++)
        if (strcasecmp(h->fields[i].name, name) == 0 && list_has_token(h->fields[i].value, token))
            return true;
    return false;
}

static int parse_length(HttpHead *h, Error *err)
{
    const char *value = http_head_get(h, "Content-Length");
    if (!value)
        return 0;
    size_t len = strlen(value);
    if (count_fields(h, "Content-Length") != 1)
        return error_set(err, EBADMSG, "http.bad-request", "more than one Content-Length");
    if (len == 0 || len > LENGTH_DIGITS_MAX || strspn(value, "0123456789") != len)
        return error_set(err, EBADMSG, "http.bad-request", "a Content-Length that is no number");
    for (const char *p = value; *p; p++)
        h->content_length = h->content_length * 10 + (uint64_t) (*p - '0');
    h->has_length = true;
    return 0;
}

static int parse_framing(HttpHead *h, int *ret_status, Error *err)
{
    int r = parse_length(h, err);
    const char *coding = http_head_get(h, "Transfer-Encoding");
    if (r < 0 || !coding)
        return r;
    if (h->has_length || h->minor == 0)
        return error_set(err, EBADMSG, "http.bad-request", "Transfer-Encoding beside Content-Length or in HTTP/1.0");
    if (count_fields(h, "Transfer-Encoding") != 1)
        return error_set(err, EBADMSG, "http.bad-request", "more than one Transfer-Encoding");
    if (strcasecmp(coding, "chunked") != 0) {
        *ret_status = 501;
        return error_set(err, EBADMSG, "http.bad-request", "the only Transfer-Encoding that is understood is chunked");
    }
    h->chunked = true;
    return 0;
}

static int parse_version(const char *version, HttpHead *h, int *ret_status, Error *err)
{
    if (strlen(version) != 8 || !str_starts(version, "HTTP/") || !isdigit((unsigned char) version[5]) ||
        version[6] != '.' || !isdigit((unsigned char) version[7]))
        return error_set(err, EBADMSG, "http.bad-request", "the first line has no HTTP version");
    if (version[5] != '1' || version[7] > '1') {
        *ret_status = 505;
        return error_set(err, EBADMSG, "http.bad-request", "%s is not spoken here, HTTP/1.1 is", version);
    }
    h->minor = version[7] - '0';
    return 0;
}

static bool target_is_good(const char *target)
{
    if (target[0] != '/' && !str_equal(target, "*"))
        return false;
    for (; *target; target++)
        if (*target <= 0x20 || *target >= 0x7f || *target == '#')
            return false;
    return true;
}

static int parse_request_line(char *line, HttpHead *h, int *ret_status, Error *err)
{
    char *target = strchr(line, ' ');
    char *version = target ? strchr(target + 1, ' ') : NULL;
    if (!version)
        return error_set(err, EBADMSG, "http.bad-request", "the first line is not METHOD TARGET VERSION");
    *target++ = '\0';
    *version++ = '\0';
    int r = parse_version(version, h, ret_status, err);
    if (r < 0)
        return r;
    if (!is_token(line) || strlen(line) > METHOD_MAX)
        return error_set(err, EBADMSG, "http.bad-request", "the method is no token");
    if (!target_is_good(target))
        return error_set(err, EBADMSG, "http.bad-request", "the request target must be a path");
    h->method = line;
    h->target = target;
    return 0;
}

static int check_request(HttpHead *h, int *ret_status, Error *err)
{
    size_t hosts = count_fields(h, "Host");
    if (hosts > 1 || (hosts == 0 && h->minor == 1))
        return error_set(err, EBADMSG, "http.bad-request", "there must be one Host header");
    const char *expect = http_head_get(h, "Expect");
    if (expect && h->minor == 1) {
        *ret_status = 417;
        if (strcasecmp(expect, "100-continue") != 0)
            return error_set(err, EBADMSG, "http.bad-request", "an Expect other than 100-continue");
        h->expects_continue = true;
    }
    h->keep_alive = h->minor == 1 ? !http_head_has_token(h, "Connection", "close") : false;
    return 0;
}

/* The block with its NUL. A NUL inside was refused by http_head_find(), but this function stands on its own feet. */
static int copy_block(const char *data, size_t len, HttpHead *h, Error *err)
{
    if (len < 4 || memcmp(data + len - 4, "\r\n\r\n", 4) != 0 || memchr(data, '\0', len))
        return error_set(err, EBADMSG, "http.bad-request", "the header does not end with an empty line");
    h->text = strndup(data, len);
    return h->text ? 0 : -ENOMEM;
}

typedef int (*first_line_t)(char *line, HttpHead *h, int *ret_status, Error *err);

static int head_parse(const char *data, size_t len, first_line_t first, HttpHead *h, int *ret_status, Error *err)
{
    int r = copy_block(data, len, h, err);
    if (r < 0)
        return r;
    char *rest = h->text;
    char *line = next_line(&rest);
    if (!line)
        return error_set(err, EBADMSG, "http.bad-request", "the first line is missing");
    r = first(line, h, ret_status, err);
    if (r < 0)
        return r;
    r = parse_fields(h, rest, ret_status, err);
    if (r < 0)
        return r;
    return parse_framing(h, ret_status, err);
}

int http_request_parse(const char *data, size_t len, HttpHead *ret, int *ret_status, Error *err)
{
    HttpHead h = {};
    int status = 400;
    int r = head_parse(data, len, parse_request_line, &h, &status, err);
    if (r >= 0)
        r = check_request(&h, &status, err);
    if (r < 0) {
        *ret_status = status;
        http_head_done(&h);
        return r;
    }
    *ret = h;
    return 0;
}

static int parse_status_line(char *line, HttpHead *h, int *ret_status, Error *err)
{
    char *code = strchr(line, ' ');
    if (!code)
        return error_set(err, EBADMSG, "http.bad-response", "the answer is not HTTP");
    *code++ = '\0';
    int r = parse_version(line, h, ret_status, err);
    if (r < 0)
        return r;
    if (strspn(code, "0123456789") != 3 || (code[3] && code[3] != ' ') || code[0] < '1' || code[0] > '5' ||
        !is_value(code))
        return error_set(err, EBADMSG, "http.bad-response", "the answer has no status code");
    h->status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
    return 0;
}

int http_response_parse(const char *data, size_t len, HttpHead *ret, Error *err)
{
    HttpHead h = {};
    int status = 0;
    int r = head_parse(data, len, parse_status_line, &h, &status, err);
    if (r < 0) {
        http_head_done(&h);
        return r;
    }
    h.keep_alive = h.minor == 1 && !http_head_has_token(&h, "Connection", "close");
    *ret = h;
    return 0;
}

enum {
    BODY_DATA,
    BODY_SIZE, /* hexadecimal digits of a chunk's size */
    BODY_SIZE_LF,
    BODY_CHUNK_CR, /* behind a chunk's data */
    BODY_CHUNK_LF,
    BODY_END_CR, /* the empty line behind the last chunk; trailers are refused */
    BODY_END_LF,
    BODY_DONE,
};

void http_body_init(HttpBody *b, const HttpHead *h, Buf *out)
{
    *b = (HttpBody) { .out = out, .chunked = h->chunked };
    if (h->chunked)
        b->state = BODY_SIZE;
    else
        b->left = h->content_length;
    if (!h->chunked && b->left == 0)
        b->state = BODY_DONE;
}

static int body_too_large(Error *err, const HttpBody *b)
{
    return error_set(err, EMSGSIZE, "http.too-large", "the body is longer than %zu bytes", b->out->max);
}

static int body_data(HttpBody *b, const char *data, size_t len, size_t *used, Error *err)
{
    size_t n = b->left < len ? (size_t) b->left : len;
    int r = buf_append(b->out, data, n);
    if (r < 0)
        return r == -EMSGSIZE ? body_too_large(err, b) : r;
    *used = n;
    b->left -= n;
    if (b->left == 0)
        b->state = b->chunked ? BODY_CHUNK_CR : BODY_DONE;
    return 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char) (c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One character of the chunk framing. */
static int body_frame(HttpBody *b, char c)
{
    static const struct {
        char expected;
        uint8_t next;
    } steps[] = {
        [BODY_CHUNK_CR] = { '\r', BODY_CHUNK_LF },
        [BODY_CHUNK_LF] = { '\n', BODY_SIZE },
        [BODY_END_CR] = { '\r', BODY_END_LF },
        [BODY_END_LF] = { '\n', BODY_DONE },
    };
    if (b->state == BODY_SIZE && hex_value(c) >= 0 && b->digits < CHUNK_DIGITS_MAX) {
        b->left = b->left * 16 + (uint64_t) hex_value(c);
        b->digits++;
        return 0;
    }
    if (b->state == BODY_SIZE) {
        b->state = BODY_SIZE_LF;
        return c == '\r' && b->digits > 0 ? 0 : -EBADMSG;
    }
    if (b->state == BODY_SIZE_LF) {
        b->state = b->left > 0 ? BODY_DATA : BODY_END_CR;
        b->digits = 0;
        return c == '\n' ? 0 : -EBADMSG;
    }
    if (c != steps[b->state].expected)
        return -EBADMSG;
    b->state = steps[b->state].next;
    return 0;
}

int http_body_feed(HttpBody *b, const char *data, size_t len, size_t *used, Error *err)
{
    size_t i = 0;
    *used = 0;
    while (i < len && b->state != BODY_DONE) {
        size_t n = 1;
        int r = b->state == BODY_DATA ? body_data(b, data + i, len - i, &n, err) : body_frame(b, data[i]);
        if (r == -EBADMSG)
            return error_set(err, EBADMSG, "http.bad-request", "the chunks of the body are malformed");
        /* A size that cannot fit is refused before its data comes. */
        if (r >= 0 && b->state == BODY_DATA && b->left > b->out->max - b->out->len)
            return body_too_large(err, b);
        if (r < 0)
            return r;
        i += n;
    }
    *used = i;
    return b->state == BODY_DONE;
}

int http_percent_decode(const char *s, size_t len, bool plus, char **ret)
{
    _cleanup_(freep) char *out = malloc(len + 1);
    size_t n = 0;
    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        if (c == '%') {
            int high = i + 2 < len ? hex_value(s[i + 1]) : -1;
            int low = i + 2 < len ? hex_value(s[i + 2]) : -1;
            if (high < 0 || low < 0 || high + low == 0)
                return -EINVAL;
            c = (char) (high * 16 + low);
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        out[n++] = c;
    }
    out[n] = '\0';
    *ret = TAKE_PTR(out);
    return 0;
}

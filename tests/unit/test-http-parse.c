/* SPDX-License-Identifier: MIT */
/* The HTTP parser: what it takes, and above all what it refuses (the table of smuggling tricks). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/strv.h"
#include "lib/http/parser.h"

/* Feeds the bytes in steps; returns the status that would be answered (0 = a good request), body in *out. */
static int run(const char *bytes, size_t len, size_t step, Buf *body, size_t *ret_used)
{
    HttpHead head = {};
    size_t scanned = 0, end = 0;
    int status = 400, r = 0;
    for (size_t n = step < len ? step : len; r == 0; n = n + step < len ? n + step : len) {
        r = http_head_find(bytes, n, &scanned, NULL);
        if (r == 0 && n == len)
            return -1; /* wants more */
    }
    if (r < 0)
        return r == -EMSGSIZE ? 431 : 400;
    end = (size_t) r;
    r = http_request_parse(bytes, end, &head, &status, NULL);
    if (r < 0) {
        assert_null(head.text);
        return status;
    }
    HttpBody reader;
    http_body_init(&reader, &head, body);
    http_head_done(&head);
    for (r = 0; r == 0;) {
        size_t n = len - end < step ? len - end : step, used = 0;
        r = http_body_feed(&reader, bytes + end, n, &used, NULL);
        end += used;
        if (r == 0 && end == len)
            return -1;
    }
    *ret_used = end;
    return r > 0 ? 0 : r == -EMSGSIZE ? 413 : 400;
}

#define BYTES(s) s, sizeof(s) - 1
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define SMUGGLED "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"

static const struct {
    const char *name;
    const char *bytes;
    size_t len;
    int status;       /* 0 = good, -1 = more is needed */
    const char *body; /* of a good one */
    const char *rest; /* behind a good one */
} requests[] = {
    { "plain", BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0, "", "" },
    { "two in a row", BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n" SMUGGLED), 0, "", SMUGGLED },
    { "length", BYTES(POST "Content-Length: 3\r\n\r\nabcGET"), 0, "abc", "GET" },
    { "length 0", BYTES(POST "Content-Length: 0\r\n\r\nx"), 0, "", "x" },
    { "leading zeros", BYTES(POST "Content-Length: 003\r\n\r\nabc"), 0, "abc", "" },
    { "chunked", BYTES(POST "Transfer-Encoding: Chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\nz"), 0, "abcd", "z" },
    { "chunked empty", BYTES(POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 0, "", "" },
    { "hexadecimal", BYTES(POST "Transfer-Encoding: chunked\r\n\r\n00a\r\n0123456789\r\n0\r\n\r\n"), 0, "0123456789",
      "" },
    { "1.0", BYTES("GET / HTTP/1.0\r\n\r\n"), 0, "", "" },
    { "empty value", BYTES("GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \t \r\n\r\n"), 0, "", "" },
    { "not whole", BYTES("GET / HTTP/1.1\r\nHost: a\r\n"), -1, NULL, NULL },
    { "body not whole", BYTES(POST "Content-Length: 3\r\n\r\nab"), -1, NULL, NULL },
    { "chunk not whole", BYTES(POST "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n"), -1, NULL, NULL },

    { "CL.TE", BYTES(POST "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"), 400, NULL, NULL },
    { "TE.CL", BYTES(POST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n"), 400, NULL, NULL },
    { "CL twice, equal", BYTES(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), 400, NULL, NULL },
    { "CL twice, different", BYTES(POST "Content-Length: 3\r\ncontent-length: 30\r\n\r\nabc"), 400, NULL, NULL },
    { "CL list", BYTES(POST "Content-Length: 3, 3\r\n\r\nabc"), 400, NULL, NULL },
    { "CL signed", BYTES(POST "Content-Length: +3\r\n\r\nabc"), 400, NULL, NULL },
    { "CL negative", BYTES(POST "Content-Length: -1\r\n\r\n"), 400, NULL, NULL },
    { "CL hexadecimal", BYTES(POST "Content-Length: 0x3\r\n\r\nabc"), 400, NULL, NULL },
    { "CL with a blank inside", BYTES(POST "Content-Length: 1 2\r\n\r\n"), 400, NULL, NULL },
    { "CL empty", BYTES(POST "Content-Length:\r\n\r\n"), 400, NULL, NULL },
    { "CL overflow", BYTES(POST "Content-Length: 18446744073709551619\r\n\r\nabc"), 400, NULL, NULL },
    { "blank before the colon", BYTES(POST "Content-Length : 3\r\n\r\nabc"), 400, NULL, NULL },
    { "tab before the colon", BYTES(POST "Transfer-Encoding\t: chunked\r\n\r\n"), 400, NULL, NULL },
    { "obs-fold", BYTES(POST "X: a\r\n Content-Length: 3\r\n\r\nabc"), 400, NULL, NULL },
    { "obs-fold in the coding", BYTES(POST "Transfer-Encoding:\r\n\tchunked\r\n\r\n"), 400, NULL, NULL },
    { "blank in front of the first header", BYTES("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 400, NULL, NULL },
    { "coding list", BYTES(POST "Transfer-Encoding: chunked, identity\r\n\r\n"), 501, NULL, NULL },
    { "coding twice", BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, NULL, NULL },
    { "coding unknown", BYTES(POST "Transfer-Encoding: xchunked\r\n\r\n"), 501, NULL, NULL },
    { "coding quoted", BYTES(POST "Transfer-Encoding: \"chunked\"\r\n\r\n"), 501, NULL, NULL },
    { "coding with a control character",
      BYTES(POST "Transfer-Encoding: \x0b"
                 "chunked\r\n\r\n"),
      400, NULL, NULL },
    { "coding in 1.0", BYTES("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400, NULL, NULL },
    { "bare LF", BYTES("GET / HTTP/1.1\nHost: a\n\n"), 400, NULL, NULL },
    { "bare LF at one line", BYTES(POST "X: 1\nContent-Length: 3\r\n\r\nabc"), 400, NULL, NULL },
    { "bare LF at the end", BYTES("GET / HTTP/1.1\r\nHost: a\r\n\n"), 400, NULL, NULL },
    { "bare CR", BYTES(POST "X: a\rb\r\n\r\n"), 400, NULL, NULL },
    { "CR CR LF", BYTES(POST "X: a\r\r\n\r\n"), 400, NULL, NULL },
    { "NUL", BYTES(POST "X: a\0b\r\n\r\n"), 400, NULL, NULL },
    { "NUL in a name", BYTES(POST "Content-\0Length: 3\r\n\r\n"), 400, NULL, NULL },
    { "no colon", BYTES(POST "Nonsense\r\n\r\n"), 400, NULL, NULL },
    { "empty name", BYTES(POST ": x\r\n\r\n"), 400, NULL, NULL },
    { "name with a slash", BYTES(POST "A/B: x\r\n\r\n"), 400, NULL, NULL },
    { "name beyond ASCII", BYTES(POST "Cont\xc3\xa9nt: x\r\n\r\n"), 400, NULL, NULL },
    { "DEL in a value", BYTES(POST "X: \x7f\r\n\r\n"), 400, NULL, NULL },
    { "empty line first", BYTES("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400, NULL, NULL },
    { "chunk extension", BYTES(POST "Transfer-Encoding: chunked\r\n\r\n4;a=b\r\nabcd\r\n0\r\n\r\n"), 400, NULL, NULL },
    { "chunk with a blank", BYTES(POST "Transfer-Encoding: chunked\r\n\r\n4 \r\nabcd\r\n0\r\n\r\n"), 400, NULL, NULL },
    { "chunk with 0x", BYTES(POST "Transfer-Encoding: chunked\r\n\r\n0x4\r\nabcd\r\n0\r\n\r\n"), 400, NULL, NULL },
    { "chunk negative", BYTES(POST "Transfer-Encoding: chunked\r\n\r\n-4\r\n"), 400, NULL, NULL },
    { "chunk empty size", BYTES(POST "Transfer-Encoding: chunked\r\n\r\n\r\n"), 400, NULL, NULL },
    { "chunk bare LF", BYTES(POST "Transfer-Encoding: chunked\r\n\r\n4\nabcd\r\n0\r\n\r\n"), 400, NULL, NULL },
    { "chunk longer than it says", BYTES(POST "Transfer-Encoding: chunked\r\n\r\n4\r\nabcde\r\n0\r\n\r\n"), 400, NULL,
      NULL },
    { "chunk shorter than it says", BYTES(POST "Transfer-Encoding: chunked\r\n\r\n4\r\nabc\r\n0\r\n\r\n"), 400, NULL,
      NULL },
    { "chunk overflow", BYTES(POST "Transfer-Encoding: chunked\r\n\r\n100000000000000004\r\nabcd\r\n"), 400, NULL,
      NULL },
    { "chunk too large", BYTES(POST "Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n"), 413, NULL, NULL },
    { "chunks too large in sum",
      BYTES(POST "Transfer-Encoding: chunked\r\n\r\n30\r\n"
                 "0123456789012345678901234567890123456789ABCDEFGH\r\n30\r\n"),
      413, NULL, NULL },
    { "length too large", BYTES(POST "Content-Length: 65\r\n\r\nx"), 413, NULL, NULL },
    { "trailer", BYTES(POST "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n"), 400, NULL, NULL },
    { "no Host", BYTES("GET / HTTP/1.1\r\n\r\n"), 400, NULL, NULL },
    { "two Hosts", BYTES("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400, NULL, NULL },
    { "absolute target", BYTES("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400, NULL, NULL },
    { "authority target", BYTES("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"), 400, NULL, NULL },
    { "fragment", BYTES("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"), 400, NULL, NULL },
    { "blank in the target", BYTES("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"), 400, NULL, NULL },
    { "two blanks", BYTES("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), 400, NULL, NULL },
    { "tab", BYTES("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400, NULL, NULL },
    { "0.9", BYTES("GET /\r\n\r\n"), 400, NULL, NULL },
    { "1.2", BYTES("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), 505, NULL, NULL },
    { "2.0", BYTES("PRI * HTTP/2.0\r\n\r\n"), 505, NULL, NULL },
    { "1.10", BYTES("GET / HTTP/1.10\r\nHost: a\r\n\r\n"), 400, NULL, NULL },
    { "http/1.1", BYTES("GET / http/1.1\r\nHost: a\r\n\r\n"), 400, NULL, NULL },
    { "method with a bracket", BYTES("GE(T / HTTP/1.1\r\nHost: a\r\n\r\n"), 400, NULL, NULL },
    { "long method", BYTES("AAAAAAAAAAAAAAAAA / HTTP/1.1\r\nHost: a\r\n\r\n"), 400, NULL, NULL },
    { "expectation", BYTES(POST "Expect: magic\r\n\r\n"), 417, NULL, NULL },
};

static void test_requests(void **state)
{
    (void) state;
    static const size_t steps[] = { 1, 2, 5, 100000 };
    for (size_t i = 0; i < ELEMENTSOF(requests); i++)
        for (size_t k = 0; k < ELEMENTSOF(steps); k++) {
            _cleanup_(buf_done) Buf body = BUF_INIT(64);
            size_t used = 0;
            int status = run(requests[i].bytes, requests[i].len, steps[k], &body, &used);
            if (status != requests[i].status)
                fail_msg("%s (step %zu): %d, not %d", requests[i].name, steps[k], status, requests[i].status);
            if (status != 0)
                continue;
            assert_string_equal(body.data ? body.data : "", requests[i].body);
            assert_string_equal(requests[i].bytes + used, requests[i].rest);
        }
}

static void test_limits(void **state)
{
    (void) state;
    _cleanup_(buf_done) Buf b = BUF_INIT(64 * 1024);
    HttpHead head = {};
    size_t scanned = 0;
    int status = 0;
    assert_true(buf_puts(&b, "GET / HTTP/1.1\r\nHost: a\r\n") >= 0);
    for (int i = 1; i < HTTP_HEADERS_COUNT_MAX; i++)
        assert_true(buf_printf(&b, "X-%d: y\r\n", i) >= 0);
    size_t without = b.len;
    assert_true(buf_puts(&b, "\r\n") >= 0);
    int r = http_head_find(b.data, b.len, &scanned, NULL);
    assert_int_equal(r, b.len);
    assert_int_equal(http_request_parse(b.data, b.len, &head, &status, NULL), 0);
    assert_int_equal(head.n_fields, HTTP_HEADERS_COUNT_MAX);
    http_head_done(&head);
    b.len = without;
    assert_true(buf_puts(&b, "One-More: z\r\n\r\n") >= 0);
    assert_true(http_request_parse(b.data, b.len, &head, &status, NULL) < 0);
    assert_int_equal(status, 431);
    /* exactly the limit, and one more */
    for (size_t extra = 0; extra < 2; extra++) {
        static const char start[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        size_t fill = HTTP_HEADER_MAX + extra - (sizeof start - 1) - 4;
        buf_clear(&b);
        scanned = 0;
        assert_true(buf_puts(&b, start) >= 0);
        assert_true(buf_printf(&b, "%0*d\r\n\r\n", (int) fill, 0) >= 0);
        r = http_head_find(b.data, b.len, &scanned, NULL);
        assert_int_equal(r, extra == 0 ? HTTP_HEADER_MAX : -EMSGSIZE);
    }
}

static const struct {
    const char *text;
    int status; /* 0 = refused */
} responses[] = {
    { "HTTP/1.1 200 OK\r\n\r\n", 200 },
    { "HTTP/1.1 101\r\n\r\n", 101 },
    { "HTTP/1.0 503 Slow down, please\r\nRetry-After: 3\r\n\r\n", 503 },
    { "HTTP/1.1 99 Low\r\n\r\n", 0 },
    { "HTTP/1.1 600 High\r\n\r\n", 0 },
    { "HTTP/1.1 2000 Long\r\n\r\n", 0 },
    { "HTTP/1.1 20x Odd\r\n\r\n", 0 },
    { "HTTP/1.1  200 OK\r\n\r\n", 0 },
    { "HTTP/2 200 OK\r\n\r\n", 0 },
    { "ICY 200 OK\r\n\r\n", 0 },
    { "SSH-2.0-OpenSSH_9.2\r\n\r\n", 0 },
    { "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", 0 },
    { "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 0 },
};

static void test_responses(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(responses); i++) {
        HttpHead head = {};
        int r = http_response_parse(responses[i].text, strlen(responses[i].text), &head, NULL);
        if ((r >= 0) != (responses[i].status != 0) || head.status != responses[i].status)
            fail_msg("response %zu: %d", i, r);
        http_head_done(&head);
    }
}

static void test_tokens(void **state)
{
    (void) state;
    HttpHead head = {};
    static const char text[] = "HTTP/1.1 200 OK\r\nA: one, Two ,three\r\nB: ,\r\na: four\r\nC: one two\r\n\r\n";
    assert_int_equal(http_response_parse(text, sizeof text - 1, &head, NULL), 0);
    assert_true(http_head_has_token(&head, "a", "ONE"));
    assert_true(http_head_has_token(&head, "A", "two"));
    assert_true(http_head_has_token(&head, "A", "four"));
    assert_false(http_head_has_token(&head, "A", "thre"));
    assert_false(http_head_has_token(&head, "B", "one"));
    assert_false(http_head_has_token(&head, "C", "one"));
    assert_string_equal(http_head_get(&head, "A"), "one, Two ,three");
    assert_null(http_head_get(&head, "D"));
    http_head_done(&head);
}

static const struct {
    const char *in;
    bool plus;
    const char *out; /* NULL = refused */
} encoded[] = {
    { "", false, "" },       { "/a/b", false, "/a/b" },   { "%41%6a", false, "Aj" }, { "a+b", false, "a+b" },
    { "a+b", true, "a b" },  { "%2B", true, "+" },        { "%", false, NULL },      { "%4", false, NULL },
    { "a%4", false, NULL },  { "%4g", false, NULL },      { "%00", false, NULL },    { "%c3%a9", false, "\xc3\xa9" },
    { "%%41", false, NULL }, { "100%25", false, "100%" },
};

static void test_percent(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(encoded); i++) {
        _cleanup_(freep) char *out = NULL;
        int r = http_percent_decode(encoded[i].in, strlen(encoded[i].in), encoded[i].plus, &out);
        assert_int_equal(r, encoded[i].out ? 0 : -EINVAL);
        assert_true(str_equal(out, encoded[i].out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests), cmocka_unit_test(test_limits),  cmocka_unit_test(test_responses),
        cmocka_unit_test(test_tokens),   cmocka_unit_test(test_percent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* HTTP requests that are run to their end, and URLs. */
#include "tests/unit/http-responder.h"

static int get(const char *path, usec_t timeout, HttpResponse *ret, Error *err)
{
    _cleanup_(freep) char *url = url_of(path);

    return http_run(&(HttpRequest) { .url = url, .timeout_usec = timeout }, ret, err);
}

static void test_answers(void **state)
{
    static const struct {
        const char *path, *body;
        int status;
        usec_t retry;
    } cases[] = {
        { "/hello", "hello", 200, 0 }, { "/teapot", "no\n", 418, 0 },          { "/busy", "", 503, 7 * USEC_PER_SEC },
        { "/busy-date", "", 503, 0 },  { "/chunked", "abcdefg", 200, 0 },      { "/interim", "", 204, 0 },
        { "/moved", "", 302, 0 },      { "/closed", "until the end", 200, 0 },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        HttpResponse response = {};
        Error err = {};

        assert_int_equal(get(cases[i].path, LONG, &response, &err), 0);
        assert_int_equal(response.status, cases[i].status);
        assert_string_equal(response.body, cases[i].body);
        assert_int_equal(response.body_len, strlen(cases[i].body));
        assert_int_equal(response.retry_after_usec, cases[i].retry);
        if (i == 0)
            assert_string_equal(response.date, "Sun, 06 Nov 1994 08:49:37 GMT");
        else
            assert_null(response.date);
        if (i == 2)
            assert_string_equal(response.server, "Busy/1.0 (test)");
        else
            assert_null(response.server);
        http_response_done(&response);
    }
}

static void test_kept_headers(void **state)
{
    _cleanup_(freep) char *url = url_of("/kept"), *big = url_of("/headers"), *later = url_of("/later");
    const char *const names[] = { "X-One", "X-Two", NULL };
    HttpResponse response = {};
    Error err = {};

    (void) state;
    assert_int_equal(
        http_run(&(HttpRequest) { .url = url, .timeout_usec = LONG, .keep_headers = names }, &response, NULL), 0);
    assert_string_equal(http_response_header(&response, "x-one", 0), "Basic realm=\"a\"");
    assert_string_equal(http_response_header(&response, "X-One", 1), "Bearer b");
    assert_null(http_response_header(&response, "X-One", 2));
    assert_string_equal(http_response_header(&response, "X-Two", 0), "");
    assert_null(http_response_header(&response, "X-Other", 0));
    assert_true(response.wire_bytes > 150 && response.wire_bytes < 400);
    http_response_done(&response);
    assert_int_equal(
        http_run(&(HttpRequest) { .url = big, .timeout_usec = LONG, .keep_headers = names }, &response, &err), -EFBIG);
    assert_string_equal(error_id(&err), "http.too-large");
    error_done(&err);
    /* relative to the peer's own Date, whatever the clock here says */
    assert_int_equal(http_run(&(HttpRequest) { .url = later, .timeout_usec = LONG }, &response, NULL), 0);
    assert_int_equal(response.retry_after_usec, 29 * USEC_PER_SEC);
    http_response_done(&response);
}

static void test_head(void **state)
{
    _cleanup_(freep) char *url = url_of("/hello");
    HttpResponse response = {};

    (void) state;
    assert_int_equal(http_run(&(HttpRequest) { .method = "HEAD", .url = url, .timeout_usec = LONG }, &response, NULL),
                     0);
    assert_int_equal(response.status, 200);
    assert_int_equal(response.body_len, 0); /* although the answer claims five bytes */
    http_response_done(&response);
}

static void test_f30_stall(void **state)
{
    _cleanup_(freep) char *url = url_of("/never");
    HttpResponse response = {};
    Error err = {};
    HttpRequest q = { .url = url, .timeout_usec = LONG, .connect_timeout_usec = LONG, .stall_usec = USEC_PER_SEC };

    (void) state;
    assert_int_equal(http_run(&q, &response, &err), -ETIMEDOUT);
    assert_string_equal(error_id(&err), "http.timeout");
    error_done(&err);
    q.ca_file = q.ca_pem = "x";
    assert_int_equal(http_run(&q, &response, &err), -EINVAL);
    error_done(&err);
}

static void test_resolve(void **state)
{
    static const struct {
        const char *location, *is; /* NULL: refused */
        bool same;
    } cases[] = {
        { "/v2/b", "https://r.example:5000/v2/b", true },
        { "b?x=1", "https://r.example:5000/v2/b?x=1", true },
        { "https://R.example:5000/other", "https://R.example:5000/other", true },
        { "//cdn.example/b", "https://cdn.example/b", false },
        { "http://r.example:5000/v2/b", "http://r.example:5000/v2/b", false },
        { "https://r.example/v2/b", "https://r.example/v2/b", false },
        { "https://user:pass@r.example:5000/", NULL, false },
        { "file:///etc/passwd", NULL, false },
        { "ftp://r.example/", NULL, false },
        { "https://r.example:99999/", NULL, false },
        { "https:///", NULL, false },
        { "/a b", NULL, false },
        { "", NULL, false },
    };
    const char *base = "https://r.example:5000/v2/a";

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *url = NULL;
        Error err = {};
        int r = url_resolve(base, cases[i].location, &url, &err);

        if (!cases[i].is) {
            assert_true(r < 0 && !url);
            assert_string_equal(error_id(&err), "url.bad");
            error_done(&err);
            continue;
        }
        assert_int_equal(r, 0);
        assert_string_equal(url, cases[i].is);
        assert_int_equal(url_same_origin(base, url), cases[i].same);
    }
    assert_true(url_same_origin("https://a.example/x", "https://A.example:443/y"));
    assert_false(url_same_origin("https://a.example/", "not a URL"));
}

static void test_request_line_headers_body(void **state)
{
    static const struct {
        const char *method, *body, *begins;
    } cases[] = {
        { NULL, NULL, "GET /echo?q=1 HTTP/1.1\r\n" },        { "POST", "{\"a\":1}", "POST /echo?q=1 HTTP/1.1\r\n" },
        { "POST", NULL, "POST /echo?q=1 HTTP/1.1\r\n" },     { "PUT", "x", "PUT /echo?q=1 HTTP/1.1\r\n" },
        { "DELETE", NULL, "DELETE /echo?q=1 HTTP/1.1\r\n" },
    };
    const char *const headers[] = { "Authorization: Bearer abc", "Content-Type: application/json", NULL };
    _cleanup_(freep) char *url = url_of("/echo?q=1");

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        HttpResponse response = {};
        HttpRequest q = { .method = cases[i].method,
                          .url = url,
                          .headers = headers,
                          .timeout_usec = LONG,
                          .body = cases[i].body,
                          .body_len = cases[i].body ? strlen(cases[i].body) : 0 };

        assert_int_equal(http_run(&q, &response, NULL), 0);
        assert_true(str_starts(response.body, cases[i].begins));
        assert_non_null(strstr(response.body, "\r\nAuthorization: Bearer abc\r\n"));
        assert_non_null(strstr(response.body, "\r\nContent-Type: application/json\r\n"));
        assert_null(strcasestr(response.body, "Expect:"));
        assert_null(strstr(response.body, "x-www-form"));
        _cleanup_(freep) char *end = str_format("\r\n\r\n%s", cases[i].body ? cases[i].body : "");
        assert_true(str_ends(response.body, end));
        http_response_done(&response);
    }
    const char *const split[] = { "X-Evil: a\r\nHost: b", NULL };
    Error err = {};
    HttpResponse response = {};
    assert_int_equal(http_run(&(HttpRequest) { .url = url, .headers = split, .timeout_usec = LONG }, &response, &err),
                     -EINVAL);
    error_done(&err);
}

static void test_failures(void **state)
{
    static const struct {
        const char *path, *id;
        int r;
        usec_t timeout;
    } cases[] = {
        { "/never", "http.timeout", -ETIMEDOUT, 200 * USEC_PER_MSEC },
        { "/big", "http.too-large", -EFBIG, LONG },
        { "/cut", "http.failed", -ECONNRESET, LONG },
        { "/garbage", "http.failed", -EIO, LONG },
        { "/hello", "http.failed", -EINVAL, 0 },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        HttpResponse response = { .status = 77 };
        Error err = {};

        assert_int_equal(get(cases[i].path, cases[i].timeout, &response, &err), cases[i].r);
        assert_string_equal(error_id(&err), cases[i].id);
        assert_int_equal(response.status, 77);
        error_done(&err);
    }
}

static void test_f30_cap_is_exact(void **state)
{
    _cleanup_(freep) char *url = url_of("/hello"), *full = url_of("/full");
    HttpResponse response = {};
    Error err = {};

    (void) state;
    assert_int_equal(http_run(&(HttpRequest) { .url = full, .timeout_usec = LONG }, &response, &err), 0);
    assert_int_equal(response.body_len, HTTP_BODY_MAX);
    http_response_done(&response);
    assert_int_equal(http_run(&(HttpRequest) { .url = url, .timeout_usec = LONG, .response_max = 5 }, &response, &err),
                     0);
    http_response_done(&response);
    assert_int_equal(http_run(&(HttpRequest) { .url = url, .timeout_usec = LONG, .response_max = 4 }, &response, &err),
                     -EFBIG);
    error_done(&err);
}

static void test_nobody_there(void **state)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* bound, not listening: the port stays ours and refuses */
    HttpResponse response = {};
    Error err = {};

    (void) state;
    assert_int_equal(bind(fd, (struct sockaddr *) &in, sizeof(in)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &in, &len), 0);
    _cleanup_(freep) char *url = str_format("http://127.0.0.1:%u/secret?token=abc", ntohs(in.sin_port));
    assert_int_equal(http_run(&(HttpRequest) { .url = url, .timeout_usec = LONG }, &response, &err), -ECONNREFUSED);
    assert_string_equal(error_id(&err), "http.connect");
    assert_null(strstr(err.message, "token=abc"));
    error_done(&err);
    close(fd);
    HttpRequest q = { .url = "http://d/hello", .unix_socket = "/nonexistent/podman.sock", .timeout_usec = LONG };
    assert_int_equal(http_run(&q, &response, &err), -ECONNREFUSED);
    assert_string_equal(error_id(&err), "http.connect");
    error_done(&err);
    /* RFC 6761 §6.4: never resolves */
    q = (HttpRequest) { .url = "http://box.invalid/", .timeout_usec = LONG };
    assert_int_equal(http_run(&q, &response, &err), -EHOSTUNREACH);
    assert_string_equal(error_id(&err), "http.resolve");
    error_done(&err);
}

static void test_tls_to_a_plain_server(void **state)
{
    _cleanup_(freep) char *url = str_format("https://127.0.0.1:%u/hello", server.port);
    HttpResponse response = {};
    Error err = {};

    (void) state;
    assert_int_equal(http_run(&(HttpRequest) { .url = url, .timeout_usec = LONG }, &response, &err), -EPROTO);
    assert_string_equal(error_id(&err), "http.tls");
    error_done(&err);
    /* a key can only be asked for of a server that has one */
    _cleanup_(freep) char *plain = str_format("http://127.0.0.1:%u/hello", server.port);
    static const char key[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    assert_int_equal(http_run(&(HttpRequest) { .url = plain, .timeout_usec = LONG, .peer_key = key }, &response, &err),
                     -EINVAL);
    assert_string_equal(error_id(&err), "http.other-key");
    error_done(&err);
    HttpRequest q = { .url = url, .timeout_usec = LONG, .ca_file = "/nonexistent.pem" };
    assert_int_equal(http_run(&q, &response, &err), -EPROTO);
    assert_string_equal(error_id(&err), "http.tls");
    error_done(&err);
}

static void test_unix_socket(void **state)
{
    HttpResponse response = {};

    (void) state;
    HttpRequest q = { .url = "http://d/echo/libpod", .unix_socket = server.socket, .timeout_usec = LONG };
    assert_int_equal(http_run(&q, &response, NULL), 0);
    assert_true(str_starts(response.body, "GET /echo/libpod HTTP/1.1\r\nHost: d\r\n"));
    http_response_done(&response);
}

static int take(const char *data, size_t len, void *userdata)
{
    size_t *left = userdata;

    for (size_t i = 0; i < len; i++)
        assert_int_equal(data[i], 'b');
    if (*left < len)
        return 1;
    *left -= len;
    return 0;
}

static void test_streaming(void **state)
{
    _cleanup_(freep) char *url = url_of("/big");
    size_t left = 2 * HTTP_BODY_MAX;
    HttpResponse response = {};
    Error err = {};

    (void) state;
    HttpRequest q = { .url = url, .timeout_usec = LONG, .on_data = take, .userdata = &left };
    assert_int_equal(http_run(&q, &response, &err), 0);
    assert_int_equal(left, HTTP_BODY_MAX - 1);
    assert_string_equal(response.body, "");
    http_response_done(&response);
    left = 100000;
    assert_int_equal(http_run(&q, &response, &err), -ECANCELED);
    error_done(&err);
}

static void test_many_at_once(void **state)
{
    enum { N = 12 };
    HttpRequest q[N] = {};
    HttpResponse rets[N] = {};
    Error errs[N] = {};
    int results[N];
    _cleanup_(freep) char *hello = url_of("/hello"), *never = url_of("/never"), *busy = url_of("/busy");

    (void) state;
    for (int i = 0; i < N; i++)
        q[i] = (HttpRequest) { .url = i % 3 == 0   ? hello
                                      : i % 3 == 1 ? never
                                                   : busy,
                               .timeout_usec = i % 3 == 1 ? 200 * USEC_PER_MSEC : LONG };
    q[3].url = "ftp://x/";
    assert_int_equal(http_run_all(q, N, 5, rets, errs, results), 0);
    for (int i = 0; i < N; i++) {
        int want = i == 3 ? -EINVAL : i % 3 == 1 ? -ETIMEDOUT : 0;

        assert_int_equal(results[i], want);
        if (want == 0)
            assert_int_equal(rets[i].status, i % 3 == 0 ? 200 : 503);
        else
            assert_string_equal(error_id(&errs[i]), i == 3 ? "http.bad-url" : "http.timeout");
        http_response_done(&rets[i]);
        error_done(&errs[i]);
    }
    assert_int_equal(http_run_all(q, 0, 5, rets, errs, results), 0);
}

/* URLs */

static void test_urls(void **state)
{
    static const struct {
        const char *url, *schemes, *why; /* NULL: good */
    } cases[] = {
        { "https://cloud.example", "https,http", NULL },
        { "HTTPS://cloud.example/x?y=z", "https,http", NULL },
        { "http://[::1]:8080/mgmt", "https,http", NULL },
        { "wss://cloud.example:443/mgmt", "wss,ws", NULL },
        { "ws://127.0.0.1:1/", "wss,ws", NULL },
        { "", "https", "empty" },
        { "cloud.example", "https", "scheme" },
        { "//cloud.example", "https", "scheme" },
        { "://cloud.example", "https", "scheme" },
        { "http://cloud.example", "https", "scheme" },
        { "file:///etc/passwd", "https,http", "scheme" },
        { "https:///path", "https", "no host" },
        { "https://", "https", "no host" },
        { "https://:80/", "https", "no host" },
        { "https://?x", "https", "no host" },
        { "https:/cloud.example", "https", "scheme" },
        { "https://${CLOUD_BASE_URL:-x}/", "https", "${" },
        { "${CLOUD_BASE_URL:-https://cloud.example}", "https", "${" },
        { "https://user:secret@cloud.example/", "https", "user name" },
        { "https://user@cloud.example/", "https", "user name" },
        { "https://@cloud.example/", "https", "user name" },
        { "https://cloud.example/a b", "https", "white space" },
        { " https://cloud.example", "https", "white space" },
        { "https://cloud.example\n", "https", "white space" },
        { "https://cloud.example\\@evil", "https", "character" },
        { "https://cl\xc3\xb3ud.example", "https", "character" },
        { "https://cloud.example:/", "https", "port" },
        { "https://cloud.example:0/", "https", "port" },
        { "https://cloud.example:65536/", "https", "ort" },
        { "https://cloud.example:80x/", "https", "ort" },
        { "https://[::1/", "https", "" },
        { "https://[zz]/", "https", "" },
        { "averyveryverylongscheme://x", "https", "scheme" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Error err = {};
        int r = url_check(cases[i].url, cases[i].schemes, &err);

        if ((r < 0) != (cases[i].why != NULL))
            fail_msg("%s: %d %s", cases[i].url, r, error_message(&err, r));
        if (cases[i].why) {
            assert_string_equal(error_id(&err), "url.bad");
            if (!strstr(err.message, cases[i].why))
                fail_msg("%s: %s", cases[i].url, err.message);
            assert_null(strstr(err.message, "secret"));
        }
        error_done(&err);
    }
}

static void test_bad_urls_never_reach_the_network(void **state)
{
    static const char *const urls[] = { "${CLOUD_BASE_URL:-}", "ftp://x/", "http://", "", "gopher://127.0.0.1/" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(urls); i++) {
        HttpResponse response = {};
        Error err = {};

        assert_int_equal(http_run(&(HttpRequest) { .url = urls[i], .timeout_usec = LONG }, &response, &err), -EINVAL);
        assert_string_equal(error_id(&err), "http.bad-url");
        error_done(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_kept_headers),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_f30_stall),
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_request_line_headers_body),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_f30_cap_is_exact),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_tls_to_a_plain_server),
        cmocka_unit_test(test_unix_socket),
        cmocka_unit_test(test_streaming),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_bad_urls_never_reach_the_network),
    };

    return cmocka_run_group_tests_name("http-client", tests, setup, teardown);
}

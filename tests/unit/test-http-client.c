/* SPDX-License-Identifier: MIT */
/* The HTTP client against a forked responder with canned answers, on loopback and on a UNIX socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/event/service.h"
#include "lib/net/http-client.h"

#define LONG (600 * USEC_PER_SEC)

typedef struct Server {
    pid_t pid;
    uint16_t port;
    char folder[64], socket[96];
} Server;

static Server server;

/* the responder, in its own processes */

static const struct {
    const char *path, *answer;
} canned[] = {
    {"/hello", "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 5\r\n\r\nhello"},
    {"/teapot", "HTTP/1.1 418 Teapot\r\nContent-Length: 3\r\n\r\nno\n"},
    {"/busy", "HTTP/1.1 503 Busy\r\nServer: Busy/1.0 (test)\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"},
    {"/busy-date", "HTTP/1.1 503 Busy\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n"},
    {"/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"},
    {"/interim", "HTTP/1.1 102 Wait\r\nRetry-After: 9\r\n\r\nHTTP/1.1 204 None\r\n\r\n"},
    {"/moved", "HTTP/1.1 302 Found\r\nLocation: /hello\r\nContent-Length: 0\r\n\r\n"},
    {"/later", "HTTP/1.1 429 Slow\r\nDate: Fri, 31 Dec 1999 23:59:30 GMT\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n"
               "Content-Length: 0\r\n\r\n"},
    {"/kept", "HTTP/1.1 102 Wait\r\nX-One: interim\r\n\r\nHTTP/1.1 401 No\r\nx-one: Basic realm=\"a\"\r\nX-Other: o\r\n"
              "X-ONE:Bearer b \r\nX-Two:\r\nContent-Length: 0\r\n\r\n"},
    {"/closed", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end"},
    {"/cut", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"},
    {"/garbage", "this is not HTTP at all\r\n\r\n"},
};

static void say(int fd, const char *text)
{
    if (fd_write_all(fd, text, strlen(text)) < 0)
        _exit(1);
}

static void serve_big(int fd, size_t size)
{
    char head[128], piece[4096];

    memset(piece, 'b', sizeof(piece));
    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", size);
    say(fd, head);
    while (size > 0) {
        size_t n = size < sizeof(piece) ? size : sizeof(piece);

        if (fd_write_all(fd, piece, n) < 0)
            _exit(0);
        size -= n;
    }
}

static void serve_headers(int fd)
{
    say(fd, "HTTP/1.1 200 OK\r\n");
    for (size_t i = 0; i < HTTP_HEADER_MAX / 16 + 1; i++)
        say(fd, "X-One: 0123456789abcdef\r\n");
    say(fd, "Content-Length: 0\r\n\r\n");
}

static void serve_echo(int fd, const char *request)
{
    char head[128];

    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", strlen(request));
    say(fd, head);
    say(fd, request);
}

/* One request per connection. */
static _Noreturn void serve(int fd)
{
    char request[65536] = "", path[256] = "";
    size_t len = 0, body = 0;
    const char *end, *cl;

    while (!(end = strstr(request, "\r\n\r\n")) || strlen(end + 4) < body) {
        ssize_t n = read(fd, request + len, sizeof(request) - 1 - len);

        if (n <= 0)
            _exit(0);
        len += (size_t) n;
        request[len] = '\0';
        if (request[0] == 0x16) /* a TLS handshake */
            _exit(0);
        if ((cl = strcasestr(request, "Content-Length: ")))
            body = strtoul(cl + 16, NULL, 10);
    }
    (void) sscanf(request, "%*s %255s", path);
    if (str_equal(path, "/never"))
        while (read(fd, path, sizeof(path)) > 0) {
        }
    else if (str_starts(path, "/echo"))
        serve_echo(fd, request);
    else if (str_equal(path, "/headers"))
        serve_headers(fd);
    else if (str_equal(path, "/big"))
        serve_big(fd, HTTP_BODY_MAX + 1);
    else if (str_equal(path, "/full"))
        serve_big(fd, HTTP_BODY_MAX);
    for (size_t i = 0; i < ELEMENTSOF(canned); i++)
        if (str_equal(path, canned[i].path))
            say(fd, canned[i].answer);
    _exit(0);
}

static _Noreturn void server_loop(int listener)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd >= 0 && fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(listener);
            serve(fd);
        }
        if (fd >= 0)
            close(fd);
    }
}

static pid_t server_fork(int listener, int other)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        close(other);
        server_loop(listener);
    }
    return pid;
}

static pid_t unix_pid;

static int setup(void **state)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(in);
    int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void) state;
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    snprintf(server.folder, sizeof(server.folder), "/tmp/test-http-client-XXXXXX");
    assert_non_null(mkdtemp(server.folder));
    snprintf(server.socket, sizeof(server.socket), "%s/http.sock", server.folder);
    memcpy(un.sun_path, server.socket, sizeof(server.socket));
    assert_int_equal(bind(tcp, (struct sockaddr *) &in, sizeof(in)), 0);
    assert_int_equal(bind(local, (struct sockaddr *) &un, sizeof(un)), 0);
    assert_int_equal(listen(tcp, 64), 0);
    assert_int_equal(listen(local, 64), 0);
    assert_int_equal(getsockname(tcp, (struct sockaddr *) &in, &len), 0);
    server.port = ntohs(in.sin_port);
    server.pid = server_fork(tcp, local);
    unix_pid = server_fork(local, tcp);
    close(tcp);
    close(local);
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    kill(server.pid, SIGKILL);
    kill(unix_pid, SIGKILL);
    waitpid(server.pid, NULL, 0);
    waitpid(unix_pid, NULL, 0);
    return dir_remove(server.folder, NULL);
}

static char *url_of(const char *path)
{
    char *url = str_format("http://127.0.0.1:%u%s", server.port, path);

    assert_non_null(url);
    return url;
}

/* to the end */

static int get(const char *path, usec_t timeout, HttpResponse *ret, Error *err)
{
    _cleanup_(freep) char *url = url_of(path);

    return http_run(&(HttpRequest) {.url = url, .timeout_usec = timeout}, ret, err);
}

static void test_answers(void **state)
{
    static const struct {
        const char *path, *body;
        int status;
        usec_t retry;
    } cases[] = {
        {"/hello", "hello", 200, 0},       {"/teapot", "no\n", 418, 0}, {"/busy", "", 503, 7 * USEC_PER_SEC},
        {"/busy-date", "", 503, 0},        {"/chunked", "abcdefg", 200, 0}, {"/interim", "", 204, 0},
        {"/moved", "", 302, 0},            {"/closed", "until the end", 200, 0},
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
    const char *const names[] = {"X-One", "X-Two", NULL};
    HttpResponse response = {};
    Error err = {};

    (void) state;
    assert_int_equal(http_run(&(HttpRequest) {.url = url, .timeout_usec = LONG, .keep_headers = names}, &response, NULL), 0);
    assert_string_equal(http_response_header(&response, "x-one", 0), "Basic realm=\"a\"");
    assert_string_equal(http_response_header(&response, "X-One", 1), "Bearer b");
    assert_null(http_response_header(&response, "X-One", 2));
    assert_string_equal(http_response_header(&response, "X-Two", 0), "");
    assert_null(http_response_header(&response, "X-Other", 0));
    assert_true(response.wire_bytes > 150 && response.wire_bytes < 400);
    http_response_done(&response);
    assert_int_equal(http_run(&(HttpRequest) {.url = big, .timeout_usec = LONG, .keep_headers = names}, &response, &err), -EFBIG);
    assert_string_equal(error_id(&err), "http.too-large");
    error_done(&err);
    /* relative to the peer's own Date, whatever the clock here says */
    assert_int_equal(http_run(&(HttpRequest) {.url = later, .timeout_usec = LONG}, &response, NULL), 0);
    assert_int_equal(response.retry_after_usec, 29 * USEC_PER_SEC);
    http_response_done(&response);
}

static void test_head(void **state)
{
    _cleanup_(freep) char *url = url_of("/hello");
    HttpResponse response = {};

    (void) state;
    assert_int_equal(http_run(&(HttpRequest) {.method = "HEAD", .url = url, .timeout_usec = LONG}, &response, NULL), 0);
    assert_int_equal(response.status, 200);
    assert_int_equal(response.body_len, 0); /* although the answer claims five bytes */
    http_response_done(&response);
}

static void test_stall(void **state)
{
    _cleanup_(freep) char *url = url_of("/never");
    HttpResponse response = {};
    Error err = {};
    HttpRequest q = {.url = url, .timeout_usec = LONG, .connect_timeout_usec = LONG, .stall_usec = USEC_PER_SEC};

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
        {"/v2/b", "https://r.example:5000/v2/b", true},
        {"b?x=1", "https://r.example:5000/v2/b?x=1", true},
        {"https://R.example:5000/other", "https://R.example:5000/other", true},
        {"//cdn.example/b", "https://cdn.example/b", false},
        {"http://r.example:5000/v2/b", "http://r.example:5000/v2/b", false},
        {"https://r.example/v2/b", "https://r.example/v2/b", false},
        {"https://user:pass@r.example:5000/", NULL, false},
        {"file:///etc/passwd", NULL, false},
        {"ftp://r.example/", NULL, false},
        {"https://r.example:99999/", NULL, false},
        {"https:///", NULL, false},
        {"/a b", NULL, false},
        {"", NULL, false},
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
        {NULL, NULL, "GET /echo?q=1 HTTP/1.1\r\n"},
        {"POST", "{\"a\":1}", "POST /echo?q=1 HTTP/1.1\r\n"},
        {"POST", NULL, "POST /echo?q=1 HTTP/1.1\r\n"},
        {"PUT", "x", "PUT /echo?q=1 HTTP/1.1\r\n"},
        {"DELETE", NULL, "DELETE /echo?q=1 HTTP/1.1\r\n"},
    };
    const char *const headers[] = {"Authorization: Bearer abc", "Content-Type: application/json", NULL};
    _cleanup_(freep) char *url = url_of("/echo?q=1");

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        HttpResponse response = {};
        HttpRequest q = {.method = cases[i].method, .url = url, .headers = headers, .timeout_usec = LONG,
                         .body = cases[i].body, .body_len = cases[i].body ? strlen(cases[i].body) : 0};

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
    const char *const split[] = {"X-Evil: a\r\nHost: b", NULL};
    Error err = {};
    HttpResponse response = {};
    assert_int_equal(http_run(&(HttpRequest) {.url = url, .headers = split, .timeout_usec = LONG}, &response, &err), -EINVAL);
    error_done(&err);
}

static void test_failures(void **state)
{
    static const struct {
        const char *path, *id;
        int r;
        usec_t timeout;
    } cases[] = {
        {"/never", "http.timeout", -ETIMEDOUT, 200 * USEC_PER_MSEC},
        {"/big", "http.too-large", -EFBIG, LONG},
        {"/cut", "http.failed", -EIO, LONG},
        {"/garbage", "http.failed", -EIO, LONG},
        {"/hello", "http.failed", -EINVAL, 0},
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        HttpResponse response = {.status = 77};
        Error err = {};

        assert_int_equal(get(cases[i].path, cases[i].timeout, &response, &err), cases[i].r);
        assert_string_equal(error_id(&err), cases[i].id);
        assert_int_equal(response.status, 77);
        error_done(&err);
    }
}

static void test_cap_is_exact(void **state)
{
    _cleanup_(freep) char *url = url_of("/hello"), *full = url_of("/full");
    HttpResponse response = {};
    Error err = {};

    (void) state;
    assert_int_equal(http_run(&(HttpRequest) {.url = full, .timeout_usec = LONG}, &response, &err), 0);
    assert_int_equal(response.body_len, HTTP_BODY_MAX);
    http_response_done(&response);
    assert_int_equal(http_run(&(HttpRequest) {.url = url, .timeout_usec = LONG, .response_max = 5}, &response, &err), 0);
    http_response_done(&response);
    assert_int_equal(http_run(&(HttpRequest) {.url = url, .timeout_usec = LONG, .response_max = 4}, &response, &err), -EFBIG);
    error_done(&err);
}

static void test_nobody_there(void **state)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* bound, not listening: the port stays ours and refuses */
    HttpResponse response = {};
    Error err = {};

    (void) state;
    assert_int_equal(bind(fd, (struct sockaddr *) &in, sizeof(in)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &in, &len), 0);
    _cleanup_(freep) char *url = str_format("http://127.0.0.1:%u/secret?token=abc", ntohs(in.sin_port));
    assert_int_equal(http_run(&(HttpRequest) {.url = url, .timeout_usec = LONG}, &response, &err), -ECONNREFUSED);
    assert_string_equal(error_id(&err), "http.connect");
    assert_null(strstr(err.message, "token=abc"));
    error_done(&err);
    close(fd);
    HttpRequest q = {.url = "http://d/hello", .unix_socket = "/nonexistent/podman.sock", .timeout_usec = LONG};
    assert_int_equal(http_run(&q, &response, &err), -ECONNREFUSED);
    assert_string_equal(error_id(&err), "http.connect");
    error_done(&err);
    /* RFC 6761 §6.4: never resolves */
    q = (HttpRequest) {.url = "http://box.invalid/", .timeout_usec = LONG};
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
    assert_int_equal(http_run(&(HttpRequest) {.url = url, .timeout_usec = LONG}, &response, &err), -EPROTO);
    assert_string_equal(error_id(&err), "http.tls");
    error_done(&err);
    HttpRequest q = {.url = url, .timeout_usec = LONG, .ca_file = "/nonexistent.pem"};
    assert_int_equal(http_run(&q, &response, &err), -EPROTO);
    assert_string_equal(error_id(&err), "http.tls");
    error_done(&err);
}

static void test_unix_socket(void **state)
{
    HttpResponse response = {};

    (void) state;
    HttpRequest q = {.url = "http://d/echo/libpod", .unix_socket = server.socket, .timeout_usec = LONG};
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
    HttpRequest q = {.url = url, .timeout_usec = LONG, .on_data = take, .userdata = &left};
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
        q[i] = (HttpRequest) {.url = i % 3 == 0 ? hello : i % 3 == 1 ? never : busy,
                              .timeout_usec = i % 3 == 1 ? 200 * USEC_PER_MSEC : LONG};
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
        {"https://cloud.example", "https,http", NULL},
        {"HTTPS://cloud.example/x?y=z", "https,http", NULL},
        {"http://[::1]:8080/mgmt", "https,http", NULL},
        {"wss://cloud.example:443/mgmt", "wss,ws", NULL},
        {"ws://127.0.0.1:1/", "wss,ws", NULL},
        {"", "https", "empty"},
        {"cloud.example", "https", "scheme"},
        {"//cloud.example", "https", "scheme"},
        {"://cloud.example", "https", "scheme"},
        {"http://cloud.example", "https", "scheme"},
        {"file:///etc/passwd", "https,http", "scheme"},
        {"https:///path", "https", "no host"},
        {"https://", "https", "no host"},
        {"https://:80/", "https", "no host"},
        {"https://?x", "https", "no host"},
        {"https:/cloud.example", "https", "scheme"},
        {"https://${CLOUD_BASE_URL:-x}/", "https", "${"},
        {"${CLOUD_BASE_URL:-https://cloud.example}", "https", "${"},
        {"https://user:secret@cloud.example/", "https", "user name"},
        {"https://user@cloud.example/", "https", "user name"},
        {"https://@cloud.example/", "https", "user name"},
        {"https://cloud.example/a b", "https", "white space"},
        {" https://cloud.example", "https", "white space"},
        {"https://cloud.example\n", "https", "white space"},
        {"https://cloud.example\\@evil", "https", "character"},
        {"https://cl\xc3\xb3ud.example", "https", "character"},
        {"https://cloud.example:/", "https", "port"},
        {"https://cloud.example:0/", "https", "port"},
        {"https://cloud.example:65536/", "https", "ort"},
        {"https://cloud.example:80x/", "https", "ort"},
        {"https://[::1/", "https", ""},
        {"https://[zz]/", "https", ""},
        {"averyveryverylongscheme://x", "https", "scheme"},
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
    static const char *const urls[] = {"${CLOUD_BASE_URL:-}", "ftp://x/", "http://", "", "gopher://127.0.0.1/"};

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(urls); i++) {
        HttpResponse response = {};
        Error err = {};

        assert_int_equal(http_run(&(HttpRequest) {.url = urls[i], .timeout_usec = LONG}, &response, &err), -EINVAL);
        assert_string_equal(error_id(&err), "http.bad-url");
        error_done(&err);
    }
}

/* on the loop */

typedef struct Async {
    sd_event *event;
    HttpClient *client;
    int done, expected, last_status, last_r;
    char last_id[64];
    HttpCall *victim;
    bool free_client;
    const char *again;
} Async;

static void async_done(HttpCall *call, int r, const HttpResponse *response, const Error *err, void *userdata)
{
    Async *a = userdata;

    a->done++;
    a->last_r = r;
    a->last_status = response->status;
    snprintf(a->last_id, sizeof(a->last_id), "%s", r < 0 ? error_id(err) : "");
    if (r >= 0)
        assert_int_equal(strlen(response->body), response->body_len);
    http_call_free(call);                    /* too late: does nothing */
    a->victim = http_call_free(a->victim);
    if (a->again) {
        HttpRequest q = {.url = a->again, .timeout_usec = LONG};

        a->again = NULL;
        assert_int_equal(http_start(a->client, &q, async_done, a, NULL, NULL), 0);
    }
    if (a->free_client)
        a->client = http_client_free(a->client);
    if (a->done == a->expected)
        assert_true(sd_event_exit(a->event, 0) >= 0);
}

static void async_begin(Async *a)
{
    assert_true(sd_event_new(&a->event) >= 0);
    assert_int_equal(http_client_new(a->event, &a->client, NULL), 0);
}

static void async_end(Async *a)
{
    http_client_free(a->client);
    sd_event_unref(a->event);
}

static HttpCall *async_get(Async *a, const char *path, usec_t timeout)
{
    HttpCall *call = NULL;
    char *url = url_of(path);
    Error err = {};

    assert_int_equal(http_start(a->client, &(HttpRequest) {.url = url, .timeout_usec = timeout}, async_done, a, &call, &err), 0);
    memset(url, 'X', strlen(url)); /* was copied */
    free(url);
    return call;
}

static void test_loop_request(void **state)
{
    Async a = {.expected = 1};

    (void) state;
    async_begin(&a);
    async_get(&a, "/hello", LONG);
    assert_int_equal(a.done, 0);
    assert_int_equal(sd_event_loop(a.event), 0);
    assert_int_equal(a.last_status, 200);
    async_end(&a);
}

static void test_loop_failures(void **state)
{
    static const struct {
        const char *path, *id;
        usec_t timeout;
    } cases[] = {{"/never", "http.timeout", 200 * USEC_PER_MSEC},
                 {"/big", "http.too-large", LONG},
                 {"/garbage", "http.failed", LONG}};

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Async a = {.expected = 1};

        async_begin(&a);
        async_get(&a, cases[i].path, cases[i].timeout);
        assert_int_equal(sd_event_loop(a.event), 0);
        assert_true(a.last_r < 0);
        assert_string_equal(a.last_id, cases[i].id);
        async_end(&a);
    }
    Async a = {};
    HttpCall *call = NULL;
    Error err = {};
    async_begin(&a);
    HttpRequest bad = {.url = "${X}", .timeout_usec = 1};
    assert_int_equal(http_start(a.client, &bad, async_done, &a, &call, &err), -EINVAL);
    assert_null(call);
    error_done(&err);
    async_end(&a);
}

static void test_loop_cancel_and_chain(void **state)
{
    _cleanup_(freep) char *teapot = url_of("/teapot");
    Async a = {.expected = 2, .again = teapot};

    (void) state;
    async_begin(&a);
    a.victim = async_get(&a, "/never", LONG);
    HttpCall *silent = async_get(&a, "/never", LONG);
    http_call_free(silent);
    async_get(&a, "/hello", LONG);
    assert_int_equal(sd_event_loop(a.event), 0);
    assert_int_equal(a.done, 2);
    assert_int_equal(a.last_status, 418);
    async_end(&a);
}

static void test_loop_client_freed_in_callback(void **state)
{
    Async a = {.expected = 1, .free_client = true};

    (void) state;
    async_begin(&a);
    async_get(&a, "/never", LONG);
    async_get(&a, "/hello", LONG);
    assert_int_equal(sd_event_loop(a.event), 0);
    assert_null(a.client);
    async_end(&a);
}

static int cancel_self(const char *data, size_t len, void *userdata)
{
    Async *a = userdata;

    (void) data;
    (void) len;
    assert_non_null(a->victim); /* once, then silence */
    a->victim = http_call_free(a->victim);
    return 0;
}

static void test_loop_cancel_from_on_data(void **state)
{
    _cleanup_(freep) char *url = url_of("/big");
    Async a = {.expected = 1};
    HttpRequest q = {.url = url, .timeout_usec = LONG, .on_data = cancel_self, .userdata = &a};

    (void) state;
    async_begin(&a);
    assert_int_equal(http_start(a.client, &q, async_done, &a, &a.victim, NULL), 0);
    while (a.victim)
        assert_true(sd_event_run(a.event, USEC_PER_SEC) >= 0);
    async_get(&a, "/hello", LONG);
    assert_int_equal(sd_event_loop(a.event), 0);
    assert_int_equal(a.done, 1);
    assert_int_equal(a.last_status, 200);
    async_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_kept_headers),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_stall),
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_request_line_headers_body),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_cap_is_exact),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_tls_to_a_plain_server),
        cmocka_unit_test(test_unix_socket),
        cmocka_unit_test(test_streaming),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_bad_urls_never_reach_the_network),
        cmocka_unit_test(test_loop_request),
        cmocka_unit_test(test_loop_failures),
        cmocka_unit_test(test_loop_cancel_and_chain),
        cmocka_unit_test(test_loop_client_freed_in_callback),
        cmocka_unit_test(test_loop_cancel_from_on_data),
    };

    return cmocka_run_group_tests_name("http-client", tests, setup, teardown);
}

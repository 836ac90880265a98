/* SPDX-License-Identifier: MIT */
/* A server with two addresses, the first of which takes connections and is silent. */
#include "tests/unit/certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/http/client-address.h"
#include "lib/http/client.h"
#include "lib/http/server.h"

#define LIMIT (20 * USEC_PER_SEC)

static char folder[] = "/tmp/secbox-test-address-XXXXXX";

typedef struct World {
    int silent; /* at 127.0.0.2, of the same port */
    pid_t pid;
    uint16_t port;
} World;

static void on_request(HttpExchange *x, void *userdata)
{
    (void) userdata;
    http_respond(x, 200, "text/plain", "good", 4, NULL);
}

/* The good server, at 127.0.0.1, in a process of its own. */
static _Noreturn void serve(bool tls, int tell)
{
    _cleanup_(freep) char *cert = str_format("%s/cert.pem", folder);
    _cleanup_(freep) char *key = str_format("%s/key.pem", folder);
    HttpServerOptions options = { .address = "127.0.0.1",
                                  .max_connections = 16,
                                  .handler = on_request,
                                  .cert_file = tls ? cert : NULL,
                                  .key_file = tls ? key : NULL };
    sd_event *event = NULL;
    HttpServer *server = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sd_event_new(&event) < 0 || http_server_new(event, &options, &server, NULL) < 0)
        _exit(1);
    uint16_t port = http_server_port(server);
    if (write(tell, &port, sizeof port) != sizeof port)
        _exit(1);
    (void) sd_event_loop(event);
    _exit(0);
}

static void start(World *w, bool tls)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    w->pid = fork();
    assert_true(w->pid >= 0);
    if (w->pid == 0)
        serve(tls, pipes[1]);
    close(pipes[1]);
    assert_int_equal(read(pipes[0], &w->port, sizeof w->port), sizeof w->port);
    close(pipes[0]);
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(w->port) };
    _cleanup_(freep) char *fixed = str_format("gateway.test:%u:127.0.0.2,127.0.0.1", w->port);
    http_fixed_addresses = curl_slist_append(NULL, fixed);
    w->silent = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(inet_pton(AF_INET, "127.0.0.2", &addr.sin_addr), 1);
    assert_int_equal(bind(w->silent, (struct sockaddr *) &addr, sizeof addr), 0);
    assert_int_equal(listen(w->silent, 8), 0);
}

static int setup(void **state)
{
    World *w = calloc(1, sizeof *w);
    w->silent = -1;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;
    if (w->silent >= 0)
        close(w->silent);
    kill(w->pid, SIGKILL);
    waitpid(w->pid, NULL, 0);
    curl_slist_free_all(TAKE_PTR(http_fixed_addresses));
    free(w);
    return 0;
}

static int get(const World *w, const char *scheme, const char *host, usec_t limit, Error *err)
{
    _cleanup_(freep) char *url = str_format("%s://%s:%u/", scheme, host, w->port);
    _cleanup_(freep) char *ca = str_format("%s/cert.pem", folder);
    HttpRequest request = { .url = url, .ca_file = ca, .timeout_usec = limit };
    _cleanup_(http_response_done) HttpResponse response = {};
    int r = http_run(&request, &response, err);
    if (r >= 0)
        assert_string_equal(response.body, "good");
    return r;
}

static void assert_good(const World *w, const char *scheme)
{
    _cleanup_(error_done) Error err = {};
    if (get(w, scheme, "gateway.test", LIMIT, &err) < 0)
        fail_msg("%s", err.message);
}

static void assert_asked_once(const World *w)
{
    int fd = accept(w->silent, NULL, NULL);
    assert_true(fd >= 0); /* or this test has tried nothing */
    close(fd);
    assert_int_equal(accept(w->silent, NULL, NULL), -1);
}

/* Nothing was sent yet: the same request goes to the next address. */
static void test_tls_hangs(void **state)
{
    World *w = *state;
    start(w, true);
    assert_good(w, "https");
    assert_good(w, "https");
    assert_asked_once(w);
}

typedef struct Loop {
    sd_event *event;
    int r;
} Loop;

static void on_done(HttpCall *call, int r, const HttpResponse *response, const Error *err, void *userdata)
{
    Loop *l = userdata;
    (void) call;
    (void) response;
    if (r < 0)
        print_error("%s\n", err->message);
    l->r = r;
    assert_true(sd_event_exit(l->event, 0) >= 0);
}

static void test_tls_hangs_on_a_loop(void **state)
{
    World *w = *state;
    start(w, true);
    _cleanup_(freep) char *url = str_format("https://gateway.test:%u/", w->port);
    _cleanup_(freep) char *ca = str_format("%s/cert.pem", folder);
    HttpRequest request = { .url = url, .ca_file = ca, .timeout_usec = LIMIT };
    HttpClient *client = NULL;
    Loop l = { .r = 1 };
    assert_true(sd_event_new(&l.event) >= 0);
    assert_true(http_client_new(l.event, &client, NULL) >= 0);
    assert_true(http_start(client, &request, on_done, &l, NULL, NULL) >= 0);
    assert_true(sd_event_loop(l.event) >= 0);
    assert_int_equal(l.r, 0);
    http_client_free(client);
    sd_event_unref(l.event);
    assert_asked_once(w);
}

/* The request is on its way and nobody answers: it is not sent twice, but the next one goes elsewhere. */
static void test_no_answer(void **state)
{
    World *w = *state;
    _cleanup_(error_done) Error err = {};
    start(w, false);
    assert_int_equal(get(w, "http", "gateway.test", USEC_PER_SEC, &err), -ETIMEDOUT);
    assert_good(w, "http");
    assert_asked_once(w);
}

/* One that is silent is asked again all the same when there is no other; and it is said what failed. */
static void test_only_one(void **state)
{
    World *w = *state;
    start(w, true);
    for (unsigned i = 0; i < 2; i++) {
        _cleanup_(error_done) Error err = {};
        assert_int_equal(get(w, "https", "127.0.0.2", USEC_PER_SEC, &err), -ETIMEDOUT);
        assert_string_equal(err.id, "http.timeout");
    }
    /* a stranger's certificate */
    _cleanup_(freep) char *url = str_format("https://gateway.test:%u/", w->port);
    _cleanup_(error_done) Error err = {};
    HttpResponse response = {};
    close(w->silent);
    w->silent = -1;
    assert_true(http_run(&(HttpRequest) { .url = url, .timeout_usec = LIMIT }, &response, &err) < 0);
    assert_string_equal(err.id, "http.tls");
}

static int make_certificate(void **state)
{
    (void) state;
    assert_non_null(mkdtemp(folder));
    make_self_signed(folder, "key.pem", "cert.pem", "DNS:gateway.test,IP:127.0.0.2");
    return 0;
}

static int remove_certificate(void **state)
{
    (void) state;
    return dir_remove(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tls_hangs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tls_hangs_on_a_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_one, setup, teardown),
    };
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}

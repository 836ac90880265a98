/* SPDX-License-Identifier: MIT */
/* When tokens are refreshed; claims and refreshes against a small gateway on the loopback. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/jwt.h"
#include "lib/http/server.h"
#include "lib/tunnel/identity.h"

#define HOUR 3600
#define DAY 86400

static void test_refresh_delay(void **state)
{
    (void) state;
    const uint64_t midnight = UINT64_C(20000) * DAY; /* UTC */
    const struct {
        uint64_t issued, expires, now, offset;
        long utc_offset;
        uint64_t seconds;
    } cases[] = {
        /* two thirds of its life come first */
        { midnight + 12 * HOUR, midnight + 15 * HOUR, midnight + 12 * HOUR, 0, 0, 2 * HOUR },
        { midnight + 12 * HOUR, midnight + 15 * HOUR, midnight + 13 * HOUR, 0, 0, 1 * HOUR },
        { midnight, midnight + 100, midnight, 0, 0, 66 },
        /* the night comes first */
        { midnight + 12 * HOUR, midnight + 12 * HOUR + 30 * DAY, midnight + 12 * HOUR, 0, 0, 15 * HOUR },
        { midnight + 12 * HOUR, midnight + 12 * HOUR + 30 * DAY, midnight + 12 * HOUR, 1800, 0, 15 * HOUR + 1800 },
        { midnight, midnight + 30 * DAY, midnight + 1 * HOUR, 0, 0, 2 * HOUR },
        { midnight, midnight + 30 * DAY, midnight + 3 * HOUR - 1, 0, 0, 1 },
        { midnight, midnight + 30 * DAY, midnight + 3 * HOUR, 0, 0, DAY }, /* not twice in one night */
        { midnight, midnight + 30 * DAY, midnight + 3 * HOUR + 1, 0, 0, DAY - 1 },
        { midnight, midnight + 30 * DAY, midnight, 7200 + 60, 0, 3 * HOUR + 60 }, /* within two hours */
        /* local time */
        { midnight, midnight + 30 * DAY, midnight, 0, 2 * HOUR, 1 * HOUR },
        { midnight, midnight + 30 * DAY, midnight, 0, -6 * HOUR, 9 * HOUR },
        { midnight, midnight + 30 * DAY, midnight, 0, 4 * HOUR, 23 * HOUR },
        { 0, 30 * DAY, 0, 0, -6 * HOUR, 9 * HOUR },
        /* due, over, broken, far away */
        { midnight, midnight + 90, midnight + 60, 0, 0, 0 },
        { midnight, midnight + 90, midnight + DAY, 0, 0, 0 },
        { midnight, midnight, midnight, 0, 0, 0 },
        { midnight + 5, midnight, midnight, 0, 0, 0 },
        { 0, UINT64_MAX, midnight, 0, 0, 3 * HOUR },
        { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, 0, 0 },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        usec_t delay = identity_refresh_delay(cases[i].issued, cases[i].expires, cases[i].now, cases[i].offset,
                                              cases[i].utc_offset);

        if (delay != cases[i].seconds * USEC_PER_SEC)
            fail_msg("case %zu: %llu s instead of %llu", i, (unsigned long long) (delay / USEC_PER_SEC),
                     (unsigned long long) cases[i].seconds);
    }
}

/* What the little gateway does with the next request. */
typedef enum Answer {
    ANSWER_TOKEN,
    ANSWER_STALE,
    ANSWER_REUSED,
    ANSWER_UNAUTHORIZED,
    ANSWER_BUSY,
    ANSWER_PENDING,
    ANSWER_NONSENSE,
} Answer;

typedef struct World {
    char folder[32];
    char *state_dir, *url;
    sd_event *event;
    HttpServer *server;
    HttpClient *http;
    Key *issuer;
    Identity *identity;
    Answer answers[8]; /* in turn; then tokens */
    unsigned claims, refreshes;
    int64_t clock_ahead; /* of the gateway's clock */
    uint64_t token_life;

    unsigned tokens, failures, inband;
    char *last_id;
    usec_t retry_in;
    bool free_in_callback;
} World;

static uint64_t gateway_now(const World *w)
{
    return (uint64_t) ((int64_t) (realtime_usec() / USEC_PER_SEC) + w->clock_ahead);
}

static char *make_token(const World *w, const char *device)
{
    JwtClaims claims = {
        .issuer = (char *) "https://cloud.example",
        .audience = (char *) "mgmt",
        .subject = (char *) (uintptr_t) device,
        .id = (char *) "t",
        .thumbprint = (char *) "x",
        .issued_at = gateway_now(w),
        .not_before = gateway_now(w),
        .expires_at = gateway_now(w) + w->token_life,
    };
    char *token = NULL;

    assert_int_equal(jwt_sign_device(w->issuer, &claims, &token, NULL), 0);
    return token;
}

static void respond(World *w, HttpExchange *x, int status, cJSON *body)
{
    char now[TIMESTAMP_SIZE];

    assert_int_equal(json_add_string(body, "serverTime", timestamp_format(gateway_now(w) * USEC_PER_SEC, now)), 0);
    _cleanup_(freep) char *text = json_print(body);
    cJSON_Delete(body);
    http_respond(x, status, "application/json", text, strlen(text), NULL);
}

static void respond_error(World *w, HttpExchange *x, int status, const char *id)
{
    cJSON *body = cJSON_CreateObject(), *error = cJSON_CreateObject();

    assert_int_equal(json_add_string(error, "id", id), 0);
    assert_int_equal(json_add_string(error, "message", "because"), 0);
    assert_int_equal(json_add_item(body, "error", error), 0);
    respond(w, x, status, body);
}

static void check_proof(World *w, const char *proof, const char *path, const char *token, bool in_time)
{
    _cleanup_(key_freep) Key *key = NULL;
    _cleanup_(freep) char *id = NULL;
    Error err = {};
    char hash[JWT_HASH_SIZE];
    assert_true(!token || jwt_hash(token, hash) >= 0);
    int r = jwt_verify_proof(proof, "POST", path, token ? hash : NULL, gateway_now(w), &key, &id, &err);

    if (in_time)
        assert_int_equal(r, 0);
    else
        assert_string_equal(err.id, "proof.stale");
    error_done(&err);
}

static void on_request(HttpExchange *x, void *userdata)
{
    World *w = userdata;
    Answer answer = w->answers[w->claims + w->refreshes];
    const char *path = http_path(x);

    if (str_equal(path, "/base/api/device/claim")) {
        _cleanup_(cJSON_Deletep) cJSON *body = NULL;
        size_t len = 0;
        const char *text = http_body(x, &len);

        w->claims++;
        assert_int_equal(json_parse_object(text, len, &body, NULL), 0);
        assert_string_equal(json_string(body, "deviceId"), "caseta-5");
        assert_string_equal(json_string(body, "role"), "mgmt");
        assert_string_equal(json_string(body, "bootstrap"), "b-t");
        check_proof(w, json_string(body, "proof"), path, NULL, answer != ANSWER_STALE);
    } else {
        const char *bearer = http_header(x, "Authorization");

        w->refreshes++;
        assert_string_equal(path, "/base/api/device/refresh-jwt");
        assert_true(str_starts(bearer, "Bearer "));
        check_proof(w, http_header(x, "DPoP"), path, bearer + strlen("Bearer "), answer != ANSWER_STALE);
    }
    if (answer == ANSWER_TOKEN) {
        cJSON *body = cJSON_CreateObject();
        _cleanup_(freep) char *token = make_token(w, "caseta-5");

        assert_int_equal(json_add_string(body, "token", token), 0);
        respond(w, x, 201, body);
    } else if (answer == ANSWER_STALE) {
        respond_error(w, x, 401, "proof.stale");
    } else if (answer == ANSWER_REUSED) {
        respond_error(w, x, 409, "device.bootstrap-reused");
    } else if (answer == ANSWER_UNAUTHORIZED) {
        respond_error(w, x, 401, "jwt.signature");
    } else if (answer == ANSWER_BUSY) {
        respond_error(w, x, 503, "gateway.busy");
    } else if (answer == ANSWER_PENDING) {
        respond_error(w, x, 403, "enrolment.pending");
    } else {
        http_respond(x, 200, "text/html", "<html>", 6, NULL);
    }
}

static void on_token(Identity *i, const char *token, void *userdata)
{
    World *w = userdata;

    assert_string_equal(token, identity_token(i));
    w->tokens++;
    if (w->free_in_callback)
        w->identity = identity_free(i);
}

static void on_failure(Identity *i, usec_t retry_in, const Error *err, void *userdata)
{
    World *w = userdata;

    w->failures++;
    w->retry_in = retry_in;
    free(w->last_id);
    w->last_id = strdup(error_id(err));
    if (w->free_in_callback)
        w->identity = identity_free(i);
}

static int world_make(void **state)
{
    World *w = calloc(1, sizeof(*w));
    HttpServerOptions options = {
        .address = "127.0.0.1",
        .max_connections = 8,
        .handler = on_request,
        .userdata = w,
    };

    assert_non_null(w);
    w->token_life = 30 * DAY;
    memcpy(w->folder, "/tmp/test-identity-XXXXXX", sizeof("/tmp/test-identity-XXXXXX"));
    assert_non_null(mkdtemp(w->folder));
    w->state_dir = str_format("%s/state", w->folder);
    assert_int_equal(sd_event_new(&w->event), 0);
    assert_int_equal(http_server_new(w->event, &options, &w->server, NULL), 0);
    assert_int_equal(http_client_new(w->event, &w->http, NULL), 0);
    assert_int_equal(key_generate(&w->issuer, NULL), 0);
    w->url = str_format("http://127.0.0.1:%u/base/", http_server_port(w->server));
    *state = w;
    return 0;
}

static int world_end(void **state)
{
    World *w = *state;

    identity_free(w->identity);
    http_client_free(w->http);
    http_server_free(w->server);
    sd_event_unref(w->event);
    key_free(w->issuer);
    assert_int_equal(dir_remove(w->folder, NULL), 0);
    free(w->state_dir);
    free(w->url);
    free(w->last_id);
    free(w);
    return 0;
}

static IdentityOptions options_of(World *w)
{
    return (IdentityOptions) {
        .role = "mgmt",
        .cloud_url = w->url,
        .device_id = "caseta-5",
        .bootstrap = "b-t",
        .state_dir = w->state_dir,
        .uid = (uid_t) -1,
        .gid = (gid_t) -1,
        .on_token = on_token,
        .on_failure = on_failure,
        .userdata = w,
    };
}

static void start(World *w)
{
    IdentityOptions options = options_of(w);

    w->identity = identity_free(w->identity);
    assert_int_equal(identity_new(w->event, w->http, &options, &w->identity, NULL), 0);
    identity_start(w->identity);
    assert_int_equal(w->failures, 0); /* nothing is called from here */
}

static void run_until(World *w, unsigned tokens, unsigned failures)
{
    while (w->tokens < tokens || w->failures < failures)
        assert_true(sd_event_run(w->event, UINT64_MAX) >= 0);
    assert_int_equal(w->tokens, tokens);
    assert_int_equal(w->failures, failures);
}

static void test_claim_and_restart(void **state)
{
    World *w = *state;
    _cleanup_(freep) char *path = str_format("%s/token", w->state_dir);
    struct stat st;

    start(w);
    run_until(w, 1, 0);
    assert_int_equal(w->claims, 1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);

    /* a fresh stored token is announced, nobody is asked */
    start(w);
    assert_non_null(identity_token(w->identity));
    run_until(w, 2, 0);
    assert_int_equal(w->claims, 1);
    assert_int_equal(w->refreshes, 0);

    /* damaged: as good as none; the same key claims again */
    assert_int_equal(file_write_atomic(path, "x.y", 3, 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
    start(w);
    assert_null(identity_token(w->identity));
    run_until(w, 3, 0);
    assert_int_equal(w->claims, 2);
}

static void test_wrong_clock(void **state)
{
    World *w = *state;

    w->clock_ahead = 40 * DAY;
    w->answers[0] = ANSWER_STALE;
    start(w);
    run_until(w, 1, 0);
    assert_int_equal(w->claims, 2);

    /* the server insists: tried again once, then slowly */
    w->tokens = 0;
    assert_int_equal(dir_remove(w->state_dir, NULL), 0);
    w->claims = 0;
    w->clock_ahead = 80 * DAY;
    w->answers[1] = ANSWER_UNAUTHORIZED;
    start(w);
    run_until(w, 0, 1);
    assert_int_equal(w->claims, 2);
    assert_string_equal(w->last_id, "jwt.signature");
}

static void test_refused_claim(void **state)
{
    World *w = *state;

    w->answers[0] = ANSWER_REUSED;
    start(w);
    run_until(w, 0, 1);
    assert_string_equal(w->last_id, "device.bootstrap-reused");
    assert_true(w->retry_in <= 10 * USEC_PER_MINUTE);
    assert_int_equal(w->claims, 1);
    identity_refused(w->identity); /* waits already */
    identity_start(w->identity);
    assert_int_equal(w->claims, 1);
}

static void test_busy_and_nonsense(void **state)
{
    World *w = *state;

    w->answers[0] = ANSWER_BUSY;
    w->answers[1] = ANSWER_NONSENSE;
    start(w);
    run_until(w, 0, 1);
    assert_string_equal(w->last_id, "gateway.busy");
    run_until(w, 0, 2);
    assert_string_equal(w->last_id, "tunnel.stranger");
    assert_true(w->retry_in <= USEC_PER_MINUTE);
    run_until(w, 1, 2); /* by itself */
}

/* An operator may take days, and the box is to be in soon after that. */
static void test_who_waits_asks_as_often_in_the_end(void **state)
{
    World *w = *state;

    for (unsigned i = 0; i < 4; i++)
        w->answers[i] = ANSWER_PENDING;
    start(w);
    for (unsigned i = 1; i <= 4; i++) {
        run_until(w, 0, i);
        assert_string_equal(w->last_id, "enrolment.pending");
        assert_true(w->retry_in <= 2 * USEC_PER_SEC);
    }
    run_until(w, 1, 4);
}

static void test_nobody_there(void **state)
{
    World *w = *state;

    w->server = http_server_free(w->server);
    start(w);
    run_until(w, 0, 1);
    assert_string_equal(w->last_id, "http.connect");
    assert_true(w->retry_in <= 2 * USEC_PER_SEC);
}

static void test_refused_token(void **state)
{
    World *w = *state;

    start(w);
    run_until(w, 1, 0);
    identity_refused(w->identity);
    run_until(w, 2, 0);
    assert_int_equal(w->refreshes, 1);

    /* a gateway with another key: the refresh cannot work, the same key claims again */
    w->answers[2] = ANSWER_UNAUTHORIZED;
    w->claims = w->refreshes = 1;
    start(w);
    run_until(w, 3, 0);
    identity_refused(w->identity);
    run_until(w, 4, 0);
    assert_int_equal(w->refreshes, 2);
    assert_int_equal(w->claims, 2);
    /* the second refusal in a row waits */
    identity_refused(w->identity);
    assert_int_equal(sd_event_run(w->event, 0) >= 0, 1);
    assert_int_equal(w->refreshes, 2);
}

static int take_inband(Identity *i, void *userdata)
{
    World *w = userdata;
    _cleanup_(freep) char *proof = identity_make_proof(i, NULL);

    check_proof(w, proof, "/base/api/device/refresh-jwt", identity_token(i), true);
    w->inband++;
    return 0;
}

static void test_inband(void **state)
{
    World *w = *state;
    Error err = {};

    w->token_life = 1; /* due when it comes; asked for after the least delay */
    start(w);
    run_until(w, 1, 0);
    w->token_life = 30 * DAY;
    start(w); /* the stored one is over: a refresh, in band once a tunnel is up */
    identity_set_inband(w->identity, take_inband, w);
    while (w->inband == 0)
        assert_true(sd_event_run(w->event, UINT64_MAX) >= 0);
    assert_int_equal(w->refreshes, 0);

    _cleanup_(freep) char *other = make_token(w, "caseta-6"), *token = make_token(w, "caseta-5");
    assert_true(identity_accept_token(w->identity, other, &err) < 0);
    assert_string_equal(err.id, "identity.other-device");
    error_done(&err);
    assert_true(identity_accept_token(w->identity, "nonsense", NULL) < 0);
    assert_string_not_equal(identity_token(w->identity), token);
    assert_int_equal(identity_accept_token(w->identity, token, NULL), 0);
    assert_string_equal(identity_token(w->identity), token);
    assert_int_equal(w->tokens, 2);
}

static void test_bad_config(void **state)
{
    World *w = *state;
    const struct {
        const char *cloud_url, *device_id, *bootstrap, *ca_file, *key;
    } cases[] = {
        { "${CLOUD_BASE_URL:-https://x}", "a", "b", NULL, "CLOUD_BASE_URL" },
        { "", "a", "b", NULL, "CLOUD_BASE_URL" },
        { NULL, "a", "b", NULL, "CLOUD_BASE_URL" },
        { "cloud.example", "a", "b", NULL, "CLOUD_BASE_URL" },
        { "wss://cloud.example", "a", "b", NULL, "CLOUD_BASE_URL" },
        { "https://u:p@cloud.example", "a", "b", NULL, "CLOUD_BASE_URL" },
        { "https://x", "", "b", NULL, "DEVICE_ID" },
        { "https://x", NULL, "b", NULL, "DEVICE_ID" },
        { "https://x", "${DEVICE_ID}", "b", NULL, "DEVICE_ID" },
        { "https://x", "a b", "b", NULL, "DEVICE_ID" },
        { "https://x", "a", "${BOOTSTRAP}", NULL, "BOOTSTRAP" },
        { "https://x", "a", "b", "ca.pem", "CLOUD_CA_FILE" },
        { "https://x", "a", "b", "${CA}", "CLOUD_CA_FILE" },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        IdentityOptions options = options_of(w);
        Error err = {};

        options.cloud_url = cases[i].cloud_url;
        options.device_id = cases[i].device_id;
        options.bootstrap = cases[i].bootstrap;
        options.ca_file = cases[i].ca_file;
        assert_true(identity_new(w->event, w->http, &options, &w->identity, &err) < 0);
        assert_null(w->identity);
        assert_string_equal(err.id, "identity.bad-config");
        assert_string_equal(err.key, cases[i].key);
        error_done(&err);
    }
    assert_int_equal(access(w->state_dir, F_OK), -1);
}

static void test_no_bootstrap_is_never_retried(void **state)
{
    World *w = *state;
    IdentityOptions options = options_of(w);

    options.bootstrap = NULL;
    assert_int_equal(identity_new(w->event, w->http, &options, &w->identity, NULL), 0);
    assert_null(identity_make_proof(w->identity, NULL));
    identity_start(w->identity);
    run_until(w, 0, 1);
    assert_true(w->retry_in == USEC_INFINITY);
    assert_string_equal(w->last_id, "identity.bad-config");
    assert_int_equal(w->claims, 0);
}

static void test_freed_in_callbacks(void **state)
{
    World *w = *state;

    w->free_in_callback = true;
    w->answers[1] = ANSWER_REUSED;
    start(w);
    run_until(w, 1, 0);
    assert_null(w->identity);
    assert_int_equal(dir_remove(w->state_dir, NULL), 0);
    start(w);
    run_until(w, 1, 1);
    assert_null(w->identity);
}

#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, world_make, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refresh_delay),
        WITH_WORLD(test_claim_and_restart),
        WITH_WORLD(test_wrong_clock),
        WITH_WORLD(test_refused_claim),
        WITH_WORLD(test_who_waits_asks_as_often_in_the_end),
        WITH_WORLD(test_busy_and_nonsense),
        WITH_WORLD(test_nobody_there),
        WITH_WORLD(test_refused_token),
        WITH_WORLD(test_inband),
        WITH_WORLD(test_bad_config),
        WITH_WORLD(test_no_bootstrap_is_never_retried),
        WITH_WORLD(test_freed_in_callbacks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

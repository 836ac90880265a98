/* SPDX-License-Identifier: MIT */
/* One role's key and device token: claims, refreshes, stores, and knows when to try again and when never. */
#include "lib/tunnel/identity.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "lib/base/lifetime.h"
#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/base/tmp-sweep.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"
#include "lib/data/jwt.h"
#include "lib/event/backoff.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/refusal.h"
#include "lib/tunnel/voucher.h"

#define CLAIM_PATH "/api/device/claim"
#define REFRESH_PATH "/api/device/refresh-jwt"
#define REQUEST_TIMEOUT (30 * USEC_PER_SEC)
#define ANSWER_MAX (64 * 1024)
#define SETTING_MAX 2048
#define NIGHT_SPREAD_SECONDS 7200
/* A token whose life is over when it comes must not make us ask in a tight loop. */
#define REFRESH_DELAY_MIN (10 * USEC_PER_SEC)
/* The tunnel took a refresh but no token came: ask over HTTP. */
#define INBAND_PATIENCE USEC_PER_MINUTE
/* Clocks that differ less than this are left alone; proofs are good for 300 s either way. */
#define CLOCK_TOLERANCE_SECONDS 30
/* A refusal this long after the one before it is a new matter. */
#define REFUSALS_FORGOTTEN (12 * USEC_PER_HOUR)

#define NETWORK_BACKOFF ((Backoff) { .base_usec = 2 * USEC_PER_SEC, .cap_usec = 5 * USEC_PER_MINUTE })
#define REFUSED_BACKOFF ((Backoff) { .base_usec = 10 * USEC_PER_MINUTE, .cap_usec = USEC_PER_HOUR })

typedef enum Wait {
    WAIT_NOTHING,  /* not started, or stopped for good */
    WAIT_ANNOUNCE, /* a stored token is told to the caller from the loop */
    WAIT_REFRESH,  /* the token is fresh until the timer */
    WAIT_RETRY,    /* the last try failed */
    WAIT_NOW,      /* asked for a try: on the loop's next turn */
    WAIT_INBAND,   /* the tunnel has our proof */
    WAIT_ANSWER,   /* an HTTP call is under way */
} Wait;

struct Identity {
    sd_event *event;
    HttpClient *http;
    char *role, *base_url, *device_id, *bootstrap, *ca_file, *token_path;
    char *enrolment, *cloud_key, *key_offer;
    cJSON *(*machine)(void *userdata);
    uid_t uid;
    gid_t gid;
    void (*on_token)(Identity *i, const char *token, void *userdata);
    void (*on_failure)(Identity *i, usec_t retry_in, const Error *err, void *userdata);
    void *userdata;
    int (*inband)(Identity *i, void *userdata);
    void *inband_userdata;

    Key *key;
    char *token;
    uint64_t issued_at, expires_at, night_offset;

    Wait wait;
    sd_event_source *timer;
    HttpCall *call;
    Backoff network, refused; /* of our requests */
    Backoff refusals;         /* of the tokens that we got */
    bool http_only;           /* the next try goes over HTTP also when a tunnel is up */
    bool claim_again;         /* the token was refused for good: the next try is a claim */
    bool claiming;            /* what the call under way is */
    bool clock_corrected;     /* since the last success */
    bool past_proxy;          /* what worked last is tried first; where there is no proxy, both are the same way */
    int64_t clock_offset;     /* the server's clock minus ours, seconds */
    usec_t refused_last;      /* boottime of the last identity_refused() */
    Lifetime life;
};

static void identity_release(Identity *i)
{
    if (!lifetime_release(&i->life))
        return;
    sd_event_unref(i->event);
    key_free(i->key);
    secret_free(i->token);
    secret_free(i->bootstrap);
    secret_free(i->enrolment);
    free(i->cloud_key);
    free(i->key_offer);
    free(i->role);
    free(i->base_url);
    free(i->device_id);
    free(i->ca_file);
    free(i->token_path);
    free(i);
}

Identity *identity_free(Identity *i)
{
    if (!i || !lifetime_end(&i->life))
        return NULL;
    i->call = http_call_free(i->call);
    i->timer = sd_event_source_disable_unref(i->timer);
    identity_release(i);
    return NULL;
}

static int bad_config(Error *err, const char *key, const char *sentence)
{
    return error_set_at(err, EINVAL, "identity.bad-config", NULL, 0, key,
                        "%s %s; correct it and restart the service (it is not tried again before that)", key, sentence);
}

/* Printable ASCII without spaces. */
static bool is_plain(const char *text, size_t max)
{
    size_t n = 0;

    while (text[n] > ' ' && text[n] <= '~')
        n++;
    return n > 0 && n <= max && text[n] == '\0';
}

static int check_setting(const char *key, const char *value, size_t max, Error *err)
{
    if (strstr(value, "${"))
        return bad_config(err, key, "holds a literal \"${\": a variable was not filled in");
    if (!is_plain(value, max))
        return bad_config(err, key, "is empty, too long, or holds white space or unprintable characters");
    return 0;
}

/* A configuration that does not parse is a fault to report, never to retry. */
static int check_options(const IdentityOptions *o, Error *err)
{
    _cleanup_(error_done) Error url_err = {};
    int r;

    if (str_empty(o->cloud_url))
        return bad_config(err, "CLOUD_BASE_URL", "is empty");
    if (url_check(o->cloud_url, "https,http", &url_err) < 0)
        return error_set_at(
            err, EINVAL, "identity.bad-config", NULL, 0, "CLOUD_BASE_URL",
            "CLOUD_BASE_URL: %s; correct it and restart the service (it is not tried again before that)",
            error_message(&url_err, -EINVAL));
    r = check_setting("DEVICE_ID", o->device_id ? o->device_id : "", 64, err);
    if (r < 0)
        return r;
    if (!str_empty(o->bootstrap)) {
        r = check_setting("BOOTSTRAP", o->bootstrap, SETTING_MAX, err);
        if (r < 0)
            return r;
    }
    if (!str_empty(o->ca_file) && (o->ca_file[0] != '/' || strstr(o->ca_file, "${")))
        return bad_config(err, "CLOUD_CA_FILE", "is not an absolute path");
    if (str_empty(o->role) || str_empty(o->state_dir))
        return bad_config(err, "role", "or its state folder is empty");
    return 0;
}

static int copy_setting(char **ret, const char *value)
{
    if (str_empty(value))
        return 0;
    *ret = strdup(value);
    return *ret ? 0 : -ENOMEM;
}

static int copy_options(Identity *i, const IdentityOptions *o)
{
    size_t len = strlen(o->cloud_url);

    while (len > 0 && o->cloud_url[len - 1] == '/')
        len--;
    i->base_url = strndup(o->cloud_url, len);
    i->token_path = path_join(o->state_dir, "token");
    if (!i->base_url || !i->token_path || copy_setting(&i->role, o->role) < 0 ||
        copy_setting(&i->device_id, o->device_id) < 0 || copy_setting(&i->bootstrap, o->bootstrap) < 0 ||
        copy_setting(&i->ca_file, o->ca_file) < 0 || copy_setting(&i->enrolment, o->enrolment) < 0 ||
        copy_setting(&i->cloud_key, o->cloud_key) < 0 || copy_setting(&i->key_offer, o->key_offer) < 0)
        return -ENOMEM;
    i->machine = o->machine;
    i->uid = o->uid;
    i->gid = o->gid;
    i->on_token = o->on_token;
    i->on_failure = o->on_failure;
    i->userdata = o->userdata;
    return 0;
}

/* Spreads the fleet over the night; the same box always has the same minute. */
static uint64_t night_offset(const char *device_id, const char *role)
{
    _cleanup_(freep) char *seed = str_format("%s/%s", device_id, role);
    uint8_t digest[SHA256_SIZE];

    if (!seed || sha256(seed, strlen(seed), digest) < 0)
        return 0;
    return ((uint64_t) digest[0] << 16 | (uint64_t) digest[1] << 8 | digest[2]) % NIGHT_SPREAD_SECONDS;
}

/* Takes a token that is for this box and has its times; the old one stays otherwise. */
static int take_token(Identity *i, const char *token, Error *err)
{
    _cleanup_(jwt_claims_done) JwtClaims claims = {};
    char *copy;
    int r;

    r = jwt_peek(token, &claims, err);
    if (r < 0)
        return error_prefix(err, r, "the device token cannot be used");
    if (!str_equal(claims.subject, i->device_id))
        return error_set(err, EBADMSG, "identity.other-device", "the device token is not for %s", i->device_id);
    copy = strdup(token);
    if (!copy)
        return error_from_errno(err, -ENOMEM, "cannot keep a device token");
    secret_free(i->token);
    i->token = copy;
    i->issued_at = claims.issued_at;
    i->expires_at = claims.expires_at;
    return 0;
}

/* A stored token that cannot be used is as good as none: another one is asked for. */
static void load_token(Identity *i)
{
    _cleanup_(secret_freep) char *text = NULL;

    if (file_read(i->token_path, JWT_SIZE_MAX + 1, &text, NULL, NULL) < 0)
        return;
    text[strcspn(text, "\r\n")] = '\0';
    if (take_token(i, text, NULL) < 0)
        return;
}

/* It is done again with each claim: the folder may be there only then. */
static void offer_key(const Identity *i)
{
    if (i->key_offer && key_offer_write(i->key_offer, i->key, NULL) < 0)
        return;
}

int identity_new(sd_event *event, HttpClient *http, const IdentityOptions *options, Identity **ret, Error *err)
{
    _cleanup_(identity_freep) Identity *i = NULL;
    _cleanup_(freep) char *key_path = NULL;
    int r;

    r = check_options(options, err);
    if (r < 0)
        return r;
    i = calloc(1, sizeof(*i));
    key_path = path_join(options->state_dir, "key.pem");
    if (!i || !key_path || copy_options(i, options) < 0)
        return error_from_errno(err, -ENOMEM, "cannot make an identity");
    i->event = sd_event_ref(event);
    i->http = http;
    i->network = NETWORK_BACKOFF;
    i->refused = i->refusals = REFUSED_BACKOFF;
    i->night_offset = night_offset(i->device_id, i->role);
    r = dir_make(options->state_dir, 0700, options->uid, options->gid, err);
    if (r < 0)
        return r;
    (void) tmp_sweep(options->state_dir, true);
    r = key_load_or_make(key_path, options->uid, options->gid, &i->key, err);
    if (r < 0)
        return r;
    offer_key(i);
    load_token(i);
    *ret = TAKE_PTR(i);
    return 0;
}

const Key *identity_key(const Identity *i)
{
    return i->key;
}

const char *identity_token(const Identity *i)
{
    return i->token;
}

void identity_set_inband(Identity *i, int (*refresh)(Identity *i, void *userdata), void *userdata)
{
    i->inband = refresh;
    i->inband_userdata = userdata;
}

static uint64_t server_now(const Identity *i)
{
    int64_t now = (int64_t) (realtime_usec() / USEC_PER_SEC) + i->clock_offset;

    return now > 0 ? (uint64_t) now : 0;
}

static void learn_clock(Identity *i, const cJSON *answer)
{
    const char *text = json_string(answer, "serverTime");
    int64_t offset;
    usec_t at;

    if (!text || timestamp_parse(text, &at) < 0)
        return;
    offset = (int64_t) (at / USEC_PER_SEC) - (int64_t) (realtime_usec() / USEC_PER_SEC);
    i->clock_offset = offset > CLOCK_TOLERANCE_SECONDS || offset < -CLOCK_TOLERANCE_SECONDS ? offset : 0;
}

static usec_t refresh_delay(const Identity *i)
{
    uint64_t now = server_now(i);
    time_t clock = (time_t) now;
    struct tm local = {};

    localtime_r(&clock, &local);
    return identity_refresh_delay(i->issued_at, i->expires_at, now, i->night_offset, local.tm_gmtoff);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata);

static void wait_for(Identity *i, Wait wait, usec_t delay)
{
    i->wait = wait;
    /* the loop is out of memory: the service ends with it, and systemd starts it again */
    if (timer_arm(i->event, &i->timer, delay, on_timer, i) < 0)
        (void) sd_event_exit(i->event, 1);
}

static void wait_for_refresh(Identity *i)
{
    usec_t delay = refresh_delay(i);

    wait_for(i, WAIT_REFRESH, delay > REFRESH_DELAY_MIN ? delay : REFRESH_DELAY_MIN);
}

/* The callbacks may free the identity: nothing of it is touched after them. */
static void fail_until(Identity *i, usec_t retry_in, const Error *err)
{
    if (retry_in == USEC_INFINITY) {
        i->wait = WAIT_NOTHING;
        timer_disarm(i->timer);
    } else {
        wait_for(i, WAIT_RETRY, retry_in);
    }
    if (i->on_failure)
        i->on_failure(i, retry_in, err, i->userdata);
}

static void fail_network(Identity *i, usec_t retry_after, const Error *err)
{
    fail_until(i, backoff_next(&i->network, random_u64(), retry_after, retry_after), err);
}

static void fail_refused(Identity *i, usec_t retry_after, const Error *err)
{
    fail_until(i, backoff_next(&i->refused, random_u64(), retry_after, retry_after), err);
}

/* A proxy that refuses is not the only way, as it is not for tunnels (tunnel-state.h). */
static void take_other_way(Identity *i)
{
    i->past_proxy = !i->past_proxy;
}

/* A proxy, a captive portal: it decides nothing. */
static void fail_strange(Identity *i, const HttpResponse *response)
{
    _cleanup_(error_done) Error err = {};
    usec_t delay = backoff_next(&i->network, random_u64(), response->retry_after_usec, response->retry_after_usec);

    (void) refusal_of_stranger(i->base_url, response->status, response->server, NULL, &err);
    take_other_way(i);
    fail_until(i, delay > STRANGER_DELAY_MAX ? STRANGER_DELAY_MAX : delay, &err);
}

int identity_accept_token(Identity *i, const char *token, Error *err)
{
    int r, stored;

    r = take_token(i, token, err);
    if (r < 0)
        return r;
    i->call = http_call_free(i->call);
    i->network = NETWORK_BACKOFF;
    i->refused = REFUSED_BACKOFF;
    i->claim_again = i->http_only = i->clock_corrected = false;
    stored = file_write_atomic(i->token_path, i->token, strlen(i->token), 0600, i->uid, i->gid, err);
    wait_for_refresh(i);
    if (i->on_token)
        i->on_token(i, i->token, i->userdata);
    return stored < 0 ? error_prefix(err, stored, "the new device token is used, but is lost at the next start") : 0;
}

char *identity_make_proof(Identity *i, Error *err)
{
    _cleanup_(freep) char *uri = str_format("%s" REFRESH_PATH, i->base_url);
    char *proof = NULL;

    if (!uri)
        (void) error_from_errno(err, -ENOMEM, "cannot make a proof");
    else if (!i->token)
        (void) error_set(err, ENOENT, "identity.no-token", "there is no device token to refresh yet");
    else if (jwt_sign_proof(i->key, "POST", uri, i->token, server_now(i), &proof, err) < 0)
        proof = NULL;
    return proof;
}

static void try_now(Identity *i);

/* Until an operator lets it in: it is told when to ask again. */
static bool is_waiting(const cJSON *body)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(body, "error");

    return str_equal(json_string(error, "id"), "enrolment.pending");
}

/* Until this box's mgmt-agent has vouched for the key: then it is good, also where no bootstrap token is, or a wrong one. */
static bool may_be_vouched(const Identity *i, const cJSON *body)
{
    const char *id = json_string(cJSON_GetObjectItemCaseSensitive(body, "error"), "id");

    return i->claiming && i->key_offer && id && (str_equal(id, "claim.not-vouched") || str_starts(id, "bootstrap."));
}

static void refused(Identity *i, const HttpResponse *response, cJSON *body)
{
    _cleanup_(error_done) Error err = {};
    const char *what = is_waiting(body) ? "the box waits"
                       : i->claiming    ? "the cloud refuses the claim"
                                        : "the cloud refuses to refresh the device token";

    if (!refusal_is_own(body, &err)) {
        fail_strange(i, response);
        return;
    }
    (void) error_prefix(&err, -EACCES, "%s (HTTP %d)", what, response->status);
    if (is_waiting(body))
        i->network = NETWORK_BACKOFF; /* the cloud says when, and nothing is wrong */
    if (response->status == 429 || response->status >= 500 || is_waiting(body) || may_be_vouched(i, body)) {
        fail_network(i, response->retry_after_usec, &err);
        return;
    }
    if (str_equal(err.id, "proof.stale") && !i->clock_corrected && json_string(body, "serverTime")) {
        i->clock_corrected = true;
        learn_clock(i, body);
        try_now(i);
        return;
    }
    if (!i->claiming && response->status == 401 && (i->bootstrap || i->key_offer)) {
        /* this token will not come back to life, and the same key may claim again */
        i->claim_again = true;
        try_now(i);
        return;
    }
    i->claim_again = false;
    i->clock_corrected = false;
    fail_refused(i, response->retry_after_usec, &err);
}

static void granted(Identity *i, cJSON *body)
{
    _cleanup_(error_done) Error err = {};
    const char *token = json_string(body, "token");
    int r;

    if (!token) {
        (void) error_set(&err, EBADMSG, "identity.bad-answer", "the cloud's answer holds no device token");
        fail_network(i, 0, &err);
        return;
    }
    learn_clock(i, body);
    r = take_token(i, token, &err);
    if (r < 0) {
        fail_network(i, 0, &err);
        return;
    }
    lifetime_hold(&i->life);
    r = identity_accept_token(i, token, &err);
    if (r < 0 && !i->life.ended && i->on_failure)
        i->on_failure(i, refresh_delay(i), &err, i->userdata);
    identity_release(i);
}

static void on_answer(HttpCall *call, int r, const HttpResponse *response, const Error *http_err, void *userdata)
{
    _cleanup_(cJSON_Deletep) cJSON *body = NULL;
    Identity *i = userdata;

    (void) call;
    i->call = NULL;
    if (r < 0) {
        if (str_equal(error_id(http_err), "http.bad-url")) {
            fail_until(i, USEC_INFINITY, http_err);
            return;
        }
        take_other_way(i);
        fail_network(i, 0, http_err);
        return;
    }
    if (json_parse_object(response->body, response->body_len, &body, NULL) < 0)
        body = NULL;
    if ((response->status == 200 || response->status == 201) && body)
        granted(i, body);
    else
        refused(i, response, body);
}

static int start_request(Identity *i, const char *url, const char *const *headers, const char *body, Error *err)
{
    HttpRequest request = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .body = body,
        .body_len = strlen(body),
        .ca_file = i->ca_file,
        .peer_key = i->claiming ? i->cloud_key : NULL,
        .past_proxy = i->past_proxy,
        .timeout_usec = REQUEST_TIMEOUT,
        .response_max = ANSWER_MAX,
    };

    return http_start(i->http, &request, on_answer, i, &i->call, err);
}

/* What an operator looks at, who is to let this box in. */
static int add_enrolment(const Identity *i, cJSON *body)
{
    if (!i->enrolment)
        return 0;
    if (json_add_string(body, "enrolment", i->enrolment) < 0)
        return -ENOMEM;
    return i->machine ? json_add_item(body, "machine", i->machine(i->userdata)) : 0;
}

static int start_claim(Identity *i, Error *err)
{
    static const char *const headers[] = { "Content-Type: application/json", NULL };
    _cleanup_(freep) char *url = str_format("%s" CLAIM_PATH, i->base_url), *proof = NULL;
    _cleanup_(secret_freep) char *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    int r;

    if (!url)
        return error_from_errno(err, -ENOMEM, "cannot make a claim");
    offer_key(i);
    r = jwt_sign_proof(i->key, "POST", url, NULL, server_now(i), &proof, err);
    if (r < 0)
        return r;
    if (!body || json_add_string(body, "deviceId", i->device_id) < 0 || json_add_string(body, "role", i->role) < 0 ||
        json_add_string(body, "bootstrap", i->bootstrap) < 0 || json_add_string(body, "proof", proof) < 0 ||
        add_enrolment(i, body) < 0)
        return error_from_errno(err, -ENOMEM, "cannot make a claim");
    text = json_print(body);
    if (!text)
        return error_from_errno(err, -ENOMEM, "cannot make a claim");
    return start_request(i, url, headers, text, err);
}

static int start_refresh(Identity *i, Error *err)
{
    _cleanup_(freep) char *url = str_format("%s" REFRESH_PATH, i->base_url), *proof = identity_make_proof(i, err);
    _cleanup_(secret_freep) char *bearer = str_format("Authorization: Bearer %s", i->token);
    _cleanup_(freep) char *dpop = proof ? str_format("DPoP: %s", proof) : NULL;
    const char *headers[] = { bearer, dpop, "Content-Type: application/json", NULL };

    if (!url || !bearer || !dpop)
        return error_from_errno(err, -ENOMEM, "cannot refresh the device token");
    return start_request(i, url, headers, "{}", err);
}

static void try_over_http(Identity *i)
{
    _cleanup_(error_done) Error err = {};
    int r;

    i->claiming = !i->token || i->claim_again;
    if (i->claiming && !i->bootstrap && !i->key_offer) {
        (void) bad_config(&err, "BOOTSTRAP", "is missing, and this box has no device token to go on with");
        fail_until(i, USEC_INFINITY, &err);
        return;
    }
    i->wait = WAIT_ANSWER;
    timer_disarm(i->timer);
    r = i->claiming ? start_claim(i, &err) : start_refresh(i, &err);
    if (r >= 0)
        return;
    if (str_equal(error_id(&err), "http.bad-url"))
        fail_until(i, USEC_INFINITY, &err);
    else
        fail_network(i, 0, &err);
}

static void try_now(Identity *i)
{
    if (i->call)
        return;
    if (i->token && i->inband && !i->http_only && !i->claim_again && i->inband(i, i->inband_userdata) == 0) {
        i->http_only = true; /* if no token comes */
        wait_for(i, WAIT_INBAND, INBAND_PATIENCE);
        return;
    }
    try_over_http(i);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
    Identity *i = userdata;

    (void) s;
    (void) usec;
    if (i->wait == WAIT_ANNOUNCE) {
        wait_for_refresh(i);
        if (i->on_token)
            i->on_token(i, i->token, i->userdata);
    } else if (i->wait != WAIT_NOTHING) {
        try_now(i);
    }
    return 0;
}

void identity_start(Identity *i)
{
    if (i->wait != WAIT_NOTHING || i->call)
        return;
    wait_for(i, i->token && refresh_delay(i) > 0 ? WAIT_ANNOUNCE : WAIT_NOW, 0);
}

void identity_refused(Identity *i)
{
    usec_t now = boottime_usec();
    bool first = i->refused_last == 0 || now - i->refused_last > REFUSALS_FORGOTTEN;

    /* a try is under way or has its time already */
    if (i->call || i->wait == WAIT_NOTHING || i->wait == WAIT_NOW || i->wait == WAIT_RETRY)
        return;
    i->refused_last = now;
    i->http_only = true;
    if (first)
        i->refusals = REFUSED_BACKOFF;
    wait_for(i, first ? WAIT_NOW : WAIT_RETRY, first ? 0 : backoff_next(&i->refusals, random_u64(), 0, 0));
}

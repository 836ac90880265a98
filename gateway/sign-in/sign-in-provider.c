/* SPDX-License-Identifier: MIT */
#include "gateway/sign-in/sign-in-provider.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/http/client.h"

#define DISCOVERY_PATH "/.well-known/openid-configuration"
#define KEPT USEC_PER_HOUR
#define PAUSE (10 * USEC_PER_SEC)
#define ANSWER_TIMEOUT (10 * USEC_PER_SEC)
#define ANSWER_MAX (256 * 1024)

struct SignInProvider {
    HttpClient *client;
    char *issuer, *ca_file;
    sign_in_provider_ready_t on_ready;
    void *userdata;
    HttpCall *call;
    cJSON *keys;
    usec_t read_at, asked_at; /* CLOCK_BOOTTIME; 0: never */
};

int sign_in_provider_new(sd_event *event, const char *issuer, const char *ca_file, sign_in_provider_ready_t on_ready,
                         void *userdata, SignInProvider **ret, Error *err)
{
    _cleanup_(sign_in_provider_freep) SignInProvider *p = calloc(1, sizeof(*p));

    if (!p)
        return error_from_errno(err, -ENOMEM, "cannot know a provider");
    p->on_ready = on_ready;
    p->userdata = userdata;
    p->issuer = strdup(issuer);
    p->ca_file = ca_file ? strdup(ca_file) : NULL;
    if (!p->issuer || (ca_file && !p->ca_file))
        return error_from_errno(err, -ENOMEM, "cannot know a provider");
    int r = http_client_new(event, &p->client, err);
    if (r >= 0)
        *ret = TAKE_PTR(p);
    return r;
}

SignInProvider *sign_in_provider_free(SignInProvider *p)
{
    if (!p)
        return NULL;
    http_call_free(p->call);
    http_client_free(p->client);
    cJSON_Delete(p->keys);
    free(p->issuer);
    free(p->ca_file);
    free(p);
    return NULL;
}

const cJSON *sign_in_provider_keys(const SignInProvider *p)
{
    return p->keys && boottime_usec() - p->read_at < KEPT ? p->keys : NULL;
}

static void fail(SignInProvider *p, int r, Error *err)
{
    (void) error_prefix(err, r, "the provider %s cannot be asked", p->issuer);
    p->on_ready(r, err, p->userdata);
}

/* The answer as an object. */
static int read_answer(int r, const HttpResponse *response, const Error *why, cJSON **ret, Error *err)
{
    if (r < 0) {
        (void) error_copy(err, why);
        return -ENOTCONN;
    }
    if (response->status != 200)
        return error_set(err, ENOTCONN, "sign-in.provider", "it answers with HTTP status %d", response->status);
    if (json_parse_object(response->body, response->body_len, ret, NULL) < 0)
        return error_set(err, ENOTCONN, "sign-in.provider", "its answer is no JSON object");
    return 0;
}

static int ask(SignInProvider *p, const char *url, http_done_t on_done, Error *err)
{
    const HttpRequest request = {
        .url = url,
        .ca_file = p->ca_file,
        .ca_advice = "name its authority's certificate with --oidc-ca",
        .timeout_usec = ANSWER_TIMEOUT,
        .response_max = ANSWER_MAX,
    };

    return http_start(p->client, &request, on_done, p, &p->call, err);
}

static void on_keys(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *why, void *userdata)
{
    SignInProvider *p = userdata;
    _cleanup_(cJSON_Deletep) cJSON *keys = NULL;
    _cleanup_(error_done) Error err = {};

    p->call = NULL;
    r = read_answer(r, response, why, &keys, &err);
    if (r >= 0 && !cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(keys, "keys")))
        r = error_set(&err, ENOTCONN, "sign-in.provider", "its keys are no JSON Web Key Set");
    if (r < 0) {
        fail(p, r, &err);
        return;
    }
    cJSON_Delete(p->keys);
    p->keys = TAKE_PTR(keys);
    p->read_at = boottime_usec();
    p->on_ready(0, NULL, p->userdata);
}

static void on_configuration(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *why,
                             void *userdata)
{
    SignInProvider *p = userdata;
    _cleanup_(cJSON_Deletep) cJSON *configuration = NULL;
    _cleanup_(error_done) Error err = {};

    p->call = NULL;
    r = read_answer(r, response, why, &configuration, &err);
    /* §4.3: exactly the one that was asked */
    if (r >= 0 && !str_equal(json_string(configuration, "issuer"), p->issuer))
        r = error_set(&err, ENOTCONN, "sign-in.provider", "it calls itself %s: --oidc-issuer has to say the same",
                      json_string(configuration, "issuer") ? json_string(configuration, "issuer") : "nothing");
    const char *url = json_string(configuration, "jwks_uri");
    if (r >= 0 && (!url || url_check(url, str_starts(p->issuer, "https:") ? "https" : "https,http", NULL) < 0))
        r = error_set(&err, ENOTCONN, "sign-in.provider", "it does not say where its keys are (jwks_uri)");
    if (r >= 0 && ask(p, url, on_keys, &err) < 0)
        r = -ENOTCONN;
    if (r < 0)
        fail(p, r, &err);
}

int sign_in_provider_ask(SignInProvider *p, Error *err)
{
    usec_t now = boottime_usec();
    size_t len = strlen(p->issuer);

    if (p->call)
        return 0;
    if (p->asked_at && now - p->asked_at < PAUSE)
        return error_set(err, EAGAIN, "sign-in.provider",
                         "the provider's keys were asked for a moment ago, and %s: try again in some seconds",
                         sign_in_provider_keys(p) ? "the token's is not among them" : "have not come");
    while (len > 0 && p->issuer[len - 1] == '/')
        len--;
    _cleanup_(freep) char *url = str_format("%.*s" DISCOVERY_PATH, (int) len, p->issuer);
    if (!url)
        return -ENOMEM;
    p->asked_at = now;
    return ask(p, url, on_configuration, err);
}

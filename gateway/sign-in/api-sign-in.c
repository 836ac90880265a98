/* SPDX-License-Identifier: MIT */
#include "gateway/sign-in/api-sign-in.h"

#include <errno.h>
#include <string.h>

#include "gateway/store/sign-ins-table.h"
#include "lib/base/clock.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/jwt-set.h"
#include "lib/http/client.h"

#define TOPIC "sign-in-keys"
/* Longer than the provider is waited for: two requests. */
#define PATIENCE (30 * USEC_PER_SEC)
#define NONCE_MAX 128
#define SCOPES "openid email profile"

struct SignInApi {
    Requests *requests;
    SignInRules rules;
    SignInProvider *provider; /* NULL: nobody signs in */
};

/* Told to those who wait for the provider's keys. */
typedef struct KeyNews {
    int r;
    const Error *err;
} KeyNews;

typedef struct Attempt {
    char *id_token, *nonce;
    bool asked; /* the provider, for this one */
    char *secret, *name, *subject;
    OperatorRole role;
} Attempt;

static void attempt_free(void *scratch)
{
    Attempt *a = scratch;

    secret_free(a->id_token);
    secret_free(a->secret);
    free(a->nonce);
    free(a->name);
    free(a->subject);
    free(a);
}

static void on_provider(int r, const Error *err, void *userdata)
{
    SignInApi *s = userdata;
    const KeyNews news = { r, err };

    requests_tell(s->requests, &news, TOPIC);
}

static int check_options(const SignInOptions *o, Error *err)
{
    if (!o->issuer)
        return o->client_id || o->roles || o->claim || o->name_claim || o->ca_file
                   ? error_set(err, EINVAL, "config.oidc",
                               "the options --oidc-… need --oidc-issuer: nobody could sign in")
                   : 0;
    bool here = str_starts(o->issuer, "http://127.0.0.1:") || str_starts(o->issuer, "http://localhost:");
    int r = url_check(o->issuer, here ? "http" : "https", err); /* its keys decide who may what */

    if (r < 0)
        return error_prefix(err, r, "--oidc-issuer");
    if (str_empty(o->client_id))
        return error_set(err, EINVAL, "config.oidc",
                         "--oidc-issuer needs --oidc-client, the id that the provider knows us by");
    if (str_empty(o->roles))
        return error_set(err, EINVAL, "config.oidc",
                         "--oidc-issuer needs --oidc-roles: without a role nobody may do anything");
    return 0;
}

int sign_ins_new(sd_event *event, Requests *requests, const SignInOptions *o, SignInApi **ret, Error *err)
{
    _cleanup_(sign_ins_freep) SignInApi *s = calloc(1, sizeof(*s));
    int r = s ? 0 : -ENOMEM;

    if (r >= 0)
        s->requests = requests;
    if (r >= 0)
        r = check_options(o, err);
    if (r >= 0 && o->issuer) {
        s->rules = (SignInRules) { .issuer = strdup(o->issuer),
                                   .client_id = strdup(o->client_id),
                                   .claim = strdup(o->claim ? o->claim : "groups"),
                                   .name_claim = strdup(o->name_claim ? o->name_claim : "email"),
                                   .hours = o->hours };
        bool all = s->rules.issuer && s->rules.client_id && s->rules.claim && s->rules.name_claim;
        r = all ? sign_in_rules_add_roles(&s->rules, o->roles, err) : -ENOMEM;
    }
    if (r >= 0 && o->issuer)
        r = sign_in_provider_new(event, o->issuer, o->ca_file, on_provider, s, &s->provider, err);
    if (r >= 0)
        *ret = TAKE_PTR(s);
    return r;
}

SignInApi *sign_ins_free(SignInApi *s)
{
    if (!s)
        return NULL;
    sign_in_provider_free(s->provider);
    sign_in_rules_done(&s->rules);
    free(s);
    return NULL;
}

/* Answers when it is off. */
static bool is_off(Request *c)
{
    const SignInApi *s = c->module;
    _cleanup_(error_done) Error err = {};

    if (s->provider)
        return false;
    error_set(&err, ENOENT, "sign-in.off",
              "nobody signs in at this gateway: ask its administrator for a token (secbox-gateway tokens add)");
    request_fail(c, -ENOENT, &err);
    return true;
}

static void on_get(Request *c)
{
    const SignInApi *s = c->module;

    if (is_off(c))
        return;
    cJSON *body = cJSON_CreateObject();
    if (!body || json_add_string(body, "issuer", s->rules.issuer) < 0 ||
        json_add_string(body, "clientId", s->rules.client_id) < 0 || json_add_string(body, "scopes", SCOPES) < 0) {
        cJSON_Delete(body);
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    request_answer(c, 200, body);
}

static void on_added(Request *c, const StoreRows *rows)
{
    const Attempt *a = c->scratch;
    _cleanup_(error_done) Error err = {};

    if (store_rows_count(rows) == 0) {
        error_set(&err, EKEYREJECTED, "sign-in.refused", "this token of the provider was used before: sign in again");
        request_fail(c, -EKEYREJECTED, &err);
        return;
    }
    cJSON *body = cJSON_CreateObject();
    if (!body || json_add_string(body, "token", a->secret) < 0 || json_add_string(body, "name", a->name) < 0 ||
        json_add_string(body, "role", operator_role_to_string(a->role)) < 0 ||
        json_add_string(body, "expiresAt", store_rows_get(rows, 0, 0)) < 0) {
        cJSON_Delete(body);
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    http_note_known(c->exchange);
    request_answer(c, 201, body);
}

static int keep(Request *c)
{
    const SignInApi *s = c->module;
    Attempt *a = c->scratch;
    char hash[SECRET_HASH_SIZE], proof[SHA256_HEX_SIZE];
    int r = secret_make(OPERATOR_TOKEN_PREFIX, &a->secret, hash);

    if (r >= 0)
        r = sign_in_proof(a->id_token, proof);
    if (r < 0)
        return r;
    const SignInRow row = { .hash = hash,
                            .name = a->name,
                            .role = operator_role_to_string(a->role),
                            .issuer = s->rules.issuer,
                            .subject = a->subject,
                            .proof = proof,
                            .hours = s->rules.hours };
    request_query(c, sql_sign_in_add(&row), on_added);
    return 0;
}

static void fail(Request *c, int r, const Error *err)
{
    /* whatever is wrong with the token, it is not the caller who is known and may not */
    request_fail_status(c, r == -EPERM ? 403 : r == -EACCES || r == -EBADMSG ? 401 : http_status_for(r), r, err);
}

static void on_keys(Request *c, const void *news);

/* With the keys that are there; a token may name one that the provider has only now. */
static void judge(Request *c, const cJSON *keys)
{
    const SignInApi *s = c->module;
    Attempt *a = c->scratch;
    _cleanup_(cJSON_Deletep) cJSON *claims = NULL;
    _cleanup_(error_done) Error err = {};
    int r = jwks_open(keys, a->id_token, &claims, &err);

    if (r < 0 && str_equal(error_id(&err), "jwks.no-key") && !a->asked) {
        _cleanup_(error_done) Error why = {};
        a->asked = true;
        r = sign_in_provider_ask(s->provider, &why);
        if (r < 0)
            fail(c, r, &why);
        else
            request_wait(c, PATIENCE, on_keys, TOPIC);
        return;
    }
    if (r >= 0)
        r = sign_in_judge(&s->rules, claims, a->nonce, realtime_usec() / USEC_PER_SEC, &a->name, &a->role, &err);
    if (r >= 0)
        r = (a->subject = strdup(json_string(claims, "sub"))) ? keep(c) : -ENOMEM;
    if (r < 0)
        fail(c, r, &err);
}

static void on_keys(Request *c, const void *news)
{
    const SignInApi *s = c->module;
    const KeyNews *n = news;
    const cJSON *keys = sign_in_provider_keys(s->provider);
    _cleanup_(error_done) Error err = {};

    if (n && n->r >= 0 && keys) {
        judge(c, keys);
    } else if (n && n->err) {
        request_fail(c, n->r, n->err);
    } else {
        error_set(&err, ENOTCONN, "sign-in.provider", "the provider %s did not answer in time", s->rules.issuer);
        request_fail(c, -ENOTCONN, &err);
    }
}

static int read_attempt(Request *c, const cJSON *body, Error *err)
{
    const char *token = json_string(body, "idToken"), *nonce = json_string(body, "nonce");
    Attempt *a = calloc(1, sizeof(*a));

    c->scratch = a;
    c->scratch_free = attempt_free;
    if (!a)
        return -ENOMEM;
    if (str_empty(token) || str_empty(nonce) || strlen(nonce) > NONCE_MAX)
        return error_set(err, EINVAL, "sign-in.malformed", "a sign-in needs idToken and nonce");
    a->id_token = strdup(token);
    a->nonce = strdup(nonce);
    return a->id_token && a->nonce ? 0 : -ENOMEM;
}

static void on_post(Request *c)
{
    const SignInApi *s = c->module;
    _cleanup_(error_done) Error err = {};

    if (is_off(c))
        return;
    const cJSON *body = request_parse_body(c);
    if (!body)
        return;
    int r = read_attempt(c, body, &err);
    if (r < 0) {
        request_fail(c, r, &err);
        return;
    }
    const cJSON *keys = sign_in_provider_keys(s->provider);
    if (keys) {
        judge(c, keys);
        return;
    }
    ((Attempt *) c->scratch)->asked = true;
    r = sign_in_provider_ask(s->provider, &err);
    if (r < 0)
        fail(c, r, &err);
    else
        request_wait(c, PATIENCE, on_keys, TOPIC);
}

static void on_ended(Request *c, const StoreRows *rows)
{
    _cleanup_(error_done) Error err = {};

    if (store_rows_count(rows) == 0) {
        error_set(&err, ENOENT, "sign-in.none",
                  "this token is not of a sign-in: an administrator revokes it (secbox-gateway tokens revoke)");
        request_fail(c, -ENOENT, &err);
        return;
    }
    operator_tokens_forget(c->tokens, c->token_hash);
    cJSON *body = cJSON_CreateObject();
    if (!body || json_add_string(body, "signedOut", store_rows_get(rows, 0, 0)) < 0) {
        cJSON_Delete(body);
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    request_answer(c, 200, body);
}

static void on_delete(Request *c)
{
    request_query(c, sql_sign_in_end(c->token_hash), on_ended);
}

const Route sign_in_routes[] = {
    { "GET", "/v1/sign-in", ACCESS_ANYONE, on_get, "where people sign in" },
    { "POST", "/v1/sign-in", ACCESS_ANYONE, on_post, "a token, for one of the provider" },
    { "DELETE", "/v1/sign-in", ACCESS_VIEWER, on_delete, "end the sign-in whose token is shown" },
    {},
};

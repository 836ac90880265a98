/* SPDX-License-Identifier: MIT */
/* sign-in, sign-out: a token by way of an OpenID provider: the authorization code flow with PKCE (RFC 6749 §4.1, RFC
 * 7636), as RFC 8252 has it for programs on people's machines. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/fleet/fleet.h"
#include "gateway/fleet/sign-in-callback.h"
#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"
#include "lib/http/client.h"

#define DISCOVERY_PATH "/.well-known/openid-configuration"
#define PROVIDER_TIMEOUT (30 * USEC_PER_SEC)
#define PEOPLE_SECONDS 600
#define PEOPLE_SECONDS_MAX 3600
#define RANDOM_BYTES 32

typedef struct SignIn {
    cJSON *gateway, *provider; /* what they say of themselves */
    char *verifier, *state, *nonce, *redirect;
    SignInCallback callback;
} SignIn;

static void sign_in_done(SignIn *s)
{
    cJSON_Delete(s->gateway);
    cJSON_Delete(s->provider);
    secret_free(s->verifier);
    free(s->state);
    free(s->nonce);
    free(s->redirect);
    sign_in_callback_close(&s->callback);
}

static char *random_text(void)
{
    uint8_t bytes[RANDOM_BYTES];

    random_bytes(bytes, sizeof(bytes));
    return base64url_encode(bytes, sizeof(bytes));
}

/* One request to the provider, and its answer as an object. */
static int ask_provider(const Fleet *fleet, const char *url, const char *form, cJSON **ret, Error *err)
{
    static const char *const headers[] = { "Content-Type: application/x-www-form-urlencoded",
                                           "Accept: application/json", NULL };
    const HttpRequest request = {
        .method = form ? "POST" : "GET",
        .url = url,
        .headers = headers,
        .body = form,
        .body_len = form ? strlen(form) : 0,
        .ca_file = fleet->oidc_ca,
        .ca_advice = "name the provider's authority with --oidc-ca",
        .timeout_usec = PROVIDER_TIMEOUT,
    };
    _cleanup_(http_response_done) HttpResponse response = {};
    int r = http_run(&request, &response, err);

    if (r < 0)
        return r;
    if (json_parse_object(response.body, response.body_len, ret, NULL) < 0)
        *ret = NULL;
    if (response.status != 200 || !*ret) {
        const char *error = json_string(*ret, "error"), *why = json_string(*ret, "error_description");
        return error_set(err, EACCES, "fleet.sign-in", "%s answers with HTTP status %d%s%s%s%s", url, response.status,
                         error ? ": " : "", error ? error : "", why ? ": " : "", why ? why : "");
    }
    return 0;
}

/* A place of the provider's configuration: as safe as the provider itself. */
static int place(const SignIn *s, const char *name, const char **ret, Error *err)
{
    const char *issuer = json_string(s->gateway, "issuer"), *url = json_string(s->provider, name);

    if (!url || url_check(url, str_starts(issuer, "https:") ? "https" : "https,http", NULL) < 0)
        return error_set(err, EBADMSG, "fleet.sign-in", "the provider %s does not say where its %s is", issuer, name);
    *ret = url;
    return 0;
}

static int discover(Fleet *fleet, SignIn *s, Error *err)
{
    _cleanup_(api_reply_done) ApiReply reply = {};
    int r = api_call(&fleet->api, "GET", "/v1/sign-in", NULL, CALL_TIMEOUT, &reply, err);

    if (r < 0)
        return r;
    s->gateway = TAKE_PTR(reply.body);
    const char *issuer = json_string(s->gateway, "issuer");
    size_t len = issuer ? strlen(issuer) : 0;
    while (len > 0 && issuer[len - 1] == '/')
        len--;
    _cleanup_(freep) char *url = str_format("%.*s" DISCOVERY_PATH, (int) len, issuer ? issuer : "");
    if (!url)
        return -ENOMEM;
    r = ask_provider(fleet, url, NULL, &s->provider, err);
    if (r >= 0 && !str_equal(json_string(s->provider, "issuer"), issuer))
        r = error_set(err, EBADMSG, "fleet.sign-in", "%s calls itself by another name", issuer);
    return r;
}

/* The page at which people sign in. */
static int make_page(const SignIn *s, char **ret, Error *err)
{
    uint8_t digest[SHA256_SIZE];
    const char *page = NULL;
    int r = place(s, "authorization_endpoint", &page, err);

    if (r < 0)
        return r;
    r = sha256(s->verifier, strlen(s->verifier), digest);
    _cleanup_(freep) char *challenge = r >= 0 ? base64url_encode(digest, sizeof(digest)) : NULL;
    _cleanup_(freep) char *client = api_encode(json_string(s->gateway, "clientId")),
                          *scopes = api_encode(json_string(s->gateway, "scopes")), *redirect = api_encode(s->redirect);
    if (!challenge || !client || !scopes || !redirect)
        return -ENOMEM;
    *ret = str_format("%s%cresponse_type=code&client_id=%s&redirect_uri=%s&scope=%s&state=%s&nonce=%s&code_challenge=%s"
                      "&code_challenge_method=S256",
                      page, strchr(page, '?') ? '&' : '?', client, redirect, scopes, s->state, s->nonce, challenge);
    return *ret ? 0 : -ENOMEM;
}

/* The code for an ID token, a secret of the caller's. */
static int exchange(const Fleet *fleet, const SignIn *s, const char *code, char **ret, Error *err)
{
    const char *url = NULL;
    int r = place(s, "token_endpoint", &url, err);

    if (r < 0)
        return r;
    _cleanup_(secret_freep) char *encoded = api_encode(code);
    _cleanup_(freep) char *client = api_encode(json_string(s->gateway, "clientId")),
                          *redirect = api_encode(s->redirect);
    _cleanup_(secret_freep) char *form =
        encoded && client && redirect
            ? str_format("grant_type=authorization_code&code=%s&redirect_uri=%s&client_id=%s&code_verifier=%s", encoded,
                         redirect, client, s->verifier)
            : NULL;
    _cleanup_(cJSON_Deletep) cJSON *answer = NULL;
    if (!form)
        return -ENOMEM;
    r = ask_provider(fleet, url, form, &answer, err);
    if (r < 0)
        return r;
    const char *token = json_string(answer, "id_token");
    if (!token)
        return error_set(err, EBADMSG, "fleet.sign-in", "the provider's answer holds no ID token");
    *ret = strdup(token);
    return *ret ? 0 : -ENOMEM;
}

/* Where fleet_begin() finds it. */
static int keep_token(const Fleet *fleet, const cJSON *answer, Error *err)
{
    _cleanup_(freep) char *path = fleet_token_path(fleet),
                          *folder = path ? strndup(path, (size_t) (strrchr(path, '/') - path)) : NULL;
    const char *token = json_string(answer, "token");
    _cleanup_(secret_freep) char *line = token ? str_format("%s\n", token) : NULL;

    if (!token)
        return error_set(err, EBADMSG, "api.bad-answer", "the gateway's answer holds no token");
    if (!path || !folder || !line)
        return error_set(err, ENOENT, "fleet.sign-in", "there is no home folder to keep the token in: set HOME");
    int r = dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, err);
    return r < 0 ? r : file_write_atomic(path, line, strlen(line), 0600, (uid_t) -1, (gid_t) -1, err);
}

/* Without the token itself. */
static int show(const Fleet *fleet, cJSON *answer)
{
    cJSON_DeleteItemFromObjectCaseSensitive(answer, "token");
    if (fleet->has_other_token)
        fprintf(stderr, PROGRAM ": other commands take the token that SECBOX_TOKEN, SECBOX_TOKEN_FILE or --token-file "
                                "names, as long as one of these is set\n");
    if (fleet->json)
        return report_json(answer, EXIT_OK);
    const char *name = json_string(answer, "name"), *role = json_string(answer, "role"),
               *until = json_string(answer, "expiresAt");
    return report_text(
        str_format("signed in as %s (%s) until %s\n", name ? name : "?", role ? role : "?", until ? until : "?"),
        EXIT_OK);
}

static int prepare(Fleet *fleet, SignIn *s, Error *err)
{
    uint64_t port = 0;
    int r = fleet_number(fleet->port, "port", 1, UINT16_MAX, 0, &port, err);

    fleet->without_token = true;
    if (r >= 0)
        r = fleet_begin(fleet, err);
    if (r >= 0)
        r = discover(fleet, s, err);
    if (r >= 0)
        r = sign_in_callback_open(&s->callback, (uint16_t) port, err);
    if (r < 0)
        return r;
    s->verifier = random_text();
    s->state = random_text();
    s->nonce = random_text();
    s->redirect = str_format("http://127.0.0.1:%u/callback", s->callback.port);
    return s->verifier && s->state && s->nonce && s->redirect ? 0 : -ENOMEM;
}

/* Shows the page, and waits for who comes back from it. */
static int let_sign_in(const Fleet *fleet, const SignIn *s, char **ret_code, Error *err)
{
    _cleanup_(freep) char *page = NULL;
    int seconds = PEOPLE_SECONDS;
    int r = fleet_duration(fleet->timeout, "timeout", PEOPLE_SECONDS_MAX, &seconds, err);

    if (r >= 0)
        r = make_page(s, &page, err);
    if (r < 0)
        return r;
    fprintf(stderr, "Open this page in a browser, and sign in:\n\n  %s\n\n", page);
    if (isatty(STDIN_FILENO))
        fprintf(
            stderr,
            "If the browser runs on another machine, it ends at an address that it cannot open: paste that here.\n");
    return sign_in_callback_wait(&s->callback, s->state, (usec_t) seconds * USEC_PER_SEC, ret_code, err);
}

int verb_sign_in(int argc _unused_, char **argv _unused_, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(sign_in_done) SignIn s = { .callback.fd = -1 };
    _cleanup_(secret_freep) char *code = NULL, *id_token = NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    int r = prepare(fleet, &s, &err);

    if (r >= 0)
        r = let_sign_in(fleet, &s, &code, &err);
    if (r >= 0)
        r = exchange(fleet, &s, code, &id_token, &err);
    if (r >= 0 && (!request || json_add_string(request, "idToken", id_token) < 0 ||
                   json_add_string(request, "nonce", s.nonce) < 0))
        r = -ENOMEM;
    if (r >= 0)
        r = api_call(&fleet->api, "POST", "/v1/sign-in", request, CALL_TIMEOUT, &reply, &err);
    if (r >= 0)
        r = keep_token(fleet, reply.body, &err);
    return r < 0 ? fleet_fail(fleet, &reply, &err, r) : show(fleet, reply.body);
}

static int forget_token(const Fleet *fleet, Error *err)
{
    _cleanup_(freep) char *path = fleet_token_path(fleet);

    if (!path)
        return -ENOMEM;
    return unlink(path) == 0 || errno == ENOENT
               ? 0
               : error_set(err, errno, "fleet.sign-in", "%s stays: %s", path, strerror(errno));
}

/* NULL: it had ended before. */
static int show_end(const Fleet *fleet, const cJSON *answer)
{
    const char *name = json_string(answer, "signedOut");
    _cleanup_(cJSON_Deletep) cJSON *over = cJSON_CreateObject();

    if (fleet->json && !answer)
        return report_json(cJSON_AddNullToObject(over, "signedOut") ? over : NULL, EXIT_OK);
    if (fleet->json)
        return report_json(answer, EXIT_OK);
    return report_text(answer ? str_format("%s is signed out\n", name ? name : "?")
                              : strdup("that sign-in was over already\n"),
                       EXIT_OK);
}

int verb_sign_out(int argc _unused_, char **argv _unused_, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};

    fleet->signs_out = true;
    int r = fleet_ask(fleet, "DELETE", "/v1/sign-in", NULL, CALL_TIMEOUT, &reply, &err);
    bool kept = !fleet->token_file;
    bool over = kept && r == -EREMOTEIO && reply.status == 401; /* by itself, or an administrator has ended it */

    if (over)
        error_done(&err);
    if (r >= 0 || over)
        r = kept ? forget_token(fleet, &err) : 0;
    return r < 0 ? fleet_fail(fleet, &reply, &err, r) : show_end(fleet, over ? NULL : reply.body);
}

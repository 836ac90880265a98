/* SPDX-License-Identifier: MIT */
/* Answering a registry's challenge: Basic by itself, Bearer through its token server. One answer for a challenge; a registry
 * that refuses it refuses us. */
#include <errno.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/registry/registry-client-impl.h"

/* a challenge, then once more if a token ran out between two steps */
#define AUTHORIZATIONS_MAX 2

static void set_authorization(Ask *a, const char *scheme, const char *secret)
{
    secret_free(a->authorization);
    a->authorization = str_format("Authorization: %s %s", scheme, secret);
}

static void send_again(Ask *a)
{
    _cleanup_(error_done) Error err = {};
    int r = a->authorization ? ask_send_step(a, &err) : -ENOMEM;

    if (r < 0)
        ask_fail(a, -r, "registry.bad-answer", 0, "%s: %s", a->name, error_message(&err, r));
}

/* A login that outlives a reboot: podman's own place for it is a folder that does not. What is there comes first, though. */
static char *login_advice(const RegistryCredentials *c, const char *registry)
{
    bool passing = c->file && str_starts(c->file, "/run/");

    return str_format("do, as podman's user: %s%s%spodman login --authfile ~/.config/containers/auth.json %s",
                      passing ? "podman logout " : "", passing ? registry : "", passing ? "; " : "", registry);
}

static void refused(Ask *a)
{
    RegistryCredentials c = {};
    const char *name = a->place.registry;
    bool has = registry_conf_credentials(a->registry->options.conf, name, a->place.path, &c);
    _cleanup_(freep) char *advice = login_advice(&c, name);
    const char *then = advice ? advice : "log in again";

    if (!has)
        ask_fail(a, EACCES, "registry.unauthorized", 0,
                 "%s: the registry wants credentials, or has no such image, and podman has none for it; %s", a->name,
                 then);
    else if (c.helper)
        ask_fail(a, EACCES, "registry.unauthorized", 0,
                 "%s: %s leaves the credentials for %s to the helper docker-credential-%s, which is not supported; %s",
                 a->name, c.file, name, c.helper, then);
    else if (c.unusable)
        ask_fail(a, EACCES, "registry.unauthorized", 0,
                 "%s: the registry wants credentials, and \"auth\" of %s in %s is not the base64 of user:password; %s",
                 a->name, name, c.file, then);
    else
        ask_fail(a, EACCES, "registry.unauthorized", 0, "%s: the registry refuses the credentials in %s; %s", a->name,
                 c.file, then);
}

static char *token_key(const Ask *a)
{
    const Challenge *c = &a->host->challenge;

    return str_format("%s %s %s", c->realm, c->service ? c->service : "", a->place.path);
}

static void take_token(Ask *a, const HttpResponse *response)
{
    _cleanup_(error_done) Error why = {};
    _cleanup_(secret_freep) char *token = NULL;
    _cleanup_(freep) char *key = token_key(a);
    int r = token_parse(response->body, response->body_len, &token, &why);

    if (r < 0) {
        ask_fail(a, EBADMSG, "registry.bad-answer", 0, "%s: %s", a->name, error_message(&why, r));
        return;
    }
    redact_add_secret(token);
    set_authorization(a, "Bearer", token);
    if (key && map_put(a->registry->tokens, key, token) == 0)
        token = NULL;
    send_again(a);
}

static void follow_token(Ask *a, const HttpResponse *response);

static void on_token(HttpCall *call, int r, const HttpResponse *response, const Error *err, void *userdata)
{
    Ask *a = userdata;

    (void) call;
    a->call = NULL;
    if (r < 0) {
        ask_fail_http(a, r, err);
        return;
    }
    a->registry->figures.bytes += response->wire_bytes;
    if (response->status == 200)
        take_token(a, response);
    else if (ask_is_redirect(response->status))
        follow_token(a, response);
    else if (response->status == 401 || response->status == 403 || response->status == 400)
        refused(a);
    else if (response->status == 429 || response->status >= 500)
        ask_fail_status(a, response, "its token server");
    else
        ask_fail(a, EBADMSG, "registry.bad-answer", 0,
                 "%s: the registry's token server answers with an unexpected status (%d)", a->name, response->status);
}

static char *own_scope(const Ask *a)
{
    return str_format("repository:%s:pull", a->place.path);
}

/* https, or what registries.conf allows for the registry itself. */
static int check_realm(const Ask *a, const char *realm, Error *err)
{
    _cleanup_(error_done) Error why = {};
    int r = realm ? url_check(realm, a->host->insecure ? "https,http" : "https", &why) : -EINVAL;

    if (r < 0)
        return error_set(err, EBADMSG, "registry.bad-answer",
                         "%s: the registry's challenge leads to no usable token server: %s", a->name,
                         realm ? error_message(&why, r) : "it names no realm");
    return 0;
}

/* Asks a->url. Where that is of another origin than the token server that the challenge names, it sees no credentials. */
static int send_token_request(Ask *a, Error *err)
{
    const Challenge *c = &a->host->challenge;
    _cleanup_(freep) char *scope = own_scope(a), *url = strdup(a->url);
    _cleanup_(secret_freep) char *body = NULL;
    _cleanup_(secret_freep) char *basic = NULL;
    RegistryCredentials has = {};

    if (!a->elsewhere)
        (void) registry_conf_credentials(a->registry->options.conf, a->place.registry, a->place.path, &has);
    if (has.basic)
        basic = str_format("Authorization: Basic %s", has.basic);
    if (has.identity_token)
        body = token_refresh_body(c->service, scope, has.identity_token);
    if (!scope || !url || (has.basic && !basic) || (has.identity_token && !body))
        return error_set(err, ENOMEM, "registry.bad-answer", "no memory");
    const char *headers[] = { body ? "Content-Type: application/x-www-form-urlencoded" : "Accept: application/json",
                              basic, NULL };
    HttpRequest request = { .method = body ? "POST" : "GET",
                            .url = url,
                            .headers = headers,
                            .body = body,
                            .body_len = body ? strlen(body) : 0,
                            .response_max = REGISTRY_TOKEN_ANSWER_MAX };
    return ask_start_request(a, &request, on_token, err);
}

/* 0: asked, and the step will be sent when the answer is here. */
static int ask_for_token(Ask *a, Error *err)
{
    const Challenge *c = &a->host->challenge;
    _cleanup_(freep) char *scope = own_scope(a);
    RegistryCredentials has = {};
    int r = check_realm(a, c->realm, err);

    if (r < 0)
        return r;
    if (registry_conf_credentials(a->registry->options.conf, a->place.registry, a->place.path, &has) && has.unusable)
        return -EACCES;
    free(a->url);
    a->url = has.identity_token ? strdup(c->realm) : token_url(c->realm, c->service, scope);
    a->redirects = 0;
    a->elsewhere = false;
    return a->url ? send_token_request(a, err) : error_set(err, ENOMEM, "registry.bad-answer", "no memory");
}

/* As Go's client does it, which is podman's: a refresh token is in a body, and a body is only sent again by 307 and 308. */
static void follow_token(Ask *a, const HttpResponse *response)
{
    RegistryCredentials has = {};
    _cleanup_(error_done) Error err = {};
    int r = ask_follow(a, response, &err);

    (void) registry_conf_credentials(a->registry->options.conf, a->place.registry, a->place.path, &has);
    if (r == 0 && has.identity_token && (a->elsewhere || (response->status != 307 && response->status != 308)))
        r = error_set(&err, EPERM, "url.bad", "the identity token of podman's auth file is not sent elsewhere");
    if (r == 0)
        r = send_token_request(a, &err);
    if (r < 0)
        ask_fail(a, EBADMSG, "registry.bad-answer", 0,
                 "%s: the redirect of the registry's token server is not followed: %s", a->name,
                 error_message(&err, r));
}

/* What the host's challenge wants of this ask. 0: under way. */
static int answer_challenge(Ask *a, Error *err)
{
    _cleanup_(freep) char *key = NULL;
    RegistryCredentials has = {};
    const char *token;

    a->authorized++;
    if (a->host->challenge.kind == CHALLENGE_BEARER) {
        key = token_key(a);
        token = key && a->authorized == 1 ? map_get(a->registry->tokens, key) : NULL;
        if (!token)
            return ask_for_token(a, err);
        set_authorization(a, "Bearer", token);
    } else {
        if (!registry_conf_credentials(a->registry->options.conf, a->place.registry, a->place.path, &has) ||
            !has.basic) /* none, or none that can be used */
            return -EACCES;
        set_authorization(a, "Basic", has.basic);
    }
    return a->authorization ? ask_send_step(a, err) : error_set(err, ENOMEM, "registry.bad-answer", "no memory");
}

/* The best of all challenges of an answer becomes the host's. 1 when it leads elsewhere than the one before. */
static int take_challenge(Ask *a, const HttpResponse *response)
{
    Challenge *of_host = &a->host->challenge;
    _cleanup_(challenge_done) Challenge best = {};
    const char *header;
    int r = 0;

    for (size_t n = 0; r == 0 && (header = http_response_header(response, "WWW-Authenticate", n)); n++) {
        _cleanup_(challenge_done) Challenge c = {};

        r = challenge_parse(header, &c, NULL);
        if (r == 0 && c.kind > best.kind) {
            challenge_done(&best);
            best = c;
            c = (Challenge) {};
        }
    }
    if (r < 0)
        return r;
    r = best.kind != of_host->kind || !str_equal(best.realm, of_host->realm) ||
        !str_equal(best.service, of_host->service);
    challenge_done(of_host);
    *of_host = best;
    best = (Challenge) {};
    return r;
}

void ask_authorize(Ask *a, const HttpResponse *response)
{
    _cleanup_(error_done) Error err = {};
    int r;

    if (a->elsewhere && a->step == STEP_HEAD) { /* its address may be made for GET alone */
        ask_read_tag(a);
        return;
    }
    if (a->elsewhere) {
        ask_fail(a, EACCES, "registry.unauthorized", 0,
                 "%s: the registry leads to another host that wants credentials; they are not sent there", a->name);
        return;
    }
    r = take_challenge(a, response);
    if (r < 0) {
        ask_fail(a, EBADMSG, "registry.bad-answer", 0, "%s: the registry's challenge (WWW-Authenticate) is malformed",
                 a->name);
        return;
    }
    /* an answer to another image's challenge may be no answer to this one's */
    bool answered = a->authorized > 0 && (a->step == STEP_HEAD || a->step == STEP_TAG) && !(a->early && r > 0);
    if (answered || a->authorized == AUTHORIZATIONS_MAX || a->host->challenge.kind == CHALLENGE_NONE) {
        r = -EACCES;
    } else {
        a->early = false;
        r = answer_challenge(a, &err);
    }
    if (r == -EACCES && a->step == STEP_HEAD) /* GET may be allowed */
        ask_read_tag(a);
    else if (r == -EACCES)
        refused(a);
    else if (r < 0)
        ask_end(a, r, IMAGE_NEW, &err, 0);
}

int ask_authorize_early(Ask *a, Error *err)
{
    int r;

    if (a->host->challenge.kind == CHALLENGE_NONE)
        return 0;
    a->early = true;
    r = answer_challenge(a, err);
    if (r == -EACCES) { /* nothing to offer: the registry itself shall say whether that will do */
        a->authorized = 0;
        return 0;
    }
    return r < 0 ? r : 1;
}

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

static void refused(Ask *a)
{
    RegistryCredentials c = {};
    const char *name = a->place.registry;

    if (!registry_conf_credentials(a->registry->options.conf, name, a->place.path, &c))
        ask_fail(a, EACCES, "registry.unauthorized", 0,
                 "%s: the registry wants credentials, or has no such image, and podman has none for it; do, as "
                 "podman's user: "
                 "podman login %s",
                 a->name, name);
    else if (c.helper)
        ask_fail(
            a, EACCES, "registry.unauthorized", 0,
            "%s: %s leaves the credentials for %s to the helper docker-credential-%s, which is not supported; do, as "
            "podman's user: podman login %s",
            a->name, c.file, name, c.helper, name);
    else
        ask_fail(a, EACCES, "registry.unauthorized", 0,
                 "%s: the registry refuses the credentials in %s; do, as podman's user: podman login %s", a->name,
                 c.file, name);
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

/* 0: asked, and the step will be sent when the answer is here. */
static int ask_for_token(Ask *a, Error *err)
{
    const Challenge *c = &a->host->challenge;
    _cleanup_(freep) char *scope = own_scope(a);
    _cleanup_(freep) char *url = NULL;
    _cleanup_(secret_freep) char *body = NULL;
    _cleanup_(secret_freep) char *basic = NULL;
    RegistryCredentials has = {};
    int r = check_realm(a, c->realm, err);

    if (r < 0)
        return r;
    if (registry_conf_credentials(a->registry->options.conf, a->place.registry, a->place.path, &has) && has.basic)
        basic = str_format("Authorization: Basic %s", has.basic);
    if (has.identity_token)
        body = token_refresh_body(c->service, scope, has.identity_token);
    url = has.identity_token ? strdup(c->realm) : token_url(c->realm, c->service, scope);
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
        if (!registry_conf_credentials(a->registry->options.conf, a->place.registry, a->place.path, &has) || !has.basic)
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
    if (a->authorized == AUTHORIZATIONS_MAX || (a->authorized > 0 && a->step == STEP_HEAD && !(a->early && r > 0))) {
        refused(a);
        return;
    }
    a->early = false;
    r = a->host->challenge.kind == CHALLENGE_NONE ? -EACCES : answer_challenge(a, &err);
    if (r == -EACCES)
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

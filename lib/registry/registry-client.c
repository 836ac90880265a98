/* SPDX-License-Identifier: MIT */
/* One ask is a walk of at most four steps: HEAD of the tag; the tag itself where HEAD does not do; the index and this
 * platform's manifest where digests do not tell. image_compare() decides what is still needed. */
#include "lib/registry/registry-client.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/base/limits.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/registry/registry-client-impl.h"

static const char *const kept_headers[] = { "Content-Type", "Docker-Content-Digest", "Location", "WWW-Authenticate",
                                            NULL };

bool registry_error_is_passing(const char *id)
{
    return str_equal(id, "registry.offline") || str_equal(id, "registry.unavailable") ||
           str_equal(id, "registry.rate-limited");
}

RegistryFigures registry_figures(const Registry *r)
{
    return r->figures;
}

void ask_free(Ask *a)
{
    if (a->prev)
        a->prev->next = a->next;
    else if (a->registry->asks == a)
        a->registry->asks = a->next;
    if (a->next)
        a->next->prev = a->prev;
    http_call_free(a->call);
    registry_place_done(&a->place);
    registry_places_done(&a->next_places);
    remote_image_done(&a->remote);
    error_done(&a->refusal);
    secret_free(a->authorization);
    free(a->name);
    free(a->tag);
    free(a->url);
    free(a);
}

/* The first of a host ended without having learned how it is spoken to. */
static void pass_on(Registry *r, Host *h, int result, const Error *err);

void ask_end(Ask *a, int r, ImageVerdict verdict, const Error *err, usec_t retry_after_usec)
{
    RegistryAnswer answer = { .verdict = verdict, .remote = &a->remote, .retry_after_usec = retry_after_usec };
    bool led = !a->waiting && !a->host->settled;
    Registry *registry = a->registry;
    Host *host = a->host;

    /* of several mirrors podman takes the first that has it; what the last place says is what counts against the image */
    Ask *again = r < 0 && r != -ENOMEM && a->next_places.n > 0 ? ask_elsewhere(a) : NULL;
    if (!again)
        a->on_done(r, &answer, err, a->userdata);
    ask_free(a);
    if (led)
        pass_on(registry, host, r, err);
    if (again)
        ask_begin_again(again);
}

void ask_fail(Ask *a, int code, const char *id, usec_t retry_after_usec, const char *fmt, ...)
{
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = str_vformat(fmt, ap);
    va_end(ap);
    error_set(&err, code, id, "%s", text ? text : "no memory");
    ask_end(a, -code, IMAGE_NEW, &err, retry_after_usec);
}

void ask_fail_http(Ask *a, int r, const Error *why)
{
    static const struct {
        const char *http, *id, *sentence;
    } table[] = {
        { "http.resolve", "registry.offline", "the registry cannot be reached now" },
        { "http.connect", "registry.offline", "the registry cannot be reached now" },
        { "http.timeout", "registry.offline", "the registry does not answer in time" },
        { "http.tls", "registry.tls", "the registry's certificate is not accepted" },
        { "http.client-certificate", "registry.tls",
          "the registry wants a certificate of its clients: put client.cert and client.key into podman's certs.d" },
        { "http.bad-url", "registry.bad-answer", "the registry leads to an unusable address" },
        { "http.too-large", "registry.bad-answer", "the registry's answer is too long" },
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++)
        if (str_equal(error_id(why), table[i].http)) {
            ask_fail(a, -r, table[i].id, 0, "%s: %s: %s", a->name, table[i].sentence, error_message(why, r));
            return;
        }
    ask_fail(a, -r, r == -ECONNRESET ? "registry.offline" : "registry.bad-answer", 0, "%s: %s: %s", a->name,
             r == -ECONNRESET ? "the connection to the registry broke"
                              : "the registry does not speak HTTP as it should",
             error_message(why, r));
}

/* The registry's own sentence, for people: {"errors":[{"message":…}]} or {"details":…}; NULL when it gives none. */
static char *own_words(const HttpResponse *response)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(freep) char *safe = NULL;
    const char *text;

    if (json_parse_object(response->body, response->body_len, &o, NULL) < 0)
        return NULL;
    text = json_string(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(o, "errors"), 0), "message");
    if (!text)
        text = json_string(o, "details");
    safe = text ? redact_text(text) : NULL;
    return safe ? text_printable(safe) : NULL;
}

int ask_status_error(const Ask *a, const HttpResponse *response, const char *who, Error *err)
{
    int status = response->status;
    _cleanup_(freep) char *words = own_words(response);
    const char *colon = words ? ": " : "", *said = words ? words : "";

    if (status == 429)
        return error_set(err, EBUSY, "registry.rate-limited", "%s: %s has been asked too often (429)%s%.200s", a->name,
                         who, colon, said);
    if (status >= 500)
        return error_set(err, EAGAIN, "registry.unavailable", "%s: %s does not work now (%d)%s%.200s", a->name, who,
                         status, colon, said);
    if (status == 403)
        return error_set(err, EACCES, "registry.unauthorized", "%s: %s does not allow to read this image (403)%s%.200s",
                         a->name, who, colon, said);
    if (status == 404 && (a->step == STEP_INDEX || a->step == STEP_MANIFEST))
        return error_set(err, ENOENT, "registry.not-found",
                         "%s: %s lacks the manifest %s, to which the tag leads (404)%s%.200s", a->name, who,
                         a->step == STEP_INDEX ? a->remote.digest : a->remote.platform_digest, colon, said);
    if (status == 404)
        return error_set(err, ENOENT, "registry.not-found",
                         "%s: %s has no such image or tag, or hides it from whom it does not know (404)%s%.200s",
                         a->name, who, colon, said);
    return error_set(err, EBADMSG, "registry.bad-answer", "%s: %s answers with an unexpected status (%d)%s%.200s",
                     a->name, who, status, colon, said);
}

void ask_fail_status(Ask *a, const HttpResponse *response, const char *who)
{
    bool passes = response->status == 429 || response->status >= 500;
    _cleanup_(error_done) Error err = {};
    int r = ask_status_error(a, response, who, &err);

    ask_end(a, r, IMAGE_NEW, &err, passes ? response->retry_after_usec : 0);
}

/* host[:port] of a URL that has passed url_check(). */
static char *host_of(const char *url)
{
    const char *host = strstr(url, "://") + 3;

    return strndup(host, strcspn(host, "/?#"));
}

/* Those of another host than the registry's own, when there are any: a token server may have some of its own. */
static int authorities_for(const Ask *a, const char *url, char **ret, Error *err)
{
    _cleanup_(freep) char *host = host_of(url);

    if (!host)
        return error_set(err, ENOMEM, "registry.config", "no memory");
    return strcasecmp(host, a->host->name) == 0 ? 0
                                                : registry_conf_authorities(a->registry->options.conf, host, ret, err);
}

int ask_start_request(Ask *a, HttpRequest *request, http_done_t on_done, Error *err)
{
    const RegistryOptions *o = &a->registry->options;
    _cleanup_(freep) char *authorities = NULL;
    _cleanup_(error_done) Error why = {};
    int r;

    request->timeout_usec = o->request_timeout_usec;
    request->connect_timeout_usec = o->connect_timeout_usec;
    request->stall_usec = o->stall_usec;
    r = authorities_for(a, request->url, &authorities, err);
    if (r < 0)
        return r;
    request->ca_pem = authorities ? authorities : a->elsewhere ? NULL : a->host->authorities;
    if (!a->elsewhere) {
        request->client_cert = a->host->client_cert;
        request->client_key = a->host->client_key;
    }
    request->ca_advice = "check the clock, and put a private authority into podman's certs.d";
    request->keep_headers = kept_headers;
    request->reuse = true;
    a->registry->figures.requests++;
    r = http_start(a->registry->client, request, on_done, a, &a->call, &why);
    return r < 0 ? error_set(err, -r, "registry.bad-answer", "%s: %s", a->name, error_message(&why, r)) : 0;
}

static void on_answer(HttpCall *call, int r, const HttpResponse *response, const Error *err, void *userdata);

/* Asks a->url. */
static int send(Ask *a, Error *err)
{
    const char *headers[] = { "Accept: " IMAGE_MANIFEST_ACCEPT, a->elsewhere ? NULL : a->authorization, NULL };
    HttpRequest request = { .method = a->step == STEP_HEAD ? "HEAD" : "GET",
                            .url = a->url,
                            .headers = headers,
                            .response_max = REGISTRY_MANIFEST_MAX };

    return ask_start_request(a, &request, on_answer, err);
}

int ask_send_step(Ask *a, Error *err)
{
    const char *what = a->step == STEP_INDEX      ? a->remote.digest
                       : a->step == STEP_MANIFEST ? a->remote.platform_digest
                                                  : a->tag;

    free(a->url);
    a->url =
        str_format("%s://%s/v2/%s/manifests/%s", a->host->plain ? "http" : "https", a->host->name, a->place.path, what);
    a->redirects = 0;
    a->elsewhere = false;
    return a->url ? send(a, err) : error_set(err, ENOMEM, "registry.bad-answer", "no memory");
}

void ask_go_ahead(Ask *a)
{
    _cleanup_(error_done) Error err = {};
    int r = ask_authorize_early(a, &err);

    if (r == 0)
        r = ask_send_step(a, &err);
    if (r < 0)
        ask_end(a, r, IMAGE_NEW, &err, 0);
}

static Ask *find_waiting(Registry *r, const Host *h)
{
    for (Ask *a = r->asks; a; a = a->next)
        if (a->host == h && a->waiting)
            return a;
    return NULL;
}

static void host_settle(Registry *r, Host *h)
{
    Ask *a;

    h->settled = true;
    while ((a = find_waiting(r, h))) {
        a->waiting = false;
        if (h->limited)
            ask_fail(a, EBUSY, "registry.rate-limited", h->limited_usec,
                     "%s: not asked, since %s has been asked too often (429)", a->name, h->name);
        else
            ask_go_ahead(a);
    }
}

/* A host that cannot be reached at all is so for all its images. One that was too slow, or whose first image could not even be
 * asked for, may do better with the others. */
static void pass_on(Registry *r, Host *h, int result, const Error *err)
{
    bool for_all = result == -EHOSTUNREACH || result == -ECONNREFUSED || str_equal(error_id(err), "registry.tls");
    Ask *a;

    h->settled = true;
    if (!for_all) {
        host_settle(r, h);
        return;
    }
    while ((a = find_waiting(r, h)))
        ask_fail(a, -result, error_id(err), 0, "%s: as for the other images of %s: %s", a->name, h->name,
                 error_message(err, result));
}

/* A registry that may be plain HTTP is still asked by TLS first, as podman does. */
static bool try_plain(Ask *a, int r, const Error *why)
{
    bool no_tls =
        (str_equal(error_id(why), "http.tls") && r != -EKEYREJECTED) || str_equal(error_id(why), "http.connect");
    _cleanup_(error_done) Error err = {};

    if (!no_tls || !a->host->insecure || a->elsewhere || !str_starts(a->url, "https:") ||
        (a->host->answered && !a->host->plain))
        return false;
    a->host->plain = true;
    return ask_send_step(a, &err) == 0;
}

bool ask_is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

int ask_follow(Ask *a, const HttpResponse *response, Error *err)
{
    _cleanup_(freep) char *url = NULL;
    const char *location = http_response_header(response, "Location", 0);
    int r = location ? url_resolve(a->url, location, &url, err) : -EINVAL;

    if (r == 0 && str_starts(url, "http:") && !url_same_origin(a->url, url)) {
        _cleanup_(freep) char *name = host_of(url);

        if (!name || !registry_conf_is_insecure(a->registry->options.conf, name))
            r = error_set(err, EPERM, "url.bad",
                          "it is plain HTTP, which podman's registries.conf does not allow for %s", name ? name : url);
    }
    if (r == 0 && ++a->redirects > REGISTRY_REDIRECTS_MAX)
        r = error_set(err, ELOOP, "url.bad", "there are more than %d redirects in a row", REGISTRY_REDIRECTS_MAX);
    if (r < 0)
        return r;
    a->elsewhere = a->elsewhere || !url_same_origin(a->url, url);
    free(a->url);
    a->url = TAKE_PTR(url);
    return 0;
}

static void follow(Ask *a, const HttpResponse *response)
{
    _cleanup_(error_done) Error err = {};
    int r = ask_follow(a, response, &err);

    if (r == 0)
        r = send(a, &err);
    if (r < 0)
        ask_fail(a, EBADMSG, "registry.bad-answer", 0, "%s: the registry's redirect is not followed: %s", a->name,
                 error_message(&err, r));
}

static int remember(char **where, const char *value)
{
    free(*where);
    *where = strdup(value);
    return *where ? 0 : -ENOMEM;
}

/* A body whose digest is known beforehand, or has to agree with what its header claims. */
static int check_body(Ask *a, const HttpResponse *response, Error *err)
{
    const char *claimed = http_response_header(response, "Docker-Content-Digest", 0);
    const char *wanted = a->step == STEP_INDEX            ? a->remote.digest
                         : a->step == STEP_MANIFEST       ? a->remote.platform_digest
                         : image_digest_is_valid(claimed) ? claimed
                                                          : NULL;
    char digest[IMAGE_DIGEST_SIZE];

    if (image_digest_of(response->body, response->body_len, digest) < 0)
        return error_set(err, EIO, "registry.bad-answer", "the digest cannot be computed");
    if (wanted && !str_equal(wanted, digest))
        return error_set(err, EBADMSG, "registry.bad-answer",
                         "the manifest does not have the digest %s that it should have", wanted);
    if (a->step == STEP_TAG && remember(&a->remote.digest, digest) < 0)
        return error_set(err, ENOMEM, "registry.bad-answer", "no memory");
    return 0;
}

static int take_body(Ask *a, const HttpResponse *response, Error *err)
{
    _cleanup_(manifest_done) Manifest m = {};
    _cleanup_(error_done) Error why = {};
    int r = check_body(a, response, err);

    if (r < 0)
        return r;
    r = manifest_parse(response->body, response->body_len, http_response_header(response, "Content-Type", 0),
                       &a->registry->options.platform, &m, &why);
    if (r < 0)
        return error_set(err, EBADMSG, "registry.bad-answer", "%s", error_message(&why, r));
    if ((a->step == STEP_MANIFEST && m.kind != MANIFEST_IMAGE) || (a->step == STEP_INDEX && m.kind != MANIFEST_INDEX))
        return error_set(err, EBADMSG, "registry.bad-answer", "an index is inside an index, or is none");
    if (m.kind == MANIFEST_INDEX && !m.platform_digest)
        return error_set(err, ENOENT, "registry.no-platform", "the image is not made for %s/%s, which this machine is",
                         a->registry->options.platform.os, a->registry->options.platform.architecture);
    if (a->step == STEP_TAG)
        a->remote.kind = m.kind;
    if (m.kind == MANIFEST_INDEX)
        a->remote.platform_digest = TAKE_PTR(m.platform_digest);
    else
        a->remote.config_digest = TAKE_PTR(m.config_digest);
    if (a->remote.kind == MANIFEST_IMAGE && remember(&a->remote.platform_digest, a->remote.digest) < 0)
        return error_set(err, ENOMEM, "registry.bad-answer", "no memory");
    return 0;
}

/* Goes on to whatever image_compare() still needs. */
static void decide(Ask *a)
{
    _cleanup_(error_done) Error err = {};
    ImageVerdict verdict = image_compare(a->local, &a->remote);
    int r;

    if (verdict == IMAGE_CURRENT || verdict == IMAGE_NEW) {
        ask_end(a, 0, verdict, NULL, 0);
        return;
    }
    a->step = verdict == IMAGE_ASK_INDEX ? STEP_INDEX : STEP_MANIFEST;
    r = ask_send_step(a, &err);
    if (r < 0)
        ask_end(a, r, IMAGE_NEW, &err, 0);
}

void ask_read_tag(Ask *a)
{
    _cleanup_(error_done) Error err = {};
    int r;

    a->step = STEP_TAG;
    r = ask_send_step(a, &err);
    if (r < 0)
        ask_end(a, r, IMAGE_NEW, &err, 0);
}

/* HEAD tells digest and kind, or the manifest itself has to be read. */
static void take_head(Ask *a, const HttpResponse *response)
{
    const char *digest = http_response_header(response, "Docker-Content-Digest", 0);
    int r;

    a->remote.kind = manifest_kind_of(http_response_header(response, "Content-Type", 0));
    if (!image_digest_is_valid(digest) || a->remote.kind == MANIFEST_UNKNOWN) {
        ask_read_tag(a);
        return;
    }
    r = remember(&a->remote.digest, digest);
    if (r == 0 && a->remote.kind == MANIFEST_IMAGE)
        r = remember(&a->remote.platform_digest, digest);
    if (r == 0)
        decide(a);
    else
        ask_fail(a, -r, "registry.bad-answer", 0, "%s: no memory", a->name);
}

static void take_manifest(Ask *a, const HttpResponse *response)
{
    _cleanup_(error_done) Error err = {};
    int r = take_body(a, response, &err);

    if (r < 0)
        ask_end(a, error_prefix(&err, r, "%s", a->name), IMAGE_NEW, &err, 0);
    else
        decide(a);
}

/* podman never sends HEAD: whatever stands in its way, GET is asked before it is believed. */
static bool may_be_for_head_alone(const Ask *a, const HttpResponse *response)
{
    return a->step == STEP_HEAD && response->status != 429 && response->retry_after_usec == 0;
}

static void take_answer(Ask *a, const HttpResponse *response)
{
    int status = response->status;

    if (status == 200 && a->step == STEP_HEAD)
        take_head(a, response);
    else if (status == 200)
        take_manifest(a, response);
    else if (status == 401)
        ask_authorize(a, response);
    else if (ask_is_redirect(status))
        follow(a, response);
    else if (may_be_for_head_alone(a, response))
        ask_read_tag(a);
    else if (ask_may_be_hidden(a, status))
        ask_base(a, response);
    else
        ask_fail_status(a, response, "the registry");
}

/* It was reached, and what it said to HEAD was no HTTP, or nothing. */
static bool breaks_at_head(const Ask *a, int r, const Error *why)
{
    static const char *const others[] = {
        "http.resolve", "http.connect", "http.timeout", "http.tls", "http.client-certificate", "http.bad-url"
    };

    for (size_t i = 0; i < ELEMENTSOF(others); i++)
        if (str_equal(error_id(why), others[i]))
            return false;
    return a->step == STEP_HEAD && r != -ENOMEM;
}

static void on_answer(HttpCall *call, int r, const HttpResponse *response, const Error *err, void *userdata)
{
    Ask *a = userdata;
    Registry *registry = a->registry;
    Host *host = a->host;

    (void) call;
    a->call = NULL;
    if (r < 0 && breaks_at_head(a, r, err)) {
        ask_read_tag(a);
        return;
    }
    if (r < 0) {
        if (!try_plain(a, r, err))
            ask_fail_http(a, r, err);
        return;
    }
    registry->figures.bytes += response->wire_bytes;
    /* the challenge is taken from the first answer, so that it comes before the others are let go */
    bool first = !host->settled;
    host->settled = host->answered = true;
    host->limited = response->status == 429;
    host->limited_usec = response->retry_after_usec;
    take_answer(a, response);
    if (first)
        host_settle(registry, host);
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
    Registry *r = userdata;

    (void) s;
    (void) usec;
    while (r->asks) {
        Ask *a = r->asks;

        a->waiting = a->host->settled = true; /* nobody is to go on */
        registry_places_done(&a->next_places);
        a->call = http_call_free(a->call);
        ask_fail(a, ETIMEDOUT, "registry.offline", 0,
                 "%s: the registry did not answer in the time for all images, %llu s", a->name,
                 (unsigned long long) (r->options.deadline_usec / USEC_PER_SEC));
    }
    return 0;
}

void registry_host_free(void *value)
{
    Host *h = value;

    challenge_done(&h->challenge);
    free(h->name);
    free(h->authorities);
    free(h->client_cert);
    secret_free(h->client_key);
    free(h);
}

static void token_free(void *value)
{
    secret_free(value);
}

Registry *registry_free(Registry *r)
{
    if (!r)
        return NULL;
    while (r->asks)
        ask_free(r->asks);
    http_client_free(r->client);
    map_free(r->hosts);
    map_free(r->tokens);
    sd_event_source_disable_unref(r->deadline);
    sd_event_unref(r->event);
    free(r);
    return NULL;
}

int registry_new(sd_event *event, const RegistryOptions *options, Registry **ret, Error *err)
{
    _cleanup_(registry_freep) Registry *r = calloc(1, sizeof(*r));
    int k;

    if (!r)
        return error_set(err, ENOMEM, "registry.config", "no memory");
    r->event = sd_event_ref(event);
    r->options = *options;
    r->hosts = map_new(registry_host_free);
    r->tokens = map_new(token_free);
    if (!r->hosts || !r->tokens)
        return error_set(err, ENOMEM, "registry.config", "no memory");
    k = http_client_new(event, &r->client, err);
    if (k < 0)
        return k;
    http_client_limit_host(r->client, REGISTRY_HOST_CONNECTIONS_MAX);
    k = timer_arm(event, &r->deadline, options->deadline_usec, on_deadline, r);
    if (k < 0)
        return error_set(err, -k, "registry.config", "cannot set a timer: %s", strerror(-k));
    *ret = TAKE_PTR(r);
    return 0;
}

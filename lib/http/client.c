/* SPDX-License-Identifier: MIT */
/* Requests run to their end, one or many at a time, and the check of URLs. */
#include "lib/http/client.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/http/client-address.h"

DEFINE_CLEANUP(CURLM, curl_multi_cleanup)
DEFINE_CLEANUP(CURLU, curl_url_cleanup)

void http_response_done(HttpResponse *r)
{
    free(r->body);
    free(r->date);
    free(r->server);
    strv_free(r->headers);
    *r = (HttpResponse) {};
}

const char *http_response_header(const HttpResponse *r, const char *name, size_t n)
{
    size_t len = strlen(name);

    for (char *const *h = r->headers; h && *h; h++)
        if (strncasecmp(*h, name, len) == 0 && str_starts(*h + len, ": ") && n-- == 0)
            return *h + len + 2;
    return NULL;
}

typedef struct Batch {
    CURLM *multi;
    const HttpRequest *requests;
    size_t n, next, in_flight;
    unsigned parallel;
    HttpResponse *rets;
    Error *errs;
    int *results;
    Transfer **transfers;
} Batch;

static void batch_fill(Batch *b)
{
    while (b->next < b->n && b->in_flight < b->parallel) {
        size_t i = b->next++;
        Transfer *t = NULL;

        b->results[i] = transfer_new(&b->requests[i], &t, &b->errs[i]);
        if (b->results[i] < 0)
            continue;
        t->owner = &b->transfers[i];
        if (curl_multi_add_handle(b->multi, t->easy) != CURLM_OK) {
            b->results[i] = error_set(&b->errs[i], ENOMEM, "http.failed", "%s: out of memory", t->what);
            transfer_free(t);
            continue;
        }
        b->transfers[i] = t;
        b->in_flight++;
    }
}

static void batch_finish(Batch *b)
{
    int left;
    const CURLMsg *m;

    while ((m = curl_multi_info_read(b->multi, &left))) {
        CURLcode code = m->data.result;
        Transfer *t = transfer_of(m->easy_handle);
        Transfer **slot = t->owner;
        size_t i = (size_t) (slot - b->transfers);

        (void) curl_multi_remove_handle(b->multi, t->easy);
        if (next_address_try(t, &code) && curl_multi_add_handle(b->multi, t->easy) == CURLM_OK)
            continue;
        b->results[i] = transfer_finish(t, code, &b->rets[i], &b->errs[i]);
        *slot = transfer_free(t);
        b->in_flight--;
    }
}

static CURLMcode batch_run(Batch *b)
{
    CURLMcode mc = CURLM_OK;

    batch_fill(b);
    while (b->in_flight > 0 && mc == CURLM_OK) {
        int running;

        mc = curl_multi_perform(b->multi, &running);
        batch_finish(b);
        batch_fill(b);
        if (mc == CURLM_OK && running > 0)
            mc = curl_multi_poll(b->multi, NULL, 0, 1000, NULL);
    }
    return mc;
}

static void batch_abandon(Batch *b, CURLMcode mc)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->transfers[i]) {
            b->results[i] =
                error_set(&b->errs[i], EIO, "http.failed", "%s: %s", b->transfers[i]->what, curl_multi_strerror(mc));
            (void) curl_multi_remove_handle(b->multi, b->transfers[i]->easy);
            transfer_free(b->transfers[i]);
        } else if (i >= b->next) {
            b->results[i] = error_set(&b->errs[i], EIO, "http.failed", "%s", curl_multi_strerror(mc));
        }
}

int http_run_all(const HttpRequest *requests, size_t n, unsigned parallel, HttpResponse *rets, Error *errs,
                 int *results)
{
    _cleanup_(curl_multi_cleanupp) CURLM *multi = curl_multi_init();
    _cleanup_(freep) Transfer **transfers = calloc(n + 1, sizeof(Transfer *));
    Batch b = { .multi = multi,
                .requests = requests,
                .n = n,
                .parallel = parallel > 0 ? parallel : 1,
                .rets = rets,
                .errs = errs,
                .results = results,
                .transfers = transfers };

    if (!multi || !transfers)
        return -ENOMEM;
    CURLMcode mc = batch_run(&b);
    batch_abandon(&b, mc);
    return 0;
}

int http_run(const HttpRequest *request, HttpResponse *ret, Error *err)
{
    Error own = {};
    int result = -EIO, r = http_run_all(request, 1, 1, ret, &own, &result);

    if (r < 0)
        error_set(&own, -r, "http.failed", "out of memory");
    else
        r = result;
    if (r < 0)
        error_set(err, -r, error_id(&own), "%s", error_message(&own, r));
    error_done(&own);
    return r;
}

static bool list_has(const char *list, const char *word)
{
    size_t len = strlen(word);

    while (*list) {
        size_t n = strcspn(list, ",");

        if (n == len && strncasecmp(list, word, n) == 0)
            return true;
        list += n + (list[n] == ',');
    }
    return false;
}

/* What is wrong with the characters, before anything takes the text apart. */
static const char *bad_characters(const char *text)
{
    if (!*text)
        return "it is empty";
    if (strlen(text) > ENV_VALUE_MAX)
        return "it is too long";
    if (strstr(text, "${"))
        return "it holds a literal \"${\": a variable was not filled in";
    for (const char *c = text; *c; c++) {
        if (*c == ' ' || iscntrl((unsigned char) *c))
            return "it holds white space or a control character";
        if (*c == '\\' || (unsigned char) *c >= 0x7f)
            return "it holds a character that URLs do not have";
    }
    return NULL;
}

static const char *bad_structure(const char *text, const char *schemes)
{
    _cleanup_(curl_url_cleanupp) CURLU *u = curl_url();
    const char *rest = strstr(text, "://");
    char scheme[16] = "", *part = NULL;
    CURLUcode c;

    if (!u)
        return "out of memory";
    if (!rest || rest == text || (size_t) (rest - text) >= sizeof(scheme))
        return "it does not begin with a scheme and \"://\"";
    memcpy(scheme, text, (size_t) (rest - text));
    if (!list_has(schemes, scheme))
        return "its scheme is not one of those allowed";
    if (rest[3] == '/' || rest[3] == ':' || rest[3] == '?' || rest[3] == '#' || !rest[3])
        return "it names no host";
    c = curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME | CURLU_DISALLOW_USER);
    if (c == CURLUE_USER_NOT_ALLOWED || memchr(rest + 3, '@', strcspn(rest + 3, "/?#")))
        return "it holds a user name or password";
    if (c != CURLUE_OK)
        return curl_url_strerror(c);
    if (curl_url_get(u, CURLUPART_HOST, &part, 0) != CURLUE_OK || str_empty(part)) {
        curl_free(part);
        return "it names no host";
    }
    curl_free(part);
    /* a port that is there must be a number from 1 to 65535 */
    size_t authority = strcspn(rest + 3, "/?#");
    if (rest[3 + authority - 1] == ':')
        return "its port is missing";
    if (curl_url_get(u, CURLUPART_PORT, &part, 0) == CURLUE_OK) {
        uint64_t port;
        int r = str_to_u64(part, 1, 65535, &port);

        curl_free(part);
        if (r < 0)
            return "its port is not a number from 1 to 65535";
    }
    return NULL;
}

int url_check(const char *text, const char *schemes, Error *err)
{
    const char *why = bad_characters(text);

    if (why && strstr(text, "${"))
        return error_set(err, EINVAL, "url.bad", "\"%.200s\" is not a usable URL: %s", text, why);
    if (why)
        return error_set(err, EINVAL, "url.bad", "the URL is not usable: %s", why);
    why = bad_structure(text, schemes);
    if (why && strchr(text, '@')) /* may be a password */
        return error_set(err, EINVAL, "url.bad", "the URL is not usable: %s", why);
    if (why)
        return error_set(err, EINVAL, "url.bad", "\"%.200s\" is not a usable URL (%s): %s", text, schemes, why);
    return 0;
}

int url_resolve(const char *base, const char *location, char **ret, Error *err)
{
    _cleanup_(curl_url_cleanupp) CURLU *u = curl_url();
    const char *why = bad_characters(location);
    _cleanup_(freep) char *copy = NULL;
    char *text = NULL;
    CURLUcode c;
    int r;

    if (why)
        return error_set(err, EINVAL, "url.bad", "the URL is not usable: %s", why);
    if (!u || curl_url_set(u, CURLUPART_URL, base, 0) != CURLUE_OK)
        return error_set(err, EINVAL, "url.bad", "there is no URL to begin from");
    c = curl_url_set(u, CURLUPART_URL, location, CURLU_DISALLOW_USER);
    if (c == CURLUE_OK)
        c = curl_url_get(u, CURLUPART_URL, &text, 0);
    if (c != CURLUE_OK)
        return error_set(err, EINVAL, "url.bad", "the URL is not usable: %s", curl_url_strerror(c));
    copy = strdup(text);
    curl_free(text);
    if (!copy)
        return error_set(err, ENOMEM, "url.bad", "out of memory");
    r = url_check(copy, "https,http", err);
    if (r == 0)
        *ret = TAKE_PTR(copy);
    return r;
}

/* "scheme://host:port" in lower case, NULL when it is no such URL. */
static char *url_origin(const char *text)
{
    _cleanup_(curl_url_cleanupp) CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL, *origin = NULL;

    if (u && curl_url_set(u, CURLUPART_URL, text, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
        origin = str_format("%s://%s:%s", scheme, host, port);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    return origin;
}

bool url_same_origin(const char *a, const char *b)
{
    _cleanup_(freep) char *of_a = url_origin(a);
    _cleanup_(freep) char *of_b = url_origin(b);

    return of_a && of_b && strcasecmp(of_a, of_b) == 0;
}

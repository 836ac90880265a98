/* SPDX-License-Identifier: MIT */
/* See api-certificates.h. */
#include "gateway/sessions/api-certificates.h"

#include <errno.h>
#include <string.h>

#include "gateway/sessions/grants.h"
#include "gateway/sessions/certificate-rules.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/ssh-cert.h"

/* What waits for the grant, and then for the signer. */
typedef struct Wanted {
    char *key;
    char *way; /* or NULL */
} Wanted;

static void wanted_free(void *scratch)
{
    Wanted *w = scratch;

    free(w->key);
    free(w->way);
    free(w);
}

static BoxClock clock_of(const CertificatesApi *api, const char *device)
{
    const HealthPart *box = device_health_find(api->health, device, "box");
    usec_t now = realtime_usec();

    if (!box || !box->at)
        return (BoxClock) { .age = USEC_INFINITY };
    return (BoxClock) { .offset = box->clock_offset, .age = now > box->received_at ? now - box->received_at : 0 };
}

static cJSON *make_question(const Request *c, const Grant *g)
{
    const Wanted *w = c->scratch;
    const CertificatesApi *api = c->module;
    const BoxClock clock = clock_of(api, g->device);
    cJSON *question = cJSON_CreateObject();

    if (!question || json_add_string(question, "grant", g->id) < 0 ||
        json_add_string(question, "token", bearer_token(c->exchange)) < 0 ||
        json_add_string(question, "publicKey", w->key) < 0 || json_add_string(question, "way", w->way) < 0 ||
        box_clock_add(&clock, question) < 0)
        return (cJSON_Delete(question), NULL);
    return question;
}

/* What the signer says of itself is not for the asker. */
static void on_signed(Request *c, const void *news)
{
    const cJSON *refusal = cJSON_GetObjectItemCaseSensitive(news, "error");
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(news, "errno");
    _cleanup_(error_done) Error err = {};

    if (!news) {
        signer_link_fail(c);
    } else if (refusal) {
        int r = cJSON_IsNumber(code) && code->valueint > 0 ? -code->valueint : -EIO;
        (void) json_to_error(refusal, -r, &err);
        request_fail(c, r, &err);
    } else {
        cJSON *body = cJSON_Duplicate(news, true);
        cJSON_DeleteItemFromObjectCaseSensitive(body, "id");
        request_answer(c, 200, body);
    }
}

/* The signer looks at the grant for itself, and counts what it signs; here it is found out which box's clock is asked for. */
static void on_grant(Request *c, const StoreRows *rows)
{
    const CertificatesApi *api = c->module;
    _cleanup_(error_done) Error err = {};
    _cleanup_(grant_done) Grant g = {};
    GrantExtra extra = {};
    int r = store_rows_count(rows) > 0 ? grant_row(rows, &g, &extra) : grant_not_found(c->args[0], &err);

    if (r >= 0)
        r = grant_check(&g, request_person(c), NULL, &err);
    cJSON *question = r >= 0 ? make_question(c, &g) : NULL;
    if (r >= 0)
        r = question ? signer_link_ask(api->signer, c, question, &err) : -ENOMEM;
    if (r < 0)
        request_fail(c, r, &err);
    else
        signer_link_wait(c, on_signed);
}

static int read_wanted(const cJSON *body, Wanted *w, Error *err)
{
    const char *key = json_string(body, "publicKey"), *way = json_string(body, "way"), *source;
    SshPublicKey parsed = {};
    int r = ssh_public_key_parse(key ? key : "", &parsed, err);

    if (r >= 0)
        ssh_public_key_done(&parsed);
    if (r >= 0)
        r = certificate_source(way, &source, err);
    if (r < 0)
        return r == -EBADMSG ? -EINVAL : r;
    w->key = strdup(key);
    w->way = way ? strdup(way) : NULL;
    return !w->key || (way && !w->way) ? -ENOMEM : 0;
}

static void issue(Request *c)
{
    _cleanup_(error_done) Error err = {};
    const cJSON *body = request_parse_body(c);

    if (!body)
        return;
    Wanted *w = calloc(1, sizeof(*w));
    c->scratch = w;
    c->scratch_free = wanted_free;
    int r = w ? read_wanted(body, w, &err) : -ENOMEM;
    if (r < 0)
        request_fail(c, r, &err);
    else
        request_query(c, sql_grant_for_session(c->args[0], c->token_hash), on_grant);
}

static void show_public(Request *c, const char *line)
{
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();

    if (!body || json_add_string(body, "publicKey", line) < 0)
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer(c, 200, TAKE_PTR(body));
}

static void on_public(Request *c, const void *news)
{
    const char *line = json_string(news, "publicKey");

    if (line)
        show_public(c, line);
    else
        signer_link_fail(c);
}

static void show_authority(Request *c)
{
    const CertificatesApi *api = c->module;
    const char *line = signer_link_public(api->signer);

    if (line)
        show_public(c, line);
    else
        signer_link_wait(c, on_public);
}

const Route certificate_routes[] = {
    { "POST", "/v1/grants/*/certificate", ACCESS_SUPPORT, issue, "an SSH user certificate" },
    { "GET", "/v1/support-ca", ACCESS_VIEWER, show_authority, "the key that boxes trust for support staff" },
    {},
};

/* SPDX-License-Identifier: MIT */
#include "env/claim-document.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "env/env-file.h"
#include "env/env-rules.h"
#include "lib/base/clock.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/data/json.h"

/* 2100: nobody means a later date, and sums stay far from overflow. */
#define EXPIRES_MAX UINT64_C(4102444800)

typedef struct Member {
    const char *name;
    const char *rule;   /* the key of mgmt-agent.env that it becomes */
    const char *scheme; /* its only one; NULL: no URL */
} Member;

static const Member device_member = { "deviceId", "DEVICE_ID", NULL };
static const Member cloud_member = { "cloud", "CLOUD_BASE_URL", "https://" };
static const Member gateway_member = { "gw", "MGMT_GATEWAY_URL", "wss://" };
static const Member boot_member = { "boot", "BOOTSTRAP", NULL };
static const Member key_member = { "kfp", "CLOUD_FINGERPRINT", NULL };

void claim_document_done(ClaimDocument *c)
{
    free(c->device_id);
    free(c->cloud_url);
    free(c->gateway_url);
    secret_free(c->bootstrap);
    secret_free(c->enrolment);
    free(c->fingerprint);
    free(c->community);
    *c = (ClaimDocument) {};
}

static int fail(Error *err, const char *id, const char *member, const char *sentence)
{
    return error_set_at(err, EINVAL, id, NULL, 0, member, "\"%s\" %s", member, sentence);
}

/* The host of SCHEME://HOST[:PORT][/PATH], whose form was checked. */
static char *host_of(const Member *m, const char *url)
{
    const char *host = url + strlen(m->scheme);

    return strndup(host, *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/"));
}

static bool host_fits(const char *host, const char *suffix)
{
    size_t len = strlen(host), n = strlen(suffix);

    return len >= n && strcasecmp(host + len - n, suffix) == 0 && (len == n || host[len - n - 1] == '.');
}

static int check_host(const Member *m, const char *url, const char *suffix, Error *err)
{
    if (str_empty(suffix))
        return 0;
    _cleanup_(freep) char *host = host_of(m, url);
    if (!host)
        return error_from_errno(err, -ENOMEM, "cannot check a claim");
    if (host_fits(host, suffix))
        return 0;
    return error_set_at(err, EINVAL, "claim.host", NULL, 0, m->name,
                        "\"%s\" leads to %s, and this box takes only addresses of %s (CLAIM_HOST_SUFFIX in "
                        "mgmt-agent.env): is this the right code?",
                        m->name, host, suffix);
}

static int take(const cJSON *o, const Member *m, const char *suffix, char **ret, Error *err)
{
    const EnvRule *rule = env_rule_find(m->rule);
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, m->name);
    const char *value = json_string(o, m->name);
    _cleanup_(freep) char *expects = NULL;

    if (!item)
        return fail(err, "claim.member", m->name, "is missing: the code is not whole");
    if (!value)
        return fail(err, "claim.member", m->name, "must be a text");
    if (strstr(value, "${"))
        return fail(err, "claim.unexpanded", m->name,
                    "holds \"${\": whoever made the code has not filled in a variable; ask for another code");
    if (m->scheme && !str_starts(value, m->scheme))
        return error_set_at(err, EINVAL, "claim.member", NULL, 0, m->name, "\"%s\" must begin with %s", m->name,
                            m->scheme);
    if (rule->check(value) < 0) {
        expects = str_format("must be %s", rule->expects);
        return fail(err, "claim.member", m->name, expects ? expects : "has a wrong form");
    }
    if (env_value_fault(value)) {
        expects = str_format("cannot stand in mgmt-agent.env: %s", env_value_fault(value));
        return fail(err, "claim.member", m->name, expects ? expects : "cannot stand in mgmt-agent.env");
    }
    int r = m->scheme ? check_host(m, value, suffix, err) : 0;
    if (r < 0)
        return r;
    *ret = strdup(value);
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "cannot keep a claim");
}

static int take_expiry(const cJSON *o, uint64_t now, ClaimDocument *c, Error *err)
{
    char at[TIMESTAMP_SIZE], here[TIMESTAMP_SIZE];

    if (json_u64(o, "exp", &c->expires) < 0 || c->expires == 0 || c->expires > EXPIRES_MAX)
        return fail(err, "claim.member", "exp", "must be there and be a time in seconds since 1970");
    if (now == 0 || now < c->expires)
        return 0;
    return error_set_at(
        err, ETIME, "claim.expired", NULL, 0, "exp",
        "the code was good until %s, and this box's clock says %s: ask for another code, or set the clock",
        timestamp_format(c->expires * USEC_PER_SEC, at), timestamp_format(now * USEC_PER_SEC, here));
}

static int take_community(const cJSON *o, ClaimDocument *c, Error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, "com");
    const char *name = json_string(o, "com");

    if (!item)
        return 0;
    if (!name || strlen(name) > CLAIM_COMMUNITY_MAX || !text_is_plain(name))
        return fail(err, "claim.member", "com", "must be a name of at most 100 bytes without control characters");
    if (strstr(name, "${"))
        return fail(err, "claim.unexpanded", "com",
                    "holds \"${\": whoever made the code has not filled in a variable; ask for another code");
    c->community = strdup(name);
    return c->community ? 0 : error_from_errno(err, -ENOMEM, "cannot keep a claim");
}

/* Who comes by an enrolment token may leave its name to the box. */
static int take_token(const cJSON *o, ClaimDocument *c, Error *err)
{
    _cleanup_(secret_freep) char *token = NULL;
    int r = take(o, &boot_member, NULL, &token, err);

    if (r < 0)
        return r;
    if (str_starts(token, CLAIM_ENROLMENT_PREFIX))
        c->enrolment = TAKE_PTR(token);
    else
        c->bootstrap = TAKE_PTR(token);
    if (c->enrolment && !cJSON_GetObjectItemCaseSensitive(o, device_member.name))
        return 0;
    return take(o, &device_member, NULL, &c->device_id, err);
}

static int take_fingerprint(const cJSON *o, ClaimDocument *c, Error *err)
{
    return cJSON_GetObjectItemCaseSensitive(o, key_member.name) ? take(o, &key_member, NULL, &c->fingerprint, err) : 0;
}

/* Whatever has another version is not judged by the rules of this one. */
static int check_kind(const cJSON *o, Error *err)
{
    uint64_t version = 0;

    if (!str_equal(json_string(o, "typ"), CLAIM_DOCUMENT_TYPE))
        return fail(err, "claim.member", "typ",
                    "is not \"" CLAIM_DOCUMENT_TYPE "\": this is not the code that pairs a box");
    if (json_u64(o, "v", &version) < 0 || version == 0)
        return fail(err, "claim.member", "v", "must be there and be a number");
    if (version != CLAIM_DOCUMENT_VERSION)
        return fail(err, "claim.version", "v",
                    "is not 1: this code is for a newer box, whose software has to be newer");
    return 0;
}

int claim_document_parse(const char *text, size_t len, uint64_t now, const char *host_suffix, ClaimDocument *ret,
                         Error *err)
{
    _cleanup_(claim_document_done) ClaimDocument c = {};
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(error_done) Error why = {};

    if (len > CLAIM_DOCUMENT_MAX)
        return error_set(err, EMSGSIZE, "claim.too-large", "the claim has %zu bytes, and at most %d are accepted", len,
                         CLAIM_DOCUMENT_MAX);
    int r = json_parse_object(text, len, &o, &why);
    if (r < 0)
        return error_set(err, EINVAL, "claim.not-json",
                         "the claim cannot be read (%s): paste the whole text of the code", error_message(&why, r));
    r = check_kind(o, err);
    if (r >= 0)
        r = take(o, &cloud_member, host_suffix, &c.cloud_url, err);
    if (r >= 0)
        r = take(o, &gateway_member, host_suffix, &c.gateway_url, err);
    if (r >= 0)
        r = take_token(o, &c, err);
    if (r >= 0)
        r = take_fingerprint(o, &c, err);
    if (r >= 0)
        r = take_expiry(o, now, &c, err);
    if (r >= 0)
        r = take_community(o, &c, err);
    if (r < 0)
        return r;
    *ret = c;
    c = (ClaimDocument) {};
    return 0;
}

/* https://HOST/PATH → wss://HOST/PATH/mgmt */
static char *gateway_of(const char *cloud)
{
    const char *rest = strstr(cloud, "://");
    size_t len = rest ? strlen(rest) : 0;

    while (len > 3 && rest[len - 1] == '/')
        len--;
    return rest ? str_format("%s%.*s/mgmt", str_starts(cloud, "https:") ? "wss" : "ws", (int) len, rest) : NULL;
}

char *claim_document_print(const char *cloud_url, const char *device_id, const char *bootstrap, uint64_t expires,
                           const char *community)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(freep) char *gateway = gateway_of(cloud_url);

    if (!o || !gateway || json_add_int(o, "v", CLAIM_DOCUMENT_VERSION) < 0 ||
        json_add_string(o, "typ", CLAIM_DOCUMENT_TYPE) < 0 || json_add_string(o, "deviceId", device_id) < 0 ||
        json_add_string(o, "cloud", cloud_url) < 0 || json_add_string(o, "gw", gateway) < 0 ||
        json_add_string(o, "boot", bootstrap) < 0 ||
        json_add_item(o, "exp", cJSON_CreateNumber((double) expires)) < 0 || json_add_string(o, "com", community) < 0)
        return NULL;
    return json_print(o);
}

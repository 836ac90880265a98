/* SPDX-License-Identifier: MIT */
#include "lib/data/order.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/bundle.h"
#include "lib/data/json-fields.h"

/* An operator's clock may be ahead of the box's by this much. */
#define CLOCK_TOLERANCE USEC_PER_HOUR

static const struct {
    const char *name, *message, *domain;
} kinds[_ORDER_KIND_MAX] = {
    [ORDER_KIND_DEPLOYMENT] = { "deployment", "compose.snapshot", "secbox-order@deployment.v1" },
    [ORDER_KIND_IMAGE_UPDATE] = { "image-update", "image.update", "secbox-order@image-update.v1" },
    [ORDER_KIND_ROLLBACK] = { "rollback", "compose.rollback", "secbox-order@rollback.v1" },
    [ORDER_KIND_AGENT_PACKAGE] = { "agent-package", "agent.update", "secbox-order@agent-package.v1" },
    [ORDER_KIND_GRANT] = { "grant", "recovery.open", "secbox-order@grant.v1" },
    [ORDER_KIND_ACCOUNT_GRANT] = { "account-grant", NULL, "secbox-order@account-grant.v1" },
    [ORDER_KIND_RELEASE] = { "release", "release.update", "secbox-order@release.v1" },
};

static const JsonField fields[] = {
    { JSON_FIELD(OrderStatement, kind, "kind") },
    { JSON_FIELD(OrderStatement, devices, "devices") },
    { JSON_FIELD(OrderStatement, serial, "serial") },
    { JSON_TIME_FIELD(OrderStatement, issued, "issuedAt") },
    { JSON_TIME_FIELD(OrderStatement, expires, "expiresAt") },
    { JSON_FIELD(OrderStatement, reason, "reason") },
    { JSON_FIELD(OrderStatement, sha256, "sha256") },
    { JSON_FIELD(OrderStatement, image, "image") },
    { JSON_FIELD(OrderStatement, digest, "digest") },
    { JSON_FIELD(OrderStatement, service, "service") },
    { JSON_FIELD(OrderStatement, to, "to") },
    { JSON_FIELD(OrderStatement, project, "project") },
    { JSON_FIELD(OrderStatement, account, "account") },
    { JSON_FIELD(OrderStatement, confirm_seconds, "confirmDeadlineSeconds") },
    { JSON_REST_FIELD(OrderStatement, rest) },
    {},
};
static const JsonType statement_type = JSON_TYPE(OrderStatement, fields);

const char *order_kind_to_string(OrderKind kind)
{
    return kinds[kind].name;
}

const char *order_domain(OrderKind kind)
{
    return kinds[kind].domain;
}

OrderKind order_kind_of_message(const char *type)
{
    OrderKind kind = 0;

    while (kind < _ORDER_KIND_MAX && (!kinds[kind].message || !str_equal(kinds[kind].message, type)))
        kind++;
    return kind;
}

static int check_form(const OrderStatement *s, Error *err)
{
    if (s->rest)
        return error_set(err, EBADMSG, "order.malformed",
                         "the order that was signed has the member \"%.40s\", which this version does not know: update "
                         "the box's agent first",
                         s->rest->child && s->rest->child->string ? s->rest->child->string : "");
    if (!s->kind || strv_length(s->devices) == 0 || s->serial == 0 || s->issued == 0 || s->expires <= s->issued)
        return error_set(err, EBADMSG, "order.malformed",
                         "the order that was signed lacks kind, devices, serial, issuedAt or expiresAt");
    if (str_equal(s->kind, kinds[ORDER_KIND_ACCOUNT_GRANT].name) != (s->account != NULL))
        return error_set(err, EBADMSG, "order.malformed", "an account belongs into a grant for one, and nowhere else");
    if (s->expires - s->issued > ORDER_LIFETIME_MAX)
        return error_set(err, EBADMSG, "order.malformed",
                         "the order that was signed would be good for more than a year");
    /* whoever could count far ahead could make a box refuse all orders to come */
    if (s->serial > s->issued + USEC_PER_SEC)
        return error_set(err, EBADMSG, "order.malformed",
                         "the serial of the order that was signed is above the time at which it was signed");
    return 0;
}

int order_statement_read(const char *text, size_t len, OrderStatement *ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    int r = json_parse_object(text, len, &o, err);

    *ret = (OrderStatement) {};
    if (r < 0)
        return r == -ENOMEM ? r : error_prefix(err, -EBADMSG, "the order that was signed cannot be read");
    r = json_read(o, &statement_type, ret);
    if (r == -EINVAL)
        r = error_set(err, EBADMSG, "order.malformed", "a member of the order that was signed is of the wrong kind");
    else if (r < 0)
        error_from_errno(err, r, "cannot read an order");
    else
        r = check_form(ret, err);
    if (r < 0)
        order_statement_done(ret);
    return r;
}

char *order_statement_print(const OrderStatement *s)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_write(&statement_type, s);

    return o ? json_print(o) : NULL;
}

void order_statement_done(OrderStatement *s)
{
    json_done(&statement_type, s);
}

static bool text_is(const cJSON *message, const char *key, const char *stated)
{
    return str_equal(json_string(message, key), stated);
}

static bool deadline_is(const cJSON *message, unsigned stated)
{
    uint64_t seconds = 0;

    return stated == 0 || (json_u64(message, "confirmDeadlineSeconds", &seconds) == 0 && seconds == stated);
}

static int compose_is(const OrderStatement *s, OrderKind kind, const cJSON *message)
{
    const char *compose = json_string(message, "compose");
    /* the files that come with it are signed with it */
    const char *bundle = json_string(cJSON_GetObjectItemCaseSensitive(message, "bundle"), "digest");
    char hex[SHA256_HEX_SIZE];

    if (kind == ORDER_KIND_RELEASE)
        return s->sha256 && !compose && text_is(message, "sha256", s->sha256);
    if (kind != ORDER_KIND_DEPLOYMENT)
        return !s->sha256 && !compose;
    if (!compose)
        return 0;
    int r = bundle_snapshot_digest(compose, bundle, hex);
    return r < 0 ? r : str_equal(s->sha256, hex);
}

/* A gateway of before does not say whom its certificate is for. */
static bool account_is(const cJSON *message, const char *stated)
{
    return !stated || !cJSON_HasObjectItem(message, "account") || text_is(message, "account", stated);
}

static int check_content(const OrderStatement *s, OrderKind kind, const cJSON *message, Error *err)
{
    const char *differs = NULL;
    int compose = compose_is(s, kind, message);

    if (compose < 0)
        return error_from_errno(err, compose, "cannot check an order");
    if (!compose)
        differs = kind == ORDER_KIND_RELEASE ? "its archive" : "its compose file";
    else if (!text_is(message, "image", s->image) || !text_is(message, "digest", s->digest) ||
             !text_is(message, "service", s->service))
        differs = "its image";
    else if (!text_is(message, "project", s->project))
        differs = "its project";
    else if (!account_is(message, s->account))
        differs = "its account";
    else if (!text_is(message, "to", s->to))
        differs = "its version";
    else if (!deadline_is(message, s->confirm_seconds))
        differs = "its deadline for the confirmation";
    return !differs ? 0
                    : error_set(err, EACCES, "order.other-content",
                                "%s is not what was signed: somebody between the operator and this box has changed it",
                                differs);
}

/* A clock that is not known to be right can be anything: what bounds an order then is that of the last one that was taken. */
static int check_time(const OrderStatement *s, const OrderView *view, Error *err)
{
    usec_t now = view->clock_is_known && view->now > view->last_issued ? view->now : view->last_issued;
    char at[TIMESTAMP_SIZE], here[TIMESTAMP_SIZE];

    if (now > s->expires)
        return error_set(err, EACCES, "order.expired",
                         "what was signed was good until %s, and here it is %s: sign it anew",
                         timestamp_format(s->expires, at), timestamp_format(now, here));
    if (view->clock_is_known && s->issued > now + CLOCK_TOLERANCE)
        return error_set(
            err, EACCES, "order.not-yet",
            "it was signed at %s, and here it is %s: set the clock of the operator's machine, and sign it anew",
            timestamp_format(s->issued, at), timestamp_format(now, here));
    return 0;
}

int order_check(const OrderStatement *s, OrderKind kind, const cJSON *message, const OrderView *view, Error *err)
{
    if (!str_equal(s->kind, kinds[kind].name))
        return error_set(err, EACCES, "order.other-kind", "what was signed is of the kind '%.40s', and this is of '%s'",
                         s->kind, kinds[kind].name);
    if (!strv_contains(s->devices, ORDER_ANY_BOX) && (!view->device || !strv_contains(s->devices, view->device)))
        return error_set(err, EACCES, "order.other-box", "it was signed for '%.64s'%s, and this is '%s'", s->devices[0],
                         strv_length(s->devices) > 1 ? " and others" : "", view->device ? view->device : "");
    int r = check_content(s, kind, message, err);
    return r < 0 ? r : check_time(s, view, err);
}

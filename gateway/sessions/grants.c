/* SPDX-License-Identifier: MIT */
/* Reading and judging grants. */
#include "gateway/sessions/grants.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/device-registry.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/data/json.h"

/* One line that says something: it is shown in lists, logs and on the box. */
static int check_reason(const char *reason, Error *err)
{
    bool blank = true;
    for (const char *c = reason ? reason : ""; *c; c++)
        blank = blank && *c == ' ';
    if (blank)
        return error_set(err, EINVAL, "grant.no-reason",
                         "say for what reason: it is kept with what is done under the grant");
    if (!text_is_plain(reason))
        return error_set(err, EINVAL, "grant.bad-reason",
                         "the reason must be one line without control characters and invisible ones");
    if (strlen(reason) > GRANT_REASON_MAX)
        return error_set(err, EINVAL, "grant.bad-reason", "the reason has more than %d bytes", GRANT_REASON_MAX);
    return 0;
}

/* As it stands in a certificate behind the box's id, and on the command line of ssh. */
int grant_account_read(const cJSON *body, const char **ret, Error *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", more[] = ".-";
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, "account");
    const char *account = item ? cJSON_GetStringValue(item) : GRANT_ACCOUNT_DEFAULT;
    size_t n = account ? strspn(account, letters) : 0;

    while (n > 0 && account[n] && (strchr(letters, account[n]) || strchr(more, account[n])))
        n++;
    if (n == 0 || n > GRANT_ACCOUNT_MAX || account[n])
        return error_set_at(err, EINVAL, "grant.bad-account", NULL, 0, "account",
                            "\"account\" must be the name of an account on the box: 1 to %d letters, digits and . _ -",
                            GRANT_ACCOUNT_MAX);
    *ret = account;
    return 0;
}

static int read_seconds(const cJSON *body, const char *key, unsigned fallback, unsigned *ret, Error *err)
{
    uint64_t seconds = fallback;
    int r = json_u64(body, key, &seconds);
    if (r == -EINVAL || seconds < 1 || seconds > GRANT_SECONDS_MAX)
        return error_set_at(err, EINVAL, "grant.bad-duration", NULL, 0, key,
                            "\"%s\" must be a number of seconds from 1 to %d", key, GRANT_SECONDS_MAX);
    *ret = (unsigned) seconds;
    return 0;
}

static int read_flag(const cJSON *body, const char *key, bool *ret, Error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, key);
    if (item && !cJSON_IsBool(item))
        return error_set_at(err, EINVAL, "grant.bad-flag", NULL, 0, key, "\"%s\" must be true or false", key);
    *ret = cJSON_IsTrue(item);
    return 0;
}

int grant_request_read(const cJSON *body, GrantRequest *ret, Error *err)
{
    GrantRequest q = { .device = json_string(body, "device"), .reason = json_string(body, "reason") };
    if (!device_id_is_valid(q.device))
        return error_set(err, EINVAL, "grant.no-device", "\"device\" must name the box");
    int r = check_reason(q.reason, err);
    if (r >= 0)
        r = grant_account_read(body, &q.account, err);
    if (r >= 0)
        r = read_seconds(body, "seconds", GRANT_SECONDS_DEFAULT, &q.seconds, err);
    if (r >= 0)
        r = read_seconds(body, "maxSeconds", GRANT_SESSION_SECONDS_DEFAULT, &q.max_seconds, err);
    if (r >= 0)
        r = read_seconds(body, "idleSeconds", GRANT_IDLE_SECONDS_DEFAULT, &q.idle_seconds, err);
    if (r >= 0)
        r = read_flag(body, "forwarding", &q.forwarding, err);
    if (r >= 0)
        r = read_flag(body, "breakGlass", &q.break_glass, err);
    if (r >= 0)
        *ret = q;
    return r;
}

int grant_check(const Grant *g, const char *person, const char *device, Error *err)
{
    if (!str_equal(g->person, person))
        return error_set(err, EACCES, "grant.not-yours", "grant %s is %s's: ask for one of your own", g->id, g->person);
    if (device && !str_equal(g->device, device))
        return error_set(err, EACCES, "grant.other-device", "grant %s is for %s, not for %s", g->id, g->device, device);
    if (g->revoked)
        return error_set(err, EACCES, "grant.revoked", "grant %s was revoked: ask for a new one", g->id);
    if (g->seconds_left <= 0)
        return error_set(err, EACCES, "grant.expired", "grant %s has expired: ask for a new one", g->id);
    return 0;
}

int grant_account_check(const char *accounts, const char *account, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *list = accounts ? cJSON_Parse(accounts) : NULL;
    const cJSON *item;

    if (!accounts)
        return 0;
    cJSON_ArrayForEach(item, list)
        if (str_equal(cJSON_GetStringValue(item), account))
            return 0;
    return error_set(err, EACCES, "grant.other-account",
                     "your token is not for the account %s: ask for a grant for one of %s (--user)", account, accounts);
}

int grant_not_found(const char *id, Error *err)
{
    return error_set(err, ENOENT, "grant.not-found", "there is no grant \"%s\" here", id);
}

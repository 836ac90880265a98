/* SPDX-License-Identifier: MIT */
/* grants, sessions, support-ca: who may log in to which box, and who did. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/fleet/show.h"
#include "gateway/fleet/sign.h"
#include "gateway/fleet/verb-grants.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"

#define LIMIT_DEFAULT 20
#define SESSIONS_MAX 1000
#define SIGNED_LIFETIME USEC_PER_HOUR /* as the grant, unless --for says otherwise */

static int add_seconds(cJSON *request, const char *key, const char *text, const char *option, Error *err)
{
    int seconds = 0;

    int r = fleet_duration(text, option, GRANT_SECONDS_MAX, &seconds, err);
    if (r < 0 || seconds == 0)
        return r;
    return json_add_int(request, key, seconds);
}

/* Whether the box has said that its grants may be signed with their account. */
static bool takes_accounts(Fleet *fleet, const char *device)
{
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(freep) char *path = fleet_device_path(device, "");
    _cleanup_(error_done) Error ignored = {};

    if (!path || api_call(&fleet->api, "GET", path, NULL, CALL_TIMEOUT, &reply, &ignored) < 0)
        return false;
    const cJSON *box = cJSON_GetObjectItemCaseSensitive(reply.body, "device"), *accepted;
    cJSON_ArrayForEach(accepted,
                       cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(box, "recovery"), "accepts"))
        if (str_equal(cJSON_GetStringValue(accepted), ACCEPTS_ACCOUNT_GRANTS))
            return true;
    return false;
}

/* For boxes on which signers are pinned: whoever holds the gateway cannot break their glass. */
static int sign(Fleet *fleet, const char *device, cJSON *request, Error *err)
{
    char *devices[] = { (char *) (uintptr_t) device, NULL };
    OrderStatement what = { .devices = devices };
    OrderKind kind = ORDER_KIND_GRANT;

    if (!fleet_signs(fleet))
        return 0;
    if (!fleet->break_glass)
        return error_set(err, EINVAL, "usage", "--key signs a grant with --break-glass; others need no signature");
    if (takes_accounts(fleet, device)) {
        kind = ORDER_KIND_ACCOUNT_GRANT;
        what.account = (char *) (uintptr_t) fleet->login;
    } else if (!str_equal(fleet->login, "root")) {
        fprintf(stderr,
                "%s: signing without the account %s, since %s has not said that its recovery-agent knows of that: an "
                "older one opens for any account, one of this version for root alone\n",
                PROGRAM, fleet->login, device);
    }
    return fleet_sign(fleet, kind, &what, SIGNED_LIFETIME, request, err);
}

static int make_request(Fleet *fleet, const char *device, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();

    if (str_empty(fleet->reason))
        return error_set(err, EINVAL, "usage",
                         "say why with --reason TEXT: it is kept with what is done under the grant");
    int r = request ? json_add_string(request, "device", device) : -ENOMEM;
    if (r >= 0)
        r = json_add_string(request, "account", fleet->login);
    if (r >= 0)
        r = json_add_string(request, "reason", fleet->reason);
    if (r >= 0)
        r = add_seconds(request, "seconds", fleet->for_time, "for", err);
    if (r >= 0)
        r = add_seconds(request, "maxSeconds", fleet->max, "max", err);
    if (r >= 0)
        r = add_seconds(request, "idleSeconds", fleet->idle, "idle", err);
    if (r >= 0)
        r = json_add_bool(request, "forwarding", fleet->forwarding);
    if (r >= 0)
        r = json_add_bool(request, "breakGlass", fleet->break_glass);
    if (r >= 0)
        r = sign(fleet, device, request, err);
    if (r < 0)
        return error_from_errno(err, r, "make a request");
    *ret = TAKE_PTR(request);
    return 0;
}

int fleet_grant_make(Fleet *fleet, const char *device, ApiReply *reply, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *request = NULL;

    int r = make_request(fleet, device, &request, err);
    return r < 0 ? r : api_call(&fleet->api, "POST", "/v1/grants", request, CALL_TIMEOUT, reply, err);
}

static int no_grant(const Fleet *fleet, const char *device, Error *err)
{
    _cleanup_(freep) char *printable = text_printable(device),
                          *user = str_equal(fleet->login, "root") ? strdup("") : str_format(" --user %s", fleet->login);
    const char *as = user ? user : "", *name = printable ? printable : "it",
               *flags = fleet->break_glass && fleet->forwarding ? " --break-glass --forwarding"
                        : fleet->break_glass                    ? " --break-glass"
                        : fleet->forwarding                     ? " --forwarding"
                                                                : "";

    return error_set(
        err, ENOENT, "fleet.no-grant",
        "you have no grant%s%s for %s%s%s: type `%s ssh %s%s%s --reason \"WHY\"`, or `%s grants add %s%s%s --reason "
        "\"WHY\"`",
        *flags ? " with" : "", flags, name, *as ? " as " : "", *as ? fleet->login : "", PROGRAM, name, flags, as,
        PROGRAM, name, flags, as);
}

/* Whether an open grant is as the command line asks. Whoever gives a reason wants that one kept, and no more rights than are asked
 * for; whoever gives none takes what is there. */
static bool is_as_asked(const Fleet *fleet, const cJSON *grant)
{
    bool break_glass = json_bool(grant, "breakGlass", false), forwarding = json_bool(grant, "forwarding", false);

    const char *account = json_string(grant, "account"); /* a gateway of an earlier time tells none */

    if ((fleet_signs(fleet) && !json_bool(grant, "signed", false)) || (account && !str_equal(account, fleet->login)))
        return false;
    if (str_empty(fleet->reason))
        return break_glass >= fleet->break_glass && forwarding >= fleet->forwarding;
    return break_glass == fleet->break_glass && forwarding == fleet->forwarding && !fleet->for_time && !fleet->max &&
           !fleet->idle && str_equal(json_string(grant, "reason"), fleet->reason);
}

/* Of several the one with the least rights: nobody breaks glass who has another way in. The recovery way alone is open to
 * nobody else while the box is well. */
static const char *pick_grant(const Fleet *fleet, const cJSON *grants)
{
    const cJSON *grant, *best = NULL;
    const int glass = str_equal(fleet->way, "recovery") ? -2 : 2;
    int least = 0;

    cJSON_ArrayForEach(grant, grants) {
        int rights = glass * json_bool(grant, "breakGlass", false) + json_bool(grant, "forwarding", false);

        if (is_as_asked(fleet, grant) && (!best || rights < least)) {
            best = grant;
            least = rights;
        }
    }
    return best ? json_string(best, "id") : NULL;
}

int fleet_grant_find(Fleet *fleet, const char *device, char **ret, ApiReply *reply, Error *err)
{
    _cleanup_(freep) char *encoded = api_encode(device), *path = NULL;
    const char *id = fleet->grant;

    path = encoded ? str_format("/v1/grants?device=%s&open=1&mine=1", encoded) : NULL;
    if (!id && path) {
        int r = api_call(&fleet->api, "GET", path, NULL, CALL_TIMEOUT, reply, err);
        if (r < 0)
            return r;
        id = pick_grant(fleet, cJSON_GetObjectItemCaseSensitive(reply->body, "grants"));
        if (!id)
            return no_grant(fleet, device, err);
    }
    *ret = id ? strdup(id) : NULL;
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "look for a grant");
}

int fleet_int(const cJSON *object, const char *key)
{
    uint64_t n = 0;
    return json_u64(object, key, &n) >= 0 && n <= INT32_MAX ? (int) n : 0;
}

static void grant_lines(FILE *out, const cJSON *grant)
{
    fleet_line(out, "grant", report_member(grant, "id"));
    fleet_line(out, "state", report_member(grant, "state"));
    fleet_line(out, "box", report_member(grant, "device"));
    fleet_line(out, "person", report_member(grant, "person"));
    if (json_string(grant, "account"))
        fleet_line(out, "account", report_member(grant, "account"));
    fleet_line(out, "reason", report_member(grant, "reason"));
    fleet_line(out, "created", report_member(grant, "createdAt"));
    fleet_line(out, "expires", report_member(grant, "expiresAt"));
    fleet_line(out, "longest session", str_format("%d s", fleet_int(grant, "maxSeconds")));
    fleet_line(out, "idle timeout", str_format("%d s", fleet_int(grant, "idleSeconds")));
    fleet_line(out, "forwarding", str_format(json_bool(grant, "forwarding", false) ? "yes" : "no"));
    fleet_line(out, "break glass", str_format(json_bool(grant, "breakGlass", false) ? "yes" : "no"));
    if (json_bool(grant, "signed", false))
        fleet_line(out, "signed", str_format("yes"));
    if (json_string(grant, "revokedAt")) {
        fleet_line(out, "revoked", report_member(grant, "revokedAt"));
        fleet_line(out, "revoked by", report_member(grant, "revokedBy"));
    }
}

static const FleetView grant_view = { .member = "grant", .lines = grant_lines };

int verb_grants_add(int argc, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};

    (void) argc;
    int r = fleet_begin(fleet, &err);
    if (r >= 0)
        r = fleet_grant_make(fleet, argv[0], &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    _cleanup_(freep) char *id = text_printable(fleet_grant_id(&reply)), *device = text_printable(argv[0]);
    if (!fleet->json && id && device)
        fprintf(stderr, "log in with `%s ssh %s`; end it with `%s grants revoke %s`\n", PROGRAM, device, PROGRAM, id);
    return fleet_show_body(fleet, reply.body, &grant_view);
}

const char *fleet_grant_id(const ApiReply *reply)
{
    const char *id = json_string(cJSON_GetObjectItemCaseSensitive(reply->body, "grant"), "id");
    return id ? id : "";
}

static int grant_row(Table *table, const cJSON *grant)
{
    return table_row(table, json_string(grant, "id"), json_string(grant, "state"), json_string(grant, "device"),
                     json_string(grant, "person"), json_string(grant, "expiresAt"),
                     json_bool(grant, "forwarding", false) ? "yes" : "no",
                     json_bool(grant, "breakGlass", false) ? "yes" : "no", json_string(grant, "reason"));
}

int verb_grants_list(int argc _unused_, char **argv _unused_, void *userdata)
{
    static const char *const headers[] = { "GRANT",      "STATE",       "BOX",    "PERSON", "EXPIRES",
                                           "FORWARDING", "BREAK GLASS", "REASON", NULL };
    static const FleetList list = { .headers = headers, .row = grant_row, .none = "no grants yet" };
    static const FleetView view = { .member = "grants", .list = &list };

    return fleet_show(userdata, "GET", strdup("/v1/grants"), NULL, &view);
}

static int one_grant(Fleet *fleet, const char *method, const char *id, const char *suffix)
{
    _cleanup_(freep) char *encoded = api_encode(id);

    return fleet_show(fleet, method, encoded ? str_format("/v1/grants/%s%s", encoded, suffix) : NULL, NULL,
                      &grant_view);
}

int verb_grants_show(int argc, char **argv, void *userdata)
{
    (void) argc;
    return one_grant(userdata, "GET", argv[0], "");
}

int verb_grants_revoke(int argc, char **argv, void *userdata)
{
    (void) argc;
    return one_grant(userdata, "POST", argv[0], "/revoke");
}

static int session_row(Table *table, const cJSON *session)
{
    const char *closed = json_string(session, "closedAt"), *why = json_string(session, "endReason");

    return table_row(table, json_string(session, "openedAt"), closed ? closed : "still open",
                     json_string(session, "device"), json_string(session, "person"), json_string(session, "way"),
                     json_string(session, "bytesToBox"), json_string(session, "bytesFromBox"), why,
                     json_string(session, "grant"), json_string(session, "reason"));
}

int verb_sessions(int argc, char **argv, void *userdata)
{
    static const char *const headers[] = { "FROM",     "TO",       "BOX",   "PERSON", "WAY", "TO BOX",
                                           "FROM BOX", "ENDED BY", "GRANT", "REASON", NULL };
    static const FleetList list = { .headers = headers, .row = session_row, .none = "nobody was logged in yet" };
    static const FleetView view = { .member = "sessions", .list = &list };
    Fleet *fleet = userdata;
    _cleanup_(freep) char *device = api_encode(argc > 0 ? argv[0] : "");
    _cleanup_(error_done) Error err = {};
    uint64_t limit = 0;

    int r = fleet_number(fleet->limit, "limit", 1, SESSIONS_MAX, LIMIT_DEFAULT, &limit, &err);
    if (r < 0)
        return fleet_fail(fleet, NULL, &err, r);
    return fleet_show(
        fleet, "GET",
        device ? str_format("/v1/sessions?limit=%u%s%s", (unsigned) limit, argc > 0 ? "&device=" : "", device) : NULL,
        NULL, &view);
}

static char *ca_text(const cJSON *body)
{
    _cleanup_(freep) char *line = report_member(body, "publicKey");
    return line ? str_format("%s\n", line) : NULL;
}

int verb_support_ca(int argc _unused_, char **argv _unused_, void *userdata)
{
    static const FleetView view = { .text = ca_text };

    return fleet_show(userdata, "GET", strdup("/v1/support-ca"), NULL, &view);
}

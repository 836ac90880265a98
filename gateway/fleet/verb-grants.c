/* SPDX-License-Identifier: MIT */
/* grants, sessions, support-ca: who may log in to which box, and who did. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/fleet/verb-grants.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/cli/table.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"

#define CALL_TIMEOUT (30 * USEC_PER_SEC)
#define LIMIT_DEFAULT 20
#define SESSIONS_MAX 1000

static int add_seconds(cJSON *request, const char *key, const char *text, const char *option, Error *err)
{
    int seconds = 0;

    int r = fleet_duration(text, option, GRANT_SECONDS_MAX, &seconds, err);
    if (r < 0 || seconds == 0)
        return r;
    return json_add_int(request, key, seconds);
}

static int make_request(const Fleet *fleet, const char *device, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();

    if (str_empty(fleet->reason))
        return error_set(err, EINVAL, "usage",
                         "say why with --reason TEXT: it is kept with what is done under the grant");
    int r = request ? json_add_string(request, "device", device) : -ENOMEM;
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

static int no_grant(const char *device, Error *err)
{
    _cleanup_(freep) char *name = text_printable(device);

    return error_set(
        err, ENOENT, "fleet.no-grant",
        "you have no grant for %s: type `%s ssh %s --reason \"WHY\"`, or `%s grants add %s --reason \"WHY\"`",
        name ? name : "it", PROGRAM, name ? name : "it", PROGRAM, name ? name : "it");
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
        id = json_string(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(reply->body, "grants"), 0), "id");
        if (!id)
            return no_grant(device, err);
    }
    *ret = id ? strdup(id) : NULL;
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "look for a grant");
}

static void show_line(FILE *out, const char *label, char *value)
{
    fprintf(out, "%-16s%s\n", label, value ? value : "-");
    free(value);
}

int fleet_int(const cJSON *object, const char *key)
{
    uint64_t n = 0;
    return json_u64(object, key, &n) >= 0 && n <= INT32_MAX ? (int) n : 0;
}

static char *grant_text(const cJSON *grant)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    show_line(out, "grant", report_member(grant, "id"));
    show_line(out, "state", report_member(grant, "state"));
    show_line(out, "box", report_member(grant, "device"));
    show_line(out, "person", report_member(grant, "person"));
    show_line(out, "reason", report_member(grant, "reason"));
    show_line(out, "created", report_member(grant, "createdAt"));
    show_line(out, "expires", report_member(grant, "expiresAt"));
    show_line(out, "longest session", str_format("%d s", fleet_int(grant, "maxSeconds")));
    show_line(out, "idle timeout", str_format("%d s", fleet_int(grant, "idleSeconds")));
    show_line(out, "forwarding", str_format(json_bool(grant, "forwarding", false) ? "yes" : "no"));
    show_line(out, "break glass", str_format(json_bool(grant, "breakGlass", false) ? "yes" : "no"));
    if (json_string(grant, "revokedAt")) {
        show_line(out, "revoked", report_member(grant, "revokedAt"));
        show_line(out, "revoked by", report_member(grant, "revokedBy"));
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static int show_grant(const Fleet *fleet, const ApiReply *reply)
{
    if (fleet->json)
        return report_json(reply->body, EXIT_OK);
    return report_text(grant_text(cJSON_GetObjectItemCaseSensitive(reply->body, "grant")), EXIT_OK);
}

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
    return show_grant(fleet, &reply);
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

int verb_grants_list(int argc, char **argv, void *userdata)
{
    static const char *const headers[] = { "GRANT",      "STATE",       "BOX",    "PERSON", "EXPIRES",
                                           "FORWARDING", "BREAK GLASS", "REASON", NULL };
    Fleet *fleet = userdata;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(table_freep) Table *table = table_new(headers);
    _cleanup_(error_done) Error err = {};
    const cJSON *grant;

    (void) argc;
    (void) argv;
    int r = table ? fleet_ask(fleet, "GET", "/v1/grants", NULL, CALL_TIMEOUT, &reply, &err) : -ENOMEM;
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    if (fleet->json)
        return report_json(reply.body, EXIT_OK);
    cJSON_ArrayForEach(grant, cJSON_GetObjectItemCaseSensitive(reply.body, "grants")) {
        if (cJSON_IsObject(grant) && grant_row(table, grant) < 0)
            return fleet_fail(fleet, NULL, NULL, -ENOMEM);
    }
    return report_text(table_rows(table) > 0 ? table_print(table, 0) : str_format("no grants yet\n"), EXIT_OK);
}

static int one_grant(Fleet *fleet, const char *method, const char *id, const char *suffix)
{
    _cleanup_(freep) char *encoded = api_encode(id), *path = NULL;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};

    path = encoded ? str_format("/v1/grants/%s%s", encoded, suffix) : NULL;
    int r = fleet_ask(fleet, method, path, NULL, CALL_TIMEOUT, &reply, &err);
    return r < 0 ? fleet_fail(fleet, &reply, &err, r) : show_grant(fleet, &reply);
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

static char *sessions_path(const Fleet *fleet, const char *device, Error *err)
{
    _cleanup_(freep) char *encoded = device ? api_encode(device) : NULL;
    uint64_t limit = 0;

    if (fleet_number(fleet->limit, "limit", 1, SESSIONS_MAX, LIMIT_DEFAULT, &limit, err) < 0 || (device && !encoded))
        return NULL;
    return str_format("/v1/sessions?limit=%u%s%s", (unsigned) limit, encoded ? "&device=" : "", encoded ? encoded : "");
}

int verb_sessions(int argc, char **argv, void *userdata)
{
    static const char *const headers[] = { "FROM",     "TO",       "BOX",   "PERSON", "WAY", "TO BOX",
                                           "FROM BOX", "ENDED BY", "GRANT", "REASON", NULL };
    Fleet *fleet = userdata;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(table_freep) Table *table = table_new(headers);
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *path = sessions_path(fleet, argc > 0 ? argv[0] : NULL, &err);
    const cJSON *session;

    int r = !table ? -ENOMEM : err.id ? -EINVAL : fleet_ask(fleet, "GET", path, NULL, CALL_TIMEOUT, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    if (fleet->json)
        return report_json(reply.body, EXIT_OK);
    cJSON_ArrayForEach(session, cJSON_GetObjectItemCaseSensitive(reply.body, "sessions")) {
        if (cJSON_IsObject(session) && session_row(table, session) < 0)
            return fleet_fail(fleet, NULL, NULL, -ENOMEM);
    }
    return report_text(table_rows(table) > 0 ? table_print(table, 0) : str_format("nobody was logged in yet\n"),
                       EXIT_OK);
}

int verb_support_ca(int argc, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};

    (void) argc;
    (void) argv;
    int r = fleet_ask(fleet, "GET", "/v1/support-ca", NULL, CALL_TIMEOUT, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    if (fleet->json)
        return report_json(reply.body, EXIT_OK);
    _cleanup_(freep) char *line = report_member(reply.body, "publicKey");
    return report_text(line ? str_format("%s\n", line) : NULL, EXIT_OK);
}

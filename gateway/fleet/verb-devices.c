/* SPDX-License-Identifier: MIT */
/* devices add, list, show: the boxes that the gateway knows. What changes one that it knows is in verb-devices-change.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/fleet/show.h"
#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"
#include "lib/data/ssh-cert.h"

#define HOST_KEYS_TEXT_MAX 1024

/* One "key=value" into the object. */
static int add_label(cJSON *labels, char *label, Error *err)
{
    char *equals = strchr(label, '=');

    if (!equals || equals == label)
        return error_set(err, EINVAL, "usage", "--label takes KEY=VALUE, several with commas between, not \"%s\"",
                         label);
    *equals = '\0';
    if (cJSON_GetObjectItemCaseSensitive(labels, label))
        return error_set(err, EINVAL, "usage", "--label names %s twice", label);
    return json_add_string(labels, label, equals + 1);
}

int fleet_labels(const char *text, cJSON *labels, Error *err)
{
    _cleanup_(freep) char *copy = strdup(text ? text : "");
    int r = copy ? 0 : -ENOMEM;

    for (char *label = copy; r >= 0 && label && *copy;) {
        char *comma = strchr(label, ',');
        if (comma)
            *comma = '\0';
        r = add_label(labels, label, err);
        label = comma ? comma + 1 : NULL;
    }
    return r;
}

static int add_request(const Fleet *fleet, const char *id, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    cJSON *labels = cJSON_CreateObject();

    if (!request || json_add_item(request, "labels", labels) < 0 || !labels || json_add_string(request, "id", id) < 0)
        return error_from_errno(err, -ENOMEM, "make a request");
    int r = fleet_labels(fleet->label, labels, err);
    if (r < 0)
        return error_from_errno(err, r, "make a request");
    *ret = TAKE_PTR(request);
    return 0;
}

int verb_devices_add(int argc, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(cJSON_Deletep) cJSON *request = NULL;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};

    (void) argc;
    int r = add_request(fleet, argv[0], &request, &err);
    if (r >= 0)
        r = fleet_ask(fleet, "POST", "/v1/devices", request, CALL_TIMEOUT, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    return fleet->json && !fleet->qr && !fleet->qr_png
               ? report_json(reply.body, EXIT_OK)
               : fleet_show_bootstrap(fleet, argv[0], "is registered", reply.body);
}

char *fleet_labels_text(const cJSON *device)
{
    return json_pairs(cJSON_GetObjectItemCaseSensitive(device, "labels"), ",");
}

/* "ok", or those that do not run: "web down, db stopped by hand". A new string; NULL when the box has not said, or no memory. */
static char *services_text(const cJSON *device)
{
    const cJSON *services = cJSON_GetObjectItemCaseSensitive(device, "services"), *service;
    _cleanup_(strv_freep) char **parts = NULL;

    if (!cJSON_IsArray(services))
        return NULL;
    cJSON_ArrayForEach(service, services) {
        const char *name = json_string(service, "name"), *state = json_string(service, "state");
        if (name && state && !str_equal(state, "running") && !str_equal(state, "ended") &&
            !str_equal(state, "removed") && strv_addf(&parts, "%s %s", name, state) < 0)
            return NULL;
    }
    return parts ? strv_join(parts, ", ") : strdup("ok");
}

/* "now", "3 min ago"; NULL when it was never seen. */
static const char *seen_text(const cJSON *device, char buf[static TIMESTAMP_SIZE])
{
    const char *at = json_string(device, "lastSeenAt");
    usec_t time;

    if (json_bool(device, "connected", false))
        return "now";
    return at && timestamp_parse(at, &time) == 0 ? age_format(time, realtime_usec(), buf) : NULL;
}

/* How the last change ended, and what it was if no push: one that a box takes back may leave the push as it is. */
static char *last_text(const cJSON *last)
{
    const char *outcome = json_string(last, "outcome"), *kind = json_string(last, "kind");

    if (!outcome)
        return strdup("-");
    return kind ? str_format("%s (%s)", outcome, kind) : strdup(outcome);
}

static int device_row(Table *table, const cJSON *device)
{
    const cJSON *current = cJSON_GetObjectItemCaseSensitive(device, "current");
    _cleanup_(freep) char *version = cJSON_IsObject(current) ? report_member(current, "version") : NULL;
    _cleanup_(freep) char *labels = fleet_labels_text(device), *services = services_text(device);
    _cleanup_(freep) char *last = last_text(cJSON_GetObjectItemCaseSensitive(device, "last"));
    char seen[TIMESTAMP_SIZE];

    if (!labels || !last)
        return -ENOMEM;
    return table_row(table, json_string(device, "id"), json_bool(device, "connected", false) ? "yes" : "no",
                     json_string(device, "connectedSince"), seen_text(device, seen),
                     json_string(device, "agentVersion"), version, last, services, labels);
}

int verb_devices_list(int argc _unused_, char **argv _unused_, void *userdata)
{
    static const char *const headers[] = { "ID",      "CONNECTED",   "SINCE",    "LAST SEEN", "AGENT",
                                           "VERSION", "LAST CHANGE", "SERVICES", "LABELS",    NULL };
    static const FleetList list = { .headers = headers, .row = device_row, .none = "no devices yet" };
    static const FleetView view = { .member = "devices", .list = &list };

    return fleet_show(userdata, "GET", strdup("/v1/devices"), NULL, &view);
}

static char *version_text(const cJSON *device, const char *key, const char *detail)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(device, key);
    _cleanup_(freep) char *version = cJSON_IsObject(object) ? report_member(object, "version") : NULL;
    _cleanup_(freep) char *more = cJSON_IsObject(object) ? report_when(json_string(object, detail)) : NULL;

    return str_format("%s%s%s", version ? version : "-", more ? ", " : "", more ? more : "");
}

/* "wedged, open since …: reason; reason" */
static char *recovery_text(const cJSON *device)
{
    const cJSON *recovery = cJSON_GetObjectItemCaseSensitive(device, "recovery"), *reason;
    const char *state = json_string(recovery, "state");
    _cleanup_(freep) char *since = report_when(json_string(recovery, "since"));
    _cleanup_(strv_freep) char **reasons = NULL;

    if (!state)
        return NULL;
    cJSON_ArrayForEach(reason, cJSON_GetObjectItemCaseSensitive(recovery, "reasons"))
        if (cJSON_IsString(reason) && strv_add(&reasons, reason->valuestring) < 0)
            return NULL;
    _cleanup_(freep) char *why = reasons ? strv_join(reasons, "; ") : NULL;
    const char *fault = json_string(recovery, "configFault");
    return str_format("%s, %s since %s%s%s%s%s", state, json_bool(recovery, "open", false) ? "open" : "closed",
                      since ? since : "?", why ? ": " : "", why ? why : "", fault ? "; configuration: " : "",
                      fault ? fault : "");
}

/* "recovery-agent since …: what is wrong; …" */
static char *config_text(const cJSON *device)
{
    _cleanup_(strv_freep) char **faults = NULL;
    const cJSON *fault;

    cJSON_ArrayForEach(fault, cJSON_GetObjectItemCaseSensitive(device, "configFaults")) {
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(fault, "error");
        if (strv_addf(&faults, "%s since %s: %s", json_string(fault, "program"), json_string(fault, "since"),
                      json_string(error, "message")) < 0)
            return NULL;
    }
    return faults ? strv_join(faults, "; ") : NULL;
}

/* The push that waits until the box comes. */
static char *waiting_text(const cJSON *device)
{
    const cJSON *waiting = cJSON_GetObjectItemCaseSensitive(device, "waiting");
    _cleanup_(freep) char *since = report_when(json_string(waiting, "createdAt"));

    if (!since)
        return NULL;
    const cJSON *projects = cJSON_GetObjectItemCaseSensitive(waiting, "projects"), *project;
    _cleanup_(strv_freep) char **names = NULL;
    cJSON_ArrayForEach(project, projects)
        if (cJSON_IsString(project) && strv_add(&names, project->valuestring) < 0)
            return NULL;
    const char *one = json_string(waiting, "project");
    if (!names && one && strv_add(&names, one) < 0)
        return NULL;
    _cleanup_(freep) char *all = names ? strv_join(names, ", ") : NULL, *printable = all ? text_printable(all) : NULL;
    return printable ? str_format("a push of %s, since %s", printable, since) : str_format("a push, since %s", since);
}

/* "SHA256:… (host), SHA256:… (recovery)", as `ssh-keygen -l` shows them. */
static char *host_keys_text(const cJSON *device)
{
    Buf text = BUF_INIT(HOST_KEYS_TEXT_MAX);
    const cJSON *sshd, *line;
    int r = 0;

    cJSON_ArrayForEach(sshd, cJSON_GetObjectItemCaseSensitive(device, "hostKeys")) {
        cJSON_ArrayForEach(line, sshd) {
            _cleanup_(ssh_public_key_done) SshPublicKey key = {};

            if (r >= 0 && cJSON_IsString(line) && ssh_public_key_parse(line->valuestring, &key, NULL) >= 0)
                r = buf_printf(&text, "%s%s (%s)", text.len > 0 ? ", " : "", key.fingerprint, sshd->string);
        }
    }
    if (r >= 0 && text.len > 0)
        return buf_take(&text);
    buf_done(&text);
    return NULL;
}

/* "reached at URL", "failed at URL since …: why" */
static char *relay_text(const cJSON *device)
{
    const cJSON *check = cJSON_GetObjectItemCaseSensitive(device, "relayCheck");
    const char *state = json_string(check, "state"), *url = json_string(check, "url"),
               *error = json_string(check, "error");
    _cleanup_(freep) char *since = report_when(json_string(check, "since"));

    if (!state || !url)
        return NULL;
    return str_format("%s at %s%s%s%s%s", str_equal(state, "reached") ? "reached from outside" : state, url,
                      since ? " since " : "", since ? since : "", error ? ": " : "", error ? error : "");
}

static void device_lines(FILE *out, const cJSON *device)
{
    bool connected = json_bool(device, "connected", false);

    fleet_line(out, "device", report_member(device, "id"));
    fleet_line(out, "labels", fleet_labels_text(device));
    fleet_line(out, "registered", report_when(json_string(device, "createdAt")));
    fleet_line(out, "connected", connected ? str_format("yes") : str_format("no"));
    fleet_line(out, connected ? "since" : "last seen",
               report_when(json_string(device, connected ? "connectedSince" : "lastSeenAt")));
    fleet_line(out, "from", report_member(device, "peer"));
    fleet_line(out, "agent", report_member(device, "agentVersion"));
    fleet_line(out, "current", version_text(device, "current", "at"));
    fleet_line(out, "pending", version_text(device, "pending", "phase"));
    fleet_line(out, "waiting", waiting_text(device));
    const cJSON *last = cJSON_GetObjectItemCaseSensitive(device, "last");
    fleet_line(out, report_last_label(last), report_result_line(last));
    fleet_line(out, "services", services_text(device));
    fleet_line(out, "recovery", recovery_text(device));
    fleet_line(out, "host keys", host_keys_text(device));
    fleet_line(out, "configuration", config_text(device));
    fleet_line(out, "relay", relay_text(device));
}

int verb_devices_show(int argc _unused_, char **argv, void *userdata)
{
    static const FleetView view = { .member = "device", .lines = device_lines };

    return fleet_show(userdata, "GET", fleet_device_path(argv[0], ""), NULL, &view);
}

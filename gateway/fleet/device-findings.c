/* SPDX-License-Identifier: MIT */
/* Each check sees the device and the box's answer; what a box was never set up for is no fault. */
#include "gateway/fleet/device-findings.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/finding.h"

#define CLOCK_APART_MAX 60 /* seconds, the leeway that tokens have */
#define MAIN_SERVICE "secbox"

typedef struct Known {
    const cJSON *device, *answer;
    const char *id; /* as the operator typed it: what the gateway answers is no word for a shell */
} Known;

static bool is_connected(const Known *k, const char *role)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(k->device, "roles"))
        if (cJSON_IsString(item) && str_equal(item->valuestring, role))
            return true;
    return false;
}

static bool has_key(const Known *k, const char *role)
{
    return json_string(cJSON_GetObjectItemCaseSensitive(k->device, "keys"), role);
}

static void since(Finding *f, const char *at)
{
    usec_t time;

    if (at && timestamp_parse(at, &time) == 0)
        f->since = time;
}

/* "secbox-fleet VERB ID MORE" */
static void operator_remedy(const Known *k, Finding *f, const char *verb, const char *more)
{
    if (!text_is_shell_word(k->id))
        return;
    f->by_operator = true;
    finding_remedy(f, "secbox-fleet %s %s%s", verb, k->id, more);
}

static void of_box_that_is_away(const Known *k, Finding *f)
{
    const char *seen = json_string(k->device, "lastSeenAt");

    if (!seen && !has_key(k, "mgmt")) {
        finding_set(f, VERDICT_FAIL, "The token that it prints is the box's BOOTSTRAP, in its mgmt-agent.env.",
                    "it has never connected");
        operator_remedy(k, f, "devices bootstrap", "");
    } else if (is_connected(k, "recovery") || is_connected(k, "device")) {
        finding_set(f, VERDICT_FAIL, "Then run `secboxctl doctor` there.",
                    "its management tunnel is not connected, but %s is",
                    is_connected(k, "recovery") ? "recovery-agent's" : "secbox's");
        operator_remedy(k, f, "ssh", " --reason doctor");
    } else {
        finding_set(f, VERDICT_FAIL, "Look at its power and its line; on the box, `secboxctl doctor` says more.",
                    "it is not connected");
    }
    since(f, seen);
}

static void check_tunnel(const Known *k, Finding *f)
{
    const char *at = json_string(k->device, "connectedSince"), *peer = json_string(k->device, "peer");

    if (json_bool(k->device, "blocked", false)) {
        finding_set(f, VERDICT_FAIL, NULL, "an operator has blocked it");
        operator_remedy(k, f, "devices unblock", "");
    } else if (json_bool(k->device, "connected", false)) {
        finding_pass(f, "connected since %s from %s", at ? at : "?", peer ? peer : "?");
    } else {
        of_box_that_is_away(k, f);
    }
}

/* What is away together with the whole box is said once. */
static bool says_nothing_more(const Known *k)
{
    return !json_bool(k->device, "connected", false) || json_bool(k->device, "blocked", false);
}

static void check_recovery_tunnel(const Known *k, Finding *f)
{
    if (is_connected(k, "recovery"))
        finding_pass(f, "recovery-agent is connected");
    else if (!has_key(k, "recovery"))
        finding_pass(f, "recovery-agent was never set up on this box");
    else if (says_nothing_more(k))
        finding_set(f, VERDICT_UNKNOWN, NULL, "recovery-agent is not connected either");
    else
        finding_set(f, VERDICT_FAIL, "See `systemctl status recovery-agent` on the box.",
                    "recovery-agent is not connected: there would be no way in if the management tunnel failed");
}

static bool runs_main_service(const Known *k)
{
    const cJSON *service;

    cJSON_ArrayForEach(service, cJSON_GetObjectItemCaseSensitive(k->device, "services"))
        if (str_equal(json_string(service, "name"), MAIN_SERVICE))
            return true;
    return false;
}

static void check_device_tunnel(const Known *k, Finding *f)
{
    if (is_connected(k, "device"))
        finding_pass(f, MAIN_SERVICE " is connected");
    else if (!has_key(k, "device") || !runs_main_service(k))
        finding_pass(f, "no " MAIN_SERVICE " is deployed that would connect");
    else if (says_nothing_more(k))
        finding_set(f, VERDICT_UNKNOWN, NULL, MAIN_SERVICE " is not connected either");
    else
        finding_set(f, VERDICT_FAIL, "See `podman logs " MAIN_SERVICE "` on the box, as the podman user.",
                    MAIN_SERVICE " is not connected");
}

static void check_recovery(const Known *k, Finding *f)
{
    const cJSON *recovery = cJSON_GetObjectItemCaseSensitive(k->device, "recovery"), *reason;
    const char *state = json_string(recovery, "state");
    _cleanup_(strv_freep) char **reasons = NULL;

    cJSON_ArrayForEach(reason, cJSON_GetObjectItemCaseSensitive(recovery, "reasons"))
        if (cJSON_IsString(reason) && strv_add(&reasons, reason->valuestring) < 0)
            return;
    _cleanup_(freep) char *why = reasons ? strv_join(reasons, "; ") : NULL;
    if (!state || !str_equal(state, "wedged")) {
        finding_pass(f, "%s", state ? state : "recovery-agent has not reported");
        return;
    }
    finding_set(f, VERDICT_FAIL, "recovery-agent tries to mend it, and lets support staff in meanwhile.",
                "recovery-agent finds the box wedged: %s", why ? why : "it gives no reason");
    since(f, json_string(recovery, "since"));
}

static void check_configuration(const Known *k, Finding *f)
{
    const cJSON *faults = cJSON_GetObjectItemCaseSensitive(k->device, "configFaults"), *fault;
    _cleanup_(strv_freep) char **texts = NULL;

    cJSON_ArrayForEach(fault, faults) {
        const char *program = json_string(fault, "program"),
                   *message = json_string(cJSON_GetObjectItemCaseSensitive(fault, "error"), "message");
        if (strv_addf(&texts, "%s: %s", program ? program : "?", message ? message : "?") < 0)
            return;
    }
    _cleanup_(freep) char *all = texts ? strv_join(texts, "; ") : NULL;
    if (!all) {
        finding_pass(f, "the box reports no fault of its files");
        return;
    }
    finding_set(f, VERDICT_FAIL, "Correct it on the box; each program takes it within a minute.", "%s", all);
    since(f, json_string(cJSON_GetArrayItem(faults, 0), "since"));
}

/* The trouble that a service is in. One that is over does not count, nor one whose service runs again and is only watched until
 * it has done so for a while: the box's own doctor judges so, too. */
static const cJSON *trouble_of(const cJSON *service)
{
    const cJSON *trouble = cJSON_GetObjectItemCaseSensitive(service, "trouble");
    bool runs =
        str_equal(json_string(service, "state"), "running") && !str_equal(json_string(trouble, "what"), "restarting");

    return cJSON_IsObject(trouble) && !json_string(trouble, "until") && !runs ? trouble : NULL;
}

/* "camera restarting (exit code 7, restarted 4 times)" */
static int add_trouble(char ***texts, const cJSON *service, const cJSON *trouble)
{
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(trouble, "exitCode");
    const char *name = json_string(service, "name"), *what = json_string(trouble, "what");
    _cleanup_(freep) char *ended = cJSON_IsNumber(code) ? str_format(" (exit code %d)", code->valueint) : strdup("");

    if (!ended)
        return -ENOMEM;
    return strv_addf(texts, "%s: %s%s", name ? name : "?", what ? what : "?", ended);
}

static void check_services(const Known *k, Finding *f)
{
    const cJSON *services = cJSON_GetObjectItemCaseSensitive(k->device, "services"), *service;
    _cleanup_(strv_freep) char **texts = NULL;
    const char *began = NULL;

    if (!cJSON_IsArray(services)) {
        finding_pass(f, "nothing was reported");
        return;
    }
    cJSON_ArrayForEach(service, services) {
        const cJSON *trouble = trouble_of(service);
        if (trouble && add_trouble(&texts, service, trouble) < 0)
            return;
        began = began ? began : json_string(trouble, "since");
    }
    _cleanup_(freep) char *all = texts ? strv_join(texts, "; ") : NULL;
    if (!all) {
        finding_pass(f, "%d, all as they should be", cJSON_GetArraySize(services));
        return;
    }
    finding_set(f, VERDICT_FAIL, "`secboxctl doctor` on the box says what to do.", "%s", all);
    since(f, began);
}

/* mgmt-link holds the tunnel, so a box is connected without its mgmt-agent, too. Both times are the gateway's, of one length. */
static bool is_silent(const Known *k)
{
    const char *connected = json_string(k->device, "connectedSince"), *told = json_string(k->device, "statusAt");

    return json_bool(k->device, "connected", false) && connected && (!told || strcmp(told, connected) < 0);
}

static void check_version(const Known *k, Finding *f)
{
    const char *version = json_string(k->device, "agentVersion");

    if (is_silent(k)) {
        finding_set(f, VERDICT_FAIL, "If it stays so for a minute, see `systemctl status mgmt-agent` there.",
                    "mgmt-agent has not reported since the box connected");
        operator_remedy(k, f, "ssh", " --reason doctor");
        since(f, json_string(k->device, "connectedSince"));
    } else if (version) {
        finding_pass(f, "mgmt-agent %s", version);
    } else {
        finding_set(f, VERDICT_UNKNOWN, NULL, "the box has not said which version it runs");
    }
}

/* A box without a relay, or whose relay says itself that it is not connected, is not asked from outside: health tells. */
static void check_relay(const Known *k, Finding *f)
{
    const cJSON *check = cJSON_GetObjectItemCaseSensitive(k->device, "relayCheck");
    const char *state = json_string(check, "state"), *url = json_string(check, "url"),
               *error = json_string(check, "error");

    if (!state)
        finding_pass(f, "no relay is connected that would be asked from outside");
    else if (str_equal(state, "reached"))
        finding_pass(f, "viewers reach it at %s", url ? url : "?");
    else if (str_equal(state, "waiting"))
        finding_pass(f, "%s is about to be asked", url ? url : "?");
    else
        finding_set(f, VERDICT_FAIL,
                    "See docs/media-relay.md; `secboxctl relay status` on the box tells how it sees it.",
                    "viewers do not reach it at %s: %s", url ? url : "?", error ? error : "?");
    since(f, json_string(check, "since"));
}

static void check_clock(const Known *k, Finding *f)
{
    const cJSON *ahead = cJSON_GetObjectItemCaseSensitive(k->answer, "clockAheadSeconds");
    double seconds = cJSON_IsNumber(ahead) ? ahead->valuedouble : 0;

    if (!cJSON_IsNumber(ahead))
        finding_set(f, VERDICT_UNKNOWN, NULL, "the box was not asked for its time");
    else if (fabs(seconds) <= CLOCK_APART_MAX)
        finding_pass(f, "the box's is that of the gateway");
    else
        finding_set(f, VERDICT_FAIL, "See `timedatectl` on both; NTP (UDP port 123) must get out.",
                    "the box's is %.0f s %s the gateway's", fabs(seconds), seconds > 0 ? "ahead of" : "behind");
}

cJSON *device_findings(const char *id, const cJSON *device, const cJSON *answer)
{
    static const struct {
        const char *id;
        void (*run)(const Known *k, Finding *f);
    } checks[] = {
        { "tunnel", check_tunnel },
        { "recovery-tunnel", check_recovery_tunnel },
        { "device-tunnel", check_device_tunnel },
        { "recovery", check_recovery },
        { "configuration", check_configuration },
        { "services", check_services },
        { "version", check_version },
        { "relay", check_relay },
        { "clock", check_clock },
    };
    const Known known = { device, answer, id };
    _cleanup_(cJSON_Deletep) cJSON *findings = findings_new();

    for (size_t i = 0; findings && i < ELEMENTSOF(checks); i++) {
        _cleanup_(finding_done) Finding f = { .verdict = VERDICT_UNKNOWN };

        checks[i].run(&known, &f);
        if (findings_add(findings, checks[i].id, &f, "box") < 0)
            return NULL;
    }
    return TAKE_PTR(findings);
}

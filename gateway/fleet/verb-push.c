/* SPDX-License-Identifier: MIT */
/* push and rollback: checked here, sent once, then followed by long polls that outlive a restart of the gateway. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "gateway/fleet/sign.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/progress.h"
#include "lib/cli/report.h"
#include "lib/data/digest.h"

#define SEND_TIMEOUT (60 * USEC_PER_SEC)
#define POLL_WAIT_SECONDS 20
#define POLL_GRACE (15 * USEC_PER_SEC)
#define RETRY_PAUSE_MSEC 1000
/* a gateway that answers long polls at once must not be asked in a tight loop */
#define IDLE_PAUSE_MSEC 250
#define TIMEOUT_DEFAULT_SECONDS 900
#define TIMEOUT_MAX_SECONDS 86400

typedef struct Follow {
    Fleet *fleet;
    const char *device;
    char *version;
    usec_t deadline;
    ProgressView view;
    bool lost; /* said that the gateway does not answer */
} Follow;

/* What is changed: the text of a compose file as "compose", or a version as "to"; key NULL: it is added later. */
static int make_request(const Fleet *fleet, const char *key, const char *value, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    uint64_t confirm = 0;

    int r = fleet_number(fleet->confirm_deadline, "confirm-deadline", 1, CONFIRM_SECONDS_MAX, 0, &confirm, err);
    if (r < 0)
        return r;
    if (!request || (key && json_add_string(request, key, value) < 0) ||
        json_add_string(request, "reason", fleet->reason) < 0 ||
        json_add_string(request, "project", fleet_project(fleet)) < 0 ||
        (confirm > 0 && json_add_int(request, "confirmDeadlineSeconds", (int) confirm) < 0))
        return error_from_errno(err, -ENOMEM, "make a request");
    *ret = TAKE_PTR(request);
    return 0;
}

static void pause_msec(int msec)
{
    (void) poll(NULL, 0, msec);
}

/* One long poll. */
static int poll_once(Follow *f, ApiReply *reply, Error *err)
{
    usec_t now = boottime_usec(), left = f->deadline > now ? f->deadline - now : 0;
    unsigned wait = left / USEC_PER_SEC < POLL_WAIT_SECONDS ? (unsigned) (left / USEC_PER_SEC) : POLL_WAIT_SECONDS;
    _cleanup_(freep) char *version = api_encode(f->version), *suffix = NULL, *path = NULL;

    if (version)
        suffix = f->view.any_seq ? str_format("/deployments/%s?after=%llu&wait=%u", version,
                                              (unsigned long long) f->view.last_seq, wait)
                                 : str_format("/deployments/%s?wait=%u", version, wait);
    path = suffix ? fleet_device_path(f->device, suffix) : NULL;
    if (!path)
        return error_from_errno(err, -ENOMEM, "make a request");
    return api_call(&f->fleet->api, "GET", path, NULL, wait * USEC_PER_SEC + POLL_GRACE, reply, err);
}

/* Shows what is new. Returns how many events were. */
static int show_events(Follow *f, const cJSON *body)
{
    const cJSON *event;
    int shown = 0;

    cJSON_ArrayForEach(event, cJSON_GetObjectItemCaseSensitive(body, "events")) {
        if (cJSON_IsObject(event))
            shown += progress_event(&f->view, event);
    }
    return shown;
}

/* A gateway that restarts, or a proxy in front of one that does, is asked again; a refusal is final. */
static bool may_retry(const ApiReply *reply, int r)
{
    return api_is_unreachable(reply, r) || reply->status >= 500 || reply->status == 429;
}

static void say_lost(Follow *f, const Error *err, int r)
{
    _cleanup_(freep) char *why = text_printable(error_message(err, r));

    if (f->lost)
        return;
    progress_stop(&f->view);
    fprintf(stderr, "%s: %s; asking again\n", PROGRAM, why ? why : "the gateway does not answer");
    f->lost = true;
}

static int end_without_result(Follow *f, const Error *last, int r)
{
    _cleanup_(error_done) Error err = {};

    progress_stop(&f->view);
    if (r < 0)
        error_set(&err, EHOSTUNREACH, "fleet.lost-gateway",
                  "%s; how the push ended is not known yet: `%s history %s` tells", error_message(last, r), PROGRAM,
                  f->device);
    else
        error_set(&err, ETIMEDOUT, "fleet.timeout", "no result in time; the push goes on: `%s history %s` tells",
                  PROGRAM, f->device);
    return report_failure(PROGRAM, f->fleet->json, &err, -EHOSTUNREACH, EXIT_UNREACHABLE);
}

/* The gateway gave a push up: the box came back without a word about it. */
static int gave_up(const cJSON *body)
{
    const cJSON *deployment = cJSON_GetObjectItemCaseSensitive(body, "deployment");
    return cJSON_IsObject(deployment) && str_equal(json_string(deployment, "state"), "unknown");
}

static int end_unknown(Follow *f)
{
    _cleanup_(error_done) Error err = {};

    progress_stop(&f->view);
    int r = error_set(&err, EREMOTEIO, "fleet.unknown-outcome",
                      "the gateway does not know how the push ended: `%s status %s` tells what the box runs", PROGRAM,
                      f->device);
    return report_failure(PROGRAM, f->fleet->json, &err, r, EXIT_FAILED);
}

static int follow(Follow *f)
{
    for (;;) {
        _cleanup_(api_reply_done) ApiReply reply = {};
        _cleanup_(error_done) Error err = {};
        int shown = 0, r = poll_once(f, &reply, &err);

        if (r < 0 && !may_retry(&reply, r)) {
            progress_stop(&f->view);
            return fleet_fail(f->fleet, &reply, &err, r);
        }
        if (r < 0) {
            say_lost(f, &err, r);
        } else {
            const cJSON *result = cJSON_GetObjectItemCaseSensitive(reply.body, "result");
            cJSON *error = cJSON_GetObjectItemCaseSensitive(result, "error");
            f->lost = false;
            shown = show_events(f, reply.body);
            if (f->fleet->sent)
                gathered_locate_json(f->fleet->sent, error);
            if (cJSON_IsObject(result))
                return progress_result(&f->view, result);
            if (gave_up(reply.body))
                return end_unknown(f);
        }
        if (boottime_usec() >= f->deadline)
            return end_without_result(f, &err, r);
        if (r < 0 || shown == 0)
            pause_msec(r < 0 ? RETRY_PAUSE_MSEC : IDLE_PAUSE_MSEC);
    }
}

static int show_accepted(const Fleet *fleet, const char *device, const cJSON *body, const char *version)
{
    _cleanup_(freep) char *name = text_printable(device);

    if (fleet->json)
        return report_json(body, EXIT_OK);
    return report_text(str_format("version %s is on its way to %s; follow it with `%s history %s`\n", version,
                                  name ? name : device, PROGRAM, name ? name : device),
                       EXIT_OK);
}

static int show_waiting(const Fleet *fleet, const char *device, const cJSON *body)
{
    _cleanup_(freep) char *name = text_printable(device);

    if (fleet->json)
        return report_json(body, EXIT_OK);
    return report_text(
        name ? str_format("%s is away: the push waits, and is sent when it comes; `%s push-cancel %s` ends that\n",
                          name, PROGRAM, name)
             : NULL,
        EXIT_OK);
}

static int sent(Fleet *fleet, const char *device, const ApiReply *reply, usec_t timeout)
{
    const cJSON *deployment = cJSON_GetObjectItemCaseSensitive(reply->body, "deployment");
    if (cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(reply->body, "waiting")))
        return show_waiting(fleet, device, reply->body);
    _cleanup_(freep) char *version = cJSON_IsObject(deployment) ? report_member(deployment, "version") : NULL;
    _cleanup_(error_done) Error err = {};

    if (!version) {
        int r = error_set(&err, EHOSTUNREACH, "api.bad-answer", "the gateway did not tell the push's version");
        return fleet_fail(fleet, NULL, &err, r);
    }
    if (!fleet->wait)
        return show_accepted(fleet, device, reply->body, version);

    Follow f = { .fleet = fleet, .device = device, .version = version, .deadline = boottime_usec() + timeout };
    progress_start(&f.view, stdout, fleet->json);
    if (!fleet->json) {
        _cleanup_(freep) char *name = text_printable(device);
        printf("version %s to %s\n", version, name ? name : "-");
        fflush(stdout);
    }
    return follow(&f);
}

/* Asks for a change, and follows it with --wait. */
static int ask_for(Fleet *fleet, const char *device, const char *suffix, const cJSON *request)
{
    _cleanup_(freep) char *path = fleet_device_path(device, suffix);
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    uint64_t timeout = 0;

    int r = fleet_number(fleet->timeout, "timeout", 1, TIMEOUT_MAX_SECONDS, TIMEOUT_DEFAULT_SECONDS, &timeout, &err);
    if (r >= 0)
        r = fleet_ask(fleet, "POST", path, request, SEND_TIMEOUT, &reply, &err);
    if (r == -EHOSTUNREACH && !str_equal(error_id(&err), "http.connect") && !str_equal(error_id(&err), "http.resolve"))
        error_prefix(&err, r, "whether it was taken is not known (`%s history %s` tells)", PROGRAM, device);
    return r < 0 ? fleet_fail(fleet, &reply, &err, r) : sent(fleet, device, &reply, timeout * USEC_PER_SEC);
}

/* Where --key was given: `what` holds what is asked for. */
static int sign_for(const Fleet *fleet, OrderKind kind, const char *device, OrderStatement what, cJSON *request,
                    Error *err)
{
    const char *devices[] = { device, NULL };

    what.devices = (char **) (uintptr_t) devices;
    what.project = (char *) (uintptr_t) fleet_project(fleet);
    return fleet_sign(fleet, kind, &what, ORDER_LIFETIME_DEFAULT, request, err);
}

int verb_push(int argc, char **argv, void *userdata)
{
    _cleanup_(gathered_done) Gathered gathered = {};
    _cleanup_(cJSON_Deletep) cJSON *request = NULL;
    _cleanup_(error_done) Error err = {};
    char sha256[SHA256_HEX_SIZE] = "";

    Fleet *fleet = userdata;
    int r = fleet_read_compose(fleet, argc > 1 ? argv[1] : NULL, &gathered, &err);
    if (r >= 0)
        r = fleet_settle_project(fleet, argv[0], &gathered, &err);
    bool offline_fails = fleet->now || fleet->wait || fleet_project(fleet);
    if (r >= 0)
        r = make_request(userdata, "compose", gathered.text, &request, &err);
    if (r >= 0)
        r = fleet_send_files(fleet, &gathered, (FleetTarget) { .device = argv[0] }, request, sha256, &err);
    if (r >= 0)
        r = sign_for(fleet, ORDER_KIND_DEPLOYMENT, argv[0], (OrderStatement) { .sha256 = sha256 }, request, &err);
    return r < 0
               ? fleet_fail(userdata, NULL, &err, r)
               : ask_for(userdata, argv[0],
                         offline_fails ? "/compose-snapshot?wait=0" : "/compose-snapshot?wait=0&offline=wait", request);
}

int verb_agent_update(int argc, char **argv, void *userdata)
{
    _cleanup_(cJSON_Deletep) cJSON *request = NULL;
    _cleanup_(error_done) Error err = {};

    (void) argc;
    int r = make_request(userdata, "to", argv[1], &request, &err);
    if (r >= 0)
        r = sign_for(userdata, ORDER_KIND_AGENT_PACKAGE, argv[0], (OrderStatement) { .to = argv[1] }, request, &err);
    return r < 0 ? fleet_fail(userdata, NULL, &err, r) : ask_for(userdata, argv[0], "/agent-update?wait=0", request);
}

int verb_release_update(int argc, char **argv, void *userdata)
{
    _cleanup_(cJSON_Deletep) cJSON *request = NULL;
    _cleanup_(error_done) Error err = {};
    char sha256[SHA256_HEX_SIZE] = "";

    (void) argc;
    int r = make_request(userdata, NULL, NULL, &request, &err);
    if (r >= 0)
        r = fleet_send_release(userdata, argv[1], "to", request, sha256, &err);
    const OrderStatement what = { .sha256 = sha256, .to = (char *) (uintptr_t) json_string(request, "to") };
    if (r >= 0)
        r = sign_for(userdata, ORDER_KIND_RELEASE, argv[0], what, request, &err);
    return r < 0 ? fleet_fail(userdata, NULL, &err, r) : ask_for(userdata, argv[0], "/release?wait=0", request);
}

int verb_rollback(int argc, char **argv, void *userdata)
{
    _cleanup_(cJSON_Deletep) cJSON *request = NULL;
    _cleanup_(error_done) Error err = {};
    char *to = argc > 1 ? argv[1] : NULL;

    int r = make_request(userdata, "to", to, &request, &err);
    if (r >= 0)
        r = sign_for(userdata, ORDER_KIND_ROLLBACK, argv[0], (OrderStatement) { .to = to }, request, &err);
    return r < 0 ? fleet_fail(userdata, NULL, &err, r) : ask_for(userdata, argv[0], "/rollback?wait=0", request);
}

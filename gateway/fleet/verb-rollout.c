/* SPDX-License-Identifier: MIT */
/* rollout start, status, list, pause, resume, abort. Following outlives a restart of the gateway. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "gateway/fleet/show.h"
#include "gateway/fleet/rollout-view.h"
#include "gateway/fleet/sign.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"
#include "lib/data/bundle.h"

#define ROLLOUT_CALL_TIMEOUT (60 * USEC_PER_SEC)
#define POLL_WAIT_SECONDS 20
#define RETRY_PAUSE_MSEC 1000
/* many boxes say something at once: what changes within a moment is shown together */
#define NEWS_PAUSE_MSEC 250
#define TIMEOUT_MAX_SECONDS (90 * 86400)
#define SOAK_MAX_SECONDS (30 * 86400)
#define OFFLINE_MAX_SECONDS 86400
#define LIMIT_DEFAULT 20
#define LIMIT_MAX 200

static char *rollout_path(const char *id, const char *suffix)
{
    _cleanup_(freep) char *encoded = api_encode(id);
    return encoded ? str_format("/v1/rollouts/%s%s", encoded, suffix) : NULL;
}

static const cJSON *rollout_in(const ApiReply *reply)
{
    return cJSON_GetObjectItemCaseSensitive(reply->body, "rollout");
}

static int add_seconds(cJSON *request, const char *key, const char *text, const char *option, unsigned max, Error *err)
{
    int seconds = 0;

    if (!text)
        return 0;
    if (!str_equal(text, "0") && !str_equal(text, "0s")) {
        int r = fleet_duration(text, option, max, &seconds, err);
        if (r < 0)
            return r;
    }
    return json_add_int(request, key, seconds);
}

static int add_number(cJSON *request, const char *key, const char *text, const char *option, uint64_t max, Error *err)
{
    uint64_t number = 0;

    int r = fleet_number(text, option, 1, max, 0, &number, err);
    return r < 0 || number == 0 ? r : json_add_int(request, key, (int) number);
}

static int add_agent(const Fleet *fleet, const char *image, cJSON *request, Error *err)
{
    if (image || fleet->compose || fleet->files || fleet->to || fleet->service)
        return error_set(err, EINVAL, "usage", "--agent stands alone: it brings no image and no compose file");
    return json_add_string(request, "agent", fleet->agent);
}

static int add_release(Fleet *fleet, const char *image, cJSON *request, char ret_sha256[static SHA256_HEX_SIZE],
                       Error *err)
{
    if (image || fleet->compose || fleet->files || fleet->to || fleet->service || fleet->agent)
        return error_set(err, EINVAL, "usage", "--release stands alone: it brings no image and no compose file");
    return fleet_send_release(fleet, fleet->release, "release", request, ret_sha256, err);
}

/* *ret_sha256: what is signed of a compose file or a release. */
static int add_what(Fleet *fleet, const char *image, cJSON *request, char ret_sha256[static SHA256_HEX_SIZE],
                    Error *err)
{
    _cleanup_(gathered_done) Gathered gathered = {};

    if (fleet_project(fleet) && !fleet->compose && !fleet->files)
        return error_set(err, EINVAL, "usage",
                         "--project belongs to a compose file: images, agents and releases are the boxes' own");
    if (fleet->release)
        return add_release(fleet, image, request, ret_sha256, err);
    if (fleet->agent)
        return add_agent(fleet, image, request, err);
    if (!image == !(fleet->compose || fleet->files))
        return error_set(
            err, EINVAL, "usage",
            "rollout start takes an image and --to DIGEST, or --compose FILE, or -f, or --agent VERSION, or "
            "--release FILE");
    if (!image) {
        if (fleet->to || fleet->service)
            return error_set(err, EINVAL, "usage", "--to and --service belong to an image, not to a compose file");
        int r = fleet_read_compose(fleet, fleet->compose, &gathered, err);
        fleet->sent = NULL; /* it ends here */
        if (r >= 0)
            r = json_add_string(request, "compose", gathered.text);
        if (r >= 0)
            r = json_add_string(request, "project", fleet_project(fleet));
        const FleetTarget to = { .labels = cJSON_GetObjectItemCaseSensitive(request, "labels") };
        return r < 0 ? r : fleet_send_files(fleet, &gathered, to, request, ret_sha256, err);
    }
    if (!fleet->to)
        return error_set(err, EINVAL, "usage", "say with --to which digest the image shall have, sha256:…");
    return json_add_string(request, "image", image) < 0 || json_add_string(request, "digest", fleet->to) < 0 ||
                   json_add_string(request, "service", fleet->service) < 0
               ? -ENOMEM
               : 0;
}

static int make_request(Fleet *fleet, const char *image, cJSON **ret, char ret_sha256[static SHA256_HEX_SIZE],
                        Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    cJSON *labels = cJSON_CreateObject();

    int r = request && labels ? 0 : -ENOMEM;
    if (r < 0)
        cJSON_Delete(labels);
    else
        r = json_add_item(request, "labels", labels);
    if (r >= 0)
        r = fleet_labels(fleet->label, labels, err);
    if (r >= 0)
        r = add_what(fleet, image, request, ret_sha256, err);
    if (r >= 0)
        r = json_add_string(request, "groups", fleet->groups);
    if (r >= 0)
        r = json_add_string(request, "haltAt", fleet->halt_at);
    if (r >= 0)
        r = json_add_string(request, "reason", fleet->reason);
    if (r >= 0)
        r = add_seconds(request, "soakSeconds", fleet->soak, "soak", SOAK_MAX_SECONDS, err);
    if (r >= 0)
        r = add_seconds(request, "offlineAfterSeconds", fleet->offline_after, "offline-after", OFFLINE_MAX_SECONDS,
                        err);
    if (r >= 0)
        r = add_number(request, "parallel", fleet->parallel, "parallel", ROLLOUT_PARALLEL_MAX, err);
    if (r >= 0)
        r = add_number(request, "confirmDeadlineSeconds", fleet->confirm_deadline, "confirm-deadline",
                       CONFIRM_SECONDS_MAX, err);
    if (r < 0)
        return error_from_errno(err, r, "make a request");
    *ret = TAKE_PTR(request);
    return 0;
}

typedef struct Follow {
    Fleet *fleet;
    char *id;
    cJSON *shown; /* the rollout as it was shown last; owned */
    char *mark;   /* of that; owned */
    usec_t deadline;
    bool lost; /* said that the gateway does not answer */
} Follow;

static void follow_done(Follow *f)
{
    free(f->id);
    free(f->mark);
    cJSON_Delete(f->shown);
}

static int poll_once(Follow *f, ApiReply *reply, Error *err)
{
    usec_t now = boottime_usec(), left = f->deadline > now ? (f->deadline - now) / USEC_PER_SEC : 0;
    unsigned wait = left < POLL_WAIT_SECONDS ? (unsigned) left : POLL_WAIT_SECONDS;
    _cleanup_(freep) char *mark = api_encode(f->mark ? f->mark : "");
    _cleanup_(freep) char *suffix = mark ? str_format("?wait=%u&after=%s", wait, mark) : NULL;
    _cleanup_(freep) char *path = suffix ? rollout_path(f->id, suffix) : NULL;

    if (!path)
        return error_from_errno(err, -ENOMEM, "make a request");
    return api_call(&f->fleet->api, "GET", path, NULL, wait * USEC_PER_SEC + ROLLOUT_CALL_TIMEOUT, reply, err);
}

static void show_news(Follow *f, const ApiReply *reply)
{
    const cJSON *rollout = rollout_in(reply);
    const char *mark = json_string(reply->body, "mark");
    _cleanup_(freep) char *text = NULL;

    f->lost = false;
    if (!mark || str_equal(mark, f->mark))
        return;
    text = f->fleet->json ? report_json_line(reply->body) : rollout_view_news(f->shown, rollout);
    if (text && *text)
        printf("%s%s", text, f->fleet->json ? "\n" : "");
    fflush(stdout);
    cJSON_Delete(f->shown);
    f->shown = cJSON_Duplicate(rollout, true);
    free(f->mark);
    f->mark = strdup(mark);
}

static void say_lost(Follow *f, const Error *err, int r)
{
    _cleanup_(freep) char *why = text_printable(error_message(err, r));

    if (!f->lost)
        fprintf(stderr, "%s: %s; asking again\n", PROGRAM, why ? why : "the gateway does not answer");
    f->lost = true;
}

/* The exit code of a rollout that is over, or waits for somebody to choose another canary; else -1. */
static int exit_code_of(const cJSON *rollout)
{
    const char *state = json_string(rollout, "state");

    if (str_equal(state, "done"))
        return rollout_view_is_empty(rollout) ? EXIT_FAILED : EXIT_OK;
    return str_equal(state, "halted") || str_equal(state, "aborted") || rollout_view_proves_nothing(rollout)
               ? EXIT_FAILED
               : -1;
}

static int end_without_end(const Follow *f)
{
    _cleanup_(error_done) Error err = {};

    int r = error_set(&err, ETIMEDOUT, "fleet.timeout", "the rollout goes on: `%s rollout status %s` tells", PROGRAM,
                      f->id);
    return report_failure(PROGRAM, f->fleet->json, &err, r, EXIT_UNREACHABLE);
}

static int follow(Follow *f)
{
    for (;;) {
        _cleanup_(api_reply_done) ApiReply reply = {};
        _cleanup_(error_done) Error err = {};
        int r = poll_once(f, &reply, &err);

        if (r < 0 && !api_is_unreachable(&reply, r) && reply.status < 500 && reply.status != 429)
            return fleet_fail(f->fleet, &reply, &err, r);
        if (r < 0)
            say_lost(f, &err, r);
        else
            show_news(f, &reply);
        int code = r < 0 ? -1 : exit_code_of(rollout_in(&reply));
        if (code >= 0)
            return code;
        if (boottime_usec() >= f->deadline)
            return end_without_end(f);
        (void) poll(NULL, 0, r < 0 ? RETRY_PAUSE_MSEC : NEWS_PAUSE_MSEC);
    }
}

static int follow_from(Fleet *fleet, const ApiReply *reply, uint64_t timeout)
{
    usec_t now = boottime_usec();
    Follow f = {
        .fleet = fleet,
        .id = report_member(rollout_in(reply), "id"),
        .deadline = timeout > 0 ? now + timeout * USEC_PER_SEC : USEC_INFINITY,
    };
    int code = EXIT_FAILED;

    if (f.id) {
        show_news(&f, reply);
        code = exit_code_of(rollout_in(reply));
        if (code < 0)
            code = follow(&f);
    }
    follow_done(&f);
    return code;
}

static int show(const Fleet *fleet, const ApiReply *reply)
{
    if (fleet->json)
        return report_json(reply->body, EXIT_OK);
    return report_text(rollout_view(rollout_in(reply), realtime_usec()), EXIT_OK);
}

static int timeout_of(const Fleet *fleet, uint64_t *ret, Error *err)
{
    return fleet_number(fleet->timeout, "timeout", 1, TIMEOUT_MAX_SECONDS, 0, ret, err);
}

/* The boxes that the rollout may reach, by what the gateway says now: what it would add to them later is not signed. */
int fleet_find_boxes(Fleet *fleet, const cJSON *labels, char ***ret, ApiReply *reply, Error *err)
{
    const cJSON *device;
    int r = fleet_ask(fleet, "GET", "/v1/devices", NULL, ROLLOUT_CALL_TIMEOUT, reply, err);

    if (r < 0)
        return r;
    cJSON_ArrayForEach(device, cJSON_GetObjectItemCaseSensitive(reply->body, "devices"))
        if (json_string(device, "id") && fleet_has_labels(device, labels) &&
            strv_add(ret, json_string(device, "id")) < 0)
            return error_from_errno(err, -ENOMEM, "look for boxes");
    return strv_length(*ret) > 0 ? 0 : error_set(err, ENOENT, "rollout.no-boxes", "no box has these labels");
}

static int sign(Fleet *fleet, cJSON *request, const char *sha256, ApiReply *reply, Error *err)
{
    const char *compose = json_string(request, "compose"), *image = json_string(request, "image");
    const char *release = json_string(request, "release");
    _cleanup_(strv_freep) char **devices = NULL;
    OrderStatement what = { .image = (char *) (uintptr_t) image,
                            .digest = (char *) (uintptr_t) json_string(request, "digest"),
                            .service = (char *) (uintptr_t) json_string(request, "service"),
                            .sha256 = compose || release ? (char *) (uintptr_t) sha256 : NULL,
                            .to = (char *) (uintptr_t) (release ? release : fleet->agent),
                            .project = (char *) (uintptr_t) json_string(request, "project") };

    if (!fleet_signs(fleet))
        return fleet_sign(fleet, ORDER_KIND_DEPLOYMENT, &what, 0, request, err);
    int r = fleet_find_boxes(fleet, cJSON_GetObjectItemCaseSensitive(request, "labels"), &devices, reply, err);
    if (r < 0)
        return r;
    api_reply_done(reply);
    *reply = (ApiReply) {};
    what.devices = devices;
    r = fleet_sign(fleet,
                   compose   ? ORDER_KIND_DEPLOYMENT
                   : image   ? ORDER_KIND_IMAGE_UPDATE
                   : release ? ORDER_KIND_RELEASE
                             : ORDER_KIND_AGENT_PACKAGE,
                   &what, ORDER_LIFETIME_ROLLOUT, request, err);
    if (r >= 0)
        fprintf(stderr, "signed for %zu box%s\n", strv_length(devices), strv_length(devices) == 1 ? "" : "es");
    return r;
}

int verb_rollout_start(int argc, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(cJSON_Deletep) cJSON *request = NULL;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    char sha256[SHA256_HEX_SIZE] = "";
    uint64_t timeout = 0;

    int r = timeout_of(fleet, &timeout, &err);
    if (r >= 0)
        r = make_request(fleet, argc > 0 ? argv[0] : NULL, &request, sha256, &err);
    if (r >= 0)
        r = sign(fleet, request, sha256, &reply, &err);
    if (r >= 0)
        r = fleet_ask(fleet, "POST", "/v1/rollouts", request, ROLLOUT_CALL_TIMEOUT, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    if (fleet->wait)
        return follow_from(fleet, &reply, timeout);
    return show(fleet, &reply);
}

/* The id of the newest rollout, a new string. */
static int newest(Fleet *fleet, char **ret, ApiReply *reply, Error *err)
{
    int r = api_call(&fleet->api, "GET", "/v1/rollouts?limit=1", NULL, ROLLOUT_CALL_TIMEOUT, reply, err);
    if (r < 0)
        return r;
    const cJSON *rollouts = cJSON_GetObjectItemCaseSensitive(reply->body, "rollouts");
    *ret = report_member(cJSON_GetArrayItem(rollouts, 0), "id");
    return *ret ? 0 : error_set(err, ENOENT, "rollout.not-found", "nothing was rolled out yet");
}

int verb_rollout_status(int argc, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(freep) char *id = argc > 0 ? strdup(argv[0]) : NULL, *path = NULL;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    uint64_t timeout = 0;

    int r = timeout_of(fleet, &timeout, &err);
    if (r >= 0)
        r = fleet_begin(fleet, &err);
    if (r >= 0 && argc == 0)
        r = newest(fleet, &id, &reply, &err);
    if (r >= 0 && (!id || !(path = rollout_path(id, ""))))
        r = -ENOMEM;
    if (r >= 0)
        r = api_call(&fleet->api, "GET", path, NULL, ROLLOUT_CALL_TIMEOUT, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    return fleet->wait ? follow_from(fleet, &reply, timeout) : show(fleet, &reply);
}

int verb_rollout_list(int argc _unused_, char **argv _unused_, void *userdata)
{
    static const FleetView view = { .member = "rollouts", .timeout = ROLLOUT_CALL_TIMEOUT, .text = rollout_view_list };
    Fleet *fleet = userdata;
    _cleanup_(error_done) Error err = {};
    uint64_t limit = 0;

    int r = fleet_number(fleet->limit, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit, &err);
    return r < 0 ? fleet_fail(fleet, NULL, &err, r)
                 : fleet_show(fleet, "GET", str_format("/v1/rollouts?limit=%u", (unsigned) limit), NULL, &view);
}

static int change(Fleet *fleet, const char *id, const char *verb)
{
    _cleanup_(freep) char *path = rollout_path(id, verb);
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    uint64_t timeout = 0;

    int r = timeout_of(fleet, &timeout, &err);
    if (r >= 0)
        r = fleet_ask(fleet, "POST", path, NULL, ROLLOUT_CALL_TIMEOUT, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    return fleet->wait ? follow_from(fleet, &reply, timeout) : show(fleet, &reply);
}

int verb_rollout_pause(int argc, char **argv, void *userdata)
{
    (void) argc;
    return change(userdata, argv[0], "/pause");
}

int verb_rollout_resume(int argc, char **argv, void *userdata)
{
    (void) argc;
    return change(userdata, argv[0], "/resume");
}

int verb_rollout_abort(int argc, char **argv, void *userdata)
{
    (void) argc;
    return change(userdata, argv[0], "/abort");
}

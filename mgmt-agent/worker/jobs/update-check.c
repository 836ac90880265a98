/* SPDX-License-Identifier: MIT */
/* What podman knows of the images comes from here, what the registries say from a child without rights (registry-check.c). */
#include "mgmt-agent/worker/jobs/update-check.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/event/process.h"
#include "mgmt-agent/worker/jobs/check-answer.h"
#include "mgmt-agent/worker/phases/report.h"

/* what the child may take beyond its own deadline */
#define CHILD_SLACK_USEC (10 * USEC_PER_SEC)

typedef struct Check {
    usec_t began;
    const cJSON *wanted; /* the request's images */
    Map *asked;          /* "NAME ID" → index in the child's request, + 1 */
    cJSON *child_request;
    cJSON *child_answer;
    cJSON *images; /* of the answer */
} Check;

static void check_done(Check *c)
{
    map_free(c->asked);
    cJSON_Delete(c->child_request);
    cJSON_Delete(c->child_answer);
    cJSON_Delete(c->images);
}

static int check_request(const cJSON *request, uint64_t *ret_seconds, Error *err)
{
    const cJSON *images = cJSON_GetObjectItemCaseSensitive(request, "images"), *entry;
    int r = json_u64(request, "timeoutSeconds", ret_seconds);

    if (r == -ENOENT)
        *ret_seconds = CHECK_SECONDS_DEFAULT;
    else if (r < 0 || *ret_seconds < CHECK_SECONDS_MIN || *ret_seconds > CHECK_SECONDS_MAX)
        return error_set(err, EINVAL, "check.request", "timeoutSeconds is a number from %d to %d", CHECK_SECONDS_MIN,
                         CHECK_SECONDS_MAX);
    if (!cJSON_IsArray(images) || cJSON_GetArraySize(images) > COMPOSE_SERVICES_MAX)
        return error_set(err, EINVAL, "check.request", "images is an array of at most %d", COMPOSE_SERVICES_MAX);
    cJSON_ArrayForEach(entry, images)
        if (!json_string(entry, "image"))
            return error_set(err, EINVAL, "check.request", "an image has no name");
    return 0;
}

static int add_local(cJSON *o, const LocalImage *local)
{
    cJSON *digests = cJSON_CreateArray();

    if (json_add_item(o, "repoDigests", digests) < 0 || json_add_string(o, "id", local->id) < 0 ||
        json_add_string(o, "digest", local->digest) < 0)
        return -ENOMEM;
    for (char *const *d = local->repo_digests; d && *d; d++)
        if (json_append(digests, cJSON_CreateString(*d)) < 0)
            return -ENOMEM;
    return 0;
}

static char *key_of(const cJSON *entry)
{
    const char *id = json_string(entry, "imageId");

    return str_format("%s %s", json_string(entry, "image"), id ? id : "");
}

/* Puts one image on the child's list, unless it is there already. -ENOENT: podman does not have it. */
static int ask_for(Deploy *d, Check *c, const cJSON *entry, Error *err)
{
    _cleanup_(local_image_done) LocalImage local = {};
    _cleanup_(freep) char *key = key_of(entry);
    cJSON *list = cJSON_GetObjectItemCaseSensitive(c->child_request, "images"), *o;
    const char *id = json_string(entry, "imageId"), *name = json_string(entry, "image");
    int r;

    if (!key)
        return -ENOMEM;
    if (map_get(c->asked, key))
        return 0;
    r = podman_image_digests(d->box.podman, str_empty(id) ? name : id, &local, err);
    if (r < 0)
        return r;
    o = cJSON_CreateObject();
    if (!o || json_append(list, o) < 0 || json_add_string(o, "image", name) < 0 || add_local(o, &local) < 0)
        return -ENOMEM;
    return map_put(c->asked, key, (void *) (intptr_t) cJSON_GetArraySize(list));
}

static cJSON *new_answer(Check *c, const cJSON *entry)
{
    cJSON *o = cJSON_CreateObject();

    if (!o || json_append(c->images, o) < 0 || json_add_string(o, "service", json_string(entry, "service")) < 0 ||
        json_add_string(o, "image", json_string(entry, "image")) < 0 ||
        json_add_string(o, "imageId", json_string(entry, "imageId")) < 0)
        return NULL;
    return o;
}

/* Each image gets its answer now, or stands on the child's list. */
static int list_images(Deploy *d, Check *c, Error *err)
{
    const cJSON *entry;

    cJSON_ArrayForEach(entry, c->wanted) {
        _cleanup_(error_done) Error why = {};
        cJSON *o = new_answer(c, entry);
        int r = o ? ask_for(d, c, entry, &why) : -ENOMEM;

        if (r == -ENOENT && (json_add_string(o, "state", "unknown") < 0 || json_add_bool(o, "later", false) < 0 ||
                             json_add_item(o, "error", json_from_error(&why, r)) < 0))
            r = -ENOMEM;
        if (r < 0 && r != -ENOENT)
            return error_set(err, r, error_id(&why), "%s", error_message(&why, r));
    }
    return 0;
}

static void on_child_line(Process *p, ProcessStream stream, const char *line, void *userdata)
{
    Check *c = userdata;
    cJSON *o = NULL;

    (void) p;
    if (stream == PROCESS_STDERR)
        log_relay("registry-check", line);
    else if (json_parse_object(line, strlen(line), &o, NULL) == 0) {
        cJSON_Delete(c->child_answer);
        c->child_answer = o;
    }
}

static int run_child(Deploy *d, Check *c, uint64_t seconds, Error *err)
{
    /* not by its path, which podman's user need not be able to walk */
    const char *argv[] = { "/proc/self/exe", "registry-check", NULL };
    _cleanup_(freep) char *input = json_print(c->child_request);
    _cleanup_(strv_freep) char **env = NULL;
    _cleanup_(process_result_done) ProcessResult result = {};
    ProcessSpec spec = { .argv = argv,
                         .uid = d->box.user.uid,
                         .gid = d->box.user.gid,
                         .drop_privileges = d->box.user.switch_user,
                         .timeout_usec = seconds * USEC_PER_SEC + CHILD_SLACK_USEC,
                         .keep_with_parent = true,
                         .line_max = JSON_SIZE_MAX,
                         .input = input,
                         .input_len = input ? strlen(input) : 0 };
    _cleanup_(freep) char *ended = NULL;
    const cJSON *failure;

    for (char *const *e = d->box.user.env; e && *e; e++)
        if (strv_add(&env, *e) < 0)
            return -ENOMEM;
    if (strv_add(&env, LOG_RELAY_VARIABLE "=1") < 0)
        return -ENOMEM;
    spec.env = (const char *const *) env;
    int r = input ? process_run(&spec, on_child_line, c, &result, err) : -ENOMEM;

    if (r < 0)
        return r;
    failure = cJSON_GetObjectItemCaseSensitive(c->child_answer, "error");
    if (failure)
        return json_to_error(failure, EIO, err);
    ended = process_status_string(result.status, result.timed_out);
    if (!c->child_answer || result.timed_out || result.status != 0)
        return error_set(err, EIO, "check.failed", "asking the registries ended without an answer: %s",
                         ended ? ended : "");
    return 0;
}

/* Whether a new image need not be pulled. */
static int note_here(Deploy *d, cJSON *o)
{
    const char *id = json_string(o, "newImageId");
    _cleanup_(freep) char *found = NULL;

    return id ? json_add_bool(o, "here", podman_image_id(d->box.podman, id, &found, NULL) == 0) : 0;
}

static int take_answers(Deploy *d, Check *c, Error *err)
{
    const cJSON *answers = cJSON_GetObjectItemCaseSensitive(c->child_answer, "images"), *entry;
    cJSON *o = c->images->child;
    int r = 0;

    cJSON_ArrayForEach(entry, c->wanted) {
        _cleanup_(freep) char *key = key_of(entry);
        intptr_t at = key ? (intptr_t) map_get(c->asked, key) : 0;

        if (!key)
            return -ENOMEM;
        if (at > 0)
            r = check_take_answer(o, cJSON_GetArrayItem(answers, (int) at - 1));
        if (r == 0 && at > 0)
            r = note_here(d, o);
        if (r < 0)
            return error_set(err, -r, "check.failed", "asking the registries gave no usable answer for %s",
                             json_string(entry, "image"));
        o = o->next;
    }
    return 0;
}

static int check(Deploy *d, Check *c, const cJSON *request, Error *err)
{
    uint64_t seconds = 0;
    int r = check_request(request, &seconds, err);

    if (r < 0)
        return r;
    c->wanted = cJSON_GetObjectItemCaseSensitive(request, "images");
    c->asked = map_new(NULL);
    c->images = cJSON_CreateArray();
    c->child_request = cJSON_CreateObject();
    if (!c->asked || !c->images || json_add_item(c->child_request, "images", cJSON_CreateArray()) < 0 ||
        json_add_int(c->child_request, "timeoutSeconds", (int) seconds) < 0)
        return error_set(err, ENOMEM, "check.failed", "no memory");
    /* a broken mgmt-agent.env is reported by `env` */
    (void) box_try_env(&d->box);
    r = box_open_podman(&d->box, err);
    if (r == 0)
        r = list_images(d, c, err);
    if (r == 0 && map_size(c->asked) > 0)
        r = run_child(d, c, seconds, err);
    return r == 0 ? take_answers(d, c, err) : r;
}

static int add_figures(cJSON *o, Check *c)
{
    const cJSON *requests = cJSON_GetObjectItemCaseSensitive(c->child_answer, "requests");
    const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(c->child_answer, "bytes");

    if (json_add_item(o, "images", TAKE_PTR(c->images)) < 0 ||
        json_add_int(o, "requests", cJSON_IsNumber(requests) ? requests->valueint : 0) < 0 ||
        json_add_int(o, "bytes", cJSON_IsNumber(bytes) ? bytes->valueint : 0) < 0)
        return -ENOMEM;
    return json_add_int(o, "milliseconds", (int) ((boottime_usec() - c->began) / USEC_PER_MSEC));
}

int job_check(Deploy *d, const cJSON *request)
{
    _cleanup_(check_done) Check c = { .began = boottime_usec() };
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    int r = check(d, &c, request, &err);

    if (!o || json_add_string(o, "type", "worker.check") < 0 ||
        (r < 0 ? json_add_item(o, "error", json_from_error(&err, r)) : add_figures(o, &c)) < 0)
        return 1;
    report_emit(o);
    return r < 0;
}

/* SPDX-License-Identifier: MIT */
/* See api-rollouts-start.h. */
#include "gateway/rollouts/api-rollouts-start.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/http/compose-body.h"
#include "gateway/http/label-scope.h"
#include "gateway/http/order-body.h"
#include "gateway/http/project-body.h"
#include "gateway/rollouts/api-rollouts.h"
#include "gateway/rollouts/rollout-groups.h"
#include "gateway/rollouts/rollout-plan.h"
#include "gateway/rollouts/rollouts.h"
#include "gateway/store/devices-table.h"
#include "gateway/store/rollouts-table.h"
#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/data/agent-update.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"
#include "lib/data/release-manifest.h"

#define HALT_AT_DEFAULT "2%"
#define SOAK_DEFAULT 600
#define SOAK_MAX (30 * 86400)
#define PARALLEL_DEFAULT 50
#define OFFLINE_AFTER_DEFAULT 120
#define OFFLINE_AFTER_MAX 86400
#define IMAGE_SIZE_MAX 255
#define SERVICE_SIZE_MAX 128
#define ID_DIGITS 8

typedef struct Start {
    char id[sizeof("r-") + ID_DIGITS];
    RolloutGroups groups;
    char *labels, *envelope;
    const char *compose, *image, *service, *target, *reason, *project; /* borrowed from the body */
    const char *bound;  /* labels that its operator is bound to, or NULL; borrowed */
    const char *digest; /* of the image, or of the files that come with the compose file; the same */
    char sha256[SHA256_HEX_SIZE];
    unsigned halt_at;
    uint64_t soak, parallel, offline_after, confirm_deadline;
} Start;

static void start_free(void *scratch)
{
    Start *s = scratch;
    rollout_groups_done(&s->groups);
    free(s->labels);
    free(s->envelope);
    free(s);
}

static void fail(Request *c, int r, Error *err)
{
    request_fail(c, r, err);
    error_done(err);
}

static bool is_image(const char *text)
{
    size_t len = text ? strlen(text) : 0;
    return len > 0 && len <= IMAGE_SIZE_MAX && text[0] != '-' &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/:") == len;
}

static bool is_digest(const char *text)
{
    const char *hex = text && str_starts(text, "sha256:") ? text + strlen("sha256:") : "";
    return strlen(hex) == SHA256_HEX_SIZE - 1 && strspn(hex, "0123456789abcdef") == SHA256_HEX_SIZE - 1;
}

static int read_update(const cJSON *body, Start *s, Error *err)
{
    s->image = json_string(body, "image");
    s->digest = json_string(body, "digest");
    s->service = json_string(body, "service");
    s->compose = "";
    if (!is_image(s->image))
        return error_set_at(err, EINVAL, "rollout.bad-image", NULL, 0, "image",
                            "\"image\" must be the image's name as the compose files have it, without a digest");
    if (!is_digest(s->digest))
        return error_set_at(err, EINVAL, "rollout.bad-digest", NULL, 0, "digest",
                            "\"digest\" must be sha256: and 64 hexadecimal digits, as the registry tells it");
    if (s->service && (s->service[0] == '\0' || strlen(s->service) > SERVICE_SIZE_MAX))
        return error_set_at(err, EINVAL, "rollout.bad-service", NULL, 0, "service",
                            "\"service\" must be the name of a service");
    return 0;
}

static int read_agent(const cJSON *body, Start *s, Error *err)
{
    s->compose = "";
    s->target = json_string(body, "agent");
    if (cJSON_HasObjectItem(body, "image") || cJSON_HasObjectItem(body, "compose"))
        return error_set(err, EINVAL, "rollout.two-things",
                         "a rollout brings an image, a compose file, or the agents' packages, not several of them");
    return agent_update_is_version(s->target)
               ? 0
               : error_set_at(err, EINVAL, "agent-update.bad-version", NULL, 0, "agent",
                              "\"agent\" must be the version of a package, like 1.2.0 or 1.2.0-1");
}

static int read_release(const cJSON *body, const Bundles *bundles, Start *s, Error *err)
{
    s->compose = "";
    s->target = json_string(body, "release");
    if (cJSON_HasObjectItem(body, "image") || cJSON_HasObjectItem(body, "compose") ||
        cJSON_HasObjectItem(body, "agent"))
        return error_set(err, EINVAL, "rollout.two-things",
                         "a rollout brings an image, a compose file, a release or packages, not several of them");
    if (!release_version_is_valid(s->target))
        return error_set_at(err, EINVAL, "release.bad-version", NULL, 0, "release",
                            "\"release\" must be the version of a release, like 1.2.0");
    int r = bundles_check_release(bundles, cJSON_GetObjectItemCaseSensitive(body, "bundle"), &s->digest, err);
    return r >= 0 && !s->digest ? error_set_at(err, EINVAL, "bundle.bad-digest", NULL, 0, "bundle",
                                               "\"bundle\" must name the archive of the release")
                                : r;
}

static int read_compose(const cJSON *body, const Bundles *bundles, Start *s, Error *err)
{
    if (cJSON_HasObjectItem(body, "image") || cJSON_HasObjectItem(body, "digest"))
        return error_set(err, EINVAL, "rollout.two-things", "a rollout brings an image or a compose file, not both");
    int r = compose_body_check(body, &s->compose, err);
    if (r < 0)
        return r;
    r = bundles_check(bundles, cJSON_GetObjectItemCaseSensitive(body, "bundle"), &s->digest, err);
    if (r < 0)
        return r;
    r = bundle_snapshot_digest(s->compose, s->digest, s->sha256);
    return r < 0 ? error_from_errno(err, r, "starting a rollout") : 0;
}

static int read_what(const cJSON *body, const Bundles *bundles, Start *s, Error *err)
{
    int r = project_body_read(body, &s->project, err);
    if (r < 0)
        return r;
    if (s->project && !cJSON_HasObjectItem(body, "compose"))
        return error_set_at(err, EINVAL, "rollout.bad-project", NULL, 0, "project",
                            "\"project\" belongs to a compose file: images, agents and releases are the boxes' own");
    if (cJSON_HasObjectItem(body, "release"))
        return read_release(body, bundles, s, err);
    if (cJSON_HasObjectItem(body, "agent"))
        return read_agent(body, s, err);
    return cJSON_HasObjectItem(body, "compose") ? read_compose(body, bundles, s, err) : read_update(body, s, err);
}

static int read_number(const cJSON *body, const char *key, uint64_t min, uint64_t max, uint64_t fallback, uint64_t *ret,
                       Error *err)
{
    *ret = fallback;
    if (json_u64(body, key, ret) == -EINVAL || *ret < min || *ret > max)
        return error_set_at(err, EINVAL, "rollout.bad-number", NULL, 0, key, "%s must be from %" PRIu64 " to %" PRIu64,
                            key, min, max);
    return 0;
}

static int read_share(const cJSON *body, Start *s, Error *err)
{
    const char *text = json_string(body, "haltAt");
    if (cJSON_HasObjectItem(body, "haltAt") && !text)
        text = "";
    if (rollout_share_parse(text ? text : HALT_AT_DEFAULT, &s->halt_at) < 0)
        return error_set_at(err, EINVAL, "rollout.bad-share", NULL, 0, "haltAt",
                            "haltAt must be a share like 2%% or 0.5%%, at most 100%%");
    return 0;
}

static int read_labels(const cJSON *body, Start *s, Error *err)
{
    const cJSON *item, *labels = cJSON_GetObjectItemCaseSensitive(body, "labels");
    bool good = !labels || cJSON_IsObject(labels);
    cJSON_ArrayForEach(item, labels) {
        good = good && cJSON_IsString(item);
    }
    if (!good)
        return error_set_at(err, EINVAL, "rollout.bad-labels", NULL, 0, "labels", "labels must be an object of texts");
    _cleanup_(cJSON_Deletep) cJSON *narrowed = labels ? cJSON_Duplicate(labels, true) : cJSON_CreateObject();
    int r = narrowed ? label_scope_narrow(s->bound, narrowed, err) : -ENOMEM;
    s->labels = r >= 0 ? json_print(narrowed) : NULL;
    return r < 0 ? r : s->labels ? 0 : -ENOMEM;
}

static int read_settings(const cJSON *body, Start *s, Error *err)
{
    const char *groups = json_string(body, "groups");
    int r = rollout_groups_parse(groups ? groups : ROLLOUT_GROUPS_DEFAULT, &s->groups, err);
    if (r >= 0)
        r = read_share(body, s, err);
    if (r >= 0)
        r = read_labels(body, s, err);
    if (r >= 0)
        r = read_number(body, "soakSeconds", 0, SOAK_MAX, SOAK_DEFAULT, &s->soak, err);
    if (r >= 0)
        r = read_number(body, "parallel", 1, ROLLOUT_PARALLEL_MAX, PARALLEL_DEFAULT, &s->parallel, err);
    if (r >= 0)
        r = read_number(body, "offlineAfterSeconds", 1, OFFLINE_AFTER_MAX, OFFLINE_AFTER_DEFAULT, &s->offline_after,
                        err);
    if (r >= 0)
        r = read_number(body, "confirmDeadlineSeconds", CONFIRM_SECONDS_MIN, CONFIRM_SECONDS_MAX,
                        CONFIRM_SECONDS_DEFAULT, &s->confirm_deadline, err);
    s->reason = json_string(body, "reason");
    if (r >= 0 && s->reason && strlen(s->reason) > CHANGE_REASON_MAX)
        r = error_set(err, EINVAL, "request.bad-reason", "the reason may have at most %d bytes", CHANGE_REASON_MAX);
    if (r >= 0 && s->reason && !text_is_plain(s->reason))
        r = error_set(err, EINVAL, "request.bad-reason",
                      "the reason must be one line without control characters and invisible ones");
    return r;
}

/* Names of the groups as a JSON array. */
static char *print_groups(const RolloutGroups *groups)
{
    _cleanup_(cJSON_Deletep) cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < groups->n; i++)
        if (json_append(list, cJSON_CreateString(groups->list[i].name)) < 0)
            return NULL;
    return list ? json_print(list) : NULL;
}

static int add_box(cJSON *list, const RolloutCandidate *box, int position)
{
    cJSON *o = cJSON_CreateObject();
    if (json_append(list, o) < 0)
        return -ENOMEM;
    return json_add_string(o, "device", box->id) < 0 || json_add_int(o, "position", position) < 0 ||
                   json_add_int(o, "group", box->group) < 0
               ? -ENOMEM
               : 0;
}

/* Who takes part, as a JSON array, and their names as an array for PostgreSQL; *ret_n how many. */
static int print_boxes(const RolloutCandidate *boxes, size_t n, char **ret, char **ret_devices, size_t *ret_n)
{
    _cleanup_(cJSON_Deletep) cJSON *list = cJSON_CreateArray();
    Buf devices = BUF_INIT(JSON_SIZE_MAX);
    int r = list ? buf_puts(&devices, "{") : -ENOMEM;
    *ret_n = 0;
    for (size_t i = 0; i < n && r >= 0; i++) {
        if (boxes[i].group < 0)
            continue;
        r = add_box(list, &boxes[i], (int) i);
        if (r >= 0)
            r = buf_printf(&devices, "%s%s", *ret_n > 0 ? "," : "", boxes[i].id);
        ++*ret_n;
    }
    if (r >= 0)
        r = buf_puts(&devices, "}");
    *ret = r >= 0 ? json_print(list) : NULL;
    *ret_devices = buf_take(&devices);
    return *ret && *ret_devices ? 0 : -ENOMEM;
}

static void on_started(Request *c, const StoreRows *rows)
{
    const RolloutsApi *api = c->module;
    const Start *s = c->scratch;
    Error err = {};
    const char *busy = store_rows_get(rows, 0, 1);
    if (store_rows_get(rows, 0, 0)) {
        c->args[0] = strdup(s->id);
        if (!c->args[0]) {
            request_fail(c, -ENOMEM, NULL);
            return;
        }
        rollouts_reload(api->rollouts);
        api_rollout_answer(c, 201);
        return;
    }
    if (busy)
        error_set(&err, EBUSY, "rollout.busy",
                  "rollout %s of the same is still open for some of these boxes: wait for its end, or abort it", busy);
    else
        error_set(&err, EBUSY, "rollout.too-many",
                  "%d rollouts are open already: wait for the end of one, or abort one", ROLLOUTS_OPEN_MAX);
    fail(c, -EBUSY, &err);
}

static void store(Request *c, const Start *s, const char *boxes, const char *devices, const char *groups)
{
    const NewRollout rollout = {
        .id = s->id,
        .image = s->image,
        .digest = s->digest,
        .service = s->service,
        .target = s->target,
        .envelope = s->envelope,
        .project = s->project,
        .compose = s->compose,
        .sha256 = s->sha256,
        .labels = s->labels,
        .groups = groups,
        .boxes = boxes,
        .devices = devices,
        .halt_at = s->halt_at,
        .soak_seconds = s->soak,
        .parallel = s->parallel,
        .offline_after = s->offline_after,
        .confirm_deadline = s->confirm_deadline,
        .open_max = ROLLOUTS_OPEN_MAX,
        .actor = c->actor,
        .reason = s->reason,
    };
    request_query(c, sql_rollout_add(&rollout), on_started);
}

static void on_candidates(Request *c, const StoreRows *rows)
{
    const Start *s = c->scratch;
    size_t n = store_rows_count(rows), taking_part = 0;
    _cleanup_(freep) RolloutCandidate *boxes = calloc(n + 1, sizeof(*boxes));
    _cleanup_(cJSON_Deletep) cJSON *labels = cJSON_CreateArray();
    int r = boxes && labels ? 0 : -ENOMEM;
    for (size_t i = 0; i < n && r >= 0; i++) {
        const char *text = store_rows_get(rows, i, 1);
        cJSON *parsed = NULL;
        r = json_parse_object(text, strlen(text), &parsed, NULL);
        if (r >= 0)
            r = json_append(labels, parsed);
        boxes[i] = (RolloutCandidate) { .id = store_rows_get(rows, i, 0), .labels = parsed };
    }
    if (r >= 0)
        r = rollout_assign(&s->groups, s->id, boxes, n);
    _cleanup_(freep) char *list = NULL, *devices = NULL, *groups = print_groups(&s->groups);
    if (r >= 0)
        r = print_boxes(boxes, n, &list, &devices, &taking_part);
    if (r >= 0 && !groups)
        r = -ENOMEM;
    if (r < 0) {
        request_fail(c, r, NULL);
        return;
    }
    if (taking_part == 0) {
        Error err = {};
        error_set(&err, EBADMSG, "rollout.no-boxes",
                  "no box belongs to this rollout: look at its labels and groups, and whether one was ever claimed");
        fail(c, -EBADMSG, &err);
        return;
    }
    store(c, s, list, devices, groups);
}

static void start(Request *c)
{
    const RolloutsApi *api = c->module;
    Error err = {};
    char random[RANDOM_ID_SIZE];
    const cJSON *body = request_parse_body(c);
    if (!body)
        return;
    Start *s = calloc(1, sizeof(*s));
    if (!s || random_id(random) < 0) {
        free(s);
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    c->scratch = s;
    c->scratch_free = start_free;
    s->bound = c->labels;
    snprintf(s->id, sizeof(s->id), "r-%.*s", ID_DIGITS, random);
    int r = read_what(body, api->bundles, s, &err);
    if (r >= 0)
        r = read_settings(body, s, &err);
    if (r >= 0)
        r = order_body_read(body, &s->envelope, &err);
    if (r < 0) {
        fail(c, r, &err);
        return;
    }
    request_query(c, sql_devices_labelled(s->labels), on_candidates);
}

const Route rollout_start_routes[] = {
    { "POST", "/v1/rollouts", ACCESS_DEPLOY, start, "start a rollout" },
    {},
};

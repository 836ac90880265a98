/* SPDX-License-Identifier: MIT */
/* How a round goes from step to step: look, ask, replace, look again. */

#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/image-watch-impl.h"
#include "mgmt-agent/state/failed-images.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/state/watch-labels.h"

static void on_worker_message(Runner *r, const cJSON *message, void *userdata)
{
    Watch *w = userdata;

    (void) r;
    if (str_equal(json_string(message, "type"), "compose.progress")) {
        if (json_string(message, "message"))
            log_info("[image-update] %s", json_string(message, "message"));
        return;
    }
    cJSON_Delete(w->answer);
    w->answer = cJSON_Duplicate(message, 1);
}

static void start_job(Watch *w, RoundStep step, const char *job, cJSON *request, runner_done_t on_done)
{
    _cleanup_(cJSON_Deletep) cJSON *owned = request;
    _cleanup_(error_done) Error err = {};
    int r;

    w->round.step = step;
    cJSON_Delete(w->answer);
    w->answer = NULL;
    r = owned ? runner_start(w->agent->event, &w->agent->runner_options, job, owned, on_worker_message, on_done, w,
                             &w->runner, &err)
              : -ENOMEM;
    if (r == 0)
        return;
    log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "Cannot start the job '%s'", job);
    on_done(NULL, 0, -1, w);
}

static void end_round(Watch *w)
{
    Round ended = w->round;
    _cleanup_(cJSON_Deletep) cJSON *report = ended.asker ? watch_make_report(w, ended.id, ended.results) : NULL;

    w->round = (Round) {};
    if (report)
        control_send(ended.asker, report);
    round_done(&ended);
    watch_arm(w);
}

static void on_after_done(Runner *r, int ok, int exit_status, void *userdata)
{
    Watch *w = userdata;

    (void) r;
    (void) ok;
    (void) exit_status;
    w->runner = runner_free(w->runner);
    end_round(w);
}

static cJSON *names_to_json(char *const *names)
{
    _cleanup_(cJSON_Deletep) cJSON *array = cJSON_CreateArray();
    int r = array ? 0 : -ENOMEM;

    for (; r == 0 && names && *names; names++)
        r = json_append(array, cJSON_CreateString(*names));
    return r < 0 ? NULL : TAKE_PTR(array);
}

static bool has_hook(const cJSON *service, WatchHook h)
{
    _cleanup_(watch_labels_done) WatchLabels l = {};

    return watch_labels_read(cJSON_GetObjectItemCaseSensitive(service, "labels"), &l) == 0 && l.hooks[h];
}

/* Names of the services of this round that have the hook; NULL when none has. */
static cJSON *services_with_hook(const Watch *w, WatchHook h)
{
    _cleanup_(cJSON_Deletep) cJSON *current = NULL;
    _cleanup_(strv_freep) char **names = NULL;
    const cJSON *service;

    if (store_load_current(&current, NULL) < 0)
        return NULL;
    cJSON_ArrayForEach(service, cJSON_GetObjectItemCaseSensitive(current, "services")) {
        const char *name = json_string(service, "name");
        const cJSON *entry = watch_state_entry(&w->state, name);

        if (name && round_includes(&w->round, name) && !str_equal(json_string(entry, "source"), "no") &&
            has_hook(service, h) && strv_add(&names, name) < 0)
            return NULL;
    }
    return names ? names_to_json(names) : NULL;
}

static void start_after(Watch *w)
{
    cJSON *names = w->round.ask ? services_with_hook(w, HOOK_POST_CHECK) : NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = names ? cJSON_CreateObject() : NULL;

    if (!names || json_add_item(request, "services", names) < 0 ||
        json_add_string(request, "hook", watch_hook_to_string(HOOK_POST_CHECK)) < 0) {
        end_round(w);
        return;
    }
    start_job(w, ROUND_AFTER, "inspect", TAKE_PTR(request), on_after_done);
}

static int add_image(const Watch *w, cJSON *images, const char *service)
{
    const cJSON *entry = watch_state_entry(&w->state, service);
    cJSON *image = cJSON_CreateObject();
    bool by_hand = json_bool(entry, "byHand", false);

    return json_append(images, image) < 0 || json_add_string(image, "service", service) < 0 ||
                   json_add_string(image, "digest", by_hand ? NULL : json_string(entry, "digest")) < 0 ||
                   json_add_string(image, "seenAt", json_string(entry, "seenAt")) < 0
               ? -ENOMEM
               : 0;
}

/* A version that no other update of this box has: its containers' old names are made of it. */
static cJSON *make_order(Watch *w)
{
    _cleanup_(freep) char *version = str_format("local-%llu", (unsigned long long) (realtime_usec() / USEC_PER_MSEC));
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("image.update");

    free(w->round.update_id);
    w->round.update_id = version ? str_format("update-%s", version + strlen("local-")) : NULL;
    if (!m || !w->round.update_id || json_add_string(m, "id", w->round.update_id) < 0 ||
        json_add_string(m, "version", version) < 0)
        return NULL;
    return TAKE_PTR(m);
}

/* The tunnel has to come back afterwards, if it is there now: an update can cut the box off as well as a push can. */
static cJSON *make_request(Watch *w, const cJSON *group, usec_t cool_down)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    bool connected = json_bool(w->agent->link_status, "connected", false), by_hand = w->round.order;
    cJSON *images = cJSON_CreateArray();
    const cJSON *service;
    int r = json_add_item(o, "images", images);

    cJSON_ArrayForEach(service, group) {
        const char *name = cJSON_GetStringValue(service);

        by_hand = by_hand || json_bool(watch_state_entry(&w->state, name), "byHand", false);
        if (r == 0)
            r = add_image(w, images, name);
    }
    if (r < 0 || json_add_string(o, "source", "local") < 0 || json_add_item(o, "message", make_order(w)) < 0 ||
        json_add_bool(o, "byConnection", connected) < 0 || json_add_bool(o, "force", w->round.force) < 0 ||
        json_add_u64(o, "coolDownSeconds", by_hand ? 0 : cool_down / USEC_PER_SEC) < 0)
        return NULL;
    return TAKE_PTR(o);
}

static void note_try(Watch *w, const WatchConfig *c, const cJSON *group)
{
    const cJSON *service;

    cJSON_ArrayForEach(service, group) {
        cJSON *entry = watch_state_entry(&w->state, cJSON_GetStringValue(service));

        if (entry && watch_state_note_try(entry, c, realtime_usec()) < 0)
            log_warning("Out of memory noting an update");
    }
}

void watch_next_update(Watch *w)
{
    _cleanup_(watch_config_done) WatchConfig c = {};
    _cleanup_(error_done) Error err = {};

    if (agent_is_busy(w->agent))
        return; /* watch_continue() comes back to it */
    while (cJSON_GetArraySize(w->round.queue) > 0 && watch_refresh(w, &c) == 0) {
        _cleanup_(cJSON_Deletep) cJSON *group = cJSON_DetachItemFromArray(w->round.queue, 0);
        _cleanup_(cJSON_Deletep) cJSON *request = make_request(w, group, c.cool_down);
        int r;

        note_try(w, &c, group);
        if (watch_save(w) < 0) /* or one that takes the agent with it would be begun again at once */
            break;
        watch_config_done(&c);
        r = request ? agent_deploy(w->agent, "update", w->round.update_id, request, NULL, false, &err) : -ENOMEM;
        if (r == 0)
            return;
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "Cannot start an update");
        error_done(&err);
    }
    start_after(w);
}

static const char *skip_reason(const Watch *w, const cJSON *entry)
{
    return json_string(w->round.skipped, json_string(entry, "service"));
}

/* Services with one image get the new one together. */
static cJSON *find_group(const Watch *w, const cJSON *entry)
{
    cJSON *group;

    cJSON_ArrayForEach(group, w->round.queue) {
        const cJSON *first = watch_state_entry(&w->state, cJSON_GetStringValue(cJSON_GetArrayItem(group, 0)));

        if (str_equal(json_string(first, "image"), json_string(entry, "image")) &&
            str_equal(json_string(first, "digest"), json_string(entry, "digest")) &&
            str_equal(json_string(first, "newImageId"), json_string(entry, "newImageId")))
            return group;
    }
    group = cJSON_CreateArray();
    return json_append(w->round.queue, group) == 0 ? group : NULL;
}

static void consider(Watch *w, const WatchConfig *c, cJSON *entry, const cJSON *failed)
{
    const char *service = json_string(entry, "service"), *skipped = skip_reason(w, entry), *why = NULL;
    usec_t at, now = realtime_usec();
    WatchVerdict verdict = watch_decide(c, entry, failed, w->round.order, now, &at, &why);
    cJSON *group;

    if (verdict != WATCH_TAKE) {
        if (why)
            log_info("[image-update] service %s has a new image, which is not taken: %s", service, why);
        return;
    }
    if (skipped) {
        log_info("[image-update] service %s has a new image, which is not taken now: %s", service, skipped);
        if (watch_state_note_try(entry, c, now) < 0)
            log_warning("Out of memory noting an update");
        return;
    }
    group = find_group(w, entry);
    if (!group || json_append(group, cJSON_CreateString(service)) < 0)
        log_warning("Out of memory planning updates");
}

static void decide(Watch *w)
{
    _cleanup_(watch_config_done) WatchConfig c = {};
    _cleanup_(cJSON_Deletep) cJSON *failed = NULL;
    cJSON *entry;

    w->round.step = ROUND_UPDATE;
    w->round.queue = cJSON_CreateArray();
    if (w->round.queue && failed_load(&failed, NULL) == 0 && watch_refresh(w, &c) == 0)
        cJSON_ArrayForEach(entry, w->state.entries)
            /* a look alone takes only what somebody has brought by hand */
            if (round_includes(&w->round, json_string(entry, "service")) &&
                (w->round.ask || json_bool(entry, "byHand", false) || str_equal(json_string(entry, "source"), "local")))
                consider(w, &c, entry, failed);
    (void) watch_save(w);
    watch_next_update(w);
}

/* Not one of them could be asked. */
static void note_check_failed(Watch *w, const WatchConfig *c)
{
    static const char silent[] = "{\"id\":\"worker.failed\",\"message\":\"the worker ended without an answer\"}";
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(w->answer, "error");
    _cleanup_(cJSON_Deletep) cJSON *answer = cJSON_CreateObject();
    cJSON *entry;

    if (!answer || json_add_string(answer, "state", "unknown") < 0 || json_add_bool(answer, "later", true) < 0 ||
        json_add_item(answer, "error", error ? cJSON_Duplicate(error, 1) : cJSON_Parse(silent)) < 0)
        return;
    log_warning("[image-update] the registries could not be asked: %s",
                error ? json_string(error, "message") : "no answer");
    cJSON_ArrayForEach(entry, w->state.entries)
        if (round_includes(&w->round, json_string(entry, "service")) &&
            str_equal(json_string(entry, "source"), "registry") &&
            watch_state_note_check(entry, c, answer, realtime_usec()) < 0)
            return;
}

static void note_check(Watch *w, const WatchConfig *c, const cJSON *image)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(image, "error");
    cJSON *entry = watch_state_entry(&w->state, json_string(image, "service"));

    if (!entry)
        return;
    if (error)
        log_line(json_bool(image, "later", false) ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, NULL,
                 "[image-update] %s: %s [%s]", json_string(image, "image"), json_string(error, "message"),
                 json_string(error, "id"));
    if (watch_state_note_check(entry, c, image, realtime_usec()) < 0)
        log_warning("Out of memory noting what a registry said");
}

static void on_check_done(Runner *r, int ok, int exit_status, void *userdata)
{
    Watch *w = userdata;
    const cJSON *images = cJSON_GetObjectItemCaseSensitive(w->answer, "images"), *image;
    _cleanup_(watch_config_done) WatchConfig c = {};

    (void) r;
    (void) ok;
    (void) exit_status;
    w->runner = runner_free(w->runner);
    if (watch_refresh(w, &c) == 0) {
        if (!images)
            note_check_failed(w, &c);
        cJSON_ArrayForEach(image, images)
            note_check(w, &c, image);
    }
    decide(w);
}

static cJSON *images_to_check(Watch *w)
{
    _cleanup_(cJSON_Deletep) cJSON *images = cJSON_CreateArray();
    const cJSON *entry;
    int r = images ? 0 : -ENOMEM;

    cJSON_ArrayForEach(entry, w->state.entries) {
        cJSON *image;

        if (r < 0 || !round_includes(&w->round, json_string(entry, "service")) ||
            !str_equal(json_string(entry, "source"), "registry"))
            continue;
        image = cJSON_CreateObject();
        r = json_append(images, image);
        if (r == 0 && (json_add_string(image, "service", json_string(entry, "service")) < 0 ||
                       json_add_string(image, "image", json_string(entry, "image")) < 0 ||
                       json_add_string(image, "imageId", json_string(entry, "imageId")) < 0))
            r = -ENOMEM;
    }
    return r < 0 ? NULL : TAKE_PTR(images);
}

static void start_check(Watch *w)
{
    cJSON *images = w->round.ask ? images_to_check(w) : NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    int n = cJSON_GetArraySize(images);

    if (w->round.all) {
        w->state.last_check = realtime_usec();
        random_bytes(&w->random, sizeof(w->random));
    }
    if (json_add_item(request, "images", images ? images : cJSON_CreateArray()) < 0 || n == 0) {
        decide(w);
        return;
    }
    start_job(w, ROUND_CHECK, "check", TAKE_PTR(request), on_check_done);
}

static void on_inspect_done(Runner *r, int ok, int exit_status, void *userdata)
{
    Watch *w = userdata;
    _cleanup_(watch_config_done) WatchConfig c = {};

    (void) r;
    (void) ok;
    (void) exit_status;
    w->runner = runner_free(w->runner);
    if (watch_refresh(w, &c) < 0 || !cJSON_GetObjectItemCaseSensitive(w->answer, "services")) {
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(w->answer, "error");

        if (error)
            log_warning("[image-update] podman cannot be asked: %s", json_string(error, "message"));
        if (w->round.all) /* and not again at once */
            w->state.last_check = realtime_usec();
        start_after(w);
        return;
    }
    watch_take_inspection(w, w->answer);
    start_check(w);
}

void watch_begin(Watch *w, Round *r)
{
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    cJSON *names;

    w->round = *r;
    *r = (Round) {};
    w->manual_changes_seen = 0;
    w->round.skipped = cJSON_CreateObject();
    w->round.results = cJSON_CreateArray();
    if (cJSON_GetArraySize(w->state.entries) == 0) { /* nothing was ever deployed */
        w->state.last_check = w->round.all ? realtime_usec() : w->state.last_check;
        end_round(w);
        return;
    }
    names = w->round.ask ? services_with_hook(w, HOOK_PRE_CHECK) : NULL;
    if (names && (json_add_item(request, "hooked", names) < 0 ||
                  json_add_string(request, "hook", watch_hook_to_string(HOOK_PRE_CHECK)) < 0))
        return end_round(w);
    start_job(w, ROUND_INSPECT, "inspect", TAKE_PTR(request), on_inspect_done);
}

/* SPDX-License-Identifier: MIT */
/* How a round goes from step to step: look, ask, replace, look again. */

#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/image-watch-impl.h"
#include "mgmt-agent/state/watch-labels.h"
#include "mgmt-agent/state/worker-request.h"

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
    r = owned ? json_add_string(owned, WORKER_PROJECT, w->project) : -ENOMEM;
    if (r == 0)
        r = runner_start(w->agent->event, &w->agent->runner_options, job, owned, on_worker_message, on_done, w,
                         &w->runner, &err);
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
    agent_arm_watches(w->agent);
}

static void on_after_done(Runner *r, int ok, int exit_status, void *userdata)
{
    Watch *w = userdata;
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(w->project);

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

static bool has_hook(const CurrentService *s, WatchHook h)
{
    _cleanup_(watch_labels_done) WatchLabels l = {};

    return watch_labels_read(s->labels, &l) == 0 && l.hooks[h];
}

/* Names of the services of this round that have the hook; NULL when none has. */
static cJSON *services_with_hook(const Watch *w, WatchHook h)
{
    _cleanup_(current_freep) Current *current = NULL;
    _cleanup_(strv_freep) char **names = NULL;

    if (current_load(&current, NULL) < 0)
        return NULL;
    for (size_t i = 0; current && i < current->n_services; i++) {
        const char *name = current->services[i].name;
        const WatchEntry *e = watch_state_entry(&w->state, name);

        if (e && round_includes(&w->round, name) && e->source != WATCH_NOT && has_hook(&current->services[i], h) &&
            strv_add(&names, name) < 0)
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

static int add_image(const Watch *w, cJSON *images, const char *service, usec_t cool_down)
{
    const WatchEntry *e = watch_state_entry(&w->state, service);
    char at[TIMESTAMP_SIZE];
    usec_t seen_at;

    if (!e)
        return 0;
    const char *digest = watch_entry_pick(e, w->state.halted, cool_down, realtime_usec(), &seen_at);
    cJSON *image = cJSON_CreateObject();
    return json_append(images, image) < 0 || json_add_string(image, "service", service) < 0 ||
                   json_add_string(image, "digest", digest) < 0 ||
                   (seen_at > 0 && json_add_string(image, "seenAt", timestamp_format(seen_at, at)) < 0)
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
        const WatchEntry *e = watch_state_entry(&w->state, name);

        by_hand = by_hand || (e && e->by_hand);
        if (r == 0)
            r = add_image(w, images, name, w->round.order ? 0 : cool_down);
    }
    if (r < 0 || json_add_string(o, WORKER_PROJECT, w->project) < 0 || json_add_string(o, "source", "local") < 0 ||
        json_add_item(o, "message", make_order(w)) < 0 || json_add_bool(o, "byConnection", connected) < 0 ||
        json_add_bool(o, "force", w->round.force) < 0 ||
        json_add_u64(o, "coolDownSeconds", by_hand ? 0 : cool_down / USEC_PER_SEC) < 0)
        return NULL;
    return TAKE_PTR(o);
}

static void note_try(Watch *w, const WatchConfig *c, const cJSON *group)
{
    const cJSON *service;

    cJSON_ArrayForEach(service, group) {
        WatchEntry *e = watch_state_entry(&w->state, cJSON_GetStringValue(service));

        if (e)
            watch_entry_note_try(e, c, realtime_usec());
    }
}

/* Those of a group that may still be replaced: the one before it may have lasted until after the window. */
static cJSON *still_due(const Watch *w, const WatchConfig *c, const cJSON *group)
{
    _cleanup_(cJSON_Deletep) cJSON *due = cJSON_CreateArray();
    _cleanup_(failed_done) FailedImages failed = {};
    const cJSON *item;

    failed_load(&failed);
    cJSON_ArrayForEach(item, group) {
        const char *service = cJSON_GetStringValue(item), *why = NULL;
        const WatchEntry *e = watch_state_entry(&w->state, service);
        usec_t at;

        if (!e)
            continue;
        if (watch_decide(c, e, &failed, w->round.order, realtime_usec(), &at, &why) != WATCH_TAKE)
            log_info("[image-update] service %s has a new image, which is not taken any more: %s", service,
                     why ? why : "it runs already");
        else if (json_append(due, cJSON_CreateString(service)) < 0)
            return NULL;
    }
    return TAKE_PTR(due);
}

void watch_next_update(Watch *w)
{
    _cleanup_(watch_config_done) WatchConfig c = {};
    _cleanup_(error_done) Error err = {};

    if (agent_is_busy(w->agent))
        return; /* watch_continue() comes back to it */
    while (cJSON_GetArraySize(w->round.queue) > 0 && watch_refresh(w, &c) == 0) {
        _cleanup_(cJSON_Deletep) cJSON *planned = cJSON_DetachItemFromArray(w->round.queue, 0);
        _cleanup_(cJSON_Deletep) cJSON *group = still_due(w, &c, planned);
        _cleanup_(cJSON_Deletep) cJSON *request = NULL;
        int r;

        if (cJSON_GetArraySize(group) == 0) {
            watch_config_done(&c);
            continue;
        }
        request = make_request(w, group, c.cool_down);
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

/* Services with one image get the new one together. */
static cJSON *find_group(const Watch *w, const WatchEntry *e)
{
    cJSON *group;

    cJSON_ArrayForEach(group, w->round.queue) {
        const WatchEntry *first = watch_state_entry(&w->state, cJSON_GetStringValue(cJSON_GetArrayItem(group, 0)));

        if (first && watch_entry_has_same_news(first, e))
            return group;
    }
    group = cJSON_CreateArray();
    return json_append(w->round.queue, group) == 0 ? group : NULL;
}

static void consider(Watch *w, const WatchConfig *c, WatchEntry *e, const FailedImages *failed)
{
    const char *service = e->service, *skipped = json_string(w->round.skipped, service), *why = NULL;
    usec_t at, now = realtime_usec();
    WatchVerdict verdict = watch_decide(c, e, failed, w->round.order, now, &at, &why);
    cJSON *group;

    if (verdict != WATCH_TAKE) {
        if (why)
            log_info("[image-update] service %s has a new image, which is not taken: %s", service, why);
        return;
    }
    if (skipped) {
        log_info("[image-update] service %s has a new image, which is not taken now: %s", service, skipped);
        watch_entry_note_skipped(e, c, skipped, now);
        return;
    }
    group = find_group(w, e);
    if (!group || json_append(group, cJSON_CreateString(service)) < 0)
        log_warning("Out of memory planning updates");
}

static void decide(Watch *w)
{
    _cleanup_(watch_config_done) WatchConfig c = {};
    _cleanup_(failed_done) FailedImages failed = {};
    bool ready;

    w->round.step = ROUND_UPDATE;
    w->round.queue = cJSON_CreateArray();
    failed_load(&failed);
    ready = w->round.queue && watch_refresh(w, &c) == 0;
    for (size_t i = 0; ready && i < w->state.n_entries; i++) {
        WatchEntry *e = &w->state.entries[i];

        /* a look alone takes only what somebody has brought by hand */
        if (round_includes(&w->round, e->service) && (w->round.ask || e->by_hand || e->source == WATCH_LOCAL))
            consider(w, &c, e, &failed);
    }
    (void) watch_save(w);
    watch_next_update(w);
}

static bool is_to_check(const Watch *w, const WatchEntry *e)
{
    return round_includes(&w->round, e->service) && e->source == WATCH_REGISTRY &&
           (w->round.order || !watch_is_quiet(e, realtime_usec()));
}

/* Not one of them could be asked. */
static void note_check_failed(Watch *w, const WatchConfig *c)
{
    static const char silent[] = "{\"id\":\"worker.failed\",\"message\":\"the worker ended without an answer\"}";
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(w->answer, "error");
    _cleanup_(cJSON_Deletep) cJSON *answer = cJSON_CreateObject();

    if (!answer || json_add_string(answer, "state", "unknown") < 0 || json_add_bool(answer, "later", true) < 0 ||
        json_add_item(answer, "error", error ? cJSON_Duplicate(error, 1) : cJSON_Parse(silent)) < 0)
        return;
    log_warning("[image-update] the registries could not be asked: %s",
                error ? json_string(error, "message") : "no answer");
    for (size_t i = 0; i < w->state.n_entries; i++)
        if (is_to_check(w, &w->state.entries[i]) &&
            watch_entry_note_check(&w->state.entries[i], c, answer, realtime_usec()) < 0)
            return;
}

static void note_check(Watch *w, const WatchConfig *c, const cJSON *image)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(image, "error");
    WatchEntry *e = watch_state_entry(&w->state, json_string(image, "service"));

    if (!e)
        return;
    if (error)
        log_line(json_bool(image, "later", false) ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, NULL,
                 "[image-update] %s: %s [%s]", json_string(image, "image"), json_string(error, "message"),
                 json_string(error, "id"));
    if (watch_entry_note_check(e, c, image, realtime_usec()) < 0)
        log_warning("Out of memory noting what a registry said");
}

static void on_check_done(Runner *r, int ok, int exit_status, void *userdata)
{
    Watch *w = userdata;
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(w->project);
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
    int r = images ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < w->state.n_entries; i++) {
        const WatchEntry *e = &w->state.entries[i];
        cJSON *image;

        if (!is_to_check(w, e))
            continue;
        image = cJSON_CreateObject();
        r = json_append(images, image);
        if (r == 0 &&
            (json_add_string(image, "service", e->service) < 0 || json_add_string(image, "image", e->image) < 0 ||
             json_add_string(image, "imageId", e->image_id) < 0))
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
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(w->project);
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
    if (w->state.n_entries == 0) { /* nothing was ever deployed */
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

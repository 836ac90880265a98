/* SPDX-License-Identifier: MIT */
/* What was done by hand becomes what the box goes on from: the containers that run are the truth, and current.json follows. */

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/image-watch-impl.h"
#include "mgmt-agent/state/snapshot-store.h"

#define EXIT_NOT_NOW 75

static const cJSON *seen_of(const cJSON *look, const char *service)
{
    const cJSON *seen;

    cJSON_ArrayForEach(seen, cJSON_GetObjectItemCaseSensitive(look, "services"))
        if (str_equal(json_string(seen, "service"), service))
            return seen;
    return NULL;
}

static int take_over(cJSON *service, const cJSON *seen)
{
    static const char *const keys[] = { "id", "imageId", "state", "staticDir", "pid", "startTicks" };

    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(seen, keys[i]);

        cJSON_DeleteItemFromObjectCaseSensitive(service, keys[i]);
        if (value && json_add_item(service, keys[i], cJSON_Duplicate(value, 1)) < 0)
            return -ENOMEM;
    }
    return 0;
}

static bool differs(const cJSON *service, const cJSON *seen, const char *key)
{
    return !str_equal(json_string(service, key), json_string(seen, key));
}

static int note_previous_image(cJSON *service, const cJSON *seen)
{
    const char *image_id = json_string(service, "imageId");
    _cleanup_(freep) char *before = image_id ? strdup(image_id) : NULL;

    if (!differs(service, seen, "imageId"))
        return 0;
    cJSON_DeleteItemFromObjectCaseSensitive(service, "previousImageId");
    return json_add_string(service, "previousImageId", before);
}

/* 1 when there was something. A container that does not run is left to whoever stopped it. */
static int adopt(cJSON *service, const cJSON *seen)
{
    const char *name = json_string(service, "name"), *image = json_string(seen, "imageId");

    if (!str_equal(json_string(seen, "state"), "running") || str_equal(json_string(seen, "startTicks"), "0") ||
        !image ||
        (!differs(service, seen, "id") && !differs(service, seen, "imageId") && !differs(service, seen, "startTicks")))
        return 0;
    if (differs(service, seen, "imageId"))
        log_notice("Service %s was given another image by hand (%.12s); going on from there", name, image);
    else if (differs(service, seen, "id"))
        log_notice("The container of service %s was made anew by hand; going on from there", name);
    else
        log_info("Service %s was started again; going on from there", name);
    return note_previous_image(service, seen) < 0 || take_over(service, seen) < 0 ? -ENOMEM : 1;
}

/* Another change may have begun, or ended, while it was looked: then this look is of the past. */
static void adopt_all(Watch *w, const cJSON *look)
{
    _cleanup_(cJSON_Deletep) cJSON *current = NULL;
    _cleanup_(error_done) Error err = {};
    cJSON *service;
    int r, changed = 0;

    if (agent_is_busy(w->agent) || store_load_current(&current, NULL) < 0 || !current ||
        !str_equal(json_string(current, "id"), w->followed))
        return;
    cJSON_ArrayForEach(service, cJSON_GetObjectItemCaseSensitive(current, "services")) {
        const cJSON *seen = seen_of(look, json_string(service, "name"));

        r = seen ? adopt(service, seen) : 0;
        if (r < 0)
            return;
        changed += r;
    }
    if (changed == 0)
        return;
    r = store_save_current(current, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot write down what was changed by hand");
    manual_changes_follow(w->manual, current);
}

static int skip(Watch *w, const char *service, const char *why)
{
    return json_string(w->round.skipped, service) ? 0 : json_add_string(w->round.skipped, service, why);
}

/* What should run and does not was stopped by somebody; an update would start it again. */
static int inspect_container(Watch *w, cJSON *entry, const cJSON *current, const cJSON *look)
{
    const char *name = json_string(entry, "service");
    const cJSON *seen = seen_of(look, name), *hook = cJSON_GetObjectItemCaseSensitive(seen, "hookStatus"), *service;

    if (!seen)
        return skip(w, name, "its container is not there");
    cJSON_ArrayForEach(service, cJSON_GetObjectItemCaseSensitive(current, "services"))
        if (str_equal(json_string(service, "name"), name) && str_equal(json_string(service, "state"), "running") &&
            !str_equal(json_string(seen, "state"), "running") && skip(w, name, "its container does not run") < 0)
            return -ENOMEM;
    if (cJSON_IsNumber(hook) && hook->valueint == EXIT_NOT_NOW && !w->round.force &&
        skip(w, name, "its pre-check hook says that it is not now to be updated") < 0)
        return -ENOMEM;
    return watch_state_note_inspection(entry, seen, realtime_usec());
}

void watch_take_inspection(Watch *w, const cJSON *look)
{
    _cleanup_(watch_config_done) WatchConfig c = {};
    _cleanup_(cJSON_Deletep) cJSON *current = NULL;
    cJSON *entry;
    int r;

    adopt_all(w, look);
    r = store_load_current(&current, NULL);
    if (r == 0)
        r = watch_load_config(w, &c, NULL);
    if (r == 0)
        r = watch_state_follow(&w->state, &c, current);
    cJSON_ArrayForEach(entry, w->state.entries)
        if (r == 0)
            r = inspect_container(w, entry, current, look);
    if (r < 0)
        log_warning("[image-update] what runs could not be noted: %s", strerror(-r));
}

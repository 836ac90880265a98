/* SPDX-License-Identifier: MIT */
/* What was done by hand becomes what the box goes on from: the containers that run are the truth, and current.json follows. */

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/image-watch-impl.h"
#include "mgmt-agent/agent/service-watch.h"

#define EXIT_NOT_NOW 75

static bool runs(const WatchSample *seen)
{
    return str_equal(seen->state, "running");
}

static int take_over(CurrentService *s, const WatchSample *seen)
{
    if (!str_equal(s->image_id, seen->image_id) &&
        (json_set(&s->previous_image_id, s->image_id) < 0 || json_set(&s->previous_image, s->image) < 0))
        return -ENOMEM;
    s->pid = seen->pid;
    s->start_ticks = seen->start_ticks;
    return json_set(&s->id, seen->id) < 0 || json_set(&s->image_id, seen->image_id) < 0 ||
                   json_set(&s->state, seen->state) < 0 || json_set(&s->static_dir, seen->static_dir) < 0
               ? -ENOMEM
               : 0;
}

/* 1 when there was something. A container that does not run is left to whoever stopped it. */
static int adopt(CurrentService *s, const WatchSample *seen)
{
    bool other_image = !str_equal(s->image_id, seen->image_id), other_container = !str_equal(s->id, seen->id);

    if (!runs(seen) || seen->start_ticks == 0 || !seen->image_id ||
        (!other_container && !other_image && s->start_ticks == seen->start_ticks))
        return 0;
    if (other_image)
        log_notice("Service %s was given another image by hand (%.12s); going on from there", s->name, seen->image_id);
    else if (other_container)
        log_notice("The container of service %s was made anew by hand; going on from there", s->name);
    else
        log_info("Service %s was started again; going on from there", s->name);
    return take_over(s, seen) < 0 ? -ENOMEM : 1;
}

/* Another change may have begun, or ended, while it was looked: then this look is of the past. */
static void adopt_all(Watch *w, const WatchSamples *found)
{
    _cleanup_(current_freep) Current *current = NULL;
    _cleanup_(error_done) Error err = {};
    int r, changed = 0;

    if (agent_is_busy(w->agent) || current_load(&current, NULL) < 0 || !current || !str_equal(current->id, w->followed))
        return;
    for (size_t i = 0; i < current->n_services; i++) {
        const WatchSample *seen = watch_samples_find(found, current->services[i].name);

        r = seen ? adopt(&current->services[i], seen) : 0;
        if (r < 0)
            return;
        changed += r;
    }
    if (changed == 0)
        return;
    r = current_save(current, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot write down what was changed by hand");
    manual_changes_follow(w->manual, current);
}

static int skip(Watch *w, const char *service, const char *why)
{
    return json_string(w->round.skipped, service) ? 0 : json_add_string(w->round.skipped, service, why);
}

/* What somebody has stopped stays so: an update would start it again. A job that has ended since, or a service that crashes, gets
 * the image that may mend it. */
static int inspect_container(Watch *w, WatchEntry *e, const Current *current, const WatchSample *seen, bool named)
{
    const CurrentService *s = current_find(current, e->service);

    if (!seen)
        return skip(w, e->service, "its container is not there");
    if (s && current_service_runs(s) && !runs(seen) &&
        !service_watch_ended_by_itself(agent_services_of(w->agent, w->project), e->service) &&
        skip(w, e->service, "its container does not run") < 0)
        return -ENOMEM;
    if (seen->hook_status == EXIT_NOT_NOW && !w->round.force &&
        skip(w, e->service, "its pre-check hook says that it is not now to be updated") < 0)
        return -ENOMEM;
    return watch_entry_note_inspection(e, seen, named, realtime_usec());
}

static int note_found(Watch *w, const WatchSamples *found, bool named)
{
    _cleanup_(watch_config_done) WatchConfig c = {};
    _cleanup_(current_freep) Current *current = NULL;
    int r = current_load(&current, NULL);

    if (r == 0)
        r = watch_load_config(w, &c, NULL);
    if (r == 0)
        r = watch_state_follow(&w->state, &c, current);
    for (size_t i = 0; r == 0 && i < w->state.n_entries; i++) {
        WatchEntry *e = &w->state.entries[i];

        r = inspect_container(w, e, current, watch_samples_find(found, e->service), named);
    }
    return r;
}

void watch_take_inspection(Watch *w, const cJSON *answer)
{
    _cleanup_(watch_samples_done) WatchSamples found = {};
    int r = watch_samples_read(answer, &found);

    /* an order is about one image: whoever pulls all of them, as a script does every night, has named none */
    size_t pulled = watch_count_pulled(&w->state, &found);
    if (pulled > 1)
        log_notice("[image-update] the names of %zu images mean others than before: that is no order to use them",
                   pulled);
    if (r != -ENOMEM) {
        adopt_all(w, &found);
        r = note_found(w, &found, pulled <= 1);
    }
    if (r < 0)
        log_warning("[image-update] what runs could not be noted: %s", strerror(-r));
}

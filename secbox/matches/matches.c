/* SPDX-License-Identifier: MIT */
#include "secbox/matches/matches.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/event/daemon.h"
#include "secbox/matches/catch-up.h"
#include "secbox/matches/frigate-socket.h"
#include "secbox/matches/heard-until.h"
#include "secbox/matches/match-events.h"
#include "secbox/matches/match-rules.h"
#include "secbox/matches/snapshots.h"

/* How often it is noted up to when all is reported, where there is something new. */
#define SAVE_INTERVAL USEC_PER_MINUTE
/* How soon what could not be written is asked for again; after each time twice as late, since all of it comes again. */
#define RETRY (15 * USEC_PER_SEC)
#define RETRY_MAX (15 * USEC_PER_MINUTE)
/* Frigate tells what it sees before it can be asked for it. */
#define SLACK (10 * USEC_PER_SEC)
/* An object is told a while after it began, and what happened is over when nothing has happened for 40 s: so much of what is
 * reported already is asked for, too. */
#define OVERLAP (2 * USEC_PER_MINUTE)
/* After this long without a word guards are not warned, and somebody has to know. */
#define UNHEARD (30 * USEC_PER_SEC)
/* A car that is parked in the picture is followed for days: no more than this of them is asked for again. */
#define OPEN_MAX USEC_PER_DAY

struct Matches {
    sd_event *event;
    Cameras *cameras;
    Queue *queue;
    const char *device_id;
    char *path;
    void (*on_seen)(const Sighting *s, void *userdata);
    void (*on_picture)(const char *id, const void *data, size_t len, void *userdata);
    void *userdata;
    FrigateSocket *socket;
    CatchUp *catch_up;
    MatchRules *rules;
    Snapshots *snapshots;
    sd_event_source *tick, *save, *retry;
    usec_t heard_until;   /* since 1970 */
    bool news;            /* since that was saved */
    usec_t unheard_since; /* by a clock that never leaps */
    unsigned writing, writings_lost;
    usec_t retry_in; /* the last such time; 0: none since all was written */
    bool retrying;   /* the timer runs */
    bool complained, waits;
};

static void look(Matches *m);
static int on_retry(sd_event_source *source, uint64_t usec, void *userdata);

static void retry_later(Matches *m)
{
    if (m->retrying)
        return;
    m->retry_in = m->retry_in == 0 ? RETRY : m->retry_in < RETRY_MAX / 2 ? 2 * m->retry_in : RETRY_MAX;
    m->retrying = timer_arm(m->event, &m->retry, m->retry_in, on_retry, m) >= 0;
    if (!m->retrying)
        log_warning("what Frigate has seen is not asked for again: no timer");
}

/* What is lost is asked of Frigate again: it has not been reported. */
static void is_lost(Matches *m, int r, const Error *err)
{
    if (!m->complained)
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "what Frigate sees cannot be reported now; it is tried again");
    m->complained = true;
    m->writings_lost++;
    retry_later(m);
}

static void on_written(int r, const Error *err, void *userdata)
{
    Matches *m = userdata;

    m->writing--;
    if (r < 0)
        is_lost(m, r, err);
}

/* Takes what is in `e`. */
static void report(Matches *m, int r, MatchEvent *e)
{
    _cleanup_(error_done) Error err = {};
    const QueueEvent event = { .kind = e->kind, .client_id = e->client_id, .data = e->data, .at = e->at };

    if (r >= 0 && m->queue) {
        r = queue_write(m->queue, &event, on_written, m, NULL, &err);
        m->writing += r >= 0;
    }
    if (r < 0)
        is_lost(m, r, &err);
    match_event_done(e);
}

static void on_sighting(const Sighting *s, void *userdata)
{
    const Matches *m = userdata;

    m->on_seen(s, m->userdata);
}

static void on_settled(const Sighting *s, void *userdata)
{
    Matches *m = userdata;
    MatchEvent e = {};
    int r = match_event_of_sighting(s, m->device_id, &e);

    report(m, r, &e);
}

static const MatchRulesEvents rules_events = { .on_seen = on_sighting, .on_settled = on_settled };

static void on_object(const ObjectNews *o, void *userdata)
{
    Matches *m = userdata;
    int r = match_rules_take(m->rules, o, boottime_usec());

    m->news = true;
    if (r < 0)
        is_lost(m, r, NULL);
    look(m);
}

static void on_review(const ReviewNews *v, void *userdata)
{
    Matches *m = userdata;
    MatchEvent e = {};

    m->news = true;
    if (v->until > 0)
        report(m, match_event_of_review(v, m->device_id, &e), &e);
}

static int on_tick(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    look(userdata);
    return 0;
}

/* At what has settled, and again when something else will have. */
static void look(Matches *m)
{
    usec_t now = boottime_usec(), next = match_rules_tick(m->rules, now);

    if (next == USEC_INFINITY)
        timer_disarm(m->tick);
    else if (timer_arm(m->event, &m->tick, next > now ? next - now : 1, on_tick, m) < 0)
        log_warning("matches are reported late: no timer");
}

/* What is still in the picture is there now, whenever it came. */
static void on_missed_object(const ObjectNews *o, void *userdata)
{
    ObjectNews here = *o;

    if (!o->ended && o->at == 0)
        here.at = realtime_usec();
    on_object(&here, userdata);
}

static const NewsEvents news_events = { .on_object = on_object, .on_review = on_review };

static void on_text(const char *text, size_t len, void *userdata)
{
    _cleanup_(error_done) Error err = {};
    int r = frigate_news_message(text, len, &news_events, userdata, &err);

    if (r < 0)
        log_failure(LOG_LEVEL_DEBUG, NULL, &err, r, "a message of Frigate is passed over");
}

static void ask_for_missed(Matches *m)
{
    if (m->writings_lost > 0)
        match_rules_tell_again(m->rules);
    m->writings_lost = 0;
    m->waits = false;
    usec_t now = realtime_usec(), after = m->heard_until > OVERLAP ? m->heard_until - OVERLAP : 0;
    if (now > after && now - after > HEARD_UNTIL_PAST_MAX)
        after = now - HEARD_UNTIL_PAST_MAX;
    catch_up_start(m->catch_up, after, now + USEC_PER_MINUTE);
}

static void on_open(void *userdata)
{
    Matches *m = userdata;

    log_info("listening to what Frigate sees");
    m->unheard_since = 0;
    cameras_set_unheard(m->cameras, false);
    ask_for_missed(m);
}

static void on_closed(int http_status, const Error *err, void *userdata)
{
    Matches *m = userdata;
    bool up = cameras_frigate(m->cameras) == FRIGATE_UP;

    /* while it is away it is not expected to tell anything */
    if (up && m->unheard_since == 0) {
        log_info("Frigate is not heard: %s", error_message(err, -ECONNRESET));
        m->unheard_since = boottime_usec();
    }
    cameras_set_unheard(m->cameras, up && boottime_usec() - m->unheard_since > UNHEARD);
    cameras_trouble(m->cameras, http_status);
}

static const FrigateSocketEvents socket_events = { .on_open = on_open, .on_text = on_text, .on_closed = on_closed };

/* All of it would come, and nothing could be kept: it is looked again soon, at the queue alone. */
static void wait_for_queue(Matches *m)
{
    if (!m->waits)
        log_info("what Frigate has seen is asked for again when there are a database and a community for it");
    m->waits = true;
    m->retry_in = 0;
    retry_later(m);
}

static int on_retry(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Matches *m = userdata;

    m->retrying = false;
    /* without a connection the next opening asks; while it is being asked on_save sees to it */
    if (m->writings_lost == 0 || !frigate_socket_is_open(m->socket) || catch_up_is_running(m->catch_up))
        return 0;
    if (m->queue && !queue_is_ready(m->queue))
        wait_for_queue(m);
    else
        ask_for_missed(m);
    return 0;
}

static void on_caught_up(int r, int http_status, const Error *err, void *userdata)
{
    Matches *m = userdata;

    if (r >= 0)
        return;
    log_failure(LOG_LEVEL_INFO, NULL, err, r, "what Frigate saw meanwhile is asked for again");
    cameras_trouble(m->cameras, http_status);
    m->writings_lost++;
    retry_later(m);
}

static const CatchUpEvents catch_up_events = { .news = { on_missed_object, on_review }, .on_done = on_caught_up };

/* All that began before is reported. */
static usec_t reported_until(const Matches *m, usec_t now)
{
    usec_t open = match_rules_open_since(m->rules), until = now - SLACK;

    if (open < until)
        until = open > now - OPEN_MAX ? open : now - OPEN_MAX;
    return until;
}

static void save(Matches *m)
{
    _cleanup_(error_done) Error err = {};
    usec_t until = reported_until(m, realtime_usec());

    if (!m->news || m->writing > 0 || m->writings_lost > 0 || !frigate_socket_is_open(m->socket) ||
        catch_up_is_running(m->catch_up) || until <= m->heard_until)
        return;
    int r = heard_until_save(m->path, until, &err);
    if (r < 0) {
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "it is not noted up to when Frigate was heard");
        return;
    }
    m->heard_until = until;
    m->news = false;
    m->complained = false;
    m->retry_in = 0;
}

static int on_save(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Matches *m = userdata;

    save(m);
    if (m->writings_lost > 0)
        retry_later(m);
    return timer_arm(m->event, &m->save, SAVE_INTERVAL, on_save, m);
}

static void on_snapshot(const char *id, const void *data, size_t len, void *userdata)
{
    const Matches *m = userdata;

    m->on_picture(id, data, len, m->userdata);
}

static int make_parts(Matches *m)
{
    Frigate *frigate = cameras_client(m->cameras);
    int r = m->path ? frigate_socket_new(m->event, frigate, &socket_events, m, &m->socket) : -ENOMEM;

    m->catch_up = catch_up_new(frigate, &catch_up_events, m);
    m->rules = match_rules_new(&rules_events, m);
    m->snapshots = snapshots_new(m->event, frigate, on_snapshot, m);
    if (r >= 0 && (!m->catch_up || !m->rules || !m->snapshots))
        r = -ENOMEM;
    return r < 0 ? r : timer_arm(m->event, &m->save, SAVE_INTERVAL, on_save, m);
}

int matches_new(sd_event *event, const MatchesOptions *o, Matches **ret, Error *err)
{
    _cleanup_(matches_freep) Matches *m = calloc(1, sizeof(*m));
    _cleanup_(error_done) Error why = {};
    int r;

    if (!m)
        return error_from_errno(err, -ENOMEM, "cannot listen to Frigate");
    *m = (Matches) { .event = sd_event_ref(event),
                     .cameras = o->cameras,
                     .queue = o->queue,
                     .device_id = o->device_id,
                     .path = path_join(o->state_dir, "matches.json"),
                     .on_seen = o->on_seen,
                     .on_picture = o->on_picture,
                     .userdata = o->userdata,
                     .news = true };
    r = make_parts(m);
    if (r < 0)
        return error_from_errno(err, r, "cannot listen to Frigate");
    m->heard_until = heard_until_load(m->path, realtime_usec());
    /* from the first start on nothing is missed */
    r = heard_until_save(m->path, m->heard_until, &why);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &why, r, "it is not noted up to when Frigate was heard");
    *ret = TAKE_PTR(m);
    return 0;
}

Matches *matches_free(Matches *m)
{
    if (!m)
        return NULL;
    if (m->socket)
        save(m);
    frigate_socket_free(m->socket);
    catch_up_free(m->catch_up);
    snapshots_free(m->snapshots);
    match_rules_free(m->rules);
    sd_event_source_disable_unref(m->tick);
    sd_event_source_disable_unref(m->save);
    sd_event_source_disable_unref(m->retry);
    sd_event_unref(m->event);
    free(m->path);
    free(m);
    return NULL;
}

void matches_cameras_changed(Matches *m)
{
    bool up = cameras_frigate(m->cameras) == FRIGATE_UP;

    frigate_socket_want(m->socket, up);
    if (!up) {
        m->unheard_since = 0;
        cameras_set_unheard(m->cameras, false);
    }
}

void matches_ask_picture(Matches *m, const char *id)
{
    snapshots_ask(m->snapshots, id);
}

/* SPDX-License-Identifier: MIT */
#include "secbox/cameras/cameras.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "secbox/cameras/camera-feed.h"
#include "secbox/cameras/camera-list.h"

#define INTERVAL (30 * USEC_PER_SEC)
/* While Frigate is not well: it may be back soon. */
#define INTERVAL_ILL (5 * USEC_PER_SEC)
#define HEIGHT_USUAL 360

struct Cameras {
    sd_event *event;
    HttpClient *http;
    Frigate *frigate;
    CameraFeeds feeds;
    sd_event_source *timer;
    HttpCall *call;
    usec_t interval;
    FrigateState state;
    char *why; /* a sentence; NULL: it is up, or was not asked */
    CameraList list;
    bool unheard;
    bool logs_in_anew; /* since it was up last: a token that is refused at once is no old one */
    void (*on_change)(void *userdata);
    void *userdata;
};

static const char *const state_names[] = {
    [FRIGATE_UNKNOWN] = "unknown", [FRIGATE_UP] = "up",           [FRIGATE_AWAY] = "away",
    [FRIGATE_SLOW] = "slow",       [FRIGATE_REFUSES] = "refuses", [FRIGATE_STRANGE] = "strange",
};

static void tell(const Cameras *c)
{
    if (c->on_change)
        c->on_change(c->userdata);
}

static void set_state(Cameras *c, FrigateState state, const char *why)
{
    bool news = c->state != state;

    free(c->why);
    c->why = why ? strdup(why) : NULL;
    c->state = state;
    if (!news)
        return;
    if (state == FRIGATE_UP)
        log_notice("Frigate answers, with %zu cameras", c->list.n);
    else
        log_warning("no cameras: %s", why ? why : state_names[state]);
    tell(c);
}

static int look(sd_event_source *source, uint64_t usec, void *userdata);

static void look_later(Cameras *c)
{
    usec_t ill = c->interval < INTERVAL_ILL ? c->interval : INTERVAL_ILL;

    if (timer_arm(c->event, &c->timer, c->state == FRIGATE_UP ? c->interval : ill, look, c) < 0)
        log_warning("Frigate is not looked at any more: no timer");
}

static FrigateState judge(int status, const Error *err)
{
    if (status == 401 || status == 403)
        return FRIGATE_REFUSES;
    if (status != 0)
        return FRIGATE_STRANGE;
    return str_equal(error_id(err), "http.timeout") ? FRIGATE_SLOW
           : str_equal(error_id(err), "http.connect") || str_equal(error_id(err), "http.resolve") ||
                   str_equal(error_id(err), "http.failed")
               ? FRIGATE_AWAY
               : FRIGATE_STRANGE;
}

/* Ends a look. */
static void look_failed(Cameras *c, int r, int status, const Error *err)
{
    _cleanup_(freep) char *why =
        status == 401 || status == 403
            ? strdup("Frigate wants a login: set FRIGATE_USER and FRIGATE_PASSWORD in secbox.env")
        : status != 0 ? str_format("Frigate answers with HTTP status %d", status)
                      : str_format("Frigate does not answer: %s", error_message(err, r));

    /* a token ends, and so does each one when Frigate is set up anew */
    if (status == 401 && frigate_forget_login(c->frigate) && !c->logs_in_anew &&
        timer_arm(c->event, &c->timer, 0, look, c) >= 0) {
        c->logs_in_anew = true;
        return;
    }
    set_state(c, judge(status, err), why);
    look_later(c);
}

/* What an answer of a look tells, by `take`, which says whether that is news. Negative: the look is over. */
static int take_answer(Cameras *c, int r, const HttpResponse *response, const Error *err,
                       int (*take)(CameraList *list, const char *body, size_t len, Error *err))
{
    _cleanup_(error_done) Error why = {};

    c->call = NULL;
    if (r < 0 || response->status != 200) {
        look_failed(c, r, r < 0 ? 0 : response->status, err);
        return -EBADMSG;
    }
    r = take(&c->list, response->body, response->body_len, &why);
    if (r < 0) {
        set_state(c, FRIGATE_STRANGE, error_message(&why, r));
        look_later(c);
    }
    return r;
}

static void on_stats(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *err, void *userdata)
{
    Cameras *c = userdata;

    r = take_answer(c, r, response, err, camera_list_take_stats);
    if (r < 0)
        return;
    bool was_up = c->state == FRIGATE_UP;
    c->logs_in_anew = false;
    set_state(c, FRIGATE_UP, NULL);
    if (r > 0 && was_up)
        tell(c);
    look_later(c);
}

static int get(Cameras *c, FrigateKind what, http_done_t on_done)
{
    _cleanup_(error_done) Error err = {};
    const FrigateRequest request = { .what = what };
    int r = frigate_get(c->frigate, &request, on_done, c, &c->call, &err);

    if (r < 0)
        look_failed(c, r, 0, &err);
    return r;
}

static void on_config(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *err, void *userdata)
{
    Cameras *c = userdata;

    r = take_answer(c, r, response, err, camera_list_take_config);
    if (r < 0)
        return;
    if (r > 0 && c->state == FRIGATE_UP)
        tell(c);
    (void) get(c, FRIGATE_STATS, on_stats);
}

static void on_login(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *err, void *userdata)
{
    Cameras *c = userdata;
    _cleanup_(error_done) Error why = {};

    c->call = NULL;
    if (r < 0) {
        look_failed(c, r, 0, err);
        return;
    }
    r = frigate_take_login(c->frigate, response, &why);
    if (r < 0) {
        set_state(c, FRIGATE_REFUSES, error_message(&why, r));
        look_later(c);
    } else {
        (void) get(c, FRIGATE_CONFIG, on_config);
    }
}

static int look(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Cameras *c = userdata;
    _cleanup_(error_done) Error err = {};

    if (!frigate_needs_login(c->frigate)) {
        (void) get(c, FRIGATE_CONFIG, on_config);
        return 0;
    }
    int r = frigate_login(c->frigate, on_login, c, &c->call, &err);
    if (r < 0)
        look_failed(c, r, 0, &err);
    return 0;
}

/* Whoever looks on notices first that Frigate is gone, or has forgotten the login in a restart. */
void cameras_trouble(Cameras *c, int http_status)
{
    if (c->call)
        return; /* that look sees it itself, and may have a newer login */
    if (http_status == 401)
        (void) frigate_forget_login(c->frigate);
    if (timer_arm(c->event, &c->timer, 0, look, c) < 0)
        log_debug("Frigate is looked at later");
}

void cameras_set_unheard(Cameras *c, bool unheard)
{
    bool news = c->unheard != unheard;

    c->unheard = unheard;
    if (news)
        tell(c);
}

static void on_trouble(int r _unused_, int status, const Error *err _unused_, void *userdata)
{
    cameras_trouble(userdata, status);
}

static void on_offline(const char *camera, void *userdata)
{
    Cameras *c = userdata;

    if (camera_list_set_offline(&c->list, camera))
        tell(c);
}

int cameras_new(sd_event *event, const CamerasOptions *o, Cameras **ret, Error *err)
{
    _cleanup_(cameras_freep) Cameras *c = calloc(1, sizeof(*c));

    if (!c)
        return error_from_errno(err, -ENOMEM, "cannot show cameras");
    c->event = sd_event_ref(event);
    c->interval = o->interval > 0 ? o->interval : INTERVAL;
    c->on_change = o->on_change;
    c->userdata = o->userdata;
    int r = http_client_new(event, &c->http, err);
    if (r >= 0)
        r = frigate_new(c->http, o->url, o->user, o->password, &c->frigate);
    if (r >= 0)
        r = timer_arm(event, &c->timer, 0, look, c);
    if (r < 0)
        return error_from_errno(err, r, "cannot show cameras");
    c->feeds = (CameraFeeds) {
        .event = event, .frigate = c->frigate, .on_trouble = on_trouble, .on_offline = on_offline, .userdata = c
    };
    *ret = TAKE_PTR(c);
    return 0;
}

Cameras *cameras_free(Cameras *c)
{
    if (!c)
        return NULL;
    camera_feeds_done(&c->feeds);
    http_client_free(c->http);
    frigate_free(c->frigate);
    sd_event_source_disable_unref(c->timer);
    camera_list_done(&c->list);
    sd_event_unref(c->event);
    free(c->why);
    free(c);
    return NULL;
}

FrigateState cameras_frigate(const Cameras *c)
{
    return c->state;
}

Frigate *cameras_client(const Cameras *c)
{
    return c->frigate;
}

cJSON *cameras_describe(const Cameras *c)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (!o || json_add_string(o, "frigate", state_names[c->state]) < 0 || json_add_string(o, "why", c->why) < 0 ||
        json_add_int(o, "restarts", (int) c->list.restarts) < 0 ||
        (c->unheard && json_add_bool(o, "unheard", true) < 0) ||
        json_add_item(o, "cameras", camera_list_describe(&c->list)) < 0)
        return NULL;
    return TAKE_PTR(o);
}

bool cameras_is_offline(const Cameras *c, const char *camera)
{
    return camera_list_is_offline(&c->list, camera);
}

/* The largest of a few that is not above what is wanted: who looks at nearly the same shares it. */
static unsigned round_down(unsigned wanted, const unsigned *steps, size_t n)
{
    unsigned best = steps[0];

    for (size_t i = 1; i < n && steps[i] <= wanted; i++)
        best = steps[i];
    return best;
}

static int check_frigate(const Cameras *c, Error *err)
{
    return c->state == FRIGATE_UP
               ? 0
               : error_set(err, EHOSTUNREACH, "camera.frigate", "%s", c->why ? c->why : "Frigate has not answered yet");
}

int cameras_get_recording(Cameras *c, const FrigateRequest *get, http_done_t on_done, void *userdata, HttpCall **ret,
                          Error *err)
{
    int r = check_frigate(c, err);

    /* what was recorded before it was switched off is still there */
    if (r >= 0 && camera_list_check(&c->list, get->camera, NULL) != -ENODEV)
        r = camera_list_check(&c->list, get->camera, err);
    return r < 0 ? r : frigate_get(c->frigate, get, on_done, userdata, ret, err);
}

void cameras_tell_status(Cameras *c, int status)
{
    if (status == 0 || status == 401)
        on_trouble(0, status, NULL, c);
}

int camera_view_open(Cameras *c, const CameraRequest *want, const CameraViewEvents *events, void *userdata,
                     CameraView **ret, Error *err)
{
    static const unsigned heights[] = { 90, 180, 360, 480, 720, 1080 }, rates[] = { 1, 2, 3, 5, 10 };
    const CameraRequest rounded = {
        .camera = want->camera,
        .height = round_down(want->height > 0 ? want->height : HEIGHT_USUAL, heights, ELEMENTSOF(heights)),
        .fps = want->fps > 0 ? round_down(want->fps, rates, ELEMENTSOF(rates)) : 0,
    };

    int r = check_frigate(c, err);
    if (r >= 0)
        r = camera_list_check(&c->list, want->camera, err);
    return r < 0 ? r : camera_feeds_join(&c->feeds, &rounded, events, userdata, ret, err);
}

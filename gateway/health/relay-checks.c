/* SPDX-License-Identifier: MIT */
/* The URL is a box's word, and a box may be bad: nothing but its origin is used, nothing that is secret is sent, and it leads
 * nowhere but to the Internet, unless the operator names networks. */
#include "gateway/health/relay-checks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/health/turns.h"
#include "gateway/http/url-client.h"
#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/http/origin.h"

#define SWEEP_INTERVAL USEC_PER_SEC
/* at once; as many a second where relays answer soon, which is 19,000 boxes in ten minutes: of more, each waits for longer */
#define CALLS_MAX TURNS_MAX
#define CALL_TIMEOUT (20 * USEC_PER_SEC)
#define CONNECT_TIMEOUT (10 * USEC_PER_SEC)
#define ANSWER_MAX ((size_t) 4096)
#define ERROR_SIZE 400
#define PING "/media/ping"
/* what has failed is tried again after a minute, then after two, and so on up to the usual time */
#define AGAIN_AFTER USEC_PER_MINUTE
#define DOUBLINGS_MAX 10

typedef enum State {
    STATE_WAITING,
    STATE_REACHED,
    STATE_OTHER_BOX,
    STATE_FAILED,
} State;

static const char *const state_names[] = { "waiting", "reached", "other-box", "failed" };

struct RelayChecks {
    sd_event *event;
    DeviceConns *conns;
    const DeviceHealth *health;
    UrlClient urls;
    usec_t every;
    Map *boxes; /* device → Check, owned */
    unsigned calls;
    Turns turns; /* of the round that is under way */
    sd_event_source *timer;
};

typedef struct Check {
    RelayChecks *owner;
    char *device, *url; /* as the box names it */
    State state;
    char error[ERROR_SIZE];
    usec_t at, since; /* wall clock: of the last check, and since when it is so */
    usec_t due;       /* CLOCK_BOOTTIME */
    unsigned failures;
    HttpCall *call;
    bool seen; /* in the round that is under way */
} Check;

static void give_up(Check *c)
{
    if (c->call)
        c->owner->calls--;
    c->call = http_call_free(c->call);
}

static void check_free(void *check)
{
    Check *c = check;

    give_up(c);
    free(c->device);
    free(c->url);
    free(c);
}

static usec_t wait_after(const Check *c)
{
    unsigned doublings = c->failures > DOUBLINGS_MAX ? DOUBLINGS_MAX : c->failures;
    usec_t wait = c->failures > 0 ? AGAIN_AFTER << (doublings - 1) : c->owner->every;

    wait = wait < c->owner->every ? wait : c->owner->every;
    return wait - random_u64() % (wait / 8 + 1);
}

static void note(Check *c, State state, const char *error)
{
    usec_t now = realtime_usec();

    if (state != c->state) {
        c->since = now;
        if (state == STATE_REACHED)
            log_notice("viewers reach %s by its relay, at %s", c->device, c->url);
        else
            log_notice("viewers do not reach %s by its relay, at %s: %s", c->device, c->url, error);
    }
    c->state = state;
    c->at = now;
    c->failures = state == STATE_REACHED ? 0 : c->failures + 1;
    c->due = boottime_usec() + wait_after(c);
    (void) snprintf(c->error, sizeof(c->error), "%s", error);
}

/* Whose box has answered; false: no secbox has. */
static bool read_answer(const HttpResponse *response, cJSON **ret)
{
    return response->status == 200 && json_parse_object(response->body, response->body_len, ret, NULL) >= 0 &&
           json_string(*ret, "deviceId");
}

static void on_answer(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *err, void *userdata)
{
    Check *c = userdata;
    _cleanup_(cJSON_Deletep) cJSON *answer = NULL;
    char text[ERROR_SIZE];

    c->call = NULL;
    c->owner->calls--;
    if (r < 0) {
        note(c, STATE_FAILED, error_message(err, r));
    } else if (!read_answer(response, &answer)) {
        (void) snprintf(text, sizeof(text), "what is there answers " PING " with %d%s: it is no secbox",
                        response->status, response->status == 200 ? ", but not as secbox does" : "");
        note(c, STATE_FAILED, text);
    } else if (!str_equal(json_string(answer, "deviceId"), c->device)) {
        note(c, STATE_OTHER_BOX,
             "another box answers there: two boxes have one name at the relay, or its address leads to a wrong one");
    } else {
        note(c, STATE_REACHED, "");
    }
}

static void begin(Check *c)
{
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *origin = NULL, *url = NULL;
    int r = url_check(c->url, "https", &err);

    if (r < 0) {
        note(c, STATE_FAILED, error_message(&err, r));
        return;
    }
    origin = http_origin_of(c->url);
    url = origin ? str_format("%s" PING, origin) : NULL;
    const HttpRequest request = {
        .url = url,
        .ca_pem = c->owner->urls.authorities,
        .ca_advice = "viewers' browsers refuse it, too; check the certificate at the relay, and --relay-ca where it is "
                     "of an authority of your own",
        .timeout_usec = CALL_TIMEOUT,
        .connect_timeout_usec = CONNECT_TIMEOUT,
        .response_max = ANSWER_MAX,
        .may_connect = url_client_may_connect,
        .userdata = &c->owner->urls,
    };
    r = url ? http_start(c->owner->urls.client, &request, on_answer, c, &c->call, &err) : -ENOMEM;
    if (r < 0)
        note(c, STATE_FAILED, error_message(&err, r));
    else
        c->owner->calls++;
}

static Check *add(RelayChecks *checks, const char *device)
{
    Check *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    *c = (Check) { .owner = checks, .device = strdup(device), .due = boottime_usec() };
    if (c->device && map_put(checks->boxes, device, c) >= 0)
        return c;
    check_free(c);
    return NULL;
}

/* Another URL is another question; it waits behind those that wait already, or a box could have itself asked all the time. */
static int take_url(Check *c, const char *url)
{
    if (str_equal(c->url, url))
        return 0;
    char *copy = strdup(url);
    if (!copy)
        return -ENOMEM;
    give_up(c);
    free(c->url);
    c->url = copy;
    c->state = STATE_WAITING;
    c->error[0] = '\0';
    c->failures = 0;
    c->due = boottime_usec();
    return 0;
}

static void visit(DeviceConn *s, void *userdata)
{
    RelayChecks *checks = userdata;
    const char *device = device_conn_device(s);
    const HealthPart *box = device_conn_role(s) == ROLE_MGMT ? device_health_find(checks->health, device, "box") : NULL;

    if (!box || !box->relay_url)
        return;
    Check *c = map_get(checks->boxes, device);
    if (!c)
        c = add(checks, device);
    if (!c || take_url(c, box->relay_url) < 0)
        return;
    c->seen = true;
    if (!c->call && c->due <= boottime_usec())
        turns_add(&checks->turns, CALLS_MAX - checks->calls, c, c->due);
}

static int on_time(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    RelayChecks *checks = userdata;
    const char *device;
    void *value;

    checks->turns.n = 0;
    device_conns_each(checks->conns, visit, checks);
    for (size_t i = 0; i < checks->turns.n; i++)
        begin(checks->turns.next[i].item);
    for (size_t i = 0; map_next(checks->boxes, &i, &device, &value);) {
        Check *c = value;

        if (!c->seen)
            map_remove(checks->boxes, device);
        else
            c->seen = false;
    }
    return timer_arm(checks->event, &checks->timer, SWEEP_INTERVAL, on_time, checks);
}

static int describe(const char *device, cJSON *object, void *userdata)
{
    const RelayChecks *checks = userdata;
    const Check *c = map_get(checks->boxes, device);
    _cleanup_(cJSON_Deletep) cJSON *o = c ? cJSON_CreateObject() : NULL;
    char at[TIMESTAMP_SIZE];

    if (!c)
        return 0;
    if (!o || json_add_string(o, "url", c->url) < 0 || json_add_string(o, "state", state_names[c->state]) < 0)
        return -ENOMEM;
    if (c->state != STATE_WAITING && (json_add_string(o, "at", timestamp_format(c->at, at)) < 0 ||
                                      json_add_string(o, "since", timestamp_format(c->since, at)) < 0))
        return -ENOMEM;
    if (c->error[0] && json_add_string(o, "error", c->error) < 0)
        return -ENOMEM;
    return json_add_item(object, "relayCheck", TAKE_PTR(o));
}

int relay_checks_new(sd_event *event, DeviceConns *conns, const DeviceHealth *health, const RelayChecksOptions *options,
                     RelayChecks **ret, Error *err)
{
    static const DeviceListener listener = { .describe = describe };
    _cleanup_(relay_checks_freep) RelayChecks *c = calloc(1, sizeof(*c));

    if (!c)
        return -ENOMEM;
    c->event = sd_event_ref(event);
    c->conns = conns;
    c->health = health;
    c->every = options->seconds * USEC_PER_SEC;
    c->boxes = map_new(check_free);
    if (!c->boxes)
        return -ENOMEM;
    const UrlClientOptions o = { options->ca_file, options->networks, "--relay-ca", "--relay-networks" };
    int r = url_client_init(&c->urls, event, &o, err);
    if (r >= 0)
        r = device_conns_listen(conns, &listener, c);
    if (r >= 0)
        r = timer_arm(event, &c->timer, SWEEP_INTERVAL, on_time, c);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(c);
    return 0;
}

RelayChecks *relay_checks_free(RelayChecks *c)
{
    if (!c)
        return NULL;
    sd_event_source_disable_unref(c->timer);
    map_free(c->boxes);
    url_client_done(&c->urls);
    sd_event_unref(c->event);
    free(c);
    return NULL;
}

/* SPDX-License-Identifier: MIT */
#include "secbox/photos/photo-sender.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"

#define LOOK_INTERVAL (3 * USEC_PER_SEC)
/* Without an answer after that, the gateway does not know of photos, or has lost the part. */
#define ANSWER_MAX USEC_PER_MINUTE
#define EXPIRE_INTERVAL USEC_PER_HOUR
#define PART_SIZE 24576 /* 32,768 bytes as base64 */
#define SOON USEC_PER_MINUTE
#define LATER (10 * USEC_PER_MINUTE)
/* A photo whose event the gateway has not had for a day will not be wanted. */
#define UNKNOWN_TIMES_MAX (24 * 6)

struct PhotoSender {
    sd_event *event;
    PhotoSenderParts parts;
    sd_event_source *timer, *expiry;
    bool up, mute;
    bool answered; /* on this connection: the gateway knows of photos, however long it is silent now */
    char community[UUID_SIZE], digest[SHA256_HEX_SIZE]; /* of what is on its way; "" = none */
    char *data;
    size_t len;
};

PhotoRefusal photo_refusal(const char *id, unsigned times, usec_t *ret_wait)
{
    *ret_wait = SOON;
    if (str_equal(id, "photo.too-large") || str_equal(id, "photo.malformed") || str_equal(id, "photo.expired"))
        return PHOTO_DROP;
    if (str_equal(id, "photo.digest"))
        return times < 1 ? PHOTO_LATER : PHOTO_DROP;
    if (str_equal(id, "photo.unknown")) {
        *ret_wait = LATER;
        return times < UNKNOWN_TIMES_MAX ? PHOTO_LATER : PHOTO_DROP;
    }
    return PHOTO_LATER; /* photo.unavailable, and what a newer gateway may say */
}

static void look_in(PhotoSender *s, usec_t delay);

static void put_down(PhotoSender *s)
{
    free(TAKE_PTR(s->data));
    s->digest[0] = '\0';
}

static int send_message(PhotoSender *s, cJSON *message)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message;
    _cleanup_(freep) char *text = m ? json_print(m) : NULL;

    return text ? s->parts.send(text, strlen(text), s->parts.userdata) : -ENOMEM;
}

/* A message that does not get out is one that gets no answer. */
static void await_answer(PhotoSender *s, int r)
{
    if (r < 0)
        log_debug("a photo waits for room in the tunnel: %s", strerror(-r));
    if (r < 0)
        put_down(s);
    look_in(s, r < 0 ? s->parts.look_interval : s->parts.answer_max);
}

static void offer(PhotoSender *s, const Photo *p)
{
    _cleanup_(error_done) Error err = {};
    cJSON *m = cJSON_CreateObject();

    if (photo_store_read(s->parts.store, p->community, p->digest, &s->data, &s->len, &err) < 0) {
        cJSON_Delete(m);
        look_in(s, s->parts.look_interval);
        return;
    }
    memcpy(s->community, p->community, sizeof(s->community));
    memcpy(s->digest, p->digest, sizeof(s->digest));
    if (json_add_string(m, "type", "photo.offer") < 0 || json_add_string(m, "sha256", s->digest) < 0 ||
        json_add_string(m, "community", s->community) < 0 || json_add_int(m, "bytes", (int) s->len) < 0) {
        cJSON_Delete(m);
        m = NULL;
    }
    await_answer(s, send_message(s, m));
}

static void send_part(PhotoSender *s, size_t offset)
{
    size_t n = s->len - offset < PART_SIZE ? s->len - offset : PART_SIZE;
    _cleanup_(freep) char *text = base64_encode(s->data + offset, n);
    cJSON *m = cJSON_CreateObject();

    if (!text || json_add_string(m, "type", "photo.part") < 0 || json_add_string(m, "sha256", s->digest) < 0 ||
        json_add_int(m, "offset", (int) offset) < 0 || json_add_string(m, "data", text) < 0) {
        cJSON_Delete(m);
        m = NULL;
    }
    await_answer(s, send_message(s, m));
}

static void look(PhotoSender *s)
{
    const char *community = s->parts.community(s->parts.userdata);
    const Photo *p = NULL;

    if (!s->up || s->mute || s->digest[0])
        return;
    if (community && s->parts.may_send(s->parts.userdata))
        p = photo_store_next(s->parts.store, community, boottime_usec());
    if (p)
        offer(s, p);
    else if (photo_store_waiting(s->parts.store) > 0)
        look_in(s, s->parts.look_interval);
}

static void no_answer(PhotoSender *s)
{
    s->mute = !s->answered;
    if (s->mute)
        log_notice("the gateway does not take photos; they stay here until it is connected anew");
    put_down(s);
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    PhotoSender *s = userdata;

    if (s->digest[0])
        no_answer(s);
    look(s);
    return 0;
}

static void look_in(PhotoSender *s, usec_t delay)
{
    if (timer_arm(s->event, &s->timer, delay, on_timer, s) < 0)
        log_warning("photos wait: no timer can be set");
}

/* Each reason counts for itself, so that a gateway's bad hours use up nothing; NULL: this one is not counted. */
static unsigned *counter(Photo *p, const char *id)
{
    if (str_equal(id, "photo.unknown"))
        return &p->times_unknown;
    return str_equal(id, "photo.digest") ? &p->times_damaged : NULL;
}

static void take_refusal(PhotoSender *s, Photo *p, const cJSON *error)
{
    const char *id = json_string(error, "id");
    unsigned *times = p ? counter(p, id) : NULL;
    usec_t wait;

    if (p && photo_refusal(id, times ? *times : 0, &wait) == PHOTO_LATER) {
        if (times)
            ++*times;
        p->not_before = boottime_usec() + wait;
    } else if (p) {
        log_warning("the gateway does not take a photo (%s); it is given up", id ? id : "no reason");
        photo_store_drop(s->parts.store, p);
    }
}

bool photo_sender_take(PhotoSender *s, const cJSON *message)
{
    const char *digest = json_string(message, "sha256"), *state = json_string(message, "state");
    uint64_t have = 0;

    if (!str_equal(json_string(message, "type"), "photo.state"))
        return false;
    if (!s->digest[0] || !str_equal(digest, s->digest))
        return true; /* of something that was given up meanwhile */
    s->answered = true;
    if (str_equal(state, "wanted") && json_u64(message, "have", &have) >= 0 && have < s->len) {
        send_part(s, (size_t) have);
        return true;
    }
    Photo *p = photo_store_find(s->parts.store, s->community, s->digest);
    if (str_equal(state, "stored"))
        photo_store_set_sent(s->parts.store, p);
    else
        take_refusal(s, p, cJSON_GetObjectItemCaseSensitive(message, "error"));
    put_down(s);
    look(s);
    return true;
}

void photo_sender_wake(PhotoSender *s)
{
    if (s->up && !s->mute && !s->digest[0])
        look_in(s, s->parts.look_interval);
}

void photo_sender_tunnel_up(PhotoSender *s)
{
    s->up = true;
    photo_sender_wake(s);
}

void photo_sender_tunnel_down(PhotoSender *s)
{
    s->up = s->mute = s->answered = false;
    put_down(s);
    timer_disarm(s->timer);
}

/* Whether there is a tunnel or not. */
static int on_expiry(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    PhotoSender *s = userdata;

    photo_store_expire(s->parts.store, s->parts.community(s->parts.userdata), realtime_usec());
    if (timer_arm(s->event, &s->expiry, s->parts.expire_interval, on_expiry, s) < 0)
        log_warning("old photos stay until secbox starts again: no timer can be set");
    return 0;
}

int photo_sender_new(sd_event *event, const PhotoSenderParts *parts, PhotoSender **ret)
{
    PhotoSender *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->event = sd_event_ref(event);
    s->parts = *parts;
    if (s->parts.look_interval == 0)
        s->parts.look_interval = LOOK_INTERVAL;
    if (s->parts.answer_max == 0)
        s->parts.answer_max = ANSWER_MAX;
    if (s->parts.expire_interval == 0)
        s->parts.expire_interval = EXPIRE_INTERVAL;
    int r = timer_arm(event, &s->expiry, 0, on_expiry, s);
    if (r < 0)
        photo_sender_free(s);
    else
        *ret = s;
    return r < 0 ? r : 0;
}

PhotoSender *photo_sender_free(PhotoSender *s)
{
    if (!s)
        return NULL;
    sd_event_source_disable_unref(s->timer);
    sd_event_source_disable_unref(s->expiry);
    sd_event_unref(s->event);
    free(s->data);
    free(s);
    return NULL;
}

/* SPDX-License-Identifier: MIT */
/* Brings photos to the gateway, each after the event that names it: one at a time, in parts, and only while no event waits
 * (docs/wire-format.md, "Photos"). A gateway that does not know of photos leaves the first offer of a connection without an answer;
 * then none is offered on that connection any more. One that has answered there is offered them again and again. With a tunnel or
 * without, what need not be kept any longer goes. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "secbox/photos/photo-store.h"

typedef struct PhotoSender PhotoSender;

typedef struct PhotoSenderParts {
    PhotoStore *store; /* borrowed */
    /* Sends a text to the gateway. Called only while the tunnel is up. */
    int (*send)(const char *text, size_t len, void *userdata);
    /* Whether no event waits for the gateway. */
    bool (*may_send)(void *userdata);
    /* Whose photos may be sent; NULL: nobody's. */
    const char *(*community)(void *userdata);
    void *userdata;
    usec_t look_interval, answer_max; /* between looks for photos, and how long an answer is waited for; 0: the usual */
    usec_t expire_interval;           /* between looks for photos that are too old to be kept; 0: the usual */
} PhotoSenderParts;

int photo_sender_new(sd_event *event, const PhotoSenderParts *parts, PhotoSender **ret) _must_check_;
PhotoSender *photo_sender_free(PhotoSender *s);
DEFINE_CLEANUP(PhotoSender, photo_sender_free)

void photo_sender_tunnel_up(PhotoSender *s);
void photo_sender_tunnel_down(PhotoSender *s);
/* Something may be there to send. */
void photo_sender_wake(PhotoSender *s);
/* True: the message was photo.state. */
bool photo_sender_take(PhotoSender *s, const cJSON *message);

/* What becomes of a photo that was refused with this error id, `times` refusals with the same id before it. Pure. */
typedef enum PhotoRefusal {
    PHOTO_DROP,  /* it will never be taken */
    PHOTO_LATER, /* once more, after *ret_wait */
} PhotoRefusal;
PhotoRefusal photo_refusal(const char *id, unsigned times, usec_t *ret_wait);

/* SPDX-License-Identifier: MIT */
/* The community's enrolled faces in the box's Frigate: those of the replica are registered there, what is there by a name of
 * ours (face-name.h) and in no row any more is removed, and what people have put there themselves is left alone. The list has one
 * master, the cloud. Pictures are fetched through the tunnel when they are needed, and not kept. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"
#include "secbox/cameras/cameras.h"
#include "secbox/replica/replica.h"

typedef struct Faces Faces;

typedef struct FacesParts {
    Cameras *cameras; /* borrowed, as the next */
    Replica *replica;
    /* To the gateway; called only while the tunnel is up. */
    int (*send)(const char *text, size_t len, void *userdata);
    /* What faces_describe() says is another thing. */
    void (*on_change)(void *userdata);
    void *userdata;
    usec_t retry; /* after something went wrong; 0: the usual */
} FacesParts;

int faces_new(sd_event *event, const FacesParts *parts, Faces **ret) _must_check_;
/* All of these take NULL: there is no Frigate, or no database. */
Faces *faces_free(Faces *f);
void faces_tunnel_up(Faces *f);
void faces_tunnel_down(Faces *f);
/* The community's data are others; Frigate or the database is in another state. */
void faces_data_changed(Faces *f);
void faces_surroundings_changed(Faces *f);
/* True: the message was face.part. */
bool faces_take(Faces *f, const cJSON *message);
/* {"state": current|waits|off|refuses|fails, "wanted", "known", "refused"?}; NULL: nobody is enrolled, or out of memory. */
cJSON *faces_describe(const Faces *f);

/* SPDX-License-Identifier: MIT */
/* What the box is for its guards: HTTPS on the caseta's WiFi with their app and its interface (docs/lan-api.md). It answers
 * whatever the cloud, the tunnel and the database do; what is missing then is said. */
#pragma once

#include <cjson/cJSON.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"
#include "lib/base/uplink-budget.h"
#include "secbox/cameras/cameras.h"
#include "secbox/matches/sighting.h"
#include "secbox/photos/photo-store.h"
#include "secbox/queue/queue.h"

typedef struct Lan Lan;

typedef struct LanOptions {
    const char *address;       /* numeric */
    uint16_t port;             /* 0: chosen by the kernel */
    const char *media_address; /* where recordings are for those outside, with the same certificate; NULL: nowhere */
    uint16_t media_port;
    const char *media_origin;  /* whose pages may show recordings; NULL: nobody's */
    UplinkBudget *media_bound; /* borrowed: of those outside */
    Cameras *cameras;          /* borrowed; NULL: there is no Frigate */
    const char *entry_camera;  /* of which a picture is kept with each entry; NULL: of none */
    const char *state_dir, *run_dir, *device_id;
    const char *names;                /* more names and addresses of the box, with commas between; NULL: none */
    const char *database_url;         /* NULL: there is no database */
    unsigned rate;                    /* requests a second of one guard; 0: no bounds */
    Queue *queue;                     /* borrowed; NULL: nothing can be registered */
    PhotoStore *photos;               /* borrowed */
    void (*on_photo)(void *userdata); /* one has come */
    /* Of what a camera has seen, by the id of the sighting: lan_sighting_picture() may follow. NULL: there are no cameras. */
    void (*want_picture)(const char *id, void *userdata);
    /* Adds what the box says about its data, its queue and the cloud. */
    int (*add_status)(cJSON *status, void *userdata);
    void *userdata;
} LanOptions;

/* Errors: http.listen, x509.*, key.*, file.*, store.bad-config. */
int lan_new(sd_event *event, const LanOptions *options, Lan **ret, Error *err) _must_check_;
Lan *lan_free(Lan *lan);
DEFINE_CLEANUP(Lan, lan_free)

uint16_t lan_port(const Lan *lan);
/* The community's data are others than before: bans, guards and guests are read again. */
void lan_data_changed(Lan *lan);
/* What lan.certificate.ask asks for: fills in `answer`, or says why not. */
int lan_certificate(Lan *lan, const cJSON *ask, cJSON *answer, Error *err) _must_check_;
/* Until when the cloud's certificate is good (seconds since 1970); 0: there is none. */
uint64_t lan_certificate_until(const Lan *lan);
/* The cloud has taken tokens for recordings back: media_revoke(). */
void lan_revoke_media(Lan *lan, const cJSON *tokens);
/* A camera has recognised a plate or a face, or takes it for another than before. */
void lan_sighting(Lan *lan, const Sighting *s);
void lan_sighting_picture(Lan *lan, const char *id, const void *data, size_t len);
/* Frigate or a camera is in another state: whoever watches is told. */
void lan_cameras_changed(Lan *lan);
/* Cloud, queue or database fare otherwise: whoever watches is told. */
void lan_status_changed(Lan *lan);

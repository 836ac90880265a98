/* SPDX-License-Identifier: MIT */
#include "gateway/cameras/camera-tickets.h"

#include <errno.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"

/* A wall of cameras takes a few dozen; a script that asks for ever may not keep others from theirs. */
#define OF_TOKEN_MAX 256
#define ALL_MAX 4096

typedef struct Ticket {
    char *device, *camera;
    char token_hash[SECRET_HASH_SIZE];
    usec_t ends;
} Ticket;

struct CameraTickets {
    Map *all; /* hash of a ticket → Ticket; the oldest first */
};

static void ticket_free(void *ticket)
{
    Ticket *t = ticket;

    free(t->device);
    free(t->camera);
    free(t);
}

CameraTickets *camera_tickets_new(void)
{
    _cleanup_(camera_tickets_freep) CameraTickets *t = calloc(1, sizeof(*t));

    if (t)
        t->all = map_new(ticket_free);
    return t && t->all ? TAKE_PTR(t) : NULL;
}

CameraTickets *camera_tickets_free(CameraTickets *t)
{
    if (!t)
        return NULL;
    map_free(t->all);
    free(t);
    return NULL;
}

static void forget_old(const CameraTickets *t, usec_t now)
{
    const char *hash;
    void *value;

    for (size_t i = 0; map_next(t->all, &i, &hash, &value);) {
        const Ticket *one = value;
        if (now >= one->ends)
            map_remove(t->all, hash);
    }
}

static size_t count(const CameraTickets *t, const char *token_hash)
{
    size_t n = 0;
    void *value;

    for (size_t i = 0; map_next(t->all, &i, NULL, &value);) {
        const Ticket *one = value;
        n += str_equal(one->token_hash, token_hash);
    }
    return n;
}

static Ticket *ticket_new(const char *device, const char *camera, const char *token_hash, usec_t now)
{
    Ticket *one = calloc(1, sizeof(*one));

    if (!one)
        return NULL;
    *one = (Ticket) { .device = strdup(device),
                      .camera = strdup(camera),
                      .ends = now + CAMERA_TICKET_SECONDS * USEC_PER_SEC };
    memcpy(one->token_hash, token_hash, strnlen(token_hash, sizeof(one->token_hash) - 1));
    if (one->device && one->camera)
        return one;
    ticket_free(one);
    return NULL;
}

int camera_tickets_issue(CameraTickets *t, const char *device, const char *camera, const char *token_hash, usec_t now,
                         char **ret, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    char hash[SECRET_HASH_SIZE];

    forget_old(t, now);
    if (map_size(t->all) >= ALL_MAX || count(t, token_hash) >= OF_TOKEN_MAX)
        return error_set(err, EAGAIN, "camera.tickets",
                         "too many tickets for cameras are good still: use them, or wait");
    Ticket *one = ticket_new(device, camera, token_hash, now);
    int r = one ? secret_make(CAMERA_TICKET_PREFIX, &text, hash) : -ENOMEM;
    if (r >= 0)
        r = map_put(t->all, hash, one);
    if (r < 0 && one)
        ticket_free(one);
    if (r < 0)
        return error_from_errno(err, r, "cannot make a ticket for a camera");
    *ret = TAKE_PTR(text);
    return 0;
}

int camera_tickets_take(CameraTickets *t, const char *text, const char *device, const char *camera, bool once,
                        usec_t now, char ret[static SECRET_HASH_SIZE], Error *err)
{
    char hash[SECRET_HASH_SIZE];
    const Ticket *one = sha256_hex(text, strlen(text), hash) >= 0 ? map_get(t->all, hash) : NULL;

    if (!one || now >= one->ends || !str_equal(one->device, device) || !str_equal(one->camera, camera))
        return error_set(err, EKEYREJECTED, "camera.ticket",
                         "this ticket was used, is for another camera, or its time is over: ask for another one");
    memcpy(ret, one->token_hash, SECRET_HASH_SIZE);
    if (once)
        map_remove(t->all, hash);
    return 0;
}

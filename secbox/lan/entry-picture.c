/* SPDX-License-Identifier: MIT */
#include "secbox/lan/entry-picture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"

/* The event that names it is with the gateway by then, or waits, and the photo behind it. */
#define OFFERED_AFTER (5 * USEC_PER_SEC)
/* Of a picture that is larger than a photo may be there is a smaller one. */
#define HEIGHT_SMALL 480

struct EntryPicture {
    EntryPictureParts parts;
    char *camera, *community;
    unsigned height;
    CameraView *view;
    sd_event_source *timer;
    entry_picture_done_t on_done;
    void *userdata;
};

EntryPicture *entry_picture_free(EntryPicture *f)
{
    if (!f)
        return NULL;
    camera_view_free(f->view);
    sd_event_source_disable_unref(f->timer);
    free(f->camera);
    free(f->community);
    free(f);
    return NULL;
}

static void finish(EntryPicture *f, const char *digest)
{
    entry_picture_done_t on_done = f->on_done;
    void *userdata = f->userdata;

    entry_picture_free(f);
    on_done(digest, userdata);
}

static void fail(EntryPicture *f, int r, const Error *err)
{
    log_failure(LOG_LEVEL_WARNING, NULL, err, r, "an entry is written without a picture of the camera at the gate");
    finish(f, NULL);
}

static int ask(EntryPicture *f, unsigned height, Error *err);

static int keep(EntryPicture *f, const Picture *p, char ret_digest[static SHA256_HEX_SIZE], Error *err)
{
    if (cameras_is_offline(f->parts.cameras, f->camera))
        return error_set(err, ENODATA, "camera.no-picture",
                         "the camera %s is offline, and its picture from before it went away is of no use", f->camera);
    int r = photo_store_put(f->parts.photos, f->community, p->data, p->len, realtime_usec(), ret_digest, err);
    Photo *photo = r < 0 ? NULL : photo_store_find(f->parts.photos, f->community, ret_digest);
    if (photo)
        photo->not_before = boottime_usec() + OFFERED_AFTER;
    return r;
}

static void on_picture(CameraView *v _unused_, Picture *p, void *userdata)
{
    EntryPicture *f = userdata;
    _cleanup_(error_done) Error err = {};
    char digest[SHA256_HEX_SIZE] = "";
    int r;

    if (p->len > PHOTO_SIZE_MAX && f->height > HEIGHT_SMALL) {
        f->view = camera_view_free(f->view);
        r = ask(f, HEIGHT_SMALL, &err);
    } else {
        r = keep(f, p, digest, &err);
    }
    if (r < 0)
        fail(f, r, &err);
    else if (*digest)
        finish(f, digest);
}

static void on_end(CameraView *v _unused_, int r, const Error *err, void *userdata)
{
    EntryPicture *f = userdata;

    f->view = NULL;
    fail(f, r < 0 ? r : -ENODATA, err);
}

static const CameraViewEvents view_events = { .on_picture = on_picture, .on_end = on_end };

static int ask(EntryPicture *f, unsigned height, Error *err)
{
    const CameraRequest want = { .camera = f->camera, .height = height };

    f->height = height;
    return camera_view_open(f->parts.cameras, &want, &view_events, f, &f->view, err);
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    EntryPicture *f = userdata;
    _cleanup_(error_done) Error err = {};
    int r = error_set(&err, ETIMEDOUT, "camera.no-picture", "the camera %s gave no picture in time", f->camera);

    fail(f, r, &err);
    return 0;
}

int entry_picture_take(const EntryPictureParts *parts, entry_picture_done_t on_done, void *userdata, EntryPicture **ret,
                       Error *err)
{
    /* guards' own photos come first: for want of room they stay on the tablets */
    if (!photo_store_has_room_to_spare(parts->photos))
        return error_set(err, ENOSPC, "photo.no-room",
                         "half of the room for photos is taken by such as wait for the cloud");
    EntryPicture *f = calloc(1, sizeof(*f));
    if (!f)
        return error_from_errno(err, -ENOMEM, "no picture of an entry");
    *f = (EntryPicture) { .parts = *parts,
                          .camera = strdup(parts->camera),
                          .community = strdup(parts->community),
                          .on_done = on_done,
                          .userdata = userdata };
    int r = f->camera && f->community ? ask(f, ENTRY_PICTURE_HEIGHT, err) : -ENOMEM;
    if (r >= 0)
        r = timer_arm(parts->event, &f->timer, ENTRY_PICTURE_WAIT, on_timer, f);
    if (r < 0) {
        entry_picture_free(f);
        return error_from_errno(err, r, "no picture of an entry");
    }
    *ret = f;
    return 0;
}

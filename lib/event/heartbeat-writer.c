/* SPDX-License-Identifier: MIT */
/* Written in place and with a fixed width: one write, so that a reader sees one whole number. */
#include "lib/event/heartbeat-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"

struct Heartbeat {
    sd_event *event;
    sd_event_source *timer;
    int (*healthy)(void *userdata);
    void *userdata;
    int fd;
    bool complained;
};

static int write_now(int fd)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%020llu\n", (unsigned long long) boottime_usec());
    ssize_t w = pwrite(fd, text, (size_t) n, 0);

    return w == n ? 0 : w < 0 ? -errno : -EIO;
}

static int on_beat(sd_event_source *s, uint64_t usec, void *userdata)
{
    Heartbeat *h = userdata;
    int r = !h->healthy || h->healthy(h->userdata) ? write_now(h->fd) : 0;

    (void) s;
    (void) usec;
    if (r < 0 && !h->complained)
        log_warning("the heartbeat cannot be written (%s): health checks will fail", strerror(-r));
    h->complained = r < 0;
    return timer_arm(h->event, &h->timer, HEARTBEAT_INTERVAL, on_beat, h);
}

static int folder_make(const char *path, Error *err)
{
    const char *slash = strrchr(path, '/');
    _cleanup_(freep) char *folder = slash && slash > path ? strndup(path, (size_t) (slash - path)) : NULL;

    if (!folder)
        return error_set(err, EINVAL, "file.write",
                         "\"%s\" is no place for a heartbeat; correct SECBOX_RUN or RELAY_RUN", path);
    return access(folder, W_OK) == 0 ? 0 : dir_make(folder, 0755, (uid_t) -1, (gid_t) -1, err);
}

int heartbeat_start(sd_event *event, const char *path, Heartbeat **ret, Error *err)
{
    _cleanup_(heartbeat_freep) Heartbeat *h = NULL;
    int r = folder_make(path, err);

    if (r < 0)
        return r;
    h = calloc(1, sizeof(*h));
    if (!h)
        return error_from_errno(err, -ENOMEM, "cannot start the heartbeat");
    h->event = sd_event_ref(event);
    h->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (h->fd < 0)
        return error_set(err, errno, "file.write", "cannot open the heartbeat %s: %s", path, strerror(errno));
    r = write_now(h->fd);
    if (r >= 0)
        r = timer_arm(event, &h->timer, HEARTBEAT_INTERVAL, on_beat, h);
    if (r < 0)
        return error_from_errno(err, r, "cannot start the heartbeat");
    *ret = TAKE_PTR(h);
    return 0;
}

void heartbeat_depend(Heartbeat *h, int (*healthy)(void *userdata), void *userdata)
{
    h->healthy = healthy;
    h->userdata = userdata;
}

Heartbeat *heartbeat_free(Heartbeat *h)
{
    if (!h)
        return NULL;
    sd_event_source_disable_unref(h->timer);
    if (h->fd >= 0)
        close(h->fd);
    sd_event_unref(h->event);
    free(h);
    return NULL;
}

int heartbeat_check(const char *path, usec_t now, Error *err)
{
    _cleanup_(freep) char *text = NULL;
    _cleanup_(error_done) Error why = {};
    usec_t at = 0;
    int r = file_read(path, 64, &text, NULL, &why);

    if (r == -ENOENT)
        return error_set(err, ENOENT, "heartbeat.missing",
                         "there is no heartbeat at %s: its program has not started here", path);
    if (r < 0)
        return error_set(err, r, error_id(&why), "%s", error_message(&why, r));
    text[strcspn(text, "\n")] = '\0';
    r = str_to_u64(text, 0, USEC_INFINITY, &at);
    if (r < 0 || at > now)
        return error_set(err, EBADMSG, "heartbeat.stale", "%s does not hold a time of this boot", path);
    if (now - at > HEARTBEAT_STALE)
        return error_set(err, ETIMEDOUT, "heartbeat.stale",
                         "the last heartbeat is %llu s old: its program hangs or has ended",
                         (unsigned long long) ((now - at) / USEC_PER_SEC));
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* A socket to one child, which asks the digest as it writes. */
#include "gateway/deployments/bundle-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/event/process.h"

#define CHILD_FD 3
#define EXIT_OTHER 3
/* the peer may be slow, and the disk behind it */
#define DEADLINE (3 * USEC_PER_HOUR)
#define PIECE_MAX ((size_t) 1024 * 1024)

struct BundleWriter {
    Process *child;
    sd_event_source *writable;
    int fd;      /* -1: all is on its way */
    Buf waiting; /* what the child has not taken */
    bool ending;
    const BundleWriterEvents *events;
    void *userdata;
};

static void close_stream(BundleWriter *s)
{
    s->writable = sd_event_source_disable_unref(s->writable);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

BundleWriter *bundle_writer_free(BundleWriter *s)
{
    if (!s)
        return NULL;
    process_free(s->child);
    close_stream(s);
    buf_done(&s->waiting);
    free(s);
    return NULL;
}

static void on_child(Process *p _unused_, int status, bool timed_out, void *userdata)
{
    BundleWriter *s = userdata;
    int code = !timed_out && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;

    close_stream(s);
    s->child = process_free(s->child);
    s->events->done(code == EXIT_SUCCESS && s->ending ? BUNDLE_KEPT
                    : code == EXIT_OTHER              ? BUNDLE_OTHER
                                                      : BUNDLE_NOT_KEPT,
                    s->userdata);
}

/* Gives the child what it takes now. Where it takes nothing any more, its end tells. */
static void flush(BundleWriter *s)
{
    while (s->fd >= 0 && s->waiting.len > 0) {
        ssize_t n = send(s->fd, s->waiting.data, s->waiting.len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        buf_consume(&s->waiting, n < 0 ? s->waiting.len : (size_t) n);
    }
    if (s->waiting.len == 0 && s->ending)
        close_stream(s);
    else if (s->writable)
        (void) sd_event_source_set_enabled(s->writable, s->waiting.len > 0 ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int on_writable(sd_event_source *source _unused_, int fd _unused_, uint32_t revents _unused_, void *userdata)
{
    BundleWriter *s = userdata;

    flush(s);
    if (s->waiting.len == 0 && !s->ending)
        s->events->room(s->userdata);
    return 0;
}

int bundle_writer_put(BundleWriter *s, const void *data, size_t len)
{
    int r = buf_append(&s->waiting, data, len);

    if (r < 0)
        return r;
    flush(s);
    return s->waiting.len == 0;
}

void bundle_writer_end(BundleWriter *s)
{
    s->ending = true;
    flush(s);
}

static int start_child(BundleWriter *s, sd_event *event, const char *program, const char *path, int pair[static 2],
                       Error *err)
{
    const char *const argv[] = { program, "--write-bundle", path, NULL };
    const ProcessSpec spec = {
        .argv = argv, .pass_fds = &pair[1], .n_pass_fds = 1, .timeout_usec = DEADLINE, .keep_with_parent = true
    };
    int r = sd_event_add_io(event, &s->writable, pair[0], EPOLLOUT, on_writable, s);

    if (r >= 0)
        r = sd_event_source_set_enabled(s->writable, SD_EVENT_OFF);
    if (r < 0)
        return error_from_errno(err, r, "keeping what arrives");
    return process_spawn(event, &spec, NULL, on_child, s, &s->child, err);
}

int bundle_writer_new(sd_event *event, const char *program, const char *path, const BundleWriterEvents *events,
                      void *userdata, BundleWriter **ret, Error *err)
{
    _cleanup_(bundle_writer_freep) BundleWriter *s = calloc(1, sizeof(*s));
    int pair[2];

    if (!s)
        return error_from_errno(err, -ENOMEM, "keeping what arrives");
    *s = (BundleWriter) { .fd = -1, .waiting = BUF_INIT(PIECE_MAX), .events = events, .userdata = userdata };
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return error_from_errno(err, -errno, "keeping what arrives");
    s->fd = pair[0];
    int r = start_child(s, event, program, path, pair, err);
    close(pair[1]);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(s);
    return 0;
}

int bundle_writer_run(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    FileWriter w = FILE_WRITER_INIT;
    char hex[SHA256_HEX_SIZE];
    int code = EXIT_FAILURE;

    if (file_writer_open(&w, path, NULL) >= 0 && sha256_hex_fd(CHILD_FD, w.fd, RELEASE_SIZE_MAX, NULL, hex) >= 0) {
        if (!str_starts(name, hex))
            code = EXIT_OTHER;
        else if (file_writer_keep(&w, NULL) >= 0)
            code = EXIT_SUCCESS;
    }
    file_writer_done(&w);
    return code;
}

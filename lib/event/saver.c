/* SPDX-License-Identifier: MIT */
/* A short queue in front of one child. */
#include "lib/event/saver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/event/process.h"
#include "lib/event/daemon.h"

#define QUEUE_MAX 6
#define SAVE_SIZE_MAX BUNDLE_SIZE_MAX /* nothing larger is saved */
#define DEADLINE (10 * USEC_PER_SEC)

typedef struct Job {
    char *path, *data;
    size_t len;
    saver_done_t on_done;
    void *userdata;
} Job;

struct Saver {
    sd_event *event;
    sd_event_source *deadline;
    const char *program;
    Process *child;
    Job queue[QUEUE_MAX]; /* the first one is under way */
    size_t n;
};

static void forget_first(Saver *s)
{
    free(s->queue[0].path);
    secret_free(s->queue[0].data);
    memmove(&s->queue[0], &s->queue[1], (--s->n) * sizeof(Job));
}

Saver *saver_free(Saver *s)
{
    if (!s)
        return NULL;
    process_free(s->child);
    sd_event_source_disable_unref(s->deadline);
    while (s->n > 0)
        forget_first(s);
    sd_event_unref(s->event);
    free(s);
    return NULL;
}

static int start_first(Saver *s);

static void first_is_over(Saver *s, bool written)
{
    bool goes_on;
    s->child = process_free(s->child);
    timer_disarm(s->deadline);
    do {
        const Job job = s->queue[0];
        s->queue[0].path = s->queue[0].data = NULL;
        forget_first(s);
        goes_on = s->n == 0 || start_first(s) >= 0;
        free(job.path);
        secret_free(job.data);
        if (job.on_done)
            job.on_done(written, job.userdata);
        written = false; /* one that cannot be started is over, too */
    } while (!goes_on);
}

static void on_child(Process *p _unused_, int status, bool timed_out, void *userdata)
{
    first_is_over(userdata, !timed_out && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A child that hangs in the kernel cannot even be killed: it is left to itself. */
static int on_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    first_is_over(userdata, false);
    return 0;
}

static int start_first(Saver *s)
{
    const Job *job = &s->queue[0];
    const char *const argv[] = { s->program, "--save", job->path, NULL };
    const ProcessSpec spec = {
        .argv = argv,
        .input = job->data,
        .input_len = job->len,
        .timeout_usec = DEADLINE,
        .keep_with_parent = true,
    };
    int r = process_spawn(s->event, &spec, NULL, on_child, s, &s->child, NULL);
    /* without a child the deadline ends the job, at once */
    return timer_arm(s->event, &s->deadline, r < 0 ? 0 : DEADLINE + 2 * USEC_PER_SEC, on_deadline, s);
}

int saver_write(Saver *s, const char *path, const char *text, saver_done_t on_done, void *userdata)
{
    return saver_write_data(s, path, text, strlen(text), on_done, userdata);
}

int saver_write_data(Saver *s, const char *path, const void *data, size_t len, saver_done_t on_done, void *userdata)
{
    if (s->n == QUEUE_MAX)
        return -ENOBUFS;
    Job job = { .path = strdup(path), .data = malloc(len + 1), .len = len, .on_done = on_done, .userdata = userdata };
    if (!job.path || !job.data) {
        free(job.path);
        free(job.data);
        return -ENOMEM;
    }
    memcpy(job.data, data, len);
    job.data[len] = '\0';
    s->queue[s->n++] = job;
    int r = s->n == 1 ? start_first(s) : 0;
    if (r < 0)
        forget_first(s);
    return r;
}

int saver_new(sd_event *event, const char *program, Saver **ret, Error *err)
{
    Saver *s = calloc(1, sizeof(*s));
    if (!s)
        return error_from_errno(err, -ENOMEM, "starting");
    s->event = sd_event_ref(event);
    s->program = program;
    *ret = s;
    return 0;
}

int saver_run(const char *path)
{
    _cleanup_(buf_done) Buf text = BUF_INIT(SAVE_SIZE_MAX);
    for (;;) {
        if (buf_reserve(&text, 4096) < 0)
            return EXIT_FAILURE;
        ssize_t n = read(STDIN_FILENO, text.data + text.len, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return EXIT_FAILURE;
        if (n == 0)
            break;
        text.len += (size_t) n;
    }
    return file_write_atomic(path, text.data, text.len, 0600, (uid_t) -1, (gid_t) -1, NULL) < 0 ? EXIT_FAILURE
                                                                                                : EXIT_SUCCESS;
}

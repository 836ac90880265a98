/* SPDX-License-Identifier: MIT */
#include "secbox/control/control.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"

#define LINE_MAX_BYTES (64 * 1024)
#define ANSWER_MAX_BYTES (1024 * 1024)
#define ACCEPT_PAUSE USEC_PER_SEC

struct Question {
    Control *control;
    Question *next;
    sd_event_source *io;
    int fd;
    Buf in, out;
    char *id;
    bool asked, answered;
    StoreQuery *query;
    Question **link;
};

struct Control {
    sd_event *event;
    sd_event_source *io, *pause;
    int fd;
    control_on_ask_t on_ask;
    void *userdata;
    Question *questions;
    unsigned n;
};

static void question_destroy(Question *q)
{
    store_query_free(q->query);
    sd_event_source_disable_unref(q->io);
    closep(&q->fd);
    buf_done(&q->in);
    buf_done(&q->out);
    free(q->id);
    if (q->link)
        *q->link = NULL;
    free(q);
}

static void question_end(Question *q)
{
    Control *c = q->control;

    for (Question **p = &c->questions; *p; p = &(*p)->next)
        if (*p == q) {
            *p = q->next;
            c->n--;
            break;
        }
    question_destroy(q);
}

/* False: it is over. */
static bool flush(Question *q)
{
    while (q->out.len > 0) {
        ssize_t n = send(q->fd, q->out.data, q->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return sd_event_source_set_io_events(q->io, EPOLLOUT) >= 0;
        if (n <= 0)
            return false;
        buf_consume(&q->out, (size_t) n);
    }
    return false;
}

static void send_message(Question *q, cJSON *message, const char *member, cJSON *value)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message;

    q->answered = true;
    q->query = NULL;
    q->link = NULL;
    if (m && json_add_string(m, "id", q->id) >= 0 && json_add_item(m, member, value) >= 0) {
        _cleanup_(freep) char *text = json_print(m);
        if (!text || buf_puts(&q->out, text) < 0 || buf_puts(&q->out, "\n") < 0)
            buf_clear(&q->out);
    }
    /* an answer that could not be made is a connection that ends: from the loop, not from inside whoever answers */
    (void) sd_event_source_set_io_events(q->io, EPOLLIN | EPOLLOUT);
}

void question_answer(Question *q, cJSON *report)
{
    if (report)
        send_message(q, message_new("data.answer"), "report", report);
    else
        question_refuse(q, -ENOMEM, NULL);
}

void question_refuse(Question *q, int r, const Error *err)
{
    send_message(q, message_new("data.answer"), "error", json_from_error(err, r));
}

StoreQuery **question_query(Question *q)
{
    return &q->query;
}

void *question_userdata(const Question *q)
{
    return q->control->userdata;
}

void question_keep_link(Question *q, Question **link)
{
    q->link = link;
}

static void take_line(Question *q, size_t len)
{
    _cleanup_(cJSON_Deletep) cJSON *message = NULL;
    _cleanup_(error_done) Error err = {};
    int r = message_parse(q->in.data, len, SENDER_LOCAL, &message, NULL, &err);

    q->asked = true;
    q->id = strdup(r >= 0 ? json_string(message, "id") : "");
    if (r >= 0 && q->id)
        q->control->on_ask(q, message, q->control->userdata);
    else
        question_refuse(q, r < 0 ? r : -ENOMEM, &err);
}

/* False: it is over. */
static bool read_some(Question *q)
{
    char *end;

    if (buf_reserve(&q->in, 4096) < 0)
        return false;
    ssize_t n = recv(q->fd, q->in.data + q->in.len, 4096, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    q->in.len += (size_t) n;
    if (!q->asked && (end = memchr(q->in.data, '\n', q->in.len)))
        take_line(q, (size_t) (end - q->in.data));
    return true;
}

static int on_question(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    Question *q = userdata;

    (void) source;
    (void) fd;
    if (q->answered ? !flush(q) : !read_some(q))
        question_end(q);
    else if (!q->answered && revents & EPOLLHUP && !(revents & EPOLLIN))
        question_end(q);
    return 0;
}

static int on_pause_over(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Control *c = userdata;

    return sd_event_source_set_enabled(c->io, SD_EVENT_ON);
}

/* The one who waits stays ready: without a pause the loop would do nothing but try. */
static void pause_accepting(Control *c)
{
    log_warning("secboxctl cannot be let in: %s", strerror(errno));
    if (timer_arm(c->event, &c->pause, ACCEPT_PAUSE, on_pause_over, c) >= 0)
        (void) sd_event_source_set_enabled(c->io, SD_EVENT_OFF);
}

static int on_accept(sd_event_source *source, int listen_fd, uint32_t revents, void *userdata)
{
    Control *c = userdata;
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    Question *q = fd >= 0 && c->n < CONTROL_CLIENTS_MAX ? calloc(1, sizeof(*q)) : NULL;

    (void) source;
    (void) revents;
    if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        pause_accepting(c);
    if (!q) {
        closep(&fd);
        return 0;
    }
    *q = (Question) { .control = c, .fd = fd, .in = BUF_INIT(LINE_MAX_BYTES), .out = BUF_INIT(ANSWER_MAX_BYTES) };
    if (sd_event_add_io(c->event, &q->io, fd, EPOLLIN, on_question, q) < 0) {
        question_destroy(q);
        return 0;
    }
    q->next = c->questions;
    c->questions = q;
    c->n++;
    return 0;
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_(closep) int fd = -1;

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (unlink(path) < 0 && errno != ENOENT)
        return -errno;
    mode_t before = umask(0177);
    int r = bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 ? -errno : 0;
    (void) umask(before);
    if (r >= 0 && listen(fd, CONTROL_CLIENTS_MAX) < 0)
        r = -errno;
    return r < 0 ? r : TAKE_FD(fd);
}

int control_new(sd_event *event, const char *path, control_on_ask_t on_ask, void *userdata, Control **ret, Error *err)
{
    _cleanup_(control_freep) Control *c = calloc(1, sizeof(*c));

    if (!c)
        return error_from_errno(err, -ENOMEM, "cannot listen on %s", path);
    c->fd = -1;
    c->event = sd_event_ref(event);
    c->on_ask = on_ask;
    c->userdata = userdata;
    int r = listen_at(path);
    if (r >= 0)
        r = sd_event_add_io(event, &c->io, c->fd = r, EPOLLIN, on_accept, c);
    /* the loop's first timer takes a descriptor, and this one is for when there are none */
    if (r >= 0)
        r = timer_arm(event, &c->pause, ACCEPT_PAUSE, on_pause_over, c);
    if (r < 0)
        return error_set(err, -r, "control.socket", "cannot listen on %s for secboxctl: %s", path, strerror(-r));
    *ret = TAKE_PTR(c);
    return 0;
}

Control *control_free(Control *c)
{
    if (!c)
        return NULL;
    while (c->questions) {
        Question *q = c->questions;
        c->questions = q->next;
        question_destroy(q);
    }
    sd_event_source_disable_unref(c->io);
    sd_event_source_disable_unref(c->pause);
    closep(&c->fd);
    sd_event_unref(c->event);
    free(c);
    return NULL;
}

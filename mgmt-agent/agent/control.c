/* SPDX-License-Identifier: MIT */
/* Accepting, framing and queueing; what messages mean is handlers.c. */

#include "mgmt-agent/agent/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"

#define CONTROL_QUEUE_MAX (4 * 1024 * 1024)
/* Of those who may not speak as secboxctl; whoever takes mgmt-link over must not keep root out of its own socket. */
#define LINKS_MAX (4 + LOG_READERS_MAX)
#define RECOVERIES_MAX 4
#define PAIRINGS_MAX 4
#define ACCEPT_PAUSE_USEC USEC_PER_SEC

struct ControlClient {
    Control *control;
    ControlClient *next;
    sd_event_source *source;
    int fd;
    uid_t uid;
    bool is_local; /* root's, or our own user's */
    bool is_recovery, is_pairing;
    bool is_link, may_be_local;
    bool closed; /* its last callbacks may still run: freed from the loop */
    Buf in, out;
};

struct Control {
    sd_event *event;
    sd_event_source *source, *sweeper, *pause;
    char *path;
    int fd;
    ControlUsers users;
    const ControlEvents *events;
    void *userdata;
    ControlClient *clients, *link;
    unsigned n_clients, n_links, n_recoveries, n_pairings; /* the latter three: of them, those that may not be local */
};

static void client_free(ControlClient *c)
{
    sd_event_source_unref(c->source);
    if (c->fd >= 0)
        close(c->fd);
    buf_done(&c->in);
    buf_done(&c->out);
    free(c);
}

/* Clients are freed from the loop, never from inside one of their own callbacks. */
static int sweep(sd_event_source *source, void *userdata)
{
    Control *control = userdata;

    (void) source;
    for (ControlClient **p = &control->clients; *p;) {
        ControlClient *c = *p;

        if (!c->closed) {
            p = &c->next;
            continue;
        }
        *p = c->next;
        control->n_clients--;
        control->n_recoveries -= c->is_recovery;
        control->n_pairings -= c->is_pairing;
        control->n_links -= !c->is_local && !c->is_recovery && !c->is_pairing;
        control->events->on_gone(c, control->userdata);
        client_free(c);
    }
    return 0;
}

static void client_close(ControlClient *c)
{
    if (c->closed)
        return;
    c->closed = true;
    if (c->control->link == c)
        c->control->link = NULL;
    (void) sd_event_source_set_enabled(c->source, SD_EVENT_OFF);
    (void) sd_event_source_set_enabled(c->control->sweeper, SD_EVENT_ONESHOT);
}

static void flush(ControlClient *c)
{
    while (c->out.len > 0) {
        ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0) {
            client_close(c);
            return;
        }
        buf_consume(&c->out, (size_t) n);
    }
    if (c->out.len == 0)
        buf_done(&c->out);
    (void) sd_event_source_set_io_events(c->source, c->out.len > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void control_send(ControlClient *c, const cJSON *message)
{
    _cleanup_(freep) char *line = NULL;

    if (!c || c->closed || !(line = json_print(message)))
        return;
    if (buf_puts(&c->out, line) < 0 || buf_puts(&c->out, "\n") < 0) {
        log_warning("A local client (uid %u) does not read its messages, dropping it", (unsigned) c->uid);
        client_close(c);
        return;
    }
    flush(c);
}

size_t control_waiting(const ControlClient *c)
{
    return c->out.len;
}

void control_send_error(ControlClient *c, const char *id, const Error *err, int r)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("error");

    if (m && json_add_string(m, "id", id) == 0 && json_add_item(m, "error", json_from_error(err, r)) == 0)
        control_send(c, m);
}

bool control_client_is_link(const ControlClient *c)
{
    return c->is_link;
}

bool control_client_is_local(const ControlClient *c)
{
    return c->may_be_local;
}

ControlClient *control_link(Control *c)
{
    return c->link;
}

static void become_link(ControlClient *c)
{
    c->is_link = true;
    c->may_be_local = false;
    if (c->control->link && c->control->link != c)
        client_close(c->control->link);
    c->control->link = c;
}

static void take_line(ControlClient *c, const char *line, size_t len)
{
    _cleanup_(cJSON_Deletep) cJSON *message = NULL;
    _cleanup_(error_done) Error err = {};
    const MessageType *type = NULL;
    unsigned senders = c->is_recovery  ? SENDER_RECOVERY
                       : c->is_pairing ? SENDER_PAIRING
                       : c->is_link    ? SENDER_CLOUD | SENDER_LINK
                                       : SENDER_LINK | (c->may_be_local ? SENDER_LOCAL : 0);
    int r = message_parse(line, len, (MessageSender) senders, &message, &type, &err);

    if (r == -ENOMSG)
        return;
    if (r < 0) {
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Refusing a message of a local client (uid %u)",
                    (unsigned) c->uid);
        control_send_error(c, NULL, &err, r);
        return;
    }
    if (str_equal(type->name, "link.hello"))
        become_link(c);
    c->control->events->on_message(c, message, type, c->control->userdata);
}

static int read_some(ControlClient *c)
{
    ssize_t n;

    if (buf_reserve(&c->in, 16384) < 0)
        return -EMSGSIZE;
    n = recv(c->fd, c->in.data + c->in.len, 16384, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0)
        return -ECONNRESET;
    c->in.len += (size_t) n;
    c->in.data[c->in.len] = '\0';
    return 0;
}

static int on_client(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    ControlClient *c = userdata;
    char *newline;

    (void) source;
    (void) fd;
    if (revents & EPOLLOUT) {
        flush(c);
        if (!c->closed && c->out.len == 0)
            c->control->events->on_drained(c, c->control->userdata);
    }
    if (!c->closed && revents & (EPOLLIN | EPOLLHUP | EPOLLERR) && read_some(c) < 0)
        client_close(c);
    while (!c->closed && c->in.len > 0 && (newline = memchr(c->in.data, '\n', c->in.len))) {
        size_t len = (size_t) (newline - c->in.data);

        take_line(c, c->in.data, len);
        buf_consume(&c->in, len + 1);
    }
    if (c->in.len == 0)
        buf_done(&c->in);
    return 0;
}

static int on_pause_over(sd_event_source *source, uint64_t usec, void *userdata)
{
    Control *control = userdata;

    (void) source;
    (void) usec;
    return sd_event_source_set_enabled(control->source, SD_EVENT_ON);
}

/* Out of descriptors: whoever waits goes on waiting, and the loop does not turn for it without a pause. */
static void pause_accepting(Control *control)
{
    log_warning("Cannot accept a local client: %s", strerror(errno));
    if (timer_arm(control->event, &control->pause, ACCEPT_PAUSE_USEC, on_pause_over, control) >= 0)
        (void) sd_event_source_set_enabled(control->source, SD_EVENT_OFF);
}

static bool may_come_in(const Control *control, uid_t uid, bool is_local)
{
    if (control->n_clients >= CONTROL_CLIENTS_MAX)
        return false;
    return is_local || (uid == control->users.recovery && control->n_recoveries < RECOVERIES_MAX) ||
           (uid == control->users.pairing && control->n_pairings < PAIRINGS_MAX) ||
           (uid == control->users.link && control->n_links < LINKS_MAX);
}

static int on_accept(sd_event_source *source, int listen_fd, uint32_t revents, void *userdata)
{
    Control *control = userdata;
    struct ucred peer = { .uid = (uid_t) -1 };
    socklen_t len = sizeof(peer);
    bool is_local, is_recovery, is_pairing;
    ControlClient *c;
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void) source;
    (void) revents;
    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            pause_accepting(control);
        return 0;
    }
    is_local = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && (peer.uid == 0 || peer.uid == geteuid());
    is_recovery = !is_local && peer.uid == control->users.recovery;
    is_pairing = !is_local && !is_recovery && peer.uid == control->users.pairing;
    if (!may_come_in(control, peer.uid, is_local) || !(c = calloc(1, sizeof(*c)))) {
        close(fd);
        return 0;
    }
    *c = (ControlClient) { .control = control,
                           .next = control->clients,
                           .fd = fd,
                           .uid = peer.uid,
                           .is_local = is_local,
                           .is_recovery = is_recovery,
                           .is_pairing = is_pairing,
                           .may_be_local = is_local,
                           .in = BUF_INIT(CONTROL_LINE_MAX + 16384),
                           .out = BUF_INIT(CONTROL_QUEUE_MAX) };
    if (sd_event_add_io(control->event, &c->source, fd, EPOLLIN, on_client, c) < 0) {
        client_free(c);
        return 0;
    }
    control->clients = c;
    control->n_clients++;
    control->n_recoveries += is_recovery;
    control->n_pairings += is_pairing;
    control->n_links += !is_local && !is_recovery && !is_pairing;
    return 0;
}

static int listen_at(const char *path, Error *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(err, ENAMETOOLONG, "control.listen", "the socket's path is too long: %s", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    (void) unlink(path);
    /* open to all at the file system's level: peers are judged by their credentials */
    if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || chmod(path, 0666) < 0 ||
        listen(fd, 16) < 0)
        return error_set(err, errno, "control.listen", "cannot listen at %s: %s", path, strerror(errno));
    return TAKE_FD(fd);
}

int control_new(sd_event *event, const char *path, const ControlUsers *users, const ControlEvents *events,
                void *userdata, Control **ret, Error *err)
{
    _cleanup_(control_freep) Control *c = calloc(1, sizeof(*c));
    int r;

    if (!c)
        return error_set(err, ENOMEM, "control.listen", "no memory");
    *c = (Control) { .event = sd_event_ref(event), .fd = -1, .users = *users, .events = events, .userdata = userdata };
    c->fd = listen_at(path, err);
    if (c->fd < 0)
        return c->fd;
    c->path = strdup(path);
    r = sd_event_add_io(event, &c->source, c->fd, EPOLLIN, on_accept, c);
    if (r >= 0)
        r = sd_event_add_defer(event, &c->sweeper, sweep, c);
    if (r >= 0)
        r = sd_event_source_set_enabled(c->sweeper, SD_EVENT_OFF);
    /* the loop's first timer takes a descriptor, and this one is for when there are none */
    if (r >= 0)
        r = timer_arm(event, &c->pause, ACCEPT_PAUSE_USEC, on_pause_over, c);
    if (r < 0 || !c->path)
        return error_set(err, r < 0 ? r : -ENOMEM, "control.listen", "cannot watch %s", path);
    *ret = TAKE_PTR(c);
    return 0;
}

Control *control_free(Control *c)
{
    if (!c)
        return NULL;
    for (ControlClient *client = c->clients, *next; client; client = next) {
        next = client->next;
        client_free(client);
    }
    sd_event_source_unref(c->source);
    sd_event_source_unref(c->sweeper);
    sd_event_source_disable_unref(c->pause);
    if (c->fd >= 0)
        close(c->fd);
    if (c->path)
        (void) unlink(c->path);
    free(c->path);
    sd_event_unref(c->event);
    free(c);
    return NULL;
}

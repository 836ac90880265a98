/* SPDX-License-Identifier: MIT */
/* See signer-link.h. */
#include "gateway/sessions/signer-link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/health/api-metrics.h"
#include "gateway/sessions/signer-packet.h"
#include "gateway/store/schema.h"
#include "lib/base/encode.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/backoff.h"
#include "lib/event/daemon.h"
#include "lib/event/process.h"

#define TOPIC "signer/%s"
#define PATIENCE (15 * USEC_PER_SEC)
#define WAITING_MAX 256
/* fewer than the signer takes at once */
#define UNDER_WAY_MAX 48
#define LIFETIME ((usec_t) 10 * 365 * 24 * 3600 * USEC_PER_SEC) /* every child has a deadline */
#define KILL_AFTER (5 * USEC_PER_SEC)
#define WHO "the process that signs certificates"

typedef struct Asked {
    char id[RANDOM_ID_SIZE];
    cJSON *question; /* NULL: it was sent */
} Asked;

struct SignerLink {
    sd_event *event;
    Requests *requests;
    char *socket; /* NULL: a child of ours, of the following */
    char *program, *key;
    char **env; /* secret */
    char *public;
    Process *child;
    int fd;
    sd_event_source *io, *again;
    Backoff backoff;
    usec_t begun;
    bool is_greeted, was_greeted; /* by this one; the second also when it has ended since */
    bool is_told;                 /* it was said that it is not there */
    Asked waiting[WAITING_MAX];
    size_t n;
};

static void forget(SignerLink *l, size_t i)
{
    cJSON_Delete(l->waiting[i].question);
    l->waiting[i] = l->waiting[--l->n];
}

/* Whoever was sent gets no answer any more. The others wait for the next signer, unless this one could not even begin. */
static void let_go(SignerLink *l)
{
    bool all = !l->was_greeted;

    for (size_t i = l->n; i-- > 0;) {
        char id[RANDOM_ID_SIZE];

        if (l->waiting[i].question && !all)
            continue;
        memcpy(id, l->waiting[i].id, sizeof(id));
        forget(l, i);
        requests_tell(l->requests, NULL, TOPIC, id);
    }
    if (all)
        requests_tell(l->requests, NULL, TOPIC, "public");
}

static void hang_up(SignerLink *l)
{
    l->io = sd_event_source_disable_unref(l->io);
    if (l->fd >= 0)
        close(TAKE_FD(l->fd));
    if (l->is_greeted)
        backoff_session_ended(&l->backoff, boottime_usec() - l->begun);
    l->is_greeted = false;
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata);

/* Back to where it began, and once more in a while. */
static void start_later(SignerLink *l)
{
    uint64_t random = 0;

    hang_up(l);
    random_bytes(&random, sizeof(random));
    if (timer_arm(l->event, &l->again, backoff_next(&l->backoff, random, 0, 0), on_again, l) < 0)
        log_error(WHO " is not started again: out of memory");
    let_go(l);
}

/* The connection is good for nothing any more. A child of ours has to end before there is another: on_child_end() goes on then. */
static void lose(SignerLink *l)
{
    if (l->child) {
        hang_up(l);
        process_terminate(l->child);
        return;
    }
    if (!l->is_told)
        log_warning(WHO " has ended: the next question starts it anew");
    l->is_told = true;
    start_later(l);
}

/* Those whose client has gone. */
static void forget_gone(SignerLink *l)
{
    for (size_t i = l->n; i-- > 0;)
        if (l->waiting[i].question && !requests_find(l->requests, l->waiting[i].id))
            forget(l, i); /* another one is in its place, which was looked at */
}

static void send_waiting(SignerLink *l)
{
    size_t under_way = 0;

    forget_gone(l);
    for (size_t i = 0; i < l->n; i++)
        under_way += !l->waiting[i].question;
    for (size_t i = 0; i < l->n && under_way < UNDER_WAY_MAX; i++) {
        int r = l->waiting[i].question ? packet_send(l->fd, l->waiting[i].question) : 0;
        if (r == -EAGAIN)
            return; /* the next answer makes room */
        if (r < 0 && r != -EMSGSIZE) {
            lose(l);
            return;
        }
        under_way += l->waiting[i].question != NULL;
        cJSON_Delete(TAKE_PTR(l->waiting[i].question));
    }
}

static void on_greeting(SignerLink *l, const cJSON *packet)
{
    const char *public = json_string(packet, "publicKey");

    if (!public)
        return;
    if (l->public && !str_equal(l->public, public))
        log_warning("the authority that signs certificates has another key than before: boxes have to be told");
    free(l->public);
    l->public = strdup(public);
    if (l->is_told)
        log_notice(WHO " is there again");
    l->is_greeted = l->was_greeted = true;
    l->is_told = false;
    requests_tell(l->requests, packet, TOPIC, "public");
    send_waiting(l);
}

static void on_answer(SignerLink *l, const char *id, const cJSON *packet)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->waiting[i].question || !str_equal(l->waiting[i].id, id))
            continue;
        forget(l, i);
        requests_tell(l->requests, packet, TOPIC, id);
        break;
    }
    if (l->is_greeted)
        send_waiting(l);
}

static int on_packet(sd_event_source *source _unused_, int fd, uint32_t revents _unused_, void *userdata)
{
    SignerLink *l = userdata;
    _cleanup_(cJSON_Deletep) cJSON *packet = NULL;
    int r = packet_receive(fd, &packet);
    const char *id = json_string(packet, "id");

    if (r < 0)
        lose(l);
    else if (packet && id)
        on_answer(l, id, packet);
    else if (packet)
        on_greeting(l, packet);
    return 0;
}

static void on_child_line(Process *p _unused_, ProcessStream stream _unused_, const char *line, void *userdata _unused_)
{
    log_relay("signer", line);
}

static void on_child_end(Process *p _unused_, int status, bool timed_out, void *userdata)
{
    SignerLink *l = userdata;
    _cleanup_(freep) char *how = process_status_string(status, timed_out);

    log_warning(WHO " has ended (%s): it starts again", how ? how : "?");
    l->is_told = true;
    l->child = process_free(l->child);
    start_later(l);
}

/* The key's file is opened by the child alone. */
static int start_child(SignerLink *l, int *ret, Error *err)
{
    const char *const argv[] = { l->program, SIGNER_CHILD_OPTION, l->key, NULL };
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return error_from_errno(err, -errno, "start " WHO);
    const ProcessSpec spec = {
        .argv = argv,
        .env = (const char *const *) l->env,
        .pass_fds = &pair[1],
        .n_pass_fds = 1,
        .timeout_usec = LIFETIME,
        .kill_after_usec = KILL_AFTER,
        .keep_with_parent = true,
    };
    int r = process_spawn(l->event, &spec, on_child_line, on_child_end, l, &l->child, err);
    close(pair[1]);
    if (r < 0)
        close(pair[0]);
    else
        *ret = pair[0];
    return r;
}

static int begin(SignerLink *l, Error *err)
{
    int r = l->socket ? packet_connect(l->socket, &l->fd, err) : start_child(l, &l->fd, err);

    l->begun = boottime_usec();
    l->was_greeted = false;
    if (r >= 0)
        r = sd_event_add_io(l->event, &l->io, l->fd, EPOLLIN, on_packet, l);
    return r < 0 ? error_from_errno(err, r, "start " WHO) : 0;
}

static int on_again(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    SignerLink *l = userdata;
    _cleanup_(error_done) Error err = {};
    int r = begin(l, &err);

    if (r >= 0)
        return 0;
    if (!l->is_told)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, WHO " is not there");
    l->is_told = true;
    start_later(l);
    return 0;
}

/* What it is told is its own: the rest of ours, but what would have it speak to the service manager in our name. */
static int make_env(SignerLink *l, const char *database)
{
    static const char *const ours[] = {
        "NOTIFY_SOCKET=",           "WATCHDOG_",           "LISTEN_", DATABASE_VARIABLE "=",
        METRICS_TOKEN_VARIABLE "=", LOG_RELAY_VARIABLE "="
    };
    int r = strv_add(&l->env, LOG_RELAY_VARIABLE "=1");

    for (char **e = environ; *e && r >= 0; e++) {
        bool is_ours = false;

        for (size_t i = 0; i < ELEMENTSOF(ours); i++)
            is_ours = is_ours || str_starts(*e, ours[i]);
        if (!is_ours)
            r = strv_add(&l->env, *e);
    }
    return r < 0 || !database ? r : strv_addf(&l->env, DATABASE_VARIABLE "=%s", database);
}

static char *own_path(void)
{
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path));

    return len > 0 && (size_t) len < sizeof(path) ? strndup(path, (size_t) len) : NULL;
}

int signer_link_new(sd_event *event, Requests *requests, const SignerLinkOptions *o, SignerLink **ret, Error *err)
{
    _cleanup_(signer_link_freep) SignerLink *l = calloc(1, sizeof(*l));

    if (!l)
        return error_from_errno(err, -ENOMEM, "starting");
    l->event = sd_event_ref(event);
    l->requests = requests;
    l->fd = -1;
    l->backoff = (Backoff) { .base_usec = USEC_PER_SEC, .cap_usec = 2 * USEC_PER_SEC, .stable_usec = USEC_PER_SEC };
    l->program = own_path();
    l->key = path_join(o->state_dir, SUPPORT_CA_NAME);
    if (!l->program || !l->key || make_env(l, o->database) < 0)
        return error_from_errno(err, -ENOMEM, "starting");
    /* a unit of one's own may start us as before, and the key be root's since ours was started once */
    bool is_roots = access(l->key, F_OK) == 0 && access(l->key, R_OK) < 0;
    if (o->socket || is_roots)
        l->socket = strdup(o->socket ? o->socket : SIGNER_SOCKET);
    if ((o->socket || is_roots) && !l->socket)
        return error_from_errno(err, -ENOMEM, "starting");
    int r = timer_arm(event, &l->again, 0, on_again, l);
    if (r < 0)
        return error_from_errno(err, r, "starting");
    *ret = TAKE_PTR(l);
    return 0;
}

SignerLink *signer_link_free(SignerLink *l)
{
    if (!l)
        return NULL;
    while (l->n > 0)
        forget(l, 0);
    process_free(l->child);
    l->io = sd_event_source_disable_unref(l->io);
    if (l->fd >= 0)
        close(l->fd);
    sd_event_source_disable_unref(l->again);
    for (char **e = l->env; e && *e; e++)
        explicit_bzero(*e, strlen(*e));
    strv_free(l->env);
    free(l->socket);
    free(l->program);
    free(l->key);
    free(l->public);
    sd_event_unref(l->event);
    free(l);
    return NULL;
}

const char *signer_link_public(const SignerLink *l)
{
    return l->public;
}

int signer_link_ask(SignerLink *l, const Request *c, cJSON *question, Error *err)
{
    if (json_add_string(question, "id", c->id) < 0) {
        cJSON_Delete(question);
        return error_from_errno(err, -ENOMEM, "signing a certificate");
    }
    if (l->n == WAITING_MAX)
        forget_gone(l);
    if (l->n == WAITING_MAX) {
        cJSON_Delete(question);
        return error_set(err, EAGAIN, "signer.too-many", "%d certificates are asked for at once: try again soon",
                         WAITING_MAX);
    }
    Asked *asked = &l->waiting[l->n++];
    memcpy(asked->id, c->id, sizeof(asked->id));
    asked->question = question;
    if (l->is_greeted)
        send_waiting(l);
    return 0;
}

void signer_link_wait(Request *c, request_news_t on_news)
{
    request_wait(c, PATIENCE, on_news, TOPIC, c->scratch ? c->id : "public");
}

void signer_link_fail(Request *c)
{
    _cleanup_(error_done) Error err = {};

    error_set(&err, ENOTCONN, "signer.unavailable",
              WHO " has not answered: try again; if that does not help, its log says why (secbox-gateway doctor)");
    request_fail(c, -ENOTCONN, &err);
}

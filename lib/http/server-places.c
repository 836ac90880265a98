/* SPDX-License-Identifier: MIT */
/* Who has a place, who waits for one, and who gives his up: each answered in the same time however many there are. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/event/daemon.h"
#include "lib/http/server-conn-impl.h"

/* A hello comes in one piece, or two; a busy box on a slow line takes longer for what follows our answer. */
#define ANSWERED_TIMES 4
/* A known address has longer. */
#define KNOWN_TIMES 2
/* The client says how long it waits: it is passed over once it has left. */
#define QUEUE_TIMEOUT (60 * USEC_PER_SEC)
#define CROWD_LOOK (250 * USEC_PER_MSEC)
/* Of the places for strangers, what one address can have. */
#define SHARE 2

static void turn_end(HttpCaller *caller)
{
    HttpTurns *turns = caller->turns;
    if (caller->before)
        caller->before->behind = caller->behind;
    else
        turns->first = caller->behind;
    if (caller->behind)
        caller->behind->before = caller->before;
    else
        turns->last = caller->before;
    caller->before = caller->behind = NULL;
    caller->turns = NULL;
}

static void turn_begin(HttpServer *s, HttpCaller *caller)
{
    HttpTurns *turns = &s->turns[caller->known];
    caller->turns = turns;
    caller->before = turns->last;
    if (caller->before)
        caller->before->behind = caller;
    else
        turns->first = caller;
    turns->last = caller;
}

void http_queue_leave(HttpConn *c, HttpLine line)
{
    HttpPlace *p = &c->places[line];
    HttpQueue *q = p->in;
    if (!q)
        return;
    if (p->older)
        p->older->places[line].newer = p->newer;
    else
        q->oldest = p->newer;
    if (p->newer)
        p->newer->places[line].older = p->older;
    else
        q->newest = p->older;
    q->n--;
    *p = (HttpPlace) {};
    if (q != &c->caller->waiting)
        return;
    c->server->n_waiting--;
    if (q->n == 0)
        turn_end(c->caller);
}

/* At its end, unless it stands there already. */
static void queue_join(HttpQueue *q, HttpConn *c, HttpLine line)
{
    HttpPlace *p = &c->places[line];
    if (p->in == q)
        return;
    http_queue_leave(c, line);
    *p = (HttpPlace) { .in = q, .older = q->newest };
    if (p->older)
        p->older->places[line].newer = c;
    else
        q->oldest = c;
    q->newest = c;
    q->n++;
}

/* Where those stand who do as it does; NULL: it is not ended for others. */
static HttpQueue *queue_for(const HttpConn *c)
{
    HttpServer *s = c->server;
    if (c->phase == HTTP_ANSWERING || (c->phase == HTTP_PIECES && !c->x->on_whole))
        return NULL; /* we work for it */
    if (c->phase == HTTP_IDLE && c->in.len == 0 && c->used)
        return c->known ? &s->idle_known : &s->idle;
    if (c->known)
        return NULL;
    return c->phase == HTTP_SENDING || c->phase == HTTP_READING ? &s->taking : &s->pending;
}

void http_conn_settle(HttpConn *c)
{
    HttpServer *s = c->server;
    HttpQueue *q = queue_for(c);
    if (q)
        queue_join(q, c, LINE_SERVER);
    else
        http_queue_leave(c, LINE_SERVER);
    if (q == &s->taking)
        queue_join(&c->caller->taking, c, LINE_CALLER);
    else if (q == &s->pending || q == &s->idle)
        queue_join(&c->caller->strangers, c, LINE_CALLER);
    else
        http_queue_leave(c, LINE_CALLER);
}

void http_conn_moves(HttpConn *c)
{
    c->since = boottime_usec();
    http_queue_leave(c, LINE_SERVER);
    http_queue_leave(c, LINE_CALLER);
    http_conn_settle(c);
}

/* The request of an honest client is here a moment after it began, or moves; its answer is taken, if slowly. */
static HttpConn *if_slow(const HttpServer *s, HttpConn *c)
{
    HttpQueue *q = c ? c->places[LINE_SERVER].in : NULL;
    usec_t patience = q == &s->idle ? 0 : q == &s->taking ? s->taking_slow : s->slow;
    return c && boottime_usec() - c->since >= patience ? c : NULL;
}

static int end_one(HttpConn *c)
{
    if (!c)
        return -ENOENT;
    http_conn_free(c);
    return 0;
}

static HttpConn *stranger_to_end(const HttpServer *s)
{
    HttpConn *c = s->idle.oldest ? s->idle.oldest : if_slow(s, s->pending.oldest);
    return c ? c : if_slow(s, s->taking.oldest);
}

int http_conn_evict(HttpServer *s)
{
    HttpConn *c = stranger_to_end(s);
    return end_one(c ? c : s->idle_known.oldest);
}

int http_conn_make_room(HttpServer *s, const HttpCaller *caller)
{
    if (s->max_strangers == 0)
        return 0;
    unsigned share = s->max_strangers / SHARE;
    if (caller->strangers.n + caller->taking.n >= (share > 0 ? share : 1)) {
        HttpConn *c = if_slow(s, caller->strangers.oldest);
        return end_one(c ? c : if_slow(s, caller->taking.oldest));
    }
    if (caller->known)
        return 0;
    return s->n_conns - s->n_known > s->max_strangers ? end_one(stranger_to_end(s)) : 0;
}

static bool greeting_stalls(const HttpConn *c)
{
    bool answered = false;
    return stream_handshake_stalls(c->stream, &answered) &&
           boottime_usec() - c->since >=
               c->server->hello_slow * (answered ? ANSWERED_TIMES : 1) * (c->as_known ? KNOWN_TIMES : 1);
}

/* Ends TLS handshakes with which nothing is to be done here, and with which the peer lets others wait: as many as wait for such
 * a place. */
static void end_stalled(HttpServer *s)
{
    HttpConn *newer;
    for (HttpConn *c = s->greetings.oldest; c; c = newer) {
        newer = c->places[LINE_GREETING].newer;
        if (s->turns[c->as_known].first && greeting_stalls(c))
            http_conn_free(c);
    }
}

static int on_crowd(sd_event_source *source, uint64_t usec, void *userdata);

static void crowd_watch(HttpServer *s)
{
    if (s->n_waiting > 0 && !s->crowded)
        s->crowded = timer_arm(s->event, &s->crowd, CROWD_LOOK, on_crowd, s) >= 0;
}

/* Whoever begins handshakes and leaves them keeps nobody out: the places are for those who come. */
static int on_crowd(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    HttpServer *s = userdata;
    s->crowded = false;
    if (s->n_waiting > 0)
        end_stalled(s);
    crowd_watch(s);
    return 0;
}

/* Whoever gave up while he waited cannot finish a handshake: nothing is computed for him. */
static bool peer_has_left(int fd)
{
    struct tcp_info info = {};
    socklen_t len = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) >= 0 && info.tcpi_state != TCP_ESTABLISHED;
}

/* Takes a place. On failure the connection is gone. */
static int greet_now(HttpConn *c, bool known)
{
    HttpServer *s = c->server;
    c->as_known = known;
    c->since = boottime_usec();
    http_queue_leave(c, LINE_SERVER); /* its time begins anew, behind those whose time has begun */
    http_queue_leave(c, LINE_CALLER);
    int r = s->tls && peer_has_left(c->fd) ? -ECONNRESET : http_conn_open(c);
    if (r < 0)
        http_conn_free(c);
    else if (c->greeting)
        queue_join(&s->greetings, c, LINE_GREETING);
    return r;
}

/* Strangers and addresses that are known cannot take each other's. */
static bool has_place(const HttpServer *s, bool known)
{
    return s->n_handshakes[known] < s->max_handshakes;
}

int http_conn_greet(HttpConn *c)
{
    HttpServer *s = c->server;
    if (!s->tls || has_place(s, c->caller->known))
        return greet_now(c, c->caller->known);
    c->phase = HTTP_QUEUED;
    http_conn_deadline(c, QUEUE_TIMEOUT);
    http_conn_settle(c);
    queue_join(&c->caller->waiting, c, LINE_GREETING);
    s->n_waiting++;
    if (!c->caller->turns)
        turn_begin(s, c->caller);
    crowd_watch(s);
    return 0;
}

/* Whose turn it is: of the known, else of the strangers. */
static HttpCaller *next_with_place(const HttpServer *s, bool *ret_known)
{
    for (int known = 1; known >= 0; known--)
        if (s->turns[known].first && has_place(s, known)) {
            *ret_known = known;
            return s->turns[known].first;
        }
    return NULL;
}

/* One address after the other: whoever comes alone does not wait for all that another has sent before. */
void http_server_handshake_over(HttpServer *s, bool known)
{
    HttpCaller *caller;
    s->n_handshakes[known]--;
    while (!s->ending && (caller = next_with_place(s, &known))) {
        HttpConn *c = caller->waiting.oldest;
        turn_end(caller);
        turn_begin(s, caller);
        http_queue_leave(c, LINE_GREETING);
        (void) greet_now(c, known);
    }
}

void http_note_known(HttpExchange *x)
{
    HttpConn *c = x->conn;
    if (!c || c->server->max_strangers == 0)
        return;
    http_caller_note_known(c->server->callers, c->caller);
    if (c->known)
        return;
    c->known = true;
    c->server->n_known++;
    http_conn_settle(c);
}

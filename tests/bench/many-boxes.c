/* SPDX-License-Identifier: MIT */
/* many-boxes URL CA KEY ISSUER FIRST COUNT PARALLEL: COUNT boxes in one process, each with a tunnel of its own as on a real
 * box. Their names are "bench-N" from FIRST on, their tokens are signed here with the gateway's own KEY. At most PARALLEL
 * are on their way at one time until all have been up once; from then on each decides for itself.
 * Prints a line whenever the counts have changed: seconds since the start, connected, refused with 503, lost or failed.
 * Ends with its standard input. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/jwt.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"
#include "lib/tunnel/tunnel.h"

#define ROLE "mgmt"
#define TELL_EVERY (20 * USEC_PER_MSEC)
#define TOKEN_SECONDS 86400

typedef struct Crowd Crowd;

typedef struct Member {
    Crowd *crowd;
    Tunnel *tunnel;
    char *id, *token;
    bool started, was_up;
} Member;

struct Crowd {
    sd_event *event;
    sd_event_source *tell, *input;
    Key *key;
    const char *url, *ca, *issuer;
    Member *members;
    uint64_t n, parallel;
    uint64_t next, under_way; /* of the first round */
    uint64_t refused, lost;
    usec_t start;
    bool changed;
};

static void start_more(Crowd *c)
{
    while (c->next < c->n && c->under_way < c->parallel) {
        Member *m = &c->members[c->next++];
        m->started = true;
        c->under_way++;
        tunnel_retry(m->tunnel);
    }
}

static cJSON *make_hello(Tunnel *t _unused_, void *userdata)
{
    const Member *m = userdata;
    cJSON *hello = message_new("hello");
    if (hello && json_add_string(hello, "deviceId", m->id) >= 0 && json_add_string(hello, "role", ROLE) >= 0 &&
        json_add_string(hello, "program", "many-boxes") >= 0 &&
        json_add_string(hello, "version", SECBOX_VERSION) >= 0 && json_add_string(hello, "bootId", "bench") >= 0 &&
        json_add_int(hello, "protocol", 1) >= 0)
        return hello;
    cJSON_Delete(hello);
    return NULL;
}

static const char *get_token(Tunnel *t _unused_, void *userdata)
{
    const Member *m = userdata;
    return m->started ? m->token : NULL;
}

static void on_up(Tunnel *t _unused_, const cJSON *welcome _unused_, void *userdata)
{
    Member *m = userdata;
    Crowd *c = m->crowd;
    c->changed = true;
    if (m->was_up)
        return;
    m->was_up = true;
    c->under_way--;
    start_more(c);
}

static void on_message(Tunnel *t _unused_, const cJSON *message _unused_, const char *text _unused_,
                       void *userdata _unused_)
{
}

static void on_down(Tunnel *t _unused_, int http_status, usec_t retry_in, const Error *err, void *userdata)
{
    Member *m = userdata;
    Crowd *c = m->crowd;
    if (retry_in == USEC_INFINITY) {
        (void) fprintf(stderr, "many-boxes: %s: %s\n", m->id, error_message(err, -EIO));
        (void) sd_event_exit(c->event, -EACCES);
    }
    if (http_status == 503)
        c->refused++;
    else
        c->lost++;
    c->changed = true;
}

static const TunnelEvents tunnel_events = {
    .make_hello = make_hello,
    .get_token = get_token,
    .on_up = on_up,
    .on_message = on_message,
    .on_down = on_down,
};

static int on_tell(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Crowd *c = userdata;
    if (c->changed) {
        uint64_t up = 0;
        for (uint64_t i = 0; i < c->n; i++)
            up += tunnel_is_up(c->members[i].tunnel);
        (void) printf("%.3f %llu %llu %llu\n", (double) (boottime_usec() - c->start) / (double) USEC_PER_SEC,
                      (unsigned long long) up, (unsigned long long) c->refused, (unsigned long long) c->lost);
        (void) fflush(stdout);
        c->changed = false;
    }
    return timer_arm(c->event, &c->tell, TELL_EVERY, on_tell, c);
}

static int on_input(sd_event_source *source _unused_, int fd, uint32_t revents _unused_, void *userdata)
{
    Crowd *c = userdata;
    char ignored[64];
    return read(fd, ignored, sizeof ignored) > 0 ? 0 : sd_event_exit(c->event, 0);
}

static int member_init(Crowd *c, Member *m, uint64_t number, Error *err)
{
    uint64_t now = realtime_usec() / USEC_PER_SEC;
    m->crowd = c;
    m->id = str_format("bench-%llu", (unsigned long long) number);
    if (!m->id)
        return -ENOMEM;
    const JwtClaims claims = { .issuer = (char *) c->issuer,
                               .audience = (char *) ROLE,
                               .subject = m->id,
                               .id = m->id,
                               .thumbprint = (char *) "bench",
                               .issued_at = now,
                               .not_before = now,
                               .expires_at = now + TOKEN_SECONDS };
    const TunnelOptions options = { .url = c->url, .ca_file = c->ca, .events = &tunnel_events, .userdata = m };
    int r = jwt_sign_device(c->key, &claims, &m->token, err);
    return r < 0 ? r : tunnel_new(c->event, &options, &m->tunnel, err);
}

static int crowd_start(Crowd *c, uint64_t first, Error *err)
{
    int r = 0;
    c->members = calloc(c->n, sizeof *c->members);
    if (!c->members)
        return -ENOMEM;
    for (uint64_t i = 0; i < c->n && r >= 0; i++)
        r = member_init(c, &c->members[i], first + i, err);
    /* each asks for its token once and is idle from then on */
    while (r >= 0 && sd_event_run(c->event, 0) > 0)
        ;
    if (r >= 0)
        r = sd_event_add_io(c->event, &c->input, STDIN_FILENO, EPOLLIN, on_input, c);
    if (r >= 0)
        r = timer_arm(c->event, &c->tell, TELL_EVERY, on_tell, c);
    if (r < 0)
        return r;
    c->start = boottime_usec();
    (void) printf("ready\n");
    (void) fflush(stdout);
    start_more(c);
    return 0;
}

static void crowd_done(Crowd *c)
{
    for (uint64_t i = 0; c->members && i < c->n; i++) {
        tunnel_free(c->members[i].tunnel);
        free(c->members[i].id);
        free(c->members[i].token);
    }
    free(c->members);
    key_free(c->key);
    sd_event_source_disable_unref(c->tell);
    sd_event_source_disable_unref(c->input);
    sd_event_unref(c->event);
}

int main(int argc, char **argv)
{
    _cleanup_(error_done) Error err = {};
    Crowd c = {};
    uint64_t first = 0;
    struct rlimit files = {};
    if (argc != 8 || str_to_u64(argv[5], 0, UINT32_MAX, &first) < 0 || str_to_u64(argv[6], 1, UINT32_MAX, &c.n) < 0 ||
        str_to_u64(argv[7], 1, UINT32_MAX, &c.parallel) < 0) {
        (void) fprintf(stderr, "usage: many-boxes URL CA KEY ISSUER FIRST COUNT PARALLEL\n");
        return 2;
    }
    c.url = argv[1];
    c.ca = argv[2];
    c.issuer = argv[4];
    if (getrlimit(RLIMIT_NOFILE, &files) >= 0) {
        files.rlim_cur = files.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &files);
    }
    int r = service_loop_new(&c.event, &err);
    if (r >= 0)
        r = key_load(argv[3], &c.key, &err);
    if (r >= 0)
        r = crowd_start(&c, first, &err);
    if (r >= 0)
        r = sd_event_loop(c.event);
    if (r < 0)
        (void) fprintf(stderr, "many-boxes: %s\n", error_message(&err, r));
    crowd_done(&c);
    return r < 0;
}

/* SPDX-License-Identifier: MIT */
/* See signer.h. One connection for each gateway, and a few questions under way in each. */
#include "gateway/sessions/signer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/auth/device-registry.h"
#include "gateway/auth/secrets.h"
#include "gateway/sessions/grants.h"
#include "gateway/sessions/certificate-rules.h"
#include "gateway/sessions/recording-policy.h"
#include "gateway/sessions/signer-packet.h"
#include "gateway/store/schema.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/base/token-bucket.h"
#include "lib/data/json.h"
#include "lib/postgres/store.h"

#define CA_COMMENT "secbox-support-ca"
#define CONNECTIONS_MAX 16
#define QUESTIONS_MAX 64 /* under way in one connection */
/* Certificates: what a hundred people who copy to a hundred boxes need, and no more. */
#define RATE 5
#define BURST 1000
#define QUESTION_ID_MAX 64

typedef struct Connection Connection;

typedef struct Question {
    Connection *connection; /* NULL: free */
    StoreQuery *query;
    cJSON *body;
    SshPublicKey key;
    const char *source; /* static */
} Question;

struct Connection {
    Signer *signer;
    int fd;
    sd_event_source *io;
    bool is_greeted;
    Question questions[QUESTIONS_MAX];
};

struct Signer {
    sd_event *event;
    Store *store;
    SshCa *ca;
    char *public;
    RecordingPolicy recording;
    TokenBucket bucket;
    int listen_fd;
    sd_event_source *listening;
    Connection *parent; /* among the others */
    Connection *connections[CONNECTIONS_MAX];
};

static void question_done(Question *q)
{
    store_query_free(q->query);
    cJSON_Delete(q->body);
    ssh_public_key_done(&q->key);
    *q = (Question) {};
}

static void connection_free(Connection *c)
{
    for (size_t i = 0; i < QUESTIONS_MAX; i++)
        question_done(&c->questions[i]);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (c->signer->connections[i] == c)
            c->signer->connections[i] = NULL;
    sd_event_source_disable_unref(c->io);
    close(c->fd);
    free(c);
}

/* Who does not read what it has asked for loses the connection: its next event is the end. */
static void connection_send(const Connection *c, const cJSON *object)
{
    int r = object ? packet_send(c->fd, object) : -ENOMEM;

    if (r < 0) {
        log_warning("a gateway cannot be answered: %s", strerror(-r));
        (void) shutdown(c->fd, SHUT_RDWR);
    }
}

static void greet(Connection *c)
{
    _cleanup_(cJSON_Deletep) cJSON *object = cJSON_CreateObject();

    if (c->is_greeted || !store_is_up(c->signer->store))
        return;
    c->is_greeted = true;
    if (object && json_add_string(object, "publicKey", c->signer->public) >= 0)
        connection_send(c, object);
}

static void refuse(const Connection *c, const char *id, int r, const Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *answer = cJSON_CreateObject();

    if (!answer || json_add_string(answer, "id", id) < 0 || json_add_int(answer, "errno", -r) < 0 ||
        json_add_item(answer, "error", json_from_error(err, r)) < 0)
        answer = (cJSON_Delete(answer), NULL);
    connection_send(c, answer);
}

/* A box that tells accounts apart lets in by BOX:ACCOUNT; an older one, which knows its own name alone, is told no more. */
static char *principal_of(const Grant *g, const GrantExtra *extra)
{
    return extra->by_account ? str_format("%s:%s", g->device, g->account) : strdup(g->device);
}

static int sign(const Question *q, const Grant *g, const GrantExtra *extra, CertificateValidity *ret_valid, char **ret,
                Error *err)
{
    static const char *const plain[] = { "permit-pty", NULL };
    static const char *const forwarding[] = { "permit-agent-forwarding", "permit-port-forwarding", "permit-pty", NULL };
    _cleanup_(freep) char *key_id = str_format("%s/%s/%" PRIu64, g->person, g->id, extra->serial),
                          *principal = principal_of(g, extra), *command = NULL;
    const BoxClock clock = box_clock_read(q->body);

    if (!key_id || !principal ||
        recording_policy_command(&q->connection->signer->recording, g->id, extra->serial, g->break_glass, &command) < 0)
        return error_from_errno(err, -ENOMEM, "signing a certificate");
    *ret_valid = certificate_validity(&clock, g->expires_at, realtime_usec());
    const SshCertSpec spec = {
        .key = &q->key,
        .serial = extra->serial,
        .key_id = key_id,
        .principal = principal,
        .valid_after = ret_valid->after,
        .valid_before = ret_valid->before,
        .force_command = command,
        .source_address = q->source,
        .extensions = g->forwarding ? forwarding : plain,
    };
    return ssh_cert_sign(q->connection->signer->ca, &spec, ret, err);
}

static int make_answer(const Question *q, const Grant *g, const GrantExtra *extra, cJSON **ret, Error *err)
{
    char until[TIMESTAMP_SIZE];
    _cleanup_(freep) char *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    CertificateValidity valid = {};
    int r = sign(q, g, extra, &valid, &text, err);

    if (r < 0)
        return r;
    if (!body || json_add_string(body, "id", json_string(q->body, "id")) < 0 ||
        json_add_string(body, "certificate", text) < 0 || json_add_string(body, "account", g->account) < 0 ||
        json_add_u64(body, "serial", extra->serial) < 0 ||
        json_add_bool(body, "hostKeysKnown", extra->host_keys_known) < 0 ||
        json_add_string(body, "recording", recording_policy_mode(&q->connection->signer->recording, g->break_glass)) <
            0 ||
        (valid.once &&
         (json_add_bool(body, "once", true) < 0 || json_add_int(body, "keepSeconds", CERTIFICATE_KEEP_SECONDS) < 0)) ||
        json_add_string(body, "expiresAt", timestamp_format(g->expires_at * USEC_PER_SEC, until)) < 0)
        return error_from_errno(err, -ENOMEM, "signing a certificate");
    *ret = TAKE_PTR(body);
    return 0;
}

/* The statement gave a serial number only if all of this holds; here it is only said why not. */
static int judge(const Grant *g, const GrantExtra *extra, Error *err)
{
    if (!extra->token_good)
        return error_set(err, EACCES, "operator.revoked",
                         "this token is not, or no more, one that may log in to boxes");
    int r = grant_check(g, g->person, NULL, err);
    if (r < 0 || extra->serial > 0)
        return r;
    if (extra->blocked)
        return error_set(err, EACCES, "device.blocked",
                         "device %s is blocked: nobody logs in to it until it is unblocked", g->device);
    return error_set(
        err, EACCES, "grant.not-yours",
        "grant %s is %s's, whose token has not been shown, or it does not reach the box or its account %s: ask for "
        "a grant of your own",
        g->id, g->person, g->account);
}

static void on_rows(StoreQuery *query _unused_, int r, const StoreRows *rows, const Error *query_err, void *userdata)
{
    Question *q = userdata;
    _cleanup_(error_done) Error err = {};
    _cleanup_(grant_done) Grant g = {};
    _cleanup_(cJSON_Deletep) cJSON *answer = NULL;
    GrantExtra extra = {};

    q->query = NULL;
    if (r < 0)
        (void) error_copy(&err, query_err);
    if (r >= 0)
        r = store_rows_count(rows) > 0 ? grant_row(rows, &g, &extra)
                                       : grant_not_found(json_string(q->body, "grant"), &err);
    if (r >= 0)
        r = judge(&g, &extra, &err);
    if (r >= 0)
        r = make_answer(q, &g, &extra, &answer, &err);
    if (r < 0)
        refuse(q->connection, json_string(q->body, "id"), r, &err);
    else
        connection_send(q->connection, answer);
    question_done(q);
}

static int ask_database(Question *q, Error *err)
{
    const char *grant = json_string(q->body, "grant"), *key = json_string(q->body, "publicKey");
    Signer *s = q->connection->signer;
    char hash[SECRET_HASH_SIZE];

    if (!device_id_is_valid(grant))
        return grant_not_found(grant ? grant : "", err);
    int r = operator_token_hash_of(json_string(q->body, "token"), hash, err);
    if (r >= 0)
        r = certificate_source(json_string(q->body, "way"), &q->source, err);
    if (r >= 0)
        r = ssh_public_key_parse(key ? key : "", &q->key, err);
    if (r >= 0 && !token_bucket_take(&s->bucket, boottime_usec()))
        r = error_set(err, EAGAIN, "signer.too-many",
                      "more certificates are asked for than %d a second: try again soon", RATE);
    return r < 0 ? r
                 : store_query(s->store, sql_grant_for_certificate(grant, hash, q->key.fingerprint, s->recording.mode),
                               on_rows, q, &q->query, err);
}

/* Takes the question. */
static void answer_question(Connection *c, cJSON *body)
{
    _cleanup_(error_done) Error err = {};
    const char *id = json_string(body, "id");
    size_t i = 0;

    if (!id || strlen(id) > QUESTION_ID_MAX) { /* nobody to tell */
        cJSON_Delete(body);
        return;
    }
    while (i < QUESTIONS_MAX && c->questions[i].connection)
        i++;
    if (i == QUESTIONS_MAX) {
        error_set(&err, EAGAIN, "signer.too-many", "%d certificates are asked for at once: try again soon",
                  QUESTIONS_MAX);
        refuse(c, id, -EAGAIN, &err);
        cJSON_Delete(body);
        return;
    }
    Question *q = &c->questions[i];
    *q = (Question) { .connection = c, .body = body };
    int r = ask_database(q, &err);
    if (r < 0) {
        refuse(c, id, r, &err);
        question_done(q);
    }
}

static int on_packet(sd_event_source *source _unused_, int fd, uint32_t revents _unused_, void *userdata)
{
    Connection *c = userdata;
    Signer *s = c->signer;
    cJSON *body = NULL;
    int r = packet_receive(fd, &body);

    if (r < 0) {
        bool is_parent = c == s->parent;
        connection_free(c);
        return is_parent ? sd_event_exit(s->event, 0) : 0;
    }
    if (body)
        answer_question(c, body);
    return 0;
}

/* Takes the descriptor. */
static int connection_new(Signer *s, int fd, Connection **ret)
{
    Connection *c = calloc(1, sizeof(*c));
    size_t i = 0;

    while (i < CONNECTIONS_MAX && s->connections[i])
        i++;
    if (!c || i == CONNECTIONS_MAX) {
        free(c);
        close(fd);
        return c ? -EBUSY : -ENOMEM;
    }
    c->signer = s;
    c->fd = fd;
    s->connections[i] = c;
    int r = sd_event_add_io(s->event, &c->io, fd, EPOLLIN, on_packet, c);
    if (r < 0) {
        connection_free(c);
        return r;
    }
    greet(c);
    *ret = c;
    return 0;
}

static int on_gateway(sd_event_source *source _unused_, int fd, uint32_t revents _unused_, void *userdata)
{
    Connection *c = NULL;
    int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    int r = accepted < 0 ? -errno : connection_new(userdata, accepted, &c);

    if (r < 0 && r != -EAGAIN && r != -EINTR && r != -ECONNABORTED)
        log_warning("a gateway cannot be connected: %s", strerror(-r));
    return 0;
}

static void on_store_up(Store *store _unused_, void *userdata)
{
    Signer *s = userdata;

    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (s->connections[i])
            greet(s->connections[i]);
}

static void on_store_down(Store *store _unused_, usec_t retry_in, const Error *err, void *userdata _unused_)
{
    log_failure(LOG_LEVEL_WARNING, NULL, err, -ENOTCONN, "no database to sign certificates by, trying again in %llu ms",
                (unsigned long long) (retry_in / USEC_PER_MSEC));
}

int signer_new(sd_event *event, const SignerOptions *o, Signer **ret, Error *err)
{
    static const StoreEvents events = { .on_up = on_store_up, .on_down = on_store_down };
    _cleanup_(closep) int parent_fd = o->parent_fd;
    _cleanup_(signer_freep) Signer *s = calloc(1, sizeof(*s));

    if (!s) {
        ssh_ca_free(o->ca);
        if (o->listen_fd >= 0)
            close(o->listen_fd);
        return error_from_errno(err, -ENOMEM, "starting the signer");
    }
    s->event = sd_event_ref(event);
    s->ca = o->ca;
    s->listen_fd = o->listen_fd;
    int r = recording_policy_read(o->record_sessions, o->auditor_key, &s->recording, err);
    if (r < 0)
        return r;
    s->public = ssh_ca_public(s->ca, CA_COMMENT);
    s->bucket = token_bucket_make(RATE, BURST, boottime_usec());
    r = s->public ? store_new(event, o->database, &gateway_signer_schema, &events, s, &s->store, err) : -ENOMEM;
    if (r >= 0 && parent_fd >= 0)
        r = connection_new(s, TAKE_FD(parent_fd), &s->parent);
    if (r >= 0 && s->listen_fd >= 0)
        r = sd_event_add_io(event, &s->listening, s->listen_fd, EPOLLIN, on_gateway, s);
    if (r < 0)
        return error_from_errno(err, r, "starting the signer");
    *ret = TAKE_PTR(s);
    return 0;
}

Signer *signer_free(Signer *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (s->connections[i])
            connection_free(s->connections[i]);
    sd_event_source_disable_unref(s->listening);
    if (s->listen_fd >= 0)
        close(s->listen_fd);
    store_free(s->store);
    ssh_ca_free(s->ca);
    free(s->public);
    sd_event_unref(s->event);
    free(s);
    return NULL;
}

int signer_confine(Error *err)
{
    const struct rlimit none = {};

    if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        setrlimit(RLIMIT_CORE, &none) < 0)
        return error_set(err, errno, "signer.confine", "the signer cannot shut itself in: %s", strerror(errno));
    return 0;
}

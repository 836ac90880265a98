/* SPDX-License-Identifier: MIT */
/* A line of JSON each. The file is emptied when nothing waits any more; lines that were done before that are done once more after a
 * crash, which changes nothing. */
#include "gateway/auth/backlog.h"

#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/store/audit-table.h"
#include "lib/base/clock.h"
#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"

#define WAITING_MAX 20000
#define FILE_MAX (64U << 20)
/* of a round, which then ends: so much fails for one reason */
#define FAILURES_MAX 20
/* audit entries that are written together: each for itself would take a commit, and a look through all that is there */
#define TOGETHER_MAX 500

typedef struct Entry {
    struct Entry *next;
    cJSON *values;
    bool again; /* an earlier try may have been carried out */
} Entry;

struct Backlog {
    Store *store;
    int fd; /* -1: there is only memory */
    Entry *first, **last;
    size_t n;
    Entry **at;        /* the round's next; NULL between two rounds */
    StoreQuery *query; /* about that */
    unsigned failures; /* in this round */
    size_t together;   /* so many are asked about at once */
    size_t alone;      /* so many are asked about one by one: together they were refused */
    usec_t newest;     /* time of an audit entry: no two have the same */
    bool torn;         /* the file ends within a line */
    void (*on_settled)(void *userdata);
    void *userdata;
};

static Statement audit_statement(const Entry *e)
{
    uint64_t at = 0;
    const AuditRow row = {
        .actor = json_string(e->values, "actor"),
        .action = json_string(e->values, "action"),
        .device = json_string(e->values, "device"),
        .alarm = json_bool(e->values, "alarm", false),
        .detail = json_string(e->values, "detail"),
    };

    (void) json_u64(e->values, "at", &at);
    return e->again ? sql_audit_add_again(&row, at) : sql_audit_add_at(&row, at);
}

static Statement open_statement(const Entry *e)
{
    return sql_session_open(json_string(e->values, "session"), json_string(e->values, "grant"),
                            json_string(e->values, "way"), json_string(e->values, "at"),
                            json_string(e->values, "certificate"));
}

static Statement close_statement(const Entry *e)
{
    SessionEnd end = {
        .id = json_string(e->values, "session"),
        .closed_at = json_string(e->values, "at"),
        .reason = json_string(e->values, "reason"),
    };

    (void) json_u64(e->values, "toBox", &end.to_box);
    (void) json_u64(e->values, "fromBox", &end.from_box);
    return sql_session_close(&end);
}

enum {
    KIND_AUDIT,
};

static const struct Kind {
    const char *name;
    Statement (*make)(const Entry *e);
} kinds[] = {
    [KIND_AUDIT] = { "audit", audit_statement },
    { "session.open", open_statement },
    { "session.close", close_statement },
};

static const struct Kind *kind_of(const cJSON *values)
{
    const char *name = json_string(values, "kind");

    for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
        if (str_equal(kinds[i].name, name))
            return &kinds[i];
    return NULL;
}

/* Takes the values. */
static int append(Backlog *b, cJSON *values, bool again)
{
    Entry *e = b->n < WAITING_MAX ? calloc(1, sizeof(*e)) : NULL;

    if (!e) {
        cJSON_Delete(values);
        return b->n < WAITING_MAX ? -ENOMEM : -ENOBUFS;
    }
    *e = (Entry) { .values = values, .again = again };
    *b->last = e;
    b->last = &e->next;
    b->n++;
    return 0;
}

static void drop(Backlog *b)
{
    Entry *e = *b->at;

    *b->at = e->next;
    if (b->last == &e->next)
        b->last = b->at;
    b->n--;
    cJSON_Delete(e->values);
    free(e);
    if (b->n == 0 && b->fd >= 0 && ftruncate(b->fd, 0) < 0)
        log_warning("the file of what waits for the database cannot be emptied: %s", strerror(errno));
}

static void settled(Backlog *b)
{
    void (*on_settled)(void *userdata) = b->on_settled;

    b->on_settled = NULL;
    if (on_settled)
        on_settled(b->userdata);
}

static void go_on(Backlog *b);

static void end_round(Backlog *b)
{
    b->at = NULL;
    b->alone = 0;
    settled(b);
}

static void log_lost(const Backlog *b, const Error *err, int r)
{
    _cleanup_(freep) char *text = json_print((*b->at)->values);

    log_failure(LOG_LEVEL_ERROR, NULL, err, r, "the database will never take this, it is only in this log: %s",
                text ? text : "?");
}

/* Those that failed together: one of them may be to blame, and any may have been carried out. */
static void part(Backlog *b)
{
    Entry *e = *b->at;

    for (size_t i = 0; i < b->together; i++, e = e->next)
        e->again = true;
    b->alone = b->together;
}

/* What fails at once does not keep the others waiting; what takes long, and an outage, ends the round. */
static void on_written(StoreQuery *q _unused_, int r, const StoreRows *rows _unused_, const Error *err, void *userdata)
{
    Backlog *b = userdata;

    b->query = NULL;
    if (r < 0 && b->together > 1) {
        log_failure(LOG_LEVEL_ERROR, NULL, err, r, "%zu entries wait until the database takes them", b->together);
        part(b);
        if (r == -ENOTCONN || r == -ENOBUFS) {
            end_round(b);
            return;
        }
    } else if (r >= 0 || store_refused_for_good(b->store, r)) {
        if (r < 0)
            log_lost(b, err, r);
        for (size_t i = 0; i < b->together; i++)
            drop(b);
    } else {
        log_failure(LOG_LEVEL_ERROR, NULL, err, r, "an entry waits until the database takes it");
        (*b->at)->again = true;
        b->at = &(*b->at)->next;
        if (r == -ENOTCONN || r == -ENOBUFS || ++b->failures == FAILURES_MAX) {
            end_round(b);
            return;
        }
    }
    go_on(b);
}

/* The end of a session comes behind its beginning. */
static bool waits_for_another(const Backlog *b, const Entry *e)
{
    const char *session = json_string(e->values, "session");

    for (const Entry *before = b->first; session && before != e; before = before->next)
        if (str_equal(json_string(before->values, "session"), session))
            return true;
    return false;
}

/* The audit entries from here on, as an array; `n` are in it. NULL when out of memory. */
static char *print_together(const Entry *first, size_t n)
{
    _cleanup_(cJSON_Deletep) cJSON *list = cJSON_CreateArray();

    for (const Entry *e = first; list && n > 0; e = e->next, n--)
        if (!cJSON_AddItemReferenceToArray(list, e->values))
            return NULL;
    return list ? json_print(list) : NULL;
}

static size_t count_together(const Backlog *b)
{
    size_t n = 0;

    for (const Entry *e = *b->at; e && n < TOGETHER_MAX && kind_of(e->values) == &kinds[KIND_AUDIT]; e = e->next)
        n++;
    return n > 1 && b->alone == 0 ? n : 1;
}

static int write_next(Backlog *b)
{
    _cleanup_(freep) char *entries = NULL;
    const Entry *e = *b->at;

    b->together = count_together(b);
    b->alone -= b->alone > 0;
    if (b->together == 1)
        return store_query(b->store, kind_of(e->values)->make(e), on_written, b, &b->query, NULL);
    entries = print_together(e, b->together);
    return entries ? store_query(b->store, sql_audit_add_all(entries), on_written, b, &b->query, NULL) : -ENOMEM;
}

static void go_on(Backlog *b)
{
    while (*b->at && waits_for_another(b, *b->at))
        b->at = &(*b->at)->next;
    if (!*b->at || !store_is_up(b->store) || write_next(b) < 0)
        end_round(b);
}

static void begin_round(Backlog *b, Entry **at)
{
    if (b->at)
        return;
    b->at = at;
    b->failures = 0;
    go_on(b);
}

void backlog_go_on(Backlog *b)
{
    begin_round(b, &b->first);
}

void backlog_settle(Backlog *b, void (*on_settled)(void *userdata), void *userdata)
{
    b->on_settled = on_settled;
    b->userdata = userdata;
    backlog_go_on(b); /* or a round is under way already */
}

static void write_line(Backlog *b, const cJSON *values)
{
    _cleanup_(freep) char *text = json_print(values), *line = NULL;

    if (b->fd < 0)
        return;
    line = text ? str_format("%s%s\n", b->torn ? "\n" : "", text) : NULL;
    ssize_t n = line ? write(b->fd, line, strlen(line)) : 0;
    if (n > 0) /* a write that fails leaves what the one before has torn */
        b->torn = (size_t) n < strlen(line);
    if (!line || n < 0 || b->torn)
        log_warning("what waits for the database cannot be kept on the disk: %s", strerror(!line   ? ENOMEM
                                                                                           : n < 0 ? errno
                                                                                                   : ENOSPC));
}

/* Takes the values, which may be NULL. */
static int add(Backlog *b, const char *kind, cJSON *values)
{
    if (!values || json_add_string(values, "kind", kind) < 0) {
        cJSON_Delete(values);
        return -ENOMEM;
    }
    Entry **at = b->last;
    int r = append(b, values, false);
    if (r < 0)
        return r;
    write_line(b, values);
    begin_round(b, at);
    return 0;
}

/* NULL when out of memory; values that are NULL are left out. */
static cJSON *make(const char *const *members)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    for (; o && members[0]; members += 2)
        if (json_add_string(o, members[0], members[1]) < 0)
            return NULL;
    return TAKE_PTR(o);
}

int backlog_add_audit(Backlog *b, const char *actor, const char *action, const char *device, bool alarm,
                      const char *detail)
{
    usec_t now = realtime_usec();

    b->newest = now > b->newest ? now : b->newest + 1;
    _cleanup_(freep) char *at = str_format("%llu", (unsigned long long) b->newest);
    const char *const members[] = {
        "at", at, "actor", actor, "action", action, "device", device, "detail", detail, NULL
    };
    _cleanup_(cJSON_Deletep) cJSON *values = at ? make(members) : NULL;
    if (!values || json_add_bool(values, "alarm", alarm) < 0)
        return -ENOMEM;
    return add(b, "audit", TAKE_PTR(values));
}

int backlog_add_session_open(Backlog *b, const char *id, const char *grant, const char *way, const char *certificate,
                             const char *opened_at)
{
    const char *const members[] = { "session",   id,        "grant",
                                    grant,       "way",     way,
                                    "at",        opened_at, certificate ? "certificate" : NULL,
                                    certificate, NULL };

    return add(b, "session.open", make(members));
}

int backlog_add_session_close(Backlog *b, const SessionEnd *end)
{
    _cleanup_(freep) char *to_box = str_format("%llu", (unsigned long long) end->to_box),
                          *from_box = str_format("%llu", (unsigned long long) end->from_box);
    const char *const members[] = { "session", end->id, "at",      end->closed_at, "reason", end->reason,
                                    "toBox",   to_box,  "fromBox", from_box,       NULL };

    return add(b, "session.close", to_box && from_box ? make(members) : NULL);
}

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* Neither too many entries nor a file that cannot be read may keep the gateway down: it is set aside for people to look at. */
static int set_aside(Backlog *b, const char *path, const Error *err, int r)
{
    _cleanup_(freep) char *aside = str_format("%s.aside-%" PRIu64, path, (uint64_t) realtime_usec());

    if (!aside)
        return -ENOMEM;
    log_failure(LOG_LEVEL_ERROR, NULL, err, r,
                "%s cannot be taken up whole and becomes %s: what is only in there is not in the database", path,
                aside);
    if (rename(path, aside) < 0)
        return -errno;
    close(b->fd);
    b->fd = open_file(path);
    return b->fd < 0 ? -errno : 0;
}

/* A line that was cut off by a crash is not whole JSON. */
static int take_up(Backlog *b, char *text)
{
    size_t n_bad = 0, len = strlen(text);
    char *state = NULL;
    int r = 0;

    b->torn = len > 0 && text[len - 1] != '\n';

    for (char *line = strtok_r(text, "\n", &state); line && r >= 0; line = strtok_r(NULL, "\n", &state)) {
        cJSON *values = NULL;

        if (json_parse_object(line, strlen(line), &values, NULL) < 0) {
            n_bad++;
            continue;
        }
        if (kind_of(values))
            r = append(b, values, true);
        else
            cJSON_Delete(values);
    }
    if (n_bad > 0)
        log_warning("%zu lines of what waits for the database were cut off and are lost", n_bad);
    return r;
}

int backlog_new(Store *store, const char *path, Backlog **ret, Error *err)
{
    _cleanup_(backlog_freep) Backlog *b = calloc(1, sizeof(*b));
    _cleanup_(freep) char *text = NULL;

    if (!b)
        return error_from_errno(err, -ENOMEM, "starting");
    b->store = store;
    b->last = &b->first;
    b->fd = open_file(path);
    if (b->fd < 0)
        return error_set(err, errno, "gateway.backlog",
                         "%s, where audit entries wait for the database, cannot be opened: %s", path, strerror(errno));
    int r = file_read(path, FILE_MAX, &text, NULL, err);
    if (r >= 0)
        r = take_up(b, text);
    if (r == -ENOBUFS || r == -EFBIG)
        r = set_aside(b, path, err, r) < 0 ? r : (error_done(err), 0);
    if (r >= 0 && b->n > 0)
        log_notice("%zu entries of an earlier run wait for the database", b->n);
    else if (r >= 0 && ftruncate(b->fd, 0) < 0)
        r = -errno;
    if (r < 0)
        return error_from_errno(err, r, "reading %s", path);
    *ret = TAKE_PTR(b);
    return 0;
}

Backlog *backlog_free(Backlog *b)
{
    if (!b)
        return NULL;
    store_query_free(b->query);
    while (b->first) {
        Entry *e = b->first;

        b->first = e->next;
        cJSON_Delete(e->values);
        free(e);
    }
    if (b->fd >= 0)
        close(b->fd);
    free(b);
    return NULL;
}

/* SPDX-License-Identifier: MIT */
/* replica, queue: what secbox says of the community's data and of the events for the cloud. */
#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"
#include "lib/cli/table.h"
#include "mgmt-agent/secboxctl/agent-socket.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

#define ASK_TIMEOUT (60 * USEC_PER_SEC)
#define TEXT_MAX (256 * 1024)

/* Sends `request`, which it takes; *ret is the report. */
static int ask_within(cJSON *request, usec_t timeout, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *question = request, *answer = NULL;
    _cleanup_(agent_closep) AgentSocket *s = NULL;
    _cleanup_(freep) char *path = path_in_root(SECBOX_SOCKET_PATH);
    int r = path && question ? secbox_open(path, &s, err) : -ENOMEM;

    if (r >= 0)
        r = agent_ask(s, question, "data.answer", timeout, &answer, err);
    if (r < 0)
        return error_from_errno(err, r, "ask secbox");
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(answer, "error");
    if (error)
        return json_to_error(error, EREMOTEIO, err);
    *ret = cJSON_DetachItemFromObjectCaseSensitive(answer, "report");
    return *ret ? 0 : error_set(err, EHOSTUNREACH, "agent.bad-answer", "secbox's answer holds no report");
}

static int ask(cJSON *request, cJSON **ret, Error *err)
{
    return ask_within(request, ASK_TIMEOUT, ret, err);
}

static cJSON *question_new(const char *verb)
{
    _cleanup_(cJSON_Deletep) cJSON *q = secboxctl_request("data.ask");

    return q && json_add_string(q, "verb", verb) >= 0 ? TAKE_PTR(q) : NULL;
}

int secboxctl_ask_secbox(const char *verb, usec_t timeout, cJSON **ret, Error *err)
{
    return ask_within(question_new(verb), timeout, ret, err);
}

/* What `print` makes of the answer, or all of it with --json. */
static int show(const Secboxctl *ctl, cJSON *question, char *(*print)(const cJSON *report))
{
    _cleanup_(cJSON_Deletep) cJSON *report = NULL;
    _cleanup_(error_done) Error err = {};
    int r = ask(question, &report, &err);

    if (r < 0)
        return secboxctl_fail(ctl, &err, r);
    return ctl->json ? report_json(report, EXIT_OK) : report_text(print(report), EXIT_OK);
}

typedef struct Line {
    const char *label, *member;
} Line;

/* One line for each member that is there. */
static int print_lines(Buf *b, const cJSON *report, const Line *lines, size_t n)
{
    int r = 0;

    for (size_t i = 0; i < n && r >= 0; i++) {
        _cleanup_(freep) char *value = report_member(report, lines[i].member);
        if (value)
            r = buf_printf(b, "%-14s %s\n", lines[i].label, value);
    }
    return r;
}

static const Line status_lines[] = {
    { "database", "database" },  { "sync", "sync" },         { "community", "community" },
    { "version", "version" },    { "applied", "appliedAt" }, { "checked", "checkedAt" },
    { "age (s)", "ageSeconds" }, { "bans", "bans" },         { "unconfirmed", "unconfirmedBans" },
};

static int print_status_into(Buf *b, const cJSON *report)
{
    _cleanup_(freep) char *help = text_printable(json_string(report, "databaseHelp"));
    bool up = str_equal(json_string(report, "database"), "up");
    int r = print_lines(b, report, status_lines, ELEMENTSOF(status_lines));

    return r < 0 || up || !help ? r : buf_printf(b, "the database is %s\n", help);
}

static char *finish(Buf *b, int r)
{
    if (r < 0)
        buf_done(b);
    return r < 0 ? NULL : buf_take(b);
}

static char *print_status(const cJSON *report)
{
    Buf b = BUF_INIT(TEXT_MAX);

    return finish(&b, print_status_into(&b, report));
}

static char *print_verify(const cJSON *report)
{
    static const char *const headers[] = { "TABLE", "ROWS", "CHECKSUM", "GATEWAY", NULL };
    _cleanup_(table_freep) Table *t = table_new(headers);
    Buf b = BUF_INIT(TEXT_MAX);
    const cJSON *e;
    int r = print_status_into(&b, report);

    cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(report, "tables")) {
        _cleanup_(freep) char *rows = report_member(e, "rows");
        if (r >= 0)
            r = t ? table_row(t, json_string(e, "table"), rows, json_string(e, "checksum"), json_string(e, "gateway"))
                  : -ENOMEM;
    }
    _cleanup_(freep) char *table = r < 0 ? NULL : table_print(t, 0);
    return finish(&b, table ? buf_printf(&b, "\n%s", table) : -ENOMEM);
}

static char *print_asked(const cJSON *report)
{
    (void) report;
    return strdup("The gateway is asked for the data again; `secboxctl replica status` shows when they are there.\n");
}

static char *print_unconfirmed(const cJSON *report)
{
    static const char *const headers[] = { "BAN", "NAME", "PLATE", "DOCUMENT", "REASON", "SINCE", NULL };
    _cleanup_(table_freep) Table *t = table_new(headers);
    const cJSON *e;

    cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(report, "bans"))
        if (!t || table_row(t, json_string(e, "id"), json_string(e, "name"), json_string(e, "plate"),
                            json_string(e, "document"), json_string(e, "reason"), json_string(e, "since")) < 0)
            return NULL;
    if (t && table_rows(t) == 0)
        return strdup("No ban waits for a person.\n");
    return t ? table_print(t, 0) : NULL;
}

static char *print_released(const cJSON *report)
{
    _cleanup_(freep) char *n = report_member(report, "released");

    return str_equal(n, "0") ? strdup("There is no such ban that waits for a person.\n")
                             : strdup("The ban has ended on this box.\n");
}

static char *print_queue(const cJSON *report)
{
    static const Line lines[] = {
        { "waiting", "waiting" },   { "bytes", "bytes" }, { "oldest", "oldestAt" },
        { "dead letters", "dead" }, { "held", "held" },   { "dropped", "dropped" },
    };
    static const Line priorities[] = { { "  entries", "entries" },
                                       { "  matches", "matches" },
                                       { "  motion", "motion" } };
    Buf b = BUF_INIT(TEXT_MAX);
    int r = print_lines(&b, report, lines, ELEMENTSOF(lines));

    if (r >= 0)
        r = print_lines(&b, cJSON_GetObjectItemCaseSensitive(report, "byPriority"), priorities, ELEMENTSOF(priorities));
    return finish(&b, r);
}

static char *print_dead(const cJSON *report)
{
    static const char *const headers[] = { "EVENT", "KIND", "AT", "REFUSED", "WHY", NULL };
    _cleanup_(table_freep) Table *t = table_new(headers);
    const cJSON *e;

    cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(report, "dead")) {
        _cleanup_(freep) char *why = report_error(cJSON_GetObjectItemCaseSensitive(e, "error"));
        if (!t || table_row(t, json_string(e, "clientId"), json_string(e, "kind"), json_string(e, "at"),
                            json_string(e, "deadAt"), why) < 0)
            return NULL;
    }
    if (t && table_rows(t) == 0)
        return strdup("There are no dead letters.\n");
    return t ? table_print(t, 0) : NULL;
}

static char *print_retried(const cJSON *report)
{
    _cleanup_(freep) char *n = report_member(report, "retried");

    return str_format("%s put back into the queue.\n", n ? n : "none");
}

int verb_replica_status(int argc, char **argv, void *userdata)
{
    (void) argc;
    (void) argv;
    return show(secboxctl_begin(userdata), question_new("replica.status"), print_status);
}

int verb_replica_verify(int argc, char **argv, void *userdata)
{
    (void) argc;
    (void) argv;
    return show(secboxctl_begin(userdata), question_new("replica.verify"), print_verify);
}

int verb_replica_resync(int argc, char **argv, void *userdata)
{
    _cleanup_(cJSON_Deletep) cJSON *q = question_new("replica.resync");
    cJSON *tables = q ? cJSON_AddArrayToObject(q, "tables") : NULL;

    for (int i = 0; tables && i < argc; i++)
        if (json_append(tables, cJSON_CreateString(argv[i])) < 0)
            tables = NULL;
    return show(secboxctl_begin(userdata), tables ? TAKE_PTR(q) : NULL, print_asked);
}

int verb_replica_unconfirmed(int argc, char **argv, void *userdata)
{
    (void) argc;
    (void) argv;
    return show(secboxctl_begin(userdata), question_new("replica.unconfirmed"), print_unconfirmed);
}

/* A question with one more member, which may be NULL: left out. */
static cJSON *question_about(const char *verb, const char *member, const char *value)
{
    _cleanup_(cJSON_Deletep) cJSON *q = question_new(verb);

    return q && json_add_string(q, member, value) >= 0 ? TAKE_PTR(q) : NULL;
}

int verb_replica_release(int argc, char **argv, void *userdata)
{
    (void) argc;
    return show(secboxctl_begin(userdata), question_about("replica.release", "ban", argv[0]), print_released);
}

int verb_queue_status(int argc, char **argv, void *userdata)
{
    (void) argc;
    (void) argv;
    return show(secboxctl_begin(userdata), question_new("queue.status"), print_queue);
}

int verb_queue_dead(int argc, char **argv, void *userdata)
{
    (void) argc;
    (void) argv;
    return show(secboxctl_begin(userdata), question_new("queue.dead"), print_dead);
}

int verb_queue_retry(int argc, char **argv, void *userdata)
{
    return show(secboxctl_begin(userdata), question_about("queue.retry", "clientId", argc > 0 ? argv[0] : NULL),
                print_retried);
}

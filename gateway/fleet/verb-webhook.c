/* SPDX-License-Identifier: MIT */
/* community webhook: where a community's events are sent on to. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/fleet/show.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/cli/confirm.h"
#include "lib/cli/report.h"

#define SECRET_FILE_MAX 1024
#define TEST_TIMEOUT (60 * USEC_PER_SEC)

static char *webhook_path(const char *community, const char *suffix)
{
    _cleanup_(freep) char *encoded = api_encode(community);
    return encoded ? str_format("/v1/communities/%s/webhook%s", encoded, suffix) : NULL;
}

static void show_lines(FILE *out, const cJSON *w)
{
    static const char *const lines[][2] = {
        { "url", "url" },         { "waiting", "waiting" },       { "dead letters", "dead" },
        { "stopped", "stopped" }, { "delivered", "deliveredAt" }, { "failed tries", "tries" },
        { "next try", "nextAt" }, { "last error", "lastError" },  { "set by", "setBy" },
    };
    for (size_t i = 0; i < ELEMENTSOF(lines); i++)
        fleet_line(out, lines[i][0], report_member(w, lines[i][1]));
}

static int show(Fleet *fleet, char **argv)
{
    static const FleetView view = { .member = "webhook", .lines = show_lines };
    return fleet_show(fleet, "GET", webhook_path(argv[0], ""), NULL, &view);
}

/* The line in the file, without what ends it. */
static int read_secret(const char *path, cJSON *request, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    int r = file_read_secret(path, SECRET_FILE_MAX, (uid_t) -1, &text, NULL, err);
    if (r < 0)
        return r;
    text[strcspn(text, " \t\r\n")] = '\0';
    return json_add_string(request, "secret", text);
}

/* The secret alone is on stdout, so that it can be piped to where it is needed. */
static int show_set(const Fleet *fleet, const ApiReply *reply, const char *community, const char *url)
{
    const char *secret = json_string(reply->body, "secret");
    if (fleet->json)
        return report_json(reply->body, EXIT_OK);
    fprintf(stderr, "the events of %s go to %s%s\n", community, url,
            secret ? "; the receiver checks them with this secret, which is shown once:" : "");
    return secret ? report_text(str_format("%s\n", secret), EXIT_OK) : EXIT_OK;
}

static int set(Fleet *fleet, char **argv)
{
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    uint64_t after;
    int r = json_add_string(request, "url", argv[1]);
    if (r >= 0 && fleet->secret_file)
        r = read_secret(fleet->secret_file, request, &err);
    if (r >= 0)
        r = fleet_number(fleet->after, "after", 0, INT64_MAX, 0, &after, &err);
    if (r >= 0 && fleet->after)
        r = json_add_u64(request, "after", after);
    _cleanup_(freep) char *path = webhook_path(argv[0], "");
    if (r >= 0)
        r = fleet_ask(fleet, "PUT", path, request, CALL_TIMEOUT, &reply, &err);
    return r < 0 ? fleet_fail(fleet, &reply, &err, r) : show_set(fleet, &reply, argv[0], argv[1]);
}

static int test(Fleet *fleet, char **argv)
{
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *path = webhook_path(argv[0], "/test");
    int r = fleet_ask(fleet, "POST", path, NULL, TEST_TIMEOUT, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    int exit_code = json_bool(reply.body, "taken", false) ? EXIT_OK : EXIT_FAILED;
    if (fleet->json)
        return report_json(reply.body, exit_code);
    _cleanup_(freep) char *status = report_member(reply.body, "status"),
                          *time = report_member(reply.body, "milliseconds");
    return report_text(str_format("the receiver answers with %s after %s ms\n", status, time), exit_code);
}

static int remove_webhook(Fleet *fleet, char **argv)
{
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *question =
        str_format("send the events of %s on no more, and forget its dead letters?", argv[0]);
    int r = question ? cli_confirm(fleet->yes, question, &err) : -ENOMEM;
    _cleanup_(freep) char *path = webhook_path(argv[0], "");
    if (r >= 0)
        r = fleet_ask(fleet, "DELETE", path, NULL, CALL_TIMEOUT, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    return fleet->json ? report_json(reply.body, EXIT_OK)
                       : report_text(str_format("%s has no webhook any more\n", argv[0]), EXIT_OK);
}

static int dead(Fleet *fleet, char **argv)
{
    static const char *const headers[] = {
        "NUMBER", "AT", "KIND", "TRIES", "DEAD SINCE", "TRIED AGAIN", "REASON", NULL
    };
    static const char *const names[] = { "seq", "at", "kind", "tries", "deadAt", "again", "reason", NULL };
    static const FleetList list = { .headers = headers, .names = names, .none = "none" };
    _cleanup_(error_done) Error err = {};
    uint64_t limit, after;
    int r = fleet_number(fleet->limit, "limit", 1, 1000, 20, &limit, &err);
    if (r >= 0)
        r = fleet_number(fleet->after, "after", 0, INT64_MAX, 0, &after, &err);
    if (r < 0)
        return fleet_fail(fleet, NULL, &err, r);
    _cleanup_(freep) char *suffix =
        str_format("/dead?after=%llu&limit=%llu", (unsigned long long) after, (unsigned long long) limit);
    return fleet_show(fleet, "GET", suffix ? webhook_path(argv[0], suffix) : NULL, NULL,
                      &(FleetView) { .member = "dead", .list = &list });
}

static char *retried(const cJSON *part)
{
    _cleanup_(freep) char *n = report_member(part, "events");
    return n ? str_format("%s dead letters are tried again\n", n) : NULL;
}

static int retry(Fleet *fleet, char **argv)
{
    static const FleetView view = { .text = retried };
    _cleanup_(error_done) Error err = {};
    uint64_t seq = 0;
    if (argv[1] && (str_to_u64(argv[1], 1, INT64_MAX, &seq) < 0)) {
        error_set(&err, EINVAL, "usage", "give the number of an event, as in: community webhook dead");
        return fleet_fail(fleet, NULL, &err, -EINVAL);
    }
    _cleanup_(freep) char *suffix = str_format("/retry?seq=%llu", (unsigned long long) seq);
    return fleet_show(fleet, "POST", suffix ? webhook_path(argv[0], suffix) : NULL, NULL, &view);
}

/* What stands behind "community webhook". */
static const struct Action {
    const char *name;
    int min, max; /* arguments */
    int (*run)(Fleet *fleet, char **argv);
    const char *options; /* that it takes */
} actions[] = {
    { "set", 2, 2, set, "secret-file after" },
    { "show", 1, 1, show, "" },
    { "test", 1, 1, test, "" },
    { "remove", 1, 1, remove_webhook, "yes" },
    { "dead", 1, 1, dead, "after limit" },
    { "retry", 1, 2, retry, "" },
};

/* An option that was given and that the action does not take; NULL: none. */
static const char *odd_option(const Fleet *fleet, const struct Action *a)
{
    const struct {
        const char *name;
        bool given;
    } options[] = { { "secret-file", fleet->secret_file },
                    { "after", fleet->after },
                    { "limit", fleet->limit },
                    { "yes", fleet->yes } };
    for (size_t i = 0; i < ELEMENTSOF(options); i++)
        if (options[i].given && !cli_names_option(a->options, options[i].name))
            return options[i].name;
    return NULL;
}

int verb_community_webhook(int argc, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(error_done) Error err = {};
    for (size_t i = 0; i < ELEMENTSOF(actions); i++) {
        if (!str_equal(argv[0], actions[i].name))
            continue;
        const char *option = odd_option(fleet, &actions[i]);
        char *args[] = { argv[1], argc > 2 ? argv[2] : NULL };
        if (!option && argc - 1 >= actions[i].min && argc - 1 <= actions[i].max)
            return actions[i].run(fleet, args);
        if (option)
            error_set(&err, EINVAL, "usage", "community webhook %s does not take --%s", argv[0], option);
        else
            error_set(&err, EINVAL, "usage", "give set C URL, show C, test C, remove C, dead C, or retry C [NUMBER]");
        return fleet_fail(fleet, NULL, &err, -EINVAL);
    }
    error_set(&err, EINVAL, "usage", "\"%.64s\" is none of set, show, test, remove, dead and retry", argv[0]);
    return fleet_fail(fleet, NULL, &err, -EINVAL);
}

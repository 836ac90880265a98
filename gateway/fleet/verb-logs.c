/* SPDX-License-Identifier: MIT */
/* logs: what a service on a box writes. What comes is read and shown by a child, so that the tunnel goes on being served while
 * whoever reads (a pager, as a rule) takes nothing. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/fleet/operator-stream.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/cli/log-lines.h"
#include "lib/cli/report.h"
#include "lib/tunnel/message.h"

/* 0: go on, 1: this was the last of it; else an exit code and -1. */
static int show_message(const Fleet *fleet, const char *line, size_t len, int *ret_exit)
{
    _cleanup_(cJSON_Deletep) cJSON *message = NULL;
    _cleanup_(error_done) Error err = {};
    const MessageType *type = NULL;
    int r = message_parse(line, len, SENDER_AGENT, &message, &type, &err);
    bool is_end = type && (str_equal(type->name, "logs.end") || str_equal(type->name, "error"));

    if (r == -ENOMSG)
        return 0;
    if (r >= 0 && str_equal(type->name, "logs.lines"))
        return log_lines_print(message, fleet->json) < 0 ? 1 : 0;
    if (r >= 0 && is_end) {
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(message, "error");
        if (!error)
            return 1;
        r = json_to_error(error, EREMOTEIO, &err);
    }
    if (r < 0) {
        *ret_exit = fleet_fail(fleet, NULL, &err, r);
        return -1;
    }
    return 0;
}

/* The child: to the last line, or until nobody reads. 4 says that the box has not said its last word. */
#define EXIT_CUT_OFF 4
static int show_all(const Fleet *fleet, int fd)
{
    FILE *in = fdopen(fd, "r");
    char *line = NULL;
    size_t size = 0;
    int r = 0, exit_code = EXIT_CUT_OFF;

    while (in && r == 0) {
        ssize_t n = getline(&line, &size, in);
        if (n <= 0)
            break;
        r = show_message(fleet, line, (size_t) n, &exit_code);
        if (r > 0)
            exit_code = EXIT_OK;
    }
    free(line);
    if (in)
        fclose(in);
    return exit_code;
}

/* The parent's end of a pipe to it. */
static int start_child(const Fleet *fleet, pid_t *ret, Error *err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_from_errno(err, -errno, "make a pipe");
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[1]);
        /* the parent ends it, once it has said goodbye */
        (void) signal(SIGINT, SIG_IGN);
        _exit(show_all(fleet, ends[0]));
    }
    close(ends[0]);
    if (pid < 0) {
        close(ends[1]);
        return error_from_errno(err, -errno, "start a process");
    }
    *ret = pid;
    return ends[1];
}

/* What the child says of the box's answer counts, unless the way there has failed. */
static int exit_of(pid_t child, int exit_code, bool left)
{
    int status = 0;

    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (exit_code != EXIT_OK || !WIFEXITED(status))
        return exit_code;
    if (WEXITSTATUS(status) != EXIT_CUT_OFF)
        return WEXITSTATUS(status);
    if (left)
        return EXIT_OK;
    operator_stream_say("the log ended before its end: mgmt-agent has stopped on the box; ask again");
    return EXIT_FAILED;
}

int verb_logs(int argc _unused_, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(cJSON_Deletep) cJSON *open_text = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    const LogQuestion question = {
        .service = argv[1], .since = fleet->since, .tail = fleet->tail, .follow = fleet->follow
    };
    pid_t child = -1;
    bool left = false;

    log_open(PROGRAM);
    int r = log_question_add(&question, open_text, &err);
    if (r >= 0)
        r = json_add_string(open_text, "target", "logs");
    if (r >= 0)
        r = json_add_string(open_text, "project", fleet_project(fleet));
    if (r >= 0)
        r = fleet_begin(fleet, &err);
    _cleanup_(closep) int in = r >= 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
    if (r >= 0 && in < 0)
        r = -errno;
    int out = r >= 0 ? start_child(fleet, &child, &err) : r;
    if (out < 0)
        return fleet_fail(fleet, NULL, &err, out);
    const OperatorStreamOptions options = {
        .fleet = fleet,
        .device = argv[0],
        .open = open_text,
        .in = TAKE_FD(in),
        .out = out,
        .ends_with_child = true,
        .left = &left,
    };
    int exit_code = operator_stream_run(&options);
    return exit_of(child, exit_code, left);
}

/* SPDX-License-Identifier: MIT */
/* session-recorder: what a certificate's force-command runs in the place of the shell where the fleet wants sessions of support
 * staff recorded. Who may log in, and that it is recorded, is in the certificate: nothing here is configured on the box. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "lib/base/strv.h"
#include "lib/cli/cli.h"
#include "session-recorder/session.h"

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

typedef struct Arguments {
    const char *folder, *grant, *serial, *key;
    bool required, check;
} Arguments;

static bool is_name(const char *text)
{
    return text && *text && *text != '.' && strlen(text) <= 64 && text[strspn(text, NAME_CHARACTERS)] == '\0';
}

static bool take_arguments(int argc, char **argv, Arguments *a)
{
    static const struct option options[] = {
        { "folder", required_argument, NULL, 'f' },
        { "grant", required_argument, NULL, 'g' },
        { "serial", required_argument, NULL, 's' },
        { "key", required_argument, NULL, 'k' },
        { "required", no_argument, NULL, 'r' },
        { "check", no_argument, NULL, 'c' },
        {},
    };
    int c;

    *a = (Arguments) { .folder = RECORDING_FOLDER };
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == '?')
            return false;
        const char **text = c == 'f' ? &a->folder : c == 'g' ? &a->grant : c == 's' ? &a->serial : &a->key;
        if (c == 'r')
            a->required = true;
        else if (c == 'c')
            a->check = true;
        else
            *text = optarg;
    }
    return a->check || (is_name(a->grant) && is_name(a->serial) && a->key && a->folder[0] == '/');
}

/* sshd's sftp, which it runs inside itself where nothing is forced, and the program of the same name. */
static bool is_transfer_command(const char *command)
{
    const char *slash = command ? strrchr(command, '/') : NULL;

    return command &&
           (str_equal(command, "internal-sftp") || str_starts(command, "internal-sftp ") ||
            (command[0] == '/' && str_equal(slash, "/sftp-server") && !strpbrk(command, " \t\n;&|<>$`()\"'\\")));
}

static int begin(const Arguments *a, const Session *s, Recording *ret, Error *err)
{
    struct winsize size = { .ws_col = 80, .ws_row = 24 };
    const bool has_terminal = ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0;
    _cleanup_(freep) char *title = str_format("%s/%s", a->grant, a->serial);
    RecordingOptions o = {
        .folder = a->folder,
        .grant = a->grant,
        .serial = a->serial,
        .head = { .width = size.ws_col,
                  .height = size.ws_row,
                  .timestamp = realtime_usec() / USEC_PER_SEC,
                  .title = title,
                  .command = s->command,
                  .term = has_terminal ? getenv("TERM") : NULL },
    };

    if (seal_public_parse(a->key, o.auditor) < 0) {
        *ret = (Recording) { .fd = -1 };
        return error_set(err, EINVAL, "session.cannot-record", "the certificate names no auditor's key");
    }
    return recording_begin(&o, ret, err);
}

/* The product's first rule: support gets in, unless the fleet has said that nobody does unseen. */
static void go_without(const Arguments *a, const Session *s, const Error *err, int r)
{
    const char *why = error_message(err, r);

    syslog(LOG_AUTHPRIV | LOG_WARNING, "the session by %s/%s cannot be recorded, and %s: %s", a->grant, a->serial,
           a->required ? "is refused" : "goes on", why);
    if (a->required) {
        fprintf(stderr,
                "secbox: this session cannot be recorded, as the fleet wants it, and is refused: %s. A break-glass "
                "grant gets in without.\n",
                why);
        exit(EXIT_FAILURE);
    }
    fprintf(stderr, "secbox: this session is NOT recorded: %s\n", why);
    session_exec(s->command, s->is_transfer);
}

static void say_how(int status, bool is_cut, char ret[static 64])
{
    if (is_cut)
        (void) snprintf(ret, 64, "cut off");
    else if (WIFSIGNALED(status))
        (void) snprintf(ret, 64, "ended by signal %d", WTERMSIG(status));
    else
        (void) snprintf(ret, 64, "exit status %d", WEXITSTATUS(status));
}

/* As the command did, so that sshd tells the same as without us. */
static int end_like(int status)
{
    const struct rlimit none = {};
    sigset_t all;

    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status);
    (void) setrlimit(RLIMIT_CORE, &none);
    (void) signal(WTERMSIG(status), SIG_DFL);
    (void) sigfillset(&all);
    (void) sigprocmask(SIG_UNBLOCK, &all, NULL);
    (void) raise(WTERMSIG(status));
    return 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    _cleanup_(error_done) Error err = {};
    const char *command = getenv("SSH_ORIGINAL_COMMAND");
    Recording recording = { .fd = -1 };
    Arguments a;
    char how[64];

    openlog("session-recorder", LOG_PID, LOG_AUTHPRIV);
    if (!take_arguments(argc, argv, &a)) {
        fprintf(stderr, "session-recorder: a certificate of the gateway runs it: --grant ID --serial N --key KEY\n");
        return EXIT_USAGE;
    }
    if (a.check) /* it can be run at all */
        return 0;
    _cleanup_(freep) char *asked = str_empty(command) ? NULL : strdup(command);
    Session s = { &recording, asked, a.required, is_transfer_command(asked), false };
    int r = begin(&a, &s, &recording, &err);
    if (r < 0)
        go_without(&a, &s, &err, r);
    const bool on_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    fprintf(stderr,
            "secbox: this session is recorded for the fleet's auditors (%s): what the box shows, not what is typed.\n",
            a.grant);
    r = on_terminal ? session_run_terminal(&s) : session_run_pipes(&s);
    if (r < 0) {
        fprintf(stderr, "secbox: nothing can be run: %s\n", strerror(-r));
        return EXIT_FAILURE;
    }
    say_how(r, s.is_cut, how);
    int e = recording_end(&recording, how, &err);
    if (e < 0 && !s.is_cut)
        (void) session_check(&s, e, &err);
    return end_like(r);
}

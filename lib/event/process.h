/* SPDX-License-Identifier: MIT */
/* Children: an argument vector, a complete environment, output line by line, a deadline, TERM then KILL. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

typedef struct Process Process;

typedef enum ProcessStream {
    PROCESS_STDOUT,
    PROCESS_STDERR,
} ProcessStream;

typedef struct ProcessSpec {
    const char *const *argv; /* argv[0] is a path with a slash; never a shell string */
    const char *const *env;  /* complete environment; NULL = PATH and LANG=C.UTF-8 only */
    const char *cwd;         /* NULL = / */
    const char *input;       /* written to stdin, which is then closed; NULL = /dev/null */
    size_t input_len;
    uid_t uid; /* with drop_privileges: the user to become, with its supplementary groups */
    gid_t gid;
    bool drop_privileges;
    const int *pass_fds; /* inherited as 3, 4, …; borrowed; the caller keeps its own copies */
    size_t n_pass_fds;
    usec_t timeout_usec;    /* 0 is refused: everything ends */
    usec_t kill_after_usec; /* between TERM and KILL; 0 = 10 s */
    size_t line_max;        /* longest output line, the rest is cut off; 0 = PROCESS_LINE_MAX */
    bool one_output;        /* standard error goes where standard output does, in the order of the writing */
    bool keep_with_parent;  /* dies (SIGKILL) when the parent dies; default for workers, not for `podman run` */
} ProcessSpec;

/* One line without its newline, cut at PROCESS_LINE_MAX; not redacted. */
typedef void (*process_line_t)(Process *p, ProcessStream stream, const char *line, void *userdata);

/* status is as from waitpid(2); timed_out when the deadline ended it. */
typedef void (*process_done_t)(Process *p, int status, bool timed_out, void *userdata);

/* Starts a child in its own process group with signals reset and all other descriptors closed. on_done runs exactly
 * once, from the loop, after the last output line, never from inside this call; on_line may be NULL. Freeing *ret
 * before that kills the group, and nothing is called any more. If descendants keep the output open after the child's
 * end, it is read for at most 1 s more. Never waits for the child: one that cannot become its program (no such file, no such
 * folder) ends with status 127, after a line on PROCESS_STDERR that says why. Errors: process.spawn, process.no-deadline. */
int process_spawn(sd_event *event, const ProcessSpec *spec, process_line_t on_line, process_done_t on_done,
                  void *userdata, Process **ret, Error *err) _must_check_;
/* Why the child did not become its program; NULL when it did, or when that is not known yet. Borrowed. */
const Error *process_failure(const Process *p);
pid_t process_pid(const Process *p);
/* While held, standard output is not read, so that the child waits once the pipe is full. What a child that has ended left there
 * is told all the same. */
void process_hold(Process *p, bool held);
/* TERM now, KILL later; on_done still runs. */
void process_terminate(Process *p);
Process *process_free(Process *p);
DEFINE_CLEANUP(Process, process_free)

typedef struct ProcessResult {
    int status; /* waitpid(2) */
    bool timed_out;
    char *out, *err; /* whole output, each cut at PROCESS_OUTPUT_MAX; owned */
} ProcessResult;

void process_result_done(ProcessResult *r);

/* Runs a child to its end on a private loop and collects its output: for command lines and workers, never from
 * inside a daemon's loop. on_line may be NULL. 0 when the child ran, whatever its status. */
int process_run(const ProcessSpec *spec, process_line_t on_line, void *userdata, ProcessResult *ret,
                Error *err) _must_check_;

/* "exit status 3", "killed by SIGTERM", "timed out": a new string. */
char *process_status_string(int status, bool timed_out);

/* SPDX-License-Identifier: MIT */
/* Runs what somebody logged in for, between sshd and it, and records what it shows. */
#pragma once

#include <stdbool.h>
#include <termios.h>

#include "session-recorder/recording.h"

typedef struct Session {
    Recording *recording;
    const char *command; /* NULL: the login shell */
    bool required;       /* ends when it cannot be recorded any more */
    bool is_transfer; /* `command` is sftp's server, which tells what it does on its stderr: for the recording alone */
    bool is_cut;      /* it was ended by us */
} Session;

/* Does not return: the account's shell, with the command if there is one. */
void session_exec(const char *command, bool is_transfer) __attribute__((noreturn));
/* What sshd's own sftp is as a program: its path, or NULL. */
const char *session_sftp_server(void);

/* Says it to the person, and to the recording's end if there is none any more; whether the session may go on. */
bool session_check(Session *s, int r, const Error *err);

/* On a terminal of its own, as large as the one of sshd; and on pipes where there is none. Return the status of wait(2), or a
 * negative errno when it could not begin. */
int session_run_terminal(Session *s);
int session_run_pipes(Session *s);

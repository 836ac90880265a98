/* SPDX-License-Identifier: MIT */
/* See session.h: what both kinds of sessions have in common. */
#include "session-recorder/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "lib/base/strv.h"

const char *session_sftp_server(void)
{
    static const char *const places[] = { "/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server",
                                          "/usr/lib/ssh/sftp-server" };

    for (size_t i = 0; i < ELEMENTSOF(places); i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

/* As sshd starts it: a login shell has a dash before its name. */
void session_exec(const char *command, bool is_transfer)
{
    const char *shell = getenv("SHELL"), *slash;
    char login[64];

    (void) unsetenv("SSH_ORIGINAL_COMMAND");
    if (is_transfer && session_sftp_server())
        (void) execl(session_sftp_server(), "sftp-server", "-e", "-l", "VERBOSE", (char *) NULL);
    if (!shell || shell[0] != '/' || access(shell, X_OK) < 0)
        shell = "/bin/sh";
    slash = strrchr(shell, '/');
    (void) snprintf(login, sizeof(login), "-%s", slash + 1);
    if (command)
        (void) execl(shell, slash + 1, "-c", command, (char *) NULL);
    else
        (void) execl(shell, login, (char *) NULL);
    fprintf(stderr, "secbox: %s cannot be run: %s\n", shell, strerror(errno));
    _exit(127);
}

bool session_check(Session *s, int r, const Error *err)
{
    const char *why = error_message(err, r);

    if (r >= 0)
        return true;
    s->is_cut = s->required;
    syslog(LOG_AUTHPRIV | LOG_WARNING, "the session is not recorded any more, and %s: %s",
           s->required ? "ended" : "goes on", why);
    fprintf(stderr, "\r\nsecbox: this session is not recorded any more%s: %s\r\n",
            s->required ? ", and ends here, since the fleet wants it recorded" : "", why);
    return !s->required;
}

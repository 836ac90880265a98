/* SPDX-License-Identifier: MIT */
/* A child reads the key: what libcrypto once has looked up to read, make or write one, it keeps until the process ends, and that
 * is more than all else that an idle agent remembers. */
#include "mgmt-agent/agent/box-seal-key.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/data/seal.h"

struct BoxSealKey {
    char text[SEAL_PUBLIC_TEXT + 1]; /* empty: not known */
    struct stat of;                  /* the file that it was read from */
};

BoxSealKey *box_seal_key_new(void)
{
    return calloc(1, sizeof(BoxSealKey));
}

BoxSealKey *box_seal_key_free(BoxSealKey *s)
{
    free(s);
    return NULL;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_uid == b->st_uid &&
           a->st_mode == b->st_mode && memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)) == 0 &&
           memcmp(&a->st_ctim, &b->st_ctim, sizeof(a->st_ctim)) == 0;
}

/* In the child. */
static void tell(const char *path, int fd)
{
    _cleanup_(hpke_key_freep) HpkeKey *key = NULL;
    _cleanup_(freep) char *text = NULL;
    _cleanup_(error_done) Error err = {};
    int r = hpke_key_load_or_make(path, &key, &err);

    if (r == 0 && !(text = seal_public_print(key)))
        r = -ENOMEM;
    if (r == 0)
        r = fd_write_all(fd, text, strlen(text));
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Secrets cannot be sealed for this box");
}

/* No handler of ours may run in the child: all signals are blocked in it. */
static pid_t start_child(const char *path, const int fds[static 2])
{
    sigset_t all, old;

    sigfillset(&all);
    if (sigprocmask(SIG_SETMASK, &all, &old) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        tell(path, fds[1]);
        _exit(0);
    }
    (void) sigprocmask(SIG_SETMASK, &old, NULL);
    return pid;
}

static int ask_child(const char *path, char ret[static SEAL_PUBLIC_TEXT + 1])
{
    int fds[2];
    size_t n = 0;
    ssize_t got = 1;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = start_child(path, fds);
    int r = pid < 0 ? -errno : 0;
    close(fds[1]);
    while (r == 0 && got != 0) {
        got = read(fds[0], ret + n, SEAL_PUBLIC_TEXT + 1 - n);
        if (got > 0)
            n += (size_t) got;
        else if (got < 0 && errno != EINTR)
            r = -errno;
        if (n > SEAL_PUBLIC_TEXT)
            r = -EBADMSG;
    }
    close(fds[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    ret[r == 0 && n == SEAL_PUBLIC_TEXT ? n : 0] = '\0';
    return r;
}

const char *box_seal_key_text(BoxSealKey *s)
{
    _cleanup_(freep) char *path = path_in_root(SEAL_KEY_PATH);
    struct stat now = {};
    int r = path ? 0 : -ENOMEM;

    if (r == 0 && stat(path, &now) == 0 && s->text[0] && is_same(&now, &s->of))
        return s->text;
    s->text[0] = '\0';
    s->of = now; /* as it was before: one that takes its place meanwhile is another one the next time */
    if (r == 0)
        r = ask_child(path, s->text);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, NULL, r, "Secrets cannot be sealed for this box");
    return s->text[0] ? s->text : NULL;
}

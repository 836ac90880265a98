/* SPDX-License-Identifier: MIT */
/* Keys, certificates, and OpenSSH's programs. */
#include "gateway/fleet/ssh.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/data/ssh-cert.h"

#define PATH_SIZE_MAX 4096
#define QUOTED_MAX 65536

static volatile sig_atomic_t child;

static void pass_on(int sig)
{
    if (child > 0)
        kill((pid_t) child, sig);
}

/* Keyboard signals reach the child by themselves; others are passed on, so that we live to clean up behind it. */
static void while_child_runs(void)
{
    const struct sigaction ignore = { .sa_handler = SIG_IGN };
    const struct sigaction forward = { .sa_handler = pass_on, .sa_flags = SA_RESTART };
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGQUIT, &ignore, NULL);
    sigaction(SIGHUP, &forward, NULL);
    sigaction(SIGTERM, &forward, NULL);
}

/* The child gets the signal mask that we had. */
static int spawn(char *const *argv, bool with_terminal, const sigset_t *mask, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    int r;

    sigemptyset(&defaults);
    sigaddset(&defaults, SIGINT);
    sigaddset(&defaults, SIGQUIT);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return -ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -ENOMEM;
    }
    r = posix_spawnattr_setsigdefault(&attributes, &defaults);
    if (r == 0)
        r = posix_spawnattr_setsigmask(&attributes, mask);
    if (r == 0)
        r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    if (r == 0 && !with_terminal)
        r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", 0, 0);
    if (r == 0)
        r = posix_spawnp(ret, argv[0], &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return -r;
}

int ssh_run(char *const *argv, bool with_terminal, Error *err)
{
    sigset_t forwarded, before;
    pid_t pid = 0;
    int status = 0;

    while_child_runs();
    sigemptyset(&forwarded);
    sigaddset(&forwarded, SIGHUP);
    sigaddset(&forwarded, SIGTERM);
    sigprocmask(SIG_BLOCK, &forwarded, &before); /* until there is somebody to forward them to */
    int r = spawn(argv, with_terminal, &before, &pid);
    child = r < 0 ? 0 : (sig_atomic_t) pid;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (r < 0)
        return error_set(err, -r, "ssh.spawn", "%s cannot be run: %s (Debian package openssh-client)", argv[0],
                         strerror(-r));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_set(err, errno, "ssh.spawn", "%s is lost: %s", argv[0], strerror(errno));
    child = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int ssh_make_key(const char *path, Error *err)
{
    const char *const argv[] = { "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path, NULL };

    int r = ssh_run((char *const *) (uintptr_t) argv, false, err);
    if (r > 0)
        return error_set(err, EIO, "ssh.keygen", "ssh-keygen could not make a key at %s (exit status %d)", path, r);
    return r;
}

int ssh_make_folder(char **ret, Error *err)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR"), *temporary = getenv("TMPDIR");
    const char *base = !str_empty(runtime) && access(runtime, W_OK) == 0 ? runtime
                       : !str_empty(temporary)                           ? temporary
                                                                         : "/tmp";
    char *folder = str_format("%s/secbox-ssh-XXXXXX", base);

    if (!folder || !mkdtemp(folder)) {
        int r = folder ? -errno : -ENOMEM;
        free(folder);
        return error_from_errno(err, r, "make a folder for the key below %s", base);
    }
    *ret = folder;
    return 0;
}

static int read_public(const char *path, const char *way, cJSON **ret, Error *err)
{
    _cleanup_(freep) char *public = str_format("%s.pub", path), *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();

    if (!public || !request)
        return error_from_errno(err, -ENOMEM, "read the public key");
    int r = file_read(public, SSH_PUBLIC_KEY_MAX, &text, NULL, err);
    if (r < 0)
        return r;
    if (json_add_string(request, "publicKey", text) < 0 || json_add_string(request, "way", way) < 0)
        return error_from_errno(err, -ENOMEM, "read the public key");
    *ret = TAKE_PTR(request);
    return 0;
}

static int write_certificate(const char *path, const cJSON *body, Error *err)
{
    const char *text = json_string(body, "certificate");
    _cleanup_(freep) char *certificate = str_format("%s-cert.pub", path),
                          *line = text ? str_format("%s\n", text) : NULL;

    if (!text)
        return error_set(err, EHOSTUNREACH, "api.bad-answer", "the gateway's answer holds no certificate");
    if (!certificate || !line)
        return error_from_errno(err, -ENOMEM, "keep the certificate");
    return file_write_atomic(certificate, line, strlen(line), 0600, (uid_t) -1, (gid_t) -1, err);
}

int ssh_certify(Fleet *fleet, const char *grant, const char *path, ApiReply *reply, Error *err)
{
    _cleanup_(freep) char *encoded = api_encode(grant), *url = NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = NULL;

    url = encoded ? str_format("/v1/grants/%s/certificate", encoded) : NULL;
    int r = url ? read_public(path, fleet->way, &request, err) : error_from_errno(err, -ENOMEM, "make a request");
    if (r >= 0)
        r = api_call(&fleet->api, "POST", url, request, CALL_TIMEOUT, reply, err);
    return r < 0 ? r : write_certificate(path, reply->body, err);
}

char *ssh_own_path(void)
{
    char path[PATH_SIZE_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path));

    return len > 0 && (size_t) len < sizeof(path) ? strndup(path, (size_t) len) : NULL;
}

char *ssh_quote(const char *text)
{
    Buf out = BUF_INIT(QUOTED_MAX);
    int r = buf_puts(&out, "'");

    for (; r >= 0 && *text; text++)
        r = *text == '\'' ? buf_puts(&out, "'\\''") : buf_append(&out, text, 1);
    if (r >= 0)
        r = buf_puts(&out, "'");
    if (r < 0) {
        buf_done(&out);
        return NULL;
    }
    return buf_take(&out);
}

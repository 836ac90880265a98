/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/service-env-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "env/dotenv.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/worker/phases/bind-walk.h"

static int read_all(int fd, const char *path, char **ret, Error *err)
{
    _cleanup_(secret_freep) char *text = malloc(ENV_FILE_SIZE_MAX + 2);
    size_t len = 0;

    if (!text)
        return -ENOMEM;
    while (len <= ENV_FILE_SIZE_MAX) {
        ssize_t n = read(fd, text + len, ENV_FILE_SIZE_MAX + 1 - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, errno, "compose.env-file", "the file %s cannot be read: %s", path, strerror(errno));
        if (n == 0)
            break;
        len += (size_t) n;
    }
    if (len > ENV_FILE_SIZE_MAX || memchr(text, '\0', len))
        return error_set(err, EFBIG, "compose.env-file", "the file %s has more than %d bytes, or is no text", path,
                         ENV_FILE_SIZE_MAX);
    text[len] = '\0';
    *ret = TAKE_PTR(text);
    return 0;
}

/* The file itself, with the way there known to be sound. */
static int read_file(const BindWalk *w, const char *path, char **ret, Error *err)
{
    _cleanup_(closep) int fd = openat(w->parent, w->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set(err, errno, "compose.env-file", "the file %s cannot be opened: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return error_set(err, EINVAL, "compose.env-file", "%s is no file", path);
    if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)))
        return error_set(err, EPERM, "compose.env-file",
                         "the file %s can be written by others than root, and a container could be one of them; do: "
                         "chown root: %s; chmod go-w %s",
                         path, path, path);
    return read_all(fd, path, ret, err);
}

int service_env_file_read(const char *path, const EnvFile *secbox_env, char **ret, Error *err)
{
    _cleanup_(freep) char *inside = str_format(VOLUMES_DIR "/%s", path), *full = inside ? path_in_root(inside) : NULL;
    const PodmanUser nobody = {};
    BindWalk w;
    int r;

    if (str_equal(path, SECBOX_ENV_PATH)) {
        *ret = dotenv_print(secbox_env);
        return *ret ? 0 : -ENOMEM;
    }
    if (!full)
        return -ENOMEM;
    if (*path == '/')
        return error_set(err, EPERM, "compose.env-file",
                         "the env_file %s cannot be used: name " SECBOX_ENV_PATH ", or put the file into " VOLUMES_DIR
                         " and name it without a path",
                         path);
    r = bind_walk(full, &nobody, &w, err);
    if (r < 0)
        return r;
    if (w.exists)
        r = read_file(&w, full, ret, err);
    else
        r = error_set(
            err, ENOENT, "compose.env-file",
            "there is no env_file %s; put it there, or the keys into secbox.env or under `environment`, or say "
            "`required: false`",
            full);
    bind_walk_done(&w);
    return r;
}

/* SPDX-License-Identifier: MIT */
/* Who is logged in, as JSON in a file that is replaced as a whole, with a lock beside it. */
#include "lib/tunnel/sessions-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/boot-id.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/base/tmp-sweep.h"
#include "lib/data/json.h"

#define MODE 0600

struct SessionsFile {
    char *path, *program;
    int lock; /* held as long as it is open */
};

static char *lock_path(const char *path)
{
    return str_format("%s.lock", path);
}

/* Locks of an open file description: they are seen from other containers, and forgotten by nobody but the kernel. */
static int take_lock(const char *path)
{
    _cleanup_(freep) char *name = lock_path(path);
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    _cleanup_(closep) int fd = name ? open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE) : -1;
    if (fd < 0)
        return name ? -errno : -ENOMEM;
    if (fcntl(fd, F_OFD_SETLK, &whole) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static bool is_locked(const char *path)
{
    _cleanup_(freep) char *name = lock_path(path);
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    _cleanup_(closep) int fd = name ? open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

/* Where a service manager has not made it already. */
static void make_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    _cleanup_(freep) char *folder = slash ? strndup(path, (size_t) (slash - path)) : NULL;
    if (folder)
        (void) mkdir(folder, 0700);
}

int sessions_file_new(const char *path, const char *program, SessionsFile **ret, Error *err)
{
    _cleanup_(sessions_file_freep) SessionsFile *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    f->lock = -1;
    f->program = strdup(program);
    if (!f->program)
        return -ENOMEM;
    make_folder(path);
    int lock = take_lock(path);
    if (lock == -EAGAIN || lock == -EACCES)
        return error_set(err, -lock, "sessions.taken",
                         "%s is written by another process, or not for this user to write", path);
    if (lock < 0)
        return error_set(err, -lock, "file.write", "cannot write beside %s: %s", path, strerror(-lock));
    f->lock = lock;
    const char *slash = strrchr(path, '/');
    _cleanup_(freep) char *folder = slash ? strndup(path, (size_t) (slash - path)) : NULL;
    if (folder)
        (void) tmp_sweep(folder, false);
    f->path = strdup(path);
    int r = f->path ? sessions_file_write(f, cJSON_CreateArray(), err) : -ENOMEM;
    if (r < 0)
        return r;
    *ret = TAKE_PTR(f);
    return 0;
}

SessionsFile *sessions_file_free(SessionsFile *f)
{
    if (!f)
        return NULL;
    if (f->path)
        (void) unlink(f->path);
    if (f->lock >= 0)
        close(f->lock);
    free(f->path);
    free(f->program);
    free(f);
    return NULL;
}

int sessions_file_write(SessionsFile *f, cJSON *sessions, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *list = sessions, *document = cJSON_CreateObject();
    _cleanup_(freep) char *boot_id = boot_id_read();
    if (!list || !document || json_add_string(document, "program", f->program) < 0 ||
        json_add_int(document, "pid", getpid()) < 0 || json_add_string(document, "bootId", boot_id) < 0 ||
        json_add_item(document, "sessions", TAKE_PTR(list)) < 0)
        return -ENOMEM;
    _cleanup_(freep) char *text = json_print(document);
    return text ? file_write_atomic(f->path, text, strlen(text), MODE, (uid_t) -1, (gid_t) -1, err) : -ENOMEM;
}

int sessions_file_read(const char *path, cJSON **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *document = NULL;
    _cleanup_(freep) char *text = NULL;
    size_t len = 0;
    if (!is_locked(path))
        return -ENOENT;
    int r = file_read(path, SESSIONS_FILE_MAX, &text, &len, err);
    if (r >= 0)
        r = json_parse_object(text, len, &document, err);
    if (r < 0)
        return r == -ENOENT ? r : error_prefix(err, r, "%s", path);
    if (!json_string(document, "program") || !cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(document, "sessions")))
        return error_set(err, EBADMSG, "sessions.damaged", "%s is not what a program of SecBox writes", path);
    *ret = TAKE_PTR(document);
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/change-guard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/reserve.h"
#include "mgmt-agent/state/state-file.h"

#define ID_SIZE_MAX 1024
#define MARK_SIZE_MAX (64 * 1024)
#define ENVIRONMENT "environment"

static int open_lock(void)
{
    _cleanup_(freep) char *path = path_in_root(CHANGE_LOCK_PATH);
    int fd = path ? open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;

    return !path ? -ENOMEM : fd < 0 ? -errno : fd;
}

int change_lock(bool wait, int *ret_fd, Error *err)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    _cleanup_(closep) int fd = open_lock();
    int r;

    if (fd < 0)
        return error_set(err, -fd, "change.lock", "cannot open " CHANGE_LOCK_PATH ": %s", strerror(-fd));
    do
        r = fcntl(fd, wait ? F_SETLKW : F_SETLK, &whole) < 0 ? -errno : 0;
    while (wait && r == -EINTR);
    if (r == -EAGAIN || r == -EACCES)
        return error_set(err, EBUSY, "change.locked", "another process is changing what runs");
    if (r < 0)
        return error_set(err, -r, "change.lock", "cannot lock " CHANGE_LOCK_PATH ": %s", strerror(-r));
    *ret_fd = TAKE_FD(fd);
    return 0;
}

bool change_is_locked(void)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    _cleanup_(closep) int fd = open_lock();

    return fd >= 0 && fcntl(fd, F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

static char *print_mark(const char *id, const cJSON *environment)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (!o || json_add_string(o, "id", id) < 0 ||
        (environment && json_add_item(o, ENVIRONMENT, cJSON_Duplicate(environment, 1)) < 0))
        return NULL;
    return json_print(o);
}

int change_mark_set(const char *id, const cJSON *environment, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(CHANGE_MARK_PATH), *confirmed = path_in_root(CHANGE_CONFIRMED_PATH);
    _cleanup_(secret_freep) char *text = print_mark(id, environment); /* a proxy's password, maybe */
    int r;

    if (!path || !confirmed || !text)
        return error_set(err, ENOMEM, "change.mark", "no memory for the mark of a change");
    if (unlink(confirmed) < 0 && errno != ENOENT)
        return error_set(err, errno, "change.mark", "cannot remove %s: %s", confirmed, strerror(errno));
    r = state_write(path, text, strlen(text), err);
    if ((r != -ENOSPC && r != -EDQUOT) || reserve_release() < 0)
        return r;
    error_done(err);
    return state_write(path, text, strlen(text), err);
}

cJSON *change_mark_environment(void)
{
    _cleanup_(freep) char *path = path_in_root(CHANGE_MARK_PATH);
    _cleanup_(secret_freep) char *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    size_t len = 0;

    if (!path || file_read(path, MARK_SIZE_MAX, &text, &len, NULL) < 0 || json_parse_object(text, len, &o, NULL) < 0)
        return NULL;
    return cJSON_DetachItemFromObjectCaseSensitive(o, ENVIRONMENT);
}

int change_mark_clear(Error *err)
{
    _cleanup_(freep) char *path = path_in_root(CHANGE_MARK_PATH);

    return path ? file_remove(path, err) : -ENOMEM;
}

void change_note_confirmed(const char *id)
{
    _cleanup_(freep) char *path = path_in_root(CHANGE_CONFIRMED_PATH);
    _cleanup_(error_done) Error err = {};
    int r = path && id ? file_write_atomic(path, id, strlen(id), 0600, (uid_t) -1, (gid_t) -1, &err) : -ENOMEM;

    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot note for the guard that the change is confirmed");
}

bool change_is_confirmed(const char *id)
{
    _cleanup_(freep) char *path = path_in_root(CHANGE_CONFIRMED_PATH);
    _cleanup_(freep) char *noted = NULL;

    return path && id && file_read(path, ID_SIZE_MAX, &noted, NULL, NULL) == 0 && str_equal(noted, id);
}

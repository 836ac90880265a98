/* SPDX-License-Identifier: MIT */
/* Whole files, read with a cap and replaced atomically. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "lib/base/error.h"

/* Reads a regular file (symbolic links in the last component are refused) of at most `max` bytes. *ret is
 * NUL-terminated and owned by the caller; ret_len may be NULL.
 * Errors: -ENOENT etc. with "file.read", -EFBIG with "file.too-large". */
int file_read(const char *path, size_t max, char **ret, size_t *ret_len, Error *err) _must_check_;

/* file_read() of what may be a link, as the files in /etc/ssl/certs are. */
int file_read_followed(const char *path, size_t max, char **ret, size_t *ret_len, Error *err) _must_check_;

/* file_read() of what must stay secret: refused with "key.bad-mode" (-EPERM) when group or others have any right to it,
 * or when its owner is neither `owner`, nor this process's user, nor root. */
int file_read_secret(const char *path, size_t max, uid_t owner, char **ret, size_t *ret_len, Error *err) _must_check_;

/* Replaces `path` so that a power cut leaves either the old or the new content, whole: temporary file in the same
 * folder (O_EXCL, O_NOFOLLOW), write, fsync, chown (skipped when uid is (uid_t) -1), rename, fsync of the folder.
 * Errors carry "file.write". */
int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode, uid_t uid, gid_t gid,
                      Error *err) _must_check_;

/* The same of a file that comes in pieces: what is written to `fd`, 0600, takes its place when it is kept. */
typedef struct FileWriter {
    int fd;
    char *path, *temporary;
} FileWriter;

#define FILE_WRITER_INIT                                                                                               \
    {                                                                                                                  \
        .fd = -1                                                                                                       \
    }

/* Errors carry "file.write", here and below. */
int file_writer_open(FileWriter *w, const char *path, Error *err) _must_check_;
int file_writer_keep(FileWriter *w, Error *err) _must_check_;
/* What was not kept is removed. */
void file_writer_done(FileWriter *w);

/* Creates the folder and its parents. Existing folders keep their mode; the last one gets `mode` and, unless
 * uid is (uid_t) -1, the owner. */
int dir_make(const char *path, mode_t mode, uid_t uid, gid_t gid, Error *err) _must_check_;

/* Removes a file durably; it is no error if there is none. */
int file_remove(const char *path, Error *err) _must_check_;

/* Removes all below a folder without following links, and keeps the folder itself; it is no error if there is none. */
int dir_clear(const char *path, Error *err) _must_check_;

/* Removes a folder and all below it without following links; it is no error if there is none. */
int dir_remove(const char *path, Error *err) _must_check_;

/* Writes all, across short writes and EINTR. */
int fd_write_all(int fd, const void *data, size_t len) _must_check_;

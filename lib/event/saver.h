/* SPDX-License-Identifier: MIT */
/* Files written durably by a child process, one after the other: a disk that hangs holds up the child, not us. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"

typedef struct Saver Saver;
typedef void (*saver_done_t)(bool written, void *userdata);

/* `program` (borrowed) is the child: started with --save PATH, it calls saver_run() to do the writing. */
int saver_new(sd_event *event, const char *program, Saver **ret, Error *err) _must_check_;
/* What has not been written yet is lost; nothing is called. NULL-safe. */
Saver *saver_free(Saver *s);
DEFINE_CLEANUP(Saver, saver_free)

/* Replaces the file (0600). on_done (may be NULL) runs once, from the loop, within a minute and a half even when the disk
 * hangs. -ENOBUFS when too much waits already: nothing is written then and nothing called. */
int saver_write(Saver *s, const char *path, const char *text, saver_done_t on_done, void *userdata) _must_check_;

/* The same of any bytes. */
int saver_write_data(Saver *s, const char *path, const void *data, size_t len, saver_done_t on_done,
                     void *userdata) _must_check_;

/* In the child: standard input goes into the file. An exit code. */
int saver_run(const char *path);

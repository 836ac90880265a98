/* SPDX-License-Identifier: MIT */
/* Files written durably by a child, one after the other: a disk that hangs holds up the child, not us. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"

typedef struct Saver Saver;
typedef void (*saver_done_t)(bool written, void *userdata);

/* `program` (borrowed) does the writing when it is started with --save PATH: it calls saver_run(). */
int saver_new(sd_event *event, const char *program, Saver **ret, Error *err) _must_check_;
/* What is not written yet is lost; calls nothing. NULL-safe. */
Saver *saver_free(Saver *s);
DEFINE_CLEANUP(Saver, saver_free)

/* Replaces the file (0600). on_done (may be NULL) runs once, from the loop, within a minute and a half even when the disk
 * hangs. -ENOBUFS when too much waits already: nothing is written then and nothing called. */
int saver_write(Saver *s, const char *path, const char *text, saver_done_t on_done, void *userdata) _must_check_;

/* In the child: standard input goes into the file. An exit code. */
int saver_run(const char *path);

/* SPDX-License-Identifier: MIT */
/* A session's recording on this box: an asciicast (lib/data/asciicast.h), sealed for the auditor as it comes, in a file of root's.
 * Never more than a bounded part of the disk: what is over is removed when the next session begins, the oldest first. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/data/asciicast.h"
#include "lib/data/session-seal.h"

#define RECORDING_FOLDER "/var/lib/tucomunidad/session-recordings"
#define RECORDING_SUFFIX ".session"
#define RECORDING_MAX ((uint64_t) 64 << 20)       /* bytes of one */
#define RECORDINGS_MAX ((uint64_t) 256 << 20)     /* of all of them */
#define RECORDINGS_AGE (30 * USEC_PER_DAY)        /* how long one that nobody has fetched is kept */
#define RECORDING_DISK_LEFT ((uint64_t) 32 << 20) /* what stays free for others */
#define RECORDING_FLUSH_TIME (1 * USEC_PER_SEC)   /* no more than this is lost with the power */

typedef struct RecordingOptions {
    const char *folder;
    const char *grant, *serial; /* of the certificate */
    uint8_t auditor[HPKE_KEY_SIZE];
    CastHead head;
} RecordingOptions;

typedef struct Recording {
    int fd; /* -1: there is none, or no more; locked as long as it is written */
    SessionSeal seal;
    Buf text; /* what is not sealed yet */
    CastStream streams[2];
    usec_t began, text_began;
    uint64_t written;
} Recording;

/* "session.cannot-record" with what is in the way; *ret is to be freed by recording_done() in any case. */
int recording_begin(const RecordingOptions *o, Recording *ret, Error *err) _must_check_;
/* What was shown (stream 0; a command's errors: 1), and other events. All fail with "session.cannot-record" once, after which
 * there is no recording any more, and they do nothing. */
int recording_output(Recording *r, unsigned stream, const void *data, size_t len, Error *err) _must_check_;
int recording_resize(Recording *r, unsigned width, unsigned height, Error *err) _must_check_;
int recording_marker(Recording *r, const char *text, Error *err) _must_check_;
/* How long what is not on the disk may wait yet; USEC_INFINITY: nothing is. */
usec_t recording_wait(const Recording *r);
int recording_flush(Recording *r, Error *err) _must_check_;
/* With the last record, which says how it ended. */
int recording_end(Recording *r, const char *how, Error *err) _must_check_;
void recording_done(Recording *r);

/* SPDX-License-Identifier: MIT */
/* An archive that arrives piece by piece, kept in a file that is named by the SHA-256 of what is in it. A child process writes it,
 * durably, and asks the digest: a disk that hangs holds up the child, not us, and no more than a piece of it is in memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"

typedef struct BundleWriter BundleWriter;

typedef enum BundleWriterResult {
    BUNDLE_KEPT,
    BUNDLE_OTHER,    /* what came is not what the file's name says */
    BUNDLE_NOT_KEPT, /* it cannot be written, or the child has ended in between */
} BundleWriterResult;

typedef struct BundleWriterEvents {
    void (*room)(void *userdata); /* after a put that said so: more can be put */
    void (*done)(BundleWriterResult how, void *userdata);
} BundleWriterEvents;

/* `program` is the child: started with --write-bundle PATH, it calls bundle_writer_run(). The last part of `path` is the digest,
 * 64 hexadecimal digits; its folder is there. `events` is borrowed. */
int bundle_writer_new(sd_event *event, const char *program, const char *path, const BundleWriterEvents *events,
                      void *userdata, BundleWriter **ret, Error *err) _must_check_;
/* Takes all of it. 0: put nothing more until `room` is called. Negative: no memory. */
int bundle_writer_put(BundleWriter *s, const void *data, size_t len) _must_check_;
/* That was all; `done` is called once, later. */
void bundle_writer_end(BundleWriter *s);
/* Nothing is called any more. Unless it had ended, no file comes of it: the child is killed, and tmp_sweep() removes what that
 * leaves. NULL-safe. */
BundleWriter *bundle_writer_free(BundleWriter *s);
DEFINE_CLEANUP(BundleWriter, bundle_writer_free)

/* In the child. An exit code. */
int bundle_writer_run(const char *path);

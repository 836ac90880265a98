/* SPDX-License-Identifier: MIT */
/* session-recording: a sealed recording of a session, opened with the auditor's key. */
#include <errno.h>
#include <stdio.h>

#include "gateway/fleet/fleet.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"
#include "lib/data/session-seal.h"

#define SEALED_MAX (256 << 20)

static int open_file(const Fleet *fleet, const char *path, SessionText *ret, Error *err)
{
    _cleanup_(hpke_key_freep) HpkeKey *key = NULL;
    _cleanup_(freep) char *sealed = NULL;
    size_t len = 0;

    if (!fleet->keys || fleet->keys[1])
        return error_set(err, EINVAL, "usage", "say --key FILE: the auditor's key, as auditor-key made it");
    int r = hpke_key_load_asking(fleet->keys[0], &key, err);
    if (r >= 0)
        r = file_read(path, SEALED_MAX, &sealed, &len, err);
    return r < 0 ? r : session_open(key, sealed, len, ret, err);
}

int verb_session_recording(int argc _unused_, char **argv, void *userdata)
{
    const Fleet *fleet = userdata;
    _cleanup_(session_text_done) SessionText opened = {};
    _cleanup_(error_done) Error err = {};
    int r = open_file(fleet, argv[0], &opened, &err);

    if (r >= 0 && !opened.is_whole)
        r = error_set(
            &err, EPIPE, "session.recording-cut",
            "the recording ends without its last record: power, a full disk or somebody on the box cut it off");
    /* what can be read is worth something, whatever came behind it */
    const char *text = opened.text.len > 0 ? opened.text.data : "";
    if (fwrite(text, 1, opened.text.len, stdout) != opened.text.len || fflush(stdout) != 0)
        r = error_set(&err, errno, "usage", "cannot write to standard output");
    return r < 0 ? fleet_fail(fleet, NULL, &err, r) : EXIT_OK;
}

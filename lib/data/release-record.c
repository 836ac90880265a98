/* SPDX-License-Identifier: MIT */
#include "lib/data/release-record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "lib/base/boot-id.h"
#include "lib/base/paths.h"
#include "lib/data/release-file.h"

#define RECORD_PATH RELEASE_STATE_DIR "/record.json"
#define LOCK_PATH RELEASE_STATE_DIR "/lock"

static const char *const states[_RELEASE_STATES + 1] = {
    [RELEASE_NONE] = "none",
    [RELEASE_STAGED] = "staged",
    [RELEASE_SWITCHING] = "switching",
    [RELEASE_PROVING] = "proving",
    [RELEASE_GOING_BACK] = "going-back",
    [RELEASE_CONFIRMED] = "confirmed",
    [RELEASE_ROLLED_BACK] = "rolled-back",
    [RELEASE_FAILED] = "failed",
};

static const JsonField fields[] = {
    { JSON_NAME_FIELD(ReleaseRecord, state, "state", states) },
    { JSON_FIELD(ReleaseRecord, id, "id") },
    { JSON_FIELD(ReleaseRecord, from, "from") },
    { JSON_FIELD(ReleaseRecord, to, "to") },
    { JSON_FIELD(ReleaseRecord, boot, "boot") },
    { JSON_FIELD(ReleaseRecord, why, "why") },
    { JSON_FIELD(ReleaseRecord, who, "signedBy") },
    { JSON_FIELD(ReleaseRecord, seconds, "seconds") },
    { JSON_FIELD(ReleaseRecord, tunnel, "tunnel") },
    { JSON_FIELD(ReleaseRecord, relay, "relay") },
    { JSON_TIME_FIELD(ReleaseRecord, at, "at") },
    { JSON_REST_FIELD(ReleaseRecord, rest) },
    {},
};
static const JsonType type = JSON_TYPE(ReleaseRecord, fields);

const char *release_state_name(int state)
{
    return states[state];
}

bool release_record_is_open(const ReleaseRecord *r)
{
    return r->state >= RELEASE_STAGED && r->state <= RELEASE_GOING_BACK;
}

void release_record_done(ReleaseRecord *r)
{
    json_done(&type, r);
}

cJSON *release_record_describe(const ReleaseRecord *r)
{
    return json_write(&type, r);
}

/* A record that is open has to say what it is about. */
int release_record_load(ReleaseRecord *ret, Error *err)
{
    *ret = (ReleaseRecord) {};
    int r = release_file_load(RECORD_PATH, &type, ret, err);

    if (r >= 0 && release_record_is_open(ret) && (!ret->from || !ret->to || !ret->id)) {
        release_record_done(ret);
        r = error_set(err, EBADMSG, "release.damaged",
                      RECORD_PATH " does not say which release is under way: remove it");
    }
    return r;
}

int release_record_enter(ReleaseRecord *record, ReleaseState state, Error *err)
{
    free(record->boot);
    record->boot = boot_id_read();
    record->state = (int) state;
    record->at = realtime_usec();
    return record->boot ? release_file_save(RECORD_PATH, &type, record, err)
                        : error_from_errno(err, -ENOMEM, "cannot note what is done with a release");
}

int release_lock(Error *err)
{
    _cleanup_(freep) char *path = path_in_root(LOCK_PATH);
    _cleanup_(closep) int fd = -1;
    int r = path ? release_file_make_folder(err) : error_from_errno(err, -ENOMEM, "cannot look after releases");

    if (r < 0)
        return r;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set(err, errno, "file.write", "%s cannot be opened: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return error_set(err, EBUSY, "release.busy",
                         "a release is being put in place right now: `secboxctl release status` tells how far it is");
    return TAKE_FD(fd);
}

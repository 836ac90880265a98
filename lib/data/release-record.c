/* SPDX-License-Identifier: MIT */
#include "lib/data/release-record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "lib/base/boot-id.h"
#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json-fields.h"

#define RECORD_PATH RELEASE_STATE_DIR "/record.json"
#define LOCK_PATH RELEASE_STATE_DIR "/lock"
#define RECORD_MAX (64 * 1024)

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
static int check(const ReleaseRecord *r, const char *path, Error *err)
{
    return release_record_is_open(r) && (!r->from || !r->to || !r->id)
               ? error_set(err, EBADMSG, "release.damaged", "%s does not say which release is under way: remove it",
                           path)
               : 0;
}

int release_record_load(ReleaseRecord *ret, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(RECORD_PATH), *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(error_done) Error why = {};
    size_t len = 0;
    int r = path ? file_read(path, RECORD_MAX, &text, &len, &why) : -ENOMEM;

    *ret = (ReleaseRecord) {};
    if (r == -ENOENT)
        return 0;
    if (r >= 0)
        r = json_parse_object(text, len, &o, &why);
    if (r < 0)
        return error_set(err, r, "release.damaged", "%s cannot be read: %s", path ? path : RECORD_PATH,
                         error_message(&why, r));
    r = json_read(o, &type, ret);
    if (r == -EINVAL)
        r = error_set(err, EBADMSG, "release.damaged", "%s has a member of the wrong kind: remove it", path);
    if (r >= 0)
        r = check(ret, path, err);
    if (r < 0)
        release_record_done(ret);
    return r < 0 ? error_from_errno(err, r, "cannot read which release there is") : 0;
}

static int make_folder(Error *err)
{
    _cleanup_(freep) char *folder = path_in_root(RELEASE_STATE_DIR);

    return folder ? dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, err)
                  : error_from_errno(err, -ENOMEM, "cannot look after releases");
}

int release_record_enter(ReleaseRecord *record, ReleaseState state, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(RECORD_PATH), *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    int r = path ? make_folder(err) : -ENOMEM;

    free(record->boot);
    record->boot = boot_id_read();
    record->state = (int) state;
    record->at = realtime_usec();
    o = json_write(&type, record);
    text = o ? json_print(o) : NULL;
    if (r >= 0 && (!text || !record->boot))
        r = -ENOMEM;
    if (r < 0)
        return error_from_errno(err, r, "cannot note what is done with a release");
    return file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err);
}

int release_lock(Error *err)
{
    _cleanup_(freep) char *path = path_in_root(LOCK_PATH);
    _cleanup_(closep) int fd = -1;
    int r = path ? make_folder(err) : error_from_errno(err, -ENOMEM, "cannot look after releases");

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

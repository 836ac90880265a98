/* SPDX-License-Identifier: MIT */
#include "lib/data/trust-root-store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json-fields.h"

#define RECORD_PATH AGENT_STATE_DIR "/trust-root.json"

DEFINE_CLEANUP(DIR, closedir)

static const JsonField fields[] = {
    { JSON_FIELD(TrustRootRecord, version, "version") }, { JSON_FIELD(TrustRootRecord, sha256, "sha256") },
    { JSON_FIELD(TrustRootRecord, id, "id") },           { JSON_FIELD(TrustRootRecord, who, "signedBy") },
    { JSON_TIME_FIELD(TrustRootRecord, at, "at") },      { JSON_FIELD(TrustRootRecord, copied, "copied") },
    { JSON_REST_FIELD(TrustRootRecord, rest) },          {},
};
static const JsonType type = JSON_TYPE(TrustRootRecord, fields);

int trust_root_record_load(TrustRootRecord *ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(freep) char *path = path_in_root(RECORD_PATH), *text = NULL;
    _cleanup_(error_done) Error why = {};
    size_t len = 0;
    int r = path ? file_read(path, JSON_SIZE_MAX, &text, &len, &why) : -ENOMEM;

    *ret = (TrustRootRecord) {};
    if (r == -ENOENT)
        return 0;
    if (r == 0)
        r = json_parse_object(text, len, &o, &why);
    if (r == 0)
        r = json_read(o, &type, ret);
    return r < 0 ? error_set(err, -r, "store.read", RECORD_PATH " cannot be read: %s", error_message(&why, r)) : 0;
}

static int save_record(const TrustRootRecord *record, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_write(&type, record);
    _cleanup_(freep) char *path = path_in_root(RECORD_PATH), *text = o ? json_print(o) : NULL;

    if (!path || !text)
        return error_from_errno(err, -ENOMEM, "write " RECORD_PATH);
    return file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err);
}

void trust_root_record_done(TrustRootRecord *n)
{
    json_done(&type, n);
}

static char *in_folder(const char *name, const char *suffix)
{
    _cleanup_(freep) char *relative = str_format(SIGNERS_DIR "/%s%s", name, suffix);

    return relative ? path_in_root(relative) : NULL;
}

/* mgmt-agent and secboxctl take documents: one at a time, or the older could be written last. Where there is no folder, nobody is
 * pinned and nothing is taken. */
static int lock_signers(int *ret_fd, Error *err)
{
    _cleanup_(freep) char *folder = path_in_root(SIGNERS_DIR);
    _cleanup_(closep) int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd < 0)
        return folder && errno == ENOENT ? 0
                                         : error_from_errno(err, folder ? -errno : -ENOMEM, "look into trust/signers");
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return error_from_errno(err, -errno, "lock trust/signers");
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int write_in_folder(const char *name, const char *suffix, char *text, Error *err)
{
    _cleanup_(freep) char *path = in_folder(name, suffix), *content = text;

    if (!path || !content)
        return error_from_errno(err, -ENOMEM, "write the signers");
    return file_write_atomic(path, content, strlen(content), 0644, (uid_t) -1, (gid_t) -1, err);
}

static bool names(const TrustRoot *root, const char *file)
{
    size_t len = strlen(file) - strlen(ORDER_SIGNER_SUFFIX);

    for (size_t i = 0; i < root->n_keys; i++)
        if (strlen(root->keys[i].name) == len && strncmp(root->keys[i].name, file, len) == 0)
            return true;
    return false;
}

static int remove_others(const TrustRoot *root, Error *err)
{
    _cleanup_(freep) char *folder = path_in_root(SIGNERS_DIR);
    _cleanup_(closedirp) DIR *dir = folder ? opendir(folder) : NULL;
    int r = 0;

    if (!dir)
        return error_from_errno(err, folder ? -errno : -ENOMEM, "look into trust/signers");
    for (const struct dirent *e; r == 0 && (e = readdir(dir));) {
        if (e->d_name[0] == '.' || !str_ends(e->d_name, ORDER_SIGNER_SUFFIX) || names(root, e->d_name))
            continue;
        _cleanup_(freep) char *path = path_join(folder, e->d_name);
        log_notice("%s counts no more: version %llu of the root document does not name it", e->d_name,
                   (unsigned long long) root->version);
        r = path ? file_remove(path, err) : error_from_errno(err, -ENOMEM, "remove a signer");
    }
    return r;
}

/* The document is in force whatever stands beside it, so any moment of this may be the last. */
static int copy_keys(const TrustRoot *root, Error *err)
{
    int r = 0;

    for (size_t i = 0; i < root->n_keys && r == 0; i++)
        r = write_in_folder(root->keys[i].name, ORDER_SIGNER_SUFFIX,
                            str_format("%s %s\n", root->keys[i].key, root->keys[i].name), err);
    if (r == 0)
        r = write_in_folder(ORDER_THRESHOLD_NAME, "", str_format("%u\n", root->threshold), err);
    return r < 0 ? r : remove_others(root, err);
}

static int settle(const TrustRoot *root, TrustRootRecord *record, Error *err)
{
    int r = copy_keys(root, err);

    if (r < 0)
        return r;
    record->copied = true;
    return save_record(record, err);
}

int trust_root_settle(Error *err)
{
    _cleanup_(trust_root_record_done) TrustRootRecord record = {};
    _cleanup_(trust_done) Trust trust = {};
    _cleanup_(closep) int lock = -1;
    int r = lock_signers(&lock, err);

    if (r == 0)
        r = trust_root_record_load(&record, err);
    if (r < 0 || record.version == 0 || record.copied)
        return r;
    r = trust_load(&trust, err);
    return r < 0 || trust.root.version != record.version ? r : settle(&trust.root, &record, err);
}

static int set_record(TrustRootRecord *record, const TrustRoot *root, const char *sha256, const char *id,
                      const char *who)
{
    record->version = root->version;
    record->at = realtime_usec();
    record->copied = false;
    return json_set(&record->sha256, sha256) < 0 || json_set(&record->id, id) < 0 || json_set(&record->who, who) < 0
               ? -ENOMEM
               : 0;
}

/* The floor first: from then on nothing older is taken. Then the document, and with it the new keys count. */
static int put_in_force(const cJSON *envelope, const TrustRoot *root, TrustRootRecord *record, Error *err)
{
    int r = save_record(record, err);

    if (r == 0)
        r = write_in_folder(TRUST_ROOT_NAME, "", json_print(envelope), err);
    if (r < 0)
        return r;
    _cleanup_(error_done) Error why = {};
    r = settle(root, record, &why);
    if (r < 0) /* no reason to refuse what is in force: it is done again at the next start */
        log_failure(LOG_LEVEL_WARNING, NULL, &why, r, "The keys of the root document are not in trust/signers yet");
    return 0;
}

/* Who carries it can put members around what was signed. What is written has to be what trust_load() can read. */
static int check_size(const cJSON *envelope, Error *err)
{
    _cleanup_(freep) char *text = json_print(envelope);

    if (!text)
        return error_from_errno(err, -ENOMEM, "take a root document");
    return strlen(text) <= TRUST_ROOT_FILE_MAX
               ? 0
               : error_set(err, EBADMSG, "root.malformed",
                           "the root document and what came around it have more than %d bytes", TRUST_ROOT_FILE_MAX);
}

int trust_root_take(const cJSON *envelope, const char *id, const OrderView *view, Error *err)
{
    _cleanup_(trust_root_record_done) TrustRootRecord record = {};
    _cleanup_(trust_root_done) TrustRoot root = {};
    _cleanup_(trust_done) Trust trust = {};
    _cleanup_(freep) char *who = NULL;
    char sha256[SHA256_HEX_SIZE];
    _cleanup_(closep) int lock = -1;
    int r = lock_signers(&lock, err);

    if (r == 0)
        r = trust_load(&trust, err);
    if (r == 0 && trust.signers.n == 0)
        r = error_set(err, EACCES, "root.no-signers",
                      "no signers are pinned on this box, so nobody can vouch for a root document: pin one with "
                      "`secboxctl trust add` first");
    if (r == 0)
        r = trust_root_record_load(&record, err);
    if (r == 0)
        r = trust_root_open(envelope, &trust.signers, &root, &who, err);
    if (r == 0)
        r = check_size(envelope, err);
    if (r < 0)
        return r;
    /* the same bytes once more: nothing newer than what they say, and where a power cut came between, they are needed */
    const char *encoded = json_string(envelope, "statement");
    if (sha256_hex(encoded, strlen(encoded), sha256) < 0)
        return error_from_errno(err, -ENOMEM, "take a root document");
    bool again = root.version == record.version && str_equal(record.sha256, sha256);
    uint64_t floor = record.version > trust.root.version ? record.version : trust.root.version;
    r = trust_root_check(&root, view, again ? root.version - 1 : floor, err);
    if (r < 0)
        return r;
    if (again && trust.root.version == root.version)
        return 1;
    r = set_record(&record, &root, sha256, id, who);
    return r < 0 ? error_from_errno(err, r, "take a root document") : put_in_force(envelope, &root, &record, err);
}

int trust_root_forget(Error *err)
{
    _cleanup_(trust_root_record_done) TrustRootRecord record = {};
    _cleanup_(freep) char *path = in_folder(TRUST_ROOT_NAME, "");
    _cleanup_(trust_done) Trust trust = {};
    _cleanup_(closep) int lock = -1;
    int r = lock_signers(&lock, err);

    if (r == 0)
        r = trust_root_record_load(&record, err);
    if (r == 0)
        r = path ? 0 : error_from_errno(err, -ENOMEM, "forget the root document");
    /* what has come beside it since does not begin to count; one that is damaged names nobody, and what is pinned is all */
    if (r == 0 && trust_load(&trust, NULL) == 0 && trust.root.version > 0)
        r = copy_keys(&trust.root, err);
    if (r < 0)
        return r;
    if (trust.root.version > record.version)
        record.version = trust.root.version;
    free(record.sha256);
    record.sha256 = NULL;
    r = save_record(&record, err);
    return r < 0 ? r : file_remove(path, err);
}

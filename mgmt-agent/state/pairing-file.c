/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/pairing-file.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "mgmt-agent/state/state-file.h"

#define PAIRING_FILE "pairing.json"
#define NEXT_PATH AGENT_STATE_DIR "/pairing-next.env"

static const char *const state_names[] = {
    [PAIRING_UNKNOWN] = "unknown",
    [PAIRING_UNCLAIMED] = "unclaimed",
    [PAIRING_CLAIMING] = "claiming",
    [PAIRING_CLAIMED] = "claimed",
    NULL,
};

static const JsonField fields[] = {
    { JSON_NAME_FIELD(PairingFile, state, "state", state_names) },
    { JSON_TIME_FIELD(PairingFile, since, "since") },
    { JSON_FIELD(PairingFile, device_id, "deviceId") },
    { JSON_FIELD(PairingFile, cloud, "cloud") },
    { JSON_FIELD(PairingFile, gateway, "gateway") },
    { JSON_FIELD(PairingFile, community, "community") },
    { JSON_FIELD(PairingFile, boot_digest, "bootstrapSha256") },
    { JSON_FIELD(PairingFile, error, "error") },
    { JSON_FIELD(PairingFile, pin, "pin") },
    { JSON_FIELD(PairingFile, failures, "failures") },
    { JSON_FIELD(PairingFile, next, "next") },
    { JSON_FIELD(PairingFile, forget, "forget") },
    { JSON_REST_FIELD(PairingFile, rest) },
    {},
};
static const JsonType type = JSON_TYPE(PairingFile, fields);

const char *pairing_state_name(PairingState state)
{
    return state_names[state];
}

void pairing_file_done(PairingFile *f)
{
    json_done(&type, f);
}

int pairing_file_load(PairingFile *ret, Error *err)
{
    int r = state_load(PAIRING_FILE, &type, ret, err);

    if (r == -ENOENT)
        return 0;
    return r;
}

int pairing_file_save(const PairingFile *f, Error *err)
{
    return state_save(PAIRING_FILE, &type, f, err);
}

int pairing_next_save(PairingFile *f, const char *text, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(NEXT_PATH);
    char hex[SHA256_HEX_SIZE];

    if (!path || sha256_hex(text, strlen(text), hex) < 0)
        return error_from_errno(err, -ENOMEM, "cannot keep the next mgmt-agent.env");
    int r = file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err);
    if (r >= 0 && json_set(&f->next, hex) < 0)
        r = error_from_errno(err, -ENOMEM, "cannot keep the next mgmt-agent.env");
    return r;
}

int pairing_next_load(const PairingFile *f, char **ret, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(NEXT_PATH);
    _cleanup_(secret_freep) char *text = NULL;
    char hex[SHA256_HEX_SIZE];
    size_t len = 0;

    *ret = NULL;
    if (!f->next)
        return 0;
    int r = path ? file_read(path, ENV_FILE_SIZE_MAX, &text, &len, err) : -ENOMEM;
    if (r < 0)
        return error_prefix(err, r, "cannot read the next mgmt-agent.env");
    if (sha256_hex(text, len, hex) < 0)
        return error_from_errno(err, -ENOMEM, "cannot read the next mgmt-agent.env");
    if (!str_equal(hex, f->next))
        return error_set(err, EBADMSG, "pair.next-damaged", "%s is not the text that pairing.json means", path);
    *ret = TAKE_PTR(text);
    return 0;
}

int pairing_next_remove(Error *err)
{
    _cleanup_(freep) char *path = path_in_root(NEXT_PATH);

    return path ? file_remove(path, err) : -ENOMEM;
}

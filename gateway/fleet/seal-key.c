/* SPDX-License-Identifier: MIT */
/* Boxes' keys for secrets, remembered for each gateway and box when they are first told: a file each. */
#include <errno.h>
#include <string.h>

#include "gateway/fleet/fleet.h"
#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"

#define FOLDER "seal_keys.d"
#define ASK_TIMEOUT (30 * USEC_PER_SEC)
#define LINE_MAX_SIZE 256

static int path_for(const Fleet *fleet, const char *device, char **ret, Error *err)
{
    _cleanup_(freep) char *folder = fleet_config_path(FOLDER), *gateway = api_encode(fleet->api.gateway),
                          *box = api_encode(device), *name = gateway && box ? str_format("%s@%s", gateway, box) : NULL;
    int r;

    if (!folder)
        return error_set(
            err, ENOENT, "fleet.no-seal-key",
            "there is no folder to remember boxes' keys in, without which the gateway could tell a key of its "
            "own: set HOME or XDG_CONFIG_HOME");
    r = name ? dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, err) : error_from_errno(err, -ENOMEM, "look for a key");
    if (r < 0)
        return r;
    *ret = path_join(folder, name);
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "look for a key");
}

static int ask(Fleet *fleet, const char *device, char **ret, Error *err)
{
    _cleanup_(freep) char *path = fleet_device_path(device, "");
    _cleanup_(api_reply_done) ApiReply reply = {};
    int r = fleet_ask(fleet, "GET", path, NULL, ASK_TIMEOUT, &reply, err);
    const char *key = r < 0 ? NULL : json_string(cJSON_GetObjectItemCaseSensitive(reply.body, "device"), "sealKey");

    if (r < 0)
        return r;
    if (!key)
        return error_set(
            err, EOPNOTSUPP, "fleet.no-seal-key",
            "%s has told no key to seal secrets for: its agent, or the gateway, is too old for that, or it was "
            "never here; take the secrets from its secbox.env with `environment: VARIABLE`",
            device);
    *ret = strdup(key);
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "look for a key");
}

/* 0: as before; 1: it was never told. */
static int compare(const char *path, const char *device, const char *key, Error *err)
{
    _cleanup_(freep) char *known = NULL;
    _cleanup_(error_done) Error why = {};
    int r = file_read(path, LINE_MAX_SIZE, &known, NULL, &why);

    if (r == -ENOENT)
        return 1;
    if (r < 0)
        return error_copy(err, &why) < 0 ? -ENOMEM : r;
    known[strcspn(known, "\n")] = '\0';
    if (str_equal(known, key))
        return 0;
    return error_set(
        err, EKEYREJECTED, "fleet.seal-key-changed",
        "%s has another key for secrets than before, and nothing was sent: if it was installed anew, or put in "
        "the place of another box, remove %s and try again; if not, somebody else wants to read them",
        device, path);
}

int fleet_seal_key(Fleet *fleet, const char *device, uint8_t ret[static HPKE_KEY_SIZE], Error *err)
{
    _cleanup_(freep) char *key = NULL, *path = NULL, *line = NULL;
    int r = ask(fleet, device, &key, err);

    if (r >= 0 && seal_public_parse(key, ret) < 0)
        r = error_set(err, EBADMSG, "fleet.no-seal-key", "what %s has told is no key to seal secrets for", device);
    if (r >= 0)
        r = path_for(fleet, device, &path, err);
    if (r >= 0)
        r = compare(path, device, key, err);
    if (r <= 0)
        return r;
    line = str_format("%s\n", key);
    return line ? file_write_atomic(path, line, strlen(line), 0600, (uid_t) -1, (gid_t) -1, err)
                : error_from_errno(err, -ENOMEM, "remember a key");
}

/* SPDX-License-Identifier: MIT */
/* Boxes' keys for secrets, remembered for each gateway and box when they are first told: a file each. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/fleet/fleet.h"
#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"

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

static int no_key(const char *device, Error *err)
{
    return error_set(
        err, EOPNOTSUPP, "fleet.no-seal-key",
        "%s has told no key to seal secrets for: its agent, or the gateway, is too old for that, or it was "
        "never here; take the secrets from its secbox.env with `environment: VARIABLE`",
        device);
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

/* As the gateway tells it, and as it was told before. */
static int take_key(const Fleet *fleet, const char *device, const char *key, uint8_t ret[static HPKE_KEY_SIZE],
                    Error *err)
{
    _cleanup_(freep) char *path = NULL, *line = NULL;
    int r = path_for(fleet, device, &path, err);

    if (r >= 0 && seal_public_parse(key, ret) < 0)
        r = error_set(err, EBADMSG, "fleet.no-seal-key", "what %s has told is no key to seal secrets for", device);
    if (r >= 0)
        r = compare(path, device, key, err);
    if (r <= 0)
        return r;
    line = str_format("%s\n", key);
    return line ? file_write_atomic(path, line, strlen(line), 0600, (uid_t) -1, (gid_t) -1, err)
                : error_from_errno(err, -ENOMEM, "remember a key");
}

static int wrap_for(const Fleet *fleet, const cJSON *device, const char *id, const uint8_t key[static SEAL_KEY_SIZE],
                    cJSON *keys, Error *err)
{
    const char *told = json_string(device, "sealKey");
    _cleanup_(freep) char *wrapped = NULL;
    uint8_t to[HPKE_KEY_SIZE];
    int r = told ? take_key(fleet, id, told, to, err) : no_key(id, err);

    if (r >= 0)
        r = error_from_errno(err, seal_wrap(key, to, id, &wrapped), "seal the secrets for %s", id);
    return r < 0 ? r : error_from_errno(err, json_add_string(keys, id, wrapped), "seal the secrets");
}

bool fleet_has_labels(const cJSON *device, const cJSON *wanted)
{
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(device, "labels"), *label;

    cJSON_ArrayForEach(label, wanted)
        if (!str_equal(json_string(labels, label->string), label->valuestring))
            return false;
    return true;
}

/* Those that have no key are passed over by the gateway, too. */
static int wrap_for_all(const Fleet *fleet, const cJSON *devices, const cJSON *labels,
                        const uint8_t key[static SEAL_KEY_SIZE], cJSON *keys, Error *err)
{
    const cJSON *device;
    int r = 0;

    cJSON_ArrayForEach(device, devices) {
        const char *id = json_string(device, "id");
        _cleanup_(freep) char *name = id ? text_printable(id) : NULL;

        if (r < 0 || !id || !fleet_has_labels(device, labels))
            continue;
        if (json_string(device, "sealKey"))
            r = wrap_for(fleet, device, id, key, keys, err);
        else
            fprintf(stderr, "%s: %s has told no key to seal secrets for, and gets nothing\n", PROGRAM,
                    name ? name : id);
    }
    if (r >= 0 && !keys->child)
        return error_set(err, ENOENT, "fleet.no-seal-key",
                         "no box with these labels has told a key to seal secrets for");
    return r;
}

int fleet_wrap_key(Fleet *fleet, FleetTarget to, const uint8_t key[static SEAL_KEY_SIZE], cJSON **ret, Error *err)
{
    _cleanup_(freep) char *path = to.device ? fleet_device_path(to.device, "") : strdup("/v1/devices");
    _cleanup_(cJSON_Deletep) cJSON *keys = cJSON_CreateObject();
    _cleanup_(api_reply_done) ApiReply reply = {};
    int r = keys ? fleet_ask(fleet, "GET", path, NULL, ASK_TIMEOUT, &reply, err)
                 : error_from_errno(err, -ENOMEM, "seal the secrets");

    if (r < 0)
        return r;
    if (to.device)
        r = wrap_for(fleet, cJSON_GetObjectItemCaseSensitive(reply.body, "device"), to.device, key, keys, err);
    else
        r = wrap_for_all(fleet, cJSON_GetObjectItemCaseSensitive(reply.body, "devices"), to.labels, key, keys, err);
    if (r >= 0)
        *ret = TAKE_PTR(keys);
    return r;
}

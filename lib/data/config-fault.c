/* SPDX-License-Identifier: MIT */
#include "lib/data/config-fault.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/data/json.h"

#define FAULT_SIZE_MAX 4096
#define TEXT_MAX 1024

int config_check_ca_file(const char *ca_file, const char *program, Error *err)
{
    if (str_empty(ca_file) || access(ca_file, R_OK) == 0)
        return 0;
    int r = errno;
    return error_set_at(err, r, "config.value", NULL, 0, "CLOUD_CA_FILE", "%s cannot be read by %s's user: %s; %s",
                        ca_file, program, strerror(r),
                        r == EACCES ? "it holds no secret: chmod 644"
                                    : "put the certificate of the cloud's authority there, or correct CLOUD_CA_FILE");
}

static cJSON *fault_new(const char *program, const Error *err, int r)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    char since[TIMESTAMP_SIZE];

    if (!o || json_add_string(o, "program", program) < 0 ||
        json_add_string(o, "since", timestamp_format(realtime_usec(), since)) < 0 ||
        json_add_item(o, "error", json_from_error(err, r)) < 0)
        return NULL;
    return TAKE_PTR(o);
}

static int copy_text(const cJSON *from, cJSON *to, const char *name)
{
    const char *text = json_string(from, name);
    _cleanup_(freep) char *clean = text && strlen(text) <= TEXT_MAX ? text_printable(text) : NULL;

    return clean ? json_add_string(to, name, clean) : 0;
}

cJSON *config_fault_read(const char *path, const char *program)
{
    _cleanup_(freep) char *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *said = NULL, *o = cJSON_CreateObject();
    size_t len = 0;

    if (!o || file_read(path, FAULT_SIZE_MAX, &text, &len, NULL) < 0 || json_parse_object(text, len, &said, NULL) < 0)
        return NULL;
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(said, "error");
    cJSON *copy = cJSON_AddObjectToObject(o, "error");
    if (!cJSON_IsObject(error) || !copy || json_add_string(o, "program", program) < 0 ||
        copy_text(said, o, "since") < 0 || copy_text(error, copy, "id") < 0 || copy_text(error, copy, "message") < 0 ||
        copy_text(error, copy, "file") < 0 || copy_text(error, copy, "key") < 0 || !json_string(copy, "message"))
        return NULL;
    return TAKE_PTR(o);
}

int config_fault_tell(const char *path, const char *program, const Error *err, int r)
{
    if (!err)
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
    _cleanup_(cJSON_Deletep) cJSON *fault = fault_new(program, err, r), *before = config_fault_read(path, program);
    const cJSON *was = cJSON_GetObjectItemCaseSensitive(before, "error");
    if (was && str_equal(json_string(was, "message"), error_message(err, r)))
        return 0;
    _cleanup_(freep) char *text = fault ? json_print(fault) : NULL;
    if (!text)
        return -ENOMEM;
    return file_write_atomic(path, text, strlen(text), 0644, (uid_t) -1, (gid_t) -1, NULL);
}

cJSON *config_faults_read(void)
{
    static const struct {
        const char *path, *program;
    } places[] = {
        { AGENT_FAULT_PATH, "mgmt-agent" },
        { LINK_FAULT_PATH, "mgmt-link" },
        { RECOVERY_FAULT_PATH, "recovery-agent" },
        { SECBOX_FAULT_PATH, "secbox" },
    };
    _cleanup_(cJSON_Deletep) cJSON *all = cJSON_CreateArray();

    for (size_t i = 0; all && i < ELEMENTSOF(places); i++) {
        _cleanup_(freep) char *path = path_in_root(places[i].path);
        cJSON *fault = path ? config_fault_read(path, places[i].program) : NULL;

        if (fault && json_append(all, fault) < 0)
            return NULL;
    }
    return TAKE_PTR(all);
}

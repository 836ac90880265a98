/* SPDX-License-Identifier: MIT */
#include "secbox/matches/heard-until.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define FILE_MAX ((size_t) 4096)
#define MEMBER "heardUntil"

static int read_time(const char *path, usec_t *ret, Error *err)
{
    _cleanup_(freep) char *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    size_t len = 0;
    int r = file_read(path, FILE_MAX, &text, &len, err);

    if (r >= 0)
        r = json_parse_object(text, len, &o, err);
    return r < 0 ? r : timestamp_parse(json_string(o, MEMBER), ret);
}

usec_t heard_until_load(const char *path, usec_t now)
{
    _cleanup_(error_done) Error err = {};
    usec_t at = 0;
    int r = read_time(path, &at, &err);

    if (r < 0 && r != -ENOENT)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "what Frigate saw before now is not reported");
    if (r < 0 || at > now)
        return now;
    return now - at > HEARD_UNTIL_PAST_MAX ? now - HEARD_UNTIL_PAST_MAX : at;
}

int heard_until_save(const char *path, usec_t at, Error *err)
{
    char time[TIMESTAMP_SIZE];
    _cleanup_(freep) char *text = str_format("{\"" MEMBER "\":\"%s\"}\n", timestamp_format(at, time));

    return text ? file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err) : -ENOMEM;
}

/* SPDX-License-Identifier: MIT */
/* A line of JSON: of which cloud, and how far its log was. A box that belongs to another cloud starts anew. */
#include "lib/tunnel/audit-mark.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define FILE_NAME "audit-head.json"
#define FILE_MAX 4096
#define MODE 0600
#define NUMBER_DIGITS_MAX 20
#define HASH_DIGITS 64

struct AuditMark {
    char *path, *cloud, *head;
};

bool audit_head_is_good(const char *text)
{
    size_t digits = text ? strspn(text, "0123456789") : 0;

    return digits > 0 && digits <= NUMBER_DIGITS_MAX && text[0] != '0' && text[digits] == ':' &&
           strlen(text + digits + 1) == HASH_DIGITS && strspn(text + digits + 1, "0123456789abcdef") == HASH_DIGITS;
}

static void read_file(AuditMark *m)
{
    _cleanup_(freep) char *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    size_t len = 0;

    if (file_read(m->path, FILE_MAX, &text, &len, NULL) < 0 || json_parse_object(text, len, &o, NULL) < 0)
        return;
    const char *head = json_string(o, "head");
    if (str_equal(json_string(o, "cloud"), m->cloud) && audit_head_is_good(head))
        m->head = strdup(head);
}

AuditMark *audit_mark_new(const char *state_dir, const char *cloud_url)
{
    AuditMark *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->path = path_join(state_dir, FILE_NAME);
    m->cloud = strdup(cloud_url);
    if (!m->path || !m->cloud)
        return audit_mark_free(m);
    read_file(m);
    return m;
}

AuditMark *audit_mark_free(AuditMark *m)
{
    if (!m)
        return NULL;
    free(m->path);
    free(m->cloud);
    free(m->head);
    free(m);
    return NULL;
}

const char *audit_mark_get(const AuditMark *m)
{
    return m->head;
}

static int write_file(const AuditMark *m, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (!o || json_add_string(o, "cloud", m->cloud) < 0 || json_add_string(o, "head", m->head) < 0)
        return -ENOMEM;
    _cleanup_(freep) char *text = json_print(o);
    return text ? file_write_atomic(m->path, text, strlen(text), MODE, (uid_t) -1, (gid_t) -1, err) : -ENOMEM;
}

void audit_mark_take(AuditMark *m, const cJSON *welcome)
{
    _cleanup_(error_done) Error err = {};
    const char *head = json_string(welcome, "auditHead");
    char *copy = audit_head_is_good(head) && !str_equal(head, m->head) ? strdup(head) : NULL;

    if (!copy)
        return;
    free(m->head);
    m->head = copy;
    log_info("the cloud's audit log is at %s", m->head);
    int r = write_file(m, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r,
                    "how far the cloud's audit log was is known until a restart only");
}

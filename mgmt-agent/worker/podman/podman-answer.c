/* SPDX-License-Identifier: MIT */
/* Podman runs as a user whom a container may have taken over: its answers are input like any other. */

#include "mgmt-agent/worker/podman/podman-answer.h"

#include "mgmt-agent/worker/podman/podman.h"

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"

/* what podman gives a container that was promised nothing else, and the most that a compose file may promise */
#define STOP_TIMEOUT_DEFAULT 10
#define STOP_TIMEOUT_MAX 3600

static char *copy_string(const cJSON *o, const char *key)
{
    const char *s = json_string(o, key);

    return strdup(s ? s : "");
}

static int observe(const cJSON *c, const char *project, ObservedContainer *o)
{
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(c, "Labels");
    const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(c, "Names"), 0));
    const char *hash = json_string(labels, LABEL_HASH), *service = json_string(labels, LABEL_SERVICE);
    const char *project_label = json_string(labels, LABEL_PROJECT);
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(c, "ExitCode");

    if (!service)
        service = json_string(labels, "com.docker.compose.service");
    if (str_equal(project_label, project) && service)
        o->service = strdup(service);
    else if (json_string(labels, LABEL_SERVICE) && project_label)
        o->elsewhere = str_format("%s/%s", project_label, service);
    o->id = copy_string(c, "Id");
    o->name = strdup(name ? name : "");
    o->image_id = copy_string(c, "ImageID");
    o->config_hash = strdup(hash ? hash : "");
    o->state = copy_string(c, "State");
    o->exit_code = cJSON_IsNumber(code) ? code->valueint : 0;
    if (str_empty(json_string(c, "Id")))
        return -EINVAL;
    return o->id && o->name && o->image_id && o->config_hash && o->state ? 0 : -ENOMEM;
}

void observed_free_all(ObservedContainer *o, size_t n)
{
    for (size_t i = 0; i < n; i++)
        observed_done(&o[i]);
    free(o);
}

int podman_answer_containers(const cJSON *list, const char *project, ObservedContainer **ret, size_t *ret_n, Error *err)
{
    ObservedContainer *all;
    const cJSON *c;
    size_t n = 0;

    if (!cJSON_IsArray(list))
        return error_set(err, EIO, "podman.refused", "podman's list of containers is no list");
    all = calloc((size_t) cJSON_GetArraySize(list) + 1, sizeof(*all));
    if (!all)
        return error_set(err, ENOMEM, "podman.unreachable", "no memory");
    cJSON_ArrayForEach(c, list) {
        int r = observe(c, project, &all[n++]);

        if (r < 0) {
            observed_free_all(all, n);
            return r == -ENOMEM ? error_set(err, ENOMEM, "podman.unreachable", "no memory")
                                : error_set(err, EIO, "podman.refused", "podman listed a container without an id");
        }
    }
    *ret = all;
    *ret_n = n;
    return 0;
}

int podman_answer_image(const cJSON *info, LocalImage *ret, Error *err)
{
    _cleanup_(local_image_done) LocalImage l = {};
    const char *id = json_string(info, "Id"), *digest = json_string(info, "Digest");
    const cJSON *entry;

    if (str_empty(id))
        return error_set(err, EIO, "podman.refused", "podman showed an image without an id");
    l.id = strdup(str_starts(id, "sha256:") ? id + strlen("sha256:") : id);
    l.digest = str_empty(digest) ? NULL : strdup(digest);
    if (!l.id || (!str_empty(digest) && !l.digest))
        return error_set(err, ENOMEM, "podman.unreachable", "no memory");
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(info, "RepoDigests"))
        if (cJSON_IsString(entry) && strv_add(&l.repo_digests, entry->valuestring) < 0)
            return error_set(err, ENOMEM, "podman.unreachable", "no memory");
    *ret = l;
    l = (LocalImage) {};
    return 0;
}

/* A stream of JSON objects, one a line; the last ones hold "id" or "error". */
int podman_answer_pull(const char *body, size_t len, const char *reference, char **ret, Error *err)
{
    _cleanup_(freep) char *id = NULL;

    for (const char *p = body, *end = body + len; p < end;) {
        const char *newline = memchr(p, '\n', (size_t) (end - p));
        size_t n = (size_t) ((newline ? newline : end) - p);
        _cleanup_(cJSON_Deletep) cJSON *o = NULL;

        if (n > 0 && json_parse_object(p, n, &o, NULL) == 0) {
            _cleanup_(freep) char *safe = json_string(o, "error") ? redact_text(json_string(o, "error")) : NULL;

            if (!str_empty(safe))
                return error_set(err, EIO, "pull.failed", "cannot pull %s: %s", reference, safe);
            if (!str_empty(json_string(o, "id"))) {
                free(id);
                id = strdup(json_string(o, "id"));
            }
        }
        p += n + 1;
    }
    if (!id)
        return error_set(err, EIO, "pull.failed", "cannot pull %s: podman named no image", reference);
    *ret = TAKE_PTR(id);
    return 0;
}

/* Podman multiplexes both streams: an 8-byte header (stream, 3 zeros, length big-endian) before each piece. */
char *podman_answer_log(const char *data, size_t len)
{
    Buf b = BUF_INIT(PROCESS_OUTPUT_MAX);

    while (len >= 8) {
        const unsigned char *h = (const unsigned char *) data;
        size_t n = (size_t) h[4] << 24 | (size_t) h[5] << 16 | (size_t) h[6] << 8 | h[7];

        if (n > len - 8)
            n = len - 8;
        if (buf_append(&b, data + 8, n) < 0)
            break;
        data += 8 + n;
        len -= 8 + n;
    }
    return buf_take(&b);
}

/* The sum of one member of all that an array holds. */
static double sum(const cJSON *list, const char *key)
{
    const cJSON *item;
    double n = 0;

    cJSON_ArrayForEach(item, list) {
        const cJSON *size = cJSON_GetObjectItemCaseSensitive(item, key);

        if (cJSON_IsNumber(size) && size->valuedouble > 0)
            n += size->valuedouble;
    }
    return n;
}

/* Layers that several images share: the largest share counts once, where podman does not say what all of them take. */
static double image_bytes(const cJSON *usage, const cJSON *images)
{
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(usage, "ImagesSize"), *item;
    double shared = 0;

    if (cJSON_IsNumber(all) && all->valuedouble > 0)
        return all->valuedouble;
    cJSON_ArrayForEach(item, images) {
        const cJSON *size = cJSON_GetObjectItemCaseSensitive(item, "SharedSize");

        if (cJSON_IsNumber(size) && size->valuedouble > shared)
            shared = size->valuedouble;
    }
    return sum(images, "UniqueSize") + shared;
}

static bool add_mib(cJSON *o, const char *key, double bytes)
{
    return cJSON_AddNumberToObject(o, key, bytes < 1e18 ? (double) ((uint64_t) bytes / (1024 * 1024)) : 0);
}

int podman_answer_store(const cJSON *usage, cJSON **ret, Error *err)
{
    const cJSON *images = cJSON_GetObjectItemCaseSensitive(usage, "Images");
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    /* podman says null where there is nothing */
    if (!cJSON_IsArray(images) && !cJSON_IsNull(images))
        return error_set(err, EPROTO, "podman.refused", "podman's answer about its store is not understood");
    if (!o || !add_mib(o, "imagesMiB", image_bytes(usage, images)) ||
        !add_mib(o, "writableMiB", sum(cJSON_GetObjectItemCaseSensitive(usage, "Containers"), "RWSize")) ||
        !add_mib(o, "volumesMiB", sum(cJSON_GetObjectItemCaseSensitive(usage, "Volumes"), "Size")))
        return error_set(err, ENOMEM, "podman.refused", "no memory");
    *ret = TAKE_PTR(o);
    return 0;
}

bool podman_answer_stopping(const cJSON *info, StopRequest *ret)
{
    const cJSON *state = cJSON_GetObjectItemCaseSensitive(info, "State");
    const cJSON *seconds =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(info, "Config"), "StopTimeout");
    const char *id = json_string(info, "Id");

    if (!id || !str_equal(json_string(state, "Status"), "stopping"))
        return false;
    *ret = (StopRequest) { id, STOP_TIMEOUT_DEFAULT };
    if (cJSON_IsNumber(seconds) && seconds->valuedouble >= 0 && seconds->valuedouble <= STOP_TIMEOUT_MAX)
        ret->grace_seconds = (unsigned) seconds->valuedouble;
    return true;
}

usec_t podman_health_interval(const cJSON *info)
{
    const cJSON *config =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(info, "Config"), "Healthcheck");
    const cJSON *nanoseconds = cJSON_GetObjectItemCaseSensitive(config, "Interval");

    return cJSON_IsNumber(nanoseconds) && nanoseconds->valuedouble > 0 ? (usec_t) nanoseconds->valuedouble / 1000 : 0;
}

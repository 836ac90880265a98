/* SPDX-License-Identifier: MIT */
#include "secbox/cameras/camera-list.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/cameras/frigate.h"

void camera_list_done(CameraList *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->cameras[i].name);
    *l = (CameraList) {};
}

static Camera *find(const CameraList *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (str_equal(l->cameras[i].name, name))
            return (Camera *) &l->cameras[i];
    return NULL;
}

/* The object `member` of a whole answer. */
static int parse(const char *text, size_t len, const char *member, cJSON **ret, const cJSON **ret_member, Error *err)
{
    _cleanup_(error_done) Error why = {};

    if (json_parse_object(text, len, ret, &why) < 0)
        return error_set(err, EBADMSG, "camera.frigate-answer", "what answers in Frigate's place is not Frigate: %s",
                         error_message(&why, -EBADMSG));
    *ret_member = cJSON_GetObjectItemCaseSensitive(*ret, member);
    if (!cJSON_IsObject(*ret_member))
        return error_set(err, EBADMSG, "camera.frigate-answer",
                         "what answers in Frigate's place is not Frigate: it tells no %s", member);
    return 0;
}

static int add(CameraList *l, const cJSON *camera, const CameraList *before)
{
    const Camera *was = find(before, camera->string);

    if (!camera_name_is_valid(camera->string) || l->n == CAMERAS_MAX) {
        log_debug("a camera of Frigate is left out");
        return 0;
    }
    Camera *new = &l->cameras[l->n];
    *new = (Camera) { .name = strdup(camera->string),
                      .off = !json_bool(camera, "enabled", true),
                      .offline = was && was->offline };
    if (!new->name)
        return -ENOMEM;
    l->n++;
    return 0;
}

static bool same(const CameraList *a, const CameraList *b)
{
    bool is = a->n == b->n;

    for (size_t i = 0; is && i < a->n; i++)
        is = str_equal(a->cameras[i].name, b->cameras[i].name) && a->cameras[i].off == b->cameras[i].off;
    return is;
}

int camera_list_take_config(CameraList *l, const char *text, size_t len, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *config = NULL;
    _cleanup_(camera_list_done) CameraList new = {};
    const cJSON *cameras, *camera;
    int r = parse(text, len, "cameras", &config, &cameras, err);

    if (r < 0)
        return r;
    cJSON_ArrayForEach(camera, cameras)
        if (add(&new, camera, l) < 0)
            return error_from_errno(err, -ENOMEM, "no memory for the cameras");
    new.uptime = l->uptime;
    new.restarts = l->restarts;
    bool is_news = !same(l, &new);
    CameraList old = *l;
    *l = new;
    new = old;
    return is_news;
}

static uint64_t number(const cJSON *o, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);

    return cJSON_IsNumber(item) && item->valuedouble > 0 && item->valuedouble < 1e15 ? (uint64_t) item->valuedouble : 0;
}

/* A camera gives no pictures when Frigate says that none come. One that it says nothing of, it does not watch. */
static bool is_offline(const cJSON *camera)
{
    const cJSON *fps = cJSON_GetObjectItemCaseSensitive(camera, "camera_fps");

    return cJSON_IsNumber(fps) && fps->valuedouble <= 0;
}

int camera_list_take_stats(CameraList *l, const char *text, size_t len, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *stats = NULL;
    const cJSON *cameras;
    int r = parse(text, len, "cameras", &stats, &cameras, err);

    if (r < 0)
        return r;
    uint64_t uptime = number(cJSON_GetObjectItemCaseSensitive(stats, "service"), "uptime");
    for (size_t i = 0; i < l->n; i++) {
        Camera *c = &l->cameras[i];
        bool offline = !c->off && is_offline(cJSON_GetObjectItemCaseSensitive(cameras, c->name));
        r |= offline != c->offline;
        c->offline = offline;
    }
    if (uptime < l->uptime) {
        l->restarts++;
        r = 1;
    }
    l->uptime = uptime;
    return r;
}

bool camera_list_set_offline(CameraList *l, const char *name)
{
    Camera *c = find(l, name);
    bool is_news = c && !c->offline;

    if (c)
        c->offline = true;
    return is_news;
}

bool camera_list_is_offline(const CameraList *l, const char *name)
{
    const Camera *c = find(l, name);

    return c && c->offline;
}

int camera_list_check(const CameraList *l, const char *name, Error *err)
{
    const Camera *c = name ? find(l, name) : NULL;

    if (!c)
        return error_set(err, ENOENT, "camera.unknown", "this box has no camera %s",
                         camera_name_is_valid(name) ? name : "of that name");
    return c->off
               ? error_set(err, ENODEV, "camera.off", "the camera %s is switched off in Frigate's configuration", name)
               : 0;
}

cJSON *camera_list_describe(const CameraList *l)
{
    _cleanup_(cJSON_Deletep) cJSON *list = cJSON_CreateArray();

    for (size_t i = 0; list && i < l->n; i++) {
        const Camera *c = &l->cameras[i];
        cJSON *o = cJSON_CreateObject();
        if (!o || json_add_string(o, "name", c->name) < 0 ||
            json_add_string(o, "state",
                            c->off       ? "off"
                            : c->offline ? "offline"
                                         : "online") < 0) {
            cJSON_Delete(o);
            return NULL;
        }
        if (json_append(list, o) < 0)
            return NULL;
    }
    return TAKE_PTR(list);
}

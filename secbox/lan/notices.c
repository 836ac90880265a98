/* SPDX-License-Identifier: MIT */
#include "secbox/lan/notices.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

static void notice_done(Notice *n)
{
    cJSON_Delete(n->what);
    picture_unref(n->picture);
    *n = (Notice) {};
}

void notices_done(Notices *n)
{
    for (size_t i = 0; i < n->n; i++)
        notice_done(&n->list[i]);
    n->n = 0;
}

static size_t index_of(const Notices *n, const Sighting *s)
{
    size_t i = 0;

    while (i < n->n && (n->list[i].of.kind != s->kind || !str_equal(n->list[i].of.id, s->id)))
        i++;
    return i;
}

static bool is_shown(const Notice *n, usec_t now)
{
    return now - n->at <= NOTICE_KEPT;
}

void notices_put(Notices *n, const Sighting *s, cJSON *what, usec_t now)
{
    size_t i = index_of(n, s);

    if (i < n->n && !is_shown(&n->list[i], now)) {
        (void) notices_drop(n, s);
        i = n->n;
    }
    if (i < n->n) {
        cJSON_Delete(n->list[i].what);
        n->list[i].what = what;
        n->list[i].of = *s;
        return;
    }
    if (n->n == NOTICES_MAX)
        notice_done(&n->list[--n->n]);
    memmove(&n->list[1], &n->list[0], n->n * sizeof(n->list[0]));
    n->list[0] = (Notice) { .of = *s, .what = what, .at = now };
    n->n++;
}

const Notice *notices_find(const Notices *n, const Sighting *s, usec_t now)
{
    size_t i = index_of(n, s);

    return i < n->n && is_shown(&n->list[i], now) ? &n->list[i] : NULL;
}

bool notices_drop(Notices *n, const Sighting *s)
{
    size_t i = index_of(n, s);

    if (i == n->n)
        return false;
    notice_done(&n->list[i]);
    memmove(&n->list[i], &n->list[i + 1], (--n->n - i) * sizeof(n->list[0]));
    return true;
}

bool notices_set_picture(Notices *n, const char *id, const void *data, size_t len)
{
    Picture *p = picture_new(data, len);
    bool taken = false;

    for (size_t i = 0; p && i < n->n; i++)
        if (str_equal(n->list[i].of.id, id)) {
            picture_unref(n->list[i].picture);
            n->list[i].picture = picture_ref(p);
            taken = true;
        }
    picture_unref(p);
    return taken;
}

const Picture *notices_picture(const Notices *n, const char *id)
{
    for (size_t i = 0; i < n->n; i++)
        if (n->list[i].picture && str_equal(n->list[i].of.id, id))
            return n->list[i].picture;
    return NULL;
}

static int describe_sighting(cJSON *o, const Sighting *s)
{
    char time[TIMESTAMP_SIZE];
    int r = json_add_string(o, "id", s->id);

    if (r >= 0)
        r = json_add_string(o, "kind", sighting_kind_name(s->kind));
    if (r >= 0)
        r = json_add_string(o, "camera", s->camera);
    if (r >= 0)
        r = json_add_string(o, "read", s->text);
    if (r >= 0)
        r = json_add_string(o, "at", timestamp_format(s->at, time));
    if (r >= 0)
        r = json_add_bool(o, "sure", s->sure);
    if (r >= 0 && s->score != READING_NO_SCORE)
        r = cJSON_AddNumberToObject(o, "score", s->score) ? 0 : -ENOMEM;
    return r;
}

cJSON *notices_describe(const Notices *n, usec_t now)
{
    _cleanup_(cJSON_Deletep) cJSON *list = cJSON_CreateArray();

    for (size_t i = 0; i < n->n && list; i++) {
        const Notice *notice = &n->list[i];
        if (!is_shown(notice, now))
            break;
        cJSON *o = cJSON_Duplicate(notice->what, true);
        if (!o || describe_sighting(o, &notice->of) < 0 || json_add_bool(o, "picture", notice->picture != NULL) < 0) {
            cJSON_Delete(o);
            return NULL;
        }
        if (json_append(list, o) < 0)
            return NULL;
    }
    return TAKE_PTR(list);
}

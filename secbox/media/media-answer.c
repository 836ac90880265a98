/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/media/media-impl.h"

static const char *const always[] = {
    "Cache-Control: no-store",
    "X-Content-Type-Options: nosniff",
    "Referrer-Policy: no-referrer", /* of the address that had the token */
    "Content-Security-Policy: default-src 'none'",
    "Vary: Origin",
    NULL,
};

static const struct {
    const char *id;
    int status;
} statuses[] = {
    { "media.no-token", 401 }, { "media.window", 403 },   { "media.no-key", 503 },  { "media.busy", 429 },
    { "media.none", 404 },     { "media.range", 416 },    { "media.request", 400 }, { "media.playlist", 502 },
    { "camera.unknown", 404 }, { "camera.no-file", 404 }, { "camera.none", 404 },   { "camera.frigate", 503 },
    { "media.frigate", 502 },
};

static bool is_portal(const Media *m, const HttpExchange *x)
{
    return m->origin && str_equal(http_header(x, "Origin"), m->origin);
}

static int add_all(char ***list, const char *const *lines)
{
    int r = 0;

    for (; r >= 0 && lines && *lines; lines++)
        r = strv_add(list, *lines);
    return r;
}

char **media_headers(const Media *m, const HttpExchange *x, const char *const *more)
{
    /* a page of the portal may read it; <video> of any page may show it, if the browser has a cookie or the address a token */
    static const char *const shared[] = { "Access-Control-Allow-Credentials: true",
                                          "Access-Control-Expose-Headers: Content-Range, Content-Length",
                                          "Cross-Origin-Resource-Policy: cross-origin", NULL };
    static const char *const own[] = { "Cross-Origin-Resource-Policy: cross-origin", NULL };
    _cleanup_(strv_freep) char **list = NULL;
    int r = add_all(&list, always);

    if (r >= 0 && is_portal(m, x))
        r = strv_addf(&list, "Access-Control-Allow-Origin: %s", m->origin);
    if (r >= 0)
        r = add_all(&list, is_portal(m, x) ? shared : own);
    if (r >= 0)
        r = add_all(&list, more);
    return r < 0 ? NULL : TAKE_PTR(list);
}

void media_answer(const Media *m, HttpExchange *x, int status, const char *type, const char *text, size_t len,
                  const char *const *more)
{
    _cleanup_(strv_freep) char **headers = media_headers(m, x, more);

    if (headers)
        http_respond(x, status, type, text, len, (const char *const *) headers);
    else
        http_respond(x, 500, NULL, NULL, 0, always);
}

static int status_of(int r, const Error *err)
{
    const char *id = error_id(err);

    for (size_t i = 0; i < ELEMENTSOF(statuses); i++)
        if (str_equal(statuses[i].id, id))
            return statuses[i].status;
    if (id && (str_starts(id, "jwt.") || str_starts(id, "media.token")))
        return 403;
    return r == -ENOMEM ? 500 : 502;
}

void media_refuse(const Media *m, HttpExchange *x, int r, const Error *err)
{
    static const char *const later[] = { "Retry-After: 30", NULL };
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(freep) char *text = NULL;
    int status = status_of(r, err);

    if (o && json_add_item(o, "error", json_from_error(err, r)) >= 0)
        text = json_print(o);
    media_answer(m, x, status, "application/json", text ? text : "", text ? strlen(text) : 0,
                 status == 429 || status == 503 ? later : NULL);
}

void media_answer_preflight(const Media *m, HttpExchange *x)
{
    static const char *const allowed[] = { "Access-Control-Allow-Methods: GET, HEAD",
                                           "Access-Control-Allow-Headers: Range", "Access-Control-Max-Age: 600",
                                           /* from a page on the Internet to a box on the viewer's own network */
                                           "Access-Control-Allow-Private-Network: true", NULL };

    media_answer(m, x, is_portal(m, x) ? 204 : 403, NULL, NULL, 0, is_portal(m, x) ? allowed : NULL);
}

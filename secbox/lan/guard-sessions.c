/* SPDX-License-Identifier: MIT */
#include "secbox/lan/guard-sessions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"

#define TOKEN_BYTES 32
#define FILE_MAX ((size_t) 64 * 1024)
#define BROWSERS_MAX 256

struct GuardSessions {
    char *path;
    Map *by_hash;  /* in the order in which they began */
    Map *browsers; /* "GUARD BROWSER" of those that have logged in; the values mean nothing */
};

static void session_free(void *session)
{
    GuardSession *s = session;

    if (!s)
        return;
    free(s->guard);
    free(s->name);
    free(s);
}

static GuardSession *session_new(const char *guard, const char *name, usec_t since, usec_t until)
{
    GuardSession *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    *s = (GuardSession) { strdup(guard), strdup(name), since, until };
    if (s->guard && s->name)
        return s;
    session_free(s);
    return NULL;
}

static int take_saved(GuardSessions *s, const cJSON *item)
{
    const char *hash = json_string(item, "hash"), *guard = json_string(item, "guard"),
               *name = json_string(item, "name");
    uint64_t since, until;

    if (!hash || strlen(hash) != SHA256_HEX_SIZE - 1 || !guard || !name || json_u64(item, "since", &since) < 0 ||
        json_u64(item, "until", &until) < 0)
        return 0;
    GuardSession *session = session_new(guard, name, since, until);
    if (session && map_put(s->by_hash, hash, session) >= 0)
        return 0;
    session_free(session);
    return -ENOMEM;
}

static char *browser_key(const char *guard, const char *browser)
{
    return str_format("%s %s", guard, browser);
}

static int remember(GuardSessions *s, const char *key)
{
    const char *first;
    void *value;
    size_t cursor = 0;

    if (map_get(s->browsers, key))
        return 0;
    if (map_size(s->browsers) >= BROWSERS_MAX && map_next(s->browsers, &cursor, &first, &value))
        map_remove(s->browsers, first);
    return map_put(s->browsers, key, s);
}

static int take_browsers(GuardSessions *s, const cJSON *list)
{
    const cJSON *item;
    int r = 0;

    cJSON_ArrayForEach(item, list) {
        if (cJSON_IsString(item) && r >= 0)
            r = remember(s, item->valuestring);
    }
    return r;
}

int guard_sessions_load(const char *path, GuardSessions **ret)
{
    _cleanup_(guard_sessions_freep) GuardSessions *s = calloc(1, sizeof(*s));
    _cleanup_(cJSON_Deletep) cJSON *saved = NULL;
    _cleanup_(freep) char *text = NULL;
    const cJSON *item;
    size_t len;

    if (!s || !(s->path = strdup(path)) || !(s->by_hash = map_new(session_free)) || !(s->browsers = map_new(NULL)))
        return -ENOMEM;
    bool read = file_read(path, FILE_MAX, &text, &len, NULL) >= 0 && json_parse_object(text, len, &saved, NULL) >= 0;
    if (read && take_browsers(s, cJSON_GetObjectItemCaseSensitive(saved, "browsers")) < 0)
        return -ENOMEM;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(saved, "sessions")) {
        if (take_saved(s, item) < 0)
            return -ENOMEM;
    }
    *ret = TAKE_PTR(s);
    return 0;
}

GuardSessions *guard_sessions_free(GuardSessions *s)
{
    if (!s)
        return NULL;
    map_free(s->by_hash);
    map_free(s->browsers);
    free(s->path);
    free(s);
    return NULL;
}

static cJSON *session_to_json(const char *hash, const GuardSession *s)
{
    _cleanup_(cJSON_Deletep) cJSON *item = cJSON_CreateObject();

    if (!item || json_add_string(item, "hash", hash) < 0 || json_add_string(item, "guard", s->guard) < 0 ||
        json_add_string(item, "name", s->name) < 0 || json_add_u64(item, "since", s->since) < 0 ||
        json_add_u64(item, "until", s->until) < 0)
        return NULL;
    return TAKE_PTR(item);
}

static int save(const GuardSessions *s, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *file = cJSON_CreateObject();
    _cleanup_(freep) char *text = NULL;
    cJSON *list = file ? cJSON_AddArrayToObject(file, "sessions") : NULL;
    const char *hash;
    void *session;

    for (size_t i = 0; list && map_next(s->by_hash, &i, &hash, &session);)
        if (json_append(list, session_to_json(hash, session)) < 0)
            list = NULL;
    cJSON *browsers = list ? cJSON_AddArrayToObject(file, "browsers") : NULL;
    for (size_t i = 0; browsers && map_next(s->browsers, &i, &hash, &session);)
        if (json_append(browsers, cJSON_CreateString(hash)) < 0)
            browsers = NULL;
    text = browsers ? json_print(file) : NULL;
    if (!text)
        return error_from_errno(err, -ENOMEM, "cannot save who is logged in");
    return file_write_atomic(s->path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err);
}

static void end_oldest(GuardSessions *s)
{
    const char *hash;
    void *session;
    size_t cursor = 0;

    if (map_size(s->by_hash) >= GUARD_SESSIONS_MAX && map_next(s->by_hash, &cursor, &hash, &session))
        map_remove(s->by_hash, hash);
}

int guard_session_begin(GuardSessions *s, const char *guard, const char *name, const char *browser, usec_t now,
                        char ret_token[static GUARD_TOKEN_SIZE], Error *err)
{
    char hash[SHA256_HEX_SIZE];
    uint8_t bytes[TOKEN_BYTES];

    random_bytes(bytes, sizeof(bytes));
    _cleanup_(freep) char *token = base64url_encode(bytes, sizeof(bytes));
    GuardSession *session = session_new(guard, name, now, now + GUARD_SESSION_LIFE);
    if (!token || !session || sha256_hex(token, strlen(token), hash) < 0) {
        session_free(session);
        return error_from_errno(err, -ENOMEM, "cannot log in");
    }
    _cleanup_(freep) char *key = browser_key(guard, browser);
    end_oldest(s);
    if (!key || remember(s, key) < 0 || map_put(s->by_hash, hash, session) < 0) {
        session_free(session);
        return error_from_errno(err, -ENOMEM, "cannot log in");
    }
    memcpy(ret_token, token, strlen(token) + 1);
    return save(s, err);
}

const GuardSession *guard_session_find(GuardSessions *s, const char *token, usec_t now)
{
    char hash[SHA256_HEX_SIZE];

    if (!token || sha256_hex(token, strlen(token), hash) < 0)
        return NULL;
    const GuardSession *session = map_get(s->by_hash, hash);
    return session && now < session->until ? session : NULL;
}

int guard_session_end(GuardSessions *s, const char *token, Error *err)
{
    char hash[SHA256_HEX_SIZE];

    if (sha256_hex(token, strlen(token), hash) < 0)
        return error_from_errno(err, -ENOMEM, "cannot log out");
    if (!map_get(s->by_hash, hash))
        return 0;
    map_remove(s->by_hash, hash);
    return save(s, err);
}

int guard_sessions_keep(GuardSessions *s, bool (*stays)(const char *guard, void *userdata), void *userdata, Error *err)
{
    size_t before = map_size(s->by_hash);
    const char *hash;
    void *session;

    for (size_t i = 0; map_next(s->by_hash, &i, &hash, &session);)
        if (!stays(((GuardSession *) session)->guard, userdata))
            map_remove(s->by_hash, hash);
    return map_size(s->by_hash) == before ? 0 : save(s, err);
}

size_t guard_sessions_count(const GuardSessions *s)
{
    return map_size(s->by_hash);
}

bool guard_sessions_know(const GuardSessions *s, const char *guard, const char *browser)
{
    _cleanup_(freep) char *key = browser_key(guard, browser);

    return key && map_get(s->browsers, key);
}

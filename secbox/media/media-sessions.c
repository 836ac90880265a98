/* SPDX-License-Identifier: MIT */
#include "secbox/media/media-sessions.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/digest.h"

/* Whoever asks for nothing for so long gives way to others. */
#define IDLE (2 * USEC_PER_MINUTE)

static void session_done(MediaSession *s)
{
    free(s->camera);
    free(s->person);
    free(s->event);
    *s = (MediaSession) {};
}

void media_sessions_done(MediaSessions *s)
{
    for (unsigned i = 0; i < MEDIA_SESSIONS_MAX; i++)
        session_done(&s->all[i]);
    free(s->revoked);
    s->revoked = NULL;
}

bool media_session_covers(const MediaSession *s, const MediaPath *path)
{
    if (s->event || path->event[0])
        return str_equal(s->event, path->event);
    return str_equal(s->camera, path->camera) && path->from >= s->from && path->until <= s->until;
}

static MediaSession *find_cookie(MediaSessions *s, const char *value, size_t len, usec_t now)
{
    _cleanup_(freep) char *text = len == JWT_ID_SIZE - 1 ? strndup(value, len) : NULL;

    for (unsigned i = 0; text && i < MEDIA_SESSIONS_MAX; i++)
        if (secret_equal(s->all[i].cookie, text) && now < s->all[i].ends)
            return &s->all[i];
    return NULL;
}

MediaSession *media_session_find(MediaSessions *s, const char *cookies, const MediaPath *path, usec_t now)
{
    static const char name[] = MEDIA_COOKIE "=";

    while (cookies && *cookies) {
        cookies += strspn(cookies, "; ");
        size_t len = strcspn(cookies, ";");
        MediaSession *found = strncmp(cookies, name, strlen(name)) == 0
                                  ? find_cookie(s, cookies + strlen(name), len - strlen(name), now)
                                  : NULL;
        if (found && media_session_covers(found, path)) {
            found->used = now;
            return found;
        }
        cookies += len;
    }
    return NULL;
}

static bool may_go(const MediaSession *s, usec_t now)
{
    return s->streams == 0 && (now >= s->ends || now >= s->used + IDLE);
}

/* A place that is free, or whose owner has been away for the longest time. */
static MediaSession *find_place(MediaSessions *s, usec_t now)
{
    MediaSession *best = NULL;

    for (unsigned i = 0; i < MEDIA_SESSIONS_MAX; i++) {
        MediaSession *one = &s->all[i];
        if (!one->cookie[0])
            return one;
        if (may_go(one, now) && (!best || one->used < best->used))
            best = one;
    }
    return best;
}

static bool is_revoked(const MediaSessions *s, const char *token)
{
    for (unsigned i = 0; s->revoked && i < MEDIA_REVOKED_MAX; i++)
        if (str_equal(s->revoked[i], token))
            return true;
    return false;
}

int media_sessions_revoke(MediaSessions *s, const char *token, MediaSession **ret)
{
    *ret = NULL;
    for (unsigned i = 0; i < MEDIA_SESSIONS_MAX; i++)
        if (s->all[i].cookie[0] && str_equal(s->all[i].token, token))
            *ret = &s->all[i];
    if (is_revoked(s, token))
        return 0;
    if (!s->revoked && !(s->revoked = calloc(MEDIA_REVOKED_MAX, sizeof(*s->revoked))))
        return -ENOMEM;
    memcpy(s->revoked[s->next_revoked], token, JWT_ID_SIZE);
    s->next_revoked = (s->next_revoked + 1) % MEDIA_REVOKED_MAX;
    return 0;
}

void media_session_end(MediaSession *s)
{
    session_done(s);
}

int media_session_begin(MediaSessions *s, const MediaToken *t, usec_t now, MediaSession **ret, bool *ret_new,
                        Error *err)
{
    if (is_revoked(s, t->id))
        return error_set(err, EACCES, "media.token-revoked", "the token was taken back; ask for another one");
    for (unsigned i = 0; i < MEDIA_SESSIONS_MAX; i++)
        if (str_equal(s->all[i].token, t->id) && now < s->all[i].ends) {
            s->all[i].used = now;
            *ret = &s->all[i];
            *ret_new = false;
            return 0;
        }
    MediaSession *one = find_place(s, now), made = { .from = t->from, .until = t->until, .used = now };
    if (!one)
        return error_set(err, EAGAIN, "media.busy", "as many people as a box takes see its recordings already");
    made.ends = now + media_token_session_seconds(t) * USEC_PER_SEC;
    memcpy(made.token, t->id, sizeof(made.token));
    made.camera = strdup(t->camera);
    made.person = strdup(t->person);
    made.event = t->event ? strdup(t->event) : NULL;
    if (!made.camera || !made.person || (t->event && !made.event) || jwt_id_make(made.cookie) < 0) {
        session_done(&made);
        return error_from_errno(err, -ENOMEM, "cannot begin to show a recording");
    }
    session_done(one);
    *one = made;
    *ret = one;
    *ret_new = true;
    return 0;
}

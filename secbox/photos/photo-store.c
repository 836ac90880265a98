/* SPDX-License-Identifier: MIT */
/* A file is called COMMUNITY-DIGEST.waiting, or .sent; when it came is its modification time, which a renaming keeps. */
#include "secbox/photos/photo-store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"

#define WAITING ".waiting"
#define SENT ".sent"
#define NAME_MAX_SIZE 128

struct PhotoStore {
    char *dir;
    size_t size_max, size, n;
    Photo *photos; /* oldest first */
};

bool photo_digest_is_valid(const char *text)
{
    return text && strlen(text) == SHA256_HEX_SIZE - 1 && strspn(text, "0123456789abcdef") == SHA256_HEX_SIZE - 1;
}

static char *path_of(const PhotoStore *s, const Photo *p, bool sent)
{
    char name[NAME_MAX_SIZE];

    snprintf(name, sizeof(name), "%s-%s%s", p->community, p->digest, sent ? SENT : WAITING);
    return path_join(s->dir, name);
}

static int parse_name(const char *name, Photo *ret)
{
    const size_t id = UUID_SIZE - 1, digest = SHA256_HEX_SIZE - 1;

    *ret = (Photo) {};
    if (strlen(name) < id + 1 + digest || name[id] != '-')
        return -EINVAL;
    memcpy(ret->community, name, id);
    memcpy(ret->digest, name + id + 1, digest);
    ret->sent = str_equal(name + id + 1 + digest, SENT);
    return uuid_is_valid(ret->community) && photo_digest_is_valid(ret->digest) &&
                   (ret->sent || str_equal(name + id + 1 + digest, WAITING))
               ? 0
               : -EINVAL;
}

static int by_time(const void *a, const void *b)
{
    const Photo *x = a, *y = b;

    return x->at < y->at ? -1 : x->at > y->at;
}

/* Keeps the order. */
static void forget(PhotoStore *s, Photo *p)
{
    size_t at = (size_t) (p - s->photos);

    s->size -= p->size;
    s->n--;
    memmove(p, p + 1, (s->n - at) * sizeof(*p));
}

static void remove_at(const char *path)
{
    _cleanup_(error_done) Error err = {};
    int r = path ? file_remove(path, &err) : -ENOMEM;

    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "a photo stays on disk");
}

static void take_file(PhotoStore *s, const char *name)
{
    _cleanup_(freep) char *path = path_join(s->dir, name);
    struct stat st;
    Photo p;

    if (!path || lstat(path, &st) < 0)
        return;
    if (!S_ISREG(st.st_mode) || parse_name(name, &p) < 0 || (size_t) st.st_size > PHOTO_SIZE_MAX ||
        s->n == PHOTOS_MAX) {
        remove_at(path); /* also what was being written when the power went */
        return;
    }
    p.size = (size_t) st.st_size;
    p.at = (usec_t) st.st_mtim.tv_sec * USEC_PER_SEC;
    s->photos[s->n++] = p;
    s->size += p.size;
}

static void take_folder(PhotoStore *s)
{
    DIR *d = opendir(s->dir);

    if (!d && errno != ENOENT)
        log_warning("photos that are in %s stay there, and unsent: it cannot be read: %s", s->dir, strerror(errno));
    if (!d)
        return;
    for (const struct dirent *e = readdir(d); e; e = readdir(d))
        if (!str_equal(e->d_name, ".") && !str_equal(e->d_name, ".."))
            take_file(s, e->d_name);
    closedir(d);
    qsort(s->photos, s->n, sizeof(Photo), by_time);
}

int photo_store_open(const char *dir, size_t size_max, PhotoStore **ret, Error *err)
{
    _cleanup_(photo_store_freep) PhotoStore *s = calloc(1, sizeof(*s));

    if (!s || !(s->dir = strdup(dir)) || !(s->photos = calloc(PHOTOS_MAX, sizeof(Photo))))
        return error_from_errno(err, -ENOMEM, "cannot keep photos");
    s->size_max = size_max;
    take_folder(s);
    *ret = TAKE_PTR(s);
    return 0;
}

PhotoStore *photo_store_free(PhotoStore *s)
{
    if (!s)
        return NULL;
    free(s->photos);
    free(s->dir);
    free(s);
    return NULL;
}

Photo *photo_store_find(PhotoStore *s, const char *community, const char *digest)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_equal(s->photos[i].digest, digest) && str_equal(s->photos[i].community, community))
            return &s->photos[i];
    return NULL;
}

void photo_store_drop(PhotoStore *s, Photo *p)
{
    if (!p)
        return;
    _cleanup_(freep) char *path = path_of(s, p, p->sent);

    remove_at(path);
    forget(s, p);
}

/* What the gateway has, else what it will not get unless the box belongs to that community again. */
static Photo *least_needed(PhotoStore *s, const char *community)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->photos[i].sent)
            return &s->photos[i];
    for (size_t i = 0; i < s->n; i++)
        if (!str_equal(s->photos[i].community, community))
            return &s->photos[i];
    return NULL;
}

static int make_room(PhotoStore *s, const char *community, size_t len, Error *err)
{
    while (s->size + len > s->size_max || s->n == PHOTOS_MAX) {
        Photo *p = least_needed(s, community);
        if (!p)
            return error_set(err, ENOSPC, "photo.no-room",
                             "%zu photos wait for the cloud here, and there is no room for more; the tablet keeps this "
                             "one and sends it later",
                             s->n);
        photo_store_drop(s, p);
    }
    return 0;
}

static int check(const uint8_t *data, size_t len, Error *err)
{
    if (len < 4 || data[0] != 0xff || data[1] != 0xd8 || data[2] != 0xff)
        return error_set(err, EINVAL, "photo.not-jpeg", "a photo must be a JPEG");
    if (len > PHOTO_SIZE_MAX)
        return error_set(err, EMSGSIZE, "photo.too-large", "a photo has at most %zu bytes; this one has %zu",
                         PHOTO_SIZE_MAX, len);
    return 0;
}

int photo_store_put(PhotoStore *s, const char *community, const void *data, size_t len, usec_t now,
                    char ret_digest[static SHA256_HEX_SIZE], Error *err)
{
    Photo p = { .size = len, .at = now };
    int r = check(data, len, err);

    if (r >= 0 && !uuid_is_valid(community))
        r = error_set(err, EAGAIN, "lan.no-data", "the box does not know yet which community it belongs to");
    if (r >= 0 && sha256_hex(data, len, p.digest) < 0)
        r = error_from_errno(err, -ENOMEM, "cannot keep a photo");
    if (r < 0)
        return r;
    memcpy(ret_digest, p.digest, sizeof(p.digest));
    memcpy(p.community, community, sizeof(p.community));
    if (photo_store_find(s, community, p.digest))
        return 0;
    r = make_room(s, community, len, err);
    if (r >= 0)
        r = dir_make(s->dir, 0700, (uid_t) -1, (gid_t) -1, err);
    if (r < 0)
        return r;
    _cleanup_(freep) char *path = path_of(s, &p, false);
    r = path ? file_write_atomic(path, data, len, 0600, (uid_t) -1, (gid_t) -1, err) : -ENOMEM;
    if (r < 0)
        return r;
    s->photos[s->n++] = p;
    s->size += len;
    return 0;
}

int photo_store_read(PhotoStore *s, const char *community, const char *digest, char **ret, size_t *ret_len, Error *err)
{
    Photo *p = photo_store_find(s, community, digest);
    _cleanup_(freep) char *path = p ? path_of(s, p, p->sent) : NULL, *data = NULL;
    char is[SHA256_HEX_SIZE];
    size_t len = 0;

    if (!p)
        return error_set(err, ENOENT, "photo.unknown", "this photo is not here, or not any more");
    int r = path ? file_read(path, PHOTO_SIZE_MAX, &data, &len, err) : -ENOMEM;
    if (r >= 0)
        r = sha256_hex(data, len, is);
    if (r < 0 && r != -ENOENT && r != -EFBIG)
        return r;
    if (r < 0 || !str_equal(is, digest)) {
        log_warning("a photo is damaged, and removed");
        photo_store_drop(s, p);
        error_done(err);
        return error_set(err, ENOENT, "photo.unknown", "this photo was damaged");
    }
    *ret = TAKE_PTR(data);
    *ret_len = len;
    return 0;
}

Photo *photo_store_next(PhotoStore *s, const char *community, usec_t boot)
{
    for (size_t i = 0; i < s->n; i++)
        if (!s->photos[i].sent && s->photos[i].not_before <= boot && str_equal(s->photos[i].community, community))
            return &s->photos[i];
    return NULL;
}

/* Where the renaming fails it is offered once more after a restart, and the gateway has it. */
void photo_store_set_sent(PhotoStore *s, Photo *p)
{
    if (!p || p->sent)
        return;
    _cleanup_(freep) char *from = path_of(s, p, false), *to = path_of(s, p, true);

    p->sent = true;
    if (!from || !to || rename(from, to) < 0)
        log_warning("that a photo was sent is not noted: %s", strerror(from && to ? errno : ENOMEM));
}

void photo_store_expire(PhotoStore *s, const char *community, usec_t now)
{
    for (size_t i = s->n; i-- > 0;) {
        Photo *p = &s->photos[i];
        bool ends = p->sent || (community && !str_equal(p->community, community));
        if (ends && p->at + PHOTO_KEPT < now)
            photo_store_drop(s, p);
    }
}

size_t photo_store_waiting(const PhotoStore *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++)
        n += !s->photos[i].sent;
    return n;
}

bool photo_store_has_room_to_spare(const PhotoStore *s)
{
    size_t n = 0, size = 0;

    for (size_t i = 0; i < s->n; i++)
        if (!s->photos[i].sent) {
            n++;
            size += s->photos[i].size;
        }
    return n < PHOTOS_MAX / 2 && size < s->size_max / 2;
}

size_t photo_store_count(const PhotoStore *s)
{
    return s->n;
}

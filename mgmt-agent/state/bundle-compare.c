/* SPDX-License-Identifier: MIT */
/* What a push brings that is not as it was. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/seal.h"
#include "mgmt-agent/state/bundle-store-impl.h"

typedef struct Listing {
    Map *files;  /* path in the bundle → what the file is, owned */
    size_t skip; /* of the paths that are walked */
} Listing;

static int list_file(const char *path, const char *below, const struct stat *st, void *userdata, Error *err)
{
    Listing *l = userdata;
    _cleanup_(secret_freep) char *content = NULL;
    char hex[SHA256_HEX_SIZE];
    size_t len = 0;

    (void) below;
    if (!S_ISREG(st->st_mode))
        return 0;
    int r = file_read(path, BUNDLE_CONTENT_MAX, &content, &len, err);
    /* the same secret is sealed in another way each time; the plan's steps tell whether it is another one */
    if (r == 0)
        r = seal_is_sealed(content, len) ? sha256_hex("", 0, hex) : sha256_hex(content, len, hex);
    if (r < 0)
        return r;
    char *what = str_format("%c %s", st->st_mode & S_IXUSR ? 'x' : '-', hex);
    r = what ? map_put(l->files, path + l->skip, what) : -ENOMEM;
    if (r < 0)
        free(what);
    return r;
}

/* In the order of the names; of no bundle, none. */
static int list_files(const KeptBundle *b, Map **ret, Error *err)
{
    Listing l = { .files = map_new(free), .skip = b ? strlen(b->tree) + 1 : 0 };
    int r = !l.files ? -ENOMEM : b ? bundle_store_walk(b->tree, "", list_file, &l, err) : 0;

    *ret = l.files;
    return r;
}

/* What is found, as much of it as shall be told. */
typedef struct Differences {
    cJSON *list;
    size_t max, more;
} Differences;

static int add(Differences *d, const char *path, const char *change)
{
    if ((size_t) cJSON_GetArraySize(d->list) >= d->max) {
        d->more++;
        return 0;
    }
    cJSON *entry = cJSON_CreateObject();

    if (!entry || json_add_string(entry, "path", path) < 0 || json_add_string(entry, "change", change) < 0) {
        cJSON_Delete(entry);
        return -ENOMEM;
    }
    return json_append(d->list, entry);
}

static int compare(const Map *before, const Map *after, Differences *d)
{
    const char *path;
    void *what;
    int r = 0;

    for (size_t i = 0; r == 0 && map_next(after, &i, &path, &what);) {
        const char *was = map_get(before, path);

        if (!str_equal(was, what))
            r = add(d, path, was ? "changed" : "added");
    }
    for (size_t i = 0; r == 0 && map_next(before, &i, &path, &what);)
        if (!map_get(after, path))
            r = add(d, path, "removed");
    return r;
}

int kept_bundle_compare(const KeptBundle *before, const KeptBundle *after, size_t max, cJSON **ret, size_t *ret_more,
                        Error *err)
{
    _cleanup_(map_freep) Map *was = NULL, *is = NULL;
    _cleanup_(cJSON_Deletep) cJSON *list = cJSON_CreateArray();
    Differences d = { .list = list, .max = max };
    int r = list ? list_files(before, &was, err) : -ENOMEM;

    if (r == 0)
        r = list_files(after, &is, err);
    if (r == 0)
        r = compare(was, is, &d);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(list);
    *ret_more = d.more;
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

#include "lib/base/strv.h"
#include "lib/data/bundle.h"

static int find(struct archive *a, const char *name, size_t max, char *text, size_t *ret_len)
{
    struct archive_entry *e;

    while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
        if (!str_equal(archive_entry_pathname(e), name))
            continue;
        la_ssize_t n = archive_read_data(a, text, max);
        if (n < 0)
            return -EBADMSG;
        *ret_len = (size_t) n;
        return 0;
    }
    return -ENOENT;
}

int bundle_peek(const char *data, size_t len, const char *name, size_t max, char **ret, size_t *ret_len)
{
    _cleanup_(freep) char *text = malloc(max);
    struct archive *a = archive_read_new();
    int r = text && a ? 0 : -ENOMEM;

    if (r >= 0 &&
        (archive_read_support_filter_gzip(a) != ARCHIVE_OK || archive_read_support_format_tar(a) != ARCHIVE_OK ||
         archive_read_open_memory(a, data, len) != ARCHIVE_OK))
        r = -EBADMSG;
    if (r >= 0)
        r = find(a, name, max, text, ret_len);
    archive_read_free(a);
    if (r >= 0)
        *ret = TAKE_PTR(text);
    return r;
}

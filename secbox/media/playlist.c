/* SPDX-License-Identifier: MIT */
#include "secbox/media/playlist.h"

#include <errno.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "secbox/cameras/frigate.h"

#define FIRST_LINE "#EXTM3U"
#define TAG "#EXT"
#define ATTRIBUTE "URI=\""

static int refuse(Error *err, const char *what)
{
    return error_set(err, EBADMSG, "media.playlist", "Frigate's playlist %s", what);
}

/* The last part of a URL's path. */
static int put_file(const char *url, size_t len, Buf *out, Error *err)
{
    _cleanup_(freep) char *text = strndup(url, len);

    if (!text)
        return -ENOMEM;
    text[strcspn(text, "?#")] = '\0';
    const char *slash = strrchr(text, '/'), *file = slash ? slash + 1 : text;
    return recording_file_is_valid(file) ? buf_puts(out, file) : refuse(err, "names what is no file of a recording");
}

/* A tag, in which each attribute URI is a URL. */
static int put_tag(const char *line, size_t len, Buf *out, Error *err)
{
    const char *end = line + len, *at;
    int r = 0;

    while (r >= 0 && (at = memmem(line, (size_t) (end - line), ATTRIBUTE, strlen(ATTRIBUTE)))) {
        const char *url = at + strlen(ATTRIBUTE), *quote = memchr(url, '"', (size_t) (end - url));
        if (!quote)
            return refuse(err, "has a line that breaks off");
        r = buf_append(out, line, (size_t) (url - line));
        if (r >= 0)
            r = put_file(url, (size_t) (quote - url), out, err);
        line = quote;
    }
    return r < 0 ? r : buf_append(out, line, (size_t) (end - line));
}

/* What is neither a tag nor a URL is left out. */
static int put_line(const char *line, size_t len, Buf *out, Error *err)
{
    bool tag = len >= strlen(TAG) && memcmp(line, TAG, strlen(TAG)) == 0;

    if (len == 0 || (line[0] == '#' && !tag))
        return 0;
    int r = tag ? put_tag(line, len, out, err) : put_file(line, len, out, err);
    return r < 0 ? r : buf_puts(out, "\n");
}

int playlist_rewrite(const char *text, size_t len, Buf *out, Error *err)
{
    const char *end = text + len;
    int r = 0;

    if (len > PLAYLIST_SIZE_MAX || memchr(text, '\0', len))
        return refuse(err, "is too large, or no text");
    if (len < strlen(FIRST_LINE) || memcmp(text, FIRST_LINE, strlen(FIRST_LINE)) != 0)
        return refuse(err, "is none");
    while (r >= 0 && text < end) {
        const char *newline = memchr(text, '\n', (size_t) (end - text)), *stop = newline ? newline : end;
        size_t n = (size_t) (stop - text);
        while (n > 0 && text[n - 1] == '\r')
            n--;
        r = put_line(text, n, out, err);
        text = newline ? newline + 1 : end;
    }
    return r < 0 ? error_from_errno(err, r, "cannot pass a playlist on") : 0;
}

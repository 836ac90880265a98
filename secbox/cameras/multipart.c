/* SPDX-License-Identifier: MIT */
#include "secbox/cameras/multipart.h"

#include <errno.h>
#include <string.h>

#include "lib/http/mjpeg-viewer.h"

#define LINE_END "\r\n"
#define HEAD_END "\r\n\r\n"
/* A picture that grows more often than this is several, and their boundary is another one than was said. */
#define TELLS_MAX 3

void multipart_init(Multipart *m, size_t picture_max,
                    void (*on_picture)(const uint8_t *data, size_t len, void *userdata), void *userdata)
{
    *m = (Multipart) { .buf = BUF_INIT(picture_max + MULTIPART_HEAD_MAX),
                       .on_picture = on_picture,
                       .userdata = userdata };
}

void multipart_done(Multipart *m)
{
    buf_done(&m->buf);
}

static void drop(Multipart *m, size_t len)
{
    buf_consume(&m->buf, len);
    m->scanned = m->told = 0;
    m->tells = 0;
}

static const char *find(const Multipart *m, size_t from, const char *what, size_t len)
{
    return m->buf.len > from ? memmem(m->buf.data + from, m->buf.len - from, what, len) : NULL;
}

/* 1: it was there. 0: wait. */
static int take_first_line(Multipart *m, Error *err)
{
    const char *end = find(m, 0, LINE_END, strlen(LINE_END));
    size_t len = end ? (size_t) (end - m->buf.data) : m->buf.len;

    if (len > 2 + MULTIPART_BOUNDARY_MAX || memcmp(m->buf.data, "--", len < 2 ? len : 2) != 0 || (end && len < 3) ||
        memchr(m->buf.data, '\0', len))
        return error_set(err, EBADMSG, "camera.multipart", "the pictures do not begin with a boundary");
    if (!end)
        return 0;
    memcpy(m->delimiter, LINE_END, 2);
    memcpy(m->delimiter + 2, m->buf.data, len);
    m->delimiter_len = 2 + len;
    drop(m, len); /* the end of the line stays, as behind each later boundary */
    return 1;
}

/* A boundary has been taken; "--" behind it would say that it was the last one. */
static int take_head(Multipart *m, Error *err)
{
    size_t max = m->buf.len < MULTIPART_HEAD_MAX ? m->buf.len : MULTIPART_HEAD_MAX;
    const char *end = m->buf.len > 0 ? memmem(m->buf.data, max, HEAD_END, strlen(HEAD_END)) : NULL;

    if (m->buf.len > 0 && memcmp(m->buf.data, LINE_END, m->buf.len < 2 ? 1 : 2) != 0)
        return error_set(err, EBADMSG, "camera.multipart",
                         "a boundary of the pictures ends with something else than its line");
    if (!end && m->buf.len >= MULTIPART_HEAD_MAX)
        return error_set(err, EBADMSG, "camera.multipart", "the head of a picture does not end within %zu bytes",
                         MULTIPART_HEAD_MAX);
    if (!end)
        return 0;
    drop(m, (size_t) (end - m->buf.data) + strlen(HEAD_END));
    m->in_part = true;
    return 1;
}

static size_t without_line_ends(const char *data, size_t len)
{
    while (len > 0 && (data[len - 1] == '\n' || data[len - 1] == '\r'))
        len--;
    return len;
}

static void tell(Multipart *m, size_t len)
{
    if (m->told == len)
        return;
    m->told = len;
    m->tells++;
    m->on_picture((const uint8_t *) m->buf.data, len, m->userdata);
}

/* The next boundary comes with the next picture. So one that is followed by the line ends of its part, and by nothing as yet, is
 * told now; should it have been a part of a picture, the whole one follows. */
static int wait_for_delimiter(Multipart *m, Error *err)
{
    size_t len = without_line_ends(m->buf.data ? m->buf.data : "", m->buf.len);

    m->scanned = m->buf.len >= m->delimiter_len ? m->buf.len - m->delimiter_len + 1 : 0;
    if (m->buf.len == m->buf.max)
        return error_set(err, EMSGSIZE, "camera.too-large", "a picture is larger than %zu bytes",
                         m->buf.max - MULTIPART_HEAD_MAX);
    if (m->tells == TELLS_MAX)
        return error_set(err, EBADMSG, "camera.multipart",
                         "the pictures are not divided by the boundary that was announced");
    if (m->buf.len - len >= strlen(LINE_END) && picture_is_jpeg(m->buf.data, len))
        tell(m, len);
    return 0;
}

static int take_part(Multipart *m, Error *err)
{
    const char *end = find(m, m->scanned, m->delimiter, m->delimiter_len);

    if (!end)
        return wait_for_delimiter(m, err);
    size_t part = (size_t) (end - m->buf.data), len = without_line_ends(m->buf.data, part);
    if (picture_is_jpeg(m->buf.data, len))
        tell(m, len);
    else
        m->bad++;
    drop(m, part + m->delimiter_len);
    m->in_part = false;
    return 1;
}

static int step(Multipart *m, Error *err)
{
    if (m->delimiter_len == 0)
        return m->buf.len == 0 ? 0 : take_first_line(m, err);
    return m->in_part ? take_part(m, err) : take_head(m, err);
}

int multipart_feed(Multipart *m, const void *data, size_t len, Error *err)
{
    const char *at = data;
    int r = 0;

    while (len > 0 && r >= 0) {
        size_t room = m->buf.max - m->buf.len, n = len < room ? len : room;
        r = buf_append(&m->buf, at, n);
        if (r < 0)
            return error_from_errno(err, r, "no memory for a picture");
        at += n;
        len -= n;
        do
            r = step(m, err);
        while (r > 0);
    }
    return r;
}

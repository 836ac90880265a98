/* SPDX-License-Identifier: MIT */
/* A boundary follows each picture at once: browsers show one when they see that it has ended. */
#include "lib/http/mjpeg-viewer.h"

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"

#define BOUNDARY "--frame\r\n"
#define HEAD_MAX ((size_t) 4096)
/* So little of a picture waits in the kernel when the next one is chosen. */
#define UNSENT_MAX ((size_t) 16 * 1024)

struct MjpegViewer {
    Stream *stream;
    Picture *next; /* NULL: none waits */
    const MjpegViewerEvents *events;
    void *userdata;
};

Picture *picture_new(const void *data, size_t len)
{
    Picture *p = malloc(sizeof(*p) + len);

    if (!p)
        return NULL;
    p->users = 1;
    p->len = len;
    if (len > 0)
        memcpy(p->data, data, len);
    return p;
}

Picture *picture_ref(Picture *p)
{
    p->users++;
    return p;
}

Picture *picture_unref(Picture *p)
{
    if (p && --p->users == 0)
        free(p);
    return NULL;
}

bool picture_is_jpeg(const void *data, size_t len)
{
    const uint8_t *p = data;

    return len >= 4 && p[0] == 0xff && p[1] == 0xd8 && p[len - 2] == 0xff && p[len - 1] == 0xd9;
}

static void gone(MjpegViewer *v)
{
    v->events->on_gone(v, v->userdata);
    mjpeg_viewer_free(v);
}

/* A viewer has nothing to say. */
static void on_data(Stream *s _unused_, const uint8_t *data _unused_, size_t len _unused_, void *userdata)
{
    gone(userdata);
}

static void on_closed(Stream *s _unused_, int r _unused_, const Error *err _unused_, void *userdata)
{
    gone(userdata);
}

static int send_picture(MjpegViewer *v, const Picture *p)
{
    _cleanup_(buf_done) Buf part = BUF_INIT(p->len + HEAD_MAX);
    int r = buf_printf(&part, "Content-Type: image/jpeg\r\nContent-Length: %zu\r\n\r\n", p->len);

    if (r >= 0)
        r = buf_append(&part, p->data, p->len);
    if (r >= 0)
        r = buf_puts(&part, "\r\n" BOUNDARY);
    return r < 0 ? r : stream_send(v->stream, part.data, part.len);
}

static void on_writable(Stream *s, void *userdata)
{
    MjpegViewer *v = userdata;
    _cleanup_(picture_unrefp) Picture *p = TAKE_PTR(v->next);

    stream_want_write(s, false);
    if (p && send_picture(v, p) < 0) {
        gone(v);
        return;
    }
    if (p && v->events->on_free)
        v->events->on_free(v, v->userdata);
}

static const StreamEvents stream_events = { .on_data = on_data, .on_writable = on_writable, .on_closed = on_closed };

static int write_head(Buf *head, const char *const *headers)
{
    int r = buf_puts(head, "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n"
                           "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n");

    for (size_t i = 0; headers && headers[i] && r >= 0; i++)
        r = buf_printf(head, "%s\r\n", headers[i]);
    return r < 0 ? r : buf_puts(head, "\r\n" BOUNDARY);
}

int mjpeg_viewer_new(HttpExchange *x, const char *const *headers, const MjpegViewerEvents *events, void *userdata,
                     MjpegViewer **ret)
{
    _cleanup_(buf_done) Buf head = BUF_INIT(HEAD_MAX);
    CoarseClock *clock;
    Stream *stream = http_switchable(x, &clock);
    int r = write_head(&head, headers);
    MjpegViewer *v = stream && r >= 0 ? calloc(1, sizeof(*v)) : NULL;

    if (!v)
        return stream ? -ENOMEM : -ENOTCONN;
    *v = (MjpegViewer) { .stream = stream, .events = events, .userdata = userdata };
    http_switch(x, head.data, head.len);
    stream_set_events(stream, &stream_events, v);
    stream_set_unsent_max(stream, UNSENT_MAX);
    *ret = v;
    return 0;
}

MjpegViewer *mjpeg_viewer_free(MjpegViewer *v)
{
    if (!v)
        return NULL;
    stream_free(v->stream);
    picture_unref(v->next);
    free(v);
    return NULL;
}

void mjpeg_viewer_show(MjpegViewer *v, Picture *p)
{
    picture_unref(v->next);
    v->next = picture_ref(p);
    stream_want_write(v->stream, true);
}

bool mjpeg_viewer_is_free(const MjpegViewer *v)
{
    return !v->next;
}

/* SPDX-License-Identifier: MIT */
/* Whatever Frigate sends: every picture that is told begins and ends as one, and no more is kept than may be. The first byte says
 * in what pieces the rest comes. */
#include <stdint.h>
#include <stdlib.h>

#include "lib/http/mjpeg-viewer.h"
#include "secbox/cameras/camera-list.h"
#include "secbox/cameras/multipart.h"

#define PICTURE_MAX ((size_t) 256)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_picture(const uint8_t *data, size_t len, void *userdata)
{
    (void) userdata;
    if (len > PICTURE_MAX + MULTIPART_HEAD_MAX || !picture_is_jpeg(data, len))
        abort();
}

static void split(const uint8_t *data, size_t size, size_t piece)
{
    Multipart m;
    int r = 0;

    multipart_init(&m, PICTURE_MAX, on_picture, NULL);
    for (size_t at = 0; at < size && r >= 0; at += piece)
        r = multipart_feed(&m, data + at, size - at < piece ? size - at : piece, NULL);
    multipart_done(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CameraList l = {};

    if (size == 0)
        return 0;
    split(data + 1, size - 1, (size_t) data[0] + 1);
    if (camera_list_take_config(&l, (const char *) data + 1, size - 1, NULL) >= 0)
        cJSON_Delete(camera_list_describe(&l));
    (void) !camera_list_take_stats(&l, (const char *) data + 1, size - 1, NULL);
    camera_list_done(&l);
    return 0;
}

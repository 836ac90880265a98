/* SPDX-License-Identifier: MIT */
#include "secbox/media/frigate-answer.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"

static bool range_is_sound(const char *value)
{
    static const char unit[] = "bytes ";

    return value && strlen(value) < CONTENT_RANGE_SIZE && str_starts(value, unit) &&
           strspn(value + strlen(unit), "0123456789-/*") == strlen(value + strlen(unit));
}

bool frigate_answer_read(const HttpResponse *head, FrigateAnswer *ret)
{
    const char *range = http_response_header(head, "Content-Range", 0),
               *length = http_response_header(head, "Content-Length", 0);

    *ret = (FrigateAnswer) { .status = head->status };
    ret->has_length = length && str_to_u64(length, 0, INT64_MAX, &ret->length) >= 0;
    ret->ranges = str_equal(http_response_header(head, "Accept-Ranges", 0), "bytes");
    if (head->status == 206 && range_is_sound(range))
        memcpy(ret->content_range, range, strlen(range) + 1);
    return head->status == 200 || (head->status == 206 && ret->content_range[0]);
}

int frigate_answer_judge(int status, int r, const Error *why, Error *err)
{
    if (status == 0)
        return error_set(err, EHOSTUNREACH, "camera.frigate", "Frigate does not answer: %s", error_message(why, r));
    if (status == 404)
        return error_set(err, ENOENT, "media.none", "nothing was recorded then, or it is not kept any more");
    if (status == 416)
        return error_set(err, ERANGE, "media.range", "the recording is shorter than that");
    return error_set(err, EBADMSG, "media.frigate", "Frigate answers with HTTP status %d", status);
}

/* SPDX-License-Identifier: MIT */
#include "lib/cli/log-lines.h"

#include <errno.h>
#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"

int log_question_add(const LogQuestion *q, cJSON *request, Error *err)
{
    uint64_t tail = 0;
    usec_t time;

    if (q->since && duration_parse(q->since, &time) < 0 && rfc3339_parse(q->since, &time) < 0)
        return error_set(err, EINVAL, "usage", "--since takes a time like 15m, 2h or 2026-01-02T03:04:05Z, not \"%s\"",
                         q->since);
    if (q->tail && str_to_u64(q->tail, 0, LOG_TAIL_MAX, &tail) < 0)
        return error_set(err, EINVAL, "usage", "--tail takes a number from 0 to %d, not \"%s\"", LOG_TAIL_MAX, q->tail);
    if (!request || json_add_string(request, "service", q->service) < 0 ||
        json_add_bool(request, "follow", q->follow) < 0 || json_add_string(request, "since", q->since) < 0 ||
        (q->tail && json_add_u64(request, "tail", tail) < 0))
        return error_from_errno(err, -ENOMEM, "make a request");
    return 0;
}

static int print_line(const char *line, bool json)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json ? cJSON_CreateObject() : NULL;
    _cleanup_(freep) char *text = NULL;

    if (!json)
        text = text_printable(line);
    else if (o && json_add_string(o, "line", line) == 0)
        text = json_print(o);
    if (!text)
        return -ENOMEM;
    return puts(text) < 0 ? -EPIPE : 0;
}

int log_lines_print(const cJSON *message, bool json)
{
    const cJSON *line;
    int r = 0;

    cJSON_ArrayForEach(line, cJSON_GetObjectItemCaseSensitive(message, "lines")) {
        const char *text = cJSON_GetStringValue(line);

        if (r == 0 && text)
            r = print_line(text, json);
    }
    return r == 0 && fflush(stdout) != 0 ? -EPIPE : r;
}

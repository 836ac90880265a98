/* SPDX-License-Identifier: MIT */
/* What a row says, or fails to say: bans fail closed, guests too. */
#include "secbox/lan/record.h"

#include <errno.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/data/json.h"

#define NEVER 1 /* a second of 1970: long over */
#define USES_MAX 1000000.0

/* 1: it is there; 0: it is absent; -EINVAL: it cannot be read. */
static int take_time(const cJSON *row, const char *member, int64_t *ret)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(row, member);
    usec_t at;

    if (!item || cJSON_IsNull(item))
        return 0;
    if (rfc3339_parse(cJSON_GetStringValue(item), &at) < 0)
        return -EINVAL;
    *ret = (int64_t) (at / USEC_PER_SEC);
    return 1;
}

/* No days are all of them. */
static int take_days(const cJSON *row, TimeWindow *w)
{
    const cJSON *days = cJSON_GetObjectItemCaseSensitive(row, "days"), *day;

    if (!days || cJSON_IsNull(days) || (cJSON_IsArray(days) && cJSON_GetArraySize(days) == 0))
        return 0;
    if (!cJSON_IsArray(days))
        return -EINVAL;
    w->days = 0;
    cJSON_ArrayForEach(day, days) {
        const char *name = cJSON_GetStringValue(day);
        int n = name && strlen(name) == WEEKDAY_LEN ? weekday_parse(name) : -EINVAL;
        if (n < 0)
            return n;
        w->days |= 1u << n;
    }
    return 0;
}

static int take_hours(const cJSON *row, TimeWindow *w)
{
    const cJSON *hours = cJSON_GetObjectItemCaseSensitive(row, "hours");

    if (!hours || cJSON_IsNull(hours))
        return 0;
    return cJSON_IsString(hours) && strlen(hours->valuestring) == HOURS_LEN ? hours_parse(hours->valuestring, w)
                                                                            : -EINVAL;
}

static int take_uses(const cJSON *row, Record *r)
{
    const cJSON *uses = cJSON_GetObjectItemCaseSensitive(row, "uses");

    if (!uses || cJSON_IsNull(uses))
        return 0;
    if (!cJSON_IsNumber(uses) || !(uses->valuedouble >= 0 && uses->valuedouble <= USES_MAX))
        return -EINVAL;
    r->has_uses = true;
    r->uses = (uint64_t) uses->valuedouble;
    return 0;
}

static int take_permission(const cJSON *row, Record *r)
{
    int from = take_time(row, "from", &r->from), until = take_time(row, "until", &r->until);

    return from < 0 || until < 0 || take_days(row, &r->window) < 0 || take_hours(row, &r->window) < 0 ||
                   take_uses(row, r) < 0
               ? -EINVAL
               : 0;
}

Record record_from(RecordKind kind, const cJSON *row)
{
    Record r = {
        .kind = kind,
        .name = json_string(row, "name"),
        .plate = json_string(row, "plate"),
        .document = json_string(row, "document"),
        .code = json_string(row, "code"),
        .window = { .days = EVERY_DAY, .to = MINUTES_PER_DAY },
    };

    if (kind == RECORD_BAN && take_time(row, "until", &r.until) < 0)
        r.until = 0;
    if (kind == RECORD_GUEST && take_permission(row, &r) < 0)
        r.until = NEVER;
    return r;
}

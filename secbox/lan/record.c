/* SPDX-License-Identifier: MIT */
/* What a row says, or fails to say: bans fail closed, guests too. */
#include "secbox/lan/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

#define NEVER 1 /* a second of 1970: long over */
#define USES_MAX 1000000.0

/* "Z", "+05:30"; minutes east of UTC. */
static int offset_parse(const char *s, int *ret)
{
    unsigned hours, minutes;
    char sign;
    int end = 0;

    *ret = 0;
    if (str_equal(s, "Z") || str_equal(s, "z"))
        return 0;
    if (sscanf(s, "%c%2u:%2u%n", &sign, &hours, &minutes, &end) != 3 || end != 6 || s[end] != '\0' ||
        (sign != '+' && sign != '-') || hours > 23 || minutes > 59)
        return -EINVAL;
    *ret = (int) (hours * 60 + minutes) * (sign == '-' ? -1 : 1);
    return 0;
}

int rfc3339_seconds(const char *text, int64_t *ret)
{
    unsigned year, month, day, hour, minute, second;
    struct tm tm = {};
    int end = 0, offset;

    if (sscanf(text, "%4u-%2u-%2u%*1[Tt ]%2u:%2u:%2u%n", &year, &month, &day, &hour, &minute, &second, &end) != 6 ||
        end != 19 || year < 1970 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 60)
        return -EINVAL;
    text += end;
    if (*text == '.')
        text += 1 + strspn(text + 1, "0123456789");
    if (offset_parse(text, &offset) < 0)
        return -EINVAL;
    tm = (struct tm) { .tm_year = (int) year - 1900,
                       .tm_mon = (int) month - 1,
                       .tm_mday = (int) day,
                       .tm_hour = (int) hour,
                       .tm_min = (int) minute,
                       .tm_sec = (int) second };
    int64_t seconds = timegm(&tm) - (int64_t) offset * 60;
    /* timegm() takes the 31st of June for the 1st of July */
    if (seconds < 0 || tm.tm_mday != (int) day)
        return -EINVAL;
    *ret = seconds;
    return 0;
}

/* 1: it is there; 0: it is absent; -EINVAL: it cannot be read. */
static int take_time(const cJSON *row, const char *member, int64_t *ret)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(row, member);

    if (!item || cJSON_IsNull(item))
        return 0;
    if (!cJSON_IsString(item) || rfc3339_seconds(item->valuestring, ret) < 0)
        return -EINVAL;
    return 1;
}

static int take_days(const cJSON *row, unsigned *ret)
{
    const cJSON *days = cJSON_GetObjectItemCaseSensitive(row, "days"), *day;

    if (!days || cJSON_IsNull(days))
        return 0;
    if (!cJSON_IsArray(days))
        return -EINVAL;
    cJSON_ArrayForEach(day, days) {
        int weekday = cJSON_IsString(day) ? weekday_parse(day->valuestring) : -EINVAL;
        if (weekday < 0)
            return weekday;
        *ret |= 1u << weekday;
    }
    return 0;
}

static int take_hours(const cJSON *row, Record *r)
{
    const cJSON *hours = cJSON_GetObjectItemCaseSensitive(row, "hours");

    if (!hours || cJSON_IsNull(hours))
        return 0;
    r->has_hours = true;
    return cJSON_IsString(hours) ? hours_parse(hours->valuestring, &r->hours_from, &r->hours_until) : -EINVAL;
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

    return from < 0 || until < 0 || take_days(row, &r->days) < 0 || take_hours(row, r) < 0 || take_uses(row, r) < 0
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
    };

    if (kind == RECORD_BAN && take_time(row, "until", &r.until) < 0)
        r.until = 0;
    if (kind == RECORD_GUEST && take_permission(row, &r) < 0)
        r.until = NEVER;
    return r;
}

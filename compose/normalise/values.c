/* SPDX-License-Identifier: MIT */
/* Single values: text, truth, numbers, sizes, durations. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "compose/normalise/normalise.h"
#include "lib/base/clock.h"
#include "lib/base/strv.h"

#define TEXT_LENGTH_MAX 4096

int take_any_text(const Place *at, const char **ret)
{
    if (!at->node || at->node->type != YAML_SCALAR || yaml_is_null(at->node))
        return place_fail(at, EINVAL, "compose.bad-type", "text is expected here");
    *ret = at->node->value;
    return 0;
}

int take_text(const Place *at, const char **ret)
{
    const char *value = NULL;
    int r = take_any_text(at, &value);

    if (r < 0)
        return r;
    if (strlen(value) > TEXT_LENGTH_MAX)
        return place_fail(at, EMSGSIZE, "compose.bad-value", "longer than %d bytes", TEXT_LENGTH_MAX);
    for (const char *p = value; *p; p++)
        if ((unsigned char) *p < 0x20 || *p == 0x7f)
            return place_fail(at, EINVAL, "compose.bad-value", "the value has a line break or control character in it");
    *ret = value;
    return 0;
}

int take_bool(const Place *at, bool *ret)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {
        { "true", true },   { "yes", true }, { "on", true },   { "y", true },
        { "false", false }, { "no", false }, { "off", false }, { "n", false },
    };
    const char *value = NULL;
    int r = take_text(at, &value);

    if (r < 0)
        return r;
    for (size_t i = 0; i < ELEMENTSOF(words); i++)
        if (strcasecmp(value, words[i].word) == 0) {
            *ret = words[i].value;
            return 0;
        }
    return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is neither true nor false", value);
}

int take_integer(const Place *at, int64_t min, int64_t max, int64_t *ret)
{
    const char *value = NULL;
    uint64_t magnitude;
    int64_t number;
    int r = take_text(at, &value);

    if (r < 0)
        return r;
    r = str_to_u64(*value == '-' ? value + 1 : value, 0, INT64_MAX, &magnitude);
    number = r < 0 ? 0 : (*value == '-' ? -(int64_t) magnitude : (int64_t) magnitude);
    if (r < 0 || number < min || number > max)
        return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is no whole number from %" PRId64 " to %" PRId64,
                          value, min, max);
    *ret = number;
    return 0;
}

/* A decimal number (whole part and billionths) at the start of *p, which moves behind it. -EINVAL without
 * digits, -ERANGE when large. */
static int scan_decimal(const char **p, uint64_t *ret_whole, uint64_t *ret_nano)
{
    const char *s = *p;
    uint64_t whole = 0, nano = 0;
    unsigned digits = 0;

    for (; *s >= '0' && *s <= '9'; s++, digits++) {
        if (whole > UINT64_MAX / 10 / 1000000)
            return -ERANGE;
        whole = whole * 10 + (uint64_t) (*s - '0');
    }
    if (*s == '.') {
        uint64_t unit = 1000000000;

        for (s++; *s >= '0' && *s <= '9'; s++, digits++) {
            unit /= 10;
            nano += unit * (uint64_t) (*s - '0');
        }
    }
    if (digits == 0)
        return -EINVAL;
    *p = s;
    *ret_whole = whole;
    *ret_nano = nano;
    return 0;
}

/* k, kb, ki and kib alike are 1024, as everywhere in compose files. */
static int scan_unit(const char *p, unsigned *ret_shift)
{
    static const char letters[] = "kmgt";
    const char *letter;

    p += *p == ' ';
    if (!*p || strcasecmp(p, "b") == 0)
        return *ret_shift = 0, 0;
    letter = strchr(letters, *p | 0x20);
    if (!letter || (p[1] && strcasecmp(p + 1, "b") != 0 && strcasecmp(p + 1, "i") != 0 && strcasecmp(p + 1, "ib") != 0))
        return -EINVAL;
    *ret_shift = 10 * (unsigned) (letter - letters + 1);
    return 0;
}

int take_size(const Place *at, uint64_t *ret)
{
    const char *value = NULL, *p;
    uint64_t whole = 0, nano = 0;
    unsigned shift = 0;
    int r = take_text(at, &value);

    if (r < 0)
        return r;
    p = value;
    r = scan_decimal(&p, &whole, &nano);
    if (r >= 0)
        r = scan_unit(p, &shift);
    if (r >= 0 && whole < (UINT64_C(1) << (62 - shift))) {
        /* the fraction in millionths, so that it cannot overflow with the largest unit */
        *ret = (whole << shift) + (((nano / 1000) << shift) / 1000000);
        return 0;
    }
    return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is no size; write it like 512m, 512MiB or 2g", value);
}

static int scan_duration(const char *p, uint64_t *ret)
{
    static const struct {
        const char *unit;
        usec_t usec;
    } units[] = {
        /* two-letter units first */
        { "us", 1 },           { "\xc2\xb5s", 1 },       { "ms", USEC_PER_MSEC },
        { "s", USEC_PER_SEC }, { "m", USEC_PER_MINUTE }, { "h", USEC_PER_HOUR },
    };
    uint64_t total = 0;

    if (str_equal(p, "0"))
        return *ret = 0, 0;
    if (!*p)
        return -EINVAL;
    while (*p) {
        uint64_t whole = 0, nano = 0;
        size_t i;
        int r = scan_decimal(&p, &whole, &nano);

        if (r < 0)
            return r;
        for (i = 0; i < ELEMENTSOF(units) && !str_starts(p, units[i].unit); i++)
            continue;
        if (i == ELEMENTSOF(units))
            return -EINVAL;
        if (whole > USEC_PER_DAY / units[i].usec)
            return -ERANGE;
        total += whole * units[i].usec + nano * units[i].usec / 1000000000;
        if (total > USEC_PER_DAY)
            return -ERANGE;
        p += strlen(units[i].unit);
    }
    *ret = total;
    return 0;
}

int take_duration(const Place *at, uint64_t *ret_usec)
{
    const char *value = NULL;
    int r = take_text(at, &value);

    if (r < 0)
        return r;
    r = scan_duration(value, ret_usec);
    if (r == -ERANGE)
        return place_fail(at, EINVAL, "compose.bad-duration", "\"%s\" is longer than a day", value);
    if (r < 0)
        return place_fail(at, EINVAL, "compose.bad-duration", "\"%s\" is no duration; write it like 30s or 1m30s",
                          value);
    return 0;
}

char *duration_format(uint64_t usec)
{
    if (usec % USEC_PER_SEC == 0)
        return str_format("%" PRIu64 "s", usec / USEC_PER_SEC);
    if (usec % USEC_PER_MSEC == 0)
        return str_format("%" PRIu64 "ms", usec / USEC_PER_MSEC);
    return str_format("%" PRIu64 "us", usec);
}

int put_text(cJSON *object, const char *key, const char *value)
{
    return cJSON_AddStringToObject(object, key, value) ? 0 : -ENOMEM;
}

int put_number(cJSON *object, const char *key, uint64_t value)
{
    char text[24];
    char *end = text + sizeof(text) - 1;

    *end = '\0';
    do
        *--end = (char) ('0' + value % 10);
    while (value /= 10);
    return put_text(object, key, end);
}

cJSON *put_array(cJSON *object, const char *key)
{
    return cJSON_AddArrayToObject(object, key);
}

cJSON *put_object(cJSON *object, const char *key)
{
    return cJSON_AddObjectToObject(object, key);
}

int append_text(cJSON *array, const char *value)
{
    cJSON *item = cJSON_CreateString(value);

    return item ? json_append(array, item) : -ENOMEM;
}

static const char *sort_key(const cJSON *item)
{
    return item->string ? item->string : item->valuestring ? item->valuestring : "";
}

/* Merges two sorted chains (next links only). */
static cJSON *merge(cJSON *a, cJSON *b)
{
    cJSON head = {};
    cJSON *tail = &head;

    while (a && b) {
        cJSON **first = strcmp(sort_key(a), sort_key(b)) <= 0 ? &a : &b;

        tail->next = *first;
        tail = *first;
        *first = (*first)->next;
    }
    tail->next = a ? a : b;
    return head.next;
}

static cJSON *merge_sort(cJSON *list)
{
    cJSON *slow = list, *fast = list ? list->next : NULL, *half;

    if (!fast)
        return list;
    while (fast && fast->next) {
        slow = slow->next;
        fast = fast->next->next;
    }
    half = slow->next;
    slow->next = NULL;
    return merge(merge_sort(list), merge_sort(half));
}

void members_sort(cJSON *container)
{
    cJSON *last = NULL;

    container->child = merge_sort(container->child);
    /* cJSON keeps the last child in the first one's prev */
    for (cJSON *item = container->child; item; item = item->next) {
        item->prev = last;
        last = item;
    }
    if (container->child)
        container->child->prev = last;
}

void set_normalise(cJSON *array)
{
    members_sort(array);
    for (cJSON *item = array->child; item && item->next;) {
        if (str_equal(item->valuestring, item->next->valuestring))
            cJSON_Delete(cJSON_DetachItemViaPointer(array, item->next));
        else
            item = item->next;
    }
}

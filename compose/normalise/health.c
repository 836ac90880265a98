/* SPDX-License-Identifier: MIT */
/* Health checks, once in the form of the rendered file and once in microseconds for the code that runs them. */
#include <errno.h>
#include <string.h>

#include "compose/normalise/normalise.h"
#include "lib/base/clock.h"
#include "lib/base/strv.h"

#define RETRIES_MAX 1000
#define RETRIES_DEFAULT 3

typedef struct Timing {
    const char *key;
    const char *usec_key;
    usec_t fallback; /* also what 0 stands for */
    bool optional;   /* left out where the file does not say it */
} Timing;

static const Timing timings[] = {
    { "interval", "interval_usec", 30 * USEC_PER_SEC, false },
    { "timeout", "timeout_usec", 30 * USEC_PER_SEC, false },
    { "start_period", "start_period_usec", 0, false },
    /* podman 4.3 has none; the box itself looks as often while it proves */
    { "start_interval", "start_interval_usec", 0, true },
};

/* ["CMD", …], ["CMD-SHELL", text] or ["NONE"]; no array at all when the image's own test is meant. */
static int take_test(const Place *at, cJSON *test)
{
    const char *first, *text = NULL;
    int n, r;

    if (at->node->type == YAML_SCALAR) {
        r = take_any_text(at, &text);
        if (r >= 0 && !*text)
            return place_fail(at, EINVAL, "compose.bad-value", "the test is empty");
        if (r >= 0)
            r = append_text(test, "CMD-SHELL");
        return r < 0 ? r : append_text(test, text);
    }
    r = take_words(at, test);
    if (r < 0)
        return r;
    n = cJSON_GetArraySize(test);
    first = n ? test->child->valuestring : "";
    if (str_equal(first, "NONE") ? n == 1 : str_equal(first, "CMD-SHELL") ? n == 2 : str_equal(first, "CMD") && n > 1)
        return 0;
    return place_fail(at, EINVAL, "compose.bad-value",
                      "a test is [CMD, program, arguments…], [CMD-SHELL, \"one command\"] or [NONE]");
}

static int put_timing(const Place *at, const Timing *t, cJSON *config, cJSON *parsed)
{
    _cleanup_(freep) char *text = NULL;
    Place member = place_member(at, t->key);
    uint64_t usec = t->fallback;
    int r = 0;

    if (t->optional && !member.node)
        return 0;
    if (member.node) {
        r = take_duration(&member, &usec);
        if (r < 0)
            return r;
        if (usec == 0)
            usec = t->fallback;
        text = duration_format(usec);
        r = text ? put_text(config, t->key, text) : -ENOMEM;
    }
    return r < 0 ? r : json_add_u64(parsed, t->usec_key, usec);
}

static int put_disabled(cJSON *config, ComposeService *s)
{
    cJSON *test = put_array(config, "test");

    if (!test || append_text(test, "NONE") < 0)
        return -ENOMEM;
    return json_add_bool(s->healthcheck, "disable", true);
}

static int put_test(const Place *at, cJSON *config, ComposeService *s, bool *ret_disabled)
{
    _cleanup_(cJSON_Deletep) cJSON *words = cJSON_CreateArray();
    Place test = place_member(at, "test"), disable = place_member(at, "disable");
    bool disabled = false;
    int r = words ? 0 : -ENOMEM;

    if (r >= 0 && disable.node)
        r = take_bool(&disable, &disabled);
    if (r >= 0 && test.node && !yaml_is_null(test.node))
        r = take_test(&test, words);
    if (r < 0)
        return r;
    if (words->child && str_equal(words->child->valuestring, "NONE"))
        disabled = true;
    *ret_disabled = disabled;
    if (disabled)
        return put_disabled(config, s);
    if (words->child) {
        cJSON *copy = cJSON_Duplicate(words, true);
        r = json_add_item(config, "test", copy);
    }
    return r < 0 ? r : json_add_item(s->healthcheck, "test", TAKE_PTR(words));
}

/* `disable: false` alone, or nothing at all, leaves the image's own check as it is. */
static bool says_anything(const Place *at)
{
    static const char *const keys[] = { "test", "interval", "timeout", "start_period", "start_interval", "retries" };

    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        const YamlNode *node = yaml_get(at->node, keys[i]);

        if (node && !yaml_is_null(node))
            return true;
    }
    return false;
}

static int put_retries(const Place *at, cJSON *config, ComposeService *s)
{
    Place retries = place_member(at, "retries");
    int64_t count = 0;
    int r = retries.node ? take_integer(&retries, 0, RETRIES_MAX, &count) : 0;

    /* 0 stands for the default, as it does for the times */
    if (r >= 0 && count > 0)
        r = put_number(config, "retries", (uint64_t) count);
    return r < 0 ? r : json_add_int(s->healthcheck, "retries", count > 0 ? (int) count : RETRIES_DEFAULT);
}

int normalise_healthcheck(const Place *at, const Normaliser *n, ComposeService *s)
{
    cJSON *config = put_object(s->config, "healthcheck");
    bool disabled = false;
    int r;

    (void) n;
    s->healthcheck = cJSON_CreateObject();
    if (!config || !s->healthcheck)
        return -ENOMEM;
    r = put_test(at, config, s, &disabled);
    if (r < 0 || disabled)
        return r;
    if (!says_anything(at)) {
        cJSON_DeleteItemFromObjectCaseSensitive(s->config, "healthcheck");
        cJSON_Delete(TAKE_PTR(s->healthcheck));
        return 0;
    }
    for (size_t i = 0; i < ELEMENTSOF(timings); i++) {
        r = put_timing(at, &timings[i], config, s->healthcheck);
        if (r < 0)
            return r;
    }
    r = put_retries(at, config, s);
    if (r >= 0)
        members_sort(config);
    return r;
}

/* SPDX-License-Identifier: MIT */
#include "compose/render/run-args.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

/* As one word of a shell. */
static int add_quoted(char ***list, const char *text)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(INTERPOLATE_RESULT_MAX * 8);
    int r = buf_puts(&b, "'");

    for (const char *p = text; r >= 0 && *p; p++)
        r = *p == '\'' ? buf_puts(&b, "'\"'\"'") : buf_append(&b, p, 1);
    if (r >= 0)
        r = buf_puts(&b, "'");
    return r < 0 ? r : strv_add(list, b.data);
}

/* Podman splits "CMD a b" at white space, and takes a JSON array of two words or more word for word, unless the first
 * is one of its own words. */
typedef enum TestForm {
    FORM_NONE, /* podman cannot be told */
    FORM_FIELDS,
    FORM_ARRAY,
} TestForm;

static bool is_podmans_word(const char *word)
{
    return strcasecmp(word, "CMD") == 0 || strcasecmp(word, "CMD-SHELL") == 0 || strcasecmp(word, "NONE") == 0;
}

static TestForm form_of(const cJSON *test)
{
    const cJSON *first = test && test->child ? test->child->next : NULL;
    bool fields = true;

    if (!first || !str_equal(test->child->valuestring, "CMD"))
        return FORM_NONE;
    for (const cJSON *word = first; word; word = word->next) {
        if (!cJSON_IsString(word))
            return FORM_NONE;
        for (const char *p = word->valuestring; *p; p++)
            fields = fields && (unsigned char) *p > ' ' && (unsigned char) *p < 0x7f;
        fields = fields && *word->valuestring;
    }
    if (fields)
        return FORM_FIELDS;
    return first->next && !is_podmans_word(first->valuestring) ? FORM_ARRAY : FORM_NONE;
}

bool run_args_hold_test(const cJSON *test)
{
    return form_of(test) != FORM_NONE;
}

static char *fields_of(const cJSON *test)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(INTERPOLATE_RESULT_MAX * 2);
    int r = buf_puts(&b, "--health-cmd=CMD");

    for (const cJSON *word = test->child->next; r >= 0 && word; word = word->next)
        r = buf_printf(&b, " %s", word->valuestring);
    return r < 0 ? NULL : buf_take(&b);
}

static char *array_of(const cJSON *test)
{
    _cleanup_(cJSON_Deletep) cJSON *words = cJSON_Duplicate(test, true);
    _cleanup_(freep) char *text = NULL;

    if (words)
        cJSON_DeleteItemFromArray(words, 0);
    text = words ? json_print(words) : NULL;
    return text ? str_format("--health-cmd=%s", text) : NULL;
}

static int add_test(const ComposeService *s, char ***list)
{
    const cJSON *test =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(s->config, "healthcheck"), "test");
    TestForm form = form_of(test);
    _cleanup_(freep) char *option = NULL;

    if (form == FORM_NONE)
        return 0;
    option = form == FORM_FIELDS ? fields_of(test) : array_of(test);
    return option ? add_quoted(list, option) : -ENOMEM;
}

int compose_render_run_args(const ComposeService *s, char ***ret)
{
    _cleanup_(strv_freep) char **list = NULL;
    const char *grace = json_string(s->config, "stop_grace_period");
    int r = 0;

    if (grace) /* "30s" */
        r = strv_addf(&list, "--stop-timeout=%.*s", (int) strcspn(grace, "s"), grace);
    if (r >= 0)
        r = add_test(s, &list);
    if (r >= 0)
        *ret = TAKE_PTR(list);
    return r;
}

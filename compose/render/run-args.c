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

static const struct {
    const char *key, *option;
    const char *usual; /* podman's own way, which is not said */
} options[] = {
    { "cgroup", "--cgroupns", "private" },
    { "cgroup_parent", "--cgroup-parent", NULL },
    { "cpu_period", "--cpu-period", NULL },
    { "cpu_quota", "--cpu-quota", NULL },
    { "cpuset", "--cpuset-cpus", NULL },
    { "device_cgroup_rules", "--device-cgroup-rule", NULL },
    { "dns", "--dns", NULL },
    { "dns_opt", "--dns-option", NULL },
    { "dns_search", "--dns-search", NULL },
    { "group_add", "--group-add", NULL },
    { "ipc", "--ipc", NULL },
    { "memswap_limit", "--memory-swap", NULL },
    { "oom_score_adj", "--oom-score-adj", NULL },
    { "pid", "--pid", "private" },
    { "pids_limit", "--pids-limit", NULL },
    { "userns_mode", "--userns", NULL },
    { "uts", "--uts", "private" },
};

static int add_option(const char *option, const char *value, char ***list)
{
    _cleanup_(freep) char *text = str_format("%s=%s", option, value);

    return text ? add_quoted(list, text) : -ENOMEM;
}

static int add_options(const ComposeService *s, char ***list)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(options); i++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(s->config, options[i].key);

        if (cJSON_IsString(value) && !str_equal(value->valuestring, options[i].usual))
            r = add_option(options[i].option, value->valuestring, list);
        for (const cJSON *item = cJSON_IsArray(value) ? value->child : NULL; r >= 0 && item; item = item->next)
            r = add_option(options[i].option, item->valuestring, list);
    }
    return r;
}

/* Podman gives an alias on every network of the container, so this is right where there is one. */
static int add_aliases(const ComposeService *s, char ***list)
{
    const cJSON *networks = cJSON_GetObjectItemCaseSensitive(s->config, "networks"), *alias;
    int r = 0;

    if (cJSON_GetArraySize(networks) != 1)
        return 0;
    cJSON_ArrayForEach(alias, cJSON_GetObjectItemCaseSensitive(networks->child, "aliases")) {
        if (r >= 0)
            r = add_option("--network-alias", alias->valuestring, list);
    }
    return r;
}

/* An empty one takes the image's away. */
static int add_entrypoint(const ComposeService *s, char ***list)
{
    const cJSON *entrypoint = cJSON_GetObjectItemCaseSensitive(s->config, "entrypoint");

    return entrypoint && !entrypoint->child ? strv_add(list, "--entrypoint=") : 0;
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
        r = add_options(s, &list);
    if (r >= 0)
        r = add_aliases(s, &list);
    if (r >= 0)
        r = add_entrypoint(s, &list);
    if (r >= 0)
        *ret = TAKE_PTR(list);
    return r;
}

/* SPDX-License-Identifier: MIT */
/* Compares a service with what the last push made, key by key; says which keys differ, not how. */
#include "compose/plan/plan-explain.h"

#include <errno.h>
#include <string.h>

#include "compose/plan/service-hash.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define NAMES_SHOWN_MAX 8

typedef struct KeyDiff {
    char **changed;
    char **added;
    char **removed;
} KeyDiff;

static void key_diff_done(KeyDiff *d)
{
    strv_free(d->changed);
    strv_free(d->added);
    strv_free(d->removed);
}

static int diff_objects(const cJSON *before, const cJSON *after, KeyDiff *d)
{
    const cJSON *item;
    int r = 0;

    cJSON_ArrayForEach(item, after) {
        const cJSON *old = cJSON_GetObjectItemCaseSensitive(before, item->string);

        if (!old)
            r = strv_add(&d->added, item->string);
        else if (!cJSON_Compare(old, item, true))
            r = strv_add(&d->changed, item->string);
        if (r < 0)
            return r;
    }
    cJSON_ArrayForEach(item, before) {
        if (!cJSON_HasObjectItem(after, item->string) || !cJSON_GetObjectItemCaseSensitive(after, item->string))
            r = strv_add(&d->removed, item->string);
        if (r < 0)
            return r;
    }
    strv_sort(d->changed);
    strv_sort(d->added);
    strv_sort(d->removed);
    return 0;
}

/* "environment added: A, B and 3 more" */
static int add_names(char ***reasons, const char *what, char *const *names, const char *suffix)
{
    _cleanup_(strv_freep) char **shown = NULL;
    _cleanup_(freep) char *joined = NULL;
    size_t n = strv_length(names);

    if (n == 0)
        return 0;
    for (size_t i = 0; i < n && i < NAMES_SHOWN_MAX; i++)
        if (strv_add(&shown, names[i]) < 0)
            return -ENOMEM;
    joined = strv_join(shown, ", ");
    if (!joined)
        return -ENOMEM;
    if (n > NAMES_SHOWN_MAX)
        return strv_addf(reasons, "%s: %s and %zu more%s", what, joined, n - NAMES_SHOWN_MAX, suffix);
    return strv_addf(reasons, "%s: %s%s", what, joined, suffix);
}

static int explain_environment(const ComposeService *before, const ComposeService *s, char ***reasons)
{
    _cleanup_(key_diff_done) KeyDiff d = {};
    int r = diff_objects(before->environment, s->environment, &d);

    r = r < 0 ? r : add_names(reasons, "environment changed", d.changed, " (values hidden)");
    r = r < 0 ? r : add_names(reasons, "environment added", d.added, "");
    return r < 0 ? r : add_names(reasons, "environment removed", d.removed, "");
}

static int explain_config(const ComposeService *before, const ComposeService *s, char ***reasons)
{
    _cleanup_(key_diff_done) KeyDiff d = {};
    int r = diff_objects(before->config, s->config, &d);

    for (size_t i = 0; r >= 0 && d.changed && d.changed[i]; i++)
        if (!str_equal(d.changed[i], "stop_grace_period"))
            r = strv_addf(reasons, "%s changed", d.changed[i]);
    for (size_t i = 0; r >= 0 && d.added && d.added[i]; i++)
        if (!str_equal(d.added[i], "stop_grace_period"))
            r = strv_addf(reasons, "%s added", d.added[i]);
    for (size_t i = 0; r >= 0 && d.removed && d.removed[i]; i++)
        if (!str_equal(d.removed[i], "stop_grace_period"))
            r = strv_addf(reasons, "%s removed", d.removed[i]);
    return r;
}

static int explain_definitions(const char *kind, char *const *names, const cJSON *before, const cJSON *after,
                               char ***reasons)
{
    for (size_t i = 0; names && names[i]; i++) {
        const cJSON *old = cJSON_GetObjectItemCaseSensitive(before, names[i]);
        const cJSON *new = cJSON_GetObjectItemCaseSensitive(after, names[i]);

        if (old && new && !cJSON_Compare(old, new, true) && strv_addf(reasons, "%s %s changed", kind, names[i]) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int explain_against(const ComposeProject *wanted, const ComposeService *s, const ComposeProject *previous,
                           char ***reasons)
{
    const ComposeService *before = previous ? compose_service_find(previous, s->name) : NULL;
    int r;

    if (!before)
        return 0;
    r = explain_environment(before, s, reasons);
    r = r < 0 ? r : explain_config(before, s, reasons);
    r = r < 0 ? r : explain_definitions("network", s->networks, previous->networks, wanted->networks, reasons);
    return r < 0 ? r : explain_definitions("volume", s->volumes, previous->volumes, wanted->volumes, reasons);
}

static int explain_change(const ComposeProject *wanted, const ComposeService *s, const ComposeProject *previous,
                          const ObservedContainer *o, char ***reasons)
{
    char same_image[SHA256_HEX_SIZE];
    int r = compose_hash_service(wanted, s, o->image_id ? o->image_id : "", same_image);

    if (r < 0)
        return r;
    /* with the container's own image the hash would be another one: then the image is (also) a reason; when
     * that hash is the wanted one, it is none. Otherwise both differ, or only the rest: the last push knows
     * the image's name. */
    if (str_equal(same_image, o->config_hash))
        return strv_add(reasons, "image changed");
    if (!str_equal(same_image, s->config_hash) && strv_add(reasons, "image changed") < 0)
        return -ENOMEM;
    r = explain_against(wanted, s, previous, reasons);
    if (r >= 0 && (strv_length(*reasons) == 0 || (strv_length(*reasons) == 1 && !previous)))
        r = strv_add(reasons, "configuration changed");
    return r;
}

static bool state_is(const ObservedContainer *o, const char *state)
{
    return str_equal(o->state, state);
}

int plan_explain(const ComposeProject *wanted, const ComposeService *s, const ComposeProject *previous,
                 const ObservedContainer *o, char **ret)
{
    _cleanup_(strv_freep) char **reasons = NULL;
    int r = 0;

    if (str_empty(o->config_hash))
        r = strv_add(&reasons, "made by hand or by an older tool");
    else if (!str_equal(o->config_hash, s->config_hash))
        r = explain_change(wanted, s, previous, o, &reasons);
    if (r >= 0 && !str_equal(o->name, s->container_name))
        r = strv_addf(&reasons, "container is called %s", o->name);
    if (r >= 0 && state_is(o, "exited") && (o->exit_code != 0 || !str_equal(s->restart, "no")))
        r = strv_addf(&reasons, "not running (exited %d)", o->exit_code);
    else if (r >= 0 && !state_is(o, "exited") && !state_is(o, "running"))
        r = strv_addf(&reasons, "not running (%s)", o->state ? o->state : "unknown");
    if (r < 0)
        return r;
    *ret = reasons ? strv_join(reasons, "; ") : strdup("");
    return *ret ? 0 : -ENOMEM;
}

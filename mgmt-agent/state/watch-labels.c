/* SPDX-License-Identifier: MIT */
/* A table of labels, each with what it sets. */

#include "mgmt-agent/state/watch-labels.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"

#define VALUE_MAX 1024
#define DEPENDENCIES_MAX 64

static const char *const hook_names[_HOOK_MAX] = {
    [HOOK_PRE_CHECK] = "pre-check",
    [HOOK_PRE_UPDATE] = "pre-update",
    [HOOK_POST_UPDATE] = "post-update",
    [HOOK_POST_CHECK] = "post-check",
};

const char *watch_hook_to_string(WatchHook h)
{
    return (unsigned) h < _HOOK_MAX ? hook_names[h] : "unknown";
}

void watch_labels_done(WatchLabels *l)
{
    free(l->scope);
    strv_free(l->depends_on);
    for (size_t i = 0; i < _HOOK_MAX; i++)
        free(l->hooks[i]);
    free(l->problem);
    *l = (WatchLabels) {};
}

/* What Go's strconv.ParseBool takes, since these labels were first read with it. -EINVAL for anything else. */
static int parse_truth(const char *text)
{
    static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True", NULL }, *const no[] = {
        "0", "f", "F", "false", "FALSE", "False", NULL
    };

    if (strv_contains((char *const *) yes, text))
        return 1;
    return strv_contains((char *const *) no, text) ? 0 : -EINVAL;
}

static int set_enable(WatchLabels *l, const char *value)
{
    int truth = parse_truth(value);

    l->enabled = l->enabled || truth > 0;
    l->disabled = l->disabled || truth == 0;
    return truth < 0 ? truth : 0;
}

static int set_monitor_only(WatchLabels *l, const char *value)
{
    int truth = parse_truth(value);

    l->monitor_only = truth > 0;
    return truth < 0 ? truth : 0;
}

static int set_no_pull(WatchLabels *l, const char *value)
{
    int truth = parse_truth(value);

    l->local = l->local || truth > 0;
    return truth < 0 ? truth : 0;
}

static int set_scope(WatchLabels *l, const char *value)
{
    l->scope = strdup(value);
    return l->scope ? 0 : -ENOMEM;
}

/* Names by comma; watchtower's own come from Docker and may begin with a slash. */
static int set_depends_on(WatchLabels *l, const char *value)
{
    for (const char *p = value; *p;) {
        size_t before = strspn(p, " /"), n = strcspn(p + before, ",");
        size_t len = n;

        while (len > 0 && p[before + len - 1] == ' ')
            len--;
        if (len > 0 && strv_length(l->depends_on) >= DEPENDENCIES_MAX)
            return -EINVAL;
        if (len > 0 && strv_addf(&l->depends_on, "%.*s", (int) len, p + before) < 0)
            return -ENOMEM;
        p += before + n;
        p += *p == ',';
    }
    return 0;
}

static int set_autoupdate(WatchLabels *l, const char *value)
{
    bool local = str_equal(value, "local"), registry = str_equal(value, "registry") || str_equal(value, "image");

    l->local = l->local || local;
    l->enabled = l->enabled || local || registry;
    l->disabled = l->disabled || str_equal(value, "disabled");
    return local || registry || str_equal(value, "disabled") ? 0 : -EINVAL;
}

static const struct {
    const char *name, *expects;
    int (*set)(WatchLabels *l, const char *value);
} simple_labels[] = {
    { WATCH_LABEL "enable", "true or false", set_enable },
    { WATCH_LABEL "monitor-only", "true or false", set_monitor_only },
    { WATCH_LABEL "no-pull", "true or false", set_no_pull },
    { WATCH_LABEL "scope", "a name", set_scope },
    { WATCH_LABEL "depends-on", "names of at most 64 services, separated by commas", set_depends_on },
    { AUTOUPDATE_LABEL, "registry, local or disabled", set_autoupdate },
};

static char *hook_label(WatchHook h, const char *suffix)
{
    return str_format(WATCH_LABEL "lifecycle.%s%s", hook_names[h], suffix);
}

/* Minutes, as in watchtower, where 0 means for ever; nothing runs for ever here. */
static int set_hook_timeout(WatchLabels *l, WatchHook h, const char *value)
{
    uint64_t minutes;

    if (str_to_u64(value, 0, 100000, &minutes) < 0)
        return -EINVAL;
    l->hook_timeout[h] = minutes == 0 || minutes * USEC_PER_MINUTE > HOOK_TIMEOUT_MAX_USEC ? HOOK_TIMEOUT_MAX_USEC
                                                                                           : minutes * USEC_PER_MINUTE;
    return 0;
}

static int note_problem(WatchLabels *l, const char *name, const char *expects)
{
    if (!l->problem)
        l->problem = str_format("its label %s must be %s", name, expects);
    return l->problem ? 0 : -ENOMEM;
}

static int read_hook(const cJSON *labels, WatchHook h, WatchLabels *l)
{
    _cleanup_(freep) char *name = hook_label(h, "");
    _cleanup_(freep) char *timeout_name = hook_label(h, "-timeout");
    const char *command = name ? json_string(labels, name) : NULL;
    const char *timeout = timeout_name ? json_string(labels, timeout_name) : NULL;

    if (!name || !timeout_name)
        return -ENOMEM;
    l->hook_timeout[h] = HOOK_TIMEOUT_DEFAULT_USEC;
    if (timeout && set_hook_timeout(l, h, timeout) < 0 &&
        note_problem(l, timeout_name, "a whole number of minutes") < 0)
        return -ENOMEM;
    if (str_empty(command))
        return 0;
    if (strlen(command) > VALUE_MAX)
        return note_problem(l, name, "a shorter command");
    l->hooks[h] = strdup(command);
    return l->hooks[h] ? 0 : -ENOMEM;
}

int watch_labels_read(const cJSON *labels, WatchLabels *ret)
{
    _cleanup_(watch_labels_done) WatchLabels l = {};
    int r = 0;

    for (size_t i = 0; r == 0 && i < ELEMENTSOF(simple_labels); i++) {
        const char *value = json_string(labels, simple_labels[i].name);

        if (value)
            r = simple_labels[i].set(&l, value);
        if (r == -EINVAL)
            r = note_problem(&l, simple_labels[i].name, simple_labels[i].expects);
    }
    for (size_t h = 0; r == 0 && h < _HOOK_MAX; h++)
        r = read_hook(labels, (WatchHook) h, &l);
    if (r < 0)
        return r;
    *ret = l;
    l = (WatchLabels) {};
    return 0;
}

static int copy_label(const cJSON *labels, const char *name, cJSON *to)
{
    const char *value = name ? json_string(labels, name) : NULL;

    if (!name)
        return -ENOMEM;
    return value && strlen(value) <= VALUE_MAX ? json_add_string(to, name, value) : 0;
}

cJSON *watch_labels_select(const cJSON *labels)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    int r = o ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < ELEMENTSOF(simple_labels); i++)
        r = copy_label(labels, simple_labels[i].name, o);
    for (size_t h = 0; r == 0 && h < _HOOK_MAX; h++) {
        _cleanup_(freep) char *name = hook_label((WatchHook) h, "");
        _cleanup_(freep) char *timeout_name = hook_label((WatchHook) h, "-timeout");

        r = copy_label(labels, name, o);
        if (r == 0)
            r = copy_label(labels, timeout_name, o);
    }
    return r < 0 ? NULL : TAKE_PTR(o);
}

/* SPDX-License-Identifier: MIT */
/* Health checks, limits and security options, each in podman's own structure. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "compose/spec/spec-keys.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

/* --- health checks --- */

static int add_nanoseconds(cJSON *out, const char *key, const cJSON *check, const char *usec_key)
{
    _cleanup_(freep) char *text = NULL;
    uint64_t usec;
    int e = json_u64(check, usec_key, &usec);

    if (e == -ENOENT || (e == 0 && usec == 0))
        return 0;
    if (e < 0 || usec > UINT64_MAX / 1000)
        return -EINVAL;
    text = str_format("%llu", (unsigned long long) usec * 1000);
    return text ? spec_add_number(out, key, text) : -ENOMEM;
}

/* Word for word. The times are those of ComposeService.healthcheck, where defaults are filled in. */
int spec_healthcheck(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    const cJSON *test = cJSON_GetObjectItemCaseSensitive(value, "test"), *check = r->service->healthcheck;
    const cJSON *retries = cJSON_GetObjectItemCaseSensitive(check, "retries");
    cJSON *out;
    int e;

    if (!test) /* the image's own, which is put in when the image is known */
        return 0;
    if (!test->child)
        return spec_unsupported(r, "healthcheck.test", "it must be NONE, CMD or CMD-SHELL with a command");
    out = spec_object(r->out, k->member);
    e = out ? json_add_item(out, "Test", cJSON_Duplicate(test, true)) : -ENOMEM;
    if (e < 0 || str_equal(test->child->valuestring, "NONE"))
        return e;
    e = add_nanoseconds(out, "Interval", check, "interval_usec");
    e = e < 0 ? e : add_nanoseconds(out, "Timeout", check, "timeout_usec");
    e = e < 0 ? e : add_nanoseconds(out, "StartPeriod", check, "start_period_usec");
    e = e < 0 || !cJSON_IsNumber(retries) ? e : json_add_int(out, "Retries", retries->valueint);
    return e == -EINVAL ? spec_unsupported(r, k->key, "a time in it is too long") : e;
}

/* --- limits --- */

/* -1 is unlimited, which the kernel writes as the largest number. */
static int add_rlimit(cJSON *list, const char *name, const char *soft, const char *hard)
{
    static const char unlimited[] = "18446744073709551615";
    cJSON *limit = cJSON_CreateObject();
    int e = limit ? json_append(list, limit) : -ENOMEM;

    e = e < 0 ? e : json_add_string(limit, "type", name);
    e = e < 0 ? e : spec_add_number(limit, "hard", str_equal(hard, "-1") ? unlimited : hard);
    return e < 0 ? e : spec_add_number(limit, "soft", str_equal(soft, "-1") ? unlimited : soft);
}

int spec_ulimits(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    /* an empty list is not the same as none to podman */
    cJSON *list = value->child ? spec_array(r->out, k->member) : NULL;
    const cJSON *limit;

    cJSON_ArrayForEach(limit, value) {
        const char *soft = json_string(limit, "soft"), *hard = json_string(limit, "hard");
        int e = list ? add_rlimit(list, limit->string, soft ? soft : hard, hard ? hard : soft) : -ENOMEM;

        if (e < 0)
            return e == -EINVAL ? spec_unsupported(r, k->key, "a limit is no whole number") : e;
    }
    return 0;
}

static int add_device_number(cJSON *rule, const char *key, const char *text)
{
    return str_equal(text, "*") ? 0 : spec_add_number(rule, key, text);
}

/* "c 188:* rmw" */
static int add_device_rule(cJSON *list, const char *text)
{
    _cleanup_(strv_freep) char **words = spec_split(text, ' ');
    char *colon = strv_length(words) == 3 ? strchr(words[1], ':') : NULL;
    cJSON *rule;
    int e;

    if (!words)
        return -ENOMEM;
    if (!colon || strlen(words[0]) != 1 || !strchr("abc", *words[0]) || !*words[2] ||
        strspn(words[2], "rwm") != strlen(words[2]))
        return -EINVAL;
    *colon = '\0';
    rule = cJSON_CreateObject();
    e = rule ? json_append(list, rule) : -ENOMEM;
    e = e < 0 ? e : json_add_bool(rule, "allow", true);
    e = e < 0 ? e : json_add_string(rule, "type", words[0]);
    e = e < 0 ? e : json_add_string(rule, "access", words[2]);
    e = e < 0 ? e : add_device_number(rule, "major", words[1]);
    return e < 0 ? e : add_device_number(rule, "minor", colon + 1);
}

int spec_device_rules(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    cJSON *list = spec_array(r->out, k->member);
    const cJSON *item;

    cJSON_ArrayForEach(item, value) {
        int e = list && cJSON_IsString(item) ? add_device_rule(list, item->valuestring) : -ENOMEM;

        if (e < 0)
            return e == -EINVAL ? spec_unsupported(r, k->key, "a rule is not like \"c 188:* rwm\"") : e;
    }
    return list ? 0 : -ENOMEM;
}

/* --- signals --- */

/* "SIGUSR1", "USR1", "10", "RTMIN+3", "RTMAX-3"; 0 when it is none. */
static int signal_number(const char *text)
{
    uint64_t number, offset = 0;

    if (str_to_u64(text, 1, 64, &number) == 0)
        return (int) number;
    if (strncasecmp(text, "SIG", 3) == 0)
        text += 3;
    if (strncasecmp(text, "RTMIN", 5) == 0 && (!text[5] || text[5] == '+'))
        return !text[5] || str_to_u64(text + 6, 0, 30, &offset) == 0 ? 34 + (int) offset : 0;
    if (strncasecmp(text, "RTMAX", 5) == 0 && (!text[5] || text[5] == '-'))
        return !text[5] || str_to_u64(text + 6, 0, 30, &offset) == 0 ? 64 - (int) offset : 0;
    if (strcasecmp(text, "IOT") == 0)
        return SIGABRT;
    if (strcasecmp(text, "CLD") == 0)
        return SIGCHLD;
    if (strcasecmp(text, "IO") == 0)
        return SIGIO;
    for (int i = 1; i < 32; i++)
        if (sigabbrev_np(i) && strcasecmp(sigabbrev_np(i), text) == 0)
            return i;
    return 0;
}

int spec_signal(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    const char *text = cJSON_GetStringValue(value);
    int number = text ? signal_number(text) : 0;

    return number ? json_add_int(r->out, k->member, number) : spec_unsupported(r, k->key, "there is no such signal");
}

/* --- security --- */

/* What `podman inspect` shows as SecurityOpt is read from annotations. */
static int annotate(const SpecService *r, const char *name, const char *value)
{
    cJSON *annotations = spec_object(r->out, "annotations");

    if (!annotations)
        return -ENOMEM;
    cJSON_DeleteItemFromObjectCaseSensitive(annotations, name);
    return json_add_string(annotations, name, value);
}

/* The word is podman's own, and its command line turns it into this. */
int spec_groups(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    const cJSON *item;
    bool keeps = false, names = false;

    cJSON_ArrayForEach(item, value) {
        bool keep = cJSON_IsString(item) && str_equal(item->valuestring, "keep-groups");

        keeps = keeps || keep;
        names = names || !keep;
    }
    if (keeps && names)
        return spec_unsupported(r, k->key, "\"keep-groups\" stands alone, podman takes no other group beside it");
    return keeps ? annotate(r, "run.oci.keep_original_groups", "1") : spec_strings(r, k, value);
}

static int add_label_option(const SpecService *r, const char *value)
{
    cJSON *list = spec_array(r->out, "selinux_opts");
    _cleanup_(strv_freep) char **all = NULL;
    _cleanup_(freep) char *joined = NULL;
    const cJSON *item;

    if (!list || json_append(list, cJSON_CreateString(value)) < 0)
        return -ENOMEM;
    cJSON_ArrayForEach(item, list) {
        if (strv_add(&all, item->valuestring) < 0)
            return -ENOMEM;
    }
    joined = strv_join(all, ",label=");
    return joined ? annotate(r, "io.podman.annotations.label", joined) : -ENOMEM;
}

static int add_paths(const SpecService *r, const char *member, const char *value, char separator)
{
    _cleanup_(strv_freep) char **paths = separator ? spec_split(value, separator) : NULL;
    cJSON *list = spec_array(r->out, member);
    int e = list && (paths || !separator) ? 0 : -ENOMEM;

    if (e == 0 && !separator)
        return json_append(list, cJSON_CreateString(value));
    for (size_t i = 0; e == 0 && paths[i]; i++)
        e = json_append(list, cJSON_CreateString(paths[i]));
    return e;
}

static int add_security(const SpecService *r, const char *name, const char *value)
{
    int e;

    if (str_equal(name, "no-new-privileges"))
        return str_equal(value, "true") ? json_add_bool(r->out, "no_new_privileges", true) : 0;
    if (str_equal(name, "apparmor")) {
        e = json_add_string(r->out, "apparmor_profile", value);
        return e < 0 ? e : annotate(r, "io.podman.annotations.apparmor", value);
    }
    if (str_equal(name, "seccomp")) {
        e = json_add_string(r->out, "seccomp_profile_path", value);
        return e < 0 ? e : annotate(r, "io.podman.annotations.seccomp", value);
    }
    if (str_equal(name, "label"))
        return add_label_option(r, value);
    if (str_equal(name, "mask"))
        return add_paths(r, "mask", value, ':');
    if (str_equal(name, "unmask"))
        return add_paths(r, "unmask", value, '\0');
    if (str_equal(name, "proc-opts"))
        return add_paths(r, "procfs_opts", value, ',');
    if (str_equal(name, "systempaths") && str_equal(value, "unconfined"))
        return add_paths(r, "unmask", "ALL", '\0');
    return -EINVAL;
}

/* "NAME=VALUE", "NAME:VALUE", "no-new-privileges" */
int spec_security(const SpecService *r, const ComposeKey *k, const cJSON *value)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, value) {
        const char *text = cJSON_IsString(item) ? item->valuestring : "";
        size_t n = strchr(text, '=') ? strcspn(text, "=") : strcspn(text, ":");
        _cleanup_(freep) char *name = strndup(text, n);
        int e = name ? add_security(r, name, text[n] ? text + n + 1 : "true") : -ENOMEM;

        if (e < 0)
            return e == -EINVAL ? spec_unsupported(r, k->key, "podman has no such option") : e;
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* Limits and counts: sizes, processors, ulimits, and what `deploy` says about them. */
#include <errno.h>
#include <string.h>

#include "compose/normalise/normalise.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

static int put_size(const Place *at, ComposeService *s, const char *key)
{
    const char *text = NULL;
    uint64_t size = 0;
    int r = take_text(at, &text);

    if (r < 0)
        return r;
    if (str_equal(text, "-1") && str_equal(key, "memswap_limit"))
        return put_text(s->config, key, "-1");
    r = take_size(at, &size);
    if (r < 0)
        return r;
    if (size == 0)
        return place_fail(at, EINVAL, "compose.bad-value", "a size of 0 limits nothing; remove `%s`", at->key);
    return put_number(s->config, key, size);
}

int normalise_size(const Place *at, const Normaliser *n, ComposeService *s)
{
    (void) n;
    return put_size(at, s, at->key);
}

static int put_integer(const Place *at, ComposeService *s, const char *key, int64_t min, int64_t max)
{
    _cleanup_(freep) char *text = NULL;
    int64_t value = 0;
    int r = take_integer(at, min, max, &value);

    if (r < 0)
        return r;
    text = str_format("%lld", (long long) value);
    return text ? put_text(s->config, key, text) : -ENOMEM;
}

int normalise_cpu_shares(const Place *at, const Normaliser *n, ComposeService *s)
{
    (void) n;
    return put_integer(at, s, at->key, 2, 262144);
}

/* Microseconds, within what the kernel takes. */
int normalise_cpu_time(const Place *at, const Normaliser *n, ComposeService *s)
{
    (void) n;
    return put_integer(at, s, at->key, 1000, str_equal(at->key, "cpu_period") ? 1000000 : INT32_MAX);
}

/* -1 is no limit; 0 limits nothing in podman, and everything elsewhere */
int normalise_pids(const Place *at, const Normaliser *n, ComposeService *s)
{
    int64_t value = 0;
    int r = take_integer(at, -1, INT32_MAX, &value);

    (void) n;
    if (r >= 0 && value == 0)
        return place_fail(at, EINVAL, "compose.bad-value", "`pids_limit` is a number from 1 on, or -1 for no limit");
    return r < 0 ? r : put_integer(at, s, at->key, -1, INT32_MAX);
}

/* A negative one would have the kernel end the box's own programs, and the way in, before the container. */
int normalise_oom_score(const Place *at, const Normaliser *n, ComposeService *s)
{
    (void) n;
    return put_integer(at, s, at->key, 0, 1000);
}

/* Digits with one optional fraction, without zeros that say nothing: 0.50 and .5 are both 0.5. */
static int put_cpus(const Place *at, ComposeService *s)
{
    _cleanup_(freep) char *text = NULL;
    const char *value = NULL;
    size_t whole, fraction = 0, keep;
    int r = take_text(at, &value);

    if (r < 0)
        return r;
    if (cJSON_HasObjectItem(s->config, "cpu_quota") || cJSON_HasObjectItem(s->config, "cpu_period"))
        return place_fail(
            at, EINVAL, "compose.bad-value",
            "the service sets `cpu_quota` or `cpu_period`, too, which say the same; remove them or `cpus`");
    value += strspn(value, "0");
    whole = strspn(value, "0123456789");
    if (value[whole] == '.')
        fraction = strspn(value + whole + 1, "0123456789");
    if (strlen(value) != whole + (value[whole] == '.') + fraction || whole > 4 || fraction > 9)
        return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is no number of processors, like 1.5",
                          at->node->value);
    for (keep = fraction; keep > 0 && value[whole + keep] == '0';)
        keep--;
    if (whole + keep == 0)
        return place_fail(at, EINVAL, "compose.bad-value", "0 processors limits nothing; remove `%s`", at->key);
    text = str_format("%.*s%s%.*s", whole ? (int) whole : 1, whole ? value : "0", keep ? "." : "", (int) keep,
                      keep ? value + whole + 1 : "");
    return text ? put_text(s->config, "cpus", text) : -ENOMEM;
}

int normalise_cpus(const Place *at, const Normaliser *n, ComposeService *s)
{
    (void) n;
    return put_cpus(at, s);
}

static int put_limit(const Place *at, cJSON *limit, const char *key)
{
    _cleanup_(freep) char *text = NULL;
    int64_t value = 0;
    int r;

    if (!at->node)
        return place_fail(at, EINVAL, "compose.bad-value", "an ulimit has both `soft` and `hard`");
    r = take_integer(at, -1, INT64_MAX, &value);
    if (r < 0)
        return r;
    text = str_format("%lld", (long long) value);
    return text ? put_text(limit, key, text) : -ENOMEM;
}

int normalise_ulimits(const Place *at, const Normaliser *n, ComposeService *s)
{
    cJSON *ulimits = put_object(s->config, at->key);

    (void) n;
    if (!ulimits)
        return -ENOMEM;
    for (size_t i = 0; i < at->node->n_items; i++) {
        Place item = place_child(at, i);
        bool both = item.node->type == YAML_SCALAR;
        Place soft = both ? item : place_member(&item, "soft");
        Place hard = both ? item : place_member(&item, "hard");
        cJSON *limit = put_object(ulimits, item.key);
        int r = limit ? put_limit(&soft, limit, "soft") : -ENOMEM;

        if (r >= 0)
            r = put_limit(&hard, limit, "hard");
        if (r < 0)
            return r;
    }
    members_sort(ulimits);
    return 0;
}

int normalise_scale(const Place *at, const Normaliser *n, ComposeService *s)
{
    const char *text = NULL;
    uint64_t times = 0;
    int r = take_text(at, &text);

    (void) n;
    if (r < 0)
        return r;
    if (str_to_u64(text, 1, COMPOSE_SERVICES_MAX, &times) < 0)
        return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is no number from 0 to %d", text,
                          COMPOSE_SERVICES_MAX);
    if (s->replicas > 0 && s->replicas != times)
        return place_fail(at, EINVAL, "compose.bad-value", "the service says `scale: %u`, too; remove one of them",
                          s->replicas);
    s->replicas = (unsigned) times;
    return 0;
}

static int put_resource(const Place *at, const char *key, const char *as, ComposeService *s)
{
    Place member = place_member(at, key);

    if (!member.node || yaml_is_null(member.node))
        return 0;
    if (cJSON_GetObjectItemCaseSensitive(s->config, as))
        return place_fail(&member, EINVAL, "compose.bad-value", "the service sets `%s`, too; remove one of them", as);
    if (str_equal(as, "cpus"))
        return put_cpus(&member, s);
    return put_size(&member, s, as);
}

/* It counts, and not `restart`; `delay` and `window` are a swarm's. */
static int take_restart_policy(const Place *at, const Normaliser *n, ComposeService *s)
{
    static const char *const words[][2] = {
        { "none", "no" },    { "no", "no" },         { "on-failure", "on-failure" },
        { "any", "always" }, { "always", "always" }, { "unless-stopped", "unless-stopped" },
    };
    Place condition = place_member(at, "condition"), attempts = place_member(at, "max_attempts");
    const char *text = "any", *word = NULL;
    _cleanup_(freep) char *restart = NULL;
    int64_t times = 0;
    int r = condition.node && !yaml_is_null(condition.node) ? take_text(&condition, &text) : 0;

    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(words); i++)
        word = str_equal(text, words[i][0]) ? words[i][1] : word;
    if (r >= 0 && !word)
        return place_fail(&condition, EINVAL, "compose.bad-value", "\"%s\" is not none, on-failure or any", text);
    if (r >= 0 && attempts.node && !yaml_is_null(attempts.node))
        r = take_integer(&attempts, 0, 1000000, &times);
    if (r < 0)
        return r;
    if (times > 0 && !str_equal(word, "on-failure")) {
        if (n->options->ran_before)
            times = 0;
        else
            return place_fail(&attempts, EINVAL, "compose.bad-value",
                              "`max_attempts` counts with `condition: on-failure` alone; say that, or remove it");
    }
    restart = times > 0 ? str_format("%s:%lld", word, (long long) times) : strdup(word);
    if (!restart)
        return -ENOMEM;
    cJSON_DeleteItemFromObjectCaseSensitive(s->config, "restart");
    free(s->restart);
    s->restart = TAKE_PTR(restart);
    return put_text(s->config, "restart", s->restart);
}

static int put_pids(const Place *at, ComposeService *s)
{
    if (!at->node || yaml_is_null(at->node))
        return 0;
    if (cJSON_GetObjectItemCaseSensitive(s->config, "pids_limit"))
        return place_fail(at, EINVAL, "compose.bad-value", "the service sets `pids_limit`, too; remove one of them");
    return put_integer(at, s, "pids_limit", 1, INT32_MAX);
}

/* Runs last, so that it can see what the service itself says. */
int normalise_deploy(const Place *at, const Normaliser *n, ComposeService *s)
{
    Place replicas = place_member(at, "replicas"), mode = place_member(at, "mode");
    Place resources = place_member(at, "resources"), policy = place_member(at, "restart_policy");
    Place limits = place_member(&resources, "limits"), reservations = place_member(&resources, "reservations");
    Place devices = place_member(&reservations, "devices"), pids = place_member(&limits, "pids");
    const char *text = NULL;
    int r = replicas.node ? normalise_scale(&replicas, n, s) : 0;

    if (r >= 0 && mode.node)
        r = take_text(&mode, &text);
    if (r >= 0 && text && !str_equal(text, "replicated") && !str_equal(text, "global"))
        return place_fail(&mode, EINVAL, "compose.unsupported-key", "\"%s\" makes no sense on one box; remove `mode`",
                          text);
    if (r >= 0 && policy.node && !yaml_is_null(policy.node))
        r = take_restart_policy(&policy, n, s);
    if (r >= 0)
        r = put_pids(&pids, s);
    if (r >= 0)
        r = put_resource(&limits, "cpus", "cpus", s);
    if (r >= 0)
        r = put_resource(&limits, "memory", "mem_limit", s);
    if (r >= 0)
        r = put_resource(&reservations, "memory", "mem_reservation", s);
    return r < 0 || !devices.node || yaml_is_null(devices.node) ? r : normalise_gpus(&devices, n, s);
}

/* SPDX-License-Identifier: MIT */
/* Groups of a rollout: their text, and who belongs to which. */
#include "gateway/rollouts/rollout-groups.h"

#include <errno.h>
#include <string.h>

#include "gateway/rollouts/rollout-plan.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"

#define CANARY_PREFIX "canary="
#define LABEL_PREFIX "label:"
#define CANARY_LABEL "rollout"
#define CANARY_VALUE "canary"
#define CANARIES_MAX 1000

static void group_done(RolloutGroup *g)
{
    free(g->name);
    free(g->key);
    free(g->value);
}

void rollout_groups_done(RolloutGroups *g)
{
    for (size_t i = 0; i < g->n; i++)
        group_done(&g->list[i]);
    free(g->list);
    *g = (RolloutGroups) {};
}

/* Digits of a fraction, as hundredths: "5" is 50, "05" is 5. */
static int parse_fraction(const char *text, size_t len, unsigned *ret)
{
    if (len < 1 || len > 2 || strspn(text, "0123456789") < len)
        return -EINVAL;
    *ret = (unsigned) (text[0] - '0') * 10 + (len == 2 ? (unsigned) (text[1] - '0') : 0);
    return 0;
}

int rollout_share_parse(const char *text, unsigned *ret)
{
    size_t whole_len = strspn(text, "0123456789"), len = strlen(text);
    unsigned fraction = 0;
    uint64_t whole;
    if (whole_len == 0 || whole_len > 3 || text[len - 1] != '%')
        return -EINVAL;
    if (whole_len != len - 1 &&
        (text[whole_len] != '.' || parse_fraction(text + whole_len + 1, len - whole_len - 2, &fraction) < 0))
        return -EINVAL;
    _cleanup_(freep) char *digits = strndup(text, whole_len);
    if (!digits)
        return -ENOMEM;
    if (str_to_u64(digits, 0, 100, &whole) < 0 || (whole == 100 && fraction > 0))
        return -EINVAL;
    *ret = (unsigned) whole * ROLLOUT_PERCENT + fraction;
    return 0;
}

static int parse_label(const char *text, RolloutGroup *ret, Error *err)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || equals[1] == '\0')
        return error_set(err, EINVAL, "rollout.bad-groups", "a group of a label is label:KEY=VALUE, not \"%s%s\"",
                         LABEL_PREFIX, text);
    ret->key = strndup(text, (size_t) (equals - text));
    ret->value = strdup(equals + 1);
    return ret->key && ret->value ? 0 : -ENOMEM;
}

static int parse_group(const char *text, unsigned share_before, RolloutGroup *ret, Error *err)
{
    uint64_t canaries;
    ret->name = strdup(text);
    if (!ret->name)
        return -ENOMEM;
    if (str_starts(text, CANARY_PREFIX)) {
        if (str_to_u64(text + strlen(CANARY_PREFIX), 1, CANARIES_MAX, &canaries) < 0)
            return error_set(err, EINVAL, "rollout.bad-groups", "canary= takes a number from 1 to %d, not \"%s\"",
                             CANARIES_MAX, text + strlen(CANARY_PREFIX));
        ret->canaries = (unsigned) canaries;
        return 0;
    }
    if (str_starts(text, LABEL_PREFIX))
        return parse_label(text + strlen(LABEL_PREFIX), ret, err);
    if (rollout_share_parse(text, &ret->share) < 0 || ret->share == 0)
        return error_set(err, EINVAL, "rollout.bad-groups",
                         "\"%s\" is no group: give canary=N, label:KEY=VALUE or N%%, like %s", text,
                         ROLLOUT_GROUPS_DEFAULT);
    if (ret->share <= share_before)
        return error_set(err, EINVAL, "rollout.bad-groups",
                         "the group %s adds nothing: shares are of all boxes, each greater than the one before", text);
    return 0;
}

int rollout_groups_parse(const char *text, RolloutGroups *ret, Error *err)
{
    RolloutGroups g = { .list = calloc(ROLLOUT_GROUPS_MAX, sizeof(RolloutGroup)) };
    _cleanup_(freep) char *copy = strdup(text);
    char *rest = copy;
    unsigned share = 0;
    int r = g.list && copy ? 0 : -ENOMEM;
    for (char *part = strsep(&rest, ","); r >= 0 && part; part = strsep(&rest, ",")) {
        if (g.n == ROLLOUT_GROUPS_MAX) {
            r = error_set(err, EINVAL, "rollout.bad-groups", "a rollout has at most %d groups", ROLLOUT_GROUPS_MAX);
            break;
        }
        RolloutGroup *group = &g.list[g.n++];
        r = parse_group(part, share, group, err);
        if (group->share > 0)
            share = group->share;
    }
    if (r < 0) {
        rollout_groups_done(&g);
        return error_from_errno(err, r, "reading the groups");
    }
    *ret = g;
    return 0;
}

static int by_hash(const void *a, const void *b)
{
    const RolloutCandidate *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return strcmp(x->id, y->id);
}

static int hash_of(const char *rollout, const char *box, uint64_t *ret)
{
    uint8_t digest[SHA256_SIZE];
    _cleanup_(freep) char *text = str_format("%s/%s", rollout, box);
    if (!text || sha256(text, strlen(text), digest) < 0)
        return -ENOMEM;
    *ret = 0;
    for (size_t i = 0; i < sizeof(*ret); i++)
        *ret = *ret << 8 | digest[i];
    return 0;
}

static bool has_label(const RolloutCandidate *box, const char *key, const char *value)
{
    return str_equal(json_string(box->labels, key), value);
}

/* Gives up to `max` boxes without a group this one; of those with the label, where there is one. */
static size_t take(RolloutCandidate *boxes, size_t n, int group, const char *key, const char *value, size_t max)
{
    size_t taken = 0;
    for (size_t i = 0; i < n && taken < max; i++) {
        if (boxes[i].group >= 0 || (key && !has_label(&boxes[i], key, value)))
            continue;
        boxes[i].group = group;
        taken++;
    }
    return taken;
}

static bool any_labelled(const RolloutCandidate *boxes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (has_label(&boxes[i], CANARY_LABEL, CANARY_VALUE))
            return true;
    return false;
}

int rollout_assign(const RolloutGroups *groups, const char *rollout, RolloutCandidate *boxes, size_t n)
{
    size_t taken = 0;
    for (size_t i = 0; i < n; i++) {
        boxes[i].group = -1;
        if (hash_of(rollout, boxes[i].id, &boxes[i].hash) < 0)
            return -ENOMEM;
    }
    if (n > 0)
        qsort(boxes, n, sizeof(*boxes), by_hash);
    for (size_t i = 0; i < groups->n; i++) {
        const RolloutGroup *g = &groups->list[i];
        if (g->key) {
            taken += take(boxes, n, (int) i, g->key, g->value, n);
        } else if (g->canaries > 0) {
            const char *label = any_labelled(boxes, n) ? CANARY_LABEL : NULL;
            taken += take(boxes, n, (int) i, label, CANARY_VALUE, g->canaries);
        } else {
            size_t target = (n * g->share + ROLLOUT_WHOLE - 1) / ROLLOUT_WHOLE;
            taken += target > taken ? take(boxes, n, (int) i, NULL, NULL, target - taken) : 0;
        }
    }
    return 0;
}

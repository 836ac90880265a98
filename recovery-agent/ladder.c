/* SPDX-License-Identifier: MIT */
/* Steps become due by time, one after the other; a budget that survives reboots bounds them. */
#include "recovery-agent/ladder.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

/* When all that may be tried was tried, from the restart again. */
#define AGAIN_AFTER (30 * USEC_PER_MINUTE)

static const char *const step_names[_STEPS] = {
    [STEP_NONE] = "none",         [STEP_RECONNECT] = "reconnect", [STEP_RESTART] = "restart",
    [STEP_RECREATE] = "recreate", [STEP_REBOOT] = "reboot",
};

static const struct {
    LadderStep step;
    unsigned count;
    usec_t window;
} limits[] = {
    { STEP_RESTART, 1, 2 * USEC_PER_MINUTE },   { STEP_RESTART, 10, USEC_PER_DAY },
    { STEP_RECREATE, 1, 10 * USEC_PER_MINUTE }, { STEP_RECREATE, 4, USEC_PER_DAY },
    { STEP_REBOOT, 1, USEC_PER_HOUR },          { STEP_REBOOT, 3, USEC_PER_DAY },
};

const char *ladder_step_name(LadderStep step)
{
    return step_names[step];
}

/* At least so much time has passed. A clock that jumped after the boot must not make it more. */
static usec_t age_of(const BudgetEntry *e, const LadderTime *now)
{
    if (str_equal(e->boot_id, now->boot_id))
        return now->boottime > e->boottime ? now->boottime - e->boottime : 0;
    if (e->wall > 0 && now->wall > e->wall && (now->wall - e->wall) > now->boottime / USEC_PER_SEC)
        return (now->wall - e->wall) * USEC_PER_SEC;
    return now->boottime;
}

unsigned budget_left(const Budget *b, LadderStep step, const LadderTime *now)
{
    unsigned left = step == STEP_NONE || step == STEP_RECONNECT ? 1 : BUDGET_ENTRIES_MAX;
    for (size_t k = 0; k < ELEMENTSOF(limits); k++) {
        unsigned used = 0;
        if (limits[k].step != step)
            continue;
        for (size_t i = 0; i < b->n; i++)
            used += b->entries[i].step == step && age_of(&b->entries[i], now) < limits[k].window;
        unsigned rest = used < limits[k].count ? limits[k].count - used : 0;
        left = rest < left ? rest : left;
    }
    return left;
}

static void remove_at(Budget *b, size_t i)
{
    memmove(&b->entries[i], &b->entries[i + 1], (b->n - i - 1) * sizeof(*b->entries));
    b->n--;
}

void budget_spend(Budget *b, LadderStep step, const LadderTime *now)
{
    for (size_t i = b->n; i > 0; i--)
        if (age_of(&b->entries[i - 1], now) >= USEC_PER_DAY)
            remove_at(b, i - 1);
    if (b->n == BUDGET_ENTRIES_MAX)
        remove_at(b, 0);
    BudgetEntry *e = &b->entries[b->n++];
    *e = (BudgetEntry) { .step = step, .boottime = now->boottime, .wall = now->wall };
    memcpy(e->boot_id, now->boot_id, strnlen(now->boot_id, BOOT_ID_SIZE - 1));
}

void budget_refund(Budget *b)
{
    if (b->n > 0)
        b->n--;
}

cJSON *budget_to_json(const Budget *b)
{
    _cleanup_(cJSON_Deletep) cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; array && i < b->n; i++) {
        const BudgetEntry *e = &b->entries[i];
        _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
        if (!o || json_add_string(o, "step", step_names[e->step]) < 0 || json_add_u64(o, "uptime", e->boottime) < 0 ||
            json_add_u64(o, "at", e->wall) < 0 || json_add_string(o, "boot", e->boot_id) < 0 ||
            json_append(array, TAKE_PTR(o)) < 0)
            return NULL;
    }
    return TAKE_PTR(array);
}

static int entry_from_json(const cJSON *o, BudgetEntry *ret)
{
    const char *step = json_string(o, "step"), *boot_id = json_string(o, "boot");
    BudgetEntry e = {};
    if (!step || !boot_id || strlen(boot_id) >= BOOT_ID_SIZE || json_u64(o, "uptime", &e.boottime) < 0 ||
        json_u64(o, "at", &e.wall) < 0)
        return -EINVAL;
    memcpy(e.boot_id, boot_id, strlen(boot_id));
    for (LadderStep s = STEP_RESTART; s < _STEPS; s++)
        if (str_equal(step, step_names[s]))
            e.step = s;
    if (e.step == STEP_NONE)
        return -EINVAL;
    *ret = e;
    return 0;
}

int budget_from_json(const cJSON *array, Budget *ret)
{
    Budget b = {};
    const cJSON *i;
    if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) > BUDGET_ENTRIES_MAX)
        return -EINVAL;
    cJSON_ArrayForEach(i, array)
        if (entry_from_json(i, &b.entries[b.n++]) < 0)
            return -EINVAL;
    *ret = b;
    return 0;
}

static bool may(LadderStep step, const LadderOptions *o, const LadderInput *in)
{
    switch (step) {
    case STEP_RECONNECT:
        return in->tunnel_up && !in->no_service;
    case STEP_RESTART:
    case STEP_RECREATE:
        return in->was_healthy && !in->no_service;
    case STEP_REBOOT:
        /* a line or a gateway that is down is no reason to reboot: this box itself must show the fault */
        return o->reboot && in->was_healthy && in->local;
    default:
        return false;
    }
}

static usec_t due_after(LadderStep step, const LadderOptions *o, bool local)
{
    usec_t after = step == STEP_RECONNECT  ? 0
                   : step == STEP_RESTART  ? o->restart_after
                   : step == STEP_RECREATE ? o->recreate_after
                                           : o->reboot_after;
    /* the later steps keep their distance from a restart that waits longer */
    if (!local && step >= STEP_RESTART)
        after += o->remote_after;
    return after;
}

LadderStep ladder_next(Ladder *l, const LadderOptions *o, const Budget *b, const LadderInput *in)
{
    usec_t now = in->now.boottime;
    if (!in->wedged) {
        *l = (Ladder) {};
        return STEP_NONE;
    }
    if (!o->act || in->operator_in || now < l->not_before)
        return STEP_NONE;
    if (l->last >= STEP_RESTART && now >= l->not_before + AGAIN_AFTER)
        l->last = STEP_RECONNECT;
    for (LadderStep step = l->last + 1; step < _STEPS; step++)
        if (may(step, o, in) && now >= in->since + due_after(step, o, in->local) && budget_left(b, step, &in->now) > 0)
            return step;
    return STEP_NONE;
}

bool ladder_misses_reboot(const LadderOptions *o, const Budget *b, const LadderInput *in)
{
    if (!in->wedged || !o->act || in->operator_in || !may(STEP_REBOOT, o, in) ||
        in->now.boottime < in->since + due_after(STEP_REBOOT, o, in->local))
        return false;
    for (size_t i = 0; i < b->n; i++) {
        const BudgetEntry *e = &b->entries[i];
        if (e->step == STEP_REBOOT && str_equal(e->boot_id, in->now.boot_id) && age_of(e, &in->now) < USEC_PER_HOUR)
            return true;
    }
    return false;
}

void ladder_ended(Ladder *l, const LadderOptions *o, LadderStep step, bool taken, usec_t now)
{
    if (taken)
        l->last = step;
    l->not_before = now + (!taken ? o->settle / 3 : step == STEP_RECONNECT ? 0 : o->settle);
}

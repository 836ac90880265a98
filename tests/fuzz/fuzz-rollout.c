/* SPDX-License-Identifier: MIT */
/* Groups and shares of a rollout: what is refused has a reason; what is taken gives every box one group at most, and never
 * more boxes than its shares say. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/rollouts/rollout-groups.h"
#include "gateway/rollouts/rollout-plan.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_assignment(const RolloutGroups *g)
{
    static const char *const ids[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n" };
    RolloutCandidate boxes[ELEMENTSOF(ids)];
    size_t taken = 0;

    for (size_t i = 0; i < ELEMENTSOF(ids); i++)
        boxes[i] = (RolloutCandidate) { .id = ids[i] };
    if (rollout_assign(g, "r", boxes, ELEMENTSOF(ids)) < 0)
        return;
    for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
        if (boxes[i].group >= (int) g->n || (i > 0 && boxes[i].hash < boxes[i - 1].hash))
            abort();
        taken += boxes[i].group >= 0;
    }
    if (g->list[g->n - 1].share == ROLLOUT_WHOLE && taken != ELEMENTSOF(ids))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = strndup((const char *) data, size);
    RolloutGroups g = {};
    Error err = {};
    unsigned share = 0;

    if (!text)
        return 0;
    if (rollout_share_parse(text, &share) >= 0 && share > ROLLOUT_WHOLE)
        abort();
    if (rollout_groups_parse(text, &g, &err) < 0) {
        if (!err.id || !err.message || g.list)
            abort();
    } else {
        if (err.id || g.n == 0 || g.n > ROLLOUT_GROUPS_MAX)
            abort();
        check_assignment(&g);
    }
    rollout_groups_done(&g);
    error_done(&err);
    return 0;
}

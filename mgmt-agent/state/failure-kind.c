/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/failure-kind.h"

#include "lib/base/strv.h"

/* Ids, and beginnings of ids that end with a dot. That an agent was stopped, a disk was full or podman hung says nothing against
 * an image. */
static const struct {
    const char *id;
    FailureKind kind;
} kinds[] = {
    { "prove.", FAILURE_OF_IMAGE },          { "apply.not-started", FAILURE_OF_IMAGE },
    { "update.hook", FAILURE_OF_IMAGE },     { "confirm.deadline", FAILURE_OF_IMAGE },
    { "update.not-now", FAILURE_PUT_OFF },   { "update.locked", FAILURE_PUT_OFF },
    { "update.too-young", FAILURE_PUT_OFF }, { "update.failed-before", FAILURE_PUT_OFF },
    { "update.not-here", FAILURE_NOT_HERE },
};

FailureKind failure_kind(const char *error_id)
{
    for (size_t i = 0; error_id && i < ELEMENTSOF(kinds); i++)
        if (str_ends(kinds[i].id, ".") ? str_starts(error_id, kinds[i].id) : str_equal(error_id, kinds[i].id))
            return kinds[i].kind;
    return FAILURE_OTHER;
}

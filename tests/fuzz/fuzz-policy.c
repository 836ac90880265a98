/* SPDX-License-Identifier: MIT */
/* Reads any bytes as policy.json, and asks what was read about keys, paths and images. */
#include <stddef.h>
#include <stdint.h>

#include "compose/policy/policy-internal.h"
#include "lib/base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(policy_freep) ComposePolicy *policy = NULL;
    _cleanup_(error_done) Error err = {};
    int r = policy_parse((const char *) data, size, "policy.json", &policy, &err);

    if ((r < 0) != (policy == NULL))
        abort();
    if (r < 0)
        return 0;
    /* whatever the box's file says, the root folder stays closed */
    if (policy_allows_bind(policy, "web", "/", true) || policy_allows_bind(policy, "web", "/srv/../etc", false))
        abort();
    (void) policy_allows(policy, "web", "cap_add", "NET_ADMIN");
    (void) policy_allows(policy, NULL, "devices", NULL);
    (void) policy_allows_bind(policy, "web", "/mnt/recordings", false);
    (void) policy_allows_image(policy, "registry.example.com/web:1");
    return 0;
}

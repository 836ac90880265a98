/* SPDX-License-Identifier: MIT */
#include "recovery-agent/main-way.h"

#include "lib/base/strv.h"

bool main_way_has_device(const cJSON *result)
{
    return str_equal(json_string(result, "device"), "ok");
}

/* The container that holds the device tunnel need not be deployed: then there is the management tunnel. Whether it is may be
 * unknown for long, since mgmt-agent tells: then a device tunnel is missed only where there was one, and otherwise nothing is
 * missed. NULL: nothing is said. */
static const char *choose(MainWay *w, const MainWayInput *in)
{
    const char *device = json_string(in->result, "device"), *mgmt = json_string(in->result, "mgmt");
    bool offline = str_equal(device, "offline");
    bool by_device = main_way_has_device(in->result) || in->deployed == DEPLOYED_YES ||
                     (in->deployed == DEPLOYED_UNKNOWN && (in->had_device || !offline));
    const char *name = by_device ? "device" : "management";
    if (!str_equal(name, w->name))
        w->offline_since = 0;
    w->name = name;
    if (by_device)
        return device;
    return in->deployed == DEPLOYED_NO || str_equal(mgmt, "ok") ? mgmt : NULL;
}

/* Tunnels are lost together when the gateway restarts, and come back one by one: being offline counts after a while, of which
 * we ourselves were connected. */
CheckResult main_way_judge(MainWay *w, const MainWayInput *in)
{
    const char *state = choose(w, in);
    if (!str_equal(state, "offline"))
        w->offline_since = 0;
    w->silent = str_equal(state, "silent");
    if (str_equal(state, "ok"))
        return CHECK_GOOD;
    if (w->silent)
        return CHECK_BAD;
    if (!str_equal(state, "offline"))
        return CHECK_UNKNOWN;
    if (w->offline_since == 0)
        w->offline_since = in->now;
    return in->now - w->offline_since >= in->patience && in->now - in->up_since >= in->patience ? CHECK_BAD
                                                                                                : CHECK_UNKNOWN;
}

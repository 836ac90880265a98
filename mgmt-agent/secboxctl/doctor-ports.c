/* SPDX-License-Identifier: MIT */
/* doctor: who listens on a port that a container which is down wants to publish. */
#include <string.h>

#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/net/port-owner.h"
#include "mgmt-agent/secboxctl/doctor.h"

/* The first of a container's published TCP ports that somebody listens on; 0 when there is none. */
static unsigned taken_port(const cJSON *bindings, uint64_t *ret_inode)
{
    const cJSON *inside, *one;

    cJSON_ArrayForEach(inside, bindings)
        cJSON_ArrayForEach(one, inside) {
            const char *text = json_string(one, "HostPort");
            uint64_t port;

            if (!str_ends(inside->string, "/tcp") || !text || str_to_u64(text, 1, UINT16_MAX, &port) < 0)
                continue;
            *ret_inode = port_listener(json_string(one, "HostIp"), (unsigned) port);
            if (*ret_inode != 0)
                return (unsigned) port;
        }
    return 0;
}

bool finding_of_taken_port(Doctor *d, const char *container, Finding *f)
{
    const char *const ask[] = { "container", "inspect",
                                "--format",  "{{.State.Running}} {{json .HostConfig.PortBindings}}",
                                container,   NULL };
    _cleanup_(freep) char *said = text_is_shell_word(container) ? podman_says(d, ask) : NULL;
    /* one that runs by now has its port itself */
    _cleanup_(cJSON_Deletep) cJSON *bindings =
        said && str_starts(said, "false ") ? cJSON_Parse(said + strlen("false ")) : NULL;
    uint64_t inode = 0;
    unsigned port = taken_port(bindings, &inode);
    _cleanup_(freep) char *pid = port > 0 ? socket_owner(inode) : NULL;

    if (!pid)
        return false;
    _cleanup_(freep) char *unit = process_unit(pid);
    _cleanup_(freep) char *start = podman_command(d, "start", (const char *const[]) { container, NULL });
    _cleanup_(freep) char *end = port_owner_end_command(pid);
    finding_set(f, VERDICT_FAIL, end ? NULL : PORT_OWNER_ADVICE,
                "%s is down, and port %u that it wants is taken by process %s%s%s%s", container, port, pid,
                unit ? " (" : "", unit ? unit : "", unit ? ")" : "");
    finding_since_process(f, pid);
    if (start && end)
        finding_remedy(f, "%s && %s", end, start);
    return true;
}

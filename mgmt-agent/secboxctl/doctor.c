/* SPDX-License-Identifier: MIT */
/* doctor: runs the checks in order and shows them. */
#include "mgmt-agent/secboxctl/doctor.h"

#include <errno.h>

#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"
#include "lib/data/host-mode.h"

const DoctorCheck doctor_checks[] = {
    { "agent", check_agent, false },
    { "mgmt-agent.env", check_agent_env, false },
    { "podman-user", check_podman_user, false },
    { "secbox.env", check_secbox_env, false },
    { "configuration", check_configuration, false },
    { "mgmt-link", check_link_unit, true },
    { "tunnel", check_tunnel, false },
    { "recovery-agent", check_recovery_unit, true },
    { "recovery-sshd", check_recovery_sshd, true },
    { "ssh", check_ssh, true },
    { "lingering", check_lingering, true },
    { "user-manager", check_user_manager, true },
    { "user-bus", check_user_bus, true },
    { "subuids", check_subuids, true },
    { "subgids", check_subgids, true },
    { "uidmap", check_uidmap, true },
    { "podman", check_podman, false },
    { "podman-compose", check_podman_compose, false },
    { "runtime", check_runtime, true },
    { "network-backend", check_network_backend, true },
    { "container-dns", check_container_dns, true },
    { "iptables", check_iptables, true },
    { "rootless-network", check_rootless_network, true },
    { "init", check_init, true },
    { "cgroup-manager", check_cgroup_manager, true },
    { "store-driver", check_store_driver, true },
    { "binds", check_binds, false },
    { "volumes", check_volumes, true },
    { "services", check_services, false },
    { "images", check_images, false },
    { "journal", check_journal, true },
    { "signers", check_signers, false },
    { "revoked-certificates", check_revocations, false },
    { "clock", check_clock, false },
    { "time-sync", check_time_sync, false },
    { "time-zone", check_time_zone, true },
    { "space-state", check_state_space, false },
    { "space-podman", check_podman_space, false },
    { "dns", check_dns, false },
    {},
};

/* What nobody misses where the data plane runs as plain services. */
static const char *const of_containers[] = {
    "podman-user",     "lingering",     "user-manager", "user-bus",         "subuids",
    "subgids",         "uidmap",        "podman",       "podman-compose",   "runtime",
    "network-backend", "container-dns", "iptables",     "rootless-network", "init",
    "cgroup-manager",  "store-driver",  "binds",        "volumes",          "services",
    "images",          "space-podman",  NULL,
};

static bool is_left_out(const DoctorCheck *check, bool without_containers)
{
    return (check->of_machine && !str_empty(paths_root())) ||
           (without_containers && strv_contains((char **) (uintptr_t) of_containers, check->id));
}

static int run_checks(Doctor *d, cJSON *findings)
{
    bool without_containers = box_is_without_containers();

    for (size_t i = 0; doctor_checks[i].id; i++) {
        _cleanup_(finding_done) Finding f = { .verdict = VERDICT_UNKNOWN };

        if (is_left_out(&doctor_checks[i], without_containers))
            continue;
        doctor_checks[i].run(d, &f);
        int r = findings_add(findings, doctor_checks[i].id, &f, "box");
        if (r < 0)
            return r;
    }
    return findings_count(findings);
}

static void doctor_done(Doctor *d)
{
    env_free(d->agent_env);
    podman_user_done(&d->user);
    cJSON_Delete(d->report);
    cJSON_Delete(d->podman_info);
}

int verb_doctor(int argc, char **argv, void *userdata)
{
    _cleanup_(doctor_done) Doctor d = { .ctl = secboxctl_begin(userdata) };
    _cleanup_(cJSON_Deletep) cJSON *findings = findings_new();

    (void) argc;
    (void) argv;
    int denied = secboxctl_fail_unless_root(d.ctl);
    if (denied)
        return denied;
    if (!findings || run_checks(&d, findings) < 0)
        return secboxctl_fail(d.ctl, NULL, -ENOMEM);
    return d.ctl->json ? report_json(findings, findings_exit_code(findings))
                       : report_text(findings_text(findings, "CHECK"), findings_exit_code(findings));
}

/* SPDX-License-Identifier: MIT */
/* What the doctor's checks find out once, and how one answers. */
#pragma once

#include "env/env-file.h"
#include "lib/base/find-program.h"
#include "lib/base/paths.h"
#include "lib/cli/finding.h"
#include "mgmt-agent/host/podman-user.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

/* A unit of the box's service manager. */
typedef struct UnitFacts {
    char *load, *active, *file, *result; /* LoadState, ActiveState, UnitFileState, Result; NULL when not told */
    usec_t since;                        /* when it came into this state; 0 when it never was in another */
    uint64_t restarts;
} UnitFacts;

typedef struct Doctor {
    const Secboxctl *ctl;
    EnvFile *agent_env;  /* NULL when it cannot be read */
    PodmanUser user;     /* name NULL when it cannot be told */
    cJSON *report;       /* the agent's status.report or NULL */
    const cJSON *status; /* borrowed from it */
    cJSON *podman_info;  /* what podman tells of itself; NULL when it did not answer */
    bool podman_hangs;   /* it did not answer in time, so it is not asked again */
} Doctor;

typedef struct DoctorCheck {
    const char *id;
    void (*run)(Doctor *d, Finding *f);
    bool of_machine; /* about the machine itself: left out for a box below --root */
} DoctorCheck;

/* Ends with {}; in an order in which each may use what the ones before found out. */
extern const DoctorCheck doctor_checks[];

/* doctor-config.c */
void check_agent_env(Doctor *d, Finding *f);
void check_secbox_env(Doctor *d, Finding *f);
void check_configuration(Doctor *d, Finding *f);

/* doctor-kept.c: what users of their own keep of the configuration that worked last. They can put a link into their folder, so root
 * reads with their rights. */
/* Whether the file of CLOUD_CA_FILE is away, or holds other authorities than it did when a tunnel came up last, and those are kept;
 * then the finding has the command that brings them back, and the fingerprints by which a person tells whether that is right. */
bool finding_of_kept_ca(const char *file, Finding *f);
/* The command that writes mgmt-agent.env anew: a new string, or NULL where root cannot take it unseen. */
char *kept_env_command(const char *path);

/* doctor-tunnel.c */
void check_tunnel(Doctor *d, Finding *f);
/* `why` says that the gateway's certificate is refused: sets the remedy where there is one, and returns what else to say. */
const char *finding_of_refused_certificate(const Doctor *d, const char *why, Finding *f);

/* doctor-agent.c */
void check_agent(Doctor *d, Finding *f);
void check_podman_user(Doctor *d, Finding *f);
void check_binds(Doctor *d, Finding *f);

/* doctor-volumes.c */
void check_volumes(Doctor *d, Finding *f);

/* doctor-services.c */
void check_services(Doctor *d, Finding *f);

/* doctor-images.c */
void check_images(Doctor *d, Finding *f);

/* doctor-run.c */
/* Runs a command of the system as ourselves; its first line of stdout, or of stderr when it failed, is a new string in *ret
 * (may be NULL). Whether it ended well. */
bool run_quietly(const char *const *argv, char **ret);

/* doctor-units.c */
/* Negative when the service manager does not tell. */
int unit_facts(const char *name, UnitFacts *ret) _must_check_;
void unit_facts_done(UnitFacts *u);
/* What to say of a unit that must run, and run again after a reboot. */
void finding_of_unit(Finding *f, const char *name, const UnitFacts *u);
void check_link_unit(Doctor *d, Finding *f);
void check_recovery_unit(Doctor *d, Finding *f);
void check_recovery_sshd(Doctor *d, Finding *f);
void check_ssh(Doctor *d, Finding *f);
void check_journal(Doctor *d, Finding *f);

/* doctor-user.c: what a user who is not root needs to run containers */
void check_lingering(Doctor *d, Finding *f);
void check_user_manager(Doctor *d, Finding *f);
void check_user_bus(Doctor *d, Finding *f);
void check_subuids(Doctor *d, Finding *f);
void check_subgids(Doctor *d, Finding *f);
void check_uidmap(Doctor *d, Finding *f);

/* doctor-podman.c */
void check_podman(Doctor *d, Finding *f);
void check_podman_compose(Doctor *d, Finding *f);
/* What a program prints that is run as the podman user: a new string, or NULL when it does not end well. */
char *says_as_user(Doctor *d, const char *const *argv);
/* What podman prints, asked as the podman user: a new string, or NULL when it does not answer well. `args` ends with NULL. */
char *podman_says(Doctor *d, const char *const *args);
/* A command of podman's for containers, as root types it: a new string, or NULL, also when a name is none that a shell takes as
 * it stands: whoever has the podman user chooses them. `containers` ends with NULL. */
char *podman_command(const Doctor *d, const char *verb, const char *const *containers);

/* doctor-ports.c */
/* Whether a container that is down cannot start for a port that somebody has taken; then the finding says who. */
bool finding_of_taken_port(Doctor *d, const char *container, Finding *f);

/* doctor-podman-parts.c; NULL when podman did not answer */
const char *podman_graph_root(const Doctor *d);
const char *podman_version(const Doctor *d);
const char *podman_cgroup_manager(const Doctor *d);
/* podman did not answer in time: who holds its locks. */
void finding_of_hang(const Doctor *d, Finding *f);
/* Adds what mends an error of podman, where its sentence tells. */
void finding_of_podman_error(const Doctor *d, Finding *f);
/* Whether a path is a configuration file of podman's that root may be told to change, whoever has named it. */
bool is_podmans_config(const char *path);
void check_runtime(Doctor *d, Finding *f);
void check_network_backend(Doctor *d, Finding *f);
void check_container_dns(Doctor *d, Finding *f);
void check_iptables(Doctor *d, Finding *f);
void check_rootless_network(Doctor *d, Finding *f);
void check_init(Doctor *d, Finding *f);
void check_store_driver(Doctor *d, Finding *f);

/* doctor-cgroups.c */
void check_cgroup_manager(Doctor *d, Finding *f);

/* doctor-between.c */
/* A TCP connection; negative when there is none within five seconds: -EDESTADDRREQ when the name does not resolve. */
int connect_to(const char *host, uint16_t port);
/* Each adds to the finding and returns what to say, or NULL when it is not that */
/* The gateway's port does not speak TLS. */
const char *finding_of_portal(const char *gateway, Finding *f);
/* HTTPS led nowhere, or no further than to a proxy. */
const char *finding_of_proxy(Finding *f);
/* Whether mgmt-link's unit names a proxy, which resolves the gateway's name itself. */
bool link_has_proxy(void);

/* doctor-clock.c */
void check_clock(Doctor *d, Finding *f);
/* Whether certificates must seem wrong with it; what it should say, or 0 when nobody has told. */
bool clock_is_wrong(usec_t *ret_right);

/* doctor-signers.c */
void check_signers(Doctor *d, Finding *f);
void check_revocations(Doctor *d, Finding *f);

/* doctor-host.c */
void check_time_sync(Doctor *d, Finding *f);
void check_time_zone(Doctor *d, Finding *f);

/* doctor-dns.c */
void check_dns(Doctor *d, Finding *f);

/* doctor-space.c */
void check_state_space(Doctor *d, Finding *f);
void check_podman_space(Doctor *d, Finding *f);

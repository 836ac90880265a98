/* SPDX-License-Identifier: MIT */
/* The table of a service's keys: the one place where a key is accepted or refused, and where it says what becomes of it. What
 * podman-compose 1.0.3 would ignore or get wrong is refused here by name, with a sentence that is true. */
#include "compose/model/service-key.h"

#include <stddef.h>

#include "compose/normalise/normalise.h"
#include "compose/parse/schema.h"
#include "compose/policy/policy-rules.h"
#include "compose/prove/settings.h"
#include "compose/render/render-keys.h"
#include "lib/base/strv.h"

#define WINDOWS "it is for Windows containers; remove it"
#define IGNORED "podman-compose 1.0.3 ignores it; remove it"

static const char *const private_words[] = { "private", NULL };
static const char *const ipc_words[] = { "private", "shareable", "none", NULL };
static const char *const network_words[] = { "bridge", "none", "private", NULL };
static const char *const security_words[] = { "no-new-privileges", "no-new-privileges:true", "no-new-privileges=true", NULL };
static const char *const ulimit_words[] = { "nofile", "nproc", NULL };

const ComposeKey compose_service_keys[] = {
    { .key = "annotations", .shape = &shape_map_or_texts,
      .policy = policy_check_items, .cut = "=", .normalise = normalise_map,
      .render = render_map },
    { .key = "attach", .shape = &shape_text_or_null },
    { .key = "blkio_config", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "build", .shape = &shape_anything,
      .unsupported = "nothing is built on a box; publish the image and give `image`" },
    { .key = "cap_add", .shape = &shape_texts,
      .policy = policy_check_items, .normalise = normalise_capabilities, .render = render_strings },
    { .key = "cap_drop", .shape = &shape_texts, .normalise = normalise_capabilities, .render = render_strings },
    { .key = "cgroup", .shape = &shape_text_or_null,
      .unsupported = IGNORED, .policy = policy_check_word, .free = private_words },
    { .key = "cgroup_parent", .shape = &shape_text_or_null, .unsupported = IGNORED, .policy = policy_check_word },
    { .key = "command", .shape = &shape_text_or_texts, .normalise = normalise_words, .render = render_words,
      .prove = compare_command },
    { .key = "configs", .shape = &shape_anything,
      .unsupported = "podman-compose 1.0.3 ignores it; bind-mount the file with `volumes`" },
    { .key = "container_name", .shape = &shape_text_or_null, .normalise = normalise_container_name },
    { .key = "cpu_count", .shape = &shape_anything, .unsupported = WINDOWS },
    { .key = "cpu_percent", .shape = &shape_anything, .unsupported = WINDOWS },
    { .key = "cpu_period", .shape = &shape_anything, .unsupported = "podman-compose 1.0.3 ignores it; use `cpus`" },
    { .key = "cpu_quota", .shape = &shape_anything, .unsupported = "podman-compose 1.0.3 ignores it; use `cpus`" },
    { .key = "cpu_rt_period", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "cpu_rt_runtime", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "cpu_shares", .shape = &shape_text_or_null, .normalise = normalise_cpu_shares, .render = render_string },
    { .key = "cpus", .shape = &shape_text_or_null, .normalise = normalise_cpus, .render = render_string },
    { .key = "cpuset", .shape = &shape_text_or_null, .unsupported = IGNORED },
    { .key = "credential_spec", .shape = &shape_anything, .unsupported = WINDOWS },
    { .key = "depends_on", .shape = &shape_depends_on },
    { .key = "deploy", .shape = &shape_deploy, .policy = policy_check_deploy, .normalise = normalise_deploy },
    { .key = "develop", .shape = &shape_anything, .unsupported = "it is for development machines; remove it" },
    { .key = "device_cgroup_rules", .shape = &shape_texts, .unsupported = IGNORED, .policy = policy_check_items },
    { .key = "devices", .shape = &shape_texts,
      .policy = policy_check_items, .cut = ":", .normalise = normalise_devices,
      .render = render_strings },
    { .key = "dns", .shape = &shape_text_or_texts, .unsupported = IGNORED },
    { .key = "dns_opt", .shape = &shape_texts, .unsupported = IGNORED },
    { .key = "dns_search", .shape = &shape_text_or_texts, .unsupported = IGNORED },
    { .key = "domainname", .shape = &shape_text_or_null, .unsupported = IGNORED },
    { .key = "entrypoint", .shape = &shape_text_or_texts, .normalise = normalise_words, .render = render_words },
    { .key = "env_file", .shape = &shape_env_file, .policy = policy_check_env_file },
    { .key = "environment", .shape = &shape_map_or_texts, .prove = compare_environment },
    { .key = "expose", .shape = &shape_texts, .normalise = normalise_expose, .render = render_strings },
    { .key = "extends", .shape = &shape_anything,
      .unsupported = "a pushed file must be whole; write the service out" },
    { .key = "external_links", .shape = &shape_anything,
      .unsupported = "podman has no links; put both services on one network and use the service's name" },
    { .key = "extra_hosts", .shape = &shape_map_or_texts,
      .normalise = normalise_extra_hosts, .render = render_strings },
    { .key = "gpus", .shape = &shape_anything, .unsupported = "podman-compose 1.0.3 ignores it; use `devices`" },
    { .key = "group_add", .shape = &shape_texts, .unsupported = IGNORED, .policy = policy_check_items },
    { .key = "healthcheck", .shape = &shape_healthcheck,
      .normalise = normalise_healthcheck, .render = render_healthcheck },
    { .key = "hostname", .shape = &shape_text_or_null, .normalise = normalise_text, .render = render_string },
    { .key = "image", .shape = &shape_text_or_null, .policy = policy_check_image, .normalise = normalise_image },
    { .key = "init", .shape = &shape_text_or_null, .normalise = normalise_bool, .render = render_true },
    { .key = "ipc", .shape = &shape_text_or_null,
      .unsupported = IGNORED, .policy = policy_check_word, .free = ipc_words },
    { .key = "isolation", .shape = &shape_anything, .unsupported = WINDOWS },
    { .key = "label_file", .shape = &shape_anything,
      .unsupported = "a pushed file must be whole; write the labels under `labels`" },
    { .key = "labels", .shape = &shape_map_or_texts, .policy = policy_check_labels, .normalise = normalise_map },
    { .key = "links", .shape = &shape_anything,
      .unsupported = "podman has no links; put both services on one network and use the service's name" },
    { .key = "logging", .shape = &shape_logging,
      .policy = policy_check_logging, .normalise = normalise_logging, .render = render_logging },
    { .key = "mac_address", .shape = &shape_text_or_null, .unsupported = IGNORED },
    { .key = "mem_limit", .shape = &shape_text_or_null, .normalise = normalise_size, .render = render_string },
    { .key = "mem_reservation", .shape = &shape_text_or_null, .normalise = normalise_size, .render = render_string },
    { .key = "mem_swappiness", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "memswap_limit", .shape = &shape_text_or_null, .unsupported = IGNORED },
    { .key = "models", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "network_mode", .shape = &shape_text_or_null, .policy = policy_check_word, .free = network_words,
      .normalise = normalise_network_mode },
    { .key = "networks", .shape = &shape_service_networks, .render = render_networks, .prove = compare_networks },
    { .key = "oom_kill_disable", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "oom_score_adj", .shape = &shape_text_or_null, .unsupported = IGNORED },
    { .key = "pid", .shape = &shape_text_or_null,
      .unsupported = IGNORED, .policy = policy_check_word, .free = private_words },
    { .key = "pids_limit", .shape = &shape_text_or_null, .unsupported = IGNORED },
    { .key = "platform", .shape = &shape_anything,
      .unsupported = "a box runs images of its own architecture; remove it" },
    { .key = "ports", .shape = &shape_ports,
      .normalise = normalise_ports, .render = render_ports, .prove = compare_ports },
    { .key = "post_start", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "pre_stop", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "privileged", .shape = &shape_text_or_null,
      .policy = policy_check_true, .normalise = normalise_bool, .render = render_true,
      .prove = compare_privileged },
    { .key = "profiles", .shape = &shape_texts },
    { .key = "provider", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "pull_policy", .shape = &shape_text_or_null, .normalise = normalise_pull_policy },
    { .key = "read_only", .shape = &shape_text_or_null, .normalise = normalise_bool, .render = render_true },
    { .key = "restart", .shape = &shape_text_or_null, .normalise = normalise_restart, .render = render_string,
      .prove = compare_restart },
    { .key = "runtime", .shape = &shape_text_or_null, .unsupported = IGNORED, .policy = policy_check_word },
    { .key = "scale", .shape = &shape_text_or_null, .normalise = normalise_scale },
    { .key = "secrets", .shape = &shape_anything,
      .unsupported = "podman-compose 1.0.3 mounts secrets without owner or mode; use `environment` with a variable" },
    { .key = "security_opt", .shape = &shape_texts,
      .policy = policy_check_items, .free = security_words, .normalise = normalise_texts,
      .render = render_security },
    { .key = "shm_size", .shape = &shape_text_or_null, .normalise = normalise_size, .render = render_string },
    { .key = "stdin_open", .shape = &shape_text_or_null, .normalise = normalise_bool, .render = render_true },
    { .key = "stop_grace_period", .shape = &shape_text_or_null,
      .normalise = normalise_stop_grace, .render = render_string },
    { .key = "stop_signal", .shape = &shape_text_or_null, .normalise = normalise_text, .render = render_string },
    { .key = "storage_opt", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "sysctls", .shape = &shape_map_or_texts,
      .policy = policy_check_items, .cut = "=", .normalise = normalise_map,
      .render = render_map },
    { .key = "tmpfs", .shape = &shape_text_or_texts,
      .policy = policy_check_tmpfs, .normalise = normalise_texts, .render = render_tmpfs },
    { .key = "tty", .shape = &shape_text_or_null, .normalise = normalise_bool, .render = render_true },
    { .key = "ulimits", .shape = &shape_ulimits,
      .policy = policy_check_items, .free = ulimit_words, .normalise = normalise_ulimits,
      .render = render_ulimits },
    { .key = "use_api_socket", .shape = &shape_anything,
      .unsupported = "a container may not steer podman; remove it" },
    { .key = "user", .shape = &shape_text_or_null,
      .normalise = normalise_text, .render = render_string, .prove = compare_user },
    { .key = "userns_mode", .shape = &shape_text_or_null, .unsupported = IGNORED, .policy = policy_check_word },
    { .key = "uts", .shape = &shape_text_or_null,
      .unsupported = IGNORED, .policy = policy_check_word, .free = private_words },
    { .key = "volumes", .shape = &shape_mounts,
      .policy = policy_check_volumes, .normalise = normalise_volumes, .render = render_volumes,
      .prove = compare_mounts },
    { .key = "volumes_from", .shape = &shape_anything,
      .unsupported = "name a volume under the top-level `volumes` and mount it in both services" },
    { .key = "working_dir", .shape = &shape_text_or_null, .normalise = normalise_text, .render = render_string },
    {},
};

const ComposeKey *compose_service_key(const char *key)
{
    for (const ComposeKey *k = compose_service_keys; k->key; k++)
        if (str_equal(k->key, key))
            return k;
    return NULL;
}

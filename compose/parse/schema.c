/* SPDX-License-Identifier: MIT */
/* The tables of keys. What podman-compose 1.0.3 would ignore or get wrong is refused here by name. */
#include "compose/parse/schema.h"

#include <stddef.h>

#define WINDOWS "it is for Windows containers; remove it"
#define IGNORED "podman-compose 1.0.3 ignores it; remove it"

static const Shape text = { .allowed = SHAPE_TEXT };
static const Shape text_or_null = { .allowed = SHAPE_TEXT | SHAPE_NULL };
static const Shape texts = { .allowed = SHAPE_LIST | SHAPE_NULL, .items = &text };
static const Shape text_or_texts = { .allowed = SHAPE_TEXT | SHAPE_LIST | SHAPE_NULL, .items = &text };
static const Shape map_or_texts = {
    .allowed = SHAPE_MAP | SHAPE_LIST | SHAPE_NULL,
    .values = &text_or_null,
    .items = &text,
};
static const Shape map = { .allowed = SHAPE_MAP | SHAPE_NULL, .values = &text_or_null };
static const Shape anything = { .allowed = SHAPE_TEXT | SHAPE_LIST | SHAPE_MAP | SHAPE_NULL };

/* --- parts of a service --- */

static const SchemaKey dependency_keys[] = {
    { "condition", &text, NULL },
    { "required", &text, NULL },
    { "restart", &text, NULL },
    {},
};
static const Shape dependency = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = dependency_keys };
static const Shape depends_on = {
    .allowed = SHAPE_MAP | SHAPE_LIST | SHAPE_NULL,
    .values = &dependency,
    .items = &text,
};

static const SchemaKey limit_keys[] = {
    { "cpus", &text_or_null, NULL },
    { "devices", &anything, "podman-compose 1.0.3 ignores it; use the service's `devices`" },
    { "generic_resources", &anything, IGNORED },
    { "memory", &text_or_null, NULL },
    { "pids", &text_or_null, NULL },
    {},
};
static const SchemaKey reservation_keys[] = {
    { "cpus", &text_or_null, IGNORED },
    { "devices", &anything, "podman-compose 1.0.3 ignores it; use the service's `devices`" },
    { "generic_resources", &anything, IGNORED },
    { "memory", &text_or_null, NULL },
    {},
};
static const Shape limits = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = limit_keys };
static const Shape reservations = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = reservation_keys };
static const SchemaKey resources_keys[] = {
    { "limits", &limits, NULL },
    { "reservations", &reservations, NULL },
    {},
};
static const Shape resources = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = resources_keys };
static const SchemaKey deploy_keys[] = {
    { "endpoint_mode", &anything, IGNORED },
    { "labels", &anything, "podman-compose 1.0.3 ignores it; use the service's `labels`" },
    { "mode", &text, NULL },
    { "placement", &anything, IGNORED },
    { "replicas", &text, NULL },
    { "resources", &resources, NULL },
    { "restart_policy", &anything, "podman-compose 1.0.3 ignores it; use the service's `restart`" },
    { "rollback_config", &anything, "rolling back is the agent's own work; remove it" },
    { "update_config", &anything, "how a service is replaced is the agent's own work; remove it" },
    {},
};
static const Shape deploy = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = deploy_keys };

static const SchemaKey env_file_keys[] = {
    { "format", &text, "only the plain KEY=value form is read; remove it" },
    { "path", &text, NULL },
    { "required", &text, NULL },
    {},
};
static const Shape env_file_item = { .allowed = SHAPE_TEXT | SHAPE_MAP, .members = env_file_keys };
static const Shape env_file = {
    .allowed = SHAPE_TEXT | SHAPE_LIST | SHAPE_MAP | SHAPE_NULL,
    .members = env_file_keys,
    .items = &env_file_item,
};

static const SchemaKey healthcheck_keys[] = {
    { "disable", &text, NULL },
    { "interval", &text, NULL },
    { "retries", &text, NULL },
    { "start_interval", &text, "podman 4.3 does not know it; use `start_period` and `interval`" },
    { "start_period", &text, NULL },
    { "test", &text_or_texts, NULL },
    { "timeout", &text, NULL },
    {},
};
static const Shape healthcheck = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = healthcheck_keys };

static const SchemaKey logging_keys[] = {
    { "driver", &text, NULL },
    { "options", &map, NULL },
    {},
};
static const Shape logging = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = logging_keys };

static const SchemaKey attachment_keys[] = {
    { "aliases", &texts, NULL },
    { "driver_opts", &anything, IGNORED },
    { "gw_priority", &anything, IGNORED },
    { "interface_name", &anything, IGNORED },
    { "ipv4_address", &text, NULL },
    { "ipv6_address", &text, NULL },
    { "link_local_ips", &anything, IGNORED },
    { "mac_address", &anything, "podman-compose 1.0.3 ignores it; use the service's `mac_address`" },
    { "priority", &anything, IGNORED },
    {},
};
static const Shape attachment = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = attachment_keys };
static const Shape service_networks = {
    .allowed = SHAPE_MAP | SHAPE_LIST | SHAPE_NULL,
    .values = &attachment,
    .items = &text,
};

static const SchemaKey port_keys[] = {
    { "app_protocol", &text, NULL }, { "host_ip", &text, NULL },
    { "mode", &text, NULL },         { "name", &text, NULL },
    { "protocol", &text, NULL },     { "published", &text, NULL },
    { "target", &text, NULL },       {},
};
static const Shape port = { .allowed = SHAPE_TEXT | SHAPE_MAP, .members = port_keys };
static const Shape ports = { .allowed = SHAPE_LIST | SHAPE_NULL, .items = &port };

static const SchemaKey ulimit_keys[] = {
    { "hard", &text, NULL },
    { "soft", &text, NULL },
    {},
};
static const Shape ulimit = { .allowed = SHAPE_TEXT | SHAPE_MAP, .members = ulimit_keys };
static const Shape ulimits = { .allowed = SHAPE_MAP | SHAPE_NULL, .values = &ulimit };

static const SchemaKey mount_bind_keys[] = {
    { "create_host_path", &text, NULL }, /* either way the source must be there before anything starts */
    { "propagation", &text, NULL },
    { "recursive", &text, IGNORED },
    { "selinux", &text, NULL }, /* Debian has no SELinux policy */
    {},
};
static const SchemaKey mount_tmpfs_keys[] = {
    { "mode", &text, NULL },
    { "size", &text, NULL },
    {},
};
static const SchemaKey mount_volume_keys[] = {
    { "labels", &anything, IGNORED },
    { "nocopy", &text, IGNORED },
    { "subpath", &text, "podman 4.3 cannot mount a part of a volume; mount all of it" },
    {},
};
static const Shape mount_bind = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = mount_bind_keys };
static const Shape mount_tmpfs = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = mount_tmpfs_keys };
static const Shape mount_volume = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = mount_volume_keys };
static const SchemaKey mount_keys[] = {
    { "bind", &mount_bind, NULL },
    { "consistency", &text, NULL },
    { "image", &anything, "images cannot be mounted; use a volume" },
    { "read_only", &text, NULL },
    { "source", &text, NULL },
    { "target", &text, NULL },
    { "tmpfs", &mount_tmpfs, NULL },
    { "type", &text, NULL },
    { "volume", &mount_volume, NULL },
    {},
};
static const Shape mount = { .allowed = SHAPE_TEXT | SHAPE_MAP, .members = mount_keys };
static const Shape mounts = { .allowed = SHAPE_LIST | SHAPE_NULL, .items = &mount };

/* --- a service --- */

const SchemaKey compose_service_keys[] = {
    { "annotations", &map_or_texts, NULL },
    { "attach", &text_or_null, NULL },
    { "blkio_config", &anything, IGNORED },
    { "build", &anything, "nothing is built on a box; publish the image and give `image`" },
    { "cap_add", &texts, NULL },
    { "cap_drop", &texts, NULL },
    { "cgroup", &text_or_null, NULL },
    { "cgroup_parent", &text_or_null, NULL },
    { "command", &text_or_texts, NULL },
    { "configs", &anything, "podman-compose 1.0.3 ignores it; bind-mount the file with `volumes`" },
    { "container_name", &text_or_null, NULL },
    { "cpu_count", &anything, WINDOWS },
    { "cpu_percent", &anything, WINDOWS },
    { "cpu_period", &anything, "podman-compose 1.0.3 ignores it; use `cpus`" },
    { "cpu_quota", &anything, "podman-compose 1.0.3 ignores it; use `cpus`" },
    { "cpu_rt_period", &anything, IGNORED },
    { "cpu_rt_runtime", &anything, IGNORED },
    { "cpu_shares", &text_or_null, NULL },
    { "cpus", &text_or_null, NULL },
    { "cpuset", &text_or_null, NULL },
    { "credential_spec", &anything, WINDOWS },
    { "depends_on", &depends_on, NULL },
    { "deploy", &deploy, NULL },
    { "develop", &anything, "it is for development machines; remove it" },
    { "device_cgroup_rules", &texts, NULL },
    { "devices", &texts, NULL },
    { "dns", &text_or_texts, NULL },
    { "dns_opt", &texts, NULL },
    { "dns_search", &text_or_texts, NULL },
    { "domainname", &text_or_null, NULL },
    { "entrypoint", &text_or_texts, NULL },
    { "env_file", &env_file, NULL },
    { "environment", &map_or_texts, NULL },
    { "expose", &texts, NULL },
    { "extends", &anything, "a pushed file must be whole; write the service out" },
    { "external_links", &anything,
      "podman has no links; put both services on one network and use the service's name" },
    { "extra_hosts", &map_or_texts, NULL },
    { "gpus", &anything, "podman-compose 1.0.3 ignores it; use `devices`" },
    { "group_add", &texts, NULL },
    { "healthcheck", &healthcheck, NULL },
    { "hostname", &text_or_null, NULL },
    { "image", &text_or_null, NULL },
    { "init", &text_or_null, NULL },
    { "ipc", &text_or_null, NULL },
    { "isolation", &anything, WINDOWS },
    { "label_file", &anything, "a pushed file must be whole; write the labels under `labels`" },
    { "labels", &map_or_texts, NULL },
    { "links", &anything,
      "podman has no links; put both services on one network and use the service's name" },
    { "logging", &logging, NULL },
    { "mac_address", &text_or_null, NULL },
    { "mem_limit", &text_or_null, NULL },
    { "mem_reservation", &text_or_null, NULL },
    { "mem_swappiness", &anything, IGNORED },
    { "memswap_limit", &text_or_null, NULL },
    { "models", &anything, IGNORED },
    { "network_mode", &text_or_null, NULL },
    { "networks", &service_networks, NULL },
    { "oom_kill_disable", &anything, IGNORED },
    { "oom_score_adj", &text_or_null, NULL },
    { "pid", &text_or_null, NULL },
    { "pids_limit", &text_or_null, NULL },
    { "platform", &anything, "a box runs images of its own architecture; remove it" },
    { "ports", &ports, NULL },
    { "post_start", &anything, IGNORED },
    { "pre_stop", &anything, IGNORED },
    { "privileged", &text_or_null, NULL },
    { "profiles", &texts, NULL },
    { "provider", &anything, IGNORED },
    { "pull_policy", &text_or_null, NULL },
    { "read_only", &text_or_null, NULL },
    { "restart", &text_or_null, NULL },
    { "runtime", &text_or_null, NULL },
    { "scale", &text_or_null, NULL },
    { "secrets", &anything,
      "podman-compose 1.0.3 mounts secrets without owner or mode; use `environment` with a variable" },
    { "security_opt", &texts, NULL },
    { "shm_size", &text_or_null, NULL },
    { "stdin_open", &text_or_null, NULL },
    { "stop_grace_period", &text_or_null, NULL },
    { "stop_signal", &text_or_null, NULL },
    { "storage_opt", &anything, IGNORED },
    { "sysctls", &map_or_texts, NULL },
    { "tmpfs", &text_or_texts, NULL },
    { "tty", &text_or_null, NULL },
    { "ulimits", &ulimits, NULL },
    { "use_api_socket", &anything, "a container may not steer podman; remove it" },
    { "user", &text_or_null, NULL },
    { "userns_mode", &text_or_null, NULL },
    { "uts", &text_or_null, NULL },
    { "volumes", &mounts, NULL },
    { "volumes_from", &anything,
      "name a volume under the top-level `volumes` and mount it in both services" },
    { "working_dir", &text_or_null, NULL },
    {},
};
static const Shape service = { .allowed = SHAPE_MAP, .members = compose_service_keys };

/* --- networks and volumes --- */

static const SchemaKey external_keys[] = {
    { "name", &text, NULL },
    {},
};
static const Shape external = { .allowed = SHAPE_TEXT | SHAPE_MAP, .members = external_keys };

static const SchemaKey pool_keys[] = {
    { "aux_addresses", &anything, IGNORED },
    { "gateway", &text, NULL },
    { "ip_range", &text, NULL },
    { "subnet", &text, NULL },
    {},
};
static const Shape pool = { .allowed = SHAPE_MAP, .members = pool_keys };
static const Shape pools = { .allowed = SHAPE_LIST | SHAPE_NULL, .items = &pool };
static const SchemaKey ipam_keys[] = {
    { "config", &pools, NULL },
    { "driver", &text, NULL },
    { "options", &anything, IGNORED },
    {},
};
static const Shape ipam = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = ipam_keys };

static const SchemaKey network_keys[] = {
    { "attachable", &text, NULL },
    { "driver", &text_or_null, NULL },
    { "driver_opts", &map, NULL },
    { "enable_ipv4", &text, "IPv4 is always on; remove it" },
    { "enable_ipv6", &text, NULL },
    { "external", &external, NULL },
    { "internal", &text, NULL },
    { "ipam", &ipam, NULL },
    { "labels", &map_or_texts, NULL },
    { "name", &text, NULL },
    {},
};
static const Shape network = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = network_keys };

static const SchemaKey volume_keys[] = {
    { "driver", &text_or_null, NULL }, { "driver_opts", &map, NULL }, { "external", &external, NULL },
    { "labels", &map_or_texts, NULL }, { "name", &text, NULL },       {},
};
static const Shape volume = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = volume_keys };

/* --- the file --- */

static const Shape services = { .allowed = SHAPE_MAP | SHAPE_NULL, .values = &service };
static const Shape networks = { .allowed = SHAPE_MAP | SHAPE_NULL, .values = &network };
static const Shape volumes = { .allowed = SHAPE_MAP | SHAPE_NULL, .values = &volume };

static const SchemaKey top_keys[] = {
    { "configs", &anything, "podman-compose 1.0.3 ignores it; bind-mount the files with `volumes`" },
    { "include", &anything, "a pushed file must be whole; write the included services out" },
    { "models", &anything, IGNORED },
    { "name", &text_or_null, NULL },
    { "networks", &networks, NULL },
    { "secrets", &anything,
      "podman-compose 1.0.3 mounts secrets without owner or mode; use `environment` with a variable" },
    { "services", &services, NULL },
    { "version", &text_or_null, NULL },
    { "volumes", &volumes, NULL },
    {},
};
const Shape compose_shape = { .allowed = SHAPE_MAP, .members = top_keys };

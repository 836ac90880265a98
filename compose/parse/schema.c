/* SPDX-License-Identifier: MIT */
/* The tables of keys. What podman-compose 1.0.3 would ignore or get wrong is refused here by name. */
#include "compose/parse/schema.h"

#include <stddef.h>

#define WINDOWS "it is for Windows containers; remove it"
#define IGNORED "podman-compose 1.0.3 ignores it; remove it"

static const Shape text = { .allowed = SHAPE_TEXT };
const Shape shape_text_or_null = { .allowed = SHAPE_TEXT | SHAPE_NULL };
const Shape shape_texts = { .allowed = SHAPE_LIST | SHAPE_NULL, .items = &text };
const Shape shape_text_or_texts = { .allowed = SHAPE_TEXT | SHAPE_LIST | SHAPE_NULL, .items = &text };
const Shape shape_map_or_texts = {
    .allowed = SHAPE_MAP | SHAPE_LIST | SHAPE_NULL,
    .values = &shape_text_or_null,
    .items = &text,
};
static const Shape map = { .allowed = SHAPE_MAP | SHAPE_NULL, .values = &shape_text_or_null };
const Shape shape_anything = { .allowed = SHAPE_TEXT | SHAPE_LIST | SHAPE_MAP | SHAPE_NULL };

/* --- parts of a service --- */

static const ComposeKey dependency_keys[] = {
    { .key = "condition", .shape = &text },
    { .key = "required", .shape = &text },
    { .key = "restart", .shape = &text },
    {},
};
static const Shape dependency = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = dependency_keys };
const Shape shape_depends_on = {
    .allowed = SHAPE_MAP | SHAPE_LIST | SHAPE_NULL,
    .values = &dependency,
    .items = &text,
};

static const ComposeKey device_keys[] = {
    { .key = "permissions", .shape = &text },
    { .key = "source", .shape = &text },
    { .key = "target", .shape = &text },
    {},
};
static const Shape device = { .allowed = SHAPE_TEXT | SHAPE_MAP, .members = device_keys };
const Shape shape_devices = { .allowed = SHAPE_LIST | SHAPE_NULL, .items = &device };

static const ComposeKey gpu_keys[] = {
    { .key = "capabilities", .shape = &shape_anything }, /* a device of CDI has all that it has */
    { .key = "count", .shape = &text },
    { .key = "device_ids", .shape = &shape_texts },
    { .key = "driver", .shape = &shape_text_or_null },
    { .key = "options", .shape = &shape_anything, .unsupported = IGNORED },
    {},
};
static const Shape gpu = { .allowed = SHAPE_MAP, .members = gpu_keys };
static const Shape gpu_list = { .allowed = SHAPE_LIST | SHAPE_NULL, .items = &gpu };
const Shape shape_gpus = { .allowed = SHAPE_TEXT | SHAPE_LIST | SHAPE_NULL, .items = &gpu };

static const ComposeKey limit_keys[] = {
    { .key = "cpus", .shape = &shape_text_or_null },
    { .key = "devices",
      .shape = &shape_anything,
      .unsupported = "podman-compose 1.0.3 ignores it; use the service's `devices`" },
    { .key = "generic_resources", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "memory", .shape = &shape_text_or_null },
    { .key = "pids", .shape = &shape_text_or_null },
    {},
};
static const ComposeKey reservation_keys[] = {
    { .key = "cpus", .shape = &shape_text_or_null },
    { .key = "devices", .shape = &gpu_list },
    { .key = "generic_resources", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "memory", .shape = &shape_text_or_null },
    {},
};
static const Shape limits = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = limit_keys };
static const Shape reservations = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = reservation_keys };
static const ComposeKey resources_keys[] = {
    { .key = "limits", .shape = &limits },
    { .key = "reservations", .shape = &reservations },
    {},
};
static const Shape resources = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = resources_keys };
static const ComposeKey restart_policy_keys[] = {
    { .key = "condition", .shape = &text },
    { .key = "delay", .shape = &text },
    { .key = "max_attempts", .shape = &text },
    { .key = "window", .shape = &text },
    {},
};
static const Shape restart_policy = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = restart_policy_keys };
/* What speaks of a swarm's nodes, and of how it replaces containers, says nothing to one machine: here as in docker compose. */
static const ComposeKey deploy_keys[] = {
    { .key = "endpoint_mode", .shape = &shape_anything },
    { .key = "labels", .shape = &shape_anything },
    { .key = "mode", .shape = &text },
    { .key = "placement", .shape = &shape_anything },
    { .key = "replicas", .shape = &text },
    { .key = "resources", .shape = &resources },
    { .key = "restart_policy", .shape = &restart_policy },
    { .key = "rollback_config", .shape = &shape_anything },
    { .key = "update_config", .shape = &shape_anything },
    {},
};
const Shape shape_deploy = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = deploy_keys };

static const ComposeKey env_file_keys[] = {
    { .key = "format", .shape = &text, .unsupported = "only the plain KEY=value form is read; remove it" },
    { .key = "path", .shape = &text },
    { .key = "required", .shape = &text },
    {},
};
static const Shape env_file_item = { .allowed = SHAPE_TEXT | SHAPE_MAP, .members = env_file_keys };
const Shape shape_env_file = {
    .allowed = SHAPE_TEXT | SHAPE_LIST | SHAPE_MAP | SHAPE_NULL,
    .members = env_file_keys,
    .items = &env_file_item,
};

static const ComposeKey config_use_keys[] = {
    { .key = "gid", .shape = &text },    { .key = "mode", .shape = &text }, { .key = "source", .shape = &text },
    { .key = "target", .shape = &text }, { .key = "uid", .shape = &text },  {},
};
static const Shape config_use = { .allowed = SHAPE_TEXT | SHAPE_MAP, .members = config_use_keys };
const Shape shape_configs = { .allowed = SHAPE_LIST | SHAPE_NULL, .items = &config_use };

static const ComposeKey healthcheck_keys[] = {
    { .key = "disable", .shape = &text },      { .key = "interval", .shape = &text },
    { .key = "retries", .shape = &text },      { .key = "start_interval", .shape = &text },
    { .key = "start_period", .shape = &text }, { .key = "test", .shape = &shape_text_or_texts },
    { .key = "timeout", .shape = &text },      {},
};
const Shape shape_healthcheck = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = healthcheck_keys };

static const ComposeKey logging_keys[] = {
    { .key = "driver", .shape = &text },
    { .key = "options", .shape = &map },
    {},
};
const Shape shape_logging = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = logging_keys };

static const ComposeKey attachment_keys[] = {
    { .key = "aliases", .shape = &shape_texts },
    { .key = "driver_opts", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "gw_priority", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "interface_name", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "ipv4_address", .shape = &text },
    { .key = "ipv6_address", .shape = &text },
    { .key = "link_local_ips", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "mac_address", .shape = &text },
    { .key = "priority", .shape = &shape_anything, .unsupported = IGNORED },
    {},
};
static const Shape attachment = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = attachment_keys };
const Shape shape_service_networks = {
    .allowed = SHAPE_MAP | SHAPE_LIST | SHAPE_NULL,
    .values = &attachment,
    .items = &text,
};

static const ComposeKey port_keys[] = {
    { .key = "app_protocol", .shape = &text }, { .key = "host_ip", .shape = &text },
    { .key = "mode", .shape = &text },         { .key = "name", .shape = &text },
    { .key = "protocol", .shape = &text },     { .key = "published", .shape = &text },
    { .key = "target", .shape = &text },       {},
};
static const Shape port = { .allowed = SHAPE_TEXT | SHAPE_MAP, .members = port_keys };
const Shape shape_ports = { .allowed = SHAPE_LIST | SHAPE_NULL, .items = &port };

static const ComposeKey ulimit_keys[] = {
    { .key = "hard", .shape = &text },
    { .key = "soft", .shape = &text },
    {},
};
static const Shape ulimit = { .allowed = SHAPE_TEXT | SHAPE_MAP, .members = ulimit_keys };
const Shape shape_ulimits = { .allowed = SHAPE_MAP | SHAPE_NULL, .values = &ulimit };

static const ComposeKey mount_bind_keys[] = {
    { .key = "create_host_path", .shape = &text }, /* either way the source must be there before anything starts */
    { .key = "propagation", .shape = &text },
    { .key = "recursive", .shape = &text, .unsupported = IGNORED },
    { .key = "selinux", .shape = &text }, /* Debian has no SELinux policy */
    {},
};
static const ComposeKey mount_tmpfs_keys[] = {
    { .key = "mode", .shape = &text },
    { .key = "size", .shape = &text },
    {},
};
static const ComposeKey mount_volume_keys[] = {
    { .key = "labels", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "nocopy", .shape = &text, .unsupported = IGNORED },
    { .key = "subpath", .shape = &text, .unsupported = "podman 4.3 cannot mount a part of a volume; mount all of it" },
    {},
};
static const Shape mount_bind = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = mount_bind_keys };
static const Shape mount_tmpfs = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = mount_tmpfs_keys };
static const Shape mount_volume = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = mount_volume_keys };
static const ComposeKey mount_keys[] = {
    { .key = "bind", .shape = &mount_bind },
    { .key = "consistency", .shape = &text },
    { .key = "image", .shape = &shape_anything, .unsupported = "images cannot be mounted; use a volume" },
    { .key = "read_only", .shape = &text },
    { .key = "source", .shape = &text },
    { .key = "target", .shape = &text },
    { .key = "tmpfs", .shape = &mount_tmpfs },
    { .key = "type", .shape = &text },
    { .key = "volume", .shape = &mount_volume },
    {},
};
static const Shape mount = { .allowed = SHAPE_TEXT | SHAPE_MAP, .members = mount_keys };
const Shape shape_mounts = { .allowed = SHAPE_LIST | SHAPE_NULL, .items = &mount };

static const Shape service = { .allowed = SHAPE_MAP, .members = compose_service_keys };

/* --- networks and volumes --- */

static const ComposeKey external_keys[] = {
    { .key = "name", .shape = &text },
    {},
};
static const Shape external = { .allowed = SHAPE_TEXT | SHAPE_MAP, .members = external_keys };

static const ComposeKey pool_keys[] = {
    { .key = "aux_addresses", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "gateway", .shape = &text },
    { .key = "ip_range", .shape = &text },
    { .key = "subnet", .shape = &text },
    {},
};
static const Shape pool = { .allowed = SHAPE_MAP, .members = pool_keys };
static const Shape pools = { .allowed = SHAPE_LIST | SHAPE_NULL, .items = &pool };
static const ComposeKey ipam_keys[] = {
    { .key = "config", .shape = &pools },
    { .key = "driver", .shape = &text },
    { .key = "options", .shape = &shape_anything, .unsupported = IGNORED },
    {},
};
static const Shape ipam = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = ipam_keys };

static const ComposeKey network_keys[] = {
    { .key = "attachable", .shape = &text },
    { .key = "driver", .shape = &shape_text_or_null },
    { .key = "driver_opts", .shape = &map },
    { .key = "enable_ipv4", .shape = &text, .unsupported = "IPv4 is always on; remove it" },
    { .key = "enable_ipv6", .shape = &text },
    { .key = "external", .shape = &external },
    { .key = "internal", .shape = &text },
    { .key = "ipam", .shape = &ipam },
    { .key = "labels", .shape = &shape_map_or_texts },
    { .key = "name", .shape = &text },
    {},
};
static const Shape network = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = network_keys };

static const ComposeKey volume_keys[] = {
    { .key = "driver", .shape = &shape_text_or_null },
    { .key = "driver_opts", .shape = &map },
    { .key = "external", .shape = &external },
    { .key = "labels", .shape = &shape_map_or_texts },
    { .key = "name", .shape = &text },
    {},
};
static const Shape volume = { .allowed = SHAPE_MAP | SHAPE_NULL, .members = volume_keys };

static const ComposeKey config_keys[] = {
    { .key = "content", .shape = &text },
    { .key = "environment", .shape = &text },
    { .key = "external", .shape = &shape_anything, .unsupported = "name a file beside this one with `file`" },
    { .key = "file", .shape = &text },
    {},
};
static const Shape config = { .allowed = SHAPE_MAP, .members = config_keys };

static const ComposeKey secret_keys[] = {
    { .key = "environment", .shape = &text },
    { .key = "external",
      .shape = &shape_anything,
      .unsupported = "take its value from secbox.env with `environment: VARIABLE`, or name a file with `file`" },
    { .key = "file", .shape = &text },
    {},
};
static const Shape secret = { .allowed = SHAPE_MAP, .members = secret_keys };

/* --- the file --- */

static const Shape services = { .allowed = SHAPE_MAP | SHAPE_NULL, .values = &service };
static const Shape networks = { .allowed = SHAPE_MAP | SHAPE_NULL, .values = &network };
static const Shape volumes = { .allowed = SHAPE_MAP | SHAPE_NULL, .values = &volume };

static const Shape configs = { .allowed = SHAPE_MAP | SHAPE_NULL, .values = &config };
static const Shape secrets = { .allowed = SHAPE_MAP | SHAPE_NULL, .values = &secret };

static const ComposeKey top_keys[] = {
    { .key = "configs", .shape = &configs },
    { .key = "include",
      .shape = &shape_anything,
      .unsupported = "a pushed file must be whole; write the included services out" },
    { .key = "models", .shape = &shape_anything, .unsupported = IGNORED },
    { .key = "name", .shape = &shape_text_or_null },
    { .key = "networks", .shape = &networks },
    { .key = "secrets", .shape = &secrets },
    { .key = "services", .shape = &services },
    { .key = "version", .shape = &shape_text_or_null },
    { .key = "volumes", .shape = &volumes },
    {},
};
const Shape compose_shape = { .allowed = SHAPE_MAP, .members = top_keys };

/* SPDX-License-Identifier: MIT */
/* A whole service: which function brings which key into its normal form. */
#include "compose/normalise.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/strv.h"

#define STOP_GRACE_DEFAULT 10
#define STOP_GRACE_MAX 3600

/* --- keys whose value is taken as it is --- */

static int normalise_text(const Place *at, const Normaliser *n, ComposeService *s)
{
    const char *text = NULL;
    int r = take_text(at, &text);

    (void) n;
    if (r < 0)
        return r;
    if (!*text)
        return place_fail(at, EINVAL, "compose.bad-value", "`%s` is empty; give it a value or remove it", at->key);
    return put_text(s->config, at->key, text);
}

static int normalise_bool(const Place *at, const Normaliser *n, ComposeService *s)
{
    bool value = false;
    int r = take_bool(at, &value);

    (void) n;
    return r < 0 ? r : json_add_bool(s->config, at->key, value);
}

static int normalise_texts(const Place *at, const Normaliser *n, ComposeService *s)
{
    cJSON *array = put_array(s->config, at->key);

    (void) n;
    return array ? take_texts(at, array) : -ENOMEM;
}

static int normalise_map(const Place *at, const Normaliser *n, ComposeService *s)
{
    cJSON *object = put_object(s->config, at->key);

    (void) n;
    return object ? take_map(at, object) : -ENOMEM;
}

static int normalise_words(const Place *at, const Normaliser *n, ComposeService *s)
{
    cJSON *array = put_array(s->config, at->key);

    (void) n;
    return array ? take_words(at, array) : -ENOMEM;
}

/* --- numbers --- */

static int put_size(const Place *at, ComposeService *s, const char *key)
{
    const char *text = NULL;
    uint64_t size = 0;
    int r = take_text(at, &text);

    if (r < 0)
        return r;
    if (str_equal(text, "-1") && str_equal(key, "memswap_limit"))
        return put_text(s->config, key, "-1");
    r = take_size(at, &size);
    if (r < 0)
        return r;
    if (size == 0)
        return place_fail(at, EINVAL, "compose.bad-value", "a size of 0 limits nothing; remove `%s`", at->key);
    return put_number(s->config, key, size);
}

static int normalise_size(const Place *at, const Normaliser *n, ComposeService *s)
{
    (void) n;
    return put_size(at, s, at->key);
}

static int put_integer(const Place *at, ComposeService *s, const char *key, int64_t min, int64_t max)
{
    _cleanup_(freep) char *text = NULL;
    int64_t value = 0;
    int r = take_integer(at, min, max, &value);

    if (r < 0)
        return r;
    text = str_format("%lld", (long long) value);
    return text ? put_text(s->config, key, text) : -ENOMEM;
}

static int normalise_cpu_shares(const Place *at, const Normaliser *n, ComposeService *s)
{
    (void) n;
    return put_integer(at, s, at->key, 2, 262144);
}

static int normalise_oom_score(const Place *at, const Normaliser *n, ComposeService *s)
{
    (void) n;
    return put_integer(at, s, at->key, -1000, 1000);
}

static int put_pids(const Place *at, ComposeService *s)
{
    return put_integer(at, s, "pids_limit", -1, INT32_MAX);
}

static int normalise_pids(const Place *at, const Normaliser *n, ComposeService *s)
{
    (void) n;
    return put_pids(at, s);
}

/* Digits with one optional fraction, without zeros that say nothing: 0.50 and .5 are both 0.5. */
static int put_cpus(const Place *at, ComposeService *s)
{
    _cleanup_(freep) char *text = NULL;
    const char *value = NULL;
    size_t whole, fraction = 0, keep;
    int r = take_text(at, &value);

    if (r < 0)
        return r;
    value += strspn(value, "0");
    whole = strspn(value, "0123456789");
    if (value[whole] == '.')
        fraction = strspn(value + whole + 1, "0123456789");
    if (strlen(value) != whole + (value[whole] == '.') + fraction || whole > 4 || fraction > 9)
        return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is no number of processors, like 1.5", at->node->value);
    for (keep = fraction; keep > 0 && value[whole + keep] == '0';)
        keep--;
    if (whole + keep == 0)
        return place_fail(at, EINVAL, "compose.bad-value", "0 processors limits nothing; remove `%s`", at->key);
    text = str_format("%.*s%s%.*s", whole ? (int) whole : 1, whole ? value : "0", keep ? "." : "", (int) keep,
                      keep ? value + whole + 1 : "");
    return text ? put_text(s->config, "cpus", text) : -ENOMEM;
}

static int normalise_cpus(const Place *at, const Normaliser *n, ComposeService *s)
{
    (void) n;
    return put_cpus(at, s);
}

/* --- lists with a form of their own --- */

/* Replaces every text of the list by what `change` makes of it, then sorts. */
static int normalise_set(const Place *at, ComposeService *s, int (*change)(const Place *, const char *, char **))
{
    cJSON *array = put_array(s->config, at->key);

    if (!array)
        return -ENOMEM;
    for (size_t i = 0; i < at->node->n_items; i++) {
        _cleanup_(freep) char *changed = NULL;
        Place item = place_child(at, i);
        const char *text = NULL;
        int r = take_text(&item, &text);

        if (r >= 0)
            r = change(&item, text, &changed);
        if (r >= 0)
            r = append_text(array, changed);
        if (r < 0)
            return r;
    }
    set_normalise(array);
    return 0;
}

static int change_capability(const Place *at, const char *text, char **ret)
{
    char *name;

    if (strncasecmp(text, "CAP_", 4) == 0)
        text += 4;
    if (!*text || strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_") != strlen(text))
        return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is no capability, like NET_ADMIN", text);
    name = strdup(text);
    if (!name)
        return -ENOMEM;
    for (char *p = name; *p; p++)
        *p = (char) toupper((unsigned char) *p);
    *ret = name;
    return 0;
}

static int normalise_capabilities(const Place *at, const Normaliser *n, ComposeService *s)
{
    (void) n;
    return normalise_set(at, s, change_capability);
}

/* HOST[:CONTAINER[:PERMISSIONS]] */
static int change_device(const Place *at, const char *text, char **ret)
{
    _cleanup_(freep) char *copy = strdup(text);
    char *container, *permissions = NULL;

    if (!copy)
        return -ENOMEM;
    container = strchr(copy, ':');
    if (container)
        *container++ = '\0';
    /* the second part may be the permissions alone */
    if (container && *container != '/' && !strchr(container, ':')) {
        permissions = container;
        container = NULL;
    }
    if (container && (permissions = strchr(container, ':')))
        *permissions++ = '\0';
    if (*copy != '/' || (container && *container != '/') ||
        (permissions && (!*permissions || strspn(permissions, "rwm") != strlen(permissions))))
        return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is no device, like /dev/dri or /dev/a:/dev/b:rw", text);
    *ret = str_format("%s:%s:%s", copy, container ? container : copy, permissions ? permissions : "rwm");
    return *ret ? 0 : -ENOMEM;
}

static int normalise_devices(const Place *at, const Normaliser *n, ComposeService *s)
{
    (void) n;
    return normalise_set(at, s, change_device);
}

static int change_expose(const Place *at, const char *text, char **ret)
{
    size_t digits = strspn(text, "0123456789");
    const char *protocol = text[digits] == '/' ? text + digits + 1 : "tcp";
    _cleanup_(freep) char *number = strndup(text, digits);
    uint64_t port = 0;

    if (!number)
        return -ENOMEM;
    if (str_to_u64(number, 1, 65535, &port) < 0 || (text[digits] && text[digits] != '/') ||
        (!str_equal(protocol, "tcp") && !str_equal(protocol, "udp") && !str_equal(protocol, "sctp")))
        return place_fail(at, EINVAL, "compose.bad-port", "\"%s\" is no port; write it like \"80\" or \"53/udp\"", text);
    *ret = str_format("%u/%s", (unsigned) port, protocol);
    return *ret ? 0 : -ENOMEM;
}

static int normalise_expose(const Place *at, const Normaliser *n, ComposeService *s)
{
    (void) n;
    return normalise_set(at, s, change_expose);
}

/* Mapping, or list of NAME:ADDRESS or NAME=ADDRESS. */
static int normalise_extra_hosts(const Place *at, const Normaliser *n, ComposeService *s)
{
    cJSON *array = put_array(s->config, at->key);

    (void) n;
    if (!array)
        return -ENOMEM;
    for (size_t i = 0; i < at->node->n_items; i++) {
        _cleanup_(freep) char *line = NULL;
        Place item = place_child(at, i);
        const char *text = NULL;
        size_t name;
        int r = take_text(&item, &text);

        if (r < 0)
            return r;
        name = item.key ? 0 : strcspn(text, ":=");
        if (item.key ? !*text : name == 0 || !text[name] || !text[name + 1])
            return place_fail(&item, EINVAL, "compose.bad-value", "\"%s\" is not NAME:ADDRESS", text);
        line = item.key ? str_format("%s:%s", item.key, text) : str_format("%.*s:%s", (int) name, text, text + name + 1);
        if (!line || append_text(array, line) < 0)
            return -ENOMEM;
    }
    set_normalise(array);
    return 0;
}

/* --- objects --- */

static int put_limit(const Place *at, cJSON *limit, const char *key)
{
    _cleanup_(freep) char *text = NULL;
    int64_t value = 0;
    int r;

    if (!at->node)
        return place_fail(at, EINVAL, "compose.bad-value", "an ulimit has both `soft` and `hard`");
    r = take_integer(at, -1, INT64_MAX, &value);
    if (r < 0)
        return r;
    text = str_format("%lld", (long long) value);
    return text ? put_text(limit, key, text) : -ENOMEM;
}

static int normalise_ulimits(const Place *at, const Normaliser *n, ComposeService *s)
{
    cJSON *ulimits = put_object(s->config, at->key);

    (void) n;
    if (!ulimits)
        return -ENOMEM;
    for (size_t i = 0; i < at->node->n_items; i++) {
        Place item = place_child(at, i);
        bool both = item.node->type == YAML_SCALAR;
        Place soft = both ? item : place_member(&item, "soft");
        Place hard = both ? item : place_member(&item, "hard");
        cJSON *limit = put_object(ulimits, item.key);
        int r = limit ? put_limit(&soft, limit, "soft") : -ENOMEM;

        if (r >= 0)
            r = put_limit(&hard, limit, "hard");
        if (r < 0)
            return r;
    }
    members_sort(ulimits);
    return 0;
}

static int normalise_logging(const Place *at, const Normaliser *n, ComposeService *s)
{
    Place driver = place_member(at, "driver"), options = place_member(at, "options");
    cJSON *logging = put_object(s->config, at->key), *map;
    const char *text = NULL;
    int r = logging ? 0 : -ENOMEM;

    (void) n;
    if (r >= 0 && driver.node)
        r = take_text(&driver, &text);
    if (r >= 0 && text)
        r = put_text(logging, "driver", text);
    if (r < 0 || !options.node || options.node->n_items == 0)
        return r;
    map = put_object(logging, "options");
    return map ? take_map(&options, map) : -ENOMEM;
}

/* --- keys that say how often and how long --- */

static int normalise_scale(const Place *at, const Normaliser *n, ComposeService *s)
{
    const char *text = NULL;
    int r = take_text(at, &text);

    (void) n;
    (void) s;
    if (r < 0 || str_equal(text, "1"))
        return r;
    return place_fail(at, EINVAL, "compose.unsupported-key", "a service runs once on a box; `%s` can only be 1", at->key);
}

static int normalise_restart(const Place *at, const Normaliser *n, ComposeService *s)
{
    const char *text = NULL;
    uint64_t times = 0;
    int r = take_text(at, &text);

    (void) n;
    if (r < 0)
        return r;
    if (!str_equal(text, "no") && !str_equal(text, "always") && !str_equal(text, "unless-stopped") &&
        !str_equal(text, "on-failure") &&
        (!str_starts(text, "on-failure:") || str_to_u64(text + strlen("on-failure:"), 0, 1000000, &times) < 0))
        return place_fail(at, EINVAL, "compose.bad-value",
                          "\"%s\" is not no, always, unless-stopped, on-failure or on-failure:5", text);
    s->restart = strdup(text);
    return s->restart ? put_text(s->config, "restart", text) : -ENOMEM;
}

static int normalise_stop_grace(const Place *at, const Normaliser *n, ComposeService *s)
{
    _cleanup_(freep) char *text = NULL;
    uint64_t usec = 0, seconds;
    int r = take_duration(at, &usec);

    (void) n;
    if (r < 0)
        return r;
    seconds = (usec + USEC_PER_SEC - 1) / USEC_PER_SEC;
    if (seconds > STOP_GRACE_MAX)
        return place_fail(at, EINVAL, "compose.bad-duration", "longer than an hour; a push would wait that long");
    s->stop_grace_seconds = (unsigned) seconds;
    text = str_format("%us", s->stop_grace_seconds);
    return text ? put_text(s->config, at->key, text) : -ENOMEM;
}

/* --- deploy --- */

static int put_resource(const Place *at, const char *key, const char *as, ComposeService *s)
{
    Place member = place_member(at, key);

    if (!member.node || yaml_is_null(member.node))
        return 0;
    if (cJSON_GetObjectItemCaseSensitive(s->config, as))
        return place_fail(&member, EINVAL, "compose.bad-value", "the service sets `%s`, too; remove one of them", as);
    if (str_equal(as, "cpus"))
        return put_cpus(&member, s);
    return str_equal(as, "pids_limit") ? put_pids(&member, s) : put_size(&member, s, as);
}

/* Runs last, so that it can see what the service itself says. */
static int normalise_deploy(const Place *at, const Normaliser *n, ComposeService *s)
{
    Place replicas = place_member(at, "replicas"), mode = place_member(at, "mode");
    Place resources = place_member(at, "resources");
    Place limits = place_member(&resources, "limits"), reservations = place_member(&resources, "reservations");
    const char *text = NULL;
    int r = replicas.node ? normalise_scale(&replicas, n, s) : 0;

    if (r >= 0 && mode.node)
        r = take_text(&mode, &text);
    if (r >= 0 && text && !str_equal(text, "replicated"))
        return place_fail(&mode, EINVAL, "compose.unsupported-key", "only the mode replicated makes sense on one box");
    if (r >= 0)
        r = put_resource(&limits, "cpus", "cpus", s);
    if (r >= 0)
        r = put_resource(&limits, "memory", "mem_limit", s);
    if (r >= 0)
        r = put_resource(&limits, "pids", "pids_limit", s);
    return r < 0 ? r : put_resource(&reservations, "memory", "mem_reservation", s);
}

/* --- keys that are fields of the service --- */

static int normalise_image(const Place *at, const Normaliser *n, ComposeService *s)
{
    const char *text = NULL;
    int r = take_text(at, &text);

    (void) n;
    if (r < 0)
        return r;
    if (!*text)
        return place_fail(at, EINVAL, "compose.no-image", "`image` is empty");
    if (strlen(text) > 512 || !isalnum((unsigned char) *text) ||
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/:@-") != strlen(text))
        return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is no image, like registry/name:tag", text);
    s->image = strdup(text);
    return s->image ? 0 : -ENOMEM;
}

static int normalise_container_name(const Place *at, const Normaliser *n, ComposeService *s)
{
    const char *text = NULL;
    int r = take_text(at, &text);

    (void) n;
    if (r < 0)
        return r;
    if (!compose_name_is_valid(text))
        return place_fail(at, EINVAL, "compose.name", "\"%s\" is no name that podman takes", text);
    s->container_name = strdup(text);
    return s->container_name ? 0 : -ENOMEM;
}

static int normalise_pull_policy(const Place *at, const Normaliser *n, ComposeService *s)
{
    const char *text = NULL;
    int r = take_text(at, &text);

    (void) n;
    if (r < 0)
        return r;
    if (str_equal(text, "if_not_present"))
        text = "missing";
    if (!str_equal(text, "always") && !str_equal(text, "missing") && !str_equal(text, "never"))
        return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is not always, missing or never", text);
    s->pull_policy = strdup(text);
    return s->pull_policy ? 0 : -ENOMEM;
}

/* In the order in which they run. depends_on, networks and environment run for every service, see below. */
static const struct {
    const char *key;
    normalise_t normalise;
} rules[] = {
    { "image", normalise_image },
    { "container_name", normalise_container_name },
    { "pull_policy", normalise_pull_policy },
    { "network_mode", normalise_network_mode },
    { "annotations", normalise_map },
    { "cap_add", normalise_capabilities },
    { "cap_drop", normalise_capabilities },
    { "cgroup", normalise_text },
    { "cgroup_parent", normalise_text },
    { "command", normalise_words },
    { "cpu_shares", normalise_cpu_shares },
    { "cpus", normalise_cpus },
    { "cpuset", normalise_text },
    { "device_cgroup_rules", normalise_texts },
    { "devices", normalise_devices },
    { "dns", normalise_texts },
    { "dns_opt", normalise_texts },
    { "dns_search", normalise_texts },
    { "domainname", normalise_text },
    { "entrypoint", normalise_words },
    { "expose", normalise_expose },
    { "extra_hosts", normalise_extra_hosts },
    { "group_add", normalise_texts },
    { "healthcheck", normalise_healthcheck },
    { "hostname", normalise_text },
    { "init", normalise_bool },
    { "ipc", normalise_text },
    { "labels", normalise_map },
    { "logging", normalise_logging },
    { "mac_address", normalise_text },
    { "mem_limit", normalise_size },
    { "mem_reservation", normalise_size },
    { "memswap_limit", normalise_size },
    { "oom_score_adj", normalise_oom_score },
    { "pid", normalise_text },
    { "pids_limit", normalise_pids },
    { "ports", normalise_ports },
    { "privileged", normalise_bool },
    { "read_only", normalise_bool },
    { "restart", normalise_restart },
    { "runtime", normalise_text },
    { "scale", normalise_scale },
    { "security_opt", normalise_texts },
    { "shm_size", normalise_size },
    { "stdin_open", normalise_bool },
    { "stop_grace_period", normalise_stop_grace },
    { "stop_signal", normalise_text },
    { "sysctls", normalise_map },
    { "tmpfs", normalise_texts },
    { "tty", normalise_bool },
    { "ulimits", normalise_ulimits },
    { "user", normalise_text },
    { "userns_mode", normalise_text },
    { "uts", normalise_text },
    { "volumes", normalise_volumes },
    { "working_dir", normalise_text },
    { "deploy", normalise_deploy },
};

static int put_defaults(const Place *at, const Normaliser *n, ComposeService *s)
{
    int r = 0;

    if (!s->image)
        return place_fail(at, EINVAL, "compose.no-image", "the service %s has no `image`", s->name);
    if (!s->container_name)
        s->container_name = str_format("%s_%s_1", n->options->project, s->name);
    if (!s->restart) {
        s->restart = strdup("no");
        r = put_text(s->config, "restart", "no");
    }
    return r < 0 || !s->container_name || !s->restart ? -ENOMEM : 0;
}

static int check_networks(const Place *at)
{
    Place mode = place_member(at, "network_mode"), networks = place_member(at, "networks");

    if (mode.node && !yaml_is_null(mode.node) && networks.node && networks.node->n_items > 0)
        return place_fail(&mode, EINVAL, "compose.network-mode", "a service has `network_mode` or `networks`, not both");
    return 0;
}

int normalise_service(const Place *at, const Normaliser *n, ComposeService *s)
{
    Place depends_on = place_member(at, "depends_on"), networks = place_member(at, "networks");
    int r = 0;

    s->line = place_line(at);
    s->stop_grace_seconds = STOP_GRACE_DEFAULT;
    s->config = cJSON_CreateObject();
    s->depends_conditions = cJSON_CreateObject();
    if (!s->config || !s->depends_conditions)
        return -ENOMEM;
    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(rules); i++) {
        Place member = place_member(at, rules[i].key);

        if (member.node && !yaml_is_null(member.node))
            r = rules[i].normalise(&member, n, s);
    }
    if (r >= 0)
        r = check_networks(at);
    if (r >= 0)
        r = normalise_networks(&networks, n, s);
    if (r >= 0)
        r = normalise_depends_on(&depends_on, n, s);
    if (r >= 0)
        r = normalise_environment(at, n, s);
    if (r >= 0)
        r = put_defaults(at, n, s);
    if (r >= 0)
        members_sort(s->config);
    return r;
}

/* SPDX-License-Identifier: MIT */
/* A whole service: which function brings which key into its normal form. */
#include "compose/normalise/normalise.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define STOP_GRACE_DEFAULT 10
#define STOP_GRACE_MAX 3600

/* --- keys whose value is taken as it is --- */

int normalise_text(const Place *at, const Normaliser *n, ComposeService *s)
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

int normalise_bool(const Place *at, const Normaliser *n, ComposeService *s)
{
    bool value = false;
    int r = take_bool(at, &value);

    (void) n;
    return r < 0 ? r : json_add_bool(s->config, at->key, value);
}

int normalise_texts(const Place *at, const Normaliser *n, ComposeService *s)
{
    cJSON *array = put_array(s->config, at->key);

    (void) n;
    return array ? take_texts(at, array) : -ENOMEM;
}

int normalise_map(const Place *at, const Normaliser *n, ComposeService *s)
{
    cJSON *object = put_object(s->config, at->key);

    (void) n;
    return object ? take_map(at, object) : -ENOMEM;
}

int normalise_words(const Place *at, const Normaliser *n, ComposeService *s)
{
    cJSON *array = put_array(s->config, at->key);

    (void) n;
    return array ? take_words(at, array) : -ENOMEM;
}

/* --- logging, starting and stopping --- */

int normalise_logging(const Place *at, const Normaliser *n, ComposeService *s)
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

int normalise_restart(const Place *at, const Normaliser *n, ComposeService *s)
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

int normalise_stop_grace(const Place *at, const Normaliser *n, ComposeService *s)
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

/* --- keys that are fields of the service --- */

int normalise_image(const Place *at, const Normaliser *n, ComposeService *s)
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

int normalise_container_name(const Place *at, const Normaliser *n, ComposeService *s)
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

int normalise_pull_policy(const Place *at, const Normaliser *n, ComposeService *s)
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

/* "linux/arm64/v8"; whether it is the box's, is asked there (mgmt-agent/worker/phases/needs.c). */
int normalise_platform(const Place *at, const Normaliser *n, ComposeService *s)
{
    static const char *const others[][2] = { { "linux/x86_64", "linux/amd64" }, { "linux/aarch64", "linux/arm64" } };
    const char *text = NULL;
    int r = take_text(at, &text);

    (void) n;
    if (r < 0)
        return r;
    if (!str_starts(text, "linux/") || !isalnum((unsigned char) text[strlen("linux/")]))
        return place_fail(at, EINVAL, "compose.bad-value",
                          "\"%s\" is no platform of a box; write it like linux/amd64 or linux/arm64", text);
    for (size_t i = 0; i < ELEMENTSOF(others); i++)
        if (str_equal(text, others[i][0]))
            text = others[i][1];
    return put_text(s->config, at->key, text);
}

/* What others look at comes first, and `deploy`, which yields to the keys of the service itself, last. */
static const char *const first[] = { "image", "container_name", "pull_policy", "network_mode" };
static const char *const last[] = { "deploy" };

static bool is_one_of(const char *const *keys, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal(keys[i], key))
            return true;
    return false;
}

static int normalise_key(const Place *service, const Normaliser *n, const ComposeKey *key, ComposeService *s)
{
    Place member = place_member(service, key->key);
    return key->normalise && member.node && !yaml_is_null(member.node) ? key->normalise(&member, n, s) : 0;
}

/* depends_on, networks and environment are not among them: they run for every service, see below. */
static int normalise_keys(const Place *at, const Normaliser *n, ComposeService *s)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(first); i++)
        r = normalise_key(at, n, compose_service_key(first[i]), s);
    for (const ComposeKey *k = compose_service_keys; r >= 0 && k->key; k++)
        if (!is_one_of(first, ELEMENTSOF(first), k->key) && !is_one_of(last, ELEMENTSOF(last), k->key))
            r = normalise_key(at, n, k, s);
    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(last); i++)
        r = normalise_key(at, n, compose_service_key(last[i]), s);
    return r;
}

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

static int check_networks(const Place *at, ComposeService *s)
{
    const char *own = json_string(s->config, "network_mode");
    Place mode = place_member(at, "network_mode"), networks = place_member(at, "networks");

    if (mode.node && !yaml_is_null(mode.node) && networks.node && networks.node->n_items > 0)
        return place_fail(&mode, EINVAL, "compose.network-mode",
                          "a service has `network_mode` or `networks`, not both");
    if (!own)
        return 0;
    /* the host's ports are the container's own then, and nothing is left to publish */
    if (str_equal(own, "host")) {
        cJSON_DeleteItemFromObjectCaseSensitive(s->config, "ports");
        s->host_ports = strv_free(s->host_ports);
    } else if (cJSON_HasObjectItem(s->config, "ports")) {
        return place_fail(
            &mode, EINVAL, "compose.network-mode", "with `network_mode: %s` no port can be published; %s", own,
            str_equal(own, "none") ? "remove `ports`" : "write `ports` at the service whose network it is");
    }
    return 0;
}

/* Podman refuses both when the container is made, which is too late. */
static int check_hosts(const Place *at, const ComposeService *s)
{
    Place extra_hosts = place_member(at, "extra_hosts"), hostname = place_member(at, "hostname");
    const char *mode = json_string(s->config, "network_mode");

    if (mode && strchr(mode, ':') && extra_hosts.node && extra_hosts.node->n_items > 0)
        return place_fail(
            &extra_hosts, EINVAL, "compose.network-mode",
            "with `network_mode: %s` /etc/hosts is that of the other container: write `extra_hosts` there", mode);
    if (str_equal(json_string(s->config, "uts"), "host") && !str_empty(json_string(s->config, "hostname")))
        return place_fail(&hostname, EINVAL, "compose.bad-value",
                          "with `uts: host` the name is the host's own; remove one");
    return 0;
}

int normalise_service(const Place *at, const Normaliser *n, ComposeService *s)
{
    Place depends_on = place_member(at, "depends_on"), networks = place_member(at, "networks");
    Place configs = place_member(at, "configs"), secrets = place_member(at, "secrets");
    Place mac = place_member(at, "mac_address");
    int r = 0;

    s->line = place_line(at);
    s->stop_grace_seconds = STOP_GRACE_DEFAULT;
    s->config = cJSON_CreateObject();
    s->depends_conditions = cJSON_CreateObject();
    if (!s->config || !s->depends_conditions)
        return -ENOMEM;
    r = normalise_keys(at, n, s);
    if (r >= 0 && configs.node) /* behind the volumes */
        r = normalise_configs(&configs, n, s);
    if (r >= 0 && secrets.node)
        r = normalise_secrets(&secrets, n, s);
    if (r >= 0)
        r = check_networks(at, s);
    if (r >= 0)
        r = check_hosts(at, s);
    if (r >= 0)
        r = normalise_networks(&networks, n, s);
    if (r >= 0 && mac.node && !yaml_is_null(mac.node))
        r = normalise_mac_address(&mac, s);
    if (r >= 0)
        r = normalise_depends_on(&depends_on, n, s);
    if (r >= 0)
        r = normalise_owners(s);
    if (r >= 0)
        r = normalise_environment(at, n, s);
    if (r >= 0)
        r = put_defaults(at, n, s);
    if (r >= 0)
        members_sort(s->config);
    return r;
}

/* SPDX-License-Identifier: MIT */
#include "compose/prove/settings.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

static const cJSON *member(const cJSON *o, const char *a, const char *b)
{
    const cJSON *first = cJSON_GetObjectItemCaseSensitive(o, a);

    return b ? cJSON_GetObjectItemCaseSensitive(first, b) : first;
}

static int differs(char **ret, char *sentence)
{
    *ret = sentence;
    return sentence ? 1 : -ENOMEM;
}

/* "KEY=value" entry of podman's list by key; the value behind '=' or NULL. */
static const char *env_of(const cJSON *list, const char *key)
{
    const cJSON *entry;
    size_t len = strlen(key);

    cJSON_ArrayForEach(entry, list) {
        const char *text = cJSON_GetStringValue(entry);

        if (text && strncmp(text, key, len) == 0 && text[len] == '=')
            return text + len + 1;
    }
    return NULL;
}

int compare_environment(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts _unused_,
                        const cJSON *info, char **ret)
{
    const cJSON *list = member(info, "Config", "Env"), *wanted, *entry;

    (void) p;
    cJSON_ArrayForEach(wanted, s->environment) {
        const char *is = env_of(list, wanted->string);

        if (!is)
            return differs(ret, str_format("environment variable %s is missing in the container", wanted->string));
        if (!str_equal(is, cJSON_GetStringValue(wanted)))
            return differs(ret,
                           str_format("environment variable %s has another value in the container", wanted->string));
    }
    cJSON_ArrayForEach(entry, list) {
        const char *text = cJSON_GetStringValue(entry);

        if (text && strstr(text, "${"))
            return differs(ret, str_format("environment variable %.*s holds a literal ${ in the container",
                                           (int) strcspn(text, "="), text));
    }
    return 0;
}

static bool same_strings(const cJSON *a, const cJSON *b)
{
    if (cJSON_GetArraySize(a) != cJSON_GetArraySize(b))
        return false;
    for (int i = 0; i < cJSON_GetArraySize(a); i++)
        if (!str_equal(cJSON_GetStringValue(cJSON_GetArrayItem(a, i)), cJSON_GetStringValue(cJSON_GetArrayItem(b, i))))
            return false;
    return true;
}

int compare_command(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts _unused_,
                    const cJSON *info, char **ret)
{
    const cJSON *wanted = member(s->config, "command", NULL);

    (void) p;
    if (wanted && cJSON_GetArraySize(wanted) > 0 && !same_strings(wanted, member(info, "Config", "Cmd")))
        return differs(ret, str_format("its command differs from the one asked for"));
    return 0;
}

int compare_user(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts _unused_, const cJSON *info,
                 char **ret)
{
    const char *wanted = json_string(s->config, "user"), *is = json_string(member(info, "Config", NULL), "User");

    (void) p;
    if (wanted && !str_equal(wanted, is))
        return differs(ret, str_format("it runs as user '%s', not '%s'", is ? is : "", wanted));
    return 0;
}

int compare_privileged(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts _unused_,
                       const cJSON *info, char **ret)
{
    bool wanted = json_bool(s->config, "privileged", false);

    (void) p;
    if (json_bool(member(info, "HostConfig", NULL), "Privileged", false) != wanted)
        return differs(ret, str_format("it is %sprivileged", wanted ? "not " : ""));
    return 0;
}

int compare_restart(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts _unused_,
                    const cJSON *info, char **ret)
{
    const char *is = json_string(member(info, "HostConfig", "RestartPolicy"), "Name");
    size_t len = strcspn(s->restart, ":");

    (void) p;
    if (str_empty(is))
        is = "no";
    if (strlen(is) != len || strncmp(is, s->restart, len) != 0)
        return differs(ret, str_format("its restart policy is '%s', not '%s'", is, s->restart));
    return 0;
}

/* Podman: HostConfig.PortBindings {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]} */
static bool port_is_bound(const cJSON *bindings, const char *container, const char *address, const char *host)
{
    const cJSON *entry;

    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(bindings, container)) {
        const char *ip = json_string(entry, "HostIp"), *port = json_string(entry, "HostPort");

        if ((str_empty(host) || str_equal(port, host)) &&
            (str_equal(ip ? ip : "", address) || (str_empty(address) && str_equal(ip, "0.0.0.0"))))
            return true;
    }
    return false;
}

int compare_ports(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts _unused_, const cJSON *info,
                  char **ret)
{
    const cJSON *bindings = member(info, "HostConfig", "PortBindings"), *port;

    (void) p;
    cJSON_ArrayForEach(port, member(s->config, "ports", NULL)) {
        const char *address = json_string(port, "address"), *host = json_string(port, "host");
        _cleanup_(freep) char *container =
            str_format("%s/%s", json_string(port, "container"), json_string(port, "protocol"));

        if (!container)
            return -ENOMEM;
        if (!port_is_bound(bindings, container, address ? address : "", host))
            return differs(ret, str_format("port %s of the container is not published as asked", container));
    }
    return 0;
}

/* `source` NULL: any */
static bool is_mounted(const cJSON *info, const cJSON *wanted, const char *source)
{
    const char *target = json_string(wanted, "target"), *type = json_string(wanted, "type");
    bool read_only = json_bool(wanted, "read_only", false);
    const cJSON *m;

    /* podman lists tmpfs among HostConfig.Tmpfs, not among the mounts */
    if (str_equal(type, "tmpfs"))
        return cJSON_GetObjectItemCaseSensitive(member(info, "HostConfig", "Tmpfs"), target) != NULL;
    cJSON_ArrayForEach(m, member(info, "Mounts", NULL)) {
        const char *is = str_equal(type, "volume") ? json_string(m, "Name") : json_string(m, "Source");

        if (str_equal(json_string(m, "Destination"), target) && (!source || str_equal(is, source)) &&
            json_bool(m, "RW", true) != read_only)
            return true;
    }
    return false;
}

int compare_mounts(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *info,
                   char **ret)
{
    const cJSON *wanted;

    cJSON_ArrayForEach(wanted, member(s->config, "volumes", NULL)) {
        const char *source = json_string(wanted, "source");
        bool is_link = facts->links && source && map_get(facts->links, source);

        if (str_equal(json_string(wanted, "type"), "volume"))
            source = json_string(cJSON_GetObjectItemCaseSensitive(p->volumes, source), "name");
        if (!is_mounted(info, wanted, is_link ? NULL : source))
            return differs(ret, str_format("%s is not mounted at %s as asked", source ? source : "a volume",
                                           json_string(wanted, "target")));
    }
    return 0;
}

int compare_networks(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts _unused_,
                     const cJSON *info, char **ret)
{
    const cJSON *attached = member(info, "NetworkSettings", "Networks");

    if (json_string(s->config, "network_mode"))
        return 0;
    for (char **name = s->networks; name && *name; name++) {
        const char *real = json_string(cJSON_GetObjectItemCaseSensitive(p->networks, *name), "name");

        if (real && !cJSON_GetObjectItemCaseSensitive(attached, real))
            return differs(ret, str_format("it is not attached to network %s", real));
    }
    return 0;
}

/* Podman shows a part that is another container's by that container's id. */
static int compare_shared(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const char *key,
                          const char *is, char **ret)
{
    const char *wanted = json_string(s->config, key), *name = compose_shared_container(p, s, key);
    const char *id = name && facts->ids ? map_get(facts->ids, name) : NULL;

    if (!name)
        return differs(ret, str_format("its `%s` is %s, not %s", key, is ? is : "unknown", wanted));
    if (!is || !str_starts(is, "container:") || (facts->ids && !str_equal(is + strlen("container:"), id)))
        return differs(ret, str_format("its `%s` is not that of the container %s which is there now", key, name));
    return 0;
}

int compare_network_mode(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *info,
                         char **ret)
{
    const char *wanted = json_string(s->config, "network_mode");
    const char *is = json_string(member(info, "HostConfig", NULL), "NetworkMode");

    return !wanted || str_equal(is, wanted) ? 0 : compare_shared(s, p, facts, "network_mode", is, ret);
}

/* Of words podman shows some by others. */
static int compare_namespace(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const char *key,
                             const char *shown_as, const cJSON *info, char **ret)
{
    const char *wanted = json_string(s->config, key), *is = json_string(member(info, "HostConfig", NULL), shown_as);

    if (!wanted || (!strchr(wanted, ':') && !str_equal(wanted, "host")) || str_equal(is, wanted))
        return 0;
    return compare_shared(s, p, facts, key, is, ret);
}

int compare_pid(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *info,
                char **ret)
{
    return compare_namespace(s, p, facts, "pid", "PidMode", info, ret);
}

int compare_ipc(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *info,
                char **ret)
{
    const char *is = json_string(member(info, "HostConfig", NULL), "IpcMode");

    /* podman 4 says so of the host's, too */
    if (str_equal(json_string(s->config, "ipc"), "host") && str_equal(is, "shareable"))
        return 0;
    return compare_namespace(s, p, facts, "ipc", "IpcMode", info, ret);
}

int compare_runtime(const ComposeService *s, const ComposeProject *p _unused_, const ProofFacts *facts _unused_,
                    const cJSON *info, char **ret)
{
    const char *wanted = json_string(s->config, "runtime"), *is = json_string(info, "OCIRuntime");
    const char *slash = wanted ? strrchr(wanted, '/') : NULL;

    return !wanted || str_equal(wanted, is) || (slash && str_equal(slash + 1, is))
               ? 0
               : differs(ret, str_format("it is run by %s, not %s", is ? is : "an unknown runtime", wanted));
}

/* json-file is another word for podman's k8s-file. */
static bool same_log_driver(const char *a, const char *b)
{
    static const char json[] = "json-file", k8s[] = "k8s-file";

    return str_equal(a, b) || (str_equal(a, json) && str_equal(b, k8s)) || (str_equal(a, k8s) && str_equal(b, json));
}

int compare_logging(const ComposeService *s, const ComposeProject *p _unused_, const ProofFacts *facts _unused_,
                    const cJSON *info, char **ret)
{
    const char *wanted = json_string(member(s->config, "logging", NULL), "driver");
    const char *is = json_string(member(info, "HostConfig", "LogConfig"), "Type");

    return !wanted || same_log_driver(wanted, is)
               ? 0
               : differs(ret, str_format("its log driver is %s, not %s", is ? is : "unknown", wanted));
}

int settings_compare(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *inspected,
                     char **ret)
{
    for (const ComposeKey *k = compose_service_keys; k->key; k++) {
        int r = k->prove ? k->prove(s, p, facts, inspected, ret) : 0;
        if (r != 0)
            return r;
    }
    return 0;
}

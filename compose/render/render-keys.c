/* SPDX-License-Identifier: MIT */
/* Decides key by key how to write it so that podman-compose 1.0.3, 1.0.6 and 1.3 give podman the same arguments, and
 * refuses what 1.0.3 would lose. */
#include "compose/model/device.h"
#include "compose/render/render-keys.h"
#include "compose/render/run-args.h"

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

static int render_unsupported(const RenderService *r, const char *key, const char *why)
{
    _cleanup_(freep) char *path = str_format("services.%s.%s", r->service->name, key);

    if (r->options && r->options->partly)
        return 0;
    if (!path)
        return -ENOMEM;
    return error_set_at(r->err, ENOTSUP, "render.unsupported", NULL, r->service->line, path,
                        "podman-compose on the boxes cannot pass on \"%s\" (%s)", key, why);
}

char *render_escape(const char *text)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(2 * strlen(text) + 1);
    int r = buf_puts(&b, "");

    for (const char *p = text; r >= 0 && *p; p++)
        r = buf_append(&b, *p == '$' ? "$$" : p, *p == '$' ? 2 : 1);
    return r < 0 ? NULL : buf_take(&b);
}

static int append_escaped(cJSON *list, const char *text)
{
    _cleanup_(freep) char *escaped = render_escape(text);

    return escaped ? json_append(list, cJSON_CreateString(escaped)) : -ENOMEM;
}

static int add_escaped(cJSON *object, const char *key, const char *text)
{
    _cleanup_(freep) char *escaped = render_escape(text);

    return escaped ? json_add_string(object, key, escaped) : -ENOMEM;
}

/* The list under r->out, made when it is not there yet. */
static cJSON *list_of(const RenderService *r, const char *key)
{
    cJSON *list = cJSON_GetObjectItemCaseSensitive(r->out, key);

    return list ? list : cJSON_AddArrayToObject(r->out, key);
}

/* Empty means unset, in compose as in podman. */
int render_string(const RenderService *r, const char *key, const cJSON *value)
{
    if (!cJSON_IsString(value))
        return render_unsupported(r, key, "it is not a string");
    return *value->valuestring ? add_escaped(r->out, key, value->valuestring) : 0;
}

int render_true(const RenderService *r, const char *key, const cJSON *value)
{
    return cJSON_IsTrue(value) ? json_add_bool(r->out, key, true) : 0;
}

int render_strings(const RenderService *r, const char *key, const cJSON *value)
{
    const cJSON *item;
    cJSON *list = NULL;

    cJSON_ArrayForEach(item, value) {
        if (!cJSON_IsString(item))
            return render_unsupported(r, key, "an entry is not a string");
        list = list_of(r, key);
        if (!list || append_escaped(list, item->valuestring) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* An empty list takes the image's own words away, and podman-compose has no way to say so. */
int render_words(const RenderService *r, const char *key, const cJSON *value)
{
    if (!cJSON_GetArraySize(value) && str_equal(key, "entrypoint")) /* goes by run_args */
        return 0;
    if (!cJSON_GetArraySize(value))
        return render_unsupported(r, key, "an empty one would leave the image's own in place");
    return render_strings(r, key, value);
}

int render_pairs(const RenderService *r, const char *key, const cJSON *map, cJSON *list)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, map) {
        _cleanup_(freep) char *pair = NULL;

        if (strchr(item->string, '=') || !*item->string)
            return render_unsupported(r, key, "a name in it is empty or has a '='");
        if (strchr(item->string, '$')) /* the newest releases read names as they read values, the others do not */
            return render_unsupported(r, key, "a name in it has a '$'");
        pair = str_format("%s=%s", item->string, cJSON_IsString(item) ? item->valuestring : "");
        if (!pair || !list || append_escaped(list, pair) < 0)
            return -ENOMEM;
    }
    return 0;
}

int render_map(const RenderService *r, const char *key, const cJSON *value)
{
    return value->child ? render_pairs(r, key, value, list_of(r, key)) : 0;
}

int render_ports(const RenderService *r, const char *key, const cJSON *value)
{
    cJSON *list = value->child ? list_of(r, key) : NULL;
    const cJSON *port;

    cJSON_ArrayForEach(port, value) {
        const char *address = json_string(port, "address"), *host = json_string(port, "host");
        const char *container = json_string(port, "container"), *protocol = json_string(port, "protocol");
        bool v6 = address && strchr(address, ':') && address[0] != '[';
        _cleanup_(freep) char *text = NULL;

        if (str_empty(container))
            return render_unsupported(r, key, "a port of the container is missing");
        if (!str_empty(address))
            text = str_format(v6 ? "[%s]:%s:%s/%s" : "%s:%s:%s/%s", address, host ? host : "", container,
                              str_empty(protocol) ? "tcp" : protocol);
        else
            text = str_format("%s%s%s/%s", host ? host : "", str_empty(host) ? "" : ":", container,
                              str_empty(protocol) ? "tcp" : protocol);
        if (!text || !list || append_escaped(list, text) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* podman mounts a tmpfs with exec unless told otherwise; compose files were written for noexec, the default
 * elsewhere. */
static int append_tmpfs(const RenderService *r, const char *target, const char *options)
{
    _cleanup_(freep) char *padded = str_format(",%s,", options);
    _cleanup_(freep) char *text = NULL;
    bool said = padded && (strstr(padded, ",exec,") || strstr(padded, ",noexec,"));

    text = str_format("%s%s%s%s", target, *options || !said ? ":" : "", options,
                      said       ? ""
                      : *options ? ",noexec"
                                 : "noexec");
    return padded && text && list_of(r, "tmpfs") ? append_escaped(list_of(r, "tmpfs"), text) : -ENOMEM;
}

int render_tmpfs(const RenderService *r, const char *key, const cJSON *value)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, value) {
        const char *text = cJSON_IsString(item) ? item->valuestring : "";
        size_t len = strcspn(text, ":");
        _cleanup_(freep) char *target = strndup(text, len);
        int e;

        if (len == 0)
            return render_unsupported(r, key, "an entry has no path");
        e = target ? append_tmpfs(r, target, text[len] ? text + len + 1 : "") : -ENOMEM;
        if (e < 0)
            return e;
    }
    return 0;
}

/* As an entry of `tmpfs`, which both versions hand to podman as it is. */
static int render_tmpfs_mount(const RenderService *r, const char *target, bool read_only, const cJSON *options)
{
    _cleanup_(strv_freep) char **words = NULL;
    _cleanup_(freep) char *joined = NULL;
    const cJSON *option;

    if (read_only && strv_add(&words, "ro") < 0)
        return -ENOMEM;

    cJSON_ArrayForEach(option, options) {
        if (cJSON_IsString(option) && strv_add(&words, option->valuestring) < 0)
            return -ENOMEM;
    }
    joined = words ? strv_join(words, ",") : strdup("");
    return joined ? append_tmpfs(r, target, joined) : -ENOMEM;
}

static int render_mount(const RenderService *r, const cJSON *mount)
{
    const char *type = json_string(mount, "type"), *source = json_string(mount, "source");
    const char *target = json_string(mount, "target");
    const cJSON *options = cJSON_GetObjectItemCaseSensitive(mount, "options");
    const cJSON *option = options ? options->child : NULL;
    cJSON *out, *bind;
    int e;

    if (!type || str_empty(target) || strchr(target, ':') || (source && strchr(source, ':')))
        return render_unsupported(r, "volumes", "a path is missing or has a ':'");
    if (str_equal(type, "tmpfs"))
        return render_tmpfs_mount(r, target, json_bool(mount, "read_only", false), options);
    if (!str_equal(type, "bind") && !str_equal(type, "volume"))
        return render_unsupported(r, "volumes", "a mount is neither bind, volume nor tmpfs");
    if (str_equal(type, "volume") && option)
        return render_unsupported(r, "volumes", "options of a named volume are lost");
    if (!list_of(r, "volumes"))
        return -ENOMEM;
    if (source && str_equal(type, "bind") && r->options && r->options->bind)
        source = r->options->bind(source, r->options->userdata);
    out = cJSON_CreateObject();
    e = out ? json_append(list_of(r, "volumes"), out) : -ENOMEM;
    e = e < 0 ? e : json_add_string(out, "type", type);
    e = e < 0 || str_empty(source) ? e : add_escaped(out, "source", source);
    e = e < 0 ? e : add_escaped(out, "target", target);
    if (e >= 0 && json_bool(mount, "read_only", false))
        e = json_add_bool(out, "read_only", true);
    if (e < 0 || !option)
        return e;
    if (option->next || !cJSON_IsString(option))
        return render_unsupported(r, "volumes", "a bind mount takes one propagation word");
    bind = cJSON_AddObjectToObject(out, "bind");
    return bind ? add_escaped(bind, "propagation", option->valuestring) : -ENOMEM;
}

int render_volumes(const RenderService *r, const char *key _unused_, const cJSON *value)
{
    const cJSON *mount;

    cJSON_ArrayForEach(mount, value) {
        int e = render_mount(r, mount);

        if (e < 0)
            return e;
    }
    return 0;
}

/* It adds a network to whatever the mode is, and podman refuses the two together. */
int render_network_mode(const RenderService *r, const char *key, const cJSON *value)
{
    if (r->options && r->options->partly)
        return render_string(r, key, value);
    return render_unsupported(r, key, "version 1.0.3 adds a network of its own, and podman refuses both together");
}

/* The rest goes by run_args; podman knows containers by their names. */
int render_namespace(const RenderService *r, const char *key, const cJSON *value)
{
    const char *text = cJSON_GetStringValue(value);

    return text && str_starts(text, "service:") ? render_unsupported(r, key, "podman knows no services") : 0;
}

/* Podman takes an entry apart at its colons. */
int render_devices(const RenderService *r, const char *key, const cJSON *value)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, value) {
        _cleanup_(device_parts_done) DeviceParts parts = {};
        bool is_cdi = device_is_cdi(item->valuestring);
        int e = is_cdi ? 0 : device_split(item->valuestring, &parts);

        if (e < 0)
            return e;
        if (!is_cdi && (strchr(parts.host, ':') || strchr(parts.container, ':')))
            return render_unsupported(r, key, "a path has a colon");
    }
    return render_strings(r, key, value);
}

int render_not(const RenderService *r, const char *key, const cJSON *value _unused_)
{
    return render_unsupported(r, key, "version 1.0.3 ignores it without a word");
}

static int check_attachment(const RenderService *r, const cJSON *network, bool is_only)
{
    const cJSON *setting, *alias;
    int e = 0;

    cJSON_ArrayForEach(setting, network) {
        if (e >= 0 && !str_equal(setting->string, "aliases"))
            e = render_unsupported(r, setting->string, "version 1.0.3 knows no settings of a service's network");
        cJSON_ArrayForEach(alias, setting) {
            bool is_own = cJSON_IsString(alias) && str_equal(alias->valuestring, r->service->name);

            if (e >= 0 && !is_own && !is_only) /* else it goes by run_args */
                e = render_unsupported(r, "networks",
                                       "an alias besides the service's name needs a service with one network");
        }
    }
    return e;
}

/* Version 1.0.3 knows a list of networks and nothing else. The service's own name is an alias in any case. */
int render_networks(const RenderService *r, const char *key, const cJSON *value)
{
    const cJSON *network;

    cJSON_ArrayForEach(network, value) {
        int e = check_attachment(r, network, cJSON_GetArraySize(value) == 1);

        if (e < 0)
            return e;
        if (!list_of(r, key) || append_escaped(list_of(r, key), network->string) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* Version 1.0.3 ignores `disable`, and both lose the quotes of CMD: a shell line in quotes survives. */
static int render_test(const RenderService *r, const cJSON *test, cJSON *out)
{
    _cleanup_(buf_done) Buf line = BUF_INIT(INTERPOLATE_RESULT_MAX * 5);
    const char *kind = cJSON_IsString(test->child) ? test->child->valuestring : "";
    const cJSON *word = test->child ? test->child->next : NULL;
    cJSON *list = cJSON_AddArrayToObject(out, "test");
    int e = list ? 0 : -ENOMEM;

    if (str_equal(kind, "NONE"))
        return e < 0 ? e : append_escaped(list, "NONE");
    if (!word || (!str_equal(kind, "CMD") && !str_equal(kind, "CMD-SHELL")))
        return render_unsupported(r, "healthcheck.test", "it must be NONE, CMD or CMD-SHELL with a command");
    if (str_equal(kind, "CMD-SHELL")) {
        if (word->next || !cJSON_IsString(word))
            return render_unsupported(r, "healthcheck.test", "CMD-SHELL takes one string");
        e = e < 0 ? e : append_escaped(list, "CMD-SHELL");
        return e < 0 ? e : append_escaped(list, word->valuestring);
    }
    for (; e >= 0 && word; word = word->next) {
        e = buf_puts(&line, line.len ? " '" : "'");
        for (const char *p = cJSON_IsString(word) ? word->valuestring : ""; e >= 0 && *p; p++)
            e = *p == '\'' ? buf_puts(&line, "'\"'\"'") : buf_append(&line, p, 1);
        e = e < 0 ? e : buf_puts(&line, "'");
    }
    e = e < 0 ? e : append_escaped(list, "CMD-SHELL");
    return e < 0 ? e : append_escaped(list, line.data);
}

/* Zero stands for the default everywhere; podman refuses it. */
static bool is_zero(const char *text)
{
    return strspn(text, "0smu.") == strlen(text);
}

int render_healthcheck(const RenderService *r, const char *key, const cJSON *value)
{
    static const char *const settings[] = { "interval", "timeout", "start_period", "retries" };
    const cJSON *test = cJSON_GetObjectItemCaseSensitive(value, "test");
    cJSON *out;
    int e;

    if (!test) /* the image's own, which is put in when the image is known */
        return 0;
    if (!test->child)
        return render_unsupported(r, "healthcheck.test", "it must be NONE, CMD or CMD-SHELL with a command");
    out = cJSON_AddObjectToObject(r->out, key);
    e = !out ? -ENOMEM : r->options && r->options->run_args && run_args_hold_test(test) ? 0 : render_test(r, test, out);
    for (size_t i = 0; e >= 0 && i < ELEMENTSOF(settings); i++) {
        const char *text = json_string(value, settings[i]);

        if (!text || is_zero(text))
            continue;
        /* whole seconds end in a digit and "s" */
        if (str_equal(settings[i], "timeout") && (str_ends(text, "us") || (str_ends(text, "ms") && strlen(text) < 6)))
            return render_unsupported(r, "healthcheck.timeout", "podman wants at least one second");
        e = add_escaped(out, settings[i], text);
    }
    return e;
}

int render_logging(const RenderService *r, const char *key, const cJSON *value)
{
    const char *driver = json_string(value, "driver");
    const cJSON *options = cJSON_GetObjectItemCaseSensitive(value, "options");
    cJSON *out = cJSON_AddObjectToObject(r->out, key);
    cJSON *list;
    const cJSON *option;
    int e = out ? add_escaped(out, "driver", driver ? driver : "k8s-file") : -ENOMEM;

    if (e < 0 || !options || !options->child)
        return e;
    list = cJSON_AddObjectToObject(out, "options");
    cJSON_ArrayForEach(option, options) {
        if (strchr(option->string, '$'))
            return render_unsupported(r, key, "an option's name has a '$'");
        if (e >= 0)
            e = list ? add_escaped(list, option->string, cJSON_IsString(option) ? option->valuestring : "") : -ENOMEM;
    }
    return e;
}

int render_ulimits(const RenderService *r, const char *key, const cJSON *value)
{
    cJSON *list = value->child ? list_of(r, key) : NULL;
    const cJSON *limit;

    cJSON_ArrayForEach(limit, value) {
        const char *soft = json_string(limit, "soft"), *hard = json_string(limit, "hard");
        _cleanup_(freep) char *text = NULL;

        if (!soft && !hard)
            return render_unsupported(r, key, "a limit has no value");
        soft = soft ? soft : hard;
        hard = hard ? hard : soft;
        text = str_format("%s=%s:%s", limit->string, soft, hard);
        if (!text || !list || append_escaped(list, text) < 0)
            return -ENOMEM;
    }
    return 0;
}

int render_security(const RenderService *r, const char *key, const cJSON *value)
{
    cJSON *list = value->child ? list_of(r, key) : NULL;
    const cJSON *item;

    cJSON_ArrayForEach(item, value) {
        const char *text = cJSON_IsString(item) ? item->valuestring : "";

        if (str_equal(text, "no-new-privileges:true") || str_equal(text, "no-new-privileges=true"))
            text = "no-new-privileges";
        if (!list || append_escaped(list, text) < 0)
            return -ENOMEM;
    }
    return 0;
}

int render_key(const RenderService *r, const char *key, const cJSON *value)
{
    const ComposeKey *k = compose_service_key(key);
    if (!k || k->unsupported)
        return render_unsupported(r, key, "version 1.0.3 ignores it without a word");
    return k->render ? k->render(r, key, value) : 0;
}

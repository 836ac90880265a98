/* SPDX-License-Identifier: MIT */
/* What a compose file may ask of this box: one table of keys, used on the file as written (where values with
 * variables are skipped) and on its normal form (where nothing is). A key that is not in the table is
 * refused. */
#include "compose/policy/policy-rules.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "compose/parse/interpolate.h"
#include "compose/policy/policy-refuse.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

static bool list_has(const char *const *list, const char *s)
{
    for (size_t i = 0; list && list[i]; i++)
        if (strcasecmp(list[i], s) == 0)
            return true;
    return false;
}

static bool is_false(const cJSON *value)
{
    static const char *const words[] = { "", "0", "false", "no", "off", "n", NULL };

    if (cJSON_IsString(value))
        return list_has(words, value->valuestring);
    return cJSON_IsFalse(value) || cJSON_IsNull(value) || (cJSON_IsNumber(value) && value->valueint == 0);
}

static int need(const PolicyCheck *c, const char *key, const char *item, const char *why)
{
    return policy_allows(c->policy, c->service, key, item) ? 0 : policy_refuse(c, key, item, why);
}

int policy_check_true(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value)
{
    return is_false(value) ? 0 : need(c, rule->key, NULL, "gives the service the whole host");
}

int policy_check_word(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value)
{
    if (cJSON_IsNull(value))
        return 0;
    if (!cJSON_IsString(value))
        return need(c, rule->key, NULL, "is refused by this box's policy");
    if (!*value->valuestring || list_has(rule->free, value->valuestring))
        return 0;
    return need(c, rule->key, value->valuestring, "opens a part of the host to the service");
}

/* What another service has of the host: compose_policy_check_project(). */
int policy_check_shared(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value)
{
    const char *mode = cJSON_GetStringValue(value);

    return mode && str_starts(mode, "service:") ? 0 : policy_check_word(c, rule, value);
}

/* "CAP_net_admin" → "NET_ADMIN" */
static void normalise_capability(char *name)
{
    if (strncasecmp(name, "CAP_", 4) == 0)
        memmove(name, name + 4, strlen(name + 4) + 1);
    for (; *name; name++)
        *name = (char) toupper((unsigned char) *name);
}

int policy_check_item(const PolicyCheck *c, const ComposeKey *rule, const char *text)
{
    _cleanup_(freep) char *name = strndup(text, rule->cut ? strcspn(text, rule->cut) : strlen(text));

    if (!name)
        return -ENOMEM;
    if (str_equal(rule->key, "cap_add"))
        normalise_capability(name);
    if (list_has(rule->free, name))
        return 0;
    return need(c, rule->key, name, "is refused by this box's policy");
}

/* A map (its keys count), a list (its strings count), or one string. */
int policy_check_items(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value)
{
    const cJSON *item;

    if (cJSON_IsNull(value))
        return 0;
    if (cJSON_IsString(value))
        return policy_check_item(c, rule, value->valuestring);
    if (!cJSON_IsArray(value) && !cJSON_IsObject(value))
        return need(c, rule->key, NULL, "is refused by this box's policy");
    cJSON_ArrayForEach(item, value) {
        int r = 0;

        if (cJSON_IsObject(value))
            r = policy_check_item(c, rule, item->string);
        else if (cJSON_IsString(item))
            r = policy_check_item(c, rule, item->valuestring);
        r = policy_pass_on(c, r);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_option(const PolicyCheck *c, const char *key, const char *option, const char *const *fine)
{
    _cleanup_(freep) char *name = strndup(option, strcspn(option, "="));

    if (!name)
        return -ENOMEM;
    if (!*name || list_has(fine, name))
        return 0;
    return need(c, key, name, "is a mount option that weakens the container");
}

static int check_options(const PolicyCheck *c, const char *key, const char *options, const char *const *fine)
{
    for (const char *p = options; *p;) {
        _cleanup_(freep) char *option = strndup(p, strcspn(p, ","));
        int r = option ? policy_pass_on(c, check_option(c, key, option, fine)) : -ENOMEM;

        if (r < 0)
            return r;
        p += strcspn(p, ",");
        p += *p == ',';
    }
    return 0;
}

static const char *const tmpfs_options[] = {
    "size",   "mode",  "uid",     "gid",       "rw",        "ro",          "noexec",
    "nosuid", "nodev", "noatime", "nr_inodes", "tmpcopyup", "notmpcopyup", NULL,
};

int policy_check_tmpfs(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value)
{
    const cJSON *item = cJSON_IsArray(value) ? value->child : value;

    for (; item; item = cJSON_IsArray(value) ? item->next : NULL) {
        const char *colon = cJSON_IsString(item) ? strchr(item->valuestring, ':') : NULL;
        int r = colon ? check_options(c, rule->key, colon + 1, tmpfs_options) : 0;

        if (r < 0)
            return r;
    }
    return 0;
}

static const char *const volume_options[] = {
    "ro",     "rw",    "z",      "Z",    "private", "rprivate", "slave",     "rslave",     "bind", "rbind",
    "nosuid", "nodev", "noexec", "copy", "nocopy",  "cached",   "delegated", "consistent", NULL,
};

/* It was allowed once, and may be running so on this box. */
static int refuse_old_meaning(const PolicyCheck *c, const char *path, const char *source, bool read_only)
{
    size_t len = strlen(SECBOX_RUN_DIR);

    if (str_ends(source, VOLUMES_DIR))
        return error_set_at(c->err, EPERM, "policy.bind-outside", c->file, c->line, path,
                            "the host path \"%.200s\" cannot be mounted, only the folders directly in it can; mount "
                            "such a folder",
                            source);
    if (policy_note_entry(c, read_only ? "bind_ro" : "bind", source) < 0)
        return -ENOMEM;
    if (strstr(source, VOLUMES_DIR "/"))
        return error_set_at(c->err, EPERM, "policy.bind-outside", c->file, c->line, path,
                            "the host path \"%.200s\" lies deeper in " VOLUMES_DIR
                            " than the folders directly in it, which every service may mount; mount such a folder, "
                            "or list \"%.200s\" itself in policy.json",
                            source, source);
    if (strlen(source) >= len && str_ends(source, SECBOX_RUN_DIR))
        return error_set_at(c->err, EPERM, "policy.bind-outside", c->file, c->line, path,
                            "\"%.200s\" is the folder of the service " SECBOX_SERVICE
                            "; mount that of this service: %.*s" SERVICES_RUN_DIR "/%s",
                            source, (int) (strlen(source) - len), source, c->service);
    return error_set_at(
        c->err, EPERM, "policy.bind-outside", c->file, c->line, path,
        "the host path \"%.200s\" lies below an entry of policy.json, and an entry now means that very path; "
        "list \"%.200s\" itself, or write \"%.*s/*\" for all that is directly in that folder",
        source, source, (int) (strrchr(source, '/') - source), source);
}

/* Without what means nothing: "/a//b/./" is "/a/b". Anything else is left for the check to name. */
static char *clean_source(const char *source)
{
    char *clean = malloc(strlen(source) + 2), *end = clean;

    if (!clean)
        return NULL;
    for (const char *p = source; *p == '/';) {
        size_t len;

        p += strspn(p, "/");
        len = strcspn(p, "/");
        if (len > 0 && !(len == 1 && *p == '.')) {
            *end++ = '/';
            end = mempcpy(end, p, len);
        }
        p += len;
    }
    if (end == clean)
        *end++ = '/';
    *end = '\0';
    return clean;
}

static int check_bind(const PolicyCheck *c, const char *written, bool read_only)
{
    _cleanup_(freep) char *path = str_format("services.%s.volumes", c->service);
    _cleanup_(freep) char *source = *written == '/' ? clean_source(written) : strdup(written);

    if (!path || !source)
        return -ENOMEM;
    if (policy_allows_bind(c->policy, c->service, source, read_only))
        return 0;
    if (str_equal(source, "/"))
        return error_set_at(c->err, EPERM, "policy.bind-outside", c->file, c->line, path,
                            "the root folder of the host cannot be mounted; mount the folders that are needed");
    if (!policy_path_is_clean(source))
        return error_set_at(c->err, EPERM, "policy.bind-outside", c->file, c->line, path,
                            "the host path \"%.200s\" cannot be mounted: write an absolute path without \"..\"",
                            written);
    if (policy_allowed_bind(c->policy, c->service, source, read_only))
        return refuse_old_meaning(c, path, source, read_only);
    if (policy_note_entry(c, read_only ? "bind_ro" : "bind", source) < 0)
        return -ENOMEM;
    return error_set_at(c->err, EPERM, "policy.bind-outside", c->file, c->line, path,
                        "the host path \"%.200s\" (%s) is outside the folders that this box opens to containers; use a "
                        "named volume, or add it to services.\"%s\".%s in policy.json",
                        source, read_only ? "read-only" : "writable", c->service, read_only ? "bind_ro" : "bind");
}

/* Names reach podman's -v and --net as they are: a path or an option in their place would mean something
 * else. */
static bool name_is_plain(const char *name)
{
    if (!isalnum((unsigned char) name[0]))
        return false;
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char) *p) && !strchr("_.-", *p))
            return false;
    return true;
}

/* SOURCE:TARGET[:OPTIONS], as written in the file. */
static int check_short_volume(const PolicyCheck *c, const char *text)
{
    _cleanup_(freep) char *source = strndup(text, strcspn(text, ":"));
    const char *target = strchr(text, ':');
    const char *options = target ? strchr(target + 1, ':') : NULL;
    _cleanup_(freep) char *padded = str_format(",%s,", options ? options + 1 : "");
    int r = 0;

    if (!source || !padded)
        return -ENOMEM;
    if (!target) /* only a place inside the container */
        return 0;
    if (source[0] == '/')
        r = policy_pass_on(c, check_bind(c, source, strstr(padded, ",ro,") != NULL));
    /* relative sources are judged when they are absolute, on the normal form */
    return r < 0 || !options ? r : check_options(c, "volumes", options + 1, volume_options);
}

static int check_volume_words(const PolicyCheck *c, const cJSON *mount, bool tmpfs)
{
    const cJSON *options = cJSON_GetObjectItemCaseSensitive(mount, "options");
    const char *propagation = json_string(cJSON_GetObjectItemCaseSensitive(mount, "bind"), "propagation");
    const cJSON *option;

    cJSON_ArrayForEach(option, options) {
        int r = !cJSON_IsString(option) ? 0
                                        : check_options(c, tmpfs ? "tmpfs" : "volumes", option->valuestring,
                                                        tmpfs ? tmpfs_options : volume_options);

        if (r < 0)
            return r;
    }
    return propagation ? check_options(c, "volumes", propagation, volume_options) : 0;
}

static int check_long_volume(const PolicyCheck *c, const cJSON *mount)
{
    const char *type = json_string(mount, "type");
    const char *source = json_string(mount, "source");
    const cJSON *read_only = cJSON_GetObjectItemCaseSensitive(mount, "read_only");
    int r = 0;

    if (!type) /* a variable, or missing: the normal form has it */
        return 0;
    if (str_equal(type, "bind") && source && (source[0] == '/' || !strchr("./~", source[0]) || !*source))
        r = policy_pass_on(c, check_bind(c, source, read_only && !is_false(read_only)));
    else if (!str_equal(type, "bind") && !str_equal(type, "volume") && !str_equal(type, "tmpfs"))
        r = need(c, "volumes", type, "is a kind of mount that this box's policy refuses");
    return r < 0 ? r : check_volume_words(c, mount, str_equal(type, "tmpfs"));
}

int policy_check_volumes(const PolicyCheck *c, const ComposeKey *rule _unused_, const cJSON *value)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, value) {
        int r = 0;

        if (cJSON_IsString(item))
            r = check_short_volume(c, item->valuestring);
        else if (cJSON_IsObject(item))
            r = check_long_volume(c, item);
        r = policy_pass_on(c, r);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_label(const PolicyCheck *c, const char *name)
{
    static const char *const reserved[] = { "io.tucomunidad.", "io.podman.compose.", "com.docker.compose.",
                                            "PODMAN_SYSTEMD_UNIT" };

    for (size_t i = 0; i < ELEMENTSOF(reserved); i++) {
        _cleanup_(freep) char *path = NULL;

        if (!str_starts(name, reserved[i]))
            continue;
        path = c->service ? str_format("services.%s.labels", c->service) : strdup("labels");
        return error_set_at(
            c->err, EPERM, "policy.reserved-label", c->file, c->line, path,
            "the label \"%.100s\" is kept for the tools that make containers on this box; use a name that "
            "does not begin with \"%s\"",
            name, reserved[i]);
    }
    return 0;
}

int policy_check_labels(const PolicyCheck *c, const ComposeKey *rule _unused_, const cJSON *value)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, value) {
        const char *name = cJSON_IsObject(value) ? item->string : cJSON_IsString(item) ? item->valuestring : NULL;
        int r = name ? policy_pass_on(c, check_label(c, name)) : 0;

        if (r < 0)
            return r;
    }
    return 0;
}

static int refuse_driver(const PolicyCheck *c, const char *driver)
{
    _cleanup_(freep) char *path = str_format("services.%s.logging.driver", c->service);

    if (!path)
        return -ENOMEM;
    return error_set_at(c->err, EPERM, "policy.refused", c->file, c->line, path,
                        "podman has no log driver \"%.60s\"; write json-file, k8s-file, journald or none", driver);
}

/* k8s-file's option "path" writes to any file of the host. */
int policy_check_logging(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value)
{
    static const char *const drivers[] = { "journald", "k8s-file", "json-file", "none", NULL };
    /* podman writes by max-size, tag and path, and lets the others pass */
    static const char *const options[] = { "max-size", "max-file",  "tag",      "labels", "labels-regex",
                                           "env",      "env-regex", "compress", "mode",   "max-buffer-size",
                                           NULL };
    const char *driver = json_string(value, "driver");
    const cJSON *option;
    int r = driver && *driver && !list_has(drivers, driver) ? policy_pass_on(c, refuse_driver(c, driver)) : 0;

    if (r < 0)
        return r;
    cJSON_ArrayForEach(option, cJSON_GetObjectItemCaseSensitive(value, "options")) {
        r = list_has(options, option->string)
                ? 0
                : need(c, rule->key, option->string, "is a log option that this box's policy refuses");

        r = policy_pass_on(c, r);
        if (r < 0)
            return r;
    }
    return 0;
}

/* podman takes transports ("docker-archive:/path") and options in the place of a name. */
static bool image_is_name(const char *image)
{
    if (!isalnum((unsigned char) image[0]) || strstr(image, ":/"))
        return false;
    for (const char *p = image; *p; p++)
        if (!isalnum((unsigned char) *p) && !strchr("._-/:@", *p))
            return false;
    return true;
}

static int check_image_name(const PolicyCheck *c, const char *image)
{
    _cleanup_(freep) char *path = str_format("services.%s.image", c->service);

    if (!path)
        return -ENOMEM;
    if (!image_is_name(image))
        return error_set_at(c->err, EPERM, "policy.image-not-allowed", c->file, c->line, path,
                            "\"%.200s\" is not the name of an image in a registry (NAME, NAME:TAG or NAME@DIGEST)",
                            image);
    if (!policy_allows_image(c->policy, image))
        return error_set_at(c->err, EPERM, "policy.image-not-allowed", c->file, c->line, path,
                            "the image \"%.200s\" comes from a registry that this box's policy does not list; add its "
                            "prefix to \"images\" in policy.json, and write the registry into the name",
                            image);
    return 0;
}

int policy_check_image(const PolicyCheck *c, const ComposeKey *rule _unused_, const cJSON *value)
{
    return cJSON_IsString(value) ? check_image_name(c, value->valuestring) : 0;
}

int policy_check_env_file(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value)
{
    const cJSON *item = cJSON_IsArray(value) ? value->child : value;
    int r = 0;

    for (; r >= 0 && item; item = cJSON_IsArray(value) ? item->next : NULL) {
        const char *path = cJSON_IsString(item) ? item->valuestring : json_string(item, "path");

        if (path && !str_equal(path, SECBOX_ENV_PATH) && (path[0] == '/' || path[0] == '~' || strstr(path, "..")))
            r = policy_pass_on(
                c, policy_refuse_always(c, rule->key,
                                        "names a file outside the folder of the volumes, and not " SECBOX_ENV_PATH));
    }
    return r;
}

bool policy_key_is_known(const char *key)
{
    static const char *const never[] = { "image", "labels", "env_file", "deploy", "gpus", NULL };
    const ComposeKey *rule = compose_service_key(key);

    return (rule && rule->policy && !list_has(never, key)) || str_equal(key, "driver_opts") ||
           str_equal(key, "network_driver") || str_equal(key, "other_project");
}

static int check_key(const PolicyCheck *c, const char *key, const cJSON *value)
{
    const ComposeKey *rule = compose_service_key(key);

    if (rule && (!rule->unsupported || rule->policy))
        return rule->policy ? rule->policy(c, rule, value) : 0;
    if (str_starts(key, "x-") && !str_starts(key, "x-podman"))
        return 0;
    return policy_refuse_always(c, key, "is not among the keys that this box accepts");
}

/* Top-level volumes and networks. A volume called "/etc" would be a bind mount, a network called "host" the
 * host's. */
/* Only the real name reaches podman; of the file as written it is known when it stands there, or when the key is it. */
static const char *real_name(const cJSON *d, const char *key)
{
    const cJSON *external = cJSON_GetObjectItemCaseSensitive(d, "external");
    const char *old_form = json_string(external, "name"), *name = json_string(d, "name");

    return name ? name : old_form ? old_form : external && !is_false(external) ? key : NULL;
}

static int check_definition_name(const PolicyCheck *c, const char *kind, const char *key, const char *name)
{
    static const char *const taken[] = { "host", "none", "private", "slirp4netns", "pasta", "container", "ns", NULL };
    bool is_network = str_equal(kind, "networks");
    _cleanup_(freep) char *path = NULL;

    if (name_is_plain(key) && (!name || (name_is_plain(name) && !(is_network && list_has(taken, name)))))
        return 0;
    path = str_format("%s.%.100s.name", kind, key);
    return error_set_at(c->err, EPERM, "policy.refused", c->file, c->line, path ? path : kind,
                        "\"%.100s\" cannot be a name under %s: use letters, digits, '_', '.' and '-', and none of "
                        "podman's own words; no entry in policy.json can allow it",
                        name ? name : key, kind);
}

static int check_drivers(const PolicyCheck *c, bool is_network, const char *driver, const cJSON *options)
{
    int r = 0;

    if (is_network && driver && !str_equal(driver, "bridge") && !str_equal(driver, "default") &&
        !policy_allows(c->policy, c->service, "network_driver", driver))
        r = policy_pass_on(c, policy_refuse(c, "network_driver", driver, "puts containers on the host's own networks"));
    if (r >= 0 && ((options && options->child) || (!is_network && driver && !str_equal(driver, "local"))) &&
        !policy_allows(c->policy, c->service, "driver_opts", NULL))
        r = policy_pass_on(c, policy_refuse(c, "driver_opts", NULL, "can mount any part of the host"));
    return r;
}

static int check_definition(const PolicyCheck *c, const char *kind, const char *key, const cJSON *d)
{
    int r = policy_pass_on(c, check_definition_name(c, kind, key, real_name(d, key)));

    if (r >= 0)
        r = check_drivers(c, str_equal(kind, "networks"), json_string(d, "driver"),
                          cJSON_GetObjectItemCaseSensitive(d, "driver_opts"));
    return r < 0 ? r : policy_check_labels(c, NULL, cJSON_GetObjectItemCaseSensitive(d, "labels"));
}

int compose_policy_check_present(const ComposePolicy *policy, const ComposeService *s, const char *kind,
                                 const char *driver, const cJSON *options, Error *err)
{
    const PolicyCheck c = { .policy = policy, .service = compose_declared_name(s), .line = s->line, .err = err };

    return check_drivers(&c, str_equal(kind, "network"), driver, options);
}

/* As written: a tree of cJSON where everything with a variable in it is null. */
static cJSON *literals_of(const YamlNode *node)
{
    cJSON *out;
    bool b;

    if (node->type == YAML_SCALAR) {
        if (yaml_is_null(node) || interpolate_has_variable(node->value))
            return cJSON_CreateNull();
        return yaml_is_bool(node, &b) ? cJSON_CreateBool(b) : cJSON_CreateString(node->value);
    }
    out = node->type == YAML_MAPPING ? cJSON_CreateObject() : cJSON_CreateArray();
    for (size_t i = 0; out && i < node->n_items; i++) {
        cJSON *item = literals_of(node->items[i]);

        if (!item ||
            (node->type == YAML_MAPPING ? json_add_item(out, node->items[i]->key, item) : json_append(out, item)) < 0) {
            cJSON_Delete(out);
            return NULL;
        }
    }
    return out;
}

static int check_file_service(const PolicyCheck *outer, const YamlNode *service)
{
    PolicyCheck c = *outer;

    c.service = service->key;
    if (service->type != YAML_MAPPING || yaml_get(service, "profiles"))
        return 0;
    for (size_t i = 0; i < service->n_items; i++) {
        const YamlNode *node = service->items[i];
        _cleanup_(cJSON_Deletep) cJSON *value = literals_of(node);
        int r;

        if (!value)
            return -ENOMEM;
        c.line = node->key_line;
        r = policy_pass_on(&c, check_key(&c, node->key, value));
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_file_definitions(const PolicyCheck *outer, const char *kind, const YamlNode *definitions)
{
    PolicyCheck c = *outer;

    for (size_t i = 0; definitions && i < definitions->n_items; i++) {
        const YamlNode *node = definitions->items[i];
        _cleanup_(cJSON_Deletep) cJSON *value = literals_of(node);
        int r;

        if (!value)
            return -ENOMEM;
        c.line = node->key_line;
        r = policy_pass_on(&c, check_definition(&c, kind, node->key, value));
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_file(const ComposeFile *f, PolicyCheck c)
{
    static const char *const known[] = { "configs",  "secrets",  "version", "name",
                                         "services", "networks", "volumes", NULL };
    const YamlNode *root = compose_file_root(f);
    const YamlNode *services = yaml_get(root, "services");
    int r = 0;

    for (size_t i = 0; i < root->n_items; i++) {
        const char *key = root->items[i]->key;

        c.line = root->items[i]->key_line;
        if (!list_has(known, key) && (!str_starts(key, "x-") || str_starts(key, "x-podman")))
            r = policy_pass_on(&c, policy_refuse_always(&c, key, "is not among the keys that this box accepts"));
        if (r < 0)
            return r;
    }
    for (size_t i = 0; services && i < services->n_items; i++) {
        r = check_file_service(&c, services->items[i]);
        if (r < 0)
            return r;
    }
    r = check_file_definitions(&c, "networks", yaml_get(root, "networks"));
    return r < 0 ? r : check_file_definitions(&c, "volumes", yaml_get(root, "volumes"));
}

int compose_policy_check(const ComposeFile *f, const ComposePolicy *policy, Error *err)
{
    return check_file(f, (PolicyCheck) { .policy = policy, .file = compose_file_name(f), .err = err });
}

int compose_policy_find_all(const ComposeFile *f, const ComposePolicy *policy, ErrorList *ret, ErrorList *ret_never,
                            cJSON **ret_allowing)
{
    _cleanup_(cJSON_Deletep) cJSON *allowing = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    PolicyFindings all = { .allowable = ret, .never = ret_never, .allowing = allowing };
    int r =
        allowing
            ? check_file(f, (PolicyCheck) { .policy = policy, .file = compose_file_name(f), .err = &err, .all = &all })
            : -ENOMEM;

    if (r >= 0 && allowing->child)
        *ret_allowing = TAKE_PTR(allowing);
    return r;
}

/* Podman makes one thing for a name, by whichever definition comes first: all of that name are judged. */
static int check_used_definitions(const PolicyCheck *c, const char *kind, char *const *keys, const cJSON *definitions)
{
    for (size_t i = 0; keys && keys[i]; i++) {
        const cJSON *used = cJSON_GetObjectItemCaseSensitive(definitions, keys[i]), *d;
        const char *name = used ? real_name(used, keys[i]) : NULL;

        cJSON_ArrayForEach(d, definitions) {
            bool same = d == used || (name && str_equal(real_name(d, d->string), name));
            int r = same ? check_definition(c, kind, d->string, d) : 0;

            if (r < 0)
                return r;
        }
    }
    return 0;
}

/* "service:NAME" is what that service has: the host's network, when that one is in it. */
static int check_shared(const PolicyCheck *c, const ComposeProject *p, const ComposeService *s)
{
    const ComposeService *network_owner = compose_owner(p, s, "network_mode");
    int r = 0;

    for (size_t i = 0; r >= 0 && compose_shared_keys[i]; i++) {
        const ComposeService *owner = compose_owner(p, s, compose_shared_keys[i]);
        const ComposeKey *key = compose_service_key(compose_shared_keys[i]);
        const cJSON *mode = owner ? cJSON_GetObjectItemCaseSensitive(owner->config, key->key) : NULL;

        r = mode ? policy_check_shared(c, key, mode) : 0;
    }
    return r < 0 || !network_owner ? r : check_used_definitions(c, "networks", network_owner->networks, p->networks);
}

int compose_policy_check_project(const ComposeProject *p, const ComposePolicy *policy, const char *file, Error *err)
{
    for (size_t i = 0; i < p->n_services; i++) {
        const ComposeService *s = &p->services[i];
        const PolicyCheck c = {
            .policy = policy, .file = file, .service = compose_declared_name(s), .line = s->line, .err = err
        };
        const cJSON *member;
        int r = check_image_name(&c, s->image);

        cJSON_ArrayForEach(member, s->config) {
            r = r < 0 ? r : check_key(&c, member->string, member);
        }
        r = r < 0 ? r : check_used_definitions(&c, "networks", s->networks, p->networks);
        r = r < 0 ? r : check_shared(&c, p, s);
        r = r < 0 ? r : check_used_definitions(&c, "volumes", s->volumes, p->volumes);
        if (r < 0)
            return r;
    }
    return 0;
}

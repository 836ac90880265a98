/* SPDX-License-Identifier: MIT */
/* The box's own policy file: what it says, and whether it covers a key, a host path or an image. */
#include "compose/policy/policy-internal.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "compose/policy/bind-rules.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/image-ref.h"
#include "lib/data/json.h"

#define POLICY_ENTRIES_MAX 256

typedef struct PolicyService {
    char *name;
    char **allow;
    char **bind;
    char **bind_ro;
} PolicyService;

struct ComposePolicy {
    PolicyService *services;
    size_t n_services;
    char **bind;
    char **bind_ro;
    char **images; /* NULL: any */
    bool has_images;
    bool lenient;
    bool other; /* of a project beside the box's own */
    /* with a prefix (--root) the same places below it */
    char *root_volumes;
    char *root_env;
    char *root_run;
    char *root_services;
    char *root_files;
};

/* Folders through which a container gets at the host itself: an entry above them does not cover them, each
 * path has to be listed as it is. */
static const char *const sensitive_roots[] = {
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/cache",
    "/var/lib/apt",
    "/var/lib/containers",
    "/var/lib/dbus",
    "/var/lib/dpkg",
    "/var/lib/private",
    "/var/lib/systemd",
    "/var/run",
    "/var/spool",
    STATE_DIR,
};

/* Clocks that look alike in and outside; and secbox.env, whose values every pushed file may name anyway, and
 * which relay-client reads at each start. */
static const char *const always_read_only[] = { "/etc/localtime", "/etc/timezone", SECBOX_ENV_PATH };

bool policy_path_is_clean(const char *path)
{
    if (path[0] != '/')
        return false;
    for (const char *p = path; *p; p += strcspn(p, "/")) {
        size_t len;

        p++;
        len = strcspn(p, "/");
        if (len == 0 && !(p == path + 1 && *p == '\0'))
            return false;
        if ((len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
            return false;
    }
    return true;
}

static bool path_is_home(const char *path)
{
    const char *rest = path + strlen("/home");

    /* these two hold keys and the rootless container store; what lies deeper is judged by its name */
    return path_is_below(path, "/home") && (!*rest || !strchr(rest + 1, '/'));
}

static bool path_is_sensitive(const ComposePolicy *p, const char *path)
{
    if (path_is_below(path, VOLUMES_DIR) || path_is_below(path, p->root_volumes))
        return false;
    if (path_is_home(path) || strstr(path, "/."))
        return true;
    for (size_t i = 0; i < ELEMENTSOF(sensitive_roots); i++)
        if (path_is_below(path, sensitive_roots[i]) || path_is_below(sensitive_roots[i], path))
            return true;
    return false;
}

static bool path_is_volumes_dir(const ComposePolicy *p, const char *path)
{
    return str_equal(path, VOLUMES_DIR) || str_equal(path, p->root_volumes);
}

/* Directly in it, not deeper. */
static bool path_is_child(const char *path, const char *dir, size_t len)
{
    return strncmp(path, dir, len) == 0 && path[len] == '/' && path[len + 1] && !strchr(path + len + 1, '/');
}

/* An entry names a path, or with "/" and "*" at its end what is directly in a folder; the folder of the box's own volumes can
 * only mean the latter. */
static bool entry_allows_path(const ComposePolicy *p, const char *entry, const char *path, bool sensitive)
{
    if (path_is_volumes_dir(p, entry))
        return path_is_child(path, entry, strlen(entry));
    if (str_ends(entry, "/*"))
        return !sensitive && path_is_child(path, entry, strlen(entry) - 2);
    return str_equal(entry, path);
}

/* What an entry covered before: everything below it. */
static bool entry_allowed_path(const char *entry, const char *path, bool sensitive)
{
    return str_equal(entry, path) || (!sensitive && path_is_below(path, entry));
}

static bool list_allows_path(const ComposePolicy *p, char *const *list, const char *path, bool sensitive, bool lenient)
{
    for (size_t i = 0; list && list[i]; i++)
        if (entry_allows_path(p, list[i], path, sensitive) || (lenient && entry_allowed_path(list[i], path, sensitive)))
            return true;
    return false;
}

/* Where a service shows its heartbeat: to one service its own folder. */
static bool is_own_run_dir(const ComposePolicy *p, const char *service, const char *source, bool lenient)
{
    const char *const parents[] = { SERVICES_RUN_DIR, p->root_services };

    if (p->other)
        return false;

    if (str_equal(source, SECBOX_RUN_DIR) || str_equal(source, p->root_run))
        return lenient || str_equal(service, SECBOX_SERVICE);
    for (size_t i = 0; i < ELEMENTSOF(parents); i++) {
        size_t len = strlen(parents[i]);

        if (path_is_child(source, parents[i], len) && str_equal(source + len + 1, service))
            return true;
    }
    return false;
}

/* What came with a push, as the box keeps it: FILES_DIR, a name made of the content, and the file. */
static bool is_travelled_file(const ComposePolicy *p, const char *source)
{
    const char *name = path_is_below(source, p->root_files) ? source + strlen(p->root_files) + 1 : "";
    size_t id = strspn(name, "0123456789abcdef");

    return id == 32 && name[id] == '/' && name[id + 1] && !strchr(name + id + 1, '/');
}

static bool allows_bind(const ComposePolicy *p, const char *service, const char *source, bool read_only, bool lenient)
{
    bool sensitive;

    if (!policy_path_is_clean(source) || str_equal(source, "/"))
        return false;
    if (path_is_volumes_dir(p, source) && !lenient)
        return false;
    if (is_own_run_dir(p, service, source, lenient))
        return true;
    if (read_only && is_travelled_file(p, source))
        return true;
    sensitive = path_is_sensitive(p, source);
    if (list_allows_path(p, p->bind, source, sensitive, lenient) ||
        (read_only && list_allows_path(p, p->bind_ro, source, sensitive, lenient)))
        return true;
    for (size_t i = 0; read_only && i < ELEMENTSOF(always_read_only); i++)
        if (str_equal(source, always_read_only[i]) || str_equal(source, p->root_env))
            return true;
    for (size_t i = 0; i < p->n_services; i++) {
        const PolicyService *s = &p->services[i];

        if (!str_equal(s->name, "*") && !str_equal(s->name, service))
            continue;
        if (list_allows_path(p, s->bind, source, sensitive, lenient) ||
            (read_only && list_allows_path(p, s->bind_ro, source, sensitive, lenient)))
            return true;
    }
    return false;
}

void policy_keep_old_meaning(ComposePolicy *p)
{
    p->lenient = true;
}

bool policy_is_lenient(const ComposePolicy *p)
{
    return p->lenient;
}

bool policy_allows_bind(const ComposePolicy *p, const char *service, const char *source, bool read_only)
{
    return allows_bind(p, service, source, read_only, p->lenient);
}

bool policy_allowed_bind(const ComposePolicy *p, const char *service, const char *source, bool read_only)
{
    return allows_bind(p, service, source, read_only, true);
}

bool policy_lists_bind(const ComposePolicy *p, const char *service, const char *source)
{
    return allows_bind(p, service, source, true, false);
}

/* The clock that every container may see is a link on Debian, and so is the system's name, which many ask for; what they lead to
 * is as harmless as the link. */
bool policy_allows_link(const ComposePolicy *p, const char *service, const char *link, const char *target,
                        bool read_only)
{
    if (read_only && str_equal(link, "/etc/localtime") && path_is_below(target, "/usr/share/zoneinfo"))
        return true;
    if (read_only && str_equal(link, "/etc/os-release") && str_equal(target, "/usr/lib/os-release"))
        return policy_allows_bind(p, service, link, true);
    return policy_allows_bind(p, service, target, read_only);
}

void policy_mark_other(ComposePolicy *p)
{
    p->other = true;
}

int policy_take_images(ComposePolicy *p, const ComposePolicy *of_box)
{
    if (p->has_images || !of_box->has_images)
        return 0;
    p->has_images = true;
    return strv_copy(of_box->images, &p->images);
}

bool policy_allows_other(const ComposePolicy *p, const char *service, const char *name)
{
    return policy_allows(p, service, "other_project", name);
}

bool policy_is_new_volume(const ComposePolicy *p, const char *source)
{
    return path_is_child(source, VOLUMES_DIR, strlen(VOLUMES_DIR)) ||
           path_is_child(source, p->root_volumes, strlen(p->root_volumes));
}

static bool entry_covers(const char *entry, const char *key, const char *item)
{
    size_t len = strlen(key);

    if (strncmp(entry, key, len) != 0)
        return false;
    return entry[len] == '\0' || (item && entry[len] == ':' && str_equal(entry + len + 1, item));
}

bool policy_allows(const ComposePolicy *p, const char *service, const char *key, const char *item)
{
    for (size_t i = 0; i < p->n_services; i++) {
        const PolicyService *s = &p->services[i];

        if (service && !str_equal(s->name, "*") && !str_equal(s->name, service))
            continue;
        for (size_t k = 0; s->allow && s->allow[k]; k++)
            if (entry_covers(s->allow[k], key, item))
                return true;
    }
    return false;
}

/* A prefix ends where a component ends, or "registry.example" would let in "registry.example.net". */
static bool is_listed(const ComposePolicy *p, const char *image)
{
    for (size_t i = 0; p->images && p->images[i]; i++) {
        size_t len = strlen(p->images[i]);

        if (strncmp(image, p->images[i], len) == 0 &&
            (p->images[i][len - 1] == '/' || !image[len] || strchr("/:@", image[len])))
            return true;
    }
    return false;
}

/* A short name is most likely Docker Hub's. Where it is another registry's, the full name is asked for again. */
bool policy_allows_image(const ComposePolicy *p, const char *image)
{
    _cleanup_(freep) char *full = image_name_is_short(image) ? image_docker_name(image) : NULL;

    return !p->has_images || is_listed(p, image) || (full && is_listed(p, full));
}

/* Parsing: one table of members for each level, one function for each kind of value. */

typedef struct ParseContext {
    const char *file;
    const char *place; /* "" or "services.NAME." */
    Error *err;
} ParseContext;

static int parse_error(const ParseContext *c, const char *id, const char *member, const char *problem, const char *what)
{
    _cleanup_(freep) char *key = str_format("%s%s", c->place, member);

    return error_set_at(c->err, EINVAL, id, c->file, 0, key, "%s \"%.100s\"", problem, what);
}

static int check_path_entry(const ParseContext *c, const char *member, const char *entry)
{
    if (str_equal(entry, "/") || str_equal(entry, "/*"))
        return parse_error(c, "policy.bad-path", member,
                           "the root folder cannot be opened to containers; list the folders that are needed, not",
                           entry);
    if (!policy_path_is_clean(entry))
        return parse_error(c, "policy.bad-path", member,
                           "expected an absolute path without \".\", \"..\" and a slash at its end, or such a path and "
                           "\"/*\" for all that is directly in it, not",
                           entry);
    return 0;
}

static int check_image_entry(const ParseContext *c, const char *member, const char *entry)
{
    if (!*entry)
        return parse_error(c, "policy.bad-entry", member,
                           "an empty prefix allows every image; leave \"images\" out for that, instead of", entry);
    return 0;
}

static int check_allow_entry(const ParseContext *c, const char *member, const char *entry)
{
    _cleanup_(freep) char *key = strndup(entry, strcspn(entry, ":"));

    if (!key)
        return -ENOMEM;
    if (!policy_key_is_known(key) || str_ends(entry, ":"))
        return parse_error(c, "policy.bad-entry", member,
                           "expected a compose key that needs permission, or KEY:VALUE, not", entry);
    return 0;
}

/* "cap_add:CAP_net_admin" → "cap_add:NET_ADMIN", the form that resolved files have. */
static char *normalise_entry(const char *entry)
{
    const char *const prefix = "cap_add:";
    const char *name = entry + strlen(prefix);
    char *copy;

    if (!str_starts(entry, prefix))
        return strdup(entry);
    if (strncasecmp(name, "CAP_", 4) == 0)
        name += 4;
    copy = str_format("%s%s", prefix, name);
    for (char *p = copy ? copy + strlen(prefix) : NULL; p && *p; p++)
        *p = (char) toupper((unsigned char) *p);
    return copy;
}

typedef int (*entry_check_t)(const ParseContext *c, const char *member, const char *entry);

static int parse_list(const ParseContext *c, const cJSON *value, entry_check_t check, char ***ret)
{
    _cleanup_(strv_freep) char **list = NULL;
    const cJSON *item;

    if (!cJSON_IsArray(value))
        return parse_error(c, "policy.bad-type", value->string, "expected a list of strings for", value->string);
    if (cJSON_GetArraySize(value) > POLICY_ENTRIES_MAX)
        return parse_error(c, "policy.too-large", value->string, "too many entries in", value->string);
    cJSON_ArrayForEach(item, value) {
        int r;

        if (!cJSON_IsString(item) || !item->valuestring)
            return parse_error(c, "policy.bad-type", value->string, "expected only strings in", value->string);
        r = check(c, value->string, item->valuestring);
        if (r >= 0)
            r = strv_take(&list, normalise_entry(item->valuestring));
        if (r < 0)
            return r;
    }
    strv_free(*ret);
    *ret = TAKE_PTR(list);
    return 0;
}

static int parse_service(ComposePolicy *p, const cJSON *value, const ParseContext *outer)
{
    _cleanup_(freep) char *place = str_format("services.%s.", value->string);
    const ParseContext c = { outer->file, place ? place : "", outer->err };
    PolicyService *s = &p->services[p->n_services];
    const cJSON *member;

    if (!place)
        return -ENOMEM;
    if (!cJSON_IsObject(value))
        return parse_error(outer, "policy.bad-type", "services", "expected an object for service", value->string);
    s->name = strdup(value->string);
    if (!s->name)
        return -ENOMEM;
    p->n_services++;
    cJSON_ArrayForEach(member, value) {
        int r;

        if (str_equal(member->string, "allow"))
            r = parse_list(&c, member, check_allow_entry, &s->allow);
        else if (str_equal(member->string, "bind"))
            r = parse_list(&c, member, check_path_entry, &s->bind);
        else if (str_equal(member->string, "bind_ro"))
            r = parse_list(&c, member, check_path_entry, &s->bind_ro);
        else
            r = parse_error(&c, "policy.unknown-key", member->string, "expected allow, bind or bind_ro, not",
                            member->string);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_services(ComposePolicy *p, const cJSON *value, const ParseContext *c)
{
    const cJSON *member;
    int n = cJSON_GetArraySize(value);

    if (!cJSON_IsObject(value))
        return parse_error(c, "policy.bad-type", "services", "expected an object for", "services");
    if (n > POLICY_ENTRIES_MAX)
        return parse_error(c, "policy.too-large", "services", "too many entries in", "services");
    p->services = calloc((size_t) n + 1, sizeof(PolicyService));
    if (!p->services)
        return -ENOMEM;
    cJSON_ArrayForEach(member, value) {
        int r = parse_service(p, member, c);

        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_member(ComposePolicy *p, const cJSON *member, const ParseContext *c)
{
    if (str_equal(member->string, "services"))
        return parse_services(p, member, c);
    if (str_equal(member->string, "bind"))
        return parse_list(c, member, check_path_entry, &p->bind);
    if (str_equal(member->string, "bind_ro"))
        return parse_list(c, member, check_path_entry, &p->bind_ro);
    if (str_equal(member->string, "images")) {
        p->has_images = true;
        return parse_list(c, member, check_image_entry, &p->images);
    }
    return parse_error(c, "policy.unknown-key", member->string, "expected services, bind, bind_ro or images, not",
                       member->string);
}

int policy_parse(const char *text, size_t len, const char *file, ComposePolicy **ret, Error *err)
{
    _cleanup_(policy_freep) ComposePolicy *p = calloc(1, sizeof(ComposePolicy));
    _cleanup_(cJSON_Deletep) cJSON *root = NULL;
    _cleanup_(error_done) Error syntax = {};
    const ParseContext c = { file, "", err };
    const cJSON *member;
    int r;

    if (!p)
        return -ENOMEM;
    p->root_volumes = path_in_root(VOLUMES_DIR);
    p->root_env = path_in_root(SECBOX_ENV_PATH);
    p->root_run = path_in_root(SECBOX_RUN_DIR);
    p->root_services = path_in_root(SERVICES_RUN_DIR);
    p->root_files = path_in_root(FILES_DIR);
    if (!p->root_files || !p->root_volumes || !p->root_env || !p->root_run || !p->root_services ||
        strv_add(&p->bind, VOLUMES_DIR) < 0 || strv_add(&p->bind, p->root_volumes) < 0)
        return -ENOMEM;
    if (!text) {
        *ret = TAKE_PTR(p);
        return 0;
    }
    r = json_parse_object(text, len, &root, &syntax);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return error_set_at(err, EINVAL, "policy.syntax", file, syntax.line, NULL, "%s", error_message(&syntax, r));
    cJSON_ArrayForEach(member, root) {
        r = parse_member(p, member, &c);
        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(p);
    return 0;
}

ComposePolicy *policy_free(ComposePolicy *p)
{
    if (!p)
        return NULL;
    for (size_t i = 0; i < p->n_services; i++) {
        free(p->services[i].name);
        strv_free(p->services[i].allow);
        strv_free(p->services[i].bind);
        strv_free(p->services[i].bind_ro);
    }
    free(p->services);
    strv_free(p->bind);
    strv_free(p->bind_ro);
    strv_free(p->images);
    free(p->root_volumes);
    free(p->root_env);
    free(p->root_run);
    free(p->root_services);
    free(p->root_files);
    free(p);
    return NULL;
}

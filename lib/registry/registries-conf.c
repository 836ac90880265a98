/* SPDX-License-Identifier: MIT */
/* registries.conf with its drop-in folders, and certs.d. */
#include "lib/registry/registries-conf.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/toml.h"
#include "lib/registry/registries-conf-internal.h"

#define DOCKER_HUB "docker.io"
#define DOCKER_HUB_HOST "registry-1.docker.io"

/* One [[registry.mirror]]. */
typedef struct Mirror {
    char *location;
    bool insecure;
    bool no_tags; /* it is for digests alone */
} Mirror;

/* One [[registry]]. */
typedef struct Entry {
    char *prefix, *location;
    bool insecure, blocked;
    bool mirrors_no_tags; /* of all of them */
    Mirror *mirrors;
    size_t n_mirrors;
} Entry;

struct RegistryConf {
    char *certs[3]; /* folders of authorities, first one first; NULL = none */
    Entry *entries;
    size_t n_entries;
    size_t first_of_file;
    size_t n_files;
    RegistryNames short_names;
    RegistryAuth auth;
};

static void entry_done(Entry *e)
{
    free(e->prefix);
    free(e->location);
    for (size_t i = 0; i < e->n_mirrors; i++)
        free(e->mirrors[i].location);
    free(e->mirrors);
    *e = (Entry) {};
}

RegistryConf *registry_conf_free(RegistryConf *c)
{
    if (!c)
        return NULL;
    for (size_t i = 0; i < ELEMENTSOF(c->certs); i++)
        free(c->certs[i]);
    for (size_t i = 0; i < c->n_entries; i++)
        entry_done(&c->entries[i]);
    free(c->entries);
    registry_auth_done(&c->auth);
    short_names_done(&c->short_names);
    free(c);
    return NULL;
}

static int replace(char **where, const char *value)
{
    free(*where);
    *where = strdup(value);
    return *where ? 0 : -ENOMEM;
}

static int on_mirror(Entry *e, const char *key, TomlType type, const char *value)
{
    Mirror *m;

    if (type == TOML_TABLE) {
        m = reallocarray(e->mirrors, e->n_mirrors + 1, sizeof(*m));
        if (!m)
            return -ENOMEM;
        e->mirrors = m;
        m[e->n_mirrors++] = (Mirror) {};
        return 0;
    }
    m = &e->mirrors[e->n_mirrors - 1];
    if (str_equal(key, "location") && type == TOML_STRING)
        return replace(&m->location, value);
    if (str_equal(key, "insecure") && type == TOML_BOOLEAN)
        m->insecure = str_equal(value, "true");
    if (str_equal(key, "pull-from-mirror") && type == TOML_STRING)
        m->no_tags = str_equal(value, "digest-only");
    return 0;
}

static int on_value(const char *table, const char *key, TomlType type, const char *value, unsigned line, void *userdata)
{
    RegistryConf *c = userdata;
    Entry *e;

    (void) line;
    if (str_equal(table, "") && str_equal(key, "unqualified-search-registries") && type == TOML_STRING)
        return short_names_add_search(&c->short_names, c->n_files, value);
    if (str_equal(table, "aliases") && type == TOML_STRING)
        return short_names_add_alias(&c->short_names, key, value);
    if (str_equal(table, "registry.mirror") && c->n_entries > c->first_of_file)
        return on_mirror(&c->entries[c->n_entries - 1], key, type, value);
    if (!str_equal(table, "registry"))
        return 0;
    if (type == TOML_TABLE) {
        if (c->n_entries == REGISTRY_CONF_TABLES_MAX)
            return -E2BIG;
        e = reallocarray(c->entries, c->n_entries + 1, sizeof(*e));
        if (!e)
            return -ENOMEM;
        c->entries = e;
        e[c->n_entries++] = (Entry) {};
        return 0;
    }
    e = &c->entries[c->n_entries - 1];
    if (str_equal(key, "prefix") && type == TOML_STRING)
        return replace(&e->prefix, value);
    if (str_equal(key, "location") && type == TOML_STRING)
        return replace(&e->location, value);
    if (str_equal(key, "insecure") && type == TOML_BOOLEAN)
        e->insecure = str_equal(value, "true");
    if (str_equal(key, "blocked") && type == TOML_BOOLEAN)
        e->blocked = str_equal(value, "true");
    if (str_equal(key, "mirror-by-digest-only") && type == TOML_BOOLEAN)
        e->mirrors_no_tags = str_equal(value, "true");
    return 0;
}

/* A missing prefix is the location; a later file's entry takes the place of one with the same prefix. */
static int settle_entries(RegistryConf *c)
{
    for (size_t i = c->first_of_file; i < c->n_entries; i++) {
        Entry *e = &c->entries[i];

        if (!e->prefix && replace(&e->prefix, e->location ? e->location : "") < 0)
            return -ENOMEM;
        if (!e->location && !str_starts(e->prefix, "*.") && replace(&e->location, e->prefix) < 0)
            return -ENOMEM;
        for (size_t j = 0; j < c->first_of_file; j++)
            if (str_equal(c->entries[j].prefix, e->prefix))
                entry_done(&c->entries[j]);
    }
    c->first_of_file = c->n_entries;
    return 0;
}

static int load_file(RegistryConf *c, const char *path, Error *err)
{
    _cleanup_(freep) char *real = realpath(path, NULL);
    _cleanup_(freep) char *text = NULL;
    _cleanup_(error_done) Error why = {};
    size_t len;
    int r;

    if (!real && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    r = real ? file_read(real, REGISTRY_CONF_SIZE_MAX, &text, &len, &why) : -errno;
    c->n_files++;
    if (r == 0)
        r = toml_read(text, len, path, on_value, c, &why);
    if (r == 0)
        r = settle_entries(c);
    return r < 0 ? error_set_at(err, -r, "registry.config", path, why.line, NULL, "podman's %s is not usable: %s", path,
                                error_message(&why, r))
                 : 0;
}

static int is_conf(const struct dirent *d)
{
    return str_ends(d->d_name, ".conf");
}

static int is_crt(const struct dirent *d)
{
    return str_ends(d->d_name, ".crt");
}

static int load_folder(RegistryConf *c, const char *folder, Error *err)
{
    struct dirent **names = NULL;
    int n = scandir(folder, &names, is_conf, alphasort), r = 0;

    for (int i = 0; i < n; i++) {
        _cleanup_(freep) char *path = str_format("%s/%s", folder, names[i]->d_name);

        if (r == 0)
            r = path ? load_file(c, path, err) : error_set(err, ENOMEM, "registry.config", "no memory");
        free(names[i]);
    }
    free(names);
    return r;
}

/* The user's file stands in for the system's and its drop-ins; the user's drop-ins always count, and come last. */
static int load_registries(RegistryConf *c, const RegistryPlaces *places, Error *err)
{
    _cleanup_(freep) char *own =
        str_format("%s/containers/registries.conf", places->config_home ? places->config_home : "");
    _cleanup_(freep) char *own_folder = own ? str_format("%s.d", own) : NULL;
    _cleanup_(freep) char *system = str_format("%s/registries.conf", places->etc ? places->etc : "");
    _cleanup_(freep) char *system_folder = system ? str_format("%s.d", system) : NULL;
    bool has_own = places->config_home && own && access(own, F_OK) == 0 && !places->registries_conf;
    int r = 0;

    if (!own_folder || !system_folder)
        return error_set(err, ENOMEM, "registry.config", "no memory");
    if (has_own)
        r = load_file(c, own, err);
    else if (places->registries_conf)
        r = load_file(c, places->registries_conf, err);
    else if (places->etc)
        r = load_file(c, system, err);
    if (r == 0 && !has_own && places->etc)
        r = load_folder(c, system_folder, err);
    return r == 0 && places->config_home ? load_folder(c, own_folder, err) : r;
}

static int note_folders(RegistryConf *c, const RegistryPlaces *places)
{
    if (places->config_home && !(c->certs[0] = str_format("%s/containers/certs.d", places->config_home)))
        return -ENOMEM;
    if (places->etc && !(c->certs[1] = str_format("%s/certs.d", places->etc)))
        return -ENOMEM;
    if (places->etc && !(c->certs[2] = str_format("%s/../docker/certs.d", places->etc)))
        return -ENOMEM;
    return 0;
}

int registry_conf_load(const RegistryPlaces *places, RegistryConf **ret, Error *err)
{
    _cleanup_(registry_conf_freep) RegistryConf *c = calloc(1, sizeof(*c));
    int r;

    if (!c || note_folders(c, places) < 0)
        return error_set(err, ENOMEM, "registry.config", "no memory");
    r = load_registries(c, places, err);
    if (r == 0)
        r = registry_auth_load(places, &c->auth, err);
    if (r == 0)
        *ret = TAKE_PTR(c);
    return r;
}

/* How much of "host/path[:tag]" the prefix covers, 0 when it does not. */
static size_t match(const char *prefix, const char *name)
{
    size_t len = prefix ? strlen(prefix) : 0;

    if (len == 0)
        return 0;
    if (str_starts(prefix, "*.")) { /* any host below, at whatever depth */
        size_t host = strcspn(name, ":/");

        return host > len - 1 && strncasecmp(name + host - (len - 1), prefix + 1, len - 1) == 0 ? len : 0;
    }
    return str_starts(name, prefix) && (!name[len] || strchr("/:@", name[len])) ? len : 0;
}

static const Entry *find(const RegistryConf *c, const char *name)
{
    const Entry *best = NULL;
    size_t best_len = 0;

    for (size_t i = 0; i < c->n_entries; i++) {
        size_t len = match(c->entries[i].prefix, name);

        if (len > best_len) {
            best = &c->entries[i];
            best_len = len;
        }
    }
    return best;
}

void registry_place_done(RegistryPlace *p)
{
    free(p->host);
    free(p->path);
    free(p->registry);
    *p = (RegistryPlace) {};
}

/* What name leads to where `location` stands for its first `len` characters; NULL location: to itself. */
static int make_place(const char *name, const char *location, size_t len, bool insecure, RegistryPlace *ret, Error *err)
{
    _cleanup_(freep) char *there = location ? str_format("%s%s", location, name + len) : strdup(name);
    _cleanup_(registry_place_done) RegistryPlace p = {};
    const char *slash = there ? strchr(there, '/') : NULL;

    if (there && !slash)
        return error_set(err, EINVAL, "registry.config", "registries.conf leads %s to \"%s\", which is no image", name,
                         there);
    if (there) {
        p.registry = strndup(there, (size_t) (slash - there));
        p.path = strdup(slash + 1);
        p.host = p.registry ? strdup(str_equal(p.registry, DOCKER_HUB) ? DOCKER_HUB_HOST : p.registry) : NULL;
        p.insecure = insecure;
    }
    if (!p.registry || !p.path || !p.host)
        return error_set(err, ENOMEM, "registry.config", "no memory");
    *ret = p;
    p = (RegistryPlace) {};
    return 0;
}

static int find_own(const Entry *e, const char *name, RegistryPlace *ret, Error *err)
{
    bool elsewhere = e && e->location && !str_equal(e->location, e->prefix) && !str_starts(e->prefix, "*.");

    if (e && e->blocked)
        return error_set(err, EPERM, "registry.blocked", "%s is blocked by podman's registries.conf (prefix %s)", name,
                         e->prefix);
    return make_place(name, elsewhere ? e->location : NULL, elsewhere ? strlen(e->prefix) : 0, e && e->insecure, ret,
                      err);
}

int registry_conf_find(const RegistryConf *c, const ImageRef *ref, RegistryPlace *ret, Error *err)
{
    _cleanup_(freep) char *name = str_format("%s/%s", ref->registry, ref->path);

    return name ? find_own(find(c, name), name, ret, err) : error_set(err, ENOMEM, "registry.config", "no memory");
}

int registry_conf_find_all(const RegistryConf *c, const ImageRef *ref, RegistryPlaceList *ret, Error *err)
{
    _cleanup_(freep) char *name = str_format("%s/%s", ref->registry, ref->path);
    _cleanup_(registry_places_done) RegistryPlaceList places = {};
    const Entry *e = name ? find(c, name) : NULL;
    size_t len = !e ? 0 : str_starts(e->prefix, "*.") ? strcspn(name, ":/") : strlen(e->prefix);
    int r = name ? 0 : error_set(err, ENOMEM, "registry.config", "no memory");

    for (size_t i = 0; r == 0 && e && !e->blocked && !e->mirrors_no_tags && i < e->n_mirrors; i++) {
        const Mirror *m = &e->mirrors[i];

        if (places.n == REGISTRY_MIRRORS_MAX)
            break;
        if (!m->no_tags && m->location && *m->location)
            r = make_place(name, m->location, len, m->insecure, &places.list[places.n++], err);
    }
    if (r == 0)
        r = find_own(e, name, &places.list[places.n], err);
    if (r < 0)
        return r;
    places.n++;
    *ret = places;
    places = (RegistryPlaceList) {};
    return 0;
}

void registry_places_done(RegistryPlaceList *places)
{
    for (size_t i = 0; i < places->n; i++)
        registry_place_done(&places->list[i]);
    *places = (RegistryPlaceList) {};
}

bool registry_conf_is_insecure(const RegistryConf *c, const char *host)
{
    for (size_t i = 0; i < c->n_entries; i++) {
        const char *location = c->entries[i].location;
        size_t len = location ? strcspn(location, "/") : 0;

        if (c->entries[i].insecure && len > 0 && strlen(host) == len && strncasecmp(location, host, len) == 0)
            return true;
    }
    return false;
}

static int append_file(Buf *b, const char *path)
{
    _cleanup_(freep) char *real = realpath(path, NULL);
    _cleanup_(freep) char *text = NULL;
    int r = real ? file_read(real, REGISTRY_CA_SIZE_MAX, &text, NULL, NULL) : -errno;

    if (r == 0)
        r = buf_puts(b, text);
    return r == 0 ? buf_puts(b, "\n") : r;
}

static int read_authorities(const char *folder, char **ret, Error *err)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(REGISTRY_CA_SIZE_MAX);
    struct dirent **names = NULL;
    int n = scandir(folder, &names, is_crt, alphasort), r = 0;

    for (int i = 0; i < n; i++) {
        _cleanup_(freep) char *path = str_format("%s/%s", folder, names[i]->d_name);

        if (r == 0)
            r = path ? append_file(&b, path) : -ENOMEM;
        if (r < 0)
            error_set_at(err, -r, "registry.config", path, 0, NULL, "cannot read the certificate authority %s: %s",
                         path, strerror(-r));
        free(names[i]);
    }
    free(names);
    if (r == 0 && b.len > 0) {
        *ret = buf_take(&b);
        r = *ret ? 0 : error_set(err, ENOMEM, "registry.config", "no memory");
    }
    return r;
}

/* The first folder that is there counts, as for podman; NULL when there is none. */
static char *certs_of(const RegistryConf *c, const char *host)
{
    if (strchr(host, '/') || str_starts(host, "."))
        return NULL;
    for (size_t i = 0; i < ELEMENTSOF(c->certs); i++) {
        _cleanup_(freep) char *folder = c->certs[i] ? str_format("%s/%s", c->certs[i], host) : NULL;
        struct stat st;

        if (folder && stat(folder, &st) == 0)
            return TAKE_PTR(folder);
    }
    return NULL;
}

int registry_conf_authorities(const RegistryConf *c, const char *host, char **ret, Error *err)
{
    _cleanup_(freep) char *folder = certs_of(c, host);

    *ret = NULL;
    return folder ? read_authorities(folder, ret, err) : 0;
}

static int is_cert(const struct dirent *d)
{
    return str_ends(d->d_name, ".cert");
}

static int read_pem(const char *path, char **ret, Error *err)
{
    _cleanup_(error_done) Error why = {};
    size_t len = 0;
    int r = path ? file_read_followed(path, REGISTRY_CA_SIZE_MAX, ret, &len, &why) : -ENOMEM;

    return r < 0 ? error_set_at(err, -r, "registry.config", path, 0, NULL,
                                "a certificate to show to the registry cannot be read: %s", error_message(&why, r))
                 : 0;
}

/* TLS is shown one certificate: the first by name. It is read here, by whoever may read the key. */
int registry_conf_client_cert(const RegistryConf *c, const char *host, char **ret_cert, char **ret_key, Error *err)
{
    _cleanup_(freep) char *folder = certs_of(c, host), *cert = NULL, *key = NULL, *cert_text = NULL;
    struct dirent **names = NULL;
    int n = folder ? scandir(folder, &names, is_cert, alphasort) : 0, r;

    *ret_cert = *ret_key = NULL;
    if (n > 0) {
        cert = str_format("%s/%s", folder, names[0]->d_name);
        key = str_format("%s/%.*s.key", folder, (int) (strlen(names[0]->d_name) - strlen(".cert")), names[0]->d_name);
    }
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    if (n <= 0)
        return 0;
    r = read_pem(cert, &cert_text, err);
    if (r == 0)
        r = read_pem(key, ret_key, err);
    if (r == 0)
        *ret_cert = TAKE_PTR(cert_text);
    return r;
}

bool registry_conf_credentials(const RegistryConf *c, const char *registry, const char *path, RegistryCredentials *ret)
{
    return registry_auth_find(&c->auth, registry, path, ret);
}

int registry_conf_full_name(const RegistryConf *c, const char *image, char **ret)
{
    return short_names_resolve(&c->short_names, image, ret);
}

/* SPDX-License-Identifier: MIT */
/* Podman's auth files, in podman's order. Secrets are made known to the redactor, and wiped afterwards. */
#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/registry/registries-conf-internal.h"

static void entry_done(AuthEntry *e)
{
    free(e->key);
    secret_free(e->basic);
    secret_free(e->identity_token);
    free(e->helper);
    *e = (AuthEntry) {};
}

void registry_auth_done(RegistryAuth *a)
{
    for (size_t i = 0; i < a->n_entries; i++)
        entry_done(&a->entries[i]);
    free(a->entries);
    strv_free(a->files);
    *a = (RegistryAuth) {};
}

static void wipe(cJSON *o)
{
    cJSON *child;

    if (cJSON_IsString(o) && o->valuestring)
        explicit_bzero(o->valuestring, strlen(o->valuestring));
    cJSON_ArrayForEach(child, o)
        wipe(child);
}

/* Old files hold URLs ("https://index.docker.io/v1/"): of those only the host counts. */
static char *normal_key(const char *key)
{
    static const char *const hub[] = { "index.docker.io", "registry-1.docker.io" };
    const char *rest = strstr(key, "://");
    _cleanup_(freep) char *text = rest ? strndup(rest + 3, strcspn(rest + 3, "/")) : strdup(key);

    if (!text)
        return NULL;
    for (size_t i = 0; i < ELEMENTSOF(hub); i++)
        if (str_starts(text, hub[i]) && (!text[strlen(hub[i])] || text[strlen(hub[i])] == '/'))
            return strdup("docker.io");
    if (str_ends(text, "/"))
        text[strlen(text) - 1] = '\0';
    return TAKE_PTR(text);
}

static AuthEntry *add_entry(RegistryAuth *a, const char *key)
{
    AuthEntry *grown = reallocarray(a->entries, a->n_entries + 1, sizeof(*grown));

    if (!grown)
        return NULL;
    a->entries = grown;
    grown[a->n_entries] = (AuthEntry) { .key = normal_key(key), .file = strv_length(a->files) - 1 };
    return grown[a->n_entries].key ? &grown[a->n_entries++] : NULL;
}

/* Without the line breaks that Go's decoder skips; a secret. */
static char *unwrapped(const char *base64)
{
    char *text = strdup(base64), *to = text;

    for (const char *from = base64; text && *from; from++)
        if (*from != '\r' && *from != '\n')
            *to++ = *from;
    if (text)
        *to = '\0';
    return text;
}

/* Remembers what must never be shown: the whole, and the password inside. What podman takes is taken: wrapped lines, and NUL
 * bytes behind the password. */
static int take_basic(AuthEntry *e, const char *base64)
{
    _cleanup_(secret_freep) char *text = unwrapped(base64);
    uint8_t *plain = NULL;
    size_t len = 0, used;
    int r = text ? base64_decode(text, strlen(text), &plain, &len) : -ENOMEM;

    if (r == -ENOMEM)
        return r;
    for (used = r == 0 ? len : 0; used > 0 && plain[used - 1] == '\0';)
        used--;
    const char *colon = used > 0 ? memchr(plain, ':', used) : NULL;
    e->unusable = !colon || memchr(plain, '\0', used);
    r = 0;
    if (!e->unusable) {
        redact_add_secret(base64);
        redact_add_secret(colon + 1); /* what base64_decode() makes ends with a NUL */
        e->basic = base64_encode(plain, used);
        redact_add_secret(e->basic);
        r = e->basic ? 0 : -ENOMEM;
    }
    if (plain)
        explicit_bzero(plain, len);
    free(plain);
    return r;
}

static int take_auth(RegistryAuth *a, const cJSON *o, Error *err)
{
    const char *basic = json_string(o, "auth"), *token = json_string(o, "identitytoken");
    AuthEntry *e;

    if (str_empty(basic) && str_empty(token))
        return 0;
    e = add_entry(a, o->string);
    if (!e)
        return error_set(err, ENOMEM, "registry.config", "no memory");
    if (!str_empty(token)) {
        redact_add_secret(token);
        e->identity_token = strdup(token);
        return e->identity_token ? 0 : error_set(err, ENOMEM, "registry.config", "no memory");
    }
    return take_basic(e, basic) < 0 ? error_set(err, ENOMEM, "registry.config", "no memory") : 0;
}

static int take_helper(RegistryAuth *a, const char *key, const char *helper, Error *err)
{
    AuthEntry *e = add_entry(a, key);

    if (e)
        e->helper = strdup(helper);
    return e && e->helper ? 0 : error_set(err, ENOMEM, "registry.config", "no memory");
}

static int take_file(RegistryAuth *a, const cJSON *o, Error *err)
{
    const cJSON *entry;
    int r = 0;

    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(o, "credHelpers")) {
        const char *helper = cJSON_GetStringValue(entry);

        if (r == 0 && !str_empty(helper))
            r = take_helper(a, entry->string, helper, err);
    }
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(o, "auths"))
        if (r == 0)
            r = take_auth(a, entry, err);
    if (r == 0 && !str_empty(json_string(o, "credsStore")))
        r = take_helper(a, "*", json_string(o, "credsStore"), err);
    return r;
}

static int load_file(RegistryAuth *a, const char *path, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    _cleanup_(freep) char *real = path ? realpath(path, NULL) : NULL;
    _cleanup_(error_done) Error why = {};
    cJSON *o = NULL;
    size_t len;
    int r;

    if (!real && (!path || errno == ENOENT || errno == ENOTDIR))
        return 0;
    r = real ? file_read(real, ENV_FILE_SIZE_MAX, &text, &len, &why) : error_from_errno(&why, -errno, "%s", path);
    if (r == 0 && len == 0) /* as podman logout leaves it */
        return 0;
    if (r == 0)
        r = json_parse_object(text, len, &o, &why);
    if (r == 0)
        r = strv_add(&a->files, path);
    if (r < 0)
        r = error_set_at(err, -r, "registry.config", path, 0, NULL, "podman's auth file %s is not usable: %s", path,
                         error_message(&why, r));
    else
        r = take_file(a, o, err);
    wipe(o);
    cJSON_Delete(o);
    return r;
}

int registry_auth_load(const RegistryPlaces *places, RegistryAuth *ret, Error *err)
{
    _cleanup_(freep) char *config =
        places->config_home ? str_format("%s/containers/auth.json", places->config_home) : NULL;
    _cleanup_(freep) char *docker = places->docker_config ? str_format("%s/config.json", places->docker_config) : NULL;
    const char *paths[] = { places->runtime_auth, config, docker };
    RegistryAuth a = {};
    int r = 0;

    if ((places->config_home && !config) || (places->docker_config && !docker))
        return error_set(err, ENOMEM, "registry.config", "no memory");
    if (places->auth_file)
        r = load_file(&a, places->auth_file, err);
    else
        for (size_t i = 0; i < ELEMENTSOF(paths) && r == 0; i++)
            r = load_file(&a, paths[i], err);
    if (r < 0) {
        registry_auth_done(&a);
        return r;
    }
    *ret = a;
    return 0;
}

/* How much of the name a key covers, 0 when it is another's. */
static size_t match(const AuthEntry *e, const char *registry, const char *name)
{
    size_t len = strlen(e->key);

    if (e->helper)
        return str_equal(e->key, registry) ? len : 0;
    return str_starts(name, e->key) && (!name[len] || name[len] == '/') ? len : 0;
}

static const AuthEntry *find_in_file(const RegistryAuth *a, size_t file, const char *registry, const char *name)
{
    const AuthEntry *best = NULL, *fallback = NULL;
    size_t best_len = 0;

    for (size_t i = 0; i < a->n_entries; i++) {
        const AuthEntry *e = &a->entries[i];
        size_t len = e->file == file ? match(e, registry, name) : 0;

        if (len > 0 && e->helper) /* comes before what the file itself has */
            return e;
        if (len > best_len) {
            best = e;
            best_len = len;
        }
        if (e->file == file && str_equal(e->key, "*"))
            fallback = e;
    }
    return best ? best : fallback;
}

bool registry_auth_find(const RegistryAuth *a, const char *registry, const char *path, RegistryCredentials *ret)
{
    _cleanup_(freep) char *name = str_format("%s/%s", registry, path);

    for (size_t file = 0; name && file < strv_length(a->files); file++) {
        const AuthEntry *e = find_in_file(a, file, registry, name);

        if (!e)
            continue;
        *ret = (RegistryCredentials) { .basic = e->basic,
                                       .identity_token = e->identity_token,
                                       .helper = e->helper,
                                       .unusable = e->unusable,
                                       .file = a->files[file] };
        return true;
    }
    return false;
}

/* SPDX-License-Identifier: MIT */
/* What a name without a registry means: `[aliases]` and `unqualified-search-registries` of registries.conf. */
#include <errno.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/registry/registries-conf-internal.h"

#define DOCKER_HUB "docker.io"

void short_names_done(RegistryNames *n)
{
    strv_free(n->search);
    map_free(n->aliases);
}

/* A later file's list takes the place of an earlier one's. */
int short_names_add_search(RegistryNames *n, size_t file, const char *registry)
{
    if (n->search_file != file) {
        strv_free(n->search);
        n->search = NULL;
        n->search_file = file;
    }
    return strv_length(n->search) >= REGISTRY_CONF_TABLES_MAX ? -E2BIG : strv_add(&n->search, registry);
}

int short_names_add_alias(RegistryNames *n, const char *name, const char *full)
{
    char *copy = strdup(full);
    int r;

    if (!n->aliases)
        n->aliases = map_new(free);
    r = copy && n->aliases ? map_put(n->aliases, name, copy) : -ENOMEM;
    if (r < 0)
        free(copy);
    return r;
}

int short_names_resolve(const RegistryNames *n, const char *image, char **ret)
{
    size_t digest = strcspn(image, "@"), tag = image_repository_length(image), len = tag < digest ? tag : digest;
    _cleanup_(freep) char *name = strndup(image, len);
    const char *alias = name && n->aliases ? map_get(n->aliases, name) : NULL;

    *ret = NULL;
    if (!name)
        return -ENOMEM;
    if (!str_empty(alias))
        *ret = str_format("%s%s", alias, image + len);
    else if (strv_length(n->search) == 0 || (strv_length(n->search) == 1 && str_equal(n->search[0], DOCKER_HUB)))
        *ret = image_docker_name(image);
    else if (strv_length(n->search) == 1)
        *ret = str_format("%s/%s", n->search[0], image);
    else
        return 0;
    return *ret ? 0 : -ENOMEM;
}

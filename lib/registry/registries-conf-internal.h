/* SPDX-License-Identifier: MIT */
/* Private to the files of lib/registry that read podman's configuration. */
#pragma once

#include "lib/base/map.h"
#include "lib/registry/registries-conf.h"

/* One line of an auth file. */
typedef struct AuthEntry {
    char *key;            /* "registry.example/team", in podman's normal form */
    char *basic;          /* secret */
    char *identity_token; /* secret */
    char *helper;
    bool unusable; /* its "auth" is no credentials: only this registry suffers, as with podman */
    size_t file;   /* index of the file it stands in */
} AuthEntry;

typedef struct RegistryAuth {
    char **files;
    AuthEntry *entries;
    size_t n_entries;
} RegistryAuth;

int registry_auth_load(const RegistryPlaces *places, RegistryAuth *ret, Error *err) _must_check_;
void registry_auth_done(RegistryAuth *a);
bool registry_auth_find(const RegistryAuth *a, const char *registry, const char *path, RegistryCredentials *ret);

typedef struct RegistryNames {
    char **search;      /* unqualified-search-registries */
    size_t search_file; /* the number of the file that they stand in */
    Map *aliases;       /* name → full name; "" is none */
} RegistryNames;

void short_names_done(RegistryNames *n);
int short_names_add_search(RegistryNames *n, size_t file, const char *registry) _must_check_;
int short_names_add_alias(RegistryNames *n, const char *name, const char *full) _must_check_;
int short_names_resolve(const RegistryNames *n, const char *image, char **ret) _must_check_;

/* SPDX-License-Identifier: MIT */
/* Private to registries-conf.c and credentials.c. */
#pragma once

#include "lib/registry/registries-conf.h"

/* One line of an auth file. */
typedef struct AuthEntry {
    char *key;            /* "registry.example/team", in podman's normal form */
    char *basic;          /* secret */
    char *identity_token; /* secret */
    char *helper;
    size_t file; /* index of the file it stands in */
} AuthEntry;

typedef struct RegistryAuth {
    char **files;
    AuthEntry *entries;
    size_t n_entries;
} RegistryAuth;

int registry_auth_load(const RegistryPlaces *places, RegistryAuth *ret, Error *err) _must_check_;
void registry_auth_done(RegistryAuth *a);
bool registry_auth_find(const RegistryAuth *a, const char *registry, const char *path, RegistryCredentials *ret);

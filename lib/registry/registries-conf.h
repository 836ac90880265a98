/* SPDX-License-Identifier: MIT */
/* What podman's own files say about registries: which may be plain HTTP, which are found elsewhere, which private
 * authorities and which credentials there are. Read as the user whose podman it is, since that user's files count.
 * Podman itself could be asked (`podman info`), but takes half a second and does not tell credentials.
 * containers-registries.conf(5), containers-certs.d(5), containers-auth.json(5). */
#pragma once

#include <stdbool.h>

#include "lib/base/limits.h"
#include "lib/data/image-ref.h"

/* Where the files are. Strings may be NULL: then there are none of that kind. */
typedef struct RegistryPlaces {
    const char *etc;             /* "/etc/containers" */
    const char *config_home;     /* ~/.config */
    const char *docker_config;   /* ~/.docker */
    const char *runtime_auth;    /* $XDG_RUNTIME_DIR/containers/auth.json or /run/containers/UID/auth.json */
    const char *auth_file;       /* $REGISTRY_AUTH_FILE: this file and no other */
    const char *registries_conf; /* $CONTAINERS_REGISTRIES_CONF: instead of the user's and the system's */
} RegistryPlaces;

typedef struct RegistryConf RegistryConf;

/* A missing file is no error; one that cannot be understood is (registry.config, naming file and line), as it is for
 * podman. The strings of `places` are copied. */
int registry_conf_load(const RegistryPlaces *places, RegistryConf **ret, Error *err) _must_check_;
RegistryConf *registry_conf_free(RegistryConf *c); /* wipes the secrets */
DEFINE_CLEANUP(RegistryConf, registry_conf_free)

typedef struct RegistryPlace {
    char *host;     /* host[:port] to connect to */
    char *path;     /* the repository there */
    char *registry; /* host[:port] as credentials and authorities are filed under */
    bool insecure;  /* plain HTTP is allowed; certificates are verified all the same */
} RegistryPlace;
void registry_place_done(RegistryPlace *p);

/* Where an image's registry itself is, whatever mirrors there are. Errors: registry.blocked, registry.config. */
int registry_conf_find(const RegistryConf *c, const ImageRef *ref, RegistryPlace *ret, Error *err) _must_check_;

typedef struct RegistryPlaceList {
    RegistryPlace list[REGISTRY_MIRRORS_MAX + 1];
    size_t n;
} RegistryPlaceList;
/* Where podman looks for a tag of this image, in its order: the mirrors that are for tags, then the registry itself. Errors as
 * above. */
int registry_conf_find_all(const RegistryConf *c, const ImageRef *ref, RegistryPlaceList *ret, Error *err) _must_check_;
void registry_places_done(RegistryPlaceList *places);
/* Whether plain HTTP is allowed to any repository of that host[:port]. */
bool registry_conf_is_insecure(const RegistryConf *c, const char *host);

/* PEM text of the private authorities of host[:port], NULL when there are none. Errors: registry.config. */
int registry_conf_authorities(const RegistryConf *c, const char *host, char **ret, Error *err) _must_check_;

/* PEM texts of the certificate that host[:port] may be shown, and of its key, which is a secret (NAME.cert and NAME.key in
 * podman's certs.d); both NULL when there is none. New strings. Errors: registry.config, for one without the other, as podman
 * has it. */
int registry_conf_client_cert(const RegistryConf *c, const char *host, char **ret_cert, char **ret_key,
                              Error *err) _must_check_;

typedef struct RegistryCredentials {
    const char *basic;          /* base64 of "user:password" (RFC 7617), or NULL */
    const char *identity_token; /* an OAuth 2 refresh token instead, or NULL */
    const char *file;           /* where they come from */
    bool unusable;              /* there is an entry, and it is not the base64 of user:password */
    const char *helper;         /* the program that is said to have them; we do not run it. NULL = none */
} RegistryCredentials;

/* The credentials for the longest prefix of registry/path in the first file that has any; borrowed from c. False: none. */
bool registry_conf_credentials(const RegistryConf *c, const char *registry, const char *path, RegistryCredentials *ret);

/* What an image's name without a registry means: an alias, else the one registry to search, else Docker Hub where none is
 * named. A new string in *ret, or NULL when podman would have to choose among several. */
int registry_conf_full_name(const RegistryConf *c, const char *image, char **ret) _must_check_;

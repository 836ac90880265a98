/* SPDX-License-Identifier: MIT */
/* What a registry's manifest says (OCI image-spec 1.0, docker schema 2), and whether an image is still the newest. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"

/* Everything that podman can run, and nothing older: a registry that is not asked may convert to older forms. */
#define IMAGE_MANIFEST_ACCEPT                                                                                          \
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "             \
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"

typedef enum ManifestKind {
    MANIFEST_UNKNOWN, /* not one of those that we accept */
    MANIFEST_IMAGE,   /* of one platform */
    MANIFEST_INDEX,   /* a list of them */
} ManifestKind;

/* By the Content-Type, parameters left out; NULL is unknown. */
ManifestKind manifest_kind_of(const char *media_type);

/* In the registry's words. */
typedef struct Platform {
    const char *os;
    const char *architecture;
    const char *variants[5]; /* acceptable ones, best first, "" for none; ends with NULL */
} Platform;

/* The platform of a machine as uname(2) names it ("x86_64", "aarch64", "armv7l"), with what podman accepts on it. */
Platform platform_of_machine(const char *machine);

typedef struct Manifest {
    ManifestKind kind;
    char *platform_digest; /* of an index: the digest of the platform's entry, NULL when it has none; owned */
    char *config_digest;   /* of an image: of its configuration, which is podman's image id; owned */
} Manifest;

/* Reads a manifest's body. media_type (the Content-Type) may be NULL: then the body itself must say what it is. Errors:
 * manifest.bad, manifest.unsupported. */
int manifest_parse(const char *body, size_t len, const char *media_type, const Platform *platform, Manifest *ret,
                   Error *err) _must_check_;
void manifest_done(Manifest *m);

/* What podman knows of the image that a container runs. */
typedef struct LocalImage {
    char *id;            /* hexadecimal, without "sha256:"; may be NULL */
    char *digest;        /* of its manifest; may be NULL */
    char **repo_digests; /* "NAME@DIGEST"; may be NULL or empty (made here, loaded by hand) */
} LocalImage;
void local_image_done(LocalImage *l);

/* What is known of the registry's image so far. */
typedef struct RemoteImage {
    ManifestKind kind;
    char *digest;          /* what the tag means: of the index where there is one */
    char *platform_digest; /* of this machine's manifest; NULL until the index was read */
    char *config_digest;   /* NULL until that manifest was read */
} RemoteImage;
void remote_image_done(RemoteImage *r);

typedef enum ImageVerdict {
    IMAGE_CURRENT,      /* what the registry has is here */
    IMAGE_NEW,          /* it is something else */
    IMAGE_ASK_INDEX,    /* not decided: read the index */
    IMAGE_ASK_MANIFEST, /* not decided: read this platform's manifest */
} ImageVerdict;

/* An image is current when any digest that podman has recorded for it, under whatever name, is that of the registry's index or
 * of its manifest for this platform; or, whatever the digests are (an image loaded by hand has none, one manifest can be
 * packed in many ways), when the configuration is the same: its digest is the image's id, and it names every layer. */
ImageVerdict image_compare(const LocalImage *local, const RemoteImage *remote);

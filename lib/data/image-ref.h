/* SPDX-License-Identifier: MIT */
/* Names of container images, as podman reads them. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"

/* "sha256:" and 64 lower-case hexadecimal digits, and the NUL */
#define IMAGE_DIGEST_SIZE 72

typedef struct ImageRef {
    char *registry; /* host[:port] as written; "docker.io" for Docker Hub's other names */
    char *path;     /* "acme/web"; on docker.io "library/" is added */
    char *tag;      /* never NULL: "latest" where the name has none */
    char *digest;   /* "sha256:…", or NULL: then the name may mean something else tomorrow */
    bool local;     /* localhost/…: made on this machine, no registry has it */
} ImageRef;

/* Reads [REGISTRY/]PATH[:TAG][@DIGEST]. Errors: image.bad-reference, and image.short-name for names without a registry:
 * podman resolves those from its own configuration or by asking a person, so nobody else can know what they mean. */
int image_ref_parse(const char *text, ImageRef *ret, Error *err) _must_check_;
void image_ref_done(ImageRef *r);

/* "REGISTRY/PATH:TAG" or, with a digest, "REGISTRY/PATH@DIGEST"; a new string or NULL. */
char *image_ref_print(const ImageRef *r, const char *digest);

/* Whether text is exactly "sha256:" and 64 lower-case hexadecimal digits. */
bool image_digest_is_valid(const char *text);
/* The digest of a manifest's bytes. */
int image_digest_of(const char *body, size_t len, char ret[static IMAGE_DIGEST_SIZE]) _must_check_;

/* Length of an image's name as it is written, without its tag. */
size_t image_repository_length(const char *image);

/* Whether the name has no registry in front, so that it means what registries.conf says. */
bool image_name_is_short(const char *image);
/* What a short name means on Docker Hub. A new string. */
char *image_docker_name(const char *image);

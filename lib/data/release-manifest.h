/* SPDX-License-Identifier: MIT */
/* What a release of the data plane says of itself: manifest.json in its archive names each other file with its digest. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"

#define RELEASE_MANIFEST_NAME "manifest.json"
#define RELEASE_MANIFEST_MAX (64 * 1024)
#define RELEASE_FILES_MAX 256
#define RELEASE_VERSION_MAX 64

typedef struct ReleaseFile {
    char *path;
    char *sha256; /* hexadecimal */
} ReleaseFile;

typedef struct ReleaseManifest {
    char *version;
    char *arch; /* as Debian calls it: amd64, arm64 */
    ReleaseFile *files;
    size_t n_files;
} ReleaseManifest;

/* {"version", "arch", "files": [{"path", "sha256"}]}; other members are passed over. Among the files have to be bin/secbox and
 * bin/relay-client, and none twice. release.bad-manifest */
int release_manifest_parse(const char *text, size_t len, ReleaseManifest *ret, Error *err) _must_check_;
void release_manifest_done(ReleaseManifest *m);

/* Digits, letters and . + ~ - in it, beginning with a digit or letter: the name of a folder, and of nothing else. */
bool release_version_is_valid(const char *text);
/* Of this machine; "unknown" for others than those two. */
const char *release_arch(void);

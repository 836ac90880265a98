/* SPDX-License-Identifier: MIT */
/* Releases of the data plane where there are no containers: /opt/tucomunidad/releases/VERSION, and the link `current` beside that,
 * which says which one the units start: "releases/VERSION", or "/usr", what the package secbox installs. */
#pragma once

#include "lib/data/release-manifest.h"

#define RELEASE_OF_PACKAGE "/usr"

/* A new string; where there is no link, the package's. release.damaged: it leads elsewhere */
int release_current(char **ret, Error *err) _must_check_;
/* Where `current` has to lead for this version; a new string, NULL when out of memory. */
char *release_target(const char *version);
/* Whether there is this one to start: release.missing. */
int release_check(const char *target, Error *err) _must_check_;
/* Durable when it returns: after a power cut `current` leads to one or the other. release.missing: there is no such release. */
int release_switch(const char *target, Error *err) _must_check_;

/* A file without a name, to be read and written, for an archive that is to be unpacked: on the disk of the releases, and nobody
 * else's. file.write */
int release_archive_open(Error *err) _must_check_;
/* Unpacks, in a folder of its own, what can be read from the descriptor, and compares all with its manifest: nothing is missing,
 * other than said, or more. bundle.*, release.bad-manifest, release.bad-content, release.other-machine */
int release_unpack(int fd, ReleaseManifest *ret, Error *err) _must_check_;
/* What release_unpack() has left becomes the release of this version; synced. */
int release_place(const char *version, Error *err) _must_check_;
/* Removes all releases but these two targets, either of which may be NULL, and what was not placed. */
int release_sweep(const char *current, const char *before, Error *err) _must_check_;

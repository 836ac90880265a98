/* SPDX-License-Identifier: MIT */
/* Preview strips: small pictures of what a camera saw, by which somebody finds the moment that she looks for. Frigate has one
 * quick-motion file for each hour that is over, and the pictures of the hour that is not. What it lists is said to viewers in our
 * own words, and nothing but files of the window that was asked for. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "secbox/media/media-path.h"

/* Whether a file of a strip lies in the window. A part ends with the first picture of the hour after: a minute is forgiven. */
bool strip_file_is_within(const char *file, uint64_t from, uint64_t until);

/* Whether Frigate's answer is a text that is held whole and rewritten: a playlist or a list. */
bool media_path_is_text(const MediaPath *path);
/* Does so: playlist_rewrite(), or for lists {"parts": [{"file", "from", "until"}]} and {"frames": [{"file", "at"}]}, in seconds
 * since 1970 with fractions, in Frigate's order. media.playlist: it is no list, or larger than PLAYLIST_SIZE_MAX. */
int media_text_rewrite(const MediaPath *path, const char *text, size_t len, Buf *out, Error *err) _must_check_;

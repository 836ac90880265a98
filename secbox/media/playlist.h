/* SPDX-License-Identifier: MIT */
/* Playlists of recordings (RFC 8216), as Frigate writes them and as they go to viewers: whatever they name is a file beside the
 * playlist, without the host, the folder and the query that Frigate may have put before and behind it. Pure. */
#pragma once

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"

/* media.playlist: it is none, is larger than PLAYLIST_SIZE_MAX, or names what is no file of a recording. */
int playlist_rewrite(const char *text, size_t len, Buf *out, Error *err) _must_check_;

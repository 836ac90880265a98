/* SPDX-License-Identifier: MIT */
/* pulling.json: the images that are being pulled, until podman's store is known to be on disk. Podman takes an image whose layers a
 * power cut has emptied for one that is there, and does not pull it again. */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"

/* Durable when it returns. Errors as of state_save(). */
int pull_mark_set(char *const *references, Error *err) _must_check_;
/* The references of a mark that was left behind, a list of strings; NULL: there is none. *ret_cut: the machine was started anew
 * since, so that what was pulled may be hollow. One that cannot be read is none. */
char **pull_mark_left(bool *ret_cut);
void pull_mark_clear(void);

/* SPDX-License-Identifier: MIT */
/* Removes what a kill or a power cut left of file_write_atomic(): half a file under a name that nobody will use again. */
#pragma once

#include <stdbool.h>

/* A file being written has this between its name and eight hexadecimal digits, and is locked (flock(2)) by its writer. */
#define TMP_INFIX ".tmp-"

/* Removes such files from the folder, and with `below` from its folders too, without following links or leaving the file
 * system; never one whose writer lives. Called when a program starts, for folders that are its own. Returns how many
 * were removed. */
unsigned tmp_sweep(const char *folder, bool below);

/* SPDX-License-Identifier: MIT */
/* The update lock: a file that says who does not want images to be replaced now. Anything on the host that may write to
 * RUN_DIR can take it; it does not survive a reboot. The one of the box (update-lock) holds all of it; update-lock.PROJECT
 * holds one of the other projects. */
#pragma once

#include "lib/base/error.h"

/* 1 when that of the box is held or, where another project is looked at, that project's; *ret is the holder in its own words
 * ("root: replacing a disk"), a new string. 0 when not. */
int update_lock_read(char **ret);
/* That of the project that is looked at. Errors: update.locked (-EEXIST) naming the holder, file.write. */
int update_lock_take(const char *holder, Error *err) _must_check_;
int update_lock_release(Error *err) _must_check_;

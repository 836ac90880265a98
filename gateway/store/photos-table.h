/* SPDX-License-Identifier: MIT */
/* Photos that events name. */
#pragma once

#include <stdint.h>

#include "lib/postgres/statement.h"

/* Of the events of this device that name it: 0 whether there are any, 1 whether it is stored, 2 whether all of them are older than
 * so many days; 3 whether any photo of the community is stored. */
Statement sql_photo_offered(const char *device, const char *community, const char *sha256, unsigned days);
Statement sql_photo_stored(const char *community, const char *sha256, uint64_t bytes);
/* 0 whether an event names it, 1 whether it is stored, 2 whether it was deleted. */
Statement sql_photo_find(const char *community, const char *sha256);
#define PHOTOS_OLD_STEP 20

/* The next ones in order, PHOTOS_OLD_STEP at most, whose events are all gone or older than so many days: 0 community, 1 sha256. */
Statement sql_photos_old(unsigned days, const char *community, const char *sha256);
/* Those that were deleted, and that no event names any more. */
Statement sql_photos_forget(void);
/* Its file is no more. Without an event that names it, it is forgotten. */
Statement sql_photo_gone(const char *community, const char *sha256);

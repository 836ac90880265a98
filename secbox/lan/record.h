/* SPDX-License-Identifier: MIT */
/* Rows of the community's tables as the rules of verdict.h want them. */
#pragma once

#include <cjson/cJSON.h>

#include "secbox/lan/verdict.h"

/* Borrows its texts from `row`, the row's object. A member of another kind counts as absent; a ban whose end cannot be read
 * has none, a guest whose bounds, days, hours or uses cannot be read is never authorised (until = 1). */
Record record_from(RecordKind kind, const cJSON *row);

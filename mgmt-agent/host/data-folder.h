/* SPDX-License-Identifier: MIT */
/* Where "./a/b" of a compose file is on this box: directly in the folder of the volumes, as "a+b", unless its data lies where an
 * earlier version has looked for it, in a/b. Once there is an "a+b", that is it. */
#pragma once

#include <stdbool.h>

/* `listed`: whoever runs the box has named the nested path, so it is meant even while it is not there. */
bool data_folder_is_nested(const char *nested, const char *direct, bool listed);

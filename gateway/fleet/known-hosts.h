/* SPDX-License-Identifier: MIT */
/* Host keys of boxes. A box has two sshds, its own and recovery-agent's, with a key each, and which of them answers is known
 * only when the way in is found. So ssh is given a link, and the link is set to the one file or the other before ssh has
 * heard the first byte. */
#pragma once

#include <stdbool.h>

#include "lib/base/mem.h"

/* The link that `ssh` by way of ~/.ssh/config uses for this box: a new string or NULL. Makes the folder. */
char *known_hosts_link(const char *device);
/* Sets `link` (NULL: the one above) to the keys of the box's own sshd, or of recovery-agent's. Without success ssh sees
 * no key, or another, and says so. */
void known_hosts_use(const char *link, const char *device, bool recovery);

/* SPDX-License-Identifier: MIT */
/* The host's addresses, where the service secbox reads them: a container does not see them, and neither does mgmt-agent, which has
 * no network; mgmt-link tells them in its link.status. */
#pragma once

#include <cjson/cJSON.h>

/* Those of a list that look like addresses, one a line, at most 32; a new string, NULL when out of memory. */
char *host_addresses_text(const cJSON *list);

/* Writes them into the service's run folder, if there is one yet and they are not there already. *written: what was written last,
 * NULL at first; owned by the caller. list NULL: nothing is known. */
void host_addresses_write(const cJSON *list, char **written);

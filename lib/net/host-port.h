/* SPDX-License-Identifier: MIT */
/* "HOST:PORT" and "[IPV6]:PORT", as people write them and as a stream names its peer. */
#pragma once

#include <stdint.h>

#include "lib/base/mem.h"

/* The host, without brackets, is a new string. Port 0 is one, too. -EINVAL when it is neither form. */
int host_port_split(const char *text, char **ret_host, uint16_t *ret_port) _must_check_;
/* The host alone; a new string, or NULL. */
char *host_port_host(const char *text);

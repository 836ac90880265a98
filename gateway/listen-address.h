/* SPDX-License-Identifier: MIT */
/* What --listen takes apart. */
#pragma once

#include <netinet/in.h>
#include <stdint.h>

#include "lib/base/error.h"

#define LISTEN_ADDRESS_SIZE (INET6_ADDRSTRLEN + 1)

/* "ADDRESS:PORT" or "[ADDRESS]:PORT". Error id config.listen. */
int listen_address_parse(const char *listen, char address[static LISTEN_ADDRESS_SIZE], uint16_t *ret_port,
                         Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* Which addresses recently took a connection and then led nowhere. A server that has several is tried at the others
 * first: a name's first address may be that of a dead machine, or of a path that loses large packets. There is one
 * memory for the process. */
#pragma once

#include <stdbool.h>

/* `address` with its port, in the form of stream_address_format(); NULL and "" are ignored. */
void address_note(const char *address, bool good);
/* 0: nothing is known against it; otherwise the higher, the later it failed. */
unsigned address_rank(const char *address);

/* SPDX-License-Identifier: MIT */
/* Which addresses of late took a connection and then led nowhere. A server that has several is asked at the others first:
 * a name's first address may stand for a dead machine, or for a way that loses large packets. One memory for the process. */
#pragma once

#include <stdbool.h>

/* `address` with its port, as stream_address_format() has it; NULL and "" are nobody's. */
void address_note(const char *address, bool good);
/* 0: nothing is known against it; otherwise the higher, the later it failed. */
unsigned address_rank(const char *address);

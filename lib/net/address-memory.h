/* SPDX-License-Identifier: MIT */
/* Which addresses recently took a connection and then led nowhere. A server that has several is tried at the others
 * first: a name's first address may be that of a dead machine, or of a path that loses large packets. There is one
 * memory for the process. */
#pragma once

#include <stdbool.h>

/* `address` with its port, in the form of stream_address_format(); NULL and "" are ignored. */
void address_note(const char *address, bool good);
/* A connection there was silent until it was given up, which is what a path does that loses large packets and does not say so:
 * the next one takes small segments. Where that was silent, too, it was something else. */
void address_note_silence(const char *address);
bool address_is_narrow(const char *address);
/* 0: nothing is known against it; otherwise the higher, the later it failed. */
unsigned address_rank(const char *address);

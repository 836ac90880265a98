/* SPDX-License-Identifier: MIT */
/* The tables of the gateway, as a list of steps that only ever grows. */
#pragma once

/* One script for the simple protocol that brings any older schema up to date, in a transaction under an advisory lock, and
 * sets the session's limits. New string, NULL when out of memory. */
char *store_schema_script(void);

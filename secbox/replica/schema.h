/* SPDX-License-Identifier: MIT */
/* The tables of the box's database and the functions that change them, as steps that only ever add: the program before
 * this one runs on the schema of this one. */
#pragma once

#include "lib/postgres/schema.h"

extern const StoreSchema replica_schema;

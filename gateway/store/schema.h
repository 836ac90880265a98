/* SPDX-License-Identifier: MIT */
/* The tables of the gateway, as a list of steps that only ever grows. */
#pragma once

#include "lib/postgres/schema.h"

/* In the environment: where the database is. */
#define DATABASE_VARIABLE "SECBOX_GATEWAY_DATABASE"

extern const StoreSchema gateway_schema;
extern const StoreSchema gateway_bulk_schema;
extern const StoreSchema gateway_signer_schema;

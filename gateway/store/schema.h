/* SPDX-License-Identifier: MIT */
/* The tables of the gateway, as a list of steps that only ever grows. */
#pragma once

#include "lib/postgres/schema.h"

extern const StoreSchema gateway_schema;
extern const StoreSchema gateway_bulk_schema;
extern const StoreSchema gateway_signer_schema;

/* SPDX-License-Identifier: MIT */
/* The first message of every tunnel's client; docs/wire-format.md. */
#pragma once

#include <cjson/cJSON.h>

/* A hello of protocol 1, with this boot's id and this program's version. role: "mgmt", "device", "recovery",
 * "operator". NULL when out of memory. */
cJSON *hello_new(const char *device_id, const char *role, const char *program);

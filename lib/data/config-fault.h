/* SPDX-License-Identifier: MIT */
/* What a program cannot take of its configuration, in a small file, where mgmt-agent and doctor find it: the program may have no
 * other way to say so. */
#pragma once

#include <cjson/cJSON.h>

#include "lib/base/error.h"

#define CONFIG_WAITS "config.waits" /* the id of what is no fault: the file is good, and is taken later */

/* Whether `program` can read the file of CLOUD_CA_FILE; NULL and "" name none. Errors: config.value. */
int config_check_ca_file(const char *ca_file, const char *program, Error *err) _must_check_;

/* `err` NULL: all is well, and the file goes. The same words again leave it as it is, with the time since when. */
int config_fault_tell(const char *path, const char *program, const Error *err, int r) _must_check_;
/* {"program", "since", "error": {"id", "message", …}}, or NULL where all is well. The writer may be a container: of what it says,
 * only strings of printable text of limited length come back. */
cJSON *config_fault_read(const char *path, const char *program);
/* Those of all programs of this box: a new array, empty where all is well; NULL when out of memory. */
cJSON *config_faults_read(void);

/* SPDX-License-Identifier: MIT */
/* Logs of services on command lines: what is asked, and how the answer is shown. */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/data/json.h"

typedef struct LogQuestion {
    const char *service;
    const char *since, *tail; /* as typed; may be NULL */
    bool follow;
} LogQuestion;

/* Adds its members to a request. Error id "usage". */
int log_question_add(const LogQuestion *q, cJSON *request, Error *err) _must_check_;

/* Prints the lines of a logs.lines; with `json` each as an object of its own. Negative when nobody reads standard output. */
int log_lines_print(const cJSON *message, bool json);

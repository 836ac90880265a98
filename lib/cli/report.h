/* SPDX-License-Identifier: MIT */
/* How the two command lines show the messages of docs/wire-format.md: errors, plans, histories, a box's status. Pure;
 * every string is new (NULL when out of memory) and harmless to a terminal. Members that are absent or of the wrong
 * type show as "-". */
#pragma once

#include <stdbool.h>

#include "lib/base/error-list.h"
#include "lib/data/json.h"

/* An `error` object as "FILE:LINE: MESSAGE [ID] (KEY)". */
char *report_error(const cJSON *error);

/* A string member, or a number as decimal text; NULL when it is neither. */
char *report_member(const cJSON *object, const char *key);

/* A time and how far it is, "2026-01-02T03:04:05.000Z (3 min ago)"; what is no time stays as it is. A new string, NULL for NULL. */
char *report_when(const char *at);

/* {"changes", "steps", "variables"} as a table, a line that says where values are from, and a sentence that says what it
 * comes to. */
char *report_plan(const cJSON *plan);

/* An array of compose.result objects, or of deployments that hold one as `result`, newest first. */
char *report_history(const cJSON *entries);

/* "version 42: rolled back, 500 in phase prove: …", from a compose.result or NULL. */
char *report_result_line(const cJSON *result);
/* What that was, as a label: "last push", or "last update" of an image, which says nothing of the push. */
const char *report_last_label(const cJSON *result);

/* {"projects": […]} of the `status` object of status.report: the box's own first, then the others. */
cJSON *report_projects_of(const cJSON *status);
/* The same as a table. */
char *report_projects(const cJSON *document);
/* Says on standard error what project_of_file() has come to of a file of this good name; `project` NULL: it stays the box's own. */
void report_project_of_file(const char *name, const char *project);

/* The `status` object of status.report. */
char *report_status(const cJSON *status);

/* Prints an error for people on stderr ("PROGRAM: " in front unless it names a file) and, with `json`, as a document on
 * stdout. Returns exit_code. */
int report_failure(const char *program, bool json, const Error *err, int r, int exit_code);

/* Prints all but the first of them, for people, on stderr: the first is what a program fails with. */
void report_other_errors(const ErrorList *list);

/* Prints a document on stdout, indented for people's eyes. Returns exit_code, or EXIT_FAILED when it cannot. */
int report_json(const cJSON *document, int exit_code);
/* A document on one line, harmless for a terminal (text.h): a new string or NULL. */
char *report_json_line(const cJSON *document);

/* Prints and frees a text. Returns exit_code, or EXIT_FAILED when text is NULL or stdout takes no more. */
int report_text(char *text, int exit_code);
/* The same with a length, for what may hold a NUL byte. */
int report_bytes(char *text, size_t len, int exit_code);

/* SPDX-License-Identifier: MIT */
/* Logging with structured fields: to the journal when stderr is connected to it, else as lines on stderr. */
#pragma once

#include "lib/base/error.h"

typedef enum LogLevel {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_NOTICE = 5,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7,
} LogLevel;

/* Name shown in lines on stderr ("mgmt-agent"). Debug lines are dropped unless SECBOX_LOG=debug. */
void log_open(const char *program);

/* Fields carried by every later line, e.g. log_set_field("DEVICE", id). NULL removes. The names are upper case. */
void log_set_field(const char *name, const char *value);

typedef struct LogField {
    const char *name;
    const char *value;
} LogField;

/* `fields` ends with {} and may be NULL. Text and values pass the redactor (redact.h) and are made
 * printable (text.h), so one event is one line. Keeps errno. */
void log_line(LogLevel level, const LogField *fields, const char *fmt, ...) _printf_(3, 4);

#define log_error(...) log_line(LOG_LEVEL_ERROR, NULL, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, NULL, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, NULL, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, NULL, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, NULL, __VA_ARGS__)

/* Passes on a line from the stderr of a child that was started with LOG_RELAY_VARIABLE=1; it keeps its severity and
 * fields. Any other line, from a library or a sanitizer, is a warning that names `who`. */
#define LOG_RELAY_VARIABLE "SECBOX_LOG_RELAY"
void log_relay(const char *who, const char *line);

/* One line from an error: "PREFIX: message [id] (file:line key)". */
void log_failure(LogLevel level, const LogField *fields, const Error *err, int r, const char *fmt, ...) _printf_(5, 6);

/* SPDX-License-Identifier: MIT */
/* Text for terminals: what comes from outside is made harmless before a person sees it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"

/* A new one-line string (NULL when out of memory): control characters, the first byte of an escape sequence, text
 * direction marks and bytes that are not UTF-8 become '?'; tabs and newlines become a space. NULL gives "". */
char *text_printable(const char *text);

/* Takes escape sequences of terminals (colours, titles, movements of the cursor) out of a line, and the carriage returns at its
 * end. In place. */
void text_drop_escapes(char *text);

/* Whether text is valid UTF-8 that a terminal shows as it is: no control character, newline or tab, nothing that reorders
 * text or is invisible. */
bool text_is_plain(const char *text);

/* Whether a shell takes text, which others may have written, for one word as it stands: letters, digits and /._@+- alone, and
 * no option. */
bool text_is_shell_word(const char *text);

/* A new string (NULL when out of memory or when it is not UTF-8): JSON text with the characters above as \uXXXX, which
 * means the same to a program. */
char *text_escape_json(const char *json);

/* Columns that printable UTF-8 text takes, one per code point. */
size_t text_width(const char *text);

/* "FILE:LINE: MESSAGE [ID] (KEY)", the parts that are NULL (or line 0) left out. A new printable string or NULL. */
char *text_finding(const char *file, unsigned line, const char *message, const char *id, const char *key);

/* text_finding() of an error. */
char *text_error(const Error *err, int r);

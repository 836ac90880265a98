/* SPDX-License-Identifier: MIT */
/* Keeps secrets out of logs, reports and captured output. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define REDACTED "(hidden)"

/* Whether a key's value is secret by its name: contains TOKEN, SECRET, PASS, KEY, BOOTSTRAP, CREDENTIAL or AUTH,
 * or ends in _DSN, or contains PWD and is not PWD or OLDPWD. Case does not matter. */
bool redact_key_is_secret(const char *key);

/* Remembers a value that this process must never show; values under 6 bytes are ignored (they would hide half of every
 * text). Copied; at most REDACT_SECRETS_MAX are kept. */
void redact_add_secret(const char *value);
void redact_forget_all(void);

/* A new string (NULL when out of memory) with every known secret, and every text that looks like one, replaced:
 * JWTs, `Bearer X`, operators' tokens, user:password@ in URLs, PEM private keys, and KEY=value, "KEY": "value",
 * -e KEY=value, --password VALUE, X-Token: value, and password: value at the start of a line, where the key is secret by
 * name. Known secrets are replaced first, so that no pattern can leave part of one behind. Takes time in proportion to
 * the text's length. Applying it twice changes nothing. */
char *redact_text(const char *text);

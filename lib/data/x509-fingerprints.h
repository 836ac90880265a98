/* SPDX-License-Identifier: MIT */
/* What a person compares to tell whether certificates are the ones that they should be. */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"

/* The SHA-256 of each certificate in PEM text, in hexadecimal as browsers show it without the colons: a new strv of 1 to `max`.
 * "x509.bad" when there are none or more, or when one of them cannot be read. */
int x509_fingerprints(const char *pem, size_t max, char ***ret, Error *err) _must_check_;

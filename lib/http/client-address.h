/* SPDX-License-Identifier: MIT */
/* A server whose first address takes connections and then leads nowhere is asked at its next one. curl itself goes on to
 * another address only until TCP stands. Private to lib/http. */
#pragma once

#include "lib/http/client-transfer.h"

/* NULL; tests say here, as CURLOPT_RESOLVE wants it, which addresses a name has. */
extern struct curl_slist *http_fixed_addresses;

/* Sets a transfer up for it; the request's own limits in time are kept. */
CURLcode next_address_prepare(Transfer *t, const HttpRequest *request) _must_check_;
/* The transfer ended with `code`: whether it is worth another try, for which it is ready then. What has been sent is never
 * sent a second time. *code becomes the failure to report if not. */
bool next_address_try(Transfer *t, CURLcode *code);

/* SPDX-License-Identifier: MIT */
/* A server whose first address takes connections and then leads nowhere is tried at its next address. curl itself tries
 * another address only as long as TCP does not connect. Private to lib/http. */
#pragma once

#include "lib/http/client-transfer.h"

/* NULL; tests set the addresses of a name here, in the form that CURLOPT_RESOLVE wants. */
extern struct curl_slist *http_fixed_addresses;

/* Sets a transfer up for it; the request's own limits in time are kept. */
CURLcode next_address_prepare(Transfer *t, const HttpRequest *request) _must_check_;
/* The transfer ended with `code`. True: it is worth another try, and the transfer is ready for it; what has been sent
 * is never sent a second time. False: *code is the failure to report. */
bool next_address_try(Transfer *t, CURLcode *code);

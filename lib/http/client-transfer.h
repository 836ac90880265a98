/* SPDX-License-Identifier: MIT */
/* One request as a curl easy handle, the answer as it comes in, and what its end means. Private to lib/http/client*.c. */
#pragma once

#include <curl/curl.h>

#include "lib/base/buf.h"
#include "lib/http/client.h"

typedef struct Transfer {
    CURL *easy;
    struct curl_slist *headers_out;
    char *what; /* "GET https://host/path", for error sentences: without the query, which may be secret */
    Buf body;
    size_t received, response_max;
    int (*on_data)(const char *data, size_t len, void *userdata);
    int (*on_head)(const HttpResponse *head, void *userdata);
    bool head_told;
    bool (*may_connect)(const struct sockaddr *address, void *userdata);
    bool cert_wanted; /* by the server, and there is none to show */
    void *userdata;
    usec_t timeout_usec;
    char *date;
    char *server;
    char *retry_after;
    char *ca_advice;
    char **keep_headers; /* names */
    char **headers;
    size_t headers_size;
    bool impatient; /* timeout_usec is not the only limit in time */
    bool too_large, stopped, out_of_memory, silenced;
    bool refused; /* an address that may not be connected to */
    char detail[CURL_ERROR_SIZE];
    /* client-address.c */
    usec_t started;
    unsigned tries;   /* 0: there is only one way */
    bool picky;       /* passes over addresses that led nowhere */
    bool passed_over; /* it did so in this try */
    CURLcode first_failure;
    char first_detail[CURL_ERROR_SIZE];
    void *owner; /* for the user of the transfer */
} Transfer;

/* Checks the request and prepares it; curl copies all strings. Nothing is sent yet. */
int transfer_new(const HttpRequest *request, Transfer **ret, Error *err) _must_check_;
Transfer *transfer_free(Transfer *t);
DEFINE_CLEANUP(Transfer, transfer_free)

/* Turns curl's result into the answer or an error. */
int transfer_finish(Transfer *t, CURLcode code, HttpResponse *ret, Error *err) _must_check_;
/* The transfer of a finished handle. */
Transfer *transfer_of(CURL *easy);

/* SPDX-License-Identifier: MIT */
/* HTTP/1.1 requests by libcurl: on the loop for daemons, blocking for command lines and workers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

struct sockaddr;

typedef struct HttpResponse HttpResponse;

typedef struct HttpRequest {
    const char *method;         /* NULL = GET */
    const char *url;            /* http, https */
    const char *what;           /* what errors call it, where the URL's path is a secret; NULL = its method and URL */
    const char *unix_socket;    /* connect there instead of the URL's host; NULL = no */
    const char *const *headers; /* "Name: value", ends with NULL; may be NULL */
    const char *body;           /* NULL = none */
    size_t body_len;
    bool body_stays;     /* it is there until the request is over, and not copied */
    const char *ca_file; /* PEM; NULL = the system's authorities. Verification is never off. */
    const char
        *peer_key; /* SHA-256 of the server's public key, hexadecimal: of this one alone; NULL = any that is trusted */
    const char *client_cert, *client_key; /* PEM texts for a server that asks who the client is; both or none */
    const char *ca_pem; /* PEM text of authorities beside the system's; not together with ca_file; NULL = none */
    const char
        *ca_advice; /* what a person should check when a certificate is refused; NULL = the clock and CLOUD_CA_FILE */
    usec_t timeout_usec;         /* whole request; 0 is refused */
    usec_t connect_timeout_usec; /* until the connection is up, TLS included; 0 = only timeout_usec */
    usec_t stall_usec;   /* gives up when next to nothing arrives for this long, whole seconds; 0 = only timeout_usec */
    size_t response_max; /* bytes; 0 = HTTP_BODY_MAX, or no limit when streaming */
    /* streaming: called with each piece of the body instead of collecting it; non-zero aborts. May be NULL. */
    int (*on_data)(const char *data, size_t len, void *userdata);
    /* With on_data: called once before the first piece, with the status and the headers that are kept, and nothing else; non-zero
     * aborts. An answer without a body has none. May be NULL. */
    int (*on_head)(const HttpResponse *head, void *userdata);
    /* Asked for each address before it is connected to, and for that one; others are passed over. With it there is no proxy.
     * May be NULL. */
    bool (*may_connect)(const struct sockaddr *address, void *userdata);
    void *userdata;
    bool past_proxy;                 /* connects to the URL's host although the environment names a proxy */
    const char *const *keep_headers; /* names of the answer's headers to keep, ends with NULL; may be NULL */
    bool reuse;                      /* http_start(): leave the connection open for the client's next request */
} HttpRequest;

struct HttpResponse {
    int status; /* 0 when there was no answer */
    char *body; /* NUL-terminated, never NULL on success; owned */
    size_t body_len;
    char *date;              /* the Date header or NULL; owned */
    char *server;            /* the Server header or NULL; owned */
    usec_t retry_after_usec; /* Retry-After; a date is taken relative to Date; 0 when absent */
    char **headers;          /* "Name: value" of those asked for, as they came; owned */
    size_t wire_bytes;       /* heads and bodies of request and answer, without TLS */
};

void http_response_done(HttpResponse *r);
/* The value of the n-th kept header of that name (from 0), or NULL; borrowed. */
const char *http_response_header(const HttpResponse *r, const char *name, size_t n);

/* Runs one request to its end. 0 whenever an HTTP answer came, whatever its status. Redirects are not followed.
 * Errors: http.bad-url (also for a literal "${"), http.resolve, http.connect, http.address-refused, http.tls,
 * http.other-key, http.timeout, http.too-large, http.client-certificate, http.failed. */
int http_run(const HttpRequest *request, HttpResponse *ret, Error *err) _must_check_;

/* Runs n requests at the same time, at most `parallel` in flight. rets, errs and results are arrays of n; results[i]
 * is what http_run() would have returned. Returns 0, or negative when nothing could be started. */
int http_run_all(const HttpRequest *requests, size_t n, unsigned parallel, HttpResponse *rets, Error *errs,
                 int *results) _must_check_;

typedef struct HttpClient HttpClient; /* a curl multi handle on an sd-event loop */
typedef struct HttpCall HttpCall;

int http_client_new(sd_event *event, HttpClient **ret, Error *err) _must_check_;
HttpClient *http_client_free(HttpClient *c); /* cancels its calls */
DEFINE_CLEANUP(HttpClient, http_client_free)
/* At most n connections to one host at a time; further requests wait, and their time runs. */
void http_client_limit_host(HttpClient *c, unsigned n);

/* r is 0 or negative with err set; response is borrowed until the callback returns. The call is freed afterwards. */
typedef void (*http_done_t)(HttpCall *call, int r, const HttpResponse *response, const Error *err, void *userdata);

/* Starts; the callback runs once, from the loop. The request's strings are copied. */
int http_start(HttpClient *c, const HttpRequest *request, http_done_t on_done, void *userdata, HttpCall **ret,
               Error *err) _must_check_;
/* Cancels and silences. NULL-safe; only before the callback has run. */
HttpCall *http_call_free(HttpCall *call);

/* While paused next to nothing of the answer is read, and on_data is not called, but for what is on its way already; stall_usec
 * does not count. Allowed in on_data; letting it go on may call on_data at once. */
void http_call_pause(HttpCall *call, bool paused);

/* Whether text is an absolute URL with a scheme of the list ("https,http"), a host, no user info, no "${", no white
 * space or control character. "url.bad" with a sentence that names what is wrong. */
int url_check(const char *text, const char *schemes, Error *err) _must_check_;

/* What a Location header means, seen from the URL that was asked (RFC 3986 §5). *ret has passed url_check() for "https,http";
 * "url.bad" otherwise. */
int url_resolve(const char *base, const char *location, char **ret, Error *err) _must_check_;
/* Whether scheme, host and port are the same, defaults filled in. False when one of them is no URL. */
bool url_same_origin(const char *a, const char *b);

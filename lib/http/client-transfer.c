/* SPDX-License-Identifier: MIT */
/* How a request is put to curl, how much of an answer is taken, and which error id each failure has. */
#include "lib/http/client-transfer.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/x509-issuer.h"
#include "lib/http/client-address.h"

#define RETRY_AFTER_MAX_SECONDS (7 * 86400)
#define STALL_BYTES_PER_SECOND 32L

static bool tell_head(Transfer *t)
{
    long status = 0;

    if (!t->on_head || t->head_told)
        return true;
    t->head_told = true;
    (void) curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    const HttpResponse head = { .status = (int) status, .headers = t->headers };
    return t->on_head(&head, t->userdata) == 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *userdata)
{
    Transfer *t = userdata;
    size_t len = size * n;

    if (t->silenced)
        return 0;
    if (t->response_max > 0 && len > t->response_max - t->received) {
        t->too_large = true;
        return 0;
    }
    t->received += len;
    if (t->on_data) {
        t->stopped = len > 0 && (!tell_head(t) || t->on_data(data, len, t->userdata) != 0);
        return t->stopped ? 0 : len;
    }
    t->out_of_memory = buf_append(&t->body, data, len) < 0;
    return t->out_of_memory ? 0 : len;
}

/* The value of a header line, or NULL when the line is another header. Not terminated; *ret_len excludes white space. */
static const char *header_value(const char *line, size_t len, const char *name, size_t *ret_len)
{
    size_t n = strlen(name);

    if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return NULL;
    line += n + 1;
    len -= n + 1;
    while (len > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    while (len > 0 && strchr(" \t\r\n", line[len - 1]))
        len--;
    *ret_len = len;
    return line;
}

static void forget_headers(Transfer *t)
{
    free(TAKE_PTR(t->date));
    free(TAKE_PTR(t->server));
    free(TAKE_PTR(t->retry_after));
    strv_free(TAKE_PTR(t->headers));
    t->headers_size = 0;
}

static void keep(char **where, const char *value, size_t len)
{
    free(*where);
    *where = strndup(value, len);
}

/* 0, or negative when the answer cannot be taken. */
static int keep_asked(Transfer *t, const char *line, size_t len)
{
    for (char *const *name = t->keep_headers; name && *name; name++) {
        size_t value_len = 0;
        const char *value = header_value(line, len, *name, &value_len);

        if (!value)
            continue;
        t->headers_size += value_len;
        t->too_large = t->headers_size > HTTP_HEADER_MAX;
        t->out_of_memory = !t->too_large && strv_addf(&t->headers, "%s: %.*s", *name, (int) value_len, value) < 0;
        return t->too_large || t->out_of_memory ? -1 : 0;
    }
    return 0;
}

static size_t on_header(char *data, size_t size, size_t n, void *userdata)
{
    Transfer *t = userdata;
    size_t len = size * n, value_len = 0;
    const char *value;

    if (len >= 5 && strncmp(data, "HTTP/", 5) == 0) { /* of an interim answer, or the answer */
        forget_headers(t);
        return len;
    }
    if ((value = header_value(data, len, "Date", &value_len)))
        keep(&t->date, value, value_len);
    else if ((value = header_value(data, len, "Server", &value_len)))
        keep(&t->server, value, value_len);
    else if ((value = header_value(data, len, "Retry-After", &value_len)))
        keep(&t->retry_after, value, value_len);
    return keep_asked(t, data, len) < 0 ? 0 : len;
}

/* RFC 9110 §10.2.3. A date counts from the peer's own Date: this box need not trust its clock for it. */
static usec_t retry_after_usec(const Transfer *t)
{
    uint64_t seconds;
    time_t until, now;

    if (!t->retry_after)
        return 0;
    if (str_to_u64(t->retry_after, 0, RETRY_AFTER_MAX_SECONDS, &seconds) >= 0)
        return seconds * USEC_PER_SEC;
    until = curl_getdate(t->retry_after, NULL);
    now = t->date ? curl_getdate(t->date, NULL) : -1;
    if (until < 0 || now < 0 || until <= now || until - now > RETRY_AFTER_MAX_SECONDS)
        return 0;
    return (usec_t) (until - now) * USEC_PER_SEC;
}

static int header_add(Transfer *t, const char *line)
{
    struct curl_slist *list = curl_slist_append(t->headers_out, line);

    if (!list)
        return -ENOMEM;
    t->headers_out = list;
    return 0;
}

static int add_headers(Transfer *t, const HttpRequest *request, Error *err)
{
    bool has_type = false;
    int r = header_add(t, "Expect:"); /* no waiting for 100-continue */

    for (const char *const *h = request->headers; h && *h && r >= 0; h++) {
        if (strpbrk(*h, "\r\n") || !strchr(*h, ':'))
            return error_set(err, EINVAL, "http.failed", "%s: a request header is not of the form \"Name: value\"",
                             t->what);
        has_type = has_type || strncasecmp(*h, "Content-Type:", 13) == 0;
        r = header_add(t, *h);
    }
    if (r >= 0 && !has_type)
        r = header_add(t, "Content-Type:"); /* instead of the form type that curl would claim */
    return r < 0 ? error_set(err, ENOMEM, "http.failed", "%s: out of memory", t->what) : 0;
}

static CURLcode set_method(CURL *e, const HttpRequest *request)
{
    const char *method = request->method ? request->method : "GET";
    CURLcode c = CURLE_OK;

    if (request->body) {
        c = curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->body_len);
        if (c == CURLE_OK)
            c = curl_easy_setopt(e, request->body_stays ? CURLOPT_POSTFIELDS : CURLOPT_COPYPOSTFIELDS, request->body);
    } else if (str_equal(method, "POST")) {
        c = curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) 0);
        if (c == CURLE_OK)
            c = curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, "");
    } else if (str_equal(method, "HEAD")) {
        return curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    }
    return c == CURLE_OK ? curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method) : c;
}

/* A connection is made by one transfer, and its handshake is over, or given up, before that one is freed. */
static CURLcode on_tls(CURL *e, void *ctx, void *userdata)
{
    Transfer *t = userdata;

    (void) e;
    x509_tls_choose_signers(ctx);
    x509_tls_note_cert_wanted(ctx, &t->cert_wanted);
    return CURLE_OK;
}

static CURLcode set_blob(CURL *e, CURLoption option, const char *text)
{
    struct curl_blob blob = { .data = (void *) (uintptr_t) text,
                              .len = text ? strlen(text) : 0,
                              .flags = CURL_BLOB_COPY };

    return text ? curl_easy_setopt(e, option, &blob) : CURLE_OK;
}

static CURLcode set_peer_key(CURL *e, const char *key)
{
    _cleanup_(freep) char *encoded = NULL, *pin = NULL;
    uint8_t digest[SHA256_SIZE];

    if (!key)
        return CURLE_OK;
    if (hex_decode(key, digest, sizeof(digest)) < 0)
        return CURLE_BAD_FUNCTION_ARGUMENT;
    encoded = base64_encode(digest, sizeof(digest));
    pin = encoded ? str_format("sha256//%s", encoded) : NULL;
    return pin ? curl_easy_setopt(e, CURLOPT_PINNEDPUBLICKEY, pin) : CURLE_OUT_OF_MEMORY;
}

static CURLcode set_authorities(CURL *e, const HttpRequest *request)
{
    char *folder = NULL;
    CURLcode c =
        curl_easy_setopt(e, CURLOPT_CA_CACHE_TIMEOUT, 0L); /* or curl keeps all authorities in memory for a day */

    if (c == CURLE_OK)
        c = curl_easy_getinfo(e, CURLINFO_CAPATH, &folder);
    if (c == CURLE_OK && folder &&
        !request->ca_file) /* its folder instead of the bundle, which is read whole, 0.9 MB */
        c = curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
    if (c == CURLE_OK && request->ca_file) { /* these authorities and no others */
        c = curl_easy_setopt(e, CURLOPT_CAINFO, request->ca_file);
        if (c == CURLE_OK)
            c = curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
    } else if (c == CURLE_OK && request->ca_pem) {
        c = set_blob(e, CURLOPT_CAINFO_BLOB, request->ca_pem);
    }
    if (c == CURLE_OK)
        c = set_blob(e, CURLOPT_SSLCERT_BLOB, request->client_cert);
    if (c == CURLE_OK)
        c = set_blob(e, CURLOPT_SSLKEY_BLOB, request->client_key);
    if (c == CURLE_OK)
        c = set_peer_key(e, request->peer_key);
    return c == CURLE_OK ? curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, on_tls) : c;
}

static CURLcode set_peer(CURL *e, const HttpRequest *request)
{
    CURLcode c = curl_easy_setopt(e, CURLOPT_URL, request->url);

    if (c == CURLE_OK)
        c = curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    if (c == CURLE_OK)
        c = curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
    if (c == CURLE_OK)
        c = curl_easy_setopt(e, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
    if (c == CURLE_OK)
        c = set_authorities(e, request);
    if (c == CURLE_OK && (request->may_connect || request->past_proxy))
        c = curl_easy_setopt(e, CURLOPT_PROXY, "");
    if (c == CURLE_OK && request->unix_socket) {
        c = curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
        if (c == CURLE_OK)
            c = curl_easy_setopt(e, CURLOPT_PROXY, "");
    }
    return c;
}

static long in_ms(usec_t usec)
{
    usec_t ms = (usec + USEC_PER_MSEC - 1) / USEC_PER_MSEC;

    return ms > INT32_MAX ? (long) INT32_MAX : (long) ms;
}

static CURLcode set_times(CURL *e, const HttpRequest *request)
{
    CURLcode c = curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, in_ms(request->timeout_usec));

    if (c == CURLE_OK && request->connect_timeout_usec > 0)
        c = curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, in_ms(request->connect_timeout_usec));
    if (c == CURLE_OK && request->stall_usec > 0) {
        c = curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES_PER_SECOND);
        if (c == CURLE_OK)
            c = curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long) (request->stall_usec / USEC_PER_SEC));
    }
    return c;
}

static CURLcode set_handlers(Transfer *t)
{
    CURL *e = t->easy;
    const struct {
        CURLoption option;
        void *value;
    } pointers[] = {
        { CURLOPT_WRITEDATA, t },
        { CURLOPT_HEADERDATA, t },
        { CURLOPT_PRIVATE, t },
        { CURLOPT_SSL_CTX_DATA, t },
        { CURLOPT_HTTPHEADER, t->headers_out },
        { CURLOPT_ERRORBUFFER, t->detail },
    };
    CURLcode c = curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);

    for (size_t i = 0; i < ELEMENTSOF(pointers) && c == CURLE_OK; i++)
        c = curl_easy_setopt(e, pointers[i].option, pointers[i].value);
    if (c == CURLE_OK)
        c = curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    if (c == CURLE_OK)
        c = curl_easy_setopt(e, CURLOPT_USERAGENT, "secbox/" SECBOX_VERSION);
    return c == CURLE_OK ? curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) : c;
}

static int request_check(const HttpRequest *request, Error *err)
{
    Error why = {};
    int r;

    if (str_empty(request->url))
        return error_set(err, EINVAL, "http.bad-url", "a request without a URL");
    r = url_check(request->url, "http,https", &why);
    if (r < 0)
        error_set(err, EINVAL, "http.bad-url", "%s", error_message(&why, r));
    error_done(&why);
    if (r < 0)
        return -EINVAL;
    if (request->peer_key && !str_starts(request->url, "https:"))
        return error_set(err, EINVAL, "http.other-key", "%s has no key, and one was asked for", request->url);
    if (request->timeout_usec == 0)
        return error_set(err, EINVAL, "http.failed", "a request without a time limit");
    if (request->ca_file && request->ca_pem)
        return error_set(err, EINVAL, "http.failed", "a request with two kinds of authorities");
    return 0;
}

static int copy_strings(Transfer *t, const HttpRequest *request)
{
    t->what = request->what
                  ? strdup(request->what)
                  : str_format("%s %.*s%s%s", request->method ? request->method : "GET",
                               (int) strcspn(request->url, "?#"), request->url, request->unix_socket ? " over " : "",
                               request->unix_socket ? request->unix_socket : "");
    t->ca_advice = strdup(request->ca_advice ? request->ca_advice : "check the clock and CLOUD_CA_FILE");
    for (const char *const *name = request->keep_headers; name && *name; name++)
        if (strv_add(&t->keep_headers, *name) < 0)
            return -ENOMEM;
    return t->what && t->ca_advice ? 0 : -ENOMEM;
}

int transfer_new(const HttpRequest *request, Transfer **ret, Error *err)
{
    _cleanup_(transfer_freep) Transfer *t = NULL;
    CURLcode c;
    int r = request_check(request, err);

    if (r < 0)
        return r;
    t = calloc(1, sizeof(*t));
    if (!t)
        return error_set(err, ENOMEM, "http.failed", "out of memory");
    t->response_max = request->response_max;
    if (t->response_max == 0 && !request->on_data)
        t->response_max = HTTP_BODY_MAX;
    t->body = BUF_INIT(t->response_max);
    t->on_data = request->on_data;
    t->on_head = request->on_head;
    t->may_connect = request->may_connect;
    t->userdata = request->userdata;
    t->timeout_usec = request->timeout_usec;
    t->impatient = request->connect_timeout_usec > 0 || request->stall_usec > 0;
    t->easy = curl_easy_init();
    if (!t->easy || copy_strings(t, request) < 0)
        return error_set(err, ENOMEM, "http.failed", "out of memory");
    r = add_headers(t, request, err);
    if (r < 0)
        return r;
    c = set_method(t->easy, request);
    if (c == CURLE_OK)
        c = set_peer(t->easy, request);
    if (c == CURLE_OK)
        c = set_times(t->easy, request);
    if (c == CURLE_OK)
        c = set_handlers(t);
    if (c == CURLE_OK)
        c = next_address_prepare(t, request);
    if (c != CURLE_OK)
        return error_set(err, EINVAL, "http.failed", "%s: %s", t->what, curl_easy_strerror(c));
    *ret = TAKE_PTR(t);
    return 0;
}

Transfer *transfer_free(Transfer *t)
{
    if (!t)
        return NULL;
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers_out);
    buf_done(&t->body);
    forget_headers(t);
    strv_free(t->keep_headers);
    free(t->ca_advice);
    free(t->what);
    free(t);
    return NULL;
}

Transfer *transfer_of(CURL *easy)
{
    char *t = NULL;

    (void) curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t);
    return (Transfer *) (void *) t;
}

static const struct {
    CURLcode code;
    int error;
    const char *id, *advice; /* NULL: the request's own */
} failures[] = {
    { CURLE_URL_MALFORMAT, EINVAL, "http.bad-url", "" },
    { CURLE_COULDNT_RESOLVE_HOST, EHOSTUNREACH, "http.resolve", "; check DNS and the network" },
    { CURLE_COULDNT_RESOLVE_PROXY, EHOSTUNREACH, "http.resolve", "; check the https_proxy setting" },
    { CURLE_COULDNT_CONNECT, ECONNREFUSED, "http.connect", "" },
    { CURLE_PARTIAL_FILE, ECONNRESET, "http.failed", "" },
    { CURLE_RECV_ERROR, ECONNRESET, "http.failed", "" },
    { CURLE_SEND_ERROR, ECONNRESET, "http.failed", "" },
    { CURLE_GOT_NOTHING, ECONNRESET, "http.failed", "" },
    { CURLE_SSL_CONNECT_ERROR, EPROTO, "http.tls", "" },
    { CURLE_PEER_FAILED_VERIFICATION, EKEYREJECTED, "http.tls", NULL },
    { CURLE_SSL_CACERT_BADFILE, EPROTO, "http.tls", "; the file of authorities cannot be read" },
    { CURLE_SSL_CERTPROBLEM, EPROTO, "http.tls", "" },
    { CURLE_SSL_CIPHER, EPROTO, "http.tls", "" },
    { CURLE_SSL_PINNEDPUBKEYNOTMATCH, EKEYREJECTED, "http.other-key",
      "; it has another key than the one that was asked for: something stands between, or the code that names the key "
      "is old" },
    { CURLE_SSL_ISSUER_ERROR, EPROTO, "http.tls", "" },
};

static int transfer_failed(const Transfer *t, CURLcode code, Error *err)
{
    const char *detail = t->detail[0] ? t->detail : curl_easy_strerror(code);

    if (t->headers_size > HTTP_HEADER_MAX)
        return error_set(err, EFBIG, "http.too-large", "%s: the answer's headers are longer than %d bytes", t->what,
                         HTTP_HEADER_MAX);
    if (t->too_large)
        return error_set(err, EFBIG, "http.too-large", "%s: the answer is longer than %zu bytes", t->what,
                         t->response_max);
    if (t->refused && code == CURLE_COULDNT_CONNECT)
        return error_set(err, EACCES, "http.address-refused", "%s: its address may not be connected to", t->what);
    if (t->stopped)
        return error_set(err, ECANCELED, "http.failed", "%s: the receiver stopped the transfer", t->what);
    if (t->out_of_memory || code == CURLE_OUT_OF_MEMORY)
        return error_set(err, ENOMEM, "http.failed", "%s: out of memory", t->what);
    if (code == CURLE_OPERATION_TIMEDOUT && t->impatient)
        return error_set(err, ETIMEDOUT, "http.timeout", "%s: no whole answer in time: %s", t->what, detail);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return error_set(err, ETIMEDOUT, "http.timeout", "%s: no whole answer within %.1f s", t->what,
                         (double) t->timeout_usec / (double) USEC_PER_SEC);
    if (t->cert_wanted && t->headers_size == 0 && code != CURLE_OPERATION_TIMEDOUT &&
        code != CURLE_PEER_FAILED_VERIFICATION)
        return error_set(err, EPROTO, "http.client-certificate",
                         "%s: the server wants a certificate of its clients (%s)", t->what, detail);
    for (size_t i = 0; i < ELEMENTSOF(failures); i++)
        if (failures[i].code == code)
            return error_set(err, failures[i].error, failures[i].id, "%s: %s%s%s", t->what, detail,
                             failures[i].advice ? "" : "; ", failures[i].advice ? failures[i].advice : t->ca_advice);
    return error_set(err, EIO, "http.failed", "%s: %s", t->what, detail);
}

int transfer_finish(Transfer *t, CURLcode code, HttpResponse *ret, Error *err)
{
    HttpResponse response = { .retry_after_usec = retry_after_usec(t) };
    long status = 0, sent = 0, head = 0;

    if (code != CURLE_OK)
        return transfer_failed(t, code, err);
    (void) curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    (void) curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent);
    (void) curl_easy_getinfo(t->easy, CURLINFO_HEADER_SIZE, &head);
    response.status = (int) status;
    response.wire_bytes = (size_t) sent + (size_t) head + t->received;
    response.body_len = t->body.len;
    response.body = buf_take(&t->body);
    if (!response.body)
        return error_set(err, ENOMEM, "http.failed", "%s: out of memory", t->what);
    response.date = TAKE_PTR(t->date);
    response.server = TAKE_PTR(t->server);
    response.headers = TAKE_PTR(t->headers);
    *ret = response;
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* TLS for streams by OpenSSL 3: which versions and ciphers, who is trusted, and what to say when it fails. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/base/user-name.h"
#include "lib/data/x509-issuer.h"
#include "lib/net/stream-impl.h"

/* ALPN's wire form: one name with its length in front. */
static const unsigned char alpn_http[] = "\x08http/1.1";
#define ALPN_HTTP_SIZE (sizeof alpn_http - 1)

/* AES with 128 bits and SHA-256 is as good here, a fifth faster, and its states are smaller for as long as a connection lives. */
#define CIPHERSUITES "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"

/* what browsers take for a match */
#define HOST_FLAGS (X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)

static SSL_CTX *ctx_of(Tls *t)
{
    return (SSL_CTX *) t;
}

static const char *openssl_reason(void)
{
    unsigned long e = ERR_peek_last_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;
    return reason ? reason : "no reason given";
}

static SSL_CTX *ctx_new(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (!ctx)
        return NULL;
    (void) SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void) SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void) SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
        SSL_CTX_set_ciphersuites(ctx, CIPHERSUITES) == 1)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

/* The system's folder of authorities is read one by one, as peers need them; its bundle would be held whole, 0.5 MB. */
static int load_system_authorities(SSL_CTX *ctx)
{
    return getenv(X509_get_default_cert_file_env()) ? SSL_CTX_set_default_verify_paths(ctx)
                                                    : SSL_CTX_set_default_verify_dir(ctx);
}

/* OpenSSL tells of a file that may not be read no more than that the system did not want it. */
static int check_readable(const char *path, Error *err)
{
    char user[USER_NAME_SIZE];
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0)
        return 0;
    if (errno == EACCES)
        return error_set(err, EACCES, "stream.tls-files", "cannot read %s: %s for the user %s", path, strerror(EACCES),
                         user_name_own(user));
    return error_set(err, errno, "stream.tls-files", "cannot read %s: %s", path, strerror(errno));
}

int tls_new_client(const char *ca_file, Tls **ret, Error *err)
{
    int readable = ca_file ? check_readable(ca_file, err) : 0;
    if (readable < 0)
        return readable;
    ERR_clear_error();
    SSL_CTX *ctx = ctx_new(TLS_client_method());
    if (!ctx)
        return error_set(err, ENOMEM, "stream.tls", "cannot set TLS up: %s", openssl_reason());
    int ok = ca_file ? SSL_CTX_load_verify_file(ctx, ca_file) : load_system_authorities(ctx);
    if (ok != 1) {
        int r = error_set(err, EINVAL, "stream.tls-files",
                          "cannot load the certificate authorities from %s (%s): it must be a PEM file of certificates",
                          ca_file ? ca_file : "the system's store", openssl_reason());
        SSL_CTX_free(ctx);
        return r;
    }
    x509_tls_choose_signers(ctx);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    (void) SSL_CTX_set_alpn_protos(ctx, alpn_http, ALPN_HTTP_SIZE);
    *ret = (Tls *) ctx;
    return 0;
}

/* The same certificates once more, at another time and by the same rules otherwise. */
static int verify_at(X509_STORE_CTX *first, time_t when)
{
    X509_STORE_CTX *again = X509_STORE_CTX_new();
    int ok = 0;
    if (again && X509_STORE_CTX_init(again, X509_STORE_CTX_get0_store(first), X509_STORE_CTX_get0_cert(first),
                                     X509_STORE_CTX_get0_untrusted(first)) == 1) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(again);
        ok = X509_VERIFY_PARAM_set1(param, X509_STORE_CTX_get0_param(first));
        X509_VERIFY_PARAM_set_time(param, when);
        ok = ok == 1 && X509_verify_cert(again) == 1;
    }
    X509_STORE_CTX_free(again);
    return ok;
}

/* `floor` is the number itself: nothing has to be kept for it. */
static int verify_with_floor(X509_STORE_CTX *ctx, void *floor)
{
    int ok = X509_verify_cert(ctx);
    int e = X509_STORE_CTX_get_error(ctx);
    if (ok == 1 || (e != X509_V_ERR_CERT_NOT_YET_VALID && e != X509_V_ERR_CERT_HAS_EXPIRED))
        return ok;
    if (!verify_at(ctx, (time_t) (uintptr_t) floor))
        return 0;
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
}

void tls_set_time_floor(Tls *t, uint64_t seconds)
{
    SSL_CTX_set_cert_verify_callback(ctx_of(t), seconds ? verify_with_floor : NULL, (void *) (uintptr_t) seconds);
}

/* A peer that offers only other protocols (h2) is refused: nothing else is spoken here. */
static int select_alpn(SSL *ssl _unused_, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *userdata _unused_)
{
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_len, alpn_http, ALPN_HTTP_SIZE, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

int tls_new_server(const char *cert_file, const char *key_file, Tls **ret, Error *err)
{
    int readable = check_readable(cert_file, err);
    if (readable >= 0)
        readable = check_readable(key_file, err);
    if (readable < 0)
        return readable;
    ERR_clear_error();
    SSL_CTX *ctx = ctx_new(TLS_server_method());
    if (!ctx)
        return error_set(err, ENOMEM, "stream.tls", "cannot set TLS up: %s", openssl_reason());
    const char *bad = NULL;
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1)
        bad = cert_file;
    else if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        bad = key_file;
    if (bad) {
        int r = error_set(err, EINVAL, "stream.tls-files",
                          "cannot use %s (%s): it must be PEM, and key and certificate must belong together", bad,
                          openssl_reason());
        SSL_CTX_free(ctx);
        return r;
    }
    (void) SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* a request, or some messages, by one call of the kernel, where a record's head and rest are one each */
    SSL_CTX_set_read_ahead(ctx, 1);
    /* With P-256 a resumed handshake costs the server as much as a full one, and a restart, after which everybody comes back,
     * forgets the tickets' key: none are given out, which saves an eighth of each handshake. */
    (void) SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    (void) SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
    *ret = (Tls *) ctx;
    return 0;
}

bool tls_is_for(const Tls *t, const char *host)
{
    X509 *cert = SSL_CTX_get0_certificate((const SSL_CTX *) t);
    bool fits = cert && X509_check_host(cert, host, 0, HOST_FLAGS, NULL) == 1;

    ERR_clear_error();
    return fits;
}

/* Contexts outlive their Tls in the streams that use them, and the second one has to live as long as the first. */
static void release_named(void *parent _unused_, void *named, CRYPTO_EX_DATA *data _unused_, int index _unused_,
                          long argl _unused_, void *argp _unused_)
{
    SSL_CTX_free(named);
}

static int choose_by_name(SSL *ssl, int *alert _unused_, void *named)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    if (!name || !tls_is_for(named, name))
        return SSL_TLSEXT_ERR_NOACK;
    return SSL_set_SSL_CTX(ssl, named) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int tls_set_named(Tls *t, Tls *named)
{
    static int slot = -1;

    if (slot < 0)
        slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, release_named);
    if (slot < 0 || SSL_CTX_set_ex_data(ctx_of(t), slot, named) != 1)
        return -ENOMEM;
    SSL_CTX_up_ref(ctx_of(named));
    SSL_CTX_set_tlsext_servername_arg(ctx_of(t), named);
    SSL_CTX_set_tlsext_servername_callback(ctx_of(t), choose_by_name);
    return 0;
}

Tls *tls_free(Tls *t)
{
    SSL_CTX_free(ctx_of(t));
    return NULL;
}

static int expect_host(SSL *ssl, const char *host)
{
    uint8_t ip[sizeof(struct in6_addr)];
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1 ? 0 : -EINVAL;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_host(param, host, 0) != 1 || SSL_set_tlsext_host_name(ssl, host) != 1)
        return -EINVAL;
    return 0;
}

int stream_tls_start(Stream *s, Tls *tls, const char *host)
{
    SSL *ssl = SSL_new(ctx_of(tls));
    if (!ssl)
        return -ENOMEM;
    s->tls = ssl;
    if (!host) {
        SSL_set_accept_state(ssl);
        return 0;
    }
    SSL_set_connect_state(ssl);
    return expect_host(ssl, host);
}

int stream_tls_restart(Stream *s, const char *host)
{
    SSL *old = s->tls;
    int r = stream_tls_start(s, (Tls *) SSL_get_SSL_CTX(old), host);
    if (s->tls != old)
        SSL_free(old);
    return r;
}

int stream_tls_attach(Stream *s)
{
    return SSL_set_fd(s->tls, s->fd) == 1 ? 0 : -ENOMEM;
}

static const char *verify_hint(long result)
{
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "check this machine's clock, then renew the server's certificate";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "the certificate is for another name: check the URL and the certificate's names";
    default:
        return "if the server's authority is a private one, name its certificate: CLOUD_CA_FILE on a box, SECBOX_CA or "
               "--ca "
               "for an operator";
    }
}

static int handshake_failed(Stream *s)
{
    long verify = SSL_get_verify_result(s->tls);
    if (verify != X509_V_OK)
        return error_set(&s->err, EPROTO, "stream.tls", "the certificate of %s is refused: %s; %s", s->name,
                         X509_verify_cert_error_string(verify), verify_hint(verify));
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    if (ERR_peek_last_error() == 0 || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return error_set(&s->err, ECONNRESET, "stream.tls",
                         "%s closed the connection during the TLS handshake: is it a TLS port?", s->name);
    if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST)
        return error_set(&s->err, EPROTO, "stream.tls", "%s does not speak TLS: is it a TLS port?", s->name);
    return error_set(&s->err, EPROTO, "stream.tls", "the TLS handshake with %s failed: %s", s->name, openssl_reason());
}

int stream_tls_handshake(Stream *s, bool *ret_wants_write)
{
    ERR_clear_error();
    int r = SSL_do_handshake(s->tls);
    if (r == 1)
        return 0;
    int e = SSL_get_error(s->tls, r);
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) {
        *ret_wants_write = e == SSL_ERROR_WANT_WRITE;
        return -EAGAIN;
    }
    return handshake_failed(s);
}

bool stream_handshake_stalls(const Stream *s, bool *ret_answered)
{
    int unread = 0;
    if (!s->tls || s->state != STREAM_HANDSHAKE || ioctl(s->fd, FIONREAD, &unread) < 0 || unread > 0)
        return false;
    *ret_answered = BIO_number_written(SSL_get_wbio(s->tls)) > 0;
    return true;
}

static ssize_t io_failed(Stream *s, int e)
{
    int code = errno > 0 && e == SSL_ERROR_SYSCALL ? errno : ECONNRESET;
    if (e == SSL_ERROR_SYSCALL)
        return stream_broke(s, code);
    if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return error_set(&s->err, ECONNRESET, "stream.closed", "%s went away without ending TLS", s->name);
    return error_set(&s->err, EPROTO, "stream.tls", "TLS with %s failed: %s", s->name, openssl_reason());
}

/* Clearing goes through all places for errors, of which almost always none is taken. */
static void forget_errors(void)
{
    if (ERR_peek_error())
        ERR_clear_error();
}

ssize_t stream_tls_read(Stream *s, void *data, size_t len)
{
    forget_errors();
    errno = 0;
    int n = SSL_read(s->tls, data, (int) len);
    if (n > 0)
        return n;
    int e = SSL_get_error(s->tls, n);
    if (e == SSL_ERROR_WANT_WRITE)
        s->read_wants_write = true;
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return -EAGAIN;
    return e == SSL_ERROR_ZERO_RETURN ? 0 : io_failed(s, e);
}

ssize_t stream_tls_write(Stream *s, const void *data, size_t len)
{
    size_t n = 0;
    forget_errors();
    errno = 0;
    if (SSL_write_ex(s->tls, data, len, &n) == 1)
        return (ssize_t) n;
    int e = SSL_get_error(s->tls, 0);
    /* Reading goes on at all times, so a write that waits for incoming data needs nothing special. */
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return -EAGAIN;
    return io_failed(s, e);
}

bool stream_tls_reads_ahead(const Stream *s)
{
    return s->tls && SSL_get_read_ahead(s->tls);
}

bool stream_tls_pending(const Stream *s)
{
    return s->tls && SSL_has_pending(s->tls) == 1;
}

/* OpenSSL's own buffers: kept, and one for several records, so that reading one record is not two calls of the kernel. */
void stream_tls_set_bulk(Stream *s, bool bulk)
{
    if (!s->tls)
        return;
    if (SSL_has_pending(s->tls) == 0)
        (void) SSL_free_buffers(s->tls); /* the next ones have the size that is set here */
    SSL_set_read_ahead(s->tls, bulk || SSL_CTX_get_read_ahead(SSL_get_SSL_CTX(s->tls)));
    SSL_set_default_read_buffer_len(s->tls, bulk ? STREAM_BULK_SIZE : 0);
    if (bulk)
        (void) SSL_clear_mode(s->tls, SSL_MODE_RELEASE_BUFFERS);
    else
        (void) SSL_set_mode(s->tls, SSL_MODE_RELEASE_BUFFERS);
}

void stream_tls_shutdown(Stream *s)
{
    if (!s->tls)
        return;
    ERR_clear_error();
    (void) SSL_shutdown(s->tls);
}

void stream_tls_free(Stream *s)
{
    SSL_free(TAKE_PTR(s->tls));
    ERR_clear_error();
}

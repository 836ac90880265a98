/* SPDX-License-Identifier: MIT */
/* Certificates by libcrypto. Extensions are given as the text that libcrypto's own configuration takes, made from names
 * that were checked before. */
#include "lib/data/x509-authority.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/data/key-pem.h"

#define CERT_FILE_MAX ((size_t) 64 * 1024)
#define NAME_MAX_BYTES 253
#define COMMON_NAME_MAX 64 /* ub-common-name */
#define SERIAL_SIZE 16

DEFINE_CLEANUP(X509, X509_free)
DEFINE_CLEANUP(X509_REQ, X509_REQ_free)
DEFINE_CLEANUP(BIO, BIO_free)
DEFINE_CLEANUP(BIGNUM, BN_free)

static int failed(Error *err, const char *what)
{
    unsigned long code = ERR_get_error();
    char reason[160] = "out of memory";

    if (code)
        ERR_error_string_n(code, reason, sizeof(reason));
    ERR_clear_error();
    return error_set(err, EIO, "x509.make", "cannot make %s: %s", what, reason);
}

/* Names go into libcrypto's little language of extensions: nothing in them may mean something there. */
static bool is_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-");

    return len > 0 && len <= NAME_MAX_BYTES && name[len] == '\0';
}

static bool is_address(const char *name)
{
    uint8_t addr[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, name, addr) == 1 || inet_pton(AF_INET6, name, addr) == 1;
}

/* The star of a wildcard name (RFC 6125, 6.4.3) is the whole of its first label, and two labels or more stand behind it, or no
 * client takes it: what stands there, else the name itself. */
static const char *behind_star(const char *name)
{
    return str_starts(name, "*.") && strchr(name + 2, '.') ? name + 2 : name;
}

/* "DNS:secbox.local,IP:192.168.1.20": a new string, NULL when a name cannot be one. */
static char *alternative_names(const char *const *names)
{
    _cleanup_(strv_freep) char **parts = NULL;

    for (; *names; names++)
        if (!is_name(behind_star(*names)) || strv_addf(&parts, "%s:%s", is_address(*names) ? "IP" : "DNS", *names) < 0)
            return NULL;
    return parts ? strv_join(parts, ",") : NULL;
}

static int set_serial(X509 *cert)
{
    _cleanup_(BN_freep) BIGNUM *n = NULL;
    uint8_t serial[SERIAL_SIZE];

    random_bytes(serial, sizeof(serial));
    serial[0] = (uint8_t) ((serial[0] & 0x7f) | 0x40); /* positive, and always as long */
    n = BN_bin2bn(serial, sizeof(serial), NULL);
    return n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) ? 0 : -EIO;
}

static int set_common_name(X509_NAME *subject, const char *name)
{
    return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *) name, -1, -1, 0) == 1
               ? 0
               : -EIO;
}

static int set_validity(X509 *cert, CertValidity v)
{
    return ASN1_TIME_set(X509_getm_notBefore(cert), (time_t) v.from) &&
                   ASN1_TIME_set(X509_getm_notAfter(cert), (time_t) v.until)
               ? 0
               : -EIO;
}

static X509 *cert_start(EVP_PKEY *key, const char *name, CertValidity validity)
{
    _cleanup_(X509_freep) X509 *cert = X509_new();

    if (!cert || X509_set_version(cert, X509_VERSION_3) != 1 || X509_set_pubkey(cert, key) != 1 ||
        set_serial(cert) < 0 || set_common_name(X509_get_subject_name(cert), name) < 0 ||
        set_validity(cert, validity) < 0)
        return NULL;
    return TAKE_PTR(cert);
}

static int cert_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    int r;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&ctx);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    if (!ext)
        return -EIO;
    r = X509_add_ext(cert, ext, -1) == 1 ? 0 : -EIO;
    X509_EXTENSION_free(ext);
    return r;
}

static int cert_write(const char *path, X509 *cert, X509 *issuer, Error *err)
{
    _cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len = 0;

    if (!bio || PEM_write_bio_X509(bio, cert) != 1 || (issuer && PEM_write_bio_X509(bio, issuer) != 1) ||
        (len = BIO_get_mem_data(bio, &text)) <= 0)
        return failed(err, "the certificate's PEM text");
    return file_write_atomic(path, text, (size_t) len, 0644, (uid_t) -1, (gid_t) -1, err);
}

static int key_new(const char *path, EVP_PKEY **ret, Error *err)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = EVP_EC_gen("P-256");
    int r;

    if (!key)
        return failed(err, "a P-256 key");
    r = key_pem_write(key, path, (uid_t) -1, (gid_t) -1, err);
    if (r >= 0)
        *ret = TAKE_PTR(key);
    return r;
}

static int key_read(const char *path, EVP_PKEY **ret, Error *err)
{
    char *text = NULL;
    size_t len = 0;
    int r = key_pem_read(path, (uid_t) -1, &text, &len, err);

    if (r < 0)
        return r;
    *ret = key_pem_parse(text, len);
    secret_free(text);
    return *ret ? 0 : error_set(err, EBADMSG, "key.bad", "%s is not a private key without a pass phrase", path);
}

static int cert_read(const char *path, X509 **ret, Error *err)
{
    _cleanup_(BIO_freep) BIO *bio = NULL;
    _cleanup_(freep) char *text = NULL;
    size_t len = 0;
    int r = file_read(path, CERT_FILE_MAX, &text, &len, err);

    if (r < 0)
        return r;
    bio = BIO_new_mem_buf(text, (int) len);
    *ret = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    ERR_clear_error();
    return *ret ? 0 : error_set(err, EBADMSG, "x509.bad", "%s is not a certificate in PEM", path);
}

#define LOCAL_NETWORKS                                                                                                 \
    "permitted;IP:10.0.0.0/255.0.0.0,permitted;IP:172.16.0.0/255.240.0.0,permitted;IP:192.168.0.0/255.255.0.0,"        \
    "permitted;IP:169.254.0.0/255.255.0.0,permitted;IP:127.0.0.0/255.0.0.0,"                                           \
    "permitted;IP:fc00:0:0:0:0:0:0:0/fe00:0:0:0:0:0:0:0,permitted;IP:fe80:0:0:0:0:0:0:0/ffc0:0:0:0:0:0:0:0,"           \
    "permitted;IP:0:0:0:0:0:0:0:1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

int x509_authority_make(const char *key_path, const char *cert_path, const char *name, const char *host,
                        CertValidity validity, Error *err)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
    _cleanup_(X509_freep) X509 *cert = NULL;
    _cleanup_(freep) char *permitted =
        is_name(host) ? str_format("critical,permitted;DNS:%s,permitted;DNS:localhost," LOCAL_NETWORKS, host) : NULL;
    int r;

    if (!permitted || strlen(name) > COMMON_NAME_MAX)
        return error_set(err, EINVAL, "x509.make", "cannot make an authority for the host name '%s'", host);
    r = key_new(key_path, &key, err);
    if (r < 0)
        return r;
    cert = cert_start(key, name, validity);
    if (!cert || X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1 ||
        cert_extend(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") < 0 ||
        cert_extend(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") < 0 ||
        cert_extend(cert, cert, NID_subject_key_identifier, "hash") < 0 ||
        cert_extend(cert, cert, NID_name_constraints, permitted) < 0 || X509_sign(cert, key, EVP_sha256()) == 0)
        return failed(err, "the authority's certificate");
    return cert_write(cert_path, cert, NULL, err);
}

static int server_cert(EVP_PKEY *key, EVP_PKEY *ca_key, X509 *ca, const char *const *names, const char *san,
                       CertValidity validity, X509 **ret)
{
    _cleanup_(X509_freep) X509 *cert = cert_start(key, names[0], validity);

    if (!cert || X509_set_issuer_name(cert, X509_get_subject_name(ca)) != 1 ||
        cert_extend(cert, ca, NID_basic_constraints, "critical,CA:FALSE") < 0 ||
        cert_extend(cert, ca, NID_key_usage, "critical,digitalSignature") < 0 ||
        cert_extend(cert, ca, NID_ext_key_usage, "serverAuth") < 0 ||
        cert_extend(cert, ca, NID_subject_key_identifier, "hash") < 0 ||
        cert_extend(cert, ca, NID_authority_key_identifier, "keyid:always") < 0 ||
        cert_extend(cert, ca, NID_subject_alt_name, san) < 0 || X509_sign(cert, ca_key, EVP_sha256()) == 0)
        return -EIO;
    *ret = TAKE_PTR(cert);
    return 0;
}

int x509_server_make(const char *ca_key_path, const char *ca_cert_path, const char *key_path, const char *cert_path,
                     const char *const *names, CertValidity validity, Error *err)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL, *ca_key = NULL;
    _cleanup_(X509_freep) X509 *ca = NULL, *cert = NULL;
    _cleanup_(freep) char *san = alternative_names(names);
    int r;

    if (!san || strlen(names[0]) > COMMON_NAME_MAX)
        return error_set(err, EINVAL, "x509.make", "cannot make a certificate: one of its names is no host name");
    r = key_read(ca_key_path, &ca_key, err);
    if (r >= 0)
        r = cert_read(ca_cert_path, &ca, err);
    if (r >= 0)
        r = key_new(key_path, &key, err);
    if (r < 0)
        return r;
    if (server_cert(key, ca_key, ca, names, san, validity, &cert) < 0)
        return failed(err, "the server's certificate");
    return cert_write(cert_path, cert, ca, err);
}

static int request_extend(X509_REQ *request, int nid, const char *value)
{
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
    X509V3_CTX ctx;
    int r = -EIO;

    X509V3_set_ctx(&ctx, NULL, NULL, request, NULL, 0);
    X509V3_set_ctx_nodb(&ctx);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    if (list && ext && sk_X509_EXTENSION_push(list, ext) > 0) {
        ext = NULL;
        r = X509_REQ_add_extensions(request, list) == 1 ? 0 : -EIO;
    }
    X509_EXTENSION_free(ext);
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    return r;
}

/* A common name is short, and nobody needs it beside the alternative ones: a long name goes without. */
static X509_REQ *request_new(EVP_PKEY *key, const char *name, const char *san)
{
    _cleanup_(X509_REQ_freep) X509_REQ *request = X509_REQ_new();

    if (!request || X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 || X509_REQ_set_pubkey(request, key) != 1 ||
        (strlen(name) <= COMMON_NAME_MAX && set_common_name(X509_REQ_get_subject_name(request), name) < 0) ||
        request_extend(request, NID_subject_alt_name, san) < 0 || X509_REQ_sign(request, key, EVP_sha256()) == 0)
        return NULL;
    return TAKE_PTR(request);
}

int x509_request_make(const char *key_path, const char *const *names, char **ret, Error *err)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
    _cleanup_(X509_REQ_freep) X509_REQ *request = NULL;
    _cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());
    _cleanup_(freep) char *san = alternative_names(names);
    char *text = NULL;
    long len = 0;

    for (const char *const *name = names; *name; name++) {
        const char *host = behind_star(*name);

        if (!is_name(host) || is_address(host) || strchr(host, ':'))
            return error_set(err, EINVAL, "x509.make", "cannot ask for a certificate: '%s' is no host name", *name);
    }
    int r = san ? key_read(key_path, &key, err)
                : error_set(err, EINVAL, "x509.make", "cannot ask for a certificate: no name is given");
    if (r == -ENOENT) {
        error_done(err);
        r = key_new(key_path, &key, err);
    }
    if (r < 0)
        return r;
    request = request_new(key, names[0], san);
    if (!request || !bio || PEM_write_bio_X509_REQ(bio, request) != 1 || (len = BIO_get_mem_data(bio, &text)) <= 0)
        return failed(err, "a request for a certificate");
    *ret = strndup(text, (size_t) len);
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "cannot make a request for a certificate");
}

static uint64_t seconds_of(const ASN1_TIME *t)
{
    struct tm tm = {};
    time_t seconds = ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;

    return seconds > 0 ? (uint64_t) seconds : 0;
}

int x509_read(const char *cert_path, CertFacts *ret, Error *err)
{
    _cleanup_(freep) uint8_t *der = NULL;
    _cleanup_(X509_freep) X509 *cert = NULL;
    size_t len = 0;
    int r = cert_read(cert_path, &cert, err);

    if (r >= 0)
        r = x509_der(cert_path, &der, &len, err);
    if (r >= 0)
        r = sha256_hex(der, len, ret->fingerprint);
    if (r < 0)
        return r;
    ret->validity = (CertValidity) { seconds_of(X509_get0_notBefore(cert)), seconds_of(X509_get0_notAfter(cert)) };
    return 0;
}

/* One name of a certificate as alternative_names() would have got it: a new string, or NULL. */
static char *general_name(const GENERAL_NAME *name)
{
    char text[INET6_ADDRSTRLEN];
    int type = 0;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    int len = ASN1_STRING_length(value);

    if (type == GEN_DNS)
        return strndup((const char *) ASN1_STRING_get0_data(value), (size_t) len);
    if (type != GEN_IPADD || (len != 4 && len != 16))
        return NULL;
    return inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), text, sizeof(text)) ? strdup(text)
                                                                                                      : NULL;
}

/* Addresses have several texts; what inet_ntop() writes is the one that is compared. */
static int add_canonical(char ***to, const char *name)
{
    uint8_t addr[sizeof(struct in6_addr)];
    char text[INET6_ADDRSTRLEN];

    if (inet_pton(AF_INET6, name, addr) == 1)
        return strv_add(to, inet_ntop(AF_INET6, addr, text, sizeof(text)));
    return strv_add(to, name);
}

static bool names_are(X509 *cert, const char *const *names)
{
    _cleanup_(strv_freep) char **have = NULL, **want = NULL;
    GENERAL_NAMES *list = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    _cleanup_(freep) char *a = NULL, *b = NULL;
    bool ok = true;

    for (int i = 0; i < sk_GENERAL_NAME_num(list) && ok; i++) {
        char *name = general_name(sk_GENERAL_NAME_value(list, i));
        ok = name && strv_take(&have, name) >= 0;
    }
    GENERAL_NAMES_free(list);
    for (; *names && ok; names++)
        ok = add_canonical(&want, *names) >= 0;
    if (!ok || !have || !want)
        return false;
    strv_sort(have);
    strv_sort(want);
    a = strv_join(have, ",");
    b = strv_join(want, ",");
    return a && str_equal(a, b);
}

static bool signed_by(X509 *cert, X509 *ca)
{
    EVP_PKEY *key = X509_get0_pubkey(ca);
    bool ok =
        key && X509_verify(cert, key) == 1 && X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(ca)) == 0;

    ERR_clear_error();
    return ok;
}

int x509_server_check(const char *ca_cert_path, const char *key_path, const char *cert_path, const char *const *names,
                      Error *err)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
    _cleanup_(X509_freep) X509 *ca = NULL, *cert = NULL;
    int r = cert_read(ca_cert_path, &ca, err);

    if (r >= 0)
        r = cert_read(cert_path, &cert, err);
    if (r >= 0)
        r = key_read(key_path, &key, err);
    if (r < 0)
        return r;
    bool fits = X509_check_private_key(cert, key) == 1 && signed_by(cert, ca) && names_are(cert, names);
    ERR_clear_error();
    return fits ? 0 : -ESTALE;
}

int x509_der(const char *cert_path, uint8_t **ret, size_t *ret_len, Error *err)
{
    _cleanup_(X509_freep) X509 *cert = NULL;
    int r = cert_read(cert_path, &cert, err);

    if (r < 0)
        return r;
    int len = i2d_X509(cert, NULL);
    uint8_t *der = len > 0 ? malloc((size_t) len) : NULL, *at = der;
    if (!der || i2d_X509(cert, &at) != len) {
        free(der);
        return error_from_errno(err, -ENOMEM, "cannot read the certificate");
    }
    *ret = der;
    *ret_len = (size_t) len;
    return 0;
}

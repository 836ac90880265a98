/* SPDX-License-Identifier: MIT */
#include "lib/data/x509-chain.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/data/x509-issuer.h"

#define FILE_MAX ((size_t) 256 * 1024)
#define CERTIFICATES_MAX 16
#define NAME_BYTES 256

DEFINE_CLEANUP(BIO, BIO_free)
DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)
DEFINE_CLEANUP(X509_STORE, X509_STORE_free)
DEFINE_CLEANUP(X509_STORE_CTX, X509_STORE_CTX_free)

typedef struct Chain {
    STACK_OF(X509) * certs;
} Chain;

static void chain_done(Chain *c)
{
    sk_X509_pop_free(c->certs, X509_free);
}

void chain_facts_done(ChainFacts *c)
{
    free(c->names);
    free(c->missing);
    free(c->found);
}

static int bad(Error *err, const char *path)
{
    ERR_clear_error();
    return error_set(err, EBADMSG, "x509.bad", "%s does not hold a certificate in PEM", path);
}

static int chain_read(const char *path, Chain *ret, Error *err)
{
    _cleanup_(freep) char *text = NULL;
    size_t len = 0;
    int r = file_read_followed(path, FILE_MAX, &text, &len, err);

    if (r < 0)
        return r;
    _cleanup_(BIO_freep) BIO *in = BIO_new_mem_buf(text, (int) len);
    ret->certs = sk_X509_new_null();
    for (X509 *cert; in && ret->certs && sk_X509_num(ret->certs) < CERTIFICATES_MAX &&
                     (cert = PEM_read_bio_X509(in, NULL, NULL, NULL));)
        if (sk_X509_push(ret->certs, cert) == 0) {
            X509_free(cert);
            return error_from_errno(err, -ENOMEM, "read a certificate");
        }
    ERR_clear_error();
    return sk_X509_num(ret->certs) > 0 ? 0 : bad(err, path);
}

static uint64_t seconds_of(const ASN1_TIME *time)
{
    struct tm tm = {};
    time_t t = ASN1_TIME_to_tm(time, &tm) == 1 ? timegm(&tm) : 0;

    return t > 0 ? (uint64_t) t : 0;
}

static bool is_for(X509 *cert, const char *host)
{
    uint8_t address[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_check_ip_asc(cert, host, 0) == 1;
    return X509_check_host(cert, host, 0, 0, NULL) == 1;
}

static char *names_of(X509 *cert)
{
    _cleanup_(BIO_freep) BIO *out = BIO_new(BIO_s_mem());
    int at = X509_get_ext_by_NID(cert, NID_subject_alt_name, -1);
    char *text = NULL;

    if (!out || at < 0 || X509V3_EXT_print(out, X509_get_ext(cert, at), 0, 0) != 1)
        return strdup("no names");
    long len = BIO_get_mem_data(out, &text);
    return str_format("%.*s", (int) len, text);
}

/* By the authorities of this machine, whatever the time. */
static bool is_known(const Chain *c)
{
    _cleanup_(X509_STORE_freep) X509_STORE *store = X509_STORE_new();
    _cleanup_(X509_STORE_CTX_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();

    if (!store || !ctx || X509_STORE_set_default_paths(store) != 1)
        return false;
    x509_store_choose_signers(store);
    if (X509_STORE_CTX_init(ctx, store, sk_X509_value(c->certs, 0), c->certs) != 1)
        return false;
    X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME);
    bool known = X509_verify_cert(ctx) == 1;
    ERR_clear_error();
    return known;
}

static bool signs_itself(X509 *cert)
{
    return X509_check_issued(cert, cert) == X509_V_OK;
}

/* The file goes on as long as some certificate in it has signed the one before. */
static X509 *last_of(const Chain *c)
{
    X509 *last = sk_X509_value(c->certs, 0);

    for (int steps = 0; steps < CERTIFICATES_MAX && !signs_itself(last); steps++) {
        X509 *next = NULL;
        for (int i = 1; i < sk_X509_num(c->certs) && !next; i++)
            if (X509_check_issued(sk_X509_value(c->certs, i), last) == X509_V_OK)
                next = sk_X509_value(c->certs, i);
        if (!next)
            break;
        last = next;
    }
    return last;
}

static bool holds_issuer(const char *path, X509 *cert)
{
    _cleanup_(chain_done) Chain c = {};

    if (chain_read(path, &c, NULL) < 0)
        return false;
    X509 *first = sk_X509_value(c.certs, 0);
    return X509_check_issued(first, cert) == X509_V_OK && !signs_itself(first);
}

static char *find_issuer(const char *path, X509 *cert)
{
    const char *slash = strrchr(path, '/');
    _cleanup_(freep) char *folder = slash ? str_format("%.*s", (int) (slash - path), path) : NULL;
    DIR *dir = folder ? opendir(folder) : NULL;
    const struct dirent *entry;
    char *found = NULL;

    while (dir && !found && (entry = readdir(dir))) {
        if (!str_ends(entry->d_name, ".pem") && !str_ends(entry->d_name, ".crt"))
            continue;
        found = str_format("%s/%s", folder, entry->d_name);
        if (found && !holds_issuer(found, cert)) {
            free(found);
            found = NULL;
        }
    }
    if (dir)
        closedir(dir);
    return found;
}

int x509_chain_read(const char *path, const char *host, ChainFacts *ret, Error *err)
{
    _cleanup_(chain_done) Chain c = {};
    char issuer[NAME_BYTES] = "";
    int r = chain_read(path, &c, err);

    if (r < 0)
        return r;
    X509 *first = sk_X509_value(c.certs, 0), *last = last_of(&c);
    ret->validity = (CertValidity) { seconds_of(X509_get0_notBefore(first)), seconds_of(X509_get0_notAfter(first)) };
    ret->fits = is_for(first, host);
    ret->serves = X509_check_purpose(first, X509_PURPOSE_SSL_SERVER, 0) == 1;
    ret->names = names_of(first);
    ret->known = is_known(&c);
    ret->closed = signs_itself(last);
    if (ret->closed || ret->known)
        return 0;
    X509_NAME_oneline(X509_get_issuer_name(last), issuer, sizeof(issuer));
    ret->missing = strdup(issuer);
    ret->found = find_issuer(path, last);
    return 0;
}

static int no_passphrase(char *buf _unused_, int size _unused_, int writing _unused_, void *userdata _unused_)
{
    return 0;
}

int x509_key_check(const char *path, const char *key_path, Error *err)
{
    _cleanup_(chain_done) Chain c = {};
    _cleanup_(secret_freep) char *text = NULL;
    size_t len = 0;
    int r = chain_read(path, &c, err);

    if (r == 0)
        r = file_read_followed(key_path, FILE_MAX, &text, &len, err);
    if (r < 0)
        return r;
    _cleanup_(BIO_freep) BIO *in = BIO_new_mem_buf(text, (int) len);
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;
    bool fits = key && X509_check_private_key(sk_X509_value(c.certs, 0), key) == 1;
    ERR_clear_error();
    if (!key)
        return error_set(err, EBADMSG, "x509.bad", "%s does not hold a private key in PEM without a passphrase",
                         key_path);
    return fits ? 0
                : error_set(err, EBADMSG, "x509.bad", "the key in %s is not that of the certificate in %s", key_path,
                            path);
}

/* SPDX-License-Identifier: MIT */
#include "lib/data/x509-issuer.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static bool has_signed(X509 *authority, X509 *cert)
{
    EVP_PKEY *key = X509_get0_pubkey(authority);

    return key && X509_check_issued(authority, cert) == X509_V_OK && X509_verify(cert, key) == 1;
}

static bool is_in_time(X509 *cert)
{
    return X509_cmp_current_time(X509_get0_notBefore(cert)) < 0 && X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
}

/* A folder of authorities is read as names are asked for, and not at all where one of that name is in memory already. */
static void read_folder(X509_STORE *store, const X509_NAME *name)
{
    X509_LOOKUP *folder = X509_STORE_add_lookup(store, X509_LOOKUP_hash_dir()); /* the one it has, if it has one */
    X509_OBJECT *found = X509_OBJECT_new();

    /* what it finds is lent by the store, and given back by X509_OBJECT_free() */
    if (folder && found && X509_LOOKUP_by_subject(folder, X509_LU_X509, name, found) == 1)
        (void) X509_OBJECT_up_ref_count(found);
    X509_OBJECT_free(found);
}

/* 1 with a reference in *ret, 0 when there is none, negative when it cannot be told: as OpenSSL wants it. */
static int find_signer(X509 **ret, X509_STORE_CTX *ctx, X509 *cert)
{
    X509_NAME *name = X509_get_issuer_name(cert);
    STACK_OF(X509) * named;
    X509 *best = NULL;

    (void) ERR_set_mark();
    read_folder(X509_STORE_CTX_get0_store(ctx), name);
    named = X509_STORE_CTX_get1_certs(ctx, name);
    for (int i = 0; i < sk_X509_num(named); i++) {
        X509 *authority = sk_X509_value(named, i);

        if (has_signed(authority, cert) && (!best || (!is_in_time(best) && is_in_time(authority))))
            best = authority;
    }
    (void) ERR_pop_to_mark();
    if (best && X509_up_ref(best) != 1)
        best = NULL;
    sk_X509_pop_free(named, X509_free);
    if (!best) /* it knows best what to say then */
        return X509_STORE_CTX_get1_issuer(ret, ctx, cert);
    *ret = best;
    return 1;
}

void x509_store_choose_signers(X509_STORE *store)
{
    X509_STORE_set_get_issuer(store, find_signer);
}

void x509_tls_choose_signers(void *ssl_ctx)
{
    x509_store_choose_signers(SSL_CTX_get_cert_store(ssl_ctx));
}

static int on_cert_wanted(SSL *ssl, X509 **cert, EVP_PKEY **key)
{
    bool *wanted = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    (void) cert;
    (void) key;
    if (wanted)
        *wanted = true;
    return 0; /* there is none */
}

void x509_tls_note_cert_wanted(void *ssl_ctx, bool *wanted)
{
    (void) SSL_CTX_set_options(ssl_ctx, SSL_OP_NO_RENEGOTIATION);
    (void) SSL_CTX_set_app_data((SSL_CTX *) ssl_ctx, wanted);
    SSL_CTX_set_client_cert_cb(ssl_ctx, on_cert_wanted);
}

/* SPDX-License-Identifier: MIT */
#include "lib/data/x509-fingerprints.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/digest.h"

DEFINE_CLEANUP(BIO, BIO_free)
DEFINE_CLEANUP(X509, X509_free)

static int add_fingerprint(X509 *cert, char ***to)
{
    char hex[SHA256_HEX_SIZE];
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der), r;

    r = len > 0 ? sha256_hex(der, (size_t) len, hex) : -ENOMEM;
    if (r >= 0)
        r = strv_add(to, hex);
    OPENSSL_free(der);
    return r;
}

int x509_fingerprints(const char *pem, size_t max, char ***ret, Error *err)
{
    _cleanup_(BIO_freep) BIO *in = BIO_new_mem_buf(pem, (int) strlen(pem));
    _cleanup_(strv_freep) char **all = NULL;
    size_t n = 0;

    for (; in && n <= max; n++) {
        _cleanup_(X509_freep) X509 *cert = PEM_read_bio_X509(in, NULL, NULL, NULL);

        if (!cert)
            break;
        if (add_fingerprint(cert, &all) < 0)
            return error_from_errno(err, -ENOMEM, "read the certificates");
    }
    /* it ends with the text, or with something that is no certificate */
    unsigned long why = ERR_peek_last_error();
    bool whole = ERR_GET_LIB(why) == ERR_LIB_PEM && ERR_GET_REASON(why) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (n == 0 || n > max || !whole)
        return error_set(err, EBADMSG, "x509.bad", "the text does not hold 1 to %zu certificates in PEM", max);
    *ret = TAKE_PTR(all);
    return 0;
}

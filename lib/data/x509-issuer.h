/* SPDX-License-Identifier: MIT */
/* Which of several authorities of one name has signed a certificate. OpenSSL takes the first that is called as the certificate
 * says and is not ruled out by key identifiers, which private authorities often lack: one that was made anew under its old
 * name, with both kept in a file while certificates are replaced, then fails with "certificate signature failure". */
#pragma once

#include <openssl/x509_vfy.h>

/* Makes the store choose the authority whose key verifies the signature, one that is in its time before others. */
void x509_store_choose_signers(X509_STORE *store);
/* The same for the store of an SSL_CTX. */
void x509_tls_choose_signers(void *ssl_ctx);

/* SPDX-License-Identifier: MIT */
/* Which of several authorities of one name has signed a certificate. OpenSSL takes the first that is called as the certificate
 * says and is not ruled out by key identifiers, which private authorities often lack: one that was made anew under its old
 * name, with both kept in a file while certificates are replaced, then fails with "certificate signature failure". */
#pragma once

#include <openssl/x509_vfy.h>
#include <stdbool.h>

/* Makes the store choose the authority whose key verifies the signature, one that is in its time before others. */
void x509_store_choose_signers(X509_STORE *store);
/* The same for the store of an SSL_CTX. */
void x509_tls_choose_signers(void *ssl_ctx);
/* *wanted becomes true in a handshake of that SSL_CTX in which the server asks who the client is and nothing is there to show: in
 * TLS 1.3 the refusal comes behind the handshake, and may be lost with the connection. There is no second handshake in one. */
void x509_tls_note_cert_wanted(void *ssl_ctx, bool *wanted);

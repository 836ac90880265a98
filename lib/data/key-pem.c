/* SPDX-License-Identifier: MIT */
/* PEM in and out, without ever asking for a pass phrase. */
#include "lib/data/key-pem.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"

#define PEM_SIZE_MAX 8192

DEFINE_CLEANUP(BIO, BIO_free)

/* Without a callback libcrypto would ask for a pass phrase on the terminal. */
static int no_pass_phrase(char *buf, int size, int writing, void *userdata)
{
    (void) buf, (void) size, (void) writing, (void) userdata;
    return -1;
}

EVP_PKEY *key_pem_parse(const char *text, size_t len)
{
    _cleanup_(BIO_freep) BIO *bio = len <= PEM_SIZE_MAX ? BIO_new_mem_buf(text, (int) len) : NULL;
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL) : NULL;

    if (!pkey)
        ERR_clear_error();
    return pkey;
}

int key_pem_read(const char *path, uid_t owner, char **ret, size_t *ret_len, Error *err)
{
    return file_read_secret(path, PEM_SIZE_MAX, owner, ret, ret_len, err);
}

int key_pem_print(EVP_PKEY *pkey, char **ret, Error *err)
{
    _cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len = 0;

    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) != 1 ||
        (len = BIO_get_mem_data(bio, &text)) <= 0) {
        ERR_clear_error();
        return error_set(err, EIO, "key.generate", "libcrypto could not write the new key as PEM");
    }
    *ret = strndup(text, (size_t) len);
    OPENSSL_cleanse(text, (size_t) len);
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "cannot write a key");
}

int key_pem_write(EVP_PKEY *pkey, const char *path, uid_t uid, gid_t gid, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    int r = key_pem_print(pkey, &text, err);

    return r < 0 ? r : file_write_atomic(path, text, strlen(text), 0600, uid, gid, err);
}

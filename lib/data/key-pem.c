/* SPDX-License-Identifier: MIT */
/* PEM in and out; a pass phrase is asked for only where the name says so. */
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

static EVP_PKEY *parse(const char *text, size_t len, pem_password_cb *pass_phrase)
{
    _cleanup_(BIO_freep) BIO *bio = len <= PEM_SIZE_MAX ? BIO_new_mem_buf(text, (int) len) : NULL;
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, pass_phrase, NULL) : NULL;

    if (!pkey)
        ERR_clear_error();
    return pkey;
}

EVP_PKEY *key_pem_parse(const char *text, size_t len)
{
    return parse(text, len, no_pass_phrase);
}

EVP_PKEY *key_pem_parse_asking(const char *text, size_t len)
{
    return parse(text, len, NULL);
}

int key_pem_read(const char *path, uid_t owner, char **ret, size_t *ret_len, Error *err)
{
    return file_read_secret(path, PEM_SIZE_MAX, owner, ret, ret_len, err);
}

static int print(EVP_PKEY *pkey, const EVP_CIPHER *cipher, char **ret, Error *err)
{
    _cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len = 0;

    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, pkey, cipher, NULL, 0, NULL, NULL) != 1 ||
        (len = BIO_get_mem_data(bio, &text)) <= 0) {
        ERR_clear_error();
        return error_set(err, EIO, "key.generate", "libcrypto could not write the new key as PEM%s",
                         cipher ? ": is there a terminal, and was the same pass phrase given twice?" : "");
    }
    *ret = strndup(text, (size_t) len);
    OPENSSL_cleanse(text, (size_t) len);
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "cannot write a key");
}

int key_pem_print(EVP_PKEY *pkey, char **ret, Error *err)
{
    return print(pkey, NULL, ret, err);
}

int key_pem_print_asking(EVP_PKEY *pkey, char **ret, Error *err)
{
    return print(pkey, EVP_aes_256_cbc(), ret, err);
}

int key_pem_write(EVP_PKEY *pkey, const char *path, uid_t uid, gid_t gid, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    int r = key_pem_print(pkey, &text, err);

    return r < 0 ? r : file_write_atomic(path, text, strlen(text), 0600, uid, gid, err);
}

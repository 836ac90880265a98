/* SPDX-License-Identifier: MIT */
/* Names are those of RFC 9180 where it has any. */
#include "lib/data/key-hpke.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/key-pem.h"

#define VERSION "HPKE-v1"
#define KEM_X25519_SHA256 0x0020
#define KDF_SHA256 0x0001
#define HASH_SIZE SHA256_SIZE
#define PART_MAX 1024 /* what goes into one step of key derivation */
#define CIPHER_KEY_MAX 32

DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

struct HpkeKey {
    EVP_PKEY *pkey;
};

/* --- keys --- */

static int take(EVP_PKEY *pkey, HpkeKey **ret)
{
    HpkeKey *k = calloc(1, sizeof(*k));

    if (!k) {
        EVP_PKEY_free(pkey);
        return -ENOMEM;
    }
    k->pkey = pkey;
    *ret = k;
    return 0;
}

int hpke_key_make(HpkeKey **ret, Error *err)
{
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");

    if (!pkey) {
        ERR_clear_error();
        return error_set(err, EIO, "key.generate", "libcrypto could not make an X25519 key pair");
    }
    return take(pkey, ret);
}

int hpke_key_print(const HpkeKey *k, bool sealed, char **ret, Error *err)
{
    return sealed ? key_pem_print_asking(k->pkey, ret, err) : key_pem_print(k->pkey, ret, err);
}

int hpke_key_load_asking(const char *path, HpkeKey **ret, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    size_t len = 0;
    int r = key_pem_read(path, (uid_t) -1, &text, &len, err);
    EVP_PKEY *pkey = r < 0 ? NULL : key_pem_parse_asking(text, len);

    if (r < 0)
        return r;
    if (pkey && EVP_PKEY_is_a(pkey, "X25519"))
        return take(pkey, ret);
    EVP_PKEY_free(pkey);
    return error_set(err, EBADMSG, "key.bad", "%s is not an auditor's private key, or the pass phrase is another one",
                     path);
}

static int make(const char *path, HpkeKey **ret, Error *err)
{
    _cleanup_(hpke_key_freep) HpkeKey *k = NULL;
    int r = hpke_key_make(&k, err);

    if (r >= 0)
        r = key_pem_write(k->pkey, path, (uid_t) -1, (gid_t) -1, err);
    if (r >= 0)
        *ret = TAKE_PTR(k);
    return r;
}

int hpke_key_load_or_make(const char *path, HpkeKey **ret, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    _cleanup_(error_done) Error why = {};
    size_t len = 0;
    int r = key_pem_read(path, geteuid(), &text, &len, &why);

    if (r == -ENOENT)
        return make(path, ret, err);
    if (r < 0) {
        (void) error_copy(err, &why);
        return r;
    }
    EVP_PKEY *pkey = key_pem_parse(text, len);
    if (pkey && EVP_PKEY_is_a(pkey, "X25519"))
        return take(pkey, ret);
    EVP_PKEY_free(pkey);
    return error_set(err, EBADMSG, "key.bad", "%s holds no X25519 private key", path);
}

int hpke_key_from_private(const uint8_t private[static HPKE_KEY_SIZE], HpkeKey **ret)
{
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, private, HPKE_KEY_SIZE);

    if (pkey)
        return take(pkey, ret);
    ERR_clear_error();
    return -EINVAL;
}

HpkeKey *hpke_key_free(HpkeKey *k)
{
    if (k) {
        EVP_PKEY_free(k->pkey);
        free(k);
    }
    return NULL;
}

int hpke_key_public(const HpkeKey *k, uint8_t ret[static HPKE_KEY_SIZE])
{
    size_t len = HPKE_KEY_SIZE;

    if (EVP_PKEY_get_raw_public_key(k->pkey, ret, &len) == 1 && len == HPKE_KEY_SIZE)
        return 0;
    ERR_clear_error();
    return -EIO;
}

/* --- AES-GCM --- */

static const EVP_CIPHER *cipher_for(size_t key_len)
{
    return key_len == 16 ? EVP_aes_128_gcm() : key_len == 32 ? EVP_aes_256_gcm() : NULL;
}

int aes_gcm_seal(HpkeText key, const uint8_t nonce[static AES_GCM_NONCE_SIZE], HpkeText aad, HpkeText message,
                 uint8_t *ret)
{
    _cleanup_(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;

    if (!ctx || !cipher_for(key.len) || message.len > INT_MAX || aad.len > INT_MAX)
        return -EINVAL;
    if (EVP_EncryptInit_ex(ctx, cipher_for(key.len), NULL, key.data, nonce) == 1 &&
        (aad.len == 0 || EVP_EncryptUpdate(ctx, NULL, &n, aad.data, (int) aad.len) == 1) &&
        (message.len == 0 || EVP_EncryptUpdate(ctx, ret, &n, message.data, (int) message.len) == 1) &&
        EVP_EncryptFinal_ex(ctx, ret + message.len, &n) == 1 &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, AES_GCM_TAG_SIZE, ret + message.len) == 1)
        return 0;
    ERR_clear_error();
    return -EIO;
}

int aes_gcm_open(HpkeText key, const uint8_t nonce[static AES_GCM_NONCE_SIZE], HpkeText aad, HpkeText sealed,
                 uint8_t *ret)
{
    _cleanup_(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t tag[AES_GCM_TAG_SIZE], end[AES_GCM_TAG_SIZE];
    size_t len;
    int n = 0;

    if (!ctx || !cipher_for(key.len) || sealed.len < sizeof(tag) || sealed.len > INT_MAX || aad.len > INT_MAX)
        return -EBADMSG;
    len = sealed.len - sizeof(tag);
    memcpy(tag, (const uint8_t *) sealed.data + len, sizeof(tag));
    if (EVP_DecryptInit_ex(ctx, cipher_for(key.len), NULL, key.data, nonce) == 1 &&
        (aad.len == 0 || EVP_DecryptUpdate(ctx, NULL, &n, aad.data, (int) aad.len) == 1) &&
        (len == 0 || EVP_DecryptUpdate(ctx, ret, &n, sealed.data, (int) len) == 1) &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, sizeof(tag), tag) == 1 && EVP_DecryptFinal_ex(ctx, end, &n) == 1)
        return 0;
    ERR_clear_error();
    if (len > 0)
        explicit_bzero(ret, len); /* nothing of what is not what it should be */
    return -EBADMSG;
}

/* --- key derivation (§4) --- */

static int put_label(Buf *b, HpkeText suite, const char *label)
{
    int r = buf_puts(b, VERSION);

    if (r == 0)
        r = buf_append(b, suite.data, suite.len);
    return r < 0 ? r : buf_puts(b, label);
}

static int put(Buf *b, HpkeText part)
{
    return part.len > 0 ? buf_append(b, part.data, part.len) : 0;
}

static void wipe(Buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->len);
    buf_done(b);
}

static int labeled_extract(HpkeText suite, HpkeText salt, const char *label, HpkeText ikm,
                           uint8_t ret[static HASH_SIZE])
{
    static const uint8_t no_salt[HASH_SIZE];
    Buf text = BUF_INIT(PART_MAX);
    int r = put_label(&text, suite, label);

    if (r == 0)
        r = put(&text, ikm);
    if (r == 0)
        r = hmac_sha256(salt.len > 0 ? salt.data : no_salt, salt.len > 0 ? salt.len : sizeof(no_salt), text.data,
                        text.len, ret);
    wipe(&text);
    return r;
}

/* No more than one block is ever needed. */
static int labeled_expand(HpkeText suite, const uint8_t prk[static HASH_SIZE], const char *label, HpkeText info,
                          size_t len, uint8_t *ret)
{
    const uint8_t length[2] = { (uint8_t) (len >> 8), (uint8_t) len }, counter = 1;
    uint8_t block[HASH_SIZE];
    Buf text = BUF_INIT(PART_MAX);
    int r = buf_append(&text, length, sizeof(length));

    if (r == 0)
        r = put_label(&text, suite, label);
    if (r == 0)
        r = put(&text, info);
    if (r == 0)
        r = buf_append(&text, &counter, 1);
    if (r == 0)
        r = hmac_sha256(prk, HASH_SIZE, text.data, text.len, block);
    if (r == 0)
        memcpy(ret, block, len);
    explicit_bzero(block, sizeof(block));
    wipe(&text);
    return r;
}

static const uint8_t kem_suite[] = { 'K', 'E', 'M', 0x00, KEM_X25519_SHA256 };

/* Diffie-Hellman: libcrypto refuses a result that is all zero, as RFC 7748 wants. */
static int exchange(EVP_PKEY *own, const uint8_t public[static HPKE_KEY_SIZE], uint8_t ret[static HPKE_KEY_SIZE])
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *peer =
        EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, public, HPKE_KEY_SIZE);
    _cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
    size_t len = HPKE_KEY_SIZE;

    if (peer && ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
        EVP_PKEY_derive(ctx, ret, &len) == 1 && len == HPKE_KEY_SIZE)
        return 0;
    ERR_clear_error();
    return -EINVAL;
}

/* §4.1: the shared secret of both sides. */
static int shared_secret(EVP_PKEY *own, const uint8_t *peer, const uint8_t *enc, const uint8_t *receiver,
                         uint8_t ret[static HASH_SIZE])
{
    const HpkeText suite = { kem_suite, sizeof(kem_suite) };
    uint8_t dh[HPKE_KEY_SIZE], prk[HASH_SIZE], context[2 * HPKE_KEY_SIZE];
    int r = exchange(own, peer, dh);

    memcpy(context, enc, HPKE_KEY_SIZE);
    memcpy(context + HPKE_KEY_SIZE, receiver, HPKE_KEY_SIZE);
    if (r == 0)
        r = labeled_extract(suite, (HpkeText) {}, "eae_prk", (HpkeText) { dh, sizeof(dh) }, prk);
    if (r == 0)
        r = labeled_expand(suite, prk, "shared_secret", (HpkeText) { context, sizeof(context) }, HASH_SIZE, ret);
    explicit_bzero(dh, sizeof(dh));
    explicit_bzero(prk, sizeof(prk));
    return r;
}

typedef struct Schedule {
    uint8_t key[CIPHER_KEY_MAX], nonce[AES_GCM_NONCE_SIZE];
    size_t key_len;
} Schedule;

/* §5.1, KeySchedule() in mode_base; one message only, so that the nonce is the base nonce. */
static int schedule(HpkeCipher cipher, const uint8_t secret[static HASH_SIZE], HpkeText info, Schedule *ret)
{
    const uint8_t suite_id[] = {
        'H', 'P', 'K', 'E', 0x00, KEM_X25519_SHA256, 0x00, KDF_SHA256, 0x00, (uint8_t) cipher
    };
    const HpkeText suite = { suite_id, sizeof(suite_id) };
    uint8_t context[1 + 2 * HASH_SIZE] = { 0 }, prk[HASH_SIZE];
    const HpkeText whole = { context, sizeof(context) };
    int r = labeled_extract(suite, (HpkeText) {}, "psk_id_hash", (HpkeText) {}, context + 1);

    ret->key_len = cipher == HPKE_AES_128_GCM ? 16 : 32;
    if (r == 0)
        r = labeled_extract(suite, (HpkeText) {}, "info_hash", info, context + 1 + HASH_SIZE);
    if (r == 0)
        r = labeled_extract(suite, (HpkeText) { secret, HASH_SIZE }, "secret", (HpkeText) {}, prk);
    if (r == 0)
        r = labeled_expand(suite, prk, "key", whole, ret->key_len, ret->key);
    if (r == 0)
        r = labeled_expand(suite, prk, "base_nonce", whole, sizeof(ret->nonce), ret->nonce);
    explicit_bzero(prk, sizeof(prk));
    return r;
}

int hpke_seal(HpkeCipher cipher, const uint8_t to[static HPKE_KEY_SIZE], HpkeText info, HpkeText aad, HpkeText message,
              uint8_t *ret)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *once = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    const HpkeKey k = { once };
    uint8_t secret[HASH_SIZE];
    Schedule s = {};
    int r = once ? hpke_key_public(&k, ret) : -EIO;

    if (r == 0)
        r = shared_secret(once, to, ret, to, secret);
    if (r == 0)
        r = schedule(cipher, secret, info, &s);
    if (r == 0)
        r = aes_gcm_seal((HpkeText) { s.key, s.key_len }, s.nonce, aad, message, ret + HPKE_KEY_SIZE);
    explicit_bzero(secret, sizeof(secret));
    explicit_bzero(&s, sizeof(s));
    return r;
}

int hpke_open(HpkeCipher cipher, const HpkeKey *k, HpkeText info, HpkeText aad, HpkeText sealed, uint8_t *ret)
{
    const uint8_t *enc = sealed.data;
    uint8_t secret[HASH_SIZE], own[HPKE_KEY_SIZE];
    Schedule s = {};
    int r = sealed.len < HPKE_OVERHEAD ? -EBADMSG : hpke_key_public(k, own);

    if (r == 0)
        r = shared_secret(k->pkey, enc, enc, own, secret) < 0 ? -EBADMSG : 0;
    if (r == 0)
        r = schedule(cipher, secret, info, &s);
    if (r == 0)
        r = aes_gcm_open((HpkeText) { s.key, s.key_len }, s.nonce, aad,
                         (HpkeText) { enc + HPKE_KEY_SIZE, sealed.len - HPKE_KEY_SIZE }, ret);
    explicit_bzero(secret, sizeof(secret));
    explicit_bzero(&s, sizeof(s));
    return r;
}

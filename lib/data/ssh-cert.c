/* SPDX-License-Identifier: MIT */
/* Reads public keys strictly, writes certificates, and keeps the authority that signs them. */
#include "lib/data/ssh-cert.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/data/key-ed25519.h"
#include "lib/data/key-pem.h"
#include "lib/data/key.h"
#include "lib/data/ssh-wire.h"

#define ED25519 SSH_ED25519
#define ECDSA "ecdsa-sha2-nistp256"
#define ECDSA_CURVE "nistp256"
#define CERT_SUFFIX "-cert-v01@openssh.com"
#define CERT_TYPE_USER 1
#define CERT_SIZE_MAX 8192
#define CA_PEM_MAX 4096
#define NONCE_SIZE 32

DEFINE_CLEANUP(EVP_MD_CTX, EVP_MD_CTX_free)

struct SshCa {
    EVP_PKEY *pkey;
    uint8_t public[ED25519_SIZE];
};

static int check_ed25519(SshText w)
{
    SshText point;
    return ssh_wire_string(&w, &point) < 0 || w.len > 0 || point.len != ED25519_SIZE ? -EBADMSG : 0;
}

static int check_ecdsa(SshText w)
{
    _cleanup_(key_freep) Key *key = NULL;
    SshText curve, point;

    if (ssh_wire_string(&w, &curve) < 0 || !ssh_wire_is(&curve, ECDSA_CURVE) || ssh_wire_string(&w, &point) < 0 ||
        w.len > 0 || point.len != KEY_POINT_SIZE || point.data[0] != 4)
        return -EBADMSG;
    return key_from_point(point.data, &key);
}

static const struct {
    const char *type;
    int (*check)(SshText fields);
} key_types[] = {
    { ED25519, check_ed25519 },
    { ECDSA, check_ecdsa },
};

static int take_blob(const char *type, int (*check)(SshText fields), const uint8_t *blob, size_t len, SshPublicKey *ret)
{
    SshText w = { blob, len }, inner;
    SshPublicKey k = { .type = type };

    if (ssh_wire_string(&w, &inner) < 0 || !ssh_wire_is(&inner, type))
        return -EBADMSG;
    int r = check(w);
    if (r < 0)
        return r;
    k.fields = malloc(w.len);
    if (!k.fields || ssh_fingerprint(blob, len, k.fingerprint) < 0) {
        free(k.fields);
        return -ENOMEM;
    }
    memcpy(k.fields, w.data, w.len);
    k.fields_len = w.len;
    *ret = k;
    return 0;
}

int ssh_public_key_parse(const char *text, SshPublicKey *ret, Error *err)
{
    _cleanup_(freep) uint8_t *blob = NULL;
    size_t len = ssh_line_length(text), type_len = strcspn(text, " "), blob_len = 0, i = 0;

    while (i < ELEMENTSOF(key_types) &&
           (strlen(key_types[i].type) != type_len || strncmp(key_types[i].type, text, type_len) != 0))
        i++;
    if (len == 0 || i == ELEMENTSOF(key_types))
        return error_set(err, EBADMSG, "ssh.bad-key",
                         "a public key is one line that begins with " ED25519 " or " ECDSA ", as ssh-keygen writes it");
    const char *encoded = text + type_len + (text[type_len] == ' ');
    int r = base64_decode(encoded, strcspn(encoded, " \n"), &blob, &blob_len);
    if (r >= 0)
        r = take_blob(key_types[i].type, key_types[i].check, blob, blob_len, ret);
    if (r == -ENOMEM)
        return error_from_errno(err, r, "cannot take the public key");
    if (r < 0)
        return error_set(err, EBADMSG, "ssh.bad-key", "what stands behind %s is no such key: copy the whole line again",
                         key_types[i].type);
    return 0;
}

void ssh_public_key_done(SshPublicKey *k)
{
    free(k->fields);
    *k = (SshPublicKey) {};
}

SshCa *ssh_ca_free(SshCa *ca)
{
    if (ca) {
        EVP_PKEY_free(ca->pkey);
        free(ca);
    }
    return NULL;
}

static int ca_parse(const char *text, size_t len, const char *name, EVP_PKEY **ret, Error *err)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *pkey = key_pem_parse(text, len);

    if (!pkey || !EVP_PKEY_is_a(pkey, "ED25519"))
        return error_set_at(
            err, EBADMSG, "key.bad", name, 0, NULL,
            "%s is not an Ed25519 private key in PEM form without pass phrase; restore it, or remove it and "
            "give every box the public half of the new one",
            name);
    *ret = TAKE_PTR(pkey);
    return 0;
}

static int ca_load(const char *path, EVP_PKEY **ret, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    size_t len = 0;
    int r = key_pem_read(path, (uid_t) -1, &text, &len, err);

    return r < 0 ? r : ca_parse(text, len, path, ret, err);
}

static int ca_make(const char *path, EVP_PKEY **ret, Error *err)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

    if (!pkey) {
        ERR_clear_error();
        return error_set(err, EIO, "key.generate", "libcrypto could not make an Ed25519 key pair");
    }
    int r = key_pem_write(pkey, path, (uid_t) -1, (gid_t) -1, err);
    if (r >= 0)
        *ret = TAKE_PTR(pkey);
    return r;
}

/* Takes the key, also on failure. */
static int ca_new(EVP_PKEY *pkey, const char *name, SshCa **ret, Error *err)
{
    _cleanup_(ssh_ca_freep) SshCa *ca = calloc(1, sizeof(*ca));
    size_t len = ED25519_SIZE;

    if (!ca) {
        EVP_PKEY_free(pkey);
        return error_from_errno(err, -ENOMEM, "cannot load %s", name);
    }
    ca->pkey = pkey;
    if (EVP_PKEY_get_raw_public_key(pkey, ca->public, &len) != 1 || len != ED25519_SIZE) {
        ERR_clear_error();
        return error_set(err, EIO, "key.bad", "libcrypto cannot tell the public half of %s", name);
    }
    *ret = TAKE_PTR(ca);
    return 0;
}

int ssh_ca_load_or_make(const char *path, SshCa **ret, Error *err)
{
    _cleanup_(error_done) Error why = {};
    EVP_PKEY *pkey = NULL;
    int r = ca_load(path, &pkey, &why);

    if (r == -ENOENT)
        r = ca_make(path, &pkey, err);
    else if (r < 0 && err)
        (void) error_copy(err, &why);
    return r < 0 ? r : ca_new(pkey, path, ret, err);
}

int ssh_ca_read(int fd, const char *name, SshCa **ret, Error *err)
{
    char text[CA_PEM_MAX];
    size_t len = 0;
    ssize_t n = 1;
    EVP_PKEY *pkey = NULL;

    while (len < sizeof(text) && n > 0) {
        n = read(fd, text + len, sizeof(text) - len);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            len += (size_t) n;
    }
    int r = n < 0 ? error_from_errno(err, -errno, "cannot read %s", name) : ca_parse(text, len, name, &pkey, err);
    explicit_bzero(text, sizeof(text));
    return r < 0 ? r : ca_new(pkey, name, ret, err);
}

/* The wire form of a pair of an algorithm and its bytes: a public key, or a signature. */
static int put_pair(Buf *b, const char *type, const void *data, size_t len)
{
    _cleanup_(buf_done) Buf inner = BUF_INIT(CERT_SIZE_MAX);

    int r = ssh_put_text(&inner, type);
    if (r >= 0)
        r = ssh_put_string(&inner, data, len);
    return r < 0 ? r : ssh_put_string(b, inner.data, inner.len);
}

static int put_principal(Buf *b, const char *principal)
{
    _cleanup_(buf_done) Buf list = BUF_INIT(CERT_SIZE_MAX);

    int r = ssh_put_text(&list, principal);
    return r < 0 ? r : ssh_put_string(b, list.data, list.len);
}

static int put_extensions(Buf *b, const char *const *names)
{
    _cleanup_(buf_done) Buf list = BUF_INIT(CERT_SIZE_MAX);
    int r = 0;

    for (; *names && r >= 0; names++) {
        r = ssh_put_text(&list, *names);
        if (r >= 0)
            r = ssh_put_text(&list, "");
    }
    return r < 0 ? r : ssh_put_string(b, list.data, list.len);
}

/* A name, and as its data what is a string in itself. */
static int put_critical_option(Buf *list, const char *name, const char *text)
{
    _cleanup_(buf_done) Buf value = BUF_INIT(CERT_SIZE_MAX);

    if (!text)
        return 0;
    int r = ssh_put_text(&value, text);
    if (r >= 0)
        r = ssh_put_text(list, name);
    return r < 0 ? r : ssh_put_string(list, value.data, value.len);
}

/* In the order of their names. */
static int put_critical_options(Buf *b, const SshCertSpec *spec)
{
    _cleanup_(buf_done) Buf list = BUF_INIT(CERT_SIZE_MAX);
    int r = put_critical_option(&list, "force-command", spec->force_command);

    if (r >= 0)
        r = put_critical_option(&list, "source-address", spec->source_address);
    return r < 0 ? r : ssh_put_string(b, list.data, list.len);
}

/* Everything that is signed. */
static int put_body(Buf *b, const SshCa *ca, const SshCertSpec *spec)
{
    uint8_t nonce[NONCE_SIZE];
    _cleanup_(freep) char *type = str_format("%s" CERT_SUFFIX, spec->key->type);

    random_bytes(nonce, sizeof(nonce));
    int r = type ? ssh_put_text(b, type) : -ENOMEM;
    if (r >= 0)
        r = ssh_put_string(b, nonce, sizeof(nonce));
    if (r >= 0)
        r = buf_append(b, spec->key->fields, spec->key->fields_len);
    if (r >= 0)
        r = ssh_put_u64(b, spec->serial);
    if (r >= 0)
        r = ssh_put_u32(b, CERT_TYPE_USER);
    if (r >= 0)
        r = ssh_put_text(b, spec->key_id);
    if (r >= 0)
        r = put_principal(b, spec->principal);
    if (r >= 0)
        r = ssh_put_u64(b, spec->valid_after);
    if (r >= 0)
        r = ssh_put_u64(b, spec->valid_before);
    if (r >= 0)
        r = put_critical_options(b, spec);
    if (r >= 0)
        r = put_extensions(b, spec->extensions);
    if (r >= 0)
        r = ssh_put_text(b, ""); /* reserved */
    return r < 0 ? r : put_pair(b, ED25519, ca->public, sizeof(ca->public));
}

static int put_signature(Buf *b, const SshCa *ca)
{
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t signature[ED25519_SIGNATURE_SIZE];
    size_t len = sizeof(signature);

    if (!ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, ca->pkey) != 1 ||
        EVP_DigestSign(ctx, signature, &len, (const uint8_t *) b->data, b->len) != 1) {
        ERR_clear_error();
        return -EIO;
    }
    return put_pair(b, ED25519, signature, len);
}

int ssh_cert_sign(const SshCa *ca, const SshCertSpec *spec, char **ret, Error *err)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(CERT_SIZE_MAX);
    _cleanup_(freep) char *encoded = NULL;

    int r = put_body(&b, ca, spec);
    if (r >= 0)
        r = put_signature(&b, ca);
    if (r >= 0)
        encoded = base64_encode(b.data, b.len);
    char *text = encoded ? str_format("%s" CERT_SUFFIX " %s", spec->key->type, encoded) : NULL;
    if (!text)
        return error_from_errno(err, r < 0 ? r : -ENOMEM, "signing a certificate");
    *ret = text;
    return 0;
}

char *ssh_ca_public(const SshCa *ca, const char *comment)
{
    return ssh_ed25519_line(ca->public, comment);
}

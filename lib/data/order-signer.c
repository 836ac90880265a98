/* SPDX-License-Identifier: MIT */
#include "lib/data/order-signer.h"

#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"

#define SOFTWARE_KEY SSH_ED25519
#define HARDWARE_KEY "sk-ssh-ed25519@openssh.com"
#define MAGIC "SSHSIG"
#define VERSION 1
/* a hardware key's flag: somebody was there and touched it */
#define USER_PRESENT 1

#define ARMOUR_BEGIN "-----BEGIN SSH SIGNATURE-----\n"
#define ARMOUR_END "-----END SSH SIGNATURE-----"

/* The parts of a public key. */
static int take_key(SshText blob, OrderSigner *s)
{
    SshText w = blob, type, point, application;

    if (ssh_wire_string(&w, &type) < 0 || ssh_wire_string(&w, &point) < 0 || point.len != ED25519_SIZE)
        return -EBADMSG;
    memcpy(s->public, point.data, ED25519_SIZE);
    if (ssh_wire_is(&type, HARDWARE_KEY)) {
        if (ssh_wire_string(&w, &application) < 0 || memchr(application.data, 0, application.len))
            return -EBADMSG;
        s->application = strndup((const char *) application.data, application.len);
        if (!s->application)
            return -ENOMEM;
    } else if (!ssh_wire_is(&type, SOFTWARE_KEY)) {
        return -EBADMSG;
    }
    return w.len > 0 ? -EBADMSG : ssh_fingerprint(blob.data, blob.len, s->fingerprint);
}

int order_signer_parse(const char *text, OrderSigner *ret, Error *err)
{
    _cleanup_(freep) uint8_t *blob = NULL;
    OrderSigner s = {};
    size_t len = ssh_line_length(text), type_len = strcspn(text, " "), blob_len = 0;
    SshText w, type;
    int r = len > type_len ? base64_decode(text + type_len + 1, strcspn(text + type_len + 1, " \n"), &blob, &blob_len)
                           : -EBADMSG;

    if (r == 0) {
        w = (SshText) { blob, blob_len };
        r = ssh_wire_string(&w, &type) < 0 || type.len != type_len || memcmp(type.data, text, type_len) != 0
                ? -EBADMSG
                : take_key((SshText) { blob, blob_len }, &s);
    }
    if (r == -ENOMEM)
        error_from_errno(err, r, "cannot take the signer's key");
    else if (r < 0)
        r = error_set(err, EBADMSG, "signer.bad-key",
                      "a signer's key is one line that begins with " SOFTWARE_KEY " or " HARDWARE_KEY
                      ", as ssh-keygen and secbox-fleet keygen write it into FILE.pub");
    if (r < 0) {
        order_signer_done(&s);
        return r;
    }
    *ret = s;
    return 0;
}

void order_signer_done(OrderSigner *s)
{
    free(s->name);
    free(s->application);
    *s = (OrderSigner) {};
}

int ssh_signature_parse(const uint8_t *data, size_t len, SshSignature *ret)
{
    SshText w = { data, len }, magic, reserved;
    uint32_t version;

    if (len > ORDER_SSH_SIGNATURE_MAX || ssh_wire_bytes(&w, strlen(MAGIC), &magic) < 0 || !ssh_wire_is(&magic, MAGIC) ||
        ssh_wire_u32(&w, &version) < 0 || version != VERSION || ssh_wire_string(&w, &ret->key) < 0 ||
        ssh_wire_string(&w, &ret->domain) < 0 || ssh_wire_string(&w, &reserved) < 0 || reserved.len > 0 ||
        ssh_wire_string(&w, &ret->hash) < 0 || ssh_wire_string(&w, &ret->signature) < 0 || w.len > 0)
        return -EBADMSG;
    return 0;
}

/* What the key has signed in place of the text: the namespace is part of it. */
static int put_signed(Buf *b, const SshSignature *s, const char *domain, const void *data, size_t len)
{
    uint8_t digest[SHA512_SIZE];
    bool is_512 = ssh_wire_is(&s->hash, "sha512");
    int r = is_512 ? sha512(data, len, digest) : ssh_wire_is(&s->hash, "sha256") ? sha256(data, len, digest) : -EBADMSG;

    if (r >= 0)
        r = buf_puts(b, MAGIC);
    if (r >= 0)
        r = ssh_put_text(b, domain);
    if (r >= 0)
        r = ssh_put_text(b, "");
    if (r >= 0)
        r = ssh_put_string(b, s->hash.data, s->hash.len);
    return r < 0 ? r : ssh_put_string(b, digest, is_512 ? SHA512_SIZE : SHA256_SIZE);
}

/* A hardware key signs digests, between which stand its flags and its counter. */
static int put_signed_by_hardware(Buf *b, const OrderSigner *signer, const Buf *text, SshText flags_and_counter)
{
    uint8_t application[SHA256_SIZE], digest[SHA256_SIZE];
    int r = sha256(signer->application, strlen(signer->application), application);

    if (r >= 0)
        r = sha256(text->data, text->len, digest);
    if (r >= 0)
        r = buf_append(b, application, sizeof(application));
    if (r >= 0)
        r = buf_append(b, flags_and_counter.data, flags_and_counter.len);
    return r < 0 ? r : buf_append(b, digest, sizeof(digest));
}

int ssh_signature_verify(const SshSignature *s, const OrderSigner *signer, const char *domain, const void *data,
                         size_t len)
{
    _cleanup_(buf_done) Buf text = BUF_INIT(ORDER_SSH_SIGNATURE_MAX), hardware = BUF_INIT(ORDER_SSH_SIGNATURE_MAX);
    SshText w = s->signature, type, signature, more = {};
    char fingerprint[SSH_FINGERPRINT_SIZE];
    int r = ssh_fingerprint(s->key.data, s->key.len, fingerprint);

    if (r < 0)
        return r;
    if (!str_equal(fingerprint, signer->fingerprint) || !ssh_wire_is(&s->domain, domain) ||
        ssh_wire_string(&w, &type) < 0 || !ssh_wire_is(&type, signer->application ? HARDWARE_KEY : SOFTWARE_KEY) ||
        ssh_wire_string(&w, &signature) < 0 || signature.len != ED25519_SIGNATURE_SIZE)
        return -EBADMSG;
    if (signer->application && (ssh_wire_bytes(&w, 5, &more) < 0 || !(more.data[0] & USER_PRESENT)))
        return -EBADMSG;
    if (w.len > 0)
        return -EBADMSG;
    r = put_signed(&text, s, domain, data, len);
    if (r >= 0 && signer->application)
        r = put_signed_by_hardware(&hardware, signer, &text, more);
    const Buf *b = signer->application ? &hardware : &text;
    return r < 0 ? r : ed25519_verify(signer->public, b->data, b->len, signature.data);
}

int ssh_signature_unarmour(const char *text, uint8_t **ret, size_t *ret_len)
{
    const char *end = strstr(text, ARMOUR_END);
    _cleanup_(buf_done) Buf b = BUF_INIT(2 * ORDER_SSH_SIGNATURE_MAX);

    if (!str_starts(text, ARMOUR_BEGIN) || !end)
        return -EBADMSG;
    for (const char *p = text + strlen(ARMOUR_BEGIN); p < end; p++)
        if (*p != '\n' && buf_append(&b, p, 1) < 0)
            return -EBADMSG;
    int r = base64_decode(b.data ? b.data : "", b.len, ret, ret_len);
    return r == -EINVAL ? -EBADMSG : r;
}

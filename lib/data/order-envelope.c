/* SPDX-License-Identifier: MIT */
#include "lib/data/order-envelope.h"

#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"

#define BASE64_SIZE(n) (((n) + 2) / 3 * 4)

static int malformed(Error *err, const char *what)
{
    return error_set(err, EBADMSG, "order.malformed", "the order's signature cannot be read: %s", what);
}

static int decode(const cJSON *object, const char *key, size_t max, uint8_t **ret, size_t *ret_len)
{
    const char *text = json_string(object, key);
    size_t len = text ? strlen(text) : 0;

    if (len == 0 || len > BASE64_SIZE(max))
        return -EBADMSG;
    int r = base64_decode(text, len, ret, ret_len);
    return r == -ENOMEM ? r : r < 0 || *ret_len > max ? -EBADMSG : 0;
}

/* What a raw signature is over: its purpose comes first, and cannot be mistaken for what follows. */
static int put_signed(Buf *b, const char *domain, const void *statement, size_t len)
{
    int r = buf_append(b, domain, strlen(domain) + 1);
    if (r >= 0)
        r = ssh_put_u64(b, len);
    return r < 0 ? r : buf_append(b, statement, len);
}

/* What one signature has proved. */
typedef struct Verdict {
    const OrderSigner *signer; /* NULL: of nobody who is known here */
    bool good;
} Verdict;

static int judge_raw(const cJSON *entry, const char *domain, const OrderSigners *signers, const uint8_t *statement,
                     size_t len, Verdict *ret)
{
    _cleanup_(buf_done) Buf text = BUF_INIT(ORDER_STATEMENT_MAX + 256);
    _cleanup_(freep) uint8_t *signature = NULL;
    size_t signature_len = 0;
    const char *id = json_string(entry, "keyId");
    int r = decode(entry, "signature", ED25519_SIGNATURE_SIZE, &signature, &signature_len);

    if (r < 0 || !id || signature_len != ED25519_SIGNATURE_SIZE)
        return r < 0 ? r : -EBADMSG;
    ret->signer = order_signers_find(signers, id);
    if (!ret->signer || ret->signer->application) /* a hardware key signs nothing but OpenSSH's form */
        return 0;
    r = put_signed(&text, domain, statement, len);
    if (r < 0)
        return r;
    ret->good = ed25519_verify(ret->signer->public, text.data, text.len, signature) == 0;
    return 0;
}

static int judge_ssh(const cJSON *entry, const char *domain, const OrderSigners *signers, const uint8_t *statement,
                     size_t len, Verdict *ret)
{
    _cleanup_(freep) uint8_t *blob = NULL;
    char fingerprint[SSH_FINGERPRINT_SIZE];
    size_t blob_len = 0;
    SshSignature s;
    int r = decode(entry, "sshsig", ORDER_SSH_SIGNATURE_MAX, &blob, &blob_len);

    if (r >= 0)
        r = ssh_signature_parse(blob, blob_len, &s);
    if (r >= 0)
        r = ssh_fingerprint(s.key.data, s.key.len, fingerprint);
    if (r < 0)
        return r;
    ret->signer = order_signers_find(signers, fingerprint);
    if (!ret->signer)
        return 0;
    r = ssh_signature_verify(&s, ret->signer, domain, statement, len);
    ret->good = r == 0;
    return r == -EBADMSG ? 0 : r;
}

static int judge(const cJSON *entry, const char *domain, const OrderSigners *signers, const uint8_t *statement,
                 size_t len, Verdict *ret)
{
    return cJSON_HasObjectItem(entry, "sshsig") ? judge_ssh(entry, domain, signers, statement, len, ret)
                                                : judge_raw(entry, domain, signers, statement, len, ret);
}

/* Who has signed, each counted once. */
typedef struct Count {
    const OrderSigner *good[ORDER_SIGNATURES_MAX];
    size_t n_good, n_bad;
} Count;

static void count_good(Count *c, const OrderSigner *signer)
{
    for (size_t i = 0; i < c->n_good; i++)
        if (c->good[i] == signer)
            return;
    c->good[c->n_good++] = signer;
}

static int conclude(const Count *c, const OrderSigners *signers, Error *err)
{
    if (c->n_good > 0 && c->n_good >= signers->threshold)
        return 0;
    if (c->n_bad > 0)
        return error_set(
            err, EACCES, "order.bad-signature",
            "a signature of this order is not good: it was changed on its way, or signed for something else; "
            "sign it anew");
    if (c->n_good == 0)
        return error_set(err, EACCES, "order.unknown-signer",
                         "nobody has signed this order whose key counts on this box; sign it with one of those that "
                         "`secboxctl trust list` shows there");
    return error_set(err, EACCES, "order.too-few",
                     "%zu of the %u signers that this box asks for have signed this order", c->n_good,
                     signers->threshold);
}

static char *names_of(const Count *c)
{
    _cleanup_(strv_freep) char **names = NULL;

    for (size_t i = 0; i < c->n_good; i++)
        if (strv_add(&names, c->good[i]->name ? c->good[i]->name : c->good[i]->fingerprint) < 0)
            return NULL;
    return strv_join(names, ", ");
}

static int check_members(const cJSON *envelope, const cJSON **ret_signatures, Error *err)
{
    const cJSON *signatures = cJSON_GetObjectItemCaseSensitive(envelope, "signatures");

    if (!cJSON_IsObject(envelope) || !json_string(envelope, "statement") || !cJSON_IsArray(signatures))
        return malformed(err, "it must have \"statement\" and an array \"signatures\"");
    if (cJSON_GetArraySize(signatures) > ORDER_SIGNATURES_MAX)
        return malformed(err, "it has too many signatures");
    *ret_signatures = signatures;
    return 0;
}

int order_envelope_open(const cJSON *envelope, const char *domain, const OrderSigners *signers, char **ret,
                        size_t *ret_len, char **ret_who, Error *err)
{
    _cleanup_(freep) uint8_t *statement = NULL;
    const cJSON *signatures, *entry;
    Count count = {};
    int r = check_members(envelope, &signatures, err);

    if (r < 0)
        return r;
    r = decode(envelope, "statement", ORDER_STATEMENT_MAX, &statement, ret_len);
    if (r < 0)
        return r == -ENOMEM ? r : malformed(err, "its statement is not Base64, or too long");
    cJSON_ArrayForEach(entry, signatures) {
        Verdict v = {};
        r = judge(entry, domain, signers, statement, *ret_len, &v);
        if (r < 0)
            return r == -EBADMSG ? malformed(err, "a signature is not of a form that is known here")
                                 : error_from_errno(err, r, "cannot check an order's signature");
        if (v.good)
            count_good(&count, v.signer);
        else
            count.n_bad += v.signer != NULL;
    }
    r = conclude(&count, signers, err);
    if (r < 0)
        return r;
    *ret_who = names_of(&count);
    if (!*ret_who)
        return error_from_errno(err, -ENOMEM, "cannot check an order");
    *ret = (char *) TAKE_PTR(statement);
    return 0;
}

int order_envelope_check_form(const cJSON *envelope, Error *err)
{
    _cleanup_(freep) uint8_t *statement = NULL;
    const cJSON *signatures;
    size_t len = 0;
    int r = check_members(envelope, &signatures, err);

    if (r >= 0 && decode(envelope, "statement", ORDER_STATEMENT_MAX, &statement, &len) < 0)
        r = malformed(err, "its statement is not Base64, or too long");
    if (r >= 0 && cJSON_GetArraySize(signatures) == 0)
        r = malformed(err, "nobody has signed it");
    return r;
}

cJSON *order_envelope_new(const char *statement, size_t len)
{
    _cleanup_(cJSON_Deletep) cJSON *envelope = cJSON_CreateObject();
    _cleanup_(freep) char *encoded = base64_encode(statement, len);

    if (!envelope || !encoded || json_add_string(envelope, "statement", encoded) < 0 ||
        !cJSON_AddArrayToObject(envelope, "signatures"))
        return NULL;
    return TAKE_PTR(envelope);
}

static int add_entry(cJSON *envelope, cJSON *entry, Error *err)
{
    return json_append(cJSON_GetObjectItemCaseSensitive(envelope, "signatures"), entry) < 0
               ? error_from_errno(err, -ENOMEM, "cannot sign an order")
               : 0;
}

static int key_id(const SignerKey *key, char ret[static SSH_FINGERPRINT_SIZE])
{
    uint8_t public[ED25519_SIZE];
    _cleanup_(freep) char *line = ed25519_public(key, public) < 0 ? NULL : ssh_ed25519_line(public, NULL);
    OrderSigner signer = {};

    if (!line || order_signer_parse(line, &signer, NULL) < 0)
        return -ENOMEM;
    memcpy(ret, signer.fingerprint, SSH_FINGERPRINT_SIZE);
    order_signer_done(&signer);
    return 0;
}

int order_envelope_sign(cJSON *envelope, const char *domain, const char *statement, size_t len, const SignerKey *key,
                        Error *err)
{
    _cleanup_(buf_done) Buf text = BUF_INIT(ORDER_STATEMENT_MAX + 256);
    uint8_t signature[ED25519_SIGNATURE_SIZE];
    char id[SSH_FINGERPRINT_SIZE];
    cJSON *entry = NULL;
    int r = put_signed(&text, domain, statement, len);

    if (r >= 0)
        r = ed25519_sign(key, text.data, text.len, signature);
    if (r >= 0)
        r = key_id(key, id);
    if (r < 0)
        return error_from_errno(err, r, "cannot sign an order");
    _cleanup_(freep) char *encoded = base64_encode(signature, sizeof(signature));
    entry = encoded ? cJSON_CreateObject() : NULL;
    if (!entry || json_add_string(entry, "keyId", id) < 0 || json_add_string(entry, "signature", encoded) < 0) {
        cJSON_Delete(entry);
        return error_from_errno(err, -ENOMEM, "cannot sign an order");
    }
    return add_entry(envelope, entry, err);
}

int order_envelope_add_ssh(cJSON *envelope, const char *armour, Error *err)
{
    _cleanup_(freep) uint8_t *blob = NULL;
    size_t len = 0;
    SshSignature s;
    int r = ssh_signature_unarmour(armour, &blob, &len);

    if (r >= 0)
        r = ssh_signature_parse(blob, len, &s);
    if (r < 0)
        return r == -ENOMEM ? error_from_errno(err, r, "cannot sign an order")
                            : malformed(err, "ssh-keygen has printed something else than a signature");
    _cleanup_(freep) char *encoded = base64_encode(blob, len);
    cJSON *entry = encoded ? cJSON_CreateObject() : NULL;
    if (!entry || json_add_string(entry, "sshsig", encoded) < 0) {
        cJSON_Delete(entry);
        return error_from_errno(err, -ENOMEM, "cannot sign an order");
    }
    return add_entry(envelope, entry, err);
}

/* SPDX-License-Identifier: MIT */
/* No root document is taken that the keys before it and its own keys have not signed; documents of any shape are refused without
 * harm, and what can be read can be written, and is the same then. */
#include <stdint.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/order-envelope.h"
#include "lib/data/trust-root.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made anew in every run, so that no corpus can hold a signature of it. */
static const SignerKey *our_key(void)
{
    static SignerKey *key;

    if (!key && ed25519_make(&key, NULL) < 0)
        abort();
    return key;
}

static const OrderSigners *signers(void)
{
    static OrderSigners s = { .threshold = 1 };
    OrderSigner signer = {};
    uint8_t public[ED25519_SIZE];

    if (s.n > 0)
        return &s;
    if (ed25519_public(our_key(), public) < 0)
        abort();
    _cleanup_(freep) char *line = ssh_ed25519_line(public, NULL);
    if (!line || order_signer_parse(line, &signer, NULL) < 0 || order_signers_add(&s, &signer) < 0)
        abort();
    return &s;
}

static void check_envelope(const char *text, size_t len)
{
    _cleanup_(cJSON_Deletep) cJSON *envelope = NULL;
    _cleanup_(trust_root_done) TrustRoot root = {}, seen = {};
    _cleanup_(freep) char *who = NULL;

    if (json_parse(text, len, &envelope, NULL) < 0)
        return;
    if (trust_root_open(envelope, signers(), &root, &who, NULL) >= 0)
        abort();
    if (trust_root_peek(envelope, &seen, NULL, NULL) == 0 && (seen.version == 0 || seen.n_keys == 0))
        abort();
}

/* The statement, signed by the key that counts: only one that names that key alone could be taken. */
static void check_signed(const char *text, size_t len)
{
    _cleanup_(cJSON_Deletep) cJSON *envelope = order_envelope_new(text, len);
    _cleanup_(trust_root_done) TrustRoot root = {};

    if (!envelope || len > ORDER_STATEMENT_MAX ||
        order_envelope_sign(envelope, TRUST_ROOT_DOMAIN, text, len, our_key(), NULL) < 0)
        return;
    if (trust_root_open(envelope, signers(), &root, NULL, NULL) >= 0)
        abort();
}

static void check_statement(const char *text, size_t len)
{
    _cleanup_(trust_root_done) TrustRoot root = {}, again = {};
    const OrderView view = { .device = "casa", .now = 1, .clock_is_known = true };

    if (trust_root_read(text, len, &root, NULL) < 0)
        return;
    _cleanup_(freep) char *printed = trust_root_print(&root);
    if (printed && (trust_root_read(printed, strlen(printed), &again, NULL) < 0 || again.version != root.version ||
                    again.threshold != root.threshold || again.n_keys != root.n_keys || again.expires != root.expires))
        abort();
    if (trust_root_check(&root, &view, root.version, NULL) >= 0)
        abort();             /* none comes twice */
    check_signed(text, len); /* slow: only of what is a document */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = strndup((const char *) data, size);
    size_t len = text ? strlen(text) : 0;

    if (!text)
        return 0;
    check_envelope(text, len);
    check_statement(text, len);
    return 0;
}

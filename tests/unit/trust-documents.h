/* SPDX-License-Identifier: MIT */
/* Keys and signed root documents, for the tests of both sides. */
#pragma once

#include "tests/unit/agent-root.h"

#include "lib/data/key-ed25519.h"
#include "lib/data/order-envelope.h"
#include "lib/data/trust-root.h"

#define TRUST_NOON ((usec_t) 1764504000 * USEC_PER_SEC) /* 2025-11-30T12:00:00Z */

static inline SignerKey *trust_key(void)
{
    SignerKey *key = NULL;

    assert_int_equal(ed25519_make(&key, NULL), 0);
    return key;
}

static inline char *trust_line(const SignerKey *key, const char *name)
{
    uint8_t public[ED25519_SIZE];

    assert_int_equal(ed25519_public(key, public), 0);
    return ssh_ed25519_line(public, name);
}

static inline void trust_pin(OrderSigners *signers, const SignerKey *key, const char *name)
{
    _cleanup_(freep) char *line = trust_line(key, name);
    OrderSigner signer = {};

    assert_int_equal(order_signer_parse(line, &signer, NULL), 0);
    signer.name = strdup(name);
    assert_int_equal(order_signers_add(signers, &signer), 0);
}

typedef struct TrustNamed {
    const char *name;
    const SignerKey *key;
} TrustNamed;

/* The text of a document for this box (ORDER_ANY_BOX: all); `keys` ends with {}. */
static inline char *trust_text(uint64_t version, unsigned threshold, const char *device, const TrustNamed *keys)
{
    TrustRoot root = { .kind = strdup("root"), .version = version, .threshold = threshold };

    root.issued = TRUST_NOON;
    root.expires = TRUST_NOON + 30 * USEC_PER_DAY;
    assert_int_equal(strv_add(&root.devices, device), 0);
    for (; keys->name; keys++) {
        _cleanup_(freep) char *line = trust_line(keys->key, "comment");
        assert_int_equal(trust_root_add_key(&root, keys->name, line, NULL), 0);
    }
    char *text = trust_root_print(&root);
    assert_non_null(text);
    trust_root_done(&root);
    return text;
}

/* `keys` ends with NULL. */
static inline cJSON *trust_sign(const char *text, const SignerKey *const *keys)
{
    cJSON *envelope = order_envelope_new(text, strlen(text));

    assert_non_null(envelope);
    for (; *keys; keys++)
        assert_int_equal(order_envelope_sign(envelope, TRUST_ROOT_DOMAIN, text, strlen(text), *keys, NULL), 0);
    return envelope;
}

#define TRUST_KEYS(...) ((const TrustNamed[]) { __VA_ARGS__, {} })
#define TRUST_BY(...) ((const SignerKey *const[]) { __VA_ARGS__, NULL })

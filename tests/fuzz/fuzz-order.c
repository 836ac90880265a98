/* SPDX-License-Identifier: MIT */
/* No order is accepted that the signer of this run has not signed; envelopes, OpenSSH's signatures, signers' keys and statements of
 * any shape are refused without harm. */
#include <stdint.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/order-envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made anew in every run, so that no corpus can hold a signature of it. */
static const OrderSigners *signers(void)
{
    static OrderSigners s = { .threshold = 1 };
    OrderSigner signer = {};
    uint8_t public[ED25519_SIZE];
    SignerKey *key = NULL;

    if (s.n > 0)
        return &s;
    if (ed25519_make(&key, NULL) < 0 || ed25519_public(key, public) < 0)
        abort();
    _cleanup_(freep) char *line = ssh_ed25519_line(public, NULL);
    if (!line || order_signer_parse(line, &signer, NULL) < 0 || order_signers_add(&s, &signer) < 0)
        abort();
    ed25519_free(key);
    return &s;
}

static void check_envelope(const char *text, size_t len)
{
    _cleanup_(cJSON_Deletep) cJSON *envelope = NULL;
    _cleanup_(freep) char *statement = NULL, *who = NULL;
    size_t statement_len = 0;

    if (json_parse(text, len, &envelope, NULL) == 0 &&
        order_envelope_open(envelope, order_domain(ORDER_KIND_DEPLOYMENT), signers(), &statement, &statement_len, &who,
                            NULL) >= 0)
        abort();
}

/* What can be read can be written, and is the same then. */
static void check_statement(const char *text, size_t len)
{
    _cleanup_(order_statement_done) OrderStatement s = {}, again = {};

    if (order_statement_read(text, len, &s, NULL) < 0)
        return;
    _cleanup_(freep) char *printed = order_statement_print(&s);
    if (printed && (order_statement_read(printed, strlen(printed), &again, NULL) < 0 || again.serial != s.serial ||
                    again.expires != s.expires || strv_length(again.devices) != strv_length(s.devices)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = strndup((const char *) data, size);
    _cleanup_(freep) uint8_t *blob = NULL;
    OrderSigner signer = {};
    SshSignature signature;
    size_t len = 0;

    if (ssh_signature_parse(data, size, &signature) == 0 &&
        ssh_signature_verify(&signature, &signers()->list[0], order_domain(ORDER_KIND_DEPLOYMENT), "x", 1) == 0)
        abort();
    if (!text)
        return 0;
    check_envelope(text, strlen(text));
    check_statement(text, strlen(text));
    if (ssh_signature_unarmour(text, &blob, &len) == 0 && ssh_signature_parse(blob, len, &signature) == 0 &&
        signature.key.len > len)
        abort();
    if (order_signer_parse(text, &signer, NULL) == 0)
        order_signer_done(&signer);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* Signed orders: who counts as a signer, which signatures are good, and what an order has to say. */
#include "tests/unit/agent-root.h"

#include <errno.h>

#include "lib/base/encode.h"
#include "lib/data/digest.h"
#include "lib/data/order-envelope.h"

#define DOMAIN order_domain(ORDER_KIND_DEPLOYMENT)
#define NOON ((usec_t) 1764504000 * USEC_PER_SEC) /* 2025-11-30T12:00:00Z */
#define COMPOSE "services: {}\n"

/* made by ssh-keygen -Y sign -n secbox-order@deployment.v1, over SSH_TEXT */
#define SSH_TEXT "what is signed"
#define SSH_KEY "AAAAC3NzaC1lZDI1NTE5AAAAIGgvWevYCfDFfZKHcDwGat9zP6hrM/qxmz7D7xT8fx6a"
#define ARMOUR_512                                                                                                     \
    "-----BEGIN SSH SIGNATURE-----\n"                                                                                  \
    "U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgaC9Z69gJ8MV9kodwPAZq33M/qG\n"                                         \
    "sz+rGbPsPvFPx/HpoAAAAac2VjYm94LW9yZGVyQGRlcGxveW1lbnQudjEAAAAAAAAABnNo\n"                                         \
    "YTUxMgAAAFMAAAALc3NoLWVkMjU1MTkAAABAqY9BTPXFE0kHzkcliL2ZsepIXMFyd6cZNg\n"                                         \
    "8oHncjY9EvOVNiz7+YbMtPf7dCRcxBYlyMZ5yNfZ1ZsZ7v3asLDA==\n"                                                         \
    "-----END SSH SIGNATURE-----\n"
#define ARMOUR_256                                                                                                     \
    "-----BEGIN SSH SIGNATURE-----\n"                                                                                  \
    "U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgaC9Z69gJ8MV9kodwPAZq33M/qG\n"                                         \
    "sz+rGbPsPvFPx/HpoAAAAac2VjYm94LW9yZGVyQGRlcGxveW1lbnQudjEAAAAAAAAABnNo\n"                                         \
    "YTI1NgAAAFMAAAALc3NoLWVkMjU1MTkAAABAXxrg4KMwxyG+8Krxkxq6xAQD8Yp/tlprLL\n"                                         \
    "GM15W8KPj+KJ8sUUtHzZrlK3x2VLtvp6A0x22M8NSNF5WoeipNAA==\n"                                                         \
    "-----END SSH SIGNATURE-----\n"

static SignerKey *make_key(void)
{
    SignerKey *key = NULL;

    assert_int_equal(ed25519_make(&key, NULL), 0);
    return key;
}

static char *line_of(const SignerKey *key, const char *name)
{
    uint8_t public[ED25519_SIZE];

    assert_int_equal(ed25519_public(key, public), 0);
    return ssh_ed25519_line(public, name);
}

static void pin_line(OrderSigners *signers, const char *line, const char *name)
{
    OrderSigner signer = {};

    assert_int_equal(order_signer_parse(line, &signer, NULL), 0);
    signer.name = strdup(name);
    assert_int_equal(order_signers_add(signers, &signer), 0);
}

static void pin(OrderSigners *signers, const SignerKey *key, const char *name)
{
    _cleanup_(freep) char *line = line_of(key, name);

    pin_line(signers, line, name);
}

/* The error's id, or "" when it is accepted: then the names of the signers are in who. */
static char *open_envelope(const cJSON *envelope, const char *domain, const OrderSigners *signers, char **who)
{
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *text = NULL, *names = NULL;
    size_t len = 0;
    int r = order_envelope_open(envelope, domain, signers, &text, &len, &names, &err);

    if (who)
        *who = names ? strdup(names) : NULL;
    assert_true(r == 0 ? text && names && strlen(text) == len : !text && err.message);
    return strdup(r == 0 ? "" : error_id(&err));
}

static void assert_opens(const cJSON *envelope, const char *domain, const OrderSigners *signers, const char *expected)
{
    _cleanup_(freep) char *id = open_envelope(envelope, domain, signers, NULL);

    assert_string_equal(id, expected);
}

static cJSON *signed_by(const char *text, const SignerKey *const *keys)
{
    cJSON *envelope = order_envelope_new(text, strlen(text));

    assert_non_null(envelope);
    for (; *keys; keys++)
        assert_int_equal(order_envelope_sign(envelope, DOMAIN, text, strlen(text), *keys, NULL), 0);
    return envelope;
}

static void test_f25_who_has_to_sign(void **state)
{
    _cleanup_(ed25519_freep) SignerKey *ana = make_key(), *berta = make_key(), *stranger = make_key();
    _cleanup_(order_signers_done) OrderSigners signers = { .threshold = 1 };
    const struct {
        const SignerKey *keys[4];
        const char *of_one, *of_two;
    } cases[] = {
        { { NULL }, "order.unknown-signer", "order.unknown-signer" },
        { { ana, NULL }, "", "order.too-few" },
        { { ana, ana, NULL }, "", "order.too-few" },
        { { ana, stranger, NULL }, "", "order.too-few" },
        { { stranger, NULL }, "order.unknown-signer", "order.unknown-signer" },
        { { berta, ana, NULL }, "", "" },
        { { stranger, ana, berta, NULL }, "", "" },
    };

    (void) state;
    pin(&signers, ana, "ana");
    pin(&signers, berta, "berta");
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *envelope = signed_by("text", cases[i].keys);

        signers.threshold = 1;
        assert_opens(envelope, DOMAIN, &signers, cases[i].of_one);
        signers.threshold = 2;
        assert_opens(envelope, DOMAIN, &signers, cases[i].of_two);
        for (OrderKind kind = 0; kind < _ORDER_KIND_MAX; kind++)
            if (kind != ORDER_KIND_DEPLOYMENT) {
                _cleanup_(freep) char *id = open_envelope(envelope, order_domain(kind), &signers, NULL);
                assert_string_not_equal(id, "");
            }
    }
    _cleanup_(cJSON_Deletep) cJSON *both = signed_by("text", (const SignerKey *[]) { berta, ana, NULL });
    _cleanup_(freep) char *who = NULL, *id = open_envelope(both, DOMAIN, &signers, &who);
    assert_string_equal(id, "");
    assert_string_equal(who, "berta, ana");
}

/* Sets a member of Base64 to other bytes. */
static void set_bytes(cJSON *object, const char *key, const void *data, size_t len)
{
    _cleanup_(freep) char *text = base64_encode(data, len);

    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    assert_int_equal(json_add_string(object, key, text), 0);
}

static void flip_each_byte(cJSON *envelope, cJSON *object, const char *key, const OrderSigners *signers)
{
    _cleanup_(freep) uint8_t *bytes = NULL;
    const char *text = json_string(object, key);
    size_t len = 0;

    assert_int_equal(base64_decode(text, strlen(text), &bytes, &len), 0);
    assert_true(len > 0);
    for (size_t i = 0; i < len; i++)
        for (unsigned bit = 1; bit < 256; bit <<= 1) {
            bytes[i] ^= (uint8_t) bit;
            set_bytes(object, key, bytes, len);
            _cleanup_(freep) char *id = open_envelope(envelope, DOMAIN, signers, NULL);
            assert_string_not_equal(id, "");
            bytes[i] ^= (uint8_t) bit;
        }
    set_bytes(object, key, bytes, len - 1);
    _cleanup_(freep) char *id = open_envelope(envelope, DOMAIN, signers, NULL);
    assert_string_not_equal(id, "");
    set_bytes(object, key, bytes, len);
    assert_opens(envelope, DOMAIN, signers, "");
}

static cJSON *first_signature(cJSON *envelope)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(envelope, "signatures"), 0);
}

static void test_f25_no_bit_can_be_changed(void **state)
{
    _cleanup_(ed25519_freep) SignerKey *ana = make_key();
    _cleanup_(order_signers_done) OrderSigners signers = { .threshold = 1 };
    _cleanup_(cJSON_Deletep) cJSON *raw = signed_by("{\"kind\":\"deployment\"}", (const SignerKey *[]) { ana, NULL });

    (void) state;
    pin(&signers, ana, "ana");
    flip_each_byte(raw, raw, "statement", &signers);
    flip_each_byte(raw, first_signature(raw), "signature", &signers);

    static const char *const armours[] = { ARMOUR_512, ARMOUR_256 };
    _cleanup_(order_signers_done) OrderSigners others = { .threshold = 1 };
    pin_line(&others, "ssh-ed25519 " SSH_KEY " ana\n", "ana");
    for (size_t i = 0; i < ELEMENTSOF(armours); i++) {
        _cleanup_(cJSON_Deletep) cJSON *envelope = order_envelope_new(SSH_TEXT, strlen(SSH_TEXT));
        assert_int_equal(order_envelope_add_ssh(envelope, armours[i], NULL), 0);
        assert_opens(envelope, DOMAIN, &others, "");
        assert_opens(envelope, DOMAIN, &signers, "order.unknown-signer");
        assert_opens(envelope, order_domain(ORDER_KIND_ROLLBACK), &others, "order.bad-signature");
        flip_each_byte(envelope, envelope, "statement", &others);
        flip_each_byte(envelope, first_signature(envelope), "sshsig", &others);
    }
}

/* What a hardware key with this flag would make of the text; "application" is that of all of them. */
static cJSON *signed_by_hardware(const SignerKey *key, const char *text, uint8_t flags, char **ret_line)
{
    static const char type[] = "sk-ssh-ed25519@openssh.com", application[] = "ssh:";
    _cleanup_(buf_done) Buf blob = BUF_INIT(4096), inner = BUF_INIT(4096), device = BUF_INIT(4096),
                            wire = BUF_INIT(4096), signature = BUF_INIT(4096);
    uint8_t public[ED25519_SIZE], digest[SHA512_SIZE], a[SHA256_SIZE], m[SHA256_SIZE], s[ED25519_SIGNATURE_SIZE];
    const uint8_t more[] = { flags, 0, 0, 0, 7 };
    cJSON *envelope = order_envelope_new(text, strlen(text)), *entry = cJSON_CreateObject();

    assert_int_equal(ed25519_public(key, public), 0);
    assert_int_equal(ssh_put_text(&blob, type) | ssh_put_string(&blob, public, sizeof(public)) |
                         ssh_put_text(&blob, application),
                     0);
    _cleanup_(freep) char *encoded = base64_encode(blob.data, blob.len);
    *ret_line = str_format("%s %s", type, encoded);
    assert_int_equal(sha512(text, strlen(text), digest), 0);
    assert_int_equal(buf_puts(&inner, "SSHSIG") | ssh_put_text(&inner, DOMAIN) | ssh_put_text(&inner, "") |
                         ssh_put_text(&inner, "sha512") | ssh_put_string(&inner, digest, sizeof(digest)),
                     0);
    assert_int_equal(sha256(application, strlen(application), a) | sha256(inner.data, inner.len, m), 0);
    assert_int_equal(buf_append(&device, a, sizeof(a)) | buf_append(&device, more, sizeof(more)) |
                         buf_append(&device, m, sizeof(m)) | ed25519_sign(key, device.data, device.len, s),
                     0);
    assert_int_equal(ssh_put_text(&signature, type) | ssh_put_string(&signature, s, sizeof(s)) |
                         buf_append(&signature, more, sizeof(more)),
                     0);
    assert_int_equal(buf_puts(&wire, "SSHSIG") | ssh_put_u32(&wire, 1) | ssh_put_string(&wire, blob.data, blob.len) |
                         ssh_put_text(&wire, DOMAIN) | ssh_put_text(&wire, "") | ssh_put_text(&wire, "sha512") |
                         ssh_put_string(&wire, signature.data, signature.len),
                     0);
    set_bytes(entry, "sshsig", wire.data, wire.len);
    assert_int_equal(json_append(cJSON_GetObjectItemCaseSensitive(envelope, "signatures"), entry), 0);
    return envelope;
}

static void test_a_hardware_key_that_was_touched(void **state)
{
    _cleanup_(ed25519_freep) SignerKey *key = make_key();
    _cleanup_(order_signers_done) OrderSigners signers = { .threshold = 1 };
    _cleanup_(freep) char *line = NULL, *again = NULL;
    _cleanup_(cJSON_Deletep) cJSON *touched = signed_by_hardware(key, "text", 1, &line),
                                   *untouched = signed_by_hardware(key, "text", 0, &again);

    (void) state;
    pin_line(&signers, line, "ana");
    assert_opens(touched, DOMAIN, &signers, "");
    assert_opens(untouched, DOMAIN, &signers, "order.bad-signature");
    flip_each_byte(touched, first_signature(touched), "sshsig", &signers);

    /* the same key outside of its hardware is another signer */
    _cleanup_(order_signers_done) OrderSigners software = { .threshold = 1 };
    pin(&software, key, "ana");
    assert_opens(touched, DOMAIN, &software, "order.unknown-signer");
}

static void test_malformed_envelopes(void **state)
{
    static const char *const texts[] = {
        "[]",
        "{}",
        "{\"statement\":\"AAAA\"}",
        "{\"signatures\":[]}",
        "{\"statement\":7,\"signatures\":[]}",
        "{\"statement\":\"\",\"signatures\":[]}",
        "{\"statement\":\"A\",\"signatures\":[]}",
        "{\"statement\":\"AAAA\",\"signatures\":{}}",
        "{\"statement\":\"AAAA\",\"signatures\":[1]}",
        "{\"statement\":\"AAAA\",\"signatures\":[{}]}",
        "{\"statement\":\"AAAA\",\"signatures\":[{\"keyId\":\"x\",\"signature\":\"AAAA\"}]}",
        "{\"statement\":\"AAAA\",\"signatures\":[{\"sshsig\":\"AAAA\"}]}",
        "{\"statement\":\"AAAA\",\"signatures\":[{},{},{},{},{},{},{},{},{}]}",
    };
    _cleanup_(ed25519_freep) SignerKey *ana = make_key();
    _cleanup_(order_signers_done) OrderSigners signers = { .threshold = 1 };

    (void) state;
    pin(&signers, ana, "ana");
    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        _cleanup_(cJSON_Deletep) cJSON *envelope = json_of(texts[i]);
        assert_opens(envelope, DOMAIN, &signers, "order.malformed");
    }
}

#define HEAD "{\"kind\":\"deployment\",\"devices\":[\"caseta5\"],\"serial\":\"1764504000000001\","
#define TIMES "\"issuedAt\":\"2025-11-30T12:00:00.000Z\",\"expiresAt\":\"2025-12-01T12:00:00.000Z\""

static void test_statements(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        { HEAD TIMES "}", true },
        { HEAD TIMES ",\"reason\":\"r\",\"to\":\"7\",\"confirmDeadlineSeconds\":60}", true },
        { HEAD TIMES ",\"onlyOnSundays\":true}", false },
        { HEAD TIMES ",\"kind\":\"rollback\"}", false },
        { HEAD TIMES ",\"reason\":7}", false },
        { HEAD TIMES "} ", true },
        { HEAD TIMES "}x", false },
        { HEAD "\"issuedAt\":\"2025-11-30T12:00:00.000Z\"}", false },
        { HEAD "\"issuedAt\":\"2025-11-30T12:00:00.000Z\",\"expiresAt\":\"2025-11-30T12:00:00.000Z\"}", false },
        { HEAD "\"issuedAt\":\"2025-11-30T12:00:00.000Z\",\"expiresAt\":\"2026-12-30T12:00:00.000Z\"}", false },
        { HEAD "\"issuedAt\":\"2025-11-30T11:59:58.000Z\",\"expiresAt\":\"2025-12-01T12:00:00.000Z\"}", false },
        { "{\"kind\":\"deployment\",\"devices\":[],\"serial\":\"1\"," TIMES "}", false },
        { "{\"kind\":\"deployment\",\"devices\":\"caseta5\",\"serial\":\"1\"," TIMES "}", false },
        { "{\"devices\":[\"caseta5\"],\"serial\":\"1\"," TIMES "}", false },
        { "{\"kind\":\"deployment\",\"devices\":[\"caseta5\"]," TIMES "}", false },
        { "", false },
        { "[]", false },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(order_statement_done) OrderStatement s = {};
        _cleanup_(error_done) Error err = {};
        int r = order_statement_read(cases[i].text, strlen(cases[i].text), &s, &err);

        if (r != (cases[i].good ? 0 : -EBADMSG))
            fail_msg("%s: %d %s", cases[i].text, r, error_message(&err, r));
    }
}

static void test_a_statement_is_read_as_it_was_written(void **state)
{
    const char *devices[] = { "caseta5", "caseta6", NULL };
    const OrderStatement s = { .kind = (char *) (uintptr_t) "image-update",
                               .devices = (char **) (uintptr_t) devices,
                               .serial = NOON + 17,
                               .issued = NOON,
                               .expires = NOON + USEC_PER_DAY,
                               .image = (char *) (uintptr_t) "web",
                               .digest = (char *) (uintptr_t) "sha256:0",
                               .confirm_seconds = 60 };
    _cleanup_(order_statement_done) OrderStatement back = {};
    _cleanup_(freep) char *text = order_statement_print(&s), *again = NULL;

    (void) state;
    assert_int_equal(order_statement_read(text, strlen(text), &back, NULL), 0);
    again = order_statement_print(&back);
    assert_string_equal(text, again);
    assert_int_equal(back.serial, NOON + 17);
    assert_string_equal(back.devices[1], "caseta6");
    assert_null(back.reason);
}

static bool is_by_digest(OrderKind kind)
{
    return kind == ORDER_KIND_DEPLOYMENT || kind == ORDER_KIND_RELEASE;
}

static void test_f27_f28_f29_what_an_order_is_good_for(void **state)
{
    const OrderView here = { .device = "caseta5", .now = NOON + 60 * USEC_PER_SEC, .clock_is_known = true };
    const OrderView in_1970 = { .device = "caseta5", .now = 60 * USEC_PER_SEC },
                    ahead = { .device = "caseta5", .now = NOON + 900 * USEC_PER_DAY },
                    later = { .device = "caseta5", .now = 60 * USEC_PER_SEC, .last_issued = NOON + 2 * USEC_PER_DAY },
                    other = { .device = "caseta6", .now = NOON, .clock_is_known = true }, nobody = { .now = NOON },
                    late = { .device = "caseta5", .now = NOON + USEC_PER_DAY + 1, .clock_is_known = true },
                    early = { .device = "caseta5", .now = NOON - 2 * USEC_PER_HOUR, .clock_is_known = true };
    const char *one[] = { "caseta5", NULL }, *any[] = { "*", NULL };
    char sha256[SHA256_HEX_SIZE];
    const struct {
        OrderKind kind;
        const char *kind_name, *to, *message;
        const OrderView *view;
        const char **devices;
        const char *expected;
    } cases[] = {
        { ORDER_KIND_DEPLOYMENT, "deployment", NULL, "{\"compose\":\"services: {}\\n\"}", &here, one, NULL },
        { ORDER_KIND_DEPLOYMENT, "deployment", NULL, "{\"compose\":\"services: {}\\n\"}", &in_1970, one, NULL },
        { ORDER_KIND_DEPLOYMENT, "deployment", NULL, "{\"compose\":\"services: {}\\n\"}", &ahead, one, NULL },
        { ORDER_KIND_DEPLOYMENT, "deployment", NULL, "{\"compose\":\"services: {}\\n\"}", &other, any, NULL },
        { ORDER_KIND_DEPLOYMENT, "deployment", NULL, "{\"compose\":\"services: {}\\n\"}", &later, one,
          "order.expired" },
        { ORDER_KIND_DEPLOYMENT, "deployment", NULL, "{\"compose\":\"services: {}\\n\"}", &late, one, "order.expired" },
        { ORDER_KIND_DEPLOYMENT, "deployment", NULL, "{\"compose\":\"services: {}\\n\"}", &early, one,
          "order.not-yet" },
        { ORDER_KIND_DEPLOYMENT, "deployment", NULL, "{\"compose\":\"services: {}\\n\"}", &other, one,
          "order.other-box" },
        { ORDER_KIND_DEPLOYMENT, "deployment", NULL, "{\"compose\":\"services: {}\\n\"}", &nobody, one,
          "order.other-box" },
        { ORDER_KIND_DEPLOYMENT, "deployment", NULL, "{\"compose\":\"services: {} \\n\"}", &here, one,
          "order.other-content" },
        { ORDER_KIND_DEPLOYMENT, "deployment", NULL, "{}", &here, one, "order.other-content" },
        /* files that nobody has signed */
        { ORDER_KIND_DEPLOYMENT, "deployment", NULL,
          "{\"compose\":\"services: {}\\n\",\"bundle\":{\"digest\":\"sha256:"
          "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\"}}",
          &here, one, "order.other-content" },
        { ORDER_KIND_DEPLOYMENT, "rollback", NULL, "{\"compose\":\"services: {}\\n\"}", &here, one,
          "order.other-kind" },
        { ORDER_KIND_ROLLBACK, "rollback", NULL, "{}", &here, one, NULL },
        { ORDER_KIND_ROLLBACK, "rollback", "7", "{\"to\":\"7\"}", &here, one, NULL },
        { ORDER_KIND_ROLLBACK, "rollback", "7", "{\"to\":\"8\"}", &here, one, "order.other-content" },
        { ORDER_KIND_ROLLBACK, "rollback", "7", "{}", &here, one, "order.other-content" },
        { ORDER_KIND_ROLLBACK, "rollback", NULL, "{\"to\":\"8\"}", &here, one, "order.other-content" },
        { ORDER_KIND_AGENT_PACKAGE, "agent-package", "1.2.0", "{\"to\":\"1.2.0\"}", &here, one, NULL },
        { ORDER_KIND_AGENT_PACKAGE, "agent-package", "1.2.0", "{\"to\":\"1.1.0\"}", &here, one, "order.other-content" },
        { ORDER_KIND_IMAGE_UPDATE, "image-update", NULL, "{\"image\":\"web\"}", &here, one, "order.other-content" },
        /* the digest is that of COMPOSE */
        { ORDER_KIND_RELEASE, "release", NULL, "{\"sha256\":\"@\"}", &here, one, NULL },
        { ORDER_KIND_RELEASE, "release", NULL, "{\"sha256\":\"00\"}", &here, one, "order.other-content" },
        { ORDER_KIND_RELEASE, "release", NULL, "{}", &here, one, "order.other-content" },
        { ORDER_KIND_RELEASE, "deployment", NULL, "{\"sha256\":\"@\"}", &here, one, "order.other-kind" },
    };

    (void) state;
    assert_int_equal(sha256_hex(COMPOSE, strlen(COMPOSE), sha256), 0);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *message = json_of(cases[i].message);
        _cleanup_(error_done) Error err = {};
        OrderStatement s = { .kind = (char *) (uintptr_t) cases[i].kind_name,
                             .devices = (char **) (uintptr_t) cases[i].devices,
                             .serial = NOON,
                             .issued = NOON,
                             .expires = NOON + USEC_PER_DAY,
                             .sha256 = is_by_digest(cases[i].kind) ? sha256 : NULL,
                             .to = (char *) (uintptr_t) cases[i].to };

        if (str_equal(json_string(message, "sha256"), "@"))
            cJSON_ReplaceItemInObjectCaseSensitive(message, "sha256", cJSON_CreateString(sha256));
        int r = order_check(&s, cases[i].kind, message, cases[i].view, &err);

        if (!str_equal(err.id, cases[i].expected) || (r == 0) == !!cases[i].expected)
            fail_msg("case %zu: %d %s", i, r, error_message(&err, r));
    }
}

/* Nobody in between moves an order to another project of the box. */
static void test_the_project_that_was_signed(void **state)
{
    const OrderView here = { .device = "caseta5", .now = NOON + 60 * USEC_PER_SEC, .clock_is_known = true };
    const char *one[] = { "caseta5", NULL };
    const struct {
        const char *stated, *message;
        bool good;
    } cases[] = {
        { NULL, "{}", true },
        { "blog", "{\"project\":\"blog\"}", true },
        { "blog", "{}", false },
        { NULL, "{\"project\":\"blog\"}", false },
        { "blog", "{\"project\":\"shop\"}", false },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *message = json_of(cases[i].message);
        _cleanup_(error_done) Error err = {};
        const OrderStatement s = { .kind = (char *) (uintptr_t) "rollback",
                                   .devices = (char **) (uintptr_t) one,
                                   .serial = NOON,
                                   .issued = NOON,
                                   .expires = NOON + USEC_PER_DAY,
                                   .project = (char *) (uintptr_t) cases[i].stated };
        int r = order_check(&s, ORDER_KIND_ROLLBACK, message, &here, &err);

        if ((r == 0) != cases[i].good || !str_equal(err.id, cases[i].good ? NULL : "order.other-content"))
            fail_msg("case %zu: %d %s", i, r, error_message(&err, r));
    }
}

static void test_the_deadline_that_was_signed(void **state)
{
    const char *one[] = { "*", NULL };
    const OrderView here = { .device = "caseta5", .now = NOON, .clock_is_known = true };
    OrderStatement s = { .kind = (char *) (uintptr_t) "rollback",
                         .devices = (char **) (uintptr_t) one,
                         .serial = NOON,
                         .issued = NOON,
                         .expires = NOON + USEC_PER_DAY,
                         .confirm_seconds = 60 };
    _cleanup_(cJSON_Deletep) cJSON *same = json_of("{\"confirmDeadlineSeconds\":60}"),
                                   *longer = json_of("{\"confirmDeadlineSeconds\":61}"), *none = json_of("{}");

    (void) state;
    assert_int_equal(order_check(&s, ORDER_KIND_ROLLBACK, same, &here, NULL), 0);
    assert_int_equal(order_check(&s, ORDER_KIND_ROLLBACK, longer, &here, NULL), -EACCES);
    assert_int_equal(order_check(&s, ORDER_KIND_ROLLBACK, none, &here, NULL), -EACCES);
    s.confirm_seconds = 0;
    assert_int_equal(order_check(&s, ORDER_KIND_ROLLBACK, longer, &here, NULL), 0);
}

/* The id of what is wrong with the folder, or how many signers and of how many: "2 of 1". */
static char *load(void)
{
    _cleanup_(order_signers_done) OrderSigners signers = {};
    _cleanup_(error_done) Error err = {};
    int r = order_signers_load(&signers, &err);

    return r < 0 ? strdup(error_id(&err)) : str_format("%zu of %u", signers.n, signers.threshold);
}

static void assert_loads(const char *expected)
{
    _cleanup_(freep) char *got = load();

    assert_string_equal(got, expected);
}

static void test_the_folder_of_signers(void **state)
{
    _cleanup_(ed25519_freep) SignerKey *ana = make_key(), *berta = make_key();
    _cleanup_(freep) char *of_ana = line_of(ana, "a"), *of_berta = line_of(berta, NULL),
                          *folder = path_in_root(SIGNERS_DIR), *file = path_in_root(SIGNERS_DIR "/ana.pub");

    (void) state;
    assert_loads("0 of 0");
    assert_int_equal(dir_make(folder, 0755, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_loads("0 of 1");
    /* what has lain in trust/ since before is no signer */
    agent_root_write(ETC_DIR "/trust/support-ca.pub", of_ana);
    agent_root_write(SIGNERS_DIR "/README", "nothing of this kind");
    assert_loads("0 of 1");
    agent_root_write(SIGNERS_DIR "/ana.pub", of_ana);
    assert_loads("1 of 1");
    agent_root_write(SIGNERS_DIR "/threshold", "2\n");
    assert_loads("signer.bad-threshold");
    agent_root_write(SIGNERS_DIR "/berta.pub", of_berta);
    assert_loads("2 of 2");
    agent_root_write(SIGNERS_DIR "/threshold", "0\n");
    assert_loads("signer.bad-threshold");
    agent_root_write(SIGNERS_DIR "/threshold", NULL);
    agent_root_write(SIGNERS_DIR "/carla.pub", of_berta);
    assert_loads("signer.twice");
    agent_root_write(SIGNERS_DIR "/carla.pub", "ssh-rsa AAAA carla\n");
    assert_loads("signer.bad-key");
    agent_root_write(SIGNERS_DIR "/carla.pub", NULL);
    assert_int_equal(chmod(file, 0664), 0);
    assert_loads("signer.bad-mode");
    assert_int_equal(chmod(file, 0644), 0);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_loads("signer.bad-mode");
    assert_int_equal(chmod(folder, 0755), 0);
    assert_loads("2 of 1");
}

static void test_keys_are_kept_as_files(void **state)
{
    _cleanup_(ed25519_freep) SignerKey *key = make_key(), *back = NULL;
    _cleanup_(secret_freep) char *text = NULL;
    _cleanup_(freep) char *before = line_of(key, "a"), *after = NULL;

    (void) state;
    assert_int_equal(ed25519_print(key, false, &text, NULL), 0);
    assert_true(str_starts(text, "-----BEGIN PRIVATE KEY-----\n"));
    assert_int_equal(ed25519_parse(text, strlen(text), &back), 0);
    after = line_of(back, "a");
    assert_string_equal(before, after);
    text[40] ^= 1;
    _cleanup_(ed25519_freep) SignerKey *other = NULL;
    assert_int_equal(ed25519_parse(text, 20, &other), -EBADMSG);
}

static void test_bad_signers(void **state)
{
    static const char *const lines[] = {
        "",
        "ssh-ed25519",
        "ssh-ed25519 ",
        "ssh-ed25519 AAAA",
        "ssh-rsa " SSH_KEY,
        "sk-ssh-ed25519@openssh.com " SSH_KEY,
        "ssh-ed25519 " SSH_KEY "\nssh-ed25519 " SSH_KEY,
        " ssh-ed25519 " SSH_KEY,
        "ssh-ed25519 " SSH_KEY "A",
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
        OrderSigner signer = {};
        _cleanup_(error_done) Error err = {};
        assert_int_equal(order_signer_parse(lines[i], &signer, &err), -EBADMSG);
        assert_string_equal(err.id, "signer.bad-key");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f25_who_has_to_sign),
        cmocka_unit_test(test_f25_no_bit_can_be_changed),
        cmocka_unit_test(test_a_hardware_key_that_was_touched),
        cmocka_unit_test(test_malformed_envelopes),
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_a_statement_is_read_as_it_was_written),
        cmocka_unit_test(test_f27_f28_f29_what_an_order_is_good_for),
        cmocka_unit_test(test_the_project_that_was_signed),
        cmocka_unit_test(test_the_deadline_that_was_signed),
        cmocka_unit_test_setup_teardown(test_the_folder_of_signers, agent_root_make, agent_root_remove),
        cmocka_unit_test(test_keys_are_kept_as_files),
        cmocka_unit_test(test_bad_signers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

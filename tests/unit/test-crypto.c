/* SPDX-License-Identifier: MIT */
/* Digests, keys and tokens against published vectors, and every way of forging a token that is known to work
 * somewhere. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/jwt.h"

#define NOW 1800000000u

/* RFC 7515 appendix A.3 */
#define A3_JWK                                                                                                         \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                         \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define A3_INPUT                                                                                                       \
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"    \
    "cnVlfQ"
#define A3_SIGNATURE "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

/* RFC 9449 §4.2 and §6.1 */
#define DPOP_PROOF                                                                                                     \
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscE"   \
    "JoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"   \
    ".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwia"   \
    "WF0IjoxNTYyMjYyNjE2fQ"                                                                                            \
    ".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
#define DPOP_TIME 1562262616u
#define DPOP_THUMBPRINT "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

static Key *new_key(void)
{
    Key *k = NULL;

    assert_int_equal(key_generate(&k, NULL), 0);
    return k;
}

static void test_sha256(void **state)
{
    (void) state;
    char hex[SHA256_HEX_SIZE];

    /* FIPS 180-4 example and the empty message */
    assert_int_equal(sha256_hex("abc", 3, hex), 0);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(sha256_hex("", 0, hex), 0);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_secret_equal(void **state)
{
    (void) state;
    assert_true(secret_equal("abc", "abc"));
    assert_true(secret_equal("", ""));
    assert_false(secret_equal("abc", "abd"));
    assert_false(secret_equal("abc", "ab"));
    assert_false(secret_equal(NULL, ""));
    assert_false(secret_equal(NULL, NULL));
}

static void test_rfc7515_vector(void **state)
{
    (void) state;
    _cleanup_(key_freep) Key *k = NULL;
    _cleanup_(freep) uint8_t *signature = NULL;
    size_t len = 0;

    assert_int_equal(key_from_jwk(A3_JWK, strlen(A3_JWK), &k, NULL), 0);
    assert_int_equal(base64url_decode(A3_SIGNATURE, strlen(A3_SIGNATURE), &signature, &len), 0);
    assert_int_equal(key_verify(k, A3_INPUT, strlen(A3_INPUT), signature, len), 0);
    assert_int_equal(key_verify(k, A3_INPUT, strlen(A3_INPUT) - 1, signature, len), -EBADMSG);
    assert_int_equal(key_verify(k, A3_INPUT, strlen(A3_INPUT), signature, len - 1), -EBADMSG);
    for (size_t i = 0; i < len; i++) {
        signature[i] ^= 1;
        assert_int_equal(key_verify(k, A3_INPUT, strlen(A3_INPUT), signature, len), -EBADMSG);
        signature[i] ^= 1;
    }
    memset(signature, 0, len); /* "psychic signatures" */
    assert_int_equal(key_verify(k, A3_INPUT, strlen(A3_INPUT), signature, len), -EBADMSG);
    assert_int_equal(key_sign(k, "x", 1, signature), -EINVAL); /* a public key cannot sign */
}

static void test_sign_and_verify(void **state)
{
    (void) state;
    _cleanup_(key_freep) Key *k = new_key(), *other = new_key();
    uint8_t signature[KEY_SIGNATURE_SIZE];

    /* r or s starts with a zero byte in one of 128 signatures */
    for (unsigned i = 0; i < 600; i++) {
        assert_int_equal(key_sign(k, &i, sizeof(i), signature), 0);
        assert_int_equal(key_verify(k, &i, sizeof(i), signature, sizeof(signature)), 0);
    }
    assert_int_equal(key_verify(other, "x", 1, signature, sizeof(signature)), -EBADMSG);
}

static void test_jwk(void **state)
{
    (void) state;
    _cleanup_(key_freep) Key *k = new_key(), *copy = NULL;
    _cleanup_(freep) char *jwk = key_jwk(k), *print = key_thumbprint(k);

    assert_true(str_starts(jwk, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\""));
    assert_int_equal(key_from_jwk(jwk, strlen(jwk), &copy, NULL), 0);
    _cleanup_(freep) char *jwk_copy = key_jwk(copy), *print_copy = key_thumbprint(copy);
    assert_string_equal(jwk, jwk_copy);
    assert_string_equal(print, print_copy);
    assert_int_equal(strlen(print), 43);
}

static void test_jwk_refused(void **state)
{
    (void) state;
#define X "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\""
#define Y "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define EC "\"kty\":\"EC\",\"crv\":\"P-256\","
    static const char *const cases[] = {
        "",
        "[]",
        "{}",
        "{" X "," Y "}",
        "{\"kty\":\"RSA\",\"crv\":\"P-256\"," X "," Y "}",
        "{\"kty\":\"EC\",\"crv\":\"P-384\"," X "," Y "}",
        "{\"kty\":\"EC\",\"crv\":\"secp256k1\"," X "," Y "}",
        "{" EC X "}",
        "{" EC X "," Y "," Y "}",
        "{" EC X "," Y ",\"d\":\"AA\"}",
        "{" EC X ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a\"}",   /* 31 bytes */
        "{" EC X ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0=\"}", /* padding */
        "{" EC X ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\"}",  /* loose bits */
        "{" EC X ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5bA\"}",  /* not on the curve */
        "{" EC
        "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{" EC
        "\"x\":\"__________________________________________8\",\"y\":\"__________________________________________8\"}",
    };
#undef X
#undef Y
#undef EC
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Key *k = NULL;
        Error err = {};

        if (key_from_jwk(cases[i], strlen(cases[i]), &k, &err) >= 0)
            fail_msg("taken: %s", cases[i]);
        assert_string_equal(err.id, "key.bad");
        assert_null(k);
        error_done(&err);
    }
}

static void test_key_files(void **state)
{
    (void) state;
    char folder[] = "/tmp/test-crypto-XXXXXX";
    _cleanup_(key_freep) Key *made = NULL, *loaded = NULL, *none = NULL;
    Error err = {};
    struct stat st;

    assert_non_null(mkdtemp(folder));
    _cleanup_(freep) char *path = str_format("%s/key.pem", folder), *text = NULL;
    assert_int_equal(key_load(path, &none, &err), -ENOENT);
    error_done(&err);
    assert_int_equal(key_load_or_make(path, (uid_t) -1, (gid_t) -1, &made, &err), 0);
    assert_null(err.id);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(file_read(path, 8192, &text, NULL, &err), 0);
    assert_int_equal(strncmp(text, "-----BEGIN PRIVATE KEY-----\n", 28), 0);
    assert_int_equal(key_load_or_make(path, (uid_t) -1, (gid_t) -1, &loaded, &err), 0);
    _cleanup_(freep) char *a = key_thumbprint(made), *b = key_thumbprint(loaded);
    assert_string_equal(a, b);

    /* a damaged file is reported and never replaced: with it the box's identity would be gone */
    assert_int_equal(file_write_atomic(path, text, strlen(text) / 2, 0600, (uid_t) -1, (gid_t) -1, &err), 0);
    assert_true(key_load_or_make(path, (uid_t) -1, (gid_t) -1, &none, &err) < 0);
    assert_string_equal(err.id, "key.bad");
    assert_string_equal(err.file, path);
    error_done(&err);
    assert_int_equal(dir_remove(folder, &err), 0);
}

/* A key that somebody else may have read or changed is no proof of anything. */
static void test_key_files_that_others_may_touch(void **state)
{
    static const mode_t refused[] = { 0644, 0640, 0604, 0620, 0602, 0610, 0601 }, taken[] = { 0600, 0400 };
    char folder[] = "/tmp/test-crypto-XXXXXX";
    _cleanup_(key_freep) Key *made = NULL;

    (void) state;
    assert_non_null(mkdtemp(folder));
    _cleanup_(freep) char *path = str_format("%s/key.pem", folder);
    assert_int_equal(key_load_or_make(path, (uid_t) -1, (gid_t) -1, &made, NULL), 0);
    for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
        _cleanup_(error_done) Error err = {};
        Key *none = NULL;

        assert_int_equal(chmod(path, refused[i]), 0);
        assert_int_equal(key_load(path, &none, &err), -EPERM);
        assert_string_equal(err.id, "key.bad-mode");
        assert_string_equal(err.file, path);
        assert_non_null(strstr(err.message, "chmod 600"));
        assert_int_equal(key_load_or_make(path, (uid_t) -1, (gid_t) -1, &none, NULL), -EPERM);
        assert_null(none);
    }
    for (size_t i = 0; i < ELEMENTSOF(taken); i++) {
        _cleanup_(key_freep) Key *k = NULL;

        assert_int_equal(chmod(path, taken[i]), 0);
        assert_int_equal(key_load(path, &k, NULL), 0);
    }
    if (geteuid() == 0) {
        _cleanup_(key_freep) Key *k = NULL, *none = NULL;
        _cleanup_(error_done) Error err = {};

        assert_int_equal(chown(path, 65534, 65534), 0);
        assert_int_equal(key_load(path, &none, &err), -EPERM);
        assert_string_equal(err.id, "key.bad-mode");
        assert_int_equal(key_load_or_make(path, 65534, 65534, &k, NULL), 0);
    }
    assert_int_equal(dir_remove(folder, NULL), 0);
}

static void test_key_files_of_other_kinds(void **state)
{
    (void) state;
    /* nothing, Ed25519, an encrypted key (which must not ask for a pass phrase), a public key */
    static const char *const texts[] = {
        "",
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
        "-----END PRIVATE KEY-----\n",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIBvTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQI\n"
        "-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
        "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n-----END PUBLIC KEY-----\n",
    };
    char folder[] = "/tmp/test-crypto-XXXXXX";

    assert_non_null(mkdtemp(folder));
    _cleanup_(freep) char *path = str_format("%s/key.pem", folder);
    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        Key *k = NULL;
        Error err = {};

        assert_int_equal(file_write_atomic(path, texts[i], strlen(texts[i]), 0600, (uid_t) -1, (gid_t) -1, &err), 0);
        assert_true(key_load(path, &k, &err) < 0);
        assert_string_equal(err.id, "key.bad");
        error_done(&err);
    }
    assert_int_equal(dir_remove(folder, NULL), 0);
}

static const JwtExpect expected = {
    .type = JWT_TYPE_DEVICE,
    .issuer = "https://cloud",
    .audience = "mgmt",
    .now = NOW,
};

static char *device_token(const Key *k, uint64_t issued, uint64_t not_before, uint64_t expires)
{
    JwtClaims claims = {
        .issuer = (char *) "https://cloud",
        .audience = (char *) "mgmt",
        .subject = (char *) "caseta-5",
        .id = (char *) "t-1",
        .thumbprint = (char *) "thumb",
        .issued_at = issued,
        .not_before = not_before,
        .expires_at = expires,
    };
    char *token = NULL;

    assert_int_equal(jwt_sign_device(k, &claims, &token, NULL), 0);
    return token;
}

/* NULL when the token is accepted, else the error's id. */
static const char *verify(const Key *k, const char *token, const JwtExpect *expect)
{
    JwtClaims claims = {};
    Error err = {};
    int r = jwt_verify_device(k, token, expect, &claims, &err);
    const char *id = err.id;

    assert_int_equal(r < 0, id != NULL);
    assert_int_equal(r < 0, claims.subject == NULL);
    error_done(&err);
    jwt_claims_done(&claims);
    return id;
}

/* header and payload as given, with a right signature of k. */
static char *sign_raw(const Key *k, const char *header, const char *payload)
{
    _cleanup_(freep) char *h = base64url_encode(header, strlen(header));
    _cleanup_(freep) char *p = base64url_encode(payload, strlen(payload));
    _cleanup_(freep) char *input = str_format("%s.%s", h, p);
    uint8_t signature[KEY_SIGNATURE_SIZE];

    assert_int_equal(key_sign(k, input, strlen(input), signature), 0);
    _cleanup_(freep) char *s = base64url_encode(signature, sizeof(signature));
    return str_format("%s.%s", input, s);
}

#define HEADER "{\"typ\":\"device+jwt\",\"alg\":\"ES256\"}"
#define PAYLOAD_START                                                                                                  \
    "{\"iss\":\"https://cloud\",\"aud\":\"mgmt\",\"sub\":\"caseta-5\",\"jti\":\"t\",\"cnf\":{\"jkt\":\"x\"}"
#define PAYLOAD PAYLOAD_START ",\"iat\":1800000000,\"nbf\":1800000000,\"exp\":1800003600}"

static void test_device_token(void **state)
{
    (void) state;
    _cleanup_(key_freep) Key *k = new_key();
    _cleanup_(freep) char *token = device_token(k, NOW, NOW, NOW + 3600);
    JwtClaims claims = {}, peeked = {};
    JwtExpect loose = { .now = NOW };

    assert_int_equal(jwt_verify_device(k, token, &expected, &claims, NULL), 0);
    assert_string_equal(claims.issuer, "https://cloud");
    assert_string_equal(claims.audience, "mgmt");
    assert_string_equal(claims.subject, "caseta-5");
    assert_string_equal(claims.id, "t-1");
    assert_string_equal(claims.thumbprint, "thumb");
    assert_int_equal(claims.issued_at, NOW);
    assert_int_equal(claims.not_before, NOW);
    assert_int_equal(claims.expires_at, NOW + 3600);
    jwt_claims_done(&claims);
    assert_null(verify(k, token, &loose));
    assert_int_equal(jwt_peek(token, &peeked, NULL), 0);
    assert_int_equal(peeked.expires_at, NOW + 3600);
    assert_string_equal(peeked.subject, "caseta-5");
    jwt_claims_done(&peeked);

    /* a public key is enough to verify */
    _cleanup_(freep) char *jwk = key_jwk(k);
    _cleanup_(key_freep) Key *public = NULL;
    assert_int_equal(key_from_jwk(jwk, strlen(jwk), &public, NULL), 0);
    assert_null(verify(public, token, &expected));

    JwtClaims incomplete = { .issuer = (char *) "x" };
    char *none = NULL;
    assert_true(jwt_sign_device(k, &incomplete, &none, NULL) < 0);
    assert_null(none);
}

static void test_device_token_times(void **state)
{
    (void) state;
    static const struct {
        uint64_t issued, not_before, expires;
        const char *id, *id_when_expired_is_allowed;
    } cases[] = {
        { NOW - 9, NOW - 9, NOW + 1, NULL, NULL },
        { NOW - 9, NOW - 9, NOW - 59, NULL, NULL },
        { NOW - 99, NOW - 99, NOW - 60, "jwt.expired", NULL },
        { 1, 1, 2, "jwt.expired", NULL },
        { NOW, NOW + 60, NOW + 99, NULL, NULL },
        { NOW, NOW + 61, NOW + 99, "jwt.not-yet-valid", "jwt.not-yet-valid" },
        { NOW + 61, NOW, NOW + 99, "jwt.not-yet-valid", "jwt.not-yet-valid" },
        { NOW, NOW, (uint64_t) 1 << 53, NULL, NULL },
    };
    _cleanup_(key_freep) Key *k = new_key();

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *token = device_token(k, cases[i].issued, cases[i].not_before, cases[i].expires);
        JwtExpect refresh = expected;

        refresh.allow_expired = 1;
        if (!str_equal(verify(k, token, &expected), cases[i].id) ||
            !str_equal(verify(k, token, &refresh), cases[i].id_when_expired_is_allowed))
            fail_msg("case %zu: got %s, %s", i, verify(k, token, &expected), verify(k, token, &refresh));
    }
}

static void test_forged_headers_and_claims(void **state)
{
    (void) state;
    static const struct {
        const char *header, *payload, *id; /* id NULL: must be accepted */
    } cases[] = {
        { HEADER, PAYLOAD, NULL },
        { "{\"typ\":\"device+jwt\",\"alg\":\"ES256\",\"kid\":\"../../../dev/null\"}", PAYLOAD, NULL }, /* never used */
        { "{\"typ\":\"device+jwt\",\"alg\":\"none\"}", PAYLOAD, "jwt.algorithm" },
        { "{\"typ\":\"device+jwt\",\"alg\":\"NONE\"}", PAYLOAD, "jwt.algorithm" },
        { "{\"typ\":\"device+jwt\",\"alg\":\"HS256\"}", PAYLOAD, "jwt.algorithm" },
        { "{\"typ\":\"device+jwt\",\"alg\":\"ES384\"}", PAYLOAD, "jwt.algorithm" },
        { "{\"typ\":\"device+jwt\",\"alg\":\"es256\"}", PAYLOAD, "jwt.algorithm" },
        { "{\"typ\":\"device+jwt\",\"alg\":[\"ES256\"]}", PAYLOAD, "jwt.algorithm" },
        { "{\"typ\":\"device+jwt\"}", PAYLOAD, "jwt.algorithm" },
        { "{\"typ\":\"JWT\",\"alg\":\"ES256\"}", PAYLOAD, "jwt.type" },
        { "{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\"}", PAYLOAD, "jwt.type" },
        { "{\"alg\":\"ES256\"}", PAYLOAD, "jwt.type" },
        { "{\"typ\":\"device+jwt\",\"alg\":\"ES256\",\"crit\":[\"x\"]}", PAYLOAD, "jwt.header" },
        { "{\"typ\":\"device+jwt\",\"alg\":\"ES256\",\"jku\":\"https://evil\"}", PAYLOAD, "jwt.header" },
        { "{\"typ\":\"device+jwt\",\"alg\":\"ES256\",\"x5u\":\"https://evil\"}", PAYLOAD, "jwt.header" },
        { "{\"typ\":\"device+jwt\",\"alg\":\"ES256\",\"x5c\":[]}", PAYLOAD, "jwt.header" },
        { "{\"typ\":\"device+jwt\",\"alg\":\"ES256\",\"jwk\":" A3_JWK "}", PAYLOAD, "jwt.header" },
        { "{\"typ\":\"device+jwt\",\"alg\":\"ES256\",\"jwk\":null}", PAYLOAD, "jwt.header" },
        { "{\"typ\":\"device+jwt\",\"alg\":\"ES256\",\"alg\":\"none\"}", PAYLOAD, "jwt.malformed" },
        { "[]", PAYLOAD, "jwt.malformed" },
        { "", PAYLOAD, "jwt.malformed" },
        { HEADER, "", "jwt.malformed" },
        { HEADER, "[]", "jwt.malformed" },
        { HEADER, PAYLOAD " ", NULL },
        { HEADER, PAYLOAD "x", "jwt.malformed" },
        { HEADER, "{\"sub\":\"a\",\"sub\":\"caseta-5\"}", "jwt.malformed" },
        { HEADER, PAYLOAD_START ",\"iat\":1800000000,\"nbf\":1800000000}", "jwt.missing-claim" },
        { HEADER, PAYLOAD_START ",\"iat\":1800000000,\"exp\":1800003600}", "jwt.missing-claim" },
        { HEADER, PAYLOAD_START ",\"nbf\":1800000000,\"exp\":1800003600}", "jwt.missing-claim" },
        { HEADER, PAYLOAD_START ",\"iat\":1800000000,\"nbf\":1800000000,\"exp\":\"1800003600\"}", "jwt.malformed" },
        { HEADER, PAYLOAD_START ",\"iat\":1800000000,\"nbf\":1800000000,\"exp\":1800003600.5}", "jwt.malformed" },
        { HEADER, PAYLOAD_START ",\"iat\":1800000000,\"nbf\":1800000000,\"exp\":-1}", "jwt.malformed" },
        { HEADER, PAYLOAD_START ",\"iat\":1800000000,\"nbf\":1800000000,\"exp\":1e300}", "jwt.malformed" },
        { HEADER, PAYLOAD_START ",\"iat\":1800000000,\"nbf\":1800000000,\"exp\":9007199254740994}", "jwt.malformed" },
        { HEADER, PAYLOAD_START ",\"iat\":1800000000,\"nbf\":1800000000,\"exp\":null}", "jwt.malformed" },
        { HEADER, PAYLOAD_START ",\"iat\":1800000000,\"nbf\":1900000000,\"exp\":2000000000}", "jwt.not-yet-valid" },
        { HEADER,
          "{\"iss\":\"https://evil\",\"aud\":\"mgmt\",\"sub\":\"a\",\"jti\":\"t\",\"cnf\":{\"jkt\":\"x\"},"
          "\"iat\":1800000000,\"nbf\":1800000000,\"exp\":1800003600}",
          "jwt.issuer" },
        { HEADER,
          "{\"iss\":\"https://cloud\",\"aud\":\"device\",\"sub\":\"a\",\"jti\":\"t\",\"cnf\":{\"jkt\":\"x\"},"
          "\"iat\":1800000000,\"nbf\":1800000000,\"exp\":1800003600}",
          "jwt.audience" },
        { HEADER,
          "{\"iss\":\"https://cloud\",\"aud\":[\"mgmt\"],\"sub\":\"a\",\"jti\":\"t\",\"cnf\":{\"jkt\":\"x\"},"
          "\"iat\":1800000000,\"nbf\":1800000000,\"exp\":1800003600}",
          "jwt.missing-claim" },
        { HEADER,
          "{\"iss\":\"https://cloud\",\"aud\":\"mgmt\",\"jti\":\"t\",\"cnf\":{\"jkt\":\"x\"},"
          "\"iat\":1800000000,\"nbf\":1800000000,\"exp\":1800003600}",
          "jwt.missing-claim" },
        { HEADER,
          "{\"iss\":\"https://cloud\",\"aud\":\"mgmt\",\"sub\":\"a\",\"jti\":\"\",\"cnf\":{\"jkt\":\"x\"},"
          "\"iat\":1800000000,\"nbf\":1800000000,\"exp\":1800003600}",
          "jwt.missing-claim" },
        { HEADER,
          "{\"iss\":\"https://cloud\",\"aud\":\"mgmt\",\"sub\":\"a\",\"jti\":\"t\",\"cnf\":\"x\","
          "\"iat\":1800000000,\"nbf\":1800000000,\"exp\":1800003600}",
          "jwt.missing-claim" },
    };
    _cleanup_(key_freep) Key *k = new_key();

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *token = sign_raw(k, cases[i].header, cases[i].payload);
        const char *id = verify(k, token, &expected);

        if (!str_equal(id, cases[i].id))
            fail_msg("%s %s: got %s", cases[i].header, cases[i].payload, id);
    }
}

static void test_forged_text(void **state)
{
    (void) state;
    _cleanup_(key_freep) Key *k = new_key(), *other = new_key();
    _cleanup_(freep) char *token = device_token(k, NOW, NOW, NOW + 3600);
    _cleanup_(freep) char *theirs = device_token(other, NOW, NOW, NOW + 3600);
    size_t len = strlen(token), last_dot = (size_t) (strrchr(token, '.') - token);

    assert_string_equal(verify(k, theirs, &expected), "jwt.signature");
    /* cut anywhere */
    for (size_t i = 0; i < len; i++) {
        _cleanup_(freep) char *cut = strndup(token, i);

        assert_non_null(verify(k, cut, &expected));
    }
    /* any other character anywhere: the last one of a part holds loose bits that must be zero */
    for (size_t i = 0; i < len; i++) {
        _cleanup_(freep) char *changed = strdup(token);

        for (const char *c = "AQgwBCDx.=+/ "; *c; c++) {
            changed[i] = *c;
            if (*c != token[i] && !verify(k, changed, &expected))
                fail_msg("accepted with character %zu changed to '%c'", i, *c);
        }
    }
    for (const char *const *suffix = (const char *const[]) { "=", ".", " ", "\n", "A", ".x", NULL }; *suffix;
         suffix++) {
        _cleanup_(freep) char *longer = str_format("%s%s", token, *suffix);

        assert_string_equal(verify(k, longer, &expected), str_equal(*suffix, "A") ? "jwt.signature" : "jwt.malformed");
    }
    token[last_dot + 1] = '\0'; /* no signature at all */
    assert_string_equal(verify(k, token, &expected), "jwt.signature");
}

/* The oldest trick: HMAC with the public key as its secret. ES256 alone is accepted, so no text of it can pass. */
static void test_hs256_with_public_key(void **state)
{
    (void) state;
    _cleanup_(key_freep) Key *k = new_key();
    _cleanup_(freep) char *jwk = key_jwk(k);
    static const char *const headers[] = {
        "{\"typ\":\"device+jwt\",\"alg\":\"HS256\"}",
        "{\"typ\":\"device+jwt\",\"alg\":\"ES256\"}",
    };

    for (size_t i = 0; i < ELEMENTSOF(headers); i++) {
        _cleanup_(freep) char *h = base64url_encode(headers[i], strlen(headers[i]));
        _cleanup_(freep) char *p = base64url_encode(PAYLOAD, strlen(PAYLOAD));
        _cleanup_(freep) char *keyed = str_format("%s%s.%s", jwk, h, p);
        uint8_t digest[SHA256_SIZE];

        assert_int_equal(sha256(keyed, strlen(keyed), digest), 0);
        _cleanup_(freep) char *s = base64url_encode(digest, sizeof(digest));
        _cleanup_(freep) char *token = str_format("%s.%s.%s", h, p, s);
        assert_string_equal(verify(k, token, &expected), i == 0 ? "jwt.algorithm" : "jwt.signature");
    }
}

static void test_too_large(void **state)
{
    (void) state;
    _cleanup_(key_freep) Key *k = new_key();
    _cleanup_(freep) char *huge = malloc(1024 * 1024 + 1);
    _cleanup_(freep) char *id = malloc(4096);
    JwtClaims claims = {
        .issuer = (char *) "i",
        .audience = (char *) "a",
        .subject = (char *) "s",
        .id = id,
        .thumbprint = (char *) "t",
    };
    Error err = {};
    char *token = NULL;

    memset(huge, 'A', 1024 * 1024);
    huge[1024 * 1024] = '\0';
    assert_string_equal(verify(k, huge, &expected), "jwt.too-large");
    huge[100] = huge[200] = '.';
    assert_string_equal(verify(k, huge, &expected), "jwt.too-large");
    memset(id, 'x', 4095);
    id[4095] = '\0';
    assert_true(jwt_sign_device(k, &claims, &token, &err) < 0);
    assert_string_equal(err.id, "jwt.too-large");
    error_done(&err);
}

static void test_peek(void **state)
{
    (void) state;
    _cleanup_(key_freep) Key *k = new_key();
    _cleanup_(freep) char *bare = sign_raw(k, "{}", "{\"iat\":5,\"exp\":9}"), *none = sign_raw(k, "{}", "{\"iat\":5}");
    JwtClaims claims = {};

    assert_int_equal(jwt_peek(bare, &claims, NULL), 0);
    assert_int_equal(claims.issued_at, 5);
    assert_int_equal(claims.expires_at, 9);
    assert_null(claims.subject);
    jwt_claims_done(&claims);
    assert_true(jwt_peek(none, &claims, NULL) < 0);
    assert_true(jwt_peek("", &claims, NULL) < 0);
    assert_true(jwt_peek("..", &claims, NULL) < 0);
}

#define URI "https://cloud.example/api/device/refresh-jwt"

/* NULL when the proof is accepted, else the error's id. */
static const char *prove(const char *proof, const char *method, const char *uri, const char *token, uint64_t now)
{
    _cleanup_(key_freep) Key *key = NULL;
    _cleanup_(freep) char *jti = NULL;
    char hash[JWT_HASH_SIZE];
    Error err = {};
    assert_true(!token || jwt_hash(token, hash) >= 0);
    int r = jwt_verify_proof(proof, method, uri, token ? hash : NULL, now, &key, &jti, &err);
    const char *id = err.id;

    assert_int_equal(r < 0, id != NULL);
    assert_int_equal(r == 0, key && jti);
    error_done(&err);
    return id;
}

static void test_rfc9449_vector(void **state)
{
    (void) state;
    _cleanup_(key_freep) Key *key = NULL;
    _cleanup_(freep) char *jti = NULL;

    assert_int_equal(
        jwt_verify_proof(DPOP_PROOF, "POST", "https://server.example.com/token", NULL, DPOP_TIME, &key, &jti, NULL), 0);
    _cleanup_(freep) char *print = key_thumbprint(key);
    assert_string_equal(print, DPOP_THUMBPRINT);
    assert_string_equal(jti, "-BwC3ESc6acc2lTc");
    assert_null(prove(DPOP_PROOF, "POST", "/token", NULL, DPOP_TIME));
    assert_string_equal(prove(DPOP_PROOF, "POST", "/token", NULL, NOW), "proof.stale");
}

static void test_proof(void **state)
{
    (void) state;
    _cleanup_(key_freep) Key *k = new_key();
    _cleanup_(freep) char *proof = NULL, *bound = NULL, *query = NULL, *again = NULL;

    assert_int_equal(jwt_sign_proof(k, "POST", URI, NULL, NOW, &proof, NULL), 0);
    assert_int_equal(jwt_sign_proof(k, "POST", URI, NULL, NOW, &again, NULL), 0);
    assert_string_not_equal(proof, again);
    assert_int_equal(jwt_sign_proof(k, "POST", URI, "the.token.x", NOW, &bound, NULL), 0);
    assert_int_equal(jwt_sign_proof(k, "POST", URI "?a=/b#c", NULL, NOW, &query, NULL), 0);

    assert_null(prove(proof, "POST", URI, NULL, NOW));
    assert_null(prove(proof, "POST", "/api/device/refresh-jwt", NULL, NOW));
    assert_null(prove(query, "POST", "/api/device/refresh-jwt", NULL, NOW));
    assert_null(prove(query, "POST", URI, NULL, NOW));
    assert_null(prove(proof, "POST", URI, NULL, NOW + 300));
    assert_null(prove(proof, "POST", URI, NULL, NOW - 300));
    assert_null(prove(bound, "POST", URI, "the.token.x", NOW));
    assert_null(prove(bound, "POST", URI, NULL, NOW));

    assert_string_equal(prove(proof, "GET", URI, NULL, NOW), "proof.method");
    assert_string_equal(prove(proof, "POST", URI "/", NULL, NOW), "proof.uri");
    assert_string_equal(prove(proof, "POST", "/refresh-jwt", NULL, NOW), "proof.uri");
    assert_string_equal(prove(proof, "POST", "/", NULL, NOW), "proof.uri");
    assert_string_equal(prove(proof, "POST", "https://evil/api/device/refresh-jwt", NULL, NOW), "proof.uri");
    assert_string_equal(prove(proof, "POST", URI, NULL, NOW + 301), "proof.stale");
    assert_string_equal(prove(proof, "POST", URI, NULL, NOW - 301), "proof.stale");
    assert_string_equal(prove(proof, "POST", URI, "the.token.x", NOW), "proof.token");
    assert_string_equal(prove(bound, "POST", URI, "the.token.y", NOW), "proof.token");
}

static void test_forged_proof(void **state)
{
    (void) state;
    _cleanup_(key_freep) Key *k = new_key(), *other = new_key();
    _cleanup_(freep) char *own = key_jwk(k), *foreign = key_jwk(other);
    static const char payload[] = "{\"jti\":\"1\",\"htm\":\"POST\",\"htu\":\"" URI "\",\"iat\":1800000000}";
    const struct {
        const char *type_and_alg, *jwk, *payload, *id;
    } cases[] = {
        { "\"typ\":\"dpop+jwt\",\"alg\":\"ES256\"", own, payload, NULL },
        { "\"typ\":\"dpop+jwt\",\"alg\":\"ES256\"", foreign, payload, "jwt.signature" },
        { "\"typ\":\"dpop+jwt\",\"alg\":\"ES256\"", "{}", payload, "key.bad" },
        { "\"typ\":\"dpop+jwt\",\"alg\":\"ES256\"", "null", payload, "jwt.header" },
        { "\"typ\":\"dpop+jwt\",\"alg\":\"none\"", own, payload, "jwt.algorithm" },
        { "\"typ\":\"device+jwt\",\"alg\":\"ES256\"", own, payload, "jwt.type" },
        { "\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"crit\":[]", own, payload, "jwt.header" },
        { "\"typ\":\"dpop+jwt\",\"alg\":\"ES256\"", own, "{}", "proof.method" },
        { "\"typ\":\"dpop+jwt\",\"alg\":\"ES256\"", own, "{\"htm\":\"POST\",\"htu\":\"" URI "\",\"iat\":1800000000}",
          "jwt.missing-claim" },
        { "\"typ\":\"dpop+jwt\",\"alg\":\"ES256\"", own, "{\"htm\":\"POST\",\"htu\":\"" URI "\",\"jti\":\"1\"}",
          "jwt.missing-claim" },
        { "\"typ\":\"dpop+jwt\",\"alg\":\"ES256\"", own,
          "{\"jti\":\"1\",\"htm\":\"POST\",\"htu\":\"" URI "\",\"iat\":\"1800000000\"}", "jwt.malformed" },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *header = str_format("{%s,\"jwk\":%s}", cases[i].type_and_alg, cases[i].jwk);
        _cleanup_(freep) char *proof = sign_raw(k, header, cases[i].payload);
        const char *id = prove(proof, "POST", URI, NULL, NOW);

        if (!str_equal(id, cases[i].id))
            fail_msg("case %zu: got %s", i, id);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_secret_equal),
        cmocka_unit_test(test_rfc7515_vector),
        cmocka_unit_test(test_sign_and_verify),
        cmocka_unit_test(test_jwk),
        cmocka_unit_test(test_jwk_refused),
        cmocka_unit_test(test_key_files),
        cmocka_unit_test(test_key_files_that_others_may_touch),
        cmocka_unit_test(test_key_files_of_other_kinds),
        cmocka_unit_test(test_device_token),
        cmocka_unit_test(test_device_token_times),
        cmocka_unit_test(test_forged_headers_and_claims),
        cmocka_unit_test(test_forged_text),
        cmocka_unit_test(test_hs256_with_public_key),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_peek),
        cmocka_unit_test(test_rfc9449_vector),
        cmocka_unit_test(test_proof),
        cmocka_unit_test(test_forged_proof),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

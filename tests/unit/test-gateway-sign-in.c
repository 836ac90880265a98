/* SPDX-License-Identifier: MIT */
/* Tokens of an OpenID provider: whose signature counts, and whom they let in. The signed ones are
 * those of RFC 7515, A.2 and A.3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/sign-in/sign-in-rules.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/jwt-set.h"

#define NOW 1800000000ull

static const char rsa_n[] =
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR"
    "T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB"
    "dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia"
    "GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
static const char rs256[] =
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19"
    "yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt"
    "_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb"
    "1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI"
    "8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
static const char p256[] = "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                           "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\",\"use\":\"sig\"}";
static const char es256[] =
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19"
    "yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU"
    "1Q";

/* A set with both keys; what stands in `more` belongs to the RSA key. */
static cJSON *set_with(const char *more)
{
    _cleanup_(freep) char *text =
        str_format("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"AQAB\"%s},%s]}", rsa_n, more, p256);
    cJSON *set = cJSON_Parse(text);

    assert_non_null(set);
    return set;
}

static void assert_opened(const char *more, const char *token, const char *id)
{
    _cleanup_(cJSON_Deletep) cJSON *set = set_with(more), *claims = NULL;
    _cleanup_(error_done) Error err = {};
    int r = jwks_open(set, token, &claims, &err);

    if (!id) {
        assert_int_equal(r, 0);
        assert_string_equal(json_string(claims, "iss"), "joe");
        return;
    }
    assert_true(r < 0);
    assert_null(claims);
    assert_string_equal(error_id(&err), id);
}

static void test_signatures(void **state _unused_)
{
    assert_opened("", rs256, NULL);
    assert_opened("", es256, NULL);
    assert_opened(",\"use\":\"sig\",\"alg\":\"RS256\"", rs256, NULL);
    assert_opened(",\"use\":\"enc\"", rs256, "jwks.no-key");
    assert_opened(",\"alg\":\"PS256\"", rs256, "jwks.no-key");
    assert_opened("", "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UifQ.", "jwt.algorithm");
    assert_opened("", "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UifQ.AAAA", "jwt.algorithm");
    assert_opened("", "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJpc3MiOiJqb2UifQ.AAAA", "jwks.no-key");
    assert_opened("", "eyJhbGciOiJSUzI1NiIsImp3ayI6e319.eyJpc3MiOiJqb2UifQ.AAAA", "jwt.header");
    assert_opened("", "nonsense", "jwt.malformed");
    /* one bit */
    for (const char *const *token = (const char *const[]) { rs256, es256, NULL }; *token; token++) {
        _cleanup_(freep) char *bad = strdup(*token);
        char *payload = strchr(bad, '.') + 1;

        assert_non_null(bad);
        payload[4] = payload[4] == 'c' ? 'd' : 'c';
        assert_opened("", bad, "jwt.signature");
    }
}

/* (r, n - s) is as good a signature as (r, s): a token that was used is known again by what is signed. */
static void test_a_token_is_the_same_with_another_signature(void **state _unused_)
{
    static const char other[] =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmU69fgrc8OPGycO0lD3tat_FoFp57SETepkeks4eL_QfA";
    _cleanup_(freep) char *twin = str_format("%.*s%s", (int) (strrchr(es256, '.') + 1 - es256), es256, other);
    char proofs[3][SHA256_HEX_SIZE];

    assert_opened("", twin, NULL);
    assert_string_not_equal(twin, es256);
    assert_int_equal(sign_in_proof(es256, proofs[0]), 0);
    assert_int_equal(sign_in_proof(twin, proofs[1]), 0);
    assert_string_equal(proofs[0], proofs[1]);
    assert_int_equal(sign_in_proof(rs256, proofs[2]), 0);
    assert_string_not_equal(proofs[0], proofs[2]);
    assert_true(sign_in_proof("nonsense", proofs[2]) < 0);
}

/* Which of two keys of the same kind is meant has to be said. */
static void test_a_set_that_leaves_it_open(void **state _unused_)
{
    _cleanup_(freep) char *text = str_format("{\"keys\":[%s,%s]}", p256, p256);
    _cleanup_(cJSON_Deletep) cJSON *set = cJSON_Parse(text), *claims = NULL, *none = cJSON_Parse("{\"keys\":7}");
    _cleanup_(cJSON_Deletep) cJSON *small = cJSON_Parse(
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbj\",\"e\":\"AQAB\"}]}");

    assert_true(jwks_open(set, es256, &claims, NULL) < 0);
    assert_true(jwks_open(none, es256, &claims, NULL) < 0);
    assert_true(jwks_open(small, rs256, &claims, NULL) < 0);
    assert_null(claims);
}

static const char good[] =
    "{\"iss\":\"https://id.example\",\"aud\":\"secbox\",\"sub\":\"1\",\"nonce\":\"n\",\"iat\":1800000000,"
    "\"exp\":1800000600,\"email\":\"ana@example.com\",\"groups\":[\"noc\",\"all\"]}";

/* The claims above with others in their place. */
static int judge(const char *changes, const char *roles, char **ret_name, OperatorRole *ret_role, char **ret_id)
{
    SignInRules rules = { .issuer = strdup("https://id.example"),
                          .client_id = strdup("secbox"),
                          .claim = strdup("groups"),
                          .name_claim = strdup("email") };
    _cleanup_(cJSON_Deletep) cJSON *claims = cJSON_Parse(good), *change = cJSON_Parse(changes);
    _cleanup_(error_done) Error err = {};

    assert_non_null(change);
    for (const cJSON *c = change->child; c; c = c->next) {
        cJSON_DeleteItemFromObjectCaseSensitive(claims, c->string);
        if (!cJSON_IsNull(c))
            cJSON_AddItemToObject(claims, c->string, cJSON_Duplicate(c, true));
    }
    assert_int_equal(sign_in_rules_add_roles(&rules, roles, NULL), 0);
    int r = sign_in_judge(&rules, claims, "n", NOW, ret_name, ret_role, &err);
    *ret_id = strdup(r < 0 ? error_id(&err) : "");
    sign_in_rules_done(&rules);
    return r;
}

static void assert_judged(const char *changes, const char *roles, const char *id, OperatorRole role)
{
    _cleanup_(freep) char *name = NULL, *found = NULL;
    OperatorRole has = ROLE_VIEWER;
    int r = judge(changes, roles, &name, &has, &found);

    assert_string_equal(found, id);
    if (*id) {
        assert_true(r < 0 && !name);
        return;
    }
    assert_string_equal(name, "ana@example.com");
    assert_int_equal(has, role);
}

static void test_who_is_let_in(void **state _unused_)
{
    static const char *const refused[] = {
        "{\"iss\":\"https://id.example/\"}",
        "{\"iss\":null}",
        "{\"aud\":\"another\"}",
        "{\"aud\":[\"secbox\",\"another\"]}",
        "{\"azp\":\"another\"}",
        "{\"aud\":null}",
        "{\"nonce\":\"m\"}",
        "{\"nonce\":null}",
        "{\"sub\":null}",
        "{\"iat\":null}",
        "{\"exp\":null}",
        "{\"exp\":1799999900}",
        "{\"iat\":1799999000}",
        "{\"iat\":1800000100}",
        "{\"nbf\":1800000100}",
        "{\"email\":null}",
        "{\"email\":\"ana maria\"}",
        "{\"email_verified\":false}",
        "{\"email\":\"\"}",
        "{\"email_verified\":\"yes\"}",
    };

    assert_judged("{}", "operator=noc", "", ROLE_OPERATOR);
    /* the strongest, in whatever order */
    assert_judged("{}", "viewer=*,operator=all,admin=noc", "", ROLE_ADMIN);
    assert_judged("{\"groups\":\"noc\"}", "operator=noc", "", ROLE_OPERATOR);
    assert_judged("{\"groups\":null}", "viewer=*,admin=noc", "", ROLE_VIEWER);
    assert_judged("{\"aud\":[\"secbox\",\"another\"],\"azp\":\"secbox\",\"email_verified\":true}", "viewer=*", "",
                  ROLE_VIEWER);
    assert_judged("{\"groups\":[\"nocturnal\",7]}", "operator=noc", "sign-in.no-role", ROLE_VIEWER);
    for (size_t i = 0; i < ELEMENTSOF(refused); i++)
        assert_judged(refused[i], "viewer=*", "sign-in.refused", ROLE_VIEWER);
}

static void test_roles_that_are_none(void **state _unused_)
{
    static const char *const bad[] = { "", "admin", "root=a", "admin=", "admin=a,", "=a" };

    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        SignInRules rules = {};
        _cleanup_(error_done) Error err = {};

        assert_true(sign_in_rules_add_roles(&rules, bad[i], &err) < 0);
        assert_string_equal(error_id(&err), "config.oidc-roles");
        sign_in_rules_done(&rules);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_a_token_is_the_same_with_another_signature),
        cmocka_unit_test(test_a_set_that_leaves_it_open),
        cmocka_unit_test(test_who_is_let_in),
        cmocka_unit_test(test_roles_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

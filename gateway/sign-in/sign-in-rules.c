/* SPDX-License-Identifier: MIT */
#include "gateway/sign-in/sign-in-rules.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/operator-name.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/jwt.h"

void sign_in_rules_done(SignInRules *rules)
{
    free(rules->issuer);
    free(rules->client_id);
    free(rules->claim);
    free(rules->name_claim);
    for (size_t i = 0; i < rules->n_roles; i++)
        free(rules->roles[i].value);
    *rules = (SignInRules) {};
}

static int add_role(SignInRules *rules, const char *word, Error *err)
{
    const char *equals = strchr(word, '=');
    _cleanup_(freep) char *role = equals ? strndup(word, (size_t) (equals - word)) : NULL;
    SignInRole *r = &rules->roles[rules->n_roles];

    if (!role || !equals[1] || operator_role_parse(role, &r->role) < 0)
        return error_set(err, EINVAL, "config.oidc-roles",
                         "--oidc-roles takes ROLE=VALUE, several with commas between, and the roles " OPERATOR_ROLES
                         ", not \"%s\"",
                         word);
    if (rules->n_roles == SIGN_IN_ROLES_MAX)
        return error_set(err, E2BIG, "config.oidc-roles", "--oidc-roles takes at most %d roles", SIGN_IN_ROLES_MAX);
    r->value = strdup(equals + 1);
    if (!r->value)
        return -ENOMEM;
    rules->n_roles++;
    return 0;
}

int sign_in_rules_add_roles(SignInRules *rules, const char *text, Error *err)
{
    _cleanup_(freep) char *copy = strdup(text);
    int r = copy ? 0 : -ENOMEM;

    for (char *word = copy, *next; word && r >= 0; word = next) {
        next = strchr(word, ',');
        if (next)
            *next++ = '\0';
        r = add_role(rules, word, err);
    }
    return r;
}

int sign_in_proof(const char *id_token, char ret[static SHA256_HEX_SIZE])
{
    const char *signature = strrchr(id_token, '.');

    return signature ? sha256_hex(id_token, (size_t) (signature - id_token), ret) : -EBADMSG;
}

static bool is_audience(const cJSON *claims, const char *client_id)
{
    const cJSON *aud = cJSON_GetObjectItemCaseSensitive(claims, "aud"), *one;
    const char *azp = json_string(claims, "azp");

    if (azp && !str_equal(azp, client_id))
        return false;
    if (cJSON_IsString(aud))
        return str_equal(aud->valuestring, client_id);
    /* several: then it has to say for whom it was made (§2) */
    cJSON_ArrayForEach(one, aud)
        if (cJSON_IsString(one) && str_equal(one->valuestring, client_id))
            return azp || cJSON_GetArraySize(aud) == 1;
    return false;
}

static int check_times(const cJSON *claims, uint64_t now, Error *err)
{
    uint64_t iat = 0, exp = 0, nbf = 0;

    if (!jwt_seconds(claims, "iat", &iat) || !jwt_seconds(claims, "exp", &exp))
        return error_set(err, EACCES, "sign-in.refused", "the provider's token does not say when it was made and ends");
    if (jwt_seconds(claims, "nbf", &nbf) && nbf > now + JWT_LEEWAY_SECONDS)
        return error_set(err, EACCES, "sign-in.refused", "the provider's token is not valid yet: check both clocks");
    if (iat > now + JWT_LEEWAY_SECONDS)
        return error_set(err, EACCES, "sign-in.refused",
                         "the provider's token comes from the future: check both clocks");
    if (exp + JWT_LEEWAY_SECONDS <= now || iat + SIGN_IN_AGE_MAX < now)
        return error_set(err, EACCES, "sign-in.refused", "the provider's token is over: sign in again");
    return 0;
}

static int check(const SignInRules *rules, const cJSON *claims, const char *nonce, uint64_t now, Error *err)
{
    if (!str_equal(json_string(claims, "iss"), rules->issuer))
        return error_set(err, EACCES, "sign-in.refused", "the token is not from %s", rules->issuer);
    if (!is_audience(claims, rules->client_id))
        return error_set(err, EACCES, "sign-in.refused", "the token is not for the client %s", rules->client_id);
    if (str_empty(nonce) || !str_equal(json_string(claims, "nonce"), nonce))
        return error_set(err, EACCES, "sign-in.refused", "the token is not of this sign-in");
    if (str_empty(json_string(claims, "sub")))
        return error_set(err, EACCES, "sign-in.refused", "the token does not say whom it is of");
    return check_times(claims, now, err);
}

static bool has_value(const cJSON *claim, const char *value)
{
    const cJSON *one;

    if (str_equal(value, "*"))
        return true;
    if (cJSON_IsString(claim))
        return str_equal(claim->valuestring, value);
    cJSON_ArrayForEach(one, claim)
        if (cJSON_IsString(one) && str_equal(one->valuestring, value))
            return true;
    return false;
}

/* An address that nobody has verified is what somebody says of herself. */
static int read_name(const SignInRules *rules, const cJSON *claims, char **ret, Error *err)
{
    const char *name = json_string(claims, rules->name_claim);
    const cJSON *verified = cJSON_GetObjectItemCaseSensitive(claims, "email_verified");

    if (str_equal(rules->name_claim, "email") && verified && !cJSON_IsTrue(verified))
        return error_set(err, EACCES, "sign-in.refused", "the provider has not verified the address %s",
                         name ? name : "-");
    if (!name || !operator_name_is_valid(name))
        return error_set(
            err, EACCES, "sign-in.refused",
            "the token's claim %s is no name that an operator may have (%s): have the provider send it, or choose "
            "another with --oidc-name",
            rules->name_claim, name ? name : "it is missing");
    *ret = strdup(name);
    return *ret ? 0 : -ENOMEM;
}

int sign_in_judge(const SignInRules *rules, const cJSON *claims, const char *nonce, uint64_t now, char **ret_name,
                  OperatorRole *ret_role, Error *err)
{
    const cJSON *claim = cJSON_GetObjectItemCaseSensitive(claims, rules->claim);
    _cleanup_(freep) char *name = NULL;
    bool found = false;
    int r = check(rules, claims, nonce, now, err);

    if (r >= 0)
        r = read_name(rules, claims, &name, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < rules->n_roles; i++)
        if (has_value(claim, rules->roles[i].value) && (!found || rules->roles[i].role < *ret_role)) {
            *ret_role = rules->roles[i].role;
            found = true;
        }
    if (!found)
        return error_set(
            err, EPERM, "sign-in.no-role",
            "%s has no role here: the claim %s of the provider's token holds none of the values of --oidc-roles", name,
            rules->claim);
    *ret_name = TAKE_PTR(name);
    return 0;
}

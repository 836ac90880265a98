/* SPDX-License-Identifier: MIT */
/* What the env parser accepts it prints as the same keys and values; rules and derivation take whatever was parsed. */
#include <stdint.h>
#include <string.h>

#include "env/dotenv.h"
#include "env/env-rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void derive(const EnvFile *e)
{
    _cleanup_(env_freep) EnvFile *derived = NULL;

    if (env_derive_secbox(e, &derived, NULL) == 0 && env_validate(derived, ENV_SECBOX, NULL, NULL) < 0)
        abort();
}

/* What docker compose's dialect accepts it prints so that it is read back alike. */
static void check_dotenv(const char *data, size_t size)
{
    _cleanup_(env_freep) EnvFile *e = NULL, *again = NULL;
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *text = NULL;

    if (dotenv_parse(data, size, "fuzz", &e, &err) < 0) {
        if (!err.id || e)
            abort();
        return;
    }
    text = dotenv_print(e);
    if (!text || dotenv_parse(text, strlen(text), NULL, &again, NULL) < 0 || env_size(e) != env_size(again))
        abort();
    for (size_t i = 0; i < env_size(e); i++)
        if (strcmp(env_value_at(e, i), env_value_at(again, i)) != 0)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_dotenv((const char *) data, size);

    _cleanup_(env_freep) EnvFile *e = NULL, *again = NULL;
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *text = NULL;

    if (env_parse((const char *) data, size, "fuzz", &e, &err) < 0) {
        if (!err.id || e)
            abort();
        return 0;
    }
    text = env_print(e);
    if (!text || env_parse(text, strlen(text), NULL, &again, NULL) < 0 || env_size(e) != env_size(again))
        abort();
    for (size_t i = 0; i < env_size(e); i++)
        if (strcmp(env_key_at(e, i), env_key_at(again, i)) != 0 ||
            strcmp(env_value_at(e, i), env_value_at(again, i)) != 0)
            abort();
    if (env_validate(e, ENV_SECBOX, NULL, &err) < 0 && !err.id)
        abort();
    derive(e);
    return 0;
}

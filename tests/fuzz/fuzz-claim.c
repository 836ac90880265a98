/* SPDX-License-Identifier: MIT */
/* A claim of any shape is refused without harm, or what it becomes is a mgmt-agent.env of exactly four lines that holds nothing
 * else. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "env/claim-document.h"
#include "env/env-edit.h"
#include "env/env-rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(claim_document_done) ClaimDocument c = {};
    char *text = malloc(size + 1);

    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (claim_document_parse(text, size, 1790000000, "cloud.example", &c, NULL) >= 0) {
        const EnvChange changes[] = { { "CLOUD_BASE_URL", c.cloud_url },
                                      { "DEVICE_ID", c.device_id },
                                      { "BOOTSTRAP", c.bootstrap },
                                      { "MGMT_GATEWAY_URL", c.gateway_url },
                                      {} };
        char *made = env_edit("", changes);
        EnvFile *env = NULL;

        if (made && (env_parse(made, strlen(made), NULL, &env, NULL) < 0 || env_size(env) != 4 ||
                     env_validate(env, ENV_AGENT, NULL, NULL) < 0))
            abort();
        env_free(env);
        free(made);
    }
    free(text);
    return 0;
}

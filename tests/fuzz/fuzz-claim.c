/* SPDX-License-Identifier: MIT */
/* A claim of any shape is refused without harm, or what it becomes is a mgmt-agent.env of exactly as many lines as it has members
 * for, that holds nothing else. */
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
        /* what the box makes for itself when it comes by a token for many */
        const EnvChange changes[] = { { "CLOUD_BASE_URL", c.cloud_url },
                                      { "DEVICE_ID", c.device_id ? c.device_id : "box-1" },
                                      { "BOOTSTRAP", c.bootstrap ? c.bootstrap : "sbb_own" },
                                      { "MGMT_GATEWAY_URL", c.gateway_url },
                                      { "ENROLMENT", c.enrolment },
                                      { "CLOUD_FINGERPRINT", c.fingerprint },
                                      {} };
        size_t lines = 4 + (c.enrolment ? 1 : 0) + (c.fingerprint ? 1 : 0);
        char *made = env_edit("", changes);
        EnvFile *env = NULL;

        if (made && (env_parse(made, strlen(made), NULL, &env, NULL) < 0 || env_size(env) != lines ||
                     env_validate(env, ENV_AGENT, NULL, NULL) < 0))
            abort();
        env_free(env);
        free(made);
    }
    free(text);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* How keys are judged: columns of compose/service-keys.c. */
#pragma once

#include "compose/model/service-key.h"
#include "compose/policy/policy-internal.h"
#include "lib/base/error-list.h"

struct PolicyCheck {
    const ComposePolicy *policy;
    const char *file;
    const char *service; /* NULL for top-level definitions */
    unsigned line;
    Error *err;
    ErrorList *all;  /* NULL: the first finding ends the check */
    cJSON *allowing; /* with `all`: the policy.json that would allow what is found */
};

int policy_check_deploy(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_env_file(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_image(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_items(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_labels(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_logging(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_tmpfs(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_true(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_volumes(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_word(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;

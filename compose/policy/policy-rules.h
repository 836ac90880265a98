/* SPDX-License-Identifier: MIT */
/* How keys are judged: columns of compose/service-keys.c. */
#pragma once

#include "compose/model/service-key.h"
#include "compose/policy/policy-internal.h"
#include "lib/base/error-list.h"

/* Where findings go when all of them are asked for. */
typedef struct PolicyFindings {
    ErrorList *allowable;
    ErrorList *never;
    cJSON *allowing;  /* the policy.json that would lift those of `allowable` */
    bool entry_noted; /* of the finding that has not been passed on yet */
} PolicyFindings;

struct PolicyCheck {
    const ComposePolicy *policy;
    const char *file;
    const char *service; /* NULL for top-level definitions */
    unsigned line;
    Error *err;
    PolicyFindings *all; /* NULL: the first finding ends the check */
};

/* One item of a list or map, by its name up to the row's `cut`. */
int policy_check_item(const PolicyCheck *c, const ComposeKey *rule, const char *text) _must_check_;
int policy_check_devices(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_gpus(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_deploy(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_env_file(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_image(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_items(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_labels(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_logging(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_shared(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_tmpfs(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_true(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_volumes(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;
int policy_check_word(const PolicyCheck *c, const ComposeKey *rule, const cJSON *value) _must_check_;

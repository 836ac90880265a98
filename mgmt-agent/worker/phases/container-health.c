/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/container-health.h"

#include "lib/base/strv.h"

void container_health_done(ContainerHealth *h)
{
    cJSON_Delete(h->argv);
    *h = (ContainerHealth) {};
}

static int64_t number_member(const cJSON *o, const char *key)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, key);

    return cJSON_IsNumber(n) ? (int64_t) n->valuedouble : 0;
}

static usec_t usec_member(const cJSON *o, const char *key)
{
    uint64_t value;

    return json_u64(o, key, &value) == 0 ? value : 0;
}

/* ["CMD", "a", "b"] → a b; ["CMD-SHELL", "text"] → /bin/sh -c text. NULL when there is nothing to run. */
static cJSON *test_to_argv(const cJSON *test)
{
    const char *kind = cJSON_GetStringValue(cJSON_GetArrayItem(test, 0));
    cJSON *argv = NULL;

    if (str_equal(kind, "CMD")) {
        argv = cJSON_Duplicate(test, 1);
        cJSON_DeleteItemFromArray(argv, 0);
    } else if (str_equal(kind, "CMD-SHELL")) {
        argv = cJSON_CreateStringArray(
            (const char *[]) { "/bin/sh", "-c", cJSON_GetStringValue(cJSON_GetArrayItem(test, 1)) }, 3);
    }
    return argv;
}

/* The compose file's check is run by us, word for word: podman-compose can only hand it over as a line for a shell, which an
 * image need not have. Else the image's own, as podman inspects it (in nanoseconds). */
ContainerHealth container_health(const ComposeService *s, const cJSON *info)
{
    const cJSON *config =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(info, "Config"), "Healthcheck");
    const char *first = cJSON_GetStringValue(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(config, "Test"), 0));
    ContainerHealth h = { .exists = first && !str_equal(first, "NONE"),
                          .rules = { .interval = (usec_t) number_member(config, "Interval") / 1000,
                                     .timeout = (usec_t) number_member(config, "Timeout") / 1000,
                                     .start_period = (usec_t) number_member(config, "StartPeriod") / 1000,
                                     .retries = number_member(config, "Retries") } };

    if (cJSON_HasObjectItem(s->healthcheck, "test") || json_bool(s->healthcheck, "disable", false)) {
        h.argv = test_to_argv(cJSON_GetObjectItemCaseSensitive(s->healthcheck, "test"));
        h.exists = h.argv != NULL;
        h.rules.interval = usec_member(s->healthcheck, "interval_usec");
        h.rules.timeout = usec_member(s->healthcheck, "timeout_usec");
        h.rules.start_period = usec_member(s->healthcheck, "start_period_usec");
        h.rules.retries = number_member(s->healthcheck, "retries");
        h.start_interval = usec_member(s->healthcheck, "start_interval_usec");
    }
    if (h.rules.retries <= 0)
        h.rules.retries = 3;
    if (h.rules.interval == 0)
        h.rules.interval = 30 * USEC_PER_SEC;
    if (h.rules.timeout == 0)
        h.rules.timeout = 30 * USEC_PER_SEC;
    return h;
}

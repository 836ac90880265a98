/* SPDX-License-Identifier: MIT */
/* What recovery-agent reads by itself: configuration, budget, heartbeat, the first words of a listener. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/net/listener.h"
#include "recovery-agent/deployed.h"
#include "recovery-agent/recovery-config.h"
#include "recovery-agent/heartbeat-reader.h"
#include "recovery-agent/ladder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

/* What is accepted prints as a text that reads back as the same. */
static void fuzz_config(const char *text, size_t size)
{
    Config c, again;
    check(settings_init(settings, &c) == 0 && settings_init(settings, &again) == 0);
    if (settings_parse(settings, &c, text, size, "fuzz", NULL) == 0) {
        _cleanup_(secret_freep) char *printed = settings_print(settings, &c);
        check(printed && settings_parse(settings, &again, printed, strlen(printed), "again", NULL) == 0);
        _cleanup_(secret_freep) char *twice = settings_print(settings, &again);
        check(twice && strcmp(printed, twice) == 0);
        check(config_check(&c, NULL) < 0 || (c.device_id && c.gateway_url));
    }
    config_done(&c);
    config_done(&again);
}

static void fuzz_budget(const char *text, size_t size)
{
    _cleanup_(cJSON_Deletep) cJSON *value = NULL;
    Budget b = {};
    if (json_parse(text, size, &value, NULL) < 0 || budget_from_json(value, &b) < 0)
        return;
    const LadderTime now = { .boottime = USEC_PER_HOUR, .boot_id = "boot", .wall = 1767225600 };
    check(b.n <= BUDGET_ENTRIES_MAX);
    for (LadderStep step = STEP_RESTART; step < _STEPS; step++)
        check(budget_left(&b, step, &now) <= 1);
    budget_spend(&b, STEP_REBOOT, &now);
    check(budget_left(&b, STEP_REBOOT, &now) == 0);
    _cleanup_(cJSON_Deletep) cJSON *printed = budget_to_json(&b);
    check(printed && budget_from_json(printed, &b) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = size > 0 ? strndup((const char *) data + 1, size - 1) : NULL;
    if (!text)
        return 0;
    switch (data[0] % 8) {
    case 0:
        fuzz_config((const char *) data + 1, size - 1);
        break;
    case 1:
        fuzz_budget((const char *) data + 1, size - 1);
        break;
    case 2:
        check(heartbeat_judge(text, USEC_PER_HOUR, USEC_PER_SEC) != CHECK_UNKNOWN);
        break;
    case 4:
        (void) deployed_judge(text, "secbox");
        break;
    default:
        for (ListenerKind kind = LISTENER_TCP; kind <= LISTENER_HTTP; kind++)
            (void) listener_judge(kind, text, strlen(text));
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "secbox/health/data-faults.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"

/* what authorities that renew every 90 days, or every 47, leave for it */
#define CERTIFICATE_DAYS 14

static const cJSON *find(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

static double number(const cJSON *o, const char *key)
{
    const cJSON *item = find(o, key);

    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* Takes the text. */
static int add(cJSON *faults, const char *key, char *text)
{
    _cleanup_(freep) char *owned = text;

    return owned ? json_add_string(faults, key, owned) : -ENOMEM;
}

/* A database that has not answered yet is none. */
static int judge_database(cJSON *faults, const cJSON *database)
{
    const char *state = json_string(database, "state"), *help = json_string(database, "help");
    _cleanup_(freep) char *key = state ? str_format("database.%s", state) : NULL;

    if (!state || str_equal(state, "up") || str_equal(state, "connecting") || str_equal(state, "none"))
        return 0;
    return key ? add(faults, key, str_format("the database is %s", help ? help : state)) : -ENOMEM;
}

static int judge_data(cJSON *faults, const cJSON *replica, uint64_t old_seconds)
{
    double age = number(replica, "ageSeconds"), unconfirmed = number(replica, "unconfirmedBans");
    int r = 0;

    if (age >= (double) old_seconds)
        r = add(faults, "data.old", str_format("the community's data are %.0f hours old", age / 3600));
    if (r == 0 && unconfirmed > 0)
        r = add(
            faults, "bans.unconfirmed",
            str_format("%.0f bans went away without having been lifted, and hold until somebody agrees", unconfirmed));
    return r;
}

static int judge_queue(cJSON *faults, const cJSON *queue)
{
    double dead = number(queue, "dead");

    return dead > 0 ? add(faults, "queue.dead", str_format("the gateway has refused %.0f events", dead)) : 0;
}

static int judge_lan(cJSON *faults, const cJSON *lan)
{
    const cJSON *days = find(lan, "certificateDays");
    int r = json_bool(lan, "serving", true) ? 0 : add(faults, "lan.down", strdup("the guards' pages are not served"));

    if (r < 0 || !cJSON_IsNumber(days) || days->valuedouble >= CERTIFICATE_DAYS)
        return r;
    return add(faults, "certificate.ends",
               days->valuedouble < 0 ? strdup("the cloud's certificate for the guards' pages is over, and not shown")
                                     : str_format("the cloud's certificate for the guards' pages ends within %.0f days",
                                                  days->valuedouble + 1));
}

cJSON *data_faults(const cJSON *values, uint64_t old_seconds)
{
    _cleanup_(cJSON_Deletep) cJSON *faults = cJSON_CreateObject();

    if (!faults || judge_database(faults, find(values, "database")) < 0 ||
        judge_data(faults, find(values, "replica"), old_seconds) < 0 ||
        judge_queue(faults, find(values, "queue")) < 0 || judge_lan(faults, find(values, "lan")) < 0)
        return NULL;
    return TAKE_PTR(faults);
}

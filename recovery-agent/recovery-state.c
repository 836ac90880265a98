/* SPDX-License-Identifier: MIT */
/* Reading state.json, config.env and ca.pem, which saver.c writes. */
#include "recovery-agent/recovery-state.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/tmp-sweep.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define STATE_SIZE_MAX (64 * 1024)
#define ADDRESS_SIZE_MAX 64
/* the floor under the clock need not be sharper, and a flash disk lives longer */
#define SERVER_TIME_STEP (6 * 3600)

void state_done(State *s)
{
    for (size_t i = 0; i < STATE_ADDRESSES_MAX; i++)
        free(s->addresses[i]);
    free(s->folder);
    *s = (State) {};
}

static void add_address(State *s, const char *address)
{
    size_t at = 0;
    while (at < STATE_ADDRESSES_MAX - 1 && s->addresses[at] && !str_equal(s->addresses[at], address))
        at++;
    char *copy = strdup(address);
    if (!copy)
        return;
    free(s->addresses[at]);
    memmove(&s->addresses[1], &s->addresses[0], at * sizeof(char *));
    s->addresses[0] = copy;
}

static int read_state(State *s, const char *text, size_t len, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    Budget budget = {};
    int r = json_parse_object(text, len, &o, err);
    if (r < 0)
        return r;
    if (budget_from_json(cJSON_GetObjectItemCaseSensitive(o, "budget"), &budget) < 0)
        return error_set(err, EBADMSG, "state.damaged", "state.json holds no budget");
    const cJSON *addresses = cJSON_GetObjectItemCaseSensitive(o, "addresses");
    for (int i = cJSON_GetArraySize(addresses) - 1; i >= 0; i--) {
        const cJSON *address = cJSON_GetArrayItem(addresses, i);
        if (cJSON_IsString(address) && strlen(address->valuestring) <= ADDRESS_SIZE_MAX)
            add_address(s, address->valuestring);
    }
    (void) json_u64(o, "serverTime", &s->server_time);
    s->was_healthy = json_bool(o, "wasHealthy", false);
    s->had_device = json_bool(o, "hadDevice", false);
    s->budget = budget;
    return 0;
}

static void spend_all(Budget *b, const LadderTime *now)
{
    for (LadderStep step = STEP_RESTART; step < _STEPS; step++)
        budget_spend(b, step, now);
}

int state_load(State *s, const char *folder, const LadderTime *now, Error *err)
{
    _cleanup_(freep) char *text = NULL;
    size_t len = 0;
    *s = (State) { .folder = strdup(folder) };
    _cleanup_(freep) char *path = path_join(folder, "state.json");
    if (!s->folder || !path)
        return -ENOMEM;
    int r = dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, err);
    if (r < 0)
        return -EIO;
    (void) tmp_sweep(folder, true);
    r = file_read(path, STATE_SIZE_MAX, &text, &len, err);
    if (r == -ENOENT) {
        error_done(err);
        return 0;
    }
    if (r >= 0)
        r = read_state(s, text, len, err);
    if (r < 0)
        spend_all(&s->budget, now);
    return r < 0 ? -EIO : 0;
}

char *state_print(const State *s)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    cJSON *addresses = o ? cJSON_AddArrayToObject(o, "addresses") : NULL;
    for (size_t i = 0; addresses && i < STATE_ADDRESSES_MAX && s->addresses[i]; i++)
        if (json_append(addresses, cJSON_CreateString(s->addresses[i])) < 0)
            return NULL;
    if (!addresses || json_add_bool(o, "wasHealthy", s->was_healthy) < 0 ||
        json_add_bool(o, "hadDevice", s->had_device) < 0 || json_add_u64(o, "serverTime", s->server_time) < 0 ||
        json_add_item(o, "budget", budget_to_json(&s->budget)) < 0)
        return NULL;
    return json_print(o);
}

int state_note_gateway(State *s, const char *address, uint64_t server_time)
{
    bool is_new = address && strlen(address) <= ADDRESS_SIZE_MAX && !str_equal(s->addresses[0], address);
    if (is_new)
        add_address(s, address);
    if (server_time > s->server_time) {
        is_new = is_new || server_time - s->server_time >= SERVER_TIME_STEP;
        s->server_time = server_time;
    }
    return is_new;
}

int state_load_config(const State *s, Config *ret, Error *err)
{
    _cleanup_(freep) char *path = path_join(s->folder, "config.env"), *ca_path = path_join(s->folder, "ca.pem");
    _cleanup_(secret_freep) char *text = NULL;
    _cleanup_(config_done) Config c = {};
    size_t len = 0;
    if (!path || !ca_path || settings_init(settings, &c) < 0)
        return -ENOMEM;
    int r = file_read(path, ENV_FILE_SIZE_MAX, &text, &len, err);
    if (r >= 0)
        r = settings_parse(settings, &c, text, len, path, err);
    if (r >= 0)
        r = config_check(&c, err);
    if (r < 0)
        return r;
    if (c.ca_file) {
        free(c.ca_file);
        c.ca_file = TAKE_PTR(ca_path);
    }
    *ret = c;
    c = (Config) {};
    return 0;
}

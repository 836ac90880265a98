/* SPDX-License-Identifier: MIT */
/* See rollouts-halted.h. */
#include "gateway/rollouts/rollouts-halted.h"

#include <errno.h>

#include "gateway/rollouts/rollouts-copy-impl.h"
#include "gateway/store/rollouts-table.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"

void rollouts_tell_halted(Rollouts *rs, DeviceConn *s)
{
    /* before the database has answered an empty list would set free what boxes hold back */
    if (!rs->halted || !device_conn_takes(s, ORDER_HALTED) || device_conn_halted_told(s) == rs->halted_edition)
        return;
    int r = device_conn_send(s, rs->halted);
    if (r >= 0)
        device_conn_note_halted_told(s, rs->halted_edition);
    else if (r != -ENOTCONN)
        log_failure(LOG_LEVEL_WARNING, NULL, NULL, r, "cannot tell %s of halted rollouts, trying again when it speaks",
                    device_conn_device(s));
}

static void tell_one(DeviceConn *s, void *userdata)
{
    rollouts_tell_halted(userdata, s);
}

int rollouts_adopt_halted(Rollouts *rs, const StoreRows *rows)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("updates.halted");
    cJSON *digests = cJSON_CreateArray();
    int r = json_add_item(m, "digests", digests);
    for (size_t i = 0; i < store_rows_count(rows) && r >= 0; i++)
        r = json_append(digests, cJSON_CreateString(store_rows_get(rows, i, 0)));
    if (r < 0 || cJSON_Compare(m, rs->halted, true))
        return r;
    cJSON_Delete(rs->halted);
    rs->halted = TAKE_PTR(m);
    rs->halted_edition++;
    device_conns_each(rs->conns, tell_one, rs);
    return 0;
}

static void on_halted_loaded(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Rollouts *rs = userdata;
    rs->halted_query = NULL;
    if (r >= 0)
        r = rollouts_adopt_halted(rs, rows);
    rs->halted_stale = r < 0 && r != -ENOTCONN; /* once the database is back, all is loaded */
    if (rs->halted_stale)
        log_failure(LOG_LEVEL_ERROR, NULL, err, r, "cannot load the halted rollouts, trying again at the next sweep");
    if (r >= 0 && rs->halted_again)
        rollouts_load_halted(rs);
}

void rollouts_load_halted(Rollouts *rs)
{
    Error err = {};
    rs->halted_again = rs->halted_query != NULL;
    if (rs->halted_query)
        return;
    int r = store_query(rs->store, sql_rollouts_halted(), on_halted_loaded, rs, &rs->halted_query, &err);
    if (r < 0)
        on_halted_loaded(NULL, r, NULL, &err, rs);
    error_done(&err);
}

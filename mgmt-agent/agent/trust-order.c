/* SPDX-License-Identifier: MIT */
/* trust.root: the document that says whose orders this box takes. It is judged and written at once: no container is touched. */
#include <errno.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/cli/finding-clock.h"
#include "lib/data/trust-root-store.h"
#include "mgmt-agent/agent/agent.h"

#define STATUS_REFUSED 401
#define STATUS_FAILED 500 /* a disk that is full, say: it may be sent again */

/* Which document is in force now. */
static int add_version(cJSON *o)
{
    _cleanup_(trust_done) Trust trust = {};

    return trust_load(&trust, NULL) < 0 || trust.root.version == 0 ? 0 : json_add_u64(o, "version", trust.root.version);
}

/* What is wrong with the document, or with whom it is for, is so the next time, too; a full disk is not. */
static bool is_refusal(const Error *err)
{
    static const char *const about[] = { "root.", "order.", "signer.", "json." };

    for (size_t i = 0; i < ELEMENTSOF(about); i++)
        if (str_starts(error_id(err), about[i]))
            return true;
    return false;
}

static void answer(ControlClient *c, const char *id, const Error *err, int r)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("trust.root.result");
    int status = r >= 0 ? 200 : is_refusal(err) ? STATUS_REFUSED : STATUS_FAILED;

    if (!m || json_add_string(m, "id", id) < 0 || json_add_int(m, "status", status) < 0 || add_version(m) < 0 ||
        (r < 0 && json_add_item(m, "error", json_from_error(err, r)) < 0))
        return;
    control_send(c, m);
}

void agent_handle_trust_root(Agent *a, ControlClient *c, const cJSON *message)
{
    OrderView view = { .device = a->device_id };
    const char *id = json_string(message, "id");
    _cleanup_(error_done) Error err = {};
    view.clock_is_known = clock_known_time(&view.now);
    int r = trust_root_take(cJSON_GetObjectItemCaseSensitive(message, "order"), id, &view, &err);

    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "The root document %s of the cloud is not taken", id);
    else if (r == 0)
        log_notice("Whose orders are taken is said by the root document %s from now on", id);
    answer(c, id, &err, r);
    if (r == 0)
        agent_tell_cloud(a);
}

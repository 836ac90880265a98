/* SPDX-License-Identifier: MIT */
/* compose.rollback: an earlier snapshot, deployed like any other, with plan, proof and its own way back. */

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/bundle.h"
#include "mgmt-agent/agent/agent.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/state/way-back.h"

/* What this box remembers, as far as it matters here. */
typedef struct Memory {
    Current *current;
    cJSON *history;
    char **kept;
} Memory;

static void memory_done(Memory *m)
{
    current_free(m->current);
    cJSON_Delete(m->history);
    strv_free(m->kept);
}

static int memory_load(Memory *m, Error *err)
{
    _cleanup_(error_done) Error reason = {};
    int r = current_load(&m->current, err);

    if (r == 0 && !m->current)
        return error_set(err, ENOENT, "rollback.nothing", "nothing was ever deployed on this box");
    if (r == 0)
        r = store_list_snapshots(&m->kept);
    if (r < 0)
        return r;
    r = store_load_history(STORE_HISTORY_MAX, &m->history, &reason);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &reason, r, "Going back without the history, which cannot be read");
    return 0;
}

static int load_snapshot(const char *version, cJSON **ret, char sha256[static SHA256_HEX_SIZE], Error *err)
{
    int r = store_load_snapshot(version, ret, err);
    const char *text = r == 0 ? json_string(*ret, "compose") : NULL, *bundle = NULL;

    if (r == 0 && !text)
        r = error_set(err, EINVAL, "snapshot.unknown", "snapshot %s is kept on this box without its compose file",
                      version);
    if (r == 0)
        r = bundle_of_snapshot(*ret, &bundle, err);
    return r == 0 ? bundle_snapshot_digest(text, bundle, sha256) : r;
}

static const cJSON *verdict_on(const Memory *m, const char *version)
{
    _cleanup_(cJSON_Deletep) cJSON *snapshot = NULL;
    char sha256[SHA256_HEX_SIZE];

    return load_snapshot(version, &snapshot, sha256, NULL) == 0 ? way_back_verdict(m->history, version, sha256) : NULL;
}

static int choose(const Memory *m, const char **ret, Error *err)
{
    const char *previous = m->current->previous;

    if (!previous || !strv_contains(m->kept, previous) || verdict_on(m, previous))
        previous = way_back_find(m->history, m->current->sha256, NULL, m->kept);
    if (!previous)
        return error_set(err, ENOENT, "rollback.nothing",
                         "there is no earlier snapshot on this box to go back to that was not found bad");
    *ret = previous;
    return 0;
}

char *agent_way_back(void)
{
    _cleanup_(memory_done) Memory memory = {};
    const char *version = NULL;

    return memory_load(&memory, NULL) == 0 && choose(&memory, &version, NULL) == 0 ? strdup(version) : NULL;
}

/* "7, 6, local-1764400000000" */
static char *ways_back(const Memory *m)
{
    const char *current = m->current->version;
    _cleanup_(strv_freep) char **ways = NULL;

    for (char *const *version = m->kept; version && *version; version++)
        if (!str_equal(*version, current) && !verdict_on(m, *version) && strv_add(&ways, *version) < 0)
            return NULL;
    return strv_length(ways) > 0 ? strv_join(ways, ", ") : strdup("none");
}

/* Why the named version cannot be gone back to. */
static int refuse_bad(const Memory *m, const char *version, const cJSON *verdict, Error *err)
{
    const cJSON *failure = cJSON_GetObjectItemCaseSensitive(verdict, "error");
    _cleanup_(freep) char *ways = ways_back(m);
    const char *at = json_string(verdict, "at"), *why = json_string(failure, "message");

    if (str_equal(json_string(verdict, "outcome"), "done"))
        return error_set(
            err, EPERM, "rollback.bad",
            "snapshot %s was left by a rollback at %s, and a rollback does not return to it; push its compose file "
            "again if it is good after all (snapshots to go back to: %s)",
            version, at ? at : "an unknown time", ways ? ways : "none");
    return error_set(
        err, EPERM, "rollback.bad",
        "snapshot %s was rolled back at %s (%s), and a rollback does not return to it; push its compose file again "
        "if it is good after all (snapshots to go back to: %s)",
        version, at ? at : "an unknown time", why ? why : "no reason was noted", ways ? ways : "none");
}

static int check_named(const Memory *m, const char *version, Error *err)
{
    _cleanup_(freep) char *ways = NULL;
    const cJSON *verdict;
    int r = store_check_version(version, err);

    if (r < 0)
        return r;
    if (str_equal(version, m->current->version))
        return error_set(err, EEXIST, "rollback.current", "snapshot %s is what this box runs now", version);
    if (!strv_contains(m->kept, version)) {
        ways = ways_back(m);
        return error_set(err, ENOENT, "snapshot.unknown",
                         "snapshot %s is not kept on this box; snapshots to go back to: %s", version,
                         ways ? ways : "none");
    }
    verdict = verdict_on(m, version);
    return verdict ? refuse_bad(m, version, verdict, err) : 0;
}

/* The kept compose file as the snapshot that `message` asks for. From the cloud it has the cloud's next version, and is confirmed
 * like a push. */
static int make_snapshot(const cJSON *message, const cJSON *kept, bool from_cloud, cJSON **ret)
{
    static const char *const of_order[] = { "id",        "version", "deviceId",
                                            "issuedAt",  "nonce",   "confirmDeadlineSeconds",
                                            "expiresAt", "order" };
    _cleanup_(cJSON_Deletep) cJSON *snapshot = cJSON_Duplicate(kept, 1);
    int r = snapshot ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < (from_cloud ? ELEMENTSOF(of_order) : 1); i++) {
        const cJSON *member = cJSON_GetObjectItemCaseSensitive(message, of_order[i]);

        cJSON_DeleteItemFromObjectCaseSensitive(snapshot, of_order[i]);
        if (member)
            r = json_add_item(snapshot, of_order[i], cJSON_Duplicate(member, 1));
    }
    if (r == 0)
        *ret = TAKE_PTR(snapshot);
    return r;
}

static int take_up(Agent *a, ControlClient *c, const cJSON *message, Error *err)
{
    _cleanup_(memory_done) Memory memory = {};
    _cleanup_(cJSON_Deletep) cJSON *kept = NULL;
    _cleanup_(cJSON_Deletep) cJSON *snapshot = NULL;
    const char *version = json_string(message, "to");
    bool from_cloud = control_client_is_link(c);
    char sha256[SHA256_HEX_SIZE];
    int r = memory_load(&memory, err);

    if (r == 0)
        r = version ? check_named(&memory, version, err) : choose(&memory, &version, err);
    if (r == 0)
        r = load_snapshot(version, &kept, sha256, err);
    if (r == 0)
        r = make_snapshot(message, kept, from_cloud, &snapshot);
    if (r < 0)
        return r;
    log_notice("Going back from snapshot %s to %s, asked for %s", memory.current->version, version,
               from_cloud ? "by the cloud" : "on the box");
    agent_take_snapshot(a, c, snapshot, true);
    return 0;
}

/* The gateway's rows are ended by a result, with its own version. */
static void refuse(ControlClient *c, const cJSON *message, const Error *err, int r)
{
    int status = r == -ENOENT ? 404 : r == -EPERM || r == -EEXIST ? 409 : r == -EINVAL ? 400 : 503;

    if (control_client_is_link(c))
        agent_refuse(c, message, KIND_ROLLBACK, status, err, r);
    else
        control_send_error(c, json_string(message, "id"), err, r);
}

void agent_handle_rollback(Agent *a, ControlClient *c, const cJSON *message)
{
    const char *id = json_string(message, "id"), *project = NULL;
    _cleanup_(cJSON_Deletep) cJSON *before = NULL;
    _cleanup_(error_done) Error err = {};
    int r = agent_project_of(message, &project, &err);
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(project);

    if ((a->deploying && str_equal(a->deploying_id, id)) || (agent_is_busy(a) && str_equal(a->journal.id, id)))
        return; /* delivered twice: the answer is on its way */
    if (agent_park(a, c, message))
        return;
    before = agent_find_result(id);
    if (before) {
        control_send(c, before);
        return;
    }
    if (r == 0 && control_client_is_link(c) && !json_string(message, "version"))
        r = error_set(&err, EINVAL, "snapshot.bad-version", "the cloud's order to go back has no version");
    if (r == 0)
        r = take_up(a, c, message, &err);
    if (r < 0)
        refuse(c, message, &err, r);
}

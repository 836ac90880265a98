/* SPDX-License-Identifier: MIT */
/* What each message does. The socket has checked already who may send it. */

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/host-health.h"
#include "mgmt-agent/agent/image-watch.h"
#include "mgmt-agent/agent/box-config.h"
#include "mgmt-agent/agent/order-admission.h"
#include "mgmt-agent/agent/package-update.h"
#include "mgmt-agent/agent/pairing.h"
#include "mgmt-agent/agent/project-watches.h"
#include "mgmt-agent/agent/release-update.h"
#include "mgmt-agent/state/journal.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/reported-changes.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/state/way-back.h"

#define HISTORY_LIMIT_DEFAULT 20

/* One at a time: its acknowledgement asks for the next. What is said twice the cloud writes down once. */
static void report_local_changes(const Agent *a)
{
    _cleanup_(cJSON_Deletep) cJSON *next = NULL;
    _cleanup_(error_done) Error err = {};
    int r;

    if (!control_link(a->control) || !json_bool(a->link_status, "connected", false))
        return;
    r = reported_next(&next, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot tell the cloud what was changed on the box");
    else if (next)
        control_send(control_link(a->control), next);
}

/* An acknowledgement of such a one; false when it is of something else. */
static bool note_reported(const Agent *a, const char *id)
{
    _cleanup_(cJSON_Deletep) cJSON *next = NULL;
    _cleanup_(error_done) Error err = {};
    int r;

    if (reported_next(&next, NULL) < 0 || !next || !str_equal(json_string(next, "id"), id))
        return false;
    r = reported_note(json_string(next, "project"), id, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r,
                    "Cannot note that the cloud knows of a change, it will hear of it again");
    else
        report_local_changes(a);
    return true;
}

void agent_deliver_result(Agent *a, const cJSON *result, bool to_cloud, ControlClient *requester)
{
    const char *outcome = json_string(result, "outcome"), *version = json_string(result, "version");
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(result, "status");
    LogField fields[] = { { "SNAPSHOT", version }, { "PHASE", json_string(result, "phase") }, {} };
    const char *kind = json_string(result, "kind"), *project = json_string(result, "project");
    bool done = str_equal(outcome, "done"), of_agent = str_equal(kind, KIND_AGENT),
         of_release = str_equal(kind, KIND_RELEASE), is_update = str_equal(kind, "update");

    log_line(done ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, fields, "[%s] %s %s%s%s: %s%s (%d)",
             of_agent     ? "agent-update"
             : of_release ? "release-update"
             : is_update  ? "image-update"
                          : "compose-snapshot",
             of_agent || of_release || is_update ? "update" : "snapshot", version, project ? " of project " : "",
             project ? project : "", outcome, json_bool(result, "noop", false) ? ", nothing to change" : "",
             cJSON_IsNumber(status) ? status->valueint : 0);
    if (to_cloud)
        control_send(control_link(a->control), result);
    else
        report_local_changes(a);
    control_send(requester, result);
    if (of_agent || of_release) /* nothing of what any project runs has changed */
        return;
    project_watches_note_result(a, result);
    if (!project)
        pairing_note_result(a->pairing, result);
}

void agent_tell_cloud(Agent *a)
{
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(NULL);
    bool connected = control_link(a->control) && json_bool(a->link_status, "connected", false);
    _cleanup_(cJSON_Deletep) cJSON *status = connected ? agent_make_status(a) : NULL;

    if (status)
        control_send(control_link(a->control), status);
    host_health_look(a->health);
}

static cJSON *make_failure(const char *id, const char *version, int status, const Error *err, int r)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("compose.result");
    char at[TIMESTAMP_SIZE];

    if (!m || json_add_string(m, "id", id) < 0 || json_add_string(m, "version", version) < 0 ||
        json_add_int(m, "status", status) < 0 || json_add_string(m, "phase", "verify") < 0 ||
        json_add_string(m, "outcome", "failed") < 0 ||
        json_add_string(m, "at", timestamp_format(realtime_usec(), at)) < 0 ||
        json_add_item(m, "error", json_from_error(err, r)) < 0)
        return NULL;
    return TAKE_PTR(m);
}

cJSON *agent_make_result(const Agent *a, bool is_push)
{
    _cleanup_(cJSON_Deletep) cJSON *last = NULL;
    _cleanup_(error_done) Error err = {};
    int r = agent_look_in_histories(a->deploying_id, 1, &last, NULL);

    if (r == 0 && last && str_equal(json_string(last, "version"), a->deploying_version))
        return TAKE_PTR(last);
    if (!is_push)
        return NULL;
    r = error_set(&err, EIO, "worker.failed",
                  "the worker ended before it began, and nothing was touched; the agent's log says more");
    return make_failure(a->deploying_id, a->deploying_version, 500, &err, r);
}

void agent_refuse(ControlClient *c, const cJSON *message, const char *kind, int status, const Error *err, int r)
{
    _cleanup_(cJSON_Deletep) cJSON *m =
        make_failure(json_string(message, "id"), json_string(message, "version"), status, err, r);

    log_failure(LOG_LEVEL_WARNING, NULL, err, r, "Refusing %s %s (%d)", kind ? kind : "snapshot",
                json_string(message, "version"), status);
    if (m && json_add_string(m, "kind", kind) == 0 && agent_add_project(m, message) == 0)
        control_send(c, m);
}

static cJSON *make_request(const cJSON *message, const char *source)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (!o || json_add_string(o, "source", source) < 0 ||
        json_add_item(o, "message", cJSON_Duplicate(message, 1)) < 0 || agent_add_project(o, message) < 0)
        return NULL;
    return TAKE_PTR(o);
}

/* Local snapshots get a version of their own that never meets the cloud's numbers. */
static cJSON *localise(const cJSON *message)
{
    _cleanup_(cJSON_Deletep) cJSON *copy = cJSON_Duplicate(message, 1);
    _cleanup_(freep) char *version = str_format("local-%llu", (unsigned long long) (realtime_usec() / USEC_PER_MSEC));

    if (!copy || !version)
        return NULL;
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "version");
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "nonce");
    /* the cloud's time limit is on its push; whoever goes back to it on the box does so now */
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "expiresAt");
    return json_add_string(copy, "version", version) == 0 ? TAKE_PTR(copy) : NULL;
}

bool agent_park(Agent *a, ControlClient *c, const cJSON *message)
{
    if (!a->own_job || !agent_is_busy(a) || a->parked.message)
        return false;
    a->parked.message = cJSON_Duplicate(message, 1);
    a->parked.from = c;
    return a->parked.message;
}

void agent_take_parked(Agent *a)
{
    _cleanup_(cJSON_Deletep) cJSON *message = NULL;
    ControlClient *from = a->parked.from;
    const MessageType *type;

    if (!a->parked.message || agent_is_busy(a))
        return;
    message = TAKE_PTR(a->parked.message);
    a->parked.from = NULL;
    type = message_type_find(json_string(message, "type"));
    if (type)
        agent_handle(a, from, message, type);
}

void agent_take_snapshot(Agent *a, ControlClient *c, const cJSON *wire, bool goes_back)
{
    bool from_cloud = control_client_is_link(c);
    _cleanup_(cJSON_Deletep) cJSON *message = from_cloud ? cJSON_Duplicate(wire, 1) : localise(wire);
    _cleanup_(cJSON_Deletep) cJSON *request = NULL;
    _cleanup_(cJSON_Deletep) cJSON *result = NULL;
    _cleanup_(error_done) Error err = {};
    const char *id = json_string(message, "id"), *project = NULL;
    int r;

    if (!message)
        return;
    r = agent_project_of(message, &project, &err);
    if (r < 0) {
        agent_refuse(c, message, goes_back ? KIND_ROLLBACK : NULL, 400, &err, r);
        return;
    }
    if ((a->deploying && str_equal(a->deploying_id, id)) || (agent_is_busy(a) && str_equal(a->journal.id, id)))
        return; /* delivered twice: the answer is on its way */
    /* `last` of agent.status tells of the box's own project alone, so a result of another one may be asked for again */
    if (project && from_cloud && (result = agent_find_result(id))) {
        control_send(c, result);
        return;
    }
    if (!goes_back && agent_park(a, c, wire))
        return;
    if (agent_is_busy(a)) {
        r = error_set(&err, EBUSY, "deploy.busy", "another snapshot is being deployed; wait for its result");
        agent_refuse(c, message, goes_back ? KIND_ROLLBACK : NULL, 409, &err, r);
        return;
    }
    r = order_take(a, &err);
    if (r < 0) {
        agent_refuse(c, message, goes_back ? KIND_ROLLBACK : NULL, 503, &err, r);
        return;
    }
    if (!goes_back && !project && agent_check_unchanged(a, message, from_cloud, &result)) {
        agent_deliver_result(a, result, from_cloud, from_cloud ? NULL : c);
        agent_tell_cloud(a);
        return;
    }
    request = make_request(message, from_cloud ? "cloud" : "local");
    r = request && (!goes_back || json_add_bool(request, "goesBack", true) == 0)
            ? agent_deploy(a, "apply", id, request, from_cloud ? NULL : c, from_cloud, &err)
            : -ENOMEM;
    if (r < 0)
        agent_refuse(c, message, goes_back ? KIND_ROLLBACK : NULL, 503, &err, r);
}

static void handle_snapshot(Agent *a, ControlClient *c, const cJSON *wire)
{
    agent_take_snapshot(a, c, wire, false);
}

int agent_look_up_result(const char *id, cJSON **ret, Error *err)
{
    return agent_look_in_histories(id, STORE_HISTORY_MAX, ret, err);
}

cJSON *agent_find_result(const char *id)
{
    cJSON *result = NULL;

    return agent_look_up_result(id, &result, NULL) < 0 ? NULL : result;
}

static void handle_update(Agent *a, ControlClient *c, const cJSON *message)
{
    const char *id = json_string(message, "id"), *project;
    _cleanup_(cJSON_Deletep) cJSON *request = NULL;
    _cleanup_(cJSON_Deletep) cJSON *before = NULL;
    _cleanup_(error_done) Error err = {};
    int r;

    r = agent_project_of(message, &project, &err);
    if (r < 0) {
        agent_refuse(c, message, KIND_UPDATE, 400, &err, r);
        return;
    }
    if ((a->deploying && str_equal(a->deploying_id, id)) || (agent_is_busy(a) && str_equal(a->journal.id, id)))
        return;
    if (agent_park(a, c, message))
        return;
    if (agent_is_busy(a)) {
        r = error_set(&err, EBUSY, "deploy.busy", "another change is under way; wait for its result");
        agent_refuse(c, message, KIND_UPDATE, 409, &err, r);
        return;
    }
    before = agent_find_result(id);
    if (before) {
        control_send(c, before);
        return;
    }
    if (a->journal.state == DEPLOY_RECOVERY) {
        r = error_set(
            &err, EBUSY, "deploy.recovery",
            "a rollback failed on this box; push a compose file, or look at what runs, before images are updated");
        agent_refuse(c, message, KIND_UPDATE, 409, &err, r);
        return;
    }
    request = make_request(message, "cloud");
    r = request ? order_take(a, &err) : -ENOMEM;
    if (r == 0)
        r = agent_deploy(a, "update", id, request, NULL, true, &err);
    if (r < 0)
        agent_refuse(c, message, KIND_UPDATE, 503, &err, r);
}

static void handle_plan(Agent *a, ControlClient *c, const cJSON *message)
{
    _cleanup_(error_done) Error err = {};
    const char *project;
    int r = agent_project_of(message, &project, &err);

    if (r == 0)
        r = agent_ask(a, "plan", json_string(message, "id"), make_request(message, "plan"), c, &err);

    if (r < 0)
        control_send_error(c, json_string(message, "id"), &err, r);
}

static void handle_status(Agent *a, ControlClient *c, const cJSON *message)
{
    _cleanup_(error_done) Error err = {};
    const char *project;
    int r = agent_project_of(message, &project, &err);

    if (r == 0)
        r = agent_ask(a, "status", json_string(message, "id"), make_request(message, "local"), c, &err);

    if (r < 0)
        control_send_error(c, json_string(message, "id"), &err, r);
}

static void handle_env_ensure(Agent *a, ControlClient *c, const cJSON *message)
{
    _cleanup_(error_done) Error err = {};
    int r = agent_ask(a, "env-ensure", json_string(message, "id"), make_request(message, "local"), c, &err);

    if (r < 0)
        control_send_error(c, json_string(message, "id"), &err, r);
}

static void handle_history(Agent *a, ControlClient *c, const cJSON *message)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("history.report");
    _cleanup_(error_done) Error err = {};
    uint64_t limit = HISTORY_LIMIT_DEFAULT;
    cJSON *entries = NULL;
    const char *project = NULL;
    int r = agent_project_of(message, &project, &err);
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(project);

    (void) a;
    if (json_u64(message, "limit", &limit) == -EINVAL || limit > STORE_HISTORY_MAX)
        limit = STORE_HISTORY_MAX;
    if (r == 0)
        r = store_load_history(limit, &entries, &err);
    if (r < 0) {
        control_send_error(c, json_string(message, "id"), &err, r);
        return;
    }
    if (m && json_add_item(m, "entries", entries) == 0 && json_add_string(m, "id", json_string(message, "id")) == 0)
        control_send(c, m);
}

static void handle_confirm(Agent *a, ControlClient *c, const cJSON *message)
{
    (void) c;
    if (a->deploying || a->journal.state != DEPLOY_CONFIRMING ||
        !str_equal(a->journal.id, json_string(message, "id")) ||
        !str_equal(a->journal.nonce, json_string(message, "nonce"))) {
        log_warning("Ignoring a confirmation of snapshot %s that nobody waits for", json_string(message, "version"));
        return;
    }
    if (!a->connection.fresh) {
        log_warning("Ignoring a confirmation of snapshot %s on a connection that is older than the change",
                    a->journal.version);
        return;
    }
    log_info("The cloud confirms snapshot %s", a->journal.version);
    agent_note_confirmed(a);
    agent_start_job(a, "commit", true);
}

static void handle_ack(Agent *a, ControlClient *c, const cJSON *message)
{
    _cleanup_(cJSON_Deletep) cJSON *unacked = NULL;
    _cleanup_(error_done) Error err = {};
    int r;

    (void) c;
    if (note_reported(a, json_string(message, "id")))
        return;
    r = store_load_unacked(&unacked, &err);
    if (r == 0 && unacked && str_equal(json_string(unacked, "id"), json_string(message, "id")))
        r = store_save_unacked(NULL, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot note that the cloud has a result, it will be sent again");
}

static void handle_link_hello(Agent *a, ControlClient *c, const cJSON *message)
{
    (void) c;
    log_info("mgmt-link %s is here", json_string(message, "version"));
    box_config_hand_over(a->config);
    pairing_note_hello(a->pairing);
    /* when we were started again in between, nobody has told it yet, and its connection may be older than the change */
    agent_cycle_link(a);
}

/* A connection to the cloud has just come up: it hears where this box stands, and what it may have missed. */
static void handle_link_status(Agent *a, ControlClient *c, const cJSON *message)
{
    bool was_connected = json_bool(a->link_status, "connected", false),
         connected = json_bool(message, "connected", false);
    bool same = was_connected && str_equal(json_string(a->link_status, "since"), json_string(message, "since"));
    _cleanup_(cJSON_Deletep) cJSON *unacked = NULL;

    cJSON_Delete(a->link_status);
    a->link_status = cJSON_Duplicate(message, 1);
    agent_note_connection(a, message);
    pairing_note_link(a->pairing, message);
    agent_publish_addresses(a);
    if (!connected)
        host_health_disconnected(a->health);
    if (!connected || same)
        return;
    host_health_connected(a->health);
    agent_vouch(a);
    agent_tell_cloud(a);
    if (store_load_unacked(&unacked, NULL) == 0 && unacked)
        control_send(c, unacked);
    report_local_changes(a);
}

/* Our own watchdog, by way of the socket. */
static void handle_probe(Agent *a, ControlClient *c, const cJSON *message)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("probe.answer");

    (void) a;
    if (m && json_add_string(m, "id", json_string(message, "id")) == 0)
        control_send(c, m);
}

void agent_handle(Agent *a, ControlClient *c, const cJSON *message, const MessageType *type)
{
    static const struct {
        const char *name;
        void (*handle)(Agent *a, ControlClient *c, const cJSON *message);
    } handlers[] = {
        { "compose.snapshot", handle_snapshot },
        { "compose.plan", handle_plan },
        { "image.update", handle_update },
        { "updates.get", watch_handle_get },
        { "updates.check", watch_handle_check },
        { "updates.undo", watch_handle_undo },
        { "updates.forget", watch_handle_forget },
        { "updates.hold", watch_handle_hold },
        { "updates.halted", watch_handle_halted },
        { "compose.confirm", handle_confirm },
        { "compose.result.ack", handle_ack },
        { "compose.rollback", agent_handle_rollback },
        { "agent.update", package_update_handle },
        { "release.update", release_update_handle },
        { "trust.root", agent_handle_trust_root },
        { "ssh.revocations", agent_handle_revocations },
        { "status.get", handle_status },
        { "history.get", handle_history },
        { "doctor.ask", agent_handle_doctor },
        { "logs.read", agent_handle_logs },
        { "env.ensure", handle_env_ensure },
        { "pair.get", pairing_handle_get },
        { "pair.claim", pairing_handle_claim },
        { "pair.end", pairing_handle_end },
        { "project.order", agent_handle_project },
        { "container.restart", agent_handle_service },
        { "container.recreate", agent_handle_service },
        { "health.ack", host_health_handle_ack },
        { "probe", handle_probe },
        { "link.hello", handle_link_hello },
        { "link.status", handle_link_status },
    };

    for (size_t i = 0; i < ELEMENTSOF(handlers); i++)
        if (str_equal(handlers[i].name, type->name)) {
            if (order_admit(a, c, message, type))
                handlers[i].handle(a, c, message);
            order_forget(a);
            return;
        }
    log_debug("Message '%s' is not for mgmt-agent, ignoring it", type->name);
}

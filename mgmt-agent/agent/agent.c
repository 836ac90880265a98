/* SPDX-License-Identifier: MIT */
/* Lifecycle: workers in, messages out, what follows from the journal. */

#include "mgmt-agent/agent/agent.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/base/tmp-sweep.h"
#include "lib/data/trust-root-store.h"
#include "lib/event/daemon.h"
#include "mgmt-agent/agent/host-health.h"
#include "mgmt-agent/agent/image-watch.h"
#include "mgmt-agent/agent/box-config.h"
#include "mgmt-agent/agent/box-seal-key.h"
#include "mgmt-agent/agent/host-addresses-file.h"
#include "mgmt-agent/agent/order-admission.h"
#include "mgmt-agent/agent/package-update.h"
#include "mgmt-agent/agent/release-update.h"
#include "mgmt-agent/agent/pairing.h"
#include "mgmt-agent/agent/project-watches.h"
#include "mgmt-agent/agent/service-watch.h"
#include "mgmt-agent/agent/worker-unit.h"
#include "mgmt-agent/state/change-guard.h"
#include "mgmt-agent/state/confirm-deadline.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/reported-changes.h"
#include "mgmt-agent/state/reserve.h"
#include "mgmt-agent/state/worker-request.h"

#define RECOVER_PAUSE_USEC (30 * USEC_PER_SEC)

static void forget_query(Query *q)
{
    free(q->id);
    free(q->job);
    cJSON_Delete(q->request);
    *q = (Query) {};
}

Agent *agent_free(Agent *a)
{
    if (!a)
        return NULL;
    box_config_free(a->config);
    package_update_free(a->packages);
    release_update_free(a->releases);
    pairing_free(a->pairing);
    host_health_free(a->health);
    sd_event_source_disable_unref(a->boot.others_timer);
    a->projects = project_watches_free(a->projects);
    box_seal_key_free(a->seal_key);
    watch_free(a->watch);
    service_watch_free(a->services);
    cJSON_Delete(a->parked.message);
    order_forget(a);
    runner_free(a->deploying);
    runner_free(a->query);
    agent_doctor_done(a);
    agent_logs_gone(a, NULL);
    for (size_t i = 0; i < a->n_queries; i++)
        forget_query(&a->queries[i]);
    control_free(a->control);
    sd_event_source_disable_unref(a->timer);
    journal_done(&a->journal);
    cJSON_Delete(a->link_status);
    free(a->addresses);
    cJSON_Delete(a->result);
    free(a->connection.since);
    free(a->deploying_id);
    free(a->deploying_version);
    free(a->device_id);
    sd_event_unref(a->event);
    free(a);
    return NULL;
}

bool agent_is_busy(const Agent *a)
{
    return a->deploying || (a->journal.state != DEPLOY_IDLE && a->journal.state != DEPLOY_RECOVERY);
}

static void log_progress(const Agent *a, const cJSON *message)
{
    const char *text = json_string(message, "message"), *service = json_string(message, "service"),
               *phase = json_string(message, "phase"), *state = json_string(message, "state");
    LogField fields[] = {
        { "SNAPSHOT", json_string(message, "version") }, { "PHASE", phase }, { "SERVICE", service }, {}
    };
    bool failed = str_equal(state, "failed");

    log_line(failed ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, fields, "[%s] %s%s%s",
             str_equal(runner_job(a->deploying), "update") ? "image-update" : "compose-snapshot", text ? "" : "phase ",
             text    ? text
             : phase ? phase
                     : "",
             failed ? " (failed)" : "");
}

static void on_deploy_message(Runner *r, const cJSON *message, void *userdata)
{
    Agent *a = userdata;
    const char *type = json_string(message, "type");

    (void) r;
    if (str_equal(type, "compose.progress")) {
        log_progress(a, message);
        if (a->from_cloud)
            control_send(control_link(a->control), message);
        control_send(a->requester, message);
        watch_note_progress(a->watch, message);
        project_watches_note_progress(a, message);
        if (!json_string(message, "project"))
            pairing_note_progress(a->pairing, message);
    } else if (str_equal(type, "compose.result") || str_equal(type, "container.result") ||
               str_equal(type, "project.result")) {
        cJSON_Delete(a->result);
        a->result = cJSON_Duplicate(message, 1);
    }
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    Agent *a = userdata;

    (void) source;
    (void) usec;
    agent_follow_journal(a);
    return 0;
}

void agent_follow_later(Agent *a, usec_t delay)
{
    int r = timer_arm(a->event, &a->timer, delay, on_timer, a);

    if (r < 0)
        log_error("Cannot arm a timer: %s", strerror(-r));
}

/* The other jobs go on with what one of these began. */
static bool begins_deployment(const char *job)
{
    return str_equal(job, "apply") || str_equal(job, "update") || str_equal(job, "recreate");
}

/* What waits while something is under way. */
static void go_on(Agent *a)
{
    agent_take_parked(a);
    watch_continue(a->watch);
    service_watch_continue(a->services);
    project_watches_continue(a);
}

static void on_deploy_done(Runner *r, int ok, int exit_status, void *userdata)
{
    Agent *a = userdata;
    _cleanup_(cJSON_Deletep) cJSON *result = TAKE_PTR(a->result);
    ControlClient *requester = a->requester;
    bool from_cloud = a->from_cloud;

    (void) ok;
    bool is_push = begins_deployment(runner_job(r));
    bool started = str_equal(runner_job(r), "start"), restarted = str_equal(runner_job(r), "restart");
    bool revived = str_equal(runner_job(r), "revive");
    bool of_project = str_equal(runner_job(r), "project");
    bool deployed = !started && !restarted && !revived && !of_project; /* those leave the journal as it is */
    a->ended = deployed;
    project_watches_follow(a);
    if (started && exit_status == 0)
        agent_boot_done(a);
    else if (started && exit_status == EXIT_OTHERS_TRY_AGAIN)
        agent_boot_note_others(a);
    log_debug("The worker for '%s' has ended", runner_job(r));
    if (agent_is_service_job(runner_job(r)))
        agent_answer_service(a, result, requester);
    if (of_project)
        agent_answer_project(a, result, requester);
    if (restarted || of_project)
        result = (cJSON_Delete(result), NULL);
    a->deploying = runner_free(a->deploying);
    if (result)
        agent_deliver_result(a, result, from_cloud, requester);
    agent_follow_journal(a);
    if (!result && deployed && !agent_is_busy(a) && (result = agent_make_result(a, is_push)))
        agent_deliver_result(a, result, from_cloud, requester);
    if (result) {
        box_config_look(a->config);
        agent_vouch(a); /* the folder in which secbox shows its key may be new */
        agent_tell_cloud(a);
    }
    if (of_project)
        agent_tell_cloud(a);
    if (!agent_is_busy(a))
        a->own_job = false;
    go_on(a);
}

static void forget_connection(Agent *a)
{
    free(a->connection.since);
    memset(&a->connection, 0, sizeof(a->connection));
}

int agent_deploy(Agent *a, const char *job, const char *id, const cJSON *request, ControlClient *requester,
                 bool from_cloud, Error *err)
{
    const char *asked = json_string(cJSON_GetObjectItemCaseSensitive(request, "message"), "version");
    _cleanup_(freep) char *version = strdup(asked ? asked : a->journal.version ? a->journal.version : "0");
    _cleanup_(freep) char *copy = strdup(id);
    int r;

    if (!copy || !version)
        return -ENOMEM;
    r = begins_deployment(job) ? package_update_check_free(a->packages, err) : 0;
    if (r >= 0 && begins_deployment(job))
        r = release_update_check_free(a->releases, err);
    if (r < 0)
        return r;
    host_health_make_way(a->health);
    r = runner_start(a->event, &a->runner_options, job, request, on_deploy_message, on_deploy_done, a, &a->deploying,
                     err);
    if (r < 0)
        return r;
    free(a->deploying_id);
    free(a->deploying_version);
    a->deploying_id = TAKE_PTR(copy);
    a->deploying_version = TAKE_PTR(version);
    a->requester = requester;
    a->from_cloud = from_cloud;
    a->was = a->journal.state;
    if (begins_deployment(job))
        forget_connection(a);
    timer_disarm(a->timer);
    return 0;
}

static unsigned pause_seconds(const Agent *a)
{
    return (unsigned) (a->recover_pause / USEC_PER_SEC);
}

void agent_start_job(Agent *a, const char *job, bool tell_cloud)
{
    _cleanup_(cJSON_Deletep) cJSON *nothing = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    int r = nothing ? agent_deploy(a, job, a->journal.id ? a->journal.id : "", nothing, a->requester, tell_cloud, &err)
                    : -ENOMEM;

    if (r < 0) {
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "Cannot start the job '%s', trying again in %u s", job,
                    pause_seconds(a));
        agent_follow_later(a, a->recover_pause);
    }
}

static void deploy_from_journal(Agent *a, const char *job)
{
    agent_start_job(a, job, a->journal.version && !str_starts(a->journal.version, "local-"));
}

static void note_since(Agent *a, const cJSON *status)
{
    const char *since = json_string(status, "since");

    free(a->connection.since);
    a->connection.since = since ? strdup(since) : NULL;
    a->connection.known = true;
}

void agent_cycle_link(Agent *a)
{
    _cleanup_(cJSON_Deletep) cJSON *cycle = message_new("link.cycle");

    if (!cycle || a->deploying || a->journal.state != DEPLOY_CONFIRMING || a->connection.asked ||
        !control_link(a->control))
        return;
    if (a->link_status)
        note_since(a, a->link_status);
    a->connection.asked = true;
    control_send(control_link(a->control), cycle);
}

void agent_note_connection(Agent *a, const cJSON *status)
{
    if (!a->connection.asked || a->connection.fresh)
        return;
    if (!a->connection.known) /* the link has just said hello: this is what it had when it was asked for another */
        note_since(a, status);
    else
        a->connection.fresh =
            json_bool(status, "connected", false) && !str_equal(json_string(status, "since"), a->connection.since);
    if (a->connection.fresh && (a->journal.by_connection || a->journal.cut_off))
        agent_follow_journal(a);
}

/* False: the guard is at work, or was, and the journal has to be read again. */
static bool renew_deadline(Agent *a)
{
    _cleanup_(error_done) Error err = {};
    int r = confirm_deadline_renew(&a->journal, &err);

    if (r < 0 && r != -EBUSY)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "Cannot write down until when snapshot %s waits",
                    a->journal.version);
    return r != -EBUSY && a->journal.state == DEPLOY_CONFIRMING;
}

void agent_note_confirmed(Agent *a)
{
    a->connection.confirmed = true;
    change_note_confirmed(a->journal.id);
}

static void wait_for_confirmation(Agent *a, bool stuck)
{
    usec_t now, deadline;

    if (!renew_deadline(a)) {
        agent_follow_later(a, USEC_PER_SEC);
        return;
    }
    now = boottime_usec();
    deadline = confirm_deadline(&a->journal, tunnel_down_since());
    if (a->journal.by_connection && a->connection.fresh && !a->connection.confirmed) {
        log_info("The tunnel came up again after update %s", a->journal.version);
        agent_note_confirmed(a);
    }
    if (stuck) { /* or a commit that cannot be written down would have the tunnel cycle without a pause */
        log_warning("Snapshot %s could not be committed or taken back, trying again in %u s", a->journal.version,
                    pause_seconds(a));
        agent_follow_later(a, a->recover_pause);
        return;
    }
    if (a->connection.confirmed || change_is_confirmed(a->journal.id)) { /* the commit could not be written down yet */
        deploy_from_journal(a, "commit");
        return;
    }
    if (now >= deadline) {
        log_warning("Snapshot %s was not confirmed in time, rolling back", a->journal.version);
        deploy_from_journal(a, "undo");
        return;
    }
    log_info("%s %s is proved here; waiting up to %llu s for %s",
             str_equal(a->journal.kind, "update") ? "Update" : "Snapshot", a->journal.version,
             (unsigned long long) ((deadline - now) / USEC_PER_SEC),
             a->journal.by_connection ? "the tunnel to come up again" : "the cloud to confirm it on a new connection");
    agent_follow_later(a, deadline - now);
    agent_cycle_link(a);
}

/* What was under way is not known any more, and nothing of it is undone. But a snapshot may still come and put things right. */
static void begin_journal_anew(Agent *a, const Error *why, int r)
{
    _cleanup_(error_done) Error err = {};

    log_failure(LOG_LEVEL_ERROR, NULL, why, r, "The journal is set aside, going on in recovery");
    a->journal.state = DEPLOY_RECOVERY;
    r = journal_set_aside(&err);
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r,
                    "Cannot set the journal aside; snapshots are refused until it can be read");
}

void agent_publish_addresses(Agent *a)
{
    host_addresses_write(cJSON_GetObjectItemCaseSensitive(a->link_status, "addresses"), &a->addresses);
}

/* The guard has ended, while we were not there in time, what we have waited for. */
static void tell_of_guard(Agent *a)
{
    _cleanup_(cJSON_Deletep) cJSON *result = agent_find_result(a->journal.id);

    if (!result)
        return;
    agent_deliver_result(a, result, !str_starts(json_string(result, "version"), "local-"), a->requester);
    box_config_look(a->config);
    agent_tell_cloud(a);
}

void agent_follow_journal(Agent *a)
{
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(NULL);
    _cleanup_(error_done) Error err = {};
    bool ended = a->ended, waited = agent_is_busy(a), stuck;
    Journal now = {};
    int r;

    if (a->deploying)
        return;
    r = journal_load(&now, &err);
    if (r == -ENOMEM) {
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "What is under way is not known now, trying again");
        agent_follow_later(a, a->recover_pause);
        return;
    }
    a->ended = false;
    journal_done(&a->journal);
    a->journal = now;
    if (r < 0)
        begin_journal_anew(a, &err, r);
    /* The journal tells whether a worker came any further, not how it ended: on a full disk it does its work, again and
     * again, and cannot write that it did. */
    stuck = ended && a->was == a->journal.state;
    agent_publish_services();
    agent_publish_addresses(a);
    switch (a->journal.state) {
    case DEPLOY_IDLE:
    case DEPLOY_RECOVERY:
        if (waited && !ended)
            tell_of_guard(a);
        a->requester = NULL;
        reserve_make();
        if (!agent_start_after_boot(a))
            service_watch_tell_manager(a->services);
        if (waited && !ended)
            go_on(a);
        return;
    case DEPLOY_CONFIRMING:
        if (!agent_start_after_boot(a))
            wait_for_confirmation(a, stuck);
        return;
    default:
        /* the worker ended without finishing: another one takes over, at once if the last one came any further */
        if (!stuck) {
            deploy_from_journal(a, "recover");
            return;
        }
        log_error("Snapshot %s is stuck in state '%s', trying again in %u s", a->journal.version,
                  deploy_state_to_string(a->journal.state), pause_seconds(a));
        agent_follow_later(a, a->recover_pause);
    }
}

static void next_query(Agent *a);

static void on_query_message(Runner *r, const cJSON *message, void *userdata)
{
    Agent *a = userdata;
    const char *type = json_string(message, "type");
    Query *q = &a->queries[0];

    (void) r;
    if (str_equal(type, "compose.progress"))
        return;
    if (str_equal(type, "worker.status")) {
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(json_string(q->request, WORKER_PROJECT));
        _cleanup_(cJSON_Deletep) cJSON *report = agent_make_report(a, q->id, message);

        if (report)
            control_send(q->asker, report);
    } else {
        control_send(q->asker, message);
    }
    free(q->job); /* marks it as answered */
    q->job = NULL;
}

static void on_query_done(Runner *r, int ok, int exit_status, void *userdata)
{
    Agent *a = userdata;
    Query *q = &a->queries[0];

    (void) r;
    (void) ok;
    (void) exit_status;
    if (q->job) {
        _cleanup_(error_done) Error err = {};

        error_set(&err, EIO, "worker.failed", "the worker for '%s' ended without an answer; see the agent's log",
                  q->job);
        control_send_error(q->asker, q->id, &err, -EIO);
    }
    a->query = runner_free(a->query);
    forget_query(q);
    memmove(&a->queries[0], &a->queries[1], (a->n_queries - 1) * sizeof(Query));
    a->n_queries--;
    next_query(a);
}

static void next_query(Agent *a)
{
    while (!a->query && a->n_queries > 0) {
        _cleanup_(error_done) Error err = {};
        Query *q = &a->queries[0];
        int r = runner_start(a->event, &a->runner_options, q->job, q->request, on_query_message, on_query_done, a,
                             &a->query, &err);

        if (r == 0)
            return;
        control_send_error(q->asker, q->id, &err, r);
        forget_query(q);
        memmove(&a->queries[0], &a->queries[1], (a->n_queries - 1) * sizeof(Query));
        a->n_queries--;
    }
}

int agent_ask(Agent *a, const char *job, const char *id, cJSON *request, ControlClient *asker, Error *err)
{
    Query *q = &a->queries[a->n_queries];

    if (a->n_queries == QUERIES_WAITING_MAX) {
        cJSON_Delete(request);
        return error_set(err, EBUSY, "agent.busy", "%d questions wait already; ask again in a moment",
                         QUERIES_WAITING_MAX);
    }
    *q = (Query) { .asker = asker, .id = strdup(id), .job = strdup(job), .request = request };
    if (!q->id || !q->job || !q->request) {
        forget_query(q);
        return -ENOMEM;
    }
    a->n_queries++;
    next_query(a);
    return 0;
}

static void on_message(ControlClient *c, const cJSON *message, const MessageType *type, void *userdata)
{
    agent_handle(userdata, c, message, type);
}

static void on_gone(ControlClient *c, void *userdata)
{
    Agent *a = userdata;

    if (a->requester == c)
        a->requester = NULL;
    if (a->doctor.asker == c)
        a->doctor.asker = NULL;
    watch_forget_client(a->watch, c);
    project_watches_forget_client(a, c);
    package_update_note_gone(a->packages, c);
    agent_logs_gone(a, c);
    if (a->parked.from == c) { /* who asked asks again, or is not there to hear of it */
        cJSON_Delete(TAKE_PTR(a->parked.message));
        a->parked.from = NULL;
    }
    for (size_t i = 0; i < a->n_queries; i++)
        if (a->queries[i].asker == c)
            a->queries[i].asker = NULL;
    if (control_client_is_link(c) && !control_link(a->control)) {
        log_warning("mgmt-link went away; results wait until it is back");
        a->connection.asked = a->connection.fresh; /* what it was asked for may be lost with it */
        cJSON_Delete(a->link_status);
        a->link_status = NULL;
        host_health_disconnected(a->health);
    }
}

static void on_drained(ControlClient *c, void *userdata)
{
    agent_logs_drained(userdata, c);
}

static int make_folders(Error *err)
{
    static const struct {
        const char *path;
        mode_t mode;
    } folders[] = { { RUN_DIR, 0755 }, { STATE_DIR, 0755 }, { AGENT_STATE_DIR, 0700 } };
    _cleanup_(freep) char *volumes = path_in_root(VOLUMES_DIR);

    for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
        _cleanup_(freep) char *path = path_in_root(folders[i].path);
        int r = path ? dir_make(path, folders[i].mode, (uid_t) -1, (gid_t) -1, err) : -ENOMEM;

        if (r < 0)
            return r;
    }
    if (!volumes)
        return -ENOMEM;
    /* one that is there is left as it is: containers may be using it, and whose it is matters when it is mounted from */
    return access(volumes, F_OK) == 0 ? 0 : dir_make(volumes, 0711, (uid_t) -1, (gid_t) -1, err);
}

/* Half-written files that a kill or a power cut left. Not the volumes, which are the containers'. */
static void sweep_folders(void)
{
    static const struct {
        const char *path;
        bool below;
    } folders[] = { { ETC_DIR, false },
                    { RUN_DIR, false },
                    { STATE_DIR, false },
                    { STATE_DIR "/compose", true },
                    { AGENT_STATE_DIR, true } };

    for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
        _cleanup_(freep) char *path = path_in_root(folders[i].path);
        unsigned n = path ? tmp_sweep(path, folders[i].below) : 0;

        if (n > 0)
            log_notice("Removed %u half-written files from %s: a program was killed, or the power went", n, path);
    }
}

/* Ours when there is no such user: a box in a folder. */
static uid_t user_id(const char *name, const char *usual)
{
    const struct passwd *pw = getpwnam(name ? name : usual);

    return pw ? pw->pw_uid : geteuid();
}

static void begin_reports(void)
{
    _cleanup_(error_done) Error err = {};
    int r = reported_begin(&err);

    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "The cloud may hear of earlier changes on the box again");
}

/* Nothing waits for it: the document counts as it is. */
static void settle_trust(void)
{
    _cleanup_(error_done) Error err = {};
    int r = trust_root_settle(&err);

    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "The keys of the root document are not in trust/signers");
}

int agent_new(sd_event *event, const AgentOptions *options, Agent **ret, Error *err)
{
    static const ControlEvents control_events = { on_message, on_gone, on_drained };
    _cleanup_(agent_freep) Agent *a = calloc(1, sizeof(*a));
    _cleanup_(freep) char *socket_path = path_in_root(AGENT_SOCKET_PATH);
    ControlUsers users = { user_id(options->link_user, "mgmt-link"), user_id(options->recovery_user, "secbox-recovery"),
                           user_id(NULL, "secbox-pairing") };
    int r;

    if (!a || !socket_path || !(a->seal_key = box_seal_key_new()))
        return error_set(err, ENOMEM, "agent.start", "no memory");
    a->event = sd_event_ref(event);
    a->runner_options = (RunnerOptions) { options->worker, options->arguments, worker_unit_is_needed(), 0 };
    a->recover_pause = RECOVER_PAUSE_USEC / options->pace;
    a->stop_alarm = STOP_ALARM_DEFAULT_USEC;
    a->started_realtime = realtime_usec();
    r = make_folders(err);
    if (r < 0)
        return r;
    sweep_folders();
    begin_reports();
    settle_trust();
    r = control_new(event, socket_path, &users, &control_events, a, &a->control, err);
    if (r < 0)
        return r;
    r = pairing_new(a, &a->pairing, err);
    if (r >= 0)
        r = box_config_new(a, &a->config, err);
    if (r < 0)
        return r;
    pairing_look(a->pairing);
    agent_follow_journal(a);
    r = watch_new(a, NULL, options->poll_interval, &a->watch, err);
    if (r == 0)
        r = service_watch_new(a, NULL, options->pace, &a->services, err);
    if (r == 0)
        r = project_watches_new(a, options->poll_interval, options->pace, &a->projects, err);
    if (r == 0)
        r = host_health_new(a, options->pace, &a->health, err);
    if (r == 0)
        r = package_update_new(a, &a->packages, err);
    if (r == 0)
        r = release_update_new(a, &a->releases, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(a);
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/agent/package-update.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/boot-id.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "mgmt-agent/agent/order-admission.h"
#include "mgmt-agent/agent/package-update-impl.h"
#include "mgmt-agent/agent/release-update.h"
#include "mgmt-agent/agent/update-result.h"
#include "mgmt-agent/state/update-lock.h"

#define LOOK_INTERVAL (5 * USEC_PER_SEC)
#define AGAIN (30 * USEC_PER_SEC)

static bool link_is_up(const PackageUpdate *p)
{
    return json_bool(p->agent->link_status, "connected", false);
}

/* The other agent was connected in this boot. */
static bool recovery_was_up(void)
{
    _cleanup_(freep) char *path = path_in_root(GATEWAY_TIME_PATH);

    return path && access(path, F_OK) == 0;
}

/* Its first package is done, and the second one's turn has come. */
static bool goes_on(const AgentUpdate *u)
{
    return u->state == AGENT_UPDATE_CONFIRMED && u->next;
}

static void drop_order(PackageUpdate *p)
{
    cJSON_Delete(p->order);
    p->order = NULL;
    p->asker = NULL;
}

static void refuse(PackageUpdate *p, int status, const Error *err, int r)
{
    package_result_refuse(p, status, err, r);
    drop_order(p);
}

/* An order */

static int check_order(PackageUpdate *p, const cJSON *message, bool from_cloud, Error *err)
{
    _cleanup_(freep) char *holder = NULL;

    if (!agent_update_is_version(json_string(message, "to")))
        return error_set(err, EINVAL, "agent-update.bad-version",
                         "\"to\" must be the version of a package, like 1.2.0 or 1.2.0-1");
    if (from_cloud && update_lock_read(&holder) > 0)
        return error_set(err, EEXIST, "update.locked", "updates are held by %s", holder);
    if (agent_is_busy(p->agent) || p->order || agent_update_is_open(&p->journal) || goes_on(&p->journal))
        return error_set(err, EBUSY, "deploy.busy", "another change is under way; wait for its result");
    return release_update_check_free(p->agent->releases, err);
}

/* As the cloud counts its orders. Root's journal takes it as it stands. */
static bool is_number(const char *text)
{
    uint64_t number;

    return text && strspn(text, "0123456789") == strlen(text) && str_to_u64(text, 0, UINT64_MAX, &number) == 0;
}

/* From the box it has no version: it gets one that never meets the cloud's numbers. */
static cJSON *with_number(const cJSON *message)
{
    _cleanup_(cJSON_Deletep) cJSON *copy = cJSON_Duplicate(message, 1);
    _cleanup_(freep) char *number = str_format("local-%" PRIu64, (uint64_t) (realtime_usec() / USEC_PER_MSEC));

    cJSON_DeleteItemFromObjectCaseSensitive(copy, "version");
    if (!copy || !number || json_add_string(copy, "version", number) < 0)
        return NULL;
    return TAKE_PTR(copy);
}

void package_update_handle(Agent *a, ControlClient *c, const cJSON *message)
{
    PackageUpdate *p = a->packages;
    const char *id = json_string(message, "id");
    bool from_cloud = control_client_is_link(c);
    _cleanup_(cJSON_Deletep) cJSON *before = agent_find_result(id);
    _cleanup_(error_done) Error err = {};

    if ((p->order && str_equal(json_string(p->order, "id"), id)) || (!before && str_equal(p->journal.id, id)))
        return; /* delivered twice: the answer is on its way */
    if (before) {
        control_send(c, before);
        return;
    }
    int r = from_cloud && !is_number(json_string(message, "version"))
                ? error_set(&err, EINVAL, "agent-update.bad-version",
                            "the \"version\" of the cloud's order must be a number, in digits")
                : check_order(p, message, from_cloud, &err);
    if (r < 0) {
        if (from_cloud)
            agent_refuse(c, message, KIND_AGENT, r == -EBUSY ? 409 : r == -EEXIST ? 423 : 400, &err, r);
        else
            control_send_error(c, id, &err, r);
        return;
    }
    p->asker = c;
    p->order = from_cloud ? cJSON_Duplicate(message, 1) : with_number(message);
    r = p->order ? order_take(a, &err) : -ENOMEM;
    if (r == 0)
        r = package_plan_start(p, &err);
    if (r < 0)
        refuse(p, 503, &err, r);
}

/* What was so before has to be so afterwards, and no more. */
static void begin_order(PackageUpdate *p)
{
    _cleanup_(error_done) Error err = {};
    const UpdateRequest run = { .package = AGENT_PACKAGE,
                                .to = json_string(p->order, "to"),
                                .id = json_string(p->order, "id"),
                                .number = json_string(p->order, "version"),
                                .next = RECOVERY_PACKAGE,
                                .tunnel = link_is_up(p),
                                .recovery = recovery_was_up(),
                                .plan = p->plan_status,
                                .seconds = update_confirm_seconds(p->order) };
    int r = agent_is_busy(p->agent)
                ? error_set(&err, EBUSY, "deploy.busy", "another change has begun; wait for its result")
                : package_start_run(p, &run, &err);

    if (r < 0)
        refuse(p, r == -EBUSY ? 409 : r == -EOPNOTSUPP ? 422 : 503, &err, r);
    else
        log_notice("The packages that look after this box are to become %s", run.to);
}

void package_start_ended(PackageUpdate *p, const Error *err, int r)
{
    bool order = p->starts == PACKAGE_STEP_ORDER && p->order;

    package_update_look(p);
    bool begun = order && (r >= 0 || str_equal(p->journal.id, json_string(p->order, "id")));
    if (begun) {
        if (p->asker && !control_client_is_link(p->asker))
            package_progress_tell(p, p->asker);
        drop_order(p);
    } else if (order) {
        refuse(p, 503, err, r);
    } else if (r < 0) {
        log_failure(LOG_LEVEL_ERROR, NULL, err, r, "The package update waits");
    }
}

/* Following the journal */

/* Of the new version: what it could do before it can do now. */
void package_plan_ended(PackageUpdate *p)
{
    _cleanup_(error_done) Error err = {};

    if (p->order) {
        begin_order(p);
        return;
    }
    if (!agent_update_is_proving(&p->journal, AGENT_PACKAGE))
        return;
    if (p->plan_status != PLAN_GOOD && p->journal.plan == PLAN_GOOD) {
        log_warning("The dry plan ended with %u, and with 200 before this version: it is tried again", p->plan_status);
        return;
    }
    int r = agent_update_write_proof(&p->journal, AGENT_PROOF_PATH, p->boot, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "recovery-agent cannot be shown that this version works");
}

/* For a recovery-agent that cannot ask the gateway. */
static void say_reached(const PackageUpdate *p, usec_t now)
{
    _cleanup_(error_done) Error err = {};

    if (p->link_up_since == 0 || now - p->link_up_since < AGENT_UPDATE_SETTLED ||
        agent_update_is_proved_by(&p->journal, AGENT_REACHED_PATH, p->boot))
        return;
    int r = agent_update_write_proof(&p->journal, AGENT_REACHED_PATH, p->boot, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "recovery-agent cannot be shown that the tunnel is up");
}

static void prove_ourselves(PackageUpdate *p, usec_t now)
{
    _cleanup_(error_done) Error err = {};

    say_reached(p, now);
    if (p->planner || now < p->plan_again || agent_update_is_proved_by(&p->journal, AGENT_PROOF_PATH, p->boot))
        return;
    p->plan_again = now + AGAIN;
    int r = package_plan_start(p, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "This version cannot show yet that it works");
}

static void watch_recovery(PackageUpdate *p, usec_t now)
{
    const AgentUpdateProof proof = {
        .here = agent_update_is_proved_by(&p->journal, RECOVERY_PROOF_PATH, p->boot),
        .far = agent_update_is_proved_by(&p->journal, RECOVERY_REACHED_PATH, p->boot),
    };
    AgentUpdateVerdict verdict =
        agent_update_judge(&p->journal, RECOVERY_PACKAGE, &proof, p->boot, p->link_up_since, now);
    _cleanup_(error_done) Error err = {};

    if (verdict == AGENT_UPDATE_WAIT || p->starter || now < p->ask_again)
        return;
    p->ask_again = now + AGAIN;
    log_notice("%s %s %s", p->journal.package, p->journal.to,
               verdict == AGENT_UPDATE_KEEP ? "has proved itself: it stays" : "has not proved itself: it goes back");
    int r = package_start_verdict(p, verdict == AGENT_UPDATE_KEEP ? "keep" : "back", RECOVERY_PACKAGE, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "That cannot be done yet");
}

/* The first package has proved itself: now the other one. */
static void go_on(PackageUpdate *p, usec_t now)
{
    const AgentUpdate *u = &p->journal;
    /* after a boot it may only not have got through yet */
    bool recovery_up = u->recovery || recovery_was_up();
    const UpdateRequest run = { .package = u->next,
                                .to = u->to,
                                .id = u->id,
                                .number = u->number,
                                .tunnel = recovery_up,
                                .recovery = recovery_up,
                                .plan = (unsigned) u->plan,
                                .seconds = (unsigned) u->seconds };
    _cleanup_(error_done) Error err = {};

    if (p->starter || now < p->ask_again || agent_is_busy(p->agent))
        return;
    p->ask_again = now + AGAIN;
    int r = package_start_run(p, &run, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "%s %s waits", u->next, u->to);
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    package_update_look(userdata);
    return 0;
}

void package_update_look(PackageUpdate *p)
{
    _cleanup_(error_done) Error err = {};
    usec_t now = boottime_usec();
    AgentUpdateState before = p->journal.state;

    agent_update_done(&p->journal);
    int r = agent_update_load(&p->journal, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "The journal of the package update says nothing");
    if (p->journal.state != before && p->journal.state != AGENT_UPDATE_NONE) {
        log_notice("Package update to %s: %s is %s", p->journal.to, p->journal.package, p->journal.state_name);
        if (agent_update_is_open(&p->journal) && package_is_from_cloud(p->journal.number))
            package_progress_tell(p, control_link(p->agent->control));
    }
    p->link_up_since = !link_is_up(p) ? 0 : p->link_up_since > 0 ? p->link_up_since : now;
    if (agent_update_is_proving(&p->journal, AGENT_PACKAGE))
        prove_ourselves(p, now);
    else if (str_equal(p->journal.package, RECOVERY_PACKAGE) && agent_update_is_open(&p->journal))
        watch_recovery(p, now);
    else if (goes_on(&p->journal))
        go_on(p, now);
    else if (p->journal.state != AGENT_UPDATE_NONE && !agent_update_is_open(&p->journal))
        package_result_tell(p);
    if (agent_update_is_open(&p->journal) || goes_on(&p->journal))
        r = timer_arm(p->agent->event, &p->timer, LOOK_INTERVAL, on_timer, p);
    if (r == -ENOMEM)
        log_error("No memory to follow the package update");
}

static void on_change(void *userdata)
{
    package_update_look(userdata);
}

/* What others ask */

/* Not for ever: whoever stands before a box whose line is down may put things right. */
int package_update_check_free(const PackageUpdate *p, Error *err)
{
    const AgentUpdate *u = p ? &p->journal : NULL;

    if (p && p->order)
        return error_set(err, EBUSY, "deploy.busy",
                         "an update of the agents' packages to %s is about to begin; wait for its end",
                         json_string(p->order, "to"));
    if (!u || !(goes_on(u) ? p->starter != NULL : agent_update_is_open(u)) ||
        (!goes_on(u) && agent_update_is_late(u, p->boot, boottime_usec())))
        return 0;
    return error_set(err, EBUSY, "deploy.busy", "the package %s is being updated to %s (%s); wait for its end",
                     u->package, u->to, u->state_name);
}

cJSON *package_update_pending(const PackageUpdate *p)
{
    const AgentUpdate *u = p ? &p->journal : NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;

    if (!p || (!agent_update_is_open(u) && !goes_on(u) && !p->order) || !(o = cJSON_CreateObject()) ||
        json_add_string(o, "id", p->order ? json_string(p->order, "id") : u->id) < 0 ||
        json_add_string(o, "version", p->order ? json_string(p->order, "version") : u->number) < 0 ||
        json_add_string(o, "phase", p->order ? "stage" : u->state_name) < 0)
        return NULL;
    return TAKE_PTR(o);
}

cJSON *package_update_describe(const PackageUpdate *p)
{
    const AgentUpdate *u = &p->journal;
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (u->state == AGENT_UPDATE_NONE || !o || json_add_string(o, "id", u->id) < 0 ||
        json_add_string(o, "state", u->state_name) < 0 || json_add_string(o, "package", u->package) < 0 ||
        json_add_string(o, "from", u->from) < 0 || json_add_string(o, "to", u->to) < 0 ||
        json_add_string(o, "next", u->next) < 0 || json_add_string(o, "why", u->why) < 0)
        return NULL;
    return TAKE_PTR(o);
}

void package_update_note_gone(PackageUpdate *p, const ControlClient *c)
{
    if (p && p->asker == c)
        p->asker = NULL;
}

int package_update_new(Agent *a, PackageUpdate **ret, Error *err)
{
    _cleanup_(freep) char *journal = path_in_root(AGENT_UPDATE_JOURNAL);
    const char *const paths[] = { journal, NULL };
    PackageUpdate *p = calloc(1, sizeof(*p));

    if (!p)
        return error_from_errno(err, -ENOMEM, "watching package updates");
    p->agent = a;
    p->boot = boot_id_read();
    int r = journal && p->boot ? config_watch_new(a->event, on_change, p, &p->watch, err) : -ENOMEM;
    if (r >= 0)
        r = config_watch_set(p->watch, paths);
    if (r < 0) {
        package_update_free(p);
        return error_from_errno(err, r, "watching package updates");
    }
    *ret = p;
    package_update_look(p);
    return 0;
}

PackageUpdate *package_update_free(PackageUpdate *p)
{
    if (!p)
        return NULL;
    config_watch_free(p->watch);
    sd_event_source_disable_unref(p->timer);
    runner_free(p->planner);
    process_free(p->starter);
    agent_update_done(&p->journal);
    cJSON_Delete(p->order);
    free(p->starter_said);
    free(p->told);
    free(p->boot);
    free(p);
    return NULL;
}

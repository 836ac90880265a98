/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/agent/release-update.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/bundle.h"
#include "lib/data/host-mode.h"
#include "lib/data/release-manifest.h"
#include "lib/data/release-order.h"
#include "lib/data/release-record.h"
#include "lib/event/config-watch.h"
#include "lib/event/daemon.h"
#include "lib/event/process.h"
#include "mgmt-agent/agent/order-admission.h"
#include "mgmt-agent/agent/package-update.h"
#include "mgmt-agent/agent/release-result.h"
#include "mgmt-agent/agent/update-result.h"
#include "mgmt-agent/agent/worker-unit.h"
#include "mgmt-agent/state/update-lock.h"

#define ORDER_UNIT "secbox-release-order.service"
#define SECBOXCTL "/usr/bin/secboxctl"
/* a watch may miss what happens while the folder is made */
#define LOOK_INTERVAL (2 * USEC_PER_SEC)
#define TRIES_MAX 3
#define STAGED_MAX (20 * USEC_PER_SEC)
#define START_TIMEOUT (12 * USEC_PER_MINUTE)

struct ReleaseUpdate {
    Agent *agent;
    ReleaseOrder order; /* id NULL: none was ever given */
    ConfigWatch *watch;
    sd_event_source *timer;
    Process *starter; /* brings it and ends */
    char *said;       /* its first line */
    int shown;        /* the state that the cloud was told last */
    unsigned tries;   /* to start it */
    usec_t begun;     /* when it was started last, in time since boot */
};

static void look(ReleaseUpdate *u);

static bool is_under_way(const ReleaseUpdate *u)
{
    return u && u->order.id && !u->order.told;
}

/* It is stored before it is said; a power cut between the two has it said again, which changes nothing. Takes the result. */
static void tell_end(ReleaseUpdate *u, cJSON *ended)
{
    _cleanup_(cJSON_Deletep) cJSON *result = ended;
    _cleanup_(error_done) Error err = {};
    int r = result ? update_result_store(result, true, &err) : -ENOMEM;

    u->order.told = true; /* also where that cannot be written down: a new mgmt-agent says it again */
    if (r >= 0)
        r = release_order_save(&u->order, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "How the release ended cannot be stored; it is said again");
    if (result)
        agent_deliver_result(u->agent, result, true, NULL);
    agent_tell_cloud(u->agent);
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    look(userdata);
    return 0;
}

static void arm(ReleaseUpdate *u)
{
    if (timer_arm(u->agent->event, &u->timer, LOOK_INTERVAL, on_timer, u) < 0)
        log_error("No memory to follow the release");
}

static void on_line(Process *process _unused_, ProcessStream stream _unused_, const char *line, void *userdata)
{
    ReleaseUpdate *u = userdata;

    if (!u->said)
        u->said = strdup(line);
}

/* What it has begun is in the record, and what it has refused in the refusal. */
static bool has_begun(const ReleaseUpdate *u)
{
    _cleanup_(release_record_done) ReleaseRecord record = {};
    _cleanup_(release_refusal_done) ReleaseRefusal refusal = {};

    return (release_record_load(&record, NULL) >= 0 && str_equal(record.id, u->order.id)) ||
           (release_refusal_load(&refusal, NULL) >= 0 && str_equal(refusal.id, u->order.id));
}

static void on_done(Process *process _unused_, int status, bool timed_out, void *userdata)
{
    ReleaseUpdate *u = userdata;
    _cleanup_(freep) char *said = TAKE_PTR(u->said), *ended = process_status_string(status, timed_out);
    _cleanup_(error_done) Error err = {};

    u->starter = process_free(u->starter);
    if (!is_under_way(u) || has_begun(u)) {
        look(u);
    } else if (++u->tries < TRIES_MAX) { /* what an mgmt-agent before us has started may be at work on it */
        arm(u);
    } else {
        int r = error_set(&err, EIO, "release.start",
                          "the release did not begin, and nothing was changed: %s; `journalctl -u " ORDER_UNIT
                          "` on the box tells why",
                          said    ? said
                          : ended ? ended
                                  : "no reason is known");
        tell_end(u, release_result_failed(&u->order, 503, &err, r));
    }
}

/* As a unit of its own where systemd runs us, since our sandbox has no business with programs; else the program beside ours. */
static int make_words(char ***argv)
{
    static const char *const unit[] = {
        "/usr/bin/systemd-run",
        "--quiet",
        "--system",
        "--no-ask-password",
        "--collect",
        "--service-type=oneshot",
        "--property=TimeoutStartSec=10min",
        "--property=UMask=0022",
        ("--unit=" ORDER_UNIT),
        "--description=SecBox: a release that the cloud has ordered",
        "--",
        SECBOXCTL,
    };
    char own[PATH_MAX];
    int r = 0;

    if (worker_unit_is_needed()) {
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(unit); i++)
            r = strv_add(argv, unit[i]);
    } else {
        ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);

        own[n > 0 ? n : 0] = '\0';
        char *slash = strrchr(own, '/');
        if (!slash)
            return -ENOENT;
        *slash = '\0';
        r = strv_addf(argv, "%s/secboxctl", own);
        if (r >= 0 && !str_empty(paths_root()))
            r = strv_add(argv, "--root");
        if (r >= 0 && !str_empty(paths_root()))
            r = strv_add(argv, paths_root());
    }
    if (r >= 0)
        r = strv_add(argv, "release");
    return r < 0 ? r : strv_add(argv, "order");
}

static int start(ReleaseUpdate *u, Error *err)
{
    _cleanup_(strv_freep) char **argv = NULL;
    int r = make_words(&argv);
    const ProcessSpec spec = { .argv = (const char *const *) argv,
                               .env = (const char *const *) environ,
                               .timeout_usec = START_TIMEOUT };

    return r < 0 ? error_from_errno(err, r, "cannot bring a release")
                 : process_spawn(u->agent->event, &spec, on_line, on_done, u, &u->starter, err);
}

static void begin(ReleaseUpdate *u)
{
    _cleanup_(error_done) Error err = {};
    int r = start(u, &err);

    u->begun = boottime_usec();
    if (r < 0)
        tell_end(u, release_result_failed(&u->order, 503, &err, r));
}

static void on_change(void *userdata)
{
    look(userdata);
}

static void follow(ReleaseUpdate *u, const ReleaseRecord *record)
{
    if (!release_record_is_open(record)) {
        tell_end(u, release_result_ended(&u->order, record));
        return;
    }
    if (record->state != u->shown) {
        u->shown = record->state;
        release_progress_tell(&u->order, record, control_link(u->agent->control));
    }
    /* whoever has brought it was killed before it had it carried out, or systemd did not start that */
    if (record->state == RELEASE_STAGED && boottime_usec() - u->begun >= STAGED_MAX)
        begin(u);
}

static void look_at_record(ReleaseUpdate *u)
{
    _cleanup_(release_record_done) ReleaseRecord record = {};
    _cleanup_(release_refusal_done) ReleaseRefusal refusal = {};
    _cleanup_(error_done) Error err = {};
    int r = release_record_load(&record, &err);
    bool ours = r >= 0 && str_equal(record.id, u->order.id);

    if (r >= 0 && !ours)
        r = release_refusal_load(&refusal, &err);
    if (r == -ENOMEM)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "How far the release is cannot be read now");
    else if (r < 0) /* it does not become readable by itself, and meanwhile nothing else would be begun */
        tell_end(u, release_result_failed(&u->order, 503, &err, r));
    else if (ours)
        follow(u, &record);
    else if (str_equal(refusal.id, u->order.id))
        tell_end(u, release_result_refused(&u->order, &refusal));
    else /* we were started anew in between, or it could not be started */
        begin(u);
}

static void look(ReleaseUpdate *u)
{
    if (is_under_way(u) && !u->starter)
        look_at_record(u);
    if (is_under_way(u))
        arm(u);
}

/* An order */

static int check_form(const cJSON *message, Error *err)
{
    const char *number = json_string(message, "version"), *sha256 = json_string(message, "sha256");
    const char *digest = json_string(cJSON_GetObjectItemCaseSensitive(message, "bundle"), "digest");
    uint64_t value;

    if (!number || strspn(number, "0123456789") != strlen(number) || str_to_u64(number, 0, UINT64_MAX, &value) < 0 ||
        !release_version_is_valid(json_string(message, "to")))
        return error_set(err, EINVAL, "release.bad-version",
                         "\"to\" must be the version of a release, and \"version\" a number in digits");
    if (!bundle_digest_is_valid(digest) || !str_equal(digest + strlen(BUNDLE_DIGEST_PREFIX), sha256))
        return error_set(err, EINVAL, "bundle.bad-digest",
                         "\"bundle\" and \"sha256\" must name the archive of the release, both the same one");
    return 0;
}

/* *ret_status of the refusal. */
static int check_order(const ReleaseUpdate *u, const cJSON *message, int *ret_status, Error *err)
{
    _cleanup_(release_record_done) ReleaseRecord record = {};
    _cleanup_(freep) char *holder = NULL;
    int r = check_form(message, err);

    *ret_status = 400;
    if (r < 0)
        return r;
    *ret_status = 422;
    if (!box_is_without_containers())
        return error_set(err, EOPNOTSUPP, "release.unsupported",
                         "this box runs its services in containers: push a compose file");
    *ret_status = 423;
    if (update_lock_read(&holder) > 0)
        return error_set(err, EEXIST, "update.locked", "updates are held by %s", holder);
    *ret_status = 409;
    r = agent_is_busy(u->agent)
            ? error_set(err, EBUSY, "deploy.busy", "another change is under way; wait for its result")
            : package_update_check_free(u->agent->packages, err);
    if (r >= 0)
        r = release_update_check_free(u, err);
    if (r < 0)
        return r;
    *ret_status = 503;
    r = release_record_load(&record, err);
    /* what is staged is carried out at once or never, and gives way to another one */
    if (r < 0 || !release_record_is_open(&record) || record.state == RELEASE_STAGED)
        return r;
    *ret_status = 409;
    return error_set(err, EBUSY, "release.busy", "somebody on the box brings a release right now; wait for its end");
}

static int take_order(ReleaseUpdate *u, const cJSON *message, Error *err)
{
    ReleaseOrder order = { .at = realtime_usec(), .seconds = update_confirm_seconds(message) };
    int r = json_set(&order.id, json_string(message, "id"));
    if (r >= 0)
        r = json_set(&order.number, json_string(message, "version"));
    if (r >= 0)
        r = json_set(&order.to, json_string(message, "to"));
    if (r >= 0)
        r = json_set(&order.sha256, json_string(message, "sha256"));
    if (r >= 0)
        r = json_set(&order.who, order_signed_by(u->agent));
    if (r >= 0)
        r = order_take(u->agent, err);
    if (r >= 0)
        r = release_order_save(&order, err);
    if (r < 0) {
        release_order_done(&order);
        return error_from_errno(err, r, "cannot note what was ordered");
    }
    release_order_done(&u->order);
    u->order = order;
    u->shown = RELEASE_NONE;
    u->tries = 0;
    return 0;
}

void release_update_handle(Agent *a, ControlClient *c, const cJSON *message)
{
    ReleaseUpdate *u = a->releases;
    const char *id = json_string(message, "id");
    _cleanup_(cJSON_Deletep) cJSON *before = agent_find_result(id);
    _cleanup_(error_done) Error err = {};
    int status = 503;

    if (!before && str_equal(u->order.id, id) && is_under_way(u))
        return; /* delivered twice: the answer is on its way */
    if (before) {
        control_send(c, before);
        return;
    }
    int r = check_order(u, message, &status, &err);
    if (r >= 0) {
        status = 503;
        r = take_order(u, message, &err);
    }
    if (r < 0) {
        agent_refuse(c, message, KIND_RELEASE, status, &err, r);
        return;
    }
    log_notice("The data plane is to become release %s", u->order.to);
    begin(u);
    look(u);
}

/* What others ask */

int release_update_check_free(const ReleaseUpdate *u, Error *err)
{
    return is_under_way(u)
               ? error_set(err, EBUSY, "deploy.busy", "release %s is being put in place; wait for its end", u->order.to)
               : 0;
}

cJSON *release_update_pending(const ReleaseUpdate *u)
{
    _cleanup_(cJSON_Deletep) cJSON *o = is_under_way(u) ? cJSON_CreateObject() : NULL;

    if (!o || json_add_string(o, "id", u->order.id) < 0 || json_add_string(o, "version", u->order.number) < 0 ||
        json_add_string(o, "phase", release_phase(u->shown)) < 0)
        return NULL;
    return TAKE_PTR(o);
}

int release_update_new(Agent *a, ReleaseUpdate **ret, Error *err)
{
    _cleanup_(freep) char *record = path_in_root(RELEASE_STATE_DIR "/record.json"),
                          *refused = path_in_root(RELEASE_STATE_DIR "/refused.json");
    const char *const paths[] = { record, refused, NULL };
    _cleanup_(error_done) Error why = {};
    ReleaseUpdate *u = calloc(1, sizeof(*u));

    if (!u)
        return error_from_errno(err, -ENOMEM, "watching releases");
    u->agent = a;
    int r = release_order_load(&u->order, &why);
    if (r < 0) /* no reason not to start */
        log_failure(LOG_LEVEL_ERROR, NULL, &why, r, "What release was ordered last is not known");
    r = record && refused ? config_watch_new(a->event, on_change, u, &u->watch, err) : -ENOMEM;
    if (r >= 0)
        r = config_watch_set(u->watch, paths);
    if (r < 0) {
        release_update_free(u);
        return error_from_errno(err, r, "watching releases");
    }
    *ret = u;
    look(u);
    return 0;
}

ReleaseUpdate *release_update_free(ReleaseUpdate *u)
{
    if (!u)
        return NULL;
    config_watch_free(u->watch);
    sd_event_source_disable_unref(u->timer);
    process_free(u->starter);
    release_order_done(&u->order);
    free(u->said);
    free(u);
    return NULL;
}

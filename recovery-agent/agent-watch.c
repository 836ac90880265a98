/* SPDX-License-Identifier: MIT */
/* The journal is looked at every few seconds, whether or not this box is paired: an update can also be asked for on the box. */
#include "recovery-agent/agent-watch.h"

#include <errno.h>
#include <string.h>

#include "lib/base/boot-id.h"
#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/agent-update.h"
#include "lib/event/daemon.h"

#define LOOK_INTERVAL (5 * USEC_PER_SEC)
/* what is asked for may be refused, or the path unit may have missed it */
#define ASK_AGAIN (30 * USEC_PER_SEC)
#define KEEP_PATH RUN_DIR "/recovery/agent-keep"
#define BACK_PATH RUN_DIR "/recovery/agent-back"

struct AgentWatch {
    sd_event *event;
    sd_event_source *timer;
    const usec_t *up_since;
    char *boot, *id, *package; /* the update that is watched */
    usec_t proving_since;      /* when we first saw it proving; 0 = not */
    usec_t said_since;         /* when we first saw it say that its tunnel is up; 0 = not */
    usec_t answered;           /* asked then, the management tunnel answered */
    usec_t reached;            /* asked then, the gateway answered us */
    usec_t ask_again;
};

/* A path unit sees the file: what lies in it is not read. */
static void ask_root(AgentWatch *w, const AgentUpdate *u, AgentUpdateVerdict verdict, usec_t now)
{
    _cleanup_(freep) char *path = path_in_root(verdict == AGENT_UPDATE_KEEP ? KEEP_PATH : BACK_PATH);
    _cleanup_(error_done) Error err = {};

    if (now < w->ask_again)
        return;
    w->ask_again = now + ASK_AGAIN;
    log_notice("%s %s %s", u->package, u->to,
               verdict == AGENT_UPDATE_KEEP ? "has proved itself: it stays" : "has not proved itself: it goes back");
    int r = path ? file_write_atomic(path, "", 0, 0600, (uid_t) -1, (gid_t) -1, &err) : -ENOMEM;
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "that cannot be asked for yet");
}

static void begin(AgentWatch *w, const AgentUpdate *u, usec_t now)
{
    if (!str_equal(w->id, u->id) || !str_equal(w->package, u->package)) {
        free(w->id);
        free(w->package);
        w->id = strdup(u->id);
        w->package = strdup(u->package);
        w->proving_since = w->said_since = w->ask_again = 0;
    }
    if (u->state != AGENT_UPDATE_PROVING)
        w->proving_since = w->said_since = 0;
    else if (w->proving_since == 0)
        w->proving_since = now;
}

/* Only what was asked after the new version ran counts for it. */
static bool is_since(const AgentWatch *w, usec_t asked)
{
    return w->proving_since > 0 && asked >= w->proving_since;
}

static void watch_agent(AgentWatch *w, const AgentUpdate *u, usec_t now)
{
    const bool said = agent_update_is_proved_by(u, AGENT_REACHED_PATH, w->boot);

    if (!said)
        w->said_since = 0;
    else if (w->said_since == 0)
        w->said_since = now;
    const AgentUpdateProof proof = { .here = agent_update_is_proved_by(u, AGENT_PROOF_PATH, w->boot),
                                     .far = is_since(w, w->answered),
                                     .said = said,
                                     /* a line of ours that comes and goes does not make this unsaid */
                                     .denied = said && w->reached >= w->said_since && w->answered < w->reached };
    AgentUpdateVerdict verdict = agent_update_judge(u, AGENT_PACKAGE, &proof, w->boot, *w->up_since, now);

    if (verdict != AGENT_UPDATE_WAIT)
        ask_root(w, u, verdict, now);
}

static void show_ourselves(const AgentWatch *w, const AgentUpdate *u)
{
    const struct {
        const char *path;
        bool so;
    } proofs[] = { { RECOVERY_PROOF_PATH, true }, { RECOVERY_REACHED_PATH, is_since(w, w->reached) } };

    for (size_t i = 0; i < ELEMENTSOF(proofs); i++) {
        _cleanup_(error_done) Error err = {};
        if (!proofs[i].so || agent_update_is_proved_by(u, proofs[i].path, w->boot))
            continue;
        int r = agent_update_write_proof(u, proofs[i].path, w->boot, &err);
        if (r < 0)
            log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "mgmt-agent cannot be shown that this version works");
    }
}

static void look(AgentWatch *w)
{
    _cleanup_(agent_update_done) AgentUpdate u = {};
    usec_t now = boottime_usec();

    if (agent_update_load(&u, NULL) < 0 || !agent_update_is_open(&u))
        return;
    begin(w, &u, now);
    if (str_equal(u.package, AGENT_PACKAGE))
        watch_agent(w, &u, now);
    else if (agent_update_is_proving(&u, RECOVERY_PACKAGE))
        show_ourselves(w, &u);
}

static int on_look(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    AgentWatch *w = userdata;

    look(w);
    return timer_arm(w->event, &w->timer, LOOK_INTERVAL, on_look, w);
}

void agent_watch_note_probe(AgentWatch *w, usec_t asked, bool mgmt_answers)
{
    if (!w)
        return;
    w->reached = asked;
    if (mgmt_answers)
        w->answered = asked;
}

int agent_watch_new(sd_event *event, const usec_t *up_since, AgentWatch **ret, Error *err)
{
    AgentWatch *w = calloc(1, sizeof(*w));

    if (!w)
        return error_from_errno(err, -ENOMEM, "watching mgmt-agent");
    w->event = sd_event_ref(event);
    w->up_since = up_since;
    w->boot = boot_id_read();
    int r = w->boot ? timer_arm(event, &w->timer, LOOK_INTERVAL, on_look, w) : -ENOMEM;
    if (r < 0) {
        agent_watch_free(w);
        return error_from_errno(err, r, "watching mgmt-agent");
    }
    *ret = w;
    return 0;
}

AgentWatch *agent_watch_free(AgentWatch *w)
{
    if (!w)
        return NULL;
    sd_event_source_disable_unref(w->timer);
    sd_event_unref(w->event);
    free(w->boot);
    free(w->id);
    free(w->package);
    free(w);
    return NULL;
}

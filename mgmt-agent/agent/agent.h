/* SPDX-License-Identifier: MIT */
/* mgmt-agent's core: one deployment at a time, done by a worker; the loop itself only decides, routes and waits. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "mgmt-agent/agent/control.h"
#include "mgmt-agent/agent/runner.h"
#include "mgmt-agent/state/journal.h"

#define QUERIES_WAITING_MAX 8

typedef struct AgentOptions {
    const char *worker;        /* path of mgmt-worker */
    char *const *arguments;    /* options passed on to it */
    const char *link_user;     /* whose processes may speak as mgmt-link; NULL = mgmt-link, if there is such a user */
    const char *recovery_user; /* the same of recovery-agent; NULL = secbox-recovery */
    usec_t poll_interval;      /* between checks for new images; 0: as the settings say */
    unsigned pace; /* divides the periods of the service watch, and the pause between tries to finish a change */
} AgentOptions;

/* A question that a worker answers, waiting for its turn. */
typedef struct Query {
    ControlClient *asker; /* NULL when it went away: the answer is dropped */
    char *id;             /* the question's id */
    char *job;
    cJSON *request;
} Query;

typedef struct LogReader LogReader;
typedef struct BoxConfig BoxConfig;
typedef struct Watch Watch;
typedef struct ServiceWatch ServiceWatch;
typedef struct ProjectList ProjectList;
typedef struct HostHealth HostHealth;
typedef struct BoxSealKey BoxSealKey;
typedef struct Pairing Pairing;
typedef struct PackageUpdate PackageUpdate;
typedef struct ReleaseUpdate ReleaseUpdate;
typedef struct SignedOrder SignedOrder;

typedef struct Agent {
    sd_event *event;
    RunnerOptions runner_options;
    Control *control;
    char *device_id;      /* NULL until mgmt-agent.env has been good once */
    BoxConfig *config;    /* see box-config.h */
    usec_t recover_pause; /* between tries to finish a change that does not end */
    usec_t stop_alarm;    /* a service that was stopped by hand so long ago is an alarm; 0: none ever is */
    usec_t started_realtime;

    /* the deployment */
    Journal journal;    /* as the last worker left it */
    Runner *deploying;  /* apply, update, recreate, commit, undo, recover, start, restart */
    char *deploying_id; /* id of the message, for duplicates */
    char *deploying_version;
    DeployState was; /* what the journal said when the worker was started */
    bool ended;      /* a worker has just ended */
    bool from_cloud;
    cJSON *result;            /* its compose.result, told when the worker has ended: then the next snapshot may come */
    ControlClient *requester; /* secboxctl that asked for it, or NULL */
    sd_event_source *timer;   /* confirmation deadline, or the next try to recover */

    struct {
        bool done, paused;
        unsigned tries;
        sd_event_source *others_timer; /* the next try with the projects beside the box's own */
        unsigned others_tries;
    } boot; /* see boot-job.c */

    Watch *watch;            /* updates images; see image-watch.h */
    ServiceWatch *services;  /* brings back what is down; see service-watch.h */
    ProjectList *projects;   /* both of them for each of the other projects; see project-watches.h */
    HostHealth *health;      /* see host-health.h */
    BoxSealKey *seal_key;    /* see box-seal-key.h */
    Pairing *pairing;        /* see pairing.h */
    PackageUpdate *packages; /* see package-update.h */
    ReleaseUpdate *releases; /* see release-update.h */
    bool own_job;            /* the job under way is one that nobody asked for: of `services`, or after a boot */
    SignedOrder *order;      /* the signed order that is being handled; see order-admission.h */
    struct {
        cJSON *message;
        ControlClient *from;
    } parked; /* a push or an update that waits for it to end */

    Runner *query;
    Query queries[QUERIES_WAITING_MAX];
    size_t n_queries;

    struct {
        Runner *runner;
        ControlClient *asker; /* as in a Query */
        char *id;
        cJSON *said; /* by the worker */
    } doctor;        /* see ask-doctor.c */

    LogReader *log_readers[LOG_READERS_MAX]; /* see read-logs.c */

    cJSON *link_status; /* the last link.status */
    char *addresses;    /* as host_addresses_write() wrote them last */
    struct {
        bool asked;        /* link.cycle was sent for this change */
        bool known, fresh; /* since when the connection was that had to go; another one has come */
        bool confirmed;    /* it is; committing may take more than one try */
        char *since;
    } connection; /* on which the change is to be confirmed */
} Agent;

int agent_new(sd_event *event, const AgentOptions *options, Agent **ret, Error *err) _must_check_;
Agent *agent_free(Agent *a);
DEFINE_CLEANUP(Agent, agent_free)

bool agent_is_busy(const Agent *a);

/* Starts a deployment job; the request holds "message" and "source". */
int agent_deploy(Agent *a, const char *job, const char *id, const cJSON *request, ControlClient *requester,
                 bool from_cloud, Error *err) _must_check_;
/* Queues a question for a worker. agent.busy when too many wait. */
int agent_ask(Agent *a, const char *job, const char *id, cJSON *request, ControlClient *asker, Error *err) _must_check_;
/* Reads the journal and decides what follows: arm the deadline, recover, or nothing. */
void agent_follow_journal(Agent *a);
/* Asks mgmt-link, once for each change, for a new connection when the change waits for its confirmation: none that comes on
 * an older one counts. */
void agent_cycle_link(Agent *a);
/* The change that waits for its confirmation has it; the guard hears of it, too. */
void agent_note_confirmed(Agent *a);
/* Hears of each link.status, and sees when that new connection is there. */
void agent_note_connection(Agent *a, const cJSON *status);

/* handlers.c */
void agent_handle(Agent *a, ControlClient *c, const cJSON *message, const MessageType *type);
/* Nobody waits behind what this box does by itself to bring a service back: the change follows it. True when it does. */
bool agent_park(Agent *a, ControlClient *c, const cJSON *message);
/* A snapshot, new or (`goes_back`) one that this box ran before. */
void agent_take_snapshot(Agent *a, ControlClient *c, const cJSON *wire, bool goes_back);
/* An answer to a change that is refused before any work: not stored, the asker may send it again. `kind` is that of its result,
 * NULL for a push. */
void agent_refuse(ControlClient *c, const cJSON *message, const char *kind, int status, const Error *err, int r);
/* What the box said when it was asked the same before: a gateway that was killed asks again. NULL when it was not. */
cJSON *agent_find_result(const char *id);
/* The same for whoever must not take a history that cannot be read for an empty one: NULL, 0 when it was not asked. */
int agent_look_up_result(const char *id, cJSON **ret, Error *err) _must_check_;
/* Takes up what was parked. */
void agent_take_parked(Agent *a);
/* What is said when the worker has said nothing and left nothing to recover: what it has stored, or, of a push, that it
 * failed. A new compose.result, or NULL. */
cJSON *agent_make_result(const Agent *a, bool is_push);
/* A compose.result: to the link when the cloud asked, to the requester, to the log. */
void agent_deliver_result(Agent *a, const cJSON *result, bool to_cloud, ControlClient *requester);
/* agent.status, when a tunnel is up: after each change of where this box stands. */
void agent_tell_cloud(Agent *a);

/* key-vouch.c: where other roles' programs leave what their keys are; ends with NULL. */
extern const char *const key_offer_paths[];
/* Tells the cloud which they are, so that it takes no others (lib/tunnel/voucher.h): when a tunnel is up, and when they change. */
void agent_vouch(const Agent *a);
/* "device" and "recovery", their thumbprints, where they are there. 0 or -ENOMEM. */
int agent_add_keys(cJSON *o) _must_check_;

/* Does so after a while; any job that starts before puts it off to its end. */
void agent_follow_later(Agent *a, usec_t delay);
/* A job on what the journal or the store holds, asked for by nobody; it is tried again when it cannot be started. */
void agent_start_job(Agent *a, const char *job, bool tell_cloud);

/* container-jobs.c */
/* container.restart, container.recreate */
void agent_handle_service(Agent *a, ControlClient *c, const cJSON *message);
bool agent_is_service_job(const char *job);
/* container.result for whoever asked, from what the worker said: container.result, compose.result, or nothing (NULL). */
void agent_answer_service(Agent *a, const cJSON *result, ControlClient *requester);

/* projects.c */
/* project.order: all of a project stopped, started, restarted or removed. */
void agent_handle_project(Agent *a, ControlClient *c, const cJSON *message);
/* The project that a message is about: *ret is borrowed from it; NULL: the box's own. project.bad-name */
int agent_project_of(const cJSON *message, const char **ret, Error *err) _must_check_;
/* project.result for whoever asked; `result` is the worker's, or NULL. */
void agent_answer_project(Agent *a, const cJSON *result, ControlClient *requester);
/* Has the worker's request be about the message's project, if that is not the box's own. */
int agent_add_project(cJSON *request, const cJSON *message) _must_check_;
/* What is known of the other projects, as "projects"; nothing where there are none. */
int agent_add_projects(cJSON *o) _must_check_;
/* Of all projects, the newest result of each that `id` names, as agent_look_up_result(); 0 and NULL when there is none. */
int agent_look_in_histories(const char *id, size_t limit, cJSON **ret, Error *err) _must_check_;

/* trust-order.c */
/* ssh.revocations */
void agent_handle_revocations(Agent *a, ControlClient *c, const cJSON *message);
/* Adds which edition of them the box has. 0 or -ENOMEM. */
int agent_add_revocations(cJSON *status) _must_check_;
/* trust.root */
void agent_handle_trust_root(Agent *a, ControlClient *c, const cJSON *message);

/* go-back.c */
void agent_handle_rollback(Agent *a, ControlClient *c, const cJSON *message);
/* Where a rollback that names no version would go: a new string, or NULL when there is nothing to go back to. */
char *agent_way_back(void);

/* ask-doctor.c */
/* doctor.ask: one at a time, agent.busy meanwhile. */
void agent_handle_doctor(Agent *a, ControlClient *c, const cJSON *message);
/* Ends it without a word. */
void agent_doctor_done(Agent *a);

/* read-logs.c */
/* logs.read: a worker for each who reads, logs.busy beyond LOG_READERS_MAX. */
void agent_handle_logs(Agent *a, ControlClient *c, const cJSON *message);
/* Who reads is gone, or takes more again. NULL is everybody. */
void agent_logs_gone(Agent *a, const ControlClient *c);
void agent_logs_drained(const Agent *a, const ControlClient *c);

/* boot-job.c */
/* Sees to it, once per boot, that what shall run is started. True when the journal has to wait: a job or a pause is under way. */
bool agent_start_after_boot(Agent *a);
void agent_boot_done(Agent *a);
/* The same of the box's own project; some of the others does not run yet, and is tried again. */
void agent_boot_note_others(Agent *a);

/* agent-report.c */
/* agent.status for the cloud; NULL when out of memory. */
cJSON *agent_make_status(const Agent *a);
/* status.report; `podman` is the worker's worker.status. */
cJSON *agent_make_report(const Agent *a, const char *id, const cJSON *podman);

/* service-names.c */
/* Leaves the names of the deployed services where recovery-agent reads them. */
void agent_publish_services(void);
/* The host's addresses for the service secbox, as mgmt-link told them last. */
void agent_publish_addresses(Agent *a);

/* unchanged.c */
/* Whether this snapshot runs already, as far as the kernel and our own files can tell; then *ret is the result to send. No
 * child process is started. 1 yes, 0 no or not sure. */
int agent_check_unchanged(Agent *a, const cJSON *message, bool from_cloud, cJSON **ret);

/* SPDX-License-Identifier: MIT */
/* What the files of the watcher share. */
#pragma once

#include "mgmt-agent/agent/manual-changes.h"
#include "mgmt-agent/agent/image-watch-notes.h"
#include "mgmt-agent/agent/image-watch.h"
#include "mgmt-agent/agent/project-watches.h"
#include "mgmt-agent/state/project.h"

/* What a round is in. Each step ends by starting the next one. */
typedef enum RoundStep {
    ROUND_NONE,
    ROUND_INSPECT, /* worker inspect, with pre-check hooks when the registries will be asked */
    ROUND_CHECK,   /* worker check */
    ROUND_UPDATE,  /* one deployment after another */
    ROUND_AFTER,   /* worker inspect with post-check hooks */
} RoundStep;

typedef struct Round {
    RoundStep step;
    bool ask;        /* the registries, not only the box */
    bool all;        /* every service that is watched: the next one is due an interval later */
    bool order;      /* somebody asks for it now */
    bool force;      /* and means it: no lock, hook or age holds it back */
    char **only;     /* of these services; NULL: all */
    cJSON *skipped;  /* services whose pre-check hook said "not now", or that do not run: object, service → why */
    cJSON *queue;    /* array of arrays of service names: what one deployment each is about */
    cJSON *results;  /* compose.result of each, for whoever asked */
    char *update_id; /* of the deployment that runs for it */
    ControlClient *asker; /* or NULL */
    char *id;             /* of the asker's message; NULL when nobody asked */
} Round;

struct Watch {
    Agent *agent;
    char *project; /* whose files are looked at while it works; NULL: the box's own */
    sd_event_source *timer;
    usec_t interval; /* from the command line; 0: none */
    usec_t started;  /* wall clock */
    uint64_t random; /* of the next jitter */
    WatchState state;
    Runner *runner;
    cJSON *answer;         /* of the runner's job */
    Round round, waiting;  /* waiting: an order that came while another round, or a push, was under way */
    ManualChanges *manual; /* sees what is done by hand */
    /* CLOCK_BOOTTIME: something was, 0: nothing; when it was last looked at */
    usec_t manual_changes_seen, manual_changes_inspected;
    usec_t manual_changes_rest; /* how long it is not looked again */
    usec_t own_end;             /* CLOCK_BOOTTIME: of the last change of our own */
    char *followed;             /* id of the deployment that it follows */
    char *complaint;            /* about the settings, said once */
};

void round_done(Round *r);
bool round_includes(const Round *r, const char *service);

/* image-watch.c */
int watch_save(Watch *w);
/* Brings settings and entries up to date. 0 when the watcher may work. */
int watch_refresh(Watch *w, WatchConfig *ret) _must_check_;

/* image-watch-round.c */
/* Takes the round. */
void watch_begin(Watch *w, Round *r);
/* The next deployment of the round, if the agent is idle; its end when there is none. */
void watch_next_update(Watch *w);

/* image-watch-report.c: settings in, reports out. */
int watch_load_config(const Watch *w, WatchConfig *ret, Error *err) _must_check_;
/* updates.report for one asker; NULL when out of memory. */
cJSON *watch_make_report(Watch *w, const char *id, const cJSON *results);

/* image-watch-inspect.c: what a look found. */
void watch_take_inspection(Watch *w, const cJSON *answer);

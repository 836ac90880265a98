/* SPDX-License-Identifier: MIT */
/* What the files of the service watch share. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/limits.h"
#include "mgmt-agent/agent/agent.h"
#include "mgmt-agent/agent/manual-changes.h"
#include "mgmt-agent/agent/service-rules.h"
#include "mgmt-agent/agent/service-watch.h"
#include "mgmt-agent/health/container-values.h"
#include "mgmt-agent/state/services-file.h"

typedef struct ServiceEntry {
    ServiceWatch *watch;
    char *name, *id;
    char *log;    /* its last lines when it was not well */
    char *health; /* the last one that its file has shown */
    int exit_code;
    RestartPolicy policy;
    unsigned max_retries;
    bool one_shot;           /* had ended well when it was proved */
    char **owners;           /* services with which it shares a network, processes or memory */
    uint64_t followed_ticks; /* the start of one of them behind which it was started again */
    pid_t pid;               /* of its first process, with the time of its start, as podman has said it last */
    uint64_t ticks;
    ServiceRecord record;
    char *pid_file; /* beside its folder podman keeps the result of health checks */
    sd_event_source *on_health, *on_folder;
    usec_t health_interval,
        health_at;         /* of its health check; CLOCK_BOOTTIME of its last result, or since when one is expected */
    bool health_by_us;     /* podman does not run it by itself */
    char **ports;          /* of the machine that podman publishes for it: "ADDRESS:PORT/PROTOCOL" */
    uint64_t missed_ticks; /* the start of the process for which a look at them has found nobody; 0: it was fine */
    char *cut_off;         /* a sentence about it, when the look after that has found the same; NULL: all is well */
    ContainerValues usage; /* at the look before */
} ServiceEntry;

struct ServiceWatch {
    Agent *agent;
    char *project; /* NULL: the box's own */
    ServiceTimes times;
    unsigned pace;
    ServiceEntry entries[COMPOSE_SERVICES_MAX];
    size_t n;
    ServiceEntry removed[COMPOSE_SERVICES_MAX];
    size_t n_removed;
    char *followed, *version; /* of the deployment */
    ManualChanges *processes;
    sd_event_source *timer;
    Runner *runner;
    cJSON *answer;
    sd_event_source *ports_timer;
    sd_event_source *health_timer;
    Runner *health_runner;
    usec_t health_ended; /* CLOCK_BOOTTIME: when we had checks run last */
    usec_t ask_at;       /* CLOCK_BOOTTIME; USEC_INFINITY: nothing has happened */
    usec_t asked, rest;  /* the last time podman was asked, and how long it then is not */
    usec_t retry;        /* podman cannot be asked: how long until the next try; 0: it can */
    char *error;         /* why */
};

/* service-watch.c */
void service_entry_done(ServiceEntry *e);
void service_watch_ask_in(ServiceWatch *w, usec_t delay);

/* service-watch-follow.c: what is deployed, and what the kernel tells about it. */
void service_watch_follow(ServiceWatch *w);
/* Follows the processes that a look has found, and the files that say what a process does not. */
void service_watch_follow_found(ServiceWatch *w, const cJSON *facts);

/* service-watch-health.c: health checks that podman does not run by itself. */
void service_watch_arm_health(ServiceWatch *w);
/* A result has come. */
void service_entry_checked(ServiceEntry *e);

/* service-watch-ports.c: published ports that nobody listens on. */
int service_entry_take_ports(ServiceEntry *e, const CurrentService *s);
bool service_entry_is_cut_off(const ServiceEntry *e);
void service_watch_arm_ports(ServiceWatch *w);

/* service-watch-report.c: what is remembered and said. */
void service_watch_save(const ServiceWatch *w);
/* What was remembered of this service, if it is the same container. */
void service_watch_recall(ServiceEntry *e, const ServicesFile *remembered);
/* The same without a look at which container it was. */
void service_watch_recall_entry(ServiceEntry *e, const ServiceStatus *s);
void service_entry_log(const ServiceEntry *e, const ServiceRecord *before);

/* service-watch-removed.c: what a deployment has taken away in the middle of its trouble. */
/* False: it was in none, and is left to the caller. */
bool service_watch_remove(ServiceWatch *w, ServiceEntry *e);
void service_watch_forget_removed(ServiceWatch *w);
void service_watch_recall_removed(ServiceWatch *w, const ServicesFile *remembered);

/* SPDX-License-Identifier: MIT */
/* What the doctor's checks find out once, and how one answers. */
#pragma once

#include "env/env-file.h"
#include "lib/data/json.h"
#include "mgmt-agent/host/podman-user.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

typedef enum Verdict {
    VERDICT_PASS,
    VERDICT_FAIL,
    VERDICT_UNKNOWN,
} Verdict;

typedef struct Finding {
    Verdict verdict;
    char *detail; /* what was seen */
    char *advice; /* what to do about it; NULL when it passed */
} Finding;

typedef struct Doctor {
    const Secboxctl *ctl;
    EnvFile *agent_env;  /* NULL when it cannot be read */
    PodmanUser user;     /* name NULL when it cannot be told */
    cJSON *report;       /* the agent's status.report or NULL */
    const cJSON *status; /* borrowed from it */
    char *graph_root;    /* podman's, NULL when podman did not answer */
} Doctor;

typedef struct DoctorCheck {
    const char *id;
    void (*run)(Doctor *d, Finding *f);
} DoctorCheck;

/* Ends with {}; in an order in which each may use what the ones before found out. */
extern const DoctorCheck doctor_checks[];

/* Set the finding once; the strings are taken from printf-like text. */
void finding_pass(Finding *f, const char *fmt, ...) _printf_(2, 3);
/* `advice` is a literal sentence of what to do. */
void finding_set(Finding *f, Verdict verdict, const char *advice, const char *fmt, ...) _printf_(4, 5);

/* doctor-podman.c */
void check_podman(Doctor *d, Finding *f);
void check_podman_compose(Doctor *d, Finding *f);
/* doctor-host.c */
void check_clock(Doctor *d, Finding *f);
void check_time_sync(Doctor *d, Finding *f);
void check_state_space(Doctor *d, Finding *f);
void check_podman_space(Doctor *d, Finding *f);
void check_dns(Doctor *d, Finding *f);

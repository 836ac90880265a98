/* SPDX-License-Identifier: MIT */
/* What the checks of `secbox-gateway doctor` share. They see the gateway as its unit starts it: by the env file. */
#pragma once

#include "gateway/settings.h"
#include "lib/cli/finding.h"
#include "lib/postgres/probe.h"

typedef struct Doctor {
    const char *env_file;
    char *options_text;  /* what the unit adds to the command line; NULL: nothing */
    char **words;        /* its words */
    const char *unknown; /* the first that is no option of serve */
    Settings settings;   /* what they say; borrowed from `words` */
    char *database;      /* secret; NULL when nobody names one */
    Error env_error;     /* why the env file cannot be read; id NULL: it can, or it is not there */
    bool env_is_there;
    char host[256]; /* by which boxes call the gateway; "" when nobody says */
    bool probed;
    StoreProbe probe;
    Error probe_error;
    int probe_result;
} Doctor;

/* doctor-settings.c */
/* Reads the env file, as whoever asks; `given` is the command line. */
int doctor_load(Doctor *d, const Settings *given, Error *err) _must_check_;
void doctor_done(Doctor *d);
void check_env_file(Doctor *d, Finding *f);
void check_options(Doctor *d, Finding *f);
void check_issuer(Doctor *d, Finding *f);

/* doctor-serving.c */
void check_serving(Doctor *d, Finding *f);

/* doctor-certificate.c; of a gateway that does TLS itself */
void check_certificate(Doctor *d, Finding *f);
void check_chain(Doctor *d, Finding *f);
void check_key(Doctor *d, Finding *f);

/* doctor-database.c */
void check_database(Doctor *d, Finding *f);
void check_database_writes(Doctor *d, Finding *f);
void check_schema(Doctor *d, Finding *f);

/* doctor-signer.c */
void check_signer(Doctor *d, Finding *f);

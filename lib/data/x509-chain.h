/* SPDX-License-Identifier: MIT */
/* What is to be said of the certificate that a server is started with, before its clients say it. */
#pragma once

#include <stdbool.h>

#include "lib/data/x509-authority.h"

typedef struct ChainFacts {
    CertValidity validity; /* of the first certificate */
    bool fits;             /* it is for the host that was asked for */
    bool serves;           /* it may be a server's */
    char *names;           /* that it is for: "DNS:cloud.example" … */
    bool known;            /* this machine trusts it through what the file holds */
    bool closed;           /* the file goes up to a certificate that has signed itself */
    char *missing;         /* otherwise the name of who signed the last one in it */
    char *found;           /* the file beside it that holds that one, and which is no root; NULL: none */
} ChainFacts;

/* Of a file with a chain in PEM. "x509.bad", file.*. */
int x509_chain_read(const char *path, const char *host, ChainFacts *ret, Error *err) _must_check_;
void chain_facts_done(ChainFacts *c);

/* Whether the key in that file is the first certificate's. "x509.bad", file.*. */
int x509_key_check(const char *path, const char *key_path, Error *err) _must_check_;

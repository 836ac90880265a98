/* SPDX-License-Identifier: MIT */
/* A claim with an enrolment token instead of a bootstrap token that is known: the box waits until an operator lets it in. Then the
 * bootstrap token that it has made for itself is good, as if an operator had handed it out. */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/store/enrolments-table.h"
#include "lib/postgres/store.h"

/* After so many seconds a box that waits asks again. */
#define ENROLMENT_ASK_AGAIN 10

typedef struct EnrolmentClaim EnrolmentClaim;

/* r = 0: the box has just been let in: its bootstrap token is known now. Otherwise negative. -EACCES enrolment.pending: it waits;
 * -EKEYREJECTED enrolment.invalid, .expired, .revoked, .used-up; -EACCES enrolment.denied; -EEXIST enrolment.name-taken,
 * .let-in-before; store.*. Runs once, from the loop; the claim is over and freed afterwards. */
typedef void (*enrolment_done_t)(int r, const Error *err, void *userdata);

typedef struct EnrolmentRequest {
    const char *token; /* as the box sent it */
    const char *device, *bootstrap_hash, *thumbprint, *peer;
    const cJSON *machine; /* as the box sent it; what is in it is checked here; may be NULL */
    unsigned bootstrap_hours;
} EnrolmentRequest;

/* All of the request is copied. Errors: store.*. */
int enrolment_claim_start(Store *store, const EnrolmentRequest *request, enrolment_done_t on_done, void *userdata,
                          EnrolmentClaim **ret, Error *err) _must_check_;
/* on_done is not called any more. NULL-safe. */
EnrolmentClaim *enrolment_claim_free(EnrolmentClaim *c);

/* Of what a box says of its machine, the members that people are shown, each of a form that can be shown: a new object; NULL when
 * out of memory. */
cJSON *enrolment_machine(const cJSON *said);

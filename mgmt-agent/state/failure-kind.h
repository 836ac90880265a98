/* SPDX-License-Identifier: MIT */
/* What a failure of a deployment means beyond itself, by its id: in the journal, in the history, and as it happens. Pure. */
#pragma once

typedef enum FailureKind {
    FAILURE_OTHER,
    FAILURE_OF_IMAGE, /* of an update: its images are to blame, and are not tried again by themselves */
    FAILURE_PUT_OFF,  /* of an update that the box takes by itself: it just comes again */
    FAILURE_NOT_HERE, /* the order was about something that this box does not have */
} FailureKind;

/* NULL is no failure: FAILURE_OTHER. */
FailureKind failure_kind(const char *error_id);

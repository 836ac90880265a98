/* SPDX-License-Identifier: MIT */
/* pairing.json: whether this box belongs to a cloud, and by which claim. Beside it, while it is under way, the next text of
 * mgmt-agent.env: what pairing.json says is carried out by whoever starts next. */
#pragma once

#include "lib/data/json-fields.h"

typedef enum PairingState {
    PAIRING_UNKNOWN, /* there is no file yet */
    PAIRING_UNCLAIMED,
    PAIRING_CLAIMING,
    PAIRING_CLAIMED,
} PairingState;

typedef struct PairingFile {
    PairingState state;
    usec_t since; /* wall clock; 0: from before there was this file */
    char *device_id, *cloud, *gateway, *community;
    char *boot_digest; /* of the claim's token: the same claim again is no other one */
    cJSON *error;      /* why the last claim came to nothing */
    char *pin;         /* secret, though not for long: of the pairing page */
    unsigned failures; /* wrong ones in a row */
    char *next;        /* SHA-256 of the text that mgmt-agent.env has to become */
    bool forget;       /* mgmt-link has to give up what it had before */
    cJSON *rest;
} PairingFile;

const char *pairing_state_name(PairingState state);

void pairing_file_done(PairingFile *f);
/* PAIRING_UNKNOWN when there is none. */
int pairing_file_load(PairingFile *ret, Error *err) _must_check_;
int pairing_file_save(const PairingFile *f, Error *err) _must_check_;

/* The text, durable before pairing.json names its digest. */
int pairing_next_save(PairingFile *f, const char *text, Error *err) _must_check_;
/* The text that `next` names; *ret is NULL when there is nothing to carry out. Secret. */
int pairing_next_load(const PairingFile *f, char **ret, Error *err) _must_check_;
/* It is carried out, or was never meant to be. */
int pairing_next_remove(Error *err) _must_check_;

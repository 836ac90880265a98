/* SPDX-License-Identifier: MIT */
/* The UNIX socket in the run folder by which secboxctl on the host asks secbox: one question a connection, lines of JSON
 * (docs/wire-format.md, `data.ask`). Whoever may write to the folder may ask. */
#pragma once

#include <cjson/cJSON.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"
#include "lib/postgres/store.h"

typedef struct Control Control;
/* One question. It lives until it is answered, or until whoever asked has gone. */
typedef struct Question Question;

/* Answers at once, or begins something that does. */
typedef void (*control_on_ask_t)(Question *q, const cJSON *message, void *userdata);

/* Errors: control.socket. */
int control_new(sd_event *event, const char *path, control_on_ask_t on_ask, void *userdata, Control **ret,
                Error *err) _must_check_;
/* Nothing is called any more; open questions are cut off. */
Control *control_free(Control *c);
DEFINE_CLEANUP(Control, control_free)

/* Each ends the question. `report` is taken and may be NULL: no memory. */
void question_answer(Question *q, cJSON *report);
void question_refuse(Question *q, int r, const Error *err);
/* Where its statement is: it is silenced when whoever asked goes away. */
StoreQuery **question_query(Question *q);
/* The on_ask's userdata. */
void *question_userdata(const Question *q);
/* A pointer to the question, which becomes NULL when the question ends. */
void question_keep_link(Question *q, Question **link);

/* SPDX-License-Identifier: MIT */
/* One file of what the box remembers: below AGENT_STATE_DIR, root only, written atomically and durable when saving returns. Members
 * that are not known here are kept by whoever has a place for them, so that another version of the agent finds its own again. */
#pragma once

#include "lib/data/json-fields.h"

/* -ENOENT when it is missing, *ret being NULL then and `err` empty; store.read when it cannot be read. */
int state_file_load(const char *name, cJSON **ret, Error *err) _must_check_;
int state_file_save(const char *name, const cJSON *value, Error *err) _must_check_;

/* The same of a struct, which is json_done()'s in any case. A member of the wrong kind counts as absent. */
int state_load(const char *name, const JsonType *type, void *ret, Error *err) _must_check_;
int state_save(const char *name, const JsonType *type, const void *value, Error *err) _must_check_;

/* Replaces a file of what the box remembers as file_write_atomic() does, 0600. A folder in its place, which no file could take the
 * place of, is set aside, and a warning says so. */
int state_write(const char *path, const char *text, size_t len, Error *err) _must_check_;
/* Renames what is there to NAME.unreadable, which it replaces, whatever either is. file.write */
int state_set_aside(const char *path, Error *err) _must_check_;

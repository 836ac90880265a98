/* SPDX-License-Identifier: MIT */
/* Which configuration is used: the one on the box, or the one that worked last. */
#pragma once

#include "recovery-agent/recovery-impl.h"

/* The one on the box, and beside it the one that worked last; that alone when the former is damaged. */
int config_load(Recovery *r, Error *err) _must_check_;
/* What is watched is known before it is read. `ca_file` may be NULL. */
int config_watch_files(Recovery *r, const char *ca_file) _must_check_;
/* One of those files has changed: the process ends when nobody is in. For config_watch_new(). */
void config_on_change(void *recovery);
/* The gateway has been reached with this configuration: it is the one to come back to. Tried again until it is kept. */
void config_keep(Recovery *r);
/* The gateway is not reached: takes the other one, if there is one. */
bool config_try_other(Recovery *r);
/* For doctor, for mgmt-agent, and for the cloud, each of which may be the only one that we reach. err NULL: all is well. */
void config_tell(Recovery *r, const Error *err, int code);

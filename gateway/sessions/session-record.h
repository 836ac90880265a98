/* SPDX-License-Identifier: MIT */
/* What is written down of a support session, each step once however often the database has to be asked. */
#pragma once

#include "gateway/sessions/session-object.h"

/* Writes what is not in the database yet. A session that has ended is freed when its end is written. */
void support_session_save(SupportSession *v);
void support_session_audit_refusal(const SupportSession *v);
/* That this one ends because the other takes its place; before it ends. */
void support_session_audit_displaced(const SupportSession *v, const SupportSession *by);
void support_session_log_open(const SupportSession *v);
void support_session_log_end(const SupportSession *v);

/* SPDX-License-Identifier: MIT */
/* The HTTP interface as a table (docs/wire-format.md). */
#pragma once

#include "gateway/http/request.h"

typedef enum RouteAccess {
    ACCESS_ANYONE,   /* the handler checks for itself (boxes), or nobody has to */
    ACCESS_OPERATOR, /* a named operator token */
} RouteAccess;

struct Route {
    const char *method;
    const char *path; /* a star stands for one segment */
    RouteAccess access;
    void (*handler)(Request *c);
    const char *help;
};

extern const Route routes[]; /* ends with {} */

/* Answers one request, now or later. */
void api_handle(Gateway *g, HttpExchange *x);

/* api-devices.c */
void api_devices_list(Request *c);
void api_devices_add(Request *c);
void api_devices_show(Request *c);
void api_devices_bootstrap(Request *c);
void api_devices_block(Request *c);
void api_devices_unblock(Request *c);
/* api-deployments.c */
void api_snapshot_push(Request *c);
void api_deployments_list(Request *c);
void api_deployments_show(Request *c);
/* Waits for the end of deployment args[0]/version, then answers with its status and result. */
void api_wait_for_end(Request *c);
/* api-query.c */
void api_status(Request *c);
void api_plan(Request *c);
/* Checks a compose file the way the box will. -EFBIG, -EINVAL (YAML), -EBADMSG (content), with the place. */
int api_check_compose(const cJSON *body, const char **ret, Error *err) _must_check_;
/* api-grants.c */
void api_grants_add(Request *c);
void api_grants_list(Request *c);
void api_grants_show(Request *c);
void api_grants_revoke(Request *c);
void api_sessions_list(Request *c);
/* api-certificates.c */
void api_grants_certificate(Request *c);
void api_support_ca(Request *c);
/* api-rollouts.c */
void api_rollouts_list(Request *c);
void api_rollouts_show(Request *c);
void api_rollouts_pause(Request *c);
void api_rollouts_resume(Request *c);
void api_rollouts_abort(Request *c);
/* Answers with rollout args[0]. */
void api_rollout_answer(Request *c, int status);
/* api-rollouts-start.c */
void api_rollouts_start(Request *c);
/* api-audit.c */
void api_audit_list(Request *c);

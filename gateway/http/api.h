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
    void (*handler)(Call *c);
    const char *help;
};

extern const Route routes[]; /* ends with {} */

/* Answers one request, now or later. */
void api_handle(Gateway *g, HttpExchange *x);

/* api-devices.c */
void api_devices_list(Call *c);
void api_devices_add(Call *c);
void api_devices_show(Call *c);
void api_devices_bootstrap(Call *c);
void api_devices_block(Call *c);
void api_devices_unblock(Call *c);
/* api-deployments.c */
void api_snapshot_push(Call *c);
void api_deployments_list(Call *c);
void api_deployments_show(Call *c);
/* Waits for the end of deployment args[0]/version, then answers with its status and result. */
void api_wait_for_end(Call *c);
/* api-query.c */
void api_status(Call *c);
void api_plan(Call *c);
/* Checks a compose file the way the box will. -EFBIG, -EINVAL (YAML), -EBADMSG (content), with the place. */
int api_check_compose(const cJSON *body, const char **ret, Error *err) _must_check_;
/* api-grants.c */
void api_grants_add(Call *c);
void api_grants_list(Call *c);
void api_grants_show(Call *c);
void api_grants_revoke(Call *c);
void api_sessions_list(Call *c);
/* api-certificates.c */
void api_grants_certificate(Call *c);
void api_support_ca(Call *c);
/* api-rollouts.c */
void api_rollouts_list(Call *c);
void api_rollouts_show(Call *c);
void api_rollouts_pause(Call *c);
void api_rollouts_resume(Call *c);
void api_rollouts_abort(Call *c);
/* Answers with rollout args[0]. */
void api_rollout_answer(Call *c, int status);
/* api-rollouts-start.c */
void api_rollouts_start(Call *c);
/* api-audit.c */
void api_audit_list(Call *c);

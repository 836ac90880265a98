/* SPDX-License-Identifier: MIT */
/* What agent and worker must call alike in a job's request. */
#pragma once

/* The variables of the agent's environment, as an array of "NAME=VALUE", for a worker that does not inherit them. */
#define WORKER_ENVIRONMENT "environment"
/* The project that the job is about; absent: the box's own (mgmt-agent/state/project.h). */
#define WORKER_PROJECT "project"
/* Exit status of "start": all of the box's own project runs, not all of the others. */
#define EXIT_OTHERS_TRY_AGAIN 3

/* SPDX-License-Identifier: MIT */
/* What a deployment of some services does about images: the new ones are pulled by digest, so that the name in the compose file
 * goes on meaning the old one until the new one has proved itself, and every other service keeps what it runs. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* Of a deployment that is limited to some services: every other one keeps the image that it runs, as `before` says. */
int update_resolve_images(Podman *podman, DeployTarget *t, const Current *before, Journal *j, Error *err) _must_check_;
int update_pull(Podman *podman, usec_t timeout_usec, DeployTarget *t, Journal *j, Report *report, bool *ret_pulled,
                Error *err) _must_check_;

/* Lets the names in the compose file mean the images that were proved. */
void update_name_images(Podman *podman, const Journal *j, Report *report);
/* The way back: names that had been given another meaning on this box mean again what runs. */
void update_name_back(Podman *podman, const Journal *j, Report *report);

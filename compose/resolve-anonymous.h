/* SPDX-License-Identifier: MIT */
/* Volumes without a name get one of their service and their place in it, so that what is in them outlives a container. */
#pragma once

#include "compose/model/project.h"
#include "compose/parse/place.h"

/* Names them and puts them among the project's volumes. compose.bad-value when the name is taken. */
int resolve_anonymous_volumes(ComposeProject *p, const Place *services) _must_check_;

/* SPDX-License-Identifier: MIT */
/* The box's env files, as mgmt-agent sees them: it alone may read all of them. */
#pragma once

#include "mgmt-agent/agent/agent.h"

/* Looks at the files now, and whenever they change or another program tells a fault: then mgmt-link gets the new text, and the
 * cloud hears. */
int box_config_new(Agent *a, BoxConfig **ret, Error *err) _must_check_;
/* NULL-safe. */
BoxConfig *box_config_free(BoxConfig *c);
/* link.config to mgmt-link, if there is one and the file is good. */
void box_config_hand_over(const BoxConfig *c);
/* After a deployment: the containers may have taken what waited for it. NULL-safe. */
void box_config_look(BoxConfig *c);

/* SPDX-License-Identifier: MIT */
#pragma once

/* userdata is the Settings. */
int verb_audit_verify(int argc, char **argv, void *userdata);

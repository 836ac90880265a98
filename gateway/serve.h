/* SPDX-License-Identifier: MIT */
/* The verb that serves; userdata is the Settings. */
#pragma once

int verb_serve(int argc, char **argv, void *userdata);

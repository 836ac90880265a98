/* SPDX-License-Identifier: MIT */
#pragma once

int verb_doctor(int argc, char **argv, void *userdata);

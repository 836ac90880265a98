/* SPDX-License-Identifier: MIT */
#pragma once

int verb_sign_ins_list(int argc, char **argv, void *userdata);
int verb_sign_ins_revoke(int argc, char **argv, void *userdata);

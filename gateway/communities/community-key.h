/* SPDX-License-Identifier: MIT */
/* The key pair of a community, with which guests' passes and tokens for recordings are signed: for requests of a module that is a
 * CommunityEvents, when a community has none yet. */
#pragma once

#include "gateway/http/request.h"

/* Makes one and has it kept, unless there is one by then; on_kept gets the rows of sql_pass_key_keep(), and hands them on to the
 * function below. The request is answered where that is not possible. */
void community_key_make(Request *c, const char *community, request_rows_t on_kept);
/* The key that was kept, as PEM text, which is secret and borrowed from the rows; boxes are told of it before anybody can come with
 * what it has signed. NULL: the request was answered, there is no such community. */
const char *community_key_kept(Request *c, const char *community, const StoreRows *rows);

/* SPDX-License-Identifier: MIT */
/* Whose a folder is that is made for a service's data. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

typedef struct DataOwner {
    uid_t uid;
    gid_t gid;
    bool is_named; /* the service's user is a name, which only its image knows */
} DataOwner;

/* The user that the service runs as: by the file's `user`, else by its image, where that is a number, and as the host sees it.
 * Otherwise the podman user, who is root in the containers. The image is here. */
int deploy_data_owner(const Box *box, const DeployTarget *t, const ComposeService *s, DataOwner *ret,
                      Error *err) _must_check_;

/* A user of the service's container by number, as the host sees it. */
int deploy_owner_of(const Box *box, const ComposeService *s, uint32_t uid, uint32_t gid, DataOwner *ret,
                    Error *err) _must_check_;

/* Pure: "UID" or "UID:GID"; the group is root's unless it is there. -EINVAL where a name stands. */
int data_owner_parse(const char *text, uint32_t *ret_uid, uint32_t *ret_gid) _must_check_;

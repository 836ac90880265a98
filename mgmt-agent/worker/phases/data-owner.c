/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/data-owner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "mgmt-agent/worker/podman/podman-ids.h"

#define ID_MAX (UINT32_MAX - 1)

int data_owner_parse(const char *text, uint32_t *ret_uid, uint32_t *ret_gid)
{
    _cleanup_(freep) char *user = strndup(text, strcspn(text, ":"));
    const char *colon = strchr(text, ':');
    uint64_t uid, gid = 0;
    int r = user ? str_to_u64(user, 0, ID_MAX, &uid) : -ENOMEM;

    if (r == 0 && colon)
        r = str_to_u64(colon + 1, 0, ID_MAX, &gid);
    if (r < 0)
        return r == -ENOMEM ? r : -EINVAL;
    *ret_uid = (uint32_t) uid;
    *ret_gid = (uint32_t) gid;
    return 0;
}

/* With keep-id the podman user has its own number in the container, and all below that are one further up. */
static uint32_t shift(uint32_t id, uint32_t own, bool keeps_id)
{
    if (!keeps_id || id > own)
        return id;
    return id == own ? 0 : id + 1;
}

static int find_user(const Box *box, const DeployTarget *t, const ComposeService *s, bool keeps_id, char **ret,
                     Error *err)
{
    const char *user = json_string(s->config, "user"), *image_id = map_get(t->image_ids, s->name);
    _cleanup_(cJSON_Deletep) cJSON *image = NULL;
    int r = 0;

    if (!user && !keeps_id && image_id) {
        r = podman_inspect_image(box->podman, image_id, &image, err);
        user = r == 0 ? json_string(image, "User") : NULL;
    }
    if (r == 0 && !str_empty(user)) {
        *ret = strdup(user);
        r = *ret ? 0 : -ENOMEM;
    }
    return r;
}

static bool keeps_own_id(const Box *box, const ComposeService *s)
{
    return box->user.uid != 0 && str_equal(json_string(s->config, "userns_mode"), "keep-id");
}

int deploy_owner_of(const Box *box, const ComposeService *s, uint32_t uid, uint32_t gid, DataOwner *ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *maps = NULL;
    bool keeps_id = keeps_own_id(box, s);
    uint32_t host_uid, host_gid;
    int r = 0;

    *ret = (DataOwner) { .uid = box->user.uid, .gid = box->user.gid };
    if (uid == 0 && gid == 0 && !keeps_id)
        return 0;
    if (box->user.uid != 0)
        r = podman_id_maps(box->podman, &maps, err);
    if (r < 0)
        return r;
    if (podman_answer_host_id(maps, "uidmap", shift(uid, box->user.uid, keeps_id), &host_uid) < 0 ||
        podman_answer_host_id(maps, "gidmap", shift(gid, box->user.gid, keeps_id), &host_gid) < 0)
        return error_set_at(err, ERANGE, "preflight.no-id", NULL, s->line, s->name,
                            "service %s has to do with user %u:%u, and %s has no such id for its containers; give it "
                            "more (see /etc/subuid and /etc/subgid), or write other numbers",
                            s->name, (unsigned) uid, (unsigned) gid, box->user.name);
    *ret = (DataOwner) { .uid = host_uid, .gid = host_gid };
    return 0;
}

int deploy_data_owner(const Box *box, const DeployTarget *t, const ComposeService *s, DataOwner *ret, Error *err)
{
    _cleanup_(freep) char *user = NULL;
    uint32_t uid = 0, gid = 0;
    int r;

    *ret = (DataOwner) { .uid = box->user.uid, .gid = box->user.gid };
    r = find_user(box, t, s, keeps_own_id(box, s), &user, err);
    if (r < 0 || !user)
        return r;
    r = data_owner_parse(user, &uid, &gid);
    if (r == -EINVAL) {
        ret->is_named = !str_equal(user, "root") && !str_starts(user, "root:");
        return 0;
    }
    return r < 0 ? r : deploy_owner_of(box, s, uid, gid, ret, err);
}

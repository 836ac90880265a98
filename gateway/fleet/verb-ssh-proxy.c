/* SPDX-License-Identifier: MIT */
/* ssh-proxy: stdin and stdout joined to a box's sshd by a stream through the gateway. */
#include <errno.h>
#include <unistd.h>

#include "gateway/fleet/known-hosts.h"
#include "gateway/fleet/operator-stream.h"
#include "gateway/fleet/verb-grants.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"

/* What to type, where there is something. */
static const char *advice(const char *error)
{
    static const struct {
        const char *id, *text;
    } advices[] = {
        { "grant.expired", "ask for a new one: secbox-fleet grants add DEVICE --reason WHY" },
        { "grant.revoked", "ask for a new one: secbox-fleet grants add DEVICE --reason WHY" },
        { "grant.not-found", "see: secbox-fleet grants list" },
        { "bridge.device-full",
          "see who is in: secbox-fleet sessions DEVICE; a session of a laptop that died ends at once by: "
          "secbox-fleet grants revoke GRANT; in an emergency a grant with --break-glass takes a place" },
        { "bridge.person-full",
          "see yours: secbox-fleet sessions; they end at once by: secbox-fleet grants revoke GRANT" },
    };
    for (size_t i = 0; i < ELEMENTSOF(advices); i++)
        if (str_equal(advices[i].id, error))
            return advices[i].text;
    return NULL;
}

static bool on_open(const OperatorStreamOptions *options, const cJSON *progress)
{
    const char *link = options->fleet->known_hosts, *way = json_string(progress, "way");
    const char *sentence = json_string(progress, "message");
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(progress, "hostKeys");
    _cleanup_(error_done) Error err = {};

    int r = known_hosts_use(options->fleet, link, options->device, str_equal(way, "recovery"), keys, &err);
    if (r < 0)
        operator_stream_say(error_message(&err, r));
    if (r < 0 && link) /* ssh would take any key for the box's */
        return false;
    if (!str_equal(way, "device"))
        operator_stream_say(sentence ? sentence : "connected");
    return true;
}

static int make_open(Fleet *fleet, const char *device, cJSON *open, ApiReply *reply, Error *err)
{
    _cleanup_(freep) char *grant = NULL;

    int r = fleet_begin(fleet, err);
    if (r >= 0)
        r = fleet_grant_find(fleet, device, &grant, reply, err);
    if (r >= 0 && (!open || json_add_string(open, "target", "ssh") < 0 || json_add_string(open, "grant", grant) < 0 ||
                   json_add_string(open, "way", fleet->way ? fleet->way : "auto") < 0 ||
                   json_add_string(open, "certificate", fleet->certificate) < 0))
        r = -ENOMEM;
    return r;
}

int verb_ssh_proxy(int argc _unused_, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(cJSON_Deletep) cJSON *open = cJSON_CreateObject();
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};

    log_open(PROGRAM);
    int r = make_open(fleet, argv[0], open, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    const OperatorStreamOptions options = {
        .fleet = fleet,
        .device = argv[0],
        .open = open,
        .in = STDIN_FILENO,
        .out = STDOUT_FILENO,
        .on_open = on_open,
        .advice = advice,
    };
    return operator_stream_run(&options);
}

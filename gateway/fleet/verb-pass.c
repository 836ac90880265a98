/* SPDX-License-Identifier: MIT */
/* community pass: the text of a guest's pass, or a picture of it as a QR code. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/fleet/fleet.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/cli/qr-code.h"
#include "lib/cli/report.h"

/* Whoever has the picture can come in with it: nobody else may read the file. */
static int write_svg(const char *text, const char *path, Error *err)
{
    _cleanup_(qr_code_freep) QrCode *code = NULL;
    _cleanup_(freep) char *svg = NULL;
    int r = qr_code_new(text, &code, err);

    if (r >= 0 && !(svg = qr_code_svg(code)))
        r = -ENOMEM;
    if (r < 0)
        return error_from_errno(err, r, "cannot draw the pass");
    return file_write_atomic(path, svg, strlen(svg), 0600, (uid_t) -1, (gid_t) -1, err);
}

int verb_community_pass(int argc _unused_, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(freep) char *community = api_encode(argv[0]), *guest = api_encode(argv[1]);
    _cleanup_(freep) char *path =
        community && guest ? str_format("/v1/communities/%s/guests/%s/pass", community, guest) : NULL;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    int r = fleet_ask(fleet, "POST", path, NULL, CALL_TIMEOUT, &reply, &err);
    const cJSON *pass = cJSON_GetObjectItemCaseSensitive(reply.body, "pass");
    const char *text = json_string(pass, "text");

    if (r >= 0 && !text)
        r = error_set(&err, EHOSTUNREACH, "api.bad-answer", "the gateway's answer holds no pass");
    if (r >= 0 && fleet->svg)
        r = write_svg(text, fleet->svg, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    if (fleet->json)
        return report_json(reply.body, EXIT_OK);
    if (!fleet->svg)
        return report_text(str_format("%s\n", text), EXIT_OK);
    return report_text(str_format("%s is good from %s until %s, once\n", fleet->svg, json_string(pass, "from"),
                                  json_string(pass, "until")),
                       EXIT_OK);
}

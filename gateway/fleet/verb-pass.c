/* SPDX-License-Identifier: MIT */
/* community pass: the text of a guest's pass, or a picture of it as a QR code. */
#include <errno.h>
#include <qrencode.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/fleet/fleet.h"
#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"

#define SVG_SIZE_MAX ((size_t) 1024 * 1024)
#define QUIET_ZONE 4 /* modules of white around it: ISO/IEC 18004 §9.1 */

DEFINE_CLEANUP(QRcode, QRcode_free)

/* One path with a square for each dark module; the picture has no size of its own. */
static int draw_svg(const QRcode *code, Buf *svg)
{
    int size = code->width + 2 * QUIET_ZONE;
    int r =
        buf_printf(svg,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" shape-rendering=\"crispEdges\">\n"
                   "<path fill=\"#fff\" d=\"M0 0h%dv%dh-%dz\"/>\n<path d=\"",
                   size, size, size, size, size);

    for (int y = 0; y < code->width && r >= 0; y++)
        for (int x = 0; x < code->width && r >= 0; x++)
            if (code->data[y * code->width + x] & 1)
                r = buf_printf(svg, "M%d %dh1v1h-1z", x + QUIET_ZONE, y + QUIET_ZONE);
    return r < 0 ? r : buf_puts(svg, "\"/>\n</svg>\n");
}

/* Whoever has the picture can come in with it: nobody else may read the file. */
static int write_svg(const char *text, const char *path, Error *err)
{
    _cleanup_(QRcode_freep) QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
    _cleanup_(buf_done) Buf svg = BUF_INIT(SVG_SIZE_MAX);
    int r = code ? draw_svg(code, &svg) : -errno;

    if (r < 0)
        return error_from_errno(err, r, "cannot draw the pass");
    return file_write_atomic(path, svg.data, svg.len, 0600, (uid_t) -1, (gid_t) -1, err);
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

/* SPDX-License-Identifier: MIT */
/* What a box is set up with, shown once: its bootstrap token, or the claim document with its QR code. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "env/claim-document.h"
#include "gateway/fleet/fleet.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/qr-code.h"
#include "lib/cli/report.h"

#define PNG_MODULE_PIXELS 8
#define PNG_SIZE_MAX ((size_t) 1024 * 1024)

/* Whoever has the picture can claim the box: nobody else may read the file. */
static int write_png(const QrCode *code, const char *path, Error *err)
{
    _cleanup_(buf_done) Buf png = BUF_INIT(PNG_SIZE_MAX);
    int r = qr_code_png(code, PNG_MODULE_PIXELS, &png);

    if (r < 0)
        return error_from_errno(err, r, "cannot draw the QR code");
    return file_write_atomic(path, png.data, png.len, 0600, (uid_t) -1, (gid_t) -1, err);
}

/* What the gateway has handed out, once. */
typedef struct Handed {
    const char *device; /* NULL: for many boxes */
    const char *token, *until;
    const cJSON *labels;
} Handed;

/* The gateway says by which address boxes reach it, which need not be the operator's. */
static int make_claim(const Fleet *fleet, const Handed *h, const cJSON *body, char **ret, Error *err)
{
    const char *cloud = json_string(body, "cloud");
    usec_t until = 0;

    if (!h->token || !h->until || timestamp_parse(h->until, &until) < 0)
        return error_set(err, EHOSTUNREACH, "api.bad-answer", "the gateway's answer holds no token");
    if (!cloud)
        cloud = fleet->api.gateway;
    if (!str_starts(cloud, "https://"))
        fprintf(stderr,
                PROGRAM ": boxes are paired over https:// alone, and the gateway calls itself %s: see its --issuer\n",
                cloud);
    *ret = claim_document_print(cloud, h->device, h->token, until / USEC_PER_SEC, json_string(h->labels, "community"));
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "make a claim");
}

static int show_claim(const Fleet *fleet, const Handed *h, const cJSON *body)
{
    _cleanup_(secret_freep) char *claim = NULL, *blocks = NULL;
    _cleanup_(qr_code_freep) QrCode *code = NULL;
    _cleanup_(error_done) Error err = {};
    int r = make_claim(fleet, h, body, &claim, &err);

    if (r >= 0)
        r = qr_code_new(claim, &code, &err);
    if (r >= 0 && fleet->qr_png)
        r = write_png(code, fleet->qr_png, &err);
    if (r >= 0 && fleet->qr && !(blocks = qr_code_blocks(code)))
        r = -ENOMEM;
    if (r < 0)
        return fleet_fail(fleet, NULL, &err, r);
    if (blocks)
        fprintf(stderr, "\n%s\n", blocks);
    return report_text(str_format("%s\n", claim), EXIT_OK);
}

static int show_handed(const Fleet *fleet, const Handed *h, const cJSON *body)
{
    return fleet->qr || fleet->qr_png ? show_claim(fleet, h, body)
                                      : report_text(str_format("%s\n", h->token ? h->token : "-"), EXIT_OK);
}

int fleet_show_bootstrap(const Fleet *fleet, const char *id, const char *what, const cJSON *body)
{
    _cleanup_(freep) char *name = text_printable(id), *until = report_member(body, "bootstrapExpiresAt");
    const cJSON *device = cJSON_GetObjectItemCaseSensitive(body, "device");
    const Handed handed = {
        .device = id,
        .token = json_string(body, "bootstrap"),
        .until = json_string(body, "bootstrapExpiresAt"),
        .labels = cJSON_GetObjectItemCaseSensitive(device, "labels"),
    };

    fprintf(stderr, "%s %s. Its %s, shown only now, is good until %s:\n", name ? name : id, what,
            fleet->qr || fleet->qr_png ? "claim, for secboxctl pair or the box's pairing page" : "bootstrap token",
            until ? until : "it is used");
    return show_handed(fleet, &handed, body);
}

int fleet_show_enrolment(const Fleet *fleet, const cJSON *body)
{
    const cJSON *e = cJSON_GetObjectItemCaseSensitive(body, "enrolment");
    _cleanup_(freep) char *id = report_member(e, "id"), *until = report_member(e, "expiresAt"),
                          *boxes = report_member(e, "boxes");
    const Handed handed = {
        .token = json_string(body, "token"),
        .until = json_string(e, "expiresAt"),
        .labels = cJSON_GetObjectItemCaseSensitive(e, "labels"),
    };

    fprintf(stderr, "The %s, shown only now, lets %s boxes ask until %s, as enrolment %s; %s:\n",
            fleet->qr || fleet->qr_png ? "claim, for secboxctl pair or the boxes' pairing pages" : "enrolment token",
            boxes ? boxes : "?", until ? until : "?", id ? id : "?",
            json_bool(e, "autoApprove", false) ? "each of them is let in at once, without anybody's approval"
                                               : "secbox-fleet devices pending shows who waits");
    return show_handed(fleet, &handed, body);
}

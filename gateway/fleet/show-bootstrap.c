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

/* The gateway says by which address boxes reach it, which need not be the operator's. */
static int make_claim(const Fleet *fleet, const char *id, const cJSON *body, char **ret, Error *err)
{
    const char *cloud = json_string(body, "cloud"), *bootstrap = json_string(body, "bootstrap");
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(body, "device"), "labels");
    usec_t until = 0;

    if (!bootstrap || timestamp_parse(json_string(body, "bootstrapExpiresAt"), &until) < 0)
        return error_set(err, EHOSTUNREACH, "api.bad-answer", "the gateway's answer holds no bootstrap token");
    if (!cloud)
        cloud = fleet->api.gateway;
    if (!str_starts(cloud, "https://"))
        fprintf(stderr,
                PROGRAM ": boxes are paired over https:// alone, and the gateway calls itself %s: see its --issuer\n",
                cloud);
    *ret = claim_document_print(cloud, id, bootstrap, until / USEC_PER_SEC, json_string(labels, "community"));
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "make a claim");
}

static int show_claim(const Fleet *fleet, const char *id, const cJSON *body)
{
    _cleanup_(secret_freep) char *claim = NULL, *blocks = NULL;
    _cleanup_(qr_code_freep) QrCode *code = NULL;
    _cleanup_(error_done) Error err = {};
    int r = make_claim(fleet, id, body, &claim, &err);

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

int fleet_show_bootstrap(const Fleet *fleet, const char *id, const char *what, const cJSON *body)
{
    _cleanup_(freep) char *name = text_printable(id), *until = report_member(body, "bootstrapExpiresAt");
    const char *bootstrap = json_string(body, "bootstrap");
    bool as_claim = fleet->qr || fleet->qr_png;

    fprintf(stderr, "%s %s. Its %s, shown only now, is good until %s:\n", name ? name : id, what,
            as_claim ? "claim, for secboxctl pair or the box's pairing page" : "bootstrap token",
            until ? until : "it is used");
    return as_claim ? show_claim(fleet, id, body)
                    : report_text(str_format("%s\n", bootstrap ? bootstrap : "-"), EXIT_OK);
}

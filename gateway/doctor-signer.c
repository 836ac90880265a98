/* SPDX-License-Identifier: MIT */
/* doctor: whether certificates of support staff can be signed, and whether nobody else has the key. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "gateway/doctor.h"
#include "gateway/sessions/signer-packet.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define RESTART "systemctl restart secbox-gateway-signer.socket"
#define KEY_OF_UNIT "/var/lib/secbox-gateway/support-ca.pem"
#define GREETING_MSEC 3000

static void of_greeting(const cJSON *greeting, const char *path, Finding *f)
{
    if (json_string(greeting, "publicKey"))
        finding_pass(f, "%s", path);
    else
        finding_set(f, VERDICT_UNKNOWN, "See `journalctl -u secbox-gateway-signer`.",
                    "%s has not said yet that it can sign certificates", path);
}

void check_signer(Doctor *d, Finding *f)
{
    const char *path = d->settings.signer;
    _cleanup_(error_done) Error err = {};
    _cleanup_(cJSON_Deletep) cJSON *greeting = NULL;
    _cleanup_(closep) int fd = -1;

    if (!path && access(SIGNER_SOCKET, F_OK) < 0) {
        finding_pass(f, "the gateway starts it itself");
        return;
    }
    path = path ? path : SIGNER_SOCKET;
    if (geteuid() != 0 && access(KEY_OF_UNIT, R_OK) == 0) {
        finding_set(f, VERDICT_FAIL, "It is given to root then.",
                    "the gateway's user may read %s, which signs certificates of support staff", KEY_OF_UNIT);
        finding_since_file(f, KEY_OF_UNIT);
        finding_remedy(f, "%s", RESTART);
        return;
    }
    if (packet_connect(path, &fd, &err) < 0) {
        finding_set(f, VERDICT_FAIL, "Until then nobody gets a certificate to log in to a box with.",
                    "nobody signs certificates of support staff: %s", error_message(&err, -EIO));
        finding_remedy(f, "%s", RESTART);
        return;
    }
    struct pollfd p = { .fd = fd, .events = POLLIN };
    if (poll(&p, 1, GREETING_MSEC) > 0 && packet_receive(fd, &greeting) < 0)
        greeting = NULL;
    of_greeting(greeting, path, f);
}

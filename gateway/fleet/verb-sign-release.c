/* SPDX-License-Identifier: MIT */
/* sign-release: vouches for an archive of the data plane, for boxes without containers that take signed ones alone. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "gateway/fleet/sign.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"
#include "lib/data/digest.h"

/* {"statement", "signatures"}, as one line. */
static int write_order(const cJSON *request, const char *path, Error *err)
{
    _cleanup_(freep) char *text = json_print(cJSON_GetObjectItemCaseSensitive(request, "order"));
    _cleanup_(freep) char *line = text ? str_format("%s\n", text) : NULL;

    return line ? file_write_atomic(path, line, strlen(line), 0644, (uid_t) -1, (gid_t) -1, err) : -ENOMEM;
}

static int sign(const Fleet *fleet, const char *file, char **devices, const char *path, Error *err)
{
    static const char *const every[] = { ORDER_ANY_BOX, NULL };
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    _cleanup_(closep) int fd = -1;
    char sha256[SHA256_HEX_SIZE];
    OrderStatement what = { .devices = devices[0] ? devices : (char **) (uintptr_t) every, .sha256 = sha256 };
    int r = fleet_signs(fleet) ? 0 : error_set(err, EINVAL, "usage", "--key says with which key to sign");

    if (r >= 0)
        r = fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (r == -1)
        return error_set(err, errno, "file.read", "cannot open %s: %s", file, strerror(errno));
    if (r >= 0)
        r = request ? sha256_hex_fd(fd, -1, RELEASE_SIZE_MAX, NULL, sha256) : -ENOMEM;
    if (r >= 0)
        r = fleet_sign(fleet, ORDER_KIND_RELEASE, &what, ORDER_LIFETIME_ROLLOUT, request, err);
    return r < 0 ? error_from_errno(err, r, "cannot sign %s", file) : write_order(request, path, err);
}

int verb_sign_release(int argc _unused_, char **argv, void *userdata)
{
    const Fleet *fleet = userdata;
    _cleanup_(freep) char *path = str_format("%s.order", argv[0]);
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    int r = path ? sign(fleet, argv[0], argv + 1, path, &err) : -ENOMEM;

    if (r >= 0 && (!body || json_add_string(body, "order", path) < 0))
        r = -ENOMEM;
    if (r < 0)
        return fleet_fail(fleet, NULL, &err, r);
    return fleet->json ? report_json(body, EXIT_OK) : report_text(str_format("%s\n", path), EXIT_OK);
}

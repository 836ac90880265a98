/* SPDX-License-Identifier: MIT */
/* certificate show, request, send, remove: the cloud's certificate for a box's guards' pages. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/fleet/show.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"

static char *names_of(const cJSON *certificate)
{
    const cJSON *name, *names = cJSON_GetObjectItemCaseSensitive(certificate, "names");
    _cleanup_(strv_freep) char **list = NULL;
    _cleanup_(freep) char *text = NULL;

    cJSON_ArrayForEach(name, names)
        if (cJSON_IsString(name) && strv_add(&list, name->valuestring) < 0)
            return NULL;
    text = list ? strv_join(list, ", ") : strdup("no name");
    return text ? text_printable(text) : NULL;
}

static char *state_text(const cJSON *certificate)
{
    const char *state = json_string(certificate, "state"), *untrusted = json_string(certificate, "untrusted");
    _cleanup_(freep) char *names = names_of(certificate), *warning = NULL, *until = NULL, *signer = NULL;

    if (str_equal(state, "none"))
        return str_format("there is none from the cloud: all tablets are shown the box's own\n");
    until = text_printable(json_string(certificate, "until"));
    signer = untrusted ? text_printable(untrusted) : NULL;
    warning = signer
                  ? str_format("the file ends below %s, which the box does not know: tablets have to trust that one, "
                               "and nothing between may be missing\n",
                               signer)
                  : strdup("");
    if (!names || !warning || !until)
        return NULL;
    return str_format("%s: %s until %s\n%s", names, str_equal(state, "shown") ? "shown" : "expired, not shown: good",
                      until, warning);
}

static char *request_text(const cJSON *request)
{
    return strdup(cJSON_IsString(request) ? request->valuestring : "");
}

static char *removed_text(const cJSON *body _unused_)
{
    return strdup("all tablets are shown the box's own certificate; the key of the cloud's one is gone, too\n");
}

int verb_certificate_show(int argc _unused_, char **argv, void *userdata)
{
    static const FleetView view = { .member = "certificate", .text = state_text };

    return fleet_show(userdata, "GET", fleet_device_path(argv[0], "/certificate"), NULL, &view);
}

int verb_certificate_request(int argc, char **argv, void *userdata)
{
    static const FleetView view = { .member = "request", .text = request_text };
    Fleet *fleet = userdata;
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    cJSON *names = request ? cJSON_AddArrayToObject(request, "names") : NULL;
    int r = names ? 0 : -ENOMEM;

    for (int i = 1; i < argc && r >= 0; i++)
        r = json_append(names, cJSON_CreateString(argv[i]));
    return r < 0 ? fleet_fail(fleet, NULL, NULL, r)
                 : fleet_show(fleet, "POST", fleet_device_path(argv[0], "/certificate/request"), request, &view);
}

int verb_certificate_send(int argc _unused_, char **argv, void *userdata)
{
    static const FleetView view = { .member = "certificate", .text = state_text };
    Fleet *fleet = userdata;
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    _cleanup_(secret_freep) char *pem = NULL;
    _cleanup_(error_done) Error err = {};
    int r = request ? file_read_followed(argv[1], LAN_CERTIFICATE_MAX, &pem, NULL, &err) : -ENOMEM;

    if (r >= 0 && strstr(pem, "PRIVATE KEY"))
        r = error_set(&err, EINVAL, "usage",
                      "%s holds a private key: the box has its own, send the certificate and those above it alone",
                      argv[1]);
    if (r >= 0)
        r = json_add_string(request, "certificate", pem);
    return r < 0 ? fleet_fail(fleet, NULL, &err, r)
                 : fleet_show(fleet, "PUT", fleet_device_path(argv[0], "/certificate"), request, &view);
}

int verb_certificate_remove(int argc _unused_, char **argv, void *userdata)
{
    static const FleetView view = { .text = removed_text };

    return fleet_show(userdata, "DELETE", fleet_device_path(argv[0], "/certificate"), NULL, &view);
}

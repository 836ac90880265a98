/* SPDX-License-Identifier: MIT */
/* doctor: the management tunnel, and why there is none. */
#include <string.h>
#include <unistd.h>

#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"
#include "mgmt-agent/secboxctl/doctor.h"

/* where an authority's certificate usually lies */
#define USUAL_CA ETC_DIR "/cloud-ca.pem"

/* Nobody signed for the certificate whom this box knows. */
static const char *finding_of_unknown_authority(const Doctor *d, Finding *f)
{
    const char *file = d->agent_env ? env_get(d->agent_env, "CLOUD_CA_FILE") : NULL;

    if (!str_empty(file) && finding_of_kept_ca(file, f)) {
        finding_since_file(f, file);
        return NULL;
    }
    if (!d->agent_env || !str_empty(paths_root()))
        return "CLOUD_CA_FILE must name the authority that issued the gateway's certificate.";
    if (str_empty(file) && access(USUAL_CA, F_OK) == 0) {
        if (file) /* an empty line */
            finding_remedy(f, "sed -i 's|^CLOUD_CA_FILE=.*|CLOUD_CA_FILE=" USUAL_CA "|' " AGENT_ENV_PATH);
        else /* the last line may have no end */
            finding_remedy(f, "sed -i '$a CLOUD_CA_FILE=" USUAL_CA "' " AGENT_ENV_PATH);
        return NULL;
    }
    return "Nothing changed here: on the gateway's machine (see `secbox-gateway doctor` there) the file of --cert must "
           "hold the server's certificate and, behind it, those of the authorities between it and the one in "
           "CLOUD_CA_FILE. If the gateway has a new "
           "authority on purpose, put its certificate into CLOUD_CA_FILE.";
}

const char *finding_of_refused_certificate(const Doctor *d, const char *why, Finding *f)
{
    usec_t right;

    if (clock_is_wrong(&right))
        return "It is this box's clock, not the certificate: see the check `clock`.";
    if (strstr(why, "expired"))
        return "Renew it on the gateway's machine, where `secbox-gateway doctor` names its file. The gateway takes the "
               "new one by itself, and this box then connects.";
    if (strstr(why, "not yet valid"))
        return "The clock of the gateway's machine, or of where the certificate was made, is ahead: correct it, and "
               "make the certificate anew.";
    if (strstr(why, "mismatch"))
        return "Have the gateway's certificate made anew with the name by which this box calls it, or correct "
               "MGMT_GATEWAY_URL and CLOUD_BASE_URL in mgmt-agent.env to one of its names.";
    return finding_of_unknown_authority(d, f);
}

/* A verb of `secbox-fleet devices` for this box, and one in case that there is no such box there (or NULL). */
static void remedy_of_operator(const Doctor *d, const char *verb, const char *otherwise, Finding *f)
{
    const char *device = d->agent_env ? env_get(d->agent_env, "DEVICE_ID") : NULL;

    if (!device)
        return;
    f->by_operator = true;
    if (otherwise)
        finding_remedy(f, "secbox-fleet devices %s %s || secbox-fleet devices %s %s", verb, device, otherwise, device);
    else
        finding_remedy(f, "secbox-fleet devices %s %s", verb, device);
}

/* The gateway does not take this box for the one it knows. */
static const char *finding_of_refused_box(const Doctor *d, const char *id, const char *why, Finding *f)
{
    /* the gateway does not tell who holds no good token whether it knows the box */
    bool unknown = str_equal(id, "device.unknown") || str_equal(id, "bootstrap.invalid");

    if (str_equal(id, "enrolment.pending")) {
        remedy_of_operator(d, "approve", NULL, f);
        return "`secbox-fleet devices pending` shows what this box has said of itself.";
    }
    if (strstr(why, "blocked")) {
        remedy_of_operator(d, "unblock", NULL, f);
        return "An operator has blocked it, which the gateway's audit log tells.";
    }
    if (!unknown && !str_starts(id, "bootstrap.") && !str_starts(id, "identity.") && !str_starts(id, "device."))
        return NULL;
    remedy_of_operator(d, "bootstrap", unknown ? "add" : NULL, f);
    return "It prints a token once: write that into mgmt-agent.env as BOOTSTRAP. This box takes it within a minute.";
}

/* What the tunnel's own error asks for. NULL when it is none of those. */
static const char *advice_of_tunnel(const Doctor *d, const char *gateway, const char *id, const char *why, Finding *f)
{
    if (str_equal(id, "stream.tls-files"))
        return "CLOUD_CA_FILE must be a certificate in PEM that everybody may read: see the check `configuration`.";
    if (strstr(why, "the certificate of ") && strstr(why, " is refused"))
        return finding_of_refused_certificate(d, why, f);
    if (str_equal(id, "stream.tls") && strstr(why, "is it a TLS port?"))
        return gateway ? finding_of_portal(gateway, f) : NULL;
    if (str_starts(id, "http.") || str_equal(id, "stream.proxy"))
        return finding_of_proxy(f);
    if (str_equal(id, "stream.resolve"))
        return "See the check `dns`.";
    return finding_of_refused_box(d, id, why, f);
}

void check_tunnel(Doctor *d, Finding *f)
{
    const cJSON *link = cJSON_IsObject(d->status) ? cJSON_GetObjectItemCaseSensitive(d->status, "link") : NULL;

    if (!cJSON_IsObject(link)) {
        finding_set(f, VERDICT_UNKNOWN, "Make mgmt-agent answer first: only it knows.",
                    "mgmt-agent did not tell about the tunnel");
        return;
    }
    const char *gateway = json_string(link, "gateway"), *since = json_string(link, "since");
    if (json_bool(link, "connected", false)) {
        finding_pass(f, "connected to %s", gateway ? gateway : "the gateway");
        return;
    }
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(link, "error");
    _cleanup_(freep) char *why = cJSON_IsObject(error) ? report_error(error) : report_member(link, "error");
    const char *id = cJSON_IsObject(error) ? json_string(error, "id") : NULL;
    _cleanup_(freep) char *next = report_when(json_string(link, "nextTryAt"));
    finding_set(f, VERDICT_FAIL, NULL, "not connected to %s: %s%s%s", gateway ? gateway : "the gateway",
                why ? why : "mgmt-link has not said why, or does not run", next ? "; next try: " : "",
                next ? next : "");
    const char *advice = why && id ? advice_of_tunnel(d, gateway, id, why, f) : NULL;
    if (since && timestamp_parse(since, &f->since) < 0)
        f->since = 0;
    if (!advice && !f->remedy)
        advice = "Read `journalctl -u mgmt-link`; see the checks `mgmt-link`, `dns` and `clock`, and whether the "
                 "gateway runs.";
    if (advice) {
        free(f->advice);
        f->advice = strdup(advice);
    }
}

/* SPDX-License-Identifier: MIT */
/* The table of settings, and what fits together. */
#include "recovery-agent/recovery-config.h"

#include <errno.h>
#include <string.h>

#include "lib/base/paths.h"
#include "lib/base/strv.h"

#define HOUR 3600
#define TEXT(key, member, fallback) SETTING_TEXT(Config, key, member, fallback)
#define NUMBER(key, member, fallback, min, max) SETTING_NUMBER(Config, key, member, fallback, min, max)

const Setting settings[] = {
    TEXT("DEVICE_ID", device_id, NULL),
    TEXT("BOOTSTRAP", bootstrap, NULL),
    TEXT("MGMT_GATEWAY_URL", mgmt_url, NULL),
    TEXT("RECOVERY_GATEWAY_URL", gateway_url, NULL),
    TEXT("CLOUD_CA_FILE", ca_file, NULL),
    TEXT("RECOVERY_HEARTBEAT", heartbeat, NULL),
    TEXT("RECOVERY_SERVICE", service, "secbox"),
    TEXT("RECOVERY_PROBES", probes, NULL),
    NUMBER("RECOVERY_SSH_PORT", ssh_port, "2222", 1, 65535),
    NUMBER("RECOVERY_INTERVAL", interval, "4", 1, 60),
    NUMBER("RECOVERY_PROBE_TIMEOUT", probe_timeout, "4", 1, 60),
    NUMBER("RECOVERY_FAILURES", failures, "3", 1, 20),
    NUMBER("RECOVERY_GOOD", good, "3", 1, 100),
    NUMBER("RECOVERY_GRACE", grace, "60", 0, HOUR),
    NUMBER("RECOVERY_HEARTBEAT_STALE", stale, "7", 2, HOUR),
    NUMBER("RECOVERY_OFFLINE", offline, "150", 0, HOUR),
    NUMBER("RECOVERY_CLOSE_AFTER", close_after, "300", 1, 24 * HOUR),
    NUMBER("RECOVERY_TRY_OTHER", try_other, "120", 1, HOUR),
    NUMBER("RECOVERY_ACT", act, "1", 0, 1),
    NUMBER("RECOVERY_RESTART_AFTER", restart_after, "30", 0, HOUR),
    NUMBER("RECOVERY_RECREATE_AFTER", recreate_after, "180", 0, 6 * HOUR),
    NUMBER("RECOVERY_REBOOT", reboot, "0", 0, 1),
    NUMBER("RECOVERY_REBOOT_AFTER", reboot_after, "1200", 1, 24 * HOUR),
    {},
};

void config_done(Config *c)
{
    settings_done(settings, c);
}

/* …/mgmt → …/recovery */
static int derive_url(Config *c, Error *err)
{
    size_t len = c->mgmt_url ? strlen(c->mgmt_url) : 0;
    if (c->gateway_url)
        return 0;
    if (!str_ends(c->mgmt_url ? c->mgmt_url : "", "/mgmt"))
        return error_set_at(err, EINVAL, "config.missing", NULL, 0, "RECOVERY_GATEWAY_URL",
                            "there is neither RECOVERY_GATEWAY_URL nor a MGMT_GATEWAY_URL that ends with /mgmt");
    c->gateway_url = str_format("%.*s/recovery", (int) (len - strlen("/mgmt")), c->mgmt_url);
    return c->gateway_url ? 0 : error_from_errno(err, -ENOMEM, "reading the configuration");
}

/* Each service shows it in a folder of its own, which no other can write to. */
static char *default_heartbeat(const char *service)
{
    if (str_equal(service, SECBOX_SERVICE))
        return strdup(SECBOX_RUN_DIR "/heartbeat");
    return str_format(SERVICES_RUN_DIR "/%s/heartbeat", service);
}

int config_check(Config *c, Error *err)
{
    if (!c->device_id)
        return error_set_at(err, EINVAL, "config.missing", NULL, 0, "DEVICE_ID",
                            "DEVICE_ID is missing: the box has no name");
    if (!c->heartbeat && c->service)
        c->heartbeat = default_heartbeat(c->service);
    if (!c->heartbeat || c->heartbeat[0] != '/' || !c->service || (c->ca_file && c->ca_file[0] != '/'))
        return error_set_at(err, EINVAL, "config.value", NULL, 0, "RECOVERY_HEARTBEAT",
                            "RECOVERY_HEARTBEAT and CLOUD_CA_FILE take absolute paths, RECOVERY_SERVICE a name");
    return derive_url(c, err);
}

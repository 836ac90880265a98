/* SPDX-License-Identifier: MIT */
/* A table of keys, and as little parser as can do. */
#include "recovery-agent/config.h"

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

#define HOUR 3600
#define TEXT(key, member, fallback) { key, offsetof(Config, member), fallback, 0, 0 }
#define NUMBER(key, member, fallback, min, max) { key, offsetof(Config, member), fallback, min, max }

const Setting settings[] = {
    TEXT("DEVICE_ID", device_id, NULL),
    TEXT("BOOTSTRAP", bootstrap, NULL),
    TEXT("MGMT_GATEWAY_URL", mgmt_url, NULL),
    TEXT("RECOVERY_GATEWAY_URL", gateway_url, NULL),
    TEXT("CLOUD_CA_FILE", ca_file, NULL),
    TEXT("RECOVERY_HEARTBEAT", heartbeat, "/run/tucomunidad/secbox/heartbeat"),
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
    NUMBER("RECOVERY_ACT", act, "1", 0, 1),
    NUMBER("RECOVERY_RESTART_AFTER", restart_after, "30", 0, HOUR),
    NUMBER("RECOVERY_RECREATE_AFTER", recreate_after, "180", 0, 6 * HOUR),
    NUMBER("RECOVERY_REBOOT", reboot, "0", 0, 1),
    NUMBER("RECOVERY_REBOOT_AFTER", reboot_after, "1200", 1, 24 * HOUR),
    {},
};

static char **text_of(const Config *c, const Setting *s)
{
    return (char **) ((char *) c + s->offset);
}

static uint64_t *number_of(const Config *c, const Setting *s)
{
    return (uint64_t *) ((char *) c + s->offset);
}

void config_done(Config *c)
{
    for (const Setting *s = settings; s->key; s++)
        if (s->max == 0)
            secret_free(*text_of(c, s));
    *c = (Config) {};
}

static int set_value(Config *c, const Setting *s, const char *value)
{
    if (s->max > 0)
        return str_to_u64(value, s->min, s->max, number_of(c, s));
    size_t n = 0;
    while (value[n] >= ' ' && value[n] <= '~' && value[n] != '"' && value[n] != '\'')
        n++;
    if (value[n] || n > ENV_VALUE_MAX || (n > 0 && (value[0] == ' ' || value[n - 1] == ' ')) || strstr(value, "${"))
        return -EINVAL;
    char *copy = n > 0 ? strdup(value) : NULL;
    if (n > 0 && !copy)
        return -ENOMEM;
    secret_free(*text_of(c, s));
    *text_of(c, s) = copy;
    return 0;
}

int config_init(Config *ret)
{
    Config c = {};
    for (const Setting *s = settings; s->key; s++) {
        int r = s->fallback ? set_value(&c, s, s->fallback) : 0;
        if (r < 0) {
            config_done(&c);
            return r;
        }
    }
    *ret = c;
    return 0;
}

static const Setting *setting_of(const char *line, size_t key_len)
{
    for (const Setting *s = settings; s->key; s++)
        if (strlen(s->key) == key_len && memcmp(s->key, line, key_len) == 0)
            return s;
    return NULL;
}

static int parse_line(Config *c, const char *line, size_t len, const char *file, unsigned number, uint32_t *seen, Error *err)
{
    const char *equals = memchr(line, '=', len);
    const Setting *s = equals ? setting_of(line, (size_t) (equals - line)) : NULL;
    if (!s)
        return 0;
    if (*seen & (UINT32_C(1) << (s - settings)))
        return error_set_at(err, EINVAL, "config.duplicate", file, number, s->key, "%s stands here twice: remove one",
                            s->key);
    *seen |= UINT32_C(1) << (s - settings);
    size_t value_len = len - (size_t) (equals + 1 - line);
    _cleanup_(secret_freep) char *value = strndup(equals + 1, value_len);
    int r = !value ? -ENOMEM : strlen(value) != value_len ? -EINVAL : set_value(c, s, value);
    if ((r == -EINVAL || r == -ERANGE) && s->max > 0)
        return error_set_at(err, EINVAL, "config.value", file, number, s->key, "%s must be a number from %llu to %llu",
                            s->key, (unsigned long long) s->min, (unsigned long long) s->max);
    if (r == -EINVAL)
        return error_set_at(err, EINVAL, "config.value", file, number, s->key,
                            "%s must be plain text: no quotes, no ${…}, no spaces around it", s->key);
    return r < 0 ? error_from_errno(err, r, "cannot keep %s", s->key) : 0;
}

int config_parse(Config *c, const char *text, size_t len, const char *file, Error *err)
{
    uint32_t seen = 0;
    _Static_assert(ELEMENTSOF(settings) <= 32, "a bit for each setting");
    if (len > ENV_FILE_SIZE_MAX)
        return error_set(err, EFBIG, "config.value", "%s has %zu bytes, more than %d", file, len, ENV_FILE_SIZE_MAX);
    for (unsigned number = 1; len > 0; number++) {
        const char *newline = memchr(text, '\n', len);
        size_t line_len = newline ? (size_t) (newline - text) : len, step = line_len + (newline != NULL);
        int r = parse_line(c, text, line_len, file, number, &seen, err);
        if (r < 0)
            return r;
        text += step;
        len -= step;
    }
    return 0;
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

int config_check(Config *c, Error *err)
{
    if (!c->device_id)
        return error_set_at(err, EINVAL, "config.missing", NULL, 0, "DEVICE_ID", "DEVICE_ID is missing: the box has no name");
    if (!c->heartbeat || c->heartbeat[0] != '/' || !c->service || (c->ca_file && c->ca_file[0] != '/'))
        return error_set_at(err, EINVAL, "config.value", NULL, 0, "RECOVERY_HEARTBEAT",
                            "RECOVERY_HEARTBEAT and CLOUD_CA_FILE take absolute paths, RECOVERY_SERVICE a name");
    return derive_url(c, err);
}

char *config_print(const Config *c)
{
    Buf text = BUF_INIT(ENV_FILE_SIZE_MAX);
    int r = buf_puts(&text, "# The configuration with which the gateway was reached last. Written by recovery-agent.\n");
    for (const Setting *s = settings; s->key && r >= 0; s++)
        if (s->max > 0)
            r = buf_printf(&text, "%s=%llu\n", s->key, (unsigned long long) *number_of(c, s));
        else
            r = buf_printf(&text, "%s=%s\n", s->key, *text_of(c, s) ? *text_of(c, s) : "");
    char *printed = r < 0 ? NULL : buf_take(&text);
    buf_done(&text);
    return printed;
}

/* SPDX-License-Identifier: MIT */
/* The table of keys with their checks; validation of a whole file; secbox.env from mgmt-agent.env. */
#include "env/env-rules.h"

#include <errno.h>
#include <string.h>

#include "env/dotenv.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/base/maintenance-window.h"
#include "lib/data/camera-name.h"

#define NAME_MAX_LENGTH 64
#define HOST_MAX_LENGTH 253
#define SECRET_MAX_LENGTH 2048
#define POLL_INTERVAL_MIN 60
#define POLL_INTERVAL_MAX 31536000
#define TUNNEL_SECONDS_MAX 3600
/* Longer values are not shown: a cut could fall into the middle of a character. */
#define SHOWN_MAX 200
#define EXAMPLE_SIZE_MAX (64 * 1024)

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZ" LOWER "0123456789"

static int check_port(const char *text, size_t len)
{
    char digits[6] = "";
    uint64_t port;

    if (len == 0 || len >= sizeof(digits) || strspn(text, "0123456789") < len)
        return -EINVAL;
    memcpy(digits, text, len);
    return str_to_u64(digits, 1, 65535, &port);
}

/* Length of a DNS name, IPv4 address or [IPv6 address] at the start of text, 0 when there is none. */
static size_t host_length(const char *text)
{
    size_t n;

    if (text[0] == '[') {
        n = strspn(text + 1, "0123456789abcdefABCDEF:.");
        return n > 1 && text[1 + n] == ']' && memchr(text + 1, ':', n) ? n + 2 : 0;
    }
    n = strspn(text, ALNUM ".-_");
    if (n > HOST_MAX_LENGTH || text[0] == '.' || text[0] == '-')
        return 0;
    return n;
}

/* scheme://host[:port][/path], where `schemes` is a list of "http://" and such. No user info, query, fragment. */
static int check_url(const char *value, const char *const *schemes)
{
    const char *at = NULL;
    size_t n;

    for (; *schemes && !at; schemes++)
        if (str_starts(value, *schemes))
            at = value + strlen(*schemes);
    n = at ? host_length(at) : 0;
    if (n == 0)
        return -EINVAL;
    at += n;
    if (*at == ':') {
        n = strcspn(++at, "/");
        if (check_port(at, n) < 0)
            return -EINVAL;
        at += n;
    }
    if (*at && *at != '/')
        return -EINVAL;
    return at[strspn(at, ALNUM "/-._~!&'()*+,;=:@%")] == '\0' ? 0 : -EINVAL;
}

static int check_engine(const char *value)
{
    return str_equal(value, "auto") || str_equal(value, "podman-compose") || str_equal(value, "libpod") ? 0 : -EINVAL;
}

static int check_web_url(const char *value)
{
    return check_url(value, (const char *const[]) { "https://", "http://", NULL });
}

static int check_tunnel_url(const char *value)
{
    return check_url(value, (const char *const[]) { "wss://", "ws://", NULL });
}

static int check_mgmt_url(const char *value)
{
    return str_ends(value, "/mgmt") ? check_tunnel_url(value) : -EINVAL;
}

static int check_name(const char *value)
{
    size_t n = strspn(value, ALNUM "._-");

    return n > 0 && n <= NAME_MAX_LENGTH && value[n] == '\0' && !strchr("._-", value[0]) ? 0 : -EINVAL;
}

static int check_user(const char *value)
{
    size_t n = strspn(value, LOWER "0123456789_-");

    return n > 0 && n <= 32 && value[n] == '\0' && value[0] != '-' && !strchr("0123456789", value[0]) ? 0 : -EINVAL;
}

static int check_secret(const char *value)
{
    size_t n = 0;

    while (value[n] > ' ' && value[n] <= '~')
        n++;
    return n > 0 && n <= SECRET_MAX_LENGTH && value[n] == '\0' ? 0 : -EINVAL;
}

static int check_fingerprint(const char *value)
{
    return strlen(value) == 64 && strspn(value, "0123456789abcdefABCDEF") == 64 ? 0 : -EINVAL;
}

static int check_provider(const char *value)
{
    return str_equal(value, "cloudflare") || str_equal(value, "rathole") || str_equal(value, "none") ? 0 : -EINVAL;
}

static int check_transport(const char *value)
{
    return str_equal(value, "tcp") || str_equal(value, "tls") ? 0 : -EINVAL;
}

static int check_public_url(const char *value)
{
    return check_url(value, (const char *const[]) { "https://", NULL });
}

static int check_tunnel_seconds(const char *value)
{
    uint64_t seconds;

    return value[0] >= '1' && value[0] <= '9' ? str_to_u64(value, 1, TUNNEL_SECONDS_MAX, &seconds) : -EINVAL;
}

static int check_server(const char *value)
{
    size_t n = host_length(value);

    return n > 0 && value[n] == ':' ? check_port(value + n + 1, strlen(value + n + 1)) : -EINVAL;
}

/* An '@' behind the first '/', or a second one, is a password that libpq would take for host, port or database: their names are
 * shown. */
static int check_database_url(const char *value)
{
    size_t scheme = str_starts(value, "postgresql://") ? 13 : str_starts(value, "postgres://") ? 11 : 0;

    if (scheme == 0 || !value[scheme] || check_secret(value) < 0)
        return -EINVAL;
    const char *rest = value + scheme, *at = strchr(rest, '@');
    return at && (at > rest + strcspn(rest, "/") || strchr(at + 1, '@')) ? -EINVAL : 0;
}

/* 192.0.2.1:8443, [::]:8443, off */
static int check_lan_listen(const char *value)
{
    size_t n = *value == '[' ? strcspn(value, "]") + 1 : strcspn(value, ":");
    bool six = *value == '[' && n > 2 && strspn(value + 1, "0123456789abcdefABCDEF:.") == n - 2;
    bool four = *value != '[' && n > 0 && strspn(value, "0123456789.") == n;

    if (str_equal(value, "off"))
        return 0;
    return (six || four) && n < strlen(value) && value[n] == ':' ? check_port(value + n + 1, strlen(value + n + 1))
                                                                 : -EINVAL;
}

/* What each of them is, secbox judges; here only what cannot stand in a list is refused. */
static int check_lan_names(const char *value)
{
    return *value && strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEF0123456789.:-, ") == strlen(value) ? 0 : -EINVAL;
}

/* A whole number from 1 to max, without a sign, a blank or a zero in front. */
static int check_count(const char *value, uint64_t max)
{
    uint64_t n;

    return value[0] >= '1' && value[0] <= '9' ? str_to_u64(value, 1, max, &n) : -EINVAL;
}

static int check_lan_rate(const char *value)
{
    return str_equal(value, "off") ? 0 : check_count(value, LAN_RATE_MAX);
}

static int check_queue_mb(const char *value)
{
    return check_count(value, QUEUE_MB_MAX);
}

static int check_queue_days(const char *value)
{
    return check_count(value, QUEUE_DAYS_MAX);
}

static int check_data_old_hours(const char *value)
{
    return check_count(value, DATA_OLD_HOURS_MAX);
}

/* Only where it is: what is asked there, secbox knows. */
static int check_frigate_url(const char *value)
{
    const char *host = strstr(value, "://"), *path = host ? strchr(host + 3, '/') : NULL;

    return path && path[1] != '\0' ? -EINVAL : check_web_url(value);
}

/* As a browser writes it: nothing behind the host, no capitals, and not the port that goes without saying. */
static int check_origin(const char *value)
{
    static const char port[] = ":443";
    const char *host = strstr(value, "://");
    size_t len = strlen(value);

    if (!host || strncmp(value, "https://", 8) != 0 || strpbrk(host + 3, "/?#"))
        return -EINVAL;
    if (len > strlen(port) && strcmp(value + len - strlen(port), port) == 0)
        return -EINVAL;
    for (const char *p = host; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            return -EINVAL;
    return check_web_url(value);
}

static int check_camera(const char *value)
{
    return camera_name_is_valid(value) ? 0 : -EINVAL;
}

static int check_uplink(const char *value)
{
    return check_count(value, CAMERA_UPLINK_KBIT_MAX);
}

static int check_port_number(const char *value)
{
    return check_port(value, strlen(value));
}

static int check_interval(const char *value)
{
    uint64_t seconds;

    return value[0] >= '0' && value[0] <= '9' ? str_to_u64(value, POLL_INTERVAL_MIN, POLL_INTERVAL_MAX, &seconds)
                                              : -EINVAL;
}

static int check_windows(const char *value)
{
    TimeWindow windows[TIME_WINDOWS_MAX];
    size_t n;

    return windows_parse(value, windows, &n);
}

static int check_span(const char *value)
{
    usec_t span;

    return duration_parse(value, &span);
}

static int check_stop_alarm(const char *value)
{
    usec_t span;

    return str_equal(value, "off") || (duration_parse(value, &span) == 0 && span > 0) ? 0 : -EINVAL;
}

static int check_switch(const char *value)
{
    return str_equal(value, "0") || str_equal(value, "1") ? 0 : -EINVAL;
}

static int check_host_name(const char *value)
{
    size_t n = host_length(value);

    return n > 0 && value[0] != '[' && value[n] == '\0' ? 0 : -EINVAL;
}

static int check_path(const char *value)
{
    bool dots = strstr(value, "/../") || str_ends(value, "/..");

    return value[0] == '/' && value[1] && !dots && !str_ends(value, "/") ? 0 : -EINVAL;
}

const EnvRule env_rules[] = {
    { "CLOUD_BASE_URL", ENV_AGENT | ENV_SECBOX | ENV_RELAY, ENV_AGENT | ENV_SECBOX, false, check_web_url,
      "a URL https://HOST[:PORT][/PATH] (http:// in tests) without user, query and white space",
      "https://cloud.example", "Where the cloud's HTTP interface is." },
    { "DEVICE_ID", ENV_AGENT | ENV_SECBOX | ENV_RELAY, ENV_AGENT | ENV_SECBOX, false, check_name,
      "1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit", "caseta-5",
      "The name of this box in the fleet." },
    { "BOOTSTRAP", ENV_AGENT | ENV_SECBOX, 0, true, check_secret, "1 to 2048 printable characters without spaces",
      "the-token-shown-at-registration", "The bootstrap token; each role claims its identity with it once." },
    { "ENROLMENT", ENV_AGENT, 0, true, check_secret, "1 to 2048 printable characters without spaces",
      "the-token-for-many-boxes",
      "The token by which this box asks to be let in; it goes once the box is in. BOOTSTRAP is then a secret of its "
      "own." },
    { "CLOUD_FINGERPRINT", ENV_AGENT, 0, false, check_fingerprint, "the 64 hexadecimal digits of a SHA-256",
      "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90",
      "The claim is sent only to a cloud whose certificate has this public key; it goes once the box is in." },
    { "MGMT_GATEWAY_URL", ENV_AGENT, ENV_AGENT, false, check_mgmt_url, "a URL wss://HOST[:PORT]/…/mgmt",
      "wss://cloud.example/mgmt", "Where the management tunnel goes; DEVICE_GATEWAY_URL is derived from it." },
    { "DEVICE_GATEWAY_URL", ENV_SECBOX, 0, false, check_tunnel_url, "a URL wss://HOST[:PORT]/PATH",
      "wss://cloud.example/device", "Where the device tunnel goes." },
    { "RECOVERY_GATEWAY_URL", ENV_AGENT, 0, false, check_tunnel_url, "a URL wss://HOST[:PORT]/PATH",
      "wss://recovery.example/recovery", "Where the recovery tunnel goes; derived from MGMT_GATEWAY_URL unless set." },
    { "SSH_PORT", ENV_AGENT, 0, false, check_port_number, "a port from 1 to 65535", "22",
      "Where this box's sshd listens on 127.0.0.1, for bridge SSH; 22 unless set." },
    { "SSH_TARGET", ENV_SECBOX, 0, false, check_server, "HOST:PORT", "host.containers.internal:22",
      "Where the box's sshd is, as its container sees it; host.containers.internal:22 unless set." },
    { "DATABASE_URL", ENV_SECBOX, 0, true, check_database_url,
      "a URL postgresql://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?OPTIONS], where / and @ of a password are %2F and %40",
      "postgresql://secbox@postgres/secbox",
      "The box's own PostgreSQL, for the community's data and the queue of events; without it secbox keeps neither." },
    { "LAN_LISTEN", ENV_SECBOX, 0, false, check_lan_listen, "ADDRESS:PORT with a numeric address, or off",
      "0.0.0.0:8443", "Where the guards' pages are served; 0.0.0.0:8443 unless set, off without DATABASE_URL." },
    { "MEDIA_LISTEN", ENV_SECBOX, 0, false, check_lan_listen, "ADDRESS:PORT with a numeric address, or off",
      "0.0.0.0:8444",
      "Where recordings are for viewers whom relay-client leads there, beside the guards' pages; off unless set." },
    { "MEDIA_ORIGIN", ENV_SECBOX, 0, false, check_origin, "an origin https://HOST[:PORT]", "https://portal.example",
      "Whose pages may show recordings, as browsers name it; that of CLOUD_BASE_URL unless set." },
    { "MEDIA_UPLINK_KBIT", ENV_SECBOX, 0, false, check_uplink, "a whole number from 1 to 1000000", "8000",
      "How many kilobits a second recordings may take of the way out, all viewers together; 8000 unless set." },
    { "LAN_NAMES", ENV_SECBOX, 0, false, check_lan_names,
      "private addresses and names below secbox.local, with commas between", "192.168.1.20,gate.secbox.local",
      "More addresses and names of the box on the guards' network, for its certificate." },
    { "LAN_RATE", ENV_SECBOX, 0, false, check_lan_rate, "a whole number from 1 to 1000, or off", "20",
      "How many requests a second one guard's tablet may make, and ten times as many at once; 20 unless set." },
    { "QUEUE_MAX_MB", ENV_SECBOX, 0, false, check_queue_mb, "a whole number from 1 to 65536", "256",
      "How many MB of events may wait for the cloud, the least important are lost beyond that; 256 unless set." },
    { "QUEUE_MAX_DAYS", ENV_SECBOX, 0, false, check_queue_days, "a whole number from 1 to 3650", "180",
      "How many days events may wait for the cloud, and ended visits and notes are kept; 180 unless set." },
    { "DATA_OLD_HOURS", ENV_SECBOX, 0, false, check_data_old_hours, "a whole number from 1 to 8760", "24",
      "How many hours old the community's data, bans among them, may be before that is a fault; 24 unless set." },
    { "FRIGATE_URL", ENV_SECBOX, 0, false, check_frigate_url, "a URL http://HOST[:PORT] or https://HOST[:PORT]",
      "http://frigate:5000",
      "Where the box's Frigate is, as its container sees it: port 5000, or 8971 with a login; no cameras unless set." },
    { "FRIGATE_USER", ENV_SECBOX, 0, false, check_name,
      "1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit", "secbox",
      "Whom secbox logs in as at Frigate's port 8971; a viewer is enough." },
    { "FRIGATE_PASSWORD", ENV_SECBOX, 0, true, check_secret, "1 to 2048 printable characters without spaces",
      "the-viewer-s-password", "The password of FRIGATE_USER." },
    { "ENTRY_CAMERA", ENV_SECBOX, 0, false, check_camera,
      "the name of a camera in Frigate: 1 to 64 letters, digits, '_' or '-'", "entrada",
      "Of which camera, the one at the gate, a picture is kept with each entry; of none unless set." },
    { "CAMERA_UPLINK_KBIT", ENV_SECBOX, 0, false, check_uplink, "a whole number from 1 to 1000000", "4000",
      "How many kilobits a second cameras may take of the way to the cloud, all together; 4000 unless set." },
    { "CLOUD_CA_FILE", ENV_AGENT | ENV_SECBOX, 0, false, check_path, "an absolute path of a PEM file",
      "/etc/tucomunidad/cloud-ca.pem",
      "Authorities that the cloud's certificate is checked with, instead of the system's." },
    { "CLAIM_HOST_SUFFIX", ENV_AGENT, 0, false, check_host_name, "a host name", "tucomunidad.example",
      "This box is only paired with clouds whose hosts have this name or end in it; any unless set." },
    { "PODMAN_USER", ENV_AGENT, 0, false, check_user, "the name of a user of this machine", "tc",
      "Whose podman runs the containers; tc, else tcops, unless set. Root only when it stands here." },
    { "COMPOSE_ENGINE", ENV_AGENT, 0, false, check_engine, "auto, podman-compose or libpod", "libpod",
      "What makes containers: podman-compose, podman's own REST API (libpod), or what suits each service (auto), which "
      "is "
      "so unless set." },
    { "WATCHTOWER_POLL_INTERVAL", ENV_AGENT | ENV_SECBOX, 0, false, check_interval,
      "a whole number of seconds from 60 to 31536000", "86400", "How often images are looked up; 86400 unless set." },
    { "UPDATE_WINDOW", ENV_AGENT, 0, false, check_windows,
      "windows of local time, DAYS/HH:MM-HH:MM or HH:MM-HH:MM, separated by commas",
      "mon-fri/02:00-05:00,sat+sun/01:00-06:00", "When this box may take a new image by itself; always unless set." },
    { "UPDATE_COOL_DOWN", ENV_AGENT, 0, false, check_span, "a whole number followed by s, m or h", "72h",
      "How old a new image must be before this box takes it by itself; any age unless set." },
    { "UPDATE_MONITOR_ONLY", ENV_AGENT, 0, false, check_switch, "0 or 1", "1",
      "1: new images are told and not taken." },
    { "UPDATE_LABEL_ENABLE", ENV_AGENT, 0, false, check_switch, "0 or 1", "1",
      "1: only services are watched whose labels ask for it." },
    { "UPDATE_SCOPE", ENV_AGENT, 0, false, check_name,
      "1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit", "production",
      "Only services whose scope label says the same are watched; all unless set." },
    { "STOP_ALARM_AFTER", ENV_AGENT, 0, false, check_stop_alarm, "a whole number followed by s, m or h, or off", "72h",
      "How long a service may stay stopped by hand before that is an alarm; 24h unless set, off: never." },
    { "TUNNEL_PROVIDER", ENV_SECBOX | ENV_RELAY, 0, false, check_provider, "cloudflare, rathole or none", "none",
      "What carries recordings to viewers; none unless set. See secboxctl relay use." },
    { "TUNNEL_TOKEN", ENV_SECBOX | ENV_RELAY, 0, true, check_secret, "1 to 2048 printable characters without spaces",
      "the-token-of-the-provider", "The credential for cloudflare or rathole." },
    { "TUNNEL_SERVER", ENV_SECBOX | ENV_RELAY, 0, false, check_server, "HOST:PORT", "relay.example:2333",
      "The rathole server." },
    { "TUNNEL_REMOTE_NAME", ENV_SECBOX | ENV_RELAY, 0, false, check_name,
      "1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit", "caseta-5",
      "The name of this box at the rathole server; DEVICE_ID unless set." },
    { "TUNNEL_TRANSPORT", ENV_SECBOX | ENV_RELAY, 0, false, check_transport, "tcp or tls", "tls",
      "How the rathole server is spoken to; tcp unless set." },
    { "TUNNEL_CA_FILE", ENV_SECBOX | ENV_RELAY, 0, false, check_path, "an absolute path of a PEM file",
      "/etc/tucomunidad/relay-ca.pem",
      "Authorities that the rathole server's certificate is checked with, instead of the system's." },
    { "TUNNEL_HEARTBEAT_TIMEOUT", ENV_SECBOX | ENV_RELAY, 0, false, check_tunnel_seconds,
      "a whole number of seconds from 1 to 3600", "40",
      "A rathole server that is silent for so long is dead; 40 unless set, longer than its heartbeat_interval." },
    { "TUNNEL_RETRY_MAX", ENV_SECBOX | ENV_RELAY, 0, false, check_tunnel_seconds,
      "a whole number of seconds from 1 to 3600", "60",
      "The longest wait before the provider is tried again; 60 unless set." },
    { "TUNNEL_PUBLIC_URL", ENV_SECBOX | ENV_RELAY, 0, false, check_public_url,
      "a URL https://HOST[:PORT][/PATH] without user, query and white space", "https://caseta-5.media.example",
      "Where viewers reach this box through the provider; told to the cloud." },
    { "RELAY_TARGET", ENV_SECBOX | ENV_RELAY, 0, false, check_server, "HOST:PORT", "secbox:8444",
      "What the provider's visitors are led to: MEDIA_LISTEN of secbox as relay-client sees it, never the guards' "
      "pages." },
    {},
};

const EnvRule *env_rule_find(const char *key)
{
    for (const EnvRule *rule = env_rules; rule->key; rule++)
        if (str_equal(rule->key, key))
            return rule;
    return NULL;
}

static const char *kind_name(EnvFileKind kind)
{
    return kind == ENV_AGENT ? "mgmt-agent.env" : "secbox.env";
}

static bool is_blank(const char *value)
{
    return !value || value[strspn(value, " \t")] == '\0';
}

static unsigned line_of(const EnvFile *e, const char *key)
{
    for (size_t i = 0; i < env_size(e); i++)
        if (str_equal(env_key_at(e, i), key))
            return env_line_at(e, i);
    return 0;
}

/* One sentence for all of them: a box is fixed in one go. */
static int check_required(const EnvFile *e, EnvFileKind kind, const char *file, Error *err)
{
    _cleanup_(strv_freep) char **missing = NULL, **keys = NULL;
    _cleanup_(freep) char *list = NULL, *key = NULL;
    int r = 0;

    for (const EnvRule *rule = env_rules; rule->key; rule++) {
        const char *value = env_get(e, rule->key);

        if (!(rule->required & (unsigned) kind) || !is_blank(value))
            continue;
        r = strv_addf(&missing, "%s%s", rule->key, !value ? "" : *value ? " (only white space)" : " (empty)");
        if (r == 0)
            r = strv_add(&keys, rule->key);
        if (r < 0)
            return error_from_errno(err, r, "cannot check an env file");
    }
    if (!missing)
        return 0;
    list = strv_join(missing, ", ");
    key = strv_join(keys, ",");
    if (!list || !key)
        return error_from_errno(err, -ENOMEM, "cannot check an env file");
    return error_set_at(err, EINVAL, "env.missing-keys", file, line_of(e, keys[0]), key,
                        "%s lacks required keys: %s; add each as a line NAME=value%s", file ? file : kind_name(kind),
                        list, kind == ENV_SECBOX ? ", or remove the file so that it is made from mgmt-agent.env" : "");
}

static int check_value(const EnvFile *e, size_t i, EnvFileKind kind, const char *file, Error *err)
{
    const char *key = env_key_at(e, i), *value = env_value_at(e, i), *name = file ? file : kind_name(kind);
    const EnvRule *rule = env_rule_find(key);
    unsigned line = env_line_at(e, i);

    if (strstr(value, "${"))
        return error_set_at(err, EINVAL, "env.unexpanded", file, line, key,
                            "%s: the value of %s holds a literal \"${\", which nothing will replace; write the value "
                            "itself",
                            name, key);
    if (kind == ENV_AGENT && (!rule || !(rule->kinds & ENV_AGENT)))
        return error_set_at(err, EINVAL, "env.unknown-key", file, line, key,
                            "%s: there is no key %s; correct its name, or remove the line (keys for containers belong "
                            "into secbox.env)",
                            name, key);
    if (*value && is_blank(value))
        return error_set_at(err, EINVAL, "env.white-space", file, line, key,
                            "%s: the value of %s is only white space; write %s= for an empty value", name, key, key);
    if (!*value || !rule || !(rule->kinds & (unsigned) kind) || rule->check(value) == 0)
        return 0;
    if (rule->secret || strchr(value, '@') || strlen(value) > SHOWN_MAX)
        return error_set_at(err, EINVAL, "env.bad-value", file, line, key, "%s: %s must be %s", name, key,
                            rule->expects);
    return error_set_at(err, EINVAL, "env.bad-value", file, line, key, "%s: %s must be %s, not \"%s\"", name, key,
                        rule->expects, value);
}

int env_load_kind(EnvFileKind kind, const char *path, EnvFile **ret, Error *err)
{
    return kind == ENV_SECBOX ? dotenv_load(path, ret, err) : env_load(path, ret, err);
}

int env_validate(const EnvFile *e, EnvFileKind kind, const char *file, Error *err)
{
    int r;

    r = check_required(e, kind, file, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < env_size(e); i++) {
        r = check_value(e, i, kind, file, err);
        if (r < 0)
            return r;
    }
    return 0;
}

void env_count_required(const EnvFile *e, EnvFileKind kind, unsigned *ret_present, unsigned *ret_total)
{
    unsigned present = 0, total = 0;

    for (const EnvRule *rule = env_rules; rule->key; rule++) {
        if (!(rule->required & (unsigned) kind))
            continue;
        total++;
        present += !is_blank(env_get(e, rule->key));
    }
    *ret_present = present;
    *ret_total = total;
}

int env_derive_gateway_url(const char *mgmt_url, const char *role, char **ret, Error *err)
{
    size_t stem = strlen(mgmt_url) - (str_ends(mgmt_url, "/mgmt") ? strlen("mgmt") : 0);
    char *url;

    if (check_mgmt_url(mgmt_url) < 0)
        return error_set_at(err, EINVAL, "env.bad-gateway-url", NULL, 0, "MGMT_GATEWAY_URL",
                            "MGMT_GATEWAY_URL must be a URL wss://HOST[:PORT]/…/mgmt");
    url = str_format("%.*s%s", (int) stem, mgmt_url, role);
    if (!url)
        return error_from_errno(err, -ENOMEM, "cannot derive a gateway URL");
    *ret = url;
    return 0;
}

/* A bad source is refused under an id of its own: the file to mend is mgmt-agent.env. */
static int check_source(const EnvFile *agent, Error *err)
{
    _cleanup_(error_done) Error source_err = {};
    int r;

    r = check_required(agent, ENV_AGENT, NULL, err);
    if (r < 0)
        return error_prefix(err, r, "secbox.env cannot be made");
    r = env_validate(agent, ENV_AGENT, NULL, &source_err);
    if (r == 0)
        return 0;
    return error_set_at(err, r,
                        str_equal(source_err.key, "MGMT_GATEWAY_URL") && str_equal(source_err.id, "env.bad-value")
                            ? "env.bad-gateway-url"
                            : "env.source-invalid",
                        source_err.file, source_err.line, source_err.key, "secbox.env cannot be made: %s",
                        error_message(&source_err, r));
}

int env_derive_secbox(const EnvFile *agent, EnvFile **ret, Error *err)
{
    static const char *const copied[] = { "CLOUD_BASE_URL", "DEVICE_ID", "BOOTSTRAP" };
    _cleanup_(env_freep) EnvFile *e = NULL;
    _cleanup_(freep) char *url = NULL;
    int r;

    r = check_source(agent, err);
    if (r < 0)
        return r;
    r = env_derive_gateway_url(env_get(agent, "MGMT_GATEWAY_URL"), "device", &url, err);
    if (r < 0)
        return r;
    e = env_new();
    if (!e)
        return error_from_errno(err, -ENOMEM, "cannot make secbox.env");
    for (size_t i = 0; i < ELEMENTSOF(copied); i++) {
        const char *value = env_get(agent, copied[i]);

        r = is_blank(value) ? 0 : env_set(e, copied[i], value, err);
        if (r < 0)
            return r;
    }
    r = env_set(e, "DEVICE_GATEWAY_URL", url, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(e);
    return 0;
}

char *env_print_example(EnvFileKind kind)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(EXAMPLE_SIZE_MAX);
    int r;

    r = buf_printf(&b,
                   "# %s: %s\n"
                   "# Written from the rules in env/env-rules.c.\n",
                   kind_name(kind),
                   kind == ENV_SECBOX
                       ? "NAME=value lines, as docker compose reads them: quotes, \"export\" and comments are fine."
                       : "NAME=value lines, without quotes, without \"export\", without white space around '='.\n"
                         "# Comments stand on lines of their own.");
    for (const EnvRule *rule = env_rules; rule->key && r == 0; rule++) {
        bool required = (rule->required & (unsigned) kind) != 0;

        if (rule->kinds & (unsigned) kind)
            r = buf_printf(&b, "\n# %s\n# %s: %s.\n%s%s=%s\n", rule->help, required ? "Required" : "Optional",
                           rule->expects, required ? "" : "#", rule->key, rule->example);
    }
    return r < 0 ? NULL : buf_take(&b);
}

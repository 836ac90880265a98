/* SPDX-License-Identifier: MIT */
/* doctor: the env file, the options in it, and the URL that boxes use. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "gateway/doctor.h"
#include "gateway/gateway-env.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/http/client.h"

#define OPTIONS_VARIABLE "SECBOX_GATEWAY_OPTIONS"
#define USUAL_DATABASE "host=/run/postgresql dbname=secbox"
#define RESTART "systemctl restart secbox-gateway"
#define ASK_TIMEOUT (10 * USEC_PER_SEC)
#define ANSWER_MAX 4096

static void read_words(Doctor *d)
{
    Settings *s = &d->settings;
    const struct {
        const char *name;
        const char **value;
    } options[] = {
        { "listen", &s->listen },
        { "state", &s->state },
        { "signer", &s->signer },
        { "issuer", &s->issuer },
        { "cert", &s->cert },
        { "key", &s->key },
        { "database", &s->database },
        { "proxy-protocol", &s->proxy_protocol },
        { "forwarded-for", &s->forwarded_for },
        { "token-hours", &s->token_hours },
        { "bootstrap-hours", &s->bootstrap_hours },
        { "accept-rate", &s->accept_rate },
        { "accept-burst", &s->accept_burst },
        { "webhook-ca", &s->webhook_ca },
        { "webhook-networks", &s->webhook_networks },
        { "webhook-tries", &s->webhook_tries },
        { "relay-check", &s->relay_check },
        { "relay-ca", &s->relay_ca },
        { "relay-networks", &s->relay_networks },
        { "photo-days", &s->photo_days },
        { "keepalive", &s->keepalive },
        { "event-days", &s->event_days },
        { "bans-behind", &s->bans_behind },
        { "bans-away", &s->bans_away },
        { "import-max", &s->import_max },
        { "install-dir", &s->install_dir },
        { "oidc-issuer", &s->oidc_issuer },
        { "oidc-client", &s->oidc_client },
        { "oidc-roles", &s->oidc_roles },
        { "oidc-claim", &s->oidc_claim },
        { "oidc-name", &s->oidc_name },
        { "oidc-ca", &s->oidc_ca },
        { "oidc-hours", &s->oidc_hours },
    };

    for (char **w = d->words; w && *w && !d->unknown; w++) {
        if (str_equal(*w, "--two-person")) {
            s->two_person = true;
            continue;
        }
        const char *name = str_starts(*w, "--") ? *w + 2 : "", *equals = strchr(name, '=');
        size_t len = equals ? (size_t) (equals - name) : strlen(name), i = 0;

        while (i < ELEMENTSOF(options) && (strlen(options[i].name) != len || strncmp(options[i].name, name, len) != 0))
            i++;
        if (i == ELEMENTSOF(options) || (!equals && !w[1]))
            d->unknown = *w;
        else
            *options[i].value = equals ? equals + 1 : *++w;
    }
}

static int read_env(Doctor *d)
{
    int r = !d->env_is_there ? 0 : gateway_env_load(d->env_file, OPTIONS_VARIABLE, &d->options_text, &d->env_error);

    if (r >= 0 && d->env_is_there && !d->database)
        r = gateway_env_load(d->env_file, DATABASE_VARIABLE, &d->database, &d->env_error);
    return r == -ENOMEM ? r : 0;
}

static void find_host(Doctor *d)
{
    const char *at = d->settings.issuer ? strstr(d->settings.issuer, "://") : NULL;
    size_t len;

    if (!at)
        return;
    at += strlen("://");
    at += *at == '[';
    len = strcspn(at, at[-1] == '[' ? "]" : ":/");
    if (len < sizeof(d->host))
        memcpy(d->host, at, len);
}

int doctor_load(Doctor *d, const Settings *given, Error *err)
{
    *d = (Doctor) { .env_file = given->env_file ? given->env_file : GATEWAY_ENV_FILE,
                    .settings = { .listen = given->listen } };
    d->database = given->database ? strdup(given->database) : NULL;
    struct stat st;
    d->env_is_there = lstat(d->env_file, &st) == 0;
    if ((given->database && !d->database) || read_env(d) < 0 ||
        (d->options_text && gateway_env_split(d->options_text, &d->words) < 0))
        return error_from_errno(err, -ENOMEM, "read the settings");
    read_words(d);
    if (d->settings.database && !given->database) {
        secret_free(d->database);
        d->database = strdup(d->settings.database);
    }
    find_host(d);
    return 0;
}

void doctor_done(Doctor *d)
{
    free(d->options_text);
    strv_free(d->words);
    secret_free(d->database);
    error_done(&d->env_error);
    error_done(&d->probe_error);
    store_probe_done(&d->probe);
}

static void of_missing_database(const Doctor *d, Finding *f)
{
    finding_set(f, VERDICT_FAIL,
                "That is the database that the README makes; write another in its place if yours is elsewhere.",
                "%s does not say where the database is: " DATABASE_VARIABLE " is missing", d->env_file);
    finding_since_file(f, d->env_file);
    finding_remedy(f, "sed -i '$a\\' %s && echo \"" DATABASE_VARIABLE "='" USUAL_DATABASE "'\" >>%s && " RESTART,
                   d->env_file, d->env_file);
}

/* Of a connection string in either of its forms. */
static bool holds_password(const char *database)
{
    const char *scheme = strstr(database, "://"), *at = scheme ? strchr(scheme + 3, '@') : NULL;
    const char *colon = at ? memchr(scheme + 3, ':', (size_t) (at - scheme - 3)) : NULL;

    return colon || strstr(database, "password");
}

void check_env_file(Doctor *d, Finding *f)
{
    struct stat st;

    if (d->env_error.id) {
        finding_set(f, VERDICT_FAIL, "Correct that line; the service manager reads it at the next start.", "%s",
                    error_message(&d->env_error, -EINVAL));
        finding_since_file(f, d->env_file);
    } else if (!d->env_is_there && !d->database) {
        finding_set(f, VERDICT_FAIL,
                    "That is the database that the README makes; its options, " OPTIONS_VARIABLE
                    ", have to be written again as well.",
                    "%s does not exist, so the gateway cannot start", d->env_file);
        finding_remedy(f, "echo \"" DATABASE_VARIABLE "='" USUAL_DATABASE "'\" >%s && chmod 0640 %s && " RESTART,
                       d->env_file, d->env_file);
    } else if (!d->database) {
        of_missing_database(d, f);
    } else if (d->env_is_there && holds_password(d->database) && stat(d->env_file, &st) == 0 && (st.st_mode & 0007)) {
        finding_set(f, VERDICT_FAIL, "Whoever has an account here may have read it: consider a new password.",
                    "others may read %s, in which the database's password stands: its mode is %04o", d->env_file,
                    st.st_mode & 07777);
        finding_since_file(f, d->env_file);
        finding_remedy(f, "chmod o= %s", d->env_file);
    } else {
        finding_pass(f, "%s", d->env_is_there ? d->env_file : "not there, and the database is named otherwise");
    }
}

/* An option's name alone: other words, and what stands behind the '=', may be a password. */
static void of_unknown_word(const char *word, Finding *f)
{
    static const char advice[] = "Correct " OPTIONS_VARIABLE ", then run `" RESTART "`.";

    if (str_starts(word, "--"))
        finding_set(f, VERDICT_FAIL, advice,
                    "%.*s is no option of serve, or has no value, so the gateway does not start",
                    (int) strcspn(word, "="), word);
    else
        finding_set(f, VERDICT_FAIL, advice,
                    OPTIONS_VARIABLE " has a word that is no option, so the gateway does not start");
}

void check_options(Doctor *d, Finding *f)
{
    const Settings *s = &d->settings;

    if (d->unknown) {
        of_unknown_word(d->unknown, f);
    } else if (!s->cert != !s->key) {
        finding_set(f, VERDICT_FAIL, "Correct " OPTIONS_VARIABLE ", then run `" RESTART "`.",
                    "there is a --%s without a --%s", s->cert ? "cert" : "key", s->cert ? "key" : "cert");
    } else {
        finding_pass(f, "%s", d->options_text ? "known to this program" : "there are none");
        return;
    }
    finding_since_file(f, d->env_file);
}

/* Asked as boxes ask. What only this machine cannot reach is no fault. */
static void of_answer(Doctor *d, Finding *f)
{
    _cleanup_(freep) char *url =
        str_format("%s%s", d->settings.issuer, str_ends(d->settings.issuer, "/") ? "healthz" : "/healthz");
    _cleanup_(freep) char *pem = NULL;
    _cleanup_(http_response_done) HttpResponse response = {};
    _cleanup_(error_done) Error err = {};

    if (d->settings.cert && file_read_followed(d->settings.cert, ENV_FILE_SIZE_MAX, &pem, NULL, NULL) < 0)
        pem = NULL;
    const HttpRequest request = { .url = url, .timeout_usec = ASK_TIMEOUT, .response_max = ANSWER_MAX, .ca_pem = pem };
    int r = url ? http_run(&request, &response, &err) : -ENOMEM;
    if (r == 0 && (response.status == 200 || response.status == 503))
        finding_pass(f, "%s answers", d->settings.issuer);
    else if (r == 0)
        finding_set(f, VERDICT_FAIL, "--issuer must be the URL under which boxes reach this gateway.",
                    "at %s something else answers, with status %d", d->settings.issuer, response.status);
    else if (str_equal(error_id(&err), "http.resolve"))
        finding_set(f, VERDICT_FAIL, "Correct --issuer, or the name in the DNS.", "%s", error_message(&err, r));
    else
        finding_set(f, VERDICT_UNKNOWN, "Ask it from another machine: `curl ISSUER/healthz`.",
                    "%s cannot be asked from here: %s", d->settings.issuer, error_message(&err, r));
}

void check_issuer(Doctor *d, Finding *f)
{
    const Settings *s = &d->settings;
    _cleanup_(error_done) Error err = {};

    if (!s->issuer && (s->proxy_protocol || s->forwarded_for)) {
        finding_set(f, VERDICT_FAIL, "Add --issuer with the URL that boxes use to " OPTIONS_VARIABLE ".",
                    "there is a proxy in front, and no --issuer: tokens name %s, where no box comes from", s->listen);
        finding_since_file(f, d->env_file);
    } else if (!s->issuer) {
        finding_pass(f, "not set: tokens name %s", s->listen);
    } else if (url_check(s->issuer, "https,http", &err) < 0) {
        finding_set(f, VERDICT_FAIL, "Correct " OPTIONS_VARIABLE ", then run `" RESTART "`.", "--issuer: %s",
                    error_message(&err, -EINVAL));
        finding_since_file(f, d->env_file);
    } else if (s->cert && str_starts(s->issuer, "http://")) {
        finding_set(f, VERDICT_FAIL, NULL, "the gateway does TLS itself, and --issuer %s says plain HTTP", s->issuer);
        finding_since_file(f, d->env_file);
        finding_remedy(f, "sed -i 's|--issuer\\([ =]\\)http://|--issuer\\1https://|' %s && " RESTART, d->env_file);
    } else {
        of_answer(d, f);
    }
}

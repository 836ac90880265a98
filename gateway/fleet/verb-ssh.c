/* SPDX-License-Identifier: MIT */
/* ssh, ssh-cert, ssh-config: OpenSSH with a key that lives as long as its session, or as its grant. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "gateway/fleet/verb-grants.h"
#include "gateway/fleet/known-hosts.h"
#include "gateway/fleet/ssh.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/base/tmp-sweep.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"

#define GRANT_FILE_MAX 256
#define COMMAND_MAX 65536
#define SSH_FAILED 255
/* Whoever was in for longer was not denied. */
#define DENIED_WITHIN (30 * USEC_PER_SEC)
/* A box whose clock the gateway knows takes an older one for expired; one of which it has heard since would, too. */
#define CERTIFICATE_AGE_MAX (2 * USEC_PER_MINUTE)

/* The grant to use; one is asked for when none is as it shall be and a reason is given. */
static int take_grant(Fleet *fleet, const char *device, char **ret, ApiReply *reply, Error *err)
{
    _cleanup_(error_done) Error why = {};

    int r = fleet_grant_find(fleet, device, ret, reply, &why);
    if (r == -ENOENT && !str_empty(fleet->reason) && str_equal(error_id(&why), "fleet.no-grant")) {
        r = fleet_grant_make(fleet, device, reply, err);
        if (r < 0)
            return r;
        *ret = strdup(fleet_grant_id(reply));
        return *ret ? 0 : error_from_errno(err, -ENOMEM, "keep the grant");
    }
    if (r < 0)
        (void) error_copy(err, &why);
    return r;
}

static int add_word(Buf *command, const char *word)
{
    _cleanup_(freep) char *quoted = ssh_quote(word);
    int r = quoted ? 0 : -ENOMEM;

    /* ssh expands percent signs before the shell sees them */
    for (const char *c = quoted; r >= 0 && *c; c++)
        r = *c == '%' ? buf_puts(command, "%%") : buf_append(command, c, 1);
    return r < 0 ? r : buf_puts(command, " ");
}

static int add_option(Buf *command, const char *name, const char *value)
{
    if (!value)
        return 0;
    int r = add_word(command, name);
    return r < 0 ? r : add_word(command, value);
}

/* The way back to this program with the settings of this command line; the token never among them. */
static char *proxy_command(const Fleet *fleet, const char *device, const char *grant, const char *certificate,
                           const char *known_hosts)
{
    _cleanup_(freep) char *own = ssh_own_path();
    Buf command = BUF_INIT(COMMAND_MAX);

    int r = own ? add_word(&command, own) : -ENOMEM;
    if (r >= 0)
        r = add_word(&command, "ssh-proxy");
    if (r >= 0)
        r = add_option(&command, "--grant", grant);
    if (r >= 0)
        r = add_option(&command, "--certificate", certificate);
    if (r >= 0)
        r = add_option(&command, "--known-hosts", known_hosts);
    if (r >= 0)
        r = add_option(&command, "--way", fleet->way);
    if (r >= 0)
        r = add_option(&command, "--gateway", fleet->gateway);
    if (r >= 0)
        r = add_option(&command, "--token-file", fleet->token_file);
    if (r >= 0)
        r = add_option(&command, "--ca", fleet->ca);
    if (r >= 0 && fleet->plain_http)
        r = add_word(&command, "--plain-http");
    if (r >= 0)
        r = add_word(&command, "--");
    if (r >= 0)
        r = add_word(&command, device);
    if (r < 0) {
        buf_done(&command);
        return NULL;
    }
    return buf_take(&command);
}

static int add_setting(char ***argv, const char *name, const char *value)
{
    int r = value ? strv_add(argv, "-o") : -ENOMEM;
    return r < 0 ? r : strv_addf(argv, "%s=%s", name, value);
}

static int make_argv(const Fleet *fleet, const char *grant, const char *serial, const char *folder,
                     const char *known_hosts, bool strict, int argc, char **args, char ***ret)
{
    _cleanup_(strv_freep) char **argv = NULL;
    _cleanup_(freep) char *key = str_format("%s/key", folder), *certificate = str_format("%s/key-cert.pub", folder);
    _cleanup_(freep) char *alias = str_format(HOST_KEY_ALIAS_PREFIX "%s", args[0]),
                          *proxy = proxy_command(fleet, args[0], grant, serial, known_hosts);
    const struct {
        const char *name, *value;
    } settings[] = {
        { "ProxyCommand", proxy },          { "IdentityFile", key },
        { "CertificateFile", certificate }, { "IdentitiesOnly", "yes" },
        { "HostKeyAlias", alias },          { "UserKnownHostsFile", known_hosts },
        { "GlobalKnownHostsFile", "none" }, { "StrictHostKeyChecking", strict ? "yes" : "accept-new" },
        { "UpdateHostKeys", "no" },         { "HashKnownHosts", "no" },
        { "User", fleet->login },
    };

    int r = strv_add(&argv, "ssh");
    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(settings); i++)
        r = add_setting(&argv, settings[i].name, settings[i].value);
    for (int i = 0; r >= 0 && i < argc; i++)
        r = strv_add(&argv, args[i]);
    if (r >= 0)
        *ret = TAKE_PTR(argv);
    return r;
}

/* What ssh has said is on the terminal, and nowhere else; where no sshd was reached, none has refused anybody. */
static const char denied_hint[] = "(\"Permission denied (publickey)\" is said by an sshd that does not know the "
                                  "gateway's authority: on the box its setting\n"
                                  "TrustedUserCAKeys has to name a file with the line that `secbox-fleet support-ca` "
                                  "prints; --way recovery comes to another "
                                  "sshd.)\n";

/* A grant that was named may be for another account, whose certificate is worth nothing here. */
static int check_account(const Fleet *fleet, const cJSON *certificate, const char *grant, Error *err)
{
    const char *account = json_string(certificate, "account"); /* a gateway of an earlier time tells none */

    return !account || str_equal(account, fleet->login)
               ? 0
               : error_set(err, EACCES, "fleet.other-account", "grant %s is for the account %s: log in with --user %s",
                           grant, account, account);
}

static int log_in(Fleet *fleet, const char *grant, const char *folder, int argc, char **args, ApiReply *reply,
                  Error *err)
{
    _cleanup_(freep) char *key = str_format("%s/key", folder), *known_hosts = NULL;
    _cleanup_(strv_freep) char **argv = NULL;
    bool strict = false;

    int r = known_hosts_own_link(fleet, args[0], &known_hosts, err);
    if (r >= 0)
        r = key ? ssh_make_key(key, err) : error_from_errno(err, -ENOMEM, "make a key");
    if (r >= 0)
        r = ssh_certify(fleet, grant, key, reply, err);
    if (r >= 0)
        r = check_account(fleet, reply->body, grant, err);
    if (r >= 0)
        r = known_hosts_strict(fleet, args[0], json_bool(reply->body, "hostKeysKnown", false), &strict, err);
    if (r >= 0)
        r = error_from_errno(
            err,
            make_argv(fleet, grant, json_string(reply->body, "serial"), folder, known_hosts, strict, argc, args, &argv),
            "run ssh");
    usec_t begun = boottime_usec();
    if (r >= 0)
        r = ssh_run(argv, true, err);
    bool opened = known_hosts && known_hosts_is_set(known_hosts);
    if (known_hosts)
        known_hosts_own_ended(known_hosts, r == SSH_FAILED);
    if (r == SSH_FAILED && opened && boottime_usec() - begun < DENIED_WITHIN)
        fprintf(stderr, "%s", denied_hint);
    return r;
}

static int check_device(const char *device, Error *err)
{
    if (device[0] == '-' || device[0] == '.' || strpbrk(device, "/@ \t\n\"'"))
        return error_set(err, EINVAL, "usage", "\"%s\" is no box's id", device);
    return 0;
}

int verb_ssh(int argc, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *grant = NULL, *folder = NULL;

    int r = check_device(argv[0], &err);
    if (r >= 0)
        r = fleet_begin(fleet, &err);
    if (r >= 0)
        r = take_grant(fleet, argv[0], &grant, &reply, &err);
    if (r >= 0)
        r = ssh_make_folder(&folder, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    r = log_in(fleet, grant, folder, argc, argv, &reply, &err);
    _cleanup_(error_done) Error ignored = {};
    if (dir_remove(folder, &ignored) < 0)
        fprintf(stderr, "%s: %s, which holds a key, cannot be removed\n", PROGRAM, folder);
    return r < 0 ? fleet_fail(fleet, &reply, &err, r) : r;
}

/* By this machine's clock, which may have been set back: then nobody knows. */
static bool is_fresh(const char *certificate)
{
    struct stat st;
    usec_t now = realtime_usec(), made;

    if (stat(certificate, &st) < 0 || st.st_mtim.tv_sec < 0)
        return false;
    made = (usec_t) st.st_mtim.tv_sec * USEC_PER_SEC + (usec_t) st.st_mtim.tv_nsec / 1000;
    return made <= now && now - made < CERTIFICATE_AGE_MAX;
}

/* Whether the key there was certified under this grant, just now: several that begin at once share it. */
static bool is_certified(const char *key, const char *grant)
{
    _cleanup_(freep) char *path = str_format("%s@grant", key), *certificate = str_format("%s-cert.pub", key),
                          *text = NULL;

    return path && certificate && access(key, R_OK) == 0 && is_fresh(certificate) &&
           file_read(path, GRANT_FILE_MAX, &text, NULL, NULL) >= 0 && str_equal(text, grant);
}

/* ssh-keygen overwrites nothing, and what it was killed over would be in its way for ever. */
static int make_key_once(const char *key, const char *public, Error *err)
{
    if (access(key, R_OK) == 0 && access(public, R_OK) == 0)
        return 0;
    int r = file_remove(key, err);
    if (r >= 0)
        r = file_remove(public, err);
    return r < 0 ? r : ssh_make_key(key, err);
}

static int certify(Fleet *fleet, const char *device, const char *key, const char *grant, ApiReply *reply, Error *err)
{
    bool strict = false;
    _cleanup_(freep) char *path = str_format("%s@grant", key), *public = str_format("%s.pub", key);

    if (!path || !public)
        return error_from_errno(err, -ENOMEM, "keep a key");
    const char *slash = strrchr(key, '/');
    _cleanup_(freep) char *folder = slash ? strndup(key, (size_t) (slash - key)) : NULL;

    if (folder)
        (void) tmp_sweep(folder, false);
    int r = file_remove(path, err);
    if (r >= 0)
        r = make_key_once(key, public, err);
    if (r >= 0)
        r = ssh_certify(fleet, grant, key, reply, err);
    if (r >= 0)
        r = known_hosts_strict(fleet, device, json_bool(reply->body, "hostKeysKnown", false), &strict, err);
    usec_t keep = (usec_t) fleet_int(reply->body, "keepSeconds") * USEC_PER_SEC;
    if (r < 0 || (json_bool(reply->body, "once", false) && keep < CERTIFICATE_AGE_MAX))
        return r; /* the next login has one of its own */
    return file_write_atomic(path, grant, strlen(grant), 0600, (uid_t) -1, (gid_t) -1, err);
}

/* Several ssh may start at once: one makes the key, the others find it. */
static int lock_folder(const char *folder, int *ret, Error *err)
{
    int r = dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, err);
    if (r < 0)
        return r;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX) < 0) {
        r = -errno;
        if (fd >= 0)
            close(fd);
        return error_from_errno(err, r, "lock %s", folder);
    }
    *ret = fd;
    return 0;
}

int verb_ssh_cert(int argc _unused_, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(closep) int lock = -1;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *grant = NULL, *folder = fleet_config_path("ssh"), *key = NULL;

    key = folder ? str_format("%s/%s", folder, argv[0]) : NULL;
    int r = key ? check_device(argv[0], &err) : error_from_errno(&err, -ENOMEM, "keep a key");
    if (r >= 0)
        r = lock_folder(folder, &lock, &err);
    if (r >= 0)
        r = fleet_begin(fleet, &err);
    if (r >= 0)
        r = take_grant(fleet, argv[0], &grant, &reply, &err);
    if (r >= 0)
        known_hosts_settle(fleet, argv[0]);
    if (r >= 0 && !is_certified(key, grant))
        r = certify(fleet, argv[0], key, grant, &reply, &err);
    return r < 0 ? fleet_fail(fleet, &reply, &err, r) : EXIT_OK;
}

/* The ids to write lines for: those of the command line, else all that the gateway knows. */
static int find_devices(Fleet *fleet, int argc, char **argv, char ***ret, ApiReply *reply, Error *err)
{
    _cleanup_(strv_freep) char **devices = NULL;
    const cJSON *device;
    int r = 0;

    for (int i = 0; i < argc && r >= 0; i++)
        r = strv_add(&devices, argv[i]);
    if (argc == 0)
        r = api_call(&fleet->api, "GET", "/v1/devices", NULL, CALL_TIMEOUT, reply, err);
    if (argc == 0 && r >= 0) {
        cJSON_ArrayForEach(device, cJSON_GetObjectItemCaseSensitive(reply->body, "devices")) {
            if (r >= 0 && json_string(device, "id"))
                r = strv_add(&devices, json_string(device, "id"));
        }
    }
    for (size_t i = 0; r >= 0 && devices && devices[i]; i++)
        r = check_device(devices[i], err);
    if (r >= 0 && !devices)
        r = error_set(err, ENOENT, "fleet.no-devices", "the gateway knows no boxes yet: name some");
    if (r < 0)
        return error_from_errno(err, r, "look for boxes");
    *ret = TAKE_PTR(devices);
    return 0;
}

/* What belongs to a box stands in a block that always holds: without the certificate, too, ssh must find this box and no other. */
static void write_config(FILE *out, const Fleet *fleet, char *const *devices, const char *own, const char *key,
                         const char *link)
{
    fprintf(out,
            "# Written by `%s ssh-config`: put it into ~/.ssh/config, before other blocks that match these names.\n",
            PROGRAM);
    for (size_t i = 0; devices[i]; i++)
        fprintf(out, "Host %s\n    HostKeyAlias " HOST_KEY_ALIAS_PREFIX "%s\n    User %s\n", devices[i], devices[i],
                fleet->login);
    _cleanup_(freep) char *names = strv_join(devices, ","), *quoted = ssh_quote(link);
    fprintf(out, "Match originalhost %s exec \"%s ssh-cert --user %%r -- %%n\"\n", names ? names : "", own);
    fprintf(out, "    IdentityFile \"%s\"\n    CertificateFile \"%s-cert.pub\"\n", key, key);
    fprintf(out, "Match originalhost %s exec \"test -e %s" HOST_KEYS_STRICT_SUFFIX "\"\n", names ? names : "",
            quoted ? quoted : link);
    fprintf(out, "    StrictHostKeyChecking yes\n");
    fprintf(out, "Match originalhost %s\n", names ? names : "");
    fprintf(out, "    ProxyCommand %s ssh-proxy --known-hosts %s -- %%n\n    IdentitiesOnly yes\n", own,
            quoted ? quoted : link);
    fprintf(out, "    UserKnownHostsFile \"%s\"\n    GlobalKnownHostsFile none\n", link);
    fprintf(out, "    StrictHostKeyChecking accept-new\n    UpdateHostKeys no\n    HashKnownHosts no\n");
}

static char *config_text(const Fleet *fleet, char *const *devices, const char *link)
{
    _cleanup_(freep) char *own = ssh_own_path(), *quoted = own ? ssh_quote(own) : NULL,
                          *key = fleet_config_path("ssh/%n");
    char *text = NULL;
    size_t size = 0;
    FILE *out = quoted && key ? open_memstream(&text, &size) : NULL;

    if (!out)
        return NULL;
    write_config(out, fleet, devices, quoted, key, link);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

int verb_ssh_config(int argc, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    _cleanup_(strv_freep) char **devices = NULL;
    _cleanup_(freep) char *link = NULL;

    int r = fleet_begin(fleet, &err);
    if (r >= 0)
        r = find_devices(fleet, argc, argv, &devices, &reply, &err);
    if (r >= 0)
        r = known_hosts_link(fleet, "%n", &link, &err);
    return r < 0 ? fleet_fail(fleet, &reply, &err, r) : report_text(config_text(fleet, devices, link), EXIT_OK);
}

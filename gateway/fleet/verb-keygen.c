/* SPDX-License-Identifier: MIT */
/* keygen: a key that signs orders; auditor-key: one that opens recordings of sessions. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "gateway/fleet/fleet.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"
#include "lib/data/key-ed25519.h"
#include "lib/data/order-signer.h"
#include "lib/data/seal.h"

#define COMMENT_MAX 128

static int write_both(const char *path, const char *private, const char *public, Error *err)
{
    _cleanup_(freep) char *public_path = str_format("%s.pub", path);

    if (!public_path)
        return error_from_errno(err, -ENOMEM, "cannot write a key");
    if (access(path, F_OK) == 0 || access(public_path, F_OK) == 0)
        return error_set(err, EEXIST, "key.exists", "%s or %s is there already: name another file", path, public_path);
    int r = file_write_atomic(public_path, public, strlen(public), 0644, (uid_t) -1, (gid_t) -1, err);
    if (r >= 0)
        r = file_write_atomic(path, private, strlen(private), 0600, (uid_t) -1, (gid_t) -1, err);
    if (r < 0)
        (void) unlink(public_path); /* half a key would be in the way of the next try */
    return r;
}

static int make(const Fleet *fleet, const char *path, char **ret_line, Error *err)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    _cleanup_(ed25519_freep) SignerKey *key = NULL;
    _cleanup_(secret_freep) char *private = NULL;
    uint8_t public[ED25519_SIZE];
    _cleanup_(freep) char *line = NULL;

    if (str_empty(name) || strlen(name) > COMMENT_MAX)
        return error_set(err, EINVAL, "usage", "name the file that the key shall be in");
    int r = ed25519_make(&key, err);
    if (r >= 0)
        r = ed25519_print(key, fleet->passphrase, &private, err);
    if (r >= 0)
        r = ed25519_public(key, public);
    if (r < 0)
        return error_from_errno(err, r, "cannot make a key");
    *ret_line = ssh_ed25519_line(public, name);
    line = *ret_line ? str_format("%s\n", *ret_line) : NULL;
    return line ? write_both(path, private, line, err) : error_from_errno(err, -ENOMEM, "cannot make a key");
}

int verb_keygen(int argc, char **argv, void *userdata)
{
    const Fleet *fleet = userdata;
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    _cleanup_(order_signer_done) OrderSigner signer = {};
    _cleanup_(freep) char *line = NULL;
    _cleanup_(error_done) Error err = {};

    (void) argc;
    int r = make(fleet, argv[0], &line, &err);
    if (r >= 0)
        r = order_signer_parse(line, &signer, &err);
    if (r >= 0 && fleet->json &&
        (json_add_string(body, "publicKey", line) < 0 || json_add_string(body, "keyId", signer.fingerprint) < 0))
        r = error_from_errno(&err, -ENOMEM, "cannot make a key");
    if (r < 0)
        return fleet_fail(fleet, NULL, &err, r);
    if (fleet->json)
        return report_json(body, EXIT_OK);
    return report_text(str_format("%s signs orders; on each box that shall take them: secboxctl trust add %s.pub\n%s\n",
                                  argv[0], argv[0], signer.fingerprint),
                       EXIT_OK);
}

static int make_auditor(const Fleet *fleet, const char *path, char **ret_public, Error *err)
{
    _cleanup_(hpke_key_freep) HpkeKey *key = NULL;
    _cleanup_(secret_freep) char *private = NULL;
    _cleanup_(freep) char *line = NULL;
    int r = hpke_key_make(&key, err);

    if (r >= 0)
        r = hpke_key_print(key, fleet->passphrase, &private, err);
    if (r < 0)
        return r;
    *ret_public = seal_public_print(key);
    line = *ret_public ? str_format("%s\n", *ret_public) : NULL;
    return line ? write_both(path, private, line, err) : error_from_errno(err, -ENOMEM, "cannot make a key");
}

int verb_auditor_key(int argc _unused_, char **argv, void *userdata)
{
    const Fleet *fleet = userdata;
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    _cleanup_(freep) char *public = NULL;
    _cleanup_(error_done) Error err = {};
    int r = make_auditor(fleet, argv[0], &public, &err);

    if (r >= 0 && fleet->json && json_add_string(body, "publicKey", public) < 0)
        r = error_from_errno(&err, -ENOMEM, "cannot make a key");
    if (r < 0)
        return fleet_fail(fleet, NULL, &err, r);
    if (fleet->json)
        return report_json(body, EXIT_OK);
    return report_text(str_format("%s opens recordings of sessions and stays with the auditors; %s.pub is for "
                                  "secbox-gateway --auditor-key\n",
                                  argv[0], argv[0]),
                       EXIT_OK);
}

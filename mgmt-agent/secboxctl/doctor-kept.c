/* SPDX-License-Identifier: MIT */
/* doctor: what brings back the configuration that worked last. */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env/env-rules.h"
#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/data/x509-fingerprints.h"
#include "mgmt-agent/secboxctl/doctor.h"
#include "mgmt-agent/secboxctl/env-files.h"

#define KEPT_CA STATE_DIR "/recovery/ca.pem"
#define CA_KEEPER "secbox-recovery"
#define ENV_KEEPER "mgmt-link"
#define CA_SIZE_MAX (1024 * 1024)
/* that a person compares */
#define FINGERPRINTS_MAX 4
#define FIRST_USER_UID 1000

/* A box below a prefix, run by a developer, has only one owner. */
static bool has_one_owner(void)
{
    return !str_empty(paths_root());
}

/* What prints a file with the rights of the user who keeps it: a new string, or NULL when it is not that user's own file. */
static char *reader_of(const char *path, const char *keeper)
{
    const struct passwd *pw = getpwnam(keeper);
    struct stat st;

    if (!text_is_shell_word(path) || lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return NULL;
    if (pw && pw->pw_uid != 0 && st.st_uid == pw->pw_uid)
        return str_format("runuser -u %s -- cat %s", keeper, path);
    return has_one_owner() && st.st_uid == geteuid() ? str_format("cat %s", path) : NULL;
}

/* What it says of the authorities in that text: a new string, or NULL when they are not such that a person can judge them. */
static char *advice_of_ca(const char *pem)
{
    _cleanup_(strv_freep) char **prints = NULL;

    if (x509_fingerprints(pem, FINGERPRINTS_MAX, &prints, NULL) < 0)
        return NULL;
    _cleanup_(freep) char *all = strv_join(prints, ", ");
    return all ? str_format("It is the authority by which this box came through last, as the user " CA_KEEPER
                            " has kept it. Ask first whether the SHA-256 fingerprint of the cloud's authority is %s.",
                            all)
               : NULL;
}

bool finding_of_kept_ca(const char *file, Finding *f)
{
    _cleanup_(freep) char *path = path_in_root(KEPT_CA), *now = NULL, *kept = NULL;
    _cleanup_(freep) char *reader = path ? reader_of(path, CA_KEEPER) : NULL;

    if (!reader || !text_is_shell_word(file) || file_read(path, CA_SIZE_MAX, &kept, NULL, NULL) < 0)
        return false;
    if (file_read_followed(file, CA_SIZE_MAX, &now, NULL, NULL) < 0 ? access(file, F_OK) == 0 : str_equal(now, kept))
        return false;
    char *advice = advice_of_ca(kept);
    if (!advice)
        return false;
    free(f->advice);
    f->advice = advice;
    finding_remedy(f, "%s >%s.new && chmod 0644 %s.new && mv %s.new %s", reader, file, file, file, file);
    return true;
}

/* Whether the containers may become this user's: mgmt-link, a user of its own, must not give them to another, least of all to
 * root. Without a name it is as on a new box. */
static bool may_have_containers(const char *name)
{
    _cleanup_(freep) char *path = env_files_path(ENV_SECBOX);
    const struct passwd *pw = str_empty(name) ? NULL : getpwnam(name);
    struct stat st;

    if (str_empty(name))
        return true;
    if (!path || !pw || pw->pw_uid < FIRST_USER_UID)
        return false;
    return lstat(path, &st) < 0 || st.st_uid == pw->pw_uid || (has_one_owner() && st.st_uid == geteuid());
}

char *kept_env_command(const char *path)
{
    _cleanup_(freep) char *kept = path_in_root(LINK_STATE_DIR "/" LINK_KEPT_ENV);
    _cleanup_(freep) char *reader = kept ? reader_of(kept, ENV_KEEPER) : NULL;
    _cleanup_(env_freep) EnvFile *env = NULL;

    if (!reader || !text_is_shell_word(path) || env_load(kept, &env, NULL) < 0 ||
        env_validate(env, ENV_AGENT, kept, NULL) < 0 || !may_have_containers(env_get(env, "PODMAN_USER")))
        return NULL;
    /* it holds secrets, and has its mode before it holds them */
    return str_format("(umask 077 && %s >%s.new && chmod 0600 %s.new && mv %s.new %s)", reader, path, path, path, path);
}

/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/agent/ssh-host-keys.h"

#include <errno.h>
#include <glob.h>
#include <string.h>
#include <strings.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define SSH_DIR "/etc/ssh"
#define PARTS SSH_DIR "/sshd_config.d/*.conf"
#define CONFIG_MAX (256 * 1024)
#define KEY_MAX 4096
/* The settings come with what makes these files, and with what the other sshd asks. */
#define RECOVERY_SETTINGS "/usr/lib/secbox/recovery-sshd_config"
#define BY_ACCOUNT "/accounts/%u\n"

const char *const ssh_host_key_paths[] = {
    SSH_DIR "/ssh_host_ed25519_key.pub",
    SSH_DIR "/ssh_host_ecdsa_key.pub",
    SSH_DIR "/ssh_host_rsa_key.pub",
    NULL,
};

/* What stands behind the keyword, to the end of the line, when the line has this one: a new string. Quotes and an equals sign as in
 * sshd_config(5); what follows a name is part of it, and so leads to no file. */
static char *value_of(const char *line, const char *keyword)
{
    size_t len = strlen(keyword);

    line += strspn(line, " \t");
    if (strncasecmp(line, keyword, len) != 0 || !line[len] || !strchr(" \t=", line[len]))
        return NULL;
    line += len + strspn(line + len, " \t=\"");
    len = strcspn(line, "\"\r\n");
    while (len > 0 && strchr(" \t", line[len - 1]))
        len--;
    return strndup(line, len);
}

/* Adds the files of HostKey, and tells whether there is more below PARTS; -EXDEV when a line leads where we do not look. */
static int read_lines(const char *text, char ***files, bool *more)
{
    int r = 0;

    for (const char *line = text; r >= 0 && line; line = strchr(line, '\n')) {
        line += *line == '\n';
        _cleanup_(freep) char *file = value_of(line, "HostKey"), *include = value_of(line, "Include");

        if (include && !str_equal(include, PARTS))
            return -EXDEV;
        *more |= include != NULL;
        if (file)
            r = strv_addf(files, "%s.pub", file);
    }
    return r;
}

static int read_config(const char *path, char ***files, bool *more)
{
    _cleanup_(freep) char *text = NULL;
    int r = file_read_followed(path, CONFIG_MAX, &text, NULL, NULL);

    return r == -ENOENT ? 0 : r < 0 ? r : read_lines(text, files, more);
}

/* The files that sshd's configuration names; none: the usual ones. */
static int find_files(char ***files)
{
    _cleanup_(freep) char *config = path_in_root(SSH_DIR "/sshd_config"), *parts = path_in_root(PARTS);
    glob_t found = {};
    bool more = false;
    int r = config && parts ? read_config(config, files, &more) : -ENOMEM;

    if (r >= 0 && more && glob(parts, 0, NULL, &found) == 0)
        for (size_t i = 0; r >= 0 && i < found.gl_pathc; i++)
            r = read_config(found.gl_pathv[i], files, &more);
    globfree(&found);
    bool none = r >= 0 && !*files;
    for (size_t i = 0; r >= 0 && none && ssh_host_key_paths[i]; i++)
        r = strv_add(files, ssh_host_key_paths[i]);
    return r;
}

/* Without the comment, which names whoever made it. */
static int add_key(cJSON *keys, const char *file)
{
    _cleanup_(freep) char *path = path_in_root(file), *text = NULL;

    if (!path || file_read_followed(path, KEY_MAX, &text, NULL, NULL) < 0)
        return path ? 0 : -ENOMEM;
    size_t type = strcspn(text, " \n"), end = text[type] == ' ' ? type + 1 + strcspn(text + type + 1, " \r\n") : 0;
    text[end] = '\0';
    return end > 0 ? json_append(keys, cJSON_CreateString(text)) : 0;
}

cJSON *ssh_host_keys_read(void)
{
    _cleanup_(strv_freep) char **files = NULL;
    _cleanup_(cJSON_Deletep) cJSON *keys = cJSON_CreateArray();
    int r = keys ? find_files(&files) : -ENOMEM;

    if (r < 0)
        return r == -ENOMEM ? NULL : TAKE_PTR(keys);
    for (size_t i = 0; files && files[i]; i++)
        if (add_key(keys, files[i]) < 0)
            return NULL;
    return TAKE_PTR(keys);
}

bool sshd_accounts_are_told_apart(void)
{
    _cleanup_(freep) char *path = path_in_root(RECOVERY_SETTINGS), *text = NULL;

    return path && file_read_followed(path, CONFIG_MAX, &text, NULL, NULL) >= 0 && strstr(text, BY_ACCOUNT);
}

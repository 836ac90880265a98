/* SPDX-License-Identifier: MIT */
#include "gateway/gateway-env.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

#define SERVICE_USER "secbox-gateway"
#define BLANKS " \t\r"
#define SEPARATORS " \t\r\n"

static int bad_line(Error *err, const char *file, unsigned line, const char *key, const char *problem)
{
    return error_set_at(err, EINVAL, "config.env-file", file, line, key, "%s; write %s='…' on one line", problem, key);
}

/* systemd.exec(5), EnvironmentFile=: inside double quotes a backslash counts before these only. */
static bool is_escaped(char quote, char next)
{
    return quote == 0 || (quote == '"' && next && strchr("\"\\`$", next));
}

/* The value that stands in [p, end), in a new string. */
static int read_value(const char *p, const char *end, char **ret, const char **problem)
{
    _cleanup_(secret_freep) char *value = calloc(1, (size_t) (end - p) + 1);
    char quote = 0;

    if (!value)
        return -ENOMEM;
    for (char *out = value; p < end; p++) {
        if (quote ? *p == quote : *p == '\'' || *p == '"') {
            quote = quote ? 0 : *p;
        } else if (*p == '\\' && quote != '\'' && p + 1 == end) {
            *problem = "the line goes on in the next one";
            return -EINVAL;
        } else {
            p += *p == '\\' && is_escaped(quote, p[1]);
            *out++ = *p;
        }
    }
    if (quote) {
        *problem = "a quote is not closed in this line";
        return -EINVAL;
    }
    *ret = TAKE_PTR(value);
    return 0;
}

int gateway_env_find(const char *text, const char *file, const char *key, char **ret, Error *err)
{
    _cleanup_(secret_freep) char *found = NULL;
    size_t key_len = strlen(key);
    unsigned number = 0;

    for (const char *p = text; *p;) {
        const char *line = p + strspn(p, BLANKS), *end = p + strcspn(p, "\n"), *problem = NULL;
        int r;

        number++;
        p = *end ? end + 1 : end;
        if (strncmp(line, key, key_len) != 0)
            continue;
        line += key_len;
        line += strspn(line, BLANKS);
        if (*line != '=')
            continue;
        line++;
        line += strspn(line, BLANKS);
        while (end > line && strchr(BLANKS, end[-1]))
            end--;
        secret_free(TAKE_PTR(found));
        r = read_value(line, end, &found, &problem);
        if (r < 0)
            return problem ? bad_line(err, file, number, key, problem) : error_from_errno(err, r, "read the settings");
    }
    *ret = TAKE_PTR(found);
    return 0;
}

/* One of those words; p is at its first byte. */
static const char *read_word(const char *p, char *out)
{
    char quote = 0;

    for (; *p && (quote || !strchr(SEPARATORS, *p)); p++) {
        if (*p == '\\') {
            if (!*++p)
                break;
            *out++ = *p;
        } else if (quote ? *p == quote : *p == '\'' || *p == '"') {
            quote = quote ? 0 : *p;
        } else {
            *out++ = *p;
        }
    }
    *out = '\0';
    return p;
}

int gateway_env_split(const char *value, char ***ret)
{
    _cleanup_(secret_freep) char *word = calloc(1, strlen(value) + 1);

    if (!word)
        return -ENOMEM;
    for (const char *p = value + strspn(value, SEPARATORS); *p; p += strspn(p, SEPARATORS)) {
        p = read_word(p, word);
        if (strv_add(ret, word) < 0)
            return -ENOMEM;
    }
    return 0;
}

int gateway_env_load(const char *named, const char *key, char **ret, Error *err)
{
    const char *file = named ? named : GATEWAY_ENV_FILE;
    _cleanup_(secret_freep) char *text = NULL;
    _cleanup_(error_done) Error why = {};
    size_t len = 0;
    int r = file_read(file, ENV_FILE_SIZE_MAX, &text, &len, &why);

    *ret = NULL;
    if (r == -ENOENT && !named)
        return 0;
    if (r == -ENOENT)
        return error_set_at(err, r, "config.env-file", file, 0, NULL, "there is no such file: see --env-file");
    if (r < 0)
        return error_set(err, r, "config.env-file", "%s; use sudo, or give --database", error_message(&why, r));
    return gateway_env_find(text, file, key, ret, err);
}

int gateway_become_service_user(Error *err)
{
    const struct passwd *user = geteuid() == 0 ? getpwnam(SERVICE_USER) : NULL;

    if (!user)
        return 0;
    if (initgroups(SERVICE_USER, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0)
        return error_set(err, errno, "config.user", "cannot go on as user %s: %s", SERVICE_USER, strerror(errno));
    return 0;
}

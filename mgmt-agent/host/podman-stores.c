/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/host/podman-stores.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"

#define CONF_SIZE_MAX (256 * 1024)
#define KEY "additionalimagestores"

/* TOML: an array of strings, which may go over several lines with comments in between. */
bool storage_conf_names_other_stores(const char *text)
{
    bool inside = false;

    while (text && *text) {
        size_t n = strcspn(text, "#\n");
        const char *from = text + strspn(text, " \t"), *end = text + n;

        if (!inside && from < end && strncmp(from, KEY, strlen(KEY)) == 0)
            inside = true;
        for (const char *p = from; inside && p < end; p++) {
            if (*p == '"' || *p == '\'')
                return true;
            inside = *p != ']';
        }
        text += n + strcspn(text + n, "\n");
        text += *text == '\n';
    }
    return false;
}

static bool names_other_stores(const char *path)
{
    _cleanup_(freep) char *text = NULL;
    int r = path ? file_read(path, CONF_SIZE_MAX, &text, NULL, NULL) : -ENOMEM;

    return r == -ENOENT ? false : r < 0 || storage_conf_names_other_stores(text);
}

/* As getenv(), of its children; NULL likewise. */
static const char *variable(const PodmanUser *u, const char *name)
{
    for (char *const *entry = u->env; entry && *entry; entry++)
        if (str_starts(*entry, name) && (*entry)[strlen(name)] == '=')
            return *entry + strlen(name) + 1;
    return NULL;
}

bool podman_has_other_stores(const PodmanUser *u)
{
    static const char *const of_machine[] = { "/etc/containers/storage.conf", "/usr/share/containers/storage.conf" };
    const char *named = variable(u, "CONTAINERS_STORAGE_CONF"), *config = variable(u, "XDG_CONFIG_HOME");
    _cleanup_(freep) char *of_user = config    ? path_join(config, "containers/storage.conf")
                                     : u->home ? path_join(u->home, ".config/containers/storage.conf")
                                               : NULL;

    if (variable(u, "STORAGE_OPTS") || names_other_stores(of_user) || (named && names_other_stores(named)))
        return true;
    for (size_t i = 0; i < ELEMENTSOF(of_machine); i++)
        if (names_other_stores(of_machine[i]))
            return true;
    return false;
}

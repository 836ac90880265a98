/* SPDX-License-Identifier: MIT */
#include "secbox/lan/box-names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/net/host-addresses.h"
#include "secbox/lan/authority.h"

#define ADDRESSES_FILE_MAX 4096

/* Addresses in their one form, and only those that the authority may vouch for; names as they are. NULL: not usable. */
static const char *canonical(const char *text, char buf[static INET6_ADDRSTRLEN])
{
    struct in6_addr six;
    struct in_addr four;

    if (inet_pton(AF_INET, text, &four) == 1)
        return address_is_private(AF_INET, &four) ? inet_ntop(AF_INET, &four, buf, INET6_ADDRSTRLEN) : NULL;
    if (inet_pton(AF_INET6, text, &six) == 1)
        return address_is_private(AF_INET6, &six) ? inet_ntop(AF_INET6, &six, buf, INET6_ADDRSTRLEN) : NULL;
    /* "box.secbox.local" is below the only name that the authority may vouch for; other names are not */
    return str_ends(text, "." LAN_HOST) && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-") == strlen(text)
               ? text
               : NULL;
}

bool box_name_is_usable(const char *name)
{
    char buf[INET6_ADDRSTRLEN];

    return canonical(name, buf) != NULL;
}

static int add(char ***names, const char *text)
{
    char buf[INET6_ADDRSTRLEN];
    const char *name = canonical(text, buf);

    if (!name || strv_contains(*names, name) || strv_length(*names) >= BOX_NAMES_MAX)
        return 0;
    return strv_add(names, name);
}

static int add_list(char ***names, const char *list, const char *separators)
{
    _cleanup_(freep) char *copy = strdup(list);
    char *rest = NULL;
    int r = copy ? 0 : -ENOMEM;

    for (char *word = copy ? strtok_r(copy, separators, &rest) : NULL; word && r >= 0;
         word = strtok_r(NULL, separators, &rest))
        r = add(names, word);
    return r;
}

static int add_written(char ***names, const char *run_dir)
{
    _cleanup_(freep) char *path = path_join(run_dir, HOST_ADDRESSES_NAME), *text = NULL;

    if (!path)
        return -ENOMEM;
    return file_read(path, ADDRESSES_FILE_MAX, &text, NULL, NULL) < 0 ? 0 : add_list(names, text, " \r\n");
}

/* What cannot be read now is there the next time. */
static int add_own(char ***names)
{
    _cleanup_(strv_freep) char **own = NULL;
    int r = 0;

    if (host_addresses(true, &own) < 0)
        return 0;
    for (char **a = own; a && *a && r >= 0; a++)
        r = add(names, *a);
    return r;
}

int box_names(const char *run_dir, const char *more, char ***ret, Error *err)
{
    _cleanup_(strv_freep) char **names = NULL;
    int r = strv_add(&names, LAN_HOST);

    if (r >= 0)
        r = strv_add(&names, "localhost");
    if (r >= 0 && more)
        r = add_list(&names, more, ", ");
    if (r >= 0)
        r = add_written(&names, run_dir);
    if (r >= 0)
        r = add_own(&names);
    if (r < 0)
        return error_from_errno(err, r, "cannot tell the box's names");
    strv_sort(names + 1);
    *ret = TAKE_PTR(names);
    return 0;
}

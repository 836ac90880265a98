/* SPDX-License-Identifier: MIT */
#include "gateway/auth/roles.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"

static const char *const names[_ROLE_OPERATOR_MAX] = {
    [ROLE_ADMIN] = "admin",     [ROLE_OPERATOR] = "operator", [ROLE_DEPLOY] = "deploy",
    [ROLE_SUPPORT] = "support", [ROLE_VIEWER] = "viewer",
};

const char *operator_role_to_string(OperatorRole role)
{
    return names[role];
}

int operator_role_parse(const char *text, OperatorRole *ret)
{
    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        if (str_equal(text, names[i])) {
            *ret = (OperatorRole) i;
            return 0;
        }
    return -EINVAL;
}

int operator_role_read(const char *stored, OperatorRole *ret, bool *ret_bound)
{
    *ret_bound = stored && str_starts(stored, ROLE_BOUND_PREFIX);
    return operator_role_parse(*ret_bound ? stored + strlen(ROLE_BOUND_PREFIX) : stored, ret);
}

int operator_role_check(const char *person, OperatorRole has, OperatorRole needed, Error *err)
{
    if (has == needed || has == ROLE_ADMIN || needed == ROLE_VIEWER || (has == ROLE_OPERATOR && needed != ROLE_ADMIN))
        return 0;
    return error_set(err, EACCES, "auth.role",
                     "this needs a token with the role %s, and that of %s has the role %s; on the gateway's machine "
                     "`secbox-gateway tokens add NAME --role %s` makes one",
                     names[needed], person, names[has], names[needed]);
}

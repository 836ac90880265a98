/* SPDX-License-Identifier: MIT */
#include "lib/cli/confirm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/strv.h"

int cli_confirm(bool yes, const char *question, Error *err)
{
    char answer[8] = "";

    if (yes)
        return 0;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return error_set(err, EINVAL, "usage", "nobody can be asked here: %s; say --yes", question);
    fprintf(stderr, "%s [yes/no] ", question);
    if (!fgets(answer, sizeof(answer), stdin))
        fputs("\n", stderr);
    answer[strcspn(answer, "\n")] = '\0';
    return str_equal(answer, "yes") || str_equal(answer, "y")
               ? 0
               : error_set(err, ECANCELED, "cli.declined", "nothing was done; answer yes, or say --yes");
}

/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/agent/host-addresses-file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define ADDRESS_MAX 45 /* what inet_ntop(3) makes at most */
#define ADDRESSES_MAX 32

char *host_addresses_text(const cJSON *list)
{
    static const char allowed[] = "0123456789abcdef.:";
    Buf b = BUF_INIT(ADDRESSES_MAX * (ADDRESS_MAX + 1) + 1);
    const cJSON *item;
    unsigned n = 0;
    int r = buf_puts(&b, "");

    cJSON_ArrayForEach(item, list) {
        const char *a = cJSON_IsString(item) ? item->valuestring : "";
        if (*a && strlen(a) <= ADDRESS_MAX && a[strspn(a, allowed)] == '\0' && n++ < ADDRESSES_MAX && r == 0)
            r = buf_printf(&b, "%s\n", a);
    }
    if (r < 0) {
        buf_done(&b);
        return NULL;
    }
    return buf_take(&b);
}

/* The folder belongs to the container's user, so nothing in it is read. */
static bool is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

void host_addresses_write(const cJSON *list, char **written)
{
    _cleanup_(freep) char *dir = path_in_root(SECBOX_RUN_DIR), *path = path_join(dir ? dir : "", HOST_ADDRESSES_NAME);
    _cleanup_(freep) char *text = list ? host_addresses_text(list) : NULL;
    _cleanup_(error_done) Error err = {};
    struct stat st;

    if (!dir || !path || !text || (str_equal(text, *written) && is_there(path)) || lstat(dir, &st) < 0 ||
        !S_ISDIR(st.st_mode))
        return;
    int r = file_write_atomic(path, text, strlen(text), 0644, (uid_t) -1, (gid_t) -1, &err);
    if (r < 0 && !str_equal(text, *written)) /* said once */
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r,
                    "the guards' pages do not know this box's addresses; LAN_NAMES in secbox.env can name them");
    free(*written);
    *written = TAKE_PTR(text);
}

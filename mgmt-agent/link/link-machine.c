/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"
#include "mgmt-agent/link/link-impl.h"

#define MACHINE_ID_PATH "/etc/machine-id"
#define MACHINE_ID_MAX 64
#define SHOWN_DIGITS 16

/* Not the id itself, which machine-id(5) wants kept from the network: enough to tell machines apart. */
static int add_machine_id(cJSON *o)
{
    _cleanup_(freep) char *path = path_in_root(MACHINE_ID_PATH), *id = NULL, *seed = NULL;
    char hex[SHA256_HEX_SIZE];

    if (!path)
        return -ENOMEM;
    if (file_read(path, MACHINE_ID_MAX, &id, NULL, NULL) < 0)
        return 0;
    id[strcspn(id, "\n")] = '\0';
    seed = str_format("secbox-machine %s", id);
    if (!seed || sha256_hex(seed, strlen(seed), hex) < 0)
        return -ENOMEM;
    hex[SHOWN_DIGITS] = '\0';
    return json_add_string(o, "machineId", hex);
}

cJSON *link_machine(void *link)
{
    const Link *l = link;
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    struct utsname names;
    int r = o ? add_machine_id(o) : -ENOMEM;

    if (r >= 0 && uname(&names) == 0 &&
        (json_add_string(o, "hostname", names.nodename) < 0 || json_add_string(o, "architecture", names.machine) < 0))
        r = -ENOMEM;
    if (r < 0 || json_add_string(o, "version", SECBOX_VERSION) < 0 || link_add_addresses(l, o) < 0)
        return NULL;
    return TAKE_PTR(o);
}

/* SPDX-License-Identifier: MIT */
#include "lib/tunnel/hello.h"

#include "lib/base/boot-id.h"
#include "lib/base/mem.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"
#include "lib/tunnel/protocol.h"

cJSON *hello_new(const char *device_id, const char *role, const char *program)
{
    _cleanup_(cJSON_Deletep) cJSON *hello = message_new("hello");
    _cleanup_(freep) char *boot_id = boot_id_read();
    if (!hello || json_add_string(hello, "deviceId", device_id) < 0 || json_add_string(hello, "role", role) < 0 ||
        json_add_string(hello, "program", program) < 0 || json_add_string(hello, "version", SECBOX_VERSION) < 0 ||
        json_add_string(hello, "bootId", boot_id) < 0 || json_add_int(hello, "protocol", TUNNEL_PROTOCOL) < 0)
        return NULL;
    return TAKE_PTR(hello);
}

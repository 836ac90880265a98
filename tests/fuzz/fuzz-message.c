/* SPDX-License-Identifier: MIT */
/* A message that is accepted has a type that this sender may send, and its members. */
#include "lib/data/json.h"
#include "lib/tunnel/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (unsigned sender = SENDER_CLOUD; sender <= SENDER_BOX; sender <<= 1) {
        _cleanup_(cJSON_Deletep) cJSON *object = NULL;
        _cleanup_(error_done) Error err = {};
        const MessageType *type = NULL;

        if (message_parse((const char *) data, size, (MessageSender) sender, &object, &type, &err) < 0) {
            if (!err.id || object || type)
                abort();
            continue;
        }
        if (!(type->senders & sender) || message_type_find(json_string(object, "type")) != type)
            abort();
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* What the gateway says about community data. Whatever is accepted is within its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/data/json.h"
#include "lib/tunnel/message.h"
#include "secbox/replica/sync-rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int fact)
{
    if (!fact)
        abort();
}

static void judge(const SyncMessage *m)
{
    SyncCursor at = { .known = true, .version = m->from };

    memcpy(at.community, m->community, UUID_SIZE);
    memcpy(at.epoch, m->epoch, UUID_SIZE);
    if (m->kind == SYNC_DELTA) {
        expect(uuid_is_valid(m->community) && uuid_is_valid(m->epoch) && m->to > m->from && m->to <= INT64_MAX);
        expect(sync_judge_delta(&at, m) == SYNC_APPLY);
        at.version = m->to;
        expect(sync_judge_delta(&at, m) == SYNC_DUPLICATE);
    }
    if (m->kind == SYNC_BEGIN) {
        at.version = m->version;
        expect(uuid_is_valid(m->community) && m->snapshot[0] && sync_judge_begin(&at, m) == SYNC_APPLY);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    SyncMessage m;

    if (message_parse((const char *) data, size, SENDER_CLOUD, &o, NULL, NULL) < 0 ||
        sync_message_read(o, &m, NULL) < 0)
        return 0;
    expect(m.tables <= SYNC_ALL_TABLES && m.version <= INT64_MAX && m.index <= INT64_MAX && m.chunks <= INT64_MAX);
    expect(strnlen(m.snapshot, sizeof(m.snapshot)) < sizeof(m.snapshot));
    for (int t = 0; t < _SYNC_TABLES; t++)
        if (m.tables & (1U << t) && (m.kind == SYNC_BEGIN || m.kind == SYNC_CHECK))
            expect(strspn(m.sums[t].checksum, "0123456789abcdef") == 16);
    judge(&m);
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "secbox/replica/sync-inbox.h"

#include <errno.h>
#include <string.h>

/* What was put in front may be more than there is room for. */
static bool has_room(const SyncInbox *in, size_t len)
{
    return in->n < in->n_max && in->bytes <= in->bytes_max && len <= in->bytes_max - in->bytes;
}

int sync_inbox_append(SyncInbox *in, SyncItem *item)
{
    if (!has_room(in, item->len))
        return -ENOBUFS;
    item->next = NULL;
    if (in->last)
        in->last->next = item;
    else
        in->first = item;
    in->last = item;
    in->n++;
    in->bytes += item->len;
    return 0;
}

int sync_inbox_push(SyncInbox *in, const SyncMessage *m, const char *text)
{
    size_t len = text ? strlen(text) : 0;

    if (!has_room(in, len))
        return -ENOBUFS;
    SyncItem *item = malloc(sizeof(*item) + len + 1);
    if (!item)
        return -ENOMEM;
    *item = (SyncItem) { .message = *m, .len = len };
    memcpy(item->text, text ? text : "", len + 1);
    return sync_inbox_append(in, item);
}

SyncItem *sync_inbox_pop(SyncInbox *in)
{
    SyncItem *item = in->first;

    if (!item)
        return NULL;
    in->first = item->next;
    if (!in->first)
        in->last = NULL;
    in->n--;
    in->bytes -= item->len;
    item->next = NULL;
    return item;
}

void sync_inbox_prepend(SyncInbox *in, SyncInbox *from)
{
    if (!from->first)
        return;
    from->last->next = in->first;
    if (!in->last)
        in->last = from->last;
    in->first = from->first;
    in->n += from->n;
    in->bytes += from->bytes;
    from->first = from->last = NULL;
    from->n = from->bytes = 0;
}

void sync_inbox_clear(SyncInbox *in)
{
    for (SyncItem *item = sync_inbox_pop(in); item; item = sync_inbox_pop(in))
        free(item);
}

/* SPDX-License-Identifier: MIT */
/* Messages that wait for a connection. */
#include <errno.h>
#include <string.h>

#include "lib/net/send-queue.h"

struct SendQueueItem {
    SendQueueItem *next;
    size_t len;
    char text[]; /* NUL-terminated */
};

int send_queue_push(SendQueue *q, const char *text, size_t len)
{
    if (q->n >= q->n_max || len > q->bytes_max - q->bytes)
        return -ENOBUFS;
    SendQueueItem *item = malloc(sizeof *item + len + 1);
    if (!item)
        return -ENOMEM;
    item->next = NULL;
    item->len = len;
    memcpy(item->text, text, len);
    item->text[len] = '\0';
    if (q->first)
        *q->end = item;
    else
        q->first = item;
    q->end = &item->next;
    q->n++;
    q->bytes += len;
    return 0;
}

const char *send_queue_peek(const SendQueue *q, size_t *ret_len)
{
    if (!q->first)
        return NULL;
    *ret_len = q->first->len;
    return q->first->text;
}

void send_queue_pop(SendQueue *q)
{
    SendQueueItem *item = q->first;
    if (!item)
        return;
    q->first = item->next;
    q->n--;
    q->bytes -= item->len;
    free(item);
    if (!q->first)
        q->end = NULL;
}

void send_queue_clear(SendQueue *q)
{
    while (q->first)
        send_queue_pop(q);
}

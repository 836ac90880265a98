/* SPDX-License-Identifier: MIT */
#include "gateway/health/turns.h"

void turns_add(Turns *t, size_t places, void *item, usec_t due)
{
    places = places < TURNS_MAX ? places : TURNS_MAX;
    if (places == 0 || (t->n >= places && t->next[t->n - 1].due <= due))
        return;
    size_t i = t->n < places ? t->n++ : t->n - 1;
    for (; i > 0 && t->next[i - 1].due > due; i--)
        t->next[i] = t->next[i - 1];
    t->next[i] = (struct Turn) { item, due };
}

#include "server/model/place.h"

void place_write(struct buffer *b, const struct place *p)
{
    if (p == NULL)
        return;
    place_write(b, p->up);
    if (p->key.p == NULL) {
        buffer_printf(b, "[%zu]", p->index);
        return;
    }
    if (b->n)
        buffer_puts(b, ".");
    buffer_add(b, p->key);
}

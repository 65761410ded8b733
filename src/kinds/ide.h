#pragma once

#include <stddef.h>

/*
 * The original knew two environments, and its clients still do: a device asks for one by spec.ideType, and its address
 * is in a field of spec that is named after it. Any other sandbox is to them as the first row.
 */
struct ide {
    const char *type;      /* spec.ideType; NULL: whatever is no row's */
    const char *sandbox;   /* NULL: the configuration's default, and all other sandboxes */
    const char *url_field; /* of spec */
};
extern const struct ide ides[];
extern const size_t ides_len;

const struct ide *ide_by_type(const char *type);
const struct ide *ide_by_sandbox(const char *sandbox);

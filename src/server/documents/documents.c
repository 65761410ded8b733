#include "server/documents/documents.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/encoding.h"

struct entry {
    struct document document;
    char *path, *body, *hash, *etag;
    unsigned form;
};

struct documents {
    struct entry *entries;
    size_t n;
};

struct documents *documents_new(void)
{
    return xcalloc(1, sizeof(struct documents));
}

void documents_free(struct documents *d)
{
    if (d == NULL)
        return;
    for (size_t i = 0; i < d->n; i++) {
        free(d->entries[i].path);
        free(d->entries[i].body);
        free(d->entries[i].hash);
        free(d->entries[i].etag);
    }
    free(d->entries);
    free(d);
}

const char *documents_add(struct documents *d, const char *path, unsigned form, const char *content_type,
                          struct buffer *body)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    size_t n = body->n;

    if (body->overflow)
        abort(); /* made from our own definitions: too small a limit is a mistake in the program */
    d->entries = xreallocarray(d->entries, d->n + 1, sizeof(*d->entries));
    struct entry *e = &d->entries[d->n++];
    *e = (struct entry){.path = xstrdup(path), .body = buffer_steal(body), .form = form};
    crypto_hash_sha256(hash, (const unsigned char *)e->body, n);
    e->hash = hex_encode(hash, 16);
    e->etag = xasprintf("\"%s\"", e->hash);
    e->document = (struct document){{e->body, n}, content_type, e->etag};
    return e->hash;
}

const struct document *documents_find(const struct documents *d, struct str path, unsigned form)
{
    if (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    for (size_t i = 0; i < d->n; i++)
        if (d->entries[i].form == form && str_is(path, d->entries[i].path))
            return &d->entries[i].document;
    return NULL;
}

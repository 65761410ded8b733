/*
 * What comes on a connection: whatever it is, and however it is cut, the same is understood. The first two bytes say how
 * it is cut; in one piece, and in those, a reader must say the same.
 */
#include <stdint.h>
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "http/reader.h"

#define HEAD_MAX ((size_t)32 * 1024)
#define HEARD_MAX ((size_t)64 << 20)

static void hear_request(struct buffer *heard, struct request *q)
{
    buffer_printf(heard, "%s %s %d%d%d %llu\n", q->method, q->target.p, q->is_old, q->keep_alive, q->has_body,
                  (unsigned long long)q->length);
    if (strlen(q->target.p) != q->target.n)
        abort();
    for (size_t i = 0; i < q->headers_len; i++)
        buffer_printf(heard, "%s: %s\n", q->headers[i].name, q->headers[i].value);
    request_free(q);
}

/* Returns whether more is to be read. */
static bool hear_input(struct reader *r, struct str input, struct buffer *heard)
{
    for (;;) {
        enum reading found = reader_next(r, &input);
        if (found == READING_MORE && input.n)
            abort();
        if (found == READING_MORE)
            return true;
        if (found == READING_PIECE && r->piece.n == 0)
            abort();
        if (found == READING_HEAD)
            hear_request(heard, &r->request);
        else if (found == READING_PIECE)
            buffer_append(heard, r->piece.p, r->piece.n);
        else
            buffer_printf(heard, "\n%d\n", found);
        if (found != READING_HEAD && found != READING_PIECE && found != READING_END)
            return false;
    }
}

/* From a buffer of its own size, as each read has one: what looks beyond its end is found. */
static bool hear_copy(struct reader *r, const uint8_t *data, size_t n, struct buffer *heard)
{
    char *copy = malloc(n ? n : 1);

    if (n)
        memcpy(copy, data, n);
    bool more = hear_input(r, (struct str){copy, n}, heard);
    free(copy);
    return more;
}

static void hear_all(const uint8_t *data, size_t size, uint32_t cut, struct buffer *heard)
{
    struct reader r;
    size_t at = 0, n;

    reader_init(&r, HEAD_MAX);
    for (bool more = true; more && at < size; at += n) {
        /* Small pieces and large ones, the same for the same input. */
        cut = cut * 1664525 + 1013904223;
        n = cut >> 31 ? 1 + (cut >> 8) % 8 : 1 + (cut >> 8) % 20000;
        if (n > size - at)
            n = size - at;
        more = hear_copy(&r, data + at, n, heard);
    }
    reader_free(&r);
}

static void hear_whole(const uint8_t *data, size_t size, struct buffer *heard)
{
    struct reader r;

    reader_init(&r, HEAD_MAX);
    hear_copy(&r, data, size, heard);
    reader_free(&r);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    _cleanup_buffer_ struct buffer whole = BUFFER_MAX(HEARD_MAX), cut = BUFFER_MAX(HEARD_MAX);

    if (size < 2)
        return;
    hear_whole(data + 2, size - 2, &whole);
    hear_all(data + 2, size - 2, (uint32_t)(data[0] << 8 | data[1]), &cut);
    if (!str_equal(buffer_str(&whole), buffer_str(&cut)))
        abort();
}

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/text.h"
#include "client/lines.h"
#include "fuzz/fuzz.h"
#include "runner/engine/pull_stream.h"

/* What engine and registry say while an image is pulled, in pieces as they come: sums that are sums, and a text that may
 * be shown. */
static int take(void *arg, struct str line)
{
    pull_stream_take(arg, line);
    return 0;
}

void fuzz_one(const uint8_t *data, size_t size)
{
    static struct pull_stream s;
    struct line_reader reader = {.part = BUFFER_MAX(65536), .skip_long = true, .line = take, .arg = &s};
    size_t step = size ? data[0] % 61 + 1 : 1;
    struct runtime_progress p;

    s = (struct pull_stream){0};
    for (size_t at = 0; at < size; at += step)
        line_reader_take(&reader, (struct str){(const char *)data + at, at + step > size ? size - at : step});
    pull_stream_progress(&s, &p);
    if (p.layers_done > p.layers || (p.bytes_total && s.layers_len == 1 && p.bytes > p.bytes_total))
        abort();
    if (s.failed && !text_is_plain(str_from(s.failed), ""))
        abort();
    free(s.failed);
    buffer_free(&reader.part);
}

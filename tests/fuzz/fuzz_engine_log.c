#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/json.h"
#include "fuzz/fuzz.h"
#include "runner/environment/lines.h"
#include "runner/engine/logs.h"

/* What a container prints goes through the engine's stream format into a status: whatever it is, the lines must be
 * valid JSON text. */
static int collect(void *arg, struct str text)
{
    buffer_add(arg, text);
    return 0;
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct demultiplexer d = {0};
    struct buffer text = BUFFER_MAX(65536), json = BUFFER_MAX(200000);
    size_t step = size ? data[0] % 17 + 1 : 1;

    for (size_t at = 0; at < size; at += step)
        if (demultiplex(&d, (struct str){(const char *)data + at, at + step > size ? size - at : step}, collect,
                        &text) < 0)
            abort();
    char *lines = last_lines(&text, "token");
    if (lines && strstr(lines, "token"))
        abort();
    buffer_json_string(&json, str_from(lines));
    yyjson_doc *doc = json_parse(buffer_str(&json), NULL);
    if (doc == NULL)
        abort();
    yyjson_doc_free(doc);
    free(lines);
    buffer_free(&json);
    buffer_free(&text);
}

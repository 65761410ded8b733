/* Bodies: JSON and YAML text to a document. The first byte chooses. */
#include <stdint.h>
#include <stdlib.h>

#include "base/yaml.h"
#include "fuzz/fuzz.h"

void fuzz_one(const uint8_t *data, size_t size)
{
    struct error *err = NULL;
    struct map *lines = NULL;

    if (size == 0)
        return;
    const struct str text = {(const char *)data + 1, size - 1};
    yyjson_doc *doc = data[0] == 'y' ? yaml_parse(text, &lines, &err) : json_parse(text, &err);
    if ((doc == NULL) == (err == NULL))
        abort();
    map_free(lines, NULL);
    if (doc) {
        size_t n;
        free(json_write(yyjson_doc_get_root(doc), &n));
    }
    yyjson_doc_free(doc);
    error_free(err);
}

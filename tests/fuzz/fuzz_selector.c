/* Label and field selectors. The input is a selector; what it accepts is tried on an object. */
#include "fuzz/fuzz.h"
#include "server/model/selector.h"

void fuzz_one(const uint8_t *data, size_t size)
{
    static const char *selectable[] = {"metadata.labels.a", NULL};
    static const struct kind kind = {.selectable = selectable};
    static const char object[] = "{\"metadata\":{\"name\":\"a\",\"labels\":{\"a\":\"b\",\"n\":\"5\",\"e\":\"\"}}}";
    _cleanup_arena_ struct arena *a = arena_new();
    _cleanup_json_ yyjson_doc *doc = json_parse((struct str){object, sizeof(object) - 1}, NULL);
    _cleanup_error_ struct error *why = NULL, *field_why = NULL;
    const struct selector *s;
    const struct field_selector *f;
    const char *text = arena_strndup(a, (const char *)data, size);

    if (selector_parse(a, text, &s, &why) == 0)
        selector_matches(s, yyjson_doc_get_root(doc));
    if (field_selector_parse(a, &kind, text, &f, &field_why) == 0) {
        const char *name = field_selector_name(f);
        if (name && field_selector_matches(f, "a", yyjson_doc_get_root(doc)) && strcmp(name, "a") != 0)
            __builtin_trap();
    }
}

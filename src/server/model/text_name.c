#include "server/model/text_name.h"

#include <openssl/sha.h>
#include <string.h>

#include "base/alloc.h"
#include "base/encoding.h"
#include "base/text.h"
#include "server/model/metadata.h"

#define FOLDER_BYTES_MAX 255
#define WORDS_MAX 40
#define DIGITS 10

bool text_name_is_text(const char *name)
{
    return name && *name && *name != '.' && !is_dns_subdomain(str_from(name)) && strlen(name) <= FOLDER_BYTES_MAX &&
           strchr(name, '/') == NULL && text_is_plain(str_from(name), "");
}

/* «Lesson 1: Bäume» → «lesson-1-b-ume-» */
static size_t put_words(char out[static WORDS_MAX + 2], const char *text)
{
    size_t n = 0;

    for (const char *c = text; *c && n < WORDS_MAX; c++) {
        bool plain = ascii_isalnum(*c);
        if (plain)
            out[n++] = ascii_tolower(*c);
        else if (n && out[n - 1] != '-')
            out[n++] = '-';
    }
    if (n && out[n - 1] != '-')
        out[n++] = '-';
    return n;
}

char *text_name_make(const char *singular, const char *text)
{
    unsigned char sum[SHA256_DIGEST_LENGTH];
    char words[WORDS_MAX + 2];
    size_t n = put_words(words, text);

    SHA256((const unsigned char *)text, strlen(text), sum);
    _cleanup_free_ char *digits = hex_encode(sum, DIGITS / 2);
    return n ? xasprintf("%.*s%s", (int)n, words, digits) : xasprintf("%s-%s", singular, digits);
}

void text_name_replace(const struct kind *k, yyjson_mut_doc *doc, yyjson_mut_val *object)
{
    const char *text = metadata_name(object), *key = k->name_text ? strrchr(k->name_text, '.') : NULL;

    if (key == NULL || !text_name_is_text(text))
        return;
    _cleanup_free_ char *parent = xstrndup(k->name_text, (size_t)(key - k->name_text)), *copy = xstrdup(text);
    _cleanup_free_ char *name = text_name_make(k->singular, copy);
    if (json_mut_str_at(object, k->name_text) == NULL)
        json_mut_set_str(doc, json_mut_make_obj(doc, object, parent), key + 1, copy);
    json_mut_set_str(doc, yyjson_mut_obj_get(object, "metadata"), "name", name);
}

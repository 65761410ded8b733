#include "server/content/tus.h"

#include <string.h>

#include "base/alloc.h"
#include "base/encoding.h"
#include "base/text.h"

int tus_number(const char *text, const char *header, uint64_t *out, struct error **err)
{
    unsigned long long n;

    if (text == NULL || str_to_u64(str_from(text), INT64_MAX, &n) < 0)
        return error_set(err, REASON_BAD_REQUEST, "%s: expected a whole number of bytes", header);
    *out = n;
    return 0;
}

static int decode_value(struct str value, const char *key, char **out, struct error **err)
{
    size_t n = 0;
    _cleanup_free_ char *text = base64_decode(str_trim((struct str){value.p ? value.p : "", value.n}), &n);

    if (text == NULL || strlen(text) != n || !text_is_plain(str_from(text), "\n\t"))
        return error_set(err, REASON_BAD_REQUEST, "Upload-Metadata: %s is no base64 of a text", key);
    *out = steal_ptr(text);
    return 0;
}

int tus_metadata(const char *text, const char *wanted, char **out, struct error **err)
{
    struct str rest = str_from(text ? text : ""), pair, key;

    *out = NULL;
    if (rest.n > TUS_METADATA_MAX)
        return error_set(err, REASON_BAD_REQUEST, "Upload-Metadata: at most %d bytes are read", TUS_METADATA_MAX);
    while (str_split(&rest, ',', &pair)) {
        pair = str_trim(pair);
        if (str_split(&pair, ' ', &key) && str_is(key, wanted))
            return decode_value(pair, wanted, out, err);
    }
    return 0;
}

static const EVP_MD *known_digest(struct str name)
{
    static const struct {
        const char *name;
        const EVP_MD *(*digest)(void);
    } known[] = {{"sha1", EVP_sha1}, {"sha256", EVP_sha256}, {"sha512", EVP_sha512}};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (str_is(name, known[i].name))
            return known[i].digest();
    return NULL;
}

/* What is no sum of that length fits to nothing. */
int tus_checksum(const char *text, struct tus_checksum *out, struct error **err)
{
    struct str rest = str_from(text), name;
    size_t n = 0;

    *out = (struct tus_checksum){0};
    if (text == NULL)
        return 0;
    out->digest = str_split(&rest, ' ', &name) ? known_digest(name) : NULL;
    if (out->digest == NULL)
        return error_set(err, REASON_BAD_REQUEST, "Upload-Checksum: these are known: " TUS_CHECKSUMS);
    _cleanup_free_ char *sum = base64_decode((struct str){rest.p ? rest.p : "", rest.n}, &n);
    if (sum && n <= sizeof(out->sum)) {
        memcpy(out->sum, sum, n);
        out->n = n;
    }
    return 0;
}

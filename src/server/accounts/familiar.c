#include "server/accounts/familiar.h"

#include <endian.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/encoding.h"
#include "server/accounts/cookie.h"

#define NAME_SECURE "__Host-Http-open-hydra-familiar"
#define NAME_PLAIN "open-hydra-familiar"
#define LIFE_SECONDS (180 * 24 * 3600)
#define ACCOUNTS_MAX 8
#define COOKIES_MAX 8 /* of our name; more are a hostile page's */
#define KDF_CONTEXT "familiar"
#define SEAL_BYTES 16
#define ID_BYTES 8

/* Numbers in network order. */
struct mark {
    unsigned char id[ID_BYTES]; /* of the browser: random */
    uint64_t account;           /* a keyed hash of uid and password hash */
    uint32_t issued;            /* seconds; enough until 2106 */
    unsigned char seal[SEAL_BYTES];
} __attribute__((packed));
_Static_assert(sizeof(struct mark) == 36, "no holes");
#define SEALED_BYTES offsetof(struct mark, seal)

/* Those of one cookie, the newest first. */
struct familiar_marks {
    struct mark list[ACCOUNTS_MAX];
    size_t n;
};

void familiar_keys_derive(struct familiar_keys *keys, const unsigned char master[static FAMILIAR_KEY_BYTES])
{
    _Static_assert(FAMILIAR_KEY_BYTES == crypto_kdf_KEYBYTES, "one master key");
    crypto_kdf_derive_from_key(keys->seal, sizeof(keys->seal), 1, KDF_CONTEXT, master);
    crypto_kdf_derive_from_key(keys->mark, sizeof(keys->mark), 2, KDF_CONTEXT, master);
}

static uint64_t account_mark(struct arena *arena, const struct familiar_keys *keys,
                             const struct familiar_account *account)
{
    const char *text = arena_printf(arena, "%s/%s", account->uid, account->hash);
    uint64_t out;

    crypto_shorthash((unsigned char *)&out, (const unsigned char *)text, strlen(text), keys->mark);
    return out;
}

static void seal_mark(unsigned char out[static SEAL_BYTES], const struct familiar_keys *keys, const struct mark *m)
{
    crypto_generichash(out, SEAL_BYTES, (const unsigned char *)m, SEALED_BYTES, keys->seal, sizeof(keys->seal));
}

static bool is_good_mark(const struct familiar_keys *keys, const struct mark *m, int64_t now_us)
{
    unsigned char mac[SEAL_BYTES];

    seal_mark(mac, keys, m);
    return sodium_memcmp(mac, m->seal, SEAL_BYTES) == 0 &&
           (int64_t)be32toh(m->issued) + LIFE_SECONDS > now_us / 1000000;
}

static void read_marks(struct familiar_marks *out, const struct familiar_keys *keys, struct str value, int64_t now_us)
{
    struct str one;
    size_t n;

    while (out->n < ACCOUNTS_MAX && str_split(&value, '.', &one)) {
        _cleanup_free_ char *bytes = base64_decode(one, &n);
        if (bytes == NULL || n != sizeof(struct mark))
            continue;
        memcpy(&out->list[out->n], bytes, n);
        out->n += is_good_mark(keys, &out->list[out->n], now_us);
    }
}

static const char *familiar_cookie_name(bool secure)
{
    return secure ? NAME_SECURE : NAME_PLAIN;
}

/* A page of an environment may have planted cookies of this name where browsers take no Secure ones. */
static struct familiar_marks read_cookies(const struct familiar_keys *keys, const char *cookies, bool secure,
                                          int64_t now_us)
{
    struct str rest = str_from(cookies), value;
    struct familiar_marks out = {.n = 0};

    for (int i = 0; i < COOKIES_MAX && cookies && cookie_next(&rest, familiar_cookie_name(secure), &value); i++)
        read_marks(&out, keys, value, now_us);
    return out;
}

const char *familiar_find(struct arena *arena, const struct familiar_keys *keys, const char *cookies, bool secure,
                          const struct familiar_account *account, int64_t now_us)
{
    const struct familiar_marks marks = read_cookies(keys, cookies, secure, now_us);
    uint64_t wanted = account_mark(arena, keys, account);

    for (size_t i = 0; i < marks.n; i++) {
        if (marks.list[i].account != wanted)
            continue;
        _cleanup_free_ char *id = hex_encode(marks.list[i].id, ID_BYTES);
        return arena_strdup(arena, id);
    }
    return NULL;
}

static struct mark make_mark(const struct familiar_keys *keys, uint64_t account, int64_t now_us)
{
    struct mark m = {.account = account, .issued = htobe32((uint32_t)(now_us / 1000000))};

    randombytes_buf(m.id, ID_BYTES);
    seal_mark(m.seal, keys, &m);
    return m;
}

static void add_mark(struct buffer *b, const struct mark *m)
{
    _cleanup_free_ char *text = base64url_encode(m, sizeof(*m));
    buffer_printf(b, "%s%s", b->n ? "." : "", text);
}

const char *familiar_cookie(struct arena *arena, const struct familiar_keys *keys, const char *cookies, bool secure,
                            const struct familiar_account *account, int64_t now_us)
{
    const struct familiar_marks held = read_cookies(keys, cookies, secure, now_us);
    const struct mark new = make_mark(keys, account_mark(arena, keys, account), now_us);
    _cleanup_buffer_ struct buffer value = BUFFER_MAX(1024);

    add_mark(&value, &new);
    for (size_t i = 0, n = 1; i < held.n && n < ACCOUNTS_MAX; i++) {
        if (held.list[i].account == new.account)
            continue;
        add_mark(&value, &held.list[i]);
        n++;
    }
    return arena_printf(arena, "%s=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%s", familiar_cookie_name(secure),
                        value.p, LIFE_SECONDS, secure ? "; Secure" : "");
}

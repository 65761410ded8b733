#include "server/gateway/pass.h"

#include <endian.h>
#include <inttypes.h>
#include <sodium.h>

#include "base/alloc.h"
#include "base/encoding.h"

_Static_assert(PASS_KEY_BYTES == crypto_generichash_KEYBYTES && PASS_KEY_BYTES == crypto_kdf_KEYBYTES,
               "one master key");
_Static_assert(sizeof(((struct pass_keys *)0)->mark) == crypto_shorthash_KEYBYTES, "SipHash's key");

#define VERSION 3
#define NAME_MAX_BYTES 253 /* DNS subdomains */
#define SEALED_MAX 1024
/* Planted cookies cost a signature each: more than these are not looked at. */
#define MAX_CANDIDATES 128
#define KDF_CONTEXT "gateway1"
#define SEAL_BYTES crypto_generichash_BYTES_MIN /* 128 bits */

/* Numbers in network order; then the session's id and the user's name, each after a byte with its length; then the
 * seal. */
struct claim {
    uint8_t version, role;
    uint16_t port;
    uint32_t expires; /* seconds; enough until 2106 */
    uint64_t device, owner, user_uid, password, clients[2];
    uint32_t ends;
} __attribute__((packed));
_Static_assert(sizeof(struct claim) == 60, "no holes");

/* Keyed BLAKE2b (RFC 7693 §2.9: a MAC by itself): each request to an environment costs one, and HMAC-SHA-512 two more
 * hashes. */
static void seal_bytes(unsigned char out[static SEAL_BYTES], const struct pass_keys *keys, const void *body, size_t n)
{
    crypto_generichash(out, SEAL_BYTES, body, n, keys->seal, sizeof(keys->seal));
}

void pass_keys_derive(struct pass_keys *keys, const unsigned char master[static PASS_KEY_BYTES])
{
    crypto_kdf_derive_from_key(keys->seal, sizeof(keys->seal), 1, KDF_CONTEXT, master);
    crypto_kdf_derive_from_key(keys->mark, sizeof(keys->mark), 2, KDF_CONTEXT, master);
}

pass_mark pass_mark_of(const struct pass_keys *keys, const char *text)
{
    unsigned char hash[crypto_shorthash_BYTES];
    pass_mark out;

    if (text == NULL || text[0] == '\0')
        return 0;
    crypto_shorthash(hash, (const unsigned char *)text, strlen(text), keys->mark);
    memcpy(&out, hash, sizeof(out));
    return out ? out : 1;
}

const char *pass_cookie_name(struct arena *arena, bool secure, uint16_t port)
{
    /* The prefix makes browsers refuse it from a page's script and from another path (RFC 6265bis §4.1.3). */
    return arena_printf(arena, "%sopen-hydra-env-%u", secure ? "__Host-Http-" : "", port);
}

static void put_text(struct buffer *b, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    unsigned char length = (unsigned char)(n <= NAME_MAX_BYTES ? n : 0);

    buffer_append(b, &length, 1);
    buffer_append(b, text ? text : "", length);
}

const char *pass_seal(struct arena *arena, const struct pass_keys *keys, const struct pass *p)
{
    unsigned char mac[SEAL_BYTES];
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(SEALED_MAX);
    const struct claim c = {VERSION,
                            p->role,
                            htobe16(p->port),
                            htobe32((uint32_t)(p->expires_us / 1000000)),
                            htobe64(p->device),
                            htobe64(p->owner),
                            htobe64(p->user_uid),
                            htobe64(p->password),
                            {htobe64(p->clients[0]), htobe64(p->clients[1])},
                            htobe32((uint32_t)(p->ends_us / 1000000))};

    buffer_append(&b, &c, sizeof(c));
    put_text(&b, p->session);
    put_text(&b, p->user);
    seal_bytes(mac, keys, b.p, b.n);
    buffer_append(&b, mac, sizeof(mac));
    _cleanup_free_ char *text = base64url_encode(b.p, b.n);
    return arena_strdup(arena, text);
}

static int cut_bytes(struct str *rest, size_t n, struct str *out)
{
    if (rest->n < n)
        return -1;
    *out = (struct str){rest->p, n};
    rest->p += n;
    rest->n -= n;
    return 0;
}

static int take_text(struct str *rest, struct arena *arena, const char **out)
{
    struct str length, text;

    if (cut_bytes(rest, 1, &length) < 0 || cut_bytes(rest, (unsigned char)length.p[0], &text) < 0)
        return -1;
    *out = arena_str(arena, text).p;
    return 0;
}

static int read_claim(struct arena *arena, struct str body, struct pass *out)
{
    struct str head;
    struct claim c;

    if (cut_bytes(&body, sizeof(c), &head) < 0)
        return -1;
    memcpy(&c, head.p, sizeof(c));
    *out = (struct pass){.device = be64toh(c.device),
                         .owner = be64toh(c.owner),
                         .user_uid = be64toh(c.user_uid),
                         .password = be64toh(c.password),
                         .clients = {be64toh(c.clients[0]), be64toh(c.clients[1])},
                         .role = c.role,
                         .port = be16toh(c.port),
                         .expires_us = (int64_t)be32toh(c.expires) * 1000000,
                         .ends_us = (int64_t)be32toh(c.ends) * 1000000};
    if (c.version != VERSION || take_text(&body, arena, &out->session) < 0 || take_text(&body, arena, &out->user) < 0)
        return -1;
    return body.n == 0 ? 0 : -1;
}

int pass_open(struct arena *arena, const struct pass_keys *keys, struct str value, struct pass *out)
{
    unsigned char mac[SEAL_BYTES];
    size_t n;

    if (value.n == 0 || value.n > SEALED_MAX)
        return -1;
    _cleanup_free_ char *sealed = base64_decode(value, &n);
    if (sealed == NULL || n < SEAL_BYTES)
        return -1;
    size_t body = n - SEAL_BYTES;
    seal_bytes(mac, keys, sealed, body);
    if (sodium_memcmp(mac, sealed + body, SEAL_BYTES) != 0)
        return -1;
    return read_claim(arena, (struct str){sealed, body}, out);
}

/* A pair's value, where it has our name for that port (0: any; the port inside has to be the name's). */
static bool is_ours(struct str pair, bool secure, uint16_t port, struct str *value)
{
    struct str prefix = STR("__Host-Http-open-hydra-env-"), name;
    unsigned long long its_port;

    if (!secure)
        prefix = STR("open-hydra-env-");
    *value = str_trim(pair);
    if (!str_split(value, '=', &name) || value->p == NULL || name.n <= prefix.n ||
        memcmp(name.p, prefix.p, prefix.n) != 0)
        return false;
    struct str digits = {name.p + prefix.n, name.n - prefix.n};
    return str_to_u64(digits, UINT16_MAX, &its_port) == 0 && (port == 0 || its_port == port);
}

int pass_next(struct arena *arena, const struct pass_keys *keys, struct str *cookies, bool secure, uint16_t port,
              struct pass *out)
{
    struct str pair, value;

    for (unsigned candidates = 0; candidates < MAX_CANDIDATES && str_split(cookies, ';', &pair);) {
        if (!is_ours(pair, secure, port, &value))
            continue;
        candidates++;
        if (pass_open(arena, keys, value, out) == 0 && (port == 0 || out->port == port))
            return 0;
    }
    return -1;
}

bool pass_fits_client(const struct pass *p, pass_mark client)
{
    return client && (p->clients[0] == client || p->clients[1] == client);
}

void pass_add_client(struct pass *p, pass_mark client)
{
    if (p->clients[0] == client)
        return;
    p->clients[1] = p->clients[0];
    p->clients[0] = client;
}

bool pass_renew(struct pass *p, int64_t now_us)
{
    const int64_t second = 1000000;
    int64_t end = now_us + PASS_SECONDS * second;

    if (end > p->ends_us)
        end = p->ends_us;
    if (end - p->expires_us < PASS_RENEWED_SECONDS * second)
        return false;
    p->expires_us = end;
    return true;
}

const char *pass_set_cookie(struct arena *arena, const struct pass_keys *keys, const struct pass *p, bool secure,
                            int64_t now_us)
{
    int64_t seconds = p->expires_us > now_us ? (p->expires_us - now_us) / 1000000 : 0;

    /* Lax: a link from a mail goes straight in. */
    return arena_printf(arena, "%s=%s; Path=/; Max-Age=%" PRId64 "; HttpOnly; SameSite=Lax%s",
                        pass_cookie_name(arena, secure, p->port), pass_seal(arena, keys, p), seconds,
                        secure ? "; Secure" : "");
}

const char *pass_end_cookie(struct arena *arena, bool secure, uint16_t port)
{
    return arena_printf(arena, "%s=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax%s",
                        pass_cookie_name(arena, secure, port), secure ? "; Secure" : "");
}

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "fuzz/fuzz.h"
#include "server/accounts/cookie.h"
#include "server/identity/certificate_identity.h"
#include "server/identity/credentials.h"
#include "server/identity/origin.h"

/* The headers of a request that say who is asking, one per line: Cookie, Authorization (or Open-Hydra-Auth), Host,
 * Origin, subject DN, serial. Links with identity_parts alone. */

static const char *next_line(struct arena *arena, struct str *rest)
{
    struct str line = {0};

    if (!str_split(rest, '\n', &line) || memchr(line.p, '\0', line.n))
        return NULL;
    return arena_strndup(arena, line.p, line.n);
}

static void check(bool good)
{
    if (!good)
        abort();
}

static void fuzz_cookies(const char *header)
{
    struct str rest = str_from(header), value;

    while (cookie_next(&rest, COOKIE_SECURE, &value))
        check(memchr(value.p, ';', value.n) == NULL);
}

static void fuzz_login(const char *header)
{
    _cleanup_login_ struct login login = {0};
    struct str token;

    if (credentials_login(header, &login) == 0)
        check(login.user[0] && strchr(login.user, ':') == NULL && login.password);
    credentials_bearer(header, &token);
}

static void fuzz_origin(const char *host, const char *origin)
{
    static const char *const hosts[] = {"127.0.0.1", "lab.school.edu", NULL};
    static const struct origin_policy policy = {.hosts = hosts, .any_address = true, .port = 30001};
    const struct origin_request request = {.method = HTTP_POST, .host = host, .origin = origin, .fetch_site = origin};
    _cleanup_error_ struct error *first = NULL, *second = NULL;

    if (origin_check_host(&policy, host, &first) == 0)
        check(host != NULL);
    if (origin_check_source(&policy, &request, &second) == 0 && origin && host)
        check(strlen(origin) == strlen(host) + strlen("http://"));
}

void fuzz_one(const uint8_t *data, size_t size)
{
    _cleanup_arena_ struct arena *arena = arena_new();
    struct str rest = {(const char *)data, size};
    struct subject subject;

    fuzz_cookies(next_line(arena, &rest));
    fuzz_login(next_line(arena, &rest));
    const char *host = next_line(arena, &rest), *origin = next_line(arena, &rest);
    fuzz_origin(host, origin);
    if (subject_parse(arena, str_from(next_line(arena, &rest)), &subject) == 0 && subject.common_name)
        check(strlen(subject.common_name) <= size);
    const char *serial = serial_normal(arena, str_from(next_line(arena, &rest)));
    check(serial == NULL || strspn(serial, "0123456789ABCDEF") == strlen(serial));
}

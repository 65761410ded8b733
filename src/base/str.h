#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A piece of somebody else's bytes: not owned, not terminated, may hold NUL. */
struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})

static inline struct str str_from(const char *s)
{
    return (struct str){s, s ? strlen(s) : 0};
}

static inline bool str_equal(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || (a.p && b.p && memcmp(a.p, b.p, a.n) == 0));
}

static inline bool str_is(struct str a, const char *b)
{
    return str_equal(a, str_from(b));
}

static inline bool streq(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}
/* … and where neither is there. */
static inline bool same_text(const char *a, const char *b)
{
    return a == b || streq(a, b);
}

static inline bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static inline bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

/* What every folder lists beside its entries. */
static inline bool is_dots(const char *name)
{
    return streq(name, ".") || streq(name, "..");
}

/* ASCII only: a protocol does not follow the locale. */
static inline bool ascii_isdigit(char c)
{
    return c >= '0' && c <= '9';
}
static inline bool ascii_islower(char c)
{
    return c >= 'a' && c <= 'z';
}
static inline bool ascii_isalnum(char c)
{
    return ascii_isdigit(c) || ascii_islower(c) || (c >= 'A' && c <= 'Z');
}
/* Blank, tab, and the ends of lines. */
static inline bool ascii_isspace(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
static inline char ascii_tolower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Cuts the part before the first `sep` off `*rest`. Returns false when nothing is left. */
bool str_split(struct str *rest, char sep, struct str *part);
/* Whether one of its parts is that word. */
bool str_list_has(struct str list, char sep, const char *word);
struct str str_trim(struct str s);

/* Whole decimal number, no sign, no blanks. Returns 0, or -1 where it is none or exceeds `max`. */
int str_to_u64(struct str s, unsigned long long max, unsigned long long *out);

/* RFC 1123 label, as Kubernetes asks of names that become host names: [a-z0-9]([-a-z0-9]*[a-z0-9])?, at most 63. */
bool is_dns_label(struct str s);
/* RFC 1123 subdomain: labels joined by dots, at most 253 (names of Kubernetes objects). */
bool is_dns_subdomain(struct str s);
/* Takes the same time wherever two strings of the same length differ. */
bool str_equal_secret(struct str a, struct str b);

#include "config/region.h"

#include <limits.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

#define ZONE_MAX 64
#define TAG_MAX 20
#define FILE_MAX 65536
#define ZONES "/zoneinfo/"

/* --- Time zone --- */

bool is_time_zone_name(const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < n; i++)
        if (!ascii_isalnum(name[i]) && strchr("_+-/", name[i]) == NULL)
            return false;
    return n > 0 && n <= ZONE_MAX && name[0] != '/' && name[n - 1] != '/' && strstr(name, "//") == NULL;
}

static char *zone_or_null(const char *name)
{
    return name && is_time_zone_name(name) ? xstrdup(name) : NULL;
}

/* A link to /usr/share/zoneinfo/Asia/Shanghai; what is a copy of such a file says no name. */
char *machine_time_zone(const char *root)
{
    _cleanup_free_ char *link = xasprintf("%s/etc/localtime", root), *named = xasprintf("%s/etc/timezone", root);
    char target[PATH_MAX];
    ssize_t n = readlink(link, target, sizeof(target) - 1);

    if (n > 0) {
        target[n] = '\0';
        const char *zone = strstr(target, ZONES);
        return zone_or_null(zone ? zone + strlen(ZONES) : NULL);
    }
    _cleanup_free_ char *text = read_file(named, FILE_MAX, NULL, NULL);
    struct str line = str_trim(str_from(text));
    _cleanup_free_ char *name = xstrndup(line.p ? line.p : "", line.n);
    return zone_or_null(name);
}

/* --- Language --- */

static bool is_part(struct str s, bool first)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isalnum(s.p[i]) || (first && ascii_isdigit(s.p[i])))
            return false;
    return s.n >= 2 && s.n <= (first ? 3 : 8);
}

char *language_tag(const char *text)
{
    struct str rest = {text, strcspn(text, ".@")}, part;
    _cleanup_free_ char *tag = xstrndup(text, rest.n);
    bool first = true;

    for (char *c = tag; *c; c++)
        if (*c == '_')
            *c = '-';
    if (rest.n > TAG_MAX || streq(tag, "POSIX"))
        return NULL;
    for (rest = str_from(tag); str_split(&rest, '-', &part); first = false)
        if (!is_part(part, first))
            return NULL;
    return streq(tag, "zh") ? xstrdup("zh-CN") : steal_ptr(tag);
}

/* «LANG=zh_CN.UTF-8», with quotes or without. */
static char *language_in_file(const char *path)
{
    _cleanup_free_ char *text = read_file(path, FILE_MAX, NULL, NULL);
    struct str rest = str_from(text), line;

    while (str_split(&rest, '\n', &line)) {
        line = str_trim(line);
        if (line.n < 5 || memcmp(line.p, "LANG=", 5) != 0)
            continue;
        bool quoted = line.n > 6 && (line.p[5] == '"' || line.p[5] == '\'');
        _cleanup_free_ char *value = quoted ? xstrndup(line.p + 6, line.n - 7) : xstrndup(line.p + 5, line.n - 5);
        return language_tag(value);
    }
    return NULL;
}

char *machine_language(const char *root)
{
    static const char *const variables[] = {"LC_ALL", "LANG"}, *const files[] = {"locale.conf", "default/locale"};

    for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
        const char *value = getenv(variables[i]);
        if (value && *value)
            return language_tag(value);
    }
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_free_ char *path = xasprintf("%s/etc/%s", root, files[i]);
        if (path_exists(path))
            return language_in_file(path);
    }
    return NULL;
}

char *language_locale(const char *tag)
{
    const char *region = strrchr(tag, '-');

    if (strncasecmp(tag, "zh", 2) == 0 && (tag[2] == '\0' || tag[2] == '-'))
        return xstrdup("zh_CN.UTF-8");
    if (region == NULL || strlen(region) != 3 || strncasecmp(tag, "en-", 3) == 0)
        return xstrdup("C.UTF-8");
    return xasprintf("%.*s_%s.UTF-8", (int)strcspn(tag, "-"), tag, region + 1);
}

#include "runner/homes/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"

#define DATE_LENGTH 16 /* 20261128T083000Z */
#define SAME_SECOND 1000

static bool is_date(struct str s)
{
    if (s.n != DATE_LENGTH || s.p[8] != 'T' || s.p[15] != 'Z')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (i != 8 && i != 15 && !ascii_isdigit(s.p[i]))
            return false;
    return true;
}

bool kept_parse(const char *name, struct kept_name *out)
{
    struct str rest = str_from(name);

    return str_split(&rest, '.', &out->user) && is_dns_label(out->user) && str_split(&rest, '.', &out->date) &&
           is_date(out->date) && str_split(&rest, '.', &out->uid) && out->uid.n > 0;
}

static void say_name(char out[static KEPT_NAME_SIZE], const char *user, const char *uid, unsigned again)
{
    time_t now = (time_t)(clock_realtime_us() / 1000000);
    char date[DATE_LENGTH + 1];
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm);
    int n = snprintf(out, KEPT_NAME_SIZE, "%s.%s.%s", user, date, uid ? uid : KEPT_UNKNOWN);
    if (again > 1 && n > 0 && n < KEPT_NAME_SIZE)
        snprintf(out + n, KEPT_NAME_SIZE - (size_t)n, ".%u", again);
}

int homes_rename(int from, const char *name, int to, const char *as)
{
    if (renameat2(from, name, to, as, RENAME_NOREPLACE) < 0)
        return -1;
    return fsync(to) < 0 || fsync(from) < 0 ? -1 : 0;
}

int kept_set_aside(int parent, const char *user, const char *uid, char name[static KEPT_NAME_SIZE], struct error **err)
{
    _cleanup_close_ int kept = homes_open_own(parent, KEPT_FOLDER, err);

    if (kept < 0)
        return -1;
    for (unsigned again = 1; again < SAME_SECOND; again++) {
        say_name(name, user, uid, again);
        if (homes_rename(parent, user, kept, name) == 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    return error_errno(err, errno, "set aside the home of a former user %s", user);
}

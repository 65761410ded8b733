#include "runner/homes/whose.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

static bool is_anothers(const struct home_claim *c, const struct home_record *record, const struct stat *st)
{
    if (!S_ISDIR(st->st_mode)) /* what else it may be is refused later */
        return false;
    return record ? !streq(record->uid, c->uid) : home_ids_have(c->former, st->st_uid);
}

static void begin_record(const struct home_claim *c, bool there, struct home_record *record)
{
    *record = (struct home_record){.since_us = clock_realtime_us()};
    snprintf(record->uid, sizeof(record->uid), "%s", c->uid);
    if (!there)
        record->seen = c->ids;
}

/* A new home's record comes before the home: a kill between the two leaves no home that would be taken for another's. */
int whose_settle(int parent, const struct home_claim *c, struct home_record *record, char kept[static KEPT_NAME_SIZE],
                 struct error **err)
{
    _cleanup_error_ struct error *why = NULL;
    struct stat st;
    bool there = fstatat(parent, c->user, &st, AT_SYMLINK_NOFOLLOW) == 0;
    int known = record_read(parent, c->user, record, err);

    *kept = '\0';
    if (known < 0)
        return -1;
    if (there && is_anothers(c, known ? record : NULL, &st)) {
        if (kept_set_aside(parent, c->user, known ? record->uid : NULL, kept, err) < 0)
            return -1;
        there = false;
    } else if (there && known) {
        return 0;
    }
    begin_record(c, there, record);
    if (!there)
        return record_write(parent, c->user, record, err);
    if (record_write(parent, c->user, record, &why) < 0) /* the disk is full: the next start does it */
        log_warning("%s", why->message);
    return 0;
}

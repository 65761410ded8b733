#include "runner/environment/home_quota.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "runner/environment/failed.h"
#include "runner/environment/storage.h"

uint64_t device_home_quota(const struct config *c, const struct device *d)
{
    uint64_t quota = d->home_quota < 0 ? c->home_quota : (uint64_t)d->home_quota;

    if (c->max_home_quota && (quota == 0 || quota > c->max_home_quota))
        return c->max_home_quota;
    return quota;
}

/* --- What is known --- */

static struct home_use remembered(yyjson_val *object, uint64_t quota)
{
    yyjson_val *was = json_at(object, "status.storage");
    const char *at = json_str_at(was, "measuredAt");
    int64_t bytes = json_int_at(was, "usedBytes", -1), files = json_int_at(was, "files", -1);
    struct home_use u = {.quota = quota};

    if (at == NULL || bytes < 0 || files < 0 || timestamp_parse(str_from(at), &u.measured_us) < 0)
        return (struct home_use){.quota = quota};
    u.bytes = (uint64_t)bytes;
    u.files = (uint64_t)files;
    u.enforced = json_bool_at(was, "enforced", false);
    u.partial = json_bool_at(was, "partial", false);
    return u;
}

void environment_follow_homes(struct environments *es, const struct environment *e, const struct device *d,
                              yyjson_val *object)
{
    const struct runtime_owner owner = {e->owner, e->owner_id, device_home_quota(es->config, d)};
    const struct home_use was = remembered(object, owner.quota);

    if (e->owner && is_dns_label(str_from(e->owner)))
        storage_follow(es->storage, e->name, &owner, &was);
}

/* --- What follows --- */

static const char *gib(struct arena *a, uint64_t bytes)
{
    if (bytes < UINT64_C(1) << 30)
        return arena_printf(a, "%.1f MiB", (double)bytes / (1 << 20));
    return arena_printf(a, "%.2f GiB", (double)bytes / (1 << 30));
}

bool environment_homes_allow(struct environments *es, struct environment *e, const struct device *d)
{
    _cleanup_arena_ struct arena *a = arena_new();
    struct home_use u;

    if (!storage_find(es->storage, e->owner, &u) || home_level(&u) != HOME_REFUSED || d->safe_mode)
        return true;
    const char *message = arena_printf(a,
                                       "the files take %s, and the quota is %s: above %s nothing is started but in "
                                       "safe mode (spec.safeMode), in which files can be deleted",
                                       gib(a, u.bytes), gib(a, u.quota), gib(a, home_refused_above(u.quota)));
    storage_hurry(es->storage, e->owner);
    if (e->phase != PHASE_FAILED || !streq(e->reason, HOME_OVER_QUOTA) || !streq(e->message, message))
        environment_fail(es, e, HOME_OVER_QUOTA, message, false);
    return false;
}

#define WAY_OUT "delete what is not needed, and empty the trash (~/.local/share/Trash)"

static const char *say_over(struct arena *a, const struct home_use *u)
{
    const char *then = u->enforced ? "nothing more can be written"
                                   : arena_printf(a, "above %s no environment is started but in safe mode",
                                                  gib(a, home_refused_above(u->quota)));
    return arena_printf(a, "the files take %s, and the quota is %s: " WAY_OUT "; %s", gib(a, u->bytes),
                        gib(a, u->quota), then);
}

static const char *say_nearly(struct arena *a, const struct home_use *u)
{
    return arena_printf(a, "the files take %s of the %s that they may: " WAY_OUT, gib(a, u->bytes), gib(a, u->quota));
}

bool environment_home_condition(struct environments *es, struct arena *a, const struct environment *e,
                                struct home_condition *out)
{
    struct home_use u;

    if (!storage_find(es->storage, e->owner, &u) || u.quota == 0)
        return false;
    enum home_level level = home_level(&u);
    if (level >= HOME_OVER)
        *out = (struct home_condition){false, HOME_OVER_QUOTA, say_over(a, &u)};
    else if (level == HOME_NEARLY_FULL)
        *out = (struct home_condition){false, "HomeNearlyFull", say_nearly(a, &u)};
    else if (u.partial)
        *out = (struct home_condition){false, "HomeNotCounted",
                                       "there are too many files, or too deep folders, to count what they take"};
    else
        *out = (struct home_condition){true, "WithinQuota", NULL};
    return true;
}

yyjson_mut_val *environment_storage_status(struct environments *es, const struct environment *e, yyjson_mut_doc *doc)
{
    char at[TIMESTAMP_SIZE];
    struct home_use u;

    if (!storage_find(es->storage, e->owner, &u))
        return NULL;
    yyjson_mut_val *v = yyjson_mut_obj(doc);
    timestamp(at, u.measured_us);
    json_mut_set_int(doc, v, "usedBytes", (int64_t)u.bytes);
    json_mut_set_int(doc, v, "files", (int64_t)u.files);
    json_mut_set_int(doc, v, "quotaBytes", (int64_t)u.quota);
    json_mut_set_str(doc, v, "measuredAt", at);
    json_mut_set_bool(doc, v, "enforced", u.enforced);
    json_mut_set_bool(doc, v, "partial", u.partial);
    return v;
}

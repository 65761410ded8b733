#include "runner/environment/home_use.h"

#define TENTH 10
#define STEP 20 /* a twentieth of the quota, or of what was said */
#define LEAST_STEP (UINT64_C(64) << 20)

uint64_t home_refused_above(uint64_t quota)
{
    return quota + quota / TENTH;
}

enum home_level home_level(const struct home_use *u)
{
    if (u->quota == 0 || u->measured_us == 0 || u->bytes < u->quota - u->quota / TENTH)
        return HOME_WITHIN;
    if (u->bytes <= u->quota)
        return HOME_NEARLY_FULL;
    return u->enforced || u->bytes <= home_refused_above(u->quota) ? HOME_OVER : HOME_REFUSED;
}

bool home_use_matters(const struct home_use *said, const struct home_use *now)
{
    uint64_t difference = now->bytes > said->bytes ? now->bytes - said->bytes : said->bytes - now->bytes;
    uint64_t of = now->quota ? now->quota : said->bytes;
    uint64_t step = of / STEP;

    if (said->measured_us == 0 && now->files == 0) /* there is no home yet */
        return false;
    if (said->measured_us == 0 || said->quota != now->quota || said->enforced != now->enforced ||
        said->partial != now->partial || home_level(said) != home_level(now))
        return true;
    return difference > 0 && difference >= (now->quota == 0 && step < LEAST_STEP ? LEAST_STEP : step);
}

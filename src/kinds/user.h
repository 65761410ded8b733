#pragma once

#include "base/json.h"

struct user {
    const char *name, *uid, *chinese_name;
    int role; /* 1 administrator, 2 ordinary user */
    bool deleting;
    const char *home_quota; /* spec.homeQuota, a quantity; NULL: as for everybody */
};
void user_read(yyjson_val *object, struct user *out);

#pragma once

#include "base/json.h"

struct user {
    const char *name, *uid, *chinese_name;
    int role; /* 1 administrator, 2 ordinary user */
    bool deleting;
};
void user_read(yyjson_val *object, struct user *out);

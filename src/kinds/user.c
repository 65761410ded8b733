#include "kinds/user.h"

void user_read(yyjson_val *object, struct user *out)
{
    *out = (struct user){
        .name = json_str_at(object, "metadata.name"),
        .uid = json_str_at(object, "metadata.uid"),
        .chinese_name = json_str_at(object, "spec.chineseName"),
        .role = (int)json_int_at(object, "spec.role", 0),
        .home_quota = json_str_at(object, "spec.homeQuota"),
        .deleting = json_str_at(object, "metadata.deletionTimestamp") != NULL,
    };
}

#include "kinds/sandbox.h"

static const char *or_default(const char *s, const char *otherwise)
{
    return s ? s : otherwise;
}

void sandbox_read(yyjson_val *object, struct sandbox *out)
{
    *out = (struct sandbox){
        .name = json_str_at(object, "metadata.name"),
        .uid = json_str_at(object, "metadata.uid"),
        .image = json_str_at(object, "spec.cpuImageName"),
        .command = json_at(object, "spec.command"),
        .args = json_at(object, "spec.args"),
        .env = json_at(object, "spec.env"),
        .socket = json_str_at(object, "spec.socket"),
        .home = or_default(json_str_at(object, "spec.home"), "/home/student"),
        .readiness_path = or_default(json_str_at(object, "spec.readinessPath"), "/"),
        .network = json_bool_at(object, "spec.network", false),
        .network_allow = json_at(object, "spec.networkAllow"),
        .allow_service_workers = json_bool_at(object, "spec.allowServiceWorkers", false),
        .run_as_user = json_int_at(object, "spec.runAsUser", 1000),
    };
}

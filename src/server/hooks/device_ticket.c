#include "server/hooks/device_ticket.h"

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "kinds/device.h"

#define TICKET_MAX_BYTES 4096

/* {"spec": {"port": 31001}}; 0: no body, or none said. */
static int read_wanted_port(struct str body, uint16_t *port, struct error **err)
{
    *port = 0;
    if (str_trim(body).n == 0)
        return 0;
    _cleanup_json_ yyjson_doc *doc = json_parse(body, err);
    yyjson_val *wanted = doc ? json_at(yyjson_doc_get_root(doc), "spec.port") : NULL;
    if (doc == NULL)
        return -1;
    if (wanted && (!yyjson_is_uint(wanted) || yyjson_get_uint(wanted) == 0 || yyjson_get_uint(wanted) > UINT16_MAX))
        return error_add_cause(err, "spec.port", "FieldValueInvalid", "Invalid value: must be a port (1 to 65535)");
    *port = wanted ? (uint16_t)yyjson_get_uint(wanted) : 0;
    return 0;
}

static char *make_ticket(struct request *r, struct object *object, const struct hook_context *context, int64_t *expires,
                         struct error **err)
{
    const struct operation *o = request_operation(r);
    uint16_t port;

    if (read_wanted_port(o->body, &port, err) < 0)
        return NULL;
    return gateway_ticket(context->gateway, object, port, &o->who, expires, err);
}

void device_ticket(struct request *r, struct object *object, void *context_arg)
{
    const struct hook_context *context = context_arg;
    struct error *err = NULL;
    int64_t expires;
    char when[TIMESTAMP_SIZE];
    _cleanup_free_ char *url = make_ticket(r, object, context, &expires, &err);

    if (url == NULL) {
        request_fail(r, err);
        return;
    }
    timestamp(when, expires);
    _cleanup_buffer_ struct buffer b = BUFFER_MAX(TICKET_MAX_BYTES);
    buffer_puts(&b, "{\"apiVersion\":\"" GROUP_VERSION "\",\"kind\":\"DeviceTicket\",\"metadata\":{\"name\":");
    buffer_json_string(&b, str_from(object->name));
    buffer_puts(&b, "},\"status\":{\"url\":");
    buffer_json_string(&b, str_from(url));
    buffer_printf(&b, ",\"expirationTimestamp\":\"%s\"}}", when);
    request_reply(r, 201, "application/json", buffer_str(&b));
}

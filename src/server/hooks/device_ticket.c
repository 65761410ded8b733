#include "server/hooks/device_ticket.h"

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "kinds/device.h"

#define TICKET_MAX_BYTES 4096

void device_ticket(struct request *r, struct object *object, void *context_arg)
{
    const struct hook_context *context = context_arg;
    struct error *err = NULL;
    int64_t expires;
    char when[TIMESTAMP_SIZE];
    _cleanup_free_ char *url = gateway_ticket(context->gateway, object, &request_operation(r)->who, &expires, &err);

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

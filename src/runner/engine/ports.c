#include "runner/engine/ports.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "runner/engine/process.h"

void ports_write_label(struct buffer *b, const struct runtime_spec *s, const struct prepared *p)
{
    for (size_t i = 0; i < s->ports_len; i++) {
        if (s->ports[i].tcp == 0)
            continue;
        if (b->n == 0)
            buffer_printf(b, "%u", p->relay);
        buffer_printf(b, " %s:%u", s->ports[i].name, s->ports[i].tcp);
    }
}

static bool read_number(struct str word, unsigned long long max, unsigned long long *out)
{
    return str_to_u64(word, max, out) == 0 && *out != 0;
}

int ports_read_label(struct arena *a, const char *text, struct labelled_ports *out)
{
    struct str rest = str_from(text), word, name;
    unsigned long long number;

    *out = (struct labelled_ports){0};
    if (!str_split(&rest, ' ', &word) || !read_number(word, UINT32_MAX, &number))
        return -1;
    out->relay = (uid_t)number;
    while (out->n < PORTS_MAX && str_split(&rest, ' ', &word)) {
        if (!str_split(&word, ':', &name) || !is_dns_label(name) || !read_number(word, UINT16_MAX, &number))
            return -1;
        out->list[out->n].name = arena_strndup(a, name.p, name.n);
        out->list[out->n++].port = (uint16_t)number;
    }
    return out->n ? 0 : -1;
}

static bool read_ports(struct arena *a, yyjson_val *container, struct labelled_ports *out)
{
    const char *text = yyjson_get_str(yyjson_obj_get(json_at(container, "Config.Labels"), LABEL_PORTS));
    return text && ports_read_label(a, text, out) == 0;
}

void ports_add_endpoints(struct engine *e, struct arena *a, const char *instance, yyjson_val *container,
                         struct instance *out)
{
    struct labelled_ports l;

    if (!read_ports(a, container, &l))
        return;
    for (size_t i = 0; i < l.n; i++) {
        const char *socket = host_port_socket(e, a, instance, l.list[i].name);
        if (socket)
            instance_add_endpoint(out, l.list[i].name, socket);
    }
}

/* Its namespaces are entered: it must surely be the container's own. Where it has ended, others find that out. */
void ports_serve(struct engine *e, struct arena *a, const char *instance, yyjson_val *container)
{
    struct relay_port ports[PORTS_MAX];
    struct labelled_ports l;

    if (!read_ports(a, container, &l))
        return;
    for (size_t i = 0; i < l.n; i++) {
        ports[i] = (struct relay_port){host_port_socket(e, a, instance, l.list[i].name), l.list[i].port};
        if (ports[i].socket == NULL)
            return;
    }
    struct runtime_process process = process_of_container(container);
    if (process.pid && process.fd >= 0 && process.own) {
        const struct relay_target target = {instance, process.pid, process.fd, l.relay, e->gateway_gid};
        relays_serve(e->relays, &target, ports, l.n);
    }
    if (process.pid)
        cleanup_closep(&process.fd);
}

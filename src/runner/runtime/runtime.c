#include "runner/runtime/runtime.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

#define ID_MAX 64

bool is_plain_id(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isalnum(s.p[i]) && s.p[i] != '-')
            return false;
    return s.n > 0 && s.n <= ID_MAX;
}

uint64_t runtime_scratch_bytes(const struct runtime_spec *s, const char *target)
{
    for (size_t i = 0; i < s->scratch_len; i++)
        if (streq(s->scratch[i].target, target))
            return s->scratch[i].bytes;
    return 0;
}

void runtime_free_endpoints(struct endpoint *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i].name);
        free(list[i].address);
    }
    free(list);
}

void instance_add_endpoint(struct instance *i, const char *name, const char *socket)
{
    i->endpoints = xreallocarray(i->endpoints, i->endpoints_len + 1, sizeof(*i->endpoints));
    i->endpoints[i->endpoints_len++] = (struct endpoint){xstrdup(name), xasprintf("unix:%s", socket)};
}

void instance_clear(struct instance *i)
{
    free(i->id);
    free(i->device);
    free(i->device_uid);
    free(i->owner);
    free(i->image);
    if (i->token)
        explicit_bzero(i->token, strlen(i->token));
    free(i->token);
    runtime_free_endpoints(i->endpoints, i->endpoints_len);
    if (i->process.pid && i->process.fd >= 0)
        close(i->process.fd);
    free(i->said);
    free(i->gpus);
    *i = (struct instance){0};
}

void runtime_free_instances(struct instance *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        instance_clear(&list[i]);
    free(list);
}

const struct runtime_gpu *runtime_find_gpu(struct runtime *r, struct arena *a, const char *id)
{
    struct runtime_gpu *list;
    size_t n = 0;

    if (r->ops->gpus)
        r->ops->gpus(r, a, &list, &n);
    for (size_t i = 0; i < n; i++)
        if (streq(list[i].id, id))
            return &list[i];
    return NULL;
}

void runtime_free_named_images(struct runtime_named_image *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i].name);
    free(list);
}

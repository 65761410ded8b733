#include "server/hooks/device_sandbox.h"

#include "base/alloc.h"
#include "kinds/sandbox.h"
#include "kinds/user.h"
#include "server/hooks/device_gpu.h"
#include "server/hooks/objects.h"

struct amount {
    const char *key, *unit;
    uint64_t otherwise, most; /* what the sandbox says; 0: nothing */
    uint64_t config;          /* what everybody gets by the configuration */
};

static const char *said(struct admission *a, const char *key)
{
    return yyjson_mut_get_str(yyjson_mut_obj_get(json_mut_at(a->object, "spec"), key));
}

static int check_amount(struct admission *a, const struct amount *m, struct error **err)
{
    const char *text = said(a, m->key);
    unsigned long long n;
    _cleanup_free_ char *field = xasprintf("spec.%s", m->key);

    if (text == NULL || str_to_u64(str_from(text), UINT64_MAX, &n) < 0)
        return 0;
    if (m->most && n > m->most)
        return error_add_cause(err, field, "FieldValueInvalid",
                               "Invalid value: \"%s\": at most %llu %s in this sandbox", text,
                               (unsigned long long)m->most, m->unit);
    uint64_t own = m->otherwise ? m->otherwise : m->config;
    if (a->who->role == ROLE_USER && n > own)
        return error_set(err, REASON_FORBIDDEN, "%s: at most %llu without an administrator", field,
                         (unsigned long long)own);
    return 0;
}

static void fill_amount(struct admission *a, const struct amount *m)
{
    const char *text = said(a, m->key);
    _cleanup_free_ char *value = xasprintf("%llu", (unsigned long long)m->otherwise);

    if (m->otherwise && (text == NULL || *text == '\0'))
        json_mut_set_str(a->doc, json_mut_at(a->object, "spec"), m->key, value);
}

static int take_amounts(struct admission *a, const struct sandbox *s, struct error **err)
{
    const struct config *c = ((const struct hook_context *)a->context)->config;
    const struct amount amounts[] = {
        {"deviceCpu", "thousandths of a core", s->cpu.otherwise, s->cpu.most, c->default_cpu_milli},
        {"deviceRam", "MiB", s->memory.otherwise, s->memory.most, c->default_ram_mib},
    };

    for (size_t i = 0; i < ARRAY_SIZE(amounts); i++) {
        if (check_amount(a, &amounts[i], err) < 0)
            return -1;
        fill_amount(a, &amounts[i]);
    }
    return 0;
}

int device_take_sandbox(struct admission *a, struct store_txn *t, const char *name, const char *field,
                        struct error **err)
{
    _cleanup_json_ yyjson_doc *doc = object_read(t, PLURAL_SANDBOXES, name);
    struct sandbox s;

    if (doc == NULL)
        return error_add_cause(err, field, "FieldValueNotFound", "Not found: there is no sandbox \"%s\"", name);
    sandbox_read(yyjson_doc_get_root(doc), &s);
    if (s.hidden && a->who->role == ROLE_USER)
        return error_set(err, REASON_FORBIDDEN, "sandbox \"%s\" is not offered (spec.hidden)", name);
    if (s.deprecated && *s.deprecated)
        admission_warn(a, "sandbox %s is deprecated: %s", name, s.deprecated);
    return take_amounts(a, &s, err) < 0 ? -1 : device_choose_gpus(a, &s, err);
}

#include "server/api/admission.h"

#include "server/model/metadata.h"
#include "server/model/schema.h"

void admission_take(struct admission *a, yyjson_val *sent, struct field_findings *f)
{
    size_t duplicates = schema_find_duplicates(sent, field_is_duplicate, f);

    a->doc = json_mut_new(a->arena);
    a->object = yyjson_val_mut_copy(a->doc, sent);
    yyjson_mut_doc_set_root(a->doc, a->object);
    if (duplicates)
        schema_drop_duplicates(a->object);
}

int admission_decode(struct admission *a, struct field_findings *f, struct error **err)
{
    if (metadata_decode(a->kind, a->doc, a->object, err) < 0)
        return -1;
    schema_prune(a->kind, a->object, field_is_unknown, f);
    return field_findings_end(f, err);
}

static size_t secrets_len(const struct admission *a)
{
    size_t n = 0;

    while (a->kind->write_only[n])
        n++;
    return n;
}

static const char **new_secrets(struct admission *a)
{
    const char **secrets = arena_alloc(a->arena, (secrets_len(a) + 1) * sizeof(*secrets));

    a->secrets = secrets;
    return secrets;
}

void admission_no_secrets(struct admission *a)
{
    (void)new_secrets(a);
}

int admission_take_secrets(struct admission *a, struct error **err)
{
    size_t n = secrets_len(a);
    const char **secrets = new_secrets(a);

    if (schema_take_write_only(a->kind, a->doc, a->object, secrets, a->arena, err) < 0)
        return -1;
    /* Of what is sent to /status only the status counts. */
    if (a->operation == OPERATION_UPDATE_STATUS)
        memset(secrets, 0, n * sizeof(*secrets));
    return 0;
}

bool admission_has_secrets(const struct admission *a)
{
    for (size_t i = 0; i < secrets_len(a); i++)
        if (a->secrets[i])
            return true;
    return false;
}

bool admission_same_secrets(const struct admission *a, const struct admission *b)
{
    for (size_t i = 0; i < secrets_len(a); i++)
        if ((a->secrets[i] || b->secrets[i]) && !streq(a->secrets[i], b->secrets[i]))
            return false;
    return true;
}

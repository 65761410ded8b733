#include "server/api/revision.h"

#include "base/alloc.h"

static int too_large(uint64_t asked, uint64_t present, struct error **err)
{
    _cleanup_free_ char *message = xasprintf("Too large resource version: %llu, current: %llu",
                                             (unsigned long long)asked, (unsigned long long)present);

    /* client-go knows this case by its cause. */
    error_set(err, REASON_TIMEOUT, "%s", message);
    error_add_cause(err, "", "ResourceVersionTooLarge", "Too large resource version");
    free((*err)->message);
    (*err)->message = steal_ptr(message);
    (*err)->retry_after = 1;
    return -1;
}

static int read_match(const char *text, enum revision_match *out, struct error **err)
{
    if (text == NULL || text[0] == '\0')
        *out = MATCH_UNSET;
    else if (streq(text, "Exact"))
        *out = MATCH_EXACT;
    else if (streq(text, "NotOlderThan"))
        *out = MATCH_NOT_OLDER;
    else
        return error_set(
            err, REASON_BAD_REQUEST,
            "resourceVersionMatch: Unsupported value: \"%s\": supported values: \"Exact\", \"NotOlderThan\"", text);
    return 0;
}

int revision_query(struct request *r, struct revision_query *out, struct error **err)
{
    const char *text = operation_parameter(r->op, "resourceVersion");
    unsigned long long revision = 0;

    *out = (struct revision_query){.given = text && text[0]};
    if (out->given && str_to_u64(str_from(text), UINT64_MAX, &revision) < 0)
        return error_set(err, REASON_BAD_REQUEST, "resourceVersion: Invalid value: \"%s\": it is no decimal number",
                         text);
    out->revision = revision;
    if (read_match(operation_parameter(r->op, "resourceVersionMatch"), &out->match, err) < 0)
        return -1;
    uint64_t present = store_revision(r->api->options.store);
    return revision > present ? too_large(revision, present, err) : 0;
}

int revision_changed(struct request *r, uint64_t revision, bool *changed, struct error **err)
{
    struct event event;
    uint64_t reached;
    int n = store_events(r->api->options.store, request_collection(r), revision, &event, 1, &reached, err);

    if (n < 0)
        return -1;
    *changed = n > 0;
    if (n > 0)
        event_release(&event);
    return 0;
}

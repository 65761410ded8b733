#include "server/served.h"

#include "base/alloc.h"
#include "kinds/names.h"
#include "server/hooks/context.h"

/* What a definition cannot say. */
static const struct {
    const char *plural;
    const struct kind_hooks *hooks;
} hooks_of[] = {
    {PLURAL_USERS, &user_hooks},
    {PLURAL_DEVICES, &device_hooks},
    {PLURAL_SANDBOXES, &sandbox_hooks},
    {PLURAL_DATASETS, &dataset_hooks},
    {PLURAL_COURSES, &dataset_hooks},
    {PLURAL_HOSTS, &host_hooks},
    {PLURAL_CONFIG_MAPS, &config_map_hooks},
    {PLURAL_CLUSTER_POLICIES, &cluster_policy_hooks},
    {PLURAL_PODS, &pod_hooks},
};

static const struct kind_hooks *find_hooks(const char *plural)
{
    for (size_t i = 0; i < ARRAY_SIZE(hooks_of); i++)
        if (streq(hooks_of[i].plural, plural))
            return hooks_of[i].hooks;
    return NULL;
}

int served_load(struct served *s, struct error **err)
{
    s->kinds = xcalloc(kind_sources_len, sizeof(*s->kinds));
    s->resources = xcalloc(kind_sources_len, sizeof(*s->resources));
    for (size_t i = 0; i < kind_sources_len; i++) {
        const struct kind *k = kind_load(kind_sources[i].yaml, kind_sources[i].name, err);
        if (k == NULL)
            return -1;
        s->resources[s->n] = (struct api_resource){k, find_hooks(k->plural)};
        s->kinds[s->n++] = k;
    }
    return 0;
}

void served_free(struct served *s)
{
    for (size_t i = 0; i < s->n; i++)
        kind_free((struct kind *)s->kinds[i]);
    free(s->kinds);
    free(s->resources);
    *s = (struct served){0};
}

struct store_log_limit *served_log_limits(const struct served *s, size_t *n)
{
    struct store_log_limit *limits = xcalloc(s->n, sizeof(*limits));

    *n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct kind *k = s->kinds[i];
        if (k->log.max_events || k->log.max_age_seconds)
            limits[(*n)++] = (struct store_log_limit){k->plural, k->log.max_events, k->log.max_age_seconds};
    }
    return limits;
}

const struct kind *served_find(const struct served *s, const char *plural)
{
    for (size_t i = 0; i < s->n; i++)
        if (streq(s->kinds[i]->plural, plural))
            return s->kinds[i];
    return NULL;
}

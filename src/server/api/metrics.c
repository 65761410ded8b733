#include "server/api/metrics.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"

/* A code that is none of these is counted as 0. */
static const unsigned codes[] = {0,   200, 201, 304, 400, 401, 403, 404, 405, 406,
                                 409, 410, 413, 415, 422, 429, 500, 503, 504, 507};
#define CODES ARRAY_SIZE(codes)

static const int64_t buckets_us[] = {250, 500, 1000, 2500, 5000, 10000, 50000, 100000, 500000, 1000000, 5000000};
#define BUCKETS ARRAY_SIZE(buckets_us)

struct histogram {
    atomic_uint_fast64_t bucket[BUCKETS + 1]; /* not cumulative; the last one is +Inf */
    atomic_uint_fast64_t sum_us;
};

struct counters {
    atomic_uint_fast64_t requests[VERBS][CODES];
};

struct metrics {
    const struct kind *const *kinds;
    size_t kinds_len;
    struct histogram durations[VERBS];
    struct counters counters[]; /* one for each resource, and one for what is none */
};

struct metrics *metrics_new(const struct kind *const *kinds, size_t n)
{
    struct metrics *m = xcalloc(1, sizeof(*m) + (n + 1) * sizeof(struct counters));

    m->kinds = kinds;
    m->kinds_len = n;
    return m;
}

void metrics_free(struct metrics *m)
{
    free(m);
}

static size_t code_index(unsigned code)
{
    for (size_t i = 0; i < CODES; i++)
        if (codes[i] == code)
            return i;
    return 0;
}

static void counter_add(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t counter_value(atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static size_t kind_index(const struct metrics *m, const struct kind *kind)
{
    size_t i = 0;

    while (i < m->kinds_len && m->kinds[i] != kind)
        i++;
    return i;
}

void metrics_count(struct metrics *m, const struct operation *op, const struct operation_outcome *outcome)
{
    enum verb verb = op->kind ? op->verb : VERB_NONE;
    size_t i = 0;

    counter_add(&m->counters[kind_index(m, op->kind)].requests[verb][code_index(outcome->code)], 1);
    while (i < BUCKETS && outcome->us > buckets_us[i])
        i++;
    counter_add(&m->durations[verb].bucket[i], 1);
    counter_add(&m->durations[verb].sum_us, outcome->us > 0 ? (uint64_t)outcome->us : 0);
}

void metrics_head(struct buffer *b, const char *name, const char *type, const char *help)
{
    buffer_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_requests(struct metrics *m, struct buffer *b)
{
    metrics_head(b, "open_hydra_api_requests_total", "counter", "Answered requests.");
    for (size_t i = 0; i <= m->kinds_len; i++)
        for (int verb = 0; verb < VERBS; verb++)
            for (size_t c = 0; c < CODES; c++) {
                uint64_t n = counter_value(&m->counters[i].requests[verb][c]);
                if (n)
                    buffer_printf(b, "open_hydra_api_requests_total{verb=\"%s\",resource=\"%s\",code=\"%u\"} %llu\n",
                                  verb_name(verb), i < m->kinds_len ? m->kinds[i]->plural : "", codes[c],
                                  (unsigned long long)n);
            }
}

static void write_duration(struct histogram *h, const char *verb, struct buffer *b)
{
    const char *name = "open_hydra_api_request_duration_seconds";
    uint64_t total = 0;

    for (size_t i = 0; i <= BUCKETS; i++)
        total += counter_value(&h->bucket[i]);
    if (total == 0)
        return;
    total = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        total += counter_value(&h->bucket[i]);
        buffer_printf(b, "%s_bucket{verb=\"%s\",le=\"%g\"} %llu\n", name, verb, (double)buckets_us[i] / 1e6,
                      (unsigned long long)total);
    }
    total += counter_value(&h->bucket[BUCKETS]);
    buffer_printf(b, "%s_bucket{verb=\"%s\",le=\"+Inf\"} %llu\n%s_sum{verb=\"%s\"} %g\n%s_count{verb=\"%s\"} %llu\n",
                  name, verb, (unsigned long long)total, name, verb, (double)counter_value(&h->sum_us) / 1e6, name,
                  verb, (unsigned long long)total);
}

void metrics_write(struct metrics *m, struct buffer *b)
{
    write_requests(m, b);
    metrics_head(b, "open_hydra_api_request_duration_seconds", "histogram",
                 "From the whole request to its answer; of a watch, to its start.");
    for (int verb = 0; verb < VERBS; verb++)
        write_duration(&m->durations[verb], verb_name(verb), b);
}

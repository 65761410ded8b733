/*
 * Durable creates per second: one and 64 callers of the store, against a bare SQLite loop doing the same inserts one by
 * one and 64 to a transaction; then lists, reads and the time to open. Usage: bench_store [DIRECTORY [SECONDS]]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"
#include "bench/bare_sqlite.h"
#include "server/store/store.h"

#define JSON_SIZE 900

static char json[JSON_SIZE + 1];
static int64_t run_us = 2000000;
static const char *parent = "/tmp";

static char *new_directory(void)
{
    char *path = xasprintf("%s/bench-store-XXXXXX", parent);
    if (mkdtemp(path) == NULL) {
        perror(path);
        exit(1);
    }
    return path;
}

static void remove_directory(char *path)
{
    static const char *const files[] = {"open-hydra.db", "open-hydra.db-wal", "open-hydra.db-shm", "open-hydra.lock"};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_free_ char *file = xasprintf("%s/%s", path, files[i]);
        unlink(file);
    }
    rmdir(path);
    free(path);
}

/* --- The store --- */

static struct store *open_store(const char *directory)
{
    const struct store_options options = {.directory = directory, .log_max_events = 10000, .log_max_age_seconds = 3600};
    struct error *err = NULL;
    struct store *s = store_open(&options, &err);

    if (s == NULL) {
        fprintf(stderr, "%s\n", err->message);
        exit(1);
    }
    return s;
}

static int create(struct store_txn *t, void *arg, struct error **err)
{
    char name[32];
    int n = snprintf(name, sizeof(name), "user-%d", *(int *)arg);

    if (txn_get(t, "users", (struct str){name, (size_t)n}))
        return error_set(err, REASON_ALREADY_EXISTS, "%s exists", name);
    txn_put(t, "users", name, "00000000-0000-0000-0000-000000000000", (struct str){json, JSON_SIZE});
    return 0;
}

/* A caller as an HTTP connection is one: the next request when the last one is answered, without a thread of its own.
 */
struct callers {
    struct store *store;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int next, active;
    int64_t until;
};

struct caller {
    int number; /* first: create gets a caller too */
    struct callers *all;
};

static void again(struct caller *c);

static void done(void *arg, struct error *err)
{
    struct caller *c = arg;
    if (err) {
        fprintf(stderr, "%s\n", err->message);
        exit(1);
    }
    again(c);
}

static void again(struct caller *c)
{
    struct callers *all = c->all;

    pthread_mutex_lock(&all->lock);
    bool more = clock_monotonic_us() < all->until;
    if (more) {
        c->number = ++all->next;
    } else {
        all->active--;
        pthread_cond_signal(&all->changed);
    }
    pthread_mutex_unlock(&all->lock);
    if (more)
        store_submit(all->store, create, c, done);
}

static double creates(struct store *s, int clients)
{
    struct callers all = {.store = s, .active = clients};
    struct caller *c = xcalloc((size_t)clients, sizeof(*c));

    pthread_mutex_init(&all.lock, NULL);
    pthread_cond_init(&all.changed, NULL);
    int64_t start = clock_monotonic_us();
    all.until = start + run_us;
    all.next = (int)store_count(s, "users");
    int before = all.next;
    for (int i = 0; i < clients; i++) {
        c[i].all = &all;
        again(&c[i]);
    }
    pthread_mutex_lock(&all.lock);
    while (all.active)
        pthread_cond_wait(&all.changed, &all.lock);
    pthread_mutex_unlock(&all.lock);
    double rate = (all.next - before) * 1e6 / (double)(clock_monotonic_us() - start);
    free(c);
    return rate;
}

/* --- Reading --- */

static bool add_up(void *arg, struct object *o)
{
    *(size_t *)arg += o->json.n;
    return true;
}

struct reader {
    struct store *store;
    int64_t until;
    bool list;
    long n;
};

static void *read_much(void *arg)
{
    struct reader *r = arg;
    char name[32];
    size_t bytes = 0;

    for (; clock_monotonic_us() < r->until; r->n++) {
        if (r->list) {
            store_list(r->store, "small", STR(""), add_up, &bytes);
            continue;
        }
        for (int i = 0; i < 100; i++) {
            int n = snprintf(name, sizeof(name), "user-%ld", r->n % 900 + 1);
            object_unref(store_get(r->store, "small", (struct str){name, (size_t)n}));
        }
    }
    return NULL;
}

static double reads(struct store *s, int threads, bool list)
{
    struct reader r[8];
    pthread_t t[8];
    long n = 0;

    for (int i = 0; i < threads; i++) {
        r[i] = (struct reader){s, clock_monotonic_us() + run_us / 2, list, 0};
        t[i] = thread_start("reader", read_much, &r[i]);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(t[i], NULL);
        n += r[i].n;
    }
    return (double)n * (list ? 1 : 100) * 1e6 / (double)(run_us / 2);
}

static int fill(struct store_txn *t, void *arg, struct error **err)
{
    const char *collection = arg;
    char name[32];
    int n = streq(collection, "small") ? 1000 : 20000;

    for (int i = 1; i <= n; i++) {
        snprintf(name, sizeof(name), "user-%d", i);
        txn_put(t, collection, name, "00000000-0000-0000-0000-000000000000", (struct str){json, JSON_SIZE});
    }
    return 0;
}

static void bench_reading(void)
{
    char *directory = new_directory();
    struct store *s = open_store(directory);
    char small[] = "small", large[] = "large";

    if (store_run(s, fill, small, NULL) < 0)
        exit(1);
    for (int threads = 1; threads <= 2; threads++)
        printf("get, %d threads                    %10.0f /s\nlist of 1,000, %d threads          %10.0f /s\n", threads,
               reads(s, threads, false), threads, reads(s, threads, true));
    if (store_run(s, fill, large, NULL) < 0)
        exit(1);
    store_close(s);
    int64_t start = clock_monotonic_us();
    s = open_store(directory);
    printf("open with 21,000 objects          %10.3f s\n", (double)(clock_monotonic_us() - start) / 1e6);
    store_close(s);
    remove_directory(directory);
}

int main(int argc, char **argv)
{
    memset(json, 'x', JSON_SIZE);
    memcpy(json, "{\"a\":\"", 6);
    memcpy(json + JSON_SIZE - 2, "\"}", 2);
    if (argc > 1)
        parent = argv[1];
    if (argc > 2)
        run_us = strtol(argv[2], NULL, 10) * 1000000;

    static const int clients[] = {1, 64};
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
        double raw = bare_sqlite_creates(parent, run_us, clients[i], (struct str){json, JSON_SIZE});
        char *directory = new_directory();
        struct store *s = open_store(directory);
        double ours = creates(s, clients[i]);
        store_close(s);
        remove_directory(directory);
        printf("create, %2d at once                %10.0f /s   bare SQLite %10.0f /s   ratio %.2f\n", clients[i], ours,
               raw, ours / raw);
    }
    bench_reading();
    return 0;
}

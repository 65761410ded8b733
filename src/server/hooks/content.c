#include "server/hooks/content.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"

#define TAKE_WITHIN_US INT64_C(20000000)
#define RETRY_SECONDS 5

struct content *content_new(const struct config *config, struct store *store)
{
    struct content *c = xcalloc(1, sizeof(*c));

    c->config = config;
    c->store = store;
    c->libraries[0] = (struct library){.plural = PLURAL_DATASETS,
                                       .key = "datasetBasePath",
                                       .size_key = "datasetMaxSize",
                                       .path = config->dataset_path,
                                       .max_bytes = config->dataset_max_bytes};
    c->libraries[1] = (struct library){.plural = PLURAL_COURSES,
                                       .key = "courseBasePath",
                                       .size_key = "courseMaxSize",
                                       .path = config->course_path,
                                       .max_bytes = config->course_max_bytes};
    for (size_t i = 0; i < ARRAY_SIZE(c->libraries); i++) {
        c->libraries[i].reserve_bytes = config->minimum_free_mib << 20;
        library_init(&c->libraries[i]);
    }
    c->publisher = publisher_new(store, c->libraries, ARRAY_SIZE(c->libraries));
    pthread_mutex_init(&c->lock, NULL);
    cond_init_monotonic(&c->changed);
    return c;
}

void content_start(struct content *c, struct api *api)
{
    c->api = api;
    publisher_start(c->publisher);
}

void content_free(struct content *c)
{
    if (c == NULL)
        return;
    publisher_stop(c->publisher);
    pthread_mutex_lock(&c->lock);
    while (c->threads)
        pthread_cond_wait(&c->changed, &c->lock);
    pthread_mutex_unlock(&c->lock);
    publisher_free(c->publisher);
    for (size_t i = 0; i < ARRAY_SIZE(c->libraries); i++)
        library_close(&c->libraries[i]);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

struct library *content_library(struct content *c, const char *plural)
{
    for (size_t i = 0; i < ARRAY_SIZE(c->libraries); i++)
        if (streq(c->libraries[i].plural, plural))
            return &c->libraries[i];
    assert(!"a kind without a folder");
    return NULL;
}

/* --- Threads --- */

struct run {
    struct content *content;
    bool is_upload;
    void (*fn)(void *arg);
    void *arg;
};

static void *run_thread(void *arg)
{
    struct run *r = arg;
    struct content *c = r->content;
    bool is_upload = r->is_upload;

    r->fn(r->arg);
    free(r);
    pthread_mutex_lock(&c->lock);
    c->threads--;
    c->uploads -= is_upload;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static bool take_place(struct content *c)
{
    LOCK_SCOPE(&c->lock);
    bool room = c->uploads < TRANSFERS_MAX;

    c->uploads += room;
    return room;
}

static void start_thread(struct content *c, const char *name, bool is_upload, void (*fn)(void *arg), void *arg)
{
    struct run *r = xcalloc(1, sizeof(*r));

    *r = (struct run){c, is_upload, fn, arg};
    pthread_mutex_lock(&c->lock);
    c->threads++;
    pthread_mutex_unlock(&c->lock);
    pthread_detach(thread_start(name, run_thread, r));
}

void content_run_beside(struct content *c, void (*fn)(void *arg), void *arg)
{
    start_thread(c, "course", false, fn, arg);
}

int content_run(struct content *c, void (*fn)(void *arg), void *arg, struct error **err)
{
    if (!take_place(c)) {
        (void)(error_set(err, REASON_TOO_MANY_REQUESTS, "%d uploads are under way already", TRANSFERS_MAX) < 0);
        (*err)->retry_after = RETRY_SECONDS;
        return -1;
    }
    start_thread(c, "upload", true, fn, arg);
    return 0;
}

/* --- One at a time for each upload --- */

/* Under the lock. */
static struct transfer *find_transfer(struct content *c, const struct library *l, const char *id)
{
    struct transfer *t = c->transfers;

    while (t && (t->library != l || !streq(t->id, id)))
        t = t->next;
    return t;
}

int content_take(struct content *c, struct transfer *t, struct error **err)
{
    int64_t deadline = clock_monotonic_us() + TAKE_WITHIN_US;
    struct transfer *other;
    LOCK_SCOPE(&c->lock);

    while ((other = find_transfer(c, t->library, t->id))) {
        other->stop(other->arg);
        if (cond_wait_until(&c->changed, &c->lock, deadline) == ETIMEDOUT)
            return error_set(err, REASON_CONFLICT, "another request writes this upload: try again later");
    }
    t->next = c->transfers;
    c->transfers = t;
    return 0;
}

void content_give(struct content *c, struct transfer *t)
{
    LOCK_SCOPE(&c->lock);

    for (struct transfer **at = &c->transfers; *at; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            break;
        }
    pthread_cond_broadcast(&c->changed);
}

bool content_is_taken(struct content *c, const struct library *l, const char *id)
{
    LOCK_SCOPE(&c->lock);

    return find_transfer(c, l, id) != NULL;
}

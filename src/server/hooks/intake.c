#include "server/hooks/intake.h"

#include "base/alloc.h"
#include "base/thread.h"

#define PIECE ((size_t)256 << 10)

/* The last call, with the lock held. */
static void be_over(struct intake *i)
{
    i->over = true;
    pthread_cond_broadcast(&i->changed);
}

static ssize_t take_bytes(struct sink *sink, const char *p, size_t n)
{
    struct intake *i = container_of(sink, struct intake, sink);
    LOCK_SCOPE(&i->lock);

    if (i->refused) {
        be_over(i);
        return -1;
    }
    size_t taken = n < PIECE - i->n ? n : PIECE - i->n;
    memcpy(i->filling + i->n, p, taken);
    i->n += taken;
    pthread_cond_broadcast(&i->changed);
    return (ssize_t)taken;
}

static void take_end(struct sink *sink, const struct error *why)
{
    struct intake *i = container_of(sink, struct intake, sink);
    LOCK_SCOPE(&i->lock);

    if (why)
        (void)(error_set(&i->cut, why->reason, "%s", why->message) < 0);
    be_over(i);
}

void intake_init(struct intake *i)
{
    *i = (struct intake){.sink = {.write = take_bytes, .end = take_end}};
    pthread_mutex_init(&i->lock, NULL);
    pthread_cond_init(&i->changed, NULL);
}

void intake_free(struct intake *i)
{
    free(i->filling);
    free(i->taken);
    error_free(i->cut);
    pthread_cond_destroy(&i->changed);
    pthread_mutex_destroy(&i->lock);
}

void intake_begin(struct intake *i, struct request *r)
{
    i->filling = xmalloc(PIECE);
    i->taken = xmalloc(PIECE);
    i->begun = true;
    request_receive(r, &i->sink);
}

size_t intake_take(struct intake *i, const char **p)
{
    LOCK_SCOPE(&i->lock);

    while (i->n == 0 && !i->over && !i->stopped)
        pthread_cond_wait(&i->changed, &i->lock);
    if (i->stopped)
        return 0;
    size_t n = i->n;
    char *full = i->filling;
    i->filling = i->taken;
    i->taken = full;
    i->n = 0;
    *p = full;
    if (n && !i->over)
        sink_wake(&i->sink);
    return n;
}

void intake_stop(struct intake *i)
{
    LOCK_SCOPE(&i->lock);

    i->stopped = true;
    pthread_cond_broadcast(&i->changed);
}

bool intake_was_stopped(struct intake *i)
{
    LOCK_SCOPE(&i->lock);

    return i->stopped;
}

int intake_result(struct intake *i, struct error **err)
{
    LOCK_SCOPE(&i->lock);

    if (i->over && i->cut == NULL && !i->stopped)
        return 0;
    if (i->cut)
        return error_set(err, i->cut->reason, "%s", i->cut->message);
    return error_set(err, REASON_CONFLICT, "somebody else goes on with this upload");
}

void intake_end(struct intake *i)
{
    LOCK_SCOPE(&i->lock);

    i->refused = true;
    if (i->begun && !i->over)
        sink_wake(&i->sink);
    while (i->begun && !i->over)
        pthread_cond_wait(&i->changed, &i->lock);
}

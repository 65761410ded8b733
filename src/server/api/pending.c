#include "server/api/pending.h"

#include <assert.h>

#include "base/thread.h"

void pending_init(struct pending *p)
{
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->none, NULL);
    p->n = 0;
}

void pending_destroy(struct pending *p)
{
    assert(p->n == 0);
    pthread_cond_destroy(&p->none);
    pthread_mutex_destroy(&p->lock);
}

void pending_begin(struct pending *p)
{
    LOCK_SCOPE(&p->lock);
    p->n++;
}

void pending_end(struct pending *p)
{
    LOCK_SCOPE(&p->lock);
    assert(p->n > 0);
    if (--p->n == 0)
        pthread_cond_signal(&p->none);
}

void pending_wait(struct pending *p)
{
    LOCK_SCOPE(&p->lock);
    while (p->n)
        pthread_cond_wait(&p->none, &p->lock);
}

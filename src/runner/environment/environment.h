#pragma once

#include <pthread.h>

#include "client/informer.h"
#include "config/config.h"
#include "kinds/device.h"
#include "runner/environment/activity.h"
#include "runner/environment/catalogue.h"
#include "runner/environment/limits.h"
#include "runner/environment/pulse.h"
#include "runner/environment/queue.h"
#include "runner/environment/turns.h"
#include "runner/runtime/runtime.h"

/*
 * What the runner knows of each device, and what it works on them with. The bottom of its room:
 *   controller    threads, what they are told, the slow timer
 *   reconcile     the next step of one device            sweep    what belongs to nobody
 *   look          what there is of it                    lost     whether a device that is missing was deleted
 *   start, stop   from nothing to Running, and back      ended    one that ended by itself
 *   cause         why, as its last words show            safe_mode     a start without the home's settings
 *   health        what its pulse leads to                failed   for good, or for now
 *   status        what its status says                   spec     what it is made from
 *   gpus          those that it has                     shortage what it lacked
 *   image         its image: waited for, found           images   all of them: looked for, pulled
 *   catalogue     the sandboxes that name them           sandbox_status   what their status says
 *   named         which they have named once, on disk
 *   activity      who works in it; activity_look: one look, source by source; idle: what follows, from times alone
 *   in_use        by which rules, and its end where nobody does
 *   storage       what homes take: the thread that looks; home_use: what follows of it; home_quota: said of an environment
 */

/* Something that the kernel counts, and that it lacked when it was counted. */
struct lack {
    uint64_t counted; /* of what runs now */
    int64_t last_us;  /* wall clock; 0: never, as far as is known */
    uint64_t used;    /* bytes, after that */
};

enum timing { TIMING_QUEUED, TIMING_PREPARING, TIMING_STARTING, TIMINGS };

/* Belongs to the worker that works on its name, but for `look`. */
struct environment {
    char *name, *uid, *owner, *sandbox; /* sandbox: what its status says */
    char *instance;                     /* what runs for it, by the runtime's id */
    uint32_t owner_id;
    bool look; /* its container is to be looked at; under the lock of all */

    enum phase phase;
    char *reason, *message;
    int64_t phase_since_us, deadline_us; /* monotonic */
    int64_t seen_us;                     /* monotonic; when it was first heard of */
    int64_t started_us;                  /* wall clock; 0: did not answer yet */
    double timings[TIMINGS];             /* seconds; negative: not known */
    char *log;                           /* last lines, where it failed; NULL: none */
    bool settled;                        /* Failed, for good */
    char *safe_reason, *safe_message;    /* why safe mode was tried; NULL: it was not */

    enum { CONTAINER_UNKNOWN, CONTAINER_ABSENT, CONTAINER_RUNNING } container;
    pid_t pid;                 /* of its first process; 0: not known */
    bool met;                  /* its container was seen running by this process */
    bool paused, unsupervised; /* as the engine says */
    int64_t paused_us;         /* until when it was seen paused; monotonic */
    bool unwell;               /* Running, and does not answer as it should */
    char *gpus; /* ids of those that its container has, once for each unit, joined by commas; NULL: none */
    char image[IMAGE_ID_MAX]; /* id of what it was made from, or is to be; empty: not known */
    char *token;
    struct endpoint *endpoints; /* the first is the one by which it is entered; none: not known yet */
    size_t endpoints_len;
    uint64_t told_epoch;           /* in which the server was told of these; 0: never */
    char *readiness_path;          /* as the sandbox said when it was started */
    uint64_t shm_bytes, tmp_bytes; /* that it was started with; these three 0: by the runner before this one */
    unsigned processes;
    struct lack memory_lack, process_lack; /* shortage.h */
    bool lacks_known;                      /* they are of what runs now */
    const char *full;                      /* path of its memory that has no room; NULL: none. Static */
    char *kept_apart; /* what was done with the files of a former owner of that name; NULL: nothing */

    unsigned restarts, restarts_in_window;
    int64_t window_since_us, not_before_us;
    unsigned failures; /* in a row, of engine or server */
    bool gone;         /* nothing is left of it */

    uint64_t revision; /* of the store, at which it was last seen */
    unsigned restored; /* informer_restored() then */

    bool dirty;       /* changed since the last status that was written */
    uint64_t written; /* resourceVersion of that */
};

struct environments {
    const struct config *config;
    struct client *client;
    struct runtime *runtime;
    struct queue *queue;
    struct turns *turns;
    struct pulses *pulses;
    struct activities *activities;
    struct informer *devices, *sandboxes;
    struct images *images;
    struct catalogue *catalogue;
    struct storage *storage;

    pthread_mutex_t lock;
    struct map *table; /* name → struct environment; the map, `look` and what follows are under the lock */
    bool engine_up;
    char *engine_message;
    uint64_t epoch; /* of the connection to the server, from 1 */
    int64_t next_sweep_us;
    struct map *kept; /* uids whose device is missing from the list, and has not been deleted */
    struct map *lost; /* uids of which the store went back to before it knew them: nobody deleted these */
};

/* The table alone; who calls fills in the rest. */
void environments_init(struct environments *es);
void environments_clear(struct environments *es);

struct environment *environment_find(struct environments *es, const char *name);
struct environment *environment_make(struct environments *es, const struct device *d);
void environment_forget(struct environments *es, struct environment *e);
/* Whether another owner's environment has that number. */
bool owner_id_in_use(struct environments *es, const struct environment *e, uint32_t owner_id);
/* The instance that a device gets when it is new to this runner: its id, which the caller frees. */
char *environment_instance(const char *device_uid);
/* Takes over where it is reached; if that is new, the server is to be told. */
void environment_take_endpoints(struct environment *e, struct instance *i);
/* Where it is asked whether it answers; NULL: not known yet. */
const char *environment_address(const struct environment *e);
/* What is there of it is to be looked at again; false: there is none of that name. */
bool environment_ask_look(struct environments *es, const char *name);
/* Reads and resets `look`. */
bool environment_take_look(struct environments *es, struct environment *e);

void environments_note_engine(struct environments *es, bool up, const char *message);
bool engine_is_up(struct environments *es, char **message);
/* The server answers (again). It may be another one, which was told of no endpoint yet. */
void environments_note_server(struct environments *es);
uint64_t server_epoch(struct environments *es);
/* Whether it is time to sweep; then not again for `check_seconds`. */
bool environments_take_sweep(struct environments *es, int64_t now_us);
void environments_sweep_soon(struct environments *es);
bool environments_stopping(const struct environments *es);

/* Works on it again later, the later the more often it failed in a row: in so many milliseconds. */
unsigned environment_retry(struct environments *es, struct environment *e);

void environment_set(struct environment *e, enum phase phase, const char *reason, const char *fmt, ...) _printf_(4, 5);
/* seconds 0: without a deadline. */
void environment_enter(struct environment *e, enum phase phase, unsigned seconds);
bool environment_late(const struct environment *e);
/* How long it waited in the queue, when that is over. */
void environment_note_waiting(struct environment *e, yyjson_val *object);

/* The end of what it said, as it came; negative: not known. */
int environment_read_end(struct environments *es, struct environment *e, unsigned lines, struct buffer *text);
/* Its last words. The caller frees; NULL: none. */
char *environment_log(struct environments *es, struct environment *e);
/* Takes away what there is of it; where that fails, later. */
void environment_clear_away(struct environments *es, struct environment *e);

#pragma once

#include <pthread.h>

#include "client/informer.h"
#include "kinds/device.h"
#include "kinds/sandbox.h"
#include "runner/environment/controller.h"
#include "runner/environment/limits.h"
#include "runner/environment/place.h"
#include "runner/environment/pulse.h"
#include "runner/environment/queue.h"
#include "runner/environment/turns.h"

/* Shared by the controller's files:
 *   controller.c  threads, what they are told, the slow timer        status.c  what the device's status says
 *   reconcile.c   the next step of one device                        sweep.c   what belongs to nobody
 *   start.c       from nothing to a started container                spec.c    what the container is made from
 *   ended.c       a container that ended by itself                   probe.c   whether it answers for the first time
 *   pulse.c       whether what runs is alive                         health.c  what that leads to
 *   queue.c       names to be worked on                              turns.c   how many are started at once
 */

enum timing { TIMING_QUEUED, TIMING_PREPARING, TIMING_STARTING, TIMINGS };

/* What the runner knows of one device. Belongs to the worker that works on its name, but for `look`. */
struct environment {
    char *name, *uid, *owner, *sandbox; /* sandbox: what its status says */
    char place[PLACE_NAME_SIZE];
    uint32_t host_id;
    bool look; /* its container is to be looked at; under the controller's lock */

    enum phase phase;
    char *reason, *message;
    int64_t phase_since_us, deadline_us; /* monotonic */
    int64_t seen_us;                     /* monotonic; when it was first heard of */
    int64_t started_us;                  /* wall clock; 0: did not answer yet */
    double timings[TIMINGS];             /* seconds; negative: not known */
    char *log;                           /* last lines, where it failed; NULL: none */
    bool settled;                        /* Failed, for good */

    enum { CONTAINER_UNKNOWN, CONTAINER_ABSENT, CONTAINER_RUNNING } container;
    bool met;                  /* its container was seen running by this process */
    bool paused, unsupervised; /* as the engine says */
    int64_t paused_us;         /* until when it was seen paused; monotonic */
    bool unwell;               /* Running, and does not answer as it should */
    char *token;
    uint64_t endpoint_epoch;       /* in which the server was told of the endpoint; 0: never */
    char *socket, *readiness_path; /* on the host; as the sandbox said when it was started */

    unsigned restarts, restarts_in_window;
    int64_t window_since_us, not_before_us;
    unsigned failures; /* in a row, of engine or server */
    bool gone;         /* nothing is left of it */

    uint64_t revision; /* of the store, at which it was last seen */
    unsigned restored; /* informer_restored() then */

    bool dirty;       /* changed since the last status that was written */
    uint64_t written; /* resourceVersion of that */
};

struct controller {
    struct controller_options o;
    struct queue *queue;
    struct turns *turns;
    struct pulses *pulses;
    struct informer *devices, *sandboxes;
    pthread_t workers[WORKERS];
    pthread_mutex_t lock;
    struct map *environments; /* name → struct environment; the map, `look` and what follows are under the lock */
    bool engine_up;
    char *engine_message;
    uint64_t epoch; /* of the connection to the server, from 1 */
    int64_t next_sweep_us;
    struct map *kept; /* uids whose device is missing from the list, and has not been deleted */
    struct map *lost; /* uids of which the store went back to before it knew them: nobody deleted these */
};

/* controller.c */
struct environment *environment_find(struct controller *c, const char *name);
struct environment *environment_make(struct controller *c, const struct device *d);
void environment_forget(struct controller *c, struct environment *e);
bool engine_is_up(struct controller *c, char **message);
uint64_t server_epoch(struct controller *c);
/* Whether another owner's environment has that range. */
bool host_id_in_use(struct controller *c, const struct environment *e, uint32_t host_id);
bool is_lost_uid(struct controller *c, const char *uid);
void set_lost_uid(struct controller *c, const char *uid, bool lost);
/* Reads and resets `look`. */
bool take_look(struct controller *c, struct environment *e);

/* reconcile.c */
void reconcile(struct controller *c, const char *name);
/* Tries again later, the later the more often it failed in a row: in so many milliseconds. */
unsigned retry(struct controller *c, struct environment *e);

/* status.c: sets what the status says, and writes it where it is new */
void environment_set(struct environment *e, enum phase phase, const char *reason, const char *fmt, ...) _printf_(4, 5);
void environment_enter(struct environment *e, enum phase phase, unsigned seconds);
bool environment_late(const struct environment *e);
void status_write(struct controller *c, struct environment *e, yyjson_val *object);

/* start.c */
void environment_start(struct controller *c, struct environment *e, const struct device *d, yyjson_val *object);
void environment_await(struct controller *c, struct environment *e, yyjson_val *object);
void environment_running(struct controller *c, struct environment *e, yyjson_val *object);
/* Failed; what there is of it is taken away. `settled`: for good. */
void environment_fail(struct controller *c, struct environment *e, const char *reason, const char *message,
                      bool settled);
/* Takes away what there is of it; where that fails, later. */
void environment_clear_away(struct controller *c, struct environment *e);
/* A failure that may pass: says so and tries again, until the phase's deadline. */
void environment_stumble(struct controller *c, struct environment *e, const char *reason, const struct error *err);

/* ended.c */
void environment_ended(struct controller *c, struct environment *e, const struct instance *i, const char *what);
/* Whether it may be started once more, and that it is. */
bool environment_may_restart(struct environment *e, int64_t now_us);
void environment_count_restart(struct environment *e, int64_t now_us);
char *environment_log(struct controller *c, struct environment *e);

/* probe.c */
bool probe_answers(const char *socket, const char *path, int stop_fd);
unsigned probe_pause_ms(int64_t waited_us);

/* health.c. False: it was ended. */
bool environment_lives(struct controller *c, struct environment *e, int64_t now_us);
void environment_say_health(struct controller *c, struct environment *e);
/* Paused by nobody, and with few others that are silent as well. */
bool environment_silent_too_long(const struct environment *e, const struct pulse *p, int64_t now);

/* spec.c: NULL with the reason for the status. Everything lives in the arena. */
struct runtime_spec *spec_make(struct controller *c, struct arena *a, struct environment *e, const struct device *d,
                               const struct sandbox *s, const struct runtime_facts *facts, const char **reason,
                               struct error **err);
uint64_t device_memory_mib(const struct config *c, const char *said);
uint64_t device_cpu_milli(const struct config *c, const char *said);

/* sweep.c */
/* Whether the device that no list holds was deleted. One that was set aside as damaged, or of which the server cannot
 * say anything, ends nothing: that is said once, and asked again later. */
bool device_is_gone(struct controller *c, const char *name, const char *uid);
/* A device went that nothing is known of: what was left alone is looked at with the next tick. */
void kept_may_be_gone(struct controller *c);
void sweep(struct controller *c);

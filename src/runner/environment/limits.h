#pragma once

/* How long things may last and how often they are tried again, in one place. Set before the first thread; tests shrink
 * them. */
struct limits {
    unsigned preparing_seconds;  /* image looked for, home and socket directory made */
    unsigned prepared_poll_ms;   /* between two looks at what takes long before it: a home that is mended */
    unsigned starting_seconds;   /* container made and started, until it answers: sixty at once on a slow disk */
    unsigned starts_at_once;     /* the others wait in the queue; 0: one more than there are processors */
    unsigned turn_seconds;       /* a start that takes longer lets the next begin */
    unsigned stopping_seconds;   /* then the status says so; it is tried on and on */
    unsigned stop_grace_seconds; /* between SIGTERM and SIGKILL */
    unsigned ready_poll_ms;      /* a look at the socket costs a system call, a question once it is there little more */
    unsigned ready_poll_longest_ms; /* of what takes long to start */
    unsigned ready_answer_ms;       /* a hung one holds a worker no longer */
    unsigned check_seconds;         /* the slow timer: everything is looked at, orphans go */
    unsigned restart_limit;         /* ended by itself more often than that within the window: Failed */
    unsigned restart_window_seconds;
    unsigned restart_first_ms; /* doubled each time */
    unsigned retry_first_ms;   /* engine or server away: doubled each time, up to */
    unsigned retry_longest_ms;
    unsigned image_missing_seconds; /* until it is looked for again */
    unsigned image_check_seconds;   /* between two questions whether a registry has a newer one */
    unsigned pull_retry_seconds;    /* a pull failed: doubled each time, up to */
    unsigned pull_retry_longest_seconds;
    unsigned disk_full_seconds;     /* likewise, for room */
    unsigned shortage_seconds;      /* so long it is said what it lacked */
    unsigned storage_first_seconds; /* until homes of which nothing is known are looked at */
    unsigned storage_seconds;       /* between two looks, give or take a quarter */
    unsigned storage_soon_seconds;  /* … where the file system says it, or somebody waits for it */
    unsigned storage_files_a_second;
    unsigned storage_files_most; /* of one owner; what is more is not looked at */
    /* As long as it runs (pulse.h): */
    unsigned ask_seconds;    /* between two questions, give or take a quarter */
    unsigned ask_answer_ms;  /* later is no answer: a machine that is busy with a class is slow */
    unsigned ask_again_ms;   /* after a first miss */
    unsigned closed_misses;  /* nobody listens: so often in a row it is dead */
    unsigned silent_misses;  /* no answer: so often in a row it is not ready */
    unsigned silent_seconds; /* then it is started again */
    unsigned gone_grace_ms;  /* its process has ended: so long the engine may take to say so */
};
extern struct limits limits;

#define LOG_LINES 20 /* of a status, at most that long */
#define LOG_LINE_BYTES 512
#define WORKERS 6

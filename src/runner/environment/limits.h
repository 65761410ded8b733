#pragma once

/* How long each phase may last, and how often what fails is tried again. */
#define PREPARING_SECONDS 60 /* image looked for, home and socket directory made */
#define CREATING_SECONDS 150 /* container made and started: sixty at once on a slow disk */
#define STARTING_SECONDS 180 /* until it answers */
#define STOPPING_SECONDS 120 /* then the status says so; it is tried on and on */
#define STOP_GRACE_SECONDS 3 /* between SIGTERM and SIGKILL */
#define READY_POLL_MS 20     /* a look at the socket costs a system call, a question once it is there little more */
#define READY_ANSWER_MS 2000
#define RUNNING_CHECK_SECONDS 60 /* the slow timer: everything is looked at */
#define RESTART_LIMIT 3          /* ended by itself that often within RESTART_WINDOW_SECONDS: Failed */
#define RESTART_WINDOW_SECONDS 600
#define RESTART_FIRST_MS 500 /* doubled each time */
#define RETRY_FIRST_MS 200   /* engine or server away: doubled … */
#define RETRY_LONGEST_MS 15000
#define IMAGE_MISSING_SECONDS 30
#define LOG_LINES 20
#define LOG_LINE_BYTES 512
#define WORKERS 6

#include "runner/environment/limits.h"

struct limits limits = {
    .preparing_seconds = 60,
    .starting_seconds = 180,
    .turn_seconds = 10,
    .stopping_seconds = 120,
    .stop_grace_seconds = 3,
    .ready_poll_ms = 20,
    .ready_answer_ms = 2000,
    .check_seconds = 60,
    .restart_limit = 3,
    .restart_window_seconds = 600,
    .restart_first_ms = 500,
    .retry_first_ms = 200,
    .retry_longest_ms = 15000,
    .image_missing_seconds = 30,
};

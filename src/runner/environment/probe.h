#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Whether one that was started answers for the first time. */
bool probe_answers(const char *address, const char *path, int stop_fd);
/* Until it is asked again. */
unsigned probe_pause_ms(int64_t waited_us);

#pragma once

/* What `ps` shows of a process, so that each says which of ours it is. */

/* At the start of main(): the room that arguments and variables had is ours from then on (the variables are copied). */
void title_take(int argc, char **argv);
/* «open-hydra-server: PART». The arguments are gone then. */
void title_set(const char *part);

#pragma once

/* Where state and sockets go where nobody says; the caller frees. */
char *state_default(void);
char *runtime_default(void);
/* As root, the service users must be able to go through the folders above the state; where they cannot (a clone in
 * /root), the state goes to the installed place, and the log says so. */
void state_move_if_closed(char **data);

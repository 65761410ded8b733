#pragma once

#include <stdbool.h>

#include "base/str.h"

/*
 * Text that people read in terminals, logs and pages. What steers instead of being seen has no place in it: C0 and C1
 * controls, DEL, line and paragraph separators, and the bidirectional controls that show one text as another
 * (U+061C, U+200E, U+200F, U+202A–E, U+2066–9; Unicode TR 36).
 */

/* Length of the well-formed UTF-8 character at the start (RFC 3629); 0: there is none. */
size_t text_character(struct str s);
/* How much of it to show in `most` bytes: no character is cut in two. */
size_t text_cut(struct str s, size_t most);
/* Well-formed, and nothing of the above but the ASCII characters in `keep` ("", "\n\t"). */
bool text_is_plain(struct str s, const char *keep);
/* Makes it so in place: white space becomes a blank, anything else one '?'. Returns the new length. */
size_t text_clean(char *s, size_t n, const char *keep);

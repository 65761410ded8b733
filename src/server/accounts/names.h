#pragma once

/*
 * What somebody types at a login. Names of users are lower-case ASCII, so that folding needs no library: capitals,
 * full-width letters and digits (U+FF01 to U+FF5E, as Chinese input methods write them) and blanks around it, the
 * ideographic one and those of no width included, are the same name. New users get no name but one that is right as it
 * was sent.
 */
char *login_name(const char *typed); /* the caller frees */
/* Line ends around a password are a paste's; blanks may be meant. The caller frees with secret_free. */
char *login_password(const char *typed);

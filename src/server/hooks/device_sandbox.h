#pragma once

#include "server/hooks/context.h"

/*
 * What the sandbox that was chosen says of the devices that are made from it: hidden, deprecated, default and largest
 * amounts. The defaults are written into the device, whose amounts never change afterwards, whatever becomes of the sandbox.
 */
int device_take_sandbox(struct admission *a, struct store_txn *t, const char *name, const char *field,
                        struct error **err);

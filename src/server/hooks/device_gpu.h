#pragma once

#include "kinds/sandbox.h"
#include "kinds/user.h"
#include "server/hooks/context.h"

/*
 * How many GPUs a new device gets, and of which kind; by the original's rules:
 *
 *   spec.deviceGpu     as asked. Without, or 0: defaultGpuPerDevice where useDefaultGpuConfigWhenZeroIsGiven, else none
 *   spec.gpuDriver     as asked, else defaultGpuDriver; one of gpuResourceKeys
 *   the image          sandbox.gpuImageSet has one for it; a sandbox without a set has one image for everything
 *
 * Who is no administrator asks for studentGpuLimit at most; the default is everybody's. Writes deviceGpu, gpuDriver and
 * deviceType.
 */
int device_choose_gpus(struct admission *a, const struct sandbox *sandbox, struct error **err) _must_check_;
/* Of what clients send: the amounts that only an administrator may ask for. */
int device_check_gpus_asked(struct admission *a, struct error **err) _must_check_;
/* status.gpus as the runner sends it: of what the server gave (a->old) with what it uses of it. */
void device_keep_gpus(struct admission *a);

/* `gemmafit-agent probe`: what only native code on the device can see, as probe.json. */
#ifndef GEMMAFIT_PROBE_H
#define GEMMAFIT_PROBE_H

#include "json.h"

/* Probes everything, or `only` one of cpu, opencl, vulkan (the cpu and memory facts are always there), and returns an
 * exit status. */
int probe_device(const char *path, const char *only);

/* Write the members of one part into an open object. */
void probe_opencl(json *j);
void probe_vulkan(json *j);

/* Called by a part once its library is open and before the driver is entered: stores what is known so far, so that
 * a driver that crashes or hangs costs its own part and leaves the attempts. */
void probe_checkpoint(const json *j);

#endif

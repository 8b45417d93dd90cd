/* What else the machine did while a step was timed: facts alone, the host decides what they mean
 * (docs/plan-format.md, "Contention"). */
#ifndef GEMMAFIT_CONTENTION_H
#define GEMMAFIT_CONTENTION_H

#include "json.h"

/* Of one step; times in ns, -1 where the system does not tell. */
typedef struct contention {
    int threads;    /* that share the work of a repeat; 0: nothing was timed */
    bool computing; /* they do nothing but compute: what they miss of the time was taken from them */
    int cores;      /* online */
    int repeats;
    int64_t *cpu, *waited; /* of each repeat: `repeats` values of the whole process */
    bool waited_known;
    int64_t span, own, machine; /* first to last repeat: by the clock; CPU time of this process, of all */
    int64_t pressure;           /* part of the span in which some thread waited for a CPU */
    int64_t switches;           /* of this process, involuntary */
} contention;

/* Before the first timed repeat. `all`: every thread of this process works or may hold up the work; else the calling
 * one alone. Fill `threads`, `computing`, `cpu` and `waited` before. */
void contention_start(contention *c, bool all);
/* Around each repeat, outside of what is timed. */
void contention_before(contention *c);
void contention_after(contention *c);
void contention_end(contention *c);
void contention_json(json *j, const contention *c);

/* How busy the machine is, for a result: before the plan and after it. */
typedef struct machine_load {
    double average;  /* of the last minute (/proc/loadavg); below 0: not known */
    double pressure; /* percent of the last ten seconds (/proc/pressure/cpu); below 0: not known */
} machine_load;
machine_load load_now(void);
void load_json(json *j, const char *key, const machine_load *load);

#endif

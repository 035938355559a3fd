export type { TimerCounters } from "./counters.ts";
export { Timers } from "./timers.ts";

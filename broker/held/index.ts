export { carryHeld } from "./carry.ts";
export { HeldHandles, heldHandleBroker } from "./held-handle.ts";
export { type HeldCommit, HeldMessages } from "./held-messages.ts";
export { HeldWindow } from "./held-window.ts";
export type { HeldStore } from "./ports.ts";
export { type QueuesNow, queueNow } from "./queue-now.ts";
export { Soonest } from "./soonest.ts";

export { seededHash } from "./id-hash.ts";
export { recallSends } from "./recall-sends.ts";
export { type RepeatStore, sendOnce } from "./repeated-send.ts";
export { SendWindow } from "./send-window.ts";

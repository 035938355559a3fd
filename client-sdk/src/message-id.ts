// Message ids in the official V1 format: 34 upper-case hex digits that hold version, MAC address,
// process id, seconds since 2021 and a sequence number. Servers treat them as opaque text.
import { randomBytes, randomInt } from "node:crypto";
import { networkInterfaces } from "node:os";

const epochSeconds = Date.UTC(2021, 0, 1) / 1000;
const sequenceEnd = 2 ** 32;

function macAddress(): string {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const address of addresses ?? []) {
      if (!address.internal && address.mac !== "00:00:00:00:00:00")
        return address.mac.replaceAll(":", "");
    }
  }
  return randomBytes(6).toString("hex");
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}

const prefix = `01${macAddress().toUpperCase()}${hex(process.pid % 65_536, 4)}`;
const hexOfByte = Array.from({ length: 256 }, (_, byte) => hex(byte, 2));
// A random start keeps two processes apart that share address and process id, as containers may.
let sequence = randomInt(sequenceEnd);
let secondsNow = -1;
/** All but the last two digits; it changes each second and each 256 ids. */
let head = "";

/** A message id that no other message has. `nowMs` is the time it carries, milliseconds since 1970. */
export function createMessageId(nowMs: number): string {
  sequence = sequence + 1 === sequenceEnd ? 0 : sequence + 1;
  const seconds = Math.floor(nowMs / 1000) - epochSeconds;
  const low = sequence & 0xff;
  if (seconds !== secondsNow || low === 0) {
    secondsNow = seconds;
    head = prefix + hex(seconds % sequenceEnd, 8) + hex(Math.floor(sequence / 256), 6);
  }
  return head + hexOfByte[low];
}

// The SETTINGS of a client: read, checked, and applied to the sending half.
import type { Frame } from "./frame-splitter.ts";
import { ConnectionError, ErrorCode, Setting, windowSizeMax } from "./http2.ts";
import type { Sender } from "./sender.ts";

const settingSize = 6;

/**
 * Applies the settings of a SETTINGS frame without ACK. Gives by how much the window of every open stream changes.
 * Our frames never exceed the smallest frame size allowed, so that setting is only checked. Throws ConnectionError.
 */
export function applySettings(frame: Frame, sender: Sender): number {
  if ((frame.end - frame.start) % settingSize !== 0) {
    throw new ConnectionError(ErrorCode.frameSizeError, "SETTINGS of a broken size");
  }
  const windowBefore = sender.streamWindow;
  for (let at = frame.start; at < frame.end; at += settingSize) {
    applySetting(sender, frame.view.getUint16(at), frame.view.getUint32(at + 2));
  }
  return sender.streamWindow - windowBefore;
}

function applySetting(sender: Sender, identifier: number, value: number): void {
  switch (identifier) {
    case Setting.headerTableSize:
      // Our encoder never uses the table; a smaller one must be acknowledged in the next block.
      sender.announceEmptyTable ||= value < 4096;
      break;
    case Setting.enablePush:
      check(value <= 1, ErrorCode.protocolError, "ENABLE_PUSH");
      break;
    case Setting.initialWindowSize:
      check(value <= windowSizeMax, ErrorCode.flowControlError, "INITIAL_WINDOW_SIZE");
      sender.streamWindow = value;
      break;
    case Setting.frameSizeMax:
      check(value >= 16_384 && value < 2 ** 24, ErrorCode.protocolError, "MAX_FRAME_SIZE");
      break;
    default:
  }
}

function check(condition: boolean, code: ErrorCode, name: string): void {
  if (!condition) throw new ConnectionError(code, `SETTINGS_${name} out of range`);
}
